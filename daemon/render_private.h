/* What the rooms of daemon/render.h share: render.c (batches, attempts), render_row.c (results),
 * render_limits.c. */
#ifndef FANOUT_DAEMON_RENDER_PRIVATE_H
#define FANOUT_DAEMON_RENDER_PRIVATE_H

#include "daemon/render.h"

const char *render_http_version(int v); /* NULL where it is not known */

#endif
