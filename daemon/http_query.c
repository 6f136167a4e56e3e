/* The query of a request: parameters that its route takes, each once, percent-encoded. */
#define _GNU_SOURCE 1

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/http_private.h"

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int http_percent_decode(char *s)
{
	char *out = s;

	for (; *s; s++) {
		if (*s == '%') {
			int high = hex(s[1]), low = high < 0 ? -1 : hex(s[2]);

			if (low < 0 || (high == 0 && low == 0))
				return -1;
			*out++ = (char)(high << 4 | low);
			s += 2;
		} else {
			*out++ = *s;
		}
	}
	*out = '\0';
	return 0;
}

/* Finds `name` among the words; returns where, as a pointer into them. */
static const char *find_word(const char *words, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = words; p && *p; p += strcspn(p, " "), p += *p == ' ')
		if (strcspn(p, " ") == n && strncmp(p, name, n) == 0)
			return p;
	return NULL;
}

static int read_param(struct http_request *r, const struct http_route *route, char *text, struct err *e)
{
	char *value = strchr(text, '=');
	char known[200];

	if (value)
		*value++ = '\0';
	if (!route->query || !find_word(route->query, text)) {
		snprintf(known, sizeof known, route->query ? "known: %s" : "it takes none%s",
			 route->query ? route->query : "");
		return err_set(e, ERR_INPUT, known, "unknown query parameter \"%.60s\"", text);
	}
	if (!value || http_percent_decode(value))
		return err_set(e, ERR_INPUT, "write it as in name=value, percent-encoded",
			       "the query parameter \"%.60s\" has no value, or a malformed one", text);
	if (http_query(r, text) || r->param_count == HTTP_PARAMS_MAX)
		return err_set(e, ERR_INPUT, NULL, "the query parameter \"%.60s\" comes twice", text);
	r->params[r->param_count++] = (struct http_param){text, value};
	return 0;
}

int http_read_query(struct http_request *r, const struct http_route *route, const char *query, struct err *e)
{
	char *rest, *text;

	if (!query)
		return 0;
	r->query = rest = strdup(query);
	if (!rest)
		BUG("out of memory for a query");
	while ((text = strsep(&rest, "&")))
		if (read_param(r, route, text, e))
			return -1;
	return 0;
}

const char *http_query(const struct http_request *r, const char *name)
{
	for (unsigned i = 0; i < r->param_count; i++)
		if (strcmp(r->params[i].name, name) == 0)
			return r->params[i].value;
	return NULL;
}
