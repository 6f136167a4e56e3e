/* Knows no member by name. */
#include "lib/reals.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define DIGITS_READABLE 15
#define DIGITS_EXACT    17

static bool needs_all(const json_t *json);

static bool real_needs_all(double value)
{
	char text[40];

	snprintf(text, sizeof text, "%.*g", DIGITS_READABLE, value);
	return strtod(text, NULL) != value;
}

static bool object_needs_all(const json_t *object)
{
	json_t *o = (json_t *)(uintptr_t)object, *v;
	const char *name;

	json_object_foreach (o, name, v)
		if (needs_all(v))
			return true;
	return false;
}

static bool needs_all(const json_t *json)
{
	const json_t *v;
	size_t i;

	if (json_is_real(json))
		return real_needs_all(json_real_value(json));
	if (json_is_object(json))
		return object_needs_all(json);
	json_array_foreach (json, i, v)
		if (needs_all(v))
			return true;
	return false;
}

size_t reals_precision(const json_t *json)
{
	return needs_all(json) ? JSON_REAL_PRECISION(DIGITS_EXACT) : JSON_REAL_PRECISION(DIGITS_READABLE);
}
