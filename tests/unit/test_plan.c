/* Which pages are asked for, where a run ends, and what is said in the end. Each test plays pages of one API. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/plan.h"

#define NONE UINT32_MAX

static struct plan *plan;
static struct plan_step step;
static struct plan_conclusion said;
static uint32_t added;
static int64_t clock_us;

static int tear_down(void **arg)
{
	(void)arg;
	plan_free(plan);
	plan = NULL;
	return 0;
}

static struct plan_rules numbered(unsigned window)
{
	return (struct plan_rules){.numbered = true, .start = 1, .window = window, .max_pages = 1000};
}

static struct plan_rules followed(void)
{
	return (struct plan_rules){.window = 1, .max_pages = 1000, .same_origin = true};
}

static void add(uint32_t n)
{
	char token[32];

	for (; n > 0; n--) {
		plan_token(plan, added, token, sizeof(token));
		plan_added(plan, added++, token);
	}
}

static void begin(const struct plan_rules *rules)
{
	plan_free(plan);
	plan = plan_create(rules);
	added = 0;
	clock_us = 1000;
	add(plan_first(plan));
}

/* A page with so many items, and a body of its own. */
static struct plan_seen page(int64_t items)
{
	static uint64_t bodies = 1;

	return (struct plan_seen){
	    .items = items,
	    .next = "",
	    .has_more = -1,
	    .total_pages = -1,
	    .total_items = -1,
	    .hash = {bodies++, 0},
	};
}

static struct plan_seen status(void)
{
	struct plan_seen s = page(-1);

	s.result = PLAN_STATUS;
	return s;
}

static struct plan_seen failure(void)
{
	struct plan_seen s = page(-1);

	s.result = PLAN_FAILED;
	return s;
}

static struct plan_seen next(int64_t items, const char *token)
{
	struct plan_seen s = page(items);

	s.next = token;
	return s;
}

static struct plan_seen next_url(const char *from, const char *to)
{
	struct plan_seen s = next(1, to);

	s.url = from;
	s.next_is_url = true;
	return s;
}

/* Tells the page's end, and adds what follows, as the engine does. */
static void ended(uint32_t index, struct plan_seen seen)
{
	seen.ended_us = clock_us++;
	plan_ended(plan, index, &seen, &step);
	if (step.next)
		plan_added(plan, added++, step.next);
	add(step.add);
}

static void ended_all(uint32_t from, uint32_t to, int64_t items)
{
	for (; from < to; from++)
		ended(from, page(items));
}

static void conclude(int64_t unique)
{
	plan_conclude(plan, unique, &said);
}

static void assert_complete(uint32_t pages, int64_t items, const char *why)
{
	conclude(-1);
	assert_string_equal(said.text, "");
	assert_true(said.complete);
	assert_false(said.failed);
	assert_int_equal(said.pages, pages);
	assert_int_equal(said.items, items);
	assert_string_equal(said.stop_reason, why);
	assert_int_equal(said.gap_count, 0);
}

static void assert_incomplete(const char *why, const char *text)
{
	conclude(-1);
	assert_string_equal(said.text, text);
	assert_string_equal(said.stop_reason, why);
	assert_false(said.complete);
	assert_false(said.failed);
}

static void assert_failed(const char *why, const char *text)
{
	conclude(-1);
	assert_string_equal(said.text, text);
	assert_string_equal(said.stop_reason, why);
	assert_false(said.complete);
	assert_true(said.failed);
}

/* ---- numbered, with a total ---- */

static void all_pages_are_asked_for_as_soon_as_their_number_is_known(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(100);

	(void)arg;
	begin(&r);
	assert_int_equal(added, 1);
	s.total_pages = 16;
	ended(0, s);
	assert_int_equal(added, 16);
	for (uint32_t i = 15; i > 0; i--)
		ended(i, page(100));
	assert_int_equal(added, 16);
	assert_complete(16, 1600, "total");
	assert_int_equal(said.expected_pages, 16);
	assert_int_equal(said.expected_items, -1);
	assert_int_equal(said.end, 16);
}

