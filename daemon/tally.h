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
	bool failed;        /* it failed, and was no refusal: no limit kept the run from an answer */
	bool refused;       /* 429, or 503: the host takes no requests now */
	bool redirected;    /* answered by a redirect that is followed */
	int64_t started_us; /* wall */
	int64_t limited_us; /* right before that, a limit held it back for so long */
	int64_t bytes;      /* of its body */
};

struct tally_sums {
	int64_t requests; /* that were sent */
	int64_t retries;  /* of these: a page's second and later ones, but for those that a redirect led to */
	int64_t refused;
	int64_t unreached;    /* attempts that failed before a request was sent */
	int64_t unreached_us; /* from the first of those in a row to the next request that was sent, or the last */
	int64_t bytes;
	/* In which at least one page was held back: of those that wait side by side it counts once. */
	int64_t limited_us;
};

struct tally *tally_create(void);
void tally_free(struct tally *t);
void tally_add(struct tally *t, const struct tally_attempt *a);
struct tally_sums tally_read(const struct tally *t);

#endif
