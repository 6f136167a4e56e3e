/* The workers: starting them, giving them requests up to their credit, collecting outcomes, replacing the dead.
 *
 * Affinity: a limit key always prefers the same worker (warm connections) and spills to another one when that has no
 * credit left. A worker that ends, misspeaks or is silent for too long is killed and replaced: at once when it had done
 * work, with a growing delay when it died young. Its open attempts are told as lost, once each. Knows no store and no
 * scheduler. */
#ifndef FANOUT_DAEMON_POOL_H
#define FANOUT_DAEMON_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/message.h"

struct event_base;
struct pool;

struct pool_settings {
	unsigned workers;
	const char *program; /* path of fanout-worker */
	int bodies_fd;
	const struct message_settings *settings; /* kept by reference */
};

/* An attempt whose worker died. */
struct pool_lost {
	uint64_t job;
	uint32_t n;
	bool sent;   /* the worker may have sent it */
	bool heard;  /* all that the worker said was heard: what stands by has not begun (daemon/engine_standby.c) */
	bool blamed; /* it may be what the worker died of (docs/ARCHITECTURE.md) */
};

struct pool_listener {
	void *arg;
	void (*on_outcome)(void *arg, const struct message_outcome *o);
	void (*on_lost)(void *arg, const struct pool_lost *lost);
	/* An attempt that stood by has not begun, and will not: nothing of it was sent. Instead of an outcome. */
	void (*on_returned)(void *arg, uint64_t job, uint32_t n);
	void (*on_credit)(void *arg); /* there is credit where there was none */
};

struct pool *pool_create(struct event_base *base, const struct pool_settings *set, const struct pool_listener *l,
			 struct err *e);
/* Requests that the workers would take now. */
unsigned pool_credit(const struct pool *p);
/* Queues one request for a worker: `frame` is one encoded MESSAGE_JOB for attempt n of `job`, copied. Frames of one
 * turn go out together. `key` decides the affinity. A worker that has not answered long after `timeout_ms` hangs.
 * Returns the worker's index; -1 when none has credit: nothing happened. */
int pool_assign(struct pool *p, const char *key, uint64_t job, uint32_t n, int64_t timeout_ms, const void *frame,
		size_t frame_bytes);
/* The same for a request that stands by with this worker, while it has more than half of its credit left. */
bool pool_may_stand_by(const struct pool *p, unsigned worker);
void pool_stand_by(struct pool *p, unsigned worker, uint64_t job, uint32_t n, const void *frame, size_t frame_bytes);
/* It has begun: its time is counted from now on. */
void pool_begun(struct pool *p, unsigned worker, uint64_t job, int64_t timeout_ms);
/* As in lib/message.h. */
void pool_slots(struct pool *p, unsigned worker, uint64_t lane, unsigned slots);
void pool_recall(struct pool *p, unsigned worker, uint64_t lane, bool answers);
/* Asks for the end of an open attempt; its outcome still comes. */
void pool_cancel(struct pool *p, uint64_t job, uint32_t n);
/* No more assignments; workers end when they have nothing in flight. on_idle is called once when all have gone. */
void pool_stop(struct pool *p, void (*on_idle)(void *arg), void *arg);
/* Kills what is left. Open attempts are not told. NULL is allowed. */
void pool_free(struct pool *p);

struct pool_worker_info {
	int pid;
	bool ready;
	unsigned capacity, in_flight;
	uint64_t outcomes, starts;
	int64_t started_us;
};
unsigned pool_workers(const struct pool *p);
void pool_worker_info(const struct pool *p, unsigned i, struct pool_worker_info *info);

#endif
