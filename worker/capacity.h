/* How many transfers a worker offers to have in flight: more while they wait for servers, fewer when they wait for the
 * processor. Pure: clocks and counts are arguments.
 *
 * Measured: 64 to 256 transfers keep one processor busy, and 1000 of them cost 40 % of the throughput where it is the
 * processor that is short; slow servers want thousands. */
#ifndef FANOUT_WORKER_CAPACITY_H
#define FANOUT_WORKER_CAPACITY_H

#include <stdbool.h>
#include <stdint.h>

#define CAPACITY_START     128u
#define CAPACITY_ENOUGH    256u   /* never lowered from here */
#define CAPACITY_WINDOW_US 10000u /* between two judgements, at least */

struct capacity {
	uint32_t now, max;
	uint32_t peak;       /* most in flight since the last judgement */
	int64_t judged_us;   /* when that was */
	int64_t judged_busy; /* busy time then, in µs */
};

void capacity_init(struct capacity *c, uint32_t max, int64_t now_us, int64_t busy_us);

/* Tells how many are in flight. */
static inline void capacity_note(struct capacity *c, uint32_t in_flight)
{
	if (in_flight > c->peak)
		c->peak = in_flight;
}
/* Whether all of it was in use since the last judgement, and there is more to offer. */
bool capacity_wanted(const struct capacity *c);
/* Whether enough time has passed for another judgement. */
static inline bool capacity_due(const struct capacity *c, int64_t now_us)
{
	return now_us - c->judged_us >= (int64_t)CAPACITY_WINDOW_US;
}
/* Judges by the time that this thread used a processor or waited for one (`busy_us`, counting up). Returns true when
 * `now` has changed. */
bool capacity_judge(struct capacity *c, int64_t now_us, int64_t busy_us, uint32_t in_flight);

#endif
