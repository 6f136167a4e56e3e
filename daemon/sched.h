/* Which job goes next. The strategies, by name, are in docs/SCHEDULER.md:
 *
 * - window: only a bounded number of job ids per lane is in memory; the rest lies in the store
 * - key rotation: keys take turns, one job each, so that a waiting or slow key never delays another
 * - share: the batches of one key share it by stride, weighted by priority: a small batch never waits for a big one
 * - caps: concurrency of the batch, of the host, and whatever daemon/limit says
 * - line: the keys that a limit, or their host's concurrency, holds up wait in its line and are served in turn
 * - parking: the lanes of a batch that may not go wait with the batch, out of their keys' way
 * - due: a job that was put off is pushed when its time comes; until then it lies in the store
 *
 * A key is the unit of rotation: jobs that count against the same limits. Its name is the caller's: a host:port, or one
 * with a suffix for the jobs of a path rule, or of a batch with a rate of its own. A lane is one batch's jobs for one
 * key. sched owns lanes, batches, keys and limits, and loaded jobs from sched_push until they are handed back; the
 * caller loads and unloads jobs. Pure: time is an argument (CLOCK_BOOTTIME us), no I/O, no globals, no libevent. All
 * operations are O(1) or O(log n) in keys and lanes, but for those marked. */
#ifndef FANOUT_DAEMON_SCHED_H
#define FANOUT_DAEMON_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "daemon/limit.h"

#define SCHED_PRIORITY_MIN     0
#define SCHED_PRIORITY_MAX     9
#define SCHED_PRIORITY_DEFAULT 5 /* each step up doubles the share */

struct sched;
struct sched_key;    /* private */
struct sched_batch;  /* private */
struct sched_lane;   /* private */
struct sched_limit;  /* private */
struct sched_grants; /* private */

#define SCHED_KEY_LIMITS_MAX 1024 /* limits of one key: every rule there can be, and its host's and its batch's */

struct sched_settings {
	unsigned host_concurrency; /* per host (over all its keys), for batches that set none of their own; 0: no bound
				    */
	unsigned window_total;     /* job ids in memory, over all lanes */
	unsigned window_lane_max;  /* of these in one lane */
};

struct sched_batch_options {
	unsigned concurrency; /* 0: the key's default holds */
	unsigned priority;
	bool paused;
};

/* One loaded job; the caller allocates it (with malloc), sched owns it from sched_push until it is handed back. */
struct sched_job {
	uint64_t id;
	int64_t ready_us;   /* when it became ready to go (loaded, due); 0: sched_push says now */
	int64_t granted_us; /* when sched_pick gave it out */
	int64_t limited_us; /* given to sched_push: what it had waited so before it was taken out of memory, else 0;
			       once picked: that, and of its wait since then the part that a limit's rates, pace or
			       pause caused */
	struct sched_lane *lane;
	/* private: */
	struct sched_job *next;       /* loaded */
	struct sched_grants *granted; /* in flight: the limits that count it */
	LIST_ENTRY(sched_job) flying; /* in flight: of its key */
};

struct sched *sched_create(const struct sched_settings *set);
void sched_free(struct sched *s); /* all lanes, batches, limits and loaded jobs too; not the jobs handed out */
void sched_set_host_concurrency(struct sched *s, unsigned host_concurrency); /* O(hosts) */

/* Batches and lanes. An id is the caller's (the store's). Adding one that exists returns the existing. `user` is the
 * caller's pointer, kept for it. Removing a lane returns its loaded, not yet picked jobs as a list (by ->next) to free.
 */
struct sched_batch *sched_batch_add(struct sched *s, uint32_t batch, const struct sched_batch_options *opt);
struct sched_batch *sched_batch_find(struct sched *s, uint32_t batch);
/* O(lanes of the batch). */
void sched_batch_set(struct sched *s, struct sched_batch *b, const struct sched_batch_options *opt, int64_t now_us);
void sched_batch_remove(struct sched *s, struct sched_batch *b); /* only when it has no lanes */
unsigned sched_batch_in_flight(const struct sched_batch *b);
/* `key` is the key's name, `host` the host:port that its requests go to: the same for every lane of a key. Limits that
 * are new to a key are set with sched_key_limits, before the next pick. */
struct sched_lane *sched_lane_add(struct sched *s, int64_t lane, struct sched_batch *b, const char *key,
				  const char *host, void *user);
