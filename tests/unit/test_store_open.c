/* What many jobs share: the row of the attempts that one turn opened, the span of a lane's jobs, the entry for what was
 * counted within some seconds, and what a load keeps for the opening. */

#include "daemon/store_sqlite.h"
#include "tests/unit/test_store.h"

#define MANY 100

/* ---- openings ---- */

/* However long it takes: where a turn lasts for milliseconds, its transaction ends before it, and the next is another
 * row. */
static void open_in_one_turn(struct room *r, uint32_t batch, uint32_t first, uint32_t count)
{
	struct store_attempt_open ops[MANY];

	for (uint32_t i = 0; i < count; i++) {
		ops[i] = (struct store_attempt_open){.op = op_of(r),
						     .job = jobid_make(batch, first + i),
						     .granted_us = 1000 + i,
						     .granted_boot_us = clock_boot_us()};
		store_attempt_open(r->st, &ops[i]);
		r->st->begun_boot_us = INT64_MAX / 2;
	}
	wait_done(r);
	assert_fine(r);
}

static void undo(struct room *r, uint64_t job, uint32_t n)
{
	struct store_attempt_undo u = {.op = op_of(r), .job = job, .n = n};

	store_attempt_undo(r->st, &u);
	wait_done(r);
	assert_fine(r);
}

struct open_list {
	struct store_open_attempts read;
	uint64_t jobs[MANY];
	int64_t granted_us[MANY];
	uint32_t n[MANY];
	size_t count;
};

static void on_open(struct store_open_attempts *o, const struct store_request *req, int64_t granted_us)
{
	struct open_list *all = (struct open_list *)o;

	assert_true(all->count < MANY);
	all->granted_us[all->count] = granted_us;
	all->n[all->count] = req->n;
	all->jobs[all->count++] = req->job;
}

static struct open_list open_attempts(struct room *r)
{
	struct open_list all = {.read = {.op = op_of(r), .on_row = on_open}};

	store_open_attempts(r->st, &all.read);
	wait_done(r);
	assert_fine(r);
	return all;
}

static int64_t number_in(struct room *r, const char *sql)
{
	int64_t v = store_pragma_int(r->st, sql);

	assert_true(v >= 0);
	return v;
}

static void attempts_of_one_turn_are_one_row_until_the_last_is_over(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), 10);
	open_in_one_turn(r, batch, 1, 10);
	assert_int_equal(number_in(r, "SELECT count(*) FROM openings"), 1);
	for (uint32_t seq = 1; seq <= 10; seq++) {
		assert_int_equal(number_in(r, "SELECT count(*) FROM openings"), 1);
		end_job(r, jobid_make(batch, seq), 1, (struct end){.next = JOB_DONE});
		assert_fine(r);
	}
	assert_int_equal(number_in(r, "SELECT count(*) FROM openings"), 0);
}

static void after_a_restart_exactly_those_are_open_that_were(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct open_list all;

	jobs_like(r, batch, plain_job(), 20);
	open_in_one_turn(r, batch, 1, 10);
	open_in_one_turn(r, batch, 11, 5);
	end_job(r, jobid_make(batch, 2), 1, (struct end){.next = JOB_DONE});
	end_job(r, jobid_make(batch, 3), 1, (struct end){.next = JOB_QUEUED, .due_us = 1});
	undo(r, jobid_make(batch, 4), 1);
	end_job(r, jobid_make(batch, 5), 1, (struct end){.next = JOB_QUEUED, .due_us = 1});
	assert_int_equal(open_job(r, jobid_make(batch, 5)), 2);
	assert_int_equal(open_job(r, jobid_make(batch, 4)), 1);
	undo(r, jobid_make(batch, 12), 1);
	for (int i = 0; i < 2; i++) {
		room_reopen(r);
		all = open_attempts(r);
		assert_int_equal(all.count, 12); /* 1 4 5 6 7 8 9 10 11 13 14 15 */
		assert_int_equal(all.jobs[1], jobid_make(batch, 4));
		assert_int_equal(all.n[1], 1);
		assert_int_equal(all.n[2], 2);
		assert_int_equal(all.jobs[8], jobid_make(batch, 11));
		assert_int_equal(all.jobs[9], jobid_make(batch, 13));
		assert_int_equal(all.granted_us[9], 1002);
		assert_int_equal(batch_of(r, batch).row.counts[JOB_RUNNING], 12);
	}
	for (size_t i = 0; i < all.count; i++)
		end_job(r, all.jobs[i], all.n[i], (struct end){.next = JOB_DONE});
	assert_int_equal(number_in(r, "SELECT count(*) FROM openings"), 0);
}

