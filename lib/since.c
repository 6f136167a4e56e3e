/* A moment less an overlap, in the form that it came in: by its digits, not by a clock. What cannot be told exactly in
 * that form (minutes off a date) is made earlier, never later: an overlap may only become longer. */
#define _GNU_SOURCE 1

#include "lib/since.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECOND_US INT64_C(1000000)
#define DAY_S     INT64_C(86400)
#define DIGITS    18 /* of a fraction or of a number */

/* A count of units since some beginning, with a decimal fraction. */
struct amount {
	int64_t whole;
	int64_t fraction; /* in units of 10^-digits */
	unsigned digits;
};

static int64_t power10(unsigned n)
{
	int64_t v = 1;

	while (n--)
		v *= 10;
	return v;
}

static int64_t up(int64_t n, int64_t unit)
{
	return (n + unit - 1) / unit;
}

/* a -= us, where one unit of `whole` is unit_us; rounded down. */
static void take_off(struct amount *a, int64_t us, int64_t unit_us)
{
	int64_t one = power10(a->digits), rest = us % unit_us, part;

	/* rest / unit_us < 1, to be told in 10^-digits */
	if (one >= unit_us)
		part = rest * (one / unit_us);
	else
		part = up(rest, unit_us / one);
	a->whole -= us / unit_us;
	a->fraction -= part;
	if (a->fraction < 0) {
		a->fraction += one;
		a->whole--;
	}
}

/* Exactly n digits. */
static bool take_digits(const char **p, unsigned n, int64_t *out)
{
	*out = 0;
	for (; n; n--, (*p)++) {
		if (**p < '0' || **p > '9')
			return false;
		*out = *out * 10 + (**p - '0');
	}
	return true;
}

/* ".123", where there is one. */
static bool take_fraction(const char **p, struct amount *a)
{
	unsigned n;

	if (**p != '.')
		return true;
	n = (unsigned)strspn(*p + 1, "0123456789");
	if (n == 0 || n > DIGITS)
		return false;
	(*p)++;
	a->digits = n;
	return take_digits(p, n, &a->fraction);
}

