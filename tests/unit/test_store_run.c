/* Attempts: what is stored is what is read, counts follow, and what may not be is refused. */
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
	assert_true(j.row.started_us > 0);
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

static void a_running_job_is_counted_as_running_and_not_as_queued(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_totals t;
	struct batch_copy b;

	jobs_like(r, batch, plain_job(), 3);
	open_job(r, jobid_make(batch, 2));
	b = batch_of(r, batch);
	assert_int_equal(b.row.counts[JOB_QUEUED], 2);
	assert_int_equal(b.row.counts[JOB_RUNNING], 1);
	store_totals(r->st, &t);
	assert_int_equal(t.counts[JOB_QUEUED], 2);
	assert_int_equal(t.counts[JOB_RUNNING], 1);
	assert_int_equal(r->heard.counts[JOB_RUNNING], 1);
}

static void a_running_job_is_not_opened_again(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	uint64_t job = jobid_make(batch, jobs_like(r, batch, plain_job(), 1));

	open_job(r, job);
	assert_fine(r);
	open_job(r, job);
	assert_int_equal(r->last.code, ERR_CONFLICT);
	end_job(r, job, 1, (struct end){.next = JOB_DONE});
	assert_fine(r);
	open_job(r, job);
	assert_int_equal(r->last.code, ERR_CONFLICT);
	open_job(r, jobid_make(batch, 9));
	assert_int_equal(r->last.code, ERR_NOT_FOUND);
	open_job(r, jobid_make(batch + 1, 1));
	assert_int_equal(r->last.code, ERR_NOT_FOUND);
}

static void an_attempt_that_is_not_open_cannot_end(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	uint64_t job = jobid_make(batch, jobs_like(r, batch, plain_job(), 1));

	end_job(r, job, 1, (struct end){.next = JOB_DONE});
	assert_int_equal(r->last.code, ERR_CONFLICT);
	open_job(r, job);
	end_job(r, job, 2, (struct end){.next = JOB_DONE});
	assert_int_equal(r->last.code, ERR_CONFLICT);
	assert_int_equal(state_of(r, batch, 1), JOB_RUNNING);
	end_job(r, job, 1, (struct end){.next = JOB_DONE});
	assert_fine(r);
	end_job(r, job, 1, (struct end){.next = JOB_DONE});
	assert_int_equal(r->last.code, ERR_CONFLICT);
}

static void a_job_that_is_put_off_comes_by_its_due_time(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	uint64_t job = jobid_make(batch, jobs_like(r, batch, plain_job(), 1));
	int64_t past = clock_wall_us() - 5, future = clock_wall_us() + INT64_C(3600000000);
	int64_t lane = r->heard.lane.id;

	open_job(r, job);
	end_job(r, job, 1, (struct end){.next = JOB_QUEUED, .status = 503, .due_us = future});
	assert_int_equal(r->heard.lane.next_due_us, future);
	assert_int_equal(load(r, lane, false, 0, 10).count, 0);
	assert_int_equal(load(r, lane, true, 0, 10).count, 0);
	assert_int_equal(load(r, lane, true, 0, 10).next_due_us, future);
	assert_int_equal(job_of(r, job).row.due_us, future);
	assert_int_equal(job_of(r, job).row.status, 503);
	assert_int_equal(open_job(r, job), 2);
	assert_fine(r);
	end_job(r, job, 2, (struct end){.next = JOB_QUEUED, .due_us = past});
	assert_int_equal(load(r, lane, true, 0, 10).id[0], job);
	assert_int_equal(open_job(r, job), 3);
	assert_int_equal(load(r, lane, true, 0, 10).count, 0);
	end_job(r, job, 3, (struct end){.next = JOB_DONE});
	assert_int_equal(job_of(r, job).row.attempts, 3);
	assert_int_equal(job_of(r, job).attempts, 3);
}

static void the_first_due_comes_first_and_the_rest_is_told(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	int64_t now = clock_wall_us();
	struct ids ids;

	jobs_like(r, batch, plain_job(), 3);
	for (uint32_t i = 1; i <= 3; i++) {
		open_job(r, jobid_make(batch, i));
		end_job(r, jobid_make(batch, i), 1, (struct end){.next = JOB_QUEUED, .due_us = now - (int64_t)i});
	}
	ids = load(r, r->heard.lane.id, true, 0, 2);
	assert_int_equal(ids.count, 2);
	assert_int_equal(ids.id[0], jobid_make(batch, 3));
	assert_int_equal(ids.id[1], jobid_make(batch, 2));
	assert_int_equal(ids.next_due_us, now - 1);
}

