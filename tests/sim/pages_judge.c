/* What must hold of a run, reckoned from what the API answered and what is stored. It asks the plan nothing. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/pages.h"

void pages_fail(struct pages_world *w, const char *fmt, ...)
{
	char *out = w->result->what;
	size_t room = sizeof(w->result->what);
	va_list ap;
	int n;

	if (w->result->failed)
		return;
	w->result->failed = true;
	va_start(ap, fmt);
	n = snprintf(out, room, "seed %llu at %lld us: ", (unsigned long long)w->seed, (long long)w->now_us);
	vsnprintf(out + n, room - (size_t)n, fmt, ap);
	va_end(ap);
}

/* ---- what was told ---- */

/* The first page shows how many items a page has; to offsets it does not matter. */
static uint32_t pages_of_items(const struct pages_world *w, int64_t items)
{
	const struct stored *first = &w->store[0];
	int64_t size = w->api.size;

	if (!w->rules.offset && first->state == STORE_OK && first->seen.items > 0 && first->seen.items < size)
		size = first->seen.items;
	return items < 0 ? 0 : (uint32_t)((items + size - 1) / size);
}

static uint32_t told(const struct pages_world *w, const struct stored *s)
{
	if (s->state != STORE_OK)
		return 0;
	return s->seen.total_pages >= 0 ? (uint32_t)s->seen.total_pages : pages_of_items(w, s->seen.total_items);
}

static uint32_t told_most(const struct pages_world *w)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < w->count; i++)
		if (told(w, &w->store[i]) > most)
			most = told(w, &w->store[i]);
	return most;
}

/* The page that was answered last, of those that told of a total. */
static const struct stored *told_last(const struct pages_world *w)
{
	const struct stored *last = NULL;

	for (uint32_t i = 0; i < w->count; i++) {
		const struct stored *s = &w->store[i];

		if (s->state == STORE_OK && (s->seen.total_pages >= 0 || s->seen.total_items >= 0) &&
		    (!last || s->seen.ended_us >= last->seen.ended_us))
			last = s;
	}
	return last;
}

static int64_t items_stored(const struct pages_world *w)
{
	int64_t sum = 0;

	for (uint32_t i = 0; i < w->count; i++)
		if (w->store[i].state == STORE_OK)
			sum += w->store[i].seen.items;
	return sum;
}

/* ---- while it runs ---- */

static bool is_open(const struct stored *s)
{
	return (s->state == STORE_QUEUED || s->state == STORE_SENT) && !s->retried;
}

static uint32_t first_open(const struct pages_world *w)
{
	uint32_t i = 0;

	while (i < w->count && !is_open(&w->store[i]))
		i++;
	return i;
}

void judge_added(struct pages_world *w, uint32_t index)
{
	for (uint32_t i = 0; i < index; i++)
		if (strcmp(w->store[i].token, w->store[index].token) == 0)
			pages_fail(w, "page %" PRIu32 " has the token %s of page %" PRIu32, index + 1,
				   w->store[index].token, i + 1);
	if (index >= (w->mutation == PAGES_MUTATE_BEYOND_MAX ? w->rules.max_pages - 1 : w->rules.max_pages))
		pages_fail(w, "page %" PRIu32 " is beyond max_pages", index + 1);
	if (w->rules.numbered && index >= told_most(w) &&
	    index >= first_open(w) + w->rules.window - (w->mutation == PAGES_MUTATE_WIDE_WINDOW))
		pages_fail(w, "page %" PRIu32 " is beyond the window", index + 1);
}

void judge_sent(struct pages_world *w, uint32_t index)
{
	w->result->requests++;
	if (w->store[index].state == STORE_OK || w->store[index].state == STORE_STATUS)
		pages_fail(w, "page %" PRIu32 " is fetched again", index + 1);
}

/* ---- in the end ---- */

/* What a complete run must have and this one has not: a page, as index; UINT32_MAX: nothing. */
static uint32_t missing(const struct pages_world *w)
{
	const struct stored *last = told_last(w);
	uint32_t need = last ? told(w, last) : w->api.pages_first;

	for (uint32_t i = 0; i < need; i++)
		if (i >= w->count || w->store[i].state != STORE_OK)
			return i;
	return UINT32_MAX;
}

static bool deserves_guard(const struct api *a)
{
	return a->circle != UINT32_MAX || (a->lie > 0 && a->beyond == BEYOND_LAST_AGAIN);
}

void judge_conclusion(struct pages_world *w, const struct plan_conclusion *c)
{
	const struct stored *last = told_last(w);
	int64_t items = items_stored(w);

	pages_trace(w, "%s: %s: %s",
		    c->complete ? "complete"
		    : c->failed ? "failed"
				: "incomplete",
		    c->stop_reason, c->text);
	if (c->complete && missing(w) != UINT32_MAX)
		pages_fail(w, "complete (%s), but page %" PRIu32 " is missing", c->stop_reason, missing(w) + 1);
	if (c->complete && last && items < last->seen.total_items)
		pages_fail(w, "complete, but %" PRId64 " items are there, not %" PRId64, items, last->seen.total_items);
	if (c->complete && w->api.circle != UINT32_MAX)
		pages_fail(w, "complete, but the API leads in a circle");
	if (c->complete && (c->text[0] || c->failed || c->gap_count))
		pages_fail(w, "complete, but: %s", c->text);
	if (!c->complete && !c->text[0])
		pages_fail(w, "not complete, but nothing is said");
	if (w->guard && !deserves_guard(&w->api))
		pages_fail(w, "a guard for nothing: %s", c->text);
}

/* Whether nothing stands in the way of a complete run. An API whose last page was not full when it was fetched, and
 * grew, will not give up those items again. */
static bool is_honest(const struct pages_world *w)
{
	const struct api *a = &w->api;

	return a->lie == 0 && a->circle == UINT32_MAX && a->pages + w->rules.stop_empty < w->rules.max_pages &&
	       !(a->changes && (a->end == END_BY_TOTAL_ITEMS || w->rules.window > 1));
}

static void judge_items(struct pages_world *w, const struct plan_conclusion *c)
{
	int64_t expected = 0;

	for (uint32_t i = 0; i < w->count && i < w->api.pages; i++)
		if (w->store[i].state == STORE_OK)
			expected += w->store[i].seen.items;
	if (!w->api.changes && c->complete && c->items != expected)
		pages_fail(w, "%" PRId64 " items are told of, not %" PRId64, c->items, expected);
}

void judge_end(struct pages_world *w, const struct plan_conclusion *c)
{
	w->result->complete += c->complete;
	w->result->incomplete += !c->complete;
	w->result->guards += w->guard;
	w->result->pages += w->count;
	judge_items(w, c);
	if (is_honest(w) && !c->complete)
		pages_fail(w, "an honest API's run never becomes complete: %s: %s", c->stop_reason, c->text);
	if (w->api.circle != UINT32_MAX && w->api.pages < w->rules.max_pages && !w->guard)
		pages_fail(w, "the circle was not seen: %s: %s", c->stop_reason, c->text);
}
