/* Waiting for a batch, and following it, also across a restart of the daemon. */
#ifndef FANOUT_CLI_WATCH_H
#define FANOUT_CLI_WATCH_H

#include <stddef.h>
#include <stdint.h>

#include "cli/ctl.h"

/* Waits until the batch has ended, with progress and a closing line on stderr; `timeout_us` CLOCK_NEVER: for ever.
 * Returns the exit status. */
int watch_wait(struct ctl *ctl, uint32_t batch, int64_t timeout_us);

/* Calls on_job for each result, in the order in which jobs end, and on_pause (may be NULL) when what has come so far
 * may be shown. Returns 0 with the final batch in *ended (a new reference), or -1. */
struct watcher {
	int (*on_job)(void *arg, const char *json, size_t len, struct err *e);
	void (*on_pause)(void *arg);
	void *arg;
};
struct json_t;
int watch_events(struct client *c, uint32_t batch, const struct watcher *w, struct json_t **ended, struct err *e);

/* Follows with rows on stdout in the chosen format, closing lines on stderr. Returns the exit status. */
int watch_follow(struct ctl *ctl, uint32_t batch);

/* What an interrupted wait says: how the batch stands now. Returns STATUS_INTERRUPTED. */
int watch_interrupted(const struct ctl *ctl, uint32_t batch);
/* The closing line: "batch 7: 98 done, 2 failed in 3.21 s"; of a run, its receipt. Returns the exit status. */
int watch_ended(struct ctl *ctl, const struct json_t *batch);

#endif
