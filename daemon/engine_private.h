/* What the engine's rooms share: engine.c (its life), engine_recover.c (what the last daemon left), engine_batch.c
 * (batches and jobs in memory), engine_mark.c (the owner's word, and the engine's own), engine_lane.c (lanes, loading),
 * engine_start.c (attempts, staging, the pump), engine_standby.c (requests that lie with a worker before their turn),
 * engine_end.c (outcomes, lost workers, settling), engine_explain.c (why something waits), engine_failing.c (how the
 * last attempts went). Limits have a header of their own, engine_limit.h, and runs another, run_private.h; what of runs
 * the others need is here.
 *
 * A job in memory is one struct engine_job from its loading to the commit of its attempt's end; it is in `jobs` all
 * that time, so that it can't be loaded twice. Exactly one store operation of a job is under way at a time. */
#ifndef FANOUT_DAEMON_ENGINE_PRIVATE_H
#define FANOUT_DAEMON_ENGINE_PRIVATE_H

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "daemon/engine.h"
#include "daemon/job.h"
#include "daemon/pool.h"
#include "daemon/retry.h"
#include "daemon/store_pull.h"
#include "daemon/watch.h"
#include "lib/hash.h"
#include "lib/url.h"

#define ENGINE_LOAD_MAX       512 /* ids in one load */
#define ENGINE_DEPTH_MIN      8
#define ENGINE_DEPTH_START    128
#define ENGINE_LOADS_PER_TURN 16
#define ENGINE_UNSTAGED_MAX   256 /* no load while so many wait to be opened ahead of their turn */
#define ENGINE_PICKS_PER_TURN 1000
#define ENGINE_STAGE_SLICE    16         /* opened ahead of their turn before the workers are listened to again */
#define ENGINE_FRAMES_BYTES   (4u << 20) /* requests encoded and not yet committed */
#define ENGINE_METHOD_SIZE    33

enum engine_phase {
	PHASE_STAGING,   /* its attempt is being committed ahead of its turn; sched does not know it yet */
	PHASE_STAGED,    /* sched has it; its attempt is on disk, its request encoded */
	PHASE_LOADED,    /* sched has it */
	PHASE_OPENING,   /* picked; its attempt is being committed */
	PHASE_STANDBY,   /* a worker has it, and begins it when another of its lane has ended there */
	PHASE_RUNNING,   /* a worker has it */
	PHASE_ENDING,    /* its attempt's end, or its taking back, is being committed */
	PHASE_UNSETTLED, /* its attempt's end could not be committed: the disk is full */
};

static inline bool engine_phase_staged(enum engine_phase phase)
{
	return phase == PHASE_STAGING || phase == PHASE_STAGED || phase == PHASE_STANDBY;
}

static inline bool engine_phase_with_worker(enum engine_phase phase)
{
	return phase == PHASE_STANDBY || phase == PHASE_RUNNING;
}

struct engine_lane;
struct engine_page;
struct engine_run;
struct engine_conclusion;
struct engine_track;

struct engine_job {
	struct sched_job sched; /* first: sched hands this back */
	struct engine *en;
	struct engine_lane *lane;
	struct engine_track *track;
	enum engine_phase phase;
	uint32_t n;
	unsigned hops; /* redirects followed before this attempt */
	unsigned max_redirects;
	bool stripped;    /* an earlier redirect led to another origin */
	bool from_public; /* one was given by a server at a public address */
	unsigned tries, deaths, max_attempts;
	unsigned worker; /* that has it, STANDBY or RUNNING */
	bool fresh;      /* loaded by the lane's cursor, not by its due time */
	bool repeatable;
	bool cancel;   /* the owner's word came while it was opening or running */
	bool picked;   /* sched counts it as in flight */
	bool recalled; /* counted in its place */
	bool undo;     /* unsettled: its attempt is to be taken back, it was not sent */
	bool unopened; /* counted in its lane */
	char method[ENGINE_METHOD_SIZE];
	int64_t timeout_ms;
	char *url; /* what was asked for; kept once it is picked or staged */
	int64_t ready_wall_us;
	void *frame; /* its request, encoded; NULL where it is not (yet, or any more) */
	size_t frame_bytes;
	struct store_job_mark *mark; /* waits for the cancelled attempt's end */
	struct engine_page *page;    /* of a run: what its outcome needs; NULL: nothing was opened yet */
	uint32_t cancel_from;        /* its end makes pages from this index on needless; UINT32_MAX: none */
	char *guard;                 /* its end fails the run; NULL */
	union {
		struct store_attempt_open open;
		struct store_attempt_end end;
		struct store_page_end page; /* begins with an end */
		struct store_attempt_undo undo;
	} op;
	TAILQ_ENTRY(engine_job) link; /* `to_stage`, `unsettled`, or those that stand by in a place */
	UT_hash_handle hh;
};

