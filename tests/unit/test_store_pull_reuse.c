/* A page that has not changed has the stored one's body and word: copied, or linked where it is a file; and where the
 * stored one is gone, it is not compared with. */
#include "tests/unit/test_store_pull.h"

/* A complete run of two pages: the first inline, the second in a file. */
static uint32_t base_run(struct room *r)
{
	static const struct message_page said = {
	    .items = 5,
	    .next = "2",
	    .has_more = -1,
	    .total_pages = 2,
	    .total_items = -1,
	    .since = "7",
	    .etag = "\"one\"",
	    .last_modified = "yesterday",
	    .hash = {3, 4},
	    .keys = "abcdefgh",
	    .keys_bytes = 8,
	};
	uint32_t run = run_new(r, (struct run_like){.conditional = true, .pages = "12"});

	fetch_page(r, run, 1, (struct page_how){.page = &said, .body = "inline"});
	open_job(r, jobid_make(run, 2));
	write_body(r, jobid_make(run, 2), 1, "0123456789");
	end_page(r, jobid_make(run, 2), 1, (struct page_how){.body = "0123456789", .in_file = true});
	assert_int_equal(run_end(r, run, RUN_COMPLETE, "7").code, ERR_NONE);
	return run;
}

static void a_page_is_told_what_to_compare_with(void **state)
{
	struct room *r = *state;
	uint32_t base = base_run(r), run = run_new(r, (struct run_like){.conditional = true, .pages = "123"});
	struct asked a = ask_page(r, run, 1);

	assert_int_equal(run_of(r, run).row.base, base);
	assert_string_equal(a.etag, "\"one\"");
	assert_string_equal(a.last_modified, "yesterday");
	assert_int_equal(a.base_job, jobid_make(base, 1));
	assert_int_equal(a.base_items, 5);
	assert_string_equal(a.base_next, "2");
	a = ask_page(r, run, 2);
	assert_string_equal(a.etag, "\"e\"");
	assert_int_equal(a.base_job, jobid_make(base, 2));
	/* There was none. */
	a = ask_page(r, run, 3);
	assert_true(a.page);
	assert_int_equal(a.base_job, 0);
	assert_string_equal(a.etag, "");
}

static void a_run_without_conditions_compares_with_nothing(void **state)
{
	struct room *r = *state;
	uint32_t base = base_run(r), run = run_new(r, (struct run_like){0});

	assert_true(base > 0);
	assert_int_equal(run_of(r, run).row.base, 0);
	assert_int_equal(ask_page(r, run, 1).base_job, 0);
}

static void a_page_of_another_url_is_another_page(void **state)
{
	struct room *r = *state;
	uint32_t base = base_run(r), run;
	char sql[120];

	snprintf(sql, sizeof sql, "UPDATE jobs SET url = url || '?since=8' WHERE id = %llu",
		 (unsigned long long)jobid_make(base, 1));
	meddle(r, sql);
	run = run_new(r, (struct run_like){.conditional = true});
	assert_int_equal(run_of(r, run).row.base, base);
	assert_int_equal(ask_page(r, run, 1).base_job, 0);
}

static void an_unchanged_page_has_the_stored_body_and_word(void **state)
{
	struct room *r = *state;
	uint32_t base = base_run(r), run = run_new(r, (struct run_like){.conditional = true, .pages = "1"});
	struct job_copy j;
	struct page_copy p;

	fetch_page(r, run, 1, (struct page_how){.reuse = true, .status = 304, .add = "2"});
	j = job_of(r, jobid_make(run, 1));
	assert_string_equal(j.body, "inline");
	assert_int_equal(j.row.status, 304);
	assert_int_equal(j.row.size_bytes, 6);
	assert_true(j.newest_has_body);
	p = page_of(r, run, 1);
	assert_int_equal(p.row.reused_from, jobid_make(base, 1));
	assert_true(p.row.said);
	assert_int_equal(p.row.size_bytes, 6);
	assert_int_equal(p.row.page.items, 5);
	assert_string_equal(p.next, "2");
	assert_string_equal(p.since, "7");
	assert_string_equal(p.etag, "\"one\"");
	assert_int_equal(p.row.page.total_pages, 2);
	assert_int_equal(p.row.page.hash[1], 4);
	assert_memory_equal(p.keys, "abcdefgh", 8);
	assert_tokens(r, run, "12");
}

static void an_unchanged_pages_type_is_the_stored_one(void **state)
{
	struct room *r = *state;
	uint32_t base = base_run(r), run = run_new(r, (struct run_like){.conditional = true, .pages = "1"});
	sqlite3_stmt *s;
	sqlite3 *db;

	assert_int_not_equal(base, run);
	fetch_page(r, run, 1, (struct page_how){.reuse = true, .status = 304});
	room_close(r);
	db = room_database(r);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT content_type FROM outcomes WHERE status = 304", -1, &s, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(s, 0), "application/json");
	sqlite3_finalize(s);
	sqlite3_close(db);
	room_open(r);
}

static int64_t bodies_bytes(struct room *r)
{
	struct store_totals t;

	store_totals(r->st, &t);
	return t.bodies_bytes;
}

