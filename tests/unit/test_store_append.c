/* Jobs and outcomes get the numbers that they were meant to have, whichever of them SQLite chose: in the newest batch
 * and in older ones, after the newest is removed, after a restart and after a transaction that failed. (The store stops
 * the process where a row got another one.) */
#include "daemon/store_sqlite.h"
#include "tests/unit/test_store.h"

static void assert_jobs(struct room *r, uint32_t batch, uint32_t count, enum job_state state)
{
	for (uint32_t seq = 1; seq <= count; seq++) {
		struct job_copy c = job_of(r, jobid_make(batch, seq));
		assert_true(c.found);
		assert_int_equal(c.row.state, state);
		assert_int_equal(c.attempts, state == JOB_DONE ? 1 : 0);
	}
	assert_false(job_of(r, jobid_make(batch, count + 1)).found);
}

static void run_all(struct room *r, uint32_t batch, uint32_t from, uint32_t to)
{
	for (uint32_t seq = from; seq <= to; seq++)
		run_job(r, jobid_make(batch, seq), JOB_DONE);
}

static void batches_that_take_turns_keep_their_numbers(void **state)
{
	struct room *r = *state;
	uint32_t batch[2] = {batch_new(r, false), batch_new(r, false)};

	for (int i = 0; i < 3; i++) {
		for (int b = 0; b < 2; b++)
			assert_int_equal(jobs_like(r, batch[b], plain_job(), 70), 1 + i * 70);
	}
	for (uint32_t seq = 1; seq <= 210; seq++) {
		for (int b = 0; b < 2; b++)
			run_job(r, jobid_make(batch[(b + seq / 3) % 2], seq), JOB_DONE);
		if (seq == 100)
			room_reopen(r);
	}
	for (int b = 0; b < 2; b++)
		assert_jobs(r, batch[b], 210, JOB_DONE);
}

static void an_older_batch_goes_on_when_the_newest_is_removed(void **state)
{
	struct room *r = *state;
	uint32_t old = batch_new(r, false), newest;

	jobs_like(r, old, plain_job(), 40);
	run_all(r, old, 1, 20);
	newest = batch_new(r, false);
	jobs_like(r, newest, plain_job(), 40);
	run_all(r, newest, 1, 40);
	mark(r, newest, STORE_MARK_CLOSE);
	mark(r, newest, STORE_MARK_REMOVE);
	step_all(r);
	assert_int_equal(jobs_like(r, old, plain_job(), 40), 41);
	run_all(r, old, 21, 80);
	assert_jobs(r, old, 80, JOB_DONE);
	assert_false(job_of(r, jobid_make(newest, 1)).found);
}

/* What was undone had moved the greatest number on. */
static void a_failed_turn_leaves_no_gap(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_job_new jobs[40];
	struct store_jobs_add a = {.op = op_of(r), .batch = batch, .jobs = jobs, .count = 40};

	for (int i = 0; i < 40; i++)
		jobs[i] = plain_job();
	store_jobs_add(r->st, &a);
	store_sql_failed(r->st, SQLITE_FULL);
	wait_done(r);
	assert_error(r, ERR_NO_SPACE);
	assert_int_equal(jobs_like(r, batch, plain_job(), 40), 1);
	assert_fine(r);
	run_all(r, batch, 1, 40);
	assert_jobs(r, batch, 40, JOB_DONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(batches_that_take_turns_keep_their_numbers),
	    TEST(an_older_batch_goes_on_when_the_newest_is_removed),
	    TEST(a_failed_turn_leaves_no_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
