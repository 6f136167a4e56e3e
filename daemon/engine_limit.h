/* Limits as the engine has them: which hold for which jobs, and what is known of each for a host. The arithmetic of one
 * is daemon/limit, which rule matches is daemon/rules, and who may go under them is daemon/sched.
 *
 *   engine_limit   the state of rules, by host           engine_rules   changes of the rules
 *   engine_own     the rates of batches and recipes      engine_refuse  what servers say of limits
 *   engine_host    what is kept of that */
#ifndef FANOUT_DAEMON_ENGINE_LIMIT_H
#define FANOUT_DAEMON_ENGINE_LIMIT_H

#include "daemon/engine_private.h"

#define ENGINE_LEARNED_US 3600000000LL /* a told rate is forgotten when it is not told again */

#define ENGINE_LIMIT_OF_PULL UINT32_MAX /* no batch has this number */

/* The state of a rule for one host, or of a batch's own rate for one host, or of a pull's. */
struct engine_limit {
	char *name;     /* of the rule; or "batch 7"; or "pull cats 100/1min" */
	uint32_t batch; /* 0: of a rule; or ENGINE_LIMIT_OF_PULL */
	char *host;
	struct sched_limit *sched;
	UT_hash_handle hh; /* by `key` */
	char key[];        /* name, newline, host */
};

#define ENGINE_SPENT (-1) /* no refusal: a good answer told that nothing is left */

/* What a host said of itself. */
struct engine_host {
	struct throttle throttle;
	int paused_by;             /* the status of the refusal, or ENGINE_SPENT; 0: not known */
	bool pause_told;           /* by that answer, for how long */
	struct sched_limit *sched; /* its pause and learned rate */
	struct store_host kept;    /* as the store has it; all 0: not at all */
	UT_hash_handle hh;
	char name[];
};

/* ---- engine_limit.c ---- */
/* Sets the limits of a new track's key. */
void engine_track_limits(struct engine_track *t);
/* The name of that key for the scheduler: its host, and what sets it apart. */
void engine_track_key(const struct engine_track *t, char *out, size_t size);
bool engine_lane_has_paths(const struct engine_lane *lane);
/* Writes the names of the rules with a path that match `url`, as in engine_track.paths. */
void engine_paths_of(const struct engine *en, const char *host, const char *url, char *out, size_t size);
/* A request of this job left its worker, and the wall's time then. */
void engine_rules_note_sent(struct engine_job *j, int64_t sent_wall_us);
/* The rules that a request counts against, as rules_select() has them; at most `room`. */
unsigned engine_rules_of(const struct engine *en, const char *host, const char *url, unsigned *index, unsigned room);
struct engine_limit *engine_limit_get(struct engine *en, const char *name, uint32_t batch, const char *host,
				      const struct limit_rule *rule, bool *made);
/* The state of a rule for a host: found or made. */
struct engine_limit *engine_rule_limit(struct engine *en, const struct rule *r, const char *host);
void engine_limit_drop(struct engine *en, struct engine_limit *l);
/* A host has said something for the first time: its limit goes to all its keys. */
void engine_host_attach(struct engine *en, const char *host);
/* A request that is not in flight may have been counted until `counted_us`. */
void engine_limits_seen(struct engine *en, uint64_t job, const char *host, const char *url, int64_t counted_us);
/* Tells what was sent in the last window_us to the limits, or to those of one rule alone, anew. */
int engine_limits_recall(struct engine *en, int64_t window_us, const char *only, struct err *e);
/* The same of all that matters, at the start. */
int engine_limits_recover(struct engine *en, struct err *e);
int64_t engine_rule_window_us(const struct limit_rule *r); /* the longest; 0: it has no rate */
int64_t engine_rules_window_us(struct engine *en);         /* of all; the store keeps its record for that long */
void engine_limits_sweep(struct engine *en, int64_t now_us);
void engine_limits_free(struct engine *en);

/* ---- engine_own.c: a batch's own rate; that of a pull is its runs' together ---- */
struct engine_limit *engine_own_limit(const struct engine_batch *b, const char *host);
const char *engine_own_name(const struct engine_batch *b, char *out); /* ENGINE_PULL_LIMIT_SIZE bytes */

/* ---- engine_rules.c ---- */
void engine_limits_load(struct engine *en); /* what operators set, from the store */

/* ---- engine_refuse.c ---- */
bool engine_refused(const struct message_outcome *o);
/* The host refused: pauses it. */
void engine_host_refused(struct engine_job *j, const struct message_outcome *o);
/* It answered: ends a probe, and takes what it told of limits. */
void engine_host_answered(struct engine_job *j, const struct message_outcome *o);
/* The host is paused now, and until when, wall; 0: not. */
int64_t engine_host_paused_until(struct engine *en, const char *host);

/* ---- engine_host.c ---- */
struct engine_host *engine_host_find(const struct engine *en, const char *host);
struct engine_host *engine_host_get(struct engine *en, const char *name); /* or makes it */
/* Its pause or learned rate may have changed, or be over: the store is told, where it matters. */
void engine_host_note(struct engine *en, struct engine_host *h);
void engine_hosts_note_again(struct engine *en);
void engine_hosts_load(struct engine *en);               /* what is kept, at the start */
int64_t engine_hosts_window_us(const struct engine *en); /* the longest that was learned, as far as it matters */
void engine_hosts_sweep(struct engine *en, int64_t now_us);
void engine_hosts_free(struct engine *en);

#endif