/* The numbers of what is left are not given again. */
static void what_is_opened_after_a_restart_takes_no_row_of_what_was_left(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), 5);
	open_in_one_turn(r, batch, 1, 3);
	room_reopen(r);
	open_in_one_turn(r, batch, 4, 2);
	room_reopen(r);
	assert_int_equal(number_in(r, "SELECT count(*) FROM openings"), 2);
	assert_int_equal(open_attempts(r).count, 5);
}

static void a_row_with_few_left_names_no_others(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), MANY);
	open_in_one_turn(r, batch, 1, MANY);
	for (uint32_t seq = 1; seq < MANY; seq++)
		end_job(r, jobid_make(batch, seq), 1, (struct end){.next = JOB_DONE});
	assert_int_equal(number_in(r, "SELECT json_array_length(attempts) FROM openings"), MANY / 16);
	room_reopen(r);
	assert_int_equal(open_attempts(r).count, 1);
	end_job(r, jobid_make(batch, MANY), 1, (struct end){.next = JOB_DONE});
	assert_int_equal(number_in(r, "SELECT count(*) FROM openings"), 0);
}

/* ---- spans ---- */

static void lanes_that_take_turns_are_loaded_each_in_order(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false), seq[2] = {0, 0};
	struct store_job_new jobs[2] = {plain_job(), plain_job()};
	static const unsigned runs[] = {3, 1, 1, 1, STORE_SPAN_GAP, 2, STORE_SPAN_GAP + 1, 4};

	jobs[1].limit_key = "b.example:80";
	for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
		jobs_like(r, batch, jobs[i % 2], runs[i]);
	for (int again = 0; again < 2; again++) {
		for (int64_t lane = 1; lane <= 2; lane++) {
			uint64_t last = 0;
			struct ids ids;

			seq[lane - 1] = 0;
			do {
				ids = load(r, lane, false, last, 2);
				assert_fine(r);
				for (size_t i = 0; i < ids.count; i++) {
					assert_true(ids.id[i] > last);
					last = ids.id[i];
					seq[lane - 1]++;
				}
			} while (ids.more);
		}
		assert_int_equal(seq[0], 3 + 1 + STORE_SPAN_GAP + STORE_SPAN_GAP + 1);
		assert_int_equal(seq[1], 1 + 1 + 2 + 4);
		room_reopen(r);
	}
	/* The gap is taken where it is small. */
	assert_int_equal(number_in(r, "SELECT count(*) FROM spans WHERE lane = 1"), 1);
	assert_int_equal(number_in(r, "SELECT count(*) FROM spans WHERE lane = 2"), 2);
}

static void a_load_finds_what_is_not_committed_yet(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_job_new job = plain_job();
	uint64_t ids[8];
	struct store_lane_load l = {.lane = 1, .ids = ids, .room = 8, .now_us = 1};

	jobs_like(r, batch, job, 1);
	for (int i = 0; i < 3; i++) {
		struct store_jobs_add a = {.op = op_of(r), .batch = batch, .jobs = &job, .count = 1};
		store_jobs_add(r->st, &a);
		l.op = op_of(r);
		store_lane_load(r->st, &l);
		assert_int_equal(l.count, 2 + i);
		wait_done(r);
	}
}

/* ---- what a load keeps ---- */

static bool on_request(struct store_attempt_open *o, const struct store_request *req)
{
	(void)o;
	assert_string_equal(req->spec.url, "http://a.example/x");
	assert_null(req->spec.method);
	assert_true(req->submitted_us > 0 && req->ready_us == req->submitted_us);
	assert_int_equal(req->n, 1);
	return true;
}

