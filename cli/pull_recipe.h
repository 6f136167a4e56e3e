/* Recipes in the client: got from the daemon, or from a file without any; and looked through, as `pull check` tells. */
#ifndef FANOUT_CLI_PULL_RECIPE_H
#define FANOUT_CLI_PULL_RECIPE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "cli/ctl.h"
#include "lib/recipe.h"

/* "pulls.d/cats.conf" or "./cats" is a file, "cats" a recipe of the daemon's. */
bool pull_is_file(const char *operand);

struct pull_recipe {
	struct recipe *recipe;
	json_t *pull; /* what the daemon says of it; NULL for a file */
};
/* 0, or -1: ERR_INPUT for what does not parse (`e` begins with FILE:LINE). Clear it either way. */
int pull_recipe_open(struct ctl *ctl, const char *operand, struct pull_recipe *p, struct err *e);
void pull_recipe_clear(struct pull_recipe *p);

/* Compiles its expressions, and looks for its secrets: each complaint is a line "FILE:LINE: what" on `out`. Returns how
 * many there were. */
unsigned pull_recipe_check(const struct pull_recipe *p, FILE *out);
/* The same before a run, which is to begin soon: jq takes 20 ms to compile anything, and here it does so once unless
 * something is wrong. */
unsigned pull_recipe_check_quickly(const struct pull_recipe *p, FILE *out);

#endif
