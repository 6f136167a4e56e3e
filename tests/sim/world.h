/* The simulated world, for tests/sim alone. */
#ifndef FANOUT_TESTS_SIM_WORLD_H
#define FANOUT_TESTS_SIM_WORLD_H

#include <stddef.h>

#include "daemon/job.h"
#include "daemon/limit.h"
#include "daemon/retry.h"
#include "daemon/sched.h"
#include "lib/clock.h"
#include "lib/heap.h"
#include "tests/sim/sim.h"

enum {
	KEYS_MAX = 5,
	BATCHES_MAX = 4,
	JOBS_MAX = 80,
	WORKERS_MAX = 3,
	LANES_MAX = KEYS_MAX * BATCHES_MAX,
	CREDIT_MAX = 40
};

enum { MS = 1000, SEC = 1000000 };
/* The assumption of the proof about requests that were given up: they arrive within this time or never. */
#define SAFETY_US (400 * MS)

struct flight;

/* What the judge remembers of a grant. */
struct granted {
	int64_t at_us;
	int64_t counted_us; /* CLOCK_NEVER while in flight */
};
struct arrived {
	int64_t at_us, granted_us;
};

struct key {
	char name[16];
	struct limit_rule rule;
	struct sched_limit *limit;
	bool ruled;
	int64_t ruled_since_us;
	int64_t paced_us, paced_before_us; /* the last grants under the rule; -1: none */
	struct granted *grants;
	size_t grant_count, grants_room;
	struct arrived *arrivals;
	size_t arrival_count, arrivals_room;
	int64_t latency_us; /* each way at most */
};

struct batch {
	uint32_t id;
	struct sched_batch_options opt;
	struct sched_batch *handle;
};

enum place { PLACE_NOWHERE, PLACE_PUT_OFF, PLACE_STORED, PLACE_LOADED, PLACE_FLYING };

struct job {
	unsigned index; /* id - 1 */
	struct batch *batch;
	struct lane *lane;
	struct job *before, *after; /* in its chain */
	enum job_state state;
	enum job_reason reason;
	const char *method;
	bool repeatable;
	unsigned max_attempts, tries, deaths;
	unsigned life;    /* how often its owner began it anew */
	unsigned effects; /* that its requests had at servers in this life */
	int64_t deadline_us, due_us;
	enum place place;
	unsigned put_off; /* how often: an older due event is void */
	struct flight *flight;
};

struct lane {
	int64_t id;
	struct batch *batch;
	struct key *key;
	struct sched_lane *handle; /* NULL while none of its jobs is alive */
	struct job *stored[JOBS_MAX];
	unsigned stored_count, loaded;
	unsigned needed; /* by jobs that wait and by open flights */
};

/* One wire request. */
struct flight {
	struct job *job; /* NULL once the job no longer cares (cancelled) */
	struct job *sender;
	unsigned life; /* of the sender when it was sent */
	bool effect;   /* the server does what is asked, if it gets it */
	struct lane *lane;
	struct sched_job *handle;
	unsigned worker;
	size_t grant; /* index in the key's grants */
	bool ended_in_sched;
	int64_t sent_us, arrive_us; /* CLOCK_NEVER: it never does */
	int64_t answered_us;        /* first byte of the final response; CLOCK_NEVER */
	int64_t ended_us;           /* in the worker */
	int64_t report_us;          /* to the engine; another time than this: void */
	enum cause cause;
	int status;
	bool sent;
	struct flight *next;
};

enum event_type {
	EVENT_SUBMIT,
	EVENT_ARRIVE,
	EVENT_REPORT,
	EVENT_REFUND,
	EVENT_DUE,
	EVENT_EXPIRE,
	EVENT_CANCEL,
	EVENT_RETRY,
	EVENT_BATCH_SET,
	EVENT_KEY_SET,
	EVENT_KEY_CONCURRENCY,
	EVENT_WORKER_DEATH,
	EVENT_TYPES
};

struct event {
	int64_t at_us;
	uint64_t order;
	enum event_type type;
	void *subject;
	unsigned n;
	struct heap_node node;
};

struct world {
	uint64_t seed, random;
	enum sim_mutation mutation;
	bool trace;
	struct sim_result *result;
	int64_t now_us;
	struct sched *sched;
	unsigned key_concurrency, credit, workers;
	struct key keys[KEYS_MAX];
	struct batch batches[BATCHES_MAX];
	struct lane lanes[LANES_MAX];
	struct job jobs[JOBS_MAX];
	unsigned key_count, batch_count, job_count, open_count;
	struct flight *flights; /* all, to the end of the run */
	struct flight *open[CREDIT_MAX];
	struct heap events;
	uint64_t event_order;
};

/* world.c */
void world_create(struct world *w, uint64_t seed);
void world_free(struct world *w);
int64_t draw(struct world *w, int64_t lo, int64_t hi);
bool chance(struct world *w, unsigned percent);
void event_add(struct world *w, int64_t at_us, enum event_type type, void *subject, unsigned n);
bool event_take(struct world *w, int64_t until_us, struct event *out);
int64_t event_next_us(const struct world *w);
struct sched_batch_options draw_options(struct world *w);
struct limit_rule draw_rule(struct world *w);
void key_set_rule(struct world *w, struct key *k, const struct limit_rule *rule);
void trace(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* engine.c: what the daemon's engine does, in small */
void engine_turn(struct world *w);
bool engine_has_credit(const struct world *w);
void engine_queue(struct world *w, struct job *j, int64_t due_us);
void engine_due(struct world *w, struct job *j, unsigned put_off);
void engine_unqueue(struct world *w, struct job *j);
void engine_report(struct world *w, struct flight *f);
void engine_refund(struct world *w, struct flight *f);

/* life.c: jobs by daemon/job, attempts by daemon/retry */
void life_apply(struct world *w, struct job *j, enum job_event event, enum job_reason reason);
void life_settle(struct world *w, struct job *j, const struct flight *f);

/* happen.c: what a world does to the engine */
void happen(struct world *w, const struct event *e);

/* net.c: what becomes of a request */
void net_send(struct world *w, struct flight *f);
void net_give_up(struct world *w, struct flight *f, enum cause cause, int64_t report_us);

/* judge.c */
void judge_fail(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void judge_grant(struct world *w, struct flight *f);
void judge_refund(struct world *w, struct flight *f);
void judge_end(struct world *w, struct flight *f, int64_t counted_us);
void judge_rule(struct world *w, struct key *k, const struct limit_rule *rule);
void judge_arrival(struct world *w, struct flight *f);
void judge_idle(struct world *w, int64_t at_us, const char *when);
void judge_over(struct world *w);

#endif