static void pages_are_reckoned_from_items_and_size(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(100);

	(void)arg;
	r.size = 100;
	s.total_items = 1501;
	begin(&r);
	ended(0, s);
	assert_int_equal(added, 16);
	r.size = 0; /* the first page shows it */
	begin(&r);
	ended(0, s);
	assert_int_equal(added, 16);
	r = (struct plan_rules){.numbered = true, .offset = true, .size = 50, .window = 1, .max_pages = 1000};
	begin(&r);
	s.items = 50;
	ended(0, s);
	assert_int_equal(added, 31);
}

static void a_size_that_the_api_caps_is_seen_on_the_first_page(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(100);

	(void)arg;
	r.size = 500;
	s.total_items = 1600;
	begin(&r);
	ended(0, s);
	assert_int_equal(added, 16);
	ended_all(1, 16, 100);
	assert_complete(16, 1600, "total");
}

static void pages_that_were_reckoned_in_vain_are_not_missed(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(50);

	(void)arg;
	r.size = 100;
	s.total_items = 450; /* 50, 100, 100, 100, 100: the first page was no measure */
	begin(&r);
	ended(0, s);
	assert_int_equal(added, 9);
	ended_all(1, 5, 100);
	ended_all(5, 7, 0);
	ended(7, failure());
	ended(8, failure());
	assert_complete(7, 450, "total");
}

static void a_total_that_grows_plans_more(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(10);

	(void)arg;
	begin(&r);
	s.total_pages = 3;
	ended(0, s);
	s = page(10);
	s.total_pages = 5;
	ended(2, s);
	assert_int_equal(added, 5);
	ended_all(3, 5, 10);
	ended(1, page(10));
	assert_complete(5, 50, "total");
}

static void what_was_deleted_meanwhile_is_not_missed(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(10);

	(void)arg;
	begin(&r);
	s.total_pages = 5;
	s.total_items = 50;
	ended(0, s);
	ended(4, failure());
	ended_all(1, 3, 10);
	s = page(10);
	s.total_pages = 4;
	s.total_items = 40;
	ended(3, s);
	assert_complete(4, 40, "total");
	assert_int_equal(said.expected_pages, 4);
	assert_int_equal(said.expected_items, 40);
}

static void empty_pages_before_the_total_are_passed_over(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(10);

	(void)arg;
	r.stop_empty = 1;
	r.stop_short = true;
	r.size = 10;
	s.total_pages = 4;
	begin(&r);
	ended(0, s);
	ended(1, page(0));
	ended(2, page(3));
	ended(3, page(10));
	assert_complete(4, 23, "total");
}

static void a_total_of_items_that_is_a_lie_is_told(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(100);

	(void)arg;
	r.size = 100;
	s.total_items = 1600;
	begin(&r);
	ended(0, s);
	ended_all(1, 15, 100);
	ended(15, page(0));
	assert_incomplete("total", "the API told of 1600 items, 1500 came");
	conclude(1400);
	assert_string_equal(said.text, "the API told of 1600 items, 1400 different ones came (and 100 of them again)");
	assert_int_equal(said.expected_items, 1600);
	assert_int_equal(said.items, 1500);
}

static void items_that_came_twice_do_not_make_a_run_complete(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(100);

	(void)arg;
	r.size = 100;
	s.total_items = 200;
	begin(&r);
	ended(0, s);
	ended(1, page(100));
	conclude(200);
	assert_true(said.complete);
	conclude(199);
	assert_false(said.complete);
}

static void a_total_of_nothing_is_complete_with_nothing(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(0);

	(void)arg;
	s.total_items = 0;
	s.total_pages = 0;
	begin(&r);
	ended(0, s);
	assert_int_equal(added, 1);
	assert_complete(1, 0, "total");
	assert_int_equal(said.expected_items, 0);
}

static void a_zero_beside_items_is_no_total(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(10);

	(void)arg;
	r.stop_empty = 1;
	s.total_items = s.total_pages = 0;
	begin(&r);
	ended(0, s);
	assert_int_equal(added, 2);
	ended(1, page(0));
	assert_complete(1, 10, "empty");
	assert_int_equal(said.expected_items, -1);
}

