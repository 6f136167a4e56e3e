/* Times as the API writes them, read and shown. */
#ifndef FANOUT_CLI_WHEN_H
#define FANOUT_CLI_WHEN_H

#include <stddef.h>
#include <stdint.h>

/* "2026-01-02T03:04:05.000006Z" in microseconds; -1 when it is no such time (or NULL). */
int64_t when_parse_us(const char *text);
/* For people, in their time zone: "2026-01-02 03:04:05". */
#define WHEN_TEXT_SIZE 32
const char *when_format(char *out, int64_t wall_us);

#endif
