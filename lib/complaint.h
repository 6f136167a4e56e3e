/* Why a response is an error although its status is none, in words: from jq's values or our own, printable and short.
 */
#ifndef FANOUT_LIB_COMPLAINT_H
#define FANOUT_LIB_COMPLAINT_H

#include <jv.h>
#include <stdbool.h>

#include "lib/judge.h"

/* Both write to `text` (JUDGE_TEXT_SIZE bytes) and return true, for that is what is an error. */
bool complain(char *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same of what the user's program gave: nothing is wrong (false) with null and false; true and an empty text are
 * told as `otherwise`; the rest in its own words, or as JSON. Consumes `v`. */
bool complain_of(char *text, jv v, const char *otherwise);

/* A string as it is, anything else as JSON. Consumes `v`. */
jv complaint_string(jv v);

#endif
