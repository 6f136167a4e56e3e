/* The two clocks, and how a time is written.
 *
 * Durations and limits are measured on CLOCK_BOOTTIME (common to all processes of the machine, never steps, counts
 * sleep). What is shown to people and kept across boots is wall time. Both are whole microseconds in an int64_t. */
#ifndef FANOUT_LIB_CLOCK_H
#define FANOUT_LIB_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_NEVER INT64_MAX

int64_t clock_boot_us(void);
int64_t clock_wall_us(void);
/* A moment of the one clock on the other. The same moment is always told the same, unless the wall clock was set. Not
 * for threads. */
int64_t clock_wall_of(int64_t boot_us);
int64_t clock_boot_of(int64_t wall_us);

#define CLOCK_RFC3339_SIZE sizeof "-292277-01-01T00:00:00.000000Z"
/* Writes "2026-01-02T03:04:05.000006Z" into `out` (at least CLOCK_RFC3339_SIZE) and returns it. */
const char *clock_format_rfc3339(char *out, int64_t wall_us);

#endif
