/* What the store keeps of pulls: runs, their pages, and the state between runs. Operations as in daemon/store.h, which
 * this adds to. A run is a batch, a page is a job of it; (run, token) is unique: a page whose token is in the run
 * already is not added again, and that is no error. docs/PULLS.md.
 *
 * What the marks of a batch mean for a run:
 *
 *   CLOSE    ERR_CONFLICT while it is live: its batch stays open until store_run_end, and ends with it
 *
 *   CANCEL   (and FAIL) close the batch; no pages are added any more; the run is live, and `cancelled`, until
 *            store_run_end, with which it and its batch end
 *
 *   RETRY    of what has ended and is not complete (also of one page): the run is RUNNING again, its batch open, its
 *            verdict and receipt are void, and its deadline counts from now; ERR_CONFLICT where a guard has stopped it
 *            (what is stored would stop it again), or no page has failed or was cancelled
 *
 *   REMOVE   the run and its pages are gone with the batch; the state of the pull stays
 *
 * store_jobs_add is for batches only (ERR_CONFLICT). */
#ifndef FANOUT_DAEMON_STORE_PULL_H
#define FANOUT_DAEMON_STORE_PULL_H

#include "daemon/store.h"

enum run_state { RUN_WAITING, RUN_RUNNING, RUN_ENDED, RUN_STATES }; /* waiting: behind another run of its pull */
enum run_verdict { RUN_OPEN, RUN_COMPLETE, RUN_INCOMPLETE, RUN_FAILED, RUN_CANCELLED, RUN_PARTIAL, RUN_VERDICTS };
enum run_overlap { RUN_SKIP, RUN_QUEUE, RUN_REPLACE };
const char *run_state_name(enum run_state s);     /* "waiting" … */
const char *run_verdict_name(enum run_verdict v); /* "complete" …; "" for open */

/* A page to be asked for. */
struct store_page_new {
	struct store_job_new job;
	const char *token;
	bool from_public; /* a server at a public address supplied its URL */
};

struct store_run {
	uint32_t run; /* the batch */
	uint32_t uid;
	const char *pull, *scope; /* scope: canonical JSON of the vars; state is kept for (uid, pull, scope) */
	const char *recipe;       /* its text, as it was started with */
	const char *options;      /* JSON, the engine's: since sent, max_pages, fresh, test… */
	enum run_state state;
	enum run_verdict verdict;
	const char *guard;   /* why it has to fail, as soon as that is known; "" */
	const char *receipt; /* JSON, once it has ended; "" */
	uint32_t base;       /* the run whose pages conditional requests refer to; 0: none */
	uint32_t behind;     /* while it waits: the run that has to end first; 0: none any more, it may start */
	int64_t created_us, started_us, ended_us;
	int64_t counts[JOB_STATES];
	bool cancelled;    /* the owner's word, or its deadline, ended the batch, or is about to */
	const char *error; /* what the batch was failed with; "" */
};

/* ---- runs ---- */

struct store_run_create {
	struct store_op op;
	uint32_t uid;
	const char *pull, *scope, *recipe, *options;
	const char *name, *batch_options; /* of the batch */
	unsigned priority, concurrency;
	enum run_overlap overlap; /* what if one of (uid, pull, scope) has not ended. REPLACE is made of CANCEL and
				     QUEUE by the caller */
	bool conditional;         /* base: the last complete run, if it is still there and was of the same recipe */
	bool apart;               /* neither meets nor is met by others (a test) */
	const struct store_page_new *pages; /* the first ones; added when it starts at once */
	size_t page_count;
	uint32_t run;   /* out */
	uint32_t other; /* out: the run that has not ended; 0: none */
	bool skipped;   /* out: nothing was made */
	bool waiting;   /* out: it starts when `other` has ended */
};
void store_run_create(struct store *st, struct store_run_create *c);

/* A waiting run starts: RUNNING, with its first pages; its base is what is the last complete run now. ERR_CONFLICT if
 * it does not wait, was cancelled, or `behind` is not 0. */
struct store_run_start {
	struct store_op op;
	uint32_t run;
	const char *options; /* NULL: as it was made with */
	const struct store_page_new *pages;
	size_t page_count;
};
void store_run_start(struct store *st, struct store_run_start *s);

struct store_run_get {
	struct store_op op;
	uint32_t run; /* ERR_NOT_FOUND also for a batch that is no run */
	void (*on_row)(struct store_run_get *g, const struct store_run *row);
};
void store_run_get(struct store *st, struct store_run_get *g);

struct store_run_list {
	struct store_op op;
	int64_t uid;       /* -1: everybody's */
	const char *pull;  /* NULL: all */
	bool live;         /* only those that have not ended, the oldest first; else the newest first */
	const char *scope; /* of those that live: NULL: all */
	uint32_t before;   /* ids below this; 0: all */
	size_t limit;
	void (*on_row)(struct store_run_list *l, const struct store_run *row); /* recipe and receipt are there too */
};
void store_run_list(struct store *st, struct store_run_list *l);

/* ---- pages ---- */

