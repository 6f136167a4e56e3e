/* The insides of the scheduler, for daemon/sched*.c alone (and nobody else).
 *
 * A lane with loaded jobs is in exactly one place: in a queue of its key, or parked with its batch. A key with lanes in
 * its queues is in exactly one state (enum key_state). Nothing is looked up or searched when a job is picked. */
#ifndef FANOUT_DAEMON_SCHED_PRIVATE_H
#define FANOUT_DAEMON_SCHED_PRIVATE_H

#include <sys/queue.h>

#include "daemon/sched.h"
#include "lib/err.h"
#include "lib/heap.h"

#define uthash_fatal(msg) BUG("hash table: %s", msg)
#include <uthash.h>

/* A lane's jobs wait in one of two queues of its key: those whose batch has a concurrency of its own are not held up
 * when the key's default concurrency is used up. */
enum queue { QUEUE_DEFAULT, QUEUE_OWN, QUEUES };

enum lane_place { LANE_OUT, LANE_QUEUED, LANE_PARKED };

struct sched_lane {
	int64_t id;
	struct sched_batch *batch;
	struct sched_key *key;
	void *user;
	struct sched_job *first, **end; /* loaded jobs */
	unsigned loaded, in_flight;
	enum lane_place place;
	uint64_t pass, turn; /* order in the key's queue: the smaller pass, then who waits longer */
	struct heap_node node;
	TAILQ_ENTRY(sched_lane) parked;
	TAILQ_ENTRY(sched_lane) of_batch;
	bool more;   /* the store has more */
	bool asked;  /* and was asked for it */
	bool hungry; /* in the list of those that sched_hungry returns */
	bool live;   /* has jobs or will: counts for the size of everyone's window */
	TAILQ_ENTRY(sched_lane) hungry_link;
	UT_hash_handle hh;
};
TAILQ_HEAD(lane_list, sched_lane);

struct sched_batch {
	uint32_t id;
	struct sched_batch_options opt;
	unsigned in_flight;
	struct lane_list lanes, parked;
	bool owed; /* may go, and has parked lanes: in sched.owed */
	TAILQ_ENTRY(sched_batch) owed_link;
	UT_hash_handle hh;
};
TAILQ_HEAD(batch_list, sched_batch);

enum key_state {
	KEY_IDLE,    /* no lane in its queues */
	KEY_READY,   /* in sched.ready: to be looked at when its turn comes */
	KEY_WAITING, /* in sched.waiting until wake_us: a limit says when */
	KEY_STUCK,   /* until a job ends, or something is pushed or set */
};

/* A rule that a key's jobs count against; a list, since several may match. */
struct key_limit {
	struct limit *limit;
	SLIST_ENTRY(key_limit) next;
};
SLIST_HEAD(limit_list, key_limit);

struct sched_key {
	char *name, *host;
	enum key_state state;
	unsigned lanes;
	unsigned in_flight;
	unsigned default_in_flight; /* of these, of batches without a concurrency of their own */
	struct heap queues[QUEUES];
	uint64_t pass, turn; /* the greatest pass served, and the last turn given out */
	struct limit_list limits;
	int64_t wake_us;
	bool limited; /* by rates, pace or pause: since limited_since_us, before that limited_us in total */
	int64_t limited_since_us, limited_us;
	struct heap_node node;
	TAILQ_ENTRY(sched_key) ready;
	UT_hash_handle hh;
};
TAILQ_HEAD(key_list, sched_key);

struct sched {
	struct sched_settings set;
	struct sched_batch *batches; /* hashes */
	struct sched_lane *lanes;
	struct sched_key *keys;
	struct key_list ready;
	struct heap waiting; /* keys by wake_us */
	struct batch_list owed;
	struct lane_list hungry;
	unsigned live, loaded, in_flight;
};

void *sched_alloc(size_t bytes); /* zeroed, never NULL */
char *sched_copy(const char *text);

static inline enum queue batch_queue(const struct sched_batch *b)
{
	return b->opt.concurrency > 0 ? QUEUE_OWN : QUEUE_DEFAULT;
}

static inline bool batch_open(const struct sched_batch *b)
{
	return !b->opt.paused && (b->opt.concurrency == 0 || b->in_flight < b->opt.concurrency);
}

/* sched_key.c: keys, their state and their limits */
struct sched_key *key_find(struct sched *s, const char *name);
struct sched_key *key_add(struct sched *s, const char *name); /* or the existing one */
void key_drop_unused(struct sched *s, struct sched_key *k);
void key_free(struct sched *s, struct sched_key *k);
bool key_comes_before(const struct heap_node *a, const struct heap_node *b);
bool key_default_full(const struct sched *s, const struct sched_key *k);
bool key_has_lanes_queued(const struct sched_key *k);
void key_set_state(struct sched *s, struct sched_key *k, enum key_state state);
void key_look_again(struct sched *s, struct sched_key *k);
int64_t key_ask(const struct sched_key *k, int64_t now_us, enum limit_hold *why);
void key_account_limited(struct sched_key *k, bool limited, int64_t now_us);
int64_t key_limited_us(const struct sched_key *k, int64_t now_us);

/* sched_lane.c: where a lane is, and the window of jobs it has loaded */
void lane_enter(struct sched *s, struct sched_lane *l); /* it has jobs: queue or park it */
void lane_queue(struct sched *s, struct sched_lane *l);
void lane_park(struct sched *s, struct sched_lane *l);
void lane_leave(struct sched *s, struct sched_lane *l); /* wherever it is */
struct sched_job *lane_shift(struct sched *s, struct sched_lane *l);
void lane_update_window(struct sched *s, struct sched_lane *l);
void batch_update_owed(struct sched *s, struct sched_batch *b);

#endif
