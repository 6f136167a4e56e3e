/* What the rooms of the SQLite store share:
 *
 *   store_sqlite   open, close, the lock, settings of the database
 *   store_schema   migrations and checks of what is opened
 *   store_stmt     the statements
 *   store_tx       the transaction of the loop's turn, its errors, telling who waits
 *   store_cache    batches in memory             store_group  lanes and chains
 *   store_submit   new batches and jobs          store_run    attempts: opening, taking back
 *   store_end      attempts: their ends          store_pull   runs of pulls
 *   store_pull_page  pages of runs               store_pull_state  ends of runs, and what stays
 *   store_mark     the owner's word              store_chain  what a job's end means for the others
 *   store_limits   rules     store_record  what was sent     store_load  lanes and recovery     store_read  the answers
 *   store_open     which attempts are open       store_ahead  jobs that were loaded
 *   store_plain    plain ends                    store_append  rows in the order of their ids
 *   store_sweep    work in steps                 store_keep   retention, vacuum, room
 *   store_bodies   files     store_check  does it all add up     store_checkpoint  the log's way into the database
 *
 * Between two commits the truth about batches, lanes and chains is in memory (struct batch_entry, struct group): their
 * rows are written once, just before the commit. A rollback throws the memory away and reads it again. */
#ifndef FANOUT_DAEMON_STORE_SQLITE_H
#define FANOUT_DAEMON_STORE_SQLITE_H

#include <dirent.h>
#include <event2/event.h>
#include <sqlite3.h>
#include <sys/queue.h>

#include "daemon/job.h"
#include "daemon/store_pull.h"
#include "daemon/store_stmt.h"
#include "lib/hash.h"
#include "lib/syncer.h"

#define STORE_PAGE_SIZE     "8192"
#define STORE_CACHE_KIB     "16384"
#define STORE_TX_OPS_MAX    1000
#define STORE_TX_AGE_US     2500
#define STORE_TX_LOOK       16    /* the clock is read once for as many jobs */
#define STORE_TX_PATIENT_US 10000 /* for a transaction that nobody waits for, */
#define STORE_TX_BUSY       32    /* while this many attempts are on disk and not ended */
#define STORE_NAME_MAX      512   /* bytes of a lane's key or a chain's name */
#define STORE_CACHE_MAX     8192  /* entries of a kind; more only while they are in use */
#define STORE_SWEEP_ROWS    500
#define STORE_REST_ROWS     256
#define STORE_STEP_US       3000
#define STORE_EXAMINED_MAX  4000 /* rows that one load looks at */
#define STORE_AHEAD_PLACES  (1u << 11)
#define STORE_SPAN_GAP      8 /* a lane's span goes on over this many jobs of other lanes */

struct batch_entry {
	uint32_t id, uid;
	bool held, closed, paused;
	enum store_sweep sweep;
	uint32_t sweep_seq;
	enum job_reason sweep_reason; /* what its jobs fail with */
	char sweep_error[200];
	int64_t submitted_us, ended_us;
	int64_t touched_us;       /* by its client; where deadline_from_us is set: active_from_us (daemon/store.h) */
	int64_t deadline_from_us; /* 0: submitted_us */
	uint64_t next_seq, next_event; /* 64 bits: one past the last */
	uint64_t last_event;           /* newest that ended a job */
	int64_t counts[JOB_STATES];
	int64_t body_bytes;
	bool run;                 /* its jobs are pages */
	uint32_t base;            /* the run whose pages they may have again; 0: none */
	uint64_t counted_from;    /* event of its last row in counted, */
	int64_t counted_until_us; /* and what that says; 0: none yet */
	int64_t window_us;        /* for how long what was sent for it counts, once it is removed; 0: not known yet */
	bool dirty;               /* in the list of those to write */
	bool changed;             /* more than its counts */
	struct batch_entry *dirty_next;
	UT_hash_handle hh;
};

