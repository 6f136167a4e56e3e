/* Pages: what they said is read as it was told; a token is in its run once; what follows from a page is there with it
 * or not at all; a page that has not changed has the stored one's body and word. */
#include "daemon/store_sqlite.h"
#include "tests/unit/test_store_pull.h"

/* ---- what a page said ---- */

static void what_a_page_said_is_read_as_it_was_told(void **state)
{
	static const unsigned char keys[16] = {1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 9};
	static const struct message_page said = {
	    .items = 100,
	    .next = "http://a.example/next?c=1",
	    .next_is_url = true,
	    .has_more = 1,
	    .stop = true,
	    .total_pages = 16,
	    .total_items = 1600,
	    .since = "\"2026-01-01T00:00:00Z\"",
	    .etag = "W/\"x\"",
	    .last_modified = "Sat, 21 Nov 2026 20:21:00 GMT",
	    .hash = {UINT64_MAX, 0x8000000000000001u},
	    .keys = keys,
	    .keys_bytes = sizeof keys,
	};
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){.pages = "12"});
	struct page_copy c;

	fetch_page(r, run, 1, (struct page_how){.page = &said, .body = "{}"});
	room_reopen(r);
	c = page_of(r, run, 1);
	assert_int_equal(c.row.job, jobid_make(run, 1));
	assert_string_equal(c.token, "1");
	assert_string_equal(c.url, "http://a.example/p/1");
	assert_int_equal(c.row.state, JOB_DONE);
	assert_int_equal(c.row.status, 200);
	assert_int_equal(c.row.size_bytes, 2);
	assert_int_equal(c.row.attempts, 1);
	assert_true(c.row.said && c.row.ended_us > 0);
	assert_false(c.row.past_end || c.row.reused_from || c.row.from_public);
	assert_int_equal(c.row.page.items, 100);
	assert_string_equal(c.next, "http://a.example/next?c=1");
	assert_true(c.row.page.next_is_url && c.row.page.stop);
	assert_int_equal(c.row.page.has_more, 1);
	assert_int_equal(c.row.page.total_pages, 16);
	assert_int_equal(c.row.page.total_items, 1600);
	assert_string_equal(c.since, "\"2026-01-01T00:00:00Z\"");
	assert_string_equal(c.etag, "W/\"x\"");
	assert_int_equal(c.row.page.hash[0], UINT64_MAX);
	assert_int_equal(c.row.page.hash[1], 0x8000000000000001u);
	assert_int_equal(c.row.page.keys_bytes, sizeof keys);
	assert_memory_equal(c.keys, keys, sizeof keys);
	c = page_of(r, run, 2);
	assert_int_equal(c.row.state, JOB_QUEUED);
	assert_false(c.row.said);
	assert_int_equal(c.row.ended_us, 0);
}

static void what_was_not_told_is_read_as_not_told(void **state)
{
	static const struct message_page nothing = {
	    .items = -1,
	    .next = "",
	    .has_more = -1,
	    .total_pages = -1,
	    .total_items = -1,
	    .since = "",
	    .etag = "",
	    .last_modified = "",
	};
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){0});
	struct page_copy c;

	fetch_page(r, run, 1, (struct page_how){.page = &nothing});
	c = page_of(r, run, 1);
	assert_true(c.row.said);
	assert_int_equal(c.row.page.items, -1);
	assert_int_equal(c.row.page.has_more, -1);
	assert_int_equal(c.row.page.total_pages, -1);
	assert_string_equal(c.next, "");
	assert_string_equal(c.since, "");
	assert_string_equal(c.etag, "");
	assert_null(c.row.page.keys);
}

