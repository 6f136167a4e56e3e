/* The transaction of the loop's turn. Operations are carried out as they come, inside one BEGIN; a commit event of the
 * lowest priority ends it when the turn has nothing else to do, or its size or age does. Then, never from inside a call
 * of the store, the listener is told and the callbacks run, in order. It must not know what the operations do.
 *
 * What an operation may not do is found out before it writes, and is told to it alone. An SQL error condemns the whole
 * transaction: SQLite may have undone it already. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/store_checkpoint.h"
#include "daemon/store_sqlite.h"
#include "lib/clock.h"
#include "lib/log.h"

static const char hint_space[] = "free disk space below the state directory, or lower retention";
static const char hint_disk[] = "look at the kernel's log: the disk below the state directory fails";

/* ---- what a failing statement means ---- */

/* Of the last write that failed, in the log or in the database. sqlite3_system_errno does not know. */
static int write_errno(sqlite3 *db)
{
	sqlite3_file *file[2] = {NULL, NULL};
	int error[2] = {0, 0};

	sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file[0]);
	sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file[1]);
	for (int i = 0; i < 2; i++) {
		if (file[i] && file[i]->pMethods)
			file[i]->pMethods->xFileControl(file[i], SQLITE_FCNTL_LAST_ERRNO, &error[i]);
	}
	return error[0] ? error[0] : error[1];
}

/* SQLite says FULL for ENOSPC alone. */
static bool no_space(sqlite3 *db, int rc)
{
	int error = rc == SQLITE_IOERR_WRITE ? write_errno(db) : 0;

	return (rc & 0xff) == SQLITE_FULL || error == EDQUOT || error == EFBIG || error == ENOSPC;
}

void store_sql_error_by(sqlite3 *db, int rc, struct err *e)
{
	const char *text = db && sqlite3_errcode(db) != SQLITE_OK ? sqlite3_errmsg(db) : sqlite3_errstr(rc);

	if (db && no_space(db, rc)) {
		err_set(e, ERR_NO_SPACE, hint_space, "the disk is full");
		return;
	}
	switch (rc & 0xff) {
	case SQLITE_IOERR:
		err_set(e, ERR_UNKNOWN, hint_disk, "the database cannot be written or read: %s (code %d)", text, rc);
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		err_set(e, ERR_CORRUPT, "stop fanoutd; restore a copy, or move fanout.db and fanout.db-wal away",
			"the database is damaged: %s", text);
		break;
	case SQLITE_CANTOPEN:
	case SQLITE_READONLY:
	case SQLITE_PERM:
		err_set(e, ERR_PERMISSION, "the state directory has to be writable by the user that runs fanoutd",
			"the database cannot be opened for writing: %s", text);
		break;
	default:
		err_set(e, ERR_SYSTEM, NULL, "the database failed: %s", text);
	}
}

void store_sql_error(struct store *st, int rc, struct err *e)
{
	store_sql_error_by(st->db, rc, e);
}

/* What is on disk is not known any more, or not to be trusted. */
static bool fatal_code(enum err_code code)
{
	return code == ERR_UNKNOWN || code == ERR_CORRUPT;
}

static void schedule(struct store *st)
{
	struct timeval late = {.tv_usec = STORE_TX_AGE_US};

	if (!st->commit_event)
		return;
	event_active(st->commit_event, EV_TIMEOUT, 1);
	event_add(st->late_event, &late);
}

void *store_grow(void *p, size_t *cap, size_t need, size_t size)
{
	if (need <= *cap)
		return p;
	*cap = *cap ? *cap * 2 : 16;
	if (*cap < need)
		*cap = need;
	p = realloc(p, *cap * size);
	if (!p)
		abort();
	return p;
}

static struct store_tx *tx_create(struct store *st)
{
	struct store_tx *tx = st->spare;

