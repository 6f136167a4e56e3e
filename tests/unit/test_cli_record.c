/* The record as it is read, in order of time, and by limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>

#include "cli/audit.h"
#include "lib/jobid.h"

#define NOW_US 5000

static const char *const names[] = {"a", "b"};
static const int64_t always[] = {0, 0};

static void add(struct record *r, const char *line)
{
	struct err e = {0};

	if (record_add(r, line, strlen(line), &e) < 0)
		fail_msg("%s: %s", line, e.what);
}

static void some(struct record *r)
{
	record_init(r, names, always, 2);
	add(r, "{\"job\":\"7.2\",\"attempt\":1,\"boot\":1,\"sent_us\":300,\"counted_us\":310,"
	       "\"sent_at\":\"1970-01-01T00:00:01.000300Z\",\"status\":200,\"refused\":false,\"limits\":[\"a\"]}");
	add(r, "{\"job\":\"7.1\",\"attempt\":1,\"boot\":1,\"sent_us\":100,\"counted_us\":400,"
	       "\"sent_at\":\"1970-01-01T00:00:01.000100Z\",\"status\":429,\"refused\":true,\"limits\":[\"b\",\"a\","
	       "\"elsewhere\"]}");
	add(r, "{\"job\":\"7.3\",\"attempt\":1,\"boot\":2,\"sent_us\":50,\"counted_us\":null,"
	       "\"sent_at\":\"1970-01-01T00:00:09.000050Z\",\"status\":null,\"limits\":[]}");
	add(r, "{\"job\":\"7.4\",\"attempt\":1,\"boot\":2,\"sent_us\":60,\"counted_us\":10,"
	       "\"sent_at\":\"1970-01-01T00:00:09.000060Z\",\"status\":503,\"refused\":true,\"limits\":[\"b\"]}");
	record_sort(r, NOW_US);
}

static void attempts_are_in_order_of_boot_and_time(void **arg)
{
	static const uint32_t order[] = {1, 2, 3, 4};
	struct record r;

	(void)arg;
	some(&r);
	assert_int_equal(r.count, 4);
	for (size_t i = 0; i < r.count; i++)
		assert_int_equal(jobid_seq(r.attempts[i].job), order[i]);
	assert_int_equal(record_boot_end(&r, 0), 2);
	assert_int_equal(record_boot_end(&r, 2), 4);
	record_clear(&r);
}

static void open_attempts_are_in_flight_up_to_now_and_none_ends_before_it_began(void **arg)
{
	struct record r;

	(void)arg;
	some(&r);
	assert_true(r.attempts[2].open);
	assert_int_equal(r.attempts[2].counted_us, NOW_US);
	assert_int_equal(r.attempts[3].counted_us, 60);
	assert_true(r.attempts[0].refused && r.attempts[3].refused && !r.attempts[1].refused);
	record_clear(&r);
}

static void only_what_counts_against_a_limit_is_selected(void **arg)
{
	int64_t times[12];
	struct windows w = {.sent = times, .counted = times + 4, .ends = times + 8};
	struct record r;

	(void)arg;
	some(&r);
	record_select(&r, 0, 2, 0, &w); /* "a" */
	assert_int_equal(w.count, 2);
	assert_int_equal(w.sent[0], 100);
	assert_int_equal(w.counted[0], 400);
	assert_int_equal(w.ends[0], 310);
	record_select(&r, 0, 2, 1, &w); /* "b" */
	assert_int_equal(w.count, 1);
	record_select(&r, 2, 4, 0, &w);
	assert_int_equal(w.count, 0);
	record_select(&r, 0, 4, RECORD_ALL, &w);
	assert_int_equal(w.count, 4);
	record_clear(&r);
}

static void what_was_sent_before_a_limit_held_does_not_count_against_it(void **arg)
{
	static const int64_t since[] = {1000300, 9000061};
	struct record r;

	(void)arg;
	some(&r);
	r.since_us = since;
	assert_int_equal(record_before(&r, 0), 1);
	assert_int_equal(record_before(&r, 1), 2);
	assert_int_equal(record_before(&r, RECORD_ALL), 0);
	for (size_t i = 0; i < r.count; i++) {
		assert_true(record_counts(&r, &r.attempts[i], 0) == (r.attempts[i].job == jobid_make(7, 2)));
		assert_false(record_counts(&r, &r.attempts[i], 1));
		assert_true(record_counts(&r, &r.attempts[i], RECORD_ALL));
	}
	record_clear(&r);
}

