/* What a strict server counts. */
#include "tests/apisim/window.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Sliding ---- */

static void sliding_forget(struct window *w, int64_t now_us)
{
	while (w->first < w->end && w->counted[w->first] <= now_us - w->length_us)
		w->first++;
}

static void sliding_remember(struct window *w, int64_t now_us)
{
	if (w->end == w->room) {
		if (w->first > 0)
			memmove(w->counted, w->counted + w->first, (w->end - w->first) * sizeof *w->counted);
		w->end -= w->first;
		w->first = 0;
		if (w->end * 2 >= w->room) {
			w->room = w->room ? w->room * 2 : 64;
			w->counted = realloc(w->counted, w->room * sizeof *w->counted);
		}
	}
	w->counted[w->end++] = now_us;
}

static int64_t sliding_left(struct window *w, int64_t now_us)
{
	sliding_forget(w, now_us);
	return w->n - (int64_t)(w->end - w->first);
}

static void sliding_take(struct window *w, int64_t now_us, bool taken)
{
	if (taken || w->count_refused)
		sliding_remember(w, now_us);
}

static int64_t sliding_reset_us(struct window *w, int64_t now_us)
{
	size_t frees;

	sliding_forget(w, now_us);
	if (w->first == w->end)
		return 0;
	/* Where refused ones count, there may be more than n: room comes when all but n - 1 are gone. */
	frees = w->end - w->first > (size_t)w->n ? w->end - (size_t)w->n : w->first;
	return w->counted[frees] + w->length_us - now_us;
}

/* ---- Fixed ---- */

static int64_t fixed_left(struct window *w, int64_t now_us)
{
	if (w->index != now_us / w->length_us) {
		w->index = now_us / w->length_us;
		w->used = 0;
	}
	return w->n - w->used;
}

static void fixed_take(struct window *w, int64_t now_us, bool taken)
{
	(void)now_us;
	w->used += taken;
}

static int64_t fixed_reset_us(struct window *w, int64_t now_us)
{
	return w->length_us - now_us % w->length_us;
}

/* ---- Bucket ---- */

static void bucket_fill(struct window *w, int64_t now_us)
{
	w->spent -= (double)(now_us - w->spent_us) * (double)w->n / (double)w->length_us;
	w->spent = fmax(w->spent, 0);
	w->spent_us = now_us;
}

static int64_t bucket_left(struct window *w, int64_t now_us)
{
	bucket_fill(w, now_us);
	return (int64_t)floor((double)w->burst - w->spent);
}

static void bucket_take(struct window *w, int64_t now_us, bool taken)
{
	(void)now_us;
	w->spent += taken;
}

static int64_t bucket_reset_us(struct window *w, int64_t now_us)
{
	bucket_fill(w, now_us);
	const double part = w->spent - floor(w->spent); /* of the token that comes next */

	return w->spent > 0 ? (int64_t)ceil((part > 0 ? part : 1) * (double)w->length_us / (double)w->n) : 0;
}

/* ---- Open ---- */

static int64_t open_left(struct window *w, int64_t now_us)
{
	(void)now_us;
	return w->n;
}

static void open_take(struct window *w, int64_t now_us, bool taken)
{
	(void)w;
	(void)now_us;
	(void)taken;
}

static int64_t open_reset_us(struct window *w, int64_t now_us)
{
	(void)w;
	(void)now_us;
	return 0;
}

static const struct {
	const char *name;
	int64_t (*left)(struct window *w, int64_t now_us);
	void (*take)(struct window *w, int64_t now_us, bool taken); /* just after left() */
	int64_t (*reset_us)(struct window *w, int64_t now_us);
} kinds[WINDOW_KINDS] = {
    [WINDOW_SLIDING] = {"sliding", sliding_left, sliding_take, sliding_reset_us},
    [WINDOW_FIXED] = {"fixed", fixed_left, fixed_take, fixed_reset_us},
    [WINDOW_BUCKET] = {"bucket", bucket_left, bucket_take, bucket_reset_us},
    [WINDOW_OPEN] = {"open", open_left, open_take, open_reset_us},
};

const char *window_kind_name(enum window_kind k)
{
	return kinds[k].name;
}

bool window_count(struct window *w, int64_t now_us)
{
	const bool taken = kinds[w->kind].left(w, now_us) > 0;

	kinds[w->kind].take(w, now_us, taken);
	return taken;
}

int64_t window_left(struct window *w, int64_t now_us)
{
	const int64_t left = kinds[w->kind].left(w, now_us);

	return left > 0 ? left : 0;
}

int64_t window_reset_us(struct window *w, int64_t now_us)
{
	return kinds[w->kind].reset_us(w, now_us);
}

void window_clear(struct window *w)
{
	free(w->counted);
	w->counted = NULL;
	w->first = w->end = w->room = 0;
	w->index = w->used = 0;
	w->spent = 0;
	w->spent_us = 0;
}