/* With an attempt's end (store_attempt_end), in one commit: what the page said, and what follows from it. While the
 * batch is being cancelled nothing is added. ERR_INPUT: a page to be added cannot be (its host's name is too long);
 * ERR_NOT_FOUND: no run. After an error the attempt is open as before. */
struct store_page_end {
	struct store_attempt_end end;    /* first; its op is this one's */
	bool page_ended;                 /* false: the job goes on (retry, redirect); then nothing below counts */
	const struct message_page *page; /* NULL: nothing was said */
	bool past_end;                   /* done, by a status of stop_status */
	/* 304: body (its type too, where the outcome has none) and page are those of the run's base. ERR_CONFLICT where
	 * they are gone: then they are not told of again when the next attempt is opened. */
	bool reuse;
	const struct store_page_new *add;
	size_t add_count;
	const char *guard; /* the run has to fail; NULL. The first stands */
};
void store_page_end(struct store *st, struct store_page_end *p);
/* More pages, without an end. ERR_CONFLICT where the run waits, has ended, or was cancelled. */
struct store_pages_add {
	struct store_op op;
	uint32_t run;
	const struct store_page_new *pages;
	size_t count;
};
void store_pages_add(struct store *st, struct store_pages_add *a);

/* How many pages there are, by all that was done so far, also what is not committed yet; 0 where there is no such run.
 */
uint32_t store_run_pages(struct store *st, uint32_t run);

/* One page as it stands. */
struct store_page {
	uint64_t job;
	const char *token;
	const char *url;
	enum job_state state;
	enum job_reason reason;
	int status;
	const char *error;
	bool past_end, from_public;
	uint64_t reused_from; /* the job whose body it has again; 0 */
	int64_t ended_us, size_bytes;
	unsigned attempts;
	const char *remote_ip;    /* of the last attempt; "" none */
	bool said;                /* then: */
	struct message_page page; /* without keys, unless asked for */
};
struct store_pages {
	struct store_op op;
	uint32_t run;
	uint32_t after_seq;
	size_t limit; /* rows at most: a call is a step of bounded cost */
	bool with_keys;
	void (*on_row)(struct store_pages *p, const struct store_page *row);
	uint32_t last_seq; /* out */
	bool more;         /* out */
};
void store_pages(struct store *st, struct store_pages *p);

/* What a page's attempt needs beside its request (store_request.page, NULL for what is no page). */
struct store_page_request {
	const char *token;
	bool from_public;
	/* Of the page with the same token and URL in the run's base, whose body is still there; "" none. */
	const char *etag, *last_modified;
	uint64_t base_job;               /* 0: none */
	const struct message_page *base; /* what that page said, without keys; NULL: none */
};

/* A run's ended attempts, in the order of their ends. A step: call until `more` is false; after that it has what came
 * meanwhile. */
struct store_run_attempt {
	uint32_t page; /* number */
	bool sent;
	bool unreached;  /* there was no way to the host: no address, no connection, no handshake */
	bool refused;    /* 429, or 503 with Retry-After */
	bool redirected; /* the page goes on where a redirect led it */
	int64_t started_us, ended_us, limited_us;
	int64_t boot, sent_boot_us; /* when it was sent, by the clock that nobody sets, of which boot; 0: not sent */
	int64_t size_bytes;         /* also of a page that was reused */
};
struct store_run_attempts {
	struct store_op op;
	uint32_t run;
	uint32_t after_event; /* 0; in and out */
	size_t limit;
	void (*on_row)(struct store_run_attempts *a, const struct store_run_attempt *row);
	bool more; /* out */
};
void store_run_attempts(struct store *st, struct store_run_attempts *a);

/* ---- ends and states ---- */

struct store_run_end {
	struct store_op op;
	uint32_t run;
	enum run_verdict verdict;
	const char *receipt; /* its member "items" is what the state says of the run */
	bool moves; /* the pull's state: only with RUN_COMPLETE, and never for a test. A later run's word stands */
	const char *since; /* the new value as JSON text; NULL: as it was */
};
/* Ends run and batch. ERR_CONFLICT while pages have not ended (the owner's retry of one may have come in between), or
 * when the run has. */
void store_run_end(struct store *st, struct store_run_end *e);

struct store_pull_state {
	uint32_t uid;
	const char *pull, *scope;
	const char *since; /* JSON text; "" none */
	uint32_t run;      /* the last complete one; 0: none, or removed */
	int64_t items;     /* of that run; -1 */
	int64_t updated_us;
};
struct store_pull_states {
	struct store_op op;
	int64_t uid;       /* -1: everybody's */
	const char *pull;  /* NULL: all */
	const char *scope; /* NULL: all */
	void (*on_row)(struct store_pull_states *s, const struct store_pull_state *row);
};
void store_pull_states(struct store *st, struct store_pull_states *s);
/* since NULL: forgets it all (also the base of conditional requests). */
struct store_pull_state_set {
	struct store_op op;
	uint32_t uid;
	const char *pull, *scope, *since;
};
void store_pull_state_set(struct store *st, struct store_pull_state_set *s);

#endif