	st->spare = NULL;
	if (!tx && !(tx = calloc(1, sizeof *tx)))
		abort();
	tx->ops_end = &tx->ops;
	tx->failures_end = &tx->failures;
	return tx;
}

static void tx_need(struct store *st)
{
	if (st->tx)
		return;
	st->tx = tx_create(st);
	st->begun_boot_us = clock_boot_us();
	schedule(st);
}

void store_sql_failed_by(struct store *st, sqlite3 *db, int rc)
{
	store_sql_error_by(db, rc, &st->sql_err);
	if (st->begun) {
		st->failed = true;
	} else if (st->sql_err.code != ERR_SYSTEM && st->commit_event) {
		/* A read or a checkpoint found out. The listener is told in the usual way. */
		tx_need(st);
		st->failed = true;
	}
}

void store_sql_failed(struct store *st, int rc)
{
	store_sql_failed_by(st, st->db, rc);
}

/* ---- taking operations ---- */

bool store_tx_join(struct store *st, struct store_op *op, size_t weight)
{
	tx_need(st);
	if (op) {
		op->next = NULL;
		*st->tx->ops_end = op;
		st->tx->ops_end = &op->next;
		st->awaited |= !op->patient;
		st->totals.operations++;
	}
	st->weight += weight;
	/* At the end of this turn, unless it can wait. */
	if (st->commit_event)
		event_active(st->commit_event, EV_TIMEOUT, 1);
	if (st->dead || st->failed)
		return false;
	if (!st->begun) {
		if (stmt_exec(st, STMT_BEGIN) < 0) {
			st->failed = true;
			return false;
		}
		st->begun = true;
	}
	return true;
}

/* A commit costs as much as the work for 20 jobs. Where nobody waits for it, and the workers have enough to do without
 * it, more jobs share it. */
bool store_tx_can_wait(const struct store *st)
{
	return st->tx && !st->awaited && !st->failed && !st->dead && st->weight < STORE_TX_OPS_MAX &&
	       HASH_COUNT(st->open) >= st->opening + STORE_TX_BUSY &&
	       clock_boot_us() - st->begun_boot_us < STORE_TX_PATIENT_US;
}

void store_tx_leave(struct store *st)
{
	if (st->weight < st->look_at)
		return;
	st->look_at = st->weight + STORE_TX_LOOK;
	if (st->weight < STORE_TX_OPS_MAX &&
	    (clock_boot_us() - st->begun_boot_us < STORE_TX_AGE_US || store_tx_can_wait(st)))
		return;
	store_tx_commit(st);
	if (st->deliver_event)
		event_active(st->deliver_event, EV_TIMEOUT, 1);
}

static struct op_failure *failure_add(struct store_tx *tx, struct store_op *op)
{
	struct op_failure *f = calloc(1, sizeof *f);

	if (!f)
		abort();
	f->op = op;
	*tx->failures_end = f;
	tx->failures_end = &f->next;
	return f;
}

static void fill(struct err *e, enum err_code code, const char *hint, const char *fmt, va_list ap)
{
	char what[sizeof e->what];

	vsnprintf(what, sizeof what, fmt, ap);
	err_set(e, code, hint, "%s", what);
}

void store_tx_refuse(struct store *st, struct store_op *op, enum err_code code, const char *hint, const char *fmt, ...)
{
	va_list ap;

	if (st->failed || !op)
		return; /* the transaction's error will be told */
	va_start(ap, fmt);
	fill(&failure_add(st->tx, op)->err, code, hint, fmt, ap);
	va_end(ap);
}

void store_op_refused(struct store_op *op, enum err_code code, const char *hint, const char *fmt, ...)
{
	struct err e = {0};
	va_list ap;

	va_start(ap, fmt);
	fill(&e, code, hint, fmt, ap);
	va_end(ap);
	if (op->done)
		op->done(op, &e);
}

