/* Numbers in a JSON text that jq's doubles cannot hold as they were written. */
#ifndef FANOUT_CLI_ITEMS_NUMBERS_H
#define FANOUT_CLI_ITEMS_NUMBERS_H

#include <stddef.h>

/* The first number of json[0..len) that would come out as another one: a pointer to it, and its bytes in *n. NULL where
 * there is none. What is no JSON is passed over. */
const char *items_inexact(const char *json, size_t len, size_t *n);

#endif
