/* New batches and jobs, their lanes, and loading what is fresh. */
#include "daemon/store_sqlite.h"
#include "tests/unit/test_store.h"

static void a_submission_key_makes_one_batch_for_one_user(void **state)
{
	struct room *r = *state;
	struct store_batch_create c[4] = {0};
	const uint32_t uids[4] = {1000, 1000, 1001, 1000};

	for (int i = 0; i < 4; i++) {
		c[i] = (struct store_batch_create){.op = op_of(r), .uid = uids[i], .key = i == 3 ? "other" : "k"};
		store_batch_create(r->st, &c[i]);
	}
	wait_done(r);
	assert_fine(r);
	assert_false(c[0].existed);
	assert_true(c[1].existed);
	assert_int_equal(c[1].batch, c[0].batch);
	assert_false(c[1].closed);
	assert_false(c[2].existed);
	assert_int_not_equal(c[2].batch, c[0].batch);
	assert_false(c[3].existed);
	mark(r, c[0].batch, STORE_MARK_CLOSE);
	c[1].op = op_of(r);
	store_batch_create(r->st, &c[1]);
	wait_done(r);
	assert_true(c[1].existed);
	assert_true(c[1].closed);
}

/* All at once; what a lost answer has it sent again finds it made. */
static struct store_batch_create create_whole(struct room *r, struct store_job_new job)
{
	struct store_batch_create c = {
	    .op = op_of(r), .uid = 1000, .key = "k", .options = "{}", .jobs = &job, .count = 1, .close = true};

	store_batch_create(r->st, &c);
	wait_done(r);
	return c;
}

static void a_key_whose_batch_has_jobs_brings_no_others(void **state)
{
	struct room *r = *state;
	struct store_batch_create begun = {.op = op_of(r), .uid = 1000, .key = "k", .options = "{}"}, again;

	store_batch_create(r->st, &begun);
	wait_done(r);
	jobs_like(r, begun.batch, plain_job(), 1);
	again = create_whole(r, plain_job());
	assert_fine(r);
	assert_true(again.existed);
	assert_false(again.closed);
	assert_int_equal(batch_of(r, begun.batch).row.counts[JOB_QUEUED], 1);
}

static void a_key_whose_batch_was_only_begun_brings_its_jobs_once(void **state)
{
	struct room *r = *state;
	struct store_batch_create begun = {.op = op_of(r), .uid = 1000, .key = "k", .options = "{}"};

	store_batch_create(r->st, &begun);
	wait_done(r);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(create_whole(r, plain_job()).batch, begun.batch);
		assert_fine(r);
		assert_int_equal(batch_of(r, begun.batch).row.counts[JOB_QUEUED], 1);
	}
}

static void a_key_whose_batch_was_begun_long_ago_and_left_empty_makes_another(void **state)
{
	struct room *r = *state;
	struct store_batch_create begun = {.op = op_of(r), .uid = 1000, .key = "k", .options = "{}"}, again = begun;

	store_batch_create(r->st, &begun);
	wait_done(r);
	meddle(r, "UPDATE batches SET touched_us = touched_us - 60000000");
	again.op = op_of(r);
	store_batch_create(r->st, &again);
	wait_done(r);
	assert_true(again.existed);
	assert_int_equal(again.batch, begun.batch);
	meddle(r, "UPDATE batches SET touched_us = touched_us - 61000000");
	for (int i = 0; i < 2; i++) {
		again.op = op_of(r);
		store_batch_create(r->st, &again);
		wait_done(r);
		assert_fine(r);
		assert_int_equal(again.existed, i);
		assert_int_equal(again.batch, begun.batch + 1);
	}
	assert_false(batch_of(r, begun.batch).found);
	jobs_like(r, begun.batch, plain_job(), 1);
	assert_int_equal(r->last.code, ERR_NOT_FOUND);
	jobs_like(r, again.batch, plain_job(), 1);
	assert_int_equal(batch_of(r, again.batch).row.counts[JOB_QUEUED], 1);
}

