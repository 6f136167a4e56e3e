/* Durations, sizes and rates as people write them. One reader of numbers for all three, exact or refused. */
#include "lib/units.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SECOND_US   INT64_C(1000000)
#define DURATION_US (INT64_C(3650) * 86400 * SECOND_US) /* the greatest: ten years */
#define DECIMALS    6                                   /* a microsecond is the smallest thing there is */
#define RATE_MAX    INT64_C(1000000000)

struct unit {
	const char *name;
	int64_t size;
	bool rate_only; /* a word that reads well after "100/" and nowhere else */
};

static const struct unit duration_units[] = {
    {"us", 1, false},
    {"ms", 1000, false},
    {"s", SECOND_US, false},
    {"m", 60 * SECOND_US, false},
    {"min", 60 * SECOND_US, false},
    {"h", 3600 * SECOND_US, false},
    {"d", 86400 * SECOND_US, false},
    {"w", 7 * 86400 * SECOND_US, false},
    {"sec", SECOND_US, true},
    {"second", SECOND_US, true},
    {"minute", 60 * SECOND_US, true},
    {"hour", 3600 * SECOND_US, true},
    {"day", 86400 * SECOND_US, true},
    {"week", 7 * 86400 * SECOND_US, true},
    {NULL, 0, false},
};

static const struct unit byte_units[] = {
    {"B", 1, false},
    {"K", INT64_C(1) << 10, false},
    {"KB", INT64_C(1) << 10, false},
    {"KiB", INT64_C(1) << 10, false},
    {"M", INT64_C(1) << 20, false},
    {"MB", INT64_C(1) << 20, false},
    {"MiB", INT64_C(1) << 20, false},
    {"G", INT64_C(1) << 30, false},
    {"GB", INT64_C(1) << 30, false},
    {"GiB", INT64_C(1) << 30, false},
    {"T", INT64_C(1) << 40, false},
    {"TB", INT64_C(1) << 40, false},
    {"TiB", INT64_C(1) << 40, false},
    {NULL, 0, false},
};

static const char *const duration_hint = "write a number and one of us ms s m min h d w, as in 30s, 1.5s or 2h";
static const char *const bytes_hint = "write a whole number and one of B K M G T, as in 64M";
static const char *const rate_hint = "write a number, a slash and a time, as in 100/min, 5000/h or 100/6s";

static const struct unit *find_unit(const struct unit *u, const char *name, bool rate)
{
	for (; u->name; u++)
		if (strcmp(u->name, name) == 0 && (rate || !u->rate_only))
			return u;
	return NULL;
}

struct number {
	int64_t whole;
	int64_t fraction; /* in units of 10^-DECIMALS */
};

/* Reads digits with an optional fraction and moves *p behind them. -1 when there is no number, it is out of range, or
 * it is finer than DECIMALS. */
static int take_number(const char **p, struct number *n)
{
	const char *s = *p;
	int64_t place = SECOND_US;

	*n = (struct number){0};
	if (*s < '0' || *s > '9')
		return -1;
	for (; *s >= '0' && *s <= '9'; s++)
		if (__builtin_mul_overflow(n->whole, 10, &n->whole) ||
		    __builtin_add_overflow(n->whole, *s - '0', &n->whole))
			return -1;
	if (*s == '.') {
		if (s[1] < '0' || s[1] > '9')
			return -1;
		for (s++; *s >= '0' && *s <= '9'; s++) {
			place /= 10;
			if (place == 0 && *s != '0')
				return -1;
			n->fraction += place * (*s - '0');
		}
	}
	*p = s;
	return 0;
}

/* whole * size + fraction * size, when that is a whole number. size is at most a week in µs where there is a fraction:
 * 10^6 times that fits. */
static int scale(const struct number *n, int64_t size, int64_t *out)
{
	int64_t part = n->fraction * size;

	if (part % SECOND_US || __builtin_mul_overflow(n->whole, size, out) ||
	    __builtin_add_overflow(*out, part / SECOND_US, out))
		return -1;
	return 0;
}

static int refuse(struct err *e, const char *hint, const char *text, const char *thing)
{
	return err_set(e, ERR_INPUT, hint, "\"%.60s\" is not a %s", text, thing);
}

