/* The fold over what was seen of pages, and the steps that follow from it. It must not know a store, a clock or a
 * worker; nor where a run ends (plan_end.c), what must not be followed (plan_guard.c) and what is said in the end
 * (plan_conclude.c). */
#include "daemon/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/plan_private.h"
#include "lib/err.h"

#define ROOM_FIRST 16
#define PAGES_MAX  1000000

/* ---- made and freed ---- */

static void sums_clear(struct plan *p)
{
	p->ok = p->failed = 0;
	for (int i = 0; i < END_WHYS; i++)
		p->end[i] = PLAN_NONE;
	p->repeat = p->fail_row = PLAN_NONE;
	p->most_pages = p->most_items = -1;
	plan_index_clear(&p->bodies);
}

struct plan *plan_create(const struct plan_rules *rules)
{
	struct plan *p = calloc(1, sizeof(*p));

	if (!p)
		BUG("out of memory for a plan");
	p->rules = *rules;
	if (p->rules.window == 0)
		p->rules.window = 1;
	if (p->rules.max_pages == 0 || p->rules.max_pages > PAGES_MAX)
		p->rules.max_pages = PAGES_MAX;
	if (p->rules.size <= 0) {
		p->rules.size = 0;
		p->rules.numbered = p->rules.numbered && !p->rules.offset;
	}
	p->next.of = p->cancel_told = PLAN_NONE;
	sums_clear(p);
	return p;
}

void plan_free(struct plan *p)
{
	if (!p)
		return;
	plan_index_clear(&p->bodies);
	plan_index_clear(&p->tokens);
	free(p->next.token);
	free(p->pages);
	free(p->gaps);
	free(p);
}

size_t plan_bytes(const struct plan *p)
{
	return sizeof(*p) + p->room * sizeof(*p->pages) + plan_index_bytes(&p->bodies) + plan_index_bytes(&p->tokens) +
	       (p->next.token ? strlen(p->next.token) + 1 : 0);
}

size_t plan_bytes_of(const struct plan_rules *rules, uint32_t pages)
{
	size_t room = ROOM_FIRST;

	while (room < pages)
		room *= 2;
	return sizeof(struct plan) + room * sizeof(struct plan_page) +
	       (rules->numbered ? 1 : 2) * plan_index_bytes_of(pages);
}

static struct plan_page *page_at(struct plan *p, uint32_t index)
{
	uint32_t room = p->room ? p->room : ROOM_FIRST;

	while (room <= index)
		room *= 2;
	if (room > p->room) {
		p->pages = reallocarray(p->pages, room, sizeof(*p->pages));
		if (!p->pages)
			BUG("out of memory for %" PRIu32 " pages", room);
		memset(p->pages + p->room, 0, (room - p->room) * sizeof(*p->pages));
		p->room = room;
	}
	if (index >= p->count)
		p->count = index + 1;
	return &p->pages[index];
}

/* ---- the fold ---- */

static uint64_t body_hash(const struct plan_seen *seen)
{
	uint64_t h = seen->hash[0] ^ (seen->hash[1] << 32 | seen->hash[1] >> 32);

	if (seen->items == 0 || (seen->hash[0] == 0 && seen->hash[1] == 0))
		return 0;
	return h ? h : 1;
}

/* "0" is what some APIs write where they did not count. */
static int64_t total_of(int64_t told, int64_t items)
{
	return told < 0 || (told == 0 && items > 0) ? -1 : told;
}

static void page_set(struct plan_page *page, uint32_t index, const struct plan_seen *seen)
{
	static const enum page_state states[] = {PAGE_OK, PAGE_STATUS, PAGE_FAILED, PAGE_FAILED, PAGE_FAILED};

	page->state = states[seen->result];
	if (index == 0 && page->state == PAGE_STATUS)
		page->state = PAGE_FAILED; /* a wrong URL must not look like an empty API */
	page->ended_us = seen->ended_us;
	page->body = 0;
	page->total_items = page->total_pages = -1;
	page->items = PLAN_NOT_COUNTED;
	page->has_more = -1;
	page->stop = seen->result == PLAN_SOFT;
	page->absent = seen->result == PLAN_ABSENT;
	if (page->state != PAGE_OK)
		return;
	page->body = body_hash(seen);
	page->total_items = total_of(seen->total_items, seen->items);
	page->total_pages = total_of(seen->total_pages, seen->items);
	if (seen->items >= 0)
		page->items = seen->items < PLAN_NOT_COUNTED ? (uint32_t)seen->items : PLAN_NOT_COUNTED - 1;
	page->has_more = seen->has_more < 0 ? -1 : seen->has_more > 0;
	page->stop = seen->stop;
}

