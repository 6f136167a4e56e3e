/* One run: an engine as small as can be drives the plan, as the daemon's does. A page's end and what follows from it
 * are one commit; a crash forgets the plan and whatever was in flight. */
#include "tests/sim/pages.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TURNS_MAX  20000
#define ROUNDS_MAX 80

const char *pages_mutation_name(enum pages_mutation m)
{
	static const char *const names[] = {
	    [PAGES_MUTATE_NOTHING] = "nothing",         [PAGES_MUTATE_FORGET_GROWTH] = "forget-growth",
	    [PAGES_MUTATE_OFF_BY_ONE] = "off-by-one",   [PAGES_MUTATE_GAP_IS_EMPTY] = "gap-is-empty",
	    [PAGES_MUTATE_ADD_TWICE] = "add-twice",     [PAGES_MUTATE_NO_MORE] = "no-more",
	    [PAGES_MUTATE_FORGET_PAGE] = "forget-page", [PAGES_MUTATE_OLD_WORDS] = "old-words",
	    [PAGES_MUTATE_NO_TOKENS] = "no-tokens",     [PAGES_MUTATE_WIDE_WINDOW] = "wide-window",
	    [PAGES_MUTATE_BEYOND_MAX] = "beyond-max",   [PAGES_MUTATE_FETCH_AGAIN] = "fetch-again",
	};
	_Static_assert(sizeof names / sizeof *names == PAGES_MUTATIONS, "every mutation has a name");

	return names[m];
}

/* ---- dice ---- */

static uint64_t next_random(struct pages_world *w)
{
	uint64_t z = (w->random += 0x9e3779b97f4a7c15U); /* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

int64_t pages_draw(struct pages_world *w, int64_t lo, int64_t hi)
{
	return lo + (int64_t)(next_random(w) % (uint64_t)(hi - lo + 1));
}

bool pages_chance(struct pages_world *w, unsigned percent)
{
	return pages_draw(w, 0, 99) < percent;
}

void pages_trace(struct pages_world *w, const char *fmt, ...)
{
	va_list ap;

	if (!w->trace)
		return;
	printf("%8lld ", (long long)w->now_us);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* ---- telling the plan ---- */

static void tell_added(struct pages_world *w, uint32_t index)
{
	char other[TOKEN_BYTES];

	if (w->mutation == PAGES_MUTATE_ADD_TWICE && index > 0 && index % 5 == 0)
		return;
	snprintf(other, sizeof(other), "%s%" PRIu32, w->rules.offset ? "9" : "x", index);
	plan_added(w->plan, index, w->mutation == PAGES_MUTATE_NO_TOKENS ? other : w->store[index].token);
}

/* What was seen, or what a wrong driver makes of it. */
static struct plan_seen told_as(const struct pages_world *w, uint32_t index)
{
	struct plan_seen s = w->store[index].seen;

	if (w->mutation == PAGES_MUTATE_FORGET_GROWTH && index > 0)
		s.total_pages = s.total_items = -1;
	if (w->mutation == PAGES_MUTATE_OFF_BY_ONE && s.total_pages > 1)
		s.total_pages--;
	if (w->mutation == PAGES_MUTATE_GAP_IS_EMPTY && s.result == PLAN_FAILED) {
		s.result = PLAN_OK;
		s.items = 0;
	}
	if (w->mutation == PAGES_MUTATE_OLD_WORDS)
		s.ended_us = -s.ended_us;
	if (w->mutation == PAGES_MUTATE_NO_TOKENS)
		s.hash[0] = 0;
	return s;
}

static void add_page(struct pages_world *w, const char *token)
{
	uint32_t index = w->count++;
	struct stored *s = &w->store[index];

	if (index >= PAGES_MAX) {
		w->count--;
		pages_fail(w, "there is no end of pages");
		return;
	}
	*s = (struct stored){.state = STORE_QUEUED};
	if (token)
		snprintf(s->token, sizeof(s->token), "%s", token);
	else
		plan_token(w->plan, index, s->token, sizeof(s->token));
	pages_trace(w, "page %" PRIu32 " is added: \"%s\"", index + 1, s->token);
	judge_added(w, index);
	tell_added(w, index);
}

static void cancel_from(struct pages_world *w, uint32_t from)
{
	for (uint32_t i = from; i < w->count; i++)
		if (w->store[i].state == STORE_QUEUED) {
			pages_trace(w, "page %" PRIu32 " is cancelled", i + 1);
			w->store[i].state = STORE_CANCELLED;
		}
}

static void fail_by_guard(struct pages_world *w, const char *why)
{
	pages_trace(w, "guard: %s", why);
	w->guard = true;
	for (uint32_t i = 0; i < w->count; i++)
		if (w->store[i].state == STORE_QUEUED || w->store[i].state == STORE_SENT)
			w->store[i].state = STORE_CANCELLED;
}

static void follow_step(struct pages_world *w, struct plan_step *step)
{
	char next[TOKEN_BYTES] = "";

	if (step->guard) {
		fail_by_guard(w, step->guard);
		return;
	}
	if (step->cancel_from != UINT32_MAX)
		cancel_from(w, step->cancel_from);
	if (step->next) {
		snprintf(next, sizeof(next), "%s", step->next);
		add_page(w, next);
	}
	for (uint32_t n = step->add; n > 0; n--)
		add_page(w, NULL);
	if (!step->more)
		return;
	plan_more(w->plan, step);
	follow_step(w, step);
}

/* ---- the daemon begins, and begins again ---- */

static bool has_ended(const struct stored *s)
{
	return s->state == STORE_OK || s->state == STORE_STATUS || s->state == STORE_FAILED;
}

/* All that is stored, in any order: even numbers are pages added, odd ones their ends. */
static void tell_stored(struct pages_world *w)
{
	uint32_t order[PAGES_MAX * 2], n = w->count * 2, forgotten = UINT32_MAX;
	struct plan_step ignored;

	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	for (uint32_t i = n; i > 1; i--) {
		uint32_t k = (uint32_t)pages_draw(w, 0, i - 1), t = order[k];

		order[k] = order[i - 1];
		order[i - 1] = t;
	}
	if (w->mutation == PAGES_MUTATE_FORGET_PAGE)
		forgotten = w->count / 2;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t index = order[i] / 2;
		struct plan_seen seen = told_as(w, index);

		if (order[i] % 2 == 0)
			tell_added(w, index);
		else if (has_ended(&w->store[index]) && index != forgotten)
			plan_ended(w->plan, index, &seen, &ignored);
	}
}

