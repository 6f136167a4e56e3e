/* The names of fetch's files: "{host}/{seq:5}.json". {seq} {batch} {job} {tag} {host}; a number's width is filled up
 * with zeroes. What comes from outside (tag, host) can name no other directory and no hidden file. */
#ifndef FANOUT_CLI_TEMPLATE_H
#define FANOUT_CLI_TEMPLATE_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/text.h"
#include "lib/err.h"

/* Refuses (ERR_USAGE) what it does not know. *distinct: whether each job gets a name of its own for sure. */
int template_check(const char *template, bool *distinct, struct err *e);
/* The name for a result, into `path` (emptied first). `template` has been checked. */
void template_expand(const char *template, const json_t *result, struct text *path);

#endif
