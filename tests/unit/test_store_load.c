/* Loading many at once: whether something became of a job is asked for all of them first, and of each only then. */
#include "tests/unit/test_store.h"

#define JOBS 300
#define ROOM 64

static int64_t lane_with_jobs(struct room *r, uint32_t *batch)
{
	*batch = batch_new(r, false);
	jobs_like(r, *batch, plain_job(), JOBS);
	return r->heard.lane.id;
}

/* Behind `after`, `room` jobs are loaded, and job `gone` is not among them. */
static void assert_passed_over(struct room *r, int64_t lane, uint32_t batch, uint32_t after, size_t room, uint32_t gone)
{
	struct ids ids = load(r, lane, false, jobid_make(batch, after), room);
	uint32_t next = after;

	assert_int_equal(ids.count, room);
	for (size_t i = 0; i < ids.count; i++) {
		if (++next == gone)
			next++;
		assert_int_equal(ids.id[i], jobid_make(batch, next));
	}
	assert_int_equal(ids.last, jobid_make(batch, next));
}

static void nothing_is_passed_over_where_nothing_happened(void **state)
{
	struct room *r = *state;
	uint32_t batch;
	int64_t lane = lane_with_jobs(r, &batch);

	assert_passed_over(r, lane, batch, 0, ROOM, 0);
	assert_passed_over(r, lane, batch, 64, ROOM, 0);
	assert_int_equal(load(r, lane, false, jobid_make(batch, 0), IDS_MAX).count, JOBS);
}

static void what_is_done_in_the_block_where_a_load_begins_is_not_loaded(void **state)
{
	struct room *r = *state;
	uint32_t batch;
	int64_t lane = lane_with_jobs(r, &batch);

	run_job(r, jobid_make(batch, 127), JOB_DONE); /* the last of its block */
	assert_passed_over(r, lane, batch, 65, ROOM, 127);
	assert_passed_over(r, lane, batch, 126, ROOM, 127);
	assert_passed_over(r, lane, batch, 127, ROOM, 0);
	run_job(r, jobid_make(batch, 64), JOB_DONE); /* the first of it */
	assert_passed_over(r, lane, batch, 127, ROOM, 0);
	room_reopen(r);
	assert_passed_over(r, lane, batch, 126, ROOM, 127);
}

static void what_is_done_in_a_later_block_is_not_loaded(void **state)
{
	struct room *r = *state;
	uint32_t batch;
	int64_t lane = lane_with_jobs(r, &batch);

	run_job(r, jobid_make(batch, 128), JOB_DONE);
	assert_passed_over(r, lane, batch, 90, ROOM, 128);
	assert_passed_over(r, lane, batch, 0, 2 * ROOM + 1, 128);
}

static void what_was_cancelled_or_runs_is_not_loaded(void **state)
{
	struct room *r = *state;
	uint32_t batch;
	int64_t lane = lane_with_jobs(r, &batch);

	assert_int_equal(mark_job(r, jobid_make(batch, 100), STORE_MARK_CANCEL).code, ERR_NONE);
	assert_passed_over(r, lane, batch, 50, ROOM, 100);
	assert_passed_over(r, lane, batch, 99, ROOM, 100);
	open_job(r, jobid_make(batch, 200));
	assert_passed_over(r, lane, batch, 180, ROOM, 200);
}

/* Its end is of the same transaction as the load. */
static void what_is_done_within_the_turn_is_not_loaded(void **state)
{
	struct room *r = *state;
	uint32_t batch, n;
	int64_t lane = lane_with_jobs(r, &batch);
	struct message_outcome m;
	struct store_attempt_end a;

	n = open_job(r, jobid_make(batch, 70));
	m = bare_outcome(jobid_make(batch, 70), n);
	a = (struct store_attempt_end){.op = op_of(r),
				       .outcome = &m,
				       .method = "GET",
				       .next = JOB_DONE,
				       .tries = 1,
				       .actions = job_step(JOB_RUNNING, JOB_EV_SUCCEED).actions};
	store_attempt_end(r->st, &a);
	assert_passed_over(r, lane, batch, 40, ROOM, 70);
	wait_done(r);
	assert_fine(r);
	assert_passed_over(r, lane, batch, 40, ROOM, 70);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(nothing_is_passed_over_where_nothing_happened),
	    TEST(what_is_done_in_the_block_where_a_load_begins_is_not_loaded),
	    TEST(what_is_done_in_a_later_block_is_not_loaded),
	    TEST(what_was_cancelled_or_runs_is_not_loaded),
	    TEST(what_is_done_within_the_turn_is_not_loaded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