/* The jobs of a lane that count against the same rules. A lane has one, and more where rules have paths: then it is
 * seen from a job's URL, when it is loaded, to which it belongs. */
struct engine_track {
	struct engine_lane *lane;
	struct sched_lane *sched;
	struct engine_track *next;
	char paths[]; /* names of the rules with a path that its jobs match, each followed by a newline */
};

TAILQ_HEAD(engine_job_list, engine_job);

/* A lane's requests with one worker. */
struct engine_place {
	unsigned running, standing;
	unsigned recalled;              /* of those that run: they stood by, were called back, and may not have begun */
	int64_t ended_us;               /* boot: the last that did */
	struct engine_job_list standby; /* as they will begin */
};

#define ENGINE_FAILING_SIZE 160

/* Of a lane's attempts since one was answered. */
struct engine_failing {
	unsigned streak;  /* failed in a row, and are made again */
	int64_t since_us; /* boot: the end of its first */
	char *error;      /* of the last that failed, also an earlier streak's; NULL */
};

/* A job that was put out of memory while a limit held it. */
struct engine_held {
	uint64_t job;
	int64_t limited_us; /* as sched_job's, until then */
	UT_hash_handle hh;
};

struct engine_lane {
	struct engine *en;
	int64_t id;                  /* the store's */
	char *host;                  /* limit key */
	struct engine_track *tracks; /* the first is for jobs that match no rule with a path */
	struct engine_batch *batch;
	LIST_ENTRY(engine_lane) of_batch;
	bool rated; /* a rate holds it back: nothing is staged, so that a crash leaves little that counts as sent */
	uint64_t cursor;   /* fresh jobs up to here have been loaded */
	uint64_t head;     /* and up to here started, on disk */
	uint64_t top;      /* the last that is started; jobs before it may be loaded and not opened */
	unsigned unopened; /* fresh jobs that are: loaded or being opened, and not ahead of their turn */
	bool fresh;        /* there may be more of them */
	bool rewound;      /* cursor went back: `head` is not told any more */
	bool loading;
	bool unstaged;            /* a request here may not be repeated: nothing of this lane is staged any more */
	unsigned staging;         /* of the last load, attempts not committed yet */
	bool adapted;             /* depth, since that load */
	unsigned depth;           /* how many to keep ready: what goes while a load is committed, with some to spare */
	int64_t next_due_us;      /* wall */
	struct engine_held *held; /* that were put out of memory, and are not back yet */
	struct engine_failing failing;
	struct event due; /* armed for next_due_us */
	/* engine_standby.c: */
	unsigned standing, ahead; /* requests that stand by, and how many are to */
	unsigned ends;            /* since: */
	int64_t ends_from_us;
	int64_t none_until_us; /* boot: no more stand by before then */
	bool lively;           /* in engine.lively */
	TAILQ_ENTRY(engine_lane) of_lively;
	UT_hash_handle hh;
	struct engine_place places[]; /* by worker */
};

struct engine_batch {
	struct engine *en;
	uint32_t id;
	struct sched_batch *sched;
	LIST_HEAD(, engine_lane) lanes;
	struct spec_template *template;
	struct spec_policy policy;
	struct engine_run *run; /* NULL: it is none */
	unsigned priority, concurrency;
	bool paused, held, cancelling; /* cancelling: or failing, see `failing` */
	bool emptying;                 /* all pages of its run are being cancelled: no other starts meanwhile */
	bool unread;                   /* the plan of its run is not there yet */
	enum job_reason failing;       /* REASON_NONE: not */
	int64_t deadline_us;           /* wall; INT64_MAX: none */
	struct event deadline;
	bool ended;          /* to be forgotten as soon as none of its jobs is busy */
	unsigned busy;       /* jobs that sched does not hold: an operation or a worker has them */
	unsigned staged;     /* of its jobs, those opened ahead of their turn */
	int64_t last_end_us; /* boot: when a job was last done or failed here, or could be again */
	UT_hash_handle hh;
};

