/* The items of a run to standard output or a file. */
#ifndef FANOUT_CLI_ITEMS_H
#define FANOUT_CLI_ITEMS_H

#include <jansson.h>

#include "cli/ctl.h"

/* Whether -f and -o make sense, before anything is asked for. ERR_USAGE, ERR_SYSTEM. */
int items_check_output(const struct ctl *ctl, struct err *e);
/* Writes the items of `run` (docs/API.md, R, with its recipe) as the options say. Returns the exit status; what is
 * wrong was told. */
int items_write(struct ctl *ctl, const json_t *run);

#endif
