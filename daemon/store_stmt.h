/* The SQL of the store: one table of statements, each prepared once and kept. A statement is used through a struct stmt
 * on the stack: begin, put every parameter in order, step or run, end. One that is in use already (a row callback
 * asked for more of the same) is prepared anew for the time. */
#ifndef FANOUT_DAEMON_STORE_STMT_H
#define FANOUT_DAEMON_STORE_STMT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define STMT_JOBS_MANY 32 /* rows of STMT_JOB_INSERT_MANY */

enum stmt_id {
	STMT_BEGIN,
	STMT_COMMIT,
	STMT_ROLLBACK,
	STMT_COUNTER_GET,
	STMT_COUNTER_SET,
	STMT_PAGES,
	STMT_FREE_PAGES,

	STMT_BATCH_INSERT,
	STMT_TEMPLATE_INSERT,
	STMT_TEMPLATE_GET,
	STMT_BATCH_BY_KEY,
	STMT_BATCH_LOAD,
	STMT_BATCH_COUNTS,
	STMT_BATCH_STATE,
	STMT_BATCH_FORGET_KEY,
	STMT_BATCH_GET,
	STMT_BATCH_LIST,
	STMT_BATCH_LIST_UID,
	STMT_BATCH_SUMS,
	STMT_BATCH_SWEEP_NEXT,
	STMT_BATCH_IDLE_NEXT,
	STMT_BATCH_ENDED_NEXT,
	STMT_BATCH_DELETE,
	STMT_TEMPLATE_DELETE,

	STMT_LANE_BY_KEY,
	STMT_LANE_BY_ID,
	STMT_LANE_INSERT,
	STMT_LANE_HEAD,
	STMT_LANE_SPAN,
	STMT_LANE_NEXT_DUE,
	STMT_LANES_LIVE,
	STMT_LANES_OF_BATCH,
	STMT_LANES_OF_HOST,
	STMT_LANES_NEXT_HOST,
	STMT_LANES_DELETE,
	STMT_SPAN_SET,
	STMT_SPANS_DELETE,
	STMT_CHAIN_BY_NAME,
	STMT_CHAIN_BY_ID,
	STMT_CHAIN_INSERT,
	STMT_CHAIN_COUNTS,
	STMT_CHAIN_REST,
	STMT_CHAINS_REST_NEXT,
	STMT_CHAINS_DELETE,

	STMT_JOB_INSERT,
	STMT_JOB_INSERT_PLAIN,
	STMT_JOB_INSERT_MANY,
	STMT_JOB_REQUEST,
	STMT_JOB_BRIEF,
	STMT_JOB_URL,
	STMT_JOBS_FRESH,
	STMT_JOBS_UNTOUCHED,
	STMT_TOUCHED,
	STMT_JOBS_DUE,
	STMT_JOBS_SWEEP,
	STMT_JOBS_DELETE,
	STMT_PROGRESS_INSERT,
	STMT_PROGRESS_UPDATE,
	STMT_PROGRESS_FULL,
	STMT_PROGRESS_OPENED,
	STMT_PROGRESS_DELETE,
	STMT_PLAIN_ADD,
	STMT_PLAIN_DELETE,
	STMT_TARGET_SET,
	STMT_TARGET_DELETE,
	STMT_CHAIN_WAITING,

	STMT_OPENING_SET,
	STMT_OPENING_DELETE,
	STMT_RUNNING_ALL,

	STMT_OUTCOME_INSERT,
	STMT_OUTCOME_INSERT_PLAIN,
	STMT_OUTCOME_BODY,
	STMT_OUTCOME_ATTEMPT,
	STMT_OUTCOMES_CUT,
	STMT_OUTCOMES_DELETE,

	STMT_OUTCOMES_LAST,
	STMT_COUNTED_INSERT,
	STMT_COUNTED_DELETE,
	STMT_RECENT,
	STMT_RECENT_PULL,
	STMT_AUDIT,

	STMT_BOOT_FIND,
	STMT_BOOT_INSERT,
	STMT_BOOT_NOTE,
	STMT_BOOTS,

	STMT_COUNTER_DELETE,
	STMT_LIMIT_SET,
	STMT_LIMIT_DELETE,
	STMT_LIMITS,
	STMT_HOST_SET,
	STMT_HOST_DELETE,
	STMT_HOSTS,

	STMT_RESULTS,
	STMT_RESULT,
	STMT_EVENTS,

