/* Making remote text printable. Knows Unicode's dangerous characters and no encoding but UTF-8. */
#include "lib/printable.h"

#include <stdint.h>
#include <string.h>

/* One character from p[0..n): returns its length in bytes, 0 where it is cut short, -1 where it is invalid (overlong,
 * a surrogate, past U+10FFFF). */
static int decode(const unsigned char *p, size_t n, uint32_t *out)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	int len = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? -1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : -1;
	uint32_t c;

	if (len <= 1) {
		*out = p[0];
		return len;
	}
	c = p[0] & (0x7fu >> len);
	for (int i = 1; i < len; i++) {
		if ((size_t)i >= n)
			return 0;
		if ((p[i] & 0xc0) != 0x80)
			return -1;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return -1;
	*out = c;
	return len;
}

static bool is_space(uint32_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* C0 and C1 controls, line and paragraph separators, and the characters that turn the direction of writing and so could
 * make a line read as something else. */
static bool is_dangerous(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

struct writer {
	char *out;
	size_t len, size, chars, most;
	bool space; /* one is due before the next character */
};

/* False when nothing more fits. */
static bool emit(struct writer *w, const void *p, size_t n)
{
	bool space = w->space && w->len > 0;

	if (w->chars + space >= w->most || w->len + space + n >= w->size)
		return false;
	if (space)
		w->out[w->len++] = ' ';
	memcpy(w->out + w->len, p, n);
	w->len += n;
	w->chars += 1u + space;
	w->space = false;
	return true;
}

static size_t print(char *out, size_t size, const unsigned char *p, size_t n, size_t chars, bool html)
{
	struct writer w = {.out = out, .size = size, .most = chars};
	bool in_tag = false;

	if (size == 0)
		return 0;
	while (n > 0) {
		uint32_t c = 0;
		int len = decode(p, n, &c);
		bool fine = len > 0 && !is_dangerous(c);
		size_t step = len > 0 ? (size_t)len : 1;

		if (html && len == 1 && (c == '<' || c == '>')) {
			in_tag = c == '<';
			w.space = true;
		} else if (len == 1 && is_space(c)) {
			w.space = true;
		} else if (!in_tag && !emit(&w, fine ? (const void *)p : "?", fine ? step : 1)) {
			break;
		}
		p += step;
		n -= step;
	}
	out[w.len] = '\0';
	return w.len;
}

/* Printable ASCII, with spaces that stand alone between words. */
static bool is_plain(const unsigned char *p, size_t n)
{
	unsigned char before = ' ';

	for (size_t i = 0; i < n; i++) {
		if (p[i] < ' ' || p[i] > '~' || (p[i] == ' ' && before == ' '))
			return false;
		before = p[i];
	}
	return n == 0 || before != ' ';
}

/* Nearly all are content types, and plain: a worker does this for every response. */
size_t text_printable(char *out, size_t size, const void *p, size_t n, size_t chars)
{
	if (n < size && n <= chars && is_plain(p, n)) {
		memcpy(out, p, n);
		out[n] = '\0';
		return n;
	}
	return print(out, size, p, n, chars, false);
}

size_t text_printable_html(char *out, size_t size, const void *p, size_t n, size_t chars)
{
	return print(out, size, p, n, chars, true);
}

bool text_is_text(const void *p, size_t n)
{
	const unsigned char *s = p;

	while (n > 0) {
		uint32_t c;
		int len = decode(s, n, &c);

		if (len == 0)
			return true;
		if (len < 0 || (is_dangerous(c) && !is_space(c) && c != 0xfeff))
			return false;
		s += len;
		n -= (size_t)len;
	}
	return true;
}