static void a_key_whose_batch_has_jobs_makes_no_other_however_old_they_are(void **state)
{
	struct room *r = *state;
	struct store_batch_create begun = {.op = op_of(r), .uid = 1000, .key = "k", .options = "{}"}, again;

	store_batch_create(r->st, &begun);
	wait_done(r);
	jobs_like(r, begun.batch, plain_job(), 1);
	meddle(r, "UPDATE batches SET touched_us = touched_us - 3500000000");
	again = create_whole(r, plain_job());
	assert_true(again.existed);
	assert_int_equal(again.batch, begun.batch);
	assert_int_equal(batch_of(r, begun.batch).row.counts[JOB_QUEUED], 1);
}

static void a_name_that_is_too_long_makes_no_batch(void **state)
{
	struct room *r = *state;
	struct store_job_new job = plain_job();
	char chain[STORE_NAME_MAX + 2];

	memset(chain, 'c', sizeof chain - 1);
	chain[sizeof chain - 1] = '\0';
	job.chain = chain;
	create_whole(r, job);
	assert_error(r, ERR_INPUT);
	assert_false(create_whole(r, plain_job()).existed);
	assert_fine(r);
}

static void a_batch_is_read_as_it_was_made(void **state)
{
	struct room *r = *state;
	struct store_batch_create c = {.op = op_of(r),
				       .uid = 7,
				       .name = "cats",
				       .key = "k1",
				       .options = "{\"method\":\"PUT\"}",
				       .priority = 8,
				       .concurrency = 20,
				       .held = true};
	struct batch_copy b;

	store_batch_create(r->st, &c);
	wait_done(r);
	room_reopen(r);
	b = batch_of(r, c.batch);
	assert_true(b.found);
	assert_int_equal(b.row.uid, 7);
	assert_string_equal(b.name, "cats");
	assert_string_equal(b.key, "k1");
	assert_string_equal(b.options, "{\"method\":\"PUT\"}");
	assert_int_equal(b.row.priority, 8);
	assert_int_equal(b.row.concurrency, 20);
	assert_true(b.row.held);
	assert_false(b.row.closed);
	assert_true(b.row.submitted_us > 0);
	assert_int_equal(b.row.ended_us, 0);
}

static void jobs_have_consecutive_numbers_also_after_a_restart(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	assert_int_equal(jobs_like(r, batch, plain_job(), 3), 1);
	assert_int_equal(jobs_like(r, batch, plain_job(), 2), 4);
	room_reopen(r);
	assert_int_equal(jobs_like(r, batch, plain_job(), 1), 6);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_QUEUED], 6);
	assert_int_equal(batch_new(r, false), batch + 1);
}

static void a_closed_batch_takes_no_jobs(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), 1);
	mark(r, batch, STORE_MARK_CLOSE);
	assert_int_equal(mark(r, batch, STORE_MARK_CLOSE).code, ERR_NONE);
	jobs_like(r, batch, plain_job(), 1);
	assert_int_equal(r->last.code, ERR_CONFLICT);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_QUEUED], 1);
	jobs_like(r, batch + 5, plain_job(), 1);
	assert_int_equal(r->last.code, ERR_NOT_FOUND);
}

/* Plain ones go many to a statement, and what is in between by itself. */
static void jobs_of_all_kinds_keep_their_order(void **state)
{
	enum { COUNT = 5 * STMT_JOBS_MANY };
	struct room *r = *state;
	struct store_job_new jobs[COUNT];
	char urls[COUNT][32], keys[3][8];
	uint32_t batch = batch_new(r, false);
	struct store_jobs_add a = {.op = op_of(r), .batch = batch, .jobs = jobs, .count = COUNT};

	for (int i = 0; i < 3; i++)
		snprintf(keys[i], sizeof keys[i], "h%d:80", i);
	for (int i = 0; i < COUNT; i++) {
		snprintf(urls[i], sizeof urls[i], "http://h%d/%d", i % 3, i + 1);
		jobs[i] = (struct store_job_new){.url = urls[i], .limit_key = keys[i % 3]};
		if (i == 0 || i == 40 || i == 3 * STMT_JOBS_MANY + 9)
			jobs[i].method = "PUT";
	}
	store_jobs_add(r->st, &a);
	wait_done(r);
	assert_fine(r);
	room_reopen(r);
	assert_int_equal(batch_of(r, a.batch).row.counts[JOB_QUEUED], COUNT);
	for (int i = 0; i < COUNT; i++) {
		struct job_copy one = job_of(r, jobid_make(a.batch, (uint32_t)i + 1));

		assert_string_equal(one.url, urls[i]);
		assert_string_equal(one.method, jobs[i].method ? "PUT" : "");
	}
}

