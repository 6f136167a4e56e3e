/* Results, events, lists: in order, in pieces, and as of now. */
#include "tests/unit/test_store.h"

struct pages {
	struct store_results results;
	uint32_t seq[32];
	enum job_state state[32];
	size_t bodies;
	unsigned rows;
};

static void note_result(struct store_results *res, const struct store_result *row)
{
	struct pages *p = (struct pages *)res;

	p->seq[p->rows] = jobid_seq(row->job);
	p->state[p->rows++] = row->state;
	p->bodies += row->body_bytes;
}

static struct pages results(struct room *r, uint32_t batch, uint32_t after, size_t limit, unsigned mask, bool bodies)
{
	struct pages p = {.results = {.op = op_of(r),
				      .batch = batch,
				      .after_seq = after,
				      .limit = limit,
				      .state_mask = mask,
				      .with_body = bodies,
				      .on_row = note_result}};

	store_results(r->st, &p.results);
	wait_done(r);
	return p;
}

static void results_come_in_order_of_submission_and_in_pieces(void **state)
{
	struct room *r = *state;
	uint32_t before = batch_new(r, false), batch = batch_new(r, false), behind = batch_new(r, false);
	struct pages p;

	jobs_like(r, before, plain_job(), 2);
	jobs_like(r, batch, plain_job(), 5);
	jobs_like(r, behind, plain_job(), 2);
	run_job(r, jobid_make(batch, 4), JOB_DONE);
	run_job(r, jobid_make(batch, 2), JOB_FAILED);
	open_job(r, jobid_make(batch, 3));
	p = results(r, batch, 0, 3, 0, false);
	assert_fine(r);
	assert_int_equal(p.rows, 3);
	assert_int_equal(p.seq[0], 1);
	assert_int_equal(p.state[0], JOB_QUEUED);
	assert_int_equal(p.state[1], JOB_FAILED);
	assert_int_equal(p.state[2], JOB_RUNNING);
	assert_true(p.results.more);
	assert_int_equal(p.results.last_seq, 3);
	p = results(r, batch, 3, 3, 0, false);
	assert_int_equal(p.rows, 2);
	assert_int_equal(p.seq[1], 5);
	assert_false(p.results.more);
	p = results(r, batch, UINT32_MAX, 3, 0, false);
	assert_int_equal(p.rows, 0);
	assert_false(p.results.more);
}

static void results_are_chosen_by_state_and_bounded_by_what_is_examined(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct pages p;

	jobs_like(r, batch, plain_job(), 10);
	open_job(r, jobid_make(batch, 9));
	run_job(r, jobid_make(batch, 8), JOB_DONE);
	p = results(r, batch, 0, 5, 1u << JOB_RUNNING | 1u << JOB_DONE, false);
	assert_int_equal(p.rows, 0);
	assert_true(p.results.more);
	assert_int_equal(p.results.last_seq, 5);
	p = results(r, batch, 5, 5, 1u << JOB_RUNNING | 1u << JOB_DONE, false);
	assert_int_equal(p.rows, 2);
	assert_int_equal(p.seq[0], 8);
	assert_int_equal(p.seq[1], 9);
	assert_false(p.results.more);
}

static void bodies_come_along_where_they_are_asked_for(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), 1);
	open_job(r, jobid_make(batch, 1));
	end_job(r, jobid_make(batch, 1), 1, (struct end){.next = JOB_DONE, .body = "12345"});
	assert_int_equal(results(r, batch, 0, 5, 0, true).bodies, 5);
	assert_int_equal(results(r, batch, 0, 5, 0, false).bodies, 0);
}

static void a_read_sees_what_was_handed_in_before_it(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_job_new j = plain_job();
	struct store_jobs_add a = {.op = op_of(r), .batch = batch, .jobs = &j, .count = 1};

	store_jobs_add(r->st, &a);
	assert_int_equal(results(r, batch, 0, 5, 0, false).rows, 1);
	assert_int_equal(r->pending, 0);
	results(r, batch + 1, 0, 5, 0, false);
	assert_int_equal(r->last.code, ERR_NOT_FOUND);
}

