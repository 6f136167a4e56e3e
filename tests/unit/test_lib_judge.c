/* Soft errors: what a program says of a body, and what is said where there is nothing to say it of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/judge.h"

#define HEAD                                                                                           \
	"HTTP/1.1 200 OK\nContent-Type: application/json\nX-Error: out of cats\nVia: a\nVIA:  b \nno " \
	"colon\nX-Empty:\n"

static struct judge *judge;
static char text[JUDGE_TEXT_SIZE];

static int create(void **arg)
{
	(void)arg;
	judge = judge_create();
	return 0;
}

static int destroy(void **arg)
{
	(void)arg;
	judge_free(judge);
	return 0;
}

static bool judge_body(const char *program, const char *body, size_t n)
{
	const struct judge_case c = {.fail_if = program,
				     .status = 202,
				     .headers = HEAD,
				     .content_type = "",
				     .body = n ? body : NULL,
				     .body_bytes = (int64_t)n};

	return judge_run(judge, &c, text);
}

/* "" for a response that is fine. */
static const char *verdict(const char *program, const char *body)
{
	if (judge_body(program, body, strlen(body))) {
		assert_true(text[0]);
		return text;
	}
	return "";
}

struct expectation {
	const char *program, *body, *verdict;
};

static void check(const struct expectation *x)
{
	const char *got = verdict(x->program, x->body);

	if (strcmp(got, x->verdict) != 0)
		fail_msg("%s on %s says \"%s\", not \"%s\"", x->program, x->body, got, x->verdict);
}

#define CHECK_ALL(table)                                             \
	for (size_t i = 0; i < sizeof(table) / sizeof *(table); i++) \
	check(&(table)[i])

