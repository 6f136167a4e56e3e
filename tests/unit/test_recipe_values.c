/* Since, vars and secrets become a part of a request: where each goes, and what may not go there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/hostglob.h"
#include "tests/unit/test_recipe_request.h"

#define SINCE "since = { from = \".u\"; "

static void since_goes_where_it_is_told(void **arg)
{
	static const struct wanted all[] = {
	    {U SINCE "param = \"since\"; };",
	     "",
	     "2026-01-01T00:00:00+02:00",
	     {0},
	     "https://a.example/v1?since=2026-01-01T00%3A00%3A00%2B02%3A00",
	     NULL,
	     NULL},
	    {U SINCE "param = \"since\"; };", "", NULL, {0}, "https://a.example/v1", NULL, NULL},
	    {PAGE_Q "}; " SINCE "param = \"filter[u]\"; };",
	     "2",
	     "5",
	     {0},
	     "https://a.example/v1?page=2&filter%5Bu%5D=5",
	     NULL,
	     NULL},
	    {"url = \"https://a.example/{since}/x\"; " SINCE "};",
	     "",
	     "2026-01-01",
	     {0},
	     "https://a.example/2026-01-01/x",
	     NULL,
	     NULL},
	    {U SINCE "in = \"header\"; param = \"X-Since\"; };",
	     "",
	     "a b",
	     {0},
	     "https://a.example/v1",
	     "X-Since: a b\n",
	     NULL},
	    {U SINCE "in = \"header\"; param = \"X-Since\"; };",
	     "",
	     "a\nb",
	     {0},
	     NULL,
	     "since \"\" has a line break",
	     NULL},
	    {U SINCE "in = \"json\"; param = \"f.s\"; };",
	     "",
	     "5",
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/json\n",
	     "{\"f\":{\"s\":\"5\"}}"},
	    {U SINCE "in = \"json\"; param = \"f.s\"; initial = 0; };",
	     "",
	     "5",
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/json\n",
	     "{\"f\":{\"s\":5}}"},
	    {U SINCE "in = \"json\"; }; body = { s = \"{since}\"; a = 1; };",
	     "",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/json\n",
	     "{\"a\":1}"},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

static void vars_are_the_runs_or_the_recipes_own(void **arg)
{
	static const char repo[] = "url = \"https://{var:host}/repos/{var:repo}/issues?q={var:repo}\"; headers = "
				   "[\"X-Repo: {var:repo}\"]; vars = { host = \"a.example\"; repo = \"curl/curl\"; };";
	static const struct wanted all[] = {
	    {repo,
	     "",
	     NULL,
	     {0},
	     "https://a.example/repos/curl/curl/issues?q=curl%2Fcurl",
	     "X-Repo: curl/curl\n",
	     NULL},
	    {repo,
	     "",
	     NULL,
	     {"b.example:81", "x y/z?"},
	     "https://b.example:81/repos/x%20y/z%3F/issues?q=x%20y%2Fz%3F",
	     "X-Repo: x y/z?\n",
	     NULL},
	    {repo, "", NULL, {"evil.example/", "x"}, NULL, "cannot be part of a host", NULL},
	    {repo, "", NULL, {"u@evil.example", "x"}, NULL, "cannot be part of a host", NULL},
	    {repo, "", NULL, {"", "x"}, NULL, "cannot be part of a host", NULL},
	    {repo, "", NULL, {"a:b:c", "x"}, NULL, "the URL cannot be used", NULL},
	    {repo, "", NULL, {"b.example", "../admin"}, NULL, "has a \".\" or \"..\" in it", NULL},
	    {repo, "", NULL, {"b.example", "x/.."}, NULL, "has a \".\" or \"..\" in it", NULL},
	    {repo,
	     "",
	     NULL,
	     {"b.example", "..x/.y./..."},
	     "https://b.example/repos/..x/.y./.../issues?q=..x%2F.y.%2F...",
	     "X-Repo: ..x/.y./...\n",
	     NULL},
	    {repo, "", NULL, {"b.example", "x\r\ny"}, NULL, "the var's value \"\" has a line break", NULL},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

static void a_var_without_a_value_has_to_be_given(void **arg)
{
	static const char need[] = "url = \"https://a.example/{var:a}/x\"; vars = { a = \"\"; b = \"2\"; };";
	static const struct wanted all[] = {
	    {need, "", NULL, {0}, NULL, "the var \"a\" has no value", NULL},
	    {need, "", NULL, {"", "2"}, NULL, "the var \"a\" has no value", NULL},
	    {need, "", NULL, {"1", ""}, "https://a.example/1/x", NULL, NULL},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

static void secrets_stay_names_and_no_value_brings_one_in(void **arg)
{
	static const char own[] =
	    "url = \"https://a.example/?t={secret:t}&v={var:v}\"; headers = [\"A: {secret:t} {var:v}\"]; "
	    "body = { t = \"{secret:t}\"; v = \"{var:v}{var:w}\"; }; vars = { v = \"1\"; w = \"2\"; }; "
	    "secrets = { t = [\"a.example\"]; };";
	static const char pieces[] = U "headers = [\"A: {var:v}{var:w}\"]; vars = { v = \"1\"; w = \"2\"; };";
	static const char text[] = U "body = \"<{var:v}{var:w}>\"; vars = { v = \"1\"; w = \"2\"; };";
	static const char json[] = U "body = { a = \"{var:v}{var:w}\"; }; vars = { v = \"1\"; w = \"2\"; };";
	static const char tok[] = "{secret:t}";
	static const struct wanted all[] = {
	    {own,
	     "",
	     NULL,
	     {0},
	     "https://a.example/?t={secret:t}&v=1",
	     "A: {secret:t} 1\nContent-Type: application/json\n",
	     "{\"t\":\"{secret:t}\",\"v\":\"12\"}"},
	    {own, "", NULL, {tok, "x"}, NULL, "has a {secret:...} in it", NULL},
	    {pieces, "", NULL, {"{secret", ":t}"}, NULL, "goes into the headers has a {secret:...} in it", NULL},
	    {pieces, "", NULL, {"{secret", ":}"}, "https://a.example/v1", "A: {secret:}\n", NULL},
	    {text, "", NULL, {"{secret", ":t}"}, NULL, "goes into the body has a {secret:...} in it", NULL},
	    {json, "", NULL, {"{secret", ":t}"}, NULL, "goes into the body has a {secret:...} in it", NULL},
	    {CURSOR_Q "param = \"c\"; };", tok, NULL, {0}, "https://a.example/v1?c=%7Bsecret%3At%7D", NULL, NULL},
	    {CURSOR_Q "in = \"header\"; param = \"c\"; };", tok, NULL, {0}, NULL, "has a {secret:...} in it", NULL},
	    {CURSOR_Q "in = \"json\"; param = \"c\"; };", tok, NULL, {0}, NULL, "has a {secret:...} in it", NULL},
	    {CURSOR_Q "in = \"json\"; param = \"c\"; };",
	     "[\"{secret:t}\"]",
	     NULL,
	     {0},
	     NULL,
	     "has a {secret:...} in it",
	     NULL},
	    {U SINCE "in = \"header\"; param = \"s\"; };", "", tok, {0}, NULL, "has a {secret:...} in it", NULL},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

static void headers_go_out_as_lines(void **arg)
{
	static const struct wanted all[] = {
	    {U "headers = [\"A:b\", \"C:   d \", \"Accept:\", \"E: {var:e}\"]; vars = { e = \" f \"; };",
	     "",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "A: b\nC: d\nAccept:\nE: f\n",
	     NULL},
	    {U "headers = [\"E: {var:e}\"]; vars = { e = \" \"; };", "", NULL, {0}, "https://a.example/v1", "", NULL},
	    {U "headers = [\"Content-Type: application/ld+json\"]; body = { };",
	     "",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/ld+json\n",
	     "{}"},
	    {U "headers = [\"J: {\\\"a\\\":1}\"];", "", NULL, {0}, "https://a.example/v1", "J: {\"a\":1}\n", NULL},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

/* ---- names of secrets ---- */

