/* The store: the only module that knows how batches, jobs, attempts and bodies are kept. SQLite is the first backend;
 * the interface is asynchronous so that another (shared by several daemons) is a new file and not a redesign.
 *
 * Operations. The caller fills in a struct that begins with `struct store_op`, keeps it alive until op.done is called,
 * and reads the results from it there. A write is done when it is on disk: all writes that were handed in during one
 * turn of the event loop are one transaction, and their callbacks run after its commit, in order. When the commit
 * fails, nothing of the turn happened and every callback gets the error. A read sees committed state only (it commits
 * what is pending first) and may call back before the call returns. Pointers handed in are used during the call only,
 * unless said otherwise; pointers handed out to a row callback live until that callback returns. Callbacks may hand in
 * new operations.
 *
 * Errors: ERR_NOT_FOUND, ERR_CONFLICT (not possible in the present state), ERR_NO_SPACE (nothing was taken; also told
 * to the listener), ERR_UNKNOWN (an fsync failed: it may or may not be on disk; the daemon has to end), ERR_SYSTEM.
 *
 * Times are wall microseconds. Counts of states are kept with the batch: reading them costs nothing. A `running` job is
 * stored as queued plus an open attempt; reads show it as running. */
#ifndef FANOUT_DAEMON_STORE_H
#define FANOUT_DAEMON_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/jobid.h"
#include "lib/message.h"
#include "lib/reason.h"

struct event_base;
struct store;

struct store_op {
	void (*done)(struct store_op *op, const struct err *e); /* e is NULL on success */
	struct store_op *next;                                  /* the store's */
	bool patient; /* nobody waits for it: under load its commit may take a few ms longer */
};

/* ---- what is stored ---- */

enum store_sweep { STORE_SWEEP_NONE, STORE_SWEEP_CANCEL, STORE_SWEEP_RETRY, STORE_SWEEP_REMOVE, STORE_SWEEP_FAIL };

struct store_batch {
	uint32_t id;
	uint32_t uid;
	const char *name;    /* "" where none */
	const char *key;     /* submission key, "" where none */
	const char *options; /* JSON, the template for its jobs (daemon/spec.h) */
	unsigned priority;
	unsigned concurrency; /* 0: none of its own */
	bool held;            /* nothing starts before it is closed */
	bool closed;          /* no more jobs will come */
	bool paused;
	bool run;                       /* its jobs are pages (daemon/store_pull.h) */
	int run_state, run_verdict;     /* then: of enum run_state, enum run_verdict */
	enum store_sweep sweep;         /* still under way */
	int64_t submitted_us, ended_us; /* ended_us 0: not yet */
	/* What its deadline counts from: its submission; the begin of a run that waited; the owner's retry of what had
	 * ended. */
	int64_t deadline_from_us;
	/* What its time is counted from: the same, but after a retry so much before it as the batch had taken by its
	 * end. */
	int64_t active_from_us;
	int64_t counts[JOB_STATES];
};

/* A lane: the jobs of one batch for one limit key. */
struct store_lane {
	int64_t id;
	uint32_t batch;
	const char *key;
	uint64_t head;       /* fresh jobs (never started, not put off) have greater ids */
	bool fresh;          /* there may be such jobs */
	int64_t next_due_us; /* when the first put-off job is due; INT64_MAX: none */
};

struct store_job_new {
	const char *limit_key; /* url_key() of url */
	const char *url;
	const char *method;  /* NULL: as the template says */
	const char *headers; /* "Name: value\n" each; NULL: none of its own */
	const char *user;    /* NULL: as the template says */
	const char *tag;     /* NULL: none */
	const char *chain;   /* NULL: none */
	const char *options; /* JSON of rare overrides; NULL: none */
	const void *body;
	size_t body_bytes;
	bool has_body;
};

