/* Recipes: what a text becomes, and which files are taken for one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/test_recipe.h"

/* ---- what is taken ---- */

static const char all_keys[] =
    "# Every key there is.\n"
    "url = \"https://api.example.org/v3/{var:kind}/list?page={page}&token={secret:tok}&since={since}\";\n"
    "method = \"POST\";\n"
    "headers = [\"Accept: application/json\", \"X-Kind: {var:kind}\"];\n"
    "body = { query = \"all\"; size = 10; deep = ( { a = [1, 2]; b = true; f = 0.1; }, \"x\" ); };\n"
    "vars = { kind = \"species\"; year = 2026; need = \"\"; };\n"
    "secrets = { tok = [\"api.example.org\", \"*.example.org:443\"]; };\n"
    "page = {\n"
    "    type = \"page\"; param = \"page\"; in = \"query\"; start = 3; size = 100; size_param = \"per_page\";\n"
    "    has_more = \".has_more\"; stop = \"(.result|length)==0\"; stop_status = [404, 410]; stop_empty = 2;\n"
    "    stop_short = true;\n"
    "    total_pages = \".pages\"; total_items = \".total\";\n"
    "    window = 4; max_pages = 500; same_origin = false;\n"
    "};\n"
    "items = \".result[]\"; key = \".taxonid\";\n"
    "error = \"select(has(\\\"result\\\")|not) | .message\";\n"
    "since = { from = \".updated_at\"; initial = \"2026-01-01T00:00:00Z\"; overlap = \"5m\"; };\n"
    "limit = { rate = \"100/min\"; concurrency = 4; };\n"
    "retry = { max_attempts = 8; };\n"
    "timeout = \"30s\"; deadline = \"2h\"; conditional = false;\n";

static void every_key_is_read(void **arg)
{
	struct recipe *r = parse(all_keys);

	(void)arg;
	assert_string_equal(r->name, "t");
	assert_string_equal(r->file, "pulls.d/t.conf");
	assert_true(strncmp(r->url, "https://api.example.org/v3/{var:kind}", 37) == 0);
	assert_int_equal(r->url_line, 2);
	assert_string_equal(r->method, "POST");
	assert_int_equal(r->header_count, 2);
	assert_string_equal(r->headers[1], "X-Kind: {var:kind}");
	assert_string_equal(r->body,
			    "{\"query\":\"all\",\"size\":10,\"deep\":[{\"a\":[1,2],\"b\":true,\"f\":0.1},\"x\"]}");
	assert_true(r->body_json);
	assert_int_equal(r->var_count, 3);
	assert_string_equal(r->vars[0].name, "kind");
	assert_string_equal(r->vars[1].value, "2026");
	assert_string_equal(r->vars[2].value, "");
	assert_int_equal(r->secret_count, 1);
	assert_string_equal(r->secrets[0].name, "tok");
	assert_int_equal(r->secrets[0].host_count, 2);
	assert_string_equal(r->secrets[0].hosts[1], "*.example.org:443");
	assert_int_equal(r->secrets[0].line, 7);
	assert_int_equal(r->rate.count, 100);
	assert_int_equal(r->rate.window_us, 60000000);
	assert_int_equal(r->concurrency, 4);
	assert_int_equal(r->max_attempts, 8);
	assert_int_equal(r->timeout_us, 30000000);
	assert_int_equal(r->deadline_us, INT64_C(7200000000));
	assert_false(r->conditional);
	recipe_free(r);
}

static void every_key_of_page_and_since_is_read(void **arg)
{
	struct recipe *r = parse(all_keys);

	(void)arg;
	assert_int_equal(r->page.type, PAGE_NUMBER);
	assert_int_equal(r->page.in, PAGE_IN_QUERY);
	assert_string_equal(r->page.param, "page");
	assert_string_equal(r->page.size_param, "per_page");
	assert_int_equal(r->page.start, 3);
	assert_null(r->page.start_text);
	assert_int_equal(r->page.size, 100);
	assert_int_equal(r->page.stop_status_count, 2);
	assert_int_equal(r->page.stop_status[0], 404);
	assert_int_equal(r->page.stop_status[1], 410);
	assert_int_equal(r->page.stop_empty, 2);
	assert_true(r->page.stop_short);
	assert_int_equal(r->page.window, 4);
	assert_int_equal(r->page.max_pages, 500);
	assert_false(r->page.same_origin);
	assert_true(r->since.used);
	assert_null(r->since.param);
	assert_string_equal(r->since.initial, "2026-01-01T00:00:00Z");
	assert_int_equal(r->since.overlap_us, 300000000);
	recipe_free(r);
}

