/* Where a run ends, by what its pages said: totals, words (has_more, stop), statuses, empty and short pages; and
 * whether anything works any more. Least indices only, so that the order of pages does not matter. It must not know
 * what is to be done about it (plan.c) nor how it is told (plan_conclude.c). */
#include "daemon/plan_private.h"

#define FAIL_LIMIT_MIN 3

static void least(uint32_t *to, uint32_t index)
{
	if (index < *to)
		*to = index;
}

static const struct plan_page *page_if(const struct plan *p, uint32_t index, enum page_state state)
{
	return index < p->count && p->pages[index].state == state ? &p->pages[index] : NULL;
}

/* ---- totals ---- */

/* Pages numbered from 2 or above: those before are left out on purpose. (An API that counts from 0 and one that counts
 * from 1 are asked from their first page.) */
static int64_t pages_skipped(const struct plan *p)
{
	if (!p->rules.numbered || p->rules.start < 1)
		return 0;
	if (p->rules.offset)
		return p->rules.start / p->rules.size;
	return p->rules.start - 1;
}

/* How many items a full page has; 0: not known. The first page knows better than the recipe: one that is not full
 * though there are more means that the API caps the size. Not so for offsets, whose tokens are made of the size. */
static int64_t page_size(const struct plan *p)
{
	const struct plan_page *first = page_if(p, 0, PAGE_OK);
	int64_t told = p->rules.size, seen = first && first->items != PLAN_NOT_COUNTED ? first->items : 0;

	if (p->rules.offset || seen == 0)
		return told;
	if (told == 0)
		return seen;
	return seen < told && pages_skipped(p) == 0 && first->total_items > seen ? seen : told;
}

static int64_t less(int64_t total, int64_t skipped)
{
	return total > skipped ? total - skipped : 0;
}

int64_t plan_expected_pages(const struct plan *p, int64_t total_pages)
{
	return total_pages < 0 ? -1 : less(total_pages, pages_skipped(p));
}

int64_t plan_expected_items(const struct plan *p, int64_t total_items)
{
	int64_t skipped = pages_skipped(p), size = page_size(p);

	if (total_items < 0)
		return -1;
	if (p->rules.offset)
		return less(total_items, p->rules.start);
	if (skipped == 0)
		return total_items;
	return size == 0 || skipped > INT64_MAX / size ? -1 : less(total_items, skipped * size);
}

static int64_t pages_of_items(const struct plan *p, int64_t items)
{
	int64_t size = page_size(p);

	return items < 0 || size == 0 ? -1 : items / size + (items % size != 0);
}

/* A page that says there is more is believed before a total that says it is the last: totals are capped, or old. */
uint32_t plan_pages_told(const struct plan *p, int64_t total_pages, int64_t total_items)
{
	int64_t n = plan_expected_pages(p, total_pages);
	const struct plan_page *last;

	if (!p->rules.numbered)
		return PLAN_NONE;
	if (n < 0)
		n = pages_of_items(p, plan_expected_items(p, total_items));
	if (n < 0)
		return PLAN_NONE;
	if (n >= PLAN_NONE)
		n = PLAN_NONE - 1;
	if (n == 0)
		n = 1; /* the page that said so */
	last = page_if(p, (uint32_t)n - 1, PAGE_OK);
	return last && last->has_more == 1 ? PLAN_NONE : (uint32_t)n;
}

int64_t plan_pages_wanted(const struct plan *p)
{
	uint32_t told = plan_pages_told(p, p->most_pages, p->most_items);
	int64_t n = told == PLAN_NONE ? -1 : (int64_t)told;

	if (p->rules.single)
		n = 1;
	else if (!p->rules.numbered)
		n = plan_expected_pages(p, p->most_pages);
	return n > p->rules.max_pages ? p->rules.max_pages : n;
}

/* ---- rows of pages ---- */

static bool is_empty(const struct plan *p, uint32_t index)
{
	const struct plan_page *page = page_if(p, index, PAGE_OK);

	return page && page->items == 0;
}

static bool is_failed(const struct plan *p, uint32_t index)
{
	return page_if(p, index, PAGE_FAILED) != NULL;
}