static void an_empty_batch_that_is_closed_has_ended(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	mark(r, batch, STORE_MARK_CLOSE);
	assert_true(batch_of(r, batch).row.ended_us > 0);
	assert_true(r->heard.batch.ended);
}

static void a_name_that_is_too_long_takes_nothing_of_its_request(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_job_new jobs[2] = {plain_job(), plain_job()};
	struct store_jobs_add a = {.op = op_of(r), .batch = batch, .jobs = jobs, .count = 2};
	char longname[2000];

	memset(longname, 'x', sizeof longname - 1);
	longname[sizeof longname - 1] = '\0';
	jobs[1].chain = longname;
	store_jobs_add(r->st, &a);
	wait_done(r);
	assert_int_equal(r->last.code, ERR_INPUT);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_QUEUED], 0);
}

static void each_limit_key_of_a_batch_is_a_lane(void **state)
{
	struct room *r = *state;
	uint32_t one = batch_new(r, false), two = batch_new(r, false);
	struct store_job_new b = {.limit_key = "b.example:80", .url = "http://b.example/"};
	int64_t lane_a, lane_b;

	jobs_like(r, one, plain_job(), 1);
	lane_a = r->heard.lane.id;
	assert_int_equal(r->heard.lane.batch, one);
	assert_string_equal(r->heard.key, "a.example:80");
	assert_true(r->heard.lane.fresh);
	jobs_like(r, one, b, 1);
	lane_b = r->heard.lane.id;
	assert_int_not_equal(lane_a, lane_b);
	jobs_like(r, one, plain_job(), 1);
	assert_int_equal(r->heard.lane.id, lane_a);
	jobs_like(r, two, plain_job(), 1);
	assert_int_not_equal(r->heard.lane.id, lane_a);
	assert_int_equal(load(r, lane_a, false, 0, 10).count, 2);
	assert_int_equal(load(r, lane_b, false, 0, 10).count, 1);
}

static void fresh_jobs_are_loaded_once_in_order_and_by_the_cursor(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct ids ids;
	int64_t lane;

	jobs_like(r, batch, plain_job(), 5);
	lane = r->heard.lane.id;
	open_job(r, jobid_make(batch, 2));
	ids = load(r, lane, false, 0, 2);
	assert_int_equal(ids.count, 2);
	assert_int_equal(ids.id[0], jobid_make(batch, 1));
	assert_int_equal(ids.id[1], jobid_make(batch, 3));
	assert_true(ids.more);
	ids = load(r, lane, false, ids.last, 10);
	assert_int_equal(ids.count, 2);
	assert_int_equal(ids.id[1], jobid_make(batch, 5));
	assert_false(ids.more);
	assert_int_equal(load(r, lane, false, ids.last, 10).count, 0);
	assert_int_equal(load(r, lane + 99, false, 0, 10).count, 0);
	assert_int_equal(r->last.code, ERR_NOT_FOUND);
}

static void a_held_batch_starts_when_it_is_closed(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, true);
	struct store_op op;

	jobs_like(r, batch, plain_job(), 2);
	assert_int_equal(r->heard.lanes, 0);
	op = op_of(r);
	store_announce_lanes(r->st, &op);
	wait_done(r);
	assert_int_equal(r->heard.lanes, 0);
	mark(r, batch, STORE_MARK_CLOSE);
	assert_int_equal(r->heard.lanes, 1);
	assert_true(r->heard.lane.fresh);
	assert_string_equal(r->heard.key, "a.example:80");
	assert_int_equal(load(r, r->heard.lane.id, false, 0, 10).count, 2);
}

