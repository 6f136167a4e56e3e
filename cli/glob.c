/* Patterns in URLs, by the rules of curl 7.88 (src/tool_urlglob.c). */
#include "cli/glob.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum part_kind { PART_FIXED, PART_SET, PART_CHARS, PART_NUMBERS };

struct part {
	enum part_kind kind;
	char **words; /* FIXED: one; SET: all */
	uint64_t count, at;
	uint64_t first, step; /* CHARS, NUMBERS */
	int width;            /* NUMBERS: zeroes in front up to this */
};

struct glob {
	struct part *parts;
	size_t count;
	bool ended;
};

struct reader {
	const char *start, *p;
	struct glob *g;
	struct err *e;
};

static int refuse(const struct reader *r, const char *where, const char *what)
{
	return err_set(r->e, ERR_USAGE, "-g takes brackets and braces as they are", "%s at position %zu of %.200s",
		       what, (size_t)(where - r->start) + 1, r->start);
}

static struct part *add_part(struct glob *g, enum part_kind kind)
{
	struct part *grown = realloc(g->parts, (g->count + 1) * sizeof *grown);

	if (!grown)
		BUG("out of memory");
	g->parts = grown;
	grown[g->count] = (struct part){.kind = kind};
	return &grown[g->count++];
}

static void add_word(struct part *p, const char *s, size_t len)
{
	char **grown = realloc(p->words, (p->count + 1) * sizeof *grown);
	char *word = strndup(s, len);

	if (!grown || !word)
		BUG("out of memory");
	p->words = grown;
	p->words[p->count++] = word;
}

/* The length of what must not be read as a pattern at `p`: "[]", or an IPv6 address in brackets (with its zone). */
static size_t literal_bracket(const char *p)
{
	const char *end = strchr(p, ']'), *zone;
	char address[INET6_ADDRSTRLEN + 1];
	struct in6_addr ignored;
	size_t len;

	if (!end)
		return 0;
	if (end == p + 1)
		return 2;
	len = (size_t)(end - p) - 1;
	zone = memchr(p + 1, '%', len);
	if (zone)
		len = (size_t)(zone - p) - 1;
	if (len >= sizeof address)
		return 0;
	memcpy(address, p + 1, len);
	address[len] = '\0';
	return inet_pton(AF_INET6, address, &ignored) == 1 ? (size_t)(end - p) + 1 : 0;
}

static int read_fixed(struct reader *r)
{
	struct text t = {0};
	size_t skip;
	int rc = 0;

	while (*r->p && *r->p != '{') {
		if (*r->p == '[') {
			skip = literal_bracket(r->p);
			if (!skip)
				break;
			text_add(&t, r->p, skip);
			r->p += skip;
			continue;
		}
		if (*r->p == '}' || *r->p == ']') {
			rc = refuse(r, r->p, "a bracket or brace that was not opened");
			break;
		}
		if (*r->p == '\\' && r->p[1] && strchr("[]{}", r->p[1]))
			r->p++;
		text_add_char(&t, *r->p++);
	}
	if (rc == 0 && t.len)
		add_word(add_part(r->g, PART_FIXED), t.data, t.len);
	text_clear(&t);
	return rc;
}

static int read_set(struct reader *r)
{
	const char *open = r->p++;
	struct part *part = add_part(r->g, PART_SET);
	struct text t = {0};
	int rc = -1;

	text_reserve(&t, 0);
	for (;; r->p++) {
		if (*r->p == '\0') {
			refuse(r, open, "a brace that is not closed");
			goto out;
		}
		if (*r->p == '{' || *r->p == '[') {
			refuse(r, r->p, "a pattern within braces");
			goto out;
		}
		if (*r->p == ']') {
			refuse(r, r->p, "a bracket that was not opened");
			goto out;
		}
		if (*r->p == ',' || *r->p == '}') {
			if (*r->p == '}' && part->count == 0 && t.len == 0) {
				refuse(r, open, "an empty set");
				goto out;
			}
			add_word(part, t.data, t.len);
			t.len = 0;
			if (*r->p == '}')
				break;
			continue;
		}
		if (*r->p == '\\' && r->p[1])
			r->p++;
		text_add_char(&t, *r->p);
	}
	r->p++;
	rc = 0;
out:
	text_clear(&t);
	return rc;
}

