/* What the tests of jobs and batches share. */
#ifndef FANOUT_TESTS_UNIT_TEST_SPEC_H
#define FANOUT_TESTS_UNIT_TEST_SPEC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/spec.h"

static inline struct spec_jobs *jobs(const char *text)
{
	struct err e = {0};
	struct spec_jobs *j = spec_parse_jobs(text, strlen(text), &e);

	if (!j)
		fail_msg("refused: %s\n%s", e.what, text);
	return j;
}

static const struct store_job_new *only(struct spec_jobs *j)
{
	size_t n;
	const struct store_job_new *array = spec_jobs_array(j, &n);

	assert_int_equal(n, 1);
	return array;
}

#endif