struct batch_mark;
TAILQ_HEAD(batch_mark_list, batch_mark);
TAILQ_HEAD(engine_runs, engine_run);

struct engine {
	struct event_base *base;
	struct engine_settings set;
	struct watch *watch;
	struct store *store;
	struct sched *sched;
	struct pool *pool;
	struct engine_batch *batches; /* by id */
	struct engine_lane *lanes;    /* by the store's id */
	struct rules *rules;
	int64_t rules_from_us;           /* boot: when they were changed last */
	unsigned rules_coming;           /* that are on their way through the store */
	bool conf_read;                  /* its rules were set before: what differs now is new */
	struct engine_host *hosts;       /* that refused or told a limit, by name */
	struct engine_limit *limits;     /* the state of rules and of batches' own rates, by rule and host */
	int64_t next_track;              /* ids for the scheduler */
	int64_t next_sweep_us;           /* boot: when idle limits are looked for again */
	struct engine_job *jobs;         /* by id; loaded, running, ending */
	struct engine_job_list to_stage; /* loaded, to be opened ahead of their turn */
	struct engine_job_list unsettled;
	TAILQ_HEAD(, engine_lane) lively;          /* where something ended since the last look */
	struct batch_mark_list marks_again;        /* the engine's own, that a full disk did not take */
	struct wire_out scratch;                   /* where a request is encoded */
	size_t frame_bytes;                        /* of all jobs */
	struct engine_conclusion *conclusions;     /* by run */
	struct engine_runs plans_wait, plans_read; /* runs whose plan waits for memory, or is being read */
	bool plans_full;                           /* the first that waits has no room */
	char *pulls_dir, *secrets_dir;
	unsigned staging, staged, opening, running, ending; /* staged, running: with those that stand by */
	unsigned staging_open; /* of those being staged, what the store has been asked to open */
	struct event *pump, *wake, *stage, *step, *read;
	uint64_t random; /* state of the jitter's generator */
	bool pump_soon;  /* the event is active */
	bool trouble;    /* the store takes nothing now */
	bool runs_stuck; /* one that waited could not be started: those that may start are looked for again */
	bool draining;
	void (*on_drained)(void *arg);
	void *on_drained_arg;
	void (*on_fatal)(void *arg, const struct err *e);
	void *on_fatal_arg;
	struct engine_stats stats;
};

#define ENGINE_KEY_SIZE       8192
#define ENGINE_JOB_OF(op_ptr) ((struct engine_job *)(void *)((char *)(op_ptr)-offsetof(struct engine_job, op)))

/* engine_mark.c */
/* Ends what of the batch has not ended. */
void engine_batch_fail(struct engine_batch *b, enum job_reason reason, const char *error);
/* Cancels it, as its owner would; `done` when that is committed, or refused because it has ended. A full disk delays
 * it. */
void engine_batch_cancel(struct engine *en, uint32_t batch, void (*done)(void *arg), void *arg);
/* When there is room again: marks of the engine's own that were not taken. */
void engine_marks_again(struct engine *en);
void engine_marks_free(struct engine *en);
/* The same, of a run that is not in memory. */
void engine_run_abandon(struct engine *en, uint32_t run, const char *error);

/* engine.c */
void engine_pump_soon(struct engine *en);
void engine_check_drained(struct engine *en);
int64_t engine_wall_us(int64_t boot_us); /* a moment of the common clock as wall time, by the difference of now */

/* engine_recover.c */
/* What the last daemon left open; -1: it cannot be read. */
int engine_recover(struct engine *en, struct err *e);

/* engine_batch.c */
struct engine_batch *engine_batch_create(struct engine *en, const struct store_batch *row);
struct sched_batch_options engine_batch_sched_options(const struct engine_batch *b);
void engine_job_drop(struct engine_job *j); /* as engine_job_free, but its batch stays */
struct engine_job *engine_job_find(const struct engine *en, uint64_t job);
struct engine_job *engine_job_create(struct engine_lane *lane, uint64_t id);
void engine_job_free(struct engine_job *j); /* may free its lane and batch too: the last of one that has ended */
/* What an attempt's end needs to know of its request. */
void engine_job_note(struct engine_job *j, const struct store_request *req, const struct spec_request *r);
void engine_job_phase(struct engine_job *j, enum engine_phase phase);
void engine_job_drop_frame(struct engine_job *j);
struct engine_batch *engine_batch_find(const struct engine *en, uint32_t batch);
bool engine_batch_stopped(const struct engine_batch *b);

