/* What recipe_request.c and recipe_body.c share: a request being made of a recipe and a page. */
#ifndef FANOUT_LIB_RECIPE_FILL_H
#define FANOUT_LIB_RECIPE_FILL_H

#include "lib/recipe_private.h"
#include "lib/recipe_value.h"

struct fill {
	const struct recipe *r;
	const struct recipe_page *p;
	struct recipe_request *out;
	struct err *e;
};

/* A growing text. */
struct fill_text {
	FILE *f;
	char *p;
	size_t n;
};
void fill_open(struct fill_text *t);
/* The text, malloc'd; NULL and nothing left of it where rc is not 0. */
char *fill_close(struct fill_text *t, int rc);

/* What stands for a placeholder that is a value: not a secret, nor of no kind. */
bool fill_is_value(const struct place *p);
const char *fill_value(const struct fill *m, const struct place *p);
/* text[0..end) with its values filled in, quoted by `quote`. */
int fill_put(const struct fill *m, FILE *f, const char *text, const char *end, enum quoting quote);

unsigned fill_secrets_in(const char *text);
int fill_refuse_secret(struct err *e, const char *where); /* "headers", "body" */

/* Whether it has to be added by its param, there. */
bool fill_adds_token(const struct fill *m, enum page_in in);
bool fill_adds_since(const struct fill *m, enum page_in in);
bool fill_adds_size(const struct fill *m, enum page_in in);
const char *fill_size_text(const struct recipe *r, char out[static 24]);

/* Makes m->out->body. */
int recipe_fill_body(const struct fill *m);

#endif
