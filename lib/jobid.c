/* Reading and writing job names. A name has one spelling: no signs, no spaces, no leading zeros. */
#include "lib/jobid.h"

#include <inttypes.h>
#include <stdio.h>

/* Reads 1..max from *p and moves *p behind it. */
static int take_number(const char **p, uint64_t max, uint32_t *out)
{
	const char *s = *p;
	uint64_t v = 0;

	if (*s < '1' || *s > '9')
		return -1;
	for (; *s >= '0' && *s <= '9'; s++) {
		v = v * 10 + (uint64_t)(*s - '0');
		if (v > max)
			return -1;
	}
	*p = s;
	*out = (uint32_t)v;
	return 0;
}

const char *jobid_format(char *out, uint64_t job)
{
	snprintf(out, JOBID_TEXT_SIZE, "%" PRIu32 ".%" PRIu32, jobid_batch(job) & JOBID_BATCH_MAX, jobid_seq(job));
	return out;
}

int jobid_parse(const char *text, uint64_t *job)
{
	uint32_t batch, seq;

	if (take_number(&text, JOBID_BATCH_MAX, &batch) || *text++ != '.')
		return -1;
	if (take_number(&text, JOBID_SEQ_MAX, &seq) || *text)
		return -1;
	*job = jobid_make(batch, seq);
	return 0;
}

int jobid_parse_batch(const char *text, uint32_t *batch)
{
	uint32_t v;

	if (take_number(&text, JOBID_BATCH_MAX, &v) || *text)
		return -1;
	*batch = v;
	return 0;
}

const char *jobid_body_path(char *out, uint64_t job, uint32_t n)
{
	snprintf(out, JOBID_PATH_SIZE, "%" PRIu32 "/%" PRIu32 ".%" PRIu32, jobid_batch(job) & JOBID_BATCH_MAX,
		 jobid_seq(job), n);
	return out;
}
