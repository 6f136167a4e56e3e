/* The programs made of a recipe's expressions, compiled and run by libjq on bodies as APIs send them. */
#include <jq.h>
#include <jv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/jq.h"
#include "tests/unit/test_recipe.h"

static jv envelope(const char *body)
{
	jv v = jv_parse("{\"status\":200,\"headers\":{\"x-next\":\"h1\",\"x-total\":\"7\"},\"page\":3,"
			"\"vars\":{\"kind\":\"cats\"}}");
	jv parsed = jv_parse(body);

	if (!jv_is_valid(parsed))
		fail_msg("the test's body is no JSON: %s", body);
	return jv_object_set(v, jv_string("body"), parsed);
}

static jq_state *compile(const char *program)
{
	struct err e = {0};
	jq_state *jq = jq_page_compile(program, &e);

	if (!jq)
		fail_msg("%s\n%s", e.what, program);
	return jq;
}

/* The one output, as JSON; consumes `input`. */
static jv run_once(jq_state *jq, jv input)
{
	jv v, more;

	jq_start(jq, input, 0);
	v = jq_next(jq);
	if (!jv_is_valid(v)) {
		jv msg = jv_invalid_get_msg(v);

		fail_msg("no output: %s", jv_get_kind(msg) == JV_KIND_STRING ? jv_string_value(msg) : "");
	}
	more = jq_next(jq);
	if (jv_is_valid(more) || jv_invalid_has_msg(jv_copy(more)))
		fail_msg("there is more than one output");
	jv_free(more);
	return v;
}

static void check(const char *recipe, const char *body, const char *wanted)
{
	struct recipe *r = parse(recipe);
	char *program = recipe_program(r);
	jv v, text;
	jq_state *jq;

	assert_non_null(program);
	jq = compile(program);
	for (int i = 0; i < 2; i++) { /* a compiled program is used again */
		v = run_once(jq, envelope(body));
		text = jv_dump_string(v, JV_PRINT_SORTED);
		if (strcmp(jv_string_value(text), wanted) != 0)
			fail_msg("%s instead of %s for\n%s\n%s", jv_string_value(text), wanted, body, recipe);
		jv_free(text);
	}
	jq_teardown(&jq);
	free(program);
	recipe_free(r);
}

struct program_case {
	const char *recipe, *body, *wanted;
};

static void check_all(const struct program_case *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(all[i].recipe, all[i].body, all[i].wanted);
}

#define U      "url = \"http://a.example/\"; "
#define CURSOR U "page = { type = \"cursor\"; param = \"c\"; "
#define PAGE   U "page = { type = \"page\"; param = \"p\"; "

static void a_recipe_without_expressions_has_no_program(void **arg)
{
	static const char *const none[] = {
	    U,
	    U "page = { type = \"link\"; };",
	    PAGE "stop_empty = 0; stop_status = 404; };",
	};

	(void)arg;
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		struct recipe *r = parse(none[i]);

		assert_null(recipe_program(r));
		recipe_free(r);
	}
}

