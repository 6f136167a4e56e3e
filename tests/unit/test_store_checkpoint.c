/* The log's way into the database, beside the loop: nobody waits for it, what fails on it is told, and the log starts
 * anew while the load goes on. The database file's syncs and writes are held or fail where the test says so. */
#define _GNU_SOURCE 1

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>

#include "daemon/store_checkpoint.h"
#include "daemon/store_sqlite.h"
#include "tests/unit/test_store.h"

static pthread_t loop;
static _Atomic unsigned passes; /* of the thread */
static struct {
	_Atomic bool hold, sync_fails, write_fails;
	_Atomic unsigned by_thread, by_loop; /* syncs of the database file */
	sem_t held, go;
} disk;

static bool is_database(int fd)
{
	static const char name[] = "/fanout.db";
	char link[32], path[256];
	ssize_t len;

	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof path);
	return len >= (ssize_t)sizeof name && memcmp(path + len - (sizeof name - 1), name, sizeof name - 1) == 0;
}

/* Stand in front of libc's. */
int fdatasync(int fd)
{
	if (is_database(fd)) {
		*(pthread_equal(pthread_self(), loop) ? &disk.by_loop : &disk.by_thread) += 1;
		if (disk.hold && !pthread_equal(pthread_self(), loop)) {
			sem_post(&disk.held);
			sem_wait(&disk.go);
		}
		if (disk.sync_fails) {
			errno = EIO;
			return -1;
		}
	}
	return (int)syscall(SYS_fdatasync, fd);
}

ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
	if (disk.write_fails && is_database(fd)) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, p, n, at);
}

int sqlite3_wal_checkpoint_v2(sqlite3 *db, const char *name, int mode, int *log, int *moved)
{
	int (*next)(sqlite3 *, const char *, int, int *, int *);

	*(void **)&next = dlsym(RTLD_NEXT, "sqlite3_wal_checkpoint_v2");
	passes += !pthread_equal(pthread_self(), loop);
	return next(db, name, mode, log, moved);
}

static int setup(void **state)
{
	loop = pthread_self();
	disk.hold = disk.sync_fails = disk.write_fails = false;
	sem_init(&disk.held, 0, 0);
	sem_init(&disk.go, 0, 0);
	if (room_setup(state) < 0)
		return -1;
	disk.by_loop = disk.by_thread = 0;
	return 0;
}

static int teardown(void **state)
{
	int rc = room_teardown(state);

	sem_destroy(&disk.held);
	sem_destroy(&disk.go);
	return rc;
}

/* Commits of about a hundred pages each; says how many jobs are acknowledged. */
static int commit_pages(struct room *r, uint32_t batch, int commits)
{
	struct store_job_new big = plain_job();
	char *body = calloc(1, 200000);
	int done = 0;

	memset(body, 'x', 199999);
	big.body = body;
	big.body_bytes = 199999;
	big.has_body = true;
	for (int i = 0; i < commits; i++) {
		jobs_like(r, batch, big, 4);
		done += r->last.code == ERR_NONE ? 4 : 0;
	}
	free(body);
	return done;
}

/* Turns of the loop until the thread has nothing to do. */
static void wait_moved(struct room *r)
{
	while (r->st->log.pages - r->st->log.moved > STORE_PASS_PAGES)
		event_base_loop(r->base, EVLOOP_ONCE);
}

static void commits_go_on_while_the_log_is_moved(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	disk.hold = true;
	commit_pages(r, batch, 4);
	sem_wait(&disk.held); /* the database file is being synced */
	commit_pages(r, batch, 4);
	assert_int_equal(r->last.code, ERR_NONE);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_QUEUED], 32);
	assert_int_equal(disk.by_thread, 1);
	assert_int_equal(disk.by_loop, 0);
	disk.hold = false;
	sem_post(&disk.go);
	wait_moved(r);
	assert_int_equal(disk.by_loop, 0);
	assert_true(disk.by_thread > 1);
}