static void what_is_no_record_is_refused(void **arg)
{
	static const char *const wrong[] = {"",
					    "{",
					    "[]",
					    "{\"job\":\"7.1\"}",
					    "{\"sent_us\":1}",
					    "{\"job\":\"x\",\"sent_us\":1}",
					    "{\"job\":\"7.1\",\"sent_us\":\"1\"}"};
	struct record r;
	struct err e;

	(void)arg;
	record_init(&r, names, always, 2);
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		e.code = ERR_NONE;
		if (record_add(&r, wrong[i], strlen(wrong[i]), &e) == 0)
			fail_msg("%s was taken", wrong[i]);
		assert_int_equal(e.code, ERR_SYSTEM);
	}
	assert_int_equal(r.count, 0);
	record_clear(&r);
}

static void a_longer_record_than_there_is_room_for_is_refused_with_what_to_do(void **arg)
{
	const char *line = "{\"job\":\"7.1\",\"sent_us\":1}";
	struct record r;
	struct err e = {0};

	(void)arg;
	record_init(&r, names, always, 2);
	r.count = r.room = RECORD_MAX;
	assert_int_equal(record_add(&r, line, strlen(line), &e), -1);
	assert_int_equal(e.code, ERR_TOO_LARGE);
	assert_non_null(strstr(e.hint, "--since"));
	r.count = 0;
	record_clear(&r);
}

static void expect_row(const struct record *r, const struct audited *a, const char *expected)
{
	json_t *row = audit_row(r, a), *wanted = json_loads(expected, 0, NULL);
	char *got = json_dumps(row, JSON_COMPACT);

	assert_non_null(wanted);
	if (!json_equal(row, wanted))
		fail_msg("%s\ninstead of\n%s", got, expected);
	free(got);
	json_decref(row);
	json_decref(wanted);
}

static void a_broken_rate_names_window_and_jobs(void **arg)
{
	struct record r;
	struct audited a = {.host = "h:443",
			    .limit = "a",
			    .source = "conf",
			    .rate_text = "1/1s",
			    .rate = {.count = 1, .window_us = 1000000},
			    .rule = 0,
			    .used = 2,
			    .allowed = 1};

	(void)arg;
	some(&r);
	for (int m = 0; m < MEASURES; m++) {
		a.fullest[m].window = (struct fullest){.requests = 2, .from_us = 100, .over = 1};
		a.fullest[m].to = 2;
	}
	a.fullest[MEASURE_COUNTED].window = (struct fullest){.requests = 1, .from_us = 310};
	expect_row(
	    &r, &a,
	    "{\"host\":\"h:443\",\"limit\":\"a\",\"source\":\"conf\",\"rate\":\"1/1s\",\"attempts\":2,\"open\":0,"
	    "\"refused\":1,\"unsent\":0,\"first_sent_at\":\"1970-01-01T00:00:01.000100Z\","
	    "\"last_sent_at\":\"1970-01-01T00:00:01.000300Z\",\"fullest\":{"
	    "\"sent\":{\"requests\":2,\"from\":\"1970-01-01T00:00:01.000100Z\","
	    "\"until\":\"1970-01-01T00:00:02.000100Z\",\"jobs\":[\"7.1-7.2\"]},"
	    "\"counted\":{\"requests\":1,\"from\":\"1970-01-01T00:00:01.000310Z\","
	    "\"until\":\"1970-01-01T00:00:02.000310Z\"},"
	    "\"worst\":{\"requests\":2,\"from\":\"1970-01-01T00:00:01.000100Z\","
	    "\"until\":\"1970-01-01T00:00:02.000100Z\",\"jobs\":[\"7.1-7.2\"]}},"
	    "\"over\":1,\"used\":2,\"allowed\":1,\"since\":null,\"before\":0,\"verdict\":\"broken\"}");
	record_clear(&r);
}

static void a_host_without_a_rate_has_counts_and_no_verdict(void **arg)
{
	struct record r;

	(void)arg;
	some(&r);
	expect_row(&r, &(struct audited){.host = "h:443", .rule = RECORD_ALL},
		   "{\"host\":\"h:443\",\"limit\":null,\"source\":null,\"rate\":null,\"attempts\":4,\"open\":1,"
		   "\"refused\":2,\"unsent\":0,\"first_sent_at\":\"1970-01-01T00:00:01.000100Z\","
		   "\"last_sent_at\":\"1970-01-01T00:00:09.000060Z\"}");
	record_clear(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(attempts_are_in_order_of_boot_and_time),
	    cmocka_unit_test(open_attempts_are_in_flight_up_to_now_and_none_ends_before_it_began),
	    cmocka_unit_test(only_what_counts_against_a_limit_is_selected),
	    cmocka_unit_test(what_was_sent_before_a_limit_held_does_not_count_against_it),
	    cmocka_unit_test(what_is_no_record_is_refused),
	    cmocka_unit_test(a_longer_record_than_there_is_room_for_is_refused_with_what_to_do),
	    cmocka_unit_test(a_broken_rate_names_window_and_jobs),
	    cmocka_unit_test(a_host_without_a_rate_has_counts_and_no_verdict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
