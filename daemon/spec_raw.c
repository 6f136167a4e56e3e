/* Where a value's text lies within JSON that jansson has accepted already, so that nothing here has to be checked
 * again: only strings, nesting and separators matter. A JSON body goes out as its owner wrote it, digit for digit;
 * writing it anew from doubles would turn 0.1 into 0.10000000000000001. */
#include <string.h>

#include "daemon/spec_private.h"

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && strchr(" \t\r\n", *p) && *p)
		p++;
	return p;
}

/* p is at the opening quote. */
static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p < end ? p + 1 : end;
}

static const char *skip_value(const char *p, const char *end)
{
	unsigned depth = 0;

	while (p < end) {
		char c = *p;

		if (c == '"') {
			p = skip_string(p, end);
		} else {
			if ((c == ',' || c == ']' || c == '}') && depth == 0)
				return p;
			depth += c == '{' || c == '[';
			depth -= c == '}' || c == ']';
			p++;
		}
		if (depth == 0 && (c == '"' || c == '}' || c == ']'))
			return p;
	}
	return p;
}

static struct slice trimmed(const char *from, const char *to)
{
	while (to > from && strchr(" \t\r\n", to[-1]))
		to--;
	return (struct slice){from, (size_t)(to - from)};
}

bool spec_raw_member(struct slice object, const char *name, struct slice *value)
{
	const char *end = object.p + object.n, *p = skip_space(object.p, end) + 1;
	size_t len = strlen(name);

	while ((p = skip_space(p, end)) < end && *p == '"') {
		const char *key = p + 1, *from;
		bool found;

		p = skip_string(p, end);
		found = (size_t)(p - 1 - key) == len && memcmp(key, name, len) == 0;
		p = skip_space(p, end);
		from = skip_space(p + 1, end); /* behind the colon */
		p = skip_value(from, end);
		if (found) {
			*value = trimmed(from, p);
			return true;
		}
		p = skip_space(p, end);
		if (p < end)
			p++; /* the comma, or the end */
	}
	return false;
}

bool spec_raw_next(struct slice *rest, struct slice *element)
{
	const char *end = rest->p + rest->n, *p = skip_space(rest->p, end), *from;

	if (p >= end || (*p != '[' && *p != ','))
		return false;
	from = skip_space(p + 1, end);
	p = skip_value(from, end);
	*element = trimmed(from, p);
	p = skip_space(p, end);
	*rest = (struct slice){p, (size_t)(end - p)};
	return element->n > 0;
}
