/* How long a daemon is waited for that was there before: it is being restarted, and what it had is on its disk. One
 * that is the user's own nobody restarts: that is done here. */
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
 * A private daemon that died is started again; where that fails, `e` says why. */
struct client;
bool patience_again(struct patience *p, const struct client *c, struct err *e);
/* Patience has ended by `e`: its hint becomes that the "run" or "batch" is safe, and how to go on. */
void patience_lost(const struct patience *p, const struct client *c, const char *what, uint32_t number, struct err *e);

#endif
