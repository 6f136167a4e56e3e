/* Reading the clocks, and RFC 3339 in UTC with microseconds. */
#include "lib/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t read_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_boot_us(void)
{
	return read_us(CLOCK_BOOTTIME);
}

int64_t clock_wall_us(void)
{
	return read_us(CLOCK_REALTIME);
}

/* The two clocks cannot be read at once, so how far they are apart is known to within the time between the readings:
 * microseconds, or as long as the processor was somebody else's. What was found before is kept while it may be true;
 * adjusting the wall clock a little (adjtime, NTP) changes it in steps of this. It is looked for once a tick of the
 * kernel, 1 to 10 ms, which is told for a fifth of what the other clocks cost: the daemon asks four times a job. */
#define CLOCK_STEP_US 100

static int64_t apart_us(void)
{
	static int64_t kept, tick_us;
	static bool known;
	int64_t before, wall, after, seen;
	int64_t now_us = read_us(CLOCK_MONOTONIC_COARSE);
	int tries = 0;

	if (known && now_us == tick_us)
		return kept;
	tick_us = now_us;
	do {
		before = clock_boot_us();
		wall = clock_wall_us();
		after = clock_boot_us();
	} while (after - before > CLOCK_STEP_US && ++tries < 10);
	seen = wall - before - (after - before) / 2;
	if (!known || llabs(seen - kept) > CLOCK_STEP_US + (after - before))
		kept = seen;
	known = true;
	return kept;
}

int64_t clock_wall_of(int64_t boot_us)
{
	return boot_us + apart_us();
}

int64_t clock_boot_of(int64_t wall_us)
{
	return wall_us - apart_us();
}

/* Writes `v`, zero-padded to `width` digits. Printing by hand: a results listing formats three times a row, and
 * snprintf would be most of its cost. */
static char *put_digits(char *p, uint32_t v, int width)
{
	for (int i = width - 1; i >= 0; i--) {
		p[i] = (char)('0' + v % 10);
		v /= 10;
	}
	return p + width;
}

const char *clock_format_rfc3339(char *out, int64_t wall_us)
{
	int64_t us = wall_us % 1000000;
	time_t s = (time_t)(wall_us / 1000000);
	struct tm tm;
	char *p = out;
	int year;

	if (us < 0) { /* before 1970 the fraction still counts forward */
		us += 1000000;
		s--;
	}
	gmtime_r(&s, &tm);
	year = tm.tm_year + 1900;
	if (year < 0) {
		*p++ = '-';
		year = -year;
	}
	p = put_digits(p, (uint32_t)year, year > 99999 ? 6 : year > 9999 ? 5 : 4);
	*p++ = '-';
	p = put_digits(p, (uint32_t)tm.tm_mon + 1, 2);
	*p++ = '-';
	p = put_digits(p, (uint32_t)tm.tm_mday, 2);
	*p++ = 'T';
	p = put_digits(p, (uint32_t)tm.tm_hour, 2);
	*p++ = ':';
	p = put_digits(p, (uint32_t)tm.tm_min, 2);
	*p++ = ':';
	p = put_digits(p, (uint32_t)tm.tm_sec, 2);
	*p++ = '.';
	p = put_digits(p, (uint32_t)us, 6);
	*p++ = 'Z';
	*p = '\0';
	return out;
}
