/* The plan is a fold that does not depend on order: whatever the pages said, and in whatever order they ended, were
 * told again after a restart or fetched again by their owner, the plan asks for the same and says the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/plan.h"

#define WORLDS 20000
#define ORDERS 4
#define MOST   24

static uint64_t state;

static uint64_t draw(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

static bool chance(unsigned percent)
{
	return draw(100) < percent;
}

/* A run as it may be found on disk. */
struct world {
	struct plan_rules rules;
	uint32_t count;
	struct plan_seen seen[MOST];
	bool ended[MOST];
	char token[MOST][8], next[MOST][32];
};

static const char *const urls[] = {"https://a/1", "https://a/2", "http://a/3", "https://b/4", "ftp://a/5", "nonsense"};

static void draw_page(struct world *w, uint32_t i)
{
	static const int64_t items[] = {-1, 0, 0, 3, 5, 5, 5};
	struct plan_seen *s = &w->seen[i];
	bool is_url = chance(10);

	snprintf(w->next[i], sizeof(w->next[i]), "%s", chance(20) ? "" : is_url ? urls[draw(6)] : "t");
	if (!is_url && *w->next[i])
		snprintf(w->next[i], sizeof(w->next[i]), "t%u", (unsigned)draw(MOST * 2));
	*s = (struct plan_seen){
	    .result = chance(75)   ? PLAN_OK
		      : chance(30) ? PLAN_STATUS
				   : PLAN_FAILED,
	    .items = items[draw(7)],
	    .next = w->next[i],
	    .has_more = chance(85) ? -1 : chance(60),
	    .stop = chance(4),
	    .total_pages = chance(80) ? -1 : (int64_t)draw(MOST),
	    .total_items = chance(80) ? -1 : (int64_t)draw(MOST * 5),
	    .hash = {chance(90) ? draw(1u << 30) : draw(MOST), 0},
	    .ended_us = (int64_t)draw(8),
	    .url = "https://a/0",
	    .next_is_url = is_url,
	};
}

static void draw_world(struct world *w)
{
	unsigned kind = (unsigned)draw(4);

	*w = (struct world){0};
	w->count = 1 + (uint32_t)draw(MOST);
	w->rules = (struct plan_rules){
	    .single = kind == 3 && chance(20),
	    .numbered = kind < 2,
	    .offset = chance(30),
	    .start = (int64_t)draw(3),
	    .size = chance(50) ? 0 : 5,
	    .stop_empty = (unsigned)draw(4),
	    .window = 1 + (unsigned)draw(5),
	    .stop_short = chance(20),
	    .max_pages = 1 + (uint32_t)draw(MOST * 2),
	    .same_origin = chance(50),
	};
	for (uint32_t i = 0; i < w->count; i++) {
		w->ended[i] = chance(90);
		snprintf(w->token[i], sizeof(w->token[i]), w->rules.offset ? "%u" : "t%u", (unsigned)i);
		draw_page(w, i);
	}
}

static void shuffle(uint32_t *order, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	for (uint32_t i = n; i > 1; i--) {
		uint32_t k = (uint32_t)draw(i), t = order[k];

		order[k] = order[i - 1];
		order[i - 1] = t;
	}
}

/* Even entries add page n / 2, odd ones tell its end; sometimes it had ended otherwise before. */
static struct plan *tell(const struct world *w, bool in_order)
{
	struct plan *p = plan_create(&w->rules);
	uint32_t order[MOST * 2];
	struct world earlier = *w;
	struct plan_step step;

	if (in_order)
		for (uint32_t i = 0; i < w->count * 2; i++)
			order[i] = i;
	else
		shuffle(order, w->count * 2);
	for (uint32_t i = 0; i < w->count * 2; i++) {
		uint32_t index = order[i] / 2;

		if (order[i] % 2 == 0)
			plan_added(p, index, w->token[index]);
		if (order[i] % 2 == 0 || !w->ended[index])
			continue;
		if (!in_order && chance(10)) {
			draw_page(&earlier, index);
			plan_ended(p, index, &earlier.seen[index], &step);
		}
		plan_ended(p, index, &w->seen[index], &step);
	}
	return p;
}

static void assert_same_text(const char *a, const char *b)
{
	if (a && b)
		assert_string_equal(a, b);
	else
		assert_ptr_equal(a, b);
}

static void assert_same(struct plan *a, struct plan *b, int64_t unique)
{
	struct plan_conclusion x, y;
	struct plan_step s, t;

	plan_more(a, &s);
	plan_more(b, &t);
	assert_int_equal(s.add, t.add);
	assert_int_equal(s.more, t.more);
	assert_int_equal(s.cancel_from, t.cancel_from);
	assert_same_text(s.next, t.next);
	assert_same_text(s.guard, t.guard);
	plan_conclude(a, unique, &x);
	plan_conclude(b, unique, &y);
	assert_string_equal(x.text, y.text);
	assert_string_equal(x.stop_reason, y.stop_reason);
	assert_int_equal(x.complete, y.complete);
	assert_int_equal(x.failed, y.failed);
	assert_int_equal(x.pages, y.pages);
	assert_int_equal(x.items, y.items);
	assert_int_equal(x.end, y.end);
	assert_int_equal(x.expected_pages, y.expected_pages);
	assert_int_equal(x.expected_items, y.expected_items);
	assert_int_equal(x.gap_count, y.gap_count);
	for (size_t i = 0; i < x.gap_count; i++)
		assert_int_equal(x.gaps[i], y.gaps[i]);
}

