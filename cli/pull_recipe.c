/* The daemon gives the text; it is read here, so that what is told has the file's lines. */
#include "cli/pull_recipe.h"

#include <errno.h>
#include <jq.h>
#include <stdlib.h>
#include <string.h>

#include "cli/pull.h"
#include "lib/jq.h"

bool pull_is_file(const char *operand)
{
	size_t n = strlen(operand);

	return strchr(operand, '/') || (n > 5 && strcmp(operand + n - 5, ".conf") == 0);
}

/* ---- a file ---- */

/* What a file of pulls.d would be called; a name only for complaints where it cannot be one. */
static void name_of(const char *path, char *name, size_t size)
{
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	size_t n = strlen(base);

	if (n > 5 && strcmp(base + n - 5, ".conf") == 0)
		n -= 5;
	snprintf(name, size, "%.*s", (int)n, base);
	if (!recipe_name_ok(name))
		snprintf(name, size, "recipe");
}

static int read_file(const char *path, char **text, struct err *e)
{
	FILE *f = fopen(path, "re");
	size_t n;

	*text = NULL;
	if (!f)
		return err_set(e,
			       errno == ENOENT   ? ERR_NOT_FOUND
			       : errno == EACCES ? ERR_PERMISSION
						 : ERR_SYSTEM,
			       NULL, "cannot read %.200s: %s", path, strerror(errno));
	*text = calloc(1, RECIPE_TEXT_MAX + 2);
	if (!*text)
		BUG("out of memory");
	n = fread(*text, 1, RECIPE_TEXT_MAX + 1, f);
	if (ferror(f))
		err_set(e, ERR_SYSTEM, NULL, "cannot read %.200s: %s", path, strerror(errno));
	else if (n > RECIPE_TEXT_MAX)
		err_set(e, ERR_INPUT, NULL, "%.200s: a recipe has %u bytes at most", path, RECIPE_TEXT_MAX);
	else if (strlen(*text) != n)
		err_set(e, ERR_INPUT, NULL, "%.200s: it has a NUL byte and is no text", path);
	else
		n = RECIPE_TEXT_MAX + 2; /* fine */
	fclose(f);
	return n == RECIPE_TEXT_MAX + 2 ? 0 : -1;
}

static int open_file(const char *path, struct pull_recipe *p, struct err *e)
{
	char name[RECIPE_NAME_MAX + 1], *text;
	int rc = read_file(path, &text, e);

	name_of(path, name, sizeof name);
	if (rc == 0)
		p->recipe = recipe_parse(name, path, text, e);
	free(text);
	return p->recipe ? 0 : -1;
}

/* ---- the daemon's ---- */

static int parse_pull(struct pull_recipe *p, struct err *e)
{
	const char *file = pull_text(p->pull, "file"), *text = pull_text(p->pull, "text");
	const char *problem = pull_text(p->pull, "problem.detail");

	if (*text)
		p->recipe = recipe_parse(pull_text(p->pull, "name"), file, text, e);
	else
		err_set(e, ERR_INPUT, NULL, "%s", *problem ? problem : "the daemon gave no text of the recipe");
	return p->recipe ? 0 : -1;
}

int pull_recipe_open(struct ctl *ctl, const char *operand, struct pull_recipe *p, struct err *e)
{
	*p = (struct pull_recipe){0};
	if (pull_is_file(operand))
		return open_file(operand, p, e);
	if (pull_check_name(ctl, operand, e) < 0 || ctl_connect(ctl, e) < 0)
		return -1;
	p->pull = pull_get(ctl, operand, e);
	return p->pull ? parse_pull(p, e) : -1;
}

void pull_recipe_clear(struct pull_recipe *p)
{
	recipe_free(p->recipe);
	json_decref(p->pull);
	*p = (struct pull_recipe){0};
}

/* ---- looking through ---- */

static unsigned check_expressions(const struct recipe *r, FILE *out)
{
	unsigned count = 0;
	struct err e;

	for (int i = 0; i < RECIPE_EXPRS; i++) {
		const struct recipe_expr *x = &r->expr[i];

		if (!x->text ||
		    jq_expr_check(x->text, r->file, x->line, recipe_expr_name((enum recipe_expr_id)i), &e) == 0)
			continue;
		fprintf(out, "%s\n", e.what);
		count++;
	}
	return count;
}

/* Whether a value is there is the daemon's knowledge: a file is checked without. */
static unsigned check_secrets(const struct pull_recipe *p, FILE *out)
{
	const struct recipe *r = p->recipe;
	const json_t *secret;
	unsigned count = 0;
	size_t i;

	json_array_foreach (json_object_get(p->pull, "secrets"), i, secret) {
		const char *name = pull_text(secret, "name"), *why = pull_text(secret, "problem");
		unsigned line = r->url_line;

		if (!json_is_false(json_object_get(secret, "present")))
			continue;
		for (size_t k = 0; k < r->secret_count; k++)
			if (strcmp(r->secrets[k].name, name) == 0)
				line = r->secrets[k].line;
		fprintf(out, "%s:%u: secrets.%s has no value: ", r->file, line, name);
		if (*why)
			fprintf(out, "%s\n", why);
		else
			fprintf(out, "there is no file %s in secrets_dir, or it cannot be read\n", name);
		count++;
	}
	return count;
}

unsigned pull_recipe_check(const struct pull_recipe *p, FILE *out)
{
	return check_expressions(p->recipe, out) + check_secrets(p, out);
}

/* As a worker will compile them: all at once. */
static bool compiles(const struct recipe *r)
{
	char *program = recipe_program(r);
	struct jq_state *jq = program ? jq_page_compile(program, NULL) : NULL;
	bool fine = jq || !program;

	if (jq)
		jq_teardown(&jq);
	free(program);
	return fine;
}

unsigned pull_recipe_check_quickly(const struct pull_recipe *p, FILE *out)
{
	return (compiles(p->recipe) ? 0 : check_expressions(p->recipe, out)) + check_secrets(p, out);
}