/* A lane or a chain: something of a batch with a name. */
enum group_kind { GROUP_LANE, GROUP_CHAIN, GROUP_KINDS };
struct group {
	int64_t id;
	enum group_kind kind;
	bool dirty;
	struct group *dirty_next;
	/* lanes */
	uint64_t head, head_written;
	uint64_t last; /* its newest job, */
	uint64_t span; /* and the first of the span that ends with it; 0: none */
	bool span_dirty;
	uint64_t loaded; /* fresh ones were handed out up to here */
	bool tell;
	struct group *tell_next;
	/* chains */
	int64_t pending;
	uint64_t failed;
	bool rest;
	UT_hash_handle by_id, by_name;
	uint32_t batch; /* with the name: the key of by_name */
	char name[];
};

/* An open attempt, with what its end needs to know of the job. */
struct open_attempt {
	uint64_t job;
	uint32_t n;
	int64_t granted_us, ready_us, started_us;
	int64_t lane, chain; /* chain 0: none */
	int64_t boot, granted_boot_us;
	unsigned attempts;
	uint32_t outcome;
	unsigned hops;
	bool progress;  /* the job has a row there */
	bool inherited; /* from the daemon before */
	struct opening *opening;
	LIST_ENTRY(open_attempt) beside; /* of the same opening */
	struct open_attempt *next_free;
	UT_hash_handle hh;
};

LIST_HEAD(opening_list, opening);

/* Of a job that was loaded: a fresh one that asks for its URL and nothing else. */
struct ahead {
	uint64_t job; /* 0: none */
	int64_t lane, submitted_us;
	uint32_t url_bytes; /* NUL included */
	char url[228];
};

/* The body that stays with a final attempt: the outcome's own, or that of a page that has not changed. */
struct body_kept {
	bool in_file;
	int64_t size_bytes;
	const void *data; /* inline; NULL: none */
	size_t data_bytes;
	const char *content_type; /* where the outcome has none */
};

/* A page's row and the page that stands for it in the run's base. The strings live until store_page_asked. */
struct page_asked {
	struct stmt own, base;
	bool own_begun, base_begun;
	struct store_page_request request;
	struct message_page said;
	struct body_kept body; /* of request.base_job */
	uint32_t body_n;       /* and its attempt */
};

struct op_failure {
	struct store_op *op;
	struct err err;
	struct op_failure *next;
};

struct batch_telling {
	struct store_batch_news news;
	int64_t counts[JOB_STATES];
};

struct body_name {
	uint64_t job;
	uint32_t n;
};

/* A transaction, and after it what is to be told. */
struct store_tx {
	struct store_op *ops, **ops_end;
	struct op_failure *failures, **failures_end;
	struct store_lane *lanes; /* keys are own copies */
	size_t lane_count, lane_cap;
	struct batch_telling *batches;
	size_t batch_count, batch_cap;
	uint32_t *released; /* held batches that were closed: all their lanes are news */
	size_t released_count, released_cap;
	uint32_t *removed;
	size_t removed_count, removed_cap;
	struct body_name *unlinks;
	size_t unlink_count, unlink_cap;
	bool trouble;
	struct err trouble_err;
	uint64_t ticket; /* of the sync that makes it durable */
	int64_t from_us; /* when its commit began */
	struct store_tx *next;
};

enum append_table { APPEND_JOBS, APPEND_OUTCOMES, APPEND_TABLES };

struct store {
	sqlite3 *db;
	struct {
		sqlite3_stmt *s;
		struct stmt_bound *bound;
		int count; /* of parameters */
		bool busy;
		bool reads_plain; /* what is held of plain ends is to be in their table */
	} stmts[STMT_COUNT];
	struct store_listener listener;
	struct event_base *base;
	struct event *commit_event, *late_event, *deliver_event;
	char *state_dir;
	int dir_fd, lock_fd, bodies_fd, wal_fd;