static void pages_left_out_on_purpose_are_not_missed(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(10);

	(void)arg;
	r.start = 4;
	r.size = 10;
	s.total_pages = 5;
	s.total_items = 50;
	begin(&r);
	ended(0, s);
	assert_int_equal(added, 2);
	ended(1, page(10));
	assert_complete(2, 20, "total");
	assert_int_equal(said.expected_items, 20);
	r = (struct plan_rules){.numbered = true, .offset = true, .start = 30, .size = 10, .window = 1};
	begin(&r);
	ended(0, s);
	ended(1, page(10));
	assert_complete(2, 20, "total");
}

static void a_page_that_says_there_is_more_is_believed_before_a_total(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(10);

	(void)arg;
	r.stop_empty = 1;
	s.total_pages = 2;
	s.has_more = 1;
	begin(&r);
	ended(0, s);
	s.hash[0] = 1u << 30;
	ended(1, s);
	assert_int_equal(added, 3);
	s = page(10);
	s.has_more = 0;
	ended(2, s);
	assert_complete(3, 30, "has_more");
}

static void a_great_total_is_added_in_steps(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(10);

	(void)arg;
	r.max_pages = 5000;
	s.total_pages = 2500;
	begin(&r);
	ended(0, s);
	assert_int_equal(added, 1001);
	assert_true(step.more);
	plan_more(plan, &step);
	assert_int_equal(step.add, PLAN_ADD_MAX);
	add(step.add);
	plan_more(plan, &step);
	assert_int_equal(step.add, 499);
	assert_false(step.more);
}

/* ---- numbered, without a total ---- */

static void a_window_stays_ahead_of_the_first_open_page(void **arg)
{
	struct plan_rules r = numbered(4);

	(void)arg;
	begin(&r);
	assert_int_equal(added, 4);
	ended(2, page(10));
	ended(1, page(10));
	assert_int_equal(added, 4);
	ended(0, page(10));
	assert_int_equal(added, 7);
}

static void pages_behind_an_empty_one_are_no_errors(void **arg)
{
	struct plan_rules r = numbered(4);

	(void)arg;
	r.stop_empty = 1;
	begin(&r);
	ended(3, failure());
	ended(0, page(10));
	ended(1, page(10));
	ended(2, page(0));
	assert_int_equal(step.cancel_from, 2);
	assert_int_equal(step.add, 0);
	ended(4, page(0));
	assert_int_equal(step.cancel_from, NONE); /* was said */
	assert_complete(2, 20, "empty");
	assert_int_equal(said.end, 2);
}

static void an_empty_page_in_the_middle_is_passed_over_if_two_are_an_end(void **arg)
{
	struct plan_rules r = numbered(1);

	(void)arg;
	r.stop_empty = 2;
	begin(&r);
	ended(0, page(10));
	ended(1, page(0));
	ended(2, page(10));
	ended(3, page(0));
	assert_int_equal(added, 5);
	ended(4, page(0));
	assert_int_equal(added, 5);
	assert_complete(3, 20, "empty");
}

static void a_page_behind_the_end_that_has_items_is_told(void **arg)
{
	struct plan_rules r = numbered(3);

	(void)arg;
	r.stop_empty = 1;
	begin(&r);
	ended(0, page(10));
	ended(1, page(0));
	ended(2, page(7));
	assert_incomplete(
	    "empty",
	    "page 3 has items, though the pages had ended with empty ones before it (the end is behind page 1)");
	assert_int_equal(said.end, NONE);
	assert_int_equal(said.items, 17);
}

static void the_last_page_again_for_any_number_beyond_is_no_contradiction(void **arg)
{
	struct plan_rules r = numbered(4);
	struct plan_seen s = page(5);

	(void)arg;
	s.has_more = 0;
	begin(&r);
	ended(3, s);
	ended(2, s);
	ended(0, page(10));
	ended(1, s);
	assert_null(step.guard);
	assert_complete(2, 15, "has_more");
}

