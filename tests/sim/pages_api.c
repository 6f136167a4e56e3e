/* The API of a world: how many pages it has, how it tells of its end, and what it answers. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/pages.h"

#define GROWS_TO_MAX 60

/* ---- drawing one ---- */

static bool told_by_total(const struct api *a)
{
	return a->end == END_BY_TOTAL_PAGES || a->end == END_BY_TOTAL_ITEMS;
}

static void draw_items(struct pages_world *w)
{
	struct api *a = &w->api;
	bool sparse = (a->end == END_BY_TOTAL_PAGES || a->end == END_BY_HAS_MORE || a->end == END_BY_NEXT) &&
		      !w->rules.offset && pages_chance(w, 40);

	if (a->end == END_BY_EMPTY && w->rules.stop_empty > 1)
		sparse = pages_chance(w, 50);
	for (uint32_t i = 0; i < PAGES_MAX; i++) {
		bool after_empty = a->end == END_BY_EMPTY && i > 0 && a->items[i - 1] == 0;

		a->items[i] = sparse && i > 0 && !after_empty && pages_chance(w, 30) ? 0 : a->size;
	}
	if (a->end == END_BY_SHORT)
		a->items[a->pages - 1] = pages_draw(w, 1, a->size - 1);
	else if (a->end == END_BY_TOTAL_ITEMS || a->end == END_BY_EMPTY)
		a->items[a->pages - 1] = pages_draw(w, 1, a->size);
}

static void draw_failures(struct pages_world *w)
{
	unsigned percent = (unsigned)pages_draw(w, 0, 3) * 8;

	for (uint32_t i = 0; i < PAGES_MAX; i++)
		if (pages_chance(w, percent))
			w->api.failures[i] = (unsigned)pages_draw(w, 1, 3);
	if (pages_chance(w, 15)) /* nothing works for a while */
		for (uint32_t i = (uint32_t)pages_draw(w, 0, 30), n = 0; n < 8; n++)
			w->api.failures[i + n] = 1;
}

static void draw_numbered(struct pages_world *w)
{
	static const enum api_end ends[] = {END_BY_TOTAL_PAGES, END_BY_TOTAL_PAGES, END_BY_TOTAL_ITEMS,
					    END_BY_TOTAL_ITEMS, END_BY_STATUS,      END_BY_EMPTY,
					    END_BY_SHORT,       END_BY_HAS_MORE,    END_BY_STOP};
	struct api *a = &w->api;

	w->rules.numbered = true;
	w->rules.offset = pages_chance(w, 30);
	w->rules.start = w->rules.offset ? 0 : pages_draw(w, 0, 1);
	w->rules.window = (unsigned)pages_draw(w, 1, 5);
	a->end = ends[pages_draw(w, 0, sizeof ends / sizeof *ends - 1)];
	a->beyond = (enum api_beyond)pages_draw(w, 0, API_BEYONDS - 1);
	if (a->end == END_BY_STATUS)
		a->beyond = BEYOND_STATUS;
	if (a->end == END_BY_EMPTY || a->end == END_BY_TOTAL_ITEMS)
		a->beyond = BEYOND_EMPTY;
	if (w->rules.offset || a->end == END_BY_SHORT || pages_chance(w, 50))
		w->rules.size = a->size;
	if (w->rules.size && !w->rules.offset && a->end == END_BY_TOTAL_ITEMS && pages_chance(w, 30))
		w->rules.size = a->size * 3; /* the API caps it */
}

static void draw_followed(struct pages_world *w)
{
	w->rules.window = 1;
	w->api.beyond = BEYOND_EMPTY;
	w->rules.offset = pages_chance(w, 30);
	w->api.end = w->rules.offset ? END_BY_EMPTY : pages_chance(w, 70) ? END_BY_NEXT : END_BY_HAS_MORE;
	if (!w->rules.offset && pages_chance(w, 20))
		w->api.circle = (uint32_t)pages_draw(w, 0, w->api.pages - 1);
}

void api_draw(struct pages_world *w)
{
	struct api *a = &w->api;

	*a = (struct api){.circle = UINT32_MAX, .size = pages_draw(w, 2, 10)};
	a->pages = a->pages_first = (uint32_t)pages_draw(w, 1, pages_chance(w, 70) ? 12 : 40);
	w->rules = (struct plan_rules){.stop_status = {404}, .stop_status_count = 1};
	if (pages_chance(w, 70))
		draw_numbered(w);
	else
		draw_followed(w);
	w->rules.stop_empty = a->end == END_BY_EMPTY ? (unsigned)pages_draw(w, 1, w->rules.numbered ? 3 : 1) : 0;
	w->rules.stop_short = a->end == END_BY_SHORT;
	w->rules.max_pages = pages_chance(w, 10) ? (uint32_t)pages_draw(w, 1, 20) : 100;
	a->changes = told_by_total(a) && (a->beyond == BEYOND_EMPTY || w->rules.window == 1) &&
		     a->beyond != BEYOND_LAST_AGAIN && pages_chance(w, 40);
	if (told_by_total(a) && !a->changes && pages_chance(w, 10))
		a->lie = pages_draw(w, 1, 30);
	draw_items(w);
	draw_failures(w);
}

