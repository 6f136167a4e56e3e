/* Whether fanoutd could read its configuration. */
#ifndef FANOUT_CLI_CONFCHECK_H
#define FANOUT_CLI_CONFCHECK_H

#include <stdbool.h>

#include "cli/text.h"
#include "lib/err.h"

/* Runs `fanoutd -n`, for this user's private daemon or the system's. 1: it is fine, 0: it is not; `said` is the file's
 * name, or all that is wrong with it, on one line. -1: that could not be found out. */
int confcheck_run(bool local, struct text *said, struct err *e);

#endif