void store_op_done(struct store *st, struct store_op *op, bool failed)
{
	struct err e = st->sql_err; /* the callback may come back and fail anew */

	if (op->done)
		op->done(op, failed ? &e : NULL);
}

void store_unlink_later(struct store *st, uint64_t job, uint32_t n)
{
	struct store_tx *tx = st->tx;

	tx->unlinks = store_grow(tx->unlinks, &tx->unlink_cap, tx->unlink_count + 1, sizeof *tx->unlinks);
	tx->unlinks[tx->unlink_count++] = (struct body_name){.job = job, .n = n};
}

/* ---- ending ---- */

static void tx_forget_news(struct store_tx *tx)
{
	for (size_t i = 0; i < tx->lane_count; i++)
		free((char *)(uintptr_t)tx->lanes[i].key);
	tx->lane_count = tx->batch_count = tx->released_count = tx->removed_count = tx->unlink_count = 0;
}

void store_tx_free(struct store_tx *tx)
{
	if (!tx)
		return;
	tx_forget_news(tx);
	free(tx->lanes);
	free(tx->batches);
	free(tx->released);
	free(tx->removed);
	free(tx->unlinks);
	free(tx);
}

static void tx_trouble(struct store *st, struct store_tx *tx, const struct err *e)
{
	if (e->code == ERR_NO_SPACE && st->trouble)
		return;
	if (e->code == ERR_NO_SPACE) {
		st->trouble = true;
	} else if (fatal_code(e->code)) {
		st->dead = true;
		st->dead_err = *e;
	} else {
		return;
	}
	tx->trouble = true;
	tx->trouble_err = *e;
}

/* Every operation gets the error, and there is no other news. */
static void tx_refuse_all(struct store_tx *tx, const struct err *e)
{
	struct op_failure *f = tx->failures, *next;

	for (; f; f = next) {
		next = f->next;
		free(f);
	}
	tx->failures = NULL;
	tx->failures_end = &tx->failures;
	tx_forget_news(tx);
	for (struct store_op *op = tx->ops; op; op = op->next)
		failure_add(tx, op)->err = *e;
}

/* Nothing of this turn happened. */
static void tx_fail(struct store *st, struct store_tx *tx)
{
	struct err e = st->dead ? st->dead_err : st->sql_err;

	tx_refuse_all(tx, &e);
	if (!st->dead)
		tx_trouble(st, tx, &e);
	if (st->begun && !sqlite3_get_autocommit(st->db))
		sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
	st->begun = false;
	st->linked_count = 0;
	store_cache_clear(st);
	if (!st->dead && store_cache_reload(st) < 0) {
		st->sql_err.code = ERR_UNKNOWN;
		tx_trouble(st, tx, &st->sql_err);
	}
}

/* The log is there once something was committed. Our own descriptor of it: SQLite's locks are not on this file. */
static int wal_open(struct store *st)
{
	if (st->wal_fd >= 0)
		return 0;
	st->wal_fd = openat(st->dir_fd, "fanout.db-wal", O_RDONLY | O_CLOEXEC);
	if (st->wal_fd >= 0 && fsync(st->dir_fd) == 0)
		return 0;
	st->dead = true;
	err_set(&st->dead_err, ERR_UNKNOWN, hint_disk, "the database's log cannot be opened: %s", strerror(errno));
	return -1;
}

static int tx_write(struct store *st, struct store_tx *tx)
{
	tx->from_us = clock_boot_us();
	if (store_bodies_sync(st) < 0 || store_cache_flush(st, tx) < 0 || stmt_exec(st, STMT_COMMIT) < 0 ||
	    wal_open(st) < 0)
		return -1;
	st->totals.commits++;
	memcpy(st->ended, st->totals.ended, sizeof st->ended);
	st->ticket = syncer_ask(st->sync, &st->wal_fd);
	return 0;
}