static void bodies_of_real_apis_are_understood(void **arg)
{
	/* shortened from the answers of a species list, a code host, a search, a shop and a GraphQL API */
	static const char iucn[] =
	    U "page = { type = \"page\"; param = \"page\"; }; items = \".result[]\"; key = \".taxonid\"; "
	      "error = \"select(has(\\\"result\\\")|not) | .message\";";
	static const char es[] =
	    CURSOR "in = \"json\"; next = \".hits.hits[-1].sort\"; total_items = \".hits.total.value\"; }; "
		   "items = \".hits.hits[]._source\"; key = \"[.kind, .id]\";";
	static const char shop[] = CURSOR "next = \"$headers[\\\"x-next\\\"]\"; has_more = \".has_more\"; "
					  "total_items = \"$headers[\\\"x-total\\\"]\"; }; items = \".data[]\"; "
					  "since = { param = \"s\"; from = \".updated_at\"; };";
	static const char gql[] =
	    CURSOR "in = \"json\"; next = \".data.repo.issues.pageInfo | select(.hasNextPage) | .endCursor\"; "
		   "}; items = \".data.repo.issues.nodes[]\"; error = \".errors[0].message\"; key = \".id\";";
	static const struct program_case all[] = {
	    {iucn, "{\"count\":2,\"page\":\"0\",\"result\":[{\"taxonid\":3},{\"taxonid\":\"4\"}]}",
	     "{\"items\":2,\"keys\":[3,\"4\"]}"},
	    {iucn, "{\"message\":\"Token not valid!\"}", "{\"error\":\"Token not valid!\"}"},
	    {iucn, "{\"result\":[]}", "{\"items\":0,\"keys\":[]}"},
	    {es,
	     "{\"hits\":{\"total\":{\"value\":10},\"hits\":[{\"_source\":{\"kind\":\"a\",\"id\":1},\"sort\":[1,\"x\"]},"
	     "{\"_source\":{\"kind\":\"a\",\"id\":2},\"sort\":[2,\"y\"]}]}}",
	     "{\"items\":2,\"keys\":[[\"a\",1],[\"a\",2]],\"next\":[2,\"y\"],\"total_items\":"
	     "10}"},
	    {shop,
	     "{\"data\":[{\"updated_at\":\"2026-01-02\"},{},{\"updated_at\":\"2026-01-03\"},{\"updated_at\":null}],"
	     "\"has_more\":true}",
	     "{\"has_more\":true,\"items\":4,\"next\":\"h1\",\"since\":\"2026-01-03\",\"total_items\":\"7\"}"},
	    {gql,
	     "{\"data\":{\"repo\":{\"issues\":{\"nodes\":[{\"id\":\"I_1\"}],\"pageInfo\":{\"hasNextPage\":true,"
	     "\"endCursor\":\"Y3==\"}}}}}",
	     "{\"items\":1,\"keys\":[\"I_1\"],\"next\":\"Y3==\"}"},
	    {gql,
	     "{\"data\":{\"repo\":{\"issues\":{\"nodes\":[],\"pageInfo\":{\"hasNextPage\":false,\"endCursor\":\"Y3==\"}"
	     "}}}}",
	     "{\"items\":0,\"keys\":[],\"next\":null}"},
	    {gql, "{\"errors\":[{\"message\":\"rate limited\"}],\"data\":null}", "{\"error\":\"rate limited\"}"},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

static void error_is_judged_first_and_stands_alone(void **arg)
{
	static const char e[] = U "error = \".e\"; items = \".i[]\";";
	static const struct program_case all[] = {
	    {e, "{\"e\":\"bad\",\"i\":5}", "{\"error\":\"bad\"}"},
	    {e, "{\"e\":null,\"i\":[1]}", "{\"items\":1}"},
	    {e, "{\"e\":false,\"i\":[1]}", "{\"items\":1}"},
	    {e, "{\"e\":true}", "{\"error\":true}"},
	    {e, "{\"e\":\"\"}", "{\"error\":\"\"}"},
	    {e, "{\"e\":{\"a\":[1]}}", "{\"error\":{\"a\":[1]}}"},
	    {e, "{\"e\":0}", "{\"error\":0}"},
	    {U "error = \"empty\"; items = \".[]\";", "[1]", "{\"items\":1}"},
	    {U "error = \".[]\"; ", "[null,\"x\"]", "{}"}, /* the first output decides */
	    {U "error = \".[]\"; ", "[\"x\",null]", "{\"error\":\"x\"}"},
	    {U "error = \".a.b.c\";", "{\"a\":5}",
	     "{\"failed\":\"error\",\"message\":\"Cannot index number with string \\\"b\\\"\"}"},
	    {U "error = \"$status == 200 and $page == 3 and $vars.kind == \\\"cats\\\"\";", "1", "{\"error\":true}"},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

static void what_fails_says_where(void **arg)
{
	static const struct program_case all[] = {
	    {CURSOR "next = \".a.b\"; };", "{\"a\":1}",
	     "{\"failed\":\"page.next\",\"message\":\"Cannot index number with string \\\"b\\\"\"}"},
	    {CURSOR "next = \"error({a:1})\"; };", "1", "{\"failed\":\"page.next\",\"message\":\"{\\\"a\\\":1}\"}"},
	    {CURSOR "next = \".n\"; has_more = \".[]\"; };", "5",
	     "{\"failed\":\"page.next\",\"message\":\"Cannot index number with string \\\"n\\\"\"}"},
	    {CURSOR "next = \".n\"; has_more = \".m[]\"; };", "{\"m\":5}",
	     "{\"failed\":\"page.has_more\",\"message\":\"Cannot iterate over number (5)\"}"},
	    {CURSOR "next = \".n\"; stop = \".n | keys\"; };", "{\"n\":5}",
	     "{\"failed\":\"page.stop\",\"message\":\"number (5) has no keys\"}"},
	    {CURSOR "next = \".n\"; total_pages = \".t.x\"; };", "{\"t\":5}",
	     "{\"failed\":\"page.total_pages\",\"message\":\"Cannot index number with string \\\"x\\\"\"}"},
	    {U "page = { type = \"single\"; total_items = \".t.x\"; };", "{\"t\":5}",
	     "{\"failed\":\"page.total_items\",\"message\":\"Cannot index number with string \\\"x\\\"\"}"},
	    {U "items = \".[] | if . == 3 then error(\\\"three\\\") else . end\";", "[1,2,3,4]",
	     "{\"failed\":\"items\",\"message\":\"three\"}"},
	    {U "key = \".id\";", "[{\"id\":1},5]",
	     "{\"failed\":\"key\",\"message\":\"Cannot index number with string \\\"id\\\"\"}"},
	    {U "since = { param = \"s\"; from = \".u\"; };", "[{\"u\":1},5]",
	     "{\"failed\":\"since.from\",\"message\":\"Cannot index number with string \\\"u\\\"\"}"},
	    {U "items = \"input\";", "1", "{\"failed\":\"items\",\"message\":\"break\"}"},
	    {U "items = \"halt\";", "1", "{\"failed\":\"items\",\"message\":\"halt is not for recipes\"}"},
	    {U "items = \"\\\"x\\\" | halt_error\";", "1", "{\"failed\":\"items\",\"message\":\"x\"}"},
	    {U "items = \"stderr, debug\";", "1", "{\"items\":2}"},
	    {U "items = \"error(\\\"x\\\")?\";", "1", "{\"items\":0}"},
	    {U "items = \"try error(\\\"x\\\") catch .\";", "1", "{\"items\":1}"},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

static void items_are_what_the_body_is_where_nothing_is_said(void **arg)
{
	static const struct program_case all[] = {
	    {PAGE "};", "[1,2,3]", "{\"items\":3}"},
	    {PAGE "};", "[]", "{\"items\":0}"},
	    {PAGE "};", "null", "{\"items\":0}"},
	    {PAGE "};", "{\"a\":1}", "{\"items\":1}"},
	    {PAGE "};", "false", "{\"items\":1}"},
	    {U "key = \".id\";", "[{\"id\":1},{\"id\":1},{}]", "{\"items\":3,\"keys\":[1,1,null]}"},
	    {U "key = \".id // empty\";", "[{\"id\":1},{}]", "{\"items\":2,\"keys\":[1]}"},
	    {U "key = \".ids[]\";", "[{\"ids\":[1,2]},{\"ids\":[3]}]", "{\"items\":2,\"keys\":[1,3]}"},
	    {CURSOR "next = \".n\"; };", "{\"n\":\"x\"}", "{\"next\":\"x\"}"}, /* nobody asks for items */
	    {CURSOR "next = \".n\"; stop_empty = 1; };", "{\"n\":\"x\"}", "{\"items\":1,\"next\":\"x\"}"},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

/* What they have to be is the verdict's to say. */
static void values_are_given_as_they_are(void **arg)
{
	static const char n[] = CURSOR "next = \".n\"; };", m[] = CURSOR "next = \"empty\"; has_more = \".m\"; };";
	static const char p[] = CURSOR "next = \"empty\"; total_pages = \".p\"; };";
	static const struct program_case all[] = {
	    {n, "{\"n\":\"abc\"}", "{\"next\":\"abc\"}"},
	    {n, "{\"n\":12}", "{\"next\":12}"},
	    {n, "{\"n\":null}", "{\"next\":null}"},
	    {n, "{\"n\":false}", "{\"next\":false}"},
	    {n, "{}", "{\"next\":null}"},
	    {n, "{\"n\":{\"id\":{\"N\":\"5\"}}}", "{\"next\":{\"id\":{\"N\":\"5\"}}}"},
	    {CURSOR "next = \"empty\"; };", "1", "{\"next\":null}"},
	    {CURSOR "next = \".[]\"; };", "[\"a\",\"b\"]", "{\"next\":\"a\"}"},
	    {m, "{\"m\":true}", "{\"has_more\":true,\"next\":null}"},
	    {m, "{}", "{\"has_more\":null,\"next\":null}"},
	    {p, "{\"p\":\"16\"}", "{\"next\":null,\"total_pages\":\"16\"}"},
	    {U "page = { type = \"single\"; total_items = \".t\"; }; items = \".i[]\";", "{\"t\":5,\"i\":[1]}",
	     "{\"items\":1,\"total_items\":5}"},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

static void stop_is_a_condition(void **arg)
{
	static const char stop[] = CURSOR "next = \"empty\"; stop = \".m\"; };";
	static const struct program_case all[] = {
	    {stop, "{\"m\":true}", "{\"next\":null,\"stop\":true}"},
	    {stop, "{\"m\":\"x\"}", "{\"next\":null,\"stop\":true}"},
	    {stop, "{\"m\":false}", "{\"next\":null,\"stop\":false}"},
	    {stop, "{}", "{\"next\":null,\"stop\":false}"},
	    {CURSOR "next = \"empty\"; stop = \"empty\"; };", "{}", "{\"next\":null,\"stop\":false}"},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

static void a_keyset_goes_on_behind_its_last_key(void **arg)
{
	static const char k[] = U "page = { type = \"keyset\"; param = \"after\"; }; key = \".id # the id\";";
	static const struct program_case all[] = {
	    {k, "[{\"id\":1},{\"id\":7}]", "{\"items\":2,\"keys\":[1,7],\"next\":7}"},
	    {k, "[{\"id\":\"b\"}]", "{\"items\":1,\"keys\":[\"b\"],\"next\":\"b\"}"},
	    {k, "[]", "{\"items\":0,\"keys\":[],\"next\":null}"},
	    {U "page = { type = \"keyset\"; param = \"after\"; next = \".last\"; }; items = \".i[]\";",
	     "{\"last\":5,\"i\":[1]}", "{\"items\":1,\"next\":5}"},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

static void since_is_the_greatest_value(void **arg)
{
	static const char s[] = U "since = { param = \"s\"; from = \".u\"; };";
	static const struct program_case all[] = {
	    {s, "[{\"u\":3},{\"u\":10},{\"u\":2}]", "{\"items\":3,\"since\":10}"},
	    {s, "[{\"u\":\"b\"},{\"u\":\"\"},{\"u\":\"a\"},{}]", "{\"items\":4,\"since\":\"b\"}"},
	    {s, "[]", "{\"items\":0,\"since\":null}"},
	    {s, "[{}]", "{\"items\":1,\"since\":null}"},
	    {s, "[{\"u\":[1]}]",
	     "{\"failed\":\"since.from\",\"message\":\"it is neither a text nor a number but of type array\"}"},
	    {U "since = { param = \"s\"; from = \".u[]\"; };", "[{\"u\":[1,9]},{\"u\":[]}]",
	     "{\"items\":2,\"since\":1}"},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

/* What follows an expression, and what jq does with `?` and `first`, stays its own affair. */
static void expressions_cannot_spill_into_one_another(void **arg)
{
	static const struct program_case all[] = {
	    {CURSOR "next = \".n # the cursor\"; has_more = \".m # more?\"; }; items = \".i[] # the items\"; key = "
		    "\".k # key\"; "
		    "since = { param = \"s\"; from = \".u # since\"; }; error = \".e # error\";",
	     "{\"n\":1,\"m\":true,\"i\":[{\"k\":2,\"u\":3}]}",
	     "{\"has_more\":true,\"items\":1,\"keys\":[2],\"next\":1,\"since\":3}"},
	    {CURSOR "next = \".n as $x | $x\"; has_more = \"def f: .m; f\"; }; items = \"label $out | .i[] | if . > 2 "
		    "then break "
		    "$out else . end\";",
	     "{\"n\":1,\"m\":true,\"i\":[1,2,3,4]}", "{\"has_more\":true,\"items\":2,\"next\":1}"},
	    {CURSOR "next = \".n, .m\"; }; items = \".i[], .j[]\"; key = \".a, .b\";",
	     "{\"n\":1,\"i\":[{\"a\":1}],\"j\":[{\"a\":2}]}", "{\"items\":2,\"keys\":[1,2],\"next\":1}"},
	    {CURSOR "next = \".i[] | .n?\"; }; items = \".i[]?\"; key = \"(.n,.n) | .?\";",
	     "{\"i\":[{\"n\":1},{\"n\":2}]}", "{\"items\":2,\"keys\":[1,2],\"next\":1}"},
	    {CURSOR
	     "next = \"[paths] | length\"; has_more = \"first(path(..)) | length == 0\"; stop = \"path(..) | .?\"; };",
	     "{\"a\":[1]}", "{\"has_more\":true,\"next\":2,\"stop\":true}"},
	    {U "items = \".i\\n|\\n.[]\\n\\n# and so on\\n\";", "{\"i\":[1,2]}", "{\"items\":2}"},
	};

	(void)arg;
	check_all(all, sizeof all / sizeof *all);
}

/* ---- items ---- */

static void items_are_streamed(void **arg)
{
	struct recipe *r = parse(U "items = \".result[] | {id, p: $page, k: $vars.kind} # all\";");
	char *program = recipe_items_program(r);
	struct err e;
	jq_state *jq = jq_items_compile(program, &e);
	const char *wanted[] = {"{\"id\":1,\"p\":3,\"k\":\"cats\"}", "{\"id\":2,\"p\":3,\"k\":\"cats\"}"};

	(void)arg;
	assert_non_null(jq);
	jq_start(jq, envelope("{\"result\":[{\"id\":1,\"x\":2},{\"id\":2}]}"), 0);
	for (size_t i = 0; i < 2; i++) {
		jv text = jv_dump_string(jq_next(jq), 0);

		assert_string_equal(jv_string_value(text), wanted[i]);
		jv_free(text);
	}
	assert_false(jv_is_valid(jq_next(jq)));
	jq_start(jq, envelope("{\"result\":[{\"id\":1},5]}"), 0);
	jv_free(jq_next(jq));
	jv end = jq_next(jq);

	assert_false(jv_is_valid(end));
	end = jv_invalid_get_msg(end);
	assert_string_equal(jv_string_value(end), "Cannot index number with string \"id\"");
	jv_free(end);
	jq_teardown(&jq);
	free(program);
	recipe_free(r);
}

static void items_default_to_the_elements(void **arg)
{
	struct recipe *r = parse(U);
	char *program = recipe_items_program(r);
	jq_state *jq = jq_items_compile(program, NULL);

	(void)arg;
	assert_non_null(jq);
	jq_start(jq, envelope("[7]"), 0);
	jv v = jq_next(jq);

	assert_true(jv_number_value(v) == 7);
	jv_free(v);
	assert_false(jv_is_valid(jq_next(jq)));
	jq_teardown(&jq);
	free(program);
	recipe_free(r);
}

/* ---- many ---- */

static jv many_items(int n)
{
	jv list = jv_array();

	for (int i = 0; i < n; i++) {
		char text[300];

		snprintf(text, sizeof text,
			 "{\"id\":%d,\"updated_at\":\"2026-01-01T%02d:%02d:%02dZ\",\"name\":\"item "
			 "%d\",\"text\":\"%0100d\"}",
			 i, i / 3600 % 24, i / 60 % 60, i % 60, i, i);
		list = jv_array_append(list, jv_parse(text));
	}
	return list;
}

/* No bound on the time here (machines differ); the figure is printed for who wants it. */
static void ten_thousand_items_are_counted_keyed_and_compared(void **arg)
{
	struct recipe *r =
	    parse(CURSOR "next = \".next\"; has_more = \".more\"; total_items = \".total\"; }; items = \".list[]\"; "
			 "key = \".id\"; since = { param = \"s\"; from = \".updated_at\"; };");
	char *program = recipe_program(r);
	jq_state *jq = compile(program);
	jv input = jv_object_set(envelope("null"), jv_string("body"),
				 jv_object_set(jv_parse("{\"next\":\"c\",\"more\":true,\"total\":50000}"),
					       jv_string("list"), many_items(10000)));
	struct timespec from, to;
	jv v, keys;

	(void)arg;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	v = run_once(jq, input);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	printf("10 000 items: %.1f ms\n",
	       (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6);
	assert_true(jv_number_value(jv_object_get(jv_copy(v), jv_string("items"))) == 10000);
	keys = jv_object_get(v, jv_string("keys"));
	assert_int_equal(jv_array_length(jv_copy(keys)), 10000);
	assert_true(jv_number_value(jv_array_get(keys, 9999)) == 9999);
	jq_teardown(&jq);
	free(program);
	recipe_free(r);
}

/* ---- checking ---- */

static void an_expression_that_does_not_compile_is_told_with_its_line(void **arg)
{
	static const struct {
		const char *text;
		unsigned line; /* where it begins: 12 */
		const char *what;
	} bad[] = {
	    {".a[", 12, "pulls.d/x.conf:12: page.next: syntax error, unexpected end of the program"},
	    {".a |\n.b |\nfoo", 14, "pulls.d/x.conf:14: page.next: foo/0 is not defined"},
	    {"1) | (2", 12,
	     "pulls.d/x.conf:12: page.next: syntax error, unexpected character, expecting end of the program"},
	    {"$nope", 12, "pulls.d/x.conf:12: page.next: $nope is not defined"},
	    {". as $x", 12, "pulls.d/x.conf:12: page.next: syntax error, unexpected end of the program, expecting '|'"},
	    {"", 12, "pulls.d/x.conf:12: page.next: syntax error, unexpected end of the program"},
	};
	static const char *const good[] = {".a # x", "$page + $status", "$vars.a, $headers.b, $body", "def f: .; f"};
	struct err e;

	(void)arg;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(jq_expr_check(bad[i].text, "pulls.d/x.conf", 12, "page.next", &e), -1);
		assert_int_equal(e.code, ERR_INPUT);
		assert_string_equal(e.what, bad[i].what);
		assert_int_equal(e.line, bad[i].line);
	}
	for (size_t i = 0; i < sizeof good / sizeof *good; i++)
		assert_int_equal(jq_expr_check(good[i], "f", 1, "items", &e), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_recipe_without_expressions_has_no_program),
	    cmocka_unit_test(bodies_of_real_apis_are_understood),
	    cmocka_unit_test(error_is_judged_first_and_stands_alone),
	    cmocka_unit_test(what_fails_says_where),
	    cmocka_unit_test(items_are_what_the_body_is_where_nothing_is_said),
	    cmocka_unit_test(values_are_given_as_they_are),
	    cmocka_unit_test(stop_is_a_condition),
	    cmocka_unit_test(a_keyset_goes_on_behind_its_last_key),
	    cmocka_unit_test(since_is_the_greatest_value),
	    cmocka_unit_test(expressions_cannot_spill_into_one_another),
	    cmocka_unit_test(items_are_streamed),
	    cmocka_unit_test(items_default_to_the_elements),
	    cmocka_unit_test(ten_thousand_items_are_counted_keyed_and_compared),
	    cmocka_unit_test(an_expression_that_does_not_compile_is_told_with_its_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
