/* The daemon gives the text; it is read here, so that what is told has the file's lines. */
#include "cli/pull_recipe.h"

#include <errno.h>
#include <jq.h>
#include <stdlib.h>
#include <string.h>

#include "cli/pull.h"
#include "lib/jq.h"

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

static int cannot_read(const char *path, int why, struct err *e)
{
	if (why == EISDIR)
		return err_set(e, ERR_USAGE, "name the recipes' files", "%.200s is a directory", path);
	return err_set(e,
		       why == ENOENT   ? ERR_NOT_FOUND
		       : why == EACCES ? ERR_PERMISSION
				       : ERR_SYSTEM,
		       NULL, "cannot read %.200s: %s", path, strerror(why));
}

/* Up to a byte more than a recipe may have. */
static int read_file(const char *path, char **text, struct err *e)
{
	FILE *f = fopen(path, "re");
	size_t n;
	int why;

	*text = NULL;
	if (!f)
		return cannot_read(path, errno, e);
	*text = calloc(1, RECIPE_TEXT_MAX + 2);
	if (!*text)
		BUG("out of memory");
	errno = 0;
	n = fread(*text, 1, RECIPE_TEXT_MAX + 1, f);
	why = ferror(f) ? errno : 0;
	fclose(f);
	if (why)
		return cannot_read(path, why, e);
	if (n > RECIPE_TEXT_MAX)
		return err_set(e, ERR_USAGE, NULL, "%.200s is no recipe: one has %u bytes at most", path,
			       RECIPE_TEXT_MAX);
	if (strlen(*text) != n)
		return err_set(e, ERR_USAGE, NULL, "%.200s is no recipe: it has a NUL byte", path);
	return 0;
}

static int open_file(const char *path, struct pull_recipe *p, struct err *e)
{
	char name[RECIPE_NAME_MAX + 1];

	if (read_file(path, &p->text, e) < 0)
		return -1;
	name_of(path, name, sizeof name);
	p->recipe = recipe_examine(name, path, p->text, &p->faults);
	return 0;
}

/* ---- the daemon's ---- */

static int parse_pull(struct pull_recipe *p, struct err *e)
{
	const char *text = pull_text(p->pull, "text"), *problem = pull_text(p->pull, "problem.detail");

	/* An empty file has no text, but a line that is wrong. */
	if (!*text && pull_number(p->pull, "problem.line") < 0)
		return err_set(e, ERR_INPUT, NULL, "%s", *problem ? problem : "the recipe is empty");
	p->recipe = recipe_examine(pull_text(p->pull, "name"), pull_text(p->pull, "file"), text, &p->faults);
	return 0;
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
	recipe_faults_clear(&p->faults);
	json_decref(p->pull);
	free(p->text);
	*p = (struct pull_recipe){0};
}

/* ---- looking through ---- */

static void examine_expressions(struct pull_recipe *p)
{
	const struct recipe *r = p->recipe;
	struct err e;

	for (int i = 0; i < RECIPE_EXPRS; i++) {
		const struct recipe_expr *x = &r->expr[i];

		if (x->text &&
		    jq_expr_check(x->text, r->file, x->line, recipe_expr_name((enum recipe_expr_id)i), &e) < 0)
			recipe_faults_add(&p->faults, &e);
	}
}

static void add_secret(struct pull_recipe *p, const char *name, bool present, const char *why)
{
	const struct recipe *r = p->recipe;
	char hint[200] = "";
	struct err e;

	e.line = r->url_line;
	for (size_t k = 0; k < r->secret_count; k++)
		if (strcmp(r->secrets[k].name, name) == 0)
			e.line = r->secrets[k].line;
	if (present)
		snprintf(hint, sizeof hint, "write its value into that file as one line");
	else if (!*why)
		snprintf(hint, sizeof hint, "put its value into a file %.100s in secrets_dir", name);
	else
		snprintf(hint, sizeof hint, "write its value there as one line, mode 600, for the daemon's user");
	unsigned line = e.line;
	err_set(&e, ERR_INPUT, hint, "%.140s:%u: secrets.%.64s%s%s%.200s", r->file, line, name,
		present ? "" : " has no value", *why ? ": " : "", why);
	e.line = line;
	recipe_faults_add(&p->faults, &e);
}

/* Whether a value is there is the daemon's knowledge: a file is examined without. */
static void examine_secrets(struct pull_recipe *p)
{
	const json_t *secret;
	size_t i;

	json_array_foreach (json_object_get(p->pull, "secrets"), i, secret) {
		bool present = json_is_true(json_object_get(secret, "present"));
		const char *problem = pull_text(secret, "problem");

		if (!present || *problem)
			add_secret(p, pull_text(secret, "name"), present, problem);
	}
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

void pull_recipe_examine(struct pull_recipe *p)
{
	examine_expressions(p);
	examine_secrets(p);
	recipe_faults_sort(&p->faults);
}

/* A fault without a hint of its own has that of all, which is told once. */
static size_t tell(const struct pull_recipe *p, FILE *out)
{
	const struct recipe_faults *f = &p->faults;
	size_t without_hint = 0;

	for (size_t i = 0; i < f->count; i++) {
		const struct err *e = &f->list[i];
		bool own = *e->hint && strcmp(e->hint, RECIPE_HINT) != 0;

		without_hint += !own;
		fprintf(out, "%s%s%s\n", e->what, own ? "; " : "", own ? e->hint : "");
	}
	if (f->count)
		fprintf(out, "%s: %s%zu mistake%s%s\n", p->recipe->file, f->more ? "more than " : "", f->count,
			f->count == 1 ? "" : "s", without_hint ? "; " RECIPE_HINT : "");
	return f->count;
}

size_t pull_recipe_check(struct pull_recipe *p, FILE *out)
{
	pull_recipe_examine(p);
	return tell(p, out);
}

size_t pull_recipe_check_text(struct pull_recipe *p, FILE *out)
{
	examine_expressions(p);
	recipe_faults_sort(&p->faults);
	return tell(p, out);
}

size_t pull_recipe_check_quickly(struct pull_recipe *p, FILE *out)
{
	if (p->faults.count == 0 && compiles(p->recipe))
		examine_secrets(p);
	else
		pull_recipe_examine(p);
	return tell(p, out);
}

/* ---- what is hardly meant ---- */

/* Those of IANA's registry that pages are asked for with. */
static bool is_usual(const char *method)
{
	static const char *const usual[] = {"GET",     "POST",  "PUT",    "PATCH",    "DELETE",
					    "OPTIONS", "QUERY", "REPORT", "PROPFIND", "SEARCH"};

	for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
		if (strcmp(method, usual[i]) == 0)
			return true;
	return false;
}

void pull_recipe_warn(const struct pull_recipe *p, FILE *out)
{
	const struct recipe *r = p->recipe;
	const json_t *secret;
	size_t i;

	if (!is_usual(r->method))
		fprintf(out,
			"%s: warning: method %s is unusual (GET, POST and QUERY are not), and a request with it whose "
			"outcome is unknown is not repeated\n",
			r->file, r->method);
	json_array_foreach (json_object_get(p->pull, "secrets"), i, secret) {
		const char *path = pull_text(secret, "exposed");

		if (*path)
			fprintf(out, "%s: warning: everybody can read the secret %s: chmod 600 %s\n", r->file,
				pull_text(secret, "name"), path);
	}
}
