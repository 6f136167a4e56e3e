/* Shared by plan.c, plan_end.c, plan_guard.c and plan_conclude.c alone: what is kept of each page, and what is summed
 * up over them. Everything summed up is a count, a sum, a least or a greatest value, so that no order matters. */
#ifndef FANOUT_DAEMON_PLAN_PRIVATE_H
#define FANOUT_DAEMON_PLAN_PRIVATE_H

#include "daemon/plan.h"
#include "daemon/plan_index.h"

#define PLAN_NONE        UINT32_MAX /* no index, no end */
#define PLAN_NOT_COUNTED UINT32_MAX /* items of a page */
#define PLAN_GUARD_MAX   360

enum page_state { PAGE_OPEN, PAGE_OK, PAGE_STATUS, PAGE_FAILED };

/* 48 bytes: a run may have a million of these. */
struct plan_page {
	uint64_t body;  /* hash; 0: none, or it has no items and may be there again */
	uint64_t token; /* followed: its hash; an offset itself */
	int64_t total_items, total_pages;
	int64_t ended_us;
	uint32_t items;
	uint8_t state;
	int8_t has_more;
	bool stop : 1;   /* of one that failed: it was answered with 2xx */
	bool absent : 1; /* failed, as PLAN_ABSENT has it */
	bool has_token : 1;
};
_Static_assert(sizeof(struct plan_page) == 48, "a page is 48 bytes");

/* Words by which a run ends, in the order in which they are named where they agree. */
enum end_why { END_SINGLE, END_TOTAL, END_NO_NEXT, END_HAS_MORE, END_STOP, END_STATUS, END_EMPTY, END_SHORT, END_WHYS };

struct plan_end {
	uint32_t at; /* the first index behind the end; PLAN_NONE: there is none (yet) */
	enum end_why why;
};

/* The followed page with the greatest index says what comes next. */
struct plan_next {
	uint32_t of;                  /* its index; PLAN_NONE: none said anything */
	char *token;                  /* NULL: nothing follows */
	char refused[PLAN_GUARD_MAX]; /* why it must not be followed; "" */
};

struct plan {
	struct plan_rules rules;
	struct plan_page *pages;
	uint32_t count, room; /* pages added */
	struct plan_index bodies, tokens;

	/* summed up */
	uint32_t ok, failed;
	uint32_t frontier;      /* no page before it is open */
	uint32_t end[END_WHYS]; /* the least, by what pages said; without totals */
	uint32_t repeat;        /* the least index whose body an earlier page has */
	uint32_t fail_row;      /* the least index at which too many failures in a row begin */
	int64_t most_pages, most_items;
	bool refused_at_once; /* the first page was answered with a status of stop_status */

	struct plan_next next;
	char offset[24];      /* a followed offset as text */
	uint32_t cancel_told; /* the last cancel_from */
	char guard[PLAN_GUARD_MAX];
	uint32_t *gaps;
};

static inline bool plan_is_followed(const struct plan *p)
{
	return !p->rules.single && !p->rules.numbered;
}

/* "page 7": people count from 1. */
static inline unsigned plan_human(uint32_t index)
{
	return (unsigned)index + 1;
}

/* ---- plan_end.c ---- */

/* The index just behind the last page, by totals that the API told; PLAN_NONE: not known, or not believed. */
uint32_t plan_pages_told(const struct plan *p, int64_t total_pages, int64_t total_items);
/* Totals without what lies before a later start; -1 where that cannot be told. */
int64_t plan_expected_pages(const struct plan *p, int64_t total_pages);
int64_t plan_expected_items(const struct plan *p, int64_t total_items);
/* Where the run ends, by all that was seen. */
struct plan_end plan_end_find(const struct plan *p);
/* A page just ended: sum up what it says of ends, its neighbours being what they are. */
void plan_end_note(struct plan *p, uint32_t index);
/* So many failures in a row that nothing works any more. */
bool plan_gave_up(const struct plan *p, const struct plan_end *end);
unsigned plan_fail_limit(const struct plan *p);

/* ---- plan_guard.c ---- */

void plan_token_note(struct plan *p, uint32_t index, const char *token);
void plan_body_note(struct plan *p, uint32_t index);
/* The first page with the body of page `index`; itself where no earlier one has it. */
uint32_t plan_body_first(const struct plan *p, uint32_t index);
/* Keeps what page `index` says comes next, if no later one spoke. */
void plan_next_note(struct plan *p, uint32_t index, const struct plan_seen *seen);
/* The last page of a followed run says that another follows; also: and nothing says that it is the last. */
bool plan_next_said(const struct plan *p);
bool plan_next_pending(const struct plan *p, const struct plan_end *end);
/* Its token; only where there is one. */
const char *plan_next_token(struct plan *p);
/* An offset that is followed came to the total. */
bool plan_offset_reached(const struct plan *p);
/* Why the run has to fail, in p->guard; NULL. */
const char *plan_guard_find(struct plan *p, const struct plan_end *end);
uint64_t plan_token_hash(const struct plan *p, const char *token);

#endif