int units_parse_duration_us(const char *text, int64_t *us, struct err *e)
{
	const char *p = text;
	const struct unit *u;
	struct number n;
	int64_t v;

	if (take_number(&p, &n))
		return refuse(e, duration_hint, text, "duration");
	u = find_unit(duration_units, *p ? p : "s", false);
	if (!u)
		return refuse(e, duration_hint, text, "duration");
	if (scale(&n, u->size, &v) || v > DURATION_US)
		return err_set(e, ERR_INPUT, duration_hint,
			       "the duration \"%.60s\" is longer than ten years or finer than a microsecond", text);
	*us = v;
	return 0;
}

int units_parse_bytes(const char *text, int64_t *bytes, struct err *e)
{
	const char *p = text;
	const struct unit *u;
	struct number n;
	int64_t v;

	if (take_number(&p, &n) || memchr(text, '.', (size_t)(p - text)))
		return refuse(e, bytes_hint, text, "size");
	u = find_unit(byte_units, *p ? p : "B", false);
	if (!u)
		return refuse(e, bytes_hint, text, "size");
	if (scale(&n, u->size, &v))
		return err_set(e, ERR_INPUT, bytes_hint, "the size \"%.60s\" is out of range", text);
	*bytes = v;
	return 0;
}

int units_parse_rate(const char *text, struct rate *rate, struct err *e)
{
	const char *p = text;
	const struct unit *u;
	struct number count, times = {.whole = 1};
	int64_t window_us;

	if (take_number(&p, &count) || count.fraction || memchr(text, '.', (size_t)(p - text)) || *p++ != '/')
		return refuse(e, rate_hint, text, "rate");
	if (*p >= '0' && *p <= '9' && take_number(&p, &times))
		return refuse(e, rate_hint, text, "rate");
	u = find_unit(duration_units, p, true);
	if (!u)
		return refuse(e, rate_hint, text, "rate");
	if (scale(&times, u->size, &window_us) || window_us <= 0 || window_us > DURATION_US)
		return err_set(e, ERR_INPUT, rate_hint, "the window of the rate \"%.60s\" is out of range", text);
	if (count.whole < 1 || count.whole > RATE_MAX)
		return err_set(e, ERR_INPUT, rate_hint, "the count of the rate \"%.60s\" is not between 1 and %" PRId64,
			       text, RATE_MAX);
	*rate = (struct rate){.count = count.whole, .window_us = window_us};
	return 0;
}

const char *units_format_duration(char *out, int64_t us)
{
	const int64_t ms = (us + 500) / 1000, cs = (us + 5000) / 10000, s = (us + SECOND_US / 2) / SECOND_US;
	const int64_t min = (s + 30) / 60, h = (min + 30) / 60;

	if (us < 1000)
		snprintf(out, UNITS_TEXT_SIZE, "%" PRId64 " µs", us);
	else if (us < 9950)
		snprintf(out, UNITS_TEXT_SIZE, "%" PRId64 ".%" PRId64 " ms", (us + 50) / 1000, (us + 50) / 100 % 10);
	else if (ms < 1000)
		snprintf(out, UNITS_TEXT_SIZE, "%" PRId64 " ms", ms);
	else if (cs < 6000)
		snprintf(out, UNITS_TEXT_SIZE, "%" PRId64 ".%02" PRId64 " s", cs / 100, cs % 100);
	else if (s < 3600)
		snprintf(out, UNITS_TEXT_SIZE, "%" PRId64 " min %02" PRId64 " s", s / 60, s % 60);
	else if (min < 48 * 60)
		snprintf(out, UNITS_TEXT_SIZE, "%" PRId64 " h %02" PRId64 " min", min / 60, min % 60);
	else
		snprintf(out, UNITS_TEXT_SIZE, "%" PRId64 " d %02" PRId64 " h", h / 24, h % 24);
	return out;
}

const char *units_format_bytes(char *out, int64_t bytes)
{
	static const char *const names[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double v = (double)bytes / 1024;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(out, UNITS_TEXT_SIZE, "%" PRId64 " B", bytes);
		return out;
	}
	for (; v >= 1023.95 && i + 1 < sizeof names / sizeof names[0]; i++)
		v /= 1024;
	snprintf(out, UNITS_TEXT_SIZE, "%.1f %s", v, names[i]);
	return out;
}
