/* How long a daemon is waited for that was there before: it is being restarted, and what it had is on its disk. */
#ifndef FANOUT_CLI_PATIENCE_H
#define FANOUT_CLI_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

/* A zeroed struct is ready. */
struct patience {
	bool heard;      /* the daemon was there before */
	int64_t away_us; /* since when it is not; 0: it is */
};
void patience_heard(struct patience *p);
/* Whether to try again after `e`, a moment later: it sleeps for that. A daemon that was never there is not waited for.
 */
bool patience_again(struct patience *p, const struct err *e);

#endif
