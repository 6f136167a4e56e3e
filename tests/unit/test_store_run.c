/* Batches, jobs and attempts as they go: what is stored is what is read, and counts follow. */
#include "tests/unit/test_store.h"

static void a_job_goes_from_queued_to_done_and_its_result_is_read(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	uint64_t job = jobid_make(batch, jobs_like(r, batch, plain_job(), 1));
	struct job_copy j;

	assert_fine(r);
	assert_int_equal(state_of(r, batch, 1), JOB_QUEUED);
	assert_int_equal(open_job(r, job), 1);
	assert_fine(r);
	assert_int_equal(state_of(r, batch, 1), JOB_RUNNING);
	end_job(r, job, 1, (struct end){.next = JOB_DONE, .body = "hello"});
	assert_fine(r);
	j = job_of(r, job);
	assert_int_equal(j.row.state, JOB_DONE);
	assert_int_equal(j.row.status, 200);
	assert_int_equal(j.row.attempts, 1);
	assert_int_equal(j.row.size_bytes, 5);
	assert_int_equal(j.row.timings.wait_us, 900);
	assert_int_equal(j.row.queued_us, 7);
	assert_string_equal(j.body, "hello");
	assert_string_equal(j.url, "http://a.example/x");
	assert_string_equal(j.method, "GET");
	assert_true(j.row.ended_us >= j.row.submitted_us);
}

static void a_closed_batch_ends_with_its_last_job(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), 2);
	run_job(r, jobid_make(batch, 1), JOB_DONE);
	run_job(r, jobid_make(batch, 2), JOB_FAILED);
	assert_false(r->heard.batch.ended);
	assert_int_equal(mark(r, batch, STORE_MARK_CLOSE).code, ERR_NONE);
	assert_true(r->heard.batch.ended);
	assert_int_equal(r->heard.counts[JOB_DONE], 1);
	assert_int_equal(r->heard.counts[JOB_FAILED], 1);
	assert_true(batch_of(r, batch).row.ended_us > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_job_goes_from_queued_to_done_and_its_result_is_read, room_setup,
					    room_teardown),
	    cmocka_unit_test_setup_teardown(a_closed_batch_ends_with_its_last_job, room_setup, room_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
