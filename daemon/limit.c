/* One rule and what it remembers: its windows (daemon/limit_window), what is in flight, and what the server said. It
 * must not know keys, jobs, the network, or what time it is. */
#include "daemon/limit.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/limit_window.h"
#include "lib/clock.h"
#include "lib/err.h"

/* The windows of the rule, and behind them the learned one. */
enum { LEARNED = LIMIT_RATES_MAX };

/* A scheduler may have ten thousand of these, which no cache holds: what a plain rule needs for a grant and an end lies
 * in two lines side by side. */
struct limit {
	unsigned in_flight;
	unsigned concurrency;
	unsigned window_count;                 /* of the rule */
	bool special;                          /* any of the members behind `windows` says something */
	bool probing;                          /* since the last pause nothing has recovered */
	bool probe_out;                        /* and a request is in flight to find out */
	int64_t granted_us, granted_before_us; /* the last grants; INT64_MIN: none */
	struct window windows[LIMIT_WINDOWS_MAX];
	int64_t pause_until_us;
	int64_t learned_until_us; /* 0: nothing learned */
	int64_t pace_us;          /* 0: not paced */
	struct limit_rule rule;
	struct window *before; /* while the record is told anew: what was counted until then */
};
_Static_assert(offsetof(struct limit, windows) + offsetof(struct window, heap_room) <= 2 * LIMIT_LINE,
	       "two cache lines");

/* After a change of what makes it so. */
static void limit_mark(struct limit *l)
{
	l->special = l->probing || l->pause_until_us > 0 || l->learned_until_us > 0 || l->pace_us > 0;
}

/* Asking changes nothing that anybody sees, but may forget what has expired. (No limit is a constant object.) */
static struct window *window_of(const struct limit *l, unsigned i)
{
	return (struct window *)(uintptr_t)&l->windows[i];
}

/* ---- the rule ---- */

/* What was learned holds until it expires, and no longer. */
static int64_t learned_ask(const struct limit *l, int64_t now_us)
{
	int64_t until_us = window_ask(window_of(l, LEARNED), l->in_flight, now_us);

	return until_us < l->learned_until_us ? until_us : l->learned_until_us;
}

static int64_t paced_until_us(const struct limit *l)
{
	return add_us(l->granted_us, l->pace_us);
}

struct verdict {
	int64_t until_us;
	enum limit_hold why;
};

/* Every part must agree, so the latest decides; on equal terms the earlier named. */
static inline void verdict_join(struct verdict *v, int64_t until_us, enum limit_hold why)
{
	if (until_us > v->until_us)
		*v = (struct verdict){until_us, why};
}

/* On equal terms pause and probe come before the rates, and these before what was learned and pace. */
static void special_ask(const struct limit *l, int64_t now_us, struct verdict *v)
{
	struct verdict rates = *v;

	*v = (struct verdict){0, LIMIT_FREE};
	if (l->pause_until_us > now_us)
		verdict_join(v, l->pause_until_us, LIMIT_PAUSE);
	if (l->probe_out)
		verdict_join(v, CLOCK_NEVER, LIMIT_PROBE);
	verdict_join(v, rates.until_us, rates.why);
	if (l->learned_until_us > now_us)
		verdict_join(v, learned_ask(l, now_us), LIMIT_LEARNED);
	if (l->pace_us > 0 && paced_until_us(l) > now_us)
		verdict_join(v, paced_until_us(l), LIMIT_PACE);
}

