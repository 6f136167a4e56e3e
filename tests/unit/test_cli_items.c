/* From pages to items: values as text, numbers that do not fit, columns, names of files, each item once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "cli/items_columns.h"
#include "cli/items_json.h"
#include "cli/items_name.h"
#include "cli/items_numbers.h"
#include "cli/items_view.h"

/* ---- values as text ---- */

static void expect_as_libjq(jv v)
{
	jv dumped = jv_dump_string(jv_copy(v), 0);
	struct text t = {0};

	items_json_add(&t, v);
	assert_string_equal(t.data, jv_string_value(dumped));
	assert_int_equal(t.len, jv_string_length_bytes(jv_copy(dumped)));
	text_clear(&t);
	jv_free(dumped);
}

static void values_are_written_as_libjq_writes_them(void **arg)
{
	static const char *const texts[] = {
	    "null",
	    "[true,false,null]",
	    "{}",
	    "[]",
	    "[[],{},[[1]]]",
	    "[0,-0,1,-1,10,123456789012345,-999999999999999,1000000000000000,1e15,1e17,1e18,12345678901234567890]",
	    "[0.1,-0.5,1.5e-7,3.141592653589793,1e300,1e400,-1e400,123456.789]",
	    "\"\"",
	    "\"a \\\"quoted\\\" \\\\ / \\u0000 \\u0001 \\b\\f\\n\\r\\t \\u001f \\u007f\"",
	    "\"\\u00e9\\u20ac\\ud83d\\ude00 caf\\u00e9\"",
	    "{\"b\":1,\"a\":2,\"\\u0000k\":[{\"c\":\"\\n\"}],\"\":null}",
	};

	(void)arg;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		expect_as_libjq(jv_parse(texts[i]));
}

static void a_text_with_every_byte_is_written_as_libjq_writes_it(void **arg)
{
	char all[128];

	(void)arg;
	for (int i = 0; i < 128; i++)
		all[i] = (char)i;
	expect_as_libjq(jv_string_sized(all, sizeof all));
}

static void what_is_nested_too_deep_is_left_to_libjq(void **arg)
{
	jv v = jv_string("in");

	(void)arg;
	for (int i = 0; i < 190; i++)
		v = jv_array_append(jv_array(), v);
	expect_as_libjq(jv_copy(v));
	for (int i = 0; i < 40; i++)
		v = jv_array_append(jv_array(), v);
	expect_as_libjq(v);
}

/* ---- numbers ---- */

static void numbers_that_a_double_holds_are_no_reason_to_warn(void **arg)
{
	static const char *const fine[] = {
	    "",
	    "[1,2.5,-3e7,0,0.000,0e99999]",
	    "[9007199254740992,9007199254740994]",
	    "[0.30000000000000004,0.1234567890123456,1.7976931348623157e308,5e-300]",
	    "[100000000000000000000,1000000000000000000000000000000]",
	    "{\"id\":\"9007199254740993\",\"9007199254740993\":1,\"q\":\"\\\"9007199254740993\"}",
	    "\"broken 9007199254740993",
	    "\"broken \\",
	};
	size_t n;

	(void)arg;
	for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
		if (items_inexact(fine[i], strlen(fine[i]), &n))
			fail_msg("%s", fine[i]);
}

static void a_number_that_a_double_does_not_hold_is_found(void **arg)
{
	static const struct {
		const char *json, *number;
	} bad[] = {
	    {"[1,9007199254740993]", "9007199254740993"},
	    {"{\"a\":\"x\",\"id\":-9007199254740993}", "9007199254740993"},
	    {"[12345678901234567890]", "12345678901234567890"},
	    {"[0.12345678901234567891]", "0.12345678901234567891"},
	    {"[1e400]", "1e400"},
	    {"[1E-400]", "1E-400"},
	    {"9007199254740993", "9007199254740993"},
	};
	size_t n;

	(void)arg;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		const char *found = items_inexact(bad[i].json, strlen(bad[i].json), &n);

		if (!found)
			fail_msg("%s", bad[i].json);
		assert_int_equal(n, strlen(bad[i].number));
		assert_memory_equal(found, bad[i].number, n);
	}
}