static void an_unchanged_pages_file_outlives_the_run_it_came_from(void **state)
{
	struct room *r = *state;
	uint32_t base = base_run(r), run = run_new(r, (struct run_like){.conditional = true, .pages = "2"});

	assert_int_equal(bodies_bytes(r), 10);
	fetch_page(r, run, 1, (struct page_how){.reuse = true, .status = 304});
	assert_int_equal(page_of(r, run, 1).row.reused_from, jobid_make(base, 2));
	assert_true(job_of(r, jobid_make(run, 1)).row.body_in_file);
	assert_int_equal(page_of(r, run, 1).row.size_bytes, 10);
	assert_true(body_there(r, jobid_make(run, 1), 1));
	assert_int_equal(bodies_bytes(r), 20);
	mark(r, base, STORE_MARK_REMOVE);
	step_until_quiet(r);
	assert_false(body_there(r, jobid_make(base, 2), 1));
	assert_true(body_there(r, jobid_make(run, 1), 1));
	assert_int_equal(bodies_bytes(r), 10);
	room_reopen(r);
	assert_int_equal(bodies_bytes(r), 10);
}

static void a_file_that_a_failed_commit_left_is_replaced(void **state)
{
	struct room *r = *state;
	uint32_t run, n;
	char path[JOBID_PATH_SIZE], text[16] = "";
	int fd;

	base_run(r);
	run = run_new(r, (struct run_like){.conditional = true, .pages = "2"});
	n = open_job(r, jobid_make(run, 1));
	write_body(r, jobid_make(run, 1), n, "left");
	end_page(r, jobid_make(run, 1), n, (struct page_how){.reuse = true, .status = 304});
	assert_fine(r);
	fd = openat(store_bodies_fd(r->st), jobid_body_path(path, jobid_make(run, 1), n), O_RDONLY);
	assert_int_equal(read(fd, text, sizeof text - 1), 10);
	assert_string_equal(text, "0123456789");
	close(fd);
}

static void a_reused_page_may_be_reused_again(void **state)
{
	struct room *r = *state;
	uint32_t run;

	base_run(r);
	for (int i = 0; i < 2; i++) {
		run = run_new(r, (struct run_like){.conditional = true, .pages = "12"});
		for (uint32_t seq = 1; seq <= 2; seq++)
			fetch_page(r, run, seq, (struct page_how){.reuse = true, .status = 304});
		assert_int_equal(run_end(r, run, RUN_COMPLETE, NULL).code, ERR_NONE);
	}
	assert_int_equal(page_of(r, run, 1).row.reused_from, jobid_make(run - 1, 1));
	assert_string_equal(job_of(r, jobid_make(run, 1)).body, "inline");
	assert_true(body_there(r, jobid_make(run, 2), 1));
}

static void a_stored_page_that_is_gone_is_not_reused(void **state)
{
	struct room *r = *state;
	uint32_t base = base_run(r), run = run_new(r, (struct run_like){.conditional = true, .pages = "12"});
	uint32_t n;

	n = ask_page(r, run, 1).open.n;
	mark(r, base, STORE_MARK_REMOVE);
	end_page(r, jobid_make(run, 1), n, (struct page_how){.reuse = true, .status = 304, .add = "3"});
	assert_error(r, ERR_CONFLICT);
	assert_int_equal(state_of(r, run, 1), JOB_RUNNING);
	assert_tokens(r, run, "12");
	/* Asked again, it is not compared with anything. */
	end_page(r, jobid_make(run, 1), n, (struct page_how){.goes_on = true, .status = 304});
	assert_fine(r);
	assert_int_equal(ask_page(r, run, 1).base_job, 0);
	step_until_quiet(r);
	assert_int_equal(ask_page(r, run, 2).base_job, 0);
}

static void a_stored_page_whose_file_is_gone_is_not_compared_with(void **state)
{
	struct room *r = *state;
	uint32_t base = base_run(r), run = run_new(r, (struct run_like){.conditional = true, .pages = "2"});
	char path[JOBID_PATH_SIZE];
	struct asked a;

	a = ask_page(r, run, 1);
	assert_int_equal(a.base_job, jobid_make(base, 2));
	unlinkat(store_bodies_fd(r->st), jobid_body_path(path, jobid_make(base, 2), 1), 0);
	end_page(r, jobid_make(run, 1), a.open.n, (struct page_how){.reuse = true, .status = 304});
	assert_error(r, ERR_CONFLICT);
	end_page(r, jobid_make(run, 1), a.open.n, (struct page_how){.goes_on = true, .status = 304});
	a = ask_page(r, run, 1);
	assert_int_equal(a.base_job, 0);
	assert_int_equal(a.base_items, -2);
	assert_string_equal(a.etag, "");
	assert_string_equal(a.token, "2");
}

static void a_run_without_a_base_reuses_nothing(void **state)
{
	struct room *r = *state;
	uint32_t run = run_new(r, (struct run_like){.conditional = true});
	uint32_t n = open_job(r, jobid_make(run, 1));

	assert_int_equal(run_of(r, run).row.base, 0);
	end_page(r, jobid_make(run, 1), n, (struct page_how){.reuse = true, .status = 304});
	assert_error(r, ERR_CONFLICT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_page_is_told_what_to_compare_with),
	    TEST(a_run_without_conditions_compares_with_nothing),
	    TEST(a_page_of_another_url_is_another_page),
	    TEST(an_unchanged_page_has_the_stored_body_and_word),
	    TEST(an_unchanged_pages_type_is_the_stored_one),
	    TEST(an_unchanged_pages_file_outlives_the_run_it_came_from),
	    TEST(a_file_that_a_failed_commit_left_is_replaced),
	    TEST(a_reused_page_may_be_reused_again),
	    TEST(a_stored_page_that_is_gone_is_not_reused),
	    TEST(a_stored_page_whose_file_is_gone_is_not_compared_with),
	    TEST(a_run_without_a_base_reuses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