/* What a job asks for, as stored; merged with the batch's template by daemon/spec. */
struct store_request {
	uint64_t job;
	uint32_t n; /* number of the attempt being opened */
	int64_t lane;
	unsigned tries, deaths; /* so far */
	int64_t ready_us;       /* wall: when it became ready to go: submitted, or due */
	int64_t submitted_us;   /* of the job, wall */
	unsigned hops;          /* redirects followed so far; then spec.url is where they led */
	bool as_get;            /* a redirect made it a GET without a body */
	bool stripped;          /* a redirect led to another origin: no credentials go there */
	bool from_public;       /* a server at a public address led there: to public ones only */
	int64_t
	    granted_boot_us; /* of an attempt that is open already: as a time of the present boot (daemon/limit.h) */
	struct store_job_new spec;
	const struct store_page_request *page; /* of a page (daemon/store_pull.h), while it is opened; else NULL */
};

/* One line of results: a job and its last attempt. Strings are "" where there is nothing. */
struct store_result {
	uint64_t job;
	enum job_state state;
	enum job_reason reason;
	const char *chain, *tag, *method, *url; /* method as sent */
	unsigned attempts;
	int status;
	int64_t size_bytes;
	const char *content_type, *remote_ip, *error;
	int http_version;
	int64_t submitted_us, started_us, ended_us, due_us; /* 0 where it did not happen */
	int64_t queued_us, limited_us;
	struct timings timings;
	bool body_in_file;
	const void *body; /* inline, where asked for */
	size_t body_bytes;
};

/* One ended attempt, or an open one (ended_us 0). */
struct store_attempt {
	uint64_t job;
	uint32_t n;
	enum cause cause;
	int status, http_version;
	int64_t started_us, first_byte_us, ended_us;
	int64_t queued_us, limited_us;
	struct timings timings;
	int64_t size_bytes, wire_bytes;
	const char *url, *content_type, *remote_ip, *error, *headers;
	bool has_body;
};

/* ---- opening ---- */

struct store_settings {
	const char *state_dir;
	int64_t retention_age_us; /* 0: for ever */
	int64_t retention_bytes;  /* 0: no bound */
};

struct store_batch_news {
	uint32_t batch;
	uint64_t last_event; /* id of its newest event, for store_events */
	bool closed, ended;
	bool run;              /* its jobs are pages */
	const int64_t *counts; /* [JOB_STATES] */
};

/* Told after a commit, before the callbacks of the operations in it. */
struct store_listener {
	void *arg;
	void (*on_lane)(void *arg, const struct store_lane *lane); /* it has jobs to load */
	void (*on_batch)(void *arg, const struct store_batch_news *news);
	void (*on_removed)(void *arg, uint32_t batch);
	/* For how long what was sent for a run counts against a rate that outlives it, by its batch's options. */
	int64_t (*run_window_us)(void *arg, const char *options);
	void (*on_trouble)(void *arg,
			   const struct err *e); /* NO_SPACE: stop dispatching; NULL: it is over; UNKNOWN: end */
};

/* Opens or creates the database below state_dir, brings its schema up to date, takes the lock, checks it. Errors:
 * ERR_LOCKED (another daemon; says its pid), ERR_VERSION, ERR_CORRUPT, ERR_NO_SPACE, ERR_PERMISSION, ERR_SYSTEM. */
int store_open(struct store **out, const struct store_settings *set, const struct store_listener *listener,
	       struct event_base *base, struct err *e);
/* Commits what is pending and closes. */
void store_close(struct store *st);
/* Commits what is pending now: what is told from memory next is in the log then, and outlives a kill of the daemon. */
void store_commit(struct store *st);
void store_set_retention(struct store *st, int64_t age_us, int64_t bytes);
/* A descriptor of the bodies directory, the store's own. */
int store_bodies_fd(const struct store *st);
/* Background work (sweeps, retention, orphaned bodies, checkpoint) in steps of at most a few ms. True: call again soon.
 */
bool store_step(struct store *st);
/* Wall time until which store_step has nothing to do, for a timer. */
int64_t store_step_due_us(const struct store *st);

/* ---- submission ---- */

struct store_batch_create {
	struct store_op op;
	uint32_t uid;
	const char *name, *key, *options; /* name, key: NULL where none */
	unsigned priority, concurrency;
	bool held;
	/* With the batch come its first jobs, and its closing: all of it, or nothing. */
	const struct store_job_new *jobs;
	size_t count;
	bool close;
	uint32_t batch; /* out */
	bool existed;   /* out: a batch of this uid with this key was there already; nothing was added to it, unless it
			   was empty and open, and the rest comes now */
	bool closed;    /* out: and it is closed */
};
void store_batch_create(struct store *st, struct store_batch_create *c);