static inline bool engine_batch_stopped_for_good(const struct engine_batch *b)
{
	return b->cancelling || b->ended;
}
/* Forgets a batch that has ended, once none of its jobs is busy. */
void engine_batch_check(struct engine_batch *b);
void engine_batch_free(struct engine_batch *b);

/* engine_failing.c */
/* An attempt has ended. `again`: another is made, and not where a redirect led. */
void engine_failing_note(struct engine_lane *lane, const struct message_outcome *o, bool again);
/* True: all that was tried lately at this host failed. `left`: jobs of the batch that have not ended. */
bool engine_failing_explain(const struct engine_lane *lane, int64_t left, struct engine_wait *w);
void engine_failing_clear(struct engine_failing *f);

/* engine_explain.c */
/* False, with no reason in *w, where there is room on the disk. */
bool engine_explain_storage(const struct engine *en, struct engine_wait *w);
/* What holds the batch up just now, beside its own requests and its turn; false: nothing does. */
bool engine_explain_held(const struct engine_batch *b, struct engine_wait *w);

/* engine_lane.c */
void engine_batch_refresh(struct engine_batch *b); /* after a change of what stops it */
void engine_on_lane(void *arg, const struct store_lane *lane);
/* Tells the scheduler whether there is something to load, and arms the timer for what is put off. */
void engine_lane_refresh(struct engine_lane *lane);
bool engine_lane_low(const struct engine_lane *lane);
/* How much is left when a load arrives tells how early it was asked for: too late where nothing is left. */
void engine_lane_adapt(struct engine_lane *lane);
void engine_lane_rewind(struct engine_lane *lane);
struct engine_lane *engine_lane_find(const struct engine *en, int64_t id);
void engine_load(struct engine *en);
unsigned engine_lane_loaded(const struct engine_lane *lane);
/* Out of memory with what is loaded, and in again: after a change of rules. */
void engine_lane_reload(struct engine_lane *lane);
void engine_lane_forget_held(struct engine_lane *lane);

/* engine_start.c */
bool engine_lane_may_stage(const struct engine_lane *lane);
void engine_job_push(struct engine_job *j, enum engine_phase phase, int64_t now_us);
void engine_job_stage(struct engine_job *j);
/* Takes back what was opened ahead of its turn (STAGED, or STAGING that has just been committed). */
void engine_job_unstage(struct engine_job *j);
void engine_batch_unstage(struct engine_batch *b);
void engine_job_undo(struct engine_job *j);   /* its attempt is on disk, and is not to be sent */
void engine_job_opened(struct engine_job *j); /* or gone: not among the unopened of its lane any more */
void engine_pump(struct engine *en);
void engine_stage_some(struct engine *en); /* the next slice of what is to be staged */

/* engine_standby.c */
/* A request left for a worker, other than to stand by. */
void engine_place_add(struct engine_job *j, unsigned worker);
/* A request is with no worker any more: it ended (counted_us as for sched_ended), or its worker died, or it was given
 * back. Nothing of it is counted in the scheduler after that. */
void engine_place_ended(struct engine_job *j, const struct message_outcome *o, int64_t now_us, int64_t counted_us);
void engine_place_lost(struct engine_job *j, int64_t now_us, int64_t counted_us);
/* No worker has it, and nothing of it was sent: it waits again, or is cancelled where that was asked for. */
void engine_not_begun(struct engine_job *j);
void engine_on_returned(void *arg, uint64_t job, uint32_t n);
void engine_standby_fill(struct engine *en); /* when nothing may go in its turn: what is to stand by leaves */
/* What has not begun is to come back, and counts as in flight until it has. */
void engine_lane_recall(struct engine_lane *lane);
void engine_lane_unlively(struct engine_lane *lane);

