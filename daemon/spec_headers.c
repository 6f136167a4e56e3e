/* Request headers: reading them from JSON into lines "Name: value\n", and joining a job's with its batch's. Names are
 * tokens (RFC 9110, section 5.1), values have no control bytes: nothing written here can begin another header. */
#define _GNU_SOURCE 1

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/spec_private.h"
#include "lib/header_name.h"

static int check_name(const char *name, size_t n, struct err *e)
{
	const char *framing = header_framing(name, n);

	if (n == 0 || header_token_length(name) < n)
		return spec_refuse(e, ERR_INPUT, "headers", "\"%.*s\" is not a header's name", n < 60 ? (int)n : 60,
				   name);
	if (framing)
		return spec_refuse(e, ERR_INPUT, "headers",
				   "%s is part of the message's framing and is set by fanout itself", framing);
	return 0;
}

static int check_value(const char *name, size_t name_len, const char *value, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)value[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return spec_refuse(e, ERR_INPUT, "headers", "the value of %.*s has a control byte (0x%02x)",
					   name_len < 60 ? (int)name_len : 60, name, c);
	}
	return 0;
}

static void append(struct spec_lines *l, const char *s, size_t n)
{
	if (l->len + n + 1 > l->cap) {
		l->cap = (l->len + n + 1) * 2;
		l->text = realloc(l->text, l->cap);
		if (!l->text)
			BUG("out of memory for headers");
	}
	memcpy(l->text + l->len, s, n);
	l->len += n;
	l->text[l->len] = '\0';
}

static const char blanks[] = " \t";

/* `value` NULL: the header is taken away ("Name:"). An empty one is "Name;", both as for curl. */
static int add(struct spec_lines *l, const char *name, size_t name_len, const char *value, struct err *e)
{
	size_t n = 0;

	if (check_name(name, name_len, e))
		return -1;
	if (value) {
		value += strspn(value, blanks);
		n = strlen(value);
		while (n && strchr(blanks, value[n - 1]))
			n--;
		if (check_value(name, name_len, value, n, e))
			return -1;
	}
	if (++l->count > SPEC_HEADER_LINES)
		return spec_refuse(e, ERR_TOO_LARGE, "headers", "there are more than %d", SPEC_HEADER_LINES);
	append(l, name, name_len);
	append(l, value && n == 0 ? ";" : value ? ": " : ":", value && n ? 2 : 1);
	append(l, value ? value : "", n);
	append(l, "\n", 1);
	if (l->len > SPEC_HEADERS_MAX)
		return spec_refuse(e, ERR_TOO_LARGE, "headers", "they are longer than %u bytes in all",
				   SPEC_HEADERS_MAX);
	return 0;
}

static int read_object(struct spec_lines *l, json_t *object, struct err *e)
{
	const char *name;
	json_t *value;

	json_object_foreach (object, name, value) {
		if (!json_is_string(value) && !json_is_null(value))
			return spec_refuse(e, ERR_INPUT, "headers", "the value of %.60s is neither a string nor null",
					   name);
		if (add(l, name, strlen(name), json_string_value(value), e))
			return -1;
	}
	return 0;
}

static int read_line(struct spec_lines *l, json_t *v, struct err *e)
{
	const char *line = json_string_value(v), *colon, *value;

	if (!line)
		return spec_refuse(e, ERR_INPUT, "headers", "an element is not a string");
	colon = strchr(line, ':');
	if (!colon) {
		size_t n = strlen(line);

		if (n > 1 && line[n - 1] == ';')
			return add(l, line, n - 1, "", e);
		return spec_refuse(e, ERR_INPUT, "headers", "\"%.60s\" is not of the form \"Name: value\"", line);
	}
	value = colon + 1 + strspn(colon + 1, blanks);
	return add(l, line, (size_t)(colon - line), *value ? value : NULL, e);
}

int spec_read_headers(struct spec_lines *l, json_t *v, struct err *e)
{
	if (json_is_object(v))
		return read_object(l, v, e);
	if (!json_is_array(v))
		return spec_refuse(e, ERR_INPUT, "headers", "it is neither an object nor an array of \"Name: value\"");
	for (size_t i = 0; i < json_array_size(v); i++)
		if (read_line(l, json_array_get(v, i), e))
			return -1;
	return 0;
}

/* ---- joining ---- */

static size_t line_length(const char *line)
{
	const char *end = strchrnul(line, '\n');

	return (size_t)(end - line) + (*end == '\n');
}

static bool has_name(const char *text, const char *name, size_t n)
{
	for (; *text; text += line_length(text))
		if (strncasecmp(text, name, n) == 0 && (text[n] == ':' || text[n] == ';'))
			return true;
	return false;
}

bool spec_takes_away(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (; *text; text += line_length(text))
		if (strncasecmp(text, name, n) == 0 && text[n] == ':')
			return text[n + 1] == '\n';
	return false;
}

char *spec_join_headers(const char *own, const char *template, const char *extra)
{
	char *out = malloc(strlen(own) + strlen(template) + strlen(extra) + 1), *p;

	if (!out)
		BUG("out of memory for headers");
	p = stpcpy(out, own);
	for (; *template; template += line_length(template))
		if (!has_name(own, template, strcspn(template, ":;")))
			p = mempcpy(p, template, line_length(template));
	for (; *extra; extra += line_length(extra)) {
		size_t name = strcspn(extra, ":;");

		*p = '\0';
		if (!has_name(out, extra, name))
			p = mempcpy(p, extra, line_length(extra));
	}
	*p = '\0';
	return out;
}

/* ---- after redirects ---- */

/* What another origin may see of the headers. Whatever is not here may be a credential, by whatever name. */
static const char *const harmless[] = {
    "Accept",           "Accept-Charset",   "Accept-Encoding", "Accept-Language",     "Cache-Control",
    "Content-Encoding", "Content-Language", "Content-Type",    "Idempotency-Key",     "If-Modified-Since",
    "If-None-Match",    "If-Range",         "Pragma",          "If-Unmodified-Since", "Range",
    "User-Agent"};

static bool is_harmless(const char *name, size_t n)
{
	for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++)
		if (strlen(harmless[i]) == n && strncasecmp(harmless[i], name, n) == 0)
			return true;
	return false;
}

/* There is no body any more, and what was asked for by this key has been done. */
static bool is_of_body(const char *name, size_t n)
{
	static const char content[] = "Content-", key[] = "Idempotency-Key";

	return (n >= sizeof content - 1 && strncasecmp(name, content, sizeof content - 1) == 0) ||
	       (n == sizeof key - 1 && strncasecmp(name, key, n) == 0);
}

char *spec_redirect_headers(const char *text, bool as_get, bool stripped)
{
	char *out = malloc(strlen(text) + 1), *p = out;

	if (!out)
		BUG("out of memory for headers");
	for (; *text; text += line_length(text)) {
		size_t n = strcspn(text, ":;");

		if ((!as_get || !is_of_body(text, n)) && (!stripped || is_harmless(text, n)))
			p = mempcpy(p, text, line_length(text));
	}
	*p = '\0';
	return out;
}