static void keys_are_read_only_where_they_are_asked_for(void **state)
{
	static unsigned char keys[MESSAGE_KEYS_MAX];
	struct message_page said = PLAIN_PAGE;
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){0});
	struct pages_copy c = {.count = 0};

	said.keys = keys;
	said.keys_bytes = sizeof keys;
	fetch_page(r, run, 1, (struct page_how){.page = &said});
	c.pages = (struct store_pages){.op = op_of(r), .run = run, .limit = 9, .on_row = copy_page};
	store_pages(r->st, &c.pages);
	wait_done(r);
	assert_int_equal(c.count, 1);
	assert_null(c.page[0].row.page.keys);
	assert_int_equal(page_of(r, run, 1).row.page.keys_bytes, MESSAGE_KEYS_MAX);
}

static void a_page_past_the_end_is_done_and_said_nothing(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){.pages = "12"});

	fetch_page(r, run, 2, (struct page_how){.past_end = true, .status = 404});
	assert_int_equal(page_of(r, run, 2).row.state, JOB_DONE);
	assert_int_equal(page_of(r, run, 2).row.status, 404);
	assert_true(page_of(r, run, 2).row.past_end);
	assert_false(page_of(r, run, 2).row.said);
	assert_false(page_of(r, run, 1).row.past_end);
}

static void pages_are_read_in_steps(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){.pages = "abcde"});
	struct pages_copy c = {.pages = {.run = run, .limit = 2, .on_row = copy_page}};
	int steps = 0;

	do {
		c.pages.op = op_of(r);
		c.pages.after_seq = c.pages.last_seq;
		store_pages(r->st, &c.pages);
		wait_done(r);
		assert_fine(r);
		steps++;
	} while (c.pages.more);
	assert_int_equal(steps, 3);
	assert_int_equal(c.count, 5);
	assert_string_equal(c.page[4].token, "e");
}

/* ---- what follows ---- */

static void pages_that_follow_are_there_with_the_end_of_the_page(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){0});
	unsigned lanes = r->heard.lanes;

	fetch_page(r, run, 1, (struct page_how){.add = "234"});
	assert_tokens(r, run, "1234");
	assert_int_equal(run_of(r, run).row.counts[JOB_QUEUED], 3);
	assert_true(r->heard.lanes > lanes);
	assert_int_equal(load(r, r->heard.lane.id, false, jobid_make(run, 1), 9).count, 3);
}

static void a_token_is_in_its_run_once(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){.pages = "1223"}),
		 other = run_new(r, (struct run_like){.pull = "o"});

	assert_tokens(r, run, "123");
	fetch_page(r, run, 1, (struct page_how){.add = "2344"});
	assert_tokens(r, run, "1234");
	assert_tokens(r, other, "1");
	assert_int_equal(run_of(r, run).row.counts[JOB_QUEUED], 3);
}

static struct err add_pages(struct room *r, uint32_t run, const char *letters)
{
	struct page_list l;
	struct store_pages_add a = {.op = op_of(r), .run = run};

	page_list_make(&l, letters);
	a.pages = l.page;
	a.count = l.count;
	store_pages_add(r->st, &a);
	wait_done(r);
	return r->last;
}

static void pages_may_be_added_without_an_end(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){0}), waiting, batch = batch_new(r, false);

	assert_int_equal(add_pages(r, run, "231").code, ERR_NONE);
	assert_tokens(r, run, "123");
	waiting = run_try(r, (struct run_like){.overlap = RUN_QUEUE}).run;
	assert_int_equal(add_pages(r, waiting, "1").code, ERR_CONFLICT);
	assert_int_equal(add_pages(r, batch, "1").code, ERR_NOT_FOUND);
	assert_int_equal(add_pages(r, 99, "1").code, ERR_NOT_FOUND);
	mark(r, run, STORE_MARK_CANCEL);
	assert_int_equal(add_pages(r, run, "4").code, ERR_CONFLICT);
}

