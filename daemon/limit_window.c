/* A ring of counted times in order, and a heap of the others. It must not know of what rule it is a part. */
#include "daemon/limit_window.h"

#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

/* ---- counted times: the ring ---- */

static void *resize(int64_t *p, size_t entries)
{
	p = realloc(p, entries * sizeof(*p));
	if (!p)
		BUG("out of memory for a limit of %zu requests", entries);
	return p;
}

static int64_t *ring_at(const struct window *w, unsigned i)
{
	return &w->ring[(w->first + i) & (w->ring_room - 1)];
}

static void ring_grow(struct window *w)
{
	unsigned room = w->ring_room;

	w->ring_room = room ? 2 * room : 16;
	w->ring = resize(w->ring, w->ring_room);
	/* what had wrapped around to the beginning goes behind the end */
	memcpy(w->ring + room, w->ring, w->first * sizeof(*w->ring));
}

static void ring_append(struct window *w, int64_t counted_us)
{
	if (w->in_ring == w->ring_room)
		ring_grow(w);
	*ring_at(w, w->in_ring++) = counted_us;
	w->last_us = counted_us;
}

static void ring_drop_first(struct window *w)
{
	w->first = (w->first + 1) & (w->ring_room - 1);
	w->in_ring--;
}

/* ---- counted times: the heap ---- */

static void heap_push(struct window *w, int64_t counted_us)
{
	unsigned i;

	if (w->in_heap == w->heap_room) {
		w->heap_room = w->heap_room ? 2 * w->heap_room : 16;
		w->heap = resize(w->heap, w->heap_room);
	}
	for (i = w->in_heap++; i > 0 && counted_us < w->heap[(i - 1) / 2]; i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = counted_us;
}

static void heap_drop_top(struct window *w)
{
	int64_t last = w->heap[--w->in_heap];
	unsigned i = 0;

	for (unsigned child; (child = 2 * i + 1) < w->in_heap; i = child) {
		if (child + 1 < w->in_heap && w->heap[child + 1] < w->heap[child])
			child++;
		if (last <= w->heap[child])
			break;
		w->heap[i] = w->heap[child];
	}
	if (w->in_heap > 0)
		w->heap[i] = last;
}

/* ---- counted times: both ---- */

static bool earliest_is_in_heap(const struct window *w)
{
	return w->in_heap > 0 && (w->in_ring == 0 || w->heap[0] < *ring_at(w, 0));
}

static int64_t window_earliest_us(const struct window *w)
{
	return earliest_is_in_heap(w) ? w->heap[0] : *ring_at(w, 0);
}

int64_t window_frees_us(const struct window *w)
{
	return add_us(window_earliest_us(w), w->rate.window_us);
}

static void window_drop_earliest(struct window *w)
{
	if (earliest_is_in_heap(w))
		heap_drop_top(w);
	else
		ring_drop_first(w);
}

void window_forget(struct window *w, int64_t now_us)
{
	while (window_count(w) > 0 && window_frees_us(w) <= now_us)
		window_drop_earliest(w);
}

static bool window_is_crammed(const struct window *w)
{
	return window_count(w) >= LIMIT_SEEN_MAX && window_count(w) >= w->rate.count;
}

void window_add(struct window *w, int64_t counted_us, int64_t now_us)
{
	if (window_is_crammed(w)) {
		if (counted_us <= window_earliest_us(w))
			return;
		window_drop_earliest(w);
	}
	if (counted_us <= now_us && (w->in_ring == 0 || counted_us >= w->last_us))
		ring_append(w, counted_us);
	else
		heap_push(w, counted_us);
}

void window_end(struct window *w, int64_t counted_us, int64_t now_us)
{
	bool full = w->in_ring == w->ring_room || (w->in_heap > 0 && w->in_heap == w->heap_room);

	if (full)
		window_forget(w, now_us);
	if (add_us(counted_us, w->rate.window_us) > now_us)
		window_add(w, counted_us, now_us);
}

void window_join(struct window *w, const struct window *knows)
{
	for (unsigned i = 0; i < knows->in_ring; i++)
		window_add(w, *ring_at(knows, i), INT64_MAX);
	for (unsigned i = 0; i < knows->in_heap; i++)
		window_add(w, knows->heap[i], INT64_MIN);
}

void window_clear(struct window *w)
{
	free(w->ring);
	free(w->heap);
	*w = (struct window){0};
}
