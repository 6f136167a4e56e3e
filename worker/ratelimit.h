/* What a response's headers tell of the server's limits, read strictly: what is garbage, negative, out of bounds or
 * said twice in two ways is not told. Nothing is clamped into something else. Pure: the clock is an argument.
 *
 *   Retry-After                     RFC 9110 10.2.3: seconds (digits alone), or a date
 *   RateLimit                       the IETF draft's "name";r=50;t=30, and limit=100, remaining=50, reset=30 (draft 07)
 *   RateLimit-Policy                "name";q=100;w=60, and 100;w=60 (drafts 03 to 07)
 *   RateLimit-Limit|Remaining|Reset the drafts before 07; Reset is in seconds from now
 *   X-RateLimit-Remaining|Reset     also X-Rate-Limit-; nobody ever said what unit Reset has, and all are in use:
 *                                   above 10^12 it is a time in ms since 1970, above 10^9 one in seconds, else seconds
 *                                   from now (decimals allowed)
 *
 * Times of day are taken by the server's own clock where it tells it (Date), so that a wrong one does no harm. Several
 * limits: of the one with the least left is told what is left and until when, and of the policies the slowest. A limit
 * without its window (X-RateLimit-Limit) is no rate. Quotas of anything but requests do not count. */
#ifndef FANOUT_WORKER_RATELIMIT_H
#define FANOUT_WORKER_RATELIMIT_H

#include <stdint.h>

#include "lib/units.h"

struct ratelimit {
	int64_t retry_after_us; /* these three -1 where not told; times from now on, at most MESSAGE_WAIT_MAX_US */
	int64_t remaining;
	int64_t reset_us;
	struct rate rate; /* count 0 where not told */
};

/* `head` is the response's as kept: lines ended by \n, status line first. `wall_us` is our clock. */
void ratelimit_read(struct ratelimit *r, const char *head, int64_t wall_us);

#endif
