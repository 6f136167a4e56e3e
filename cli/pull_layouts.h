/* Which columns a pull, a run, a page and a state have. */
#ifndef FANOUT_CLI_PULL_LAYOUTS_H
#define FANOUT_CLI_PULL_LAYOUTS_H

#include "cli/rows.h"

extern const struct layout layout_pulls, layout_pull, layout_runs, layout_run, layout_pages, layout_states;

#endif
