/* What is made of one page, in words: what it says, its first item, and what would be asked for next. The rules of the
 * end are those of docs/PULLS.md, as far as a single page, the first, can tell. */
#ifndef FANOUT_CLI_PULL_PAGE_H
#define FANOUT_CLI_PULL_PAGE_H

#include <jv.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/text.h"
#include "lib/recipe.h"

struct pull_said {
	int status;
	const char *error; /* NULL: none */
	int64_t items;     /* -1: not counted */
	const char *next;  /* ""; none */
	int has_more;      /* 1, 0; -1: not told */
	bool stop;
	int64_t total_pages, total_items; /* -1: not told */
	const char *since;                /* "": none */
	const char *stop_reason;          /* of the run that asked for this one page; NULL: there was none */
	const char *guard;                /* then: what it fails with */
};

/* What the items are told apart by. */
struct pull_keys {
	jv first, last;  /* of the first and of the last item; invalid: none */
	int64_t missing; /* items whose key is null */
};

/* The request for a page: "GET https://...", its headers, its body, as lines. Secrets are names. */
void pull_add_request(struct text *out, const struct recipe *r, const struct recipe_request *q);
/* The token of the first page, into out[64] or borrowed from the recipe. */
const char *pull_first_token(const struct recipe *r, char *out);

/* All of it on `out`. `first_item` and the keys are consumed; an invalid value where there is none. */
void pull_add_said(struct text *out, const struct recipe *r, const struct recipe_page *page, const struct pull_said *s,
		   jv first_item, struct pull_keys *keys);

#endif
