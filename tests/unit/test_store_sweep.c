/* Marks on batches, carried out in steps: cancel, retry, remove; retention and batches that nobody closes. */
#include <sys/stat.h>

#include "tests/unit/test_store.h"

static void a_cancelled_batch_ends_step_by_step(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_batch_mark m = {.batch = batch, .mark = STORE_MARK_CANCEL};
	struct batch_copy b;

	jobs_like(r, batch, plain_job(), 1300);
	run_job(r, jobid_make(batch, 5), JOB_DONE);
	m.op = op_of(r);
	store_batch_mark(r->st, &m);
	wait_done(r);
	assert_int_equal(m.counts[JOB_QUEUED], 1299);
	assert_int_equal(m.counts[JOB_DONE], 1);
	b = batch_of(r, batch);
	assert_true(b.row.closed);
	assert_int_equal(b.row.sweep, STORE_SWEEP_CANCEL);
	assert_int_equal(load(r, r->heard.lane.id, false, 0, 10).count, 0);
	open_job(r, jobid_make(batch, 1300));
	assert_int_equal(r->last.code, ERR_CONFLICT);
	assert_true(store_step(r->st));
	wait_told(r);
	assert_in_range(r->heard.counts[JOB_CANCELLED], 1, 1298);
	room_reopen(r);
	step_all(r);
	b = batch_of(r, batch);
	assert_int_equal(b.row.counts[JOB_CANCELLED], 1299);
	assert_int_equal(b.row.counts[JOB_DONE], 1);
	assert_int_equal(b.row.sweep, STORE_SWEEP_NONE);
	assert_true(b.row.ended_us > 0);
	assert_int_equal(job_of(r, jobid_make(batch, 7)).row.state, JOB_CANCELLED);
	assert_int_equal(job_of(r, jobid_make(batch, 7)).row.reason, REASON_NONE);
}

static void what_is_being_cancelled_is_not_removed_and_says_how_much_is_left(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), 3);
	mark(r, batch, STORE_MARK_REMOVE);
	assert_int_equal(r->last.code, ERR_CONFLICT);
	assert_non_null(strstr(r->last.hint, "cancel it first"));
	open_job(r, jobid_make(batch, 1));
	mark(r, batch, STORE_MARK_CANCEL);
	step_all(r);
	mark(r, batch, STORE_MARK_REMOVE);
	assert_int_equal(r->last.code, ERR_CONFLICT);
	assert_non_null(strstr(r->last.what, "is being cancelled, with 1 of its jobs to go"));
	assert_null(strstr(r->last.hint, "cancel it first"));
	end_job(r, jobid_make(batch, 1), 1, (struct end){.next = JOB_QUEUED, .due_us = 1});
	mark(r, batch, STORE_MARK_REMOVE);
	assert_fine(r);
}

static void a_running_job_of_a_cancelled_batch_is_never_put_off(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_attempt_undo u = {.job = jobid_make(batch, 2), .n = 1};

	jobs_like(r, batch, plain_job(), 4);
	for (uint32_t i = 1; i <= 3; i++)
		open_job(r, jobid_make(batch, i));
	mark(r, batch, STORE_MARK_CANCEL);
	step_all(r);
	assert_int_equal(state_of(r, batch, 4), JOB_CANCELLED);
	assert_int_equal(batch_of(r, batch).row.sweep, STORE_SWEEP_CANCEL);
	room_reopen(r);
	end_job(r, jobid_make(batch, 1), 1, (struct end){.next = JOB_QUEUED, .due_us = 1});
	assert_fine(r);
	assert_int_equal(state_of(r, batch, 1), JOB_CANCELLED);
	u.op = op_of(r);
	store_attempt_undo(r->st, &u);
	wait_done(r);
	assert_fine(r);
	assert_int_equal(state_of(r, batch, 2), JOB_CANCELLED);
	assert_false(r->heard.batch.ended);
	end_job(r, jobid_make(batch, 3), 1, (struct end){.next = JOB_DONE});
	assert_int_equal(state_of(r, batch, 3), JOB_DONE);
	assert_true(r->heard.batch.ended);
	assert_int_equal(batch_of(r, batch).row.sweep, STORE_SWEEP_NONE);
}

