/* The thread that makes commits durable, so that the loop does not stand still while the disk syncs.
 *
 * SQLite writes a commit to its log without syncing it (synchronous=NORMAL); then fdatasync(2) on the log is called
 * here, and only when it has returned is anybody told. That is what synchronous=FULL does, in the same order, but while
 * it is under way the loop goes on: a sync takes 0.2 ms on a good disk, 3 ms on a plain one, and 300 ms on a bad day.
 * One sync covers all commits before it. Everything else that SQLite syncs (checkpoints, a log that starts anew) it
 * goes on to sync itself.
 *
 * The thread knows one descriptor and nothing of SQLite. */
#ifndef FANOUT_DAEMON_STORE_SYNC_H
#define FANOUT_DAEMON_STORE_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

struct event_base;
struct store_sync;

/* `on_done` is called from the loop after each sync. */
struct store_sync *store_sync_create(struct event_base *base, void (*on_done)(void *arg), void *arg, struct err *e);
/* Waits for the sync that is under way. NULL is allowed. */
void store_sync_free(struct store_sync *s);

/* Asks for a sync of `fd` that covers everything written so far. Returns its ticket; tickets grow by one. */
uint64_t store_sync_ask(struct store_sync *s, int fd);
/* The last ticket that is done; *error is an errno once a sync has failed: nothing after that is done ever. */
uint64_t store_sync_done(struct store_sync *s, int *error);
bool store_sync_busy(struct store_sync *s);
/* Blocks until everything asked for is done or has failed. */
void store_sync_wait(struct store_sync *s);

#endif
