/* How many digits the fractions of a JSON text get. */
#ifndef FANOUT_LIB_REALS_H
#define FANOUT_LIB_REALS_H

#include <jansson.h>
#include <stddef.h>

/* The flag for json_dumps: JSON_REAL_PRECISION of 15 digits, with which 0.1 reads as it was meant and seconds have
 * their microseconds for thirty years; or of 17 where something in `json` would not be the same number then, as an
 * API's own `since` may not. */
size_t reals_precision(const json_t *json);

#endif
