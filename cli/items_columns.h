/* Which members of items are written, and how: named by --fields, or learned from the first items. */
#ifndef FANOUT_CLI_ITEMS_COLUMNS_H
#define FANOUT_CLI_ITEMS_COLUMNS_H

#include <jv.h>

#include "cli/text.h"
#include "lib/err.h"

struct items_columns;

/* "id,owner.name": paths of members; a whole number is a place in an array. NULL with ERR_USAGE. */
struct items_columns *items_columns_parse(const char *fields, struct err *e);
/* None, to be learned. */
struct items_columns *items_columns_create(void);
void items_columns_free(struct items_columns *c);

/* Adds the members of an item that are not there yet, in order; what is no object gives one column, "value". Consumes
 * the item. */
void items_columns_learn(struct items_columns *c, jv item);
/* A member that no learned column is for; NULL. Good until the next call. */
const char *items_columns_other(struct items_columns *c, jv item);

/* csv (RFC 4180): a text as it is, nothing for null, anything nested as JSON. Consume the item. */
void items_columns_add_header(const struct items_columns *c, struct text *out);
void items_columns_add_row(const struct items_columns *c, jv item, struct text *out);
/* A column that no item had so far, from *at on, which is moved behind it; NULL: none. A value may be null and be
 * there. */
const char *items_columns_unseen(const struct items_columns *c, size_t *at);
/* An object of the columns. Consumes the item. */
jv items_columns_choose(const struct items_columns *c, jv item);

#endif
