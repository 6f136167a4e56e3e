/* The simulated world, for tests/sim alone. */
#ifndef FANOUT_TESTS_SIM_WORLD_H
#define FANOUT_TESTS_SIM_WORLD_H

#include <stddef.h>

#include "daemon/job.h"
#include "daemon/limit.h"
#include "daemon/retry.h"
#include "daemon/rules.h"
#include "daemon/sched.h"
#include "daemon/throttle.h"
#include "lib/clock.h"
#include "lib/heap.h"
#include "tests/sim/sim.h"

enum {
	HOSTS_MAX = 3,
	PATHS = 2, /* of each host */
	BATCHES_MAX = 4,
	RULES_DRAWN = 4,
	SCOPES = RULES_DRAWN * HOSTS_MAX + BATCHES_MAX,
	JOBS_MAX = 80,
	WORKERS_MAX = 3,
	LANES_MAX = BATCHES_MAX * HOSTS_MAX * PATHS,
	CREDIT_MAX = 40,
	BOOTS_MAX = 8
};

enum { MS = 1000, SEC = 1000000 };
#define WINDOW_MAX_US (2 * SEC)
/* The assumption of the proof about requests that were given up: they arrive within this time or never. */
#define SAFETY_US (400 * MS)
/* No pause is longer. */
#define PAUSE_CAP_US (3 * SEC)

struct flight;
struct batch;

struct host {
	char name[16];
	int64_t latency_us;               /* each way at most */
	int64_t outage_us, outage_end_us; /* it refuses from .. until */
	/* the engine's */
	struct throttle throttle;
	struct sched_limit *limit; /* holds the pauses; made when it first refuses */
	/* the judge's */
	int64_t pause_until_us;
	bool probing;
};

/* What one limit counts over: the requests to one host that a rule matches, or those of a batch with a rate of its own.
 */
struct scope {
	bool active;
	struct limit_rule rule;
	struct sched_limit *limit; /* the engine's */
	/* what it covers */
	const struct host *host;   /* NULL: any */
	int path;                  /* -1: any */
	const struct batch *batch; /* NULL: any */
	char name[32];
	/* the judge's */
	int64_t since_us;                          /* when the rule came or changed */
	int64_t paced_us, paced_before_us;         /* the last grants under it; -1: none */
	size_t *recent, recent_count, recent_room; /* indices of grants that may still count */
};

/* A rule of the table: one match, and a scope for each host that it matches. */
struct sim_rule {
	char name[8], match[24];
	bool present;
	struct limit_rule limit;
};

