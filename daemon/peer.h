/* One worker as the pool sees it: its process, its channel and the attempts it has open. Private to daemon/pool and
 * daemon/peer. */
#ifndef FANOUT_DAEMON_PEER_H
#define FANOUT_DAEMON_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"
#include "lib/hash.h"
#include "lib/message.h"
#include "lib/wire.h"

struct event;
struct event_base;
struct pool;

#define PEER_BACKLOG_BYTES (4u << 20) /* unsent frames above this: no credit */

/* An attempt that a worker has and has not answered. */
struct peer_attempt {
	uint64_t job; /* the hash's key: a job has at most one open attempt */
	uint32_t n;
	bool stood_by;     /* it may be returned */
	int64_t until_us;  /* when its answer is overdue; INT64_MAX while it stands by */
	uint64_t frame_at; /* where its frame begins in the stream of all that was ever queued for this worker */
	struct peer_attempt *next;
	UT_hash_handle hh;
};

enum peer_state {
	PEER_DOWN,     /* no process; `restart` is armed */
	PEER_STARTING, /* its hello has not come */
	PEER_UP,
	PEER_DYING, /* given up or killed; its process is not reaped yet */
};

struct peer {
	struct pool *pool;
	unsigned index;
	enum peer_state state;
	pid_t pid;
	int fd; /* -1: closed */
	struct event *readable, *writable, *restart;

	uint8_t *in; /* what was read and is not a whole frame yet */
	size_t in_len, in_cap;
	struct wire_out out; /* what was queued */
	size_t out_taken;    /* of it, written already */
	uint64_t out_total;  /* ever queued, bytes */

	struct peer_attempt *attempts;
	unsigned in_flight, capacity;
	int64_t started_us;
	unsigned quiet_beats;      /* since it spoke last */
	uint64_t outcomes, starts; /* outcomes of this process; starts over all */
	unsigned young;            /* deaths in a row without an outcome */
	uint64_t judging;          /* the job whose body it said it is about to judge; 0: none */
	bool killed;               /* by us: it misspoke, or was silent */
};

/* What the pool is told of a peer. */
void pool_on_outcome(struct pool *p, struct peer *w, const struct message_outcome *o);
void pool_on_lost(struct pool *p, const struct peer_attempt *a, bool sent, bool heard, bool blamed);
void pool_on_returned(struct pool *p, uint64_t job, uint32_t n);
void pool_on_up(struct pool *p);   /* credit may have appeared */
void pool_on_gone(struct pool *p); /* a process has been reaped */
bool pool_stopping(const struct pool *p);
int pool_spawn(struct pool *p, pid_t *pid, int *channel, struct err *e);
const struct message_settings *pool_worker_settings(const struct pool *p);

int peer_init(struct peer *w, struct pool *p, unsigned index, struct event_base *base);
void peer_clear(struct peer *w); /* kills and reaps */
void peer_start(struct peer *w);
unsigned peer_credit(const struct peer *w);
void peer_assign(struct peer *w, struct peer_attempt *a, const void *frame, size_t bytes);
void peer_begun(struct peer *w, uint64_t job, int64_t until_us);
/* Sends a message, if the worker still listens, and clears it. */
void peer_say(struct peer *w, struct wire_out *frame);
/* False when it has no such attempt. */
bool peer_cancel(struct peer *w, uint64_t job, uint32_t n);
void peer_stop(struct peer *w);
/* Once a heartbeat: one that has been silent for too many is killed. */
void peer_beat(struct peer *w);
/* Ends a worker that can't be trusted any more. */
void peer_kill(struct peer *w, const char *why);
/* Its process was reaped: takes what it still said, then tells of what it lost. */
void peer_reaped(struct peer *w, int status);

/* A free list of attempts, the pool's. */
struct peer_attempt *pool_attempt_get(struct pool *p);
void pool_attempt_put(struct pool *p, struct peer_attempt *a);

#endif