int64_t limit_ask_why(const struct limit *l, int64_t now_us, enum limit_hold *why)
{
	struct verdict v = {0, LIMIT_FREE};

	for (unsigned i = 0; i < l->window_count; i++)
		verdict_join(&v, window_ask(window_of(l, i), l->in_flight, now_us), LIMIT_RATE);
	if (l->special)
		special_ask(l, now_us, &v);
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

void limit_prefetch_ask(const struct limit *l)
{
	for (unsigned i = 0; i < l->window_count; i++)
		if (window_count(&l->windows[i]) + l->in_flight >= l->windows[i].rate.count)
			window_prefetch_first(&l->windows[i]);
}

void limit_prefetch_end(const struct limit *l)
{
	for (unsigned i = 0; i < l->window_count; i++)
		window_prefetch_end(&l->windows[i]);
}

void limit_grant(struct limit *l, int64_t now_us)
{
	l->in_flight++;
	l->granted_before_us = l->granted_us; /* also while nothing paces it: it may be changed */
	l->granted_us = now_us;
	l->probe_out = l->probing;
}

/* Windows of the rule, and the learned one if there is one. */
static struct window *next_window(const struct limit *l, const struct window *prev)
{
	unsigned i = prev ? (unsigned)(prev - l->windows) + 1 : 0;

	if (i >= l->window_count)
		i = i > LEARNED || !l->special || l->learned_until_us == 0 ? LIMIT_WINDOWS_MAX : LEARNED;
	return i < LIMIT_WINDOWS_MAX ? window_of(l, i) : NULL;
}

static void unlearn(struct limit *l)
{
	window_clear(&l->windows[LEARNED]);
	l->learned_until_us = 0;
	limit_mark(l);
}

static void leave(struct limit *l, int64_t granted_us)
{
	if (l->in_flight == 0)
		BUG("a request ended that was never granted");
	l->in_flight--;
	/* whoever was in flight already when the pause came is no probe */
	if (l->probe_out && granted_us >= l->pause_until_us)
		l->probe_out = false;
}

void limit_end(struct limit *l, int64_t now_us, int64_t granted_us, int64_t counted_us)
{
	leave(l, granted_us);
	if (l->special && l->learned_until_us > 0 && l->learned_until_us <= now_us)
		unlearn(l);
	for (struct window *w = NULL; (w = next_window(l, w));)
		window_end(w, counted_us, now_us);
}

void limit_refund(struct limit *l, int64_t granted_us)
{
	leave(l, granted_us);
	/* an older grant's turn was followed by another's: only the last one can be given back */
	if (granted_us == l->granted_us)
		l->granted_us = l->granted_before_us;
}

void limit_adopt(struct limit *l, unsigned n)
{
	l->in_flight += n;
}

void limit_seen(struct limit *l, int64_t counted_us)
{
	for (struct window *w = NULL; (w = next_window(l, w));)
		window_add(w, counted_us, counted_us);
}

void limit_recall_begin(struct limit *l)
{
	if (l->before)
		BUG("the record is told twice at once");
	l->before = malloc(sizeof(l->windows));
	if (!l->before)
		BUG("out of memory for a limit");
	memcpy(l->before, l->windows, sizeof(l->windows));
	for (unsigned i = 0; i < LIMIT_WINDOWS_MAX; i++)
		l->windows[i] = (struct window){.rate = l->before[i].rate};
}

void limit_recall_end(struct limit *l, bool whole)
{
	for (unsigned i = 0; l->before && i < LIMIT_WINDOWS_MAX; i++) {
		if (!whole)
			window_join(&l->windows[i], &l->before[i]);
		window_clear(&l->before[i]);
	}
	free(l->before);
	l->before = NULL;
}

/* ---- what a server says ---- */

void limit_pause(struct limit *l, int64_t until_us)
{
	if (until_us <= l->pause_until_us)
		return;
	l->pause_until_us = until_us;
	l->probing = true;
	limit_mark(l);
	l->probe_out = false; /* granted before this pause's end: no answer to it */
}

bool limit_recovered(struct limit *l, int64_t granted_us)
{
	if (!l->probing || granted_us < l->pause_until_us)
		return false;
	l->probing = l->probe_out = false;
	return true;
}

/* Later than whatever was granted before it, for that is no probe: its end tells nothing of the host as it is now. */
void limit_resume(struct limit *l, int64_t now_us)
{
	int64_t until_us = l->granted_us < now_us ? now_us : l->granted_us + 1;

	if (until_us < l->pause_until_us)
		l->pause_until_us = until_us;
}

/* ---- making and changing ---- */

/* The one that remembers the most. */
static const struct window *longest_window(const struct limit *l)
{
	const struct window *longest = NULL;

	for (const struct window *w = NULL; (w = next_window(l, w));)
		if (!longest || w->rate.window_us > longest->rate.window_us)
			longest = w;
	return longest;
}

static struct window window_knowing(const struct rate *rate, const struct window *knows)
{
	struct window w = {.rate = *rate};

	if (knows)
		window_join(&w, knows);
	return w;
}

void limit_learn_rate(struct limit *l, const struct rate *rate, int64_t now_us, int64_t expires_us)
{
	struct window learned;

	if (rate && (rate->count < 1 || rate->window_us < 1))
		return;
	if (!rate || expires_us <= now_us) {
		unlearn(l);
		return;
	}
	learned = window_knowing(rate, longest_window(l));
	unlearn(l);
	l->windows[LEARNED] = learned;
	l->learned_until_us = expires_us;
	limit_mark(l);
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

static void rule_check(const struct limit_rule *rule)
{
	if (rule->rate_count > LIMIT_RATES_MAX)
		BUG("a rule of %u rates", rule->rate_count);
	for (unsigned i = 0; i < rule->rate_count; i++)
		if (rule->rates[i].count < 1 || rule->rates[i].window_us < 1)
			BUG("a rate of %lld in %lld us", (long long)rule->rates[i].count,
			    (long long)rule->rates[i].window_us);
}

void limit_change(struct limit *l, const struct limit_rule *rule)
{
	const struct window *knows = longest_window(l);
	struct window fresh[LIMIT_RATES_MAX] = {0};

	rule_check(rule);
	for (unsigned i = 0; i < rule->rate_count; i++)
		fresh[i] = window_knowing(&rule->rates[i], knows);
	for (unsigned i = 0; i < LIMIT_RATES_MAX; i++)
		window_clear(&l->windows[i]);
	memcpy(l->windows, fresh, sizeof(fresh)); /* without the learned one */
	l->rule = *rule;
	l->window_count = rule->rate_count;
	l->concurrency = rule->concurrency;
	l->pace_us = pace_us(rule);
	limit_mark(l);
}

struct limit *limit_create(const struct limit_rule *rule)
{
	size_t bytes = (sizeof(struct limit) + 2 * LIMIT_LINE - 1) / (2 * LIMIT_LINE) * (2 * LIMIT_LINE);
	struct limit *l = aligned_alloc(2 * LIMIT_LINE, bytes);

	if (!l)
		BUG("out of memory for a limit");
	memset(l, 0, bytes);
	l->granted_us = l->granted_before_us = INT64_MIN;
	limit_change(l, rule);
	return l;
}

void limit_free(struct limit *l)
{
	if (!l)
		return;
	for (unsigned i = 0; i < LIMIT_WINDOWS_MAX; i++)
		window_clear(&l->windows[i]);
	free(l);
}

/* ---- looking at it ---- */

const char *limit_hold_name(enum limit_hold h)
{
	static const char *const names[] = {
	    [LIMIT_FREE] = "free",   [LIMIT_CONCURRENCY] = "concurrency",
	    [LIMIT_RATE] = "rate",   [LIMIT_LEARNED] = "learned",
	    [LIMIT_PACE] = "pace",   [LIMIT_PROBE] = "probe",
	    [LIMIT_PAUSE] = "pause",
	};
	_Static_assert(sizeof names / sizeof *names == LIMIT_HOLDS, "every hold has a name");

	return (unsigned)h < LIMIT_HOLDS ? names[h] : "?";
}

const struct limit_rule *limit_get_rule(const struct limit *l)
{
	return &l->rule;
}

unsigned limit_in_flight(const struct limit *l)
{
	return l->in_flight;
}

int64_t limit_paused_until_us(const struct limit *l, int64_t now_us)
{
	return l->pause_until_us > now_us ? l->pause_until_us : 0;
}

int64_t limit_learned_until_us(const struct limit *l, int64_t now_us, struct rate *rate)
{
	if (l->learned_until_us <= now_us)
		return 0;
	*rate = l->windows[LEARNED].rate;
	return l->learned_until_us;
}

bool limit_probing(const struct limit *l)
{
	return l->probing;
}

unsigned limit_windows(const struct limit *l, int64_t now_us, struct limit_window *out)
{
	unsigned n = 0;

	for (struct window *w = NULL; (w = next_window(l, w));) {
		bool learned = w == &l->windows[LEARNED];

		if (learned && l->learned_until_us <= now_us)
			break;
		out[n] = (struct limit_window){
		    .rate = w->rate,
		    .free_us = learned ? learned_ask(l, now_us) : window_ask(w, l->in_flight, now_us),
		    .learned = learned,
		    .expires_us = learned ? l->learned_until_us : CLOCK_NEVER,
		};
		window_forget(w, now_us);
		out[n++].used = window_count(w) + l->in_flight;
	}
	return n;
}

bool limit_blank(const struct limit *l, int64_t now_us)
{
	struct limit_window w[LIMIT_WINDOWS_MAX];
	unsigned n = limit_windows(l, now_us, w);

	for (unsigned i = 0; i < n; i++)
		if (w[i].used > 0 || w[i].learned)
			return false;
	return l->in_flight == 0 && !l->probing && l->pause_until_us <= now_us &&
	       (l->pace_us == 0 || paced_until_us(l) <= now_us);
}
