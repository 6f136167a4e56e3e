/* curl_getdate() reads far more than HTTP's dates; so a date's shape is checked first. */
#include "worker/httpdate.h"

#include <curl/curl.h>
#include <string.h>

#define DATE_SIZE 64

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* In a shape "A" is a letter (none of the spellings has an A of its own), "*" any number of them, "0" a digit, "_" a
 * digit or a space; all else is itself. */
static bool fits(char shape, char c)
{
	switch (shape) {
	case 'A':
		return is_alpha(c);
	case '0':
		return is_digit(c);
	case '_':
		return is_digit(c) || c == ' ';
	default:
		return c == shape;
	}
}

static bool has_shape(const char *text, const char *shape)
{
	for (; *shape; shape++) {
		if (*shape == '*')
			while (is_alpha(*text))
				text++;
		else if (!fits(*shape, *text++))
			return false;
	}
	return !*text;
}

bool httpdate_parse(const char *p, size_t n, int64_t *us)
{
	static const char *const shapes[] = {
	    "AAA, 00 AAA 0000 00:00:00 GMT",
	    "AAAA*, 00-AAA-00 00:00:00 GMT",
	    "AAA AAA _0 00:00:00 0000",
	};
	char text[DATE_SIZE];
	time_t s;

	if (n >= sizeof text || memchr(p, '\0', n))
		return false;
	memcpy(text, p, n);
	text[n] = '\0';
	for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
		if (!has_shape(text, shapes[i]))
			continue;
		s = curl_getdate(text, NULL);
		*us = (int64_t)s * 1000000;
		return s >= 0;
	}
	return false;
}