struct store_jobs_add {
	struct store_op op;
	uint32_t batch;
	const struct store_job_new *jobs;
	size_t count;
	uint32_t first_seq; /* out; the jobs have consecutive numbers */
};
/* ERR_CONFLICT when the batch is closed. */
void store_jobs_add(struct store *st, struct store_jobs_add *a);

enum store_mark {
	STORE_MARK_CLOSE, /* idempotent */
	STORE_MARK_PAUSE,
	STORE_MARK_RESUME,
	STORE_MARK_CANCEL, /* closes it; queued and blocked jobs are cancelled step by step */
	/* Failed and cancelled jobs are queued again step by step, but for those that failed with `reason`;
	 * ERR_CONFLICT while not ended. */
	STORE_MARK_RETRY,
	STORE_MARK_REMOVE, /* gone for every reader at once; ERR_CONFLICT while not ended */
	STORE_MARK_FAIL,   /* closes it; queued and blocked jobs fail with `reason` and `error` step by step */
};
struct store_batch_mark {
	struct store_op op;
	uint32_t batch;
	enum store_mark mark;
	enum job_reason reason;     /* for FAIL; for RETRY, REASON_NONE: all are queued again */
	const char *error;          /* for FAIL */
	int64_t counts[JOB_STATES]; /* out: as they were when marked */
};
void store_batch_mark(struct store *st, struct store_batch_mark *m);

/* ---- running ---- */

struct store_lane_load {
	struct store_op op;
	int64_t lane;
	bool due; /* put-off jobs due by now_us; else fresh ones after `after` */
	int64_t now_us;
	uint64_t after;
	uint64_t *ids; /* the caller's, room for `room`; alive until done */
	size_t room;
	/* May be NULL. Told, before done, what the job of ids[i] will ask for. */
	void (*on_id)(struct store_lane_load *l, size_t i, const char *url);
	size_t count;        /* out */
	bool more;           /* out: of the fresh */
	uint64_t last;       /* out: continue after this (fresh) */
	int64_t next_due_us; /* out: of those not returned; INT64_MAX: none */
};
/* A read. A job that was put off stays due until its attempt is opened: the caller skips those it has loaded. */
void store_lane_load(struct store *st, struct store_lane_load *l);
/* All fresh jobs up to `head` have been started or put off: where loading resumes after a restart. A hint, written with
 * the next commit; no callback. */
void store_lane_head(struct store *st, int64_t lane, uint64_t head);

struct store_attempt_open {
	struct store_op op;
	uint64_t job;
	int64_t granted_us;      /* wall */
	int64_t granted_boot_us; /* CLOCK_BOOTTIME; what a restart counts by */
	/* Called during the call (or later), before done, with the job as stored. False: it is not to be opened after
	 * all. */
	bool (*on_request)(struct store_attempt_open *o, const struct store_request *req);
	uint32_t n; /* out; 0: not opened */
};
/* Opens attempt n; ERR_CONFLICT when the job is not queued any more or has an open attempt. */
void store_attempt_open(struct store *st, struct store_attempt_open *o);

struct store_attempt_end {
	struct store_op op;
	const struct message_outcome *outcome; /* used during the call only */
	int64_t started_wall_us, first_byte_wall_us, ended_wall_us;
	int64_t queued_us, limited_us;
	const char *method; /* as sent */
	/* The request's times on CLOCK_BOOTTIME, for limits and audits: handed to libcurl, and the latest at which the
	 * server can have counted it (daemon/limit.h). Both 0: nothing was sent. */
	int64_t sent_boot_us, counted_boot_us;
	/* Where a redirect leads: the job goes on there, in the lane of next_key. next_url NULL: no redirect. */
	const char *next_url, *next_key;
	bool next_as_get, next_stripped, next_from_public;
	enum job_state next;
	enum job_reason reason;
	const char *error;      /* final word where it differs from the outcome's; NULL: the outcome's */
	int64_t due_us;         /* for JOB_QUEUED */
	unsigned tries, deaths; /* from now on */
	unsigned actions;       /* of enum job_action: UNBLOCK, FAIL_REST */
};
/* Attempt, job, counts, chain and event in one commit. ERR_CONFLICT when that attempt is not open. */
void store_attempt_end(struct store *st, struct store_attempt_end *a);