static void a_job_that_was_loaded_is_opened_as_it_is_stored(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_attempt_open o = {.granted_us = 1, .on_request = on_request};

	jobs_like(r, batch, plain_job(), 2);
	o.job = jobid_make(batch, 1);
	load(r, 1, false, 0, 2);
	for (int i = 0; i < 2; i++) { /* the second as from the tables */
		o.op = op_of(r);
		store_attempt_open(r->st, &o);
		wait_done(r);
		assert_fine(r);
		assert_int_equal(o.n, 1);
		end_job(r, o.job, 1, (struct end){.next = JOB_DONE});
		assert_fine(r);
		o.job = jobid_make(batch, 2);
		store_ahead_forget(r->st, o.job);
	}
}

static bool on_request_with_headers(struct store_attempt_open *o, const struct store_request *req)
{
	(void)o;
	assert_string_equal(req->spec.url, "http://a.example/headers");
	assert_string_equal(req->spec.headers, "X: 1");
	return true;
}

/* What is kept is of a fixed size: a later job has the place of an earlier one, and nothing of its own in it. */
static void a_job_is_not_opened_with_what_was_kept_of_another(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_job_new other = plain_job();
	struct store_attempt_open o = {.granted_us = 1, .on_request = on_request_with_headers};

	other.url = "http://a.example/headers";
	other.headers = "X: 1";
	jobs_like(r, batch, plain_job(), STORE_AHEAD_PLACES);
	o.job = jobid_make(batch, jobs_like(r, batch, other, 1));
	assert_int_equal(load(r, 1, false, 0, 1).id[0], jobid_make(batch, 1));
	assert_non_null(store_ahead_find(r->st, jobid_make(batch, 1)));
	o.op = op_of(r);
	store_attempt_open(r->st, &o);
	wait_done(r);
	assert_fine(r);
}

static void a_job_that_was_loaded_and_then_cancelled_is_not_opened(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), 3);
	assert_int_equal(load(r, 1, false, 0, 3).count, 3);
	assert_non_null(store_ahead_find(r->st, jobid_make(batch, 2)));
	assert_int_equal(mark_job(r, jobid_make(batch, 2), STORE_MARK_CANCEL).code, ERR_NONE);
	open_job(r, jobid_make(batch, 2));
	assert_int_equal(r->last.code, ERR_CONFLICT);
	assert_int_equal(open_job(r, jobid_make(batch, 1)), 1);
	open_job(r, jobid_make(batch, 1));
	assert_int_equal(r->last.code, ERR_CONFLICT);
	assert_int_equal(mark(r, batch, STORE_MARK_CANCEL).code, ERR_NONE);
	step_all(r);
	open_job(r, jobid_make(batch, 3));
	assert_int_equal(r->last.code, ERR_CONFLICT);
	assert_int_equal(state_of(r, batch, 3), JOB_CANCELLED);
}

/* ---- counted ---- */

static void end_counted(struct room *r, uint64_t job, int64_t counted_boot_us)
{
	struct message_outcome m = bare_outcome(job, 1);
	struct store_attempt_end a = {.op = op_of(r),
				      .outcome = &m,
				      .next = JOB_DONE,
				      .tries = 1,
				      .method = "GET",
				      .sent_boot_us = counted_boot_us - 5,
				      .counted_boot_us = counted_boot_us};

	m.status = 200;
	m.sent = true;
	store_attempt_end(r->st, &a);
	wait_done(r);
	assert_fine(r);
}

struct recent_list {
	struct store_recent read;
	unsigned count;
	int64_t sum_us;
};

static void on_recent(struct store_recent *read, uint64_t job, const char *host, const char *url, int64_t counted_us)
{
	struct recent_list *all = (struct recent_list *)read;

	(void)job;
	assert_non_null(strstr(host, ".example:80"));
	assert_string_equal(url, "http://a.example/x");
	all->count++;
	all->sum_us += counted_us;
}

static struct recent_list recent(struct room *r, int64_t window_us)
{
	struct recent_list all = {.read = {.op = op_of(r), .window_us = window_us, .on_row = on_recent}};

	store_recent(r->st, &all.read);
	wait_done(r);
	assert_fine(r);
	return all;
}