	/* the transaction of this turn */
	struct store_tx *tx, *delivered, **delivered_end, *spare;
	struct syncer *sync; /* of the log: see database_open */
	uint64_t ticket;     /* the last one asked for */
	bool begun;          /* BEGIN was executed */
	bool failed;         /* an SQL error: all of it will be rolled back */
	bool dead;           /* the disk cannot be trusted any more */
	bool trouble;        /* no space */
	bool inherits;       /* reading what the daemon before left */
	bool delivering;
	bool awaited; /* somebody waits for it */
	size_t weight;
	size_t look_at; /* the weight from which on its age is looked at again */
	size_t opening; /* attempts that it opens */
	int64_t begun_boot_us;
	struct err sql_err; /* of the last statement that failed */
	struct err dead_err;

	/* memory */
	struct batch_entry *batches, *dirty_batches;
	struct {
		struct group *by_id, *by_name, *last;
		struct group *dirty;
		int64_t next_id;
	} groups[GROUP_KINDS];
	struct group *tell_lanes;
	struct open_attempt *open, *open_spare;
	struct plain_block *plain; /* ends of this transaction that are not in the table yet */
	struct opening_list openings;
	struct opening *opened, *dirty_openings; /* opened: of this transaction */
	int64_t next_opening;
	int64_t greatest[APPEND_TABLES]; /* ids; 0: to be read */
	struct ahead *ahead;
	int64_t boot;           /* this boot's row */
	bool boot_noted;        /* times of it were written in this transaction */
	int64_t keep_window_us; /* what was sent is kept for that long */
	bool keeps_removed;     /* something is removed, and is still needed for that */
	uint32_t next_batch;

	/* background work */
	int64_t retention_age_us, retention_bytes;
	int64_t next_probe_us, next_keep_us, next_bodies_us;
	int64_t needed_ended_us; /* the batch that limits needed, where the retention by size looks on behind it */
	uint32_t needed_batch;
	bool work;      /* sweeps or rests may be there */
	uint32_t swept; /* the batch whose turn it was */
	struct checkpointer *checkpointer;
	struct {
		int pages, moved; /* of the write-ahead log; moved to the database, if more is not known */
		unsigned anew;    /* how often it started anew */
	} log;
	int64_t pages, free_pages;
	int page_bytes;
	uint64_t ops_seen; /* by the last step: tells quiet from busy */
	DIR *bodies_dir;   /* the slow look for orphans; NULL: not under way */
	DIR *batch_dir;
	uint32_t batch_dir_id;
	bool batch_dir_gone; /* its batch is: all of it goes */
	bool bodies_deep;    /* look at files too, not only at directories */
	uint32_t *gone;      /* directories to remove */
	size_t gone_count, gone_cap;
	uint32_t *linked; /* directories with links that are not synced */
	size_t linked_count, linked_cap;
	bool no_links; /* the file system has no hard links */

	struct store_totals totals;
	uint64_t ended[JOB_STATES]; /* totals.ended, as of the last commit: no table has it */
};

/* ---- store_sqlite.c ---- */
void *store_grow(void *p, size_t *cap, size_t need, size_t size);
int64_t store_pragma_int(struct store *st, const char *sql);
/* A connection, set up. Returns SQLite's code. */
int store_connect(const struct store *st, sqlite3 **db);

/* ---- store_schema.c ---- */
int store_schema_open(struct store *st, struct err *e);
/* Closed in good order: the next start need not look for what was left. */
void store_schema_close(struct store *st);

/* ---- store_submit.c ---- */
/* For an operation: makes c->batch. NULL: refused, or an SQL error. */
struct batch_entry *store_batch_add(struct store *st, struct store_op *op, struct store_batch_create *c);
bool store_job_fits(const struct store_job_new *j);
bool store_batch_has_room(struct store *st, struct store_op *op, const struct batch_entry *b, size_t count);
int store_job_add(struct store *st, struct batch_entry *b, const struct store_job_new *spec, int64_t now_us);

