/* What the tests of a recipe's requests share: what is wanted of a recipe and a page, and that it is so. */
#ifndef FANOUT_TESTS_UNIT_TEST_RECIPE_REQUEST_H
#define FANOUT_TESTS_UNIT_TEST_RECIPE_REQUEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/test_recipe.h"

#define U "url = \"https://a.example/v1\"; "

#define PAGE_Q   U "page = { type = \"page\"; param = \"page\"; "
#define CURSOR_Q U "page = { type = \"cursor\"; next = \".n\"; "

struct wanted {
	const char *recipe, *token, *since;
	const char *vars[3];
	const char *url, *headers, *body; /* url NULL: refused, and headers is part of what is said */
};

static inline void check(const struct wanted *w)
{
	struct recipe *r = parse(w->recipe);
	struct recipe_page page = {.token = w->token, .since = w->since, .vars = w->vars[0] ? w->vars : NULL};
	struct recipe_request q;
	struct err e = {0};

	if (recipe_request(r, &page, &q, &e)) {
		if (w->url || !strstr(e.what, w->headers))
			fail_msg("\"%s\" (%s)\n%s", e.what, w->token, w->recipe);
		assert_int_equal(e.code, ERR_INPUT);
		assert_null(q.url);
	} else {
		if (!w->url)
			fail_msg("it is taken: %s\n%s", q.url, w->recipe);
		assert_string_equal(q.url, w->url);
		assert_string_equal(q.headers, w->headers ? w->headers : "");
		if (w->body)
			assert_string_equal(q.body, w->body);
		else
			assert_null(q.body);
	}
	recipe_request_clear(&q);
	recipe_free(r);
}

static inline void check_all(const struct wanted *all, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check(&all[i]);
}

#endif
