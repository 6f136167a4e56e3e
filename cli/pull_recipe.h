/* Recipes in the client: got from the daemon, or from a file without any; and looked through, as `pull check` tells. */
#ifndef FANOUT_CLI_PULL_RECIPE_H
#define FANOUT_CLI_PULL_RECIPE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "cli/ctl.h"
#include "lib/recipe.h"

struct pull_recipe {
	struct recipe *recipe; /* as far as it could be read */
	json_t *pull;          /* what the daemon says of it; NULL for a file */
	char *text;            /* of a file; NULL for the daemon's */
	struct recipe_faults faults;
};
/* 0, also where it does not parse, which pull_recipe_check tells; -1 where there is nothing to look at. Clear it either
 * way. */
int pull_recipe_open(struct ctl *ctl, const char *operand, struct pull_recipe *p, struct err *e);
void pull_recipe_clear(struct pull_recipe *p);

/* Compiles its expressions, and looks for its secrets. All that is wrong then stands in p->faults, by its line. */
void pull_recipe_examine(struct pull_recipe *p);
/* The same, and tells of it on `out`, as compilers do: "FILE:LINE: what; what to do". Returns how many there were. */
size_t pull_recipe_check(struct pull_recipe *p, FILE *out);
/* The same for a request that is only shown: no secret has to be there. */
size_t pull_recipe_check_text(struct pull_recipe *p, FILE *out);
/* The same before a run, which is to begin soon: jq takes 20 ms to compile anything, and here it does so once unless
 * something is wrong. */
size_t pull_recipe_check_quickly(struct pull_recipe *p, FILE *out);
/* What is no mistake, but hardly meant: a line each on `out`. The recipe is sound. */
void pull_recipe_warn(const struct pull_recipe *p, FILE *out);

#endif