static void begin(struct pages_world *w)
{
	struct plan_rules rules = w->rules;
	struct plan_step step;

	plan_free(w->plan);
	w->plan = plan_create(&rules);
	if (w->count == 0) {
		uint32_t first = plan_first(w->plan);
		char token[TOKEN_BYTES];

		plan_token(w->plan, 0, token, sizeof(token));
		for (uint32_t i = 0; i < first; i++)
			add_page(w, i == 0 ? token : NULL);
		return;
	}
	tell_stored(w);
	if (w->mutation == PAGES_MUTATE_NO_MORE)
		return;
	plan_more(w->plan, &step);
	follow_step(w, &step);
}

static void crash(struct pages_world *w)
{
	pages_trace(w, "the daemon dies");
	w->result->crashes++;
	for (uint32_t i = 0; i < w->count; i++)
		if (w->store[i].state == STORE_SENT)
			w->store[i].state = STORE_QUEUED;
	begin(w);
}

/* ---- fetching ---- */

static uint32_t in_flight(const struct pages_world *w)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < w->count; i++)
		n += w->store[i].state == STORE_SENT;
	return n;
}

static void dispatch(struct pages_world *w)
{
	for (uint32_t i = 0, n = in_flight(w); i < w->count && n < w->concurrency; i++) {
		struct stored *s = &w->store[i];

		if (s->state != STORE_QUEUED)
			continue;
		judge_sent(w, i);
		s->state = STORE_SENT;
		s->ends_us = w->now_us + pages_draw(w, 1, 1000);
		n++;
	}
}

