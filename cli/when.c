/* RFC 3339 in UTC, and local time. */
#define _GNU_SOURCE 1 /* timegm, strptime */

#include "cli/when.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/units.h"

/* ".000006" at *p, in microseconds; digits behind the sixth are beyond what anybody counts. */
static int64_t take_fraction(const char **p)
{
	int64_t place = 100000, us = 0;

	if (**p != '.' || (*p)[1] < '0' || (*p)[1] > '9')
		return 0;
	for (++*p; **p >= '0' && **p <= '9'; ++*p, place /= 10)
		us += place * (**p - '0');
	return us;
}

int64_t when_parse_us(const char *text)
{
	struct tm tm = {0};
	const char *p = text ? strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	int64_t us;

	if (!p)
		return -1;
	us = take_fraction(&p);
	return strcmp(p, "Z") == 0 ? (int64_t)timegm(&tm) * 1000000 + us : -1;
}

/* The date, and the time behind it where there is one. NULL when it is no time. */
static const char *take_local(const char *text, struct tm *tm, int64_t *us)
{
	static const char *const forms[] = {"%H:%M:%S", "%H:%M"};
	const char *p = strptime(text, "%Y-%m-%d", tm), *end = NULL;

	*us = 0;
	if (!p || !*p)
		return p;
	if (*p != 'T' && *p != ' ')
		return NULL;
	for (size_t i = 0; !end && i < sizeof forms / sizeof forms[0]; i++)
		end = strptime(p + 1, forms[i], tm);
	if (end)
		*us = take_fraction(&end);
	return end;
}

/* "Z" or "+01:30", in seconds east of Greenwich. */
static bool take_zone(const char *p, int64_t *east_s)
{
	int hours, minutes, used = 0;
	char sign[2];

	*east_s = 0;
	if (strcmp(p, "Z") == 0)
		return true;
	if (sscanf(p, "%1[+-]%2d:%2d%n", sign, &hours, &minutes, &used) != 3 || used != 6 || p[6] || hours < 0 ||
	    hours > 23 || minutes < 0 || minutes > 59)
		return false;
	*east_s = (*p == '-' ? -60 : 60) * (hours * 60 + minutes);
	return true;
}

int when_parse_given(const char *text, int64_t now_us, int64_t *us, struct err *e)
{
	struct tm tm = {.tm_isdst = -1};
	int64_t fraction, ago, east_s;
	const char *p;

	if (units_parse_duration_us(text, &ago, NULL) == 0) {
		*us = now_us - ago;
		return 0;
	}
	p = take_local(text, &tm, &fraction);
	if (p && !*p) {
		*us = (int64_t)mktime(&tm) * 1000000 + fraction;
		return 0;
	}
	if (p && take_zone(p, &east_s)) {
		*us = ((int64_t)timegm(&tm) - east_s) * 1000000 + fraction;
		return 0;
	}
	return err_set(e, ERR_USAGE,
		       "write 2026-01-02, \"2026-01-02 03:04:05\", 2026-01-02T03:04:05Z, or 2h for two hours ago",
		       "\"%.60s\" is no time", text);
}

const char *when_format(char *out, int64_t wall_us)
{
	time_t s = (time_t)(wall_us / 1000000);
	struct tm tm;

	if (!localtime_r(&s, &tm) || !strftime(out, WHEN_TEXT_SIZE, "%Y-%m-%d %H:%M:%S", &tm))
		snprintf(out, WHEN_TEXT_SIZE, "?");
	return out;
}

#define NEAR_S (183 * 86400)

const char *when_format_short(char *out, int64_t wall_us, int64_t now_us)
{
	time_t s = (time_t)(wall_us / 1000000), now_s = (time_t)(now_us / 1000000);
	struct tm tm, now;

	if (!localtime_r(&s, &tm) || !localtime_r(&now_s, &now))
		return when_format(out, wall_us);
	if (tm.tm_year == now.tm_year && tm.tm_yday == now.tm_yday)
		strftime(out, WHEN_TEXT_SIZE, "%H:%M:%S", &tm);
	else if (s > now_s - NEAR_S && s < now_s + NEAR_S)
		strftime(out, WHEN_TEXT_SIZE, "%m-%d %H:%M", &tm);
	else
		strftime(out, WHEN_TEXT_SIZE, "%Y-%m-%d", &tm);
	return out;
}

const char *when_format_until(char *out, int64_t wall_us, int64_t now_us)
{
	char left[UNITS_TEXT_SIZE], at[WHEN_TEXT_SIZE];

	if (wall_us <= now_us)
		snprintf(out, WHEN_TEXT_SIZE, "now");
	else
		snprintf(out, WHEN_TEXT_SIZE, "in %.24s, at %.24s", units_format_duration(left, wall_us - now_us),
			 when_format(at, wall_us));
	return out;
}
