/* The configuration file: every key, every default, and every way to get it wrong. */
#define _GNU_SOURCE 1

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/conf.h"

#define FILE_NAME "fanout.conf"

static void write_file(const char *text)
{
	FILE *f = fopen(FILE_NAME, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void load(struct conf *c, const char *text)
{
	struct conf_faults f = {0};

	write_file(text);
	if (conf_load(c, FILE_NAME, &f))
		fail_msg("refused: %s", f.list[0].what);
}

static void refused(const char *text, unsigned line, const char *why)
{
	char place[64];
	struct conf_faults f = {0};
	struct conf c;
	struct err e;

	write_file(text);
	if (conf_load(&c, FILE_NAME, &f) == 0)
		fail_msg("taken: %s", text);
	assert_int_equal(f.count, 1);
	e = f.list[0];
	snprintf(place, sizeof place, FILE_NAME ":%u: ", line);
	if (strncmp(e.what, place, strlen(place)) != 0 || !strstr(e.what, why) || e.line != line)
		fail_msg("for %s\nexpected %s...%s\ngot \"%s\" (line %u)", text, place, why, e.what, e.line);
}

static void every_key_has_its_documented_default(void **state)
{
	struct conf_faults f = {0};
	struct conf c;

	(void)state;
	assert_int_equal(conf_load(&c, NULL, &f), 0);
	assert_string_equal(c.socket, "/run/fanout/fanout.sock");
	assert_int_equal(c.socket_mode, 0660);
	assert_string_equal(c.state_dir, "/var/lib/fanout");
	assert_int_equal(c.workers, 0);
	assert_string_equal(c.pulls_dir, "/etc/fanout/pulls.d");
	assert_string_equal(c.secrets_dir, "/etc/fanout/secrets");
	assert_int_equal(c.pulls_memory_bytes, INT64_C(256) << 20);
	assert_int_equal(c.concurrency, 64);
	assert_int_equal(c.defaults.timeout_us, 30000000);
	assert_int_equal(c.defaults.connect_timeout_us, 10000000);
	assert_int_equal(c.defaults.max_attempts, 5);
	assert_int_equal(c.defaults.max_body_bytes, 64 << 20);
	assert_int_equal(c.defaults.max_pause_us, INT64_C(3600) * 1000000);
	assert_int_equal(c.limit_count, 0);
	assert_int_equal(c.deny_count, 2);
	assert_string_equal(c.deny[0], "169.254.0.0/16");
	assert_string_equal(c.deny[1], "fe80::/10");
	assert_int_equal(c.retention_results_us, INT64_C(30) * 86400 * 1000000);
	assert_int_equal(c.retention_store_bytes, INT64_C(10) << 30);
	assert_int_equal(c.log_level, LOG_LEVEL_INFO);
	conf_clear(&c);
}

static void an_empty_file_is_all_defaults(void **state)
{
	struct conf c;

	(void)state;
	load(&c, "# nothing\n");
	assert_int_equal(c.concurrency, 64);
	conf_clear(&c);
	load(&c, "limits = ();\n");
	assert_int_equal(c.limit_count, 0);
	conf_clear(&c);
	load(&c, "limits = [];\n");
	assert_int_equal(c.limit_count, 0);
	conf_clear(&c);
}

static void every_key_is_read(void **state)
{
	struct conf c;

	(void)state;
	load(&c, "socket = \"/a/s\"; socket_mode = \"0600\"; state_dir = \"/b\"; workers = 3;\n"
		 "pulls_dir = \"/p\"; secrets_dir = \"/q\"; pulls_memory = \"2M\"; log_level = \"debug\";\n"
		 "defaults = { concurrency = 7; timeout = \"1.5s\"; connect_timeout = 2; max_attempts = 1; max_body = "
		 "\"1K\"; max_pause = \"2min\"; };\n"
		 "network = { deny = [\"10.0.0.0/8\"]; };\n"
		 "retention = { results = \"0s\"; store = \"1T\"; };\n");
	assert_string_equal(c.socket, "/a/s");
	assert_int_equal(c.socket_mode, 0600);
	assert_string_equal(c.state_dir, "/b");
	assert_int_equal(c.workers, 3);
	assert_string_equal(c.pulls_dir, "/p");
	assert_string_equal(c.secrets_dir, "/q");
	assert_int_equal(c.pulls_memory_bytes, 2 << 20);
	assert_int_equal(c.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(c.concurrency, 7);
	assert_int_equal(c.defaults.timeout_us, 1500000);
	assert_int_equal(c.defaults.connect_timeout_us, 2000000);
	assert_int_equal(c.defaults.max_attempts, 1);
	assert_int_equal(c.defaults.max_body_bytes, 1024);
	assert_int_equal(c.defaults.max_pause_us, 120000000);
	assert_int_equal(c.deny_count, 1);
	assert_string_equal(c.deny[0], "10.0.0.0/8");
	assert_int_equal(c.retention_results_us, 0);
	assert_int_equal(c.retention_store_bytes, INT64_C(1) << 40);
	conf_clear(&c);
}

static void limits_are_read_with_all_their_rates(void **state)
{
	struct conf c;

	(void)state;
	load(&c, "limits = ( { name = \"cats\"; match = \"catfact.ninja\"; rate = \"100/min\"; },\n"
		 "  { match = \"api.github.com:443/repos/*\"; rates = [\"5000/h\", \"100/6s\"]; concurrency = 10; pace "
		 "= true; },\n"
		 "  { match = \"*.example.org\"; concurrency = 2; } );\n");
	assert_int_equal(c.limit_count, 3);
	assert_string_equal(c.limits[0].name, "cats");
	assert_string_equal(c.limits[0].match, "catfact.ninja");
	assert_int_equal(c.limits[0].limit.rate_count, 1);
	assert_int_equal(c.limits[0].limit.rates[0].count, 100);
	assert_int_equal(c.limits[0].limit.rates[0].window_us, 60000000);
	assert_string_equal(c.limits[1].name, "api.github.com:443/repos/*"); /* by its match */
	assert_int_equal(c.limits[1].source, RULE_CONF);
	assert_int_equal(c.limits[1].limit.rate_count, 2);
	assert_int_equal(c.limits[1].limit.rates[1].window_us, 6000000);
	assert_int_equal(c.limits[1].limit.concurrency, 10);
	assert_true(c.limits[1].limit.pace);
	assert_int_equal(c.limits[2].limit.rate_count, 0);
	conf_clear(&c);
}

static void unknown_keys_are_refused_with_their_line(void **state)
{
	(void)state;
	refused("workers = 1;\nworkrs = 2;\n", 2, "unknown key \"workrs\"");
	refused("defaults = {\n  timeout = \"1s\";\n  speed = 9;\n};\n", 3, "unknown key \"speed\" in defaults");
	refused("limits = ( {\n match = \"a\"; rate = \"1/s\";\n burst = 3; } );\n", 3, "unknown key \"burst\"");
	refused("network = { allow = [\"10.0.0.0/8\"]; };\n", 1, "unknown key \"allow\" in network");
	refused("retention = { age = \"1d\"; };\n", 1, "unknown key \"age\" in retention");
}

static void all_that_is_wrong_is_told_in_order(void **state)
{
	static const char *const wrong[] = {
	    ":1: unknown key \"wrkers\"; did you mean \"workers\"?",
	    ":2: socket has to be",
	    ":4: unknown key \"zzzzzz\" in defaults; known are: concurrency timeout",
	    ":5: timeout",
	    ":7: rate",
	    ":8: a limit has no \"match\"",
	};
	struct conf_faults f = {0};
	struct conf c;

	(void)state;
	write_file("wrkers = 2;\nsocket = 3;\ndefaults = {\n zzzzzz = 1;\n timeout = \"soon\";\n};\n"
		   "limits = ( { match = \"a\"; rate = \"fast\"; },\n { rate = \"1/s\"; } );\n");
	assert_int_equal(conf_load(&c, FILE_NAME, &f), -1);
	assert_int_equal(f.count, sizeof wrong / sizeof *wrong);
	for (size_t i = 0; i < f.count; i++)
		if (!strstr(f.list[i].what, wrong[i]))
			fail_msg("expected %s, got %s", wrong[i], f.list[i].what);
}

static void what_is_wrong_is_told_up_to_a_bound(void **state)
{
	char text[2 * CONF_FAULTS_MAX * 20] = "";
	struct conf_faults f = {0};
	struct conf c;
	size_t n = 0;

	(void)state;
	for (int i = 0; i < 2 * CONF_FAULTS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "no_key_%d = 1;\n", i);
	write_file(text);
	assert_int_equal(conf_load(&c, FILE_NAME, &f), -1);
	assert_int_equal(f.count, CONF_FAULTS_MAX);
}

static void wrong_types_are_refused_with_their_line(void **state)
{
	(void)state;
	refused("\nworkers = \"two\";\n", 2, "workers has to be a whole number");
	refused("workers = 1.5;\n", 1, "workers has to be a whole number");
	refused("socket = 7;\n", 1, "socket has to be an absolute path");
	refused("socket = \"relative\";\n", 1, "socket has to be an absolute path");
	refused("socket_mode = 0660;\n", 1, "octal number in quotes");
	refused("defaults = 3;\n", 1, "defaults has to be a group");
	refused("defaults = { timeout = true; };\n", 1, "timeout has to be a duration");
	refused("defaults = { max_body = [1]; };\n", 1, "max_body has to be a size");
	refused("limits = { match = \"a\"; };\n", 1, "limits has to be a list");
	refused("limits = ( \"a\" );\n", 1, "a limit has to be a group");
	refused("network = { deny = \"10.0.0.0/8\"; };\n", 1, "deny has to be an array");
	refused("log_level = 3;\n", 1, "log_level has to be");
	refused("limits = ( { match = \"a\"; rate = \"1/s\"; pace = 1; } );\n", 1, "pace has to be true or false");
}

static void values_out_of_range_are_refused(void **state)
{
	(void)state;
	refused("workers = -1;\n", 1, "workers = -1 is not within");
	refused("workers = 1000L;\n", 1, "workers = 1000 is not within");
	refused("workers = 10000000000L;\n", 1, "workers = 10000000000 is not within");
	refused("socket_mode = \"0888\";\n", 1, "socket_mode");
	refused("socket_mode = \"7777\";\n", 1, "socket_mode");
	refused("defaults = { concurrency = 0; };\n", 1, "concurrency = 0 is not within");
	refused("defaults = { timeout = \"0s\"; };\n", 1, "timeout");
	refused("defaults = { timeout = \"3 fortnights\"; };\n", 1, "timeout");
	refused("defaults = { max_pause = \"0.5s\"; };\n", 1, "max_pause");
	refused("defaults = { max_attempts = 101; };\n", 1, "max_attempts");
	refused("log_level = \"loud\";\n", 1, "log_level");
	refused("network = { deny = [\"10.0.0.0\"]; };\n", 1, "not a network");
	refused("network = { deny = [\"10.0.0.0/33\"]; };\n", 1, "not a network");
	refused("network = { deny = [\"fe80::/129\"]; };\n", 1, "not a network");
	refused("network = { deny = [\"10.0.0/8\"]; };\n", 1, "not a network");
}

static void a_limit_that_says_nothing_is_refused(void **state)
{
	(void)state;
	refused("limits = ( { rate = \"1/s\"; } );\n", 1, "no \"match\"");
	refused("limits = ( { match = \"a\"; name = \"b\\nc\"; rate = \"1/s\"; } );\n", 1, "name has a control byte");
	refused("limits = ( { match = \"\"; rate = \"1/s\"; } );\n", 1, "match");
	refused("limits = ( { match = \"https://a\"; rate = \"1/s\"; } );\n", 1,
		"the match \"https://a\" is a URL: write HOST[:PORT][/PATH]");
	refused("limits = ( { match = \"a:b\"; rate = \"1/s\"; } );\n", 1, "the match has a bad port");
	refused("limits = ( { match = \"a b\"; rate = \"1/s\"; } );\n", 1, "a space or a control character");
	refused("limits = ( { match = \"a\"; } );\n", 1, "limits nothing: give it a rate");
	refused("limits = ( { match = \"a\"; rate = \"lots\"; } );\n", 1, "rate");
	refused("limits = ( { match = \"a\"; rates = []; } );\n", 1, "rates has to be an array");
	refused("limits = ( { match = \"a\"; rates = [\"1/s\",\"2/s\",\"3/s\",\"4/s\",\"5/s\"]; } );\n", 1,
		"at most 4");
	refused("limits = ( { match = \"a\"; concurrency = 1; pace = true; } );\n", 1, "pace without a rate");
}

static void two_limits_of_one_name_are_refused_with_the_line_of_the_second(void **state)
{
	(void)state;
	refused("limits = ( { name = \"x\"; match = \"a\"; rate = \"1/s\"; },\n"
		"  { name = \"x\"; match = \"b\"; rate = \"1/s\"; } );\n",
		2, "two limits called \"x\"");
	refused("limits = ( { match = \"a\"; rate = \"1/s\"; },\n\n  { match = \"a\"; concurrency = 1; } );\n", 3,
		"two limits called \"a\"");
}

static void a_limit_with_a_long_match_needs_a_name(void **state)
{
	char text[400], match[202];
	struct conf c;

	(void)state;
	memset(match, 'a', 201);
	match[0] = '*';
	match[201] = '\0';
	snprintf(text, sizeof text, "limits = ( { match = \"%s\"; rate = \"1/s\"; } );\n", match);
	refused(text, 1, "needs a name");
	snprintf(text, sizeof text, "limits = ( { match = \"%s\"; name = \"n\"; rate = \"1/s\"; } );\n", match);
	load(&c, text);
	assert_string_equal(c.limits[0].match, match);
	conf_clear(&c);
}

static void syntax_errors_have_their_line(void **state)
{
	(void)state;
	refused("workers = 1;\nsocket = ;\n", 2, "syntax error");
	refused("workers = 1;\nworkers = 2;\n", 2, "duplicate");
}

static void a_missing_file_is_told_by_its_name(void **state)
{
	struct conf_faults f = {0};
	struct conf c;

	(void)state;
	assert_int_equal(conf_load(&c, "no/such/file", &f), -1);
	assert_non_null(strstr(f.list[0].what, "no/such/file"));
	assert_non_null(strstr(f.list[0].what, "No such file"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_key_has_its_documented_default),
	    cmocka_unit_test(an_empty_file_is_all_defaults),
	    cmocka_unit_test(every_key_is_read),
	    cmocka_unit_test(limits_are_read_with_all_their_rates),
	    cmocka_unit_test(unknown_keys_are_refused_with_their_line),
	    cmocka_unit_test(all_that_is_wrong_is_told_in_order),
	    cmocka_unit_test(what_is_wrong_is_told_up_to_a_bound),
	    cmocka_unit_test(wrong_types_are_refused_with_their_line),
	    cmocka_unit_test(values_out_of_range_are_refused),
	    cmocka_unit_test(a_limit_that_says_nothing_is_refused),
	    cmocka_unit_test(two_limits_of_one_name_are_refused_with_the_line_of_the_second),
	    cmocka_unit_test(a_limit_with_a_long_match_needs_a_name),
	    cmocka_unit_test(syntax_errors_have_their_line),
	    cmocka_unit_test(a_missing_file_is_told_by_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
