/* The table of rules: what a match says, which rules a request counts against, sources and shadows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/rules.h"

static struct rules *r;

static int set_up(void **arg)
{
	(void)arg;
	r = rules_create();
	return 0;
}

static int tear_down(void **arg)
{
	(void)arg;
	rules_free(r);
	return 0;
}

static struct rule rule_of(const char *name, const char *match, enum rule_source source)
{
	return (struct rule){
	    .name = name,
	    .match = match,
	    .source = source,
	    .limit = {.rates = {{100, 60000000}}, .rate_count = 1},
	};
}

static void add(const char *name, const char *match)
{
	struct rule rule = rule_of(name, match, RULE_CONF);
	struct err e;

	if (rules_set(r, &rule, &e) < 0)
		fail_msg("%s: %s", match, e.what);
}

static void clear(void)
{
	rules_clear(r, RULE_CONF);
	rules_clear(r, RULE_RUNTIME);
}

/* Whether a rule of that match alone applies. */
static bool matches(const char *match, const char *host_port, const char *target)
{
	unsigned n, which[4];

	clear();
	add("one", match);
	n = rules_select(r, host_port, target, which, 4);
	assert_true(n <= 1);
	return n == 1;
}

/* The names of all that apply, in order. */
static const char *applying(const char *host_port, const char *target)
{
	static char names[200];
	unsigned which[16], n = rules_select(r, host_port, target, which, 16);

	names[0] = '\0';
	for (unsigned i = 0; i < n; i++) {
		if (i > 0)
			strcat(names, " ");
		strcat(names, rules_get(r, which[i])->name);
	}
	return names;
}