void store_tx_commit(struct store *st)
{
	struct store_tx *tx = st->tx;

	if (!tx)
		return;
	if (st->dead || st->failed || (st->begun && tx_write(st, tx) < 0)) {
		tx_fail(st, tx);
	} else {
		store_cache_trim(st);
	}
	/* Whatever it was, it is told after what was committed before. */
	tx->ticket = st->ticket;
	st->begun = st->failed = st->awaited = false;
	st->tx = NULL;
	st->weight = st->opening = st->look_at = 0;
	if (st->late_event)
		event_del(st->late_event);
	tx->next = NULL;
	*st->delivered_end = tx;
	st->delivered_end = &tx->next;
	if (st->deliver_event)
		event_active(st->deliver_event, EV_TIMEOUT, 1);
	store_checkpoint_keep(st, STORE_PASS_PAGES);
}

/* ---- telling ---- */

static void tell_listener(struct store *st, struct store_tx *tx)
{
	struct store_listener *l = &st->listener;

	if (tx->trouble && l->on_trouble)
		l->on_trouble(l->arg, &tx->trouble_err);
	for (size_t i = 0; i < tx->lane_count && l->on_lane; i++)
		l->on_lane(l->arg, &tx->lanes[i]);
	for (size_t i = 0; i < tx->released_count; i++)
		store_lanes_tell_batch(st, tx->released[i]);
	for (size_t i = 0; i < tx->batch_count && l->on_batch; i++) {
		tx->batches[i].news.counts = tx->batches[i].counts;
		l->on_batch(l->arg, &tx->batches[i].news);
	}
	for (size_t i = 0; i < tx->removed_count && l->on_removed; i++)
		l->on_removed(l->arg, tx->removed[i]);
}

static void tell_ops(struct store_tx *tx)
{
	struct store_op *op = tx->ops, *next;

	for (; op; op = next) {
		struct op_failure *f = tx->failures;
		next = op->next;
		bool refused = f && f->op == op;
		if (refused)
			tx->failures = f->next;
		if (op->done)
			op->done(op, refused ? &f->err : NULL);
		if (refused)
			free(f);
	}
}

/* What the disk did with the commits that were not synced is not known. */
static void sync_failed(struct store *st, struct store_tx *tx, int error)
{
	struct err e;

	err_set(&e, ERR_UNKNOWN, hint_disk, "the database cannot be synced: %s", strerror(error));
	tx_refuse_all(tx, &e);
	if (!st->dead)
		tx_trouble(st, tx, &e);
}

static void tx_synced(struct store *st, struct store_tx *tx)
{
	int64_t took = tx->from_us ? clock_boot_us() - tx->from_us : 0;

	st->totals.commit_us_total += took;
	if (took > st->totals.commit_us_max)
		st->totals.commit_us_max = took;
	tx->from_us = 0;
	for (size_t i = 0; i < tx->unlink_count; i++)
		store_body_unlink(st, tx->unlinks[i].job, tx->unlinks[i].n);
}

/* The next transaction that is durable, or is known never to be. */
static struct store_tx *tx_ready(struct store *st)
{
	int error;
	uint64_t done = syncer_done(st->sync, &error);

	if (!st->delivered)
		return NULL;
	if (st->delivered->ticket > done && !error)
		return NULL;
	if (st->delivered->ticket > done)
		sync_failed(st, st->delivered, error);
	return st->delivered;
}

void store_tx_deliver(struct store *st)
{
	struct store_tx *tx;

	if (st->delivering)
		return; /* a callback led here: the loop below goes on */
	st->delivering = true;
	while ((tx = tx_ready(st))) {
		st->delivered = tx->next;
		if (!st->delivered)
			st->delivered_end = &st->delivered;
		tx_synced(st, tx);
		tell_listener(st, tx);
		tell_ops(tx);
		tx_forget_news(tx);
		tx->ops = NULL;
		tx->trouble = false;
		if (st->spare)
			store_tx_free(tx);
		else
			st->spare = tx;
	}
	st->delivering = false;
}
