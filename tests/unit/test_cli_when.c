/* Times as people give them, and as they are shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cli/rows.h"
#include "cli/when.h"

#define NOW_US INT64_C(1767323045000006) /* 2026-01-02T03:04:05.000006Z */

/* ---- times ---- */

static void given(const char *text, int64_t expected)
{
	struct err e = {0};
	int64_t us;

	if (when_parse_given(text, NOW_US, &us, &e) < 0)
		fail_msg("%s: %s", text, e.what);
	if (us != expected)
		fail_msg("%s: %lld instead of %lld", text, (long long)us, (long long)expected);
}

static void times_may_be_written_in_several_ways(void **arg)
{
	(void)arg;
	setenv("TZ", "UTC-3", 1); /* three hours east */
	tzset();
	given("2026-01-02T03:04:05.000006Z", NOW_US);
	given("2026-01-02T03:04:05Z", NOW_US - 6);
	given("2026-01-02T04:34:05+01:30", NOW_US - 6);
	given("2026-01-01T22:04:05.5-05:00", NOW_US - 6 + 500000);
	given("2026-01-02 06:04:05", NOW_US - 6);
	given("2026-01-02T06:04", NOW_US - 6 - 5000000);
	given("2026-01-02", NOW_US - 6 - INT64_C(1000000) * (6 * 3600 + 4 * 60 + 5));
	given("2h", NOW_US - INT64_C(7200000000));
	given("90", NOW_US - 90000000);
	unsetenv("TZ");
	tzset();
}

static void what_is_no_time_is_refused(void **arg)
{
	static const char *const wrong[] = {"",
					    "yesterday",
					    "2026-13-01x",
					    "2026-01-02T",
					    "2026-01-02 25:00",
					    "2026-01-02T03:04:05+1",
					    "2026-01-02T03:04:05+01:99",
					    "2026-01-02T03:04:05Zx",
					    "-2h",
					    "2026-01-02x03:04"};
	struct err e;
	int64_t us;

	(void)arg;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if (when_parse_given(wrong[i], NOW_US, &us, &e) == 0)
			fail_msg("%s was taken", wrong[i]);
}

static void the_future_is_told_from_now(void **arg)
{
	char text[WHEN_TEXT_SIZE];

	(void)arg;
	setenv("TZ", "UTC", 1);
	tzset();
	assert_string_equal(when_format_until(text, NOW_US + 12300000, NOW_US), "in 12.30 s, at 2026-01-02 03:04:17");
	assert_string_equal(when_format_until(text, NOW_US + INT64_C(5400000000), NOW_US),
			    "in 1 h 30 min, at 2026-01-02 04:34:05");
	assert_string_equal(when_format_until(text, NOW_US, NOW_US), "now");
}

/* ---- cells ---- */

static void seconds(json_int_t us, const char *expected)
{
	static const struct column column = {"TIME", "us", CELL_SECONDS, false, 0};
	json_t *row = json_pack("{s:I}", "us", us);
	struct text t = {0};

	rows_cell(&t, row, &column);
	assert_string_equal(t.data, expected);
	text_clear(&t);
	json_decref(row);
}

static void times_below_a_second_are_in_milliseconds(void **arg)
{
	(void)arg;
	seconds(0, "0 ms");
	seconds(40, "0.04 ms");
	seconds(400, "0.4 ms");
	seconds(4100, "4.1 ms");
	seconds(9949, "9.9 ms");
	seconds(9950, "10 ms");
	seconds(512000, "512 ms");
	seconds(999499, "999 ms");
	seconds(999500, "1.000 s");
	seconds(1234567, "1.235 s");
	seconds(INT64_C(86400000000), "86400.000 s");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(times_may_be_written_in_several_ways),
	    cmocka_unit_test(what_is_no_time_is_refused),
	    cmocka_unit_test(the_future_is_told_from_now),
	    cmocka_unit_test(times_below_a_second_are_in_milliseconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
