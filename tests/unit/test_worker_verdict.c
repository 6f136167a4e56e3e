/* From what a recipe's program made of a body, and from the head of its response, to what is told of a page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <xxhash.h>

#include "lib/judge.h"
#include "lib/totals.h"
#include "lib/verdict_body.h"
#include "worker/sink.h"

#define URL "https://api.example.org/v1/cats?page=2"

static struct verdict v;
static char text[JUDGE_TEXT_SIZE];

static int clear(void **arg)
{
	(void)arg;
	verdict_clear(&v);
	return 0;
}

/* What the program said, as JSON. */
static bool take_as(const char *said, enum verdict_next next)
{
	verdict_clear(&v);
	text[0] = '\0';
	return verdict_take_body(&v, jv_parse(said), next, text);
}

static bool take(const char *said)
{
	return take_as(said, VERDICT_NEXT_TOKEN);
}

static bool take_head(const char *head, enum verdict_next next)
{
	const struct verdict_head h = {.head = head, .url = URL, .next = next, .param = "page", .start = 1};

	return verdict_take_head(&v, &h, text);
}

static void assert_nothing_is_told(void)
{
	assert_int_equal(v.page.items, -1);
	assert_string_equal(v.page.next, "");
	assert_false(v.page.next_is_url);
	assert_int_equal(v.page.has_more, -1);
	assert_false(v.page.stop);
	assert_int_equal(v.page.total_pages, -1);
	assert_int_equal(v.page.total_items, -1);
	assert_string_equal(v.page.since, "");
	assert_string_equal(v.page.etag, "");
	assert_string_equal(v.page.last_modified, "");
	assert_null(v.page.keys);
	assert_int_equal(v.page.keys_bytes, 0);
}

static void every_member_is_taken(void **arg)
{
	(void)arg;
	assert_false(take("{\"items\":2,\"keys\":[\"a\",7],\"next\":\"c\",\"has_more\":true,\"stop\":true,"
			  "\"total_pages\":16,\"total_items\":1600,\"since\":{\"b\":1,\"a\":2},\"other\":[]}"));
	assert_int_equal(v.page.items, 2);
	assert_string_equal(v.page.next, "c");
	assert_int_equal(v.page.has_more, 1);
	assert_true(v.page.stop);
	assert_int_equal(v.page.total_pages, 16);
	assert_int_equal(v.page.total_items, 1600);
	assert_string_equal(v.page.since, "{\"a\":2,\"b\":1}");
	assert_int_equal(v.page.keys_bytes, 16);
	assert_true(v.keys[0] == XXH3_64bits("\"a\"", 3));
	assert_true(v.keys[1] == XXH3_64bits("7", 1));
}

static void what_is_null_or_missing_is_not_told(void **arg)
{
	(void)arg;
	assert_false(take("{}"));
	assert_nothing_is_told();
	assert_false(take("{\"items\":null,\"next\":null,\"has_more\":null,\"stop\":null,\"total_pages\":null,"
			  "\"total_items\":null,\"since\":null,\"error\":null}"));
	assert_nothing_is_told();
}

static void a_page_may_have_no_keys(void **arg)
{
	(void)arg;
	assert_false(take("{\"items\":0,\"keys\":[]}"));
	assert_int_equal(v.page.keys_bytes, 0);
}

static void what_makes_no_sense_is_an_error_and_leaves_nothing_behind(void **arg)
{
	static const struct {
		const char *said, *text;
	} table[] = {
	    {"[]", "the recipe's program: [] is not what it was to give"},
	    {"null", "the recipe's program: null is not what it was to give"},
	    {"{\"error\":\"no\"}", "no"},
	    {"{\"error\":\"\"}", "the recipe's error holds for the response"},
	    {"{\"error\":true,\"items\":1}", "the recipe's error holds for the response"},
	    {"{\"failed\":\"items\",\"message\":\"Cannot iterate over null (null)\"}",
	     "items: Cannot iterate over null (null)"},
	    {"{\"failed\":null}", "null: it failed"},
	    {"{\"items\":true}", "items: true is no count"},
	    {"{\"items\":0.5}", "items: 0.5 is no count"},
	    {"{\"total_pages\":\"12 \"}", "page.total_pages: \"12 \" is no count"},
	    {"{\"total_items\":9007199254740994}", "page.total_items: 9007199254740994 is no count"},
	    {"{\"has_more\":\"true\"}", "page.has_more: \"true\" is neither true nor false"},
	    {"{\"stop\":{}}", "page.stop: {} is neither true nor false"},
	    {"{\"next\":true}", "page.next: true does not say what is next"},
	    {"{\"next\":-9007199254740994}",
	     "page.next: -9007199254740994 is beyond 2^53 and not exactly what the server sent"},
	    {"{\"keys\":{}}", "key: {} is no list of keys"},
	    {"{\"next\":\"\\u0000\"}", "page.next: \"\\u0000\" has a NUL inside"},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		if (!take(table[i].said) || strcmp(text, table[i].text) != 0)
			fail_msg("%s says \"%s\", not \"%s\"", table[i].said, text, table[i].text);
	}
	assert_false(take("{}"));
	assert_nothing_is_told();
}

