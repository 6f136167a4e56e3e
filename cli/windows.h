/* How many requests lay within one window of a rate: whole microseconds, half-open windows [t, t + W), every t.
 *
 * A request was sent at one time and counted by the server at some time between that and `counted`, the latest at which
 * it can have been. Nobody but the server knows when. So three numbers are found: the fullest window by the times of
 * sending, by the latest counting times, and at worst, whenever the server counted in between: the requests whose span
 * [sent, counted] touches a window. The third is never below the others, and a daemon that keeps the rule of
 * docs/SCHEDULER.md keeps it at or below the rate's count. Pure. */
#ifndef FANOUT_CLI_WINDOWS_H
#define FANOUT_CLI_WINDOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/units.h"

/* Requests in the order in which they were sent; counted[i] >= sent[i]. `ends` has the same times as `counted`, in
 * ascending order. */
struct windows {
	int64_t *sent, *counted, *ends;
	size_t count;
};

struct fullest {
	uint64_t requests; /* in the fullest window, the first one of those that are equal */
	int64_t from_us;   /* which begins here */
	uint64_t over;     /* requests with which some window held more than the rate's count */
};

/* `times` ascending. */
void windows_fullest(const int64_t *times, size_t count, const struct rate *rate, struct fullest *f);
void windows_fullest_at_worst(const struct windows *w, const struct rate *rate, struct fullest *f);

/* How many requests the rate allows between the first and the last one sent, without the times in which it held nothing
 * up: a request sent more than two windows after the last answer begins anew. INT64_MAX where it is more than that. */
int64_t windows_allowed(const struct windows *w, const struct rate *rate);

/* `a` becomes the fuller of both; what was over adds up. Of equals `a` stays: true when it did. */
bool windows_join(struct fullest *a, const struct fullest *b);

#endif