/* ---- store_mark.c ---- */
void store_batch_close(struct store *st, struct batch_entry *b);
void store_batch_remove(struct store *st, struct batch_entry *b);

/* ---- store_tx.c ---- */
/* Takes the operation (NULL: the store's own work) into the turn's transaction. False: it cannot be carried out, the
 * error will be told. Each true is followed by one store_tx_leave. */
bool store_tx_join(struct store *st, struct store_op *op, size_t weight);
void store_tx_leave(struct store *st);
/* Whether the commit may wait for more to come. */
bool store_tx_can_wait(const struct store *st);
/* What the operation asks for is not possible; nothing of it was done. */
void store_tx_refuse(struct store *st, struct store_op *op, enum err_code code, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Commits what is pending; who waits is told from the event loop. */
void store_tx_commit(struct store *st);
void store_tx_deliver(struct store *st);
void store_tx_free(struct store_tx *tx);
/* A statement failed: notes why, and that the transaction (if there is one) cannot be committed. */
void store_sql_failed(struct store *st, int rc);
void store_sql_error(struct store *st, int rc, struct err *e);
/* The same, of the connection that failed. */
void store_sql_failed_by(struct store *st, sqlite3 *db, int rc);
void store_sql_error_by(sqlite3 *db, int rc, struct err *e);
/* Ends a read. */
void store_op_done(struct store *st, struct store_op *op, bool failed);
void store_op_refused(struct store_op *op, enum err_code code, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void store_unlink_later(struct store *st, uint64_t job, uint32_t n);

/* ---- store_cache.c ---- */
/* NULL: there is none, or (st->failed or sql_err) it cannot be read. */
struct batch_entry *store_batch_find(struct store *st, uint32_t id);
struct batch_entry *store_batch_new(struct store *st, uint32_t id);
/* For an operation: refused where there is none, or where it is being removed. */
struct batch_entry *store_batch_of(struct store *st, struct store_op *op, uint32_t id);
/* In memory only; NULL: it has nothing open and nothing to write. */
struct batch_entry *store_batch_cached(struct store *st, uint32_t id);
void store_batch_dirty(struct store *st, struct batch_entry *b, bool changed);
void store_batch_forget(struct store *st, uint32_t id);
void store_count(struct store *st, struct batch_entry *b, enum job_state state, int by);
/* What could not be before its batch has ended is over; says whether that is so. */
bool store_batch_unfinished(const struct batch_entry *b);
/* A sweep is on its way to end all jobs that have not. */
static inline bool store_batch_ending(const struct batch_entry *b)
{
	return b->sweep == STORE_SWEEP_CANCEL || b->sweep == STORE_SWEEP_FAIL;
}

/* ---- store_group.c ---- */
struct group *store_group_find(struct store *st, enum group_kind kind, int64_t id);
struct group *store_group_get(struct store *st, enum group_kind kind, struct batch_entry *b, const char *name);
void store_group_dirty(struct store *st, struct group *g);
void store_lane_tell(struct store *st, struct group *lane);
void store_groups_forget(struct store *st, uint32_t batch);
int store_groups_flush(struct store *st, struct store_tx *tx);
void store_groups_trim(struct store *st);
void store_groups_clear(struct store *st);
int store_groups_reload(struct store *st);
/* A new job of the lane. */
int store_lane_extend(struct store *st, struct group *lane, uint64_t job);
/* For who reads the table of spans: within a transaction not all of them are there. */
int store_lane_settle(struct store *st, struct group *lane);
int store_lanes_settle(struct store *st);

/* Writes what is dirty; 0 or -1. */
int store_cache_flush(struct store *st, struct store_tx *tx);
void store_cache_trim(struct store *st);
void store_cache_clear(struct store *st);
/* After opening and after a rollback: open attempts, counters, totals. */
int store_cache_reload(struct store *st);
/* Before rows of the greatest numbers go: numbers are never used again. */
int store_counters_save(struct store *st);
int store_counter_set(struct store *st, const char *name, int64_t value);
int64_t store_counter_get(struct store *st, const char *name);

/* ---- store_chain.c ---- */
/* A job as far as its progress goes. */
struct job_brief {
	uint64_t job;
	int64_t lane, chain, submitted_us;
	bool progress; /* a row; what is done without one has its state, its outcome and attempts here */
	enum job_state state;
	enum job_reason reason;
	unsigned tries, deaths, attempts;
	uint32_t outcome;
	int64_t started_us, due_us;
	unsigned hops;
	int64_t own_lane; /* of its own URL */
};
/* 1, 0 (no such job) or -1. A running job is queued here. */
int store_job_brief(struct store *st, uint64_t job, struct job_brief *out);
void store_brief_read(struct job_brief *out, const struct stmt *q);
int store_progress_write(struct store *st, const struct job_brief *j);
/* Ends a job without a request: its row, its progress, the counts. */
int store_job_end(struct store *st, struct batch_entry *b, struct job_brief *j, enum job_event event,
		  enum job_reason reason, const char *error);
/* Puts it back to work, or behind its chain. */
int store_job_again(struct store *st, struct batch_entry *b, struct job_brief *j, struct group *chain);
/* A job of this chain ended: `was` before, with these actions. */
int store_chain_ended(struct store *st, struct batch_entry *b, int64_t chain, uint64_t job, bool was_active,
		      unsigned actions);
/* Why the others of this chain end with the one that did: "job 7.1 of its chain failed", or "was cancelled". */
#define STORE_CHAIN_WHY_SIZE 80
int store_chain_why(struct store *st, const struct group *chain, char *out);
/* Fails up to STORE_REST_ROWS jobs behind the one that failed. */
int store_chain_rest(struct store *st, struct batch_entry *b, struct group *chain);

/* ---- store_open.c ---- */
struct open_attempt *store_open_find(struct store *st, uint64_t job);
/* Opened by this transaction. */
struct open_attempt *store_open_add(struct store *st, uint64_t job);
/* It is over, or taken back: then it was as if it had never been. */
void store_open_remove(struct store *st, struct open_attempt *o, bool taken_back);
int store_openings_flush(struct store *st);
int store_openings_reload(struct store *st);
void store_openings_clear(struct store *st);

/* ---- store_plain.c ---- */
int store_plain_open(struct store *st, struct err *e);
/* The job is done, by this event; of this transaction. */
void store_plain_note(struct store *st, uint64_t job, uint32_t event);
/* The event of a job whose end is not in the table yet; 0: none. */
uint32_t store_plain_held(const struct store *st, uint64_t job);
int store_plain_flush(struct store *st);
void store_plain_clear(struct store *st);

/* ---- store_append.c: for every insert into one of these tables ---- */
void store_append_put(struct stmt *q, enum append_table t, int64_t id);
/* Runs it; `id` is that of its last row. 0 or -1. */
int store_append_run(struct stmt *q, enum append_table t, int64_t id);
/* Rows were deleted, or a transaction undone. */
void store_append_forget(struct store *st);

/* ---- store_ahead.c ---- */
void store_ahead_note(struct store *st, uint64_t job, int64_t lane, int64_t submitted_us, const struct stmt *q,
		      int url);
const struct ahead *store_ahead_find(const struct store *st, uint64_t job);
void store_ahead_forget(struct store *st, uint64_t job);
void store_ahead_clear(struct store *st);

/* ---- store_load.c ---- */
void store_lanes_tell_batch(struct store *st, uint32_t batch);

/* ---- store_run.c ---- */
void store_request_read(struct store_request *req, const struct stmt *q);

/* ---- store_end.c ---- */
/* The open attempt that this is the end of, and its batch; refused where there is none. */
struct open_attempt *store_attempt_of(struct store *st, struct store_attempt_end *a, struct batch_entry **out);
/* All that store_attempt_end does. `body` NULL: the outcome's own. */
int store_attempt_write(struct store *st, struct store_attempt_end *a, struct batch_entry *b, struct open_attempt *o,
			const struct body_kept *body);
/* It is not open any more, and its job is in state `next`. */
void store_attempt_over(struct store *st, struct batch_entry *b, struct open_attempt *o, enum job_state next,
			bool taken_back);

/* ---- store_pull.c: what a batch's marks mean for a run; each only for one ---- */
/* Its batch was cancelled, or failed with this error. */
int store_run_cut(struct store *st, uint32_t run, const char *error);
/* Once more, by the owner's word: it runs again, and its receipt is void. */
int store_run_again(struct store *st, struct batch_entry *b);
/* What has ended cannot be retried: a guard stopped it, or no page of it failed. Told, and true. */
bool store_run_refuse_retry(struct store *st, struct store_op *op, const struct batch_entry *b);
/* Complete: there is nothing to fetch again. */
bool store_run_is_complete(struct store *st, uint32_t run);
bool store_run_waits(struct store *st, uint32_t run);
bool store_run_has_ended(struct store *st, uint32_t run);
/* For an operation: refused where it is a batch, but no run. */
struct batch_entry *store_run_of(struct store *st, struct store_op *op, uint32_t run);

/* ---- store_pull_page.c ---- */
/* 1: a page, and all that is to be known of its request; 0: none; -1. Followed by store_page_asked in any case. */
int store_page_ask(struct store *st, struct page_asked *out, uint32_t base, uint64_t job);
void store_page_asked(struct page_asked *p);
bool store_pages_fit(struct store *st, struct store_op *op, const struct batch_entry *b,
		     const struct store_page_new *pages, size_t count);
/* Those whose token is not there yet. */
int store_pages_insert(struct store *st, struct batch_entry *b, const struct store_page_new *pages, size_t count);
/* It is fetched again: what it said before is void. */
int store_page_again(struct store *st, uint64_t job);

/* ---- store_read.c ---- */
/* Five columns from `at` on, and what is known to be running. */
void store_counts_read(struct store *st, int64_t counts[JOB_STATES], uint32_t batch, const struct stmt *q, int at);
struct batch_entry *store_batch_for(struct store *st, struct store_op *op, uint32_t batch);

/* ---- store_record.c ---- */
int store_boot_open(struct store *st);
int store_boot_flush(struct store *st);
/* The batch's next outcome was counted then. */
int store_counted_note(struct store *st, struct batch_entry *b, int64_t counted_boot_us);
/* A time of an earlier boot as one of this one; INT64_MIN where that boot is not known. */
int64_t store_boot_time_us(struct store *st, int64_t boot, int64_t noted_us);
/* What was sent for the batch may still count against a limit. */
bool store_record_needed(struct store *st, struct batch_entry *b);

/* ---- store_sweep.c, store_keep.c ---- */
bool store_sweep_step(struct store *st);
void store_pages_refresh(struct store *st);

/* ---- store_bodies.c ---- */
int store_bodies_open(struct store *st, struct err *e);
void store_bodies_close(struct store *st);
void store_body_unlink(struct store *st, uint64_t job, uint32_t n);
void store_bodies_gone(struct store *st, uint32_t batch);
bool store_body_shareable(struct store *st, uint64_t job, uint32_t n);
/* The file of one attempt is the other's too. 0, or an errno. It is safe with the commit. */
int store_body_link(struct store *st, uint64_t from, uint32_t from_n, uint64_t job, uint32_t n);
/* Before the commit: what was linked is on disk. */
int store_bodies_sync(struct store *st);
bool store_bodies_step(struct store *st);

#endif
