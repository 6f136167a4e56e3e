/* The jq program of a page. */
#include <stdlib.h>
#include <string.h>

#include "lib/recipe_private.h"

char *recipe_program(const struct recipe *r)
{
	(void)r;
	return NULL;
}

char *recipe_items_program(const struct recipe *r)
{
	(void)r;
	return NULL;
}
