/* Names of files that items are written to: "species-{date}.ndjson.zst". {date} {name} {run}. */
#ifndef FANOUT_CLI_ITEMS_NAME_H
#define FANOUT_CLI_ITEMS_NAME_H

#include <stdint.h>

#include "cli/text.h"
#include "lib/err.h"

/* Refuses (ERR_USAGE) a field that there is none of. */
int items_name_check(const char *template, struct err *e);
/* The name, into `path` (emptied first). The date is that of `wall_us`, in the user's time zone. */
void items_name_expand(const char *template, const char *name, uint32_t run, int64_t wall_us, struct text *path);

#endif
