/* One rule and what it remembers. It must not know keys, jobs, the network, or what time it is.
 *
 * Per window the times at which ended requests were counted, in a binary heap, the earliest on top: they arrive out of
 * order (an aborted request is counted later than one that ended after it), and only the earliest matters. The heap is
 * bounded by the rule: every entry held a slot when it was granted, so in-flight and remembered requests never exceed
 * `count`. 100 000 a day cost 800 kB at most, and 17 comparisons. */
#include "daemon/limit.h"

#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/err.h"

struct window {
	struct rate rate;
	int64_t *counted_us; /* a heap */
	size_t count, capacity;
};

struct limit {
	struct window *windows; /* apart, so that asking may forget what has expired */
	unsigned window_count;
	unsigned concurrency;
	unsigned in_flight;
	int64_t pause_until_us;
	int64_t pace_us; /* 0: not paced */
	int64_t pace_next_us, pace_before_us;
	int64_t granted_us; /* the last grant */
};

static int64_t add_us(int64_t a, int64_t b)
{
	return a > INT64_MAX - b ? CLOCK_NEVER : a + b;
}

/* ---- the heap of counted times ---- */

static void window_reserve(struct window *w)
{
	size_t capacity = w->capacity ? 2 * w->capacity : 16;
	int64_t *p;

	if (w->count < w->capacity)
		return;
	p = realloc(w->counted_us, capacity * sizeof(*p));
	if (!p)
		BUG("out of memory for a limit of %zu requests", capacity);
	w->counted_us = p;
	w->capacity = capacity;
}

static void window_add(struct window *w, int64_t counted_us)
{
	size_t i;

	window_reserve(w);
	for (i = w->count++; i > 0 && counted_us < w->counted_us[(i - 1) / 2]; i = (i - 1) / 2)
		w->counted_us[i] = w->counted_us[(i - 1) / 2];
	w->counted_us[i] = counted_us;
}

static void window_drop_earliest(struct window *w)
{
	int64_t last = w->counted_us[--w->count];
	size_t i = 0;

	for (size_t child; (child = 2 * i + 1) < w->count; i = child) {
		if (child + 1 < w->count && w->counted_us[child + 1] < w->counted_us[child])
			child++;
		if (last <= w->counted_us[child])
			break;
		w->counted_us[i] = w->counted_us[child];
	}
	if (w->count > 0)
		w->counted_us[i] = last;
}

static int64_t window_frees_us(const struct window *w)
{
	return add_us(w->counted_us[0], w->rate.window_us);
}

static void window_forget(struct window *w, int64_t now_us)
{
	while (w->count > 0 && window_frees_us(w) <= now_us)
		window_drop_earliest(w);
}

/* ---- the rule ---- */

/* THE RULE: grant only when #{ i : in flight, or counted_i > now - W } < N. */
static int64_t window_ask(struct window *w, unsigned in_flight, int64_t now_us)
{
	int64_t taken;

	window_forget(w, now_us);
	taken = (int64_t)w->count + in_flight;
	if (taken < w->rate.count)
		return 0;
	/* after a stricter rule came more than one slot may have to free: then this is the first of several tries */
	return w->count > 0 && in_flight < w->rate.count ? window_frees_us(w) : CLOCK_NEVER;
}

struct verdict {
	int64_t until_us;
	enum limit_hold why;
};

/* Every part must agree, so the latest decides; on equal terms the earlier named. */
static void verdict_join(struct verdict *v, int64_t until_us, enum limit_hold why)
{
	if (until_us > v->until_us)
		*v = (struct verdict){until_us, why};
}

int64_t limit_ask_why(const struct limit *l, int64_t now_us, enum limit_hold *why)
{
	struct verdict v = {0, LIMIT_FREE};

	if (l->pause_until_us > now_us)
		verdict_join(&v, l->pause_until_us, LIMIT_PAUSE);
	for (unsigned i = 0; i < l->window_count; i++)
		verdict_join(&v, window_ask(&l->windows[i], l->in_flight, now_us), LIMIT_RATE);
	if (l->pace_next_us > now_us)
		verdict_join(&v, l->pace_next_us, LIMIT_PACE);
	if (l->concurrency > 0 && l->in_flight >= l->concurrency)
		verdict_join(&v, CLOCK_NEVER, LIMIT_CONCURRENCY);
	if (why)
		*why = v.why;
	return v.until_us;
}

