/* A job's name. Job 42 of batch 7 is written "7.42" and kept as one 64-bit number, (7 << 32) | 42, so that the jobs of
 * a batch lie side by side in the store, in the order they were submitted. Both parts count from 1. */
#ifndef FANOUT_LIB_JOBID_H
#define FANOUT_LIB_JOBID_H

#include <stdint.h>

#define JOBID_BATCH_MAX INT32_MAX
#define JOBID_SEQ_MAX   UINT32_MAX
#define JOBID_TEXT_SIZE sizeof "2147483647.4294967295"

static inline uint64_t jobid_make(uint32_t batch, uint32_t seq)
{
	return (uint64_t)batch << 32 | seq;
}
static inline uint32_t jobid_batch(uint64_t job)
{
	return (uint32_t)(job >> 32);
}
static inline uint32_t jobid_seq(uint64_t job)
{
	return (uint32_t)job;
}

/* Writes "7.42" into `out` (at least JOBID_TEXT_SIZE) and returns it. */
const char *jobid_format(char *out, uint64_t job);
/* Strict: digits, a dot, digits, in range. Returns 0, or -1. */
int jobid_parse(const char *text, uint64_t *job);
/* A batch's number alone: "7". Returns 0, or -1. */
int jobid_parse_batch(const char *text, uint32_t *batch);

/* Where the body of attempt `n` of `job` lies below the bodies directory: "7/42.1". The daemon and the workers share
 * this rule, so that no worker ever chooses a name. Returns `out` (at least JOBID_PATH_SIZE). */
#define JOBID_PATH_SIZE sizeof "2147483647/4294967295.4294967295"
const char *jobid_body_path(char *out, uint64_t job, uint32_t n);

#endif