static void tokens_may_be_as_long_as_a_cursor_can_be(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){0});
	char *token = malloc(MESSAGE_NEXT_MAX + 1);
	struct store_page_new page[3];

	memset(token, 'x', MESSAGE_NEXT_MAX);
	token[MESSAGE_NEXT_MAX] = '\0';
	for (int i = 0; i < 3; i++)
		page[i] = (struct store_page_new){
		    .job = plain_job(), .token = i == 2 ? token + 1 : token, .from_public = i == 2};
	struct store_pages_add a = {.op = op_of(r), .run = run, .pages = page, .count = 3};
	store_pages_add(r->st, &a);
	wait_done(r);
	assert_fine(r);
	assert_int_equal(pages_of(r, run).count, 3);
	assert_false(page_of(r, run, 2).row.from_public);
	assert_true(page_of(r, run, 3).row.from_public);
	free(token);
}

static void a_page_that_goes_on_has_said_nothing_yet(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){0});
	static const struct message_page said = PLAIN_PAGE;

	fetch_page(r, run, 1,
		   (struct page_how){.goes_on = true, .add = "2", .guard = "no", .page = &said, .status = 500});
	assert_int_equal(page_of(r, run, 1).row.state, JOB_QUEUED);
	assert_int_equal(page_of(r, run, 1).row.attempts, 1);
	assert_false(page_of(r, run, 1).row.said);
	assert_string_equal(run_of(r, run).guard, "");
	assert_tokens(r, run, "1");
	fetch_page(r, run, 1, (struct page_how){.add = "2"});
	assert_int_equal(page_of(r, run, 1).row.attempts, 2);
	assert_tokens(r, run, "12");
}

static void the_first_guard_that_fell_stands(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){.pages = "12"});

	fetch_page(r, run, 1, (struct page_how){.guard = "a token again"});
	fetch_page(r, run, 2, (struct page_how){.guard = "too many pages"});
	assert_string_equal(run_of(r, run).guard, "a token again");
	room_reopen(r);
	assert_string_equal(run_of(r, run).guard, "a token again");
}

static void an_end_of_no_open_attempt_changes_nothing(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){0}), batch = batch_new(r, false);

	end_page(r, jobid_make(run, 1), 1, (struct page_how){.add = "2", .guard = "no"});
	assert_error(r, ERR_CONFLICT);
	open_job(r, jobid_make(run, 1));
	end_page(r, jobid_make(run, 1), 2, (struct page_how){.add = "2", .guard = "no"});
	assert_error(r, ERR_CONFLICT);
	assert_tokens(r, run, "1");
	assert_string_equal(run_of(r, run).guard, "");
	jobs_like(r, batch, plain_job(), 1);
	open_job(r, jobid_make(batch, 1));
	end_page(r, jobid_make(batch, 1), 1, (struct page_how){0});
	assert_error(r, ERR_NOT_FOUND);
	assert_int_equal(state_of(r, batch, 1), JOB_RUNNING);
}

static void a_page_whose_successor_cannot_be_stored_stays_open(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){0});
	char host[STORE_NAME_MAX + 2];
	struct message_outcome m = bare_outcome(jobid_make(run, 1), 0);
	struct store_page_new page = {.job = {.limit_key = host, .url = "http://x/"}, .token = "2"};
	struct store_page_end p = {.end = {.outcome = &m, .next = JOB_DONE, .method = "GET"},
				   .page_ended = true,
				   .add = &page,
				   .add_count = 1};

	memset(host, 'h', sizeof host - 1);
	host[sizeof host - 1] = '\0';
	m.n = open_job(r, jobid_make(run, 1));
	p.end.op = op_of(r);
	store_page_end(r->st, &p);
	wait_done(r);
	assert_error(r, ERR_INPUT);
	assert_int_equal(state_of(r, run, 1), JOB_RUNNING);
	assert_tokens(r, run, "1");
}

