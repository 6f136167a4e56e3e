/* Which pages are asked for where pages have numbers, and where their end is. Each test plays pages of one API. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/test_plan.h"

#define NONE UINT32_MAX

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
	    cmocka_unit_test_teardown(offsets_are_multiples_of_the_size, tear_down),
	    cmocka_unit_test_teardown(a_capped_size_of_offsets_is_named, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
