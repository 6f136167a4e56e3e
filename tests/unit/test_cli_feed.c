/* Lines in, NDJSON out: reading input, building requests. No daemon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "cli/feed.h"
#include "cli/input.h"
#include "cli/request.h"
#include "cli/verbs.h"

static void feed_has(const struct feed *f, const char *lines)
{
	assert_string_equal(f->lines.len ? f->lines.data : "", lines);
}

static void a_url_becomes_a_json_object(void **arg)
{
	struct feed f = {.repeat = 1};

	(void)arg;
	assert_int_equal(feed_add_url(&f, "http://h/1", 10, 1, NULL), 0);
	assert_int_equal(feed_add_url(&f, "http://h/\"", 10, 2, NULL), 0);
	feed_has(&f, "{\"url\":\"http://h/1\"}\n{\"url\":\"http://h/\\\"\"}\n");
	assert_int_equal(f.jobs, 2);
	feed_clear(&f);
}

static void a_tag_goes_with_each_url(void **arg)
{
	struct feed f = {.repeat = 1, .tag_json = "\"t\\\"\""};

	(void)arg;
	feed_add_url(&f, "u", 1, 1, NULL);
	feed_has(&f, "{\"url\":\"u\",\"tag\":\"t\\\"\"}\n");
	feed_clear(&f);
}

static void json_lines_pass_through_untouched(void **arg)
{
	struct feed f = {.repeat = 2};

	(void)arg;
	feed_add_json(&f, "{ \"url\" : \"u\" }", 15, 1, NULL);
	feed_has(&f, "{ \"url\" : \"u\" }\n{ \"url\" : \"u\" }\n");
	assert_int_equal(f.jobs, 2);
	feed_clear(&f);
}

static void bytes_that_are_not_utf8_are_refused_with_their_line(void **arg)
{
	struct feed f = {.repeat = 1, .source = "list.txt"};
	struct err e;

	(void)arg;
	assert_int_equal(feed_add_url(&f, "h\xff", 2, 17, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	assert_non_null(strstr(e.what, "list.txt:17: "));
	feed_clear(&f);
}

/* ---- input ---- */

static const char *file_with(const void *data, size_t len)
{
	int fd = open("input", O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	close(fd);
	return "input";
}

static void expect_line(struct input *in, const char *expected, unsigned number)
{
	const char *line;
	size_t len;

	assert_int_equal(input_next(in, false, &line, &len, NULL), INPUT_LINE);
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(line, expected, len);
	assert_int_equal(input_line_number(in), number);
}

static void expect_end(struct input *in)
{
	const char *line;
	size_t len;

	assert_int_equal(input_next(in, false, &line, &len, NULL), INPUT_END);
	input_close(in);
}

static void lines_come_without_blanks_carriage_returns_and_byte_order_mark(void **arg)
{
	static const char data[] = "\xef\xbb\xbfone\r\n\n  two \t\r\nthree";
	struct input *in = input_open(file_with(data, sizeof data - 1), NULL);

	(void)arg;
	assert_true(input_is_file(in));
	expect_line(in, "one", 1);
	expect_line(in, "", 2);
	expect_line(in, "two", 3);
	expect_line(in, "three", 4);
	expect_end(in);
}

static void an_empty_file_has_no_lines(void **arg)
{
	(void)arg;
	expect_end(input_open(file_with("", 0), NULL));
}

static void lines_across_the_buffers_end_are_whole(void **arg)
{
	enum { LINES = 200, LEN = 40000 }; /* 8 MB: more than twice the buffer */
	char *data = malloc(LINES * LEN), expected[LEN];
	struct input *in;

	(void)arg;
	assert_non_null(data);
	for (int i = 0; i < LINES; i++) {
		memset(data + i * LEN, 'a' + i % 26, LEN);
		data[i * LEN + LEN - 1] = '\n';
	}
	in = input_open(file_with(data, LINES * LEN), NULL);
	for (int i = 0; i < LINES; i++) {
		memset(expected, 'a' + i % 26, LEN);
		expected[LEN - 1] = '\0';
		expect_line(in, expected, (unsigned)i + 1);
	}
	expect_end(in);
	free(data);
}

static void an_endless_line_is_told_with_its_number_and_passed_over(void **arg)
{
	size_t len = 4u << 20;
	char *data = malloc(len);
	struct input *in;
	const char *line;
	size_t n;

	(void)arg;
	assert_non_null(data);
	memset(data, 'x', len);
	data[1] = data[len - 2] = '\n';
	in = input_open(file_with(data, len), NULL);
	expect_line(in, "x", 1);
	assert_int_equal(input_next(in, false, &line, &n, NULL), INPUT_TOO_LONG);
	assert_int_equal(input_line_number(in), 2);
	expect_line(in, "x", 3);
	expect_end(in);
	free(data);
}

static void a_pipe_that_pauses_says_so(void **arg)
{
	int fds[2], saved = dup(STDIN_FILENO);
	struct input *in;
	const char *line;
	size_t len;

	(void)arg;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "a\nb", 3), 3);
	dup2(fds[0], STDIN_FILENO);
	in = input_open("-", NULL);
	assert_false(input_is_file(in));
	expect_line(in, "a", 1);
	assert_int_equal(input_next(in, true, &line, &len, NULL), INPUT_PAUSE);
	assert_int_equal(write(fds[1], "c\n", 2), 2);
	expect_line(in, "bc", 2);
	close(fds[1]);
	expect_end(in);
	dup2(saved, STDIN_FILENO);
	close(saved);
	close(fds[0]);
}

