/* Globs of hosts: a literal one is brought into the form that a limit key has, by lib/url, so that no spelling escapes;
 * one with * is compared byte by byte. */
#define _GNU_SOURCE 1

#include "lib/hostglob.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/url.h"

#define FORM "write HOST[:PORT], as in \"api.example.org\" or \"*.example.org:8443\""

struct glob {
	char host[URL_KEY_SIZE]; /* as in a key: lower case, an IPv6 address in brackets */
	unsigned port;           /* 0: any */
};

/* Where the port's colon is, or the end. */
static const char *port_of(const char *text)
{
	const char *from = *text == '[' ? strchr(text, ']') : text;

	return strchrnul(from ? from : text, ':');
}

static int take_port(const char *text, unsigned *port)
{
	*port = 0;
	if (*text == '\0')
		return 0;
	for (text++; *text >= '0' && *text <= '9' && *port <= 65535; text++)
		*port = *port * 10 + (unsigned)(*text - '0');
	return *text || *port < 1 || *port > 65535 ? -1 : 0;
}

static int take_stars(const char *text, size_t len, struct glob *g)
{
	bool some = false;

	for (size_t i = 0; i < len; i++) {
		char c = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] - 'A' + 'a') : text[i];
		bool named = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (!named && !strchr("*.-_", c))
			return -1;
		some = some || named;
		g->host[i] = c;
	}
	g->host[len] = '\0';
	return some ? 0 : -1;
}

static int take_literal(const char *text, size_t len, struct glob *g)
{
	char url[sizeof "http://:1/" + sizeof g->host];

	snprintf(url, sizeof url, "http://%.*s:1/", (int)len, text);
	if (strcspn(text, "/?#@%\\ ") < len || url_key(url, g->host, NULL))
		return -1;
	*strrchr(g->host, ':') = '\0';
	return 0;
}

static int parse(const char *text, struct glob *g)
{
	const char *colon = port_of(text);
	size_t len = (size_t)(colon - text);

	if (len == 0 || len >= sizeof g->host || take_port(colon, &g->port))
		return -1;
	return memchr(text, '*', len) ? take_stars(text, len, g) : take_literal(text, len, g);
}

int hostglob_check(const char *glob, struct err *e)
{
	struct glob g;

	if (parse(glob, &g) == 0)
		return 0;
	return err_set(e, ERR_INPUT, FORM, "\"%.100s\" names no hosts", glob);
}

bool hostglob_match(const char *glob, const char *key)
{
	const char *colon = strrchr(key, ':');
	char host[URL_KEY_SIZE];
	struct glob g;

	if (parse(glob, &g) || !colon || (size_t)(colon - key) >= sizeof host)
		return false;
	memcpy(host, key, (size_t)(colon - key));
	host[colon - key] = '\0';
	if (g.port && g.port != (unsigned)strtoul(colon + 1, NULL, 10))
		return false;
	return strchr(g.host, '*') ? fnmatch(g.host, host, FNM_NOESCAPE) == 0 : strcmp(g.host, host) == 0;
}
