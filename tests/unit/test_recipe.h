/* What the tests of recipes share. */
#ifndef FANOUT_TESTS_UNIT_TEST_RECIPE_H
#define FANOUT_TESTS_UNIT_TEST_RECIPE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/recipe.h"

static inline struct recipe *parse(const char *text)
{
	struct err e = {0};
	struct recipe *r = recipe_parse("t", "pulls.d/t.conf", text, &e);

	if (!r)
		fail_msg("%s (%s)\n%s", e.what, e.hint, text);
	return r;
}

#endif
