/* Opening: directories, the lock, versions, damage. Every refusal has its code and says what to do. */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "daemon/schema.h"
#include "tests/unit/test_store.h"

static unsigned mode_of(const char *dir, const char *name)
{
	char path[256];
	struct stat s;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	assert_int_equal(stat(path, &s), 0);
	return s.st_mode & 07777;
}

static void missing_directories_are_made_for_us_alone(void **state)
{
	struct room *r = *state, deep = {.base = r->base};
	struct err e;

	snprintf(deep.dir, sizeof deep.dir, "%.60s/a/b", r->dir);
	assert_int_equal(room_try(&deep, &e), 0);
	assert_int_equal(mode_of(r->dir, "a"), 0700);
	assert_int_equal(mode_of(deep.dir, "."), 0700);
	assert_int_equal(mode_of(deep.dir, "bodies"), 0700);
	assert_int_equal(mode_of(deep.dir, "fanout.db"), 0600);
	assert_int_equal(mode_of(deep.dir, "fanout.db-wal"), 0600);
	assert_int_equal(mode_of(deep.dir, "lock"), 0600);
	store_close(deep.st);
}

static void assert_refused(struct room *r, enum err_code code, const char *says)
{
	struct err e = {0};

	if (room_try(r, &e) == 0)
		fail_msg("it was opened");
	if (e.code != code)
		fail_msg("%s: %s", err_code_name(e.code), e.what);
	if (!strstr(e.what, says))
		fail_msg("\"%s\" does not say \"%s\"", e.what, says);
	assert_true(*e.hint);
	assert_null(strchr(e.what, '\n'));
}

static void a_second_daemon_is_refused_and_told_the_firsts_pid(void **state)
{
	struct room *r = *state, second = {.base = r->base};
	char pid[32];

	snprintf(second.dir, sizeof second.dir, "%s", r->dir);
	snprintf(pid, sizeof pid, "(pid %d)", (int)getpid());
	assert_refused(&second, ERR_LOCKED, pid);
	batch_new(r, false); /* the first one is not disturbed */
}

static void the_lock_goes_with_its_process(void **state)
{
	struct room *r = *state;
	pid_t child;
	int status;

	room_close(r);
	child = fork();
	if (child == 0) {
		struct err e;
		_exit(room_try(r, &e) == 0 ? 7 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), 7);
	room_open(r);
}

/* Stands in front of libc's: whoever waits lets the heir of the lock go on, and end. */
static int heir_goes = -1, heir_ends = -1;
int nanosleep(const struct timespec *wanted, struct timespec *left)
{
	char c;

	(void)wanted;
	(void)left;
	close(heir_goes);
	heir_goes = -1;
	assert_int_equal(read(heir_ends, &c, 1), 0);
	return 0;
}

/* As a worker does between fork and exec, while its daemon is killed. */
static void a_lock_is_waited_for_where_only_a_fork_of_the_dead_has_it(void **state)
{
	struct room *r = *state;
	int go[2], end[2];
	pid_t child;

	room_close(r);
	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(end), 0);
	child = fork();
	if (child == 0) {
		struct err e;
		char c;
		close(go[1]);
		if (room_try(r, &e) == 0 && fork() == 0)
			_exit(read(go[0], &c, 1) == 0 ? 0 : 1);
		_exit(0);
	}
	assert_int_equal(waitpid(child, NULL, 0), child);
	close(go[0]);
	close(end[1]);
	heir_goes = go[1];
	heir_ends = end[0];
	room_open(r);
	assert_int_equal(heir_goes, -1); /* it was waited for */
	close(heir_ends);
}

static void a_path_that_cannot_be_written_is_refused(void **state)
{
	struct room *r = *state, other = {.base = r->base};

	snprintf(other.dir, sizeof other.dir, "%.60s/lock/x", r->dir);
	assert_refused(&other, ERR_PERMISSION, "lock/x");
	snprintf(other.dir, sizeof other.dir, "/proc/self/x");
	assert_refused(&other, ERR_SYSTEM, "/proc/self/x");
	snprintf(other.dir, sizeof other.dir, "%.60s/lock", r->dir);
	assert_refused(&other, ERR_PERMISSION, "lock");
}

