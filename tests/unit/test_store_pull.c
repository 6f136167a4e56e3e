/* Runs: made, started, found; who waits for whom; what the owner's words mean for them; how they end. */
#include "tests/unit/test_store_pull.h"

static void a_run_is_a_batch_with_its_first_pages(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){.scope = "{\"a\":\"b\"}", .pages = "123"});
	struct run_copy c = run_of(r, run);

	assert_true(c.found);
	assert_string_equal(c.pull, "cats");
	assert_string_equal(c.scope, "{\"a\":\"b\"}");
	assert_string_equal(c.recipe, RECIPE);
	assert_string_equal(c.options, "{\"since\":1}");
	assert_int_equal(c.row.uid, 1000);
	assert_int_equal(c.row.state, RUN_RUNNING);
	assert_int_equal(c.row.verdict, RUN_OPEN);
	assert_int_equal(c.row.counts[JOB_QUEUED], 3);
	assert_true(c.row.created_us > 0 && c.row.started_us >= c.row.created_us);
	assert_int_equal(c.row.ended_us, 0);
	assert_string_equal(c.guard, "");
	assert_string_equal(c.receipt, "");
	assert_tokens(r, run, "123");
	assert_true(batch_of(r, run).row.run);
	assert_false(batch_of(r, run).row.closed);
	assert_int_equal(r->heard.lane.batch, run);
}

static void a_batch_that_is_no_run_is_none(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	assert_false(batch_of(r, batch).row.run);
	assert_false(run_of(r, batch).found);
	assert_error(r, ERR_NOT_FOUND);
	pages_of(r, batch);
	assert_error(r, ERR_NOT_FOUND);
	assert_int_equal(run_end(r, batch, RUN_FAILED, NULL).code, ERR_NOT_FOUND);
	assert_false(run_of(r, 99).found);
	assert_error(r, ERR_NOT_FOUND);
}

static void runs_are_there_after_a_restart(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){.pages = "12"});

	room_reopen(r);
	assert_int_equal(run_of(r, run).row.state, RUN_RUNNING);
	assert_int_equal(run_of(r, run).row.counts[JOB_QUEUED], 2);
	assert_true(batch_of(r, run).row.run);
	fetch_page(r, run, 1, (struct page_how){.add = "3"});
	assert_tokens(r, run, "123");
}

static void of_two_runs_of_a_pull_the_second_is_skipped(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){0});
	struct store_run_create c = run_try(r, (struct run_like){.overlap = RUN_SKIP});

	assert_fine(r);
	assert_true(c.skipped);
	assert_int_equal(c.run, 0);
	assert_int_equal(c.other, run);
	assert_false(batch_of(r, run + 1).found);
	/* Others have nothing to do with it. */
	assert_false(run_try(r, (struct run_like){.scope = "{\"x\":\"y\"}"}).skipped);
	assert_false(run_try(r, (struct run_like){.pull = "dogs"}).skipped);
	assert_false(run_try(r, (struct run_like){.uid = 1001}).skipped);
}

static void a_run_that_stands_apart_meets_no_other(void **state)
{
	struct room *r = *state;
	uint32_t test = run_new(r, (struct run_like){.apart = true});
	struct store_run_create c = run_try(r, (struct run_like){0});

	assert_false(c.skipped);
	assert_int_equal(c.other, 0);
	c = run_try(r, (struct run_like){.apart = true});
	assert_false(c.skipped || c.waiting);
	assert_int_not_equal(c.run, test);
}

static void two_that_are_made_in_one_turn_meet_each_other(void **state)
{
	struct room *r = *state;
	struct page_list l;
	struct store_run_create c[2];

	page_list_make(&l, "1");
	for (int i = 0; i < 2; i++) {
		c[i] = (struct store_run_create){.op = op_of(r),
						 .pull = "cats",
						 .scope = "{}",
						 .recipe = "",
						 .options = "{}",
						 .name = "cats",
						 .pages = l.page,
						 .page_count = 1};
		store_run_create(r->st, &c[i]);
	}
	wait_done(r);
	assert_false(c[0].skipped);
	assert_true(c[1].skipped);
	assert_int_equal(c[1].other, c[0].run);
}

