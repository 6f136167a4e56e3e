/* When the last of many requests can begin under one window. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/forecast.h"
#include "lib/clock.h"

#define SECOND INT64_C(1000000)
#define NOW    (1000 * SECOND)

static int64_t last(struct forecast_window w, int64_t jobs)
{
	return forecast_last_start_us(&w, jobs, NOW);
}

static void what_fits_into_the_window_is_not_held_back(void **state)
{
	struct forecast_window w = {.count = 100, .window_us = 6 * SECOND, .used = 40};

	(void)state;
	assert_int_equal(last(w, 60), 0);
	assert_int_equal(last(w, 0), 0);
	assert_int_equal(last((struct forecast_window){0}, 1000), 0);
}

/* 250 at 100 in 6 s: 100 at once, 100 after a window, 50 after two. */
static void the_rest_goes_a_window_full_at_a_time(void **state)
{
	struct forecast_window w = {.count = 100, .window_us = 6 * SECOND};

	(void)state;
	assert_int_equal(last(w, 200), NOW + 6 * SECOND);
	assert_int_equal(last(w, 201), NOW + 12 * SECOND);
	assert_int_equal(last(w, 250), NOW + 12 * SECOND);
	assert_int_equal(last(w, 300), NOW + 12 * SECOND);
}

static void a_full_window_begins_to_free_when_it_says(void **state)
{
	struct forecast_window w = {.count = 100, .window_us = 6 * SECOND, .used = 100, .free_us = NOW + 2 * SECOND};

	(void)state;
	assert_int_equal(last(w, 1), NOW + 2 * SECOND);
	assert_int_equal(last(w, 100), NOW + 2 * SECOND);
	assert_int_equal(last(w, 101), NOW + 8 * SECOND);
	w.free_us = CLOCK_NEVER; /* all are in flight */
	assert_int_equal(last(w, 1), NOW + 6 * SECOND);
	w.used = 130; /* told of more than it allows */
	assert_int_equal(last(w, 1), NOW + 6 * SECOND);
}

static void paced_requests_go_one_by_one(void **state)
{
	struct forecast_window w = {.count = 60, .window_us = 60 * SECOND, .pace = true};

	(void)state;
	assert_int_equal(last(w, 1), 0);
	assert_int_equal(last(w, 31), NOW + 30 * SECOND);
	assert_int_equal(last(w, 601), NOW + 600 * SECOND);
}

static void what_takes_for_ever_does_not_overflow(void **state)
{
	struct forecast_window w = {.count = 1, .window_us = INT64_C(3650) * 86400 * SECOND};

	(void)state;
	assert_true(last(w, INT64_MAX) > NOW);
	w.pace = true;
	assert_true(last(w, INT64_MAX) > NOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_fits_into_the_window_is_not_held_back),
	    cmocka_unit_test(the_rest_goes_a_window_full_at_a_time),
	    cmocka_unit_test(a_full_window_begins_to_free_when_it_says),
	    cmocka_unit_test(paced_requests_go_one_by_one),
	    cmocka_unit_test(what_takes_for_ever_does_not_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
