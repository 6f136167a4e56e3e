/* What the tests of the scheduler share: one scheduler, its batches, lanes and limits, and a fake clock. */
#ifndef FANOUT_TESTS_UNIT_TEST_SCHED_H
#define FANOUT_TESTS_UNIT_TEST_SCHED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/sched.h"

enum { S = 1000000 };

static struct sched *s;
static uint64_t next_id;
static int64_t next_lane;

static inline void make(unsigned window_total, unsigned window_lane_max)
{
	s = sched_create(&(struct sched_settings){.window_total = window_total, .window_lane_max = window_lane_max});
	next_id = 1;
	next_lane = 1;
}

static inline int set_up(void **arg)
{
	(void)arg;
	make(1000, 100);
	return 0;
}

/* A window in which a thousand keys have room. */
static inline int set_up_wide(void **arg)
{
	(void)arg;
	make(100000, 1000);
	return 0;
}

static inline int tear_down(void **arg)
{
	(void)arg;
	sched_free(s);
	return 0;
}

#define TEST(f)      cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define TEST_WIDE(f) cmocka_unit_test_setup_teardown(f, set_up_wide, tear_down)

static inline struct sched_batch *batch(uint32_t id, unsigned concurrency, unsigned priority)
{
	return sched_batch_add(s, id, &(struct sched_batch_options){.concurrency = concurrency, .priority = priority});
}

static inline void push(struct sched_lane *l, int n, int64_t now)
{
	while (n-- > 0) {
		struct sched_job *j = calloc(1, sizeof(*j));

		j->id = next_id++;
		sched_push(s, l, j, now);
	}
}

static inline struct sched_lane *lane_at(struct sched_batch *b, const char *key, const char *host, int jobs)
{
	struct sched_lane *l = sched_lane_add(s, next_lane++, b, key, host, NULL);

	push(l, jobs, 0);
	return l;
}

static inline struct sched_lane *lane(struct sched_batch *b, const char *key, int jobs)
{
	return lane_at(b, key, key, jobs);
}

static inline struct sched_job *pick(int64_t now)
{
	struct sched_job *j = sched_pick(s, now);

	assert_non_null(j);
	return j;
}

static inline struct sched_job *pick_of(const struct sched_lane *l, int64_t now)
{
	struct sched_job *j = pick(now);

	assert_string_equal(sched_lane_key(j->lane), sched_lane_key(l));
	return j;
}

static inline void end(struct sched_job *j, int64_t now)
{
	sched_ended(s, j, now, now);
	free(j);
}

/* Picks and ends n jobs one after the other; returns how many were of that lane. */
static inline int served(const struct sched_lane *l, int n)
{
	int count = 0;

	while (n-- > 0) {
		struct sched_job *j = pick(0);

		count += j->lane == l;
		end(j, 0);
	}
	return count;
}

static inline struct sched_limit *limit_of(int64_t count, int64_t window_us)
{
	return sched_limit_create(s, &(struct limit_rule){.rates = {{count, window_us}}, .rate_count = 1}, NULL);
}

/* The key under these limits and no others; ends with NULL. */
#define set_limits(key, ...) set_list(key, (struct sched_limit *[]){__VA_ARGS__})
static inline void set_list(const char *key, struct sched_limit *const *list)
{
	unsigned n = 0;

	while (list[n])
		n++;
	sched_key_limits(s, key, list, n, 0);
}

static inline struct sched_limit *under(const char *key, int64_t count, int64_t window_us)
{
	struct sched_limit *l = limit_of(count, window_us);

	set_limits(key, l, NULL);
	return l;
}

static inline enum sched_wait waits_for(const struct sched_lane *l, int64_t now, int64_t until)
{
	struct sched_waiting w = sched_lane_wait(s, l, now);

	assert_int_equal(w.until_us, until);
	return w.wait;
}

#endif