/* The row of `length` or more around `index` begins at…; PLAN_NONE where it is not that long. It looks no further than
 * needed, and so may miss the beginning of a longer row; but whichever of a row's first `length` pages comes last sees
 * it. */
static uint32_t row_begins(const struct plan *p, uint32_t index, unsigned length,
			   bool (*is)(const struct plan *, uint32_t))
{
	uint32_t first = index, behind = index + 1;

	while (first > 0 && index - first + 1 < length && is(p, first - 1))
		first--;
	while (behind - first < length && is(p, behind))
		behind++;
	return behind - first >= length ? first : PLAN_NONE;
}

unsigned plan_fail_limit(const struct plan *p)
{
	return p->rules.window > FAIL_LIMIT_MIN ? p->rules.window : FAIL_LIMIT_MIN;
}

bool plan_gave_up(const struct plan *p, const struct plan_end *end)
{
	return p->fail_row != PLAN_NONE && (uint64_t)p->fail_row + plan_fail_limit(p) <= end->at;
}

/* ---- what one page says ---- */

/* The last page, or, where it has nothing, the first behind the end. The first page always counts. */
static uint32_t end_at(const struct plan *p, uint32_t index)
{
	return index > 0 && p->pages[index].items == 0 ? index : index + 1;
}

static bool is_short(const struct plan *p, uint32_t index)
{
	const struct plan_page *page = page_if(p, index, PAGE_OK);
	int64_t full = p->rules.size ? p->rules.size : page_size(p);

	return page && page->items != PLAN_NOT_COUNTED && page->items < full;
}

static void note_short(struct plan *p, uint32_t index)
{
	uint32_t behind = index + 1;

	if (!p->rules.stop_short)
		return;
	if (index == 0 && p->rules.size == 0) /* only now it is known what short is */
		behind = p->count;
	for (; index < behind; index++)
		if (is_short(p, index))
			least(&p->end[END_SHORT], end_at(p, index));
}

static void note_empty(struct plan *p, uint32_t index)
{
	uint32_t first;

	if (p->rules.stop_empty == 0 || !is_empty(p, index))
		return;
	first = row_begins(p, index, p->rules.stop_empty, is_empty);
	if (first != PLAN_NONE)
		least(&p->end[END_EMPTY], end_at(p, first));
}

void plan_end_note(struct plan *p, uint32_t index)
{
	const struct plan_page *page = &p->pages[index];

	if (page->state == PAGE_FAILED)
		least(&p->fail_row, row_begins(p, index, plan_fail_limit(p), is_failed));
	if (page->state == PAGE_STATUS)
		least(&p->end[END_STATUS], index);
	if (page->state != PAGE_OK)
		return;
	if (page->has_more == 0)
		least(&p->end[END_HAS_MORE], end_at(p, index));
	if (page->stop)
		least(&p->end[END_STOP], end_at(p, index));
	note_short(p, index);
	note_empty(p, index);
}

/* ---- all together ---- */

static void consider(struct plan_end *end, uint32_t at, enum end_why why)
{
	if (at < end->at)
		*end = (struct plan_end){at, why};
}

/* Followed: the last page says that nothing follows. */
static void consider_next(const struct plan *p, struct plan_end *end)
{
	if (plan_is_followed(p) && p->count > 0 && p->pages[p->count - 1].state == PAGE_OK && !plan_next_said(p))
		consider(end, p->count, plan_offset_reached(p) ? END_TOTAL : END_NO_NEXT);
}

struct plan_end plan_end_find(const struct plan *p)
{
	struct plan_end end = {PLAN_NONE, END_WHYS};
	uint32_t told = plan_pages_told(p, p->most_pages, p->most_items);

	if (p->rules.single)
		return (struct plan_end){1, END_SINGLE};
	consider(&end, told, END_TOTAL);
	consider_next(p, &end);
	consider(&end, p->end[END_HAS_MORE], END_HAS_MORE);
	consider(&end, p->end[END_STOP], END_STOP);
	consider(&end, p->end[END_STATUS], END_STATUS);
	if (told == PLAN_NONE) { /* else such pages are passed over */
		consider(&end, p->end[END_EMPTY], END_EMPTY);
		consider(&end, p->end[END_SHORT], END_SHORT);
	}
	return end;
}