static void the_log_starts_anew_though_there_is_always_more(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	unsigned anew = r->st->log.anew;
	int most = 0;

	/* Each sync of a pass is held until something newer was committed: more than is worth a pass, until the log is
	 * long. */
	disk.hold = true;
	commit_pages(r, batch, 3);
	sem_wait(&disk.held);
	while (disk.by_loop == 0) {
		commit_pages(r, batch, r->st->log.pages > STORE_LOG_PAGES ? 1 : 3);
		most = r->st->log.pages > most ? r->st->log.pages : most;
		assert_in_range(most, 0, STORE_LOG_PAGES + 4 * STORE_PASS_PAGES);
		sem_post(&disk.go);
		while (sem_trywait(&disk.held) != 0 && disk.by_loop == 0)
			event_base_loop(r->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	}
	assert_int_equal(r->st->log.anew, anew);
	disk.hold = false;
	commit_pages(r, batch, 1);
	assert_int_equal(r->st->log.anew, anew + 1);
	assert_int_equal(disk.by_loop, 1);
	assert_true(most > STORE_LOG_PAGES);
}

static void what_the_thread_finds_out_of_a_failing_disk_is_told_once(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct err e = {0};
	int done;

	disk.sync_fails = true;
	done = commit_pages(r, batch, 4);
	while (r->heard.troubles == 0)
		event_base_loop(r->base, EVLOOP_ONCE);
	disk.sync_fails = false;
	assert_int_equal(r->heard.trouble.code, ERR_UNKNOWN);
	assert_int_equal(commit_pages(r, batch, 1), 0);
	assert_int_equal(r->last.code, ERR_UNKNOWN);
	assert_int_equal(r->heard.troubles, 1);
	room_reopen(r);
	assert_int_equal(store_check(r->st, &e), 0);
	assert_in_range(done, 12, 16);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_QUEUED], done);
}

static void what_does_not_fit_into_the_database_is_told_and_moved_when_there_is_room(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	int done;

	disk.write_fails = true;
	done = commit_pages(r, batch, 4);
	while (r->heard.troubles == 0)
		event_base_loop(r->base, EVLOOP_ONCE);
	assert_int_equal(r->heard.trouble.code, ERR_NO_SPACE);
	done += commit_pages(r, batch, 1); /* the log has room */
	assert_int_equal(r->heard.troubles, 1);
	disk.write_fails = false;
	while (r->heard.cleared == 0) {
		store_step(r->st);
		event_base_loop(r->base, EVLOOP_ONCE | EVLOOP_NONBLOCK);
	}
	assert_int_equal(r->st->log.moved, r->st->log.pages);
	assert_int_equal(commit_pages(r, batch, 1), 4);
	assert_in_range(done, 12, 20);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_QUEUED], done + 4);
}

static void a_store_that_is_closed_waits_for_the_pass_under_way(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	disk.hold = true;
	commit_pages(r, batch, 4);
	sem_wait(&disk.held);
	disk.hold = false;
	sem_post(&disk.go);
	room_reopen(r);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_QUEUED], 16);
}

/* SQLite's fault with logs that start anew (daemon/store_checkpoint.c) needs a pass that has nothing to move. */
static void nothing_is_moved_where_all_was_moved(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	commit_pages(r, batch, 4);
	wait_moved(r);
	assert_int_equal(store_checkpoint(r->st), SQLITE_OK);
	assert_int_equal(r->st->log.moved, r->st->log.pages);
	passes = 0;
	store_checkpoint_keep(r->st, 0);
	room_reopen(r); /* what was asked for is done first */
	assert_int_equal(passes, 0);
}

int main(void)
{
#define CHECKPOINT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
	    CHECKPOINT_TEST(commits_go_on_while_the_log_is_moved),
	    CHECKPOINT_TEST(the_log_starts_anew_though_there_is_always_more),
	    CHECKPOINT_TEST(what_the_thread_finds_out_of_a_failing_disk_is_told_once),
	    CHECKPOINT_TEST(what_does_not_fit_into_the_database_is_told_and_moved_when_there_is_room),
	    CHECKPOINT_TEST(a_store_that_is_closed_waits_for_the_pass_under_way),
	    CHECKPOINT_TEST(nothing_is_moved_where_all_was_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
