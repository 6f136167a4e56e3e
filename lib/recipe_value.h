/* One value (a token, a var, `since`), quoted for the place that it goes to. */
#ifndef FANOUT_LIB_RECIPE_VALUE_H
#define FANOUT_LIB_RECIPE_VALUE_H

#include "lib/recipe_private.h"

enum quoting {
	QUOTE_HOST,   /* only what a host and port can have is let through */
	QUOTE_PATH,   /* percent-encoded; a var's slashes stay */
	QUOTE_QUERY,  /* percent-encoded: queries and forms */
	QUOTE_HEADER, /* as it is, without control bytes */
	QUOTE_JSON,   /* within a JSON string */
	QUOTE_RAW,
	QUOTINGS
};

/* ERR_INPUT for a value that cannot stand there. `kind` is for what is said then, and for a var's slashes. */
int value_put(FILE *f, const char *value, enum place_kind kind, enum quoting quote, struct err *e);

/* A value as a member of a JSON body. Numbers of pages and offsets are numbers; with `numeric` so are other values that
 * read as one; a cursor that is a JSON array or object is that. NULL: it is a text. */
json_t *value_json(const char *value, enum place_kind kind, bool numeric);

#endif
