/* Bodies in files: kept with a final attempt, gone in every other case, in the end also after a crash. */
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/unit/test_store.h"

/* As a worker leaves one. */
static void write_body(struct room *r, uint64_t job, uint32_t n)
{
	char path[JOBID_PATH_SIZE], dir[16];
	int fd;

	snprintf(dir, sizeof dir, "%u", jobid_batch(job));
	mkdirat(store_bodies_fd(r->st), dir, 0700);
	fd = openat(store_bodies_fd(r->st), jobid_body_path(path, job, n), O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "0123456789", 10), 10);
	close(fd);
}

static bool body_there(struct room *r, uint64_t job, uint32_t n)
{
	char path[JOBID_PATH_SIZE];

	return faccessat(store_bodies_fd(r->st), jobid_body_path(path, job, n), F_OK, 0) == 0;
}

static int64_t bodies_bytes(struct room *r)
{
	struct store_totals t;

	store_totals(r->st, &t);
	return t.bodies_bytes;
}

/* Opens, and ends with a file. */
static void run_with_file(struct room *r, uint64_t job, enum job_state next)
{
	uint32_t n = open_job(r, job);

	write_body(r, job, n);
	end_job(r, job, n, (struct end){.next = next, .body = "0123456789", .in_file = true, .due_us = 1});
	assert_fine(r);
}

static void the_file_of_a_final_attempt_is_kept(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct job_copy j;

	jobs_like(r, batch, plain_job(), 1);
	run_with_file(r, jobid_make(batch, 1), JOB_DONE);
	assert_true(body_there(r, jobid_make(batch, 1), 1));
	j = job_of(r, jobid_make(batch, 1));
	assert_true(j.row.body_in_file);
	assert_true(j.newest_has_body);
	assert_int_equal(j.row.size_bytes, 10);
	assert_int_equal(bodies_bytes(r), 10);
	room_reopen(r);
	assert_int_equal(bodies_bytes(r), 10);
}

static void the_file_of_an_attempt_that_was_not_the_last_goes(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), 1);
	run_with_file(r, jobid_make(batch, 1), JOB_QUEUED);
	assert_false(body_there(r, jobid_make(batch, 1), 1));
	assert_int_equal(bodies_bytes(r), 0);
	assert_false(job_of(r, jobid_make(batch, 1)).row.body_in_file);
}

static void a_retried_jobs_file_goes(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	uint64_t job = jobid_make(batch, 1);

	jobs_like(r, batch, plain_job(), 1);
	run_with_file(r, job, JOB_FAILED);
	assert_true(body_there(r, job, 1));
	assert_true(job_of(r, job).row.body_in_file);
	mark_job(r, job, STORE_MARK_RETRY);
	assert_false(body_there(r, job, 1));
	assert_false(job_of(r, job).row.body_in_file);
	assert_false(job_of(r, job).newest_has_body);
	assert_int_equal(bodies_bytes(r), 0);
	run_with_file(r, job, JOB_DONE);
	assert_true(body_there(r, job, 2));
	assert_int_equal(bodies_bytes(r), 10);
}

static void a_removed_batchs_files_go_with_it(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false), other = batch_new(r, false);
	char dir[16];

	jobs_like(r, batch, plain_job(), 300);
	jobs_like(r, other, plain_job(), 1);
	run_with_file(r, jobid_make(other, 1), JOB_DONE);
	for (uint32_t i = 1; i <= 300; i++)
		run_with_file(r, jobid_make(batch, i), JOB_DONE);
	mark(r, batch, STORE_MARK_CLOSE);
	mark(r, batch, STORE_MARK_REMOVE);
	assert_true(body_there(r, jobid_make(batch, 1), 1));
	step_all(r);
	snprintf(dir, sizeof dir, "%u", batch);
	assert_int_not_equal(faccessat(store_bodies_fd(r->st), dir, F_OK, 0), 0);
	assert_true(body_there(r, jobid_make(other, 1), 1));
	assert_int_equal(bodies_bytes(r), 10);
}

static void a_file_that_a_lost_worker_left_goes_when_its_attempt_is_settled(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	uint64_t job = jobid_make(batch, 1);

	jobs_like(r, batch, plain_job(), 1);
	open_job(r, job);
	write_body(r, job, 1);
	room_reopen(r);
	end_job(r, job, 1, (struct end){.next = JOB_QUEUED, .due_us = 1});
	assert_false(body_there(r, job, 1));
}

static void a_batch_directory_without_a_batch_is_removed(void **state)
{
	struct room *r = *state;

	write_body(r, jobid_make(77, 1), 1);
	write_body(r, jobid_make(77, 2), 1);
	room_reopen(r);
	step_until_quiet(r);
	assert_int_not_equal(faccessat(store_bodies_fd(r->st), "77", F_OK, 0), 0);
}

/* What SIGKILL leaves: the mark of a good end is missing. */
static void forget_good_end(struct room *r)
{
	meddle(r, "DELETE FROM counters WHERE name = 'clean'");
}

static void after_a_crash_files_that_no_result_has_are_removed(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	char odd[64];

	jobs_like(r, batch, plain_job(), 4);
	run_with_file(r, jobid_make(batch, 1), JOB_DONE);
	run_job(r, jobid_make(batch, 2), JOB_DONE);
	open_job(r, jobid_make(batch, 3));
	write_body(r, jobid_make(batch, 1), 7); /* no such attempt */
	write_body(r, jobid_make(batch, 2), 1); /* its body was inline */
	write_body(r, jobid_make(batch, 3), 1); /* may still be written */
	write_body(r, jobid_make(batch, 4), 1); /* never started */
	write_body(r, jobid_make(batch, 99), 1);
	snprintf(odd, sizeof odd, "%u/01.1", batch);
	close(openat(store_bodies_fd(r->st), odd, O_CREAT | O_WRONLY, 0600));
	forget_good_end(r);
	step_until_quiet(r);
	assert_true(body_there(r, jobid_make(batch, 1), 1));
	assert_false(body_there(r, jobid_make(batch, 1), 7));
	assert_false(body_there(r, jobid_make(batch, 2), 1));
	assert_true(body_there(r, jobid_make(batch, 3), 1));
	assert_false(body_there(r, jobid_make(batch, 4), 1));
	assert_false(body_there(r, jobid_make(batch, 99), 1));
	assert_int_not_equal(faccessat(store_bodies_fd(r->st), odd, F_OK, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_file_of_a_final_attempt_is_kept),
	    TEST(the_file_of_an_attempt_that_was_not_the_last_goes),
	    TEST(a_retried_jobs_file_goes),
	    TEST(a_removed_batchs_files_go_with_it),
	    TEST(a_file_that_a_lost_worker_left_goes_when_its_attempt_is_settled),
	    TEST(a_batch_directory_without_a_batch_is_removed),
	    TEST(after_a_crash_files_that_no_result_has_are_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
