/* What the tests of the plan share: a run that a test plays page by page. */
#ifndef FANOUT_TESTS_UNIT_TEST_PLAN_H
#define FANOUT_TESTS_UNIT_TEST_PLAN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/plan.h"

static struct plan *plan;
static struct plan_step step;
static struct plan_conclusion said;
static uint32_t added;
static int64_t clock_us;

static inline int tear_down(void **arg)
{
	(void)arg;
	plan_free(plan);
	plan = NULL;
	return 0;
}

static inline struct plan_rules numbered(unsigned window)
{
	return (struct plan_rules){.numbered = true, .start = 1, .window = window, .max_pages = 1000};
}

static inline struct plan_rules followed(void)
{
	return (struct plan_rules){.window = 1, .max_pages = 1000, .same_origin = true};
}

static inline void add(uint32_t n)
{
	char token[32];

	for (; n > 0; n--) {
		plan_token(plan, added, token, sizeof(token));
		plan_added(plan, added++, token);
	}
}

static inline void begin(const struct plan_rules *rules)
{
	plan_free(plan);
	plan = plan_create(rules);
	added = 0;
	clock_us = 1000;
	add(plan_first(plan));
}

/* A page with so many items, and a body of its own. */
static inline struct plan_seen page(int64_t items)
{
	static uint64_t bodies = 1;

	return (struct plan_seen){
	    .items = items,
	    .next = "",
	    .has_more = -1,
	    .total_pages = -1,
	    .total_items = -1,
	    .hash = {bodies++, 0},
	};
}

static inline struct plan_seen status(void)
{
	struct plan_seen s = page(-1);

	s.result = PLAN_STATUS;
	return s;
}

static inline struct plan_seen failure(void)
{
	struct plan_seen s = page(-1);

	s.result = PLAN_FAILED;
	return s;
}

/* By a status that an API may end with. */
static inline struct plan_seen absence(void)
{
	struct plan_seen s = page(-1);

	s.result = PLAN_ABSENT;
	return s;
}

static inline struct plan_seen next(int64_t items, const char *token)
{
	struct plan_seen s = page(items);

	s.next = token;
	return s;
}

static inline struct plan_seen next_url(const char *from, const char *to)
{
	struct plan_seen s = next(1, to);

	s.url = from;
	s.next_is_url = true;
	return s;
}

/* Tells the page's end, and adds what follows, as the engine does. */
static inline void ended(uint32_t index, struct plan_seen seen)
{
	seen.ended_us = clock_us++;
	plan_ended(plan, index, &seen, &step);
	if (step.next)
		plan_added(plan, added++, step.next);
	add(step.add);
}

static inline void ended_all(uint32_t from, uint32_t to, int64_t items)
{
	for (; from < to; from++)
		ended(from, page(items));
}

static inline void conclude(int64_t unique)
{
	plan_conclude(plan, unique, &said);
}

static inline void assert_complete(uint32_t pages, int64_t items, const char *why)
{
	conclude(-1);
	assert_string_equal(said.text, "");
	assert_true(said.complete);
	assert_false(said.failed);
	assert_int_equal(said.pages, pages);
	assert_int_equal(said.items, items);
	assert_string_equal(said.stop_reason, why);
	assert_int_equal(said.gap_count, 0);
}

static inline void assert_faulty(bool failed, const char *why, const char *text)
{
	conclude(-1);
	assert_string_equal(said.text, text);
	assert_string_equal(said.stop_reason, why);
	assert_false(said.complete);
	assert_int_equal(said.failed, failed);
}

static inline void assert_incomplete(const char *why, const char *text)
{
	assert_faulty(false, why, text);
}

static inline void assert_failed(const char *why, const char *text)
{
	assert_faulty(true, why, text);
}

#endif
