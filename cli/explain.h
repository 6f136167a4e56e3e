/* Reasons to wait, in words. */
#ifndef FANOUT_CLI_EXPLAIN_H
#define FANOUT_CLI_EXPLAIN_H

#include <jansson.h>
#include <stdint.h>

#include "cli/client.h"
#include "cli/progress.h"
#include "cli/text.h"

/* One member of the daemon's `waits`, as a part of a sentence, with the time until which. */
void explain_wait(const json_t *wait, int64_t now_us, struct text *out);
/* The first of an answer's waits that is a limit's doing (borrowed), or NULL. */
const json_t *explain_limited(const json_t *answer);
/* The first, where it is that attempts fail and are tried again, or that the disk is full; NULL. */
const json_t *explain_failing(const json_t *answer);
/* Asks once a second what holds up the batch whose progress is shown. */
void explain_progress(struct client *c, struct progress *p, int64_t now_us);

#endif