struct seen {
	char names[100];
	unsigned stop_at;
};

static int on_name(void *arg, const char *name, size_t len)
{
	struct seen *s = arg;

	strncat(s->names, name, len);
	strcat(s->names, ";");
	return s->stop_at && --s->stop_at == 0 ? 7 : 0;
}

static void secrets_are_found_by_name(void **arg)
{
	static const char text[] = "{secret:a} {secret:} {secret:b.c-d_1}{{secret:e}} {var:x} {secret: f} {secret:g";
	struct seen all = {"", 0}, two = {"", 2};

	(void)arg;
	assert_int_equal(recipe_secrets_in(text, on_name, &all), 0);
	assert_string_equal(all.names, "a;b.c-d_1;e;");
	assert_int_equal(recipe_secrets_in(text, on_name, &two), 7);
	assert_string_equal(two.names, "a;b.c-d_1;");
	assert_int_equal(recipe_secrets_in("", on_name, &all), 0);
}

static void hosts_of_a_secret_are_matched_in_any_spelling(void **arg)
{
	static const struct {
		const char *glob, *key;
		bool matches;
	} all[] = {
	    {"a.example", "a.example:443", true},
	    {"A.Example.", "a.example:80", true},
	    {"a.example:443", "a.example:443", true},
	    {"a.example:443", "a.example:80", false},
	    {"*.example", "a.b.example:443", true},
	    {"*.example", "example:443", false},
	    {"*.example:80", "a.example:443", false},
	    {"a.example", "xa.example:443", false},
	    {"[::1]", "[::1]:80", true},
	    {"[0:0::1]:80", "[::1]:80", true},
	    {"[::1]:81", "[::1]:80", false},
	    {"2130706433", "127.0.0.1:80", true},
	    {"127.*", "127.0.0.1:80", true},
	    {"a.example", "a.example", false},
	    {"*a.example", "evil-a.example:443", true},
	};
	static const char *const bad[] = {"",    "*",       "*.*",      "a/b",         "a b",       "a:0",    "a:65536",
					  "a:x", "a:1:2",   "http://a", "u@a.example", "[::1",      "::1",    ":80",
					  "a?",  "a.[bc]*", "*:",       "a:",          "*.a:99999", "a%2eb*", "[*]"};
	struct err e;

	(void)arg;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (hostglob_check(all[i].glob, &e) || hostglob_match(all[i].glob, all[i].key) != all[i].matches)
			fail_msg("%s and %s", all[i].glob, all[i].key);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (hostglob_check(bad[i], &e) == 0 || hostglob_match(bad[i], "a:80"))
			fail_msg("\"%s\" is taken", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(since_goes_where_it_is_told),
	    cmocka_unit_test(vars_are_the_runs_or_the_recipes_own),
	    cmocka_unit_test(a_var_without_a_value_has_to_be_given),
	    cmocka_unit_test(secrets_stay_names_and_no_value_brings_one_in),
	    cmocka_unit_test(headers_go_out_as_lines),
	    cmocka_unit_test(secrets_are_found_by_name),
	    cmocka_unit_test(hosts_of_a_secret_are_matched_in_any_spelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