static void a_database_of_a_newer_version_is_refused_and_left_alone(void **state)
{
	struct room *r = *state;
	char sql[64];
	sqlite3 *db;

	batch_new(r, false);
	room_close(r);
	db = room_database(r);
	snprintf(sql, sizeof sql, "PRAGMA user_version = %u",
		 schema_migrations[schema_migration_count - 1].version + 1);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_refused(r, ERR_VERSION, "newer");
	db = room_database(r);
	snprintf(sql, sizeof sql, "PRAGMA user_version = %u", schema_migrations[schema_migration_count - 1].version);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	room_open(r);
	assert_true(batch_of(r, 1).found);
}

static void another_programs_database_is_refused(void **state)
{
	struct room *r = *state, other = {.base = r->base};
	sqlite3 *db;

	snprintf(other.dir, sizeof other.dir, "%.60s/other", r->dir);
	assert_int_equal(mkdir(other.dir, 0700), 0);
	db = room_database(&other);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE t (x)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_refused(&other, ERR_CORRUPT, "other program");
}

static void overwrite(struct room *r, off_t at, size_t count)
{
	char path[128], junk[4096];
	int fd;

	snprintf(path, sizeof path, "%s/fanout.db", r->dir);
	memset(junk, 0x5a, sizeof junk);
	fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	for (size_t done = 0; done < count; done += sizeof junk)
		assert_int_equal(pwrite(fd, junk, sizeof junk, at + (off_t)done), sizeof junk);
	close(fd);
}

static void a_file_that_is_no_database_is_refused_and_kept(void **state)
{
	struct room *r = *state;
	struct stat before, after;
	char path[128];

	batch_new(r, false);
	room_close(r);
	snprintf(path, sizeof path, "%s/fanout.db", r->dir);
	overwrite(r, 0, 8192);
	assert_int_equal(stat(path, &before), 0);
	assert_refused(r, ERR_CORRUPT, "damaged");
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
}

static void a_damaged_page_is_found_at_the_start(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), 3000);
	room_close(r);
	overwrite(r, 12 * 8192, 4 * 8192);
	assert_refused(r, ERR_CORRUPT, "damaged");
}

static void an_empty_file_becomes_a_database(void **state)
{
	struct room *r = *state, other = {.base = r->base};
	struct err e;
	char path[256];

	snprintf(other.dir, sizeof other.dir, "%.60s/other", r->dir);
	assert_int_equal(mkdir(other.dir, 0700), 0);
	snprintf(path, sizeof path, "%s/fanout.db", other.dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(room_try(&other, &e), 0);
	store_close(other.st);
}

static void a_good_end_leaves_no_log_behind(void **state)
{
	struct room *r = *state;
	char path[128];
	struct stat s;

	batch_new(r, false);
	room_close(r);
	snprintf(path, sizeof path, "%s/fanout.db-wal", r->dir);
	assert_true(stat(path, &s) < 0 || s.st_size == 0);
	room_open(r);
}

static void no_shared_memory_file_is_ever_made(void **state)
{
	struct room *r = *state;
	char path[128];

	batch_new(r, false);
	snprintf(path, sizeof path, "%s/fanout.db-shm", r->dir);
	assert_int_not_equal(access(path, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(missing_directories_are_made_for_us_alone),
	    TEST(a_second_daemon_is_refused_and_told_the_firsts_pid),
	    TEST(the_lock_goes_with_its_process),
	    TEST(a_lock_is_waited_for_where_only_a_fork_of_the_dead_has_it),
	    TEST(a_path_that_cannot_be_written_is_refused),
	    TEST(a_database_of_a_newer_version_is_refused_and_left_alone),
	    TEST(another_programs_database_is_refused),
	    TEST(a_file_that_is_no_database_is_refused_and_kept),
	    TEST(a_damaged_page_is_found_at_the_start),
	    TEST(an_empty_file_becomes_a_database),
	    TEST(a_good_end_leaves_no_log_behind),
	    TEST(no_shared_memory_file_is_ever_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
