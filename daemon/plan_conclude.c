/* What is said of a run in the end: whether it is complete, what is missing, and why, in a sentence for people. Looks
 * at every page, once. It must not change the plan. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/plan_private.h"
#include "lib/err.h"

#define RANGES_SAID 5

/* What there is to judge by. */
struct facts {
	struct plan_end end;    /* by all that was said */
	uint32_t must;          /* pages before this index must be there; PLAN_NONE: no end was found */
	uint32_t contradiction; /* the first page behind the end that has items */
	bool open;              /* a page before the end has not ended, or was never asked for */
	bool too_many;          /* the end is not within max_pages */
	bool more_unknown;      /* the last page says there is more, but not where */
	bool counted;
	uint32_t last_filled;                                         /* behind the last page with items */
	int64_t told_pages, told_items, told_pages_us, told_items_us; /* by who was answered last */
};

/* ---- looking ---- */

static bool is_filled(const struct plan_page *page)
{
	return page->state == PAGE_OK && page->items != PLAN_NOT_COUNTED && page->items > 0;
}

static void see_total(int64_t total, int64_t at_us, int64_t *told, int64_t *told_us)
{
	if (total < 0 || at_us < *told_us)
		return;
	*told = total;
	*told_us = at_us;
}

/* The same body as an earlier page's: an API that answers with the last page for any number beyond it. */
static bool is_echo(const struct plan *p, uint32_t index)
{
	return plan_body_first(p, index) != index;
}

static void look_at_page(const struct plan *p, uint32_t index, struct facts *f, struct plan_conclusion *out)
{
	const struct plan_page *page = &p->pages[index];

	if (page->state != PAGE_OK)
		return;
	see_total(page->total_pages, page->ended_us, &f->told_pages, &f->told_pages_us);
	see_total(page->total_items, page->ended_us, &f->told_items, &f->told_items_us);
	if (index >= f->end.at && (!is_filled(page) || is_echo(p, index)))
		return;
	if (index >= f->end.at && f->contradiction == PLAN_NONE)
		f->contradiction = index;
	out->pages++;
	if (page->items == PLAN_NOT_COUNTED)
		return;
	f->counted = true;
	out->items += page->items;
	if (page->items > 0)
		f->last_filled = index + 1;
}

/* Up to where pages must be there. The totals that were told last may be less than the greatest: records were deleted
 * meanwhile. And where pages were only reckoned from items, no more are needed than hold them. */
static uint32_t must_have(const struct plan *p, const struct facts *f, const struct plan_conclusion *out)
{
	uint32_t told = plan_pages_told(p, f->told_pages, f->told_items);
	uint32_t must = f->end.at < told ? f->end.at : told;

	if (told != PLAN_NONE && f->told_pages < 0 && f->counted && out->expected_items >= 0 &&
	    out->items >= out->expected_items && f->last_filled > 0 && f->last_filled < must)
		return f->last_filled;
	return must;
}

static void add_gap(struct plan *p, struct plan_conclusion *out, uint32_t index, size_t *room)
{
	if (!p->gaps || out->gap_count == *room) {
		*room = *room ? *room * 2 : 64;
		p->gaps = reallocarray(p->gaps, *room, sizeof(*p->gaps));
		if (!p->gaps)
			BUG("out of memory for %zu gaps", *room);
	}
	p->gaps[out->gap_count++] = index;
}

static void find_gaps(struct plan *p, struct facts *f, struct plan_conclusion *out)
{
	uint32_t to = f->must == PLAN_NONE ? p->count : f->must;
	size_t room = 0;

	free(p->gaps);
	p->gaps = NULL;
	if (to > p->rules.max_pages && to > p->count)
		to = p->rules.max_pages > p->count ? p->rules.max_pages : p->count;
	for (uint32_t i = 0; i < to; i++) {
		bool open = i >= p->count || p->pages[i].state == PAGE_OPEN;

		f->open = f->open || open;
		if (open || p->pages[i].state == PAGE_FAILED)
			add_gap(p, out, i, &room);
	}
	out->gaps = p->gaps;
}

static bool last_is_ok(const struct plan *p)
{
	return p->count > 0 && p->pages[p->count - 1].state == PAGE_OK;
}