struct feed {
	struct store_events events;
	uint32_t seq[32];
	uint64_t event[32];
	enum job_state state[32];
	enum job_reason reason[32];
	unsigned rows;
};

static void note_event(struct store_events *v, uint64_t event, const struct store_result *row)
{
	struct feed *f = (struct feed *)v;

	f->event[f->rows] = event;
	f->seq[f->rows] = jobid_seq(row->job);
	f->reason[f->rows] = row->reason;
	f->state[f->rows++] = row->state;
}

static struct feed events(struct room *r, uint32_t batch, uint64_t after, size_t limit)
{
	struct feed f = {
	    .events = {.op = op_of(r), .batch = batch, .after = after, .limit = limit, .on_row = note_event}};

	store_events(r->st, &f.events);
	wait_done(r);
	return f;
}

static void events_come_in_the_order_in_which_jobs_ended(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false), other = batch_new(r, false);
	struct feed f;
	uint64_t second;

	jobs_like(r, batch, plain_job(), 4);
	jobs_like(r, other, plain_job(), 1);
	run_job(r, jobid_make(batch, 3), JOB_DONE);
	run_job(r, jobid_make(other, 1), JOB_DONE);
	open_job(r, jobid_make(batch, 1));
	end_job(r, jobid_make(batch, 1), 1, (struct end){.next = JOB_QUEUED, .due_us = 1});
	run_job(r, jobid_make(batch, 2), JOB_FAILED);
	mark_job(r, jobid_make(batch, 4), STORE_MARK_CANCEL);
	f = events(r, batch, 0, 10);
	assert_int_equal(f.rows, 3);
	assert_int_equal(f.seq[0], 3);
	assert_int_equal(f.seq[1], 2);
	assert_int_equal(f.reason[1], REASON_HTTP_STATUS);
	assert_int_equal(f.seq[2], 4);
	assert_int_equal(f.state[2], JOB_CANCELLED);
	assert_true(f.event[0] < f.event[1] && f.event[1] < f.event[2]);
	assert_false(f.events.more);
	assert_int_equal(f.events.last, f.event[2]);
	assert_int_equal(r->heard.batch.last_event, f.event[2]);
	second = f.event[1];
	room_reopen(r);
	f = events(r, batch, second, 10);
	assert_int_equal(f.rows, 1);
	assert_int_equal(f.seq[0], 4);
	assert_int_equal(events(r, batch, UINT64_MAX, 10).rows, 0);
}

static void events_are_read_in_bounded_pieces(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct feed f;

	jobs_like(r, batch, plain_job(), 3);
	for (uint32_t i = 1; i <= 3; i++)
		run_job(r, jobid_make(batch, i), JOB_DONE);
	f = events(r, batch, 0, 2);
	assert_int_equal(f.rows, 2);
	assert_true(f.events.more);
	f = events(r, batch, f.events.last, 2);
	assert_int_equal(f.rows, 1);
	assert_int_equal(f.seq[0], 3);
	assert_false(f.events.more);
}

static void a_job_that_is_retried_ends_again(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct feed f;

	jobs_like(r, batch, plain_job(), 1);
	run_job(r, jobid_make(batch, 1), JOB_FAILED);
	mark_job(r, jobid_make(batch, 1), STORE_MARK_RETRY);
	run_job(r, jobid_make(batch, 1), JOB_DONE);
	f = events(r, batch, 0, 10);
	assert_int_equal(f.rows, 2);
	assert_int_equal(f.state[0], JOB_FAILED);
	assert_int_equal(f.reason[0], REASON_HTTP_STATUS);
	assert_int_equal(f.state[1], JOB_DONE);
	assert_int_equal(f.reason[1], REASON_NONE);
}

