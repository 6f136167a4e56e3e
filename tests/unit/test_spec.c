/* What is asked for: jobs, and the lines they come in. */
#define _GNU_SOURCE 1

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/test_spec.h"

static void refused_with(const char *text, enum err_code code, const char *why)
{
	struct err e = {0};
	struct spec_jobs *j = spec_parse_jobs(text, strlen(text), &e);

	if (j)
		fail_msg("taken: %.200s", text);
	if (e.code != code || !strstr(e.what, why))
		fail_msg("for %.200s\nexpected %s, got %s: %s", text, why, err_code_name(e.code), e.what);
}

static void refused(const char *text, const char *why)
{
	refused_with(text, ERR_INPUT, why);
}

/* ---- jobs ---- */

static void a_plain_job_is_its_url_and_key(void **state)
{
	struct spec_jobs *j = jobs("{\"url\":\"https://Example.org/a?b=c\"}");
	const struct store_job_new *n = only(j);

	(void)state;
	assert_string_equal(n->url, "https://Example.org/a?b=c");
	assert_string_equal(n->limit_key, "example.org:443");
	assert_null(n->method);
	assert_null(n->headers);
	assert_null(n->user);
	assert_null(n->tag);
	assert_null(n->chain);
	assert_null(n->options);
	assert_false(n->has_body);
	spec_jobs_free(j);
}

static void every_member_of_a_job_is_read(void **state)
{
	struct spec_jobs *j =
	    jobs("{\"url\":\"http://h/\",\"method\":\"PUT\",\"headers\":{\"X-A\":\" b \",\"Accept\":null,\"E\":\"\"},"
		 "\"body\":\"text\",\"user\":\"me:it\",\"chain\":\"c\",\"tag\":\"t\",\"timeout\":\"2s\","
		 "\"connect_timeout\":1.5,\"max_attempts\":3,\"max_body\":\"1M\",\"idempotency_key\":\"k\","
		 "\"retry_unsafe\":true}");
	const struct store_job_new *n = only(j);

	(void)state;
	assert_string_equal(n->method, "PUT");
	assert_string_equal(n->headers, "X-A: b\nAccept:\nE;\n");
	assert_int_equal(n->body_bytes, 4);
	assert_memory_equal(n->body, "text", 4);
	assert_string_equal(n->user, "me:it");
	assert_string_equal(n->chain, "c");
	assert_string_equal(n->tag, "t");
	assert_string_equal(n->options,
			    "{\"timeout_us\":2000000,\"connect_timeout_us\":1500000,\"max_body_bytes\":1048576,"
			    "\"max_attempts\":3,\"retry_unsafe\":true,\"idempotency_key\":\"k\"}");
	spec_jobs_free(j);
}

static void headers_may_be_lines_as_for_curl(void **state)
{
	struct spec_jobs *j = jobs("{\"url\":\"http://h/\",\"headers\":[\"A: b\",\"B:\",\"C;\",\"D:  x:y \"]}");

	(void)state;
	assert_string_equal(only(j)->headers, "A: b\nB:\nC;\nD: x:y\n");
	spec_jobs_free(j);
}

static void a_json_body_goes_out_as_it_was_written(void **state)
{
	static const char body[] = "{ \"a\":0.10, \"b\":[1,{\"c\":\"}]\\\"\\\\\"}],\"d\":1e400 }";
	char line[300];
	struct spec_jobs *j;

	(void)state;
	/* 1e400 is beyond a double, and is refused by the reader of JSON: nothing is silently changed. */
	snprintf(line, sizeof line, "{\"url\":\"http://h/\",\"body\":%s}", body);
	refused(line, "not JSON");
	snprintf(line, sizeof line, "{ \"tag\" : \"body\" , \"body\" :  %s , \"url\":\"http://h/\"}",
		 "{ \"a\":0.10, \"b\":[1,{\"c\":\"}]\\\"\\\\\"}] }");
	j = jobs(line);
	assert_int_equal(only(j)->body_bytes, strlen("{ \"a\":0.10, \"b\":[1,{\"c\":\"}]\\\"\\\\\"}] }"));
	assert_memory_equal(only(j)->body, "{ \"a\":0.10, \"b\":[1,{\"c\":\"}]\\\"\\\\\"}] }", only(j)->body_bytes);
	assert_string_equal(only(j)->options, "{\"json\":true}");
	spec_jobs_free(j);
}

static void a_member_inside_a_body_is_not_taken_for_the_body(void **state)
{
	struct spec_jobs *j = jobs("{\"headers\":{\"body\":\"x\"},\"body\":[1],\"url\":\"http://h/\"}");

	(void)state;
	assert_int_equal(only(j)->body_bytes, 3);
	assert_memory_equal(only(j)->body, "[1]", 3);
	spec_jobs_free(j);
}

