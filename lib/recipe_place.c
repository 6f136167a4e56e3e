/* Placeholders: {page} {cursor} {offset} {since} {var:NAME} {secret:NAME}. What looks like one is found here; whether
 * it may stand where it stands is recipe_check.c's, what takes its place recipe_request.c's. */
#include <string.h>

#include "lib/recipe_private.h"

static const char *const kind_names[] = {
    [PLACE_PAGE] = "page",   [PLACE_CURSOR] = "cursor", [PLACE_OFFSET] = "offset",
    [PLACE_SINCE] = "since", [PLACE_VAR] = "var",       [PLACE_SECRET] = "secret",
};
_Static_assert(sizeof kind_names / sizeof *kind_names == PLACE_KINDS, "every placeholder has a word");

const char *place_kind_name(enum place_kind k)
{
	return (unsigned)k < PLACE_KINDS ? kind_names[k] : "?";
}

static bool is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
	       c == '.';
}

static size_t name_length(const char *p)
{
	size_t n = 0;

	while (is_name_byte(p[n]))
		n++;
	return n;
}

bool place_name_ok(const char *name, size_t len)
{
	return len >= 1 && len <= RECIPE_NAME_MAX && name_length(name) >= len;
}

bool recipe_name_ok(const char *name)
{
	return name[0] != '.' && place_name_ok(name, strlen(name));
}

static enum place_kind kind_of(const struct place *p)
{
	for (unsigned k = 0; k < PLACE_KINDS; k++) {
		bool named = k == PLACE_VAR || k == PLACE_SECRET;

		if (strlen(kind_names[k]) == p->word_len && memcmp(kind_names[k], p->word, p->word_len) == 0 &&
		    named == (p->name_len > 0) && p->name_len <= RECIPE_NAME_MAX)
			return (enum place_kind)k;
	}
	return PLACE_KINDS;
}

/* `text` is at a brace. */
static bool take(const char *text, struct place *out)
{
	const char *p = text + 1;

	*out = (struct place){.start = text, .word = p, .word_len = name_length(p), .name = ""};
	p += out->word_len;
	if (*p == ':') {
		out->name = p + 1;
		out->name_len = name_length(p + 1);
		p += 1 + out->name_len;
	}
	if (*p != '}' || out->word_len == 0)
		return false;
	out->end = p + 1;
	out->kind = kind_of(out);
	return true;
}

bool place_next(const char *text, struct place *out)
{
	for (text = strchr(text, '{'); text; text = strchr(text + 1, '{'))
		if (take(text, out))
			return true;
	return false;
}

bool recipe_has_place(const char *text, enum place_kind kind)
{
	struct place p;

	for (; text && place_next(text, &p); text = p.end)
		if (p.kind == kind)
			return true;
	return false;
}

enum place_kind place_of_token(enum page_type t)
{
	switch (t) {
	case PAGE_NUMBER:
		return PLACE_PAGE;
	case PAGE_OFFSET:
		return PLACE_OFFSET;
	case PAGE_CURSOR:
	case PAGE_KEYSET:
		return PLACE_CURSOR;
	default:
		return PLACE_KINDS;
	}
}

int recipe_var_index(const struct recipe *r, const char *name, size_t len)
{
	for (size_t i = 0; i < r->var_count; i++)
		if (strlen(r->vars[i].name) == len && memcmp(r->vars[i].name, name, len) == 0)
			return (int)i;
	return -1;
}

const char *recipe_url_path(const char *url)
{
	const char *p = strstr(url, "://");

	p = p ? p + 3 : url;
	return p + strcspn(p, "/?");
}

const char *recipe_url_query(const char *url)
{
	return url + strcspn(url, "?");
}

int recipe_secrets_in(const char *text, int (*on_name)(void *arg, const char *name, size_t len), void *arg)
{
	struct place p;
	int rc = 0;

	for (; rc == 0 && place_next(text, &p); text = p.end)
		if (p.kind == PLACE_SECRET)
			rc = on_name(arg, p.name, p.name_len);
	return rc;
}
