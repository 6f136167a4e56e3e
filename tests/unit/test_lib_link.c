/* Link fields: every way in which they may be written is read, and what breaks the grammar does no harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/head.h"
#include "lib/link.h"

#define URL "https://api.example.org/v1/cats?page=2"
#define API "https://api.example.org"

struct expectation {
	const char *lines;
	const char *next; /* NULL: none; "!…": refused in these words */
};

static void check(const struct expectation *x)
{
	char head[8192], got[1024] = "nothing";
	char *target = NULL;
	struct err e;
	int rc;

	snprintf(head, sizeof head, "HTTP/1.1 200 OK\nServer: x\n%s%sX-Last: 1\n", x->lines, x->lines[0] ? "\n" : "");
	rc = link_find(head, URL, "next", &target, &e);
	if (rc)
		snprintf(got, sizeof got, "%s%s", rc < 0 ? "!" : "", rc < 0 ? e.what : target);
	if (strcmp(got, x->next ? x->next : "nothing") != 0)
		fail_msg("%s\n  leads to %s,\n  not to %s", x->lines, got, x->next ? x->next : "nothing");
	free(target);
}

#define CHECK_ALL(table)                                             \
	for (size_t i = 0; i < sizeof(table) / sizeof *(table); i++) \
	check(&(table)[i])