struct sched_lane *sched_lane_find(struct sched *s, int64_t lane);
struct sched_job *sched_lane_remove(struct sched *s,
				    struct sched_lane *l); /* only when none of its jobs is in flight */
void *sched_lane_user(const struct sched_lane *l);
const char *sched_lane_key(const struct sched_lane *l);
const char *sched_lane_host(const struct sched_lane *l);
struct sched_batch *sched_lane_batch(const struct sched_lane *l);
int64_t sched_lane_id(const struct sched_lane *l);
unsigned sched_lane_loaded(const struct sched_lane *l);
unsigned sched_lane_in_flight(const struct sched_lane *l);
/* Iterates over a batch's lanes: first with prev NULL. */
struct sched_lane *sched_batch_lane_next(const struct sched_batch *b, const struct sched_lane *prev);

/* ---- limits ----
 *
 * A limit is one struct limit (a rule's state for one host:port, a batch's own rate, a host's pauses) that any number
 * of keys count against. A pick on a key needs the consent of all its limits and is granted by all. The end of a job
 * ends it in exactly the limits that count it, whatever the key's list is by then. All changes to a limit go through
 * these calls, so that the keys in its line are looked at again when, and only when, that may let one go. */

struct sched_limit *sched_limit_create(struct sched *s, const struct limit_rule *rule, void *user);
/* Takes it away from all its keys. O(keys of the limit). What it remembers is gone. */
void sched_limit_free(struct sched *s, struct sched_limit *l, int64_t now_us);
void *sched_limit_user(const struct sched_limit *l);
/* For looking only: use of windows, pause, probing, next free time (limit_windows, limit_ask_why, ...). */
const struct limit *sched_limit_state(const struct sched_limit *l);
unsigned sched_limit_keys(const struct sched_limit *l); /* that it is attached to */
unsigned sched_limit_line(const struct sched_limit *l); /* of these, that wait in its line */
/* How many jobs of other batches, of those that are known to wait, it lets go before the last of `jobs` more of `b`, as
 * keys take turns and batches share. O(lanes of its keys). */
int64_t sched_limit_rivals(const struct sched_limit *l, const struct sched_batch *b, int64_t jobs);
unsigned sched_limit_waiting(const struct sched_limit *l); /* the loaded jobs of those; O(their lanes) */
/* True when forgetting it loses nothing: no key has it, and nothing is in flight, counted, paused or learned. */
bool sched_limit_idle(const struct sched_limit *l, int64_t now_us);
/* Iterates over all limits: first with prev NULL. To free while iterating, ask for the next one first. */
struct sched_limit *sched_limit_next(const struct sched *s, const struct sched_limit *prev);

/* As limit_change, limit_seen, limit_recall_begin and _end, limit_pause, limit_recovered, limit_resume,
 * limit_learn_rate. */
void sched_limit_change(struct sched *s, struct sched_limit *l, const struct limit_rule *rule, int64_t now_us);
void sched_limit_seen(struct sched *s, struct sched_limit *l, int64_t counted_us);
void sched_limit_recall_begin(struct sched *s, struct sched_limit *l);
void sched_limit_recall_end(struct sched *s, struct sched_limit *l, bool whole);
void sched_limit_pause(struct sched *s, struct sched_limit *l, int64_t until_us);
bool sched_limit_recovered(struct sched *s, struct sched_limit *l, int64_t granted_us);
void sched_limit_resume(struct sched *s, struct sched_limit *l, int64_t now_us);
void sched_limit_learn_rate(struct sched *s, struct sched_limit *l, const struct rate *rate, int64_t now_us,
			    int64_t expires_us);

/* The whole list of limits of a key that exists or is to come, in any order, at most SCHED_KEY_LIMITS_MAX; it replaces
 * the one before. The key's jobs in flight count from now on against limits that are new to them, and still against
 * those that are gone from the list. A key is kept while it has lanes or limits: to forget it, set none (n = 0).
 * O(n + the key's jobs in flight where a limit is new). */
void sched_key_limits(struct sched *s, const char *key, struct sched_limit *const limits[], unsigned n, int64_t now_us);
/* A job in flight counts against this limit too, though its key does not have it: a rule came that would have given the
 * job another key. Counts once, also when the limit has it already. */