static struct err run_begin(struct room *r, uint32_t run, const char *letters)
{
	struct page_list l;
	struct store_run_start s = {.op = op_of(r), .run = run, .options = "{\"since\":2}"};

	page_list_make(&l, letters);
	s.pages = l.page;
	s.page_count = l.count;
	store_run_start(r->st, &s);
	wait_done(r);
	return r->last;
}

static void a_queued_run_waits_for_the_one_before(void **state)
{
	struct room *r = *state;
	uint32_t first = run_new(r, (struct run_like){0}), second, third;
	struct store_run_create c = run_try(r, (struct run_like){.overlap = RUN_QUEUE});

	assert_true(c.waiting);
	assert_int_equal(c.other, first);
	second = c.run;
	third = run_try(r, (struct run_like){.overlap = RUN_QUEUE}).run;
	assert_int_equal(run_of(r, second).row.state, RUN_WAITING);
	assert_int_equal(run_of(r, second).row.behind, first);
	assert_int_equal(run_of(r, third).row.behind, second);
	assert_int_equal(pages_of(r, second).count, 0);
	assert_int_equal(run_begin(r, second, "ab").code, ERR_CONFLICT);
	fetch_page(r, first, 1, (struct page_how){0});
	run_end(r, first, RUN_COMPLETE, NULL);
	assert_fine(r);
	assert_int_equal(run_of(r, second).row.behind, 0);
	assert_int_equal(run_of(r, second).row.started_us, 0);
	assert_int_equal(run_begin(r, second, "ab").code, ERR_NONE);
	assert_int_equal(run_of(r, second).row.state, RUN_RUNNING);
	assert_true(run_of(r, second).row.started_us > 0);
	assert_string_equal(run_of(r, second).options, "{\"since\":2}");
	assert_tokens(r, second, "ab");
	assert_int_equal(run_begin(r, second, "c").code, ERR_CONFLICT);
	assert_int_equal(run_begin(r, third, "c").code, ERR_CONFLICT);
}

static void when_one_that_waits_is_cancelled_the_next_waits_for_the_one_before(void **state)
{
	struct room *r = *state;
	uint32_t first = run_new(r, (struct run_like){0});
	uint32_t second = run_try(r, (struct run_like){.overlap = RUN_QUEUE}).run;
	uint32_t third = run_try(r, (struct run_like){.overlap = RUN_QUEUE}).run;

	mark(r, second, STORE_MARK_CANCEL);
	step_all(r);
	assert_int_equal(batch_of(r, second).row.ended_us, 0);
	assert_true(run_of(r, second).row.cancelled);
	assert_int_equal(run_begin(r, second, "x").code, ERR_CONFLICT);
	assert_int_equal(run_of(r, third).row.behind, second);
	assert_int_equal(run_end(r, second, RUN_CANCELLED, NULL).code, ERR_NONE);
	assert_true(batch_of(r, second).row.ended_us > 0);
	assert_int_equal(run_of(r, third).row.behind, first);
}