static void counts_are_never_negative(void **arg)
{
	static const char *const unknown[] = {"-1", "-0.5", "-1e300", "null"};
	char said[64];

	(void)arg;
	for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
		snprintf(said, sizeof said, "{\"items\":%s,\"total_pages\":%s}", unknown[i], unknown[i]);
		assert_false(take(said));
		assert_int_equal(v.page.items, -1);
		assert_int_equal(v.page.total_pages, -1);
	}
	assert_false(take("{\"items\":-0}"));
	assert_int_equal(v.page.items, 0);
	assert_int_equal(totals_count("9007199254740992", 16), INT64_C(1) << 53);
	assert_int_equal(totals_count("9007199254740993", 16), -1);
	assert_int_equal(totals_count("00000000000000001", 17), -1);
	assert_int_equal(totals_count("12", 1), 1);
	assert_int_equal(totals_count("", 0), -1);
	assert_int_equal(totals_count("-1", 2), -1);
}

static void a_next_url_is_a_text_and_becomes_absolute(void **arg)
{
	(void)arg;
	assert_true(take_as("{\"next\":3}", VERDICT_NEXT_URL));
	assert_string_equal(text, "page.next: 3 is no URL");
	assert_false(take_as("{\"next\":\"?page=3#x\"}", VERDICT_NEXT_URL));
	assert_false(take_head("", VERDICT_NEXT_URL));
	assert_string_equal(v.page.next, "https://api.example.org/v1/cats?page=3");
	assert_true(v.page.next_is_url);
	assert_false(take_as("{\"next\":\"\"}", VERDICT_NEXT_URL));
	assert_false(take_head("", VERDICT_NEXT_URL));
	assert_nothing_is_told();
	assert_false(take_as("{\"next\":\"gopher://x/\"}", VERDICT_NEXT_URL));
	assert_true(take_head("", VERDICT_NEXT_URL));
	assert_non_null(strstr(text, "page.next leads nowhere: the URL's scheme is \"gopher\""));
}

static void a_link_comes_before_what_the_program_says_is_next(void **arg)
{
	(void)arg;
	assert_false(take_as("{\"next\":\"token\"}", VERDICT_NEXT_LINK));
	assert_false(take_head("HTTP/2 200\nlink: <?page=3>; rel=next\n", VERDICT_NEXT_LINK));
	assert_string_equal(v.page.next, "https://api.example.org/v1/cats?page=3");
	assert_false(take_as("{\"next\":\"token\"}", VERDICT_NEXT_LINK));
	assert_false(take_head("HTTP/2 200\n", VERDICT_NEXT_LINK));
	assert_nothing_is_told();
	assert_false(take_as("{\"next\":\"token\"}", VERDICT_NEXT_TOKEN));
	assert_false(take_head("HTTP/2 200\nlink: <?page=3>; rel=next\n", VERDICT_NEXT_TOKEN));
	assert_string_equal(v.page.next, "token");
	assert_false(v.page.next_is_url);
}

static void a_total_of_pages_is_no_more_than_a_message_takes(void **arg)
{
	static const char most[] = "Link: <?p=9007199254740992>; rel=last\n",
			  fits[] = "Link: <?p=9007199254740991>; rel=last\n";

	(void)arg;
	assert_int_equal(totals_pages(most, URL, "p", 1), INT64_C(1) << 53);
	assert_int_equal(totals_pages(most, URL, "p", 0), -1);
	assert_int_equal(totals_pages(fits, URL, "p", 0), INT64_C(1) << 53);
}

static void a_head_tells_totals_and_validators(void **arg)
{
	(void)arg;
	assert_false(take("{\"total_items\":7}"));
	assert_false(take_head("HTTP/1.1 200 OK\nX-Total-Count: 1600\nETag: \"a\"\nLast-Modified: today\n"
			       "Link: <?page=16>; rel=last\n",
			       VERDICT_NEXT_TOKEN));
	assert_int_equal(v.page.total_items, 7);
	assert_int_equal(v.page.total_pages, 16);
	assert_string_equal(v.page.etag, "\"a\"");
	assert_string_equal(v.page.last_modified, "today");
}