static void a_retried_batch_queues_what_failed_or_was_cancelled(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct batch_copy b;
	struct ids ids;

	jobs_like(r, batch, plain_job(), 3000);
	run_job(r, jobid_make(batch, 1), JOB_DONE);
	run_job(r, jobid_make(batch, 2), JOB_FAILED);
	mark(r, batch, STORE_MARK_CANCEL);
	step_all(r);
	assert_true(r->heard.batch.ended);
	assert_int_equal(mark(r, batch, STORE_MARK_RETRY).code, ERR_NONE);
	store_step(r->st);
	wait_told(r);
	room_reopen(r);
	step_all(r);
	b = batch_of(r, batch);
	assert_int_equal(b.row.counts[JOB_QUEUED], 2999);
	assert_int_equal(b.row.counts[JOB_DONE], 1);
	assert_int_equal(b.row.ended_us, 0);
	assert_int_equal(b.row.sweep, STORE_SWEEP_NONE);
	ids = load(r, 1, true, 0, 4000);
	assert_int_equal(ids.count, 2999);
	assert_int_equal(open_job(r, jobid_make(batch, 2)), 2);
	end_job(r, jobid_make(batch, 2), 2, (struct end){.next = JOB_DONE});
	assert_int_equal(job_of(r, jobid_make(batch, 2)).attempts, 2);
	assert_int_equal(open_job(r, jobid_make(batch, 3)), 1);
}

static void a_retry_leaves_out_what_failed_for_the_reason_that_it_was_told(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_batch_mark m = {.batch = batch, .mark = STORE_MARK_RETRY, .reason = REASON_UNKNOWN_OUTCOME};

	jobs_like(r, batch, plain_job(), 3000);
	open_job(r, jobid_make(batch, 1));
	end_job(r, jobid_make(batch, 1), 1, (struct end){.next = JOB_FAILED, .reason = REASON_UNKNOWN_OUTCOME});
	open_job(r, jobid_make(batch, 3000));
	end_job(r, jobid_make(batch, 3000), 1, (struct end){.next = JOB_FAILED, .reason = REASON_UNKNOWN_OUTCOME});
	mark(r, batch, STORE_MARK_CANCEL);
	step_all(r);
	m.op = op_of(r);
	store_batch_mark(r->st, &m);
	wait_done(r);
	assert_int_equal(r->last.code, ERR_NONE);
	store_step(r->st);
	wait_told(r);
	room_reopen(r);
	step_all(r);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_QUEUED], 2998);
	assert_int_equal(state_of(r, batch, 1), JOB_FAILED);
	assert_int_equal(state_of(r, batch, 3000), JOB_FAILED);
}

static void a_batch_without_failures_has_nothing_to_retry(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), 1);
	mark(r, batch, STORE_MARK_CLOSE);
	run_job(r, jobid_make(batch, 1), JOB_DONE);
	assert_int_equal(mark(r, batch, STORE_MARK_RETRY).code, ERR_NONE);
	assert_true(batch_of(r, batch).row.ended_us > 0);
}

static void one_job_that_is_retried_brings_its_batch_to_life(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_totals t;

	jobs_like(r, batch, plain_job(), 2);
	mark(r, batch, STORE_MARK_CLOSE);
	run_job(r, jobid_make(batch, 1), JOB_FAILED);
	run_job(r, jobid_make(batch, 2), JOB_DONE);
	store_totals(r->st, &t);
	assert_int_equal(t.live_batches, 0);
	r->heard.lane.next_due_us = INT64_MAX;
	assert_int_equal(mark_job(r, jobid_make(batch, 1), STORE_MARK_RETRY).code, ERR_NONE);
	assert_true(r->heard.lane.next_due_us <= clock_wall_us());
	assert_false(r->heard.batch.ended);
	store_totals(r->st, &t);
	assert_int_equal(t.live_batches, 1);
	run_job(r, jobid_make(batch, 1), JOB_DONE);
	assert_true(r->heard.batch.ended);
}