static void greatest(int64_t *to, int64_t n)
{
	if (n > *to)
		*to = n;
}

static void sum_up(struct plan *p, uint32_t index)
{
	const struct plan_page *page = &p->pages[index];

	p->ok += page->state == PAGE_OK;
	p->failed += page->state == PAGE_FAILED;
	greatest(&p->most_pages, page->total_pages);
	greatest(&p->most_items, page->total_items);
	plan_body_note(p, index);
	plan_end_note(p, index);
}

/* A word is taken back. A failure left few traces; anything else is rare enough for all to be summed up anew. */
static void sum_up_again(struct plan *p, uint32_t index, enum page_state was)
{
	if (was == PAGE_FAILED && p->fail_row == PLAN_NONE) {
		p->failed--;
		sum_up(p, index);
		return;
	}
	sums_clear(p);
	for (uint32_t i = 0; i < p->count; i++)
		if (p->pages[i].state != PAGE_OPEN)
			sum_up(p, i);
}

void plan_added(struct plan *p, uint32_t index, const char *token)
{
	page_at(p, index);
	if (!p->rules.numbered && token)
		plan_token_note(p, index, token);
}

/* ---- steps ---- */

static uint32_t smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

uint32_t plan_first(const struct plan *p)
{
	return p->rules.numbered ? smaller(p->rules.window, p->rules.max_pages) : 1;
}

/* Numbered: how many pages there should be by now. */
static uint32_t pages_wanted(const struct plan *p, const struct plan_end *end)
{
	uint32_t want;

	if (plan_pages_told(p, p->most_pages, p->most_items) != PLAN_NONE)
		want = end->at;
	else if (p->ok == 0 && p->failed > 0) /* nothing has worked yet */
		want = p->count;
	else
		want = smaller(p->frontier + p->rules.window, end->at);
	return smaller(want, p->rules.max_pages);
}

static void step_add(struct plan *p, const struct plan_end *end, struct plan_step *step)
{
	uint32_t want = pages_wanted(p, end), missing = want > p->count ? want - p->count : 0;

	step->add = smaller(missing, PLAN_ADD_MAX);
	step->more = missing > step->add;
}

static void step_make(struct plan *p, struct plan_step *step)
{
	struct plan_end end = plan_end_find(p);

	*step = (struct plan_step){.cancel_from = PLAN_NONE};
	step->guard = plan_guard_find(p, &end);
	if (step->guard || plan_gave_up(p, &end)) {
		step->cancel_from = 0;
		return;
	}
	if (end.at < p->count)
		step->cancel_from = end.at;
	if (p->rules.numbered)
		step_add(p, &end, step);
	else if (plan_next_pending(p, &end) && p->count < p->rules.max_pages)
		step->next = plan_next_token(p);
}

void plan_ended(struct plan *p, uint32_t index, const struct plan_seen *seen, struct plan_step *step)
{
	struct plan_page *page = page_at(p, index);
	enum page_state was = page->state;
	uint32_t told = p->cancel_told;

	page_set(page, index, seen);
	if (index == 0)
		p->refused_at_once = seen->result == PLAN_STATUS;
	if (was == PAGE_OPEN)
		sum_up(p, index);
	else
		sum_up_again(p, index, was);
	while (p->frontier < p->count && p->pages[p->frontier].state != PAGE_OPEN)
		p->frontier++;
	plan_next_note(p, index, seen);
	step_make(p, step);
	p->cancel_told = step->cancel_from;
	if (step->cancel_from == told)
		step->cancel_from = PLAN_NONE;
}

bool plan_needless(const struct plan *p, uint32_t index)
{
	return p->cancel_told != PLAN_NONE && index >= p->cancel_told;
}

void plan_more(struct plan *p, struct plan_step *step)
{
	step_make(p, step);
	p->cancel_told = step->cancel_from;
}

void plan_token(const struct plan *p, uint32_t index, char *out, size_t size)
{
	int64_t step = p->rules.offset ? p->rules.size : 1;

	if (p->rules.numbered || (p->rules.offset && index == 0))
		snprintf(out, size, "%" PRId64, p->rules.start + (int64_t)index * step);
	else
		snprintf(out, size, "%s", "");
}
