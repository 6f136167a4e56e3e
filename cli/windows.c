/* Two indices that only go forward: each number is found in one pass over sorted times. */
#include "cli/windows.h"

static void note(struct fullest *f, uint64_t requests, int64_t from_us, const struct rate *rate)
{
	f->over += requests > (uint64_t)rate->count;
	if (requests <= f->requests)
		return;
	f->requests = requests;
	f->from_us = from_us;
}

/* The fullest window begins with a request: one that begins with none can be moved on to the next. */
void windows_fullest(const int64_t *times, size_t count, const struct rate *rate, struct fullest *f)
{
	*f = (struct fullest){0};
	for (size_t first = 0, last = 0; last < count; last++) {
		while (times[first] <= times[last] - rate->window_us)
			first++;
		note(f, last - first + 1, times[first], rate);
	}
}

/* A span touches [t, t + W) where it begins before t + W and does not end before t. Moving t on, their number grows
 * only where t + W passes a time of sending; so it is enough to look at t = sent - W + 1. Those that ended before t
 * were sent before it too: they are a part of those sent before t + W. */
void windows_fullest_at_worst(const struct windows *w, const struct rate *rate, struct fullest *f)
{
	size_t over = 0; /* spans that ended before the window */

	*f = (struct fullest){0};
	for (size_t last = 0; last < w->count; last++) {
		int64_t from_us = w->sent[last] - rate->window_us + 1;

		while (over < w->count && w->ends[over] < from_us)
			over++;
		note(f, last + 1 - over, from_us, rate);
	}
}

/* Any `length_us` and one window more hold whole windows of `count` each. */
static int64_t allowed_within(int64_t length_us, const struct rate *rate)
{
	int64_t n;

	return __builtin_mul_overflow(length_us / rate->window_us + 1, rate->count, &n) ? INT64_MAX : n;
}

int64_t windows_allowed(const struct windows *w, const struct rate *rate)
{
	int64_t sum = 0, part, ended_us = 0;
	size_t first = 0;

	for (size_t i = 0; i < w->count; i++) {
		bool idle = i > first && w->sent[i] - ended_us > 2 * rate->window_us;

		if (idle) {
			part = allowed_within(w->sent[i - 1] - w->sent[first], rate);
			sum = __builtin_add_overflow(sum, part, &sum) ? INT64_MAX : sum;
			first = i;
		}
		ended_us = i > first && ended_us > w->counted[i] ? ended_us : w->counted[i];
	}
	if (w->count) {
		part = allowed_within(w->sent[w->count - 1] - w->sent[first], rate);
		sum = __builtin_add_overflow(sum, part, &sum) ? INT64_MAX : sum;
	}
	return sum;
}

bool windows_join(struct fullest *a, const struct fullest *b)
{
	uint64_t over = a->over + b->over;
	bool stays = b->requests <= a->requests;

	if (!stays)
		*a = *b;
	a->over = over;
	return stays;
}
