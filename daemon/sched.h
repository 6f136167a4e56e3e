/* Which job goes next. The strategies, by name, are in docs/SCHEDULER.md:
 *
 * - window: only a bounded number of job ids per lane is in memory; the rest lies in the store
 * - key rotation: keys (hosts) take turns, one job each, so that a waiting or slow key never delays another
 * - share: the batches of one key share it by stride, weighted by priority: a small batch never waits for a big one
 * - caps: concurrency of the batch, of the key, and whatever daemon/limit says
 * - parking: the lanes of a batch that may not go wait with the batch, out of their keys' way
 * - due: a job that was put off is pushed when its time comes; until then it lies in the store
 *
 * A lane is one batch's jobs for one limit key. sched owns lanes, batches and keys, and loaded jobs from sched_push
 * until they are handed back; the caller loads and unloads jobs. Pure: time is an argument (CLOCK_BOOTTIME us), no I/O,
 * no globals, no libevent. All operations are O(1) or O(log n) in keys and lanes, but for those marked. */
#ifndef FANOUT_DAEMON_SCHED_H
#define FANOUT_DAEMON_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/limit.h"

#define SCHED_PRIORITY_MIN     0
#define SCHED_PRIORITY_MAX     9
#define SCHED_PRIORITY_DEFAULT 5 /* each step up doubles the share */

struct sched;
struct sched_key;   /* private */
struct sched_batch; /* private */
struct sched_lane;  /* private */

struct sched_settings {
	unsigned key_concurrency; /* per key, for batches that set no concurrency of their own; 0: no bound */
	unsigned window_total;    /* job ids in memory, over all lanes */
	unsigned window_lane_max; /* of these in one lane */
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
	int64_t limited_us; /* once picked: of its wait since sched_push, the part that a limit's rates, pace or pause
			       caused */
	struct sched_lane *lane;
	struct sched_job *next; /* private */
};

struct sched *sched_create(const struct sched_settings *set);
void sched_free(struct sched *s); /* all lanes, batches and loaded jobs too; not the jobs handed out */
void sched_set_key_concurrency(struct sched *s, unsigned key_concurrency); /* O(keys) */

/* Batches and lanes. An id is the caller's (the store's). Adding one that exists returns the existing. `user` is the
 * caller's pointer, kept for it. Removing a lane returns its loaded, not yet picked jobs as a list (by ->next) to free.
 */
struct sched_batch *sched_batch_add(struct sched *s, uint32_t batch, const struct sched_batch_options *opt);
struct sched_batch *sched_batch_find(struct sched *s, uint32_t batch);
/* O(lanes of the batch). */
void sched_batch_set(struct sched *s, struct sched_batch *b, const struct sched_batch_options *opt, int64_t now_us);
void sched_batch_remove(struct sched *s, struct sched_batch *b); /* only when it has no lanes */
unsigned sched_batch_in_flight(const struct sched_batch *b);
struct sched_lane *sched_lane_add(struct sched *s, int64_t lane, struct sched_batch *b, const char *key, void *user);
struct sched_lane *sched_lane_find(struct sched *s, int64_t lane);
struct sched_job *sched_lane_remove(struct sched *s,
				    struct sched_lane *l); /* only when none of its jobs is in flight */
void *sched_lane_user(const struct sched_lane *l);
const char *sched_lane_key(const struct sched_lane *l);
struct sched_batch *sched_lane_batch(const struct sched_lane *l);
int64_t sched_lane_id(const struct sched_lane *l);
unsigned sched_lane_loaded(const struct sched_lane *l);
unsigned sched_lane_in_flight(const struct sched_lane *l);
/* Iterates over a batch's lanes: first with prev NULL. */
struct sched_lane *sched_batch_lane_next(const struct sched_batch *b, const struct sched_lane *prev);

/* The rule that a key is under (NULL: none). A key with a rule is kept, lanes or not, until the rule is taken away, and
 * with it what the rule remembers; setting it again, or another, keeps that too. Jobs in flight count from then on. */
void sched_key_limit(struct sched *s, const char *key, const struct limit_rule *rule);

/* Loading. sched_hungry returns the next lane that has room in its window and of which the caller said there is more
 * (sched_lane_more), in turn, or NULL; *room is how many to load now. The caller answers with sched_push for each and
 * sched_lane_more again; until then the lane is not returned a second time. */
struct sched_lane *sched_hungry(struct sched *s, unsigned *room);
void sched_lane_more(struct sched *s, struct sched_lane *l, bool more);
void sched_push(struct sched *s, struct sched_lane *l, struct sched_job *j, int64_t now_us);
/* Takes a loaded, not yet picked job out again (cancelled); NULL when it is not among the loaded. O(window). */
struct sched_job *sched_take(struct sched *s, struct sched_lane *l, uint64_t id);

/* The question. Returns the job that goes now, counted in flight and granted by every limit; NULL when none may. */
struct sched_job *sched_pick(struct sched *s, int64_t now_us);
/* After sched_pick said NULL: when asking again makes sense though nothing ended, was pushed or was set meanwhile;
 * CLOCK_NEVER: only after such an event. */
int64_t sched_wake_us(const struct sched *s, int64_t now_us);
/* The picked job is no longer in flight (`counted_us` as for limit_end; never taken as earlier than the grant), or its
 * grant is given back: nothing was sent. The caller owns the job again and frees or pushes it. */
void sched_ended(struct sched *s, struct sched_job *j, int64_t now_us, int64_t counted_us);
void sched_refund(struct sched *s, struct sched_job *j, int64_t now_us);

/* Why a lane's first job does not go (for explain and tests). */
enum sched_wait { SCHED_READY, SCHED_EMPTY, SCHED_PAUSED, SCHED_BATCH_CAP, SCHED_KEY_CAP, SCHED_LIMITED };
enum sched_wait sched_lane_wait(const struct sched *s, const struct sched_lane *l, int64_t now_us, int64_t *until_us);
const char *sched_wait_name(enum sched_wait w);

struct sched_totals {
	unsigned keys, lanes, batches, loaded, in_flight;
};
struct sched_totals sched_totals(const struct sched *s);

#endif
