/* What servers tell of their limits: every spelling that is known is read, and nothing that is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/message.h"
#include "worker/fields.h"
#include "worker/httpdate.h"
#include "worker/ratelimit.h"

#define S INT64_C(1000000)
/* Sun, 06 Nov 1994 08:49:37 GMT */
#define THEN INT64_C(784111777)
/* Our clock, an hour ahead of the servers. */
#define OURS ((THEN + 3600) * S)

struct expectation {
	const char *lines;
	int64_t retry_after_us, remaining, reset_us;
	struct rate rate;
};
#define NONE         \
	-1, -1, -1,  \
	{            \
		0, 0 \
	}

static void check(const struct expectation *x)
{
	char head[8192];
	struct ratelimit r;

	snprintf(head, sizeof head, "HTTP/1.1 200 OK\nServer: x\n%s%sX-Last: 1\n", x->lines, x->lines[0] ? "\n" : "");
	ratelimit_read(&r, head, OURS);
	if (r.retry_after_us != x->retry_after_us || r.remaining != x->remaining || r.reset_us != x->reset_us ||
	    r.rate.count != x->rate.count || r.rate.window_us != x->rate.window_us)
		fail_msg("%s\n  read as retry_after=%lld remaining=%lld reset=%lld rate=%lld/%lld", x->lines,
			 (long long)r.retry_after_us, (long long)r.remaining, (long long)r.reset_us,
			 (long long)r.rate.count, (long long)r.rate.window_us);
}

#define CHECK_ALL(table)                                             \
	for (size_t i = 0; i < sizeof(table) / sizeof *(table); i++) \
	check(&(table)[i])

static void without_a_word_nothing_is_told(void **arg)
{
	static const struct expectation table[] = {
	    {"", NONE},
	    {"Date: Sun, 06 Nov 1994 08:49:37 GMT", NONE},
	    {"Retry-Afte: 3", NONE},
	    {"Retry-After-: 3", NONE},
	    {"X-Retry-After: 3", NONE},
	    {"Retry-After : 3", NONE},
	    {"Retry-After", NONE},
	    {"RateLimit-Limit: 100", NONE},
	    {"X-RateLimit-Limit: 100", NONE},
	    {"X-Rate-Limit-Limit: 100", NONE},
	};
	struct ratelimit r;

	(void)arg;
	CHECK_ALL(table);
	ratelimit_read(&r, "", OURS);
	assert_int_equal(r.retry_after_us, -1);
	assert_int_equal(r.rate.count, 0);
}

