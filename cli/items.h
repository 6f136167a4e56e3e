/* The items of a run to standard output or a file. */
#ifndef FANOUT_CLI_ITEMS_H
#define FANOUT_CLI_ITEMS_H

#include <jansson.h>

#include "cli/ctl.h"

/* Writes the items of `run` (docs/API.md, R, with its recipe) as the options say. Returns the exit status; what is
 * wrong was told. */
int items_write(struct ctl *ctl, const json_t *run);

#endif