static void a_number_of_a_thousand_digits_is_found_too(void **arg)
{
	char json[1003];
	size_t n;

	(void)arg;
	memset(json, '7', sizeof json);
	json[0] = '[';
	json[sizeof json - 1] = ']';
	assert_ptr_equal(items_inexact(json, sizeof json, &n), json + 1);
	assert_int_equal(n, sizeof json - 2);
}

/* ---- columns ---- */

static void expect_csv(struct items_columns *c, const char *item, const char *expected)
{
	struct text t = {0};

	items_columns_add_row(c, jv_parse(item), &t);
	assert_string_equal(t.data, expected);
	text_clear(&t);
}

static void columns_are_the_members_in_the_order_in_which_they_appear(void **arg)
{
	struct items_columns *c = items_columns_create();
	struct text t = {0};

	(void)arg;
	items_columns_learn(c, jv_parse("{\"id\":1,\"name\":\"a\"}"));
	items_columns_learn(c, jv_parse("{\"tags\":[],\"id\":2,\"a.b\":3}"));
	items_columns_add_header(c, &t);
	assert_string_equal(t.data, "id,name,tags,a.b\r\n");
	expect_csv(c, "{\"id\":1,\"name\":\"a\"}", "1,a,,\r\n");
	expect_csv(c, "{\"a.b\":true,\"tags\":[1,\"x\"],\"id\":null,\"name\":\"say \\\"hi\\\",\\nyou\"}",
		   ",\"say \"\"hi\"\",\nyou\",\"[1,\"\"x\"\"]\",true\r\n");
	expect_csv(c, "7", ",,,\r\n");
	text_clear(&t);
	items_columns_free(c);
}

static void a_member_that_came_later_is_noticed(void **arg)
{
	struct items_columns *c = items_columns_create();
	jv fine = jv_parse("{\"id\":2}"), more = jv_parse("{\"id\":2,\"new\":1}"), scalar = jv_number(1);

	(void)arg;
	items_columns_learn(c, jv_parse("{\"id\":1,\"name\":\"a\"}"));
	assert_null(items_columns_other(c, fine));
	assert_null(items_columns_other(c, scalar));
	assert_string_equal(items_columns_other(c, more), "new");
	jv_free(fine);
	jv_free(more);
	items_columns_free(c);
}

static void what_is_no_object_has_one_column(void **arg)
{
	struct items_columns *c = items_columns_create();
	struct text t = {0};

	(void)arg;
	items_columns_learn(c, jv_string("x"));
	items_columns_add_header(c, &t);
	assert_string_equal(t.data, "value\r\n");
	expect_csv(c, "\"a,b\"", "\"a,b\"\r\n");
	expect_csv(c, "[1,2]", "\"[1,2]\"\r\n");
	expect_csv(c, "{\"a\":1}", "\r\n");
	text_clear(&t);
	items_columns_free(c);
}

static void fields_are_paths(void **arg)
{
	struct err e;
	struct items_columns *c = items_columns_parse("id,owner.name,tags.1", &e);
	struct text t = {0};

	(void)arg;
	assert_non_null(c);
	expect_csv(c, "{\"id\":7,\"owner\":{\"name\":\"o\"},\"tags\":[1,2]}", "7,o,2\r\n");
	expect_csv(c, "{\"id\":7,\"owner\":\"o\",\"tags\":{}}", "7,,\r\n");
	items_json_add(&t, items_columns_choose(c, jv_parse("{\"x\":1,\"tags\":[1],\"owner\":{\"name\":\"o\"}}")));
	assert_string_equal(t.data, "{\"id\":null,\"owner.name\":\"o\",\"tags.1\":null}");
	text_clear(&t);
	items_columns_free(c);
	for (size_t i = 0; i < 4; i++) {
		assert_null(items_columns_parse(((const char *[]){"", "a,", "a..b", ".a"})[i], &e));
		assert_int_equal(e.code, ERR_USAGE);
	}
}