void sched_job_count(struct sched *s, struct sched_job *j, struct sched_limit *l);
/* Iterates over keys: first with prev NULL. Setting no limits on a key without lanes removes it: ask for the next one
 * first. */
struct sched_key *sched_key_next(const struct sched *s, const struct sched_key *prev);
const char *sched_key_name(const struct sched_key *k);
const char *sched_key_host(const struct sched_key *k); /* NULL until its first lane came */
unsigned sched_key_lanes(const struct sched_key *k);
/* The limits of a key, by index. */
struct sched_limit *sched_key_limit_at(const struct sched_key *k, unsigned i); /* NULL past the last */

/* Loading. sched_hungry returns the next lane that has room in its window and of which the caller said there is more
 * (sched_lane_more), in turn, or NULL; *room is how many to load now. The caller answers with sched_push for each and
 * sched_lane_more again; until then the lane is not returned a second time. */
struct sched_lane *sched_hungry(struct sched *s, unsigned *room);
void sched_lane_more(struct sched *s, struct sched_lane *l, bool more);
void sched_push(struct sched *s, struct sched_lane *l, struct sched_job *j, int64_t now_us);
/* Takes a loaded, not yet picked job out again (cancelled); NULL when it is not among the loaded. O(window). */
struct sched_job *sched_take(struct sched *s, struct sched_lane *l, uint64_t id);
/* Of a loaded job: what its limited_us would be, were it picked now. */
int64_t sched_job_limited_us(const struct sched_job *j, int64_t now_us);

/* The question. Returns the job that goes now, counted in flight and granted by every limit; NULL when none may. */
struct sched_job *sched_pick(struct sched *s, int64_t now_us);
/* After sched_pick said NULL: when asking again makes sense though nothing ended, was pushed or was set meanwhile;
 * CLOCK_NEVER: only after such an event. */
int64_t sched_wake_us(const struct sched *s, int64_t now_us);
/* The picked job is no longer in flight (`counted_us` as for limit_end; never taken as earlier than the grant), or its
 * grant is given back: nothing was sent. The caller owns the job again and frees or pushes it. */
void sched_ended(struct sched *s, struct sched_job *j, int64_t now_us, int64_t counted_us);
void sched_refund(struct sched *s, struct sched_job *j, int64_t now_us);

/* ---- standing by ----
 *
 * The next job of a lane may be handed out before its turn, to whoever begins it at the end of another of the same
 * lane. It counts nowhere until sched_begin, and what ended is told (sched_ended) right after that: so at no time more
 * are in flight than may be. */

/* The lane's first loaded job; NULL: none. */
struct sched_job *sched_lane_first(const struct sched_lane *l);
/* Takes it out, for the caller to begin in the place of another. NULL where that might be another's turn: a limit holds
 * for its key, nothing of it is in flight, or it is not alone in waiting for its concurrency to have room. */
struct sched_job *sched_stand_by(struct sched *s, struct sched_lane *l, int64_t now_us);
/* It has begun, or may have: from now on it is in flight as if picked, also in limits that its key has got since. */
void sched_begin(struct sched *s, struct sched_job *j, int64_t now_us);

/* Why a lane's first job does not go (for explain and tests). */
enum sched_wait {
	SCHED_READY,     /* its turn will come */
	SCHED_EMPTY,     /* nothing is loaded */
	SCHED_PAUSED,    /* its batch is */
	SCHED_BATCH_CAP, /* its batch is at its concurrency */
	SCHED_HOST_CAP,  /* its host is at the default concurrency */
	SCHED_LIMIT_CAP, /* a limit is at its concurrency */
	SCHED_LIMITED,   /* a limit's rates, pace or pause hold it */
	SCHED_WAITS
};
struct sched_waiting {
	enum sched_wait wait;
	int64_t until_us;          /* when that may be over; now: READY; CLOCK_NEVER: when something ends or is set */
	struct sched_limit *limit; /* for LIMIT_CAP and LIMITED: which one; of several the one that ends last */
	enum limit_hold hold;      /* and what of it */
};
struct sched_waiting sched_lane_wait(const struct sched *s, const struct sched_lane *l, int64_t now_us);
const char *sched_wait_name(enum sched_wait w);

struct sched_totals {
	unsigned keys, hosts, limits, lanes, batches, loaded, in_flight;
};
struct sched_totals sched_totals(const struct sched *s);

#endif
