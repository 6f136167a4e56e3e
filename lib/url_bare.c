/* What somebody may have meant by a text without a scheme. It must not know libcurl, which is long in loading:
 * fanoutctl says this before it asks anybody. */
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/address.h"
#include "lib/url.h"

#define BARE_MAX 110 /* bytes: it is said twice, and behind the name of a file */

/* A service of this machine, or of a private net, or at a port like 80, hardly speaks TLS. */
static const char *likely_scheme(const char *text)
{
	const char *host = text + (*text == '['), *port;
	size_t n = strcspn(host, *text == '[' ? "]" : ":/?#");
	uint8_t address[ADDRESS_BYTES];
	char name[64];

	port = host + n + (host[n] == ']');
	if (strncmp(port, ":80", 3) == 0)
		return "http";
	if (n >= sizeof name)
		return "https";
	memcpy(name, host, n);
	name[n] = '\0';
	if (strcmp(name, "localhost") == 0 || (address_parse(address, name) >= 0 && !address_is_public(address)))
		return "http";
	return "https";
}

static bool of_name(char c)
{
	return (unsigned char)c >= 0x80 || isalnum((unsigned char)c) || c == '-' || c == '.' || c == '_';
}

/* HOST or HOST:PORT, and what may be behind it: "javascript:alert(1)", "/path" and "http:/x" begin with none. */
static bool begins_with_host(const char *text)
{
	const char *p = text;

	if (*p == '[') {
		p += strcspn(p, "]");
		p += *p == ']';
	} else {
		while (of_name(*p))
			p++;
	}
	if (p == text || *text == '.')
		return false;
	if (*p == ':' && isdigit((unsigned char)p[1]))
		p += 1 + strspn(p + 1, "0123456789");
	return *p == '\0' || strchr("/?#", *p);
}

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text <= ' ' || *text == 0x7f)
			return false;
	return true;
}

int url_refuse_bare(const char *text, struct err *e)
{
	if (strlen(text) > BARE_MAX || !is_printable(text))
		return err_set(e, ERR_INPUT, URL_HINT, "the URL has no scheme");
	if (!begins_with_host(text))
		return err_set(e, ERR_INPUT, URL_HINT, "\"%s\" is no URL: it does not begin with http:// or https://",
			       text);
	return err_set(e, ERR_INPUT, NULL, "\"%s\" is no URL; did you mean %s://%s?", text, likely_scheme(text), text);
}
