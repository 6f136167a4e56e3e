/* What stays between runs, and moves with a complete run only; what a receipt is made of; databases of the schema
 * before pulls. */
#include "tests/unit/test_store_pull.h"

struct state_copy {
	struct store_pull_states states;
	struct store_pull_state row; /* the last */
	char pull[32], scope[32], since[64];
	unsigned count;
};

static void copy_state(struct store_pull_states *s, const struct store_pull_state *row)
{
	struct state_copy *c = (struct state_copy *)s;

	c->count++;
	c->row = *row;
	snprintf(c->pull, sizeof c->pull, "%s", row->pull);
	snprintf(c->scope, sizeof c->scope, "%s", row->scope);
	snprintf(c->since, sizeof c->since, "%s", row->since);
}

static struct state_copy state_of_pull(struct room *r, int64_t uid, const char *pull, const char *scope)
{
	struct state_copy c = {
	    .states = {.op = op_of(r), .uid = uid, .pull = pull, .scope = scope, .on_row = copy_state}};

	store_pull_states(r->st, &c.states);
	wait_done(r);
	assert_fine(r);
	return c;
}

static void state_set(struct room *r, const char *since)
{
	struct store_pull_state_set s = {.op = op_of(r), .uid = 1000, .pull = "cats", .scope = "{}", .since = since};

	store_pull_state_set(r->st, &s);
	wait_done(r);
	assert_fine(r);
}

/* A run of one page, to its end. */
static uint32_t whole_run(struct room *r, enum run_verdict verdict, const char *since)
{
	uint32_t run = run_new(r, (struct run_like){.conditional = true});

	fetch_page(r, run, 1, (struct page_how){.body = "x"});
	run_end(r, run, verdict, since);
	assert_fine(r);
	return run;
}

static void the_state_moves_with_a_complete_run(void **state)
{
	struct room *r = *state;
	uint32_t run;
	struct state_copy s;

	assert_int_equal(state_of_pull(r, -1, NULL, NULL).count, 0);
	run = whole_run(r, RUN_COMPLETE, "\"2026-02-01\"");
	room_reopen(r);
	s = state_of_pull(r, -1, NULL, NULL);
	assert_int_equal(s.count, 1);
	assert_int_equal(s.row.uid, 1000);
	assert_string_equal(s.pull, "cats");
	assert_string_equal(s.scope, "{}");
	assert_string_equal(s.since, "\"2026-02-01\"");
	assert_int_equal(s.row.run, run);
	assert_int_equal(s.row.items, 42); /* what the receipt says */
	assert_true(s.row.updated_us > 0);
}

static void it_stays_as_it_is_when_a_run_is_not_complete(void **state)
{
	struct room *r = *state;
	uint32_t run = whole_run(r, RUN_COMPLETE, "7");

	whole_run(r, RUN_INCOMPLETE, "8");
	whole_run(r, RUN_FAILED, "9");
	assert_string_equal(state_of_pull(r, -1, NULL, NULL).since, "7");
	assert_int_equal(state_of_pull(r, -1, NULL, NULL).row.run, run);
	/* Complete, and none was seen: since stays, the base moves. */
	run = whole_run(r, RUN_COMPLETE, NULL);
	assert_string_equal(state_of_pull(r, -1, NULL, NULL).since, "7");
	assert_int_equal(state_of_pull(r, -1, NULL, NULL).row.run, run);
}

static void a_run_that_is_not_to_move_it_does_not(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){.apart = true});
	struct store_run_end e = {.run = run, .verdict = RUN_COMPLETE, .receipt = "{}", .since = "7"};

	fetch_page(r, run, 1, (struct page_how){0});
	e.op = op_of(r);
	store_run_end(r->st, &e);
	wait_done(r);
	assert_fine(r);
	assert_int_equal(state_of_pull(r, -1, NULL, NULL).count, 0);
}

