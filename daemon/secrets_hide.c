/* Values that came back, in the many ways in which servers write them, and their names in their place. */
#define _GNU_SOURCE 1 /* memmem */

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/secrets_private.h"
#include "lib/base64.h"

#define CUT_MIN  4 /* bytes of a value */
#define CUT_SURE 8

/* ---- forms ---- */

static struct secret_form *add_form(struct secret *s, const char *text, size_t len)
{
	struct secret_form *f = &s->forms[s->form_count++];

	f->text = strndup(text, len);
	if (!f->text)
		BUG("out of memory for a secret");
	f->len = len;
	return f;
}

/* To the other alphabet (RFC 4648, section 5); whether that makes a difference. */
static bool to_base64_url(char *text)
{
	bool differs = false;

	for (; *text; text++)
		if (*text == '+' || *text == '/') {
			*text = *text == '+' ? '-' : '_';
			differs = true;
		}
	return differs;
}

/* Of a value that stands `shift` bytes behind a multiple of three: the characters that its bits alone decide. */
static void add_base64(struct secret *s, unsigned shift)
{
	size_t bytes = s->len + shift, first = (shift * 8 + 5) / 6, behind = bytes * 8 / 6;
	char *plain = calloc(1, bytes + 1), *text = calloc(1, BASE64_SIZE(bytes));

	if (!plain || !text)
		BUG("out of memory for a secret");
	memcpy(plain + shift, s->value, s->len);
	base64_encode(text, plain, bytes);
	text[behind] = '\0';
	do {
		struct secret_form *f = add_form(s, text + first, behind - first);

		f->shares_before = shift > 0;
		f->shares_behind = bytes % 3 != 0;
	} while (to_base64_url(text + first));
	explicit_bzero(plain, bytes);
	explicit_bzero(text, BASE64_SIZE(bytes));
	free(plain);
	free(text);
}

void secret_forms_make(struct secret *s)
{
	add_form(s, s->value, s->len);
	for (unsigned shift = 0; shift < 3 && s->len >= SECRET_SHORT; shift++)
		add_base64(s, shift);
}

void secret_forms_clear(struct secret *s)
{
	for (unsigned i = 0; i < s->form_count; i++)
		secrets_wipe(s->forms[i].text);
}

/* ---- finding ---- */

/* Which byte of the text belongs to which secret; made when the first is found. */
struct marks {
	const char *text;
	size_t len;
	uint16_t *owner; /* index + 1; 0: nobody's; AS_IS */
	bool found;
};
#define AS_IS UINT16_MAX /* in a {secret:NAME} that is there already: NAME may be a value too */

static void marks_make(struct marks *m)
{
	if (!m->owner)
		m->owner = calloc(m->len, sizeof(*m->owner));
	if (!m->owner)
		BUG("out of memory for a text of %zu bytes", m->len);
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

static bool stands_alone(const struct marks *m, size_t at, size_t len)
{
	return !(at > 0 && is_word(m->text[at - 1])) && !(at + len < m->len && is_word(m->text[at + len]));
}

/* Bytes that a longer one has already stay his. */
static void mark(struct marks *m, const struct secret *s, size_t at, size_t len, uint16_t owner)
{
	if (s->len < SECRET_SHORT && !stands_alone(m, at, len))
		return;
	marks_make(m);
	for (size_t i = at; i < at + len; i++)
		if (!m->owner[i]) {
			m->owner[i] = owner;
			m->found = true;
		}
}

static bool is_base64(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("+/-_", c));
}

static void mark_form(struct marks *m, const struct secret *s, const struct secret_form *f, uint16_t owner)
{
	const char *from = m->text, *hit;

	while ((hit = memmem(from, m->len - (size_t)(from - m->text), f->text, f->len))) {
		size_t at = (size_t)(hit - m->text), behind = at + f->len;

		at -= f->shares_before && at > 0 && is_base64(m->text[at - 1]);
		behind += f->shares_behind && behind < m->len && is_base64(m->text[behind]);
		mark(m, s, at, behind - at, owner);
		from = hit + 1;
	}
}

static int hex_of(const char *two)
{
	char digits[3] = {two[0], two[0] ? two[1] : '\0', '\0'};

	return isxdigit((unsigned char)digits[0]) && isxdigit((unsigned char)digits[1]) ? (int)strtol(digits, NULL, 16)
											: -1;
}