static void every_expression_has_its_line(void **arg)
{
	static const struct {
		const char *text;
		unsigned line;
	} wanted[RECIPE_EXPRS] = {
	    [RECIPE_ERROR] = {"select(has(\"result\")|not) | .message", 16},
	    [RECIPE_ITEMS] = {".result[]", 15},
	    [RECIPE_KEY] = {".taxonid", 15},
	    [RECIPE_NEXT] = {NULL, 0},
	    [RECIPE_HAS_MORE] = {".has_more", 10},
	    [RECIPE_STOP] = {"(.result|length)==0", 10},
	    [RECIPE_TOTAL_PAGES] = {".pages", 12},
	    [RECIPE_TOTAL_ITEMS] = {".total", 12},
	    [RECIPE_SINCE] = {".updated_at", 17},
	};
	struct recipe *r = parse(all_keys);

	(void)arg;
	for (int i = 0; i < RECIPE_EXPRS; i++) {
		assert_int_equal(r->expr[i].line, wanted[i].line);
		if (wanted[i].text)
			assert_string_equal(r->expr[i].text, wanted[i].text);
		else
			assert_null(r->expr[i].text);
	}
	recipe_free(r);
}

static void what_is_not_written_has_its_default(void **arg)
{
	struct recipe *r = parse("url = \"http://a.example/\";");

	(void)arg;
	assert_string_equal(r->method, "GET");
	assert_int_equal(r->header_count, 0);
	assert_null(r->body);
	assert_int_equal(r->page.type, PAGE_SINGLE);
	assert_int_equal(r->page.max_pages, 10000);
	assert_int_equal(r->page.window, 1);
	assert_int_equal(r->page.stop_empty, 0);
	assert_true(r->page.same_origin);
	assert_false(r->since.used);
	assert_int_equal(r->rate.count, 0);
	assert_int_equal(r->concurrency, 0);
	assert_int_equal(r->timeout_us, 0);
	recipe_free(r);
}

static void numbered_pages_end_with_an_empty_one_and_begin_where_is_usual(void **arg)
{
	struct recipe *r = parse("url = \"http://a.example/?p={page}\"; page = { type = \"page\"; };");

	(void)arg;
	assert_int_equal(r->page.start, 1);
	assert_int_equal(r->page.stop_empty, 1);
	assert_string_equal(r->page.param, "p"); /* of the query, to be found again in links */
	recipe_free(r);
	r = parse(
	    "url = \"http://a.example/\"; page = { type = \"offset\"; size = 50; param = \"o\"; stop_empty = 0; };");
	assert_int_equal(r->page.start, 0);
	assert_int_equal(r->page.stop_empty, 0);
	recipe_free(r);
	r = parse("url = \"http://a.example/{page}\"; page = { type = \"page\"; in = \"path\"; start = 0; };");
	assert_int_equal(r->page.start, 0);
	assert_null(r->page.param);
	recipe_free(r);
}

static void a_first_cursor_may_be_text_or_number(void **arg)
{
	struct recipe *r = parse(
	    "url = \"http://a.example/\"; page = { type = \"cursor\"; param = \"c\"; start = \"*\"; next = \".n\"; };");

	(void)arg;
	assert_string_equal(r->page.start_text, "*");
	assert_int_equal(r->page.stop_empty, 0);
	recipe_free(r);
	r = parse(
	    "url = \"http://a.example/\"; page = { type = \"keyset\"; param = \"after\"; start = 0; }; key = \".id\";");
	assert_string_equal(r->page.start_text, "0");
	recipe_free(r);
}

