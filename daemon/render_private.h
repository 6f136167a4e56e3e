/* What the rooms of daemon/render.h share: render.c (batches, results, attempts), render_limits.c. */
#ifndef FANOUT_DAEMON_RENDER_PRIVATE_H
#define FANOUT_DAEMON_RENDER_PRIVATE_H

#include "daemon/render.h"

/* Sets a member that is not there yet; takes the reference. */
void render_set(json_t *o, const char *name, json_t *value);

#endif