/* Two batches; some of what one counted late, and before it what was counted later still. */
static void what_was_counted_lately_is_found_once(void **state)
{
	static const int64_t s = 1000000, ago_s[] = {3000, 2995, 2500, 1000, 1001, 400, -60, 399, 398, 50, 1};
	struct room *r = *state;
	const size_t n = sizeof ago_s / sizeof *ago_s;
	uint32_t batch[2] = {batch_new(r, false), batch_new(r, false)};
	int64_t now = clock_boot_us() + 4000 * s; /* a machine that started today has no such past */

	for (int b = 0; b < 2; b++) {
		jobs_like(r, batch[b], plain_job(), n);
		open_in_one_turn(r, batch[b], 1, n);
		for (size_t i = 0; i < n; i++)
			end_counted(r, jobid_make(batch[b], (uint32_t)i + 1), now - ago_s[i] * s);
	}
	for (int again = 0; again < 2; again++) {
		/* Less than 500 s ago: the last six. */
		struct recent_list all = recent(r, -(4000 - 500) * s);
		int64_t want = 0;

		for (size_t i = 5; i < n; i++)
			want += now - ago_s[i] * s;
		assert_int_equal(all.count, 2 * 6);
		assert_int_equal(all.sum_us, 2 * want);
		assert_int_equal(recent(r, -(4000 - 3500) * s).count, 2 * n);
		assert_int_equal(recent(r, -(4000 + 100) * s).count, 0);
		room_reopen(r);
	}
}

/* Ended, with one request that was counted now. */
static uint32_t batch_counted(struct room *r)
{
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), 1);
	open_job(r, jobid_make(batch, 1));
	end_counted(r, jobid_make(batch, 1), clock_boot_us());
	mark(r, batch, STORE_MARK_CLOSE);
	return batch;
}

/* As if the time had come to look again. */
static void look_again(struct room *r)
{
	r->st->next_keep_us = 0;
	step_all(r);
}

static void what_was_sent_for_a_removed_batch_goes_when_no_limit_needs_it_any_more(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_counted(r);
	int64_t hour = INT64_C(3600000000);

	store_keep_window(r->st, hour);
	mark(r, batch, STORE_MARK_REMOVE);
	look_again(r);
	assert_false(batch_of(r, batch).found);
	assert_int_equal(recent(r, hour).count, 1);
	store_keep_window(r->st, 0);
	look_again(r);
	assert_int_equal(recent(r, hour).count, 0);
}

static void a_batch_that_limits_still_need_is_not_removed_for_its_size(void **state)
{
	struct room *r = *state;
	uint32_t first = batch_counted(r), second = batch_counted(r);

	store_keep_window(r->st, INT64_C(3600000000));
	store_set_retention(r->st, 0, 1); /* bytes: it is always too much */
	for (int i = 0; i < 5; i++)
		look_again(r);
	assert_true(batch_of(r, first).found && batch_of(r, second).found);
	store_keep_window(r->st, 0);
	for (int i = 0; i < 5; i++)
		look_again(r);
	assert_int_equal(r->heard.removed, 2);
}

static void one_that_limits_still_need_is_passed_over_for_the_next(void **state)
{
	struct room *r = *state;
	uint32_t needed[200], other;

	for (int i = 0; i < 200; i++)
		needed[i] = batch_counted(r);
	other = batch_new(r, false);
	jobs_like(r, other, plain_job(), 1);
	mark(r, other, STORE_MARK_CANCEL);
	step_all(r);
	store_keep_window(r->st, INT64_C(3600000000));
	store_set_retention(r->st, 0, 1); /* bytes: it is always too much */
	for (int i = 0; i < 5; i++)
		look_again(r);
	assert_false(batch_of(r, other).found);
	for (int i = 0; i < 200; i++)
		assert_true(batch_of(r, needed[i]).found);
	store_keep_window(r->st, 0);
	for (int i = 0; i < 1000 && r->heard.removed < 201; i++)
		look_again(r);
	assert_int_equal(r->heard.removed, 201);
}

static void a_removed_batch_that_limits_still_need_holds_up_no_removal_for_size(void **state)
{
	struct room *r = *state;
	uint32_t needed = batch_counted(r), other = batch_new(r, false);

	jobs_like(r, other, plain_job(), 1);
	mark(r, other, STORE_MARK_CANCEL);
	step_all(r);
	store_keep_window(r->st, INT64_C(3600000000));
	mark(r, needed, STORE_MARK_REMOVE);
	look_again(r);
	store_set_retention(r->st, 0, 1);
	for (int i = 0; i < 5; i++)
		look_again(r);
	assert_false(batch_of(r, other).found);
	assert_int_equal(recent(r, INT64_C(3600000000)).count, 1);
}