static void the_end_and_what_follows_are_one_transaction_however_many_pages_there_are(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){0});
	enum { many = STORE_TX_OPS_MAX + 500 };
	static struct store_page_new pages[many];
	static char tokens[many][12], urls[many][64];
	struct message_outcome m = bare_outcome(jobid_make(run, 1), 0);
	struct store_page_end p = {.end = {.outcome = &m, .next = JOB_DONE, .method = "GET"},
				   .page_ended = true,
				   .add = pages,
				   .add_count = many};
	struct store_totals before, after;

	for (int i = 0; i < many; i++) {
		snprintf(tokens[i], sizeof tokens[i], "%d", i + 2);
		pages[i] = (struct store_page_new){
		    .job = {.limit_key = "a.example:80", .url = page_url(urls[i], tokens[i])}, .token = tokens[i]};
	}
	m.n = open_job(r, jobid_make(run, 1));
	store_totals(r->st, &before);
	p.end.op = op_of(r);
	store_page_end(r->st, &p);
	wait_done(r);
	assert_fine(r);
	store_totals(r->st, &after);
	assert_int_equal(after.commits, before.commits + 1);
	assert_int_equal(run_of(r, run).row.counts[JOB_QUEUED], many);
}

static void a_retried_page_has_said_nothing_until_it_ends_anew(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){0});
	static const struct message_page said = PLAIN_PAGE;

	fetch_page(r, run, 1, (struct page_how){.next = JOB_FAILED, .page = &said});
	assert_true(page_of(r, run, 1).row.said);
	mark_job(r, jobid_make(run, 1), STORE_MARK_RETRY);
	assert_false(page_of(r, run, 1).row.said);
	mark_job(r, jobid_make(run, 1), STORE_MARK_CANCEL);
	assert_int_equal(page_of(r, run, 1).row.state, JOB_CANCELLED);
	assert_false(page_of(r, run, 1).row.said);
}

/* ---- what an attempt is told ---- */

static void an_attempt_is_told_its_pages_token(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){.pages = "7"}), batch = batch_new(r, false);
	struct asked a = ask_page(r, run, 1);

	assert_true(a.page);
	assert_string_equal(a.token, "7");
	assert_string_equal(a.etag, "");
	assert_int_equal(a.base_job, 0);
	jobs_like(r, batch, plain_job(), 1);
	assert_false(ask_page(r, batch, 1).page);
}

static bool refuse_request(struct store_attempt_open *o, const struct store_request *req)
{
	(void)o;
	assert_non_null(req->page);
	return false;
}

static void a_page_that_is_not_opened_after_all_is_as_it_was(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){0});
	struct store_attempt_open o = {.op = op_of(r), .job = jobid_make(run, 1), .on_request = refuse_request};

	store_attempt_open(r->st, &o);
	wait_done(r);
	assert_int_equal(o.n, 0);
	assert_int_equal(state_of(r, run, 1), JOB_QUEUED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(what_a_page_said_is_read_as_it_was_told),
	    TEST(what_was_not_told_is_read_as_not_told),
	    TEST(keys_are_read_only_where_they_are_asked_for),
	    TEST(a_page_past_the_end_is_done_and_said_nothing),
	    TEST(pages_are_read_in_steps),
	    TEST(pages_that_follow_are_there_with_the_end_of_the_page),
	    TEST(a_token_is_in_its_run_once),
	    TEST(pages_may_be_added_without_an_end),
	    TEST(tokens_may_be_as_long_as_a_cursor_can_be),
	    TEST(a_page_that_goes_on_has_said_nothing_yet),
	    TEST(the_first_guard_that_fell_stands),
	    TEST(an_end_of_no_open_attempt_changes_nothing),
	    TEST(a_page_whose_successor_cannot_be_stored_stays_open),
	    TEST(the_end_and_what_follows_are_one_transaction_however_many_pages_there_are),
	    TEST(a_retried_page_has_said_nothing_until_it_ends_anew),
	    TEST(an_attempt_is_told_its_pages_token),
	    TEST(a_page_that_is_not_opened_after_all_is_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
