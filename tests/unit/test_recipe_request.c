/* A token becomes a request: where each value goes, and how it is quoted there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/hostglob.h"
#include "lib/recipe.h"

static struct recipe *parse(const char *text)
{
	struct err e = {0};
	struct recipe *r = recipe_parse("t", "t.conf", text, &e);

	if (!r)
		fail_msg("%s\n%s", e.what, text);
	return r;
}

#define U "url = \"https://a.example/v1\"; "

struct wanted {
	const char *recipe, *token, *since;
	const char *vars[3];
	const char *url, *headers, *body; /* url NULL: refused, and headers is part of what is said */
};

static void check(const struct wanted *w)
{
	struct recipe *r = parse(w->recipe);
	struct recipe_page page = {.token = w->token, .since = w->since, .vars = w->vars[0] ? w->vars : NULL};
	struct recipe_request q;
	struct err e = {0};

	if (recipe_request(r, &page, &q, &e)) {
		if (w->url || !strstr(e.what, w->headers))
			fail_msg("\"%s\" (%s)\n%s", e.what, w->token, w->recipe);
		assert_int_equal(e.code, ERR_INPUT);
		assert_null(q.url);
	} else {
		if (!w->url)
			fail_msg("it is taken: %s\n%s", q.url, w->recipe);
		assert_string_equal(q.url, w->url);
		assert_string_equal(q.headers, w->headers ? w->headers : "");
		if (w->body)
			assert_string_equal(q.body, w->body);
		else
			assert_null(q.body);
	}
	recipe_request_clear(&q);
	recipe_free(r);
}

static void check_all(const struct wanted *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(&all[i]);
}

#define PAGE_Q   U "page = { type = \"page\"; param = \"page\"; "
#define CURSOR_Q U "page = { type = \"cursor\"; next = \".n\"; "

