/* The recipes that come with fanout, and those of its manual, are sound: they parse, and all of their jq compiles. */
#define _GNU_SOURCE 1

#include <jq.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/jq.h"
#include "lib/recipe_private.h"

/* Tests run elsewhere: the source is above the program. */
static void source_path(const char *name, char *out, size_t size)
{
	char dir[4096];
	ssize_t n = readlink("/proc/self/exe", dir, sizeof dir - 1);

	assert_true(n > 0);
	dir[n] = '\0';
	for (char *slash = strrchr(dir, '/'); slash; slash = strrchr(dir, '/')) {
		*slash = '\0';
		assert_true((size_t)snprintf(out, size, "%s/%s", dir, name) < size);
		if (access(out, R_OK) == 0)
			return;
	}
	fail_msg("%s is nowhere above the test", name);
}

static void check_jq(const struct recipe *r)
{
	char *program = recipe_program(r), *items = recipe_items_program(r);
	struct err e;
	jq_state *jq;

	for (int i = 0; i < RECIPE_EXPRS; i++)
		if (r->expr[i].text && jq_expr_check(r->expr[i].text, r->file, r->expr[i].line,
						     recipe_expr_name((enum recipe_expr_id)i), &e))
			fail_msg("%s", e.what);
	if (program) {
		jq = jq_page_compile(program, &e);
		if (!jq)
			fail_msg("%s: %s", r->file, e.what);
		else
			jq_teardown(&jq);
	}
	jq = jq_items_compile(items, &e);
	if (!jq)
		fail_msg("%s: %s", r->file, e.what);
	else
		jq_teardown(&jq);
	free(program);
	free(items);
}

static void the_examples_are_sound(void **arg)
{
	char dir[4096];
	struct err e;
	char **names;
	size_t n = 0;

	(void)arg;
	source_path("etc/pulls.d", dir, sizeof dir);
	names = recipe_list(dir, &e);
	assert_non_null(names);
	for (; names[n]; n++) {
		struct recipe *r = recipe_load(dir, names[n], NULL, &e);

		if (!r) {
			fail_msg("%s", e.what);
			return;
		}
		check_jq(r);
		recipe_free(r);
		free(names[n]);
	}
	free(names);
	assert_true(n >= 3);
}

/* Each ".Bd -literal" to ".Ed" that begins with a url. */
static void the_recipes_of_the_manual_are_sound(void **arg)
{
	bool seen[PAGE_TYPES] = {false};
	char path[4096], line[512], text[8192] = "";
	bool within = false;
	FILE *f;

	(void)arg;
	source_path("docs/fanout-pulls.5", path, sizeof path);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		if (strcmp(line, ".Bd -literal\n") == 0) {
			within = true;
			text[0] = '\0';
		} else if (strcmp(line, ".Ed\n") == 0 && strncmp(text, "url = ", 6) == 0) {
			struct err e;
			struct recipe *r = recipe_parse("manual", "manual", text, &e);

			if (!r) {
				fail_msg("%s\n%s", e.what, text);
				return;
			}
			check_jq(r);
			seen[r->page.type] = true;
			recipe_free(r);
			within = false;
		} else if (within) {
			assert_true(strlen(text) + strlen(line) < sizeof text);
			strcat(text, line);
		}
	}
	fclose(f);
	for (int i = 0; i < PAGE_TYPES; i++)
		if (!seen[i])
			fail_msg("the manual has no recipe of type %s", page_type_name((enum page_type)i));
}

/* As ".It Ic key", after a comma of such a line, or as a section ".Ss key". */
static bool is_told(FILE *f, const char *key)
{
	char line[512];

	rewind(f);
	while (fgets(line, sizeof line, f)) {
		if (strncmp(line, ".It Ic ", 7) != 0 && strncmp(line, ".Ss ", 4) != 0)
			continue;
		for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n"))
			if (strcmp(word, key) == 0)
				return true;
	}
	return false;
}

static void check_told(FILE *f, const struct recipe_key *keys)
{
	for (; keys->name; keys++) {
		if (!is_told(f, keys->name))
			fail_msg("the manual does not tell of \"%s\"", keys->name);
		if (keys->group && strcmp(keys->name, "limit") != 0 && strcmp(keys->name, "retry") != 0)
			check_told(f, keys->group); /* theirs are told with them */
	}
}

static void the_manual_tells_of_every_key(void **arg)
{
	char path[4096];
	FILE *f;

	(void)arg;
	source_path("docs/fanout-pulls.5", path, sizeof path);
	f = fopen(path, "r");
	assert_non_null(f);
	check_told(f, recipe_keys);
	assert_false(is_told(f, "frobnicate"));
	fclose(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_examples_are_sound),
	    cmocka_unit_test(the_recipes_of_the_manual_are_sound),
	    cmocka_unit_test(the_manual_tells_of_every_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
