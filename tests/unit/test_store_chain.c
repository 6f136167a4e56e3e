/* Chains: jobs that run in order, and what happens to the others when one ends. */
#include "tests/unit/test_store.h"

static void the_first_job_of_a_chain_is_queued_and_the_others_wait(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct ids ids;

	chain_jobs(r, batch, "a", 3);
	chain_jobs(r, batch, "b", 2);
	ids = load(r, r->heard.lane.id, false, 0, 10);
	assert_int_equal(ids.count, 2);
	assert_int_equal(ids.id[0], jobid_make(batch, 1));
	assert_int_equal(ids.id[1], jobid_make(batch, 4));
	assert_int_equal(batch_of(r, batch).row.counts[JOB_BLOCKED], 3);
	open_job(r, jobid_make(batch, 2));
	assert_int_equal(r->last.code, ERR_CONFLICT);
}

static void a_job_that_is_done_lets_its_successor_go(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct ids ids;

	chain_jobs(r, batch, "a", 3);
	for (uint32_t i = 1; i <= 3; i++) {
		assert_int_equal(state_of(r, batch, i), JOB_QUEUED);
		if (i < 3)
			assert_int_equal(state_of(r, batch, i + 1), JOB_BLOCKED);
		if (i > 1) {
			ids = load(r, r->heard.lane.id, true, 0, 10);
			assert_int_equal(ids.count, 1);
			assert_int_equal(ids.id[0], jobid_make(batch, i));
		}
		room_reopen(r); /* nothing of this is in memory only */
		r->heard.lane.next_due_us = INT64_MAX;
		run_job(r, jobid_make(batch, i), JOB_DONE);
		if (i < 3)
			assert_true(r->heard.lane.next_due_us <= clock_wall_us());
	}
	assert_int_equal(batch_of(r, batch).row.counts[JOB_DONE], 3);
}

static void an_attempt_that_is_put_off_does_not_let_the_successor_go(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	chain_jobs(r, batch, "a", 2);
	open_job(r, jobid_make(batch, 1));
	end_job(r, jobid_make(batch, 1), 1, (struct end){.next = JOB_QUEUED, .due_us = 1});
	assert_int_equal(state_of(r, batch, 2), JOB_BLOCKED);
}

static void when_a_job_fails_the_rest_of_its_chain_fails_and_says_why(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct job_copy j;
	char text[64];

	chain_jobs(r, batch, "a", 3);
	chain_jobs(r, batch, "b", 2);
	run_job(r, jobid_make(batch, 1), JOB_FAILED);
	j = job_of(r, jobid_make(batch, 3));
	assert_int_equal(j.row.state, JOB_FAILED);
	assert_int_equal(j.row.reason, REASON_PREDECESSOR);
	snprintf(text, sizeof text, "job %u.1 of its chain failed", batch);
	assert_string_equal(j.error, text);
	assert_int_equal(j.row.attempts, 0);
	assert_true(j.row.ended_us > 0);
	assert_int_equal(state_of(r, batch, 5), JOB_BLOCKED);
	chain_jobs(r, batch, "a", 1);
	assert_int_equal(state_of(r, batch, 6), JOB_FAILED);
	assert_int_equal(job_of(r, jobid_make(batch, 6)).row.reason, REASON_PREDECESSOR);
	mark(r, batch, STORE_MARK_CLOSE);
	run_job(r, jobid_make(batch, 4), JOB_DONE);
	run_job(r, jobid_make(batch, 5), JOB_DONE);
	assert_true(r->heard.batch.ended);
}

static void the_rest_of_a_long_chain_fails_in_steps_also_after_a_restart(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct batch_copy b;

	chain_jobs(r, batch, "a", 1500);
	mark(r, batch, STORE_MARK_CLOSE);
	run_job(r, jobid_make(batch, 1), JOB_FAILED);
	b = batch_of(r, batch);
	assert_int_equal(b.row.counts[JOB_FAILED], 257);
	store_step(r->st);
	b = batch_of(r, batch);
	assert_int_equal(b.row.counts[JOB_FAILED], 513);
	room_reopen(r);
	step_all(r);
	b = batch_of(r, batch);
	assert_int_equal(b.row.counts[JOB_FAILED], 1500);
	assert_true(b.row.ended_us > 0);
}

static void a_blocked_job_that_is_cancelled_takes_only_those_behind_it_along(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	chain_jobs(r, batch, "a", 4);
	assert_int_equal(mark_job(r, jobid_make(batch, 3), STORE_MARK_CANCEL).code, ERR_NONE);
	assert_int_equal(state_of(r, batch, 1), JOB_QUEUED);
	assert_int_equal(state_of(r, batch, 2), JOB_BLOCKED);
	assert_int_equal(state_of(r, batch, 3), JOB_CANCELLED);
	assert_int_equal(state_of(r, batch, 4), JOB_FAILED);
	run_job(r, jobid_make(batch, 1), JOB_DONE);
	run_job(r, jobid_make(batch, 2), JOB_DONE);
}

static void a_queued_job_that_is_cancelled_fails_the_rest(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	chain_jobs(r, batch, "a", 2);
	mark_job(r, jobid_make(batch, 1), STORE_MARK_CANCEL);
	assert_int_equal(state_of(r, batch, 1), JOB_CANCELLED);
	assert_int_equal(state_of(r, batch, 2), JOB_FAILED);
}