static void bytes_come_as_base64(void **state)
{
	struct spec_jobs *j = jobs("{\"url\":\"http://h/\",\"body_base64\":\"AAH/\"}");

	(void)state;
	assert_int_equal(only(j)->body_bytes, 3);
	assert_memory_equal(only(j)->body, "\x00\x01\xff", 3);
	spec_jobs_free(j);
	j = jobs("{\"url\":\"http://h/\",\"body\":\"\"}");
	assert_true(only(j)->has_body);
	assert_int_equal(only(j)->body_bytes, 0);
	spec_jobs_free(j);
}

static void credentials_move_out_of_the_url(void **state)
{
	struct spec_jobs *j = jobs("{\"url\":\"http://me:s%40cret@h/x\"}");

	(void)state;
	assert_string_equal(only(j)->url, "http://h/x");
	assert_string_equal(only(j)->user, "me:s@cret");
	assert_string_equal(only(j)->limit_key, "h:80");
	spec_jobs_free(j);
	j = jobs("{\"user\":\"a:b\",\"url\":\"http://me:secret@h/x\"}");
	assert_string_equal(only(j)->url, "http://h/x");
	assert_string_equal(only(j)->user, "a:b");
	spec_jobs_free(j);
}

/* The commonest way to write a job is read without the JSON library: all others must lead to the same place. */
static void a_plain_line_is_read_as_any_other(void **state)
{
	static const char *const lines[] = {
	    "{\"url\":\"http://u:p@h:8080/a?b=%20#c\"}",
	    "{\"url\": \"http://u:p@h:8080/a?b=%20#c\"}",
	    "{\"\\u0075rl\":\"http://u:p@h:8080/a?b=%20#c\"}",
	    "{\"url\":\"http:\\/\\/u:p@h:8080\\/a?b=%20#c\"}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct spec_jobs *j = jobs(lines[i]);
		const struct store_job_new *n = only(j);

		assert_string_equal(n->url, "http://h:8080/a?b=%20#c");
		assert_string_equal(n->limit_key, "h:8080");
		assert_string_equal(n->user, "u:p");
		assert_null(n->method);
		assert_null(n->options);
		assert_null(n->headers);
		assert_false(n->has_body);
		spec_jobs_free(j);
	}
	refused("{\"url\":\"ftp://h/\"}", "\"url\": ");
	refused("{\"url\":\"\"}", "\"url\": ");
	refused("{\"url\":\"http://h/\",\"url\":\"http://h/\"}", "duplicate");
	refused("{\"url\":\"}", "JSON");
}

/* The second of two URLs with one authority takes a shorter way: it must lead to the same place. */
static void a_remembered_authority_changes_nothing(void **state)
{
	static const char *const keys[] = {"h:80",  "h:80", "h:80",         "h:8080", "h.x:80",
					   "h:443", "h:80", "127.0.0.1:80", "h:80",   "x:80"};
	struct spec_jobs *j =
	    jobs("{\"url\":\"http://h/1\"}\n{\"url\":\"http://h/2\"}\n{\"url\":\"http://h?q\"}\n{\"url\":\"http://"
		 "h:8080/\"}\n"
		 "{\"url\":\"http://h.x/\"}\n{\"url\":\"https://h/\"}\n{\"url\":\"http://h\"}\n"
		 "{\"url\":\"http://2130706433/\"}\n{\"url\":\"http://u:p@h/\"}\n{\"url\":\"http://x/@h\"}\n");
	const struct store_job_new *array;
	size_t n;

	(void)state;
	array = spec_jobs_array(j, &n);
	assert_int_equal(n, 10);
	for (size_t i = 0; i < n; i++)
		assert_string_equal(array[i].limit_key, keys[i]);
	assert_string_equal(array[9].url, "http://x/@h");
	assert_null(array[9].user);
	spec_jobs_free(j);
	refused("{\"url\":\"http://h/1\"}\n{\"url\":\"http://h/a b\"}\n", "space or control byte");
	refused("{\"url\":\"http://h/1\"}\n{\"url\":\"http://h/a\\u0007\"}\n", "space or control byte");
}

