/* How people write amounts: "30s", "500ms", "2h", "30d" (durations), "64M", "10G" (bytes, powers of 1024).
 *
 * A bare number is seconds, or bytes. Fractions are allowed in durations ("1.5s"). Anything left over, negative, or out
 * of range is refused; nothing is rounded silently. */
#ifndef FANOUT_LIB_UNITS_H
#define FANOUT_LIB_UNITS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* Units: us ms s m min h d w. At most 10 years. */
int units_parse_duration_us(const char *text, int64_t *us, struct err *e);
/* Units: B K M G T (also KiB, KB... meaning the same powers of 1024). */
int units_parse_bytes(const char *text, int64_t *bytes, struct err *e);

/* One window of a limit: at most `count` in any `window_us`. */
struct rate {
	int64_t count;
	int64_t window_us;
};
/* "100/min", "5000/h", "100/6s", "1/2s", "10/s", "100000/day". */
int units_parse_rate(const char *text, struct rate *rate, struct err *e);

#define UNITS_TEXT_SIZE 32

/* What the deadline of a batch may be, and so what a recipe may say. */
#define UNITS_DEADLINE_MIN_US INT64_C(1000000)
#define UNITS_DEADLINE_MAX_US (INT64_C(30) * 86400 * 1000000)
/* For people: "1.50 s", "320 ms", "2 h 05 min"; "1.5 MiB". Return `out` (at least UNITS_TEXT_SIZE). */
const char *units_format_duration(char *out, int64_t us);
const char *units_format_bytes(char *out, int64_t bytes);

#endif
