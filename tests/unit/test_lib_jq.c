/* jq programs: which compile, and what is said of those that do not. */
#include <jq.h>
#include <jv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/jq.h"

static void programs_compile(void **arg)
{
	static const char *const good[] = {
	    ".message",
	    ".",
	    ".error // .errors[0].message // empty",
	    "$status == 202 and $headers[\"x-error\"] != null",
	    "$body.message",
	    "def f: .message; f",
	    ". as [$a, $b] | $b",
	    ".a, .b",
	    ".message # the error",
	    "\n.a |\n.b\n",
	    "reduce .[] as $i (0; . + $i)",
	    "label $out | .[] | if . then ., break $out else empty end",
	    "if .ok then empty else \"not ok: \\(.why)\" end",
	    "input, debug, stderr, env, $ENV, halt",
	};
	struct err e;

	(void)arg;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		if (jq_program_check(good[i], &e))
			fail_msg("\"%s\" does not compile: %s", good[i], e.what);
}

static void what_does_not_compile_is_told_in_one_sentence(void **arg)
{
	static const struct {
		const char *program, *what;
	} bad[] = {
	    {".message[", "syntax error, unexpected end of the program"},
	    {"", "syntax error, unexpected end of the program"},
	    {" ", "syntax error, unexpected end of the program"},
	    {"def f: .;", "syntax error, unexpected end of the program"},
	    {"foo", "foo/0 is not defined"},
	    {"foo(1)", "foo/1 is not defined"},
	    {"\n.a |\nfoo", "foo/0 is not defined (line 3)"},
	    {"$nope", "$nope is not defined"},
	    {". as $x", "syntax error, unexpected end of the program, expecting '|'"},
	    {"label $x", "syntax error, unexpected end of the program, expecting '|'"},
	    {".a |", "syntax error, unexpected end of the program"},
	    {".a)", "syntax error, unexpected character, expecting end of the program"},
	    {"1) | (2", "syntax error, unexpected character, expecting end of the program"},
	    {"include \"x\"; .", "syntax error, unexpected include"},
	    {"import \"x\" as x; .", "syntax error, unexpected import"},
	    {"{(1):2}", "Cannot use number (1) as object key"},
	};
	struct err e;

	(void)arg;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(jq_program_check(bad[i].program, &e), -1);
		assert_int_equal(e.code, ERR_INPUT);
		assert_string_equal(e.what, bad[i].what);
	}
	assert_int_equal(jq_program_check("foo", NULL), -1);
}

static void a_long_program_is_refused_before_jq_sees_it(void **arg)
{
	char *program = malloc(JQ_PROGRAM_MAX + 2);
	struct err e;

	(void)arg;
	assert_non_null(program);
	memset(program, ' ', JQ_PROGRAM_MAX + 1);
	program[0] = '1';
	program[JQ_PROGRAM_MAX] = '\0';
	assert_int_equal(jq_program_check(program, &e), 0);
	program[JQ_PROGRAM_MAX] = ' ';
	program[JQ_PROGRAM_MAX + 1] = '\0';
	assert_int_equal(jq_program_check(program, &e), -1);
	assert_string_equal(e.what, "the program is longer than 4096 bytes");
	free(program);
}

/* The deepest that the bound on a program's length leaves: it compiles or is refused, and the stack holds. */
static void a_deeply_nested_program_does_not_break_the_compiler(void **arg)
{
	static const struct {
		const char *open, *middle, *close;
	} shapes[] = {{"(", ".", ")"},  {"[", ".", "]"},   {"-", ".", ""},        {".|", ".", ""},
		      {".+", ".", ""},  {".//", ".", ""},  {"\"\\(", ".", ")\""}, {"def f:", ".", ";."},
		      {".[", "0", "]"}, {"{a:", ".", "}"}, {". as $x|", ".", ""}, {"if . then ", ".", " else . end"}};

	(void)arg;
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		size_t open = strlen(shapes[i].open), close = strlen(shapes[i].close), n = 0;
		size_t depth = (JQ_PROGRAM_MAX - 2) / (open + close);
		char *program = malloc(JQ_PROGRAM_MAX + 1);

		assert_non_null(program);
		for (size_t k = 0; k < depth; k++, n += open)
			memcpy(program + n, shapes[i].open, open);
		program[n++] = shapes[i].middle[0];
		for (size_t k = 0; k < depth; k++, n += close)
			memcpy(program + n, shapes[i].close, close);
		program[n] = '\0';
		jq_program_check(program, NULL);
		free(program);
	}
}

static void the_users_own_jq_library_is_not_taken_in(void **arg)
{
	char dir[] = "homeXXXXXX", path[sizeof dir + 4];
	const char *before = getenv("HOME");
	struct err e;
	FILE *f;

	(void)arg;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/.jq", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("def mine: .message;\n", f);
	fclose(f);
	before = before ? strdup(before) : NULL;
	setenv("HOME", dir, 1);
	assert_int_equal(jq_program_check("mine", &e), -1);
	assert_string_equal(e.what, "mine/0 is not defined");
	assert_string_equal(getenv("HOME"), dir);
	if (before)
		setenv("HOME", before, 1);
	free((void *)(uintptr_t)before);
	unlink(path);
	rmdir(dir);
}

/* libjq lets `?` and `try` catch what ends a run, and aborts where a run is dropped within a path expression. */
static void every_program_has_one_output_and_ends(void **arg)
{
	static const struct {
		const char *program, *first; /* NULL: none */
	} cases[] = {
	    {"paths | .?", "[\"a\"]"},
	    {"path(..) | try . catch 1", "[]"},
	    {"try paths catch 2", "[\"a\"]"},
	    {"try .a catch 2, 3", "{\"b\":1}"},
	    {"paths", "[\"a\"]"},
	    {"1, error(\"x\")", "1"},
	    {"empty", NULL},
	    {"halt", NULL},
	    {"1, halt", "1"},
	    {"def f: .a; f # all", "{\"b\":1}"},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		jq_state *jq = jq_program_compile(cases[i].program, NULL);

		assert_non_null(jq);
		for (int again = 0; again < 3; again++) {
			jv text;

			jq_start(jq, jv_parse("{\"body\":{\"a\":{\"b\":1}},\"status\":200,\"headers\":{}}"), 0);
			if (cases[i].first) {
				text = jv_dump_string(jq_next(jq), 0);
				assert_string_equal(jv_string_value(text), cases[i].first);
				jv_free(text);
			}
			if (jv_is_valid(jq_next(jq)))
				fail_msg("%s goes on", cases[i].program);
		}
		jq_teardown(&jq);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(programs_compile),
	    cmocka_unit_test(what_does_not_compile_is_told_in_one_sentence),
	    cmocka_unit_test(a_long_program_is_refused_before_jq_sees_it),
	    cmocka_unit_test(a_deeply_nested_program_does_not_break_the_compiler),
	    cmocka_unit_test(the_users_own_jq_library_is_not_taken_in),
	    cmocka_unit_test(every_program_has_one_output_and_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
