/* What the two ways of trying a recipe share (cli/pull_test.c, cli/pull_live.c): the recipe, the request for its first
 * page, and the answer. */
#ifndef FANOUT_CLI_PULL_TEST_H
#define FANOUT_CLI_PULL_TEST_H

#include <jansson.h>

#include "cli/ctl.h"
#include "cli/pull_page.h"
#include "cli/pull_recipe.h"
#include "cli/text.h"

struct trial {
	struct ctl *ctl;
	struct pull_recipe p;
	const char **vars;  /* in the order of the recipe's */
	json_t *var_object; /* the same by name */
	char *since;        /* what is sent; NULL: nothing */
	char token[64];
	struct recipe_page page;
	struct recipe_request request;
	/* the answer */
	struct text body, head; /* head: lines ended by \n, status line first; empty: not known */
	int status;
};

/* Tells what was made of the answer. Returns the exit status: 1 where it is an error. */
int trial_tell(struct trial *t, const struct pull_said *said);
/* Has the daemon fetch the page, tells, and removes what that left. Returns the exit status, or -1 with `e`. */
int trial_live(struct trial *t, struct err *e);

#endif
