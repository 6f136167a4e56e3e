/* URL patterns: curl's rules, order and refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/glob.h"

/* All URLs of a pattern, with blanks between. */
static void expect(const char *pattern, const char *urls)
{
	struct err e = {0};
	struct glob *g = glob_create(pattern, &e);
	struct text url = {0}, all = {0};
	uint64_t n = 0;

	if (!g)
		fail_msg("%s was refused: %s", pattern, e.what);
	while (glob_next(g, &url)) {
		if (n++)
			text_add_char(&all, ' ');
		text_add_str(&all, url.len ? url.data : "");
	}
	assert_string_equal(all.data, urls);
	assert_int_equal(glob_count(g), n);
	text_clear(&url);
	text_clear(&all);
	glob_free(g);
}

static void refused(const char *pattern, const char *what, unsigned position)
{
	char where[40];
	struct err e = {0};
	struct glob *g = glob_create(pattern, &e);

	if (g)
		fail_msg("%s was taken", pattern);
	snprintf(where, sizeof where, "at position %u of", position);
	assert_int_equal(e.code, ERR_USAGE);
	if (!strstr(e.what, what) || !strstr(e.what, where))
		fail_msg("%s: \"%s\" does not say \"%s\" %s", pattern, e.what, what, where);
}

static void a_url_without_patterns_is_itself(void **arg)
{
	(void)arg;
	expect("http://h/p?q=1", "http://h/p?q=1");
}

static void a_range_counts_up(void **arg)
{
	(void)arg;
	expect("h/[1-4]", "h/1 h/2 h/3 h/4");
	expect("h/[9-11].x", "h/9.x h/10.x h/11.x");
	expect("[0-0]", "0");
}

static void a_zero_in_front_fixes_the_width(void **arg)
{
	(void)arg;
	expect("[008-010]", "008 009 010");
	expect("[0-10:5]", "0 5 10");
	expect("[00-10:5]", "00 05 10");
}

static void a_range_may_have_a_step(void **arg)
{
	(void)arg;
	expect("[1-10:4]", "1 5 9");
	expect("[a-z:12]", "a m y");
}

static void letters_range_too(void **arg)
{
	(void)arg;
	expect("x[a-c]", "xa xb xc");
	expect("[A-C]", "A B C");
}

static void a_set_lists_its_words(void **arg)
{
	(void)arg;
	expect("h/{one,two,3}/", "h/one/ h/two/ h/3/");
	expect("{a,}", "a ");
	expect("{x}", "x");
}

static void the_last_pattern_changes_fastest(void **arg)
{
	(void)arg;
	expect("{a,b}[1-2]", "a1 a2 b1 b2");
	expect("[1-2]{x,y}[a-b]", "1xa 1xb 1ya 1yb 2xa 2xb 2ya 2yb");
}

static void a_backslash_takes_brackets_literally(void **arg)
{
	(void)arg;
	expect("h/\\[1-2\\]", "h/[1-2]");
	expect("h/\\{a\\}", "h/{a}");
	expect("h/{a\\,b,c}", "h/a,b h/c");
	expect("h/a\\b", "h/a\\b");
}

static void an_ipv6_address_is_no_range(void **arg)
{
	(void)arg;
	expect("http://[::1]:80/[1-2]", "http://[::1]:80/1 http://[::1]:80/2");
	expect("http://[fe80::1%25eth0]/", "http://[fe80::1%25eth0]/");
	expect("h/?a[]=1", "h/?a[]=1");
}

static void wrong_patterns_are_refused_with_their_position(void **arg)
{
	(void)arg;
	refused("h/[1-", "a range", 3);
	refused("h/[3-1]", "leads nowhere", 3);
	refused("h/[1-3:0]", "leads nowhere", 3);
	refused("h/[1-3:9]", "leads nowhere", 3);
	refused("h/[a-5]", "a range", 3);
	refused("h/[x]", "a range", 3);
	refused("h/{a,b", "not closed", 3);
	refused("h/{a,{b}}", "within braces", 6);
	refused("h/{}", "an empty set", 3);
	refused("h/}", "not opened", 3);
	refused("h/]", "not opened", 3);
	refused("[1-99999999999999999999999]", "a range", 1);
}

static void a_count_too_large_is_said_to_be_the_largest(void **arg)
{
	struct glob *g = glob_create("[0-9999999999999][0-9999999999999]", NULL);

	(void)arg;
	assert_non_null(g);
	assert_true(glob_count(g) == UINT64_MAX);
	glob_free(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_url_without_patterns_is_itself),
	    cmocka_unit_test(a_range_counts_up),
	    cmocka_unit_test(a_zero_in_front_fixes_the_width),
	    cmocka_unit_test(a_range_may_have_a_step),
	    cmocka_unit_test(letters_range_too),
	    cmocka_unit_test(a_set_lists_its_words),
	    cmocka_unit_test(the_last_pattern_changes_fastest),
	    cmocka_unit_test(a_backslash_takes_brackets_literally),
	    cmocka_unit_test(an_ipv6_address_is_no_range),
	    cmocka_unit_test(wrong_patterns_are_refused_with_their_position),
	    cmocka_unit_test(a_count_too_large_is_said_to_be_the_largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