static void words_and_statuses_end_a_run(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s;

	(void)arg;
	begin(&r);
	ended(0, page(10));
	s = page(4);
	s.has_more = 0;
	ended(1, s);
	assert_complete(2, 14, "has_more");
	begin(&r);
	ended(0, page(10));
	s = page(0);
	s.stop = true;
	ended(1, s);
	assert_complete(1, 10, "stop");
	begin(&r);
	ended(0, page(10));
	ended(1, status());
	assert_int_equal(added, 2);
	assert_complete(1, 10, "status");
	r.stop_short = true;
	r.size = 10;
	begin(&r);
	ended(0, page(10));
	ended(1, page(9));
	assert_complete(2, 19, "short");
	r.size = 0;
	begin(&r);
	ended(0, page(10));
	ended(1, page(9));
	assert_complete(2, 19, "short");
}

static void an_end_before_the_total_is_incomplete(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(10);

	(void)arg;
	s.total_pages = 10;
	begin(&r);
	ended(0, s);
	ended_all(1, 4, 10);
	s = page(10);
	s.has_more = 0;
	ended(4, s);
	assert_int_equal(step.cancel_from, 5);
	assert_incomplete("has_more", "the API told of 10 pages, 5 came");
}

static void a_status_at_once_is_an_error(void **arg)
{
	struct plan_rules r = numbered(2);

	(void)arg;
	begin(&r);
	ended(0, status());
	ended(1, status());
	assert_int_equal(added, 2);
	assert_failed("failed",
		      "page 1 was answered with a status that ends the pages (page.stop_status), so that nothing came: "
		      "is the URL right?");
	r = followed();
	begin(&r);
	ended(0, status());
	conclude(-1);
	assert_true(said.failed);
}

/* ---- failures ---- */

static void a_page_that_failed_is_a_gap_and_the_rest_goes_on(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(10);

	(void)arg;
	s.total_pages = 12;
	begin(&r);
	ended(0, s);
	ended_all(1, 12, 10);
	ended(2, failure());
	for (uint32_t i = 6; i < 9; i++)
		if (i != 7)
			ended(i, failure());
	ended(3, failure());
	ended(11, failure());
	assert_incomplete("total", "pages 3, 4, 7, 9, 12 of 12 are missing");
	assert_int_equal(said.gap_count, 5);
	assert_int_equal(said.gaps[2], 6);
	for (size_t i = 0; i < 5; i++) { /* the owner's retry */
		uint32_t gap = said.gaps[0];

		ended(gap, page(10));
		conclude(-1);
	}
	assert_complete(12, 120, "total");
}

static void long_lists_of_gaps_are_short(void **arg)
{
	struct plan_rules r = numbered(20);
	struct plan_seen s = page(10);

	(void)arg;
	s.total_pages = 40;
	begin(&r);
	ended(0, s);
	for (uint32_t i = 1; i < 40; i++)
		ended(i, i % 4 == 0 || i % 4 == 3 || i == 1 ? page(1) : failure());
	assert_incomplete("total", "pages 3, 6, 7, 10, 11, 14, 15, 18, 19 and 10 more of 40 are missing");
}

static void nothing_works_any_more_after_as_many_failures_as_the_window_has(void **arg)
{
	struct plan_rules r = numbered(1);

	(void)arg;
	begin(&r);
	ended_all(0, 5, 10);
	ended(5, failure());
	ended(6, failure());
	assert_int_equal(added, 8);
	ended(7, failure());
	assert_int_equal(added, 8);
	assert_int_equal(step.cancel_from, 0);
	assert_incomplete("failed",
			  "page 6 and those after it failed, 3 in a row, so that the rest was given up; if that is how "
			  "the API ends, name its status in page.stop_status");
	ended(6, page(10));
	assert_int_equal(added, 9); /* it works again */
}

