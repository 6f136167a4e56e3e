/* Times: as the API writes them, as people give them, and as they are shown. */
#ifndef FANOUT_CLI_WHEN_H
#define FANOUT_CLI_WHEN_H

#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* "2026-01-02T03:04:05.000006Z" in microseconds; -1 when it is no such time (or NULL). */
int64_t when_parse_us(const char *text);
/* What somebody writes: RFC 3339 ("2026-01-02T03:04:05Z", "...+01:00"), a day or a time in their own zone
 * ("2026-01-02", "2026-01-02 03:04:05"), or how long ago ("2h"). */
int when_parse_given(const char *text, int64_t now_us, int64_t *us, struct err *e);

#define WHEN_TEXT_SIZE 64
/* For people, in their time zone: "2026-01-02 03:04:05". All return `out` (at least WHEN_TEXT_SIZE). */
const char *when_format(char *out, int64_t wall_us);
/* As short as can be: "03:04:05" today, "01-02 03:04" within half a year, "2026-01-02" else. */
const char *when_format_short(char *out, int64_t wall_us, int64_t now_us);
/* With what that is from now: "in 12.3 s, at 2026-01-02 03:04:05"; "now" when it is over. */
const char *when_format_until(char *out, int64_t wall_us, int64_t now_us);

#endif
