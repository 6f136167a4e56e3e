/* A thread that syncs, so that the loop does not stand still while the disk does: 0.2 ms on a good one, 3 ms on a plain
 * one, 300 ms on a bad day.
 *
 * What is asked for while a sync is under way is the next one's, all of it: one sync covers everything before it. The
 * thread calls one function with one pointer, and knows nothing of files. */
#ifndef FANOUT_LIB_SYNCER_H
#define FANOUT_LIB_SYNCER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

struct event_base;
struct syncer;

struct syncer_settings {
	struct event_base *base;
	int (*sync)(const void *what); /* in the thread, with signals blocked. Returns 0 or an errno */
	void (*on_done)(void *arg);    /* from the loop, after each sync: before anything of a lower priority */
	void *arg;
};
struct syncer *syncer_create(const struct syncer_settings *set, struct err *e);
/* Waits for what was asked for; on_done is not called any more. NULL is allowed. */
void syncer_free(struct syncer *s);

/* Asks for a sync that covers everything so far; `what` is the thread's until that is done, and the last one asked for
 * before it begins is what it gets. Returns its ticket; tickets grow by one, from 1. */
uint64_t syncer_ask(struct syncer *s, const void *what);
/* The last ticket that is done; *error is an errno once a sync has failed: nothing after that is done ever. */
uint64_t syncer_done(struct syncer *s, int *error);
/* Something asked for is not done. (It may be done before on_done has said so.) */
bool syncer_busy(struct syncer *s);
/* Blocks until everything asked for is done or has failed. */
void syncer_wait(struct syncer *s);

#endif
