/* Knows no values. */
#include "lib/header_name.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static bool is_token_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c && strchr("!#$%&'*+-.^_`|~", c));
}

size_t header_token_length(const char *s)
{
	size_t n = 0;

	while (is_token_char(s[n]))
		n++;
	return n;
}

const char *header_framing(const char *name, size_t n)
{
	static const char *const framing[] = {"Content-Length", "Transfer-Encoding", "Connection", "Expect",
					      "Keep-Alive",     "Proxy-Connection",  "Upgrade",    "TE",
					      "Trailer"};

	for (size_t i = 0; i < sizeof framing / sizeof *framing; i++)
		if (strlen(framing[i]) == n && strncasecmp(framing[i], name, n) == 0)
			return framing[i];
	return NULL;
}
