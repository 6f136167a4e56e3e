/* curl's URL patterns: [1-100], [001-100], [1-100:2], [a-z], [a-z:2] and {one,two}, any number of them. URLs are made
 * one at a time, the last pattern first, as curl does; nothing is kept but the pattern. A backslash takes [ ] { }
 * literally; so does [] itself, and an IPv6 address in brackets. */
#ifndef FANOUT_CLI_GLOB_H
#define FANOUT_CLI_GLOB_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/text.h"
#include "lib/err.h"

struct glob;

/* Refuses (ERR_USAGE) with the position, from 1. */
struct glob *glob_create(const char *pattern, struct err *e);
void glob_free(struct glob *g);
/* How many URLs it makes; UINT64_MAX when more. */
uint64_t glob_count(const struct glob *g);
/* The next one into `url` (emptied first). False when there was none. */
bool glob_next(struct glob *g, struct text *url);

#endif
