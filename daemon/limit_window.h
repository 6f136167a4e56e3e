/* What one window of a limit remembers: the times at which ended requests were counted, and the rule over them. For
 * daemon/limit alone.
 *
 * Mostly they arrive in order and lie in a ring; those that do not (an aborted request is counted later than one that
 * ends after it) lie in a binary heap. Only the earliest matters. What has expired is forgotten when room is needed, or
 * when it decides. The two are bounded by the rule: every entry held a slot when it was granted, so in-flight and
 * remembered requests never exceed `count`. 100 000 a day cost 800 kB at most, and 17 comparisons. Requests that it did
 * not grant may be more: of these the latest LIMIT_SEEN_MAX are kept, and that is exact for every rule that allows no
 * more. */
#ifndef FANOUT_DAEMON_LIMIT_WINDOW_H
#define FANOUT_DAEMON_LIMIT_WINDOW_H

#include "daemon/limit.h"
#include "lib/clock.h"

/* What an end in order needs comes first: mostly the heap is empty. */
struct window {
	struct rate rate;
	int64_t *ring;                      /* counted times in order */
	int64_t last_us;                    /* the last that was appended to it */
	unsigned first, in_ring, ring_room; /* room: a power of two */
	unsigned in_heap, heap_room;
	int64_t *heap; /* those that came out of order, the earliest on top */
};

/* Has brought from memory where the earliest is, or where the next will be. */
static inline void window_prefetch_first(const struct window *w)
{
	__builtin_prefetch(w->ring + w->first, 1);
}

static inline void window_prefetch_end(const struct window *w)
{
	__builtin_prefetch(w->ring + ((w->first + w->in_ring) & (w->ring_room - 1)), 1);
}

static inline int64_t add_us(int64_t a, int64_t b)
{
	return a > INT64_MAX - b ? CLOCK_NEVER : a + b;
}

/* Those that it has not forgotten yet. */
static inline int64_t window_count(const struct window *w)
{
	return (int64_t)w->in_ring + w->in_heap;
}

int64_t window_frees_us(const struct window *w); /* when the earliest expires; only if there is one */
void window_forget(struct window *w, int64_t now_us);
/* What is later than `now_us` lies ahead, and would put all that follow it out of order. */
void window_add(struct window *w, int64_t counted_us, int64_t now_us);
void window_end(struct window *w, int64_t counted_us, int64_t now_us); /* the same, forgetting rather than growing */
void window_join(struct window *w, const struct window *knows);        /* what another remembers, too */
void window_clear(struct window *w);

/* THE RULE: grant only when #{ i : in flight, or counted_i > now - W } < N. */
static inline int64_t window_ask(struct window *w, unsigned in_flight, int64_t now_us)
{
	if (window_count(w) + in_flight < w->rate.count)
		return 0; /* even if nothing has expired */
	window_forget(w, now_us);
	if (window_count(w) + in_flight < w->rate.count)
		return 0;
	/* after a stricter rule came more than one slot may have to free: then this is the first of several tries */
	return window_count(w) > 0 && in_flight < w->rate.count ? window_frees_us(w) : CLOCK_NEVER;
}

#endif
