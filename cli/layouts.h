/* Which columns a result, a batch and an attempt have. */
#ifndef FANOUT_CLI_LAYOUTS_H
#define FANOUT_CLI_LAYOUTS_H

#include "cli/rows.h"

extern const struct layout layout_results, layout_results_body, layout_batches, layout_batch, layout_attempts,
    layout_job;

#endif