/* ---- Hashes ---- */

static void a_body_is_hashed_only_where_it_is_asked_for(void **arg)
{
	uint64_t hash[2];
	XXH128_hash_t wanted = XXH3_128bits("ab", 2);
	struct sink s;

	(void)arg;
	sink_init(&s, -1);
	sink_begin(&s, 1, 1, 100);
	assert_null(s.hash);
	sink_end(&s);
	sink_begin(&s, 1, 1, 100);
	sink_hash(&s);
	assert_int_equal(sink_write(&s, "a", 1), 0);
	assert_int_equal(sink_write(&s, "b", 1), 0);
	sink_hash_get(&s, hash);
	assert_true(hash[0] == wanted.low64 && hash[1] == wanted.high64);
	sink_end(&s);
	assert_null(s.hash);
	sink_clear(&s);
}

/* ---- With a program ---- */

static bool run_page(struct judge *j, const char *program, const char *body)
{
	const struct judge_page page = {.program = program,
					.context = "{\"page\":2,\"vars\":{\"a\":\"b\"},\"type\":\"cursor\"}",
					.param = "",
					.url = URL,
					.verdict = &v};
	const struct judge_case c = {.page = &page,
				     .status = 200,
				     .headers = "HTTP/1.1 200 OK\nX-A: b\n",
				     .content_type = "",
				     .body = body,
				     .body_bytes = (int64_t)strlen(body)};

	verdict_clear(&v);
	return judge_run(j, &c, text);
}

static void nothing_of_a_page_is_left_in_the_next(void **arg)
{
	static const char program[] = ". as {$body, $page, $vars, $headers} | $body | "
				      "{items: length, next: \"\\($page)\\($vars.a)\\($headers[\"x-a\"])\", keys: .}";
	struct judge *j = judge_create();

	(void)arg;
	for (int i = 0; i < 3; i++) {
		assert_false(run_page(j, program, "[1,2,3]"));
		assert_int_equal(v.page.items, 3);
		assert_string_equal(v.page.next, "2bb");
		assert_int_equal(v.page.keys_bytes, 24);
		assert_true(run_page(j, program, "true"));
		assert_string_equal(text, "the recipe: boolean (true) has no length");
		assert_true(run_page(j, program, "[1,"));
		assert_non_null(strstr(text, "the body is not JSON: "));
		assert_false(run_page(j, program, "[]"));
		assert_int_equal(v.page.items, 0);
		assert_false(run_page(j, "{items: ([.body | paths] | length)}", "[[1]]"));
		assert_int_equal(v.page.items, 2);
		assert_false(run_page(j, "{items: 1}, {items: 2}", "[]"));
		assert_int_equal(v.page.items, 1);
	}
	judge_free(j);
}

static void a_fail_if_and_a_page_of_the_same_text_are_two_programs(void **arg)
{
	struct judge *j = judge_create();
	const struct judge_case c = {.fail_if = ".body",
				     .status = 200,
				     .headers = "",
				     .content_type = "",
				     .body = "{\"body\":\"x\"}",
				     .body_bytes = 12};

	(void)arg;
	assert_true(judge_run(j, &c, text));
	assert_string_equal(text, "x");
	assert_false(run_page(j, ".body", "{\"items\":4}"));
	assert_int_equal(v.page.items, 4);
	assert_true(judge_run(j, &c, text));
	judge_free(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(every_member_is_taken, NULL, clear),
	    cmocka_unit_test_setup_teardown(what_is_null_or_missing_is_not_told, NULL, clear),
	    cmocka_unit_test_setup_teardown(a_page_may_have_no_keys, NULL, clear),
	    cmocka_unit_test_setup_teardown(what_makes_no_sense_is_an_error_and_leaves_nothing_behind, NULL, clear),
	    cmocka_unit_test_setup_teardown(counts_are_never_negative, NULL, clear),
	    cmocka_unit_test_setup_teardown(a_next_url_is_a_text_and_becomes_absolute, NULL, clear),
	    cmocka_unit_test_setup_teardown(a_link_comes_before_what_the_program_says_is_next, NULL, clear),
	    cmocka_unit_test(a_total_of_pages_is_no_more_than_a_message_takes),
	    cmocka_unit_test_setup_teardown(a_head_tells_totals_and_validators, NULL, clear),
	    cmocka_unit_test(a_body_is_hashed_only_where_it_is_asked_for),
	    cmocka_unit_test_setup_teardown(nothing_of_a_page_is_left_in_the_next, NULL, clear),
	    cmocka_unit_test_setup_teardown(a_fail_if_and_a_page_of_the_same_text_are_two_programs, NULL, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