static void a_job_that_runs_or_has_ended_is_not_cancelled(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), 2);
	open_job(r, jobid_make(batch, 1));
	assert_int_equal(mark_job(r, jobid_make(batch, 1), STORE_MARK_CANCEL).code, ERR_CONFLICT);
	assert_int_equal(mark_job(r, jobid_make(batch, 1), STORE_MARK_RETRY).code, ERR_CONFLICT);
	assert_int_equal(mark_job(r, jobid_make(batch, 2), STORE_MARK_CANCEL).code, ERR_NONE);
	assert_int_equal(mark_job(r, jobid_make(batch, 2), STORE_MARK_CANCEL).code, ERR_CONFLICT);
	assert_int_equal(mark_job(r, jobid_make(batch, 9), STORE_MARK_CANCEL).code, ERR_NOT_FOUND);
}

static void a_paused_batch_says_so_until_it_is_resumed(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	mark(r, batch, STORE_MARK_PAUSE);
	room_reopen(r);
	assert_true(batch_of(r, batch).row.paused);
	mark(r, batch, STORE_MARK_RESUME);
	assert_false(batch_of(r, batch).row.paused);
}

static void a_removed_batch_is_gone_at_once_and_its_rows_in_the_end(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false), other = batch_new(r, false);
	struct store_totals t;

	jobs_like(r, other, plain_job(), 3);
	jobs_like(r, batch, plain_job(), 1500);
	chain_jobs(r, batch, "a", 2);
	assert_int_equal(mark(r, batch, STORE_MARK_REMOVE).code, ERR_CONFLICT);
	mark(r, batch, STORE_MARK_CANCEL);
	step_all(r);
	assert_int_equal(mark(r, batch, STORE_MARK_REMOVE).code, ERR_NONE);
	assert_int_equal(r->heard.removed, 1);
	assert_int_equal(r->heard.removed_batch, batch);
	assert_false(batch_of(r, batch).found);
	assert_int_equal(r->last.code, ERR_NOT_FOUND);
	assert_int_equal(mark(r, batch, STORE_MARK_REMOVE).code, ERR_NOT_FOUND);
	assert_false(job_of(r, jobid_make(batch, 1)).found);
	assert_int_equal(r->last.code, ERR_NOT_FOUND);
	store_totals(r->st, &t);
	assert_int_equal(t.batches, 1);
	assert_int_equal(t.counts[JOB_CANCELLED], 0);
	store_step(r->st);
	wait_told(r);
	room_reopen(r);
	store_totals(r->st, &t);
	assert_int_equal(t.batches, 1);
	assert_int_equal(t.counts[JOB_CANCELLED], 0);
	step_all(r);
	assert_int_equal(batch_of(r, other).row.counts[JOB_QUEUED], 3);
	meddle(r, "CREATE TEMP TABLE t (n CHECK (n = 0));"
		  "INSERT INTO t SELECT count(*) FROM jobs WHERE id >> 32 = 1;"
		  "INSERT INTO t SELECT count(*) FROM progress;"
		  "INSERT INTO t SELECT count(*) FROM outcomes;"
		  "INSERT INTO t SELECT count(*) - 1 FROM lanes;"
		  "INSERT INTO t SELECT count(*) FROM chains;"
		  "INSERT INTO t SELECT count(*) - 1 FROM templates;");
}

static void a_removed_batch_frees_its_key_and_its_number_is_not_used_again(void **state)
{
	struct room *r = *state;
	struct store_batch_create c = {.op = op_of(r), .uid = 5, .key = "k", .options = "{}"};
	uint32_t first;

	store_batch_create(r->st, &c);
	wait_done(r);
	first = c.batch;
	jobs_like(r, first, plain_job(), 1);
	run_job(r, jobid_make(first, 1), JOB_DONE);
	mark(r, first, STORE_MARK_CLOSE);
	mark(r, first, STORE_MARK_REMOVE);
	step_all(r);
	room_reopen(r);
	c.op = op_of(r);
	store_batch_create(r->st, &c);
	wait_done(r);
	assert_false(c.existed);
	assert_int_equal(c.batch, first + 1);
	jobs_like(r, c.batch, plain_job(), 1);
	assert_int_equal(r->heard.lane.id, 2);
}