static void what_is_wrong_is_told_with_the_member(void **state)
{
	(void)state;
	refused("[]", "a job has to be a JSON object");
	refused("{}", "no \"url\"");
	refused("{\"url\":1}", "\"url\": it has to be a string");
	refused("{\"url\":\"ftp://h/\"}", "\"url\": ");
	refused("{\"url\":\"http://\"}", "\"url\": ");
	refused("{\"url\":\"http://h/\",\"urll\":1}", "\"urll\" is no member of a job");
	refused("{\"url\":\"http://h/\",\"priority\":1}", "\"priority\" is no member of a job");
	refused("{\"url\":\"http://h/\",\"url\":\"http://i/\"}", "not JSON: duplicate");
	refused("{\"url\":\"http://h/\"", "not JSON");
	refused("{\"url\":\"http://h/\"} x", "not JSON");
	refused("{\"url\":\"\xff\"}", "not JSON");
	refused("{\"url\":\"http://h/\",\"method\":\"get\"}", "\"method\"");
	refused("{\"url\":\"http://h/\",\"method\":\"GET /\"}", "\"method\"");
	refused("{\"url\":\"http://h/\",\"method\":\"CONNECT\"}", "CONNECT is not a way");
	refused("{\"url\":\"http://h/\",\"method\":\"\"}", "\"method\"");
	refused("{\"url\":\"http://h/\",\"body\":7}", "\"body\"");
	refused("{\"url\":\"http://h/\",\"body\":\"a\",\"body_base64\":\"\"}", "not both");
	refused("{\"url\":\"http://h/\",\"body_base64\":\"a\"}", "not base64");
	refused("{\"url\":\"http://h/\",\"body_base64\":\"YR==\"}", "not base64");
	refused("{\"url\":\"http://h/\",\"user\":\"nobody\"}", "user:password");
	refused("{\"url\":\"http://h/\",\"chain\":\"\"}", "\"chain\": it is empty");
	refused("{\"url\":\"http://h/\",\"chain\":true}", "\"chain\"");
	refused("{\"url\":\"http://h/\",\"tag\":\"a\\nb\"}", "control byte");
	refused("{\"url\":\"http://h/\",\"timeout\":0}", "\"timeout\"");
	refused("{\"url\":\"http://h/\",\"timeout\":\"1 parsec\"}", "\"timeout\"");
	refused("{\"url\":\"http://h/\",\"timeout\":\"2d\"}", "at most a day");
	refused("{\"url\":\"http://h/\",\"max_attempts\":0}", "\"max_attempts\": 0 is not within 1 and 100");
	refused("{\"url\":\"http://h/\",\"max_body\":-1}", "\"max_body\"");
	refused("{\"url\":\"http://h/\",\"retry_unsafe\":1}", "true or false");
	refused("{\"url\":\"http://h/\",\"max_redirects\":-1}", "\"max_redirects\": -1 is not within 0 and 50");
	refused("{\"url\":\"http://h/\",\"fail_if\":7}", "\"fail_if\": it has to be a jq program");
	refused("{\"url\":\"http://h/\",\"idempotency_key\":\"\"}", "\"idempotency_key\": it is empty");
	refused("{\"url\":\"http://h/\",\"deadline\":\"1h\"}", "\"deadline\" is no member of a job");
	refused("{\"url\":\"http://h/\",\"rate\":\"1/s\"}", "\"rate\" is no member of a job");
}

static void headers_that_could_smuggle_are_refused(void **state)
{
	(void)state;
	refused("{\"url\":\"http://h/\",\"headers\":{\"A\":\"b\\r\\nC: d\"}}", "control byte (0x0d)");
	refused("{\"url\":\"http://h/\",\"headers\":{\"A\\n\":\"b\"}}", "not a header's name");
	refused("{\"url\":\"http://h/\",\"headers\":{\"A B\":\"b\"}}", "not a header's name");
	refused("{\"url\":\"http://h/\",\"headers\":{\"\":\"b\"}}", "not a header's name");
	refused("{\"url\":\"http://h/\",\"headers\":[\"no colon\"]}", "Name: value");
	refused("{\"url\":\"http://h/\",\"headers\":[\": x\"]}", "not a header's name");
	refused("{\"url\":\"http://h/\",\"headers\":[7]}", "not a string");
	refused("{\"url\":\"http://h/\",\"headers\":\"A: b\"}", "neither an object nor an array");
	refused("{\"url\":\"http://h/\",\"headers\":{\"content-LENGTH\":\"3\"}}",
		"Content-Length is part of the message");
	refused("{\"url\":\"http://h/\",\"headers\":[\"Transfer-Encoding: chunked\"]}", "Transfer-Encoding");
	refused("{\"url\":\"http://h/\",\"headers\":[\"Connection: close\"]}", "Connection");
	refused("{\"url\":\"http://h/\",\"headers\":[\"Expect: 100-continue\"]}", "Expect");
}

