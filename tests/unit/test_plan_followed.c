/* Pages of which each names the next: what is followed, what is not, and circles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/test_plan.h"

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
	    "page 2 has the body of page 1: does the API know the parameter that names the page? (One that repeats its "
	    "last page needs a total, has_more or stop in the recipe)";
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

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_teardown(each_page_names_the_next, tear_down),
	    cmocka_unit_test_teardown(a_next_after_the_last_page_is_not_followed, tear_down),
	    cmocka_unit_test_teardown(more_without_where_is_incomplete, tear_down),
	    cmocka_unit_test_teardown(totals_are_missed_by_what_is_followed_too, tear_down),
	    cmocka_unit_test_teardown(an_offset_of_unknown_step_follows_the_items, tear_down),
	    cmocka_unit_test_teardown(a_single_page_is_a_run, tear_down),
	    cmocka_unit_test_teardown(a_circle_is_seen_before_it_is_walked, tear_down),
	    cmocka_unit_test_teardown(a_body_that_comes_again_is_seen, tear_down),
	    cmocka_unit_test_teardown(a_next_link_stays_at_its_origin, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