/* An open attempt that was never sent (nobody to send it to): the job is as it was before. */
struct store_attempt_undo {
	struct store_op op;
	uint64_t job;
	uint32_t n;
};
void store_attempt_undo(struct store *st, struct store_attempt_undo *u);

/* One job by its owner's word: CANCEL of a blocked or queued job without an open attempt, RETRY of a failed or
 * cancelled one. ERR_CONFLICT where daemon/job.h refuses, while it is running, or where what is to be retried failed
 * with `reason`. */
struct store_job_mark {
	struct store_op op;
	uint64_t job;
	enum store_mark mark;   /* CANCEL, RETRY or FAIL */
	enum job_reason reason; /* for FAIL and RETRY */
	const char *error;      /* for FAIL */
};
void store_job_mark(struct store *st, struct store_job_mark *m);

/* ---- starting up ---- */

/* Every attempt that was open when the last daemon ended. A read; rows before done. */
struct store_open_attempts {
	struct store_op op;
	void (*on_row)(struct store_open_attempts *o, const struct store_request *req, int64_t granted_us);
};
void store_open_attempts(struct store *st, struct store_open_attempts *o);
/* What was sent lately, for the limits: every ended attempt that was sent and counted less than window_us ago, in any
 * order. `host` is its limit key, `url` what was asked for, counted_boot_us as the present boot's time. Also of batches
 * that have ended. A read.
 */
struct store_recent {
	struct store_op op;
	int64_t window_us;
	const char *pull; /* only what was sent for its runs; NULL: all */
	void (*on_row)(struct store_recent *r, uint64_t job, const char *host, const char *url,
		       int64_t counted_boot_us);
};
void store_recent(struct store *st, struct store_recent *r);
/* How long what was sent is to be kept on record, also of batches that are removed: the longest window of any rule. */
void store_keep_window(struct store *st, int64_t window_us);
/* Tells the listener of every lane of a batch that has not ended. */
void store_announce_lanes(struct store *st, struct store_op *op);

/* ---- limits that an operator set ---- */

struct store_limit {
	const char *name, *match, *rates; /* rates: "100/60s 5000/1h", units_parse_rate each; "" none */
	unsigned concurrency;             /* 0: none */
	bool pace;
	int64_t since_us; /* wall: when it was set so; 0: not known */
};
struct store_limit_set {
	struct store_op op;
	struct store_limit limit; /* strings used during the call only; replaces one of that name */
};
void store_limit_set(struct store *st, struct store_limit_set *s);
/* It came into force later than was said when it was set. `op` may be NULL. */
void store_limit_since(struct store *st, struct store_op *op, const char *name, int64_t since_us);
struct store_limit_remove {
	struct store_op op;
	const char *name; /* used during the call only; ERR_NOT_FOUND */
};
void store_limit_remove(struct store *st, struct store_limit_remove *r);
struct store_limits {
	struct store_op op;
	void (*on_row)(struct store_limits *l, const struct store_limit *limit);
};
void store_limits(struct store *st, struct store_limits *l);

/* ---- what hosts said of themselves ---- */

struct store_host {
	const char *host;        /* limit key */
	unsigned hits;           /* refusals in a row */
	int64_t paused_until_us; /* CLOCK_BOOTTIME, as the next; 0: not paused */
	int64_t learned_until_us;
	struct rate learned; /* count 0: none */
};
/* Takes the place of what was said of this host; where it is neither paused nor has a learned rate, it is forgotten.
 * Written with the next commit; no callback. */
void store_host_note(struct store *st, const struct store_host *h);
/* All of them, their times as the present boot's, or the latest that they can be; also what is over. A read. */
struct store_hosts {
	struct store_op op;
	void (*on_row)(struct store_hosts *h, const struct store_host *host);
};
void store_hosts(struct store *st, struct store_hosts *h);

/* ---- reading ---- */

