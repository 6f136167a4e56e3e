/* A moment or a number, some time earlier: what `since.overlap` does to a stored value. Keeps the value's own form: RFC
 * 3339 with its zone and digits, a date ("2026-01-31"), Unix seconds or milliseconds (by size). And which form it has.
 * Pure. */
#ifndef FANOUT_LIB_SINCE_H
#define FANOUT_LIB_SINCE_H

#include <stdint.h>

#include "lib/err.h"

/* malloc'd. `value` as it is where overlap_us is 0. ERR_INPUT where it is no moment and there is an overlap. */
char *since_before(const char *value, int64_t overlap_us, struct err *e);

/* Values of different forms have no order: none is the later one. */
enum since_form { SINCE_TEXT, SINCE_NUMBER, SINCE_MOMENT };
enum since_form since_form(const char *value);

#endif
