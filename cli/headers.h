/* -H as curl takes it: a header, or @FILE with one a line; and those that -d and --json bring along. */
#ifndef FANOUT_CLI_HEADERS_H
#define FANOUT_CLI_HEADERS_H

#include <jansson.h>

#include "cli/ctl.h"

/* The -H of the command line as an array of "Name: value" (a new reference), or NULL. */
json_t *headers_read(const struct args *a, struct err *e);
/* Puts "NAME: VALUE" before them unless there is one of that name. */
void headers_default(json_t *headers, const char *name, const char *value);

#endif
