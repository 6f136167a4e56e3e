/* libjq makes a string of its own for each value, byte by byte. Here whole runs of bytes that need no escape are
 * copied, and whole numbers, which most are, are written without dtoa. What is rare is left to libjq. */
#include "cli/items_json.h"

#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define DEPTH_MOST  200 /* libjq's own way with what is deeper */
#define WHOLE_BELOW 1e15

/* Signs that JSON escapes with a letter; the other control characters by number. */
static const char letters[32] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};

static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c != '"' && c != '\\' && c != 0x7f;
}

static void add_escaped(struct text *out, unsigned char c)
{
	if (c == '"' || c == '\\')
		text_printf(out, "\\%c", c);
	else if (c < 0x20 && letters[c])
		text_printf(out, "\\%c", letters[c]);
	else
		text_printf(out, "\\u%04x", c);
}

static void add_string(struct text *out, jv string)
{
	const char *s = jv_string_value(string);
	size_t n = (size_t)jv_string_length_bytes(jv_copy(string)), from = 0;

	text_add_char(out, '"');
	for (size_t i = 0; i < n; i++) {
		if (is_plain((unsigned char)s[i]))
			continue;
		text_add(out, s + from, i - from);
		add_escaped(out, (unsigned char)s[i]);
		from = i + 1;
	}
	text_add(out, s + from, n - from);
	text_add_char(out, '"');
	jv_free(string);
}

static void add_by_libjq(struct text *out, jv v)
{
	jv dumped = jv_dump_string(v, 0);

	text_add(out, jv_string_value(dumped), (size_t)jv_string_length_bytes(jv_copy(dumped)));
	jv_free(dumped);
}

static void add_whole(struct text *out, int64_t n)
{
	char digits[24];
	size_t at = sizeof digits;
	uint64_t left = n < 0 ? (uint64_t)-n : (uint64_t)n;

	do {
		digits[--at] = (char)('0' + left % 10);
		left /= 10;
	} while (left);
	if (n < 0)
		digits[--at] = '-';
	text_add(out, digits + at, sizeof digits - at);
}

/* -0 is libjq's, too. */
static void add_number(struct text *out, jv number)
{
	double d = jv_number_value(number);

	if (d > -WHOLE_BELOW && d < WHOLE_BELOW && d == (double)(int64_t)d && d != 0) {
		add_whole(out, (int64_t)d);
		jv_free(number);
	} else {
		add_by_libjq(out, number);
	}
}

static void add(struct text *out, jv v, unsigned depth);

static void add_array(struct text *out, jv array, unsigned depth)
{
	int n = jv_array_length(jv_copy(array));

	text_add_char(out, '[');
	for (int i = 0; i < n; i++) {
		if (i)
			text_add_char(out, ',');
		add(out, jv_array_get(jv_copy(array), i), depth + 1);
	}
	text_add_char(out, ']');
	jv_free(array);
}

static void add_object(struct text *out, jv object, unsigned depth)
{
	bool first = true;
	int i;

	text_add_char(out, '{');
	for (i = jv_object_iter(object); jv_object_iter_valid(object, i); i = jv_object_iter_next(object, i)) {
		if (!first)
			text_add_char(out, ',');
		first = false;
		add_string(out, jv_object_iter_key(object, i));
		text_add_char(out, ':');
		add(out, jv_object_iter_value(object, i), depth + 1);
	}
	text_add_char(out, '}');
	jv_free(object);
}

static void add(struct text *out, jv v, unsigned depth)
{
	switch (depth < DEPTH_MOST ? jv_get_kind(v) : JV_KIND_NULL) {
	case JV_KIND_STRING:
		add_string(out, v);
		break;
	case JV_KIND_NUMBER:
		add_number(out, v);
		break;
	case JV_KIND_ARRAY:
		add_array(out, v, depth);
		break;
	case JV_KIND_OBJECT:
		add_object(out, v, depth);
		break;
	default:
		add_by_libjq(out, v);
	}
}

void items_json_add(struct text *out, jv v)
{
	add(out, v, 0);
}
