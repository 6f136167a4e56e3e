/* Doubling while idle, shrinking by an eighth while saturated; between the two marks nothing changes, so that it does
 * not swing. */
#include "worker/capacity.h"

#define IDLE_PERCENT      60
#define SATURATED_PERCENT 90

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

void capacity_init(struct capacity *c, uint32_t max, int64_t now_us, int64_t busy_us)
{
	*c = (struct capacity){
	    .now = least(CAPACITY_START, max), .max = max, .judged_us = now_us, .judged_busy = busy_us};
}

bool capacity_wanted(const struct capacity *c)
{
	return c->now < c->max && c->peak >= c->now;
}

bool capacity_judge(struct capacity *c, int64_t now_us, int64_t busy_us, uint32_t in_flight)
{
	int64_t window_us = now_us - c->judged_us;
	int64_t percent = window_us > 0 ? (busy_us - c->judged_busy) * 100 / window_us : 0;
	uint32_t before = c->now;

	if (percent < IDLE_PERCENT && capacity_wanted(c))
		c->now = least(c->now * 2, c->max);
	else if (percent > SATURATED_PERCENT && c->peak > CAPACITY_ENOUGH && c->now > CAPACITY_ENOUGH)
		c->now -= c->now / 8;
	c->judged_us = now_us;
	c->judged_busy = busy_us;
	c->peak = in_flight;
	return c->now != before;
}