	STMT_RUN_INSERT,
	STMT_RUN_BRIEF,
	STMT_RUN_OTHERS,
	STMT_RUN_BASE,
	STMT_RUN_START,
	STMT_RUN_GUARD,
	STMT_RUN_CUT,
	STMT_RUN_AGAIN,
	STMT_RUN_END,
	STMT_RUN_DELETE,
	STMT_RUN_GET,
	STMT_RUN_LIST,
	STMT_RUN_LIST_UID,
	STMT_RUN_LIST_PULL,
	STMT_RUN_LIST_UID_PULL,
	STMT_RUN_LIST_LIVE,
	STMT_RUN_ATTEMPTS,
	STMT_BATCH_HOSTS,
	STMT_PAGE_BY_TOKEN,
	STMT_PAGE_INSERT,
	STMT_PAGE_OWN,
	STMT_PAGE_BASE,
	STMT_PAGE_SAID,
	STMT_PAGE_REUSE,
	STMT_PAGE_AGAIN,
	STMT_PAGE_LIST,
	STMT_PAGES_CUT,
	STMT_PAGES_DELETE,
	STMT_STATE_MOVE,
	STMT_STATE_SET,
	STMT_STATE_DELETE,
	STMT_STATES,
	STMT_COUNT
};

/* What became of a job is said by its row in progress, p, or is a plain end in e; STMT_EVENT is that of its last
 * outcome, NULL for a job that has neither. All of a job j. */
#define STMT_PROGRESS " LEFT JOIN progress p ON p.job = j.id LEFT JOIN plain_ends e ON e.block = j.id >> 6"
#define STMT_EVENT    "coalesce(p.outcome, plain_end(e.events, j.id))"
#define STMT_STATE    "coalesce(p.state, iif(plain_end(e.events, j.id) IS NULL, 1, 3))"

/* The attempts that are open, as a table. (Not a view: SQLite 3.40 takes json_extract for unsafe in one.) */
#define STMT_RUNNING                                                                                                  \
	"(SELECT j.id AS job, a.value ->> 1 AS n, a.value ->> 2 AS granted_us, a.value ->> 3 AS ready_us, o.boot AS"  \
	" boot, a.value ->> 4 AS granted_boot_us, o.id AS opening FROM openings o CROSS JOIN json_each(o.attempts) a" \
	" CROSS JOIN jobs j ON j.id = a.value ->> 0 CROSS JOIN batches b ON b.id = j.id >> 32" STMT_PROGRESS          \
	" WHERE b.ended_us IS NULL AND coalesce(p.attempts, plain_end(e.events, j.id) IS NOT NULL) < a.value ->> 1)"

struct store;

/* What a parameter is bound to, from one use to the next. */
enum stmt_kind { STMT_KIND_ELSE, STMT_KIND_INT, STMT_KIND_NULL, STMT_KIND_TEXT };
#define STMT_TEXT_KEPT 40
struct stmt_bound {
	int64_t v;
	char *text; /* STMT_TEXT_KEPT bytes; NULL: none was kept */
	enum stmt_kind kind;
};

struct stmt {
	struct store *st;
	sqlite3_stmt *s;
	struct stmt_bound *bound; /* NULL: not kept */
	enum stmt_id id;
	int at, count; /* parameters put so far, and in all */
	bool broken;   /* what it is to read could not be written */
};

int store_stmts_prepare(struct store *st, struct err *e);
void store_stmts_finalize(struct store *st);

void stmt_begin(struct stmt *q, struct store *st, enum stmt_id id);
void stmt_int(struct stmt *q, int64_t v);
void stmt_null(struct stmt *q);
void stmt_text(struct stmt *q, const char *text); /* NULL is stored as NULL */
/* One that is often that of the row before. */
void stmt_text_again(struct stmt *q, const char *text);
void stmt_blob(struct stmt *q, const void *p, size_t n);
/* 1: a row, 0: no more, -1: an error, told to store_sql_failed. */
int stmt_step(struct stmt *q);
void stmt_end(struct stmt *q);
/* For what returns no rows: step and end. 0 or -1. */
int stmt_run(struct stmt *q);
int stmt_exec(struct store *st, enum stmt_id id);

static inline int64_t col_int(const struct stmt *q, int i)
{
	return sqlite3_column_int64(q->s, i);
}
/* "" where there is none. */
static inline const char *col_text(const struct stmt *q, int i)
{
	const unsigned char *t = sqlite3_column_text(q->s, i);

	return t ? (const char *)t : "";
}
/* NULL where there is none. */
static inline const char *col_text_or_null(const struct stmt *q, int i)
{
	return (const char *)sqlite3_column_text(q->s, i);
}
/* Never NULL: SQLite has none for an empty blob. Its length is asked for afterwards. */
static inline const void *col_blob(const struct stmt *q, int i)
{
	const void *p = sqlite3_column_blob(q->s, i);

	return p ? p : "";
}
static inline bool col_null(const struct stmt *q, int i)
{
	return sqlite3_column_type(q->s, i) == SQLITE_NULL;
}

#endif