static void lanes_of_live_batches_are_announced_after_a_restart(void **state)
{
	struct room *r = *state;
	uint32_t live = batch_new(r, false), ended = batch_new(r, false);
	struct store_op op;
	int64_t lane;

	jobs_like(r, ended, plain_job(), 1);
	run_job(r, jobid_make(ended, 1), JOB_DONE);
	mark(r, ended, STORE_MARK_CLOSE);
	jobs_like(r, live, plain_job(), 3);
	lane = r->heard.lane.id;
	run_job(r, jobid_make(live, 1), JOB_DONE);
	open_job(r, jobid_make(live, 2));
	end_job(r, jobid_make(live, 2), 1, (struct end){.next = JOB_QUEUED, .due_us = 12345});
	store_lane_head(r->st, lane, jobid_make(live, 2));
	batch_new(r, false); /* the head is written with the next commit */
	room_reopen(r);
	r->heard = (struct heard){0};
	op = op_of(r);
	store_announce_lanes(r->st, &op);
	wait_done(r);
	assert_int_equal(r->heard.lanes, 1);
	assert_int_equal(r->heard.lane.id, lane);
	assert_int_equal(r->heard.lane.batch, live);
	assert_int_equal(r->heard.lane.head, jobid_make(live, 2));
	assert_int_equal(r->heard.lane.next_due_us, 12345);
	assert_true(r->heard.lane.fresh);
	assert_int_equal(load(r, lane, false, r->heard.lane.head, 10).count, 1);
}

static void ten_thousand_lanes_are_kept_apart(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	enum { LANES = 10000 };
	struct store_job_new *jobs = calloc(LANES, sizeof *jobs);
	char(*keys)[32] = calloc(LANES, sizeof *keys);
	struct store_jobs_add a = {.op = op_of(r), .batch = batch, .jobs = jobs, .count = LANES};

	for (size_t i = 0; i < LANES; i++) {
		snprintf(keys[i], sizeof keys[i], "h%zu.example:80", i);
		jobs[i] = (struct store_job_new){.limit_key = keys[i], .url = "http://h.example/"};
	}
	for (int round = 0; round < 2; round++) {
		if (round)
			a.op = op_of(r);
		store_jobs_add(r->st, &a);
		wait_done(r);
		assert_fine(r);
	}
	assert_int_equal(r->heard.lanes, 2 * LANES);
	assert_int_equal(load(r, r->heard.lane.id, false, 0, 10).count, 2);
	free(jobs);
	free(keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_submission_key_makes_one_batch_for_one_user),
	    TEST(a_key_whose_batch_has_jobs_brings_no_others),
	    TEST(a_key_whose_batch_was_only_begun_brings_its_jobs_once),
	    TEST(a_key_whose_batch_was_begun_long_ago_and_left_empty_makes_another),
	    TEST(a_key_whose_batch_has_jobs_makes_no_other_however_old_they_are),
	    TEST(a_name_that_is_too_long_makes_no_batch),
	    TEST(a_batch_is_read_as_it_was_made),
	    TEST(jobs_have_consecutive_numbers_also_after_a_restart),
	    TEST(a_closed_batch_takes_no_jobs),
	    TEST(jobs_of_all_kinds_keep_their_order),
	    TEST(an_empty_batch_that_is_closed_has_ended),
	    TEST(a_name_that_is_too_long_takes_nothing_of_its_request),
	    TEST(each_limit_key_of_a_batch_is_a_lane),
	    TEST(fresh_jobs_are_loaded_once_in_order_and_by_the_cursor),
	    TEST(a_held_batch_starts_when_it_is_closed),
	    TEST(lanes_of_live_batches_are_announced_after_a_restart),
	    TEST(ten_thousand_lanes_are_kept_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
