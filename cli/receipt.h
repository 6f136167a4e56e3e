/* A run's receipt (docs/API.md, R) in words. */
#ifndef FANOUT_CLI_RECEIPT_H
#define FANOUT_CLI_RECEIPT_H

#include <jansson.h>

#include "cli/ctl.h"
#include "cli/text.h"

/* "pull species: complete: 16 pages, 1600 items (1600 unique), 17 requests, 1 retry, 4.20 s, waited 800 ms for limits".
 */
void receipt_add_line(struct text *out, const json_t *run);
/* "1600 items": in the singular where it is one. */
void receipt_add_count(struct text *out, json_int_t n, const char *one, const char *many);
/* A value of since: a text as it is, anything else as JSON. */
void receipt_add_since(struct text *out, const json_t *since);

/* How a run that has ended did: a line, or, where it has not everything, a paragraph with what is missing, why, and
 * what to do. */
void receipt_add(struct ctl *ctl, const json_t *run, struct text *out);
/* The same on stderr. With --quiet nothing where all is well. Returns the exit status. */
int receipt_tell(struct ctl *ctl, const json_t *run);
int receipt_status(const json_t *run);
/* Whether the daemon would take a retry of it: not of one that a guard stopped, nor where no page failed or was
 * cancelled. */
bool receipt_can_retry(const json_t *run);
/* It ended where its --max-pages said: all that was asked for is there, and the API has more. */
bool receipt_is_partial(const json_t *run);

/* Of a run's error, what comes in front of the first page's own, which stands elsewhere too. */
size_t receipt_error_len(const char *error);

#endif
