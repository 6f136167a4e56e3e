/* A moment less an overlap: each form stays what it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/since.h"

#define S INT64_C(1000000)

static const struct {
	const char *value;
	int64_t overlap_us;
	const char *before;
} fine[] = {
    /* RFC 3339, its zone and its digits */
    {"2026-01-01T00:05:00Z", 300 * S, "2026-01-01T00:00:00Z"},
    {"2026-01-01T00:04:59Z", 300 * S, "2025-12-31T23:59:59Z"},
    {"2024-03-01T00:00:00+02:00", S, "2024-02-29T23:59:59+02:00"},
    {"2023-03-01T00:00:00-0530", S, "2023-02-28T23:59:59-0530"},
    {"2000-03-01T00:00:00z", S, "2000-02-29T23:59:59z"},
    {"1900-03-01 00:00:00", S, "1900-02-28 23:59:59"},
    {"2026-01-31t08:00:00.5Z", S, "2026-01-31t07:59:59.5Z"},
    {"2026-01-31T08:00:00.250Z", 300000, "2026-01-31T07:59:59.950Z"},
    {"2026-01-31T08:00:00.000001Z", 2, "2026-01-31T07:59:59.999999Z"},
    {"2026-01-31T08:00:00.123456789Z", 1, "2026-01-31T08:00:00.123455789Z"},
    {"2026-01-31T08:00:00.123456789012345678Z", 1, "2026-01-31T08:00:00.123455789012345678Z"},
    {"2026-06-30T23:59:60Z", S, "2026-06-30T23:59:59Z"},
    {"2026-01-31T08:00Z", 60 * S, "2026-01-31T07:59Z"},
    {"2026-01-01T00:00:00Z", 366 * 86400 * S, "2024-12-31T00:00:00Z"},
    /* what the form cannot tell makes it earlier */
    {"2026-01-31T08:00:00Z", 1, "2026-01-31T07:59:59Z"},
    {"2026-01-31T08:00:00.0Z", 1, "2026-01-31T07:59:59.9Z"},
    {"2026-01-31T08:00Z", 1, "2026-01-31T07:59Z"},
    {"2026-03-01", 1, "2026-02-28"},
    {"2026-03-01", 86400 * S, "2026-02-28"},
    {"2026-03-01", 86401 * S, "2026-02-27"},
    /* since 1970: seconds, milliseconds, microseconds, nanoseconds */
    {"1767225600", 300 * S, "1767225300"},
    {"1767225600", 1, "1767225599"},
    {"1767225600.25", 500000, "1767225599.75"},
    {"1767225600000", 300 * S, "1767225300000"},
    {"1767225600000", 1500, "1767225599998"},
    {"1767225600000000", 1, "1767225599999999"},
    {"1767225600000000000", 1, "1767225599999999000"},
    {"100", 300 * S, "0"},
    {"0.5", S, "0.0"},
    {"0", 1, "0"},
};

static void a_moment_stays_in_its_form(void **arg)
{
	(void)arg;
	for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
		struct err e = {0};
		char *before = since_before(fine[i].value, fine[i].overlap_us, &e);

		if (!before)
			fail_msg("%s: %s", fine[i].value, e.what);
		assert_string_equal(before, fine[i].before);
		free(before);
	}
}

static void what_is_no_moment_is_refused(void **arg)
{
	static const char *const bad[] = {
	    "",
	    "abc",
	    "-5",
	    "1.",
	    ".5",
	    "1e9",
	    "9999999999999999999",
	    "12345678901234567890123",
	    "1.1234567890123456789",
	    " 1",
	    "1 ",
	    "0x10",
	    "2026-02-29",
	    "2026-13-01",
	    "2026-00-01",
	    "2026-01-00",
	    "2026-1-1",
	    "2026-01-01T",
	    "2026-01-01T24:00:00Z",
	    "2026-01-01T00:60:00Z",
	    "2026-01-01T00:00:61Z",
	    "2026-01-01T00:00:00.Z",
	    "2026-01-01T00:00:00.1234567890123456789Z",
	    "2026-01-01T00:00:00Zx",
	    "2026-01-01T00:00:00+24:00",
	    "2026-01-01T00:00:00+1:00",
	    "2026-01-01T00:00:00+01:60",
	    "2026-01-01T00:00:00 UTC",
	    "2026-01-01x",
	    "0000-01-01",
	    "Wed, 21 Oct 2015 07:28:00 GMT",
	};

	(void)arg;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct err e = {0};
		char *before = since_before(bad[i], 3600 * S, &e);

		if (before)
			fail_msg("\"%s\" gave %s", bad[i], before);
		assert_int_equal(e.code, ERR_INPUT);
		assert_non_null(strstr(e.what, "is no moment"));
	}
	assert_null(since_before("x", 1, NULL));
}

static void without_an_overlap_anything_stays_as_it_is(void **arg)
{
	static const char *const any[] = {"", "abc", "2026-02-29", "42", "\"x\""};

	(void)arg;
	for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
		char *same = since_before(any[i], 0, NULL);

		assert_string_equal(same, any[i]);
		free(same);
	}
}

static void day_by_day_through_four_centuries(void **arg)
{
	char day[11] = "2400-03-01", *before;

	(void)arg;
	for (unsigned i = 0; i < 146097; i++) {
		before = since_before(day, 1, NULL);
		assert_non_null(before);
		assert_true(strcmp(before, day) < 0);
		memcpy(day, before, sizeof day);
		free(before);
	}
	assert_string_equal(day, "2000-03-01");
}

static void a_value_has_a_form(void **arg)
{
	static const struct {
		const char *value;
		enum since_form form;
	} cases[] = {
	    {"2026-01-31", SINCE_MOMENT}, {"2026-01-31T08:00:00.5+02:00", SINCE_MOMENT},
	    {"1767225600", SINCE_NUMBER}, {"-1.5e3", SINCE_NUMBER},
	    {"2026-13-01", SINCE_TEXT},   {"now-6h", SINCE_TEXT},
	    {"0x10", SINCE_TEXT},         {"inf", SINCE_TEXT},
	    {"1-2", SINCE_TEXT},          {"", SINCE_TEXT},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(since_form(cases[i].value), cases[i].form);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_moment_stays_in_its_form),
	    cmocka_unit_test(what_is_no_moment_is_refused),
	    cmocka_unit_test(without_an_overlap_anything_stays_as_it_is),
	    cmocka_unit_test(a_value_has_a_form),
	    cmocka_unit_test(day_by_day_through_four_centuries),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