static void a_first_page_that_failed_does_not_ask_on(void **arg)
{
	struct plan_rules r = numbered(2);

	(void)arg;
	begin(&r);
	ended(0, failure());
	assert_int_equal(added, 2);
	ended(1, failure());
	assert_int_equal(added, 2);
	assert_failed("failed", "not one page could be fetched");
	ended(1, page(10));
	assert_int_equal(added, 4);
}

static void a_page_that_failed_ends_what_is_followed_until_it_is_tried_again(void **arg)
{
	struct plan_rules r = followed();

	(void)arg;
	begin(&r);
	ended(0, next(10, "b"));
	ended(1, failure());
	assert_incomplete("failed", "page 2 is missing, and what follows it is not known");
	ended(1, next(10, "c"));
	assert_int_equal(added, 3);
	ended(2, next(1, ""));
	assert_complete(3, 21, "no_next");
}

static void what_was_cancelled_is_missing(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(10);

	(void)arg;
	s.total_pages = 5;
	begin(&r);
	ended(0, s);
	ended(2, page(10));
	assert_incomplete("cancelled", "pages 2, 4, 5 of 5 are missing");
	r = followed();
	begin(&r);
	ended(0, next(10, "b"));
	assert_incomplete("cancelled", "page 2 is missing, and what follows it is not known");
}

/* ---- followed ---- */

static void each_page_names_the_next(void **arg)
{
	struct plan_rules r = followed();

	(void)arg;
	begin(&r);
	assert_int_equal(added, 1);
	ended(0, next(10, "b"));
	ended(1, next(10, "c"));
	assert_int_equal(added, 3);
	ended(2, next(3, ""));
	assert_int_equal(added, 3);
	assert_complete(3, 23, "no_next");
}

static void a_next_after_the_last_page_is_not_followed(void **arg)
{
	struct plan_rules r = followed();
	struct plan_seen s = next(10, "b");

	(void)arg;
	s.has_more = 0;
	begin(&r);
	ended(0, s);
	assert_int_equal(added, 1);
	assert_complete(1, 10, "has_more");
}

static void more_without_where_is_incomplete(void **arg)
{
	struct plan_rules r = followed();
	struct plan_seen s = next(10, "");

	(void)arg;
	s.has_more = 1;
	begin(&r);
	ended(0, s);
	assert_incomplete("no_next", "page 1 says that there is more, but not where");
}

static void totals_are_missed_by_what_is_followed_too(void **arg)
{
	struct plan_rules r = followed();
	struct plan_seen s = next(10, "b");

	(void)arg;
	s.total_items = 30;
	begin(&r);
	ended(0, s);
	ended(1, next(10, ""));
	assert_incomplete("no_next", "the API told of 30 items, 20 came");
	r = (struct plan_rules){.single = true};
	begin(&r);
	ended(0, s);
	assert_int_equal(added, 1);
	assert_incomplete("single", "the API told of 30 items, 10 came");
}

static void an_offset_of_unknown_step_follows_the_items(void **arg)
{
	struct plan_rules r = {.offset = true, .start = 5, .window = 1, .max_pages = 100};
	struct plan_seen s = page(7);

	(void)arg;
	begin(&r);
	ended(0, page(7));
	assert_string_equal(step.next, "12");
	ended(1, page(3));
	assert_string_equal(step.next, "15");
	ended(2, page(0));
	assert_null(step.next);
	assert_complete(3, 10, "no_next");
	s.total_items = 14;
	begin(&r);
	ended(0, s);
	ended(1, page(2));
	assert_complete(2, 9, "total");
	begin(&r);
	ended(0, page(-1));
	assert_failed("guard", "how far to go on from page 1 is not known: the recipe has neither page.size nor items");
}

static void a_single_page_is_a_run(void **arg)
{
	struct plan_rules r = {.single = true, .max_pages = 1};

	(void)arg;
	begin(&r);
	ended(0, next(10, "b"));
	assert_null(step.next);
	assert_complete(1, 10, "single");
	begin(&r);
	ended(0, failure());
	assert_failed("failed", "not one page could be fetched");
}

/* ---- guards ---- */