/* engine_page.c */
/* What is filled in for one request, and must not outlive it. */
struct engine_page_fill {
	char *url, *headers, *body, *context;
};
void engine_page_prepare(struct engine_job *j, const struct store_request *req, struct spec_request *r,
			 struct engine_page_fill *f);
void engine_page_fill_clear(struct engine_page_fill *f);
void engine_page_free(struct engine_page *page);
/* An outcome with names in place of secrets. */
#define ENGINE_PAGE_HIDDEN 6
struct engine_page_hidden {
	struct message_outcome o;
	char *owned[ENGINE_PAGE_HIDDEN];
};
const struct message_outcome *engine_page_hide(const struct engine_run *run, const struct message_outcome *o,
					       struct engine_page_hidden *h);
void engine_page_hidden_clear(struct engine_page_hidden *h);
struct verdict;
void engine_page_judge(struct engine_job *j, const struct message_outcome *o, struct verdict *v);
/* Instead of store_attempt_end: j->op.end is filled in. */
void engine_page_end(struct engine_job *j, const struct message_outcome *o, const struct verdict *v);

/* engine_run.c */
/* What pages a run no longer needs is looked at again: what was to be cancelled may not have been taken. */
void engine_runs_cancel_again(struct engine *en);
const char *engine_run_pull(const struct engine_run *run); /* its pull's name; NULL: not read yet */
/* Of a batch that is a run; a run that cannot be read again fails its batch. */
void engine_run_open(struct engine_batch *b);
void engine_run_close(struct engine_run *run);
/* Its jobs are about to be ended, also those that wait: no attempt will tell how long a limit held those back. */
void engine_run_note_held(struct engine_batch *b);

/* engine_run_read.c */
void engine_plans_read_some(struct engine *en); /* the next slice of the plans that are to be read */
void engine_plans_read_soon(struct engine *en); /* also when memory came free */
/* All pages of a run have ended. True: its plan may have more, once it is read; it is concluded then. */
bool engine_run_ends_later(struct engine_batch *b);
void engine_run_cancelled(struct engine_batch *b); /* it has no use for a plan any more */
/* Why nothing of the batch starts, where that is its plan. */
void engine_run_explain_unread(const struct engine_batch *b, struct engine_wait *w);

/* engine_run_end.c */
/* Nothing of it is under way any more: is concluded, in steps. */
void engine_run_conclude(struct engine *en, uint32_t run);
void engine_conclusions_free(struct engine *en);
/* What the plans of conclusions hold, and how many there are; added. */
void engine_conclusions_plans(const struct engine *en, unsigned *count, size_t *bytes);
/* engine_run_recover.c */
void engine_runs_recover(struct engine *en);

/* engine_end.c */
uint64_t engine_random(struct engine *en);
/* The verdict on one attempt. */
struct verdict {
	enum job_event event;
	enum job_reason reason; /* for JOB_EV_FAIL */
	int64_t due_us;         /* for JOB_EV_AGAIN, wall */
	bool counts;            /* as one of the job's tries */
	bool past_end;          /* a page behind the last */
	const char *error;      /* NULL: the outcome's will do */
	char text[720];
	/* a redirect */
	const char *next_url;
	char next_key[URL_KEY_SIZE];
	bool as_get, stripped, from_public;
	bool fails_batch;
};
/* A server that is known not to be a public one: it may lead to its own kind. */
bool engine_known_inside(const char *remote_ip);
void engine_verdict_fail(struct verdict *v, enum job_reason reason, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The end of an attempt is committed, or could not be. */
void engine_job_ended(struct store_op *op, const struct err *e);
void engine_on_outcome(void *arg, const struct message_outcome *o);
void engine_on_lost(void *arg, const struct pool_lost *lost);
/* Ends an attempt that no worker has: lost with its worker or with the last daemon, or cancelled before it was sent. */
void engine_settle(struct engine_job *j, enum cause cause, bool sent);
/* The same in other words; `counts` as one of the job's tries. */
void engine_settle_as(struct engine_job *j, enum cause cause, bool sent, bool counts, const char *why);
/* The disk is full: what is to be committed for it waits for room. */
void engine_job_unsettled(struct engine_job *j, bool undo);
void engine_settle_unsettled(struct engine *en);
/* Answers the owner who waits for this job, if one does. */
void engine_job_mark_done(struct engine_job *j, const struct err *e);

#endif