static void the_first_output_decides(void **arg)
{
	static const char holds[] = "fail-if holds for the response";
	const struct expectation table[] = {
	    {".message", "{\"message\":\"Token not valid!\"}", "Token not valid!"},
	    {".message", "{\"cats\":[]}", ""},
	    {".message", "{\"message\":null}", ""},
	    {".message", "{\"message\":false}", ""},
	    {".message", "{\"message\":true}", holds},
	    {".message", "{\"message\":\"\"}", holds},
	    {".message", "{\"message\":\" \\n\"}", holds},
	    {".message", "{\"message\":{\"code\": 7, \"a\": [1, 2]}}", "{\"code\":7,\"a\":[1,2]}"},
	    {".errors", "{\"errors\":[]}", "[]"},
	    {".code", "{\"code\":0}", "0"},
	    {".code", "{\"code\":-1.5}", "-1.5"},
	    {".[]", "[]", ""},
	    {".[]", "[null,\"late\"]", ""},
	    {".[]", "[\"first\",\"second\"]", "first"},
	    {"empty", "{}", ""},
	    {".ok | not", "{\"ok\":true}", ""},
	    {".ok | not", "{\"ok\":false}", holds},
	    {"length == 0", "[]", holds},
	    {".", "\"a text\"", "a text"},
	    {".", "null", ""},
	    {".", " \n{} \n", "{}"},
	    {".", "\xef\xbb\xbf\"after a mark\"", "after a mark"},
	    {"$status", "{}", "202"},
	    {"$status == 200", "{}", ""},
	    {"$headers[\"x-error\"]", "{}", "out of cats"},
	    {"$headers.via", "{}", "a, b"},
	    {"$headers | keys | join(\" \")", "{}", "content-type via x-empty x-error"},
	    {"$headers[\"x-empty\"] == \"\"", "{}", holds},
	    {"$body.a", "{\"a\":\"b\"}", "b"},
	    {".message # tells it", "{\"message\":\"x\"}", "x"},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void a_program_that_fails_is_an_error_in_jqs_words(void **arg)
{
	static const struct expectation table[] = {
	    {".a.b", "{\"a\":\"text\"}", "fail-if: Cannot index string with string \"b\""},
	    {".message", "[1]", "fail-if: Cannot index array with string \"message\""},
	    {".[]", "5", "fail-if: Cannot iterate over number (5)"},
	    {"error(\"no \" + .why)", "{\"why\":\"cats\"}", "fail-if: no cats"},
	    {"error", "{\"why\":\"cats\"}", "fail-if: {\"why\":\"cats\"}"},
	    {"error(null)", "{}", ""},
	    {".message?", "[1]", ""},
	    {"try error(\"x\") catch empty", "{}", ""},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void a_body_that_is_not_json_is_an_error_that_says_so(void **arg)
{
	static const struct expectation table[] = {
	    {".message", "", "the body is not JSON: it is empty"},
	    {".message", "  \n", "the body is not JSON: it is empty"},
	    {".message", "<html>", "the body is not JSON: unexpected text at EOF at line 1, column 6"},
	    {".message", "{\"message\":", "the body is not JSON: Unfinished JSON term at EOF at line 1, column 11"},
	    {".message", "{\"a\":1}\n{\"a\":2}\n", "the body is not JSON: there is more than one value"},
	    {".message", "{} x", "the body is not JSON: unexpected text at EOF at line 1, column 4"},
	    {"empty", "nonsense", "the body is not JSON: Invalid literal at EOF at line 1, column 8"},
	};
	struct judge_case html = {
	    .fail_if = ".", .headers = "", .content_type = "text/html", .body = "<p>", .body_bytes = 3};

	(void)arg;
	CHECK_ALL(table);
	assert_true(judge_run(judge, &html, text));
	assert_string_equal(text, "the body is not JSON but text/html: unexpected text at EOF at line 1, column 3");
}

static void json_nested_too_deep_is_refused(void **arg)
{
	static char deep[20001];

	(void)arg;
	memset(deep, '[', 10000);
	memset(deep + 10000, ']', 10000);
	assert_true(judge_body(".", deep, 20000));
	assert_non_null(strstr(text, "the body is not JSON: Exceeds depth limit for parsing"));
}

static void a_response_that_has_no_body_by_nature_is_judged_without(void **arg)
{
	struct judge_case c = {
	    .fail_if = ".message", .status = 204, .headers = HEAD, .content_type = "", .bodiless = true};

	(void)arg;
	assert_false(judge_run(judge, &c, text));
	c.fail_if = "$status != 200";
	assert_true(judge_run(judge, &c, text));
}

static void a_program_that_does_not_compile_is_told_each_time(void **arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++)
		assert_string_equal(verdict(".message[", "{}"),
				    "fail-if does not compile: syntax error, unexpected end of the program");
	assert_string_equal(verdict(".message[", "not json"),
			    "fail-if does not compile: syntax error, unexpected end of the program");
}

static void a_body_beyond_the_bound_is_not_looked_at(void **arg)
{
	struct judge_case c = {
	    .fail_if = "empty", .headers = HEAD, .content_type = "", .body_bytes = JUDGE_BODY_MAX + 1};

	(void)arg;
	assert_true(judge_run(judge, &c, text));
	assert_string_equal(text, "the body has 32.0 MiB, and fail-if reads 32.0 MiB at most");
}

static void a_text_is_printable_and_short(void **arg)
{
	char body[4096] = "\"";

	(void)arg;
	assert_string_equal(verdict(".", "\"a\\u0000b\\u001b[31m\\u202ec\\nd\""), "a?b?[31m?c d");
	assert_string_equal(verdict(".", "\"\xff\xc3\xa9\""), "\xef\xbf\xbd\xc3\xa9");
	for (int i = 0; i < 500; i++)
		strcat(body, "\xc3\xa9");
	strcat(body, "\"");
	assert_int_equal(strlen(verdict(".", body)), 2 * JUDGE_TEXT_CHARS);
	assert_int_equal(strlen(verdict("error", body)), 9 + 2 * (JUDGE_TEXT_CHARS - 9));
}

static void nothing_of_a_run_is_left_in_the_next(void **arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++) {
		assert_string_equal(verdict(".[] | .m", "[{\"m\":\"a\"},{\"m\":\"b\"}]"), "a");
		assert_string_equal(verdict(".[] | .m", "[{\"m\":null},{\"m\":\"b\"}]"), "");
		assert_string_equal(verdict(".[] | .m", "[1]"), "fail-if: Cannot index number with string \"m\"");
		assert_string_equal(verdict("halt", "[1]"), "");
		assert_string_equal(verdict("\"stop\" | halt_error", "[1]"), "fail-if: stop");
		assert_string_equal(verdict("halt, \"x\"", "[1]"), "");
		assert_string_equal(verdict("paths", "[1]"), "[0]");
	}
}

/* libjq aborts where a run is dropped within a path expression. */
static void a_run_may_be_left_anywhere_after_its_first_output(void **arg)
{
	static const struct expectation table[] = {
	    {"paths", "{\"a\":[1,2]}", "[\"a\"]"},
	    {"path(..)", "[[1]]", "[]"},
	    {"leaf_paths", "[[1]]", "[0,0]"},
	    {"paths(. == \"error\")", "[1,\"error\",\"error\"]", "[1]"},
	    {"path(.[] | select(. > 1))", "[1,2,3]", "[1]"},
	    {"path(.a | halt)", "{}", ""},
	    {"path(.a | error(\"x\"))", "{}", "fail-if: x"},
	    {"path(.[] | (., error(\"x\")))", "[1]", "[0]"},
	    {"to_entries[] | .key", "{\"a\":1,\"b\":2}", "a"},
	    {"(.a, .b) = (1, 2) | .a", "{}", "1"},
	    {"label $x | .[] | ., break $x", "[\"a\",\"b\"]", "a"},
	    {"try (paths | error) catch (.[0])", "{\"a\":1}", "a"},
	    {"limit(3; repeat(1))", "1", "1"},
	    {"range(1e18)", "null", "0"},
	    {". # and no more", "\"x\"", "x"},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void more_programs_than_are_kept_are_all_right(void **arg)
{
	char program[32], wanted[16];

	(void)arg;
	for (int i = 0; i < JUDGE_PROGRAMS_MAX + 5; i++) {
		snprintf(program, sizeof program, ". + %d", i);
		snprintf(wanted, sizeof wanted, "%d", i + 1);
		assert_string_equal(verdict(program, "1"), wanted);
		assert_string_equal(verdict(". + 0", "1"), "1");
	}
	assert_string_equal(verdict(". + 1", "1"), "2");
}

/* What a program must not reach: our stderr, other input, the environment of the machine, its files. */
static void a_program_sees_nothing_but_what_it_is_given(void **arg)
{
	static const struct expectation table[] = {
	    {"input", "{}", "fail-if: break"},
	    {"[inputs] | length", "{}", "0"},
	    {"debug | empty", "{}", ""},
	    {"stderr | empty", "{}", ""},
	    {"get_search_list", "{}", "[]"},
	    {"input_filename", "{}", ""},
	    {"\"x\" | modulemeta", "{}", "fail-if: module not found: x"},
	};
	int fds[2], saved = dup(STDERR_FILENO);
	char said[64];

	(void)arg;
	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	CHECK_ALL(table);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[1]);
	assert_int_equal(read(fds[0], said, sizeof said), 0);
	close(fds[0]);
}

#ifdef __SANITIZE_ADDRESS__
/* As without it: at its bound malloc() says no, and who called it decides what then. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}
#endif

/* Whether a process that runs it comes to an end without an answer. */
static bool dies(const char *program)
{
	const struct rlimit none = {0};
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(0);
		setrlimit(RLIMIT_CORE, &none);
		alarm(300);
		_exit(judge_body(program, "{}", 2) ? 77 : 78);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAILURE;
}

static void a_program_that_takes_all_memory_ends_its_process_and_no_other(void **arg)
{
	(void)arg;
	assert_true(dies("[range(1e9)] | length"));
	assert_true(dies("reduce range(1e9) as $i (\"x\"; . + .) | length"));
	assert_false(dies("[range(1e6)] | length > 0"));
}

static void the_bound_on_memory_ends_with_the_run(void **arg)
{
	struct rlimit before, after;

	(void)arg;
	getrlimit(RLIMIT_AS, &before);
	verdict(".", "{}");
	verdict(".", "no");
	getrlimit(RLIMIT_AS, &after);
	assert_true(before.rlim_cur == after.rlim_cur);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_first_output_decides),
	    cmocka_unit_test(a_program_that_fails_is_an_error_in_jqs_words),
	    cmocka_unit_test(a_body_that_is_not_json_is_an_error_that_says_so),
	    cmocka_unit_test(json_nested_too_deep_is_refused),
	    cmocka_unit_test(a_response_that_has_no_body_by_nature_is_judged_without),
	    cmocka_unit_test(a_program_that_does_not_compile_is_told_each_time),
	    cmocka_unit_test(a_body_beyond_the_bound_is_not_looked_at),
	    cmocka_unit_test(a_text_is_printable_and_short),
	    cmocka_unit_test(nothing_of_a_run_is_left_in_the_next),
	    cmocka_unit_test(a_run_may_be_left_anywhere_after_its_first_output),
	    cmocka_unit_test(more_programs_than_are_kept_are_all_right),
	    cmocka_unit_test(a_program_sees_nothing_but_what_it_is_given),
	    cmocka_unit_test(a_program_that_takes_all_memory_ends_its_process_and_no_other),
	    cmocka_unit_test(the_bound_on_memory_ends_with_the_run),
	};

	return cmocka_run_group_tests(tests, create, destroy);
}
