/* Deterministic simulation of daemon/plan: an API with pages, a small engine with a store in memory, and an owner who
 * retries. Answers come late and in any order, fail, or are lost with the daemon, which comes back with what was
 * committed; the API grows and shrinks meanwhile, tells lies, or leads in circles. A seed is a world and everything
 * that happens in it.
 *
 * What is held against every run (tests/sim/pages_judge.c): no page is fetched again once it is committed; nothing is
 * asked for beyond the window, the total or max_pages; a run is called complete only when nothing is missing, and an
 * honest API's run always becomes complete in the end; and every run ends. */
#ifndef FANOUT_TESTS_SIM_PAGES_H
#define FANOUT_TESTS_SIM_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/plan.h"

#define PAGES_MAX   160 /* of an API, and a little beyond */
#define TOKEN_BYTES 16

/* Ways to drive the plan wrongly. Each must be found out. */
enum pages_mutation {
	PAGES_MUTATE_NOTHING,
	PAGES_MUTATE_FORGET_GROWTH, /* only the first page's totals are told */
	PAGES_MUTATE_OFF_BY_ONE,    /* totals are one page short */
	PAGES_MUTATE_GAP_IS_EMPTY,  /* a page that failed is told as an empty one */
	PAGES_MUTATE_ADD_TWICE,     /* the plan is not told what was added */
	PAGES_MUTATE_NO_MORE,       /* after a restart the plan is not asked for what is still to add */
	PAGES_MUTATE_FORGET_PAGE,   /* after a restart one page's end is not told */
	PAGES_MUTATE_OLD_WORDS,     /* the page that was answered first is taken for the last */
	PAGES_MUTATE_NO_TOKENS,     /* the plan does not learn tokens and bodies */
	PAGES_MUTATE_WIDE_WINDOW,   /* one page too many ahead */
	PAGES_MUTATE_BEYOND_MAX,    /* max_pages is one too many */
	PAGES_MUTATE_FETCH_AGAIN,   /* the owner's retry queues pages that are there */
	PAGES_MUTATIONS
};
const char *pages_mutation_name(enum pages_mutation m);

/* How an API tells of its end. */
enum api_end {
	END_BY_TOTAL_PAGES,
	END_BY_TOTAL_ITEMS,
	END_BY_STATUS,
	END_BY_EMPTY,
	END_BY_SHORT,
	END_BY_HAS_MORE,
	END_BY_STOP,
	END_BY_NEXT,
	API_ENDS
};
/* What it says to a number beyond. */
enum api_beyond { BEYOND_EMPTY, BEYOND_STATUS, BEYOND_FAILED, BEYOND_LAST_AGAIN, API_BEYONDS };

struct api {
	enum api_end end;
	enum api_beyond beyond;
	uint32_t pages, pages_first; /* now, and when the run began */
	int64_t size;
	int64_t items[PAGES_MAX];
	unsigned failures[PAGES_MAX]; /* so many more times */
	int64_t lie;                  /* added to totals */
	uint32_t circle;              /* followed: the last page leads back to this one; UINT32_MAX */
	bool changes;                 /* grows or shrinks */
};

enum store_state { STORE_QUEUED, STORE_SENT, STORE_OK, STORE_STATUS, STORE_FAILED, STORE_CANCELLED };

struct stored {
	enum store_state state;
	char token[TOKEN_BYTES];
	struct plan_seen seen; /* next points to next_text */
	char next_text[TOKEN_BYTES];
	int64_t ends_us; /* sent: when the answer is there */
	bool retried;    /* it ended, and is fetched again while the run goes on */
};

struct pages_result {
	bool failed;
	char what[400];
	unsigned pages, requests, crashes, retries, complete, incomplete, guards;
};

struct pages_world {
	uint64_t seed, random;
	enum pages_mutation mutation;
	bool trace;
	struct pages_result *result;
	int64_t now_us;
	struct api api;
	struct plan_rules rules;
	unsigned concurrency, crash_percent, live_retry_percent;

	struct plan *plan;
	struct stored store[PAGES_MAX];
	uint32_t count, open; /* stored; queued or sent */
	bool guard;
	unsigned rounds; /* the owner's retries */
};

int64_t pages_draw(struct pages_world *w, int64_t lo, int64_t hi);
bool pages_chance(struct pages_world *w, unsigned percent);
void pages_trace(struct pages_world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ---- pages_api.c ---- */

void api_draw(struct pages_world *w);
/* What the API says to this token, now. */
void api_answer(struct pages_world *w, uint32_t index);
void api_change(struct pages_world *w);

/* ---- pages_judge.c ---- */

void pages_fail(struct pages_world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void judge_added(struct pages_world *w, uint32_t index);
void judge_sent(struct pages_world *w, uint32_t index);
void judge_conclusion(struct pages_world *w, const struct plan_conclusion *c);
/* No retry helps any more. */
void judge_end(struct pages_world *w, const struct plan_conclusion *c);

void pages_run(uint64_t seed, enum pages_mutation mutation, bool tracing, struct pages_result *out);

#endif