static void an_older_run_that_is_retried_does_not_turn_it_back(void **state)
{
	struct room *r = *state;
	uint32_t old = run_new(r, (struct run_like){0}), new;

	fetch_page(r, old, 1, (struct page_how){.next = JOB_FAILED});
	run_end(r, old, RUN_INCOMPLETE, NULL);
	new = whole_run(r, RUN_COMPLETE, "8");
	mark(r, old, STORE_MARK_RETRY);
	step_all(r);
	fetch_page(r, old, 1, (struct page_how){0});
	assert_int_equal(run_end(r, old, RUN_COMPLETE, "7").code, ERR_NONE);
	assert_int_equal(run_of(r, old).row.verdict, RUN_COMPLETE);
	assert_string_equal(state_of_pull(r, -1, NULL, NULL).since, "8");
	assert_int_equal(state_of_pull(r, -1, NULL, NULL).row.run, new);
}

static void a_receipt_that_counts_no_items_is_no_trouble(void **state)
{
	static const char *const receipts[] = {NULL, "", "not JSON", "[]", "{\"items\":null}"};
	struct room *r = *state;

	for (size_t i = 0; i < sizeof receipts / sizeof *receipts; i++) {
		uint32_t run = run_new(r, (struct run_like){0});
		struct store_run_end e = {.run = run, .verdict = RUN_COMPLETE, .receipt = receipts[i], .moves = true};
		fetch_page(r, run, 1, (struct page_how){0});
		e.op = op_of(r);
		store_run_end(r->st, &e);
		wait_done(r);
		assert_fine(r);
		assert_int_equal(state_of_pull(r, -1, NULL, NULL).row.items, -1);
	}
}

static void states_are_found_by_owner_pull_and_scope(void **state)
{
	static const struct run_like likes[] = {
	    {.pull = "a"}, {.pull = "a", .scope = "{\"v\":\"1\"}"}, {.pull = "a", .uid = 7}, {.pull = "b"}};
	struct room *r = *state;

	for (size_t i = 0; i < sizeof likes / sizeof *likes; i++) {
		uint32_t run = run_new(r, likes[i]);
		fetch_page(r, run, 1, (struct page_how){0});
		run_end(r, run, RUN_COMPLETE, "1");
	}
	assert_int_equal(state_of_pull(r, -1, NULL, NULL).count, 4);
	assert_int_equal(state_of_pull(r, -1, "a", NULL).count, 3);
	assert_int_equal(state_of_pull(r, 1000, "a", NULL).count, 2);
	assert_int_equal(state_of_pull(r, 1000, "a", "{}").count, 1);
	assert_int_equal(state_of_pull(r, 7, NULL, NULL).count, 1);
	assert_int_equal(state_of_pull(r, 8, NULL, NULL).count, 0);
}

static void the_owner_sets_it_and_forgets_it(void **state)
{
	struct room *r = *state;
	uint32_t run;

	state_set(r, "\"2020\"");
	assert_string_equal(state_of_pull(r, -1, NULL, NULL).since, "\"2020\"");
	assert_int_equal(state_of_pull(r, -1, NULL, NULL).row.run, 0);
	assert_int_equal(state_of_pull(r, -1, NULL, NULL).row.items, -1);
	run = whole_run(r, RUN_COMPLETE, "\"2021\"");
	state_set(r, "\"2019\"");
	assert_string_equal(state_of_pull(r, -1, NULL, NULL).since, "\"2019\"");
	assert_int_equal(state_of_pull(r, -1, NULL, NULL).row.run, run);
	state_set(r, NULL);
	assert_int_equal(state_of_pull(r, -1, NULL, NULL).count, 0);
	run = run_new(r, (struct run_like){.conditional = true});
	assert_int_equal(run_of(r, run).row.base, 0);
	state_set(r, NULL);
}

static void the_last_complete_run_is_the_base_of_the_next(void **state)
{
	struct room *r = *state;
	uint32_t first = whole_run(r, RUN_COMPLETE, "1"), second = whole_run(r, RUN_INCOMPLETE, "2");

	assert_int_equal(run_of(r, second).row.base, first);
	assert_int_equal(run_of(r, whole_run(r, RUN_COMPLETE, "3")).row.base, first);
	assert_int_equal(run_of(r, whole_run(r, RUN_COMPLETE, "4")).row.base, second + 1);
}