static void a_body_means_post(void **arg)
{
	struct recipe *r = parse("url = \"http://a.example/\"; body = \"q=1\";");

	(void)arg;
	assert_string_equal(r->method, "POST");
	assert_string_equal(r->body, "q=1");
	assert_false(r->body_json);
	recipe_free(r);
	r = parse("url = \"http://a.example/\"; page = { type = \"cursor\"; in = \"json\"; param = \"a.b\"; next = "
		  "\".n\"; };");
	assert_string_equal(r->method, "POST");
	recipe_free(r);
	r = parse("url = \"http://a.example/\"; body = \" [1]\";");
	assert_true(r->body_json);
	recipe_free(r);
	r = parse("url = \"http://a.example/\"; body = ( ); method = \"GET\";");
	assert_string_equal(r->method, "GET");
	assert_string_equal(r->body, "[]");
	recipe_free(r);
}

static void an_expression_over_several_lines_has_the_line_of_its_key(void **arg)
{
	struct recipe *r =
	    parse("url = \"http://a.example/\";\n\nitems = \".a # the\n  | .b\";\nkey = \".k\"\n \"\";\n");

	(void)arg;
	assert_int_equal(r->expr[RECIPE_ITEMS].line, 3);
	assert_string_equal(r->expr[RECIPE_ITEMS].text, ".a # the\n  | .b");
	assert_int_equal(r->expr[RECIPE_KEY].line, 5);
	recipe_free(r);
}

static void words_have_names(void **arg)
{
	(void)arg;
	assert_string_equal(page_type_name(PAGE_NEXT_URL), "next_url");
	assert_string_equal(page_type_name(PAGE_TYPES), "?");
	assert_string_equal(page_in_name(PAGE_IN_JSON), "json");
	assert_string_equal(recipe_expr_name(RECIPE_SINCE), "since.from");
	assert_string_equal(recipe_expr_name(RECIPE_NEXT), "page.next");
}

/* ---- files ---- */

static void put_file(const char *dir, const char *name, const char *text, size_t n)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	fclose(f);
}

