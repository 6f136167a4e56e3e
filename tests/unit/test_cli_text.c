/* Quoting: JSON, CSV, base64, what a terminal is shown; file names; times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <jansson.h>
#include <locale.h>

#include "cli/template.h"
#include "cli/text.h"
#include "cli/when.h"

static void json(const char *s, size_t len, const char *expected)
{
	struct text t = {0};

	text_add_str(&t, "=");
	assert_int_equal(text_add_json(&t, s, len), 0);
	assert_string_equal(t.data + 1, expected);
	assert_int_equal(strlen(t.data), t.len);
	text_clear(&t);
}

static void a_plain_url_is_quoted_as_it_is(void **arg)
{
	(void)arg;
	json("http://h/a?b=c&d", 16, "\"http://h/a?b=c&d\"");
	json("", 0, "\"\"");
}

static void what_json_forbids_is_escaped(void **arg)
{
	(void)arg;
	json("a\"b", 3, "\"a\\\"b\"");
	json("a\\b", 3, "\"a\\\\b\"");
	json("a\tb", 3, "\"a\\tb\"");
	json("a\x01", 2, "\"a\\u0001\"");
	json("a\0b", 3, "\"a\\u0000b\"");
	json("h/\xc3\xa4", 4, "\"h/\xc3\xa4\"");
}

static void what_is_not_utf8_is_refused(void **arg)
{
	struct text t = {0};

	(void)arg;
	text_add_str(&t, "kept");
	assert_int_equal(text_add_json(&t, "a\xff", 2), -1);
	assert_int_equal(text_add_json(&t, "\xc3", 1), -1);
	assert_string_equal(t.data, "kept");
	text_clear(&t);
}

static void csv(const char *s, const char *expected)
{
	struct text t = {0};

	text_reserve(&t, 0);
	text_add_csv(&t, s);
	assert_string_equal(t.data, expected);
	text_clear(&t);
}

static void csv_quotes_where_rfc_4180_wants_it(void **arg)
{
	(void)arg;
	csv("plain text", "plain text");
	csv("a,b", "\"a,b\"");
	csv("say \"hi\"", "\"say \"\"hi\"\"\"");
	csv("two\nlines", "\"two\nlines\"");
	csv("cr\r", "\"cr\r\"");
	csv("\"", "\"\"\"\"");
}

static void base64(const char *s, size_t len, const char *expected)
{
	struct text t = {0};

	text_reserve(&t, 0);
	t.data[0] = '\0';
	text_add_base64(&t, s, len);
	assert_string_equal(t.data, expected);
	text_clear(&t);
}

static void base64_is_that_of_rfc_4648(void **arg)
{
	(void)arg;
	base64("", 0, "");
	base64("f", 1, "Zg==");
	base64("fo", 2, "Zm8=");
	base64("foo", 3, "Zm9v");
	base64("foobar", 6, "Zm9vYmFy");
	base64("\0\xff\xfe", 3, "AP/+");
}

static void shown(const char *s, unsigned columns, const char *expected, unsigned used)
{
	struct text t = {0};

	text_reserve(&t, 0);
	t.data[0] = '\0';
	assert_int_equal(text_add_shown(&t, s, columns), used);
	assert_string_equal(t.data, expected);
	text_clear(&t);
}

static void terminals_never_see_control_bytes(void **arg)
{
	(void)arg;
	shown("a\x1b[31mb", 0, "a\\x1b[31mb", 10);
	shown("two\nlines", 0, "two\\x0alines", 12);
	shown("bad\xff", 0, "bad\\xff", 7);
	shown("\xc2\x9b"
	      "1m",
	      0, "\\xc2\\x9b1m", 10); /* CSI as one character */
}

static void text_that_turns_its_direction_is_shown_as_bytes(void **arg)
{
	(void)arg;
	shown("a\xe2\x80\xae"
	      "b",
	      0, "a\\xe2\\x80\\xaeb", 14); /* right-to-left override */
	shown("\xe2\x81\xa6", 0, "\\xe2\\x81\\xa6", 12);
	shown("\xe2\x80\xa8", 0, "\\xe2\\x80\\xa8", 12); /* line separator */
	shown("e\xcc\x81", 0, "e\xcc\x81", 1);           /* a combining accent is none of these */
}