/* ---- names of files ---- */

static void a_name_has_date_pull_and_run(void **arg)
{
	struct text t = {0};
	struct err e;

	(void)arg;
	setenv("TZ", "UTC", 1);
	tzset();
	assert_int_equal(items_name_check("out/{name}-{run}-{date}.csv", &e), 0);
	items_name_expand("out/{name}-{run}-{date}.csv", "species", 7, INT64_C(1767323045) * 1000000, &t);
	assert_string_equal(t.data, "out/species-7-2026-01-02.csv");
	text_clear(&t);
}

static void a_field_that_is_none_is_refused(void **arg)
{
	struct err e;

	(void)arg;
	assert_int_equal(items_name_check("{dat}.csv", &e), -1);
	assert_int_equal(e.code, ERR_USAGE);
	assert_non_null(strstr(e.what, "did you mean {date}?"));
	assert_int_equal(items_name_check("{date", &e), -1);
	assert_int_equal(items_name_check("{seq}", &e), -1);
}

/* ---- views ---- */

struct got {
	struct text lines;
};

static int on_item(void *arg, jv item, struct err *e)
{
	struct got *g = arg;

	(void)e;
	items_json_add(&g->lines, item);
	text_add_char(&g->lines, '\n');
	return 0;
}

static struct recipe *recipe_of(const char *expressions)
{
	char text[500];
	struct err e = {0};
	struct recipe *r;

	snprintf(text, sizeof text, "url = \"http://a.example/\"; vars = { kind = \"x\"; };\n%s", expressions);
	r = recipe_parse("t", "t.conf", text, &e);
	if (!r)
		fail_msg("%s", e.what);
	return r;
}

/* Two pages with the same view. `page` NULL: there is none. */
static void expect_items(const char *expressions, const char *expr, bool unique, const char *first, const char *second,
			 const char *expected)
{
	struct recipe *r = recipe_of(expressions);
	struct err e = {0};
	struct items_view *v = items_view_create(r, "{\"kind\":\"x\"}", expr, unique ? ITEMS_UNIQUE : ITEMS_ALL, &e);
	const char *bodies[] = {first, second};
	struct got g = {0};

	if (!v)
		fail_msg("%s", e.what);
	for (unsigned i = 0; i < 2 && bodies[i]; i++) {
		struct items_page p = {.kind = ITEMS_PAGE, .page = i + 1, .status = 200, .body = jv_parse(bodies[i])};

		if (items_view_page(v, &p, on_item, &g, &e) < 0)
			text_printf(&g.lines, "%s", e.what);
		items_page_clear(&p);
	}
	assert_string_equal(g.lines.data ? g.lines.data : "", expected);
	text_clear(&g.lines);
	items_view_free(v);
	recipe_free(r);
}

static void items_are_what_the_recipe_says(void **arg)
{
	(void)arg;
	expect_items("items = \".r[]\";", NULL, false, "{\"r\":[1,{\"a\":2}]}", "{\"r\":[1]}", "1\n{\"a\":2}\n1\n");
	expect_items("items = \".r[] # all\";", NULL, false, "{\"r\":[1]}", NULL, "1\n");
	expect_items("", NULL, false, "[1,2]", "null", "1\n2\n");
	expect_items("items = \".[] | [., $status, $vars.kind, $page]\";", NULL, false, "[1]", NULL,
		     "[1,200,\"x\",null]\n");
}

static void an_expression_is_run_on_each_item(void **arg)
{
	(void)arg;
	expect_items("items = \".[]\";", ".a, .b", false, "[{\"a\":1,\"b\":2},{\"a\":3,\"b\":4}]", NULL,
		     "1\n2\n3\n4\n");
	expect_items("items = \".[]\";", "select(. > 1) # big", false, "[1,2]", "[3]", "2\n3\n");
}

