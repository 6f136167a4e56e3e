/* RFC 3339 in UTC, and local time. */
#define _GNU_SOURCE 1 /* timegm, strptime */

#include "cli/when.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t when_parse_us(const char *text)
{
	struct tm tm = {0};
	const char *p = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	int64_t us = 0;
	time_t s;

	if (!p)
		return -1;
	if (*p == '.') {
		int64_t place = 100000;

		for (p++; *p >= '0' && *p <= '9'; p++, place /= 10)
			us += place * (*p - '0');
	}
	s = timegm(&tm);
	return strcmp(p, "Z") == 0 ? (int64_t)s * 1000000 + us : -1;
}

const char *when_format(char *out, int64_t wall_us)
{
	time_t s = (time_t)(wall_us / 1000000);
	struct tm tm;

	if (!localtime_r(&s, &tm) || !strftime(out, WHEN_TEXT_SIZE, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(out, WHEN_TEXT_SIZE, "?");
	return out;
}