static void the_lists_are_by_owner_and_pull_and_the_newest_first(void **state)
{
	struct room *r = *state;
	uint32_t one = run_new(r, (struct run_like){.pull = "a"});
	uint32_t two = run_new(r, (struct run_like){.pull = "b"});
	uint32_t three = run_new(r, (struct run_like){.pull = "a", .uid = 7});

	batch_new(r, false);
	assert_int_equal(three, 3);
	assert_string_equal(runs_of(r, (struct store_run_list){.uid = -1, .limit = 9}).text, "3 2 1");
	assert_string_equal(runs_of(r, (struct store_run_list){.uid = -1, .limit = 2}).text, "3 2");
	assert_string_equal(runs_of(r, (struct store_run_list){.uid = -1, .limit = 9, .before = 3}).text, "2 1");
	assert_string_equal(runs_of(r, (struct store_run_list){.uid = 1000, .limit = 9}).text, "2 1");
	assert_string_equal(runs_of(r, (struct store_run_list){.uid = -1, .pull = "a", .limit = 9}).text, "3 1");
	assert_string_equal(runs_of(r, (struct store_run_list){.uid = 7, .pull = "a", .limit = 9}).text, "3");
	assert_string_equal(runs_of(r, (struct store_run_list){.uid = 7, .pull = "b", .limit = 9}).text, "");
	fetch_page(r, two, 1, (struct page_how){0});
	run_end(r, two, RUN_COMPLETE, NULL);
	assert_string_equal(runs_of(r, (struct store_run_list){.uid = -1, .live = true, .limit = 9}).text, "1 3");
	assert_string_equal(runs_of(r, (struct store_run_list){.uid = 1000, .live = true, .limit = 9}).text, "1");
	assert_string_equal(runs_of(r, (struct store_run_list){.uid = -1, .pull = "b", .live = true, .limit = 9}).text,
			    "");
	mark(r, one, STORE_MARK_CANCEL);
	step_all(r);
	assert_string_equal(runs_of(r, (struct store_run_list){.uid = -1, .live = true, .limit = 9}).text, "1 3");
}

/* ---- ends ---- */

static void a_run_and_its_batch_end_in_one_commit(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){0});
	struct run_copy c;

	fetch_page(r, run, 1, (struct page_how){0});
	/* Nothing is left to do, but it is not over. */
	assert_int_equal(batch_of(r, run).row.ended_us, 0);
	assert_false(r->heard.batch.ended);
	assert_int_equal(run_end(r, run, RUN_INCOMPLETE, NULL).code, ERR_NONE);
	assert_true(r->heard.batch.ended && r->heard.batch.closed);
	assert_int_equal(r->heard.batch.batch, run);
	c = run_of(r, run);
	assert_int_equal(c.row.state, RUN_ENDED);
	assert_int_equal(c.row.verdict, RUN_INCOMPLETE);
	assert_string_equal(c.receipt, "{\"items\":42}");
	assert_true(c.row.ended_us > 0 && batch_of(r, run).row.ended_us > 0);
	assert_int_equal(run_end(r, run, RUN_COMPLETE, NULL).code, ERR_CONFLICT);
	assert_int_equal(run_of(r, run).row.verdict, RUN_INCOMPLETE);
}

static void a_run_does_not_end_before_its_pages(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){.pages = "12"});

	fetch_page(r, run, 1, (struct page_how){0});
	assert_int_equal(run_end(r, run, RUN_COMPLETE, NULL).code, ERR_CONFLICT);
	open_job(r, jobid_make(run, 2));
	assert_int_equal(run_end(r, run, RUN_COMPLETE, NULL).code, ERR_CONFLICT);
	end_page(r, jobid_make(run, 2), 1, (struct page_how){0});
	assert_int_equal(run_end(r, run, RUN_COMPLETE, NULL).code, ERR_NONE);
}

static void a_cancelled_run_ends_with_its_receipt(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){.pages = "12"});
	unsigned told;

	open_job(r, jobid_make(run, 1));
	mark(r, run, STORE_MARK_CANCEL);
	step_all(r);
	assert_int_equal(run_end(r, run, RUN_CANCELLED, NULL).code, ERR_CONFLICT);
	/* What comes in still is stored, and nothing follows from it. */
	end_page(r, jobid_make(run, 1), 1, (struct page_how){.add = "3"});
	assert_fine(r);
	assert_tokens(r, run, "12");
	assert_int_equal(batch_of(r, run).row.ended_us, 0);
	assert_true(run_of(r, run).row.cancelled);
	assert_string_equal(run_of(r, run).error, "");
	assert_int_equal(run_of(r, run).row.state, RUN_RUNNING);
	told = r->heard.batches;
	assert_int_equal(run_end(r, run, RUN_CANCELLED, NULL).code, ERR_NONE);
	assert_int_equal(r->heard.batches, told + 1);
	assert_true(batch_of(r, run).row.ended_us > 0);
	assert_int_equal(run_of(r, run).row.verdict, RUN_CANCELLED);
	assert_string_equal(run_of(r, run).receipt, "{\"items\":42}");
}

