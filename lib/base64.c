/* Base64 both ways. */
#include "lib/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(char *out, const void *data, size_t n)
{
	const uint8_t *p = data;
	char *o = out;

	for (; n >= 3; n -= 3, p += 3) {
		*o++ = alphabet[p[0] >> 2];
		*o++ = alphabet[(p[0] & 3) << 4 | p[1] >> 4];
		*o++ = alphabet[(p[1] & 15) << 2 | p[2] >> 6];
		*o++ = alphabet[p[2] & 63];
	}
	if (n) {
		*o++ = alphabet[p[0] >> 2];
		*o++ = alphabet[(p[0] & 3) << 4 | (n == 2 ? p[1] >> 4 : 0)];
		*o++ = n == 2 ? alphabet[(p[1] & 15) << 2] : '=';
		*o++ = '=';
	}
	*o = '\0';
	return (size_t)(o - out);
}

static int value_of(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* How many of the last group's four characters are padding. */
static int padding(const char *group)
{
	if (group[3] != '=')
		return 0;
	return group[2] == '=' ? 2 : 1;
}

int base64_decode(void *out, size_t *n, const char *text, size_t len)
{
	uint8_t *o = out;

	*n = 0;
	if (len % 4)
		return -1;
	for (size_t i = 0; i < len; i += 4) {
		int pad = i + 4 == len ? padding(text + i) : 0;
		uint32_t bits = 0;

		for (int k = 0; k < 4; k++) {
			int v = k >= 4 - pad ? 0 : value_of(text[i + (size_t)k]);

			if (v < 0)
				return -1;
			bits = bits << 6 | (uint32_t)v;
		}
		/* Bits that no byte takes must be zero: one text for one value. */
		if ((pad == 1 && bits & 0xff) || (pad == 2 && bits & 0xffff))
			return -1;
		*o++ = (uint8_t)(bits >> 16);
		if (pad < 2)
			*o++ = (uint8_t)(bits >> 8);
		if (pad < 1)
			*o++ = (uint8_t)bits;
	}
	*n = (size_t)(o - (uint8_t *)out);
	return 0;
}
