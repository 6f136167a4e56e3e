/* A host that refuses (429, 503): how long to leave it alone.
 *
 * A refusal is a state of the host, not a failure of a job. One struct throttle belongs to each host:port; the pause it
 * returns goes to sched_limit_pause, whose limit lets one probe go when the pause is over. Where the server told a
 * time, that is it; where it did not, the pause is drawn by exponential backoff with full jitter, for the whole host.
 * Pure: time and randomness are arguments. Zeroed memory is a host that never refused. */
#ifndef FANOUT_DAEMON_THROTTLE_H
#define FANOUT_DAEMON_THROTTLE_H

#include <stdbool.h>
#include <stdint.h>

#define THROTTLE_MIN_US  100000       /* no pause is shorter, whatever the server said */
#define THROTTLE_CAP_US  3600000000LL /* none is longer, unless configured */
#define THROTTLE_BASE_US 1000000      /* without a header the first is drawn from [0, base), then doubling */

struct throttle {
	unsigned hits;    /* refusals in a row, each of a request that was granted after the pause before it */
	int64_t until_us; /* the end of the last pause; 0: there was none */
};

struct throttle_refusal {
	int64_t now_us;
	int64_t granted_us;     /* of the request that was refused */
	int64_t retry_after_us; /* from now; < 0: the server did not say. Takes precedence over reset_us */
	int64_t reset_us;       /* RateLimit or X-RateLimit reset, from now; < 0: none */
	int64_t cap_us;         /* 0: THROTTLE_CAP_US */
	uint64_t random;        /* uniform */
};

/* A refusal came. Returns until when to pause the host: a time that is not later than now when there is nothing to do
 * (a late refusal of a request from before a pause that is already over). What the server told is lengthened by a
 * little jitter (at most a tenth, at most 1 s) so that not all its clients come back at once, and clamped to
 * [now + THROTTLE_MIN_US, now + cap]; without a word of the server the pause is drawn from [0, base * 2^(hits - 1)), at
 * most the cap. Refusals of requests granted before the last pause are echoes of the refusal that caused it: they may
 * lengthen it by what they tell, but do not double anything. */
int64_t throttle_hit(struct throttle *t, const struct throttle_refusal *r);

/* A request was answered well, but the server said that nothing remains until its reset (`r->reset_us`). Jitter and
 * clamps as above; it is no refusal. */
int64_t throttle_spent(struct throttle *t, const struct throttle_refusal *r);

/* The pause ends now, by the operator's word: a refusal of what is granted from now on is the next in a row, and one of
 * what was granted before is an echo. */
void throttle_resume(struct throttle *t, int64_t now_us);

/* A request granted at `granted_us` was answered and not refused. True when it was granted after the last pause: the
 * next refusal begins anew at the base. */
bool throttle_ok(struct throttle *t, int64_t granted_us);

#endif