static void look(struct plan *p, struct facts *f, struct plan_conclusion *out)
{
	f->end = plan_end_find(p);
	for (uint32_t i = 0; i < p->count; i++)
		look_at_page(p, i, f, out);
	out->expected_pages = plan_expected_pages(p, f->told_pages);
	out->expected_items = plan_expected_items(p, f->told_items);
	f->must = must_have(p, f, out);
	find_gaps(p, f, out);
	out->end = f->contradiction == PLAN_NONE ? f->end.at : PLAN_NONE;
	if (!f->counted)
		out->items = -1;
	f->too_many = f->must > p->rules.max_pages && p->count >= p->rules.max_pages && !f->open &&
		      (p->rules.numbered || plan_next_pending(p, &f->end));
	f->more_unknown = f->end.why == END_NO_NEXT && last_is_ok(p) && p->pages[p->count - 1].has_more == 1;
}

/* ---- saying ---- */

struct words {
	char *to;
	size_t room;
};

static void say(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct words *w, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(w->to, w->room, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= w->room)
		n = w->room ? (int)w->room - 1 : 0;
	w->to += n;
	w->room -= (size_t)n;
}

/* "3, 7 to 9 and 12 more" */
static void say_gaps(struct words *w, const struct plan_conclusion *out)
{
	size_t i = 0;

	for (int ranges = 0; i < out->gap_count; ranges++) {
		uint32_t first = out->gaps[i], last = first;

		if (ranges == RANGES_SAID) {
			say(w, " and %zu more", out->gap_count - i);
			return;
		}
		while (++i < out->gap_count && out->gaps[i] == last + 1)
			last++;
		say(w, "%s%u", ranges == 0 ? "" : ", ", plan_human(first));
		if (last > first)
			say(w, "%s%u", last == first + 1 ? ", " : " to ", plan_human(last));
	}
}

static void say_missing(struct words *w, const struct plan *p, const struct facts *f, const struct plan_conclusion *out)
{
	say(w, "page%s ", out->gap_count == 1 ? "" : "s");
	say_gaps(w, out);
	if (f->must != PLAN_NONE && p->rules.numbered)
		say(w, " of %" PRIu32, f->must);
	say(w, out->gap_count == 1 ? " is missing" : " are missing");
	if (plan_is_followed(p))
		say(w, ", and what follows it is not known");
}

/* Where nothing came behind it, and nothing told of more, it may be how the API ends. */
static bool may_have_ended(const struct plan *p, const struct plan_conclusion *out)
{
	return p->ok == p->fail_row && out->expected_pages <= (int64_t)out->pages &&
	       out->expected_items <= out->items && (p->fail_row == 0 || p->pages[p->fail_row - 1].has_more != 1);
}

/* What failed in a row need not be the first that is missing: pages end in any order. */
static void say_gave_up(struct words *w, const struct plan *p, const struct facts *f, const struct plan_conclusion *out)
{
	const struct plan_page *first = &p->pages[p->fail_row];

	say_missing(w, p, f, out);
	say(w, ": %u in a row failed, so that the rest was given up", plan_fail_limit(p));
	if (!may_have_ended(p, out))
		return;
	if (first->stop)
		say(w, "; if that is how the API ends, tell it by page.stop, and let neither `error` nor `items` fail");
	else if (first->absent)
		say(w, "; if that is how the API ends, name its status in page.stop_status");
}

static void say_nothing(struct words *w, const struct plan *p)
{
	if (p->refused_at_once)
		say(w,
		    "page 1 was answered with a status that ends the pages (page.stop_status), so that nothing came: "
		    "is the URL right?");
	else
		say(w, "not one page could be fetched");
}

static void say_too_many(struct words *w, const struct plan *p, const struct facts *f)
{
	say(w, "there are more pages than page.max_pages = %" PRIu32, p->rules.max_pages);
	if (f->must != PLAN_NONE)
		say(w, ": the API told of %" PRIu32, f->must);
	else if (p->rules.numbered)
		say(w, ", or no end is found");
	say(w, "; if they are wanted, raise it in the recipe");
}

static void say_contradiction(struct words *w, const struct facts *f)
{
	static const char *const ends[END_WHYS] = {
	    [END_SINGLE] = "there should be one page",
	    [END_TOTAL] = "the API told of no more",
	    [END_NO_NEXT] = "no page should follow",
	    [END_HAS_MORE] = "the page before it was said to be the last",
	    [END_STOP] = "page.stop had held before it",
	    [END_STATUS] = "a page before it was answered with a status that ends the pages",
	    [END_EMPTY] = "the pages had ended with empty ones before it",
	    [END_SHORT] = "the pages had ended with a short one before it",
	};

	say(w, "page %u has items, though %s (the end is behind page %" PRIu32 ")", plan_human(f->contradiction),
	    f->end.why < END_WHYS ? ends[f->end.why] : "there was no end", f->end.at);
}

