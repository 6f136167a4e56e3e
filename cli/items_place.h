/* Where items go: what the name of a file says of their form, and what is told where the file was not written. Knows
 * options and names; no items. */
#ifndef FANOUT_CLI_ITEMS_PLACE_H
#define FANOUT_CLI_ITEMS_PLACE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/ctl.h"
#include "cli/text.h"

/* -f, or what the suffix of -o says (.csv, .json, also in front of .gz and .zst), or, where it has none, ndjson. */
enum format items_format(const struct ctl *ctl);
/* Whether they go to a file: -o, and not "-". */
bool items_to_file(const struct ctl *ctl);
/* Whether -f, -o and what goes with them make sense, before anything is asked for. ERR_USAGE, ERR_SYSTEM. */
int items_check_output(const struct ctl *ctl, struct err *e);

/* How the items of a run are had when it has ended, in the same form. `ended`: it has, as this says, and without
 * everything; NULL: it goes on. */
void items_add_later(const struct ctl *ctl, uint32_t run, const json_t *ended, struct text *out);
/* " (pages 2, 3 are missing (page 2: 410 Gone))", its error; a long one goes without the first page's own. */
void items_add_error(const json_t *ended, struct text *out);
/* That FILE was left as it is, for the run has no items; and how it is replaced all the same. */
void items_tell_kept(const struct ctl *ctl, uint32_t run, const json_t *ended);
/* On stderr, also with -q: FILE was not written, and that. Nothing where they go to no file. */
void items_tell_unwritten(const struct ctl *ctl, uint32_t run, const json_t *ended);

#endif