static void refused(const char *match, const char *why)
{
	struct rule_match m;
	struct err e;

	assert_int_equal(rules_parse_match(match, &m, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	if (!strstr(e.what, why))
		fail_msg("\"%s\" is refused because \"%s\", not because of \"%s\"", match, e.what, why);
}

/* ---- hosts and ports ---- */

static void a_host_matches_itself_at_any_port(void **arg)
{
	(void)arg;
	assert_true(matches("api.example.org", "api.example.org:443", NULL));
	assert_true(matches("api.example.org", "api.example.org:8080", NULL));
	assert_false(matches("api.example.org", "example.org:443", NULL));
	assert_false(matches("api.example.org", "api.example.org.evil:443", NULL));
	assert_false(matches("api.example.org", "apixexample.org:443", NULL));
}

static void with_a_port_only_that_port_matches(void **arg)
{
	(void)arg;
	assert_true(matches("api.example.org:8080", "api.example.org:8080", NULL));
	assert_false(matches("api.example.org:8080", "api.example.org:443", NULL));
	assert_false(matches("api.example.org:80", "api.example.org:8080", NULL));
	assert_true(matches("*:65535", "a:65535", NULL));
}

static void a_star_stands_for_any_part_of_a_host(void **arg)
{
	(void)arg;
	assert_true(matches("*", "a.example:1", NULL));
	assert_true(matches("*", "[::1]:80", NULL));
	assert_true(matches("*.example.org", "a.example.org:443", NULL));
	assert_true(matches("*.example.org", "a.b.example.org:443", NULL));
	assert_false(matches("*.example.org", "example.org:443", NULL));
	assert_false(matches("*.example.org", "example.org.evil:443", NULL));
	assert_true(matches("api-*.example.org", "api-7.example.org:443", NULL));
	assert_true(matches("10.0.*", "10.0.3.7:80", NULL));
}

static void a_host_matches_however_it_is_spelled(void **arg)
{
	(void)arg;
	assert_true(matches("API.Example.ORG", "api.example.org:443", NULL));
	assert_true(matches("*.Example.ORG", "api.example.org:443", NULL));
	assert_true(matches("api.example.org.", "api.example.org:443", NULL));
	assert_true(matches("2130706433", "127.0.0.1:80", NULL));
	assert_true(matches("[0:0:0:0:0:0:0:1]:80", "[::1]:80", NULL));
}

static void an_ipv6_address_stands_in_brackets(void **arg)
{
	(void)arg;
	assert_true(matches("[::1]", "[::1]:80", NULL));
	assert_true(matches("[::1]:80", "[::1]:80", NULL));
	assert_false(matches("[::1]:81", "[::1]:80", NULL));
	assert_false(matches("[::1]", "[::2]:80", NULL));
	assert_true(matches("[2001:db8:*]", "[2001:db8::7]:80", NULL));
	assert_false(matches("*1", "[::1]:80", NULL));
	assert_true(matches("[::1]/v1/*", "[::1]:80", "/v1/x"));
}

static void what_is_no_match_is_refused_with_the_reason(void **arg)
{
	(void)arg;
	refused("", "empty");
	refused("/v1", "no host");
	refused(":80", "no host");
	refused("https://api.example.org/", "is a URL");
	refused("api.example.org /x", "space");
	refused("api.example.org/a\tb", "space");
	refused("me@api.example.org", "user");
	refused("api.example.org/a#b", "fragment");
	refused("api.example.org:", "bad port");
	refused("api.example.org:0", "bad port");
	refused("api.example.org:65536", "bad port");
	refused("api.example.org:+80", "bad port");
	refused("api.example.org:80x", "bad port");
	refused("::1", "more than one colon");
	refused("[::1", "closing bracket");
	refused("[::1]x", "between");
	refused("[]", "no host");
	refused("*.ex!mple.org", "character");
	refused("[zz]", "no host");
	refused("a?b.example", "no host");
}

static void hosts_and_paths_of_any_length_are_refused_and_not_cut(void **arg)
{
	char text[3000];
	struct rule_match m;
	struct err e;

	(void)arg;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(rules_parse_match(text, &m, &e), -1);
	text[0] = '*';
	assert_int_equal(rules_parse_match(text, &m, &e), -1);
	text[1] = '/';
	assert_int_equal(rules_parse_match(text, &m, &e), -1);
	text[1000] = '\0';
	assert_int_equal(rules_parse_match(text, &m, &e), 0);
	assert_int_equal(strlen(m.path), 999);
}

/* ---- paths ---- */

static void a_path_is_held_against_path_and_query(void **arg)
{
	(void)arg;
	assert_true(matches("a.example/v1/*", "a.example:443", "/v1/x"));
	assert_true(matches("a.example/v1/*", "a.example:443", "/v1/x/y?z=1"));
	assert_false(matches("a.example/v1/*", "a.example:443", "/v2/x"));
	assert_true(matches("a.example/search", "a.example:443", "/search"));
	assert_true(matches("a.example/search", "a.example:443", "/search?q=1"));
	assert_false(matches("a.example/search", "a.example:443", "/search/more"));
	assert_true(matches("a.example/search\\?q=*", "a.example:443", "/search?q=1"));
	assert_false(matches("a.example/search\\?q=*", "a.example:443", "/searchxq=1"));
	assert_true(matches("*/v[12]/*", "a.example:443", "/v2/x"));
}

static void without_a_target_only_rules_without_a_path_apply(void **arg)
{
	(void)arg;
	add("host", "a.example");
	add("path", "a.example/v1/*");
	assert_string_equal(applying("a.example:443", NULL), "host");
	assert_string_equal(applying("a.example:443", "/v1/x"), "host path");
	assert_string_equal(applying("a.example:443", "/"), "host");
}

static void it_is_known_for_which_hosts_the_path_matters(void **arg)
{
	(void)arg;
	add("host", "*");
	add("path", "*.example/v1/*");
	assert_true(rules_have_paths(r, "a.example:443"));
	assert_false(rules_have_paths(r, "a.other:443"));
	assert_false(rules_have_paths(r, "nonsense"));
	rules_remove(r, "path", RULE_CONF);
	assert_false(rules_have_paths(r, "a.example:443"));
}

/* ---- the table ---- */

static void all_rules_that_match_apply_in_the_tables_order(void **arg)
{
	unsigned which[2];

	(void)arg;
	add("all", "*");
	add("other", "b.example");
	add("domain", "*.example");
	add("host", "a.example:443");
	assert_string_equal(applying("a.example:443", NULL), "all domain host");
	assert_string_equal(applying("nothing", NULL), "");
	assert_int_equal(rules_select(r, "a.example:443", NULL, which, 2), 3); /* more than there is room for */
	assert_int_equal(which[1], 2);
}

static void setting_a_rule_again_replaces_it_in_its_place(void **arg)
{
	struct rule changed = rule_of("one", "b.example", RULE_CONF);

	(void)arg;
	add("one", "a.example");
	add("two", "*");
	changed.limit.concurrency = 7;
	assert_int_equal(rules_set(r, &changed, NULL), 0);
	assert_int_equal(rules_count(r), 2);
	assert_string_equal(applying("a.example:443", NULL), "two");
	assert_string_equal(applying("b.example:443", NULL), "one two");
	assert_int_equal(rules_find(r, "one")->limit.concurrency, 7);
	assert_string_equal(rules_get(r, 0)->match, "b.example");
	assert_null(rules_get(r, 2));
	assert_null(rules_find(r, "three"));
}

static void a_runtime_rule_stands_for_the_configured_one_of_its_name(void **arg)
{
	struct rule runtime = rule_of("cats", "b.example", RULE_RUNTIME);

	(void)arg;
	add("cats", "a.example");
	assert_int_equal(rules_set(r, &runtime, NULL), 0);
	assert_int_equal(rules_count(r), 2);
	assert_true(rules_get(r, 0)->shadowed);
	assert_string_equal(applying("a.example:443", NULL), "");
	assert_string_equal(applying("b.example:443", NULL), "cats");
	assert_string_equal(rule_source_name(rules_find(r, "cats")->source), "runtime");
	rules_clear(r, RULE_CONF); /* a reload leaves what was set at runtime */
	add("cats", "a.example");
	assert_string_equal(applying("a.example:443", NULL), "");
	assert_true(rules_remove(r, "cats", RULE_RUNTIME));
	assert_false(rules_remove(r, "cats", RULE_RUNTIME));
	assert_string_equal(applying("a.example:443", NULL), "cats");
	assert_string_equal(rule_source_name((enum rule_source)9), "?");
}

static void set_refused(struct rule rule, enum err_code code, const char *why)
{
	struct err e;

	assert_int_equal(rules_set(r, &rule, &e), -1);
	assert_int_equal(e.code, code);
	assert_non_null(strstr(e.what, why));
}

static void a_rule_that_makes_no_sense_is_refused(void **arg)
{
	struct rule rule = rule_of("", "*", RULE_CONF);
	char name[RULES_NAME_MAX + 2];

	(void)arg;
	set_refused(rule, ERR_INPUT, "needs a name");
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	rule.name = name;
	set_refused(rule, ERR_INPUT, "at most 100 bytes");
	rule = rule_of("n", "*:x", RULE_CONF);
	set_refused(rule, ERR_INPUT, "bad port");
	rule = rule_of("n", "*", RULE_CONF);
	rule.limit.rates[0].count = 0;
	set_refused(rule, ERR_INPUT, "allows nothing");
	rule.limit = (struct limit_rule){.concurrency = 0};
	set_refused(rule, ERR_INPUT, "limits nothing");
	rule.limit = (struct limit_rule){.concurrency = 1, .pace = true};
	set_refused(rule, ERR_INPUT, "pace without a rate");
	rule.limit = (struct limit_rule){.rate_count = LIMIT_RATES_MAX + 1};
	set_refused(rule, ERR_INPUT, "at most 4 rates");
	assert_int_equal(rules_count(r), 0);
}

static void the_table_is_bounded(void **arg)
{
	char name[20];
	struct rule rule;
	struct err e;

	(void)arg;
	for (int i = 0; i < RULES_MAX; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		add(name, "*");
	}
	set_refused(rule_of("one more", "*", RULE_CONF), ERR_TOO_LARGE, "1000 rules");
	add("n7", "a.example"); /* replacing goes on */
	rule = rule_of("one more", "*", RULE_RUNTIME);
	if (rules_set(r, &rule, &e) < 0)
		fail_msg("an operator's, of which there are none: %s", e.what);
	assert_int_equal(rules_count_of(r, RULE_CONF), RULES_MAX);
	assert_int_equal(rules_count_of(r, RULE_RUNTIME), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_host_matches_itself_at_any_port),
	    TEST(with_a_port_only_that_port_matches),
	    TEST(a_star_stands_for_any_part_of_a_host),
	    TEST(a_host_matches_however_it_is_spelled),
	    TEST(an_ipv6_address_stands_in_brackets),
	    TEST(what_is_no_match_is_refused_with_the_reason),
	    TEST(hosts_and_paths_of_any_length_are_refused_and_not_cut),
	    TEST(a_path_is_held_against_path_and_query),
	    TEST(without_a_target_only_rules_without_a_path_apply),
	    TEST(it_is_known_for_which_hosts_the_path_matters),
	    TEST(all_rules_that_match_apply_in_the_tables_order),
	    TEST(setting_a_rule_again_replaces_it_in_its_place),
	    TEST(a_runtime_rule_stands_for_the_configured_one_of_its_name),
	    TEST(a_rule_that_makes_no_sense_is_refused),
	    TEST(the_table_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