static void recipes_are_listed_and_loaded_by_name(void **arg)
{
	static const char good[] = "url = \"http://a.example/\";\n", bad[] = "url = 1;\n";
	struct err e;
	struct recipe *r;
	char **names, *text;

	(void)arg;
	assert_int_equal(mkdir("d", 0700), 0);
	put_file("d", "species.conf", good, sizeof good - 1);
	put_file("d", "cats.conf", bad, sizeof bad - 1);
	put_file("d", "nul.conf", "url\0x", 5);
	put_file("d", "x.conf.example", good, sizeof good - 1);
	put_file("d", ".hidden.conf", good, sizeof good - 1);
	put_file("d", ".conf", good, sizeof good - 1);
	put_file("d", "a b.conf", good, sizeof good - 1);
	assert_int_equal(mkdir("d/dir.conf", 0700), 0);
	assert_int_equal(mkfifo("d/fifo.conf", 0700), 0);
	names = recipe_list("d", &e);
	assert_non_null(names);
	assert_string_equal(names[0], "a b");
	assert_string_equal(names[1], "cats");
	assert_string_equal(names[2], "dir");
	assert_string_equal(names[3], "fifo");
	assert_string_equal(names[4], "nul");
	assert_string_equal(names[5], "species");
	assert_null(names[6]);
	for (char **n = names; *n; n++)
		free(*n);
	free(names);

	r = recipe_load("d", "species", &text, &e);
	assert_non_null(r);
	assert_string_equal(r->name, "species");
	assert_string_equal(r->file, "d/species.conf");
	assert_string_equal(text, good);
	free(text);
	recipe_free(r);
	assert_null(recipe_load("d", "cats", &text, &e));
	assert_string_equal(text, bad);
	free(text);
	assert_string_equal(e.what, "d/cats.conf:1: url has to be a text that is not empty");
	assert_null(recipe_load("d", "a b", NULL, &e));
	assert_int_equal(e.code, ERR_INPUT);
	assert_null(recipe_load("d", "b a", NULL, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_null(recipe_load("d/dir.conf", "../species", NULL, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_null(recipe_load("d", "nul", NULL, &e));
	assert_string_equal(e.what, "d/nul.conf has a NUL byte in it");
	assert_null(recipe_load("d", "fifo", NULL, &e));
	assert_string_equal(e.what, "d/fifo.conf is no regular file");
	assert_null(recipe_load("d", "dir", NULL, &e));
	assert_string_equal(e.what, "d/dir.conf is no regular file");
}

static void a_name_that_is_none_finds_the_closest(void **arg)
{
	struct err e;
	char *text;

	(void)arg;
	assert_null(recipe_load("d", "specis", &text, &e));
	assert_null(text);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_string_equal(e.what, "there is no pull \"specis\"; did you mean \"species\"?");
	assert_null(recipe_load("d", "something-else", NULL, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_string_equal(e.what, "there is no pull \"something-else\" in d");
	assert_null(recipe_load("d", "../d/species", NULL, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_null(recipe_load("nowhere", "species", NULL, &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_null(recipe_list("nowhere", &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_true(recipe_name_ok("A-b_c.9"));
	assert_false(recipe_name_ok(""));
	assert_false(recipe_name_ok(".a"));
	assert_false(recipe_name_ok("a/b"));
	assert_false(recipe_name_ok("0123456789012345678901234567890123456789012345678901234567890123x"));
}

/* ---- whatever comes ---- */

static unsigned next_random(unsigned *state)
{
	*state = *state * 1103515245u + 12345u;
	return *state >> 16;
}

static void try_text(const char *text)
{
	struct err e;
	struct recipe *r = recipe_parse("t", "f", text, &e);
	struct recipe_request q;

	if (!r) {
		assert_true(e.line > 0);
		return;
	}
	if (recipe_request(r, &(struct recipe_page){.token = "7", .since = "2026-01-01"}, &q, &e) == 0)
		recipe_request_clear(&q);
	free(recipe_program(r));
	free(recipe_items_program(r));
	recipe_free(r);
}

static void mutations_of_a_good_recipe_do_no_harm(void **arg)
{
	static const char bytes[] = "{}()[]\"\\;=,.:#/*{page}{secret:tok}@\n\xff\x01 0123456789L";
	unsigned state = 4711;
	char text[sizeof all_keys + 64];

	(void)arg;
	for (unsigned i = 0; i < 4000; i++) {
		size_t n = sizeof all_keys - 1;

		memcpy(text, all_keys, sizeof all_keys);
		for (unsigned k = 1 + next_random(&state) % 3; k; k--) {
			size_t at = next_random(&state) % n, len = 1 + next_random(&state) % 8;

			if (next_random(&state) % 2) {
				text[at] = bytes[next_random(&state) % (sizeof bytes - 1)];
			} else if (at + len < n) {
				memmove(text + at, text + at + len, n - at - len + 1);
				n -= len;
			}
		}
		try_text(text);
	}
}

static void random_bytes_do_no_harm(void **arg)
{
	unsigned state = 1;
	char text[400];

	(void)arg;
	for (unsigned i = 0; i < 4000; i++) {
		size_t n = next_random(&state) % (sizeof text - 1);

		for (size_t k = 0; k < n; k++)
			text[k] = (char)(1 + next_random(&state) % 255);
		text[n] = '\0';
		try_text(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_key_is_read),
	    cmocka_unit_test(every_key_of_page_and_since_is_read),
	    cmocka_unit_test(every_expression_has_its_line),
	    cmocka_unit_test(what_is_not_written_has_its_default),
	    cmocka_unit_test(numbered_pages_end_with_an_empty_one_and_begin_where_is_usual),
	    cmocka_unit_test(a_first_cursor_may_be_text_or_number),
	    cmocka_unit_test(a_body_means_post),
	    cmocka_unit_test(an_expression_over_several_lines_has_the_line_of_its_key),
	    cmocka_unit_test(words_have_names),
	    cmocka_unit_test(recipes_are_listed_and_loaded_by_name),
	    cmocka_unit_test(a_name_that_is_none_finds_the_closest),
	    cmocka_unit_test(mutations_of_a_good_recipe_do_no_harm),
	    cmocka_unit_test(random_bytes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
