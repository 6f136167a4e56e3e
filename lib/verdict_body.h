/* From jq's hands: the object that a page's program made (lib/recipe.h, recipe_program()) to a verdict. */
#ifndef FANOUT_LIB_VERDICT_BODY_H
#define FANOUT_LIB_VERDICT_BODY_H

#include <jv.h>
#include <stdbool.h>

#include "lib/verdict.h"

/* True when the page is an error, or what it says makes no sense; `text` (JUDGE_TEXT_SIZE) then has why. Consumes
 * `said`. */
bool verdict_take_body(struct verdict *v, jv said, enum verdict_next next, char *text);

#endif
