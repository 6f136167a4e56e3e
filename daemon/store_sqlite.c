/* Opening and closing the SQLite store: the directory, the lock, how the database is set up. docs of the rooms:
 * daemon/store_sqlite.h.
 *
 * Two connections, the loop's and that of the thread which moves the log (store_checkpoint.c). What they share of it is
 * in memory, and no other process gets at the file while they are open: that is what the VFS unix-excl is for. Nothing
 * else in this process ever opens the file (closing it would drop SQLite's POSIX locks). Our own lock is flock(2) on a
 * file beside it, which says who has it. */
#define _GNU_SOURCE 1

#include "daemon/store_sqlite.h"
#include "daemon/store_checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"

#define CLOSE_ROUNDS_MAX 100
#define LOCK_TRIES       500         /* 10 ms apart */
#define VFS              "unix-excl" /* no -shm file, and locked against other processes from the first read on */

static const char hint_writable[] = "state_dir has to be a directory that the user of fanoutd can write";

static int system_error(struct err *e, const char *what, const char *path)
{
	bool space = errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
	bool denied = errno == EACCES || errno == EPERM || errno == EROFS || errno == ENOTDIR;

	return err_set(e,
		       space    ? ERR_NO_SPACE
		       : denied ? ERR_PERMISSION
				: ERR_SYSTEM,
		       space ? "free disk space there" : hint_writable, "%s %s: %s", what, path, strerror(errno));
}

/* ---- the directory and the lock ---- */

/* Makes what is missing of the path, for us alone. */
static int make_directory(const char *path, struct err *e)
{
	char *copy = strdup(path), *p = copy;
	int rc = 0;

	if (!copy)
		abort();
	while (rc == 0 && p) {
		p = strchr(p + 1, '/');
		if (p)
			*p = '\0';
		if (mkdir(copy, 0700) < 0 && errno != EEXIST && errno != EISDIR)
			rc = system_error(e, "cannot make", copy);
		if (p)
			*p = '/';
	}
	free(copy);
	return rc;
}