static void sizes_are_bounded(void **state)
{
	char *text = malloc(3 << 20);
	char *p;

	(void)state;
	assert_non_null(text);
	p = stpcpy(text, "{\"url\":\"http://h/");
	memset(p, 'a', 70000);
	strcpy(p + 70000, "\"}");
	refused_with(text, ERR_TOO_LARGE, "the URL is longer than 65536 bytes");
	p = stpcpy(text, "{\"url\":\"http://h/\"}\n{\"url\":\"http://h/"); /* the same on the shorter way */
	memset(p, 'a', 70000);
	strcpy(p + 70000, "\"}");
	refused_with(text, ERR_TOO_LARGE, "the URL is longer than 65536 bytes");
	p = stpcpy(text, "{\"url\":\"http://h/\",\"body\":\"");
	memset(p, 'a', SPEC_BODY_MAX + 1);
	strcpy(p + SPEC_BODY_MAX + 1, "\"}");
	refused_with(text, ERR_TOO_LARGE, "a request's body at most");
	p = stpcpy(text, "{\"url\":\"http://h/\",\"headers\":{\"A\":\"");
	memset(p, 'a', SPEC_HEADERS_MAX);
	strcpy(p + SPEC_HEADERS_MAX, "\"}}");
	refused_with(text, ERR_TOO_LARGE, "longer than 16384 bytes");
	p = stpcpy(text, "{\"url\":\"http://h/\",\"tag\":\"");
	memset(p, 'a', 201);
	strcpy(p + 201, "\"}");
	refused(text, "\"tag\": it is longer than 200 bytes");
	p = stpcpy(text, "{\"url\":\"http://h/\",\"fail_if\":\"");
	memset(p, 'a', 4097);
	strcpy(p + 4097, "\"}");
	refused(text, "\"fail_if\": it is longer than 4096 bytes");
	p = stpcpy(text, "{\"url\":\"http://h/\",\"body\":");
	memset(p, '[', 5000);
	memset(p + 5000, ']', 5000);
	strcpy(p + 10000, "}");
	refused(text, "not JSON: maximum parsing depth");
	free(text);
}

/* ---- lines ---- */

static void the_line_at_fault_is_named_and_nothing_is_taken(void **state)
{
	static const char text[] =
	    "{\"url\":\"http://h/1\"}\r\n\n  \t\n{\"url\":\"http://h/2\"}\n{\"url\":}\n{\"url\":\"http://h/3\"}\n";
	struct err e = {0};

	(void)state;
	assert_null(spec_parse_jobs(text, strlen(text), &e));
	assert_int_equal(e.line, 5);
	assert_int_equal(e.code, ERR_INPUT);
}

static void blank_lines_and_a_missing_last_newline_are_fine(void **state)
{
	struct spec_jobs *j = jobs("\n{\"url\":\"http://h/1\"}\r\n\n\n{\"url\":\"http://h/2\"}");
	size_t n;

	(void)state;
	assert_string_equal(spec_jobs_array(j, &n)[1].url, "http://h/2");
	assert_int_equal(n, 2);
	spec_jobs_free(j);
	j = jobs("");
	spec_jobs_array(j, &n);
	assert_int_equal(n, 0);
	spec_jobs_free(j);
}

static void more_jobs_than_a_request_may_have_are_refused(void **state)
{
	static const char line[] = "{\"url\":\"http://h/\"}\n";
	size_t len = strlen(line), n;
	char *text = malloc(len * (SPEC_JOBS_MAX + 1) + 1);
	struct err e = {0};
	struct spec_jobs *j;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i <= SPEC_JOBS_MAX; i++)
		memcpy(text + i * len, line, len);
	assert_null(spec_parse_jobs(text, len * (SPEC_JOBS_MAX + 1), &e));
	assert_int_equal(e.code, ERR_TOO_LARGE);
	assert_int_equal(e.line, SPEC_JOBS_MAX + 1);
	j = spec_parse_jobs(text, len * SPEC_JOBS_MAX, &e);
	assert_non_null(j);
	spec_jobs_array(j, &n);
	assert_int_equal(n, SPEC_JOBS_MAX);
	spec_jobs_free(j);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_plain_job_is_its_url_and_key),
	    cmocka_unit_test(every_member_of_a_job_is_read),
	    cmocka_unit_test(headers_may_be_lines_as_for_curl),
	    cmocka_unit_test(a_json_body_goes_out_as_it_was_written),
	    cmocka_unit_test(a_member_inside_a_body_is_not_taken_for_the_body),
	    cmocka_unit_test(bytes_come_as_base64),
	    cmocka_unit_test(credentials_move_out_of_the_url),
	    cmocka_unit_test(a_plain_line_is_read_as_any_other),
	    cmocka_unit_test(a_remembered_authority_changes_nothing),
	    cmocka_unit_test(what_is_wrong_is_told_with_the_member),
	    cmocka_unit_test(headers_that_could_smuggle_are_refused),
	    cmocka_unit_test(sizes_are_bounded),
	    cmocka_unit_test(the_line_at_fault_is_named_and_nothing_is_taken),
	    cmocka_unit_test(blank_lines_and_a_missing_last_newline_are_fine),
	    cmocka_unit_test(more_jobs_than_a_request_may_have_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