static void a_circle_is_seen_before_it_is_walked(void **arg)
{
	struct plan_rules r = followed();

	(void)arg;
	begin(&r);
	ended(0, next(10, "b"));
	ended(1, next(10, "c"));
	ended(2, next(10, "d"));
	ended(3, next(10, "b"));
	assert_int_equal(added, 4);
	assert_string_equal(step.guard, "page 5 is page 2 again: the pages lead in a circle");
	assert_int_equal(step.cancel_from, 0);
	assert_failed("guard", "page 5 is page 2 again: the pages lead in a circle");
	assert_int_equal(said.items, 40);
	begin(&r);
	ended(0, next(10, "b"));
	ended(1, next(10, "b"));
	assert_string_equal(step.guard, "page 3 is page 2 again: page 2 names itself as the next");
}

static void a_body_that_comes_again_is_seen(void **arg)
{
	static const char text[] =
	    "page 2 has the body of page 1: does the API know the parameter that names the page?";
	struct plan_rules r = numbered(2);
	struct plan_seen s = page(10);

	(void)arg;
	begin(&r);
	ended(1, s);
	assert_null(step.guard);
	ended(0, s);
	assert_string_equal(step.guard, text);
	assert_failed("guard", text);
	s.items = 0; /* nothing is the same nothing every time */
	begin(&r);
	ended(1, s);
	ended(0, s);
	assert_null(step.guard);
	s.items = 10;
	memset(s.hash, 0, sizeof(s.hash));
	begin(&r);
	ended(1, s);
	ended(0, s);
	assert_null(step.guard);
}

/* What is said of a next link. */
static const char *guard_of(bool same_origin, const char *from, const char *to)
{
	struct plan_rules r = followed();

	r.same_origin = same_origin;
	begin(&r);
	ended(0, next_url(from, to));
	assert_true((step.next != NULL) != (step.guard != NULL));
	return step.guard ? step.guard : "";
}

static void a_next_link_stays_at_its_origin(void **arg)
{
	(void)arg;
	assert_string_equal(guard_of(true, "https://a.example/x", "https://A.example:443/y?page=2"), "");
	assert_string_equal(guard_of(true, "https://a.example/x?t={secret:tok}", "https://a.example/y"), "");
	assert_string_equal(guard_of(true, "https://a.example/x", "https://b.example/y"),
			    "page 1 leads to another origin: from https://a.example:443 to https://b.example:443");
	assert_string_equal(guard_of(true, "https://a.example/x", "https://a.example:444/y"),
			    "page 1 leads to another origin: from https://a.example:443 to https://a.example:444");
	assert_string_equal(guard_of(true, "http://a.example:81/x", "https://a.example:81/y"),
			    "page 1 leads to another origin: from http://a.example:81 to https://a.example:81");
	assert_string_equal(guard_of(false, "https://a.example/x", "https://b.example/y"), "");
	assert_string_equal(guard_of(false, "http://a.example/x", "https://a.example/y"), "");
	assert_string_equal(guard_of(false, "HTTPS://a.example/x", "http://a.example/y"),
			    "page 1 leads from https down to http (at a.example:80)");
	assert_string_equal(guard_of(false, "https://a.example/x", "ftp://a.example/y"),
			    "page 1 leads to what cannot be fetched: the URL's scheme is \"ftp\", and only http and "
			    "https are fetched");
}

static void max_pages_is_no_fault_where_the_end_is(void **arg)
{
	struct plan_rules r = followed();
	struct plan_seen s = page(10);

	(void)arg;
	r.max_pages = 2;
	begin(&r);
	ended(0, next(10, "b"));
	ended(1, next(10, ""));
	assert_complete(2, 20, "no_next");
	begin(&r);
	ended(0, next(10, "b"));
	ended(1, next(10, "c"));
	assert_int_equal(added, 2);
	assert_failed("max_pages",
		      "there are more pages than page.max_pages = 2; if they are wanted, raise it in the recipe");
	assert_int_equal(said.items, 20);
	r = numbered(4);
	r.max_pages = 3;
	s.total_pages = 3;
	begin(&r);
	assert_int_equal(added, 3);
	ended(0, s);
	ended_all(1, 3, 10);
	assert_complete(3, 30, "total");
}

