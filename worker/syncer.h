/* The thread that makes bodies durable, so that the loop, with its heartbeats and all other transfers, does not stand
 * still while the disk syncs. One group of sinks at a time: what ends meanwhile is the next group, and one sync covers
 * it. Knows sinks and no transfers. */
#ifndef FANOUT_WORKER_SYNCER_H
#define FANOUT_WORKER_SYNCER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

struct event_base;
struct sink;
struct syncer;

/* `on_done` is called from the loop when a group is synced. */
struct syncer *syncer_create(struct event_base *base, void (*on_done)(void *arg), void *arg, struct err *e);
/* Waits for the group that is under way. NULL is allowed. */
void syncer_free(struct syncer *s);

/* Hands a group over; it and the array are the thread's until `on_done`. Not while it is busy. */
void syncer_start(struct syncer *s, struct sink *const *sinks, size_t count);
bool syncer_busy(const struct syncer *s);

#endif
