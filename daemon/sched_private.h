/* The insides of the scheduler, for daemon/sched*.c alone (and nobody else).
 *
 * A lane with loaded jobs is in exactly one place: in a queue of its key, or parked with its batch. A key with lanes in
 * its queues is in exactly one state (enum key_state). What may go has a turn in one ring: keys, and the lines of
 * limits and hosts. Nothing is looked up or searched when a job is picked.
 *
 * What makes sure that nobody is forgotten: a line with keys in it is in the ring, or it was asked and said no, and
 * will be in the ring again at the time it named (in the heap `waiting`) or when anything happens that could change its
 * mind (limit_touched, host_touched). */
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

/* Whatever has a turn in the ring: each turn gives out one job at most. */
enum turn_kind { TURN_KEY, TURN_LIMIT, TURN_HOST };

struct turn {
	enum turn_kind kind;
	bool ready; /* in sched.ready */
	TAILQ_ENTRY(turn) link;
};
TAILQ_HEAD(turn_list, turn);

enum key_state {
	KEY_IDLE,  /* no lane in its queues */
	KEY_READY, /* in the ring: to be looked at when its turn comes */
	KEY_LINED, /* in the line of the limit that holds it up */
	KEY_STUCK, /* in its host's line alone: only lanes under the host's concurrency are queued, and that is reached
		    */
};

/* Keys that wait for the same thing, those that wait longest first. */
struct line {
	struct turn turn;
	struct heap keys; /* by ticket */
};

struct attachment {
	struct sched_key *key;
	LIST_ENTRY(attachment) of_limit;
};

/* What every grant and every end looks at lies in the first cache line. */
struct sched_limit {
	struct limit *limit;   /* NULL: freed by its owner, and only remembered by grants */
	struct heap_node node; /* in sched.waiting, by wake_us */
	struct line line;
	int64_t wake_us; /* what it said when it was last asked and said no */
	void *user;
	bool limited; /* by rates, pace or pause: since limited_since_us, before that limited_us in total */
	int64_t limited_since_us, limited_us;
	unsigned key_count, refs; /* refs: of grants */
	LIST_HEAD(, attachment) keys;
	LIST_ENTRY(sched_limit) all;
};

/* The limits of a key at one time; never changed, shared by the key and the jobs it was granted to. */
struct sched_grants {
	unsigned refs, count;
	LIST_ENTRY(sched_grants) all;
	struct sched_limit *limits[];
};

struct sched_host {
	char *name;
	unsigned keys;
	unsigned default_in_flight; /* of batches without a concurrency of their own */
	struct line line;
	UT_hash_handle hh;
};

struct sched_key {
	char *name;
	struct sched_host *host; /* NULL until its first lane came */
	enum key_state state;
	unsigned lanes;
	struct heap queues[QUEUES];
	uint64_t pass, turns; /* the greatest pass served, and the last turn given out to a lane */
	struct turn turn;
	struct sched_grants *grants; /* its limits; NULL: none */
	struct attachment *attached; /* one for each of them */
	struct sched_limit *held_by; /* while LINED */
	uint64_t ticket;             /* place in limits' lines, kept until a job goes; 0: none */
	struct heap_node lined;
	uint64_t host_ticket; /* the same for the host's line, which a key may be in whatever its state is */
	struct heap_node host_lined;
	int64_t limited_us; /* while LINED, plus what its limit was held up by rates, pace or pause */
	LIST_HEAD(, sched_job) flying;
	UT_hash_handle hh;
};

struct sched {
	struct sched_settings set;
	struct sched_batch *batches; /* hashes */
	struct sched_lane *lanes;
	struct sched_key *keys;
	struct sched_host *hosts;
	LIST_HEAD(, sched_limit) limits;
	LIST_HEAD(, sched_grants) grants;
	struct turn_list ready; /* the ring */
	struct heap waiting;    /* limits by wake_us */
	struct batch_list owed;
	struct lane_list hungry;
	uint64_t tickets;
	unsigned live, loaded, in_flight, limit_count;
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

/* sched_key.c: keys and hosts, and what state they are in */
struct sched_key *key_find(struct sched *s, const char *name);
struct sched_key *key_add(struct sched *s, const char *name); /* or the existing one */
void key_set_host(struct sched *s, struct sched_key *k, const char *host);
void key_drop_unused(struct sched *s, struct sched_key *k);
void key_free(struct sched *s, struct sched_key *k);
bool key_has_lanes_queued(const struct sched_key *k);
void key_set_state(struct sched *s, struct sched_key *k, enum key_state state); /* not to LINED: key_join_line */
bool host_full(const struct sched *s, const struct sched_host *h);

/* sched_line.c: the ring, and the lines before limits and hosts */
void turn_ready(struct sched *s, struct turn *t); /* to the end of the ring, wherever it is */
void turn_over(struct sched *s, struct turn *t);
void line_init(struct line *l, enum turn_kind kind);
void line_clear(struct sched *s, struct line *l);
bool limit_comes_before(const struct heap_node *a, const struct heap_node *b);
void limit_touched(struct sched *s, struct sched_limit *l); /* something changed that may let a key go */
void limit_held(struct sched *s, struct sched_limit *l, int64_t until_us, enum limit_hold why, int64_t now_us);
void limit_free_again(struct sched_limit *l, int64_t now_us); /* it was asked, and said yes */
void key_join_line(struct sched *s, struct sched_key *k, struct sched_limit *l, int64_t now_us);
void key_leave_line(struct sched *s, struct sched_key *k, int64_t now_us);
int64_t key_limited_us(const struct sched_key *k, int64_t now_us);
struct sched_key *limit_first_in_line(const struct sched_limit *l);
struct sched_key *host_first_in_line(const struct sched_host *h);
void host_touched(struct sched *s, struct sched_host *h);
void key_join_host_line(struct sched *s, struct sched_key *k);
void key_leave_host_line(struct sched *s, struct sched_key *k);

/* sched_limit.c: limits, which keys have them, and which jobs they granted */
void limits_free(struct sched *s);
void key_detach_limits(struct sched *s, struct sched_key *k);
void grants_prefetch_next(const struct sched *s);
void grants_take(struct sched_job *j, struct sched_key *k, int64_t now_us);
void grants_end(struct sched *s, struct sched_job *j, int64_t now_us, int64_t counted_us);
void grants_refund(struct sched *s, struct sched_job *j);
/* The limit of the key that says no for the longest, or NULL. */
struct sched_limit *key_ask(const struct sched_key *k, int64_t now_us, int64_t *until_us, enum limit_hold *why);

/* sched_lane.c: where a lane is, and the window of jobs it has loaded */
void lane_enter(struct sched *s, struct sched_lane *l); /* it has jobs: queue or park it */
void lane_queue(struct sched *s, struct sched_lane *l);
void lane_park(struct sched *s, struct sched_lane *l);
void lane_leave(struct sched *s, struct sched_lane *l); /* wherever it is */
struct sched_job *lane_shift(struct sched *s, struct sched_lane *l);
void lane_update_window(struct sched *s, struct sched_lane *l);
void batch_update_owed(struct sched *s, struct sched_batch *b);

#endif