static void an_undone_attempt_leaves_the_job_as_it_was(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	uint64_t job = jobid_make(batch, jobs_like(r, batch, plain_job(), 1));
	struct store_attempt_undo u = {.job = job, .n = 1};
	unsigned lanes;

	open_job(r, job);
	store_lane_head(r->st, r->heard.lane.id, job);
	lanes = r->heard.lanes;
	u.op = op_of(r);
	store_attempt_undo(r->st, &u);
	wait_done(r);
	assert_fine(r);
	assert_int_equal(r->heard.lanes, lanes + 1);
	assert_int_equal(state_of(r, batch, 1), JOB_QUEUED);
	assert_int_equal(load(r, r->heard.lane.id, true, 0, 10).id[0], job);
	u.op = op_of(r);
	store_attempt_undo(r->st, &u);
	wait_done(r);
	assert_int_equal(r->last.code, ERR_CONFLICT);
	assert_int_equal(open_job(r, job), 1);
	assert_int_equal(job_of(r, job).row.attempts, 0);
}

struct asked {
	struct store_attempt_open open;
	unsigned calls;
	uint64_t job;
	char url[64], headers[64], user[32], tag[32], method[16], options[32], body[32];
	bool no_chain, has_body;
	size_t body_bytes;
	int64_t ready_us;
	unsigned tries, deaths;
	bool decline;
};

static bool note_request(struct store_attempt_open *o, const struct store_request *req)
{
	struct asked *a = (struct asked *)o;

	a->calls++;
	a->job = req->job;
	snprintf(a->url, sizeof a->url, "%s", req->spec.url);
	snprintf(a->headers, sizeof a->headers, "%s", req->spec.headers);
	snprintf(a->user, sizeof a->user, "%s", req->spec.user);
	snprintf(a->tag, sizeof a->tag, "%s", req->spec.tag);
	snprintf(a->method, sizeof a->method, "%s", req->spec.method);
	snprintf(a->options, sizeof a->options, "%s", req->spec.options);
	memcpy(a->body, req->spec.body, req->spec.body_bytes);
	a->has_body = req->spec.has_body;
	a->body_bytes = req->spec.body_bytes;
	a->ready_us = req->ready_us;
	a->tries = req->tries;
	a->deaths = req->deaths;
	return !a->decline;
}

static void an_opened_attempt_hands_out_the_request_as_it_was_submitted(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_job_new j = {
	    .limit_key = "a.example:80",
	    .url = "http://a.example/y?q=%20",
	    .method = "PATCH",
	    .headers = "A: b\nC: d\n",
	    .user = "u:p",
	    .tag = "t\xc3\xa4g",
	    .options = "{\"timeout_us\":5}",
	    .body = "a\0b",
	    .body_bytes = 3,
	    .has_body = true,
	};
	struct asked a = {.open = {.op = op_of(r), .job = jobid_make(batch, 1), .on_request = note_request}};

	r->pending--;
	jobs_like(r, batch, j, 1);
	r->pending++;
	store_attempt_open(r->st, &a.open);
	assert_int_equal(a.calls, 1);
	wait_done(r);
	assert_fine(r);
	assert_int_equal(a.job, jobid_make(batch, 1));
	assert_string_equal(a.url, j.url);
	assert_string_equal(a.method, j.method);
	assert_string_equal(a.headers, j.headers);
	assert_string_equal(a.user, j.user);
	assert_string_equal(a.tag, j.tag);
	assert_string_equal(a.options, j.options);
	assert_true(a.has_body);
	assert_int_equal(a.body_bytes, 3);
	assert_memory_equal(a.body, "a\0b", 3);
	assert_true(a.ready_us > 0);
}