static int directory_open(struct store *st, struct err *e)
{
	if (make_directory(st->state_dir, e) < 0)
		return -1;
	st->dir_fd = open(st->state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (st->dir_fd < 0)
		return system_error(e, "cannot open", st->state_dir);
	/* The kernel's word counts, also for root on a read-only file system. */
	if (faccessat(st->dir_fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) < 0)
		return system_error(e, "cannot write to", st->state_dir);
	return 0;
}

/* Whose it is, as they wrote it; 0: not known. */
static long lock_owner(const struct store *st)
{
	char pid[24] = "";

	return pread(st->lock_fd, pid, sizeof pid - 1, 0) > 0 ? strtol(pid, NULL, 10) : 0;
}

static bool process_lives(long pid)
{
	return kill((pid_t)pid, 0) == 0 || errno != ESRCH;
}

/* A daemon that was killed while it forked a worker leaves its lock to that worker, until the worker's own program runs
 * and the descriptor is closed. Returns 0 or an errno. */
static int lock_wait(const struct store *st)
{
	static const struct timespec pause = {.tv_nsec = 10000000};
	int rc = 0;

	for (int i = 0; i < LOCK_TRIES; i++) {
		long owner = lock_owner(st);
		rc = flock(st->lock_fd, LOCK_EX | LOCK_NB) < 0 ? errno : 0;
		if (rc != EWOULDBLOCK || owner <= 0 || process_lives(owner))
			break;
		nanosleep(&pause, NULL);
	}
	return rc;
}

static int lock_busy(struct store *st, struct err *e)
{
	char pid[24] = "unknown";
	long owner = lock_owner(st);

	if (owner > 0)
		snprintf(pid, sizeof pid, "%ld", owner);
	return err_set(e, ERR_LOCKED, "stop that one, or give this one another state_dir",
		       "another fanoutd (pid %s) uses %s", pid, st->state_dir);
}

static int lock_take(struct store *st, struct err *e)
{
	char pid[24];
	int len = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
	int rc;

	st->lock_fd = openat(st->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (st->lock_fd < 0)
		return system_error(e, "cannot open the lock in", st->state_dir);
	rc = lock_wait(st);
	if (rc == EWOULDBLOCK)
		return lock_busy(st, e);
	errno = rc;
	if (rc != 0)
		return system_error(e, "cannot lock", st->state_dir);
	/* Only for people to read: a full disk is no reason to fail here. */
	if (ftruncate(st->lock_fd, 0) < 0 || pwrite(st->lock_fd, pid, (size_t)len, 0) != len)
		log_debug("lock without pid", "why=\"%s\"", strerror(errno));
	return 0;
}

/* ---- the database ---- */

/* auto_vacuum and page_size hold only for a database that is made now. NORMAL, because the sync of a commit is made by
 * wal_sync, and waited for. secure_delete is on by default in Debian's build: our directory is ours. busy_timeout:
 * where the thread reads the head of the log's index just while it is written, it takes the writer's lock to look
 * again; for a moment BEGIN IMMEDIATE may find that taken. */
static const char *const pragmas[] = {
    "PRAGMA busy_timeout = 1000",       "PRAGMA page_size = " STORE_PAGE_SIZE,
    "PRAGMA auto_vacuum = INCREMENTAL", "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",      "PRAGMA cache_size = -" STORE_CACHE_KIB,
    "PRAGMA temp_store = MEMORY",       "PRAGMA mmap_size = 0",
    "PRAGMA wal_autocheckpoint = 0",    "PRAGMA journal_size_limit = 67108864",
    "PRAGMA foreign_keys = OFF",        "PRAGMA secure_delete = OFF",
    "PRAGMA trusted_schema = OFF",      "PRAGMA cell_size_check = ON",
};

/* The first column of the first row; -1 on an error (noted), 0 for NULL or no row. */
int64_t store_pragma_int(struct store *st, const char *sql)
{
	sqlite3_stmt *s = NULL;
	int64_t v = 0;
	int rc = sqlite3_prepare_v2(st->db, sql, -1, &s, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		v = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		return v;
	store_sql_failed(st, rc);
	return -1;
}

static int database_create(struct store *st, struct err *e)
{
	int fd = openat(st->dir_fd, "fanout.db", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	/* SQLite would make it readable to all; the log beside it gets the same mode. Before SQLite opens it. */
	if (fd < 0)
		return system_error(e, "cannot open the database in", st->state_dir);
	close(fd);
	return 0;
}

/* No connection is used by two threads at a time: no mutexes of theirs, and no statistics that every malloc would have
 * to count for (together 8 % of the time of store_bench; a job costs as many instructions as with SINGLETHREAD). For
 * the whole process, and only before SQLite is used first. */
static void library_set_up(void)
{
	static bool done;

	if (!done && sqlite3_config(SQLITE_CONFIG_MULTITHREAD) == SQLITE_OK)
		sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	done = true;
}

int store_connect(const struct store *st, sqlite3 **db)
{
	char *path = NULL;
	int rc;

	if (asprintf(&path, "%s/fanout.db", st->state_dir) < 0)
		abort();
	rc = sqlite3_open_v2(path, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, VFS);
	free(path);
	for (size_t i = 0; rc == SQLITE_OK && i < sizeof pragmas / sizeof *pragmas; i++)
		rc = sqlite3_exec(*db, pragmas[i], NULL, NULL, NULL);
	return rc;
}

static int database_open(struct store *st, struct err *e)
{
	int rc;

	library_set_up();
	rc = store_connect(st, &st->db);
	if (rc == SQLITE_OK)
		return 0;
	store_sql_error(st, rc, e);
	return -1;
}

/* The daemon before did not close: what it left in the log is moved over, before anyone is served. */
static int database_settle(struct store *st, struct err *e)
{
	int rc = sqlite3_wal_checkpoint_v2(st->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);

	if (rc != SQLITE_OK) {
		store_sql_error(st, rc, e);
		return -1;
	}
	if (store_boot_open(st) < 0) {
		*e = st->sql_err;
		return -1;
	}
	st->inherits = true;
	rc = store_cache_reload(st);
	st->inherits = false;
	if (rc < 0) {
		*e = st->sql_err;
		return -1;
	}
	return 0;
}

/* ---- the loop ---- */

/* While a sync is under way the turn's transaction goes on: the next commit is made when it is done. So on a slow disk
 * more goes into one commit, and never is there a queue of syncs. */
static void on_commit(evutil_socket_t fd, short what, void *arg)
{
	struct store *st = arg;

	(void)fd;
	(void)what;
	if (!syncer_busy(st->sync) && !store_tx_can_wait(st))
		store_tx_commit(st);
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	struct store *st = arg;
	struct timeval rest = {.tv_usec = STORE_TX_PATIENT_US - STORE_TX_AGE_US};

	if (store_tx_can_wait(st))
		event_add(st->late_event, &rest);
	else
		on_commit(fd, what, arg);
}

/* In the thread. SQLite writes a commit to its log without syncing it (synchronous=NORMAL); then it is synced here, and
 * only when that is done is anybody told. That is what synchronous=FULL does, in the same order, but while it is under
 * way the loop goes on. Everything else that SQLite syncs (checkpoints, a log that starts anew) it goes on to sync
 * itself. */
static int wal_sync(const void *fd)
{
	int rc;

	do
		rc = fdatasync(*(const int *)fd);
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? errno : 0;
}

static void on_synced(void *arg)
{
	struct store *st = arg;

	store_tx_deliver(st);
	if (st->tx && !syncer_busy(st->sync))
		event_active(st->commit_event, EV_TIMEOUT, 1);
}

static void on_deliver(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	store_tx_deliver(arg);
}

/* The commit waits until the turn has nothing else; what is committed, and what has waited too long, does not. */
static int events_open(struct store *st, struct err *e)
{
	struct syncer_settings sync = {.base = st->base, .sync = wal_sync, .on_done = on_synced, .arg = st};

	st->sync = syncer_create(&sync, e);
	if (!st->sync || store_checkpoint_open(st, e) < 0)
		return -1;
	st->commit_event = event_new(st->base, -1, 0, on_commit, st);
	st->late_event = event_new(st->base, -1, 0, on_late, st);
	st->deliver_event = event_new(st->base, -1, 0, on_deliver, st);
	if (!st->commit_event || !st->late_event || !st->deliver_event)
		return err_set(e, ERR_SYSTEM, NULL, "cannot make events: out of memory");
	event_priority_set(st->commit_event, event_base_get_npriorities(st->base) - 1);
	event_priority_set(st->late_event, 0);
	event_priority_set(st->deliver_event, 0);
	return 0;
}

/* ---- the store ---- */

static void store_free(struct store *st)
{
	struct store_tx *tx;
	struct event **events[] = {&st->commit_event, &st->late_event, &st->deliver_event};

	for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
		if (*events[i])
			event_free(*events[i]);
	}
	syncer_free(st->sync);
	while ((tx = st->delivered)) {
		st->delivered = tx->next;
		store_tx_free(tx);
	}
	store_tx_free(st->spare);
	store_cache_clear(st);
	store_bodies_close(st);
	store_checkpoint_close(st);
	if (st->db) {
		store_stmts_finalize(st);
		if (sqlite3_close(st->db) != SQLITE_OK)
			log_error("database not closed", "why=\"%s\"", sqlite3_errmsg(st->db));
	}
	if (st->wal_fd >= 0)
		close(st->wal_fd);
	if (st->lock_fd >= 0)
		close(st->lock_fd);
	if (st->dir_fd >= 0)
		close(st->dir_fd);
	free(st->state_dir);
	free(st);
}

int store_open(struct store **out, const struct store_settings *set, const struct store_listener *listener,
	       struct event_base *base, struct err *e)
{
	struct store *st = calloc(1, sizeof *st);

	if (!st || !(st->state_dir = strdup(set->state_dir)))
		abort();
	st->listener = listener ? *listener : (struct store_listener){0};
	st->base = base;
	st->dir_fd = st->lock_fd = st->bodies_fd = st->wal_fd = -1;
	st->next_batch = 1;
	for (enum group_kind kind = 0; kind < GROUP_KINDS; kind++)
		st->groups[kind].next_id = 1;
	st->delivered_end = &st->delivered;
	store_set_retention(st, set->retention_age_us, set->retention_bytes);
	if (directory_open(st, e) < 0 || lock_take(st, e) < 0 || database_create(st, e) < 0 ||
	    database_open(st, e) < 0 || store_schema_open(st, e) < 0 || store_plain_open(st, e) < 0 ||
	    store_stmts_prepare(st, e) < 0 || database_settle(st, e) < 0 || store_bodies_open(st, e) < 0 ||
	    events_open(st, e) < 0) {
		store_free(st);
		return -1;
	}
	st->work = true;
	store_pages_refresh(st);
	*out = st;
	return 0;
}

void store_close(struct store *st)
{
	if (!st)
		return;
	/* Callbacks may hand in more. */
	for (int i = 0; i < CLOSE_ROUNDS_MAX && (st->tx || st->delivered); i++) {
		store_tx_commit(st);
		syncer_wait(st->sync);
		store_tx_deliver(st);
	}
	store_tx_commit(st);
	syncer_wait(st->sync);
	store_checkpoint_close(st);
	if (!st->dead && !st->trouble)
		store_schema_close(st);
	store_free(st);
}

void store_commit(struct store *st)
{
	store_tx_commit(st);
}

int store_bodies_fd(const struct store *st)
{
	return st->bodies_fd;
}

void store_totals(const struct store *st, struct store_totals *t)
{
	*t = st->totals;
}