/* A JSON escape at `p` that stands for `c`: its length; 0. */
static size_t json_escape(const char *p, unsigned char c)
{
	static const char letters[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
	const char *letter = p[1] ? strchr(letters, p[1]) : NULL;

	if (letter)
		return meant[letter - letters] == (char)c ? 2 : 0;
	return c < 0x80 && strncmp(p, "\\u00", 4) == 0 && hex_of(p + 4) == c ? 6 : 0;
}

/* How many bytes at `p` stand for `c`; 0: they don't. */
static size_t one_byte(const char *p, unsigned char c)
{
	size_t escaped = *p == '\\' ? json_escape(p, c) : 0;

	if (escaped)
		return escaped;
	if (*p == '%' && hex_of(p + 1) == c)
		return 3;
	return (unsigned char)*p == c || (*p == '+' && c == ' ') ? 1 : 0;
}

static size_t match_encoded(const char *p, const char *value)
{
	const char *from = p;

	for (; *value; value++) {
		size_t n = *p ? one_byte(p, (unsigned char)*value) : 0;

		if (n == 0)
			return 0;
		p += n;
	}
	return (size_t)(p - from);
}

static void mark_encoded(struct marks *m, const struct secret *s, uint16_t owner)
{
	for (size_t i = 0; i < m->len; i++) {
		size_t len = match_encoded(m->text + i, s->value);

		if (len > 0)
			mark(m, s, i, len, owner);
	}
}

/* How many bytes at `p` are the value's beginning; *count: how many bytes of the value. */
static size_t match_beginning(const char *p, const char *value, size_t *count)
{
	const char *from = p;
	size_t n;

	for (*count = 0; value[*count] && *p && (n = one_byte(p, (unsigned char)value[*count])); p += n)
		++*count;
	return (size_t)(p - from);
}

/* A message quotes a value and cuts it off. So much of it is no accident; less is none where it is cut. */
static void mark_cut(struct marks *m, const struct secret *s, uint16_t owner)
{
	for (size_t i = 0, count; i < m->len; i++) {
		size_t len = match_beginning(m->text + i, s->value, &count);
		const char *behind = m->text + i + len;
		bool cut = !*behind || strncmp(behind, "...", 3) == 0;

		if (count < s->len && count >= (cut ? CUT_MIN : CUT_SURE))
			mark(m, s, i, len, owner);
	}
}

static void mark_names(struct marks *m, const struct secret *s)
{
	char name[sizeof "{secret:}" + SECRET_NAME_MAX];
	size_t len = (size_t)snprintf(name, sizeof(name), "{secret:%s}", s->name);

	for (const char *hit = m->text; (hit = strstr(hit, name)); hit += len) {
		marks_make(m);
		for (size_t i = 0; i < len; i++)
			m->owner[hit - m->text + (ptrdiff_t)i] = AS_IS;
	}
}

static void mark_all(struct marks *m, const struct secrets *s, bool cut)
{
	bool encoded = strpbrk(m->text, "%\\+") != NULL, named = strstr(m->text, "{secret:") != NULL;

	for (size_t i = 0; named && i < s->count; i++)
		mark_names(m, &s->all[i]);
	for (size_t i = 0; i < s->count; i++) {
		const struct secret *one = &s->all[i];

		for (unsigned f = 0; f < one->form_count; f++)
			mark_form(m, one, &one->forms[f], (uint16_t)(i + 1));
		if (encoded)
			mark_encoded(m, one, (uint16_t)(i + 1));
		if (cut)
			mark_cut(m, one, (uint16_t)(i + 1));
	}
}

/* ---- replacing ---- */

static char *write_names(const struct marks *m, const struct secrets *s)
{
	char *out = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&out, &size);

	if (!f)
		BUG("out of memory for a text of %zu bytes", m->len);
	for (size_t i = 0; i < m->len; i++)
		if (!m->owner[i] || m->owner[i] == AS_IS)
			fputc(m->text[i], f);
		else if (i == 0 || m->owner[i] != m->owner[i - 1])
			fprintf(f, "{secret:%s}", s->all[m->owner[i] - 1].name);
	if (fclose(f) != 0)
		BUG("out of memory for a text of %zu bytes", m->len);
	return out;
}

static char *hide(const struct secrets *s, const char *text, bool cut)
{
	struct marks m = {.text = text, .len = strlen(text)};
	char *out;

	if (!s || m.len == 0)
		return NULL;
	mark_all(&m, s, cut);
	out = m.found ? write_names(&m, s) : NULL;
	free(m.owner);
	return out;
}

char *secrets_hide(const struct secrets *s, const char *text)
{
	return hide(s, text, false);
}

char *secrets_hide_cut(const struct secrets *s, const char *text)
{
	return hide(s, text, true);
}
