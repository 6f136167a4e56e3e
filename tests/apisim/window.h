/* What a strict server counts: at most so many requests in a window. Pure: time is an argument, in microseconds.
 *
 *     sliding  a request is refused when `n` were counted in the `length_us` before it
 *     fixed    windows begin at multiples of length_us; each has room for `n`
 *     bucket   holds `burst` tokens, gains n of them evenly in length_us; a request takes one
 *     open     refuses nothing */
#ifndef FANOUT_APISIM_WINDOW_H
#define FANOUT_APISIM_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum window_kind { WINDOW_SLIDING, WINDOW_FIXED, WINDOW_BUCKET, WINDOW_OPEN, WINDOW_KINDS };

struct window {
	/* set these, and nothing else to 0 */
	enum window_kind kind;
	int64_t n, length_us, burst;
	bool count_refused; /* sliding: a refused request counts too, as some servers have it */
	/* private */
	int64_t *counted; /* sliding: the times, oldest first */
	size_t first, end, room;
	int64_t index, used; /* fixed */
	double spent;        /* bucket: tokens that are missing */
	int64_t spent_us;    /* bucket: when that was true */
};

const char *window_kind_name(enum window_kind k);
/* A request arrives at the counter, later than all before it. True: it is taken. */
bool window_count(struct window *w, int64_t now_us);
/* How many would be taken now. */
int64_t window_left(struct window *w, int64_t now_us);
/* How long until there is room for more than now. */
int64_t window_reset_us(struct window *w, int64_t now_us);
void window_clear(struct window *w);

#endif