/* ---- changing ---- */

/* Grows at the end. Shrinks only where totals are of pages, and what is beyond answers as an empty page. */
void api_change(struct pages_world *w)
{
	struct api *a = &w->api;
	uint32_t before = a->pages;

	if (!a->changes)
		return;
	if (a->end == END_BY_TOTAL_PAGES && a->beyond == BEYOND_EMPTY && a->pages > 1 && pages_chance(w, 30)) {
		a->pages -= (uint32_t)pages_draw(w, 1, 2) < a->pages ? 1 : 0;
	} else if (a->pages < GROWS_TO_MAX) {
		if (a->end == END_BY_TOTAL_ITEMS)
			a->items[a->pages - 1] = a->size;
		a->pages += (uint32_t)pages_draw(w, 1, 3);
	}
	pages_trace(w, "the API has %" PRIu32 " pages, not %" PRIu32, a->pages, before);
}

/* ---- answering ---- */

static uint32_t page_of_token(const struct pages_world *w, const char *token)
{
	int64_t n = *token == 'c' ? strtoll(token + 1, NULL, 10) : strtoll(token, NULL, 10);

	if (*token == '\0')
		return 0;
	if (*token == 'c')
		return (uint32_t)n;
	return (uint32_t)(w->rules.offset ? (n + w->api.size - 1) / w->api.size : n - w->rules.start);
}

static int64_t total_items(const struct api *a)
{
	int64_t sum = 0;

	for (uint32_t i = 0; i < a->pages; i++)
		sum += a->items[i];
	return sum;
}

static void say_next(struct pages_world *w, struct stored *s, uint32_t page)
{
	const struct api *a = &w->api;

	if (w->rules.numbered || w->rules.offset)
		return;
	if (page + 1 < a->pages || (a->end == END_BY_HAS_MORE && a->circle == UINT32_MAX))
		snprintf(s->next_text, sizeof(s->next_text), "c%" PRIu32, page + 1);
	else if (a->circle != UINT32_MAX && a->circle > 0)
		snprintf(s->next_text, sizeof(s->next_text), "c%" PRIu32, a->circle);
	else if (a->circle == 0) /* the first page by its other name */
		snprintf(s->next_text, sizeof(s->next_text), "c%" PRIu32, page);
}

static void say_page(struct pages_world *w, struct stored *s, uint32_t page)
{
	struct api *a = &w->api;
	struct plan_seen *seen = &s->seen;
	bool last = page + 1 == a->pages;

	seen->items = a->items[page];
	seen->hash[0] = page + 1;
	if (a->end == END_BY_TOTAL_PAGES)
		seen->total_pages = a->pages + a->lie;
	if (a->end == END_BY_TOTAL_ITEMS)
		seen->total_items = total_items(a) + a->lie;
	if (a->end == END_BY_HAS_MORE && a->circle == UINT32_MAX)
		seen->has_more = !last;
	seen->stop = a->end == END_BY_STOP && last;
	say_next(w, s, page);
}

static void say_beyond(struct pages_world *w, struct stored *s)
{
	switch (w->api.beyond) {
	case BEYOND_LAST_AGAIN:
		say_page(w, s, w->api.pages - 1);
		break;
	case BEYOND_STATUS:
		s->seen.result = PLAN_STATUS;
		break;
	case BEYOND_FAILED:
		s->seen.result = PLAN_FAILED;
		break;
	default:
		s->seen.items = 0;
		s->seen.hash[0] = 1u << 20;
		if (w->api.end == END_BY_TOTAL_PAGES)
			s->seen.total_pages = w->api.pages + w->api.lie;
		if (w->api.end == END_BY_TOTAL_ITEMS)
			s->seen.total_items = total_items(&w->api) + w->api.lie;
		s->seen.has_more = w->api.end == END_BY_HAS_MORE ? 0 : -1;
		s->seen.stop = w->api.end == END_BY_STOP;
		break;
	}
}

void api_answer(struct pages_world *w, uint32_t index)
{
	struct stored *s = &w->store[index];
	uint32_t page = page_of_token(w, s->token);

	s->next_text[0] = '\0';
	s->seen = (struct plan_seen){
	    .items = -1,
	    .next = s->next_text,
	    .has_more = -1,
	    .total_pages = -1,
	    .total_items = -1,
	    .ended_us = w->now_us,
	};
	if (page < PAGES_MAX && w->api.failures[page] > 0) {
		w->api.failures[page]--;
		s->seen.result = PLAN_FAILED;
	} else if (page < w->api.pages) {
		say_page(w, s, page);
	} else {
		say_beyond(w, s);
	}
}