static void a_run_that_waited_has_the_base_of_when_it_starts(void **state)
{
	struct room *r = *state;
	uint32_t first = run_new(r, (struct run_like){0});
	uint32_t second = run_try(r, (struct run_like){.conditional = true, .overlap = RUN_QUEUE}).run;
	struct store_run_start s = {.run = second};

	assert_int_equal(run_of(r, second).row.base, 0);
	fetch_page(r, first, 1, (struct page_how){0});
	run_end(r, first, RUN_COMPLETE, "1");
	s.op = op_of(r);
	store_run_start(r->st, &s);
	wait_done(r);
	assert_fine(r);
	assert_int_equal(run_of(r, second).row.base, first);
	/* No options were told: those it was made with. */
	assert_string_equal(run_of(r, second).options, "{\"since\":1}");
}

static void the_state_outlives_its_run(void **state)
{
	struct room *r = *state;
	uint32_t run = whole_run(r, RUN_COMPLETE, "7"), next;

	mark(r, run, STORE_MARK_REMOVE);
	assert_int_equal(state_of_pull(r, -1, NULL, NULL).row.run, 0);
	step_until_quiet(r);
	assert_string_equal(state_of_pull(r, -1, NULL, NULL).since, "7");
	assert_int_equal(state_of_pull(r, -1, NULL, NULL).row.run, 0);
	assert_int_equal(state_of_pull(r, -1, NULL, NULL).row.items, 42);
	next = run_new(r, (struct run_like){.conditional = true});
	assert_true(next > run);
	assert_int_equal(run_of(r, next).row.base, 0);
}

/* ---- attempts ---- */

struct told {
	struct store_run_attempts attempts;
	struct store_run_attempt rows[10];
	unsigned count;
};

static void on_attempt(struct store_run_attempts *a, const struct store_run_attempt *row)
{
	struct told *t = (struct told *)a;

	assert_true(t->count < 10);
	t->rows[t->count++] = *row;
}

static struct told attempts_of(struct room *r, uint32_t run, size_t limit, int *steps)
{
	struct told t = {.attempts = {.run = run, .limit = limit, .on_row = on_attempt}};

	*steps = 0;
	do {
		t.attempts.op = op_of(r);
		store_run_attempts(r->st, &t.attempts);
		wait_done(r);
		assert_fine(r);
		++*steps;
	} while (t.attempts.more);
	return t;
}

static void all_attempts_of_a_run_are_told_and_no_others(void **state)
{
	static const struct store_run_attempt want[5] = {
	    {.page = 1, .sent = true, .limited_us = 3, .size_bytes = 3},
	    {.page = 1, .sent = true, .redirected = true, .limited_us = 3},
	    {.page = 1, .sent = true, .limited_us = 3, .size_bytes = 5},
	    {.page = 2, .sent = true, .limited_us = 3},
	    {.page = 3},
	};
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){.pages = "123"}),
		 other = run_new(r, (struct run_like){.pull = "o"});
	struct told t;
	int steps;

	t = attempts_of(r, run, 100, &steps);
	assert_int_equal(t.count, 0);
	fetch_page(r, run, 1, (struct page_how){.goes_on = true, .status = 500, .body = "err"});
	fetch_page(r, run, 1, (struct page_how){.goes_on = true, .status = 302});
	fetch_page(r, run, 1, (struct page_how){.body = "12345"});
	fetch_page(r, run, 2, (struct page_how){.next = JOB_FAILED, .status = 410});
	mark_job(r, jobid_make(run, 3), STORE_MARK_CANCEL);
	fetch_page(r, other, 1, (struct page_how){.body = "1234567890"});
	for (size_t limit = 1; limit < 8; limit++) {
		t = attempts_of(r, run, limit, &steps);
		assert_int_equal(steps, (5 + (int)limit - 1) / (int)limit);
		assert_int_equal(t.count, 5);
		for (int i = 0; i < 5; i++) {
			assert_int_equal(t.rows[i].page, want[i].page);
			assert_int_equal(t.rows[i].sent, want[i].sent);
			assert_int_equal(t.rows[i].redirected, want[i].redirected);
			assert_int_equal(t.rows[i].limited_us, want[i].limited_us);
			assert_int_equal(t.rows[i].size_bytes, want[i].size_bytes);
		}
	}
}

static void what_is_no_run_has_no_attempts_of_a_run(void **state)
{
	struct room *r = *state;
	struct store_run_attempts a = {.run = batch_new(r, false), .limit = 9, .on_row = on_attempt};

	a.op = op_of(r);
	store_run_attempts(r->st, &a);
	wait_done(r);
	assert_error(r, ERR_NOT_FOUND);
}