struct batch {
	uint32_t id;
	struct sched_batch_options opt;
	struct sched_batch *handle;
	bool own_rate;
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

/* The jobs of a batch for one path of one host. */
struct lane {
	int64_t id;
	struct batch *batch;
	struct host *host;
	int path;
	char key[32];
	struct sched_lane *handle; /* NULL while none of its jobs is alive */
	struct job *stored[JOBS_MAX];
	unsigned stored_count, loaded;
	unsigned needed; /* by jobs that wait and by open flights */
};

/* An attempt, as the record on disk has it and as the judge counts it. */
struct attempt {
	const struct lane *lane;
	/* the record: times of the common clock of that boot, and the wall's when it was written */
	unsigned boot;
	int64_t noted_counted_us, noted_wall_us;
	bool open, removed; /* removed: it was never sent, and is not on disk */
	/* the judge: true time */
	int64_t at_us;
	int64_t told_us; /* when it counts, as the scheduler was told; CLOCK_NEVER: in flight; INT64_MIN: not */
	int64_t arrived_us;
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
	size_t attempt; /* index in the record */
	bool ended_in_sched;
	bool unsent;                /* its row could not be committed */
	int64_t granted_us;         /* on the common clock of its boot */
	int64_t sent_us, arrive_us; /* CLOCK_NEVER: it never does */
	int64_t answered_us;        /* first byte of the final response; CLOCK_NEVER */
	int64_t ended_us;           /* in the worker */
	int64_t report_us;          /* to the engine; another time than this: void */
	int64_t retry_after_us;     /* told with a refusal; -1: not */
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
	EVENT_RULE_SET,
	EVENT_HOST_CONCURRENCY,
	EVENT_WORKER_DEATH,
	EVENT_CRASH,
	EVENT_RESTART,
	EVENT_CLOCK_STEP,
	EVENT_RESUME,     /* the operator lifts the pause of a host */
	EVENT_PAUSE_OVER, /* of a mutation */
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
	int64_t now_us; /* true time */
	/* the machine */
	bool down;                       /* the daemon does not run */
	unsigned boot;                   /* which boot of the machine this is */
	int64_t up_at_us;                /* or until then */
	int64_t booted_us;               /* the common clock was 0 */
	int64_t boot_last_us[BOOTS_MAX]; /* the latest time noted in that boot */
	int64_t wall_ahead_us;           /* of true time */
	/* the daemon */
	struct sched_settings set;
	struct sched *sched;
	struct rules *rules;
	unsigned credit, workers;
	struct host hosts[HOSTS_MAX];
	struct sim_rule drawn[RULES_DRAWN];
	struct scope scopes[SCOPES];
	struct batch batches[BATCHES_MAX];
	struct lane lanes[LANES_MAX];
	struct job jobs[JOBS_MAX];
	unsigned host_count, batch_count, job_count, open_count;
	struct flight *flights; /* all, to the end of the run */
	struct flight *open[CREDIT_MAX];
	struct attempt *attempts; /* the record */
	size_t attempt_count, attempts_room;
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
void *grow(void *p, size_t count, size_t *room, size_t bytes);
void trace(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The common clock, which is all that the modules under test see. */
static inline int64_t clock_now(const struct world *w)
{
	return w->now_us - w->booted_us;
}

/* engine.c: what the daemon's engine does with jobs, in small */
void engine_turn(struct world *w);
bool engine_has_credit(const struct world *w);
void engine_queue(struct world *w, struct job *j, int64_t due_us);
void engine_due(struct world *w, struct job *j, unsigned put_off);
void engine_unqueue(struct world *w, struct job *j);
void engine_report(struct world *w, struct flight *f);
void engine_refund(struct world *w, struct flight *f);
void engine_forget(struct world *w); /* the daemon dies: what it had in memory */
void engine_begin(struct world *w);  /* and begins anew with what is stored */
void engine_settle_lost(struct world *w, struct flight *f);

/* limits.c: and with rules, limits and refusals */
void limits_begin(struct world *w); /* all there are, as a new daemon finds them */
void limits_of_lane(struct world *w, const struct lane *l);
void limits_set_rule(struct world *w, unsigned rule, const struct limit_rule *limit); /* NULL: takes it away */
void limits_answered(struct world *w, const struct flight *f);
void limits_resume(struct world *w, struct host *h);
bool scope_covers(const struct scope *s, const struct lane *l);
bool refused(const struct flight *f);

/* record.c: what is on disk of attempts, and what a new daemon makes of it */
size_t record_open(struct world *w, const struct lane *l);
void record_end(struct world *w, size_t attempt, int64_t counted_us);
void record_remove(struct world *w, size_t attempt);
void record_recall(struct world *w, struct scope *s, bool at_start); /* tells the limit of a scope */
void record_restart(struct world *w);

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
void judge_told(struct world *w, size_t attempt, int64_t told_us); /* true time */
void judge_rule(struct world *w, struct scope *s, bool anew);      /* it came, changed or went */
void judge_restart(struct world *w);
void judge_arrival(struct world *w, struct flight *f);
void judge_answer(struct world *w, const struct flight *f, int64_t pause_until_us);
void judge_resume(struct world *w, struct host *h);
void judge_idle(struct world *w, int64_t at_us, const char *when);
void judge_over(struct world *w);

#endif
