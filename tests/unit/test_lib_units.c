/* Durations, sizes, rates and times as people write and read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/units.h"

static void a_duration_has_a_unit_or_is_seconds(void **arg)
{
	static const struct {
		const char *text;
		int64_t us;
	} good[] = {
	    {"30", 30000000},
	    {"30s", 30000000},
	    {"1.5s", 1500000},
	    {"0.000001", 1},
	    {"500ms", 500000},
	    {"0.5ms", 500},
	    {"7us", 7},
	    {"2m", 120000000},
	    {"2min", 120000000},
	    {"2h", 7200000000},
	    {"30d", 2592000000000},
	    {"1w", 604800000000},
	    {"0.125w", 75600000000},
	    {"0", 0},
	    {"3650d", 315360000000000},
	    {"1.500000000s", 1500000},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		int64_t us = -1;
		struct err e;

		if (units_parse_duration_us(good[i].text, &us, &e))
			fail_msg("\"%s\" is refused: %s", good[i].text, e.what);
		assert_int_equal(us, good[i].us);
	}
}

static void what_is_no_duration_is_refused_and_not_rounded(void **arg)
{
	static const char *const bad[] = {
	    "",
	    " 1s",
	    "1s ",
	    "1 s",
	    "-1s",
	    "+1s",
	    "s",
	    ".5s",
	    "1.s",
	    "1..5s",
	    "1.5us",
	    "1.5.5",
	    "0.0000001",
	    "1e3",
	    "0x10",
	    "1day",
	    "1S",
	    "3651d",
	    "999999999999999999999s",
	    "1h30m",
	    "nan",
	    "inf",
	    "1.0000001s",
	    "30sec",
	    "9223372036854775807w",
	};

	(void)arg;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		int64_t us = -7;
		struct err e = {0};

		if (units_parse_duration_us(bad[i], &us, &e) == 0)
			fail_msg("\"%s\" is taken for %lld us", bad[i], (long long)us);
		assert_int_equal(us, -7);
		assert_int_equal(e.code, ERR_INPUT);
		assert_non_null(strstr(e.what, "duration"));
		assert_true(e.hint[0]);
	}
}

static void a_size_counts_in_powers_of_1024(void **arg)
{
	int64_t v;

	(void)arg;
	assert_int_equal(units_parse_bytes("0", &v, NULL), 0);
	assert_int_equal(v, 0);
	assert_int_equal(units_parse_bytes("17B", &v, NULL), 0);
	assert_int_equal(v, 17);
	assert_int_equal(units_parse_bytes("64M", &v, NULL), 0);
	assert_int_equal(v, INT64_C(64) << 20);
	assert_int_equal(units_parse_bytes("3KiB", &v, NULL), 0);
	assert_int_equal(v, 3072);
	assert_int_equal(units_parse_bytes("10GB", &v, NULL), 0);
	assert_int_equal(v, INT64_C(10) << 30);
	assert_int_equal(units_parse_bytes("8388607T", &v, NULL), 0);
	assert_int_equal(v, INT64_C(8388607) << 40);
}

static void what_is_no_size_is_refused(void **arg)
{
	static const char *const bad[] = {
	    "", "M", "1.5M", "1.0", "-1", "64m", "64 M", "8388608T", "99999999999999999999", "1P"};

	(void)arg;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		int64_t v;

		if (units_parse_bytes(bad[i], &v, NULL) == 0)
			fail_msg("\"%s\" is taken for %lld bytes", bad[i], (long long)v);
	}
}

static void a_rate_is_a_count_in_a_window(void **arg)
{
	static const struct {
		const char *text;
		int64_t count, window_us;
	} good[] = {
	    {"100/min", 100, 60000000},   {"5000/h", 5000, 3600000000}, {"100/6s", 100, 6000000},
	    {"1/2s", 1, 2000000},         {"10/s", 10, 1000000},        {"100000/day", 100000, 86400000000},
	    {"3/500ms", 3, 500000},       {"1/0.5s", 1, 500000},        {"7/second", 7, 1000000},
	    {"2/15minute", 2, 900000000},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		struct rate r = {0};
		struct err e;

		if (units_parse_rate(good[i].text, &r, &e))
			fail_msg("\"%s\" is refused: %s", good[i].text, e.what);
		assert_int_equal(r.count, good[i].count);
		assert_int_equal(r.window_us, good[i].window_us);
	}
}

static void what_is_no_rate_is_refused(void **arg)
{
	static const char *const bad[] = {
	    "",     "100",   "/s",    "100/",  "100/6",       "0/s",           "-1/s",       "1.5/s",
	    "1/0s", "1/-2s", "1 / s", "1/s/s", "1/fortnight", "99999999999/s", "1/9999999w", "1./s",
	};

	(void)arg;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct rate r;

		if (units_parse_rate(bad[i], &r, NULL) == 0)
			fail_msg("\"%s\" is taken for %lld in %lld us", bad[i], (long long)r.count,
				 (long long)r.window_us);
	}
}

static void durations_are_written_for_people(void **arg)
{
	static const struct {
		int64_t us;
		const char *text;
	} shown[] = {
	    {0, "0 µs"},
	    {999, "999 µs"},
	    {1000, "1.0 ms"},
	    {9949, "9.9 ms"},
	    {9950, "10 ms"},
	    {320000, "320 ms"},
	    {999499, "999 ms"},
	    {999500, "1.00 s"},
	    {1500000, "1.50 s"},
	    {59994999, "59.99 s"},
	    {59995000, "1 min 00 s"},
	    {185000000, "3 min 05 s"},
	    {7500000000, "2 h 05 min"},
	    {3599500000, "1 h 00 min"},
	    {259200000000, "3 d 00 h"},
	};
	char out[UNITS_TEXT_SIZE];

	(void)arg;
	for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
		assert_string_equal(units_format_duration(out, shown[i].us), shown[i].text);
}

static void sizes_are_written_for_people(void **arg)
{
	char out[UNITS_TEXT_SIZE];

	(void)arg;
	assert_string_equal(units_format_bytes(out, 0), "0 B");
	assert_string_equal(units_format_bytes(out, 1023), "1023 B");
	assert_string_equal(units_format_bytes(out, 1024), "1.0 KiB");
	assert_string_equal(units_format_bytes(out, 1572864), "1.5 MiB");
	assert_string_equal(units_format_bytes(out, (1 << 20) - 1), "1.0 MiB");
	assert_string_equal(units_format_bytes(out, INT64_MAX), "8.0 EiB");
}

static void times_are_written_in_utc_with_microseconds(void **arg)
{
	char out[CLOCK_RFC3339_SIZE];

	(void)arg;
	assert_string_equal(clock_format_rfc3339(out, 0), "1970-01-01T00:00:00.000000Z");
	assert_string_equal(clock_format_rfc3339(out, INT64_C(1767323045000006)), "2026-01-02T03:04:05.000006Z");
	assert_string_equal(clock_format_rfc3339(out, -1), "1969-12-31T23:59:59.999999Z");
	assert_string_equal(clock_format_rfc3339(out, CLOCK_NEVER), "294247-01-10T04:00:54.775807Z");
	assert_string_equal(clock_format_rfc3339(out, INT64_MIN), "-290308-12-21T19:59:05.224192Z");
}

static void the_clocks_run(void **arg)
{
	int64_t boot = clock_boot_us();

	(void)arg;
	assert_true(boot > 0 && clock_boot_us() >= boot);
	assert_true(clock_wall_us() > INT64_C(1700000000000000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_duration_has_a_unit_or_is_seconds),
	    cmocka_unit_test(what_is_no_duration_is_refused_and_not_rounded),
	    cmocka_unit_test(a_size_counts_in_powers_of_1024),
	    cmocka_unit_test(what_is_no_size_is_refused),
	    cmocka_unit_test(a_rate_is_a_count_in_a_window),
	    cmocka_unit_test(what_is_no_rate_is_refused),
	    cmocka_unit_test(durations_are_written_for_people),
	    cmocka_unit_test(sizes_are_written_for_people),
	    cmocka_unit_test(times_are_written_in_utc_with_microseconds),
	    cmocka_unit_test(the_clocks_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
