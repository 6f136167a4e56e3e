/* What went wrong with a job, or with a batch, in words for stderr. */
#ifndef FANOUT_CLI_FAILURE_H
#define FANOUT_CLI_FAILURE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/ctl.h"
#include "cli/text.h"

/* "7.42 https://...: 404 Not Found", of a result that is not done. */
void failure_add_job(struct text *line, const json_t *result);
/* It was answered as what broke off half-way may be (500, 502, 504), and to do it twice is not to do it once. A retry
 * sends it again: who asks for that should have looked. A job that carries an idempotency key is not told apart. */
bool failure_may_be_done(const json_t *result);
/* Of a batch that failed: how many jobs, their most frequent error, and what to do. On stdout. */
void failure_explain_batch(struct ctl *ctl, uint32_t batch);
/* Of a job that failed ("7.42"): why, after how many attempts, and what to do. On stdout. */
void failure_explain_job(struct ctl *ctl, const char *name);
/* The same for programs, as the manual has it (a new reference); NULL where it cannot be told. */
json_t *failure_of_batch(struct ctl *ctl, uint32_t batch);
json_t *failure_of_job(struct ctl *ctl, const char *name);
/* The first of its jobs that failed, each a line behind a newline, and where the others are. */
#define FAILURE_SHOWN 3
void failure_add_first(struct ctl *ctl, uint32_t batch, long long failed, struct text *t);
/* A paragraph for who asked for quiet and was told nothing so far: the batch's sums and its first errors. */
void failure_tell_batch(struct ctl *ctl, uint32_t batch);

#endif
