/* From pages to items: a recipe's `items` on a body, what --jq makes of each, and each only once. Knows jq and the
 * recipe; nothing of where items come from or go. */
#ifndef FANOUT_CLI_ITEMS_VIEW_H
#define FANOUT_CLI_ITEMS_VIEW_H

#include <jv.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/items_read.h"
#include "lib/err.h"
#include "lib/recipe.h"

struct items_view;

enum items_how {
	ITEMS_ALL,
	ITEMS_UNIQUE, /* each once, by the recipe's key or by all of it */
	ITEMS_KEYED,  /* [item, key] each, where the recipe has a key */
};
/* `vars` is a JSON object of the run's, `expr` may be NULL. NULL with `e`. */
struct items_view *items_view_create(const struct recipe *r, const char *vars, const char *expr, enum items_how how,
				     struct err *e);
void items_view_free(struct items_view *v);
/* Whether the recipe's `items` (or key) looks at the response's header. */
bool items_view_wants_headers(const struct recipe *r, bool unique);

/* Calls on_item for each item of the page, which it consumes, and takes the page's body. -1 with `e`, also where
 * on_item says so. */
typedef int items_fn(void *arg, jv item, struct err *e);
int items_view_page(struct items_view *v, struct items_page *p, items_fn *on_item, void *arg, struct err *e);

#endif
