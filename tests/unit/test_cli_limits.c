/* Hosts as people name them, rules and reasons to wait as they read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cli/explain.h"
#include "cli/hosts.h"
#include "cli/limits.h"

#define NOW_US INT64_C(1767323045000006) /* 2026-01-02T03:04:05.000006Z */

/* ---- hosts ---- */

static void hosts(const char *text, const char *first, const char *second)
{
	static struct hosts h;
	struct err e = {0};

	if (hosts_parse(text, &h, &e) < 0)
		fail_msg("%s: %s", text, e.what);
	assert_string_equal(h.keys[0], first);
	assert_int_equal(h.count, second ? 2 : 1);
	assert_int_equal(h.exact, second == NULL);
	if (second)
		assert_string_equal(h.keys[1], second);
}

static void a_host_may_be_a_url_a_name_or_a_name_with_a_port(void **arg)
{
	(void)arg;
	hosts("https://Api.Example.org/x?y", "api.example.org:443", NULL);
	hosts("http://api.example.org", "api.example.org:80", NULL);
	hosts("api.example.org:8080", "api.example.org:8080", NULL);
	hosts("api.example.org:443", "api.example.org:443", NULL);
	hosts("API.example.org.", "api.example.org:443", "api.example.org:80");
	hosts("127.0.0.1", "127.0.0.1:443", "127.0.0.1:80");
	hosts("::1", "[::1]:443", "[::1]:80");
	hosts("[::1]:8080", "[::1]:8080", NULL);
}

static void what_is_no_host_is_refused(void **arg)
{
	static const char *const wrong[] = {"", "a b", "a/b", "h:99999", "ftp://h/", "u@h", "h?x", "h#x", ":80"};
	static struct hosts h;
	struct err e;

	(void)arg;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if (hosts_parse(wrong[i], &h, &e) == 0)
			fail_msg("%s was taken as %s", wrong[i], h.keys[0]);
}

static void other_ports_of_a_host_are_those_the_daemon_knows(void **arg)
{
	json_t *answer =
	    json_loads("{\"limits\":[{\"state\":[{\"host\":\"h.example:8080\"},{\"host\":\"h.example:443\"},{\"host\":"
		       "\"h.example.org:1\"},{\"host\":\"xh.example:1\"}]}],\"hosts\":[{\"host\":\"h.example:81\"}]}",
		       0, NULL);
	static struct hosts h;

	(void)arg;
	assert_int_equal(hosts_parse("h.example", &h, NULL), 0);
	hosts_add_known(&h, answer);
	assert_int_equal(h.count, 4);
	assert_string_equal(h.keys[2], "h.example:8080");
	assert_string_equal(h.keys[3], "h.example:81");
	assert_int_equal(hosts_parse("h.example:1", &h, NULL), 0);
	hosts_add_known(&h, answer);
	assert_int_equal(h.count, 1);
	json_decref(answer);
}

/* ---- rules ---- */

static void describe(const char *rule, const char *expected)
{
	json_t *j = json_loads(rule, 0, NULL);
	struct text t = {0};

	limits_describe(j, &t);
	assert_string_equal(t.data, expected);
	text_clear(&t);
	json_decref(j);
}

static void a_limit_is_described_in_one_line(void **arg)
{
	(void)arg;
	describe("{\"rates\":[\"100/1min\",\"5000/1h\"],\"concurrency\":8,\"pace\":true,\"match\":\"h\"}",
		 "100/1min 5000/1h, at most 8 at a time, evenly spread, for h");
	describe("{\"rates\":[],\"concurrency\":8,\"pace\":false,\"match\":\"h\"}", "at most 8 at a time, for h");
	describe("{\"rates\":[\"1/1s\"],\"concurrency\":null}", "1/1s");
}

/* ---- reasons ---- */

static void wait_is(const char *wait, const char *expected)
{
	json_t *j = json_loads(wait, 0, NULL);
	struct text t = {0};

	explain_wait(j, NOW_US, &t);
	assert_string_equal(t.data, expected);
	text_clear(&t);
	json_decref(j);
}

static void a_reason_to_wait_names_limit_host_and_time(void **arg)
{
	(void)arg;
	setenv("TZ", "UTC", 1);
	tzset();
	wait_is("{\"why\":\"rate\",\"limit\":\"cats\",\"host\":\"h:443\",\"until\":\"2026-01-02T03:04:17.300006Z\"}",
		"as many requests as the rate allows were sent (limit cats, h:443): goes on in 12.30 s, at "
		"2026-01-02 03:04:17");
	wait_is("{\"why\":\"rate\",\"limit\":\"cats\",\"host\":\"h:443\",\"text\":\"cats is full at "
		"h:443\",\"until\":null}",
		"cats is full at h:443");
	wait_is("{\"why\":\"turn\"}", "other jobs are before it");
	wait_is("{\"why\":\"something new\"}", "something new");
	wait_is("{\"why\":\"x\",\"text\":\"evil\\u001b[31m\"}", "evil\\x1b[31m");
}

static void the_first_limit_among_the_reasons_is_found(void **arg)
{
	json_t *j = json_loads("{\"waits\":[{\"why\":\"turn\"},{\"why\":\"pause\"},{\"why\":\"rate\"}]}", 0, NULL);

	(void)arg;
	assert_string_equal(json_string_value(json_object_get(explain_limited(j), "why")), "pause");
	json_decref(j);
	assert_null(explain_limited(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_host_may_be_a_url_a_name_or_a_name_with_a_port),
	    cmocka_unit_test(what_is_no_host_is_refused),
	    cmocka_unit_test(other_ports_of_a_host_are_those_the_daemon_knows),
	    cmocka_unit_test(a_limit_is_described_in_one_line),
	    cmocka_unit_test(a_reason_to_wait_names_limit_host_and_time),
	    cmocka_unit_test(the_first_limit_among_the_reasons_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