/* Whatever was drawn. */
static void assert_sound(struct plan *p, const struct world *w)
{
	struct plan_conclusion c;
	struct plan_step s;

	plan_more(p, &s);
	plan_conclude(p, -1, &c);
	assert_true(s.add <= PLAN_ADD_MAX);
	assert_true(!s.guard || (s.add == 0 && !s.next));
	assert_false(c.complete && (s.guard || s.next || c.gap_count || c.failed));
	if (c.complete && s.add) /* only where the total has shrunk, and these were not asked for before */
		assert_true(c.expected_pages >= 0 || c.expected_items >= 0);
	assert_int_equal(c.complete, c.text[0] == '\0');
	assert_true(s.add == 0 || w->count + s.add <= w->rules.max_pages);
	assert_true(!s.next || w->count < w->rules.max_pages);
	for (size_t i = 1; i < c.gap_count; i++)
		assert_true(c.gaps[i] > c.gaps[i - 1]);
}

static void no_order_changes_what_is_asked_for_and_said(void **arg)
{
	struct world w;

	(void)arg;
	for (uint64_t seed = 1; seed <= WORLDS; seed++) {
		struct plan *first;

		state = seed * 0x9e3779b97f4a7c15u;
		draw_world(&w);
		first = tell(&w, true);
		assert_sound(first, &w);
		for (int i = 0; i < ORDERS; i++) {
			struct plan *other = tell(&w, false);

			assert_same(first, other, chance(50) ? -1 : (int64_t)draw(50));
			plan_free(other);
		}
		plan_free(first);
	}
}

/* ---- read from a store, in slices ---- */

/* As daemon/engine_run_read.c does: in order, and a page that ends meanwhile is told at once where it was read, and
 * read with its end where it was not. */
static struct plan *tell_in_slices(const struct world *w)
{
	struct plan *p = plan_create(&w->rules);
	struct plan_step step;
	bool late[MOST] = {false};
	uint32_t read_to = 0;

	for (uint32_t i = 0; i < w->count; i++)
		late[i] = w->ended[i] && chance(30);
	while (read_to < w->count) {
		uint32_t slice = 1 + (uint32_t)draw(5), ends = (uint32_t)draw(w->count);

		for (; slice > 0 && read_to < w->count; slice--, read_to++) {
			plan_added(p, read_to, w->token[read_to]);
			if (w->ended[read_to] && !late[read_to])
				plan_ended(p, read_to, &w->seen[read_to], &step);
		}
		if (ends < read_to && late[ends])
			plan_ended(p, ends, &w->seen[ends], &step);
		late[ends] = false;
	}
	for (uint32_t i = 0; i < w->count; i++)
		if (late[i])
			plan_ended(p, i, &w->seen[i], &step);
	return p;
}

static void a_plan_that_is_read_in_slices_while_pages_end_is_the_same(void **arg)
{
	struct world w;

	(void)arg;
	for (uint64_t seed = 1; seed <= WORLDS; seed++) {
		struct plan *at_once, *sliced;

		state = seed * 0x9e3779b97f4a7c15u;
		draw_world(&w);
		at_once = tell(&w, true);
		sliced = tell_in_slices(&w);
		assert_same(at_once, sliced, chance(50) ? -1 : (int64_t)draw(50));
		plan_free(at_once);
		plan_free(sliced);
	}
}

/* What is reckoned before a plan is read is what it holds then, but for the next page's token. */
static void no_plan_holds_more_than_was_reckoned(void **arg)
{
	static const uint32_t counts[] = {0, 1, 16, 17, 32, 33, 1000, 4096, 4097, 70000};

	(void)arg;
	for (size_t i = 0; i < 2 * sizeof(counts) / sizeof(*counts); i++) {
		struct plan_rules rules = {.numbered = i % 2, .size = 1, .window = 1, .max_pages = 1000000};
		uint32_t count = counts[i / 2];
		struct plan *p = plan_create(&rules);
		struct plan_step step;
		char token[16];

		for (uint32_t n = 0; n < count; n++) {
			struct plan_seen s = {.items = 1, .next = "", .has_more = -1, .hash = {n + 1, 0}};

			snprintf(token, sizeof(token), "t%u", (unsigned)n);
			plan_added(p, n, token);
			plan_ended(p, n, &s, &step);
			assert_true(plan_bytes(p) <= plan_bytes_of(&rules, n + 1));
		}
		assert_true(count < 16 || plan_bytes(p) * 2 >= plan_bytes_of(&rules, count));
		plan_free(p);
	}
}

/* Backwards, as many pages as a run may have. */
static void a_million_pages_are_planned(void **arg)
{
	struct plan_rules rules = {.numbered = true, .start = 1, .size = 1, .window = 1, .max_pages = 1000000};
	struct plan *p = plan_create(&rules);
	struct plan_conclusion c;
	struct plan_step step;

	(void)arg;
	for (uint32_t i = 1000000; i > 0; i--) {
		struct plan_seen s = {.items = 1, .has_more = -1, .total_pages = -1, .total_items = -1, .hash = {i, i}};

		s.total_items = i == 1 ? 1000000 : -1;
		s.result = i == 7 ? PLAN_FAILED : PLAN_OK;
		plan_added(p, i - 1, "");
		plan_ended(p, i - 1, &s, &step);
	}
	plan_conclude(p, -1, &c);
	assert_string_equal(c.text, "page 7 of 1000000 is missing");
	assert_int_equal(c.items, 999999);
	plan_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_order_changes_what_is_asked_for_and_said),
	    cmocka_unit_test(a_plan_that_is_read_in_slices_while_pages_end_is_the_same),
	    cmocka_unit_test(no_plan_holds_more_than_was_reckoned),
	    cmocka_unit_test(a_million_pages_are_planned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
