/* pull check: a line for each recipe that is sound, and a complaint with file and line for whatever is not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/pull.h"
#include "cli/pull_recipe.h"
#include "cli/verbs.h"

static int check_one(struct ctl *ctl, const char *operand)
{
	struct pull_recipe p;
	struct err e;
	int status = STATUS_FINE;

	if (pull_recipe_open(ctl, operand, &p, &e) < 0) {
		status = ctl_report(&e);
	} else {
		fflush(stdout);
		status = pull_recipe_check(&p, stderr) ? STATUS_USAGE : STATUS_FINE;
		if (status == STATUS_FINE)
			pull_recipe_warn(&p, stderr);
		if (status == STATUS_FINE && !ctl->args.quiet)
			printf("%s: ok\n", operand);
	}
	pull_recipe_clear(&p);
	return status;
}

/* Usage before all: a recipe that is not sound is what the verb is for. */
static int worse(int a, int b)
{
	if (a == STATUS_FINE || b == STATUS_FINE)
		return a == STATUS_FINE ? b : a;
	return a == STATUS_USAGE || b == STATUS_USAGE ? STATUS_USAGE : a;
}

/* A file of pulls_dir that can be no recipe. */
static int refuse_name(const json_t *pull)
{
	struct err e;

	err_set(&e, ERR_USAGE, pull_text(pull, "problem.hint"), "%.200s: %.200s", pull_text(pull, "file"),
		pull_text(pull, "problem.detail"));
	return ctl_report(&e);
}

static int check_all(struct ctl *ctl)
{
	json_t *answer, *pull;
	struct err e;
	size_t i;
	int status = STATUS_FINE;

	if (ctl_connect(ctl, &e) < 0 || !(answer = client_get_json(ctl->client, &e, "/v1/pulls")))
		return ctl_report(&e);
	json_array_foreach (json_object_get(answer, "pulls"), i, pull) {
		status = worse(status, recipe_name_ok(pull_text(pull, "name")) ? check_one(ctl, pull_text(pull, "name"))
									       : refuse_name(pull));
	}
	if (json_array_size(json_object_get(answer, "pulls")) == 0)
		pull_note_none(ctl, answer);
	json_decref(answer);
	return status;
}

int verb_pull_check(struct ctl *ctl)
{
	const struct args *a = &ctl->args;
	struct err e;
	int status = STATUS_FINE;

	if (ctl_refuse_format(ctl, "complaints are lines", &e) < 0)
		return ctl_report(&e);
	if (a->operand_count == 0)
		return check_all(ctl);
	for (size_t i = 0; i < a->operand_count; i++)
		status = worse(status, check_one(ctl, a->operands[i]));
	return status;
}
