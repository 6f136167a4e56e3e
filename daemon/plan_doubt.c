/* What a run's pages look like where its recipe means something else than its author: nothing is missing by what was
 * told, and yet it is hardly what was wanted. One sentence, the first that holds. docs/PULLS.md has the rules: each is
 * such that an honest API is not doubted every night. It must not know a recipe but by what it names. */
#include "daemon/plan_doubt.h"

#include <inttypes.h>
#include <stdio.h>

#include "daemon/plan_private.h"

struct doubting {
	const struct plan *plan;
	const struct plan_conclusion *conclusion;
	const struct plan_named *named;
	int64_t unique; /* -1: not counted */
	char *text;
	size_t size;
};

static bool no_items(const struct doubting *d)
{
	const struct plan_conclusion *c = d->conclusion;

	if (!d->named->items || d->named->news || c->items != 0 || d->plan->most_items == 0 ||
	    d->plan->most_pages == 0 || (c->pages < 2 && !d->named->first))
		return false;
	snprintf(d->text, d->size, "no page had items, of %" PRIu32 ": does `items` name them?", c->pages);
	return true;
}

/* A page behind another, answered after it, told of less. (0 on a later page is what APIs say that count the rest.) */
static bool has_fallen(const struct plan *p, bool pages, int64_t *from, int64_t *to)
{
	int64_t greatest = -1, at_us = INT64_MIN;

	for (uint32_t i = 0; i < p->count; i++) {
		const struct plan_page *page = &p->pages[i];
		int64_t total = pages ? page->total_pages : page->total_items;

		if (page->state != PAGE_OK || total < (i > 0))
			continue;
		if (total < greatest && page->ended_us >= at_us) {
			*from = greatest;
			*to = total;
			return true;
		}
		if (total > greatest) {
			greatest = total;
			at_us = page->ended_us;
		}
	}
	return false;
}

/* What was deleted amid the pages moves those behind it up, over the edge to a page that was read already. Not where
 * all came that was ever told of; nor where a total in a header may be that of the day when the page was stored. */
static bool fallen(const struct doubting *d)
{
	const struct plan *p = d->plan;
	int64_t most = plan_expected_items(p, p->most_items), came = d->unique >= 0 ? d->unique : d->conclusion->items;
	bool by_header = !d->named->total_pages && !d->named->total_items, items;
	int64_t from, to;

	if ((!p->rules.numbered && !p->rules.offset) || (d->named->reused && by_header) || (most >= 0 && came >= most))
		return false;
	items = has_fallen(p, false, &from, &to);
	if (!items && !has_fallen(p, true, &from, &to))
		return false;
	snprintf(d->text, d->size,
		 "the total fell from %" PRId64 " to %" PRId64 " %s while pages were read by %s: what moved up may be "
		 "missing; run it again",
		 from, to, items ? "items" : "pages", p->rules.offset ? "offset" : "number");
	return true;
}

/* Nothing else says that the one page is all there is. */
static bool no_next(const struct doubting *d)
{
	const struct plan *p = d->plan;
	const struct plan_page *page = p->pages;
	bool full;

	if (!d->named->next || p->count != 1 || plan_next_said(p) || page->state != PAGE_OK ||
	    page->items == PLAN_NOT_COUNTED || page->items == 0 || page->has_more == 0 || page->stop ||
	    p->most_items >= 0 || p->most_pages >= 0)
		return false;
	full = p->rules.size > 0 && page->items >= p->rules.size;
	if (!full && !d->named->first)
		return false;
	snprintf(d->text, d->size,
		 "page.next gave nothing on the only page, which has %" PRIu32
		 " item%s: does it name what leads to the next one?",
		 page->items, page->items == 1 ? "" : "s");
	return true;
}

static bool no_total(const struct doubting *d)
{
	bool pages = d->named->total_pages && d->plan->most_pages < 0;
	bool items = d->named->total_items && d->plan->most_items < 0;

	if ((!pages && !items) || d->conclusion->items == 0)
		return false;
	snprintf(d->text, d->size, "page.%s gave no total on any page: does it name it?",
		 items ? "total_items" : "total_pages");
	return true;
}

/* A page that is full, and more came than was told: the total was no total. One that ends just there cannot be told
 * from an honest one. */
static bool small_total(const struct doubting *d)
{
	const struct plan *p = d->plan;
	int64_t told = plan_expected_items(p, p->most_items), came = d->conclusion->items;
	const struct plan_page *last;

	if (!p->rules.numbered || told < 0 || came <= told || d->conclusion->pages != p->count)
		return false;
	last = &p->pages[p->count - 1];
	if (last->state != PAGE_OK || last->items < p->pages[0].items)
		return false;
	snprintf(d->text, d->size,
		 "%" PRId64 " items came, where the API told of %" PRId64
		 ", and the last page is full: is there more than it tells?",
		 came, told);
	return true;
}

bool plan_doubt(const struct plan *p, const struct plan_conclusion *c, const struct plan_named *named, int64_t unique,
		char *text, size_t size)
{
	static bool (*const doubts[])(const struct doubting *) = {no_items, fallen, no_next, no_total, small_total};
	const struct doubting d = {p, c, named, unique, text, size};

	text[0] = '\0';
	if ((!c->complete && !c->partial) || p->count == 0)
		return false;
	for (size_t i = 0; i < sizeof(doubts) / sizeof(doubts[0]); i++)
		if (doubts[i](&d))
			return true;
	return false;
}