static bool misses_items(const struct plan_conclusion *out, int64_t unique)
{
	return out->items >= 0 && (unique >= 0 ? unique : out->items) < out->expected_items;
}

static void say_items(struct words *w, const struct plan *p, const struct plan_conclusion *out, int64_t unique)
{
	const struct plan_page *first = &p->pages[0];

	say(w, "the API told of %" PRId64 " items, ", out->expected_items);
	if (unique >= 0 && unique < out->items)
		say(w, "%" PRId64 " different ones came (and %" PRId64 " of them again)", unique, out->items - unique);
	else
		say(w, "%" PRId64 " came", out->items);
	if (p->rules.numbered && p->rules.offset && is_filled(first) && first->items < p->rules.size)
		say(w, " (page 1 had %" PRIu32 ", not %" PRId64 ": does the API cap the size?)", first->items,
		    p->rules.size);
}

/* ---- judging ---- */

/* The first of these that holds is said. */
static bool find_fault(const struct plan *p, const struct facts *f, const struct plan_conclusion *out, int64_t unique,
		       struct words *w)
{
	if (p->ok == 0)
		say_nothing(w, p);
	else if (f->too_many && !p->rules.max_asked)
		say_too_many(w, p, f);
	else if (plan_gave_up(p, &f->end))
		say_gave_up(w, p, f, out);
	else if (out->gap_count)
		say_missing(w, p, f, out);
	else if (f->contradiction != PLAN_NONE)
		say_contradiction(w, f);
	else if (f->must == PLAN_NONE)
		say(w, "the end was not reached");
	else if (f->more_unknown)
		say(w, "page %u says that there is more, but not where", plan_human(p->count - 1));
	else if (misses_items(out, unique))
		say_items(w, p, out, unique);
	else if ((int64_t)out->pages < out->expected_pages)
		say(w, "the API told of %" PRId64 " pages, %" PRIu32 " came", out->expected_pages, out->pages);
	else
		return false;
	return true;
}

static const char *stop_reason(const struct plan *p, const struct facts *f, bool guard)
{
	static const char *const words[END_WHYS] = {
	    [END_SINGLE] = "single", [END_TOTAL] = "total",   [END_NO_NEXT] = "no_next", [END_HAS_MORE] = "has_more",
	    [END_STOP] = "stop",     [END_STATUS] = "status", [END_EMPTY] = "empty",     [END_SHORT] = "short",
	};
	bool stuck = plan_is_followed(p) && p->count > 0 && p->pages[p->count - 1].state == PAGE_FAILED;

	if (guard)
		return "guard";
	if (p->failed > 0 && (p->ok == 0 || stuck || plan_gave_up(p, &f->end)))
		return "failed";
	if (f->too_many)
		return "max_pages";
	return f->open || f->end.why == END_WHYS ? "cancelled" : words[f->end.why];
}

/* All that was asked for is there, and was to be a part only. */
static bool is_partial(const struct plan *p, const struct facts *f, const struct plan_conclusion *out)
{
	return f->too_many && p->rules.max_asked && p->ok > 0 && out->gap_count == 0 && !plan_gave_up(p, &f->end);
}

void plan_conclude(struct plan *p, int64_t unique, struct plan_conclusion *out)
{
	struct facts f = {.contradiction = PLAN_NONE, .told_pages = -1, .told_items = -1};
	struct words w = {out->text, sizeof(out->text)};
	const char *guard;

	*out = (struct plan_conclusion){0};
	f.told_pages_us = f.told_items_us = INT64_MIN;
	look(p, &f, out);
	guard = plan_guard_find(p, &f.end);
	out->stop_reason = stop_reason(p, &f, guard);
	if (guard)
		say(&w, "%s", guard);
	out->partial = !guard && is_partial(p, &f, out);
	out->complete = !guard && !out->partial && !find_fault(p, &f, out, unique, &w);
	out->failed = guard || p->ok == 0 || (f.too_many && !p->rules.max_asked);
}
