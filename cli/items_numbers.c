/* One pass over the bytes, and a closer look only at numbers with more than fifteen significant digits: up to there a
 * double gives back every decimal. */
#include "cli/items_numbers.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXACT_DIGITS 15u
#define MOST_DIGITS  17u  /* that are ever written of a double */
#define LONGEST      400u /* bytes of a number that is looked at; a longer one cannot be held */

/* The significant digits of a decimal, without leading and trailing zeroes, and the power of ten of the first one. */
struct decimal {
	char digits[LONGEST + 1];
	size_t count;
	long exponent;
};

static bool is_number_char(char c)
{
	return (c >= '0' && c <= '9') || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-';
}

static void read_decimal(const char *text, struct decimal *d)
{
	bool point = false;
	long before = 0;

	*d = (struct decimal){0};
	for (; *text && *text != 'e' && *text != 'E'; text++) {
		if (*text == '.') {
			point = true;
		} else if (*text >= '0' && *text <= '9') {
			if (*text == '0' && d->count == 0) {
				before -= point;
				continue;
			}
			before += !point;
			d->digits[d->count++] = *text;
		}
	}
	d->exponent = before + (*text ? strtol(text + 1, NULL, 10) : 0);
	while (d->count && d->digits[d->count - 1] == '0')
		d->count--;
	d->digits[d->count] = '\0';
}

static bool is_exact(const char *p, size_t n)
{
	char text[LONGEST + 1], again[64];
	struct decimal is, comes;
	double value;

	if (n > LONGEST)
		return false;
	memcpy(text, p, n);
	text[n] = '\0';
	read_decimal(text, &is);
	value = strtod(text, NULL);
	if (is.count == 0)
		return true;
	if (isinf(value) || value == 0)
		return false;
	if (is.count <= EXACT_DIGITS)
		return true;
	if (is.count > MOST_DIGITS)
		return false;
	snprintf(again, sizeof again, "%.*e", (int)is.count - 1, value);
	read_decimal(again, &comes);
	return is.exponent == comes.exponent && strcmp(is.digits, comes.digits) == 0;
}

/* Behind the string that begins at `p`. */
static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		p += *p == '\\';
	return p < end ? p + 1 : end;
}

const char *items_inexact(const char *json, size_t len, size_t *n)
{
	const char *end = json + len, *p = json;

	while (p < end) {
		const char *from = p;

		if (*p == '"') {
			p = skip_string(p, end);
			continue;
		}
		if (*p < '0' || *p > '9') {
			p++;
			continue;
		}
		while (p < end && is_number_char(*p))
			p++;
		*n = (size_t)(p - from);
		/* An exponent may be too great with few digits. */
		if ((*n > EXACT_DIGITS || memchr(from, 'e', *n) || memchr(from, 'E', *n)) && !is_exact(from, *n))
			return from;
	}
	return NULL;
}