int64_t limit_ask(const struct limit *l, int64_t now_us)
{
	return limit_ask_why(l, now_us, NULL);
}

void limit_grant(struct limit *l, int64_t now_us)
{
	l->in_flight++;
	l->granted_us = now_us;
	if (l->pace_us > 0) {
		l->pace_before_us = l->pace_next_us;
		l->pace_next_us = add_us(now_us, l->pace_us);
	}
}

static void leave(struct limit *l)
{
	if (l->in_flight == 0)
		BUG("a request ended that was never granted");
	l->in_flight--;
}

void limit_end(struct limit *l, int64_t now_us, int64_t granted_us, int64_t counted_us)
{
	(void)granted_us; /* tells probes apart */
	leave(l);
	for (unsigned i = 0; i < l->window_count; i++) {
		struct window *w = &l->windows[i];

		window_forget(w, now_us);
		if (add_us(counted_us, w->rate.window_us) > now_us)
			window_add(w, counted_us);
	}
}

void limit_refund(struct limit *l, int64_t granted_us)
{
	leave(l);
	/* an older grant's turn was followed by another's: only the last one can be given back */
	if (l->pace_us > 0 && granted_us == l->granted_us)
		l->pace_next_us = l->pace_before_us;
}

void limit_pause(struct limit *l, int64_t until_us)
{
	if (until_us > l->pause_until_us)
		l->pause_until_us = until_us;
}

void limit_adopt(struct limit *l, unsigned n)
{
	l->in_flight += n;
}

unsigned limit_in_flight(const struct limit *l)
{
	return l->in_flight;
}

/* ---- making and changing ---- */

static void *allocate(size_t n, size_t bytes)
{
	void *p = calloc(n, bytes);

	if (!p)
		BUG("out of memory for a limit");
	return p;
}

/* The smallest distance that keeps every window when requests go out evenly. */
static int64_t pace_us(const struct limit_rule *rule)
{
	int64_t longest = 0;

	for (unsigned i = 0; rule->pace && i < rule->rate_count; i++) {
		const struct rate *r = &rule->rates[i];
		int64_t each = r->window_us / r->count + (r->window_us % r->count != 0);

		if (each > longest)
			longest = each;
	}
	return longest;
}

static void rule_apply(struct limit *l, const struct limit_rule *rule)
{
	if (rule->rate_count > LIMIT_RATES_MAX)
		BUG("a rule of %u rates", rule->rate_count);
	l->windows = allocate(LIMIT_RATES_MAX, sizeof(*l->windows));
	l->window_count = rule->rate_count;
	for (unsigned i = 0; i < rule->rate_count; i++) {
		if (rule->rates[i].count < 1 || rule->rates[i].window_us < 1)
			BUG("a rate of %lld in %lld us", (long long)rule->rates[i].count,
			    (long long)rule->rates[i].window_us);
		l->windows[i].rate = rule->rates[i];
	}
	l->concurrency = rule->concurrency;
	l->pace_us = pace_us(rule);
	if (l->pace_us == 0)
		l->pace_next_us = l->pace_before_us = 0;
}

static void windows_free(struct window *windows, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		free(windows[i].counted_us);
	free(windows);
}

struct limit *limit_create(const struct limit_rule *rule)
{
	struct limit *l = allocate(1, sizeof(*l));

	rule_apply(l, rule);
	return l;
}

void limit_free(struct limit *l)
{
	if (!l)
		return;
	windows_free(l->windows, l->window_count);
	free(l);
}

void limit_change(struct limit *l, const struct limit_rule *rule)
{
	struct window *old = l->windows;
	unsigned old_count = l->window_count;
	const struct window *longest = old;

	for (unsigned i = 1; i < old_count; i++)
		if (old[i].rate.window_us > longest->rate.window_us)
			longest = &old[i];
	rule_apply(l, rule);
	for (unsigned i = 0; i < l->window_count && old_count > 0; i++)
		for (size_t k = 0; k < longest->count; k++)
			window_add(&l->windows[i], longest->counted_us[k]);
	windows_free(old, old_count);
}