/* ---- databases from before ---- */

/* As the first schema left it: a batch with a job that was fetched and one that was not. */
static void make_version_1(struct room *r)
{
	static const char rows[] =
	    "INSERT INTO batches (id, uid, name, priority, concurrency, held, closed, paused, sweep,"
	    " sweep_seq, sweep_reason, submitted_us, touched_us, next_seq, next_event, n_blocked, n_queued,"
	    " n_done, n_failed, n_cancelled, body_bytes)"
	    " VALUES (1, 1000, 'old', 5, 0, 0, 1, 0, 0, 0, 0, 5, 5, 2, 1, 0, 1, 0, 0, 0, 0);"
	    "INSERT INTO templates VALUES (1, '{}');"
	    "INSERT INTO lanes VALUES (1, 1, 'a.example:80', 0);"
	    "INSERT INTO jobs (id, lane, submitted_us, url) VALUES (4294967297, 1, 5, 'http://a.example/')";

	room_make_version(r, 1, rows);
}

static void a_database_from_before_pulls_is_brought_up_to_date(void **state)
{
	struct room *r = *state;
	uint32_t run;

	room_close(r);
	make_version_1(r);
	room_open(r);
	assert_string_equal(batch_of(r, 1).name, "old");
	assert_false(batch_of(r, 1).row.run);
	run_job(r, jobid_make(1, 1), JOB_DONE);
	assert_true(batch_of(r, 1).row.ended_us > 0);
	run = whole_run(r, RUN_COMPLETE, "7");
	assert_int_equal(run, 2);
	room_reopen(r);
	assert_int_equal(run_of(r, run).row.verdict, RUN_COMPLETE);
}

static void the_check_finds_runs_and_pages_that_do_not_add_up(void **state)
{
	static const char *const harm[][2] = {
	    {"DELETE FROM runs", "a page of no run"},
	    {"DELETE FROM pages", "a job of a run is no page"},
	    {"INSERT INTO pages (job, from_public, past_end, said, reused_from, token)"
	     " VALUES (1 << 32 | 9, 0, 0, 0, 0, 'z')",
	     "a page that is no job"},
	    {"UPDATE pages SET said = 1", "said something"},
	    {"UPDATE batches SET closed = 1", "nobody cancelled it"},
	    {"UPDATE runs SET state = 2", "do not end together"},
	    {"UPDATE runs SET state = 0", "a run that waits has pages"},
	    {"UPDATE runs SET verdict = 1", "verdict"},
	    {"INSERT INTO runs SELECT 77, uid, state, verdict, apart, conditional, base, cancelled, created_us, "
	     "started_us,"
	     " ended_us, pull, scope, options, guard, error, receipt, recipe FROM runs",
	     "a run of no batch"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof harm / sizeof *harm; i++) {
		struct room r;
		struct err e = {0};
		room_make(&r);
		room_open(&r);
		run_new(&r, (struct run_like){.pages = "12"});
		assert_int_equal(store_check(r.st, &e), 0);
		meddle(&r, harm[i][0]);
		if (store_check(r.st, &e) == 0 || !strstr(e.what, harm[i][1]))
			fail_msg("%s: %s", harm[i][0], e.what);
		store_close(r.st);
		event_base_free(r.base);
		directory_remove(r.dir);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_state_moves_with_a_complete_run),
	    TEST(it_stays_as_it_is_when_a_run_is_not_complete),
	    TEST(a_run_that_is_not_to_move_it_does_not),
	    TEST(an_older_run_that_is_retried_does_not_turn_it_back),
	    TEST(a_receipt_that_counts_no_items_is_no_trouble),
	    TEST(states_are_found_by_owner_pull_and_scope),
	    TEST(the_owner_sets_it_and_forgets_it),
	    TEST(the_last_complete_run_is_the_base_of_the_next),
	    TEST(a_run_that_waited_has_the_base_of_when_it_starts),
	    TEST(the_state_outlives_its_run),
	    TEST(all_attempts_of_a_run_are_told_and_no_others),
	    TEST(what_is_no_run_has_no_attempts_of_a_run),
	    TEST(a_database_from_before_pulls_is_brought_up_to_date),
	    cmocka_unit_test(the_check_finds_runs_and_pages_that_do_not_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