static void a_run_whose_deadline_passed_says_so(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){0});
	struct store_batch_mark m = {
	    .batch = run, .mark = STORE_MARK_FAIL, .reason = REASON_EXPIRED, .error = "the deadline passed"};

	m.op = op_of(r);
	store_batch_mark(r->st, &m);
	wait_done(r);
	step_all(r);
	room_reopen(r);
	assert_true(run_of(r, run).row.cancelled);
	assert_string_equal(run_of(r, run).error, "the deadline passed");
	assert_int_equal(page_of(r, run, 1).row.reason, REASON_EXPIRED);
	assert_int_equal(run_end(r, run, RUN_INCOMPLETE, NULL).code, ERR_NONE);
}

static void nobody_closes_a_live_run_or_adds_jobs_to_it(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){0});

	assert_int_equal(mark(r, run, STORE_MARK_CLOSE).code, ERR_CONFLICT);
	jobs_like(r, run, plain_job(), 1);
	assert_error(r, ERR_CONFLICT);
	assert_int_equal(batch_of(r, run).row.counts[JOB_QUEUED], 1);
	fetch_page(r, run, 1, (struct page_how){0});
	run_end(r, run, RUN_COMPLETE, NULL);
	assert_int_equal(mark(r, run, STORE_MARK_CLOSE).code, ERR_NONE);
}

static void a_live_run_is_not_closed_by_the_hour(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){0}), batch = batch_new(r, false);
	uint32_t waiting = run_try(r, (struct run_like){.overlap = RUN_QUEUE}).run;

	jobs_like(r, batch, plain_job(), 1);
	meddle(r, "UPDATE batches SET touched_us = 1");
	step_all(r);
	assert_true(batch_of(r, batch).row.closed);
	assert_false(batch_of(r, run).row.closed);
	assert_false(batch_of(r, waiting).row.closed);
}

/* ---- once more ---- */

static void a_run_that_nothing_can_be_fetched_again_of_is_not_retried(void **state)
{
	struct room *r = *state;
	uint32_t stopped = run_new(r, (struct run_like){.pages = "12", .pull = "p"});
	uint32_t full = run_new(r, (struct run_like){.pages = "1", .pull = "q"});

	fetch_page(r, stopped, 1, (struct page_how){0});
	fetch_page(r, stopped, 2, (struct page_how){.next = JOB_FAILED, .guard = "a token again"});
	run_end(r, stopped, RUN_FAILED, NULL);
	assert_int_equal(mark(r, stopped, STORE_MARK_RETRY).code, ERR_CONFLICT);
	assert_int_equal(mark_job(r, jobid_make(stopped, 2), STORE_MARK_RETRY).code, ERR_CONFLICT);
	assert_string_equal(run_of(r, stopped).guard, "a token again");
	assert_int_equal(run_of(r, stopped).row.verdict, RUN_FAILED);
	fetch_page(r, full, 1, (struct page_how){0});
	run_end(r, full, RUN_INCOMPLETE, NULL);
	assert_int_equal(mark(r, full, STORE_MARK_RETRY).code, ERR_CONFLICT);
	assert_int_equal(run_of(r, full).row.verdict, RUN_INCOMPLETE);
}