static void each_item_comes_once_by_its_key_or_by_all_of_it(void **arg)
{
	(void)arg;
	expect_items("items = \".[]\"; key = \".id\";", NULL, true, "[{\"id\":1,\"v\":1},{\"id\":2}]",
		     "[{\"id\":1,\"v\":2},{\"id\":3}]", "{\"id\":1,\"v\":1}\n{\"id\":2}\n{\"id\":3}\n");
	expect_items("items = \".[]\";", NULL, true, "[{\"a\":1,\"b\":2},1]", "[{\"b\":2,\"a\":1},1,\"1\"]",
		     "{\"a\":1,\"b\":2}\n1\n\"1\"\n");
	expect_items("items = \".[]\"; key = \".id\";", NULL, true, "[{\"v\":1},{\"v\":2},{\"v\":1}]", NULL,
		     "{\"v\":1}\n{\"v\":2}\n");
	expect_items("items = \".[]\"; key = \".id\";", ".v", true, "[{\"id\":1,\"v\":7},{\"id\":1,\"v\":8}]",
		     "[{\"id\":2,\"v\":7}]", "7\n7\n");
	expect_items("items = \".[]\"; key = \".id | select(. > 1)\";", NULL, true,
		     "[{\"id\":1},{\"id\":1},{\"id\":2}]", NULL, "{\"id\":1}\n{\"id\":2}\n");
}

static void what_fails_names_the_page(void **arg)
{
	(void)arg;
	expect_items("items = \".r[]\";", NULL, false, "{\"r\":[1]}", "{}",
		     "1\npage 2: items: Cannot iterate over null (null)");
	expect_items("items = \".[]\";", ".a", false, "[{\"a\":1},2,{\"a\":3}]", NULL,
		     "1\npage 1: --jq: Cannot index number with string \"a\"");
}

static void many_keys_are_remembered(void **arg)
{
	struct recipe *r = recipe_of("items = \"range(.)\";");
	struct err e = {0};
	struct items_view *v = items_view_create(r, "{}", NULL, ITEMS_UNIQUE, &e);
	size_t newlines = 0;
	struct got g = {0};

	(void)arg;
	for (unsigned i = 0; i < 3; i++) {
		struct items_page p = {
		    .kind = ITEMS_PAGE, .page = i + 1, .status = 200, .body = jv_number(10000 * (1 + i % 2))};

		assert_int_equal(items_view_page(v, &p, on_item, &g, &e), 0);
		items_page_clear(&p);
	}
	for (size_t i = 0; i < g.lines.len; i++)
		newlines += g.lines.data[i] == '\n';
	assert_int_equal(newlines, 20000);
	text_clear(&g.lines);
	items_view_free(v);
	recipe_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(values_are_written_as_libjq_writes_them),
	    cmocka_unit_test(a_text_with_every_byte_is_written_as_libjq_writes_it),
	    cmocka_unit_test(what_is_nested_too_deep_is_left_to_libjq),
	    cmocka_unit_test(numbers_that_a_double_holds_are_no_reason_to_warn),
	    cmocka_unit_test(a_number_that_a_double_does_not_hold_is_found),
	    cmocka_unit_test(a_number_of_a_thousand_digits_is_found_too),
	    cmocka_unit_test(columns_are_the_members_in_the_order_in_which_they_appear),
	    cmocka_unit_test(a_member_that_came_later_is_noticed),
	    cmocka_unit_test(what_is_no_object_has_one_column),
	    cmocka_unit_test(fields_are_paths),
	    cmocka_unit_test(a_name_has_date_pull_and_run),
	    cmocka_unit_test(a_field_that_is_none_is_refused),
	    cmocka_unit_test(items_are_what_the_recipe_says),
	    cmocka_unit_test(an_expression_is_run_on_each_item),
	    cmocka_unit_test(each_item_comes_once_by_its_key_or_by_all_of_it),
	    cmocka_unit_test(what_fails_names_the_page),
	    cmocka_unit_test(many_keys_are_remembered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