/* The record of one host, for audits: attempts that were sent, batch by batch (not in order of time). */
struct store_audit_row {
	uint64_t job;
	uint32_t n;
	uint32_t boot;                         /* times of one boot can be compared */
	int64_t sent_boot_us, counted_boot_us; /* an open attempt: counted_boot_us INT64_MAX */
	int64_t sent_us;                       /* wall, for people */
	bool unsent;                           /* granted, but its connection failed: `sent_us` is when it began */
	int status;                            /* 0: no response */
	bool refused;                          /* the host takes no requests now: 429, or 503 with Retry-After */
	const char *url;
};
struct store_audit {
	struct store_op op;
	const char *host;          /* limit key; alive until done */
	int64_t from_us, until_us; /* wall, by the time of sending */
	uint64_t after;            /* 0: from the start; else `last` of the call before */
	bool unsent;               /* what was granted and not sent is wanted too */
	size_t limit;              /* rows examined at most: a call is a step of bounded cost */
	void (*on_row)(struct store_audit *a, const struct store_audit_row *row);
	uint64_t last; /* out */
	bool more;     /* out */
};
void store_audit(struct store *st, struct store_audit *a);

/* Hosts, as limit keys. Reads. */
struct store_host_keys {
	struct store_op op;
	uint32_t batch;
	const char *from, *to; /* keys behind the one and before the other */
	unsigned limit;        /* such keys told at most */
	void (*on_row)(struct store_host_keys *k, const char *key);
};
/* Those that the batch's jobs went to, or are to go to, those of redirects too. */
void store_batch_hosts(struct store *st, struct store_host_keys *k);
/* Those between `from` and `to` that the record has requests to, in order. */
void store_host_keys(struct store *st, struct store_host_keys *k);

struct store_batch_get {
	struct store_op op;
	uint32_t batch;
	void (*on_row)(struct store_batch_get *g, const struct store_batch *b);
};
void store_batch_get(struct store *st, struct store_batch_get *g);

struct store_batch_list {
	struct store_op op;
	int64_t uid;     /* -1: everybody's */
	uint32_t before; /* newest first, ids below this; 0: from the newest */
	size_t limit;
	void (*on_row)(struct store_batch_list *l, const struct store_batch *b);
};
void store_batch_list(struct store *st, struct store_batch_list *l);

struct store_results {
	struct store_op op;
	uint32_t batch;
	uint32_t after_seq;
	size_t limit;        /* rows examined at most, also of other states: a call is a step of bounded cost */
	unsigned state_mask; /* 1 << enum job_state; 0: all */
	bool with_body;      /* inline bodies too */
	void (*on_row)(struct store_results *r, const struct store_result *row);
	uint32_t last_seq; /* out: continue after this */
	bool more;         /* out */
};
void store_results(struct store *st, struct store_results *r);

struct store_job_get {
	struct store_op op;
	uint64_t job;
	bool with_body;
	void (*on_row)(struct store_job_get *g, const struct store_result *row);
	/* may be NULL; newest attempt first */
	void (*on_attempt)(struct store_job_get *g, const struct store_attempt *a);
};
void store_job_get(struct store *st, struct store_job_get *g);

/* A batch's jobs in the order in which they ended. Event ids grow and are never used again. */
struct store_events {
	struct store_op op;
	uint32_t batch;
	uint64_t after;
	size_t limit; /* events examined at most */
	void (*on_row)(struct store_events *v, uint64_t event, const struct store_result *row);
	uint64_t last; /* out: continue after this */
	bool more;     /* out */
};
void store_events(struct store *st, struct store_events *v);

struct store_totals {
	int64_t batches, live_batches;
	int64_t counts[JOB_STATES];
	uint64_t ended[JOB_STATES]; /* how often a job came to a final state since the store was opened */
	int64_t database_bytes, bodies_bytes;
	uint64_t commits, operations;
	int64_t commit_us_total, commit_us_max;
};
/* From memory; costs nothing. */
void store_totals(const struct store *st, struct store_totals *t);

/* Counts everything again and compares; reads the whole store. 0, or -1 with the first thing that does not add up. */
int store_check(struct store *st, struct err *e);

#endif