static void a_link_is_found_however_it_is_written(void **arg)
{
	static const struct expectation table[] = {
	    {"", NULL},
	    {"Link: <https://b.example/3>; rel=\"next\"", "https://b.example/3"},
	    {"link: <https://b.example/3>; rel=\"next\"", "https://b.example/3"},
	    {"LINK:<https://b.example/3>;rel=next", "https://b.example/3"},
	    {"Link:\t <https://b.example/3> \t; \trel \t= \tnext \t", "https://b.example/3"},
	    {"Link: <https://b.example/3>; REL=NEXT", "https://b.example/3"},
	    {"Link: <https://b.example/3>; Rel=\"Next\"", "https://b.example/3"},
	    {"Link: <https://b.example/3>;rel=next;", "https://b.example/3"},
	    {"Link: <https://b.example/3>;;;rel=next", "https://b.example/3"},
	    {"Link: <https://b.example/3>; =; rel=next", "https://b.example/3"},
	    {"Link: <https://b.example/3>; rel=next; flag", "https://b.example/3"},
	    {"Link: <https://b.example/3>; flag; rel=next", "https://b.example/3"},
	    {"Link: , ,, <https://b.example/3>; rel=next,,", "https://b.example/3"},
	    {"Link: <https://b.example/3>; rel=\"n\\e\\xt\"", "https://b.example/3"},
	    {"Link:\n <https://b.example/3>;\n\trel=next", "https://b.example/3"},
	    {"Link: <https://b.example/3>; rel=\"last\n next\"", "https://b.example/3"},
	    {"Link: < https://b.example/3 >; rel=next", "https://b.example/3"},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void one_of_many_is_found(void **arg)
{
	static const struct expectation table[] = {
	    {"Link: <https://b.example/1>; rel=prev, <https://b.example/3>; rel=next, <https://b.example/9>; rel=last",
	     "https://b.example/3"},
	    {"Link: <https://b.example/1>; rel=prev,<https://b.example/3>; rel=next", "https://b.example/3"},
	    {"Link: <https://b.example/1>; rel=prev\nLink: <https://b.example/3>; rel=next", "https://b.example/3"},
	    {"Link: <https://b.example/1>; rel=prev\nX-Link: <https://b.example/8>; rel=next\nLink: "
	     "<https://b.example/3>; rel=next",
	     "https://b.example/3"},
	    {"Link: <https://b.example/3>; rel=next, <https://b.example/4>; rel=next", "https://b.example/3"},
	    {"Link: <https://b.example/3>; rel=next\nLink: <https://b.example/4>; rel=next", "https://b.example/3"},
	    {"Link: <https://b.example/style.css>; rel=preload; as=style, <https://b.example/3>; rel=next",
	     "https://b.example/3"},
	    {"Link: <https://b.example/0>, <https://b.example/3>; rel=next", "https://b.example/3"},
	    {"Link:\nLink: <https://b.example/3>; rel=next", "https://b.example/3"},
	    {"Link: <https://b.example/1>; rel=prev, <https://b.example/9>; rel=last", NULL},
	    {"Links: <https://b.example/3>; rel=next", NULL},
	    {"Link : <https://b.example/3>; rel=next", NULL},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void several_relations_may_share_a_link(void **arg)
{
	static const struct expectation table[] = {
	    {"Link: <https://b.example/3>; rel=\"last next\"", "https://b.example/3"},
	    {"Link: <https://b.example/3>; rel=\"next last\"", "https://b.example/3"},
	    {"Link: <https://b.example/3>; rel=\"  last \t next  \"", "https://b.example/3"},
	    {"Link: <https://b.example/3>; rel=\"https://rels.example/next next\"", "https://b.example/3"},
	    {"Link: <https://b.example/3>; rel=\"https://rels.example/next\"", NULL},
	    {"Link: <https://b.example/3>; rel=\"nextlast\"", NULL},
	    {"Link: <https://b.example/3>; rel=\"next,last\"", NULL},
	    {"Link: <https://b.example/3>; rel=\"\"", NULL},
	    {"Link: <https://b.example/3>; rel", NULL},
	    {"Link: <https://b.example/3>; rel=", NULL},
	    {"Link: <https://b.example/3>", NULL},
	    {"Link: <https://b.example/3>; rev=next", NULL},
	    {"Link: <https://b.example/3>; rel*=next", NULL},
	    {"Link: <https://b.example/3>; title=next", NULL},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void the_first_rel_counts(void **arg)
{
	static const struct expectation table[] = {
	    {"Link: <https://b.example/3>; rel=next; rel=last", "https://b.example/3"},
	    {"Link: <https://b.example/3>; rel=last; rel=next", NULL},
	    {"Link: <https://b.example/3>; rel; rel=next", NULL},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void delimiters_within_uris_and_strings_are_none(void **arg)
{
	static const struct expectation table[] = {
	    {"Link: <https://b.example/a,b;c?ids=1,2,3;x=\"y\">; rel=next",
	     "https://b.example/a,b;c?ids=1,2,3;x=\"y\""},
	    {"Link: <https://b.example/1,2>; rel=prev, <https://b.example/3,4>; rel=next", "https://b.example/3,4"},
	    {"Link: <https://b.example/?a=;rel=next,>; rel=prev", NULL},
	    {"Link: <https://b.example/3>; title=\"a, b; c\"; rel=next", "https://b.example/3"},
	    {"Link: <https://b.example/3>; title=\"<https://evil.example/>; rel=next\"; rel=prev", NULL},
	    {"Link: <https://b.example/3>; title=\"say \\\"hi\\\", <you>; rel=prev\"; rel=next", "https://b.example/3"},
	    {"Link: <https://b.example/3>; title=\"\\\\\"; rel=next", "https://b.example/3"},
	    {"Link: <https://b.example/3>; title*=UTF-8''a%2c%20b; rel=next", "https://b.example/3"},
	    {"Link: <https://b.example/3>; title*=\"UTF-8'en'<,>\"; rel=next", "https://b.example/3"},
	    {"Link: <https://b.example/3>; hreflang=de; hreflang=en; media=\"screen, tv\"; type=\"a/b\"; rel=next",
	     "https://b.example/3"},
	    {"Link: <https://b.example/3>; type=text/html; rel=next", "https://b.example/3"},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void a_link_with_another_context_is_not_ours(void **arg)
{
	static const struct expectation table[] = {
	    {"Link: <https://b.example/3>; rel=next; anchor=\"https://b.example/\"", NULL},
	    {"Link: <https://b.example/3>; anchor=\"/other\"; rel=next", NULL},
	    {"Link: <https://b.example/3>; anchor=\"#part\"; rel=next", NULL},
	    {"Link: <https://b.example/3>; anchor=\"\"; rel=next", "https://b.example/3"},
	    {"Link: <https://b.example/3>; anchor=\"" URL "\"; rel=next", "https://b.example/3"},
	    {"Link: <https://b.example/3>; anchor=\"?page=2\"; rel=next", "https://b.example/3"},
	    {"Link: <https://b.example/3>; anchor=\"HTTPS://api.example.org/v1/x/../cats?page=2\"; rel=next",
	     "https://b.example/3"},
	    {"Link: <https://b.example/3>; anchor=\"ftp://x\"; rel=next", NULL},
	    {"Link: <https://b.example/3>; anchor=\"/a\"; rel=next, <https://b.example/4>; rel=next",
	     "https://b.example/4"},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void relative_targets_are_seen_from_what_was_asked_for(void **arg)
{
	static const struct expectation table[] = {
	    {"Link: <?page=3>; rel=next", API "/v1/cats?page=3"},
	    {"Link: <cats?page=3>; rel=next", API "/v1/cats?page=3"},
	    {"Link: </v2/cats>; rel=next", API "/v2/cats"},
	    {"Link: <../cats?page=3>; rel=next", API "/cats?page=3"},
	    {"Link: <./dogs>; rel=next", API "/v1/dogs"},
	    {"Link: <//b.example/3>; rel=next", "https://b.example/3"},
	    {"Link: <>; rel=next", URL},
	    {"Link: < >; rel=next", URL},
	    {"Link: <#end>; rel=next", URL},
	    {"Link: <?page=3#end>; rel=next", API "/v1/cats?page=3"},
	    {"Link: <HTTP://B.Example:80/x>; rel=next", "http://B.Example:80/x"},
	    {"Link: <?q=a b&c=%20>; rel=next", API "/v1/cats?q=a+b&c=%20"},
	    {"Link: </a b>; rel=next", API "/a%20b"},
	    {"Link: </\xc3\xa9>; rel=next", API "/%c3%a9"},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void a_target_that_leads_nowhere_is_refused(void **arg)
{
	static const struct expectation table[] = {
	    {"Link: <ftp://b.example/3>; rel=next",
	     "!the URL's scheme is \"ftp\", and only http and https are fetched"},
	    {"Link: <file:///etc/passwd>; rel=next",
	     "!the URL's scheme is \"file\", and only http and https are fetched"},
	    {"Link: <javascript:alert(1)>; rel=next",
	     "!the URL cannot be used: Unsupported number of slashes following scheme"},
	    {"Link: <https://>; rel=next", "!the URL cannot be used: No host part in the URL"},
	    {"Link: <https://b.example:99999/>; rel=next",
	     "!the URL cannot be used: Port number was not a decimal number between 0 and 65535"},
	    {"Link: </a\x01"
	     "b>; rel=next",
	     "!the URL cannot be used: Bad path"},
	    {"Link: </a\n b>; rel=next", "!the URL cannot be used: Bad path"},
	};

	(void)arg;
	CHECK_ALL(table);
}

static void what_breaks_the_grammar_is_passed_over(void **arg)
{
	static const struct expectation table[] = {
	    {"Link: <https://b.example/3> rel=next", NULL},
	    {"Link: <https://b.example/3> rel=next, <https://b.example/4>; rel=next", "https://b.example/4"},
	    {"Link: <https://b.example/3>; title=x rel=next, <https://b.example/4>; rel=next", "https://b.example/4"},
	    {"Link: <https://b.example/3>; rel=next title=x, <https://b.example/4>; rel=next", "https://b.example/4"},
	    {"Link: <https://b.example/3>; rel=\"next\"x, <https://b.example/4>; rel=next", "https://b.example/4"},
	    {"Link: <https://b.example/3> x=\"a, b\" <a, b>, <https://b.example/4>; rel=next", "https://b.example/4"},
	    {"Link: https://b.example/3; rel=next", NULL},
	    {"Link: https://b.example/3; rel=next, <https://b.example/4>; rel=next", "https://b.example/4"},
	    {"Link: \"<https://b.example/3>; rel=next\", <https://b.example/4>; rel=next", "https://b.example/4"},
	    {"Link: <https://b.example/3; rel=next", NULL},
	    {"Link: <https://b.example/3\nLink: <https://b.example/4>; rel=next", "https://b.example/4"},
	    {"Link: <", NULL},
	    {"Link: <>", NULL},
	    {"Link: <a>;", NULL},
	    {"Link: <a>; rel=\"", NULL},
	    {"Link: <a>; rel=\"\\", NULL},
	    {"Link: <a>; title=\"b; rel=next", NULL},
	    {"Link: \"", NULL},
	    {"Link: \\", NULL},
	    {"Link: ;rel=next", NULL},
	    /* As in the RFC's algorithm: a string that is not closed has the rest. */
	    {"Link: <https://b.example/3>; rel=\"next", "https://b.example/3"},
	};

	(void)arg;
	CHECK_ALL(table);
}

/* What takes more than linear time does not end here within a test's patience. */
static void hostile_fields_are_read_in_linear_time(void **arg)
{
	static const char *const pieces[] = {",",
					     "<",
					     ">",
					     "\"",
					     "\\",
					     ";",
					     "=",
					     "<>",
					     "<>;",
					     "<,",
					     "\",",
					     "<>;rel=\"",
					     "<>;rel=next x,",
					     "<>;\n ",
					     "\n\t",
					     "rel",
					     " ",
					     "a\n",
					     "Link:",
					     "Link:\n",
					     "Link:<>;rel=x\n"};
	const size_t size = 4u << 20;
	char *head = malloc(size + 1), *target;
	struct err e;

	(void)arg;
	assert_non_null(head);
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		size_t n = strlen(pieces[i]), len = 0;

		strcpy(head, "Link: ");
		for (len = strlen(head); len + n <= size; len += n)
			memcpy(head + len, pieces[i], n);
		head[len] = '\0';
		target = NULL;
		if (link_find(head, URL, "next", &target, &e) == 1)
			fail_msg("%s many times over leads to %s", pieces[i], target);
	}
	free(head);
}

/* Under the sanitizers this looks for reads beyond the end. */
static void every_mutilated_field_is_read_without_harm(void **arg)
{
	static const char good[] =
	    "Link: <?a=1,2>; title=\"x\\\"y, z\"; rel=\"last next\"; anchor=\"\" , <b>;rel=next\n";
	static const char bytes[] = "<>\";,=\\ \n\tn\x80";
	char *target;
	unsigned found = 0;
	struct err e;

	(void)arg;
	for (size_t i = 0; i < sizeof good - 1; i++) {
		for (size_t k = 0; k < sizeof bytes; k++) {
			char *head = strdup(good);

			assert_non_null(head);
			head[i] = bytes[k]; /* with the NUL at the end: it is cut off here */
			target = NULL;
			found += link_find(head, URL, "next", &target, &e) == 1;
			free(target);
			free(head);
		}
	}
	assert_true(found > 100);
}

static void a_field_is_found_by_its_name(void **arg)
{
	static const char head[] = "HTTP/1.1 200 OK\nA:1\nab: 2\na: \t3 \n b: 4\n\nA:\nA";
	static const char *const values[] = {"1", "3 \n b: 4", ""};
	const char *at = head;
	struct head_value v;

	(void)arg;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		assert_true(head_next(&at, "a", &v));
		assert_int_equal(v.n, strlen(values[i]));
		assert_memory_equal(v.p, values[i], v.n);
	}
	assert_false(head_next(&at, "a", &v));
	assert_false(head_next(&at, "a", &v));
	assert_false(head_only(head, "a", &v));
	assert_true(head_only(head, "AB", &v));
	assert_true(head_only("X\nE: \"1\"\nE:\"1\"", "e", &v));
	assert_int_equal(v.n, 3);
	assert_false(head_only("", "e", &v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_link_is_found_however_it_is_written),
	    cmocka_unit_test(one_of_many_is_found),
	    cmocka_unit_test(several_relations_may_share_a_link),
	    cmocka_unit_test(the_first_rel_counts),
	    cmocka_unit_test(delimiters_within_uris_and_strings_are_none),
	    cmocka_unit_test(a_link_with_another_context_is_not_ours),
	    cmocka_unit_test(relative_targets_are_seen_from_what_was_asked_for),
	    cmocka_unit_test(a_target_that_leads_nowhere_is_refused),
	    cmocka_unit_test(what_breaks_the_grammar_is_passed_over),
	    cmocka_unit_test(hostile_fields_are_read_in_linear_time),
	    cmocka_unit_test(every_mutilated_field_is_read_without_harm),
	    cmocka_unit_test(a_field_is_found_by_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