/* ---- the batch's JSON ---- */

static char *options(int argc, const char *const *words)
{
	struct args args = {0};
	struct err e;
	const struct opt *groups[OPT_GROUPS_MAX + 2];
	char *argv[24], *json;
	int used;

	argv[0] = strdup("submit");
	for (int i = 0; i < argc; i++)
		argv[i + 1] = strdup(words[i]);
	argv[argc + 1] = NULL;
	verb_groups(verb_find("submit"), groups);
	if (options_parse(&args, groups, "", argc + 1, argv, false, &used, &e) < 0)
		fail_msg("%s", e.what);
	args.key = "k";
	json = request_options_json(&args, &e);
	for (int i = 0; i <= argc; i++)
		free(argv[i]);
	free(args.headers.values);
	free(args.data.values);
	return json;
}

#define OPTIONS(...) \
	options((int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)), (const char *const[]){__VA_ARGS__})

static void expect_options(char *json, const char *expected)
{
	assert_non_null(json);
	assert_string_equal(json, expected);
	free(json);
}

static void data_is_a_form_unless_a_header_says_otherwise(void **arg)
{
	(void)arg;
	expect_options(
	    OPTIONS("-d", "a=1", "-d", "b=2"),
	    "{\"key\":\"k\",\"body\":\"a=1&b=2\",\"headers\":[\"Content-Type: application/x-www-form-urlencoded\"]}");
	expect_options(OPTIONS("-d", "x", "-H", "content-type: text/plain"),
		       "{\"key\":\"k\",\"body\":\"x\",\"headers\":[\"content-type: text/plain\"]}");
	expect_options(
	    OPTIONS("-d", ""),
	    "{\"key\":\"k\",\"body\":\"\",\"headers\":[\"Content-Type: application/x-www-form-urlencoded\"]}");
}

static void json_sets_two_headers_and_is_joined_as_it_is(void **arg)
{
	(void)arg;
	expect_options(
	    OPTIONS("--json", "{\"a\":", "--json", "1}"),
	    "{\"key\":\"k\",\"body\":\"{\\\"a\\\":1}\",\"headers\":[\"Content-Type: application/json\",\"Accept: "
	    "application/json\"]}");
}

static void files_lose_line_ends_as_forms_and_keep_them_as_binary(void **arg)
{
	char form[] = "@input";

	(void)arg;
	file_with("a\r\nb\n", 5);
	expect_options(OPTIONS("-d", form, "-H", "Content-Type: x"),
		       "{\"key\":\"k\",\"body\":\"ab\",\"headers\":[\"Content-Type: x\"]}");
	expect_options(OPTIONS("--data-binary", form, "-H", "Content-Type: x"),
		       "{\"key\":\"k\",\"body\":\"a\\r\\nb\\n\",\"headers\":[\"Content-Type: x\"]}");
	file_with("\0\xff", 2);
	expect_options(OPTIONS("--data-binary", form, "-H", "Content-Type: x"),
		       "{\"key\":\"k\",\"body_base64\":\"AP8=\",\"headers\":[\"Content-Type: x\"]}");
}

static void numbers_and_texts_take_their_members(void **arg)
{
	(void)arg;
	expect_options(OPTIONS("--concurrency", "3", "--chain", "--priority", "0", "--timeout", "1.5s", "-X", "PUT",
			       "-u", "a:b", "--name", "n"),
		       "{\"key\":\"k\",\"name\":\"n\",\"method\":\"PUT\",\"timeout\":\"1.5s\",\"concurrency\":3,"
		       "\"priority\":0,\"chain\":true,\"user\":\"a:b\"}");
	expect_options(
	    OPTIONS("--rate", "100/min", "--on-limit", "drop", "--deadline", "2h", "--max-redirects", "0",
		    "--idempotency-key", "auto", "--retry-unsafe", "--fail-if", ".error"),
	    "{\"key\":\"k\",\"rate\":\"100/min\",\"on_limit\":\"drop\",\"deadline\":\"2h\",\"fail_if\":\".error\","
	    "\"idempotency_key\":\"auto\",\"max_redirects\":0,\"retry_unsafe\":true}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_url_becomes_a_json_object),
	    cmocka_unit_test(a_tag_goes_with_each_url),
	    cmocka_unit_test(json_lines_pass_through_untouched),
	    cmocka_unit_test(bytes_that_are_not_utf8_are_refused_with_their_line),
	    cmocka_unit_test(lines_come_without_blanks_carriage_returns_and_byte_order_mark),
	    cmocka_unit_test(an_empty_file_has_no_lines),
	    cmocka_unit_test(lines_across_the_buffers_end_are_whole),
	    cmocka_unit_test(an_endless_line_is_told_with_its_number_and_passed_over),
	    cmocka_unit_test(a_pipe_that_pauses_says_so),
	    cmocka_unit_test(data_is_a_form_unless_a_header_says_otherwise),
	    cmocka_unit_test(json_sets_two_headers_and_is_joined_as_it_is),
	    cmocka_unit_test(files_lose_line_ends_as_forms_and_keep_them_as_binary),
	    cmocka_unit_test(numbers_and_texts_take_their_members),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