static void attempts_are_told_newest_first_with_the_open_one(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	uint64_t job = jobid_make(batch, 1);
	struct job_copy j;

	jobs_like(r, batch, plain_job(), 1);
	open_job(r, job);
	end_job(r, job, 1, (struct end){.next = JOB_QUEUED, .status = 503, .due_us = 1, .body = "busy"});
	open_job(r, job);
	j = job_of(r, job);
	assert_int_equal(j.attempts, 2);
	assert_int_equal(j.newest_n, 2);
	assert_int_equal(j.newest_ended_us, 0);
	assert_false(j.newest_has_body);
	end_job(r, job, 2, (struct end){.next = JOB_DONE, .body = "fine"});
	j = job_of(r, job);
	assert_int_equal(j.attempts, 2);
	assert_int_equal(j.newest_n, 2);
	assert_true(j.newest_has_body);
	assert_true(j.newest_ended_us > 0);
	assert_string_equal(j.body, "fine");
}

struct list {
	struct store_batch_list list;
	uint32_t id[8];
	unsigned rows;
};

static void note_batch(struct store_batch_list *l, const struct store_batch *b)
{
	struct list *out = (struct list *)l;

	out->id[out->rows++] = b->id;
}

static struct list list(struct room *r, int64_t uid, uint32_t before, size_t limit)
{
	struct list l = {.list = {.op = op_of(r), .uid = uid, .before = before, .limit = limit, .on_row = note_batch}};

	store_batch_list(r->st, &l.list);
	wait_done(r);
	return l;
}

static void batches_are_listed_newest_first_by_owner(void **state)
{
	struct room *r = *state;
	struct store_batch_create c = {.uid = 0};
	struct list l;

	for (uint32_t i = 0; i < 5; i++) {
		c = (struct store_batch_create){.op = op_of(r), .uid = i % 2};
		store_batch_create(r->st, &c);
		wait_done(r);
	}
	mark(r, 3, STORE_MARK_CLOSE);
	mark(r, 3, STORE_MARK_REMOVE);
	l = list(r, -1, 0, 2);
	assert_int_equal(l.rows, 2);
	assert_int_equal(l.id[0], 5);
	assert_int_equal(l.id[1], 4);
	l = list(r, -1, 4, 10);
	assert_int_equal(l.rows, 2);
	assert_int_equal(l.id[0], 2);
	l = list(r, 0, 0, 10);
	assert_int_equal(l.rows, 2);
	assert_int_equal(l.id[0], 5);
	assert_int_equal(l.id[1], 1);
}

/* A row callback that asks for more of the same. */
static struct room *nested_room;
static unsigned nested_rows;

static void note_nested(struct store_results *res, const struct store_result *row)
{
	struct store_results inner = {.batch = res->batch, .limit = 1, .on_row = note_nested};

	nested_rows++;
	assert_int_equal(jobid_batch(row->job), res->batch);
	if (res->limit == 1)
		return;
	inner.op = op_of(nested_room);
	store_results(nested_room->st, &inner);
}

static void a_row_callback_may_read_the_same_again(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_results res = {.batch = batch, .limit = 10, .on_row = note_nested};

	jobs_like(r, batch, plain_job(), 4);
	nested_room = r;
	nested_rows = 0;
	res.op = op_of(r);
	store_results(r->st, &res);
	assert_int_equal(r->pending, 0);
	assert_int_equal(nested_rows, 8);
	assert_int_equal(res.last_seq, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(results_come_in_order_of_submission_and_in_pieces),
	    TEST(results_are_chosen_by_state_and_bounded_by_what_is_examined),
	    TEST(bodies_come_along_where_they_are_asked_for),
	    TEST(a_read_sees_what_was_handed_in_before_it),
	    TEST(events_come_in_the_order_in_which_jobs_ended),
	    TEST(events_are_read_in_bounded_pieces),
	    TEST(a_job_that_is_retried_ends_again),
	    TEST(attempts_are_told_newest_first_with_the_open_one),
	    TEST(batches_are_listed_newest_first_by_owner),
	    TEST(a_row_callback_may_read_the_same_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