static void the_oldest_ended_batches_go_by_age(void **state)
{
	struct room *r = *state;
	uint32_t batch[3];

	for (int i = 0; i < 3; i++) {
		batch[i] = batch_new(r, false);
		jobs_like(r, batch[i], plain_job(), 2);
		run_job(r, jobid_make(batch[i], 1), JOB_DONE);
		run_job(r, jobid_make(batch[i], 2), JOB_DONE);
		if (i < 2)
			mark(r, batch[i], STORE_MARK_CLOSE);
	}
	meddle(r, "UPDATE batches SET ended_us = ended_us - 7200000000 WHERE id = 1");
	step_all(r);
	assert_int_equal(r->heard.removed, 0);
	store_set_retention(r->st, INT64_C(3600000000), 0);
	step_all(r);
	assert_int_equal(r->heard.removed, 1);
	assert_int_equal(r->heard.removed_batch, batch[0]);
	assert_true(batch_of(r, batch[1]).found);
	assert_true(batch_of(r, batch[2]).found);
}

static void ended_batches_go_one_by_one_when_the_store_is_too_large(void **state)
{
	struct room *r = *state;
	struct store_job_new j = plain_job();
	struct store_totals t;
	char *body = calloc(1, 20000);

	memset(body, 'b', 19999);
	j.body = body;
	j.body_bytes = 19999;
	j.has_body = true;
	for (uint32_t i = 0; i < 4; i++) {
		uint32_t batch = batch_new(r, false);
		jobs_like(r, batch, j, 50); /* a MB each */
		mark(r, batch, STORE_MARK_CANCEL);
		step_all(r);
	}
	free(body);
	store_totals(r->st, &t);
	store_set_retention(r->st, 0, 3 << 20);
	step_until_quiet(r);
	assert_int_equal(r->heard.removed, 2);
	store_totals(r->st, &t);
	assert_in_range(t.database_bytes, 1 << 20, 3 << 20);
	assert_int_equal(t.batches, 2);
}

static off_t file_bytes(struct room *r)
{
	char path[128];
	struct stat s;

	snprintf(path, sizeof path, "%s/fanout.db", r->dir);
	assert_int_equal(stat(path, &s), 0);
	return s.st_size;
}

static void room_that_a_removed_batch_leaves_is_given_back_when_it_is_quiet(void **state)
{
	struct room *r = *state;
	struct store_job_new j = plain_job();
	uint32_t batch = batch_new(r, false);
	char *body = calloc(1, 1 << 20);

	j.body = body;
	j.body_bytes = 1 << 20;
	j.has_body = true;
	jobs_like(r, batch, j, 24);
	free(body);
	mark(r, batch, STORE_MARK_CANCEL);
	step_all(r);
	mark(r, batch, STORE_MARK_REMOVE);
	step_all(r);
	room_reopen(r);
	assert_true(file_bytes(r) > 24 << 20);
	for (int i = 0; i < 10000 && store_step(r->st); i++)
		event_base_loop(r->base, EVLOOP_NONBLOCK);
	store_step(r->st);
	room_reopen(r);
	assert_in_range(file_bytes(r), 1, 10 << 20);
}

static void a_batch_that_nobody_closes_is_closed_after_an_hour(void **state)
{
	struct room *r = *state;
	uint32_t open = batch_new(r, false), held = batch_new(r, true), young = batch_new(r, false);

	jobs_like(r, open, plain_job(), 1);
	jobs_like(r, held, plain_job(), 1);
	meddle(r, "UPDATE batches SET touched_us = touched_us - 3601000000 WHERE id < 3");
	step_all(r);
	assert_true(batch_of(r, open).row.closed);
	assert_int_equal(batch_of(r, open).row.counts[JOB_QUEUED], 1);
	assert_false(batch_of(r, held).found);
	assert_int_equal(r->heard.removed_batch, held);
	assert_false(batch_of(r, young).row.closed);
}

static void a_batch_that_stayed_empty_is_removed_after_an_hour_and_its_key_is_free(void **state)
{
	struct room *r = *state;
	struct store_batch_create c = {.op = op_of(r), .uid = 1000, .key = "k", .options = "{}"};
	uint32_t first;

	store_batch_create(r->st, &c);
	wait_done(r);
	first = c.batch;
	meddle(r, "UPDATE batches SET touched_us = touched_us - 3601000000");
	step_all(r);
	assert_false(batch_of(r, first).found);
	c.op = op_of(r);
	store_batch_create(r->st, &c);
	wait_done(r);
	assert_false(c.existed);
	assert_int_not_equal(c.batch, first);
}

