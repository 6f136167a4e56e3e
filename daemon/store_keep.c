/* Keeping house: how long results stay, how large the file grows, and whether a full disk has room again. */
#include <string.h>
#include <sys/stat.h>

#include "daemon/store_checkpoint.h"
#include "daemon/store_sqlite.h"
#include "lib/clock.h"
#include "lib/log.h"

#define SECOND_US         INT64_C(1000000)
#define IDLE_US           (3600 * SECOND_US) /* a batch that is not closed and not added to */
#define KEEP_EVERY_US     (10 * SECOND_US)
#define KEEP_AGAIN_US     (SECOND_US / 10)
#define LOOKS_MAX         128 /* batches that limits may need, at a time */
#define PROBE_EVERY_US    SECOND_US
#define PASS_PAGES_QUIET  256  /* of the log: worth a quiet moment */
#define FREE_PAGES_KEPT   1024 /* and an eighth of the file: not given back, it will be used again */
#define VACUUM_PAGES_STEP 64

/* ---- the file ---- */

static int64_t pages_of(struct store *st, enum stmt_id id)
{
	struct stmt q;
	int64_t n = 0;

	stmt_begin(&q, st, id);
	if (stmt_step(&q) == 1)
		n = col_int(&q, 0);
	stmt_end(&q);
	return n;
}

void store_pages_refresh(struct store *st)
{
	st->free_pages = pages_of(st, STMT_FREE_PAGES);
	st->pages = pages_of(st, STMT_PAGES);
	st->totals.database_bytes = (st->pages - st->free_pages) * st->page_bytes;
}

/* ---- retention ---- */

void store_set_retention(struct store *st, int64_t age_us, int64_t bytes)
{
	st->retention_age_us = age_us;
	st->retention_bytes = bytes;
	st->next_keep_us = 0;
}

static bool too_old(const struct store *st, int64_t ended_us, int64_t now_us)
{
	return st->retention_age_us > 0 && ended_us < now_us - st->retention_age_us;
}

static bool too_much(const struct store *st)
{
	return st->retention_bytes > 0 && st->totals.database_bytes + st->totals.bodies_bytes > st->retention_bytes;
}

/* How much the going of a batch frees is seen when it has gone. */
static bool removing(const struct store *st)
{
	return st->work || st->gone_count > 0 || (st->batch_dir && st->batch_dir_gone);
}

/* The one that ended next behind that one; NULL: none, or it is on its way out. */
static struct batch_entry *next_ended(struct store *st, int64_t ended_us, uint32_t id)
{
	struct batch_entry *b = NULL;
	struct stmt q;

	stmt_begin(&q, st, STMT_BATCH_ENDED_NEXT);
	stmt_int(&q, ended_us);
	stmt_int(&q, id);
	if (stmt_step(&q) == 1)
		b = store_batch_find(st, (uint32_t)col_int(&q, 0));
	stmt_end(&q);
	return b && b->sweep == STORE_SWEEP_NONE && b->ended_us ? b : NULL;
}

/* What limits still need of a batch stays, whoever removes it: one whose removal frees nothing yet is kept whole, and
 * the next has to go in its place. What others have removed, and has to stay, holds up nobody. Where many are needed
 * the look goes on behind them the next time. */
static struct batch_entry *one_that_frees_room(struct store *st)
{
	struct batch_entry *b;

	for (unsigned i = 0; i < LOOKS_MAX && too_much(st) && !removing(st); i++) {
		b = next_ended(st, st->needed_ended_us, st->needed_batch);
		st->needed_ended_us = b ? b->ended_us : 0;
		st->needed_batch = b ? b->id : 0;
		if (!b || !store_record_needed(st, b))
			return b;
	}
	return NULL;
}

/* The batch that ended first goes whole. */
static bool expire_one(struct store *st, int64_t now_us)
{
	struct batch_entry *b = next_ended(st, 0, 0);
	bool old = b && too_old(st, b->ended_us, now_us);

	if (b && !old)
		b = one_that_frees_room(st);
	if (!b || !store_tx_join(st, NULL, 1))
		return false;
	log_info("batch removed by retention", "batch=%u why=%s", b->id, old ? "age" : "size");
	store_batch_remove(st, b);
	store_tx_leave(st);
	return true;
}

