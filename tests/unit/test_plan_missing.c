/* What is said where pages are missing: they failed, were cancelled, or are more than were allowed or asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/test_plan.h"

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
	assert_incomplete("failed", "pages 6 to 8 are missing: 3 in a row failed, so that the rest was given up");
	ended(6, page(10));
	assert_int_equal(added, 9); /* it works again */
}

static void begin_with(unsigned window, struct plan_seen first, uint32_t ok, struct plan_seen rest)
{
	struct plan_rules r = numbered(window);

	begin(&r);
	ended(0, first);
	ended_all(1, ok, 10);
	for (uint32_t i = ok; i < ok + 3; i++)
		ended(i, rest);
}

static void only_where_nothing_tells_of_more_it_may_be_how_the_api_ends(void **arg)
{
	static const char missing[] = "pages 6 to 8 are missing: 3 in a row failed, so that the rest was given up";
	struct plan_seen first = page(10);
	char hinted[200];

	(void)arg;
	snprintf(hinted, sizeof hinted, "%s; if that is how the API ends, name its status in page.stop_status",
		 missing);
	begin_with(1, first, 5, absence());
	assert_incomplete("failed", hinted);
	first.total_items = 90;
	begin_with(1, first, 5, absence());
	assert_incomplete("failed", "pages 6 to 9 of 9 are missing: 3 in a row failed, so that the rest was given up");
	first = page(10);
	first.has_more = 1;
	begin_with(1, first, 1, absence());
	assert_incomplete("failed", "pages 2 to 4 are missing: 3 in a row failed, so that the rest was given up");
}

static void what_is_missing_is_said_and_not_which_failures_came_first(void **arg)
{
	struct plan_rules r = numbered(1);
	struct plan_seen s = page(10);

	(void)arg;
	s.total_pages = 40;
	begin(&r);
	ended(0, s);
	ended_all(1, 5, 10);
	for (uint32_t i = 15; i < 18; i++)
		ended(i, absence());
	assert_incomplete("failed",
			  "pages 6 to 40 of 40 are missing: 3 in a row failed, so that the rest was given up");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(a_page_that_failed_is_a_gap_and_the_rest_goes_on, tear_down),
	    cmocka_unit_test_teardown(long_lists_of_gaps_are_short, tear_down),
	    cmocka_unit_test_teardown(nothing_works_any_more_after_as_many_failures_as_the_window_has, tear_down),
	    cmocka_unit_test_teardown(only_where_nothing_tells_of_more_it_may_be_how_the_api_ends, tear_down),
	    cmocka_unit_test_teardown(what_is_missing_is_said_and_not_which_failures_came_first, tear_down),
	    cmocka_unit_test_teardown(a_first_page_that_failed_does_not_ask_on, tear_down),
	    cmocka_unit_test_teardown(a_page_that_failed_ends_what_is_followed_until_it_is_tried_again, tear_down),
	    cmocka_unit_test_teardown(what_was_cancelled_is_missing, tear_down),
	    cmocka_unit_test_teardown(max_pages_is_no_fault_where_the_end_is, tear_down),
	    cmocka_unit_test_teardown(pages_up_to_max_pages_are_fetched, tear_down),
	    cmocka_unit_test_teardown(pages_up_to_those_asked_for_are_a_part, tear_down),
	    cmocka_unit_test_teardown(a_part_is_not_told_where_a_page_of_it_is_missing_or_the_end_is_within, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