static void retry_after_in_seconds_is_digits_alone(void **arg)
{
	static const struct expectation table[] = {
	    {"Retry-After: 0", 0, -1, -1, {0, 0}},
	    {"Retry-After: 120", 120 * S, -1, -1, {0, 0}},
	    {"retry-after:120", 120 * S, -1, -1, {0, 0}},
	    {"Retry-After: \t 007 \t", 7 * S, -1, -1, {0, 0}},
	    {"Retry-After: 315360000", MESSAGE_WAIT_MAX_US, -1, -1, {0, 0}},
	    {"Retry-After: 315360001", NONE},
	    {"Retry-After: 1700000000", NONE},
	    {"Retry-After: 99999999999999999999999", NONE},
	    {"Retry-After: 18446744073709551617", NONE},
	    {"Retry-After:", NONE},
	    {"Retry-After: ", NONE},
	    {"Retry-After: -1", NONE},
	    {"Retry-After: +1", NONE},
	    {"Retry-After: 1.5", NONE},
	    {"Retry-After: 1e3", NONE},
	    {"Retry-After: 0x10", NONE},
	    {"Retry-After: 10abc", NONE},
	    {"Retry-After: 10 s", NONE},
	    {"Retry-After: 10, 10", NONE},
	    {"Retry-After: \"10\"", NONE},
	    {"Retry-After: soon", NONE},
	    {"Retry-After: ١٠", NONE},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void retry_after_as_a_date_is_by_the_servers_own_clock(void **arg)
{
	static const struct expectation table[] = {
	    {"Date: Sun, 06 Nov 1994 08:49:37 GMT\nRetry-After: Sun, 06 Nov 1994 08:50:37 GMT", 60 * S, -1, -1, {0, 0}},
	    {"Retry-After: Sun, 06 Nov 1994 08:50:37 GMT\nDate: Sun, 06 Nov 1994 08:49:37 GMT", 60 * S, -1, -1, {0, 0}},
	    {"Date: Sun, 06 Nov 1994 08:49:37 GMT\nRetry-After: Sunday, 06-Nov-94 08:50:37 GMT",
	     60 * S,
	     -1,
	     -1,
	     {0, 0}},
	    {"Date: Sun Nov  6 08:49:37 1994\nRetry-After: Sun Nov  6 08:50:37 1994", 60 * S, -1, -1, {0, 0}},
	    /* the past */
	    {"Date: Sun, 06 Nov 1994 08:49:37 GMT\nRetry-After: Sun, 06 Nov 1994 08:49:36 GMT", 0, -1, -1, {0, 0}},
	    {"Date: Sun, 06 Nov 1994 08:49:37 GMT\nRetry-After: Thu, 01 Jan 1970 00:00:00 GMT", 0, -1, -1, {0, 0}},
	    /* no Date, or none that can be read: ours */
	    {"Retry-After: Sun, 06 Nov 1994 09:50:37 GMT", 60 * S, -1, -1, {0, 0}},
	    {"Date: yesterday\nRetry-After: Sun, 06 Nov 1994 09:50:37 GMT", 60 * S, -1, -1, {0, 0}},
	    {"Date: Sun, 06 Nov 1994 08:49:37 GMT\nDate: Mon, 07 Nov 1994 08:49:37 GMT\n"
	     "Retry-After: Sun, 06 Nov 1994 09:50:37 GMT",
	     60 * S,
	     -1,
	     -1,
	     {0, 0}},
	    /* too far, or no date */
	    {"Retry-After: Sun, 06 Nov 9999 08:49:37 GMT", NONE},
	    {"Retry-After: Sun, 06 Nov 1994 08:50:37", NONE},
	    {"Retry-After: Sun, 06 Nov 1994 08:50:37 CET", NONE},
	    {"Retry-After: Sun, 06 Nov 1994 25:50:37 GMT", NONE},
	    {"Retry-After: Sun, 06 Foo 1994 08:50:37 GMT", NONE},
	    {"Retry-After: Sun, 6 Nov 1994 08:50:37 GMT", NONE},
	    {"Retry-After: Sun, 06 Nov 1994 08:50:37 GMT GMT", NONE},
	    {"Retry-After: 1994-11-06T08:50:37Z", NONE},
	    {"Retry-After: tomorrow", NONE},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void what_is_said_twice_counts_once_and_what_contradicts_itself_not_at_all(void **arg)
{
	static const struct expectation table[] = {
	    {"Retry-After: 5\nRetry-After: 5", 5 * S, -1, -1, {0, 0}},
	    {"Retry-After: 5\nRetry-After: 6", NONE},
	    {"Retry-After: 5\nRetry-After: 6\nRetry-After: 6", NONE},
	    {"Retry-After: 5\nRetry-After: Sun, 06 Nov 1994 08:50:37 GMT", NONE},
	    {"X-RateLimit-Remaining: 5\nX-Rate-Limit-Remaining: 5", -1, 5, -1, {0, 0}},
	    {"X-RateLimit-Remaining: 5\nX-Rate-Limit-Remaining: 6", NONE},
	    {"RateLimit-Remaining: 5\nratelimit-remaining: 7\nRateLimit-Reset: 3", -1, -1, 3 * S, {0, 0}},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void a_folded_header_is_not_read(void **arg)
{
	static const struct expectation table[] = {
	    {"Retry-After: 5\n 0", NONE},
	    {"Retry-After:\n 5", NONE},
	    {"RateLimit: \"a\";r=5\n\t0", NONE},
	    {"X-Note: a\n Retry-After: 5", NONE},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void the_drafts_fields_are_read(void **arg)
{
	static const struct expectation table[] = {
	    {"RateLimit: \"default\";r=50;t=30", -1, 50, 30 * S, {0, 0}},
	    {"RateLimit: \"default\";t=30;r=50", -1, 50, 30 * S, {0, 0}},
	    {"RateLimit: default; r=0", -1, 0, -1, {0, 0}},
	    {"RateLimit: \"a b, ;\\\"c\";pk=:c2VjcmV0:;x;y=?1;z=1.5;w=tok/en;d=@5;e=%\"f%c3\";r=50;t=30",
	     -1,
	     50,
	     30 * S,
	     {0, 0}},
	    {"RateLimit-Policy: \"default\";q=100;w=60", -1, -1, -1, {100, 60 * S}},
	    {"RateLimit-Policy: \"d\";w=60;q=100;qu=\"requests\"", -1, -1, -1, {100, 60 * S}},
	    {"RateLimit: \"default\";r=50;t=30\nRateLimit-Policy: \"default\";q=100;w=60",
	     -1,
	     50,
	     30 * S,
	     {100, 60 * S}},
	    {"RateLimit: \"default\";r=50;t=0", -1, 50, 0, {0, 0}},
	    /* half of it is no rate */
	    {"RateLimit-Policy: \"default\";q=100", NONE},
	    {"RateLimit-Policy: \"default\";w=60", NONE},
	    {"RateLimit-Policy: \"default\";q=0;w=60", NONE},
	    {"RateLimit-Policy: \"default\";q=100;w=0", NONE},
	    {"RateLimit-Policy: \"default\";q=-100;w=60", NONE},
	    {"RateLimit-Policy: \"default\";q=100;w=-60", NONE},
	    {"RateLimit-Policy: \"default\";q=100.0;w=60", NONE},
	    {"RateLimit-Policy: \"default\";q=\"100\";w=60", NONE},
	    {"RateLimit-Policy: \"default\";q=100;w=999999999999999", NONE},
	    /* a reset without what is left */
	    {"RateLimit: \"default\";t=30", NONE},
	    {"RateLimit: 50", NONE},
	    {"RateLimit: r=50;t=30", NONE},
	    {"RateLimit: \"default\";r=-1;t=30", NONE},
	    {"RateLimit: \"default\";r=1.0;t=30", NONE},
	    {"RateLimit: \"default\";r=\"1\";t=30", NONE},
	    {"RateLimit: \"default\";r;t=30", NONE},
	    /* what is left without a good reset */
	    {"RateLimit: \"default\";r=5;t=-30", -1, 5, -1, {0, 0}},
	    {"RateLimit: \"default\";r=5;t=1700000000", -1, 5, -1, {0, 0}},
	    {"RateLimit: \"default\";r=5;t=soon", -1, 5, -1, {0, 0}},
	    /* the last of a parameter counts */
	    {"RateLimit: \"default\";r=5;r=6", -1, 6, -1, {0, 0}},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void the_older_drafts_fields_are_read(void **arg)
{
	static const struct expectation table[] = {
	    {"RateLimit-Limit: 100\nRateLimit-Remaining: 50\nRateLimit-Reset: 30", -1, 50, 30 * S, {0, 0}},
	    {"RateLimit-Limit: 100, 100;w=60\nRateLimit-Remaining: 50\nRateLimit-Reset: 30",
	     -1,
	     50,
	     30 * S,
	     {100, 60 * S}},
	    {"RateLimit-Policy: 100;w=60\nRateLimit: limit=100, remaining=50, reset=30", -1, 50, 30 * S, {100, 60 * S}},
	    {"RateLimit: limit=100, remaining=50", -1, 50, -1, {0, 0}},
	    {"RateLimit: limit=100, reset=30", NONE},
	    {"RateLimit: limit=100, remaining=-1, reset=30", NONE},
	    {"RateLimit: limit=100, remaining=50, reset=30,", NONE},
	    {"RateLimit: Limit=100, Remaining=50, Reset=30", NONE},
	    {"RateLimit-Reset: 30", -1, -1, 30 * S, {0, 0}},
	    /* the drafts' reset is in seconds from now, and nothing else */
	    {"RateLimit-Remaining: 5\nRateLimit-Reset: 784111837", -1, 5, -1, {0, 0}},
	    {"RateLimit-Remaining: 5\nRateLimit-Reset: 1.5", -1, 5, -1, {0, 0}},
	    {"RateLimit-Remaining: many\nRateLimit-Reset: 1", -1, -1, 1 * S, {0, 0}},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void the_unit_of_an_x_reset_is_decided_by_its_size(void **arg)
{
	static const struct expectation table[] = {
	    {"X-RateLimit-Remaining: 3\nX-RateLimit-Reset: 60", -1, 3, 60 * S, {0, 0}},
	    {"X-Rate-Limit-Remaining: 3\nX-Rate-Limit-Reset: 60", -1, 3, 60 * S, {0, 0}},
	    {"x-ratelimit-remaining: 0\nx-ratelimit-reset: 0", -1, 0, 0, {0, 0}},
	    {"X-RateLimit-Reset: 64.57", -1, -1, 64570000, {0, 0}},
	    {"X-RateLimit-Reset: 0.0000001", -1, -1, 1, {0, 0}},
	    /* by the server's clock */
	    {"Date: Wed, 01 Jan 2025 00:00:00 GMT\nX-RateLimit-Reset: 1735689630", -1, -1, 30 * S, {0, 0}},
	    {"Date: Wed, 01 Jan 2025 00:00:00 GMT\nX-RateLimit-Reset: 1735689630.25", -1, -1, 30250000, {0, 0}},
	    {"Date: Wed, 01 Jan 2025 00:00:00 GMT\nX-RateLimit-Reset: 1735689630500", -1, -1, 30500000, {0, 0}},
	    {"Date: Wed, 01 Jan 2025 00:00:00 GMT\nX-RateLimit-Reset: 1735689599", -1, -1, 0, {0, 0}},
	    /* the bounds between the units */
	    {"Date: Sun, 09 Sep 2001 01:46:40 GMT\nX-RateLimit-Reset: 1000000001", -1, -1, 1 * S, {0, 0}},
	    {"Date: Sun, 09 Sep 2001 01:46:40 GMT\nX-RateLimit-Reset: 1000000000", NONE},
	    {"Date: Sun, 09 Sep 2001 01:46:40 GMT\nX-RateLimit-Reset: 1000000000001", -1, -1, 1000, {0, 0}},
	    {"Date: Sun, 09 Sep 2001 01:46:40 GMT\nX-RateLimit-Reset: 1000000000000", NONE},
	    {"X-RateLimit-Reset: 315359999.9999999", -1, -1, MESSAGE_WAIT_MAX_US, {0, 0}},
	    {"X-RateLimit-Reset: 315360000.5", NONE},
	    /* garbage */
	    {"X-RateLimit-Reset: 9999999999", NONE},
	    {"X-RateLimit-Reset: 999999999999999999", NONE},
	    {"X-RateLimit-Reset: 99999999999999999999", NONE},
	    {"X-RateLimit-Reset: -1", NONE},
	    {"X-RateLimit-Reset: 1.", NONE},
	    {"X-RateLimit-Reset: .5", NONE},
	    {"X-RateLimit-Reset: 1.5.5", NONE},
	    {"X-RateLimit-Reset: 6m0s", NONE},
	    {"X-RateLimit-Reset: 2025-01-01T00:00:00Z", NONE},
	    {"X-RateLimit-Reset:", NONE},
	    {"X-RateLimit-Remaining: -1", NONE},
	    {"X-RateLimit-Remaining: 1.5", NONE},
	    {"X-RateLimit-Remaining: unlimited", NONE},
	    {"X-RateLimit-Remaining: 10, 20", NONE},
	    {"X-RateLimit-Remaining: 9999999999999999999", NONE},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void of_several_limits_the_one_with_the_least_left_is_told(void **arg)
{
	static const struct expectation table[] = {
	    {"RateLimit: \"a\";r=50;t=5, \"b\";r=2;t=3600", -1, 2, 3600 * S, {0, 0}},
	    {"RateLimit: \"a\";r=50;t=5\nX-Note: x\nRateLimit: \"b\";r=2;t=3600", -1, 2, 3600 * S, {0, 0}},
	    {"RateLimit: \"a\";r=2;t=5, \"b\";r=2;t=3600, \"c\";r=2;t=7", -1, 2, 3600 * S, {0, 0}},
	    {"RateLimit: \"a\";r=2;t=5\nX-RateLimit-Remaining: 1\nX-RateLimit-Reset: 9", -1, 1, 9 * S, {0, 0}},
	    {"RateLimit: \"a\";r=2;t=5\nX-RateLimit-Remaining: 9\nX-RateLimit-Reset: 9", -1, 2, 5 * S, {0, 0}},
	    {"RateLimit-Remaining: 4\nRateLimit-Reset: 5\nX-RateLimit-Reset: 9", -1, 4, 5 * S, {0, 0}},
	    {"RateLimit-Reset: 5\nX-RateLimit-Remaining: 4", -1, 4, -1, {0, 0}},
	    {"RateLimit-Reset: 5\nX-RateLimit-Reset: 9", -1, -1, 9 * S, {0, 0}},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void of_several_policies_the_slowest_is_told(void **arg)
{
	static const struct expectation table[] = {
	    {"RateLimit-Policy: 10;w=1, 50;w=60, 1000;w=3600", -1, -1, -1, {1000, 3600 * S}},
	    {"RateLimit-Policy: 1000;w=3600, 50;w=60, 10;w=1", -1, -1, -1, {1000, 3600 * S}},
	    {"RateLimit-Policy: \"b\";q=10;w=1\nRateLimit-Policy: \"s\";q=50;w=60", -1, -1, -1, {50, 60 * S}},
	    /* as slow, in smaller portions: it implies the other */
	    {"RateLimit-Policy: 60;w=60, 1;w=1, 30;w=30", -1, -1, -1, {1, 1 * S}},
	    /* half a policy does not count */
	    {"RateLimit-Policy: 10;w=1, 5, \"x\";w=1", -1, -1, -1, {10, 1 * S}},
	    {"RateLimit-Policy: 999999999999999;w=1, 999999999999998;w=1", -1, -1, -1, {999999999999998, 1 * S}},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void a_quota_of_something_else_than_requests_does_not_count(void **arg)
{
	static const struct expectation table[] = {
	    {"RateLimit-Policy: \"bytes\";q=100;w=60;qu=\"content-bytes\"", NONE},
	    {"RateLimit-Policy: \"conc\";q=5;qu=\"concurrent-requests\", \"r\";q=9;w=1", -1, -1, -1, {9, 1 * S}},
	    {"RateLimit: \"bytes\";r=1;t=5, \"r\";r=7;t=6\n"
	     "RateLimit-Policy: \"bytes\";q=100;w=60;qu=\"content-bytes\", \"r\";q=10;w=6",
	     -1,
	     7,
	     6 * S,
	     {10, 6 * S}},
	    {"RateLimit-Policy: \"odd\";q=100;w=60;qu=5", NONE},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void a_field_that_breaks_the_grammar_anywhere_is_no_field(void **arg)
{
	static const char *const bad[] = {
	    "\"a\";r=50;t=30,",
	    "\"a\";r=50;t=30, ",
	    ",\"a\";r=50",
	    "\"a\";r=50,,\"b\";r=4",
	    "\"a\";r=50 \"b\";r=4",
	    "\"a\";r=50;",
	    "\"a\";r=50;T=30",
	    "\"a\";r=50;t=",
	    "\"a\";r=50;t=-",
	    "\"a\" ;r=50",
	    "\"a;r=50",
	    "\"a\\x\";r=50",
	    "\"é\";r=50",
	    "\"a\";r=50;t=1234567890123456",
	    "\"a\";r=50;x=1.",
	    "\"a\";r=50;x=1.1234",
	    "\"a\";r=50;x=1234567890123.1",
	    "\"a\";r=50;x=?2",
	    "\"a\";r=50;x=:abc",
	    "\"a\";r=50;x=:a b:",
	    "\"a\";r=50;x=@1.5",
	    "\"a\";r=50;x=%f",
	    "\"a\";r=50;x=(1 2)",
	    "(\"a\");r=50",
	    "{\"r\":50}",
	};

	(void)arg;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char lines[200];
		const struct expectation x = {lines, NONE};
		const struct expectation twice = {lines, -1, 3, 4 * S, {0, 0}};

		snprintf(lines, sizeof lines, "RateLimit: %s", bad[i]);
		check(&x);
		snprintf(lines, sizeof lines, "RateLimit: \"good\";r=1;t=1\nRateLimit: %s", bad[i]);
		check(&x);
		snprintf(lines, sizeof lines, "RateLimit: %s\nRateLimit-Remaining: 3\nRateLimit-Reset: 4", bad[i]);
		check(&twice);
		snprintf(lines, sizeof lines, "RateLimit-Policy: 10;w=1\nRateLimit-Policy: %s;q=5;w=60,", bad[i]);
		check(&x);
	}
}

static void more_policies_than_fit_are_no_harm(void **arg)
{
	char lines[4096] = "RateLimit: \"a\";r=9";
	const struct expectation x = {lines, -1, 9, -1, {0, 0}};

	(void)arg;
	for (int i = 0; i < 200; i++)
		strcat(lines, ", \"x\";r=10");
	check(&x);
}

/* Every cut, and every byte replaced by every other: nothing is read that cannot be (the sanitizers watch the rest). */
static void no_damage_tells_the_impossible(void **arg)
{
	static const char good[] = "HTTP/1.1 429 Too Many Requests\nDate: Sun, 06 Nov 1994 08:49:37 GMT\n"
				   "Retry-After: Sun, 06 Nov 1994 08:50:37 GMT\nRateLimit: \"a\";r=5;t=60;x=:aa:\n"
				   "RateLimit-Policy: \"a\";q=10;w=60, 5;w=7\nX-RateLimit-Reset: 784111837.5\n";

	(void)arg;
	for (size_t i = 0; i < sizeof good - 1; i++) {
		for (int c = 0; c < 256; c++) {
			char *head = strdup(good);
			struct ratelimit r;

			assert_non_null(head);
			head[i] = (char)c;
			ratelimit_read(&r, head, OURS);
			assert_in_range(r.retry_after_us + 1, 0, MESSAGE_WAIT_MAX_US + 1);
			assert_in_range(r.reset_us + 1, 0, MESSAGE_WAIT_MAX_US + 1);
			assert_true(r.remaining >= -1);
			assert_true(r.rate.count == 0 ? r.rate.window_us == 0
						      : r.rate.count > 0 && r.rate.window_us > 0 &&
							    r.rate.window_us <= MESSAGE_WAIT_MAX_US);
			free(head);
		}
	}
}

static void a_dictionary_is_read_entry_by_entry(void **arg)
{
	static const char text[] = "a=1 , b ,*c-d_e.f=\"x\\\"y\";p;q=-5,g=tok";
	struct field_text key;
	struct field_item item;
	struct field f;

	(void)arg;
	field_init(&f, text, sizeof text - 1);
	assert_true(field_next_entry(&f, &key, &item));
	assert_true(field_text_is(&key, "a") && item.kind == FIELD_INTEGER && item.integer == 1);
	assert_true(field_next_entry(&f, &key, &item));
	assert_true(field_text_is(&key, "b") && item.kind == FIELD_OTHER);
	assert_true(field_next_entry(&f, &key, &item));
	assert_true(field_text_is(&key, "*c-d_e.f") && item.kind == FIELD_STRING &&
		    field_text_is(&item.text, "x\\\"y"));
	assert_true(field_next_parameter(&f, &key, &item));
	assert_true(field_text_is(&key, "p") && item.kind == FIELD_OTHER);
	/* the other parameter is passed over */
	assert_true(field_next_entry(&f, &key, &item));
	assert_true(field_text_is(&key, "g") && item.kind == FIELD_TOKEN && field_text_is(&item.text, "tok"));
	assert_false(field_next_parameter(&f, &key, &item));
	assert_false(field_next_entry(&f, &key, &item));
	assert_false(f.bad);
}

static void a_field_may_be_empty(void **arg)
{
	struct field_item item;
	struct field f;

	(void)arg;
	field_init(&f, "  ", 2);
	assert_false(field_next_item(&f, &item));
	assert_false(f.bad);
}

static void a_date_is_taken_whole_or_not_at_all(void **arg)
{
	static const char date[] = "Sun, 06 Nov 1994 08:49:37 GMT";
	int64_t us;

	(void)arg;
	assert_true(httpdate_parse(date, sizeof date - 1, &us));
	assert_int_equal(us, THEN * S);
	for (size_t n = 0; n < sizeof date - 1; n++)
		assert_false(httpdate_parse(date, n, &us));
	assert_false(httpdate_parse(date, sizeof date, &us));
	assert_false(httpdate_parse("Sun, 06 Nov 1960 08:49:37 GMT", sizeof date - 1, &us));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(without_a_word_nothing_is_told),
	    cmocka_unit_test(retry_after_in_seconds_is_digits_alone),
	    cmocka_unit_test(retry_after_as_a_date_is_by_the_servers_own_clock),
	    cmocka_unit_test(what_is_said_twice_counts_once_and_what_contradicts_itself_not_at_all),
	    cmocka_unit_test(a_folded_header_is_not_read),
	    cmocka_unit_test(the_drafts_fields_are_read),
	    cmocka_unit_test(the_older_drafts_fields_are_read),
	    cmocka_unit_test(the_unit_of_an_x_reset_is_decided_by_its_size),
	    cmocka_unit_test(of_several_limits_the_one_with_the_least_left_is_told),
	    cmocka_unit_test(of_several_policies_the_slowest_is_told),
	    cmocka_unit_test(a_quota_of_something_else_than_requests_does_not_count),
	    cmocka_unit_test(a_field_that_breaks_the_grammar_anywhere_is_no_field),
	    cmocka_unit_test(more_policies_than_fit_are_no_harm),
	    cmocka_unit_test(no_damage_tells_the_impossible),
	    cmocka_unit_test(a_dictionary_is_read_entry_by_entry),
	    cmocka_unit_test(a_field_may_be_empty),
	    cmocka_unit_test(a_date_is_taken_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