/* Returns for how long it was active until its end, and has it end an hour before now. */
static int64_t end_an_hour_ago(struct room *r, uint32_t batch)
{
	struct store_batch b;

	mark(r, batch, STORE_MARK_CANCEL);
	step_all(r);
	meddle(r, "UPDATE batches SET submitted_us = submitted_us - 3601000000, ended_us = ended_us - 3600000000,"
		  " touched_us = touched_us - 3601000000");
	b = batch_of(r, batch).row;
	assert_true(b.ended_us > 0);
	return b.ended_us - b.active_from_us;
}

static void what_lies_between_an_end_and_a_retry_is_no_time_of_the_batch(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_batch b;
	int64_t took_us;

	jobs_like(r, batch, plain_job(), 1);
	b = batch_of(r, batch).row;
	assert_int_equal(b.active_from_us, b.submitted_us);
	for (int i = 0; i < 2; i++) {
		took_us = end_an_hour_ago(r, batch);
		assert_true(took_us > (i + 1) * INT64_C(1000000));
		assert_int_equal(mark(r, batch, STORE_MARK_RETRY).code, ERR_NONE);
		b = batch_of(r, batch).row;
		assert_int_equal(b.deadline_from_us - b.active_from_us, took_us);
		step_all(r);
		room_reopen(r);
		assert_int_equal(batch_of(r, batch).row.active_from_us, b.active_from_us);
	}
}

static void the_check_finds_what_does_not_add_up(void **state)
{
	static const char *const damages[][2] = {
	    {"UPDATE batches SET n_queued = n_queued + 1", "UPDATE batches SET n_queued = n_queued - 1"},
	    {"UPDATE batches SET next_seq = 9", "UPDATE batches SET next_seq = 4"},
	    {"UPDATE chains SET pending = 5", "UPDATE chains SET pending = 2"},
	    {"UPDATE progress SET waits = NULL", "UPDATE progress SET waits = 1"},
	    {"UPDATE progress SET job = job + 99", "UPDATE progress SET job = job - 99"},
	    {"UPDATE lanes SET head = 1 << 40", "UPDATE lanes SET head = 0"},
	    {"UPDATE batches SET body_bytes = 1", "UPDATE batches SET body_bytes = 0"},
	};
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct err e;

	jobs_like(r, batch, plain_job(), 1);
	chain_jobs(r, batch, "a", 2);
	for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
		meddle(r, damages[i][0]);
		if (store_check(r->st, &e) == 0)
			fail_msg("not found: %s", damages[i][0]);
		assert_int_equal(e.code, ERR_CORRUPT);
		meddle(r, damages[i][1]);
		assert_int_equal(store_check(r->st, &e), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_cancelled_batch_ends_step_by_step),
	    TEST(what_is_being_cancelled_is_not_removed_and_says_how_much_is_left),
	    TEST(a_running_job_of_a_cancelled_batch_is_never_put_off),
	    TEST(a_retried_batch_queues_what_failed_or_was_cancelled),
	    TEST(a_retry_leaves_out_what_failed_for_the_reason_that_it_was_told),
	    TEST(a_batch_without_failures_has_nothing_to_retry),
	    TEST(one_job_that_is_retried_brings_its_batch_to_life),
	    TEST(a_job_that_runs_or_has_ended_is_not_cancelled),
	    TEST(a_paused_batch_says_so_until_it_is_resumed),
	    TEST(a_removed_batch_is_gone_at_once_and_its_rows_in_the_end),
	    TEST(a_removed_batch_frees_its_key_and_its_number_is_not_used_again),
	    TEST(the_oldest_ended_batches_go_by_age),
	    TEST(ended_batches_go_one_by_one_when_the_store_is_too_large),
	    TEST(room_that_a_removed_batch_leaves_is_given_back_when_it_is_quiet),
	    TEST(a_batch_that_nobody_closes_is_closed_after_an_hour),
	    TEST(a_batch_that_stayed_empty_is_removed_after_an_hour_and_its_key_is_free),
	    TEST(what_lies_between_an_end_and_a_retry_is_no_time_of_the_batch),
	    TEST(the_check_finds_what_does_not_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
