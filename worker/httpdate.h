/* Dates in HTTP headers (RFC 9110, section 5.6.7), in the three spellings that a recipient has to take and no other. */
#ifndef FANOUT_WORKER_HTTPDATE_H
#define FANOUT_WORKER_HTTPDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All of p[0..n) to µs since 1970. False where it is no date, or one before 1970. */
bool httpdate_parse(const char *p, size_t n, int64_t *us);

#endif
