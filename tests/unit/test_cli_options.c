/* Options from tables, and what was probably meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/verbs.h"
#include "lib/closest.h"

#define WORDS_MAX 16

/* Parses `line` (words between blanks) as `verb` would; returns what options_parse did. */
static int parse(const char *verb, const char *line, struct args *args, struct err *e)
{
	static char words[400], *argv[WORDS_MAX + 1];
	const struct opt *groups[OPT_GROUPS_MAX + 2];
	int argc = 0, used;

	memset(e, 0, sizeof *e);
	*args = (struct args){0};
	snprintf(words, sizeof words, "%s %s", verb, line);
	for (char *w = strtok(words, " "); w && argc < WORDS_MAX; w = strtok(NULL, " "))
		argv[argc++] = w;
	argv[argc] = NULL;
	verb_groups(verb_find(verb), groups);
	return options_parse(args, groups, " verb", argc, argv, false, &used, e);
}

static void refused(const char *verb, const char *line, const char *what)
{
	struct args args;
	struct err e;

	if (parse(verb, line, &args, &e) == 0)
		fail_msg("%s %s was taken", verb, line);
	free(args.rates.values);
	assert_int_equal(e.code, ERR_USAGE);
	if (!strstr(e.what, what))
		fail_msg("%s %s: \"%s\" does not say \"%s\"", verb, line, e.what, what);
}

static void options_may_follow_operands(void **arg)
{
	struct args args;
	struct err e;

	(void)arg;
	assert_int_equal(parse("submit", "http://a --concurrency 3 http://b -p", &args, &e), 0);
	assert_string_equal(args.concurrency, "3");
	assert_true(args.print_id);
	assert_int_equal(args.operand_count, 2);
	assert_string_equal(args.operands[0], "http://a");
	assert_string_equal(args.operands[1], "http://b");
}

static void two_dashes_end_the_options(void **arg)
{
	struct args args;
	struct err e;

	(void)arg;
	assert_int_equal(parse("submit", "-p -- -q --chain", &args, &e), 0);
	assert_false(args.quiet);
	assert_int_equal(args.operand_count, 2);
	assert_string_equal(args.operands[1], "--chain");
}

static void values_may_stand_behind_an_equals_sign_or_the_letter(void **arg)
{
	struct args args;
	struct err e;

	(void)arg;
	assert_int_equal(parse("submit", "--priority=9 -n5 -fjson --name= x", &args, &e), 0);
	assert_string_equal(args.priority, "9");
	assert_string_equal(args.repeat, "5");
	assert_int_equal(args.format, FORMAT_JSON);
	assert_string_equal(args.name, "");
}

static void a_list_keeps_order_and_origin(void **arg)
{
	struct args args;
	struct err e;

	(void)arg;
	assert_int_equal(parse("submit", "-d a --data-binary b -d c x", &args, &e), 0);
	assert_int_equal(args.data.count, 3);
	assert_string_equal(args.data.values[1].text, "b");
	assert_string_equal(args.data.values[1].opt->name, "data-binary");
	assert_string_equal(args.data.values[2].opt->name, "data");
	free(args.data.values);
}

static void a_wrong_option_is_named_with_the_nearest(void **arg)
{
	(void)arg;
	refused("submit", "--concurency 3 x", " verb: unknown option --concurency; did you mean --concurrency?");
	refused("submit", "x --hedaer=A:b", "unknown option --hedaer; did you mean --header?");
	refused("submit", "--xyzzy x", "unknown option --xyzzy");
	refused("submit", "-Z x", "unknown option -Z");
	refused("wait", "--concurrency 3 7", "unknown option --concurrency");
	refused("submit", "--con 3 x", "--con may be one of several options");
}

static void wrong_values_are_refused(void **arg)
{
	(void)arg;
	refused("submit", "--concurrency 0 x", "--concurrency takes a whole number from 1 to");
	refused("submit", "--concurrency -3 x", "not \"-3\"");
	refused("submit", "--concurrency 3x x", "not \"3x\"");
	refused("submit", "--priority 10 x", "from 0 to 9");
	refused("submit", "--max-attempts 101 x", "from 1 to 100");
	refused("submit", "--timeout soon x", "--timeout: \"soon\" is not a duration");
	refused("submit", "--max-body 3Q x", "--max-body: \"3Q\" is not a size");
	refused("submit", "-f xml x", "there is no format \"xml\"");
	refused("results", "--state faild 7", "did you mean failed?");
	refused("submit", "--chain=yes x", "--chain takes no value");
	refused("submit", "x --name", "--name needs a value");
	refused("submit", "x -n", "--repeat needs a value");
	refused("submit", "--rate 100 x", "--rate: \"100\" is not a rate");
	refused("limits set", "--rate 100/min --rate 5/fortnight x", "--rate: \"5/fortnight\" is not a rate");
	refused("submit", "--on-limit wiat x", "--on-limit takes wait|drop|fail, not \"wiat\"; did you mean wait?");
	refused("submit", "--deadline 500ms x", "--deadline takes a time from 1.00 s to 30 d 00 h, not \"500ms\"");
	refused("submit", "--deadline 31d x", "--deadline takes a time from");
	refused("submit", "--max-redirects 51 x", "--max-redirects takes a whole number from 0 to 50");
	refused("audit", "--since someday h", "--since: \"someday\" is no time");
}

