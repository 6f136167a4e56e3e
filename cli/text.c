/* Text: growing it, and the quotings that our outputs need. */
#define _GNU_SOURCE 1 /* wcwidth */

#include "cli/text.h"

#include <jansson.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "lib/base64.h"
#include "lib/err.h"

void text_clear(struct text *t)
{
	free(t->data);
	*t = (struct text){0};
}

void text_reserve(struct text *t, size_t more)
{
	size_t cap = t->cap ? t->cap : 256;
	char *data;

	if (t->cap - t->len > more)
		return;
	while (cap - t->len <= more)
		cap *= 2;
	data = realloc(t->data, cap);
	if (!data)
		BUG("out of memory");
	t->data = data;
	t->cap = cap;
}

void text_add(struct text *t, const void *data, size_t len)
{
	text_reserve(t, len);
	if (len)
		memcpy(t->data + t->len, data, len);
	t->len += len;
	t->data[t->len] = '\0';
}

void text_add_str(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_add_char(struct text *t, char c)
{
	text_add(t, &c, 1);
}

void text_printf(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		BUG("a format that cannot be printed");
	text_reserve(t, (size_t)n);
	va_start(ap, fmt);
	vsnprintf(t->data + t->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	t->len += (size_t)n;
}

void text_add_option(struct text *t, const char *option, const char *value)
{
	if (!value)
		return;
	text_printf(t, " %s '", option);
	for (; *value; value++) {
		if (*value == '\'')
			text_add_str(t, "'\\''");
		else
			text_add_char(t, *value);
	}
	text_add_char(t, '\'');
}

int text_add_json(struct text *t, const char *s, size_t len)
{
	json_t *j;
	char *dumped;
	size_t plain = 0;

	/* URLs, nearly always: nothing to escape and nothing to check. */
	while (plain < len && (unsigned char)s[plain] >= 0x20 && (unsigned char)s[plain] < 0x7f && s[plain] != '"' &&
	       s[plain] != '\\')
		plain++;
	if (plain == len) {
		text_reserve(t, len + 2);
		t->data[t->len++] = '"';
		if (len)
			memcpy(t->data + t->len, s, len);
		t->len += len;
		t->data[t->len++] = '"';
		t->data[t->len] = '\0';
		return 0;
	}
	j = json_stringn(s, len);
	dumped = j ? json_dumps(j, JSON_ENCODE_ANY) : NULL;
	json_decref(j);
	if (!dumped)
		return -1;
	text_add_str(t, dumped);
	free(dumped);
	return 0;
}

void text_add_csv(struct text *t, const char *s)
{
	if (!strpbrk(s, ",\"\r\n")) {
		text_add_str(t, s);
		return;
	}
	text_add_char(t, '"');
	for (; *s; s++) {
		if (*s == '"')
			text_add_char(t, '"');
		text_add_char(t, *s);
	}
	text_add_char(t, '"');
}

void text_add_base64(struct text *t, const void *data, size_t len)
{
	text_reserve(t, BASE64_SIZE(len));
	t->len += base64_encode(t->data + t->len, data, len);
}

/* They take no column, and turn the direction of what stands around them, or end its line: text from a server could be
 * made to read as something else. */
static bool is_deceptive(wchar_t c)
{
	return c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
	       c == 0xfeff;
}

/* One character of `s` as it is shown, and the columns it takes. Returns the bytes taken. */
static size_t shown(const char *s, char *out, size_t size, unsigned *columns)
{
	mbstate_t state = {0};
	wchar_t wide;
	size_t n = mbrtowc(&wide, s, strlen(s), &state);
	int width = n == (size_t)-1 || n == (size_t)-2 ? -1 : wcwidth(wide);

	if (width < 0 || is_deceptive(wide)) {
		/* The bytes of a broken or unprintable character, each by itself. */
		*columns = (unsigned)snprintf(out, size, "\\x%02x", (unsigned)(unsigned char)*s);
		return 1;
	}
	memcpy(out, s, n);
	out[n] = '\0';
	*columns = (unsigned)width;
	return n;
}

unsigned text_add_shown(struct text *t, const char *s, unsigned columns)
{
	unsigned used = 0, last = 0;
	size_t cut = t->len; /* where the text may be cut so that an ellipsis fits */
	char one[MB_LEN_MAX + 8];

	while (*s) {
		size_t taken = shown(s, one, sizeof one, &last);

		if (columns && used + last > columns) {
			t->len = cut;
			text_add_str(t, MB_CUR_MAX > 1 ? "…" : "~");
			return columns;
		}
		text_add_str(t, one);
		used += last;
		s += taken;
		if (columns && used < columns)
			cut = t->len;
	}
	return used;
}