static char *format(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static char *format(const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		BUG("out of memory for a moment");
	va_end(ap);
	return text;
}

/* ---- the calendar: days since 1970, proleptic Gregorian (Howard Hinnant's algorithms) ---- */

static int64_t days_of(int64_t y, int64_t m, int64_t d)
{
	int64_t era, yoe, doy;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void civil_of(int64_t days, int64_t *y, int64_t *m, int64_t *d)
{
	int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;

	*d = doy - (153 * mp + 2) / 5 + 1;
	*m = mp + (mp < 10 ? 3 : -9);
	*y = yoe + era * 400 + (*m <= 2);
}

/* ---- dates and times ---- */

struct moment {
	int64_t days;      /* of the date */
	char between;      /* 'T', 't' or a space; 0: a date alone */
	bool has_seconds;  /* HH:MM:SS; else HH:MM */
	struct amount s;   /* of the day */
	const char *after; /* the zone, as it is; "" none */
};

static bool is_month_day(int64_t y, int64_t m, int64_t d)
{
	int64_t y2, m2, d2;

	if (m < 1 || m > 12 || d < 1)
		return false;
	civil_of(days_of(y, m, d), &y2, &m2, &d2);
	return m2 == m && d2 == d;
}

static bool is_zone(const char *p)
{
	int64_t n;

	if (!*p || strcmp(p, "Z") == 0 || strcmp(p, "z") == 0)
		return true;
	if (*p != '+' && *p != '-')
		return false;
	p++;
	if (!take_digits(&p, 2, &n) || n > 23)
		return false;
	if (!*p)
		return true;
	p += *p == ':';
	return take_digits(&p, 2, &n) && n < 60 && !*p;
}

static bool take_time(const char **p, struct moment *m)
{
	int64_t hour, minute, second = 0;

	if (!take_digits(p, 2, &hour) || hour > 23 || *(*p)++ != ':' || !take_digits(p, 2, &minute) || minute > 59)
		return false;
	m->has_seconds = **p == ':';
	if (m->has_seconds) {
		(*p)++;
		if (!take_digits(p, 2, &second) || second > 60 || !take_fraction(p, &m->s))
			return false;
	}
	m->s.whole = hour * 3600 + minute * 60 + second;
	return true;
}

static bool take_moment(const char *p, struct moment *m)
{
	int64_t y, month, d;

	*m = (struct moment){0};
	if (!take_digits(&p, 4, &y) || *p++ != '-' || !take_digits(&p, 2, &month) || *p++ != '-' ||
	    !take_digits(&p, 2, &d) || !is_month_day(y, month, d))
		return false;
	m->days = days_of(y, month, d);
	m->after = p;
	if (!*p)
		return true;
	if (!strchr("Tt ", *p))
		return false;
	m->between = *p++;
	if (!take_time(&p, m) || !is_zone(p))
		return false;
	m->after = p;
	return true;
}

static char *moment_before(struct moment m, int64_t us)
{
	int64_t y, month, d, of_day;
	char time[64] = "";

	if (!m.between) {
		m.days -= up(us, DAY_S * SECOND_US);
	} else if (m.has_seconds) {
		take_off(&m.s, us, SECOND_US);
	} else {
		m.s.whole -= up(us, 60 * SECOND_US) * 60;
	}
	of_day = (m.s.whole % DAY_S + DAY_S) % DAY_S;
	civil_of(m.days + (m.s.whole - of_day) / DAY_S, &y, &month, &d);
	if (y < 0)
		return NULL;
	if (m.between)
		snprintf(time, sizeof time, "%c%02d:%02d", m.between, (int)(of_day / 3600), (int)(of_day / 60 % 60));
	if (m.has_seconds && m.s.digits)
		snprintf(time + 6, sizeof time - 6, ":%02d.%0*lld", (int)(of_day % 60), (int)m.s.digits,
			 (long long)m.s.fraction);
	else if (m.has_seconds)
		snprintf(time + 6, sizeof time - 6, ":%02d", (int)(of_day % 60));
	return format("%04d-%02d-%02d%s%s", (int)y, (int)month, (int)d, time, m.after);
}

/* ---- numbers ---- */

/* By size: seconds until the year 5138, then milliseconds, microseconds, nanoseconds. */
static int64_t unit_us_of(int64_t n)
{
	return n < 100000000000 ? SECOND_US : n < 100000000000000 ? 1000 : n < 100000000000000000 ? 1 : 0;
}

static bool take_number(const char *p, struct amount *a)
{
	unsigned n = (unsigned)strspn(p, "0123456789");

	*a = (struct amount){0};
	return n >= 1 && n <= DIGITS + 1 && !(n == DIGITS + 1 && *p > '8') && take_digits(&p, n, &a->whole) &&
	       take_fraction(&p, a) && !*p;
}

/* Not before 1970. */
static char *number_before(struct amount a, int64_t us)
{
	int64_t unit_us = unit_us_of(a.whole);

	if (unit_us)
		take_off(&a, us, unit_us);
	else
		a.whole -= us * 1000;
	if (a.whole < 0)
		a.whole = a.fraction = 0;
	if (a.digits)
		return format("%lld.%0*lld", (long long)a.whole, (int)a.digits, (long long)a.fraction);
	return format("%lld", (long long)a.whole);
}

char *since_before(const char *value, int64_t overlap_us, struct err *e)
{
	struct moment m;
	struct amount a;
	char *text = NULL;

	if (overlap_us <= 0)
		return format("%s", value);
	if (take_moment(value, &m))
		text = moment_before(m, overlap_us);
	else if (take_number(value, &a))
		text = number_before(a, overlap_us);
	if (!text)
		err_set(e, ERR_INPUT, "write \"2026-01-31T08:00:00Z\", \"2026-01-31\" or seconds since 1970",
			"\"%.60s\" is no moment that an overlap could be taken from", value);
	return text;
}

enum since_form since_form(const char *value)
{
	struct moment m;
	char *end;

	if (take_moment(value, &m))
		return SINCE_MOMENT;
	if (!*value || value[strspn(value, "+-.0123456789eE")])
		return SINCE_TEXT; /* strtod takes more: 0x10, inf */
	strtod(value, &end);
	return *end ? SINCE_TEXT : SINCE_NUMBER;
}