static void long_text_is_cut_by_columns_not_bytes(void **arg)
{
	(void)arg;
	shown("abcdef", 6, "abcdef", 6);
	shown("abcdefg", 6, "abcde\xe2\x80\xa6", 6);
	shown("\xc3\xa4\xc3\xb6\xc3\xbc", 3, "\xc3\xa4\xc3\xb6\xc3\xbc", 3);
	shown("\xe6\xbc\xa2\xe5\xad\x97\xe6\xbc\xa2", 5, "\xe6\xbc\xa2\xe5\xad\x97\xe2\x80\xa6",
	      5); /* two columns each */
}

static void expand(const char *template, const char *expected)
{
	json_t *row = json_pack("{s:s, s:i, s:i, s:s, s:s}", "job", "7.42", "batch", 7, "seq", 42, "tag", "../a\n/b",
				"url", "https://u:p@Example.org:8080/x?y@z");
	struct text path = {0};

	text_add_str(&path, "old");
	template_expand(template, row, &path);
	assert_string_equal(path.data, expected);
	text_clear(&path);
	json_decref(row);
}

static void templates_name_files(void **arg)
{
	(void)arg;
	expand("out/{seq}.json", "out/42.json");
	expand("{batch:3}-{seq:5}", "007-00042");
	expand("{job}@{host}", "7.42@Example.org");
	expand("plain", "plain");
}

static void what_comes_from_outside_names_no_other_directory(void **arg)
{
	(void)arg;
	expand("{tag}", "_._a__b");
}

static void templates_are_checked_before_anything_is_fetched(void **arg)
{
	static const char *const wrong[] = {"{sq}", "{seq", "{seq:}", "{seq:99}", "{job:3}", "{}", "a{x}b", "{seq:3x}"};
	struct err e;
	bool distinct;

	(void)arg;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if (template_check(wrong[i], &distinct, &e) == 0)
			fail_msg("%s was taken", wrong[i]);
	assert_int_equal(template_check("{sq}", &distinct, &e), -1);
	assert_non_null(strstr(e.what, "did you mean {seq}?"));
	assert_int_equal(template_check("{host}/{tag}", &distinct, &e), 0);
	assert_false(distinct);
	assert_int_equal(template_check("{host}/{seq:3}", &distinct, &e), 0);
	assert_true(distinct);
}

static void times_of_the_api_are_read_to_the_microsecond(void **arg)
{
	(void)arg;
	assert_true(when_parse_us("1970-01-01T00:00:00.000000Z") == 0);
	assert_true(when_parse_us("2026-01-02T03:04:05.000006Z") == INT64_C(1767323045000006));
	assert_true(when_parse_us("2026-01-02T03:04:05Z") == INT64_C(1767323045000000));
	assert_true(when_parse_us("2026-01-02T03:04:05.5Z") == INT64_C(1767323045500000));
	assert_true(when_parse_us("2026-01-02 03:04:05Z") == -1);
	assert_true(when_parse_us("2026-01-02T03:04:05+01:00") == -1);
	assert_true(when_parse_us(NULL) == -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_plain_url_is_quoted_as_it_is),
	    cmocka_unit_test(what_json_forbids_is_escaped),
	    cmocka_unit_test(what_is_not_utf8_is_refused),
	    cmocka_unit_test(csv_quotes_where_rfc_4180_wants_it),
	    cmocka_unit_test(base64_is_that_of_rfc_4648),
	    cmocka_unit_test(terminals_never_see_control_bytes),
	    cmocka_unit_test(text_that_turns_its_direction_is_shown_as_bytes),
	    cmocka_unit_test(long_text_is_cut_by_columns_not_bytes),
	    cmocka_unit_test(templates_name_files),
	    cmocka_unit_test(what_comes_from_outside_names_no_other_directory),
	    cmocka_unit_test(templates_are_checked_before_anything_is_fetched),
	    cmocka_unit_test(times_of_the_api_are_read_to_the_microsecond),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