static void a_run_that_is_retried_runs_again_and_its_receipt_is_void(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){.pages = "12"});
	struct run_copy c;

	fetch_page(r, run, 1, (struct page_how){0});
	fetch_page(r, run, 2, (struct page_how){.next = JOB_FAILED});
	run_end(r, run, RUN_INCOMPLETE, NULL);
	assert_int_equal(mark(r, run, STORE_MARK_RETRY).code, ERR_NONE);
	c = run_of(r, run);
	assert_int_equal(c.row.state, RUN_RUNNING);
	assert_int_equal(c.row.verdict, RUN_OPEN);
	assert_int_equal(c.row.ended_us, 0);
	assert_string_equal(c.receipt, "");
	assert_true(batch_of(r, run).row.deadline_from_us > batch_of(r, run).row.submitted_us);
	assert_false(batch_of(r, run).row.closed);
	assert_int_equal(run_end(r, run, RUN_COMPLETE, NULL).code, ERR_CONFLICT);
	step_all(r);
	/* What follows from the page that is there now is added. */
	fetch_page(r, run, 2, (struct page_how){.add = "3"});
	assert_int_equal(batch_of(r, run).row.ended_us, 0);
	fetch_page(r, run, 3, (struct page_how){0});
	assert_int_equal(run_end(r, run, RUN_COMPLETE, NULL).code, ERR_NONE);
	assert_tokens(r, run, "123");
	assert_int_equal(run_of(r, run).row.verdict, RUN_COMPLETE);
	assert_true(batch_of(r, run).row.ended_us > 0);
}

static void one_page_that_is_retried_opens_its_run_again(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){.pages = "12"});

	fetch_page(r, run, 1, (struct page_how){.next = JOB_FAILED});
	fetch_page(r, run, 2, (struct page_how){0});
	run_end(r, run, RUN_INCOMPLETE, NULL);
	assert_int_equal(mark_job(r, jobid_make(run, 1), STORE_MARK_RETRY).code, ERR_NONE);
	assert_int_equal(run_of(r, run).row.state, RUN_RUNNING);
	assert_false(batch_of(r, run).row.closed);
	fetch_page(r, run, 1, (struct page_how){0});
	assert_int_equal(run_end(r, run, RUN_COMPLETE, NULL).code, ERR_NONE);
}

static void a_cancelled_run_may_be_retried_once_it_has_its_receipt(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){0});

	mark(r, run, STORE_MARK_CANCEL);
	step_all(r);
	assert_int_equal(mark(r, run, STORE_MARK_RETRY).code, ERR_CONFLICT);
	assert_int_equal(run_end(r, run, RUN_CANCELLED, NULL).code, ERR_NONE);
	assert_int_equal(mark(r, run, STORE_MARK_RETRY).code, ERR_NONE);
	assert_false(run_of(r, run).row.cancelled);
	assert_int_equal(run_end(r, run, RUN_CANCELLED, NULL).code, ERR_CONFLICT);
	step_all(r);
	fetch_page(r, run, 1, (struct page_how){0});
	assert_int_equal(run_end(r, run, RUN_COMPLETE, NULL).code, ERR_NONE);
}

static void of_a_complete_run_nothing_is_retried(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){.pages = "12"});

	fetch_page(r, run, 1, (struct page_how){0});
	mark_job(r, jobid_make(run, 2), STORE_MARK_CANCEL);
	run_end(r, run, RUN_COMPLETE, NULL);
	assert_int_equal(mark(r, run, STORE_MARK_RETRY).code, ERR_NONE);
	step_all(r);
	assert_int_equal(run_of(r, run).row.verdict, RUN_COMPLETE);
	assert_int_equal(state_of(r, run, 2), JOB_CANCELLED);
}

/* ---- removal ---- */

