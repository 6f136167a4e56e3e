/* The grammar of RFC 9651, sections 4.2.1 to 4.2.10, with one reader for each kind of bare item. */
#include "worker/fields.h"

#include <string.h>

#define INTEGER_DIGITS 15 /* section 3.3.1 */

void field_init(struct field *f, const char *p, size_t n)
{
	*f = (struct field){.p = p, .end = p + n};
}

static bool fail(struct field *f)
{
	f->bad = true;
	return false;
}

/* The next character, NUL at the end: no valid field has one inside. */
static char peek(const struct field *f)
{
	return f->p < f->end ? *f->p : '\0';
}

static bool take(struct field *f, char c)
{
	if (f->p == f->end || *f->p != c)
		return false;
	f->p++;
	return true;
}

static void skip(struct field *f, const char *set)
{
	while (peek(f) && strchr(set, *f->p))
		f->p++;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_alpha(char c)
{
	return is_lower(c) || (c >= 'A' && c <= 'Z');
}

static bool is_one_of(char c, const char *set)
{
	return c && strchr(set, c);
}

static bool is_token_char(char c)
{
	return is_alpha(c) || is_digit(c) || is_one_of(c, "!#$%&'*+-.^_`|~:/");
}

static bool is_key_char(char c)
{
	return is_lower(c) || is_digit(c) || is_one_of(c, "_-.*");
}

static bool is_base64_char(char c)
{
	return is_alpha(c) || is_digit(c) || is_one_of(c, "+/=");
}

static bool is_printable(char c)
{
	return c >= ' ' && c <= '~';
}

/* ---- Bare items ---- */

/* An integer, or a decimal: of that nothing here needs the value. */
static bool read_number(struct field *f, struct field_item *item)
{
	bool negative = take(f, '-');
	int digits = 0, fraction = 0;
	int64_t v = 0;

	for (; is_digit(peek(f)) && digits <= INTEGER_DIGITS; digits++)
		v = v * 10 + (*f->p++ - '0');
	if (digits == 0 || digits > INTEGER_DIGITS)
		return fail(f);
	item->kind = FIELD_INTEGER;
	item->integer = negative ? -v : v;
	if (!take(f, '.'))
		return true;
	for (; is_digit(peek(f)) && fraction <= 3; fraction++)
		f->p++;
	item->kind = FIELD_OTHER;
	return (fraction >= 1 && fraction <= 3 && digits <= 12) || fail(f);
}

/* After the opening quote. */
static bool read_string(struct field *f, struct field_item *item)
{
	item->kind = FIELD_STRING;
	item->text.p = f->p;
	for (; peek(f) != '"'; f->p++) {
		if (take(f, '\\') && !is_one_of(peek(f), "\"\\"))
			return fail(f);
		if (!is_printable(peek(f)))
			return fail(f);
	}
	item->text.n = (size_t)(f->p - item->text.p);
	return take(f, '"');
}

static bool read_run(struct field *f, struct field_text *text, bool (*belongs)(char))
{
	text->p = f->p;
	while (belongs(peek(f)))
		f->p++;
	text->n = (size_t)(f->p - text->p);
	return true;
}

static bool read_token(struct field *f, struct field_item *item)
{
	item->kind = FIELD_TOKEN;
	return read_run(f, &item->text, is_token_char);
}

static bool read_bytes(struct field *f, struct field_item *item)
{
	item->kind = FIELD_OTHER;
	read_run(f, &item->text, is_base64_char);
	return take(f, ':') || fail(f);
}

static bool read_boolean(struct field *f, struct field_item *item)
{
	item->kind = FIELD_OTHER;
	return take(f, '0') || take(f, '1') || fail(f);
}

static bool read_date(struct field *f, struct field_item *item)
{
	if (!read_number(f, item) || item->kind != FIELD_INTEGER)
		return fail(f);
	item->kind = FIELD_OTHER;
	return true;
}

/* A display string; what it says is not looked at. */
static bool read_display(struct field *f, struct field_item *item)
{
	struct field_item inner;

	item->kind = FIELD_OTHER;
	return (take(f, '"') && read_string(f, &inner)) || fail(f);
}

static bool read_bare(struct field *f, struct field_item *item)
{
	*item = (struct field_item){.kind = FIELD_OTHER};
	if (is_digit(peek(f)) || peek(f) == '-')
		return read_number(f, item);
	if (is_alpha(peek(f)) || peek(f) == '*')
		return read_token(f, item);
	if (take(f, '"'))
		return read_string(f, item);
	if (take(f, ':'))
		return read_bytes(f, item);
	if (take(f, '?'))
		return read_boolean(f, item);
	if (take(f, '@'))
		return read_date(f, item);
	if (take(f, '%'))
		return read_display(f, item);
	return fail(f);
}

static bool read_key(struct field *f, struct field_text *key)
{
	if (!is_lower(peek(f)) && peek(f) != '*')
		return fail(f);
	return read_run(f, key, is_key_char);
}

/* ---- Members ---- */

/* To the next member, past the parameters of the last. False at the end. */
static bool advance(struct field *f)
{
	struct field_text key;
	struct field_item value;

	while (field_next_parameter(f, &key, &value))
		;
	if (f->bad)
		return false;
	skip(f, f->begun ? " \t" : " ");
	if (f->p == f->end)
		return false;
	if (f->begun) {
		if (!take(f, ','))
			return fail(f);
		skip(f, " \t");
	}
	f->begun = true;
	return true;
}

bool field_next_item(struct field *f, struct field_item *item)
{
	return advance(f) && read_bare(f, item);
}

bool field_next_entry(struct field *f, struct field_text *key, struct field_item *item)
{
	if (!advance(f) || !read_key(f, key))
		return false;
	*item = (struct field_item){.kind = FIELD_OTHER};
	return !take(f, '=') || read_bare(f, item);
}

bool field_next_parameter(struct field *f, struct field_text *key, struct field_item *value)
{
	if (f->bad || !f->begun || !take(f, ';'))
		return false;
	skip(f, " ");
	if (!read_key(f, key))
		return false;
	*value = (struct field_item){.kind = FIELD_OTHER};
	return !take(f, '=') || read_bare(f, value);
}

bool field_text_is(const struct field_text *t, const char *text)
{
	return t->n == strlen(text) && memcmp(t->p, text, t->n) == 0;
}
