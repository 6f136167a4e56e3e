/* The path of a job through the daemon: what the store has ready is loaded into the scheduler's window, what the
 * scheduler picks gets an attempt in the store, what is committed goes to a worker, what a worker brings back is judged
 * by daemon/retry, recorded, and told to whoever watches. docs/ARCHITECTURE.md draws it.
 *
 * The only module that joins store, sched and pool. Holds no rule of its own: state is daemon/job, order is
 * daemon/sched, permission is daemon/limit, another try is daemon/retry. */
#ifndef FANOUT_DAEMON_ENGINE_H
#define FANOUT_DAEMON_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/rules.h"
#include "daemon/sched.h"
#include "daemon/spec.h"
#include "daemon/store.h"
#include "daemon/throttle.h"
#include "lib/err.h"
#include "lib/message.h"

struct engine;
struct event_base;
struct watch;

struct engine_settings {
	struct store_settings store;
	struct spec_defaults defaults;
	struct message_settings worker; /* copied, the strings by reference */
	unsigned workers;
	const char *worker_program;
	unsigned key_concurrency;
	const char *pulls_dir, *secrets_dir; /* copied */
	size_t plans_bytes;                  /* of runs' plans together: while they hold as much no other begins */
};

/* Opens the store, settles what the last daemon left open, starts the workers. `watch` is woken for batches that
 * changed. on_fatal: the store can't be trusted any more; the daemon has to end with a failure. */
struct engine *engine_create(struct event_base *base, const struct engine_settings *set, struct watch *watch,
			     void (*on_fatal)(void *arg, const struct err *e), void *arg, struct err *e);
void engine_free(struct engine *en);

/* For reads and for submission. */
struct store *engine_store(struct engine *en);

/* Marks that also concern what is loaded or running. The same structs and callbacks as the store's. */
void engine_batch_mark(struct engine *en, struct store_batch_mark *m);
void engine_job_mark(struct engine *en, struct store_job_mark *m);

/* ---- limits ---- */

/* At the start and at SIGHUP: the rules of the configuration, in place of those there were. Strings are copied. */
int engine_set_conf_rules(struct engine *en, const struct rule *rules, unsigned count, struct err *e);
/* An operator's word: kept in the store, in force when the callback comes. -1: refused at once, nothing is called back.
 */
int engine_limit_set(struct engine *en, struct store_limit_set *s, struct err *e);
void engine_limit_remove(struct engine *en, struct store_limit_remove *r);
/* Ends the pause of a host that refused: a probe follows. False: it is not paused. */
bool engine_host_resume(struct engine *en, const char *host);
const struct rules *engine_rules(const struct engine *en);

/* Shows every rule, the state of each for the hosts it has one for, and every host that refused or told a limit. `host`
 * NULL: all; else only what concerns that host:port. Pointers live during the call. */
struct engine_limits_visitor {
	void *arg;
	uint32_t batch; /* for `rivals`: how many of others' jobs go before the last of so many more of its jobs */
	int64_t jobs;
	void (*on_rule)(void *arg, const struct rule *rule);
	void (*on_state)(void *arg, const struct rule *rule, const char *host, const struct limit *state,
			 unsigned waiting, int64_t rivals);
	void (*on_host)(void *arg, const char *host, const struct limit *state, const struct throttle *throttle,
			int64_t rivals);
	/* A batch's own rate and its state for a host, while the batch lives; NULL: they are not asked for. */
	void (*on_own)(void *arg, uint32_t batch, const struct rule *rate, const char *host, const struct limit *state,
		       unsigned waiting);
};
void engine_limits_visit(const struct engine *en, const char *host, const struct engine_limits_visitor *v);

/* Why something waits: what docs/API.md has as `why`. */
enum engine_why {
	WHY_NONE,
	WHY_TURN,
	WHY_RATE,
	WHY_LEARNED, /* a rate that the host told */
	WHY_PACE,
	WHY_CONCURRENCY,
	WHY_PAUSE, /* of the host; WHY_PAUSED is its batch's */
	WHY_PROBE,
	WHY_BATCH_CONCURRENCY,
	WHY_HOST_CONCURRENCY,
	WHY_CREDIT,
	WHY_CHAIN,
	WHY_DUE,
	WHY_HELD,
	WHY_PAUSED,
	WHY_STORAGE,
	WHY_RUN, /* from here on: of runs alone */
	WHY_ANSWER,
	WHY_TOTAL,
	WHY_MEMORY,
	WHY_READING,
	ENGINE_WHYS
};
const char *engine_why_name(enum engine_why why);

/* `text` is a sentence without a full stop. */
struct engine_wait {
	enum engine_why why;
	char limit[128]; /* name of the rule; "" where none is at fault */
	char host[280];
	uint32_t run;     /* that has to end first; 0: none */
	int64_t until_us; /* wall; 0: not known */
	bool failing;     /* all that was tried lately failed: when it will go is not known */
	unsigned failed; /* so many attempts in a row, where it is told: with the last one's error, from here in text */
	unsigned error_at;
	int64_t ahead; /* of a job: so many of its batch go first; -1: not known */
	char text[256];
};
/* The disk is full: nothing goes on, and nobody knows until when. */
#define ENGINE_STORAGE_TEXT "the disk is full: nothing goes on until there is room"
bool engine_storage_full(const struct engine *en);
/* For a batch that has not ended: one for each of its hosts that has something waiting, at most `room`; or one for all.
 * Returns how many. */
unsigned engine_explain_batch(const struct engine *en, const struct store_batch *b, struct engine_wait *out,
			      unsigned room);
/* For a job: one. 0 where it does not wait. */
unsigned engine_explain_job(const struct engine *en, const struct store_result *row, const struct store_batch *b,
			    struct engine_wait *out);

/* SIGHUP: new defaults, for requests to come. */
void engine_set_defaults(struct engine *en, const struct spec_defaults *d, unsigned key_concurrency);

/* Stops starting attempts, waits for those in flight, then calls on_drained once. */
void engine_drain(struct engine *en, void (*on_drained)(void *arg), void *arg);

/* True when nothing is queued to run, nothing is in flight and nothing waits for a due time. */
bool engine_idle(const struct engine *en);

struct engine_stats {
	int64_t started_wall_us;
	uint64_t attempts, outcomes, lost_workers, retries;
	unsigned credit;
	unsigned staged;   /* attempts that were opened ahead of their turn */
	unsigned standing; /* of these, that lie with a worker */
	uint64_t followed; /* that began there, in the place of another */
	struct sched_totals sched;
	bool storage_trouble;
	bool draining;
};
void engine_stats(const struct engine *en, struct engine_stats *s);
unsigned engine_workers(const struct engine *en);
struct pool_worker_info;
void engine_worker_info(const struct engine *en, unsigned i, struct pool_worker_info *info);

/* A job whose attempt was opened ahead of its turn: the store has it as running, to everybody else it still waits. */
bool engine_job_staged(const struct engine *en, uint64_t job);
unsigned engine_batch_staged(const struct engine *en, uint32_t batch);
/* For how long none of its jobs was done or failed, as far as this daemon has seen; 0 where it is not at work. */
int64_t engine_batch_quiet_us(const struct engine *en, uint32_t batch);

#endif
