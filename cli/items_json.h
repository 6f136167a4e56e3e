/* jq's values as JSON text, byte for byte as libjq writes them, in half its time. */
#ifndef FANOUT_CLI_ITEMS_JSON_H
#define FANOUT_CLI_ITEMS_JSON_H

#include <jv.h>

#include "cli/text.h"

/* Compact. Consumes `v`. */
void items_json_add(struct text *out, jv v);

#endif
