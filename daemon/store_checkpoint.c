/* The log's way into the database file, beside the loop: a thread with a connection of its own, which does nothing
 * else. A checkpoint syncs the log, copies pages and syncs the file: 2 to 8 ms in which the loop would answer nobody.
 * It must not know what is committed, or why.
 *
 * The log starts anew only when all of it was moved and nothing was added since. Under load there is always something
 * newer, so the thread moves most of it, again and again; and once the log is long and a pass has just left little, the
 * loop moves that rest itself, between two transactions. In quiet moments the thread is enough. What the thread found
 * is looked at between two transactions too: a failure undoes nothing that is under way.
 *
 * SQLite before 3.51.3 loses commits where a log starts anew while another connection's checkpoint looks whether there
 * is anything to move (sqlite.org/wal.html#walresetbug). Here that cannot be: a pass is asked for only while the log
 * holds something that was not moved, then it cannot start anew before that pass has moved it, and a pass that has does
 * not look again. So no pass without a rest, and no checkpoint of the loop's while one is under way. */
#include <stdlib.h>

#include "daemon/store_checkpoint.h"
#include "daemon/store_sqlite.h"
#include "lib/log.h"

struct checkpointer {
	sqlite3 *db; /* the thread's, from asking until it is idle again */
	struct syncer *thread;
	int rc, moved; /* what the pass says, when it is over */

	/* The loop's. */
	bool asked;          /* a pass whose end was not looked at */
	unsigned anew_asked; /* st->log.anew when it was asked for */
};

/* ---- what is in the log ---- */

static int rest_of(const struct store *st)
{
	return st->log.pages - st->log.moved;
}

static int on_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store *st = arg;

	(void)db;
	(void)name;
	if (pages <= st->log.pages) {
		st->log.moved = 0;
		st->log.anew++;
	}
	st->log.pages = pages;
	return SQLITE_OK;
}

/* ---- the thread ---- */

/* SQLite syncs the file only with the last of the log, before that may start anew. But that last part is mostly the
 * loop's: then all that the passes moved would be synced while it stands still. */
static int file_sync(sqlite3 *db)
{
	sqlite3_file *file = NULL;
	int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);

	if (rc != SQLITE_OK || !file || !file->pMethods)
		return rc;
	return file->pMethods->xSync(file, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
}

/* In the thread. Its errors are looked at by the loop: a syncer that has failed once does nothing more. */
static int pass(const void *what)
{
	struct checkpointer *c = *(struct checkpointer *const *)what;

	c->rc = sqlite3_wal_checkpoint_v2(c->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, &c->moved);
	if (c->rc == SQLITE_OK)
		c->rc = file_sync(c->db);
	return 0;
}

static void on_passed(void *arg)
{
	store_checkpoint_keep(arg, STORE_PASS_PAGES);
}

static void pass_ask(struct store *st, struct checkpointer *c)
{
	c->asked = true;
	c->anew_asked = st->log.anew;
	syncer_ask(c->thread, &st->checkpointer);
}

static bool is_busy(int rc)
{
	return (rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED;
}

/* What the pass did: 1, it is just over; 0, there was none; -1, it failed, and that is noted. Busy is no failure: the
 * connections got in each other's way, and the next pass moves it. */
static int pass_take(struct store *st, struct checkpointer *c)
{
	if (!c->asked)
		return 0;
	c->asked = false;
	if (c->rc != SQLITE_OK && !is_busy(c->rc)) {
		store_sql_failed_by(st, c->db, c->rc);
		return -1;
	}
	if (c->rc == SQLITE_OK && c->anew_asked == st->log.anew)
		st->log.moved = c->moved;
	return 1;
}

/* ---- the loop ---- */

/* A read that is under way may leave a rest. */
int store_checkpoint(struct store *st)
{
	struct checkpointer *c = st->checkpointer;
	int moved = 0, rc;

	syncer_wait(c->thread);
	if (pass_take(st, c) < 0)
		return c->rc;
	rc = sqlite3_wal_checkpoint_v2(st->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, &moved);
	if (rc == SQLITE_OK)
		st->log.moved = moved;
	return is_busy(rc) ? SQLITE_OK : rc;
}

void store_checkpoint_keep(struct store *st, int worth_pages)
{
	struct checkpointer *c = st->checkpointer;
	bool long_enough = st->log.pages > STORE_LOG_PAGES, too_long = st->log.pages > STORE_LOG_PAGES_MAX;
	int rest, passed, rc;

	if (!c || st->begun || st->dead || st->trouble || (syncer_busy(c->thread) && !too_long))
		return;
	syncer_wait(c->thread);
	passed = pass_take(st, c);
	rest = rest_of(st);
	if (passed < 0 || rest <= 0)
		return;
	if (too_long || (long_enough && passed && rest <= STORE_REST_PAGES)) {
		rc = store_checkpoint(st);
		if (rc != SQLITE_OK)
			store_sql_failed(st, rc);
	} else if (long_enough || rest > worth_pages) {
		pass_ask(st, c);
	}
}

/* ---- opening and closing ---- */

int store_checkpoint_open(struct store *st, struct err *e)
{
	struct syncer_settings set = {.base = st->base, .sync = pass, .on_done = on_passed, .arg = st};
	struct checkpointer *c = calloc(1, sizeof *c);
	int rc;

	if (!c)
		abort();
	st->checkpointer = c;
	rc = store_connect(st, &c->db);
	if (rc != SQLITE_OK) {
		store_sql_error_by(c->db, rc, e);
		return -1;
	}
	sqlite3_wal_hook(st->db, on_wal, st);
	c->thread = syncer_create(&set, e);
	return c->thread ? 0 : -1;
}

void store_checkpoint_close(struct store *st)
{
	struct checkpointer *c = st->checkpointer;

	if (!c)
		return;
	syncer_free(c->thread); /* a pass that was asked for is made first */
	st->checkpointer = NULL;
	if (sqlite3_close(c->db) != SQLITE_OK)
		log_error("database not closed", "why=\"%s\"", sqlite3_errmsg(c->db));
	free(c);
}