/* ---- databases from before ---- */

static void make_version_2(struct room *r)
{
	static const char rows[] =
	    "INSERT INTO batches (id, uid, name, priority, concurrency, held, closed, paused, sweep,"
	    " sweep_seq, sweep_reason, submitted_us, touched_us, next_seq, next_event, n_blocked,"
	    " n_queued, n_done, n_failed, n_cancelled, body_bytes)"
	    " VALUES (1, 1000, 'old', 5, 0, 0, 0, 0, 0, 0, 0, 5, 5, 41, 3, 0, 38, 2, 0, 0, 0);"
	    "INSERT INTO templates VALUES (1, '{}'); INSERT INTO boots VALUES (1, 'before', 900);"
	    "INSERT INTO lanes VALUES (1, 1, 'a.example:80', 0), (2, 1, 'b.example:80', 0);"
	    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)"
	    " INSERT INTO jobs (id, lane, submitted_us, url) SELECT 1 << 32 | i,"
	    " iif(i <= 10 AND i % 2 = 0, 2, 1), 5, 'http://a.example/x' FROM n;"
	    "INSERT INTO running VALUES (1 << 32 | 3, 1, 77, 5, 1, 800);"
	    "INSERT INTO running VALUES (1 << 32 | 4, 1, 78, 5, 1, 801);"
	    "WITH e(i) AS (VALUES (1), (2)) INSERT INTO outcomes SELECT 1 << 32 | i, i, 1, 0, 3, 0, 0,"
	    " 200, 11, iif(i = 2, 2, 1), 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 700, 701,"
	    " NULL, 'GET', NULL, NULL, NULL, NULL, NULL, NULL FROM e;"
	    "INSERT INTO progress SELECT id, 3, 0, lane, 0, 1, 0, 1, seq, 6, NULL, NULL FROM ("
	    " SELECT (id & -4294967296) | seq AS id, lane, seq FROM outcomes)";

	room_make_version(r, 2, rows);
}

/* The check at the end of the test looks at all of it again. */
static void a_database_with_a_row_a_job_is_brought_up_to_date(void **state)
{
	struct room *r = *state;
	struct open_list all;
	struct err e = {0};

	room_close(r);
	make_version_2(r);
	room_open(r);
	assert_int_equal(store_check(r->st, &e), 0);
	all = open_attempts(r);
	assert_int_equal(all.count, 2);
	assert_int_equal(all.jobs[0], jobid_make(1, 3));
	assert_int_equal(all.granted_us[0], 77);
	assert_int_equal(all.granted_us[1], 78);
	assert_int_equal(load(r, 1, false, 0, 100).count, 33);
	assert_int_equal(load(r, 2, false, 0, 100).count, 3);
	assert_int_equal(recent(r, clock_boot_us() + INT64_C(3600000000)).count, 2);
	end_job(r, jobid_make(1, 3), 1, (struct end){.next = JOB_DONE});
	assert_fine(r);
	room_reopen(r);
	assert_int_equal(open_attempts(r).count, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    TEST(attempts_of_one_turn_are_one_row_until_the_last_is_over),
	    TEST(after_a_restart_exactly_those_are_open_that_were),
	    TEST(what_is_opened_after_a_restart_takes_no_row_of_what_was_left),
	    TEST(a_row_with_few_left_names_no_others),
	    TEST(lanes_that_take_turns_are_loaded_each_in_order),
	    TEST(a_load_finds_what_is_not_committed_yet),
	    TEST(a_job_that_was_loaded_is_opened_as_it_is_stored),
	    TEST(a_job_is_not_opened_with_what_was_kept_of_another),
	    TEST(a_job_that_was_loaded_and_then_cancelled_is_not_opened),
	    TEST(what_was_counted_lately_is_found_once),
	    TEST(what_was_sent_for_a_removed_batch_goes_when_no_limit_needs_it_any_more),
	    TEST(a_batch_that_limits_still_need_is_not_removed_for_its_size),
	    TEST(one_that_limits_still_need_is_passed_over_for_the_next),
	    TEST(a_removed_batch_that_limits_still_need_holds_up_no_removal_for_size),
	    TEST(a_database_with_a_row_a_job_is_brought_up_to_date),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