/* Commits a page's end. What follows from it may be lost with the daemon: the plan knows it again. */
static void page_ended(struct pages_world *w, uint32_t index)
{
	static const enum store_state states[] = {STORE_OK, STORE_STATUS, STORE_FAILED};
	struct stored *s = &w->store[index];
	struct plan_step step;
	struct plan_seen seen;

	w->now_us = s->ends_us;
	api_answer(w, index);
	if (pages_chance(w, w->crash_percent)) { /* before the commit */
		crash(w);
		return;
	}
	s->state = states[s->seen.result];
	pages_trace(w, "page %" PRIu32 " %s: %" PRId64 " items, totals %" PRId64 " %" PRId64, index + 1,
		    s->seen.result == PLAN_OK ? "came" : "did not come", s->seen.items, s->seen.total_pages,
		    s->seen.total_items);
	seen = told_as(w, index);
	plan_ended(w->plan, index, &seen, &step);
	if (pages_chance(w, w->crash_percent)) /* after it */
		crash(w);
	else
		follow_step(w, &step);
}

static uint32_t next_to_end(const struct pages_world *w)
{
	uint32_t next = UINT32_MAX;

	for (uint32_t i = 0; i < w->count; i++)
		if (w->store[i].state == STORE_SENT &&
		    (next == UINT32_MAX || w->store[i].ends_us < w->store[next].ends_us))
			next = i;
	return next;
}

/* ---- the owner ---- */

/* A page that failed is fetched again while the run goes on. */
static void retry_live(struct pages_world *w)
{
	for (uint32_t i = 0; i < w->count; i++)
		if (w->store[i].state == STORE_FAILED && pages_chance(w, 50)) {
			pages_trace(w, "page %" PRIu32 " is retried meanwhile", i + 1);
			w->store[i].state = STORE_QUEUED;
			w->store[i].retried = true;
		}
}

/* Once the run has ended. Whether anything is to be done. */
static bool retry(struct pages_world *w)
{
	bool some = false;

	if (w->guard || w->rounds++ >= ROUNDS_MAX)
		return false;
	for (uint32_t i = 0; i < w->count; i++) {
		enum store_state *state = &w->store[i].state;

		if (*state == STORE_FAILED || *state == STORE_CANCELLED ||
		    (w->mutation == PAGES_MUTATE_FETCH_AGAIN && i == 3)) {
			if (*state == STORE_OK)
				judge_sent(w, i);
			*state = STORE_QUEUED;
			some = true;
		}
	}
	if (!some)
		return false;
	w->result->retries++;
	pages_trace(w, "the owner retries");
	begin(w);
	return true;
}

/* ---- a run ---- */

/* false: it is over. */
static bool turn(struct pages_world *w)
{
	struct plan_conclusion c;

	dispatch(w);
	if (in_flight(w) > 0) {
		page_ended(w, next_to_end(w));
		if (pages_chance(w, 10))
			api_change(w);
		if (pages_chance(w, w->live_retry_percent))
			retry_live(w);
		return true;
	}
	plan_conclude(w->plan, -1, &c);
	judge_conclusion(w, &c);
	if (!c.complete && !w->result->failed && retry(w))
		return true;
	judge_end(w, &c);
	return false;
}

void pages_run(uint64_t seed, enum pages_mutation mutation, bool tracing, struct pages_result *out)
{
	struct pages_world w = {.seed = seed, .random = seed, .mutation = mutation, .trace = tracing, .result = out};

	*out = (struct pages_result){0};
	w.now_us = 1;
	api_draw(&w);
	w.concurrency = (unsigned)pages_draw(&w, 1, 8);
	w.crash_percent = pages_chance(&w, 50) ? (unsigned)pages_draw(&w, 0, 10) : 0;
	w.live_retry_percent = pages_chance(&w, 30) ? 10 : 0;
	if (mutation == PAGES_MUTATE_WIDE_WINDOW)
		w.rules.window++;
	if (mutation == PAGES_MUTATE_BEYOND_MAX)
		w.rules.max_pages++;
	begin(&w);
	for (unsigned turns = 0; !out->failed && turn(&w); turns++)
		if (turns > TURNS_MAX)
			pages_fail(&w, "no end after %u turns", turns);
	plan_free(w.plan);
}