static void a_second_file_is_refused_and_not_taken_for_the_first(void **arg)
{
	(void)arg;
	refused("submit", "-i a.txt -i b.txt", " verb: --input can be given once, and a.txt would not be read");
	refused("fetch", "-i a.txt --input=- -o {seq}", "--input can be given once");
	refused("pull test", "r --body a --body a", "--body can be given once, and a would not be read");
	refused("pull test", "r --body a --headers b --headers c", "--headers can be given once");
}

static const struct verb *match(const char *line, int *used)
{
	static char words[100], *argv[WORDS_MAX];
	int argc = 0;

	snprintf(words, sizeof words, "%s", line);
	for (char *w = strtok(words, " "); w && argc < WORDS_MAX; w = strtok(NULL, " "))
		argv[argc++] = w;
	return verb_match(argc, argv, used);
}

static void a_verb_may_have_two_words(void **arg)
{
	int used;

	(void)arg;
	assert_string_equal(match("limits set a", &used)->name, "limits set");
	assert_int_equal(used, 2);
	assert_string_equal(match("limits a", &used)->name, "limits");
	assert_int_equal(used, 1);
	assert_string_equal(match("limits", &used)->name, "limits");
	assert_string_equal(match("submit set", &used)->name, "submit");
	assert_null(match("set limits", &used));
}

static void distances_count_edits(void **arg)
{
	(void)arg;
	assert_int_equal(closest_distance("", "abc"), 3);
	assert_int_equal(closest_distance("submit", "submit"), 0);
	assert_int_equal(closest_distance("sumbit", "submit"), 1);
	assert_int_equal(closest_distance("resluts", "results"), 1);
	assert_int_equal(closest_distance("kitten", "sitting"), 3);
}

static const char *closest_verb(const char *word)
{
	struct closest near = {.word = word};

	for (const struct verb *v = verbs; v->name; v++)
		closest_offer(&near, v->name);
	return near.name;
}

static void the_nearest_verb_is_found_and_nothing_silly(void **arg)
{
	(void)arg;
	assert_string_equal(closest_verb("sumbit"), "submit");
	assert_string_equal(closest_verb("resuts"), "results");
	assert_string_equal(closest_verb("stat"), "status");
	assert_string_equal(closest_verb("cancle"), "cancel");
	assert_null(closest_verb("frobnicate"));
	assert_null(closest_verb("x"));
}

/* What the table promises to main, help and completion. */
static void the_verb_table_is_sound(void **arg)
{
	(void)arg;
	for (const struct verb *v = verbs; v->name; v++) {
		const struct opt *groups[OPT_GROUPS_MAX + 2];
		char letters[256] = {0};

		assert_non_null(v->run);
		assert_true(v->least <= v->most);
		assert_ptr_equal(verb_find(v->name), v);
		/* Second words stand behind their first: help and completion read the table in order. */
		if (strchr(v->name, ' '))
			assert_true(strncmp(v->name, v[-1].name, strcspn(v->name, " ")) == 0);
		verb_groups(v, groups);
		for (size_t g = 0; groups[g]; g++)
			for (const struct opt *o = groups[g]; o->name; o++) {
				if (o->letter && letters[(unsigned char)o->letter]++)
					fail_msg("%s: -%c means two things", v->name, o->letter);
				assert_non_null(o->help);
				assert_true((o->kind == OPT_FLAG) == (o->arg == NULL));
				assert_true(o->kind != OPT_NUMBER || o->min < o->max);
				assert_true((o->kind == OPT_CHOICE) == (o->choices != NULL));
			}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(options_may_follow_operands),
	    cmocka_unit_test(two_dashes_end_the_options),
	    cmocka_unit_test(values_may_stand_behind_an_equals_sign_or_the_letter),
	    cmocka_unit_test(a_list_keeps_order_and_origin),
	    cmocka_unit_test(a_wrong_option_is_named_with_the_nearest),
	    cmocka_unit_test(wrong_values_are_refused),
	    cmocka_unit_test(a_second_file_is_refused_and_not_taken_for_the_first),
	    cmocka_unit_test(a_verb_may_have_two_words),
	    cmocka_unit_test(distances_count_edits),
	    cmocka_unit_test(the_nearest_verb_is_found_and_nothing_silly),
	    cmocka_unit_test(the_verb_table_is_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
