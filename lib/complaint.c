/* Knows no program and no response. */
#include "lib/complaint.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/printable.h"

static void put(char *text, const char *p, size_t n)
{
	text_printable(text, JUDGE_TEXT_SIZE, p, n, JUDGE_TEXT_CHARS);
}

bool complain(char *text, const char *fmt, ...)
{
	char line[2 * JUDGE_TEXT_SIZE];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	put(text, line, n < 0 ? 0 : (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
	return true;
}

jv complaint_string(jv v)
{
	return jv_get_kind(v) == JV_KIND_STRING ? v : jv_dump_string(v, 0);
}

bool complain_of(char *text, jv v, const char *otherwise)
{
	jv_kind kind = jv_get_kind(v);

	if (kind == JV_KIND_NULL || kind == JV_KIND_FALSE) {
		jv_free(v);
		return false;
	}
	text[0] = '\0';
	v = complaint_string(v);
	if (kind != JV_KIND_TRUE)
		put(text, jv_string_value(v), (size_t)jv_string_length_bytes(jv_copy(v)));
	jv_free(v);
	return text[0] ? true : complain(text, "%s", otherwise);
}
