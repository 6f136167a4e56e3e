/* Quoting: one function for each place. RFC 3986 (unreserved characters), RFC 9110 section 5.5 (header values), RFC
 * 8259 (JSON strings). */
#include "lib/recipe_value.h"

#include <string.h>

static bool is_unreserved(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("-._~", c));
}

static int refuse(struct err *e, enum place_kind kind, const char *value, const char *why)
{
	const char *what = kind == PLACE_VAR ? "the var's value" : place_kind_name(kind);

	return err_set(e, ERR_INPUT, NULL, "%s \"%.60s\" %s", what, value, why);
}

static void put_encoded(FILE *f, const char *value, const char *keep)
{
	for (const unsigned char *p = (const unsigned char *)value; *p; p++)
		if (is_unreserved(*p) || strchr(keep, *p))
			putc(*p, f);
		else
			fprintf(f, "%%%02X", *p);
}

static int put_host(FILE *f, const char *value, enum place_kind kind, struct err *e)
{
	size_t n = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]");

	if (n == 0 || value[n])
		return refuse(e, kind, value, "cannot be part of a host");
	fputs(value, f);
	return 0;
}

static int put_path(FILE *f, const char *value, enum place_kind kind, struct err *e)
{
	(void)e;
	put_encoded(f, value, kind == PLACE_VAR ? "/" : "");
	return 0;
}

static int put_query(FILE *f, const char *value, enum place_kind kind, struct err *e)
{
	(void)kind, (void)e;
	put_encoded(f, value, "");
	return 0;
}

static int put_header(FILE *f, const char *value, enum place_kind kind, struct err *e)
{
	for (const unsigned char *p = (const unsigned char *)value; *p; p++)
		if ((*p < 0x20 && *p != '\t') || *p == 0x7f)
			return refuse(e, kind, "",
				      "has a line break or another control byte and is to go into a header");
	fputs(value, f);
	return 0;
}

static int put_json(FILE *f, const char *value, enum place_kind kind, struct err *e)
{
	(void)kind, (void)e;
	for (const unsigned char *p = (const unsigned char *)value; *p; p++)
		if (*p == '"' || *p == '\\')
			fprintf(f, "\\%c", *p);
		else if (*p < 0x20)
			fprintf(f, "\\u%04x", *p);
		else
			putc(*p, f);
	return 0;
}

static int put_raw(FILE *f, const char *value, enum place_kind kind, struct err *e)
{
	(void)kind, (void)e;
	fputs(value, f);
	return 0;
}

int value_put(FILE *f, const char *value, enum place_kind kind, enum quoting quote, struct err *e)
{
	static int (*const put[])(FILE *, const char *, enum place_kind, struct err *) = {
	    [QUOTE_HOST] = put_host,     [QUOTE_PATH] = put_path, [QUOTE_QUERY] = put_query,
	    [QUOTE_HEADER] = put_header, [QUOTE_JSON] = put_json, [QUOTE_RAW] = put_raw,
	};
	_Static_assert(sizeof put / sizeof *put == QUOTINGS, "every quoting has its function");

	return put[quote](f, value, kind, e);
}

json_t *value_json(const char *value, enum place_kind kind, bool numeric)
{
	bool is_number = kind == PLACE_PAGE || kind == PLACE_OFFSET || numeric;
	bool is_container = kind == PLACE_CURSOR && (*value == '[' || *value == '{');
	json_t *v =
	    is_number || is_container ? json_loads(value, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL) : NULL;

	if (v && (json_is_number(v) ? is_number : is_container))
		return v;
	json_decref(v);
	return NULL;
}