static void a_removed_run_is_gone_with_its_pages(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){.pages = "123"}),
		 other = run_new(r, (struct run_like){.pull = "o"});

	for (uint32_t i = 1; i <= 3; i++)
		fetch_page(r, run, i, (struct page_how){.body = "x"});
	run_end(r, run, RUN_COMPLETE, NULL);
	mark(r, run, STORE_MARK_REMOVE);
	assert_false(run_of(r, run).found);
	pages_of(r, run);
	assert_error(r, ERR_NOT_FOUND);
	assert_string_equal(runs_of(r, (struct store_run_list){.uid = -1, .limit = 9}).text, "2");
	assert_int_equal(run_end(r, run, RUN_COMPLETE, NULL).code, ERR_NOT_FOUND);
	room_reopen(r);
	step_until_quiet(r);
	assert_tokens(r, other, "1");
	room_close(r);
	sqlite3 *db = room_database(r);
	sqlite3_stmt *s;
	assert_int_equal(
	    sqlite3_prepare_v2(db, "SELECT (SELECT count(*) FROM pages), (SELECT count(*) FROM runs)", -1, &s, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(s, 0), 1);
	assert_int_equal(sqlite3_column_int(s, 1), 1);
	sqlite3_finalize(s);
	sqlite3_close(db);
	room_open(r);
}

static void a_cancelled_run_that_is_removed_makes_nobody_wait(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){0});
	uint32_t waiting = run_try(r, (struct run_like){.overlap = RUN_QUEUE}).run;

	mark(r, run, STORE_MARK_CANCEL);
	step_all(r);
	assert_int_equal(mark(r, run, STORE_MARK_REMOVE).code, ERR_CONFLICT);
	assert_int_equal(run_end(r, run, RUN_CANCELLED, NULL).code, ERR_NONE);
	assert_int_equal(mark(r, run, STORE_MARK_REMOVE).code, ERR_NONE);
	assert_int_equal(run_of(r, waiting).row.behind, 0);
	assert_int_equal(run_begin(r, waiting, "1").code, ERR_NONE);
}

static void states_and_verdicts_have_names(void **state)
{
	(void)state;
	assert_string_equal(run_state_name(RUN_WAITING), "waiting");
	assert_string_equal(run_state_name(RUN_ENDED), "ended");
	assert_string_equal(run_verdict_name(RUN_OPEN), "");
	assert_string_equal(run_verdict_name(RUN_CANCELLED), "cancelled");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_run_is_a_batch_with_its_first_pages),
	    TEST(a_batch_that_is_no_run_is_none),
	    TEST(runs_are_there_after_a_restart),
	    TEST(of_two_runs_of_a_pull_the_second_is_skipped),
	    TEST(a_run_that_stands_apart_meets_no_other),
	    TEST(two_that_are_made_in_one_turn_meet_each_other),
	    TEST(a_queued_run_waits_for_the_one_before),
	    TEST(when_one_that_waits_is_cancelled_the_next_waits_for_the_one_before),
	    TEST(the_lists_are_by_owner_and_pull_and_the_newest_first),
	    TEST(a_run_and_its_batch_end_in_one_commit),
	    TEST(a_run_does_not_end_before_its_pages),
	    TEST(a_cancelled_run_ends_with_its_receipt),
	    TEST(a_run_whose_deadline_passed_says_so),
	    TEST(nobody_closes_a_live_run_or_adds_jobs_to_it),
	    TEST(a_live_run_is_not_closed_by_the_hour),
	    TEST(a_run_that_is_retried_runs_again_and_its_receipt_is_void),
	    TEST(one_page_that_is_retried_opens_its_run_again),
	    TEST(a_cancelled_run_may_be_retried_once_it_has_its_receipt),
	    TEST(of_a_complete_run_nothing_is_retried),
	    TEST(a_run_that_nothing_can_be_fetched_again_of_is_not_retried),
	    TEST(a_removed_run_is_gone_with_its_pages),
	    TEST(a_cancelled_run_that_is_removed_makes_nobody_wait),
	    TEST(states_and_verdicts_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