/* A batch that nobody closes is closed; one that never started, because it was held or nothing is in it, is removed. */
static bool close_idle(struct store *st, int64_t now_us)
{
	struct batch_entry *b = NULL;
	struct stmt q;

	stmt_begin(&q, st, STMT_BATCH_IDLE_NEXT);
	stmt_int(&q, now_us - IDLE_US);
	if (stmt_step(&q) == 1)
		b = store_batch_find(st, (uint32_t)col_int(&q, 0));
	stmt_end(&q);
	if (!b || b->closed || !store_tx_join(st, NULL, 1))
		return false;
	if (b->held || b->next_seq == 1) {
		store_batch_remove(st, b);
	} else {
		b->closed = true;
		store_batch_dirty(st, b, true);
	}
	store_tx_leave(st);
	return true;
}

/* ---- trouble ---- */

static int probe_run(struct store *st)
{
	/* Two commits: what is made and removed in one is never written. */
	static const char *const sql[] = {"INSERT OR REPLACE INTO counters VALUES ('probe', zeroblob(1048576))",
					  "DELETE FROM counters WHERE name = 'probe'"};
	int rc = SQLITE_OK;

	for (size_t i = 0; i < sizeof sql / sizeof *sql && rc == SQLITE_OK; i++)
		rc = sqlite3_exec(st->db, sql[i], NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = store_checkpoint(st);
	return rc;
}

/* The disk was full. A commit of some size, and its way into the file, say that it is not any more. */
static void probe(struct store *st)
{
	/* What failed is told before that there is room again: who hears it the other way round waits for ever. */
	if (st->tx || st->delivered || probe_run(st) != SQLITE_OK)
		return;
	st->trouble = false;
	if (st->listener.on_trouble)
		st->listener.on_trouble(st->listener.arg, NULL);
}

/* Somebody removed the state directory: what is acknowledged from here on would be gone with this process. */
static bool files_gone(struct store *st)
{
	struct stat log;

	if (st->wal_fd < 0 || fstat(st->wal_fd, &log) < 0 || log.st_nlink > 0)
		return false;
	st->dead = true;
	err_set(&st->dead_err, ERR_UNKNOWN, "restore the state directory, then start fanoutd again",
		"the database below %.200s was removed", st->state_dir);
	if (st->listener.on_trouble)
		st->listener.on_trouble(st->listener.arg, &st->dead_err);
	return true;
}

/* ---- steps ---- */

static bool give_back(struct store *st)
{
	char sql[64];

	if (st->free_pages <= FREE_PAGES_KEPT || st->free_pages < st->pages / 8 || st->tx)
		return false;
	sqlite3_snprintf(sizeof sql, sql, "PRAGMA incremental_vacuum(%d)", VACUUM_PAGES_STEP);
	if (sqlite3_exec(st->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return false;
	store_pages_refresh(st);
	return true;
}

static bool keep(struct store *st, int64_t now_us)
{
	if (files_gone(st))
		return false;
	store_pages_refresh(st);
	if (close_idle(st, now_us) || expire_one(st, now_us))
		return true;
	st->next_keep_us = now_us + (too_much(st) && removing(st) ? KEEP_AGAIN_US : KEEP_EVERY_US);
	st->work |= st->keeps_removed; /* by now it may not be needed any more */
	st->keeps_removed = false;
	return false;
}

/* Quiet: nothing was asked of the store since the last step. */
static bool keep_step(struct store *st, bool quiet)
{
	int64_t now = clock_wall_us();
	bool more = false;

	if (st->trouble && now >= st->next_probe_us) {
		st->next_probe_us = now + PROBE_EVERY_US;
		probe(st);
	}
	if (st->trouble)
		return false;
	if (now >= st->next_keep_us)
		more = keep(st, now);
	if (!quiet || st->tx || st->dead)
		return more;
	store_checkpoint_keep(st, PASS_PAGES_QUIET);
	if (st->tx) /* it failed */
		return more;
	return give_back(st) || more;
}

bool store_step(struct store *st)
{
	bool quiet = st->totals.operations == st->ops_seen;
	bool more;

	st->ops_seen = st->totals.operations;
	if (st->dead)
		return false;
	more = keep_step(st, quiet);
	if (st->trouble || st->dead)
		return false;
	more |= store_sweep_step(st);
	return store_bodies_step(st) || more;
}

int64_t store_step_due_us(const struct store *st)
{
	int64_t due = st->next_keep_us;

	if (st->work)
		return 0;
	if (st->trouble)
		return st->next_probe_us;
	if (st->next_bodies_us && st->next_bodies_us < due)
		due = st->next_bodies_us;
	return due;
}
