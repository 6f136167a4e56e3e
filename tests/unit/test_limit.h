/* What the tests of one rule share. */
#ifndef FANOUT_TESTS_UNIT_TEST_LIMIT_H
#define FANOUT_TESTS_UNIT_TEST_LIMIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/limit.h"

enum { S = 1000000 };

static inline struct limit *limit_of(int64_t count, int64_t window_us)
{
	return limit_create(&(struct limit_rule){.rates = {{count, window_us}}, .rate_count = 1});
}

static inline void grant(struct limit *l, int64_t now_us)
{
	assert_int_equal(limit_ask(l, now_us), 0);
	limit_grant(l, now_us);
}

#endif
