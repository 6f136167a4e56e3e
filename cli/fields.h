/* --fields: the columns that somebody wants, made from the names of a result's members. */
#ifndef FANOUT_CLI_FIELDS_H
#define FANOUT_CLI_FIELDS_H

#include "cli/rows.h"

/* The layout for "job,url,seconds" (NULL: `standard`). It is kept for as long as the program runs. NULL with ERR_USAGE
 * where a name is none, said of `verb`. */
const struct layout *fields_layout(const char *verb, const char *list, const struct layout *standard, struct err *e);

#endif