static void pages_up_to_max_pages_are_fetched(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(10);

	(void)arg;
	r.max_pages = 3;
	s.total_pages = 8;
	begin(&r);
	ended(0, s);
	assert_int_equal(added, 3);
	assert_false(step.more);
	ended_all(1, 3, 10);
	assert_failed("max_pages", "there are more pages than page.max_pages = 3: the API told of 8; if they are "
				   "wanted, raise it in the recipe");
	assert_int_equal(said.pages, 3);
	begin(&r);
	ended_all(0, 3, 10);
	assert_int_equal(added, 3);
	assert_failed("max_pages", "there are more pages than page.max_pages = 3, or no end is found; if they are "
				   "wanted, raise it in the recipe");
}

static void assert_partial(uint32_t pages, int64_t items)
{
	conclude(-1);
	assert_string_equal(said.text, "");
	assert_string_equal(said.stop_reason, "max_pages");
	assert_true(said.partial);
	assert_false(said.complete);
	assert_false(said.failed);
	assert_int_equal(said.pages, pages);
	assert_int_equal(said.items, items);
}

static void pages_up_to_those_asked_for_are_a_part(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(10);

	(void)arg;
	r.max_pages = 3;
	r.max_asked = true;
	s.total_pages = 8;
	begin(&r);
	ended(0, s);
	ended_all(1, 3, 10);
	assert_int_equal(added, 3);
	assert_partial(3, 30);
	begin(&r);
	ended_all(0, 3, 10);
	assert_partial(3, 30);
	r = followed();
	r.max_pages = 1;
	r.max_asked = true;
	begin(&r);
	ended(0, next(10, "b"));
	assert_partial(1, 10);
}

static void a_part_is_not_told_where_a_page_of_it_is_missing_or_the_end_is_within(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(10), failed = {.result = PLAN_FAILED};

	(void)arg;
	r.max_pages = 3;
	r.max_asked = true;
	s.total_pages = 8;
	begin(&r);
	ended(0, s);
	ended(1, failed);
	ended(2, page(10));
	assert_incomplete("max_pages", "page 2 of 8 is missing");
	assert_false(said.partial);
	s.total_pages = 3;
	begin(&r);
	ended(0, s);
	ended_all(1, 3, 10);
	assert_complete(3, 30, "total");
	assert_false(said.partial);
}

static void offsets_are_multiples_of_the_size(void **arg)
{
	struct plan_rules r = {.numbered = true, .offset = true, .start = 10, .size = 25};
	char token[32];

	(void)arg;
	begin(&r);
	plan_token(plan, 3, token, sizeof(token));
	assert_string_equal(token, "85");
	r.offset = false;
	begin(&r);
	plan_token(plan, 3, token, sizeof(token));
	assert_string_equal(token, "13");
	r.numbered = false;
	begin(&r);
	plan_token(plan, 0, token, sizeof(token));
	assert_string_equal(token, "");
}