static void a_failed_job_of_a_chain_can_be_retried_but_not_one_behind_it(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	chain_jobs(r, batch, "a", 3);
	run_job(r, jobid_make(batch, 1), JOB_DONE);
	run_job(r, jobid_make(batch, 2), JOB_FAILED);
	assert_int_equal(mark_job(r, jobid_make(batch, 3), STORE_MARK_RETRY).code, ERR_CONFLICT);
	assert_int_equal(mark_job(r, jobid_make(batch, 1), STORE_MARK_RETRY).code, ERR_CONFLICT);
	assert_int_equal(mark_job(r, jobid_make(batch, 2), STORE_MARK_RETRY).code, ERR_NONE);
	assert_int_equal(state_of(r, batch, 2), JOB_QUEUED);
	/* Now there is one before it that has to be done first. */
	assert_int_equal(mark_job(r, jobid_make(batch, 3), STORE_MARK_RETRY).code, ERR_NONE);
	assert_int_equal(state_of(r, batch, 3), JOB_BLOCKED);
	run_job(r, jobid_make(batch, 2), JOB_DONE);
	assert_int_equal(state_of(r, batch, 3), JOB_QUEUED);
	run_job(r, jobid_make(batch, 3), JOB_DONE);
}

static void one_before_that_is_retried_later_is_not_forgotten(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct job_copy j;
	char text[64];

	/* 1 is cancelled while 2 waits; 2 and 3 fail with it; both are retried, the later one first. */
	chain_jobs(r, batch, "a", 2);
	mark_job(r, jobid_make(batch, 1), STORE_MARK_CANCEL);
	mark_job(r, jobid_make(batch, 1), STORE_MARK_RETRY);
	mark_job(r, jobid_make(batch, 2), STORE_MARK_RETRY);
	assert_int_equal(state_of(r, batch, 2), JOB_BLOCKED);
	mark_job(r, jobid_make(batch, 1), STORE_MARK_CANCEL);
	assert_int_equal(state_of(r, batch, 2), JOB_FAILED);
	snprintf(text, sizeof text, "job %u.1 of its chain was cancelled", batch);
	j = job_of(r, jobid_make(batch, 2));
	assert_string_equal(j.error, text);
	chain_jobs(r, batch, "a", 1);
	j = job_of(r, jobid_make(batch, 3));
	assert_string_equal(j.error, text);
	mark_job(r, jobid_make(batch, 1), STORE_MARK_RETRY);
	run_job(r, jobid_make(batch, 1), JOB_DONE);
	mark_job(r, jobid_make(batch, 2), STORE_MARK_RETRY);
	run_job(r, jobid_make(batch, 2), JOB_DONE);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_DONE], 2);
}

static void a_retried_batch_runs_its_chains_in_order_again(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	chain_jobs(r, batch, "a", 4);
	chain_jobs(r, batch, "b", 2);
	mark(r, batch, STORE_MARK_CLOSE);
	run_job(r, jobid_make(batch, 1), JOB_DONE);
	run_job(r, jobid_make(batch, 2), JOB_FAILED);
	assert_int_equal(mark(r, batch, STORE_MARK_RETRY).code, ERR_CONFLICT);
	run_job(r, jobid_make(batch, 5), JOB_FAILED);
	assert_true(r->heard.batch.ended);
	assert_int_equal(mark(r, batch, STORE_MARK_RETRY).code, ERR_NONE);
	assert_false(r->heard.batch.ended);
	step_all(r);
	assert_int_equal(state_of(r, batch, 1), JOB_DONE);
	assert_int_equal(state_of(r, batch, 2), JOB_QUEUED);
	assert_int_equal(state_of(r, batch, 3), JOB_BLOCKED);
	assert_int_equal(state_of(r, batch, 4), JOB_BLOCKED);
	assert_int_equal(state_of(r, batch, 5), JOB_QUEUED);
	assert_int_equal(state_of(r, batch, 6), JOB_BLOCKED);
	for (uint32_t i = 2; i <= 6; i++)
		run_job(r, jobid_make(batch, i), JOB_DONE);
	assert_true(r->heard.batch.ended);
	assert_int_equal(r->heard.counts[JOB_DONE], 6);
}

static void a_chain_that_fails_again_while_its_batch_is_being_retried_stays_failed(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	/* More than one step of the sweep lies between the first job of the chain and its last. */
	chain_jobs(r, batch, "a", 1);
	jobs_like(r, batch, plain_job(), 4000);
	chain_jobs(r, batch, "a", 2);
	mark(r, batch, STORE_MARK_CANCEL);
	step_all(r);
	assert_true(r->heard.batch.ended);
	mark(r, batch, STORE_MARK_RETRY);
	store_step(r->st);
	wait_told(r);
	assert_int_equal(state_of(r, batch, 1), JOB_QUEUED);
	assert_int_equal(state_of(r, batch, 4002), JOB_CANCELLED);
	run_job(r, jobid_make(batch, 1), JOB_FAILED);
	step_all(r);
	assert_int_equal(state_of(r, batch, 4001), JOB_QUEUED);
	assert_int_equal(state_of(r, batch, 4002), JOB_CANCELLED);
	assert_int_equal(state_of(r, batch, 4003), JOB_CANCELLED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_first_job_of_a_chain_is_queued_and_the_others_wait),
	    TEST(a_job_that_is_done_lets_its_successor_go),
	    TEST(an_attempt_that_is_put_off_does_not_let_the_successor_go),
	    TEST(when_a_job_fails_the_rest_of_its_chain_fails_and_says_why),
	    TEST(the_rest_of_a_long_chain_fails_in_steps_also_after_a_restart),
	    TEST(a_blocked_job_that_is_cancelled_takes_only_those_behind_it_along),
	    TEST(a_queued_job_that_is_cancelled_fails_the_rest),
	    TEST(a_failed_job_of_a_chain_can_be_retried_but_not_one_behind_it),
	    TEST(one_before_that_is_retried_later_is_not_forgotten),
	    TEST(a_retried_batch_runs_its_chains_in_order_again),
	    TEST(a_chain_that_fails_again_while_its_batch_is_being_retried_stays_failed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