static void numbers_go_into_query_path_header_and_body(void **arg)
{
	static const struct wanted all[] = {
	    {PAGE_Q "};", "3", NULL, {0}, "https://a.example/v1?page=3", NULL, NULL},
	    {PAGE_Q "size = 50; size_param = \"per_page\"; };",
	     "3",
	     NULL,
	     {0},
	     "https://a.example/v1?page=3&per_page=50",
	     NULL,
	     NULL},
	    {"url = \"https://a.example/v1?x=1\"; page = { type = \"page\"; param = \"page[number]\"; };",
	     "3",
	     NULL,
	     {0},
	     "https://a.example/v1?x=1&page%5Bnumber%5D=3",
	     NULL,
	     NULL},
	    {"url = \"https://a.example/v1?\"; page = { type = \"page\"; param = \"p\"; };",
	     "3",
	     NULL,
	     {0},
	     "https://a.example/v1?p=3",
	     NULL,
	     NULL},
	    {"url = \"https://a.example/v1?x=1&\"; page = { type = \"page\"; param = \"p\"; };",
	     "3",
	     NULL,
	     {0},
	     "https://a.example/v1?x=1&p=3",
	     NULL,
	     NULL},
	    {"url = \"https://a.example\"; page = { type = \"offset\"; param = \"o\"; size = 10; };",
	     "20",
	     NULL,
	     {0},
	     "https://a.example?o=20",
	     NULL,
	     NULL},
	    {"url = \"https://a.example/p/{page}/x?p={page}&q=1\"; page = { type = \"page\"; };",
	     "3",
	     NULL,
	     {0},
	     "https://a.example/p/3/x?p=3&q=1",
	     NULL,
	     NULL},
	    {"url = \"https://a.example/p/{page}\"; page = { type = \"page\"; in = \"path\"; size = 5; size_param = "
	     "\"n\"; };",
	     "3",
	     NULL,
	     {0},
	     "https://a.example/p/3?n=5",
	     NULL,
	     NULL},
	    {PAGE_Q "in = \"header\"; size = 5; size_param = \"X-Size\"; };",
	     "3",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "page: 3\nX-Size: 5\n",
	     NULL},
	    {PAGE_Q "in = \"json\"; size = 5; size_param = \"n\"; };",
	     "3",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/json\n",
	     "{\"page\":3,\"n\":5}"},
	    {U "page = { type = \"page\"; }; body = \"q=a+b&page={page}\";",
	     "3",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "",
	     "q=a+b&page=3"},
	    {U "page = { type = \"page\"; }; headers = [\"X-Page: <{page}>\"];",
	     "3",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "X-Page: <3>\n",
	     NULL},
	    {PAGE_Q "};", "", NULL, {0}, NULL, "\"\" is no number of a page", NULL},
	    {PAGE_Q "};", "3x", NULL, {0}, NULL, "\"3x\" is no number of a page", NULL},
	    {PAGE_Q "};", "-1", NULL, {0}, NULL, "\"-1\" is no number of a page", NULL},
	    {PAGE_Q "};", "9999999999999999999", NULL, {0}, NULL, "is no number of a page", NULL},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

static void cursors_are_quoted_for_where_they_go(void **arg)
{
	static const struct wanted all[] = {
	    {CURSOR_Q "param = \"after\"; };",
	     "a b/c+d&e=f%?#\xc3\xa9",
	     NULL,
	     {0},
	     "https://a.example/v1?after=a%20b%2Fc%2Bd%26e%3Df%25%3F%23%C3%A9",
	     NULL,
	     NULL},
	    {"url = \"https://a.example/c/{cursor}/x\"; page = { type = \"cursor\"; next = \".n\"; };",
	     "a/b?c d",
	     NULL,
	     {0},
	     "https://a.example/c/a%2Fb%3Fc%20d/x",
	     NULL,
	     NULL},
	    {"url = \"https://a.example/c/{cursor}/x\"; page = { type = \"cursor\"; start = \"0\"; next = \".n\"; };",
	     "..",
	     NULL,
	     {0},
	     NULL,
	     "has a \".\" or \"..\" in it",
	     NULL},
	    {CURSOR_Q "in = \"header\"; param = \"X-Cursor\"; };",
	     "a \"b\"; c",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "X-Cursor: a \"b\"; c\n",
	     NULL},
	    {CURSOR_Q "in = \"header\"; param = \"X-Cursor\"; };",
	     "a\r\nEvil: 1",
	     NULL,
	     {0},
	     NULL,
	     "has a line break",
	     NULL},
	    {CURSOR_Q "in = \"header\"; param = \"X-Cursor\"; };",
	     "a\001",
	     NULL,
	     {0},
	     NULL,
	     "has a line break or another",
	     NULL},
	    {CURSOR_Q "}; headers = [\"X-Cursor: c={cursor}\"];",
	     "a\nEvil: 1",
	     NULL,
	     {0},
	     NULL,
	     "has a line break",
	     NULL},
	    {CURSOR_Q
	     "in = \"json\"; param = \"variables.after\"; }; body = { query = \"{ a }\"; variables = { n = 1; }; };",
	     "x\"\\\n\xc3\xa9",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/json\n",
	     "{\"query\":\"{ a }\",\"variables\":{\"n\":1,\"after\":\"x\\\"\\\\\\n\xc3\xa9\"}}"},
	    {CURSOR_Q "in = \"json\"; param = \"a.b.c\"; };",
	     "x",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/json\n",
	     "{\"a\":{\"b\":{\"c\":\"x\"}}}"},
	    {CURSOR_Q "in = \"json\"; param = \"a\"; };", "\xff", NULL, {0}, NULL, "is not UTF-8", NULL},
	    {CURSOR_Q "}; body = \"{\\\"c\\\": \\\"{cursor}\\\"}\";",
	     "x\"\n",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/json\n",
	     "{\"c\": \"x\\\"\\u000a\"}"},
	    {CURSOR_Q "}; headers = [\"content-type: application/x-www-form-urlencoded\"]; body = \"c={cursor}&d=1\";",
	     "x&y z",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "content-type: application/x-www-form-urlencoded\n",
	     "c=x%26y%20z&d=1"},
	    {CURSOR_Q "}; headers = [\"Content-Type: text/plain\"]; body = \"<{cursor}>\";",
	     "x&\"y",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "Content-Type: text/plain\n",
	     "<x&\"y>"},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

/* The type of a cursor in JSON: see fanout-pulls(5). */
static void a_cursor_in_json_keeps_its_type(void **arg)
{
	static const struct wanted all[] = {
	    {CURSOR_Q "in = \"json\"; param = \"a\"; };",
	     "12",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/json\n",
	     "{\"a\":\"12\"}"},
	    {CURSOR_Q "in = \"json\"; param = \"a\"; start = 0; };",
	     "12",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/json\n",
	     "{\"a\":12}"},
	    {CURSOR_Q "in = \"json\"; param = \"a\"; start = 0; };",
	     "1.5",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/json\n",
	     "{\"a\":1.5}"},
	    {CURSOR_Q "in = \"json\"; param = \"a\"; start = 0; };",
	     "x1",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/json\n",
	     "{\"a\":\"x1\"}"},
	    {CURSOR_Q "in = \"json\"; param = \"search_after\"; };",
	     "[12,\"x\"]",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/json\n",
	     "{\"search_after\":[12,\"x\"]}"},
	    {CURSOR_Q "in = \"json\"; param = \"k\"; };",
	     "{\"id\":{\"N\":\"5\"}}",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/json\n",
	     "{\"k\":{\"id\":{\"N\":\"5\"}}}"},
	    {CURSOR_Q "in = \"json\"; param = \"k\"; };",
	     "{broken",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/json\n",
	     "{\"k\":\"{broken\"}"},
	    {CURSOR_Q "in = \"json\"; }; body = { c = \"{cursor}\"; l = [\"<{cursor}>\"]; };",
	     "[1]",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/json\n",
	     "{\"c\":\"[1]\",\"l\":[\"<[1]>\"]}"},
	    {U "page = { type = \"page\"; }; body = { p = \"{page}\"; t = \"page {page}\"; l = (\"{page}\", 0.1); };",
	     "3",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/json\n",
	     "{\"p\":3,\"t\":\"page 3\",\"l\":[3,0.1]}"},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

static void a_first_page_without_a_token_is_asked_without_its_param(void **arg)
{
	static const struct wanted all[] = {
	    {CURSOR_Q "param = \"after\"; size = 5; size_param = \"n\"; };",
	     "",
	     NULL,
	     {0},
	     "https://a.example/v1?n=5",
	     NULL,
	     NULL},
	    {CURSOR_Q "in = \"header\"; param = \"X-Cursor\"; };", "", NULL, {0}, "https://a.example/v1", "", NULL},
	    {CURSOR_Q "}; headers = [\"X-Cursor: {cursor}\", \"A: b\"];",
	     "",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "A: b\n",
	     NULL},
	    {CURSOR_Q "in = \"json\"; param = \"v.a\"; };",
	     "",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/json\n",
	     "{}"},
	    {CURSOR_Q "in = \"json\"; }; body = { v = { a = \"{cursor}\"; b = 1; }; };",
	     "",
	     NULL,
	     {0},
	     "https://a.example/v1",
	     "Content-Type: application/json\n",
	     "{\"v\":{\"b\":1}}"},
	    {"url = \"https://a.example/?c={cursor}&x=1\"; page = { type = \"cursor\"; next = \".n\"; };",
	     "",
	     NULL,
	     {0},
	     "https://a.example/?c=&x=1",
	     NULL,
	     NULL},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

static void a_url_as_token_is_asked_for_as_it_is(void **arg)
{
	static const char link[] =
	    U "page = { type = \"link\"; size = 100; size_param = \"per_page\"; }; "
	      "headers = [\"Authorization: Bearer {secret:tok}\"]; secrets = { tok = [\"a.example\"]; };";
	static const struct wanted all[] = {
	    {link, "", NULL, {0}, "https://a.example/v1?per_page=100", "Authorization: Bearer {secret:tok}\n", NULL},
	    {link,
	     "https://a.example/v1?page=2&q=a%20b,c;d",
	     NULL,
	     {0},
	     "https://a.example/v1?page=2&q=a%20b,c;d",
	     "Authorization: Bearer {secret:tok}\n",
	     NULL},
	    {link,
	     "https://b.example/x/../y?t={secret:tok}",
	     NULL,
	     {0},
	     "https://b.example/x/../y?t={secret:tok}",
	     "Authorization: Bearer {secret:tok}\n",
	     NULL},
	    {link, "/v1?page=2", NULL, {0}, NULL, "has no scheme", NULL},
	    {link, "ftp://a.example/", NULL, {0}, NULL, "only http and https", NULL},
	    {link, "https://a.example/a b", NULL, {0}, NULL, "has a space", NULL},
	    {U "page = { type = \"next_url\"; next = \".next\"; };",
	     "http://c.example:81/",
	     NULL,
	     {0},
	     "http://c.example:81/",
	     NULL,
	     NULL},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

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
	    cmocka_unit_test(numbers_go_into_query_path_header_and_body),
	    cmocka_unit_test(cursors_are_quoted_for_where_they_go),
	    cmocka_unit_test(a_cursor_in_json_keeps_its_type),
	    cmocka_unit_test(a_first_page_without_a_token_is_asked_without_its_param),
	    cmocka_unit_test(a_url_as_token_is_asked_for_as_it_is),
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
