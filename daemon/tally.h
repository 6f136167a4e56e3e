/* What a run's attempts come to: requests and retries, bytes, and for how long limits held the run back. Attempts may
 * be told in any order of time, each page's own in their order, and more may follow after the sums were read. Pure. */
#ifndef FANOUT_DAEMON_TALLY_H
#define FANOUT_DAEMON_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#define TALLY_SPANS_MAX 65536 /* a mebibyte; beyond that, what lies far back is summed up for good */

struct tally;

struct tally_attempt {
	uint32_t page; /* from 1 */
	bool sent;
	bool unreached;               /* there was no way to the host */
	bool refused;                 /* the host takes no requests now: 429, or 503 with Retry-After */
	bool redirected;              /* answered by a redirect that is followed */
	int64_t started_us, ended_us; /* wall */
	int64_t limited_us;           /* right before it started, a limit held it back for so long */
	int64_t boot, sent_boot_us;   /* that moment by a clock that nobody sets, of which boot; boot 0: not known */
	int64_t bytes;                /* of its body */
};

struct tally_sums {
	int64_t requests; /* that were sent */
	int64_t retries;  /* of these: a page's second and later ones, but for those that a redirect led to */
	int64_t refused;
	int64_t unreached;    /* attempts that found no way to the host */
	int64_t unreached_us; /* from the first of a row of those to the next request that was sent, or to their end */
	int64_t clock_us;     /* so far was the wall clock set forward between the first and the last that was sent */
	int64_t bytes;
	/* In which at least one page was held back: of those that wait side by side it counts once. */
	int64_t limited_us;
};

struct tally *tally_create(void);
void tally_free(struct tally *t);
void tally_add(struct tally *t, const struct tally_attempt *a);
/* After all attempts: what was ended without a request had been held back for so long by a limit, until then (wall). */
void tally_add_held(struct tally *t, int64_t limited_us, int64_t until_us);
struct tally_sums tally_read(const struct tally *t);

#endif