static void a_capped_size_of_offsets_is_named(void **arg)
{
	struct plan_rules r = {.numbered = true, .offset = true, .size = 500, .window = 1, .max_pages = 1000};
	struct plan_seen s = page(100);

	(void)arg;
	s.total_items = 1000;
	begin(&r);
	ended(0, s);
	assert_int_equal(added, 2);
	ended(1, page(100));
	assert_incomplete("total", "the API told of 1000 items, 200 came (page 1 had 100, not 500: does the API cap "
				   "the size?)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(all_pages_are_asked_for_as_soon_as_their_number_is_known, tear_down),
	    cmocka_unit_test_teardown(pages_are_reckoned_from_items_and_size, tear_down),
	    cmocka_unit_test_teardown(a_size_that_the_api_caps_is_seen_on_the_first_page, tear_down),
	    cmocka_unit_test_teardown(pages_that_were_reckoned_in_vain_are_not_missed, tear_down),
	    cmocka_unit_test_teardown(a_total_that_grows_plans_more, tear_down),
	    cmocka_unit_test_teardown(what_was_deleted_meanwhile_is_not_missed, tear_down),
	    cmocka_unit_test_teardown(empty_pages_before_the_total_are_passed_over, tear_down),
	    cmocka_unit_test_teardown(a_total_of_items_that_is_a_lie_is_told, tear_down),
	    cmocka_unit_test_teardown(items_that_came_twice_do_not_make_a_run_complete, tear_down),
	    cmocka_unit_test_teardown(a_total_of_nothing_is_complete_with_nothing, tear_down),
	    cmocka_unit_test_teardown(a_zero_beside_items_is_no_total, tear_down),
	    cmocka_unit_test_teardown(pages_left_out_on_purpose_are_not_missed, tear_down),
	    cmocka_unit_test_teardown(a_page_that_says_there_is_more_is_believed_before_a_total, tear_down),
	    cmocka_unit_test_teardown(a_great_total_is_added_in_steps, tear_down),
	    cmocka_unit_test_teardown(a_window_stays_ahead_of_the_first_open_page, tear_down),
	    cmocka_unit_test_teardown(pages_behind_an_empty_one_are_no_errors, tear_down),
	    cmocka_unit_test_teardown(an_empty_page_in_the_middle_is_passed_over_if_two_are_an_end, tear_down),
	    cmocka_unit_test_teardown(a_page_behind_the_end_that_has_items_is_told, tear_down),
	    cmocka_unit_test_teardown(the_last_page_again_for_any_number_beyond_is_no_contradiction, tear_down),
	    cmocka_unit_test_teardown(words_and_statuses_end_a_run, tear_down),
	    cmocka_unit_test_teardown(an_end_before_the_total_is_incomplete, tear_down),
	    cmocka_unit_test_teardown(a_status_at_once_is_an_error, tear_down),
	    cmocka_unit_test_teardown(a_page_that_failed_is_a_gap_and_the_rest_goes_on, tear_down),
	    cmocka_unit_test_teardown(long_lists_of_gaps_are_short, tear_down),
	    cmocka_unit_test_teardown(nothing_works_any_more_after_as_many_failures_as_the_window_has, tear_down),
	    cmocka_unit_test_teardown(a_first_page_that_failed_does_not_ask_on, tear_down),
	    cmocka_unit_test_teardown(a_page_that_failed_ends_what_is_followed_until_it_is_tried_again, tear_down),
	    cmocka_unit_test_teardown(what_was_cancelled_is_missing, tear_down),
	    cmocka_unit_test_teardown(each_page_names_the_next, tear_down),
	    cmocka_unit_test_teardown(a_next_after_the_last_page_is_not_followed, tear_down),
	    cmocka_unit_test_teardown(more_without_where_is_incomplete, tear_down),
	    cmocka_unit_test_teardown(totals_are_missed_by_what_is_followed_too, tear_down),
	    cmocka_unit_test_teardown(an_offset_of_unknown_step_follows_the_items, tear_down),
	    cmocka_unit_test_teardown(a_single_page_is_a_run, tear_down),
	    cmocka_unit_test_teardown(a_circle_is_seen_before_it_is_walked, tear_down),
	    cmocka_unit_test_teardown(a_body_that_comes_again_is_seen, tear_down),
	    cmocka_unit_test_teardown(a_next_link_stays_at_its_origin, tear_down),
	    cmocka_unit_test_teardown(max_pages_is_no_fault_where_the_end_is, tear_down),
	    cmocka_unit_test_teardown(pages_up_to_max_pages_are_fetched, tear_down),
	    cmocka_unit_test_teardown(pages_up_to_those_asked_for_are_a_part, tear_down),
	    cmocka_unit_test_teardown(a_part_is_not_told_where_a_page_of_it_is_missing_or_the_end_is_within, tear_down),
	    cmocka_unit_test_teardown(offsets_are_multiples_of_the_size, tear_down),
	    cmocka_unit_test_teardown(a_capped_size_of_offsets_is_named, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