/* Digits, without sign or blanks. Returns behind them, or NULL. */
static const char *number(const char *p, uint64_t *v)
{
	const char *start = p;

	for (*v = 0; isdigit((unsigned char)*p); p++)
		if (__builtin_mul_overflow(*v, 10, v) || __builtin_add_overflow(*v, (uint64_t)(*p - '0'), v))
			return NULL;
	return p == start ? NULL : p;
}

static int read_range(struct reader *r)
{
	const char *open = r->p, *p = open + 1, *digits = p;
	struct part part = {.kind = PART_NUMBERS, .step = 1};
	uint64_t last;

	if (isalpha((unsigned char)p[0]) && p[1] == '-' && isalpha((unsigned char)p[2])) {
		part.kind = PART_CHARS;
		part.first = (unsigned char)p[0];
		last = (unsigned char)p[2];
		p += 3;
	} else {
		p = number(p, &part.first);
		if (p && digits[0] == '0')
			part.width = (int)(p - digits);
		p = p && *p == '-' ? number(p + 1, &last) : NULL;
	}
	if (p && *p == ':')
		p = number(p + 1, &part.step);
	if (!p || *p != ']')
		return refuse(r, open, "a range that is none");
	if (last < part.first || part.step == 0 || (last > part.first && part.step > last - part.first))
		return refuse(r, open, "a range that leads nowhere");
	part.count = (last - part.first) / part.step + 1;
	*add_part(r->g, part.kind) = part;
	r->p = p + 1;
	return 0;
}

struct glob *glob_create(const char *pattern, struct err *e)
{
	struct glob *g = calloc(1, sizeof *g);
	struct reader r = {.start = pattern, .p = pattern, .g = g, .e = e};
	int rc = 0;

	if (!g)
		BUG("out of memory");
	while (rc == 0 && *r.p)
		rc = *r.p == '{'                            ? read_set(&r)
		     : *r.p == '[' && !literal_bracket(r.p) ? read_range(&r)
							    : read_fixed(&r);
	if (rc == 0)
		return g;
	glob_free(g);
	return NULL;
}

void glob_free(struct glob *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->count; i++) {
		struct part *p = &g->parts[i];

		for (uint64_t w = 0; p->words && w < p->count; w++)
			free(p->words[w]);
		free(p->words);
	}
	free(g->parts);
	free(g);
}

uint64_t glob_count(const struct glob *g)
{
	uint64_t n = 1;

	for (size_t i = 0; i < g->count; i++)
		if (__builtin_mul_overflow(n, g->parts[i].count, &n))
			return UINT64_MAX;
	return n;
}

static void put_part(const struct part *p, struct text *url)
{
	uint64_t v = p->first + p->at * p->step;

	switch (p->kind) {
	case PART_FIXED:
	case PART_SET:
		text_add_str(url, p->words[p->at]);
		break;
	case PART_CHARS:
		text_add_char(url, (char)v);
		break;
	case PART_NUMBERS:
		text_printf(url, "%0*llu", p->width, (unsigned long long)v);
		break;
	}
}

bool glob_next(struct glob *g, struct text *url)
{
	url->len = 0;
	if (g->ended)
		return false;
	for (size_t i = 0; i < g->count; i++)
		put_part(&g->parts[i], url);
	g->ended = true;
	for (size_t i = g->count; i > 0 && g->ended; i--) {
		struct part *p = &g->parts[i - 1];

		g->ended = ++p->at == p->count;
		if (g->ended)
			p->at = 0;
	}
	return true;
}
