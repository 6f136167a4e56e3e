/* Filling in placeholders, and what is added where there is none. No value may bring a secret's name in: secrets go
 * where the recipe says, not where a server's cursor or a caller's var says. */
#define _GNU_SOURCE 1

#include "lib/recipe_fill.h"

#include <stdlib.h>
#include <string.h>

/* ---- a growing text ---- */

void fill_open(struct fill_text *t)
{
	t->f = open_memstream(&t->p, &t->n);
	if (!t->f)
		BUG("out of memory for a request");
}

char *fill_close(struct fill_text *t, int rc)
{
	if (fclose(t->f))
		BUG("out of memory for a request");
	if (rc == 0)
		return t->p;
	free(t->p);
	return NULL;
}

/* ---- values ---- */

const char *fill_value(const struct fill *m, const struct place *p)
{
	int i;

	if (p->kind == PLACE_SINCE)
		return m->p->since ? m->p->since : "";
	if (p->kind != PLACE_VAR)
		return m->p->token;
	i = recipe_var_index(m->r, p->name, p->name_len);
	return m->p->vars ? m->p->vars[i] : m->r->vars[i].value;
}

static int count_one(void *arg, const char *name, size_t len)
{
	(void)name, (void)len;
	++*(unsigned *)arg;
	return 0;
}

unsigned fill_secrets_in(const char *text)
{
	unsigned n = 0;

	recipe_secrets_in(text, count_one, &n);
	return n;
}

int fill_refuse_secret(struct err *e, const char *where)
{
	return err_set(e, ERR_INPUT, "only the recipe itself can name secrets",
		       "a value that goes into the %s has a {secret:...} in it", where);
}

bool fill_is_value(const struct place *p)
{
	return p->kind != PLACE_SECRET && p->kind != PLACE_KINDS;
}

int fill_put(const struct fill *m, FILE *f, const char *text, const char *end, enum quoting quote)
{
	struct place p;

	while (text < end && place_next(text, &p) && p.start < end) {
		fwrite(text, 1, (size_t)(p.start - text), f);
		if (!fill_is_value(&p))
			fwrite(p.start, 1, (size_t)(p.end - p.start), f);
		else if (value_put(f, fill_value(m, &p), p.kind, quote, m->e))
			return -1;
		text = p.end;
	}
	fwrite(text, 1, (size_t)(end - text), f);
	return 0;
}

/* ---- what is added ---- */

bool fill_adds_token(const struct fill *m, enum page_in in)
{
	return !m->r->store->token_placed && m->r->page.param && m->r->page.in == in && m->p->token[0] &&
	       place_of_token(m->r->page.type) != PLACE_KINDS;
}

bool fill_adds_since(const struct fill *m, enum page_in in)
{
	return m->r->since.used && !m->r->store->since_placed && m->r->since.param && m->r->since.in == in &&
	       m->p->since && m->p->since[0];
}

bool fill_adds_size(const struct fill *m, enum page_in in)
{
	enum page_in own = m->r->page.in == PAGE_IN_PATH ? PAGE_IN_QUERY : m->r->page.in;

	return m->r->page.size_param && own == in;
}

const char *fill_size_text(const struct recipe *r, char out[static 24])
{
	snprintf(out, 24, "%lld", (long long)r->page.size);
	return out;
}