static void a_declined_attempt_is_not_opened(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_job_new j = plain_job();
	struct asked a = {.open = {.job = jobid_make(batch, 1), .on_request = note_request}, .decline = true};

	j.headers = j.user = j.tag = j.method = j.options = "x";
	j.has_body = true;
	j.body = "";
	jobs_like(r, batch, j, 1);
	a.open.op = op_of(r);
	store_attempt_open(r->st, &a.open);
	wait_done(r);
	assert_fine(r);
	assert_int_equal(a.open.n, 0);
	a.decline = false;
	a.open.op = op_of(r);
	store_attempt_open(r->st, &a.open);
	wait_done(r);
	assert_fine(r);
	assert_int_equal(a.open.n, 1);
}

static void an_empty_body_is_not_the_same_as_none(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_job_new j = plain_job();
	struct asked a = {.open = {.job = jobid_make(batch, 1), .on_request = note_request}};

	j.headers = j.user = j.tag = j.method = j.options = "x";
	j.has_body = true;
	j.body = "";
	jobs_like(r, batch, j, 1);
	a.open.op = op_of(r);
	store_attempt_open(r->st, &a.open);
	wait_done(r);
	assert_true(a.has_body);
	assert_int_equal(a.body_bytes, 0);
}

static unsigned leftovers;

static void note_leftover(struct store_open_attempts *o, const struct store_request *req, int64_t granted_us)
{
	(void)o;
	leftovers++;
	assert_int_equal(req->n, 1);
	assert_string_equal(req->spec.url, "http://a.example/x");
	assert_true(granted_us > 0);
	assert_true(req->ready_us > 0);
}

static void attempts_that_were_open_are_found_after_a_restart(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_open_attempts o = {.on_row = note_leftover};

	jobs_like(r, batch, plain_job(), 5);
	open_job(r, jobid_make(batch, 2));
	open_job(r, jobid_make(batch, 4));
	room_reopen(r);
	assert_int_equal(state_of(r, batch, 4), JOB_RUNNING);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_RUNNING], 2);
	leftovers = 0;
	o.op = op_of(r);
	store_open_attempts(r->st, &o);
	wait_done(r);
	assert_int_equal(leftovers, 2);
	end_job(r, jobid_make(batch, 2), 1, (struct end){.next = JOB_QUEUED, .due_us = 1});
	assert_fine(r);
	end_job(r, jobid_make(batch, 4), 1, (struct end){.next = JOB_DONE});
	assert_fine(r);
	assert_int_equal(job_of(r, jobid_make(batch, 4)).row.attempts, 1);
}

static void the_last_word_on_a_job_stands_before_its_attempts_error(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	uint64_t job = jobid_make(batch, jobs_like(r, batch, plain_job(), 1));
	struct message_outcome m = bare_outcome(job, 1);
	struct store_attempt_end a = {.outcome = &m,
				      .method = "GET",
				      .next = JOB_FAILED,
				      .reason = REASON_POISON,
				      .error = "three workers died",
				      .deaths = 3,
				      .actions = JOB_ACT_END | JOB_ACT_FAIL_REST};

	m.cause = CAUSE_WORKER_LOST;
	m.error = "the worker died";
	open_job(r, job);
	a.op = op_of(r);
	store_attempt_end(r->st, &a);
	wait_done(r);
	assert_fine(r);
	assert_string_equal(job_of(r, job).error, "three workers died");
	assert_int_equal(job_of(r, job).row.reason, REASON_POISON);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_job_goes_from_queued_to_done_and_its_result_is_read),
	    TEST(a_closed_batch_ends_with_its_last_job),
	    TEST(a_running_job_is_counted_as_running_and_not_as_queued),
	    TEST(a_running_job_is_not_opened_again),
	    TEST(an_attempt_that_is_not_open_cannot_end),
	    TEST(a_job_that_is_put_off_comes_by_its_due_time),
	    TEST(the_first_due_comes_first_and_the_rest_is_told),
	    TEST(an_undone_attempt_leaves_the_job_as_it_was),
	    TEST(an_opened_attempt_hands_out_the_request_as_it_was_submitted),
	    TEST(a_declined_attempt_is_not_opened),
	    TEST(an_empty_body_is_not_the_same_as_none),
	    TEST(attempts_that_were_open_are_found_after_a_restart),
	    TEST(the_last_word_on_a_job_stands_before_its_attempts_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
