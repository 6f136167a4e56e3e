/* Which pages of a run to ask for next, whether it is over, and what is missing: from the recipe's rules and from what
 * was seen of each page. docs/PULLS.md has the rules. Pure: no store, no clock, no I/O; a page is named by its index,
 * from 0 (job RUN.(index + 1)).
 *
 * A fold that does not depend on the order of what it is told: after a restart plan_added and plan_ended are called for
 * what is stored, in any order, and the plan is as before. What the steps say meanwhile does not count; plan_more says
 * what is to be done then. */
#ifndef FANOUT_DAEMON_PLAN_H
#define FANOUT_DAEMON_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PLAN_STATUSES_MAX 8
#define PLAN_ADD_MAX      1000 /* pages added by one step; plan_more has the rest */

struct plan_rules {
	bool single, numbered; /* neither: followed, one by one */
	bool offset;           /* numbered by offset: its token is start + index * size */
	int64_t start, size;   /* size 0: not told */
	int stop_status[PLAN_STATUSES_MAX];
	unsigned stop_status_count;
	unsigned stop_empty, window;
	bool stop_short;
	uint32_t max_pages;
	bool max_asked; /* by who started the run: no guard, but where it is to end */
	bool same_origin;
};

enum plan_result {
	PLAN_OK,     /* 2xx (or 304, told as what is stored), no error found in it */
	PLAN_STATUS, /* a status of stop_status */
	PLAN_FAILED, /* for good, whatever the reason but: */
	PLAN_SOFT,   /* answered with 2xx, and by the recipe an error */
	PLAN_ABSENT, /* answered with a status that may be how an API ends, and that stop_status does not have */
};

/* What was seen of a page that has ended. */
struct plan_seen {
	enum plan_result result;
	int64_t items;    /* -1: not counted */
	const char *next; /* followed: the next token; "" none */
	int has_more;     /* 1, 0; -1: not told */
	bool stop;
	int64_t total_pages, total_items; /* -1: not told */
	uint64_t hash[2];                 /* of the body; 0,0: none */
	int64_t ended_us; /* wall: the totals of the page that was answered last are what counts in the end */
	const char *url;  /* asked for, for same_origin; may be NULL where next is no URL */
	bool next_is_url;
};

/* Each page that a step adds is to be told by plan_added before the plan is asked for another step: else it is added
 * twice. */
struct plan_step {
	uint32_t add;     /* numbered: so many further indices follow those there are, up to PLAN_ADD_MAX */
	const char *next; /* followed: one more page with this token; NULL none. Good until the next plan_ended */
	/* Pages from this index on that were not sent are not wanted any more; UINT32_MAX: none. plan_ended says it
	 * once for each new end, plan_more always. */
	uint32_t cancel_from;
	bool more;         /* plan_more would add further pages */
	const char *guard; /* the run fails: why, a sentence; NULL. Good until the next call */
};

struct plan;
struct plan *plan_create(const struct plan_rules *rules);
void plan_free(struct plan *p);
/* What it holds of memory, and what one of so many pages may hold at most. */
size_t plan_bytes(const struct plan *p);
size_t plan_bytes_of(const struct plan_rules *rules, uint32_t pages);
/* How many pages to add at the very start. What is told of them by plan_added. */
uint32_t plan_first(const struct plan *p);
/* A page was added (now, or is stored). Followed runs tell its token. */
void plan_added(struct plan *p, uint32_t index, const char *token);
/* A page ended. Also for one that ended before and was fetched again (the owner's retry): the later word counts. */
void plan_ended(struct plan *p, uint32_t index, const struct plan_seen *seen, struct plan_step *step);
/* What this page brings does not count any more: the run ends before it, or has failed. */
bool plan_needless(const struct plan *p, uint32_t index);
/* The rest of what a step could not add; also after a restart, when all that is stored was told. */
void plan_more(struct plan *p, struct plan_step *step);
/* Writes the token of a numbered page; also of the first page of offsets that are followed (index 0). */
void plan_token(const struct plan *p, uint32_t index, char *out, size_t size);

/* What to say in the end. */
struct plan_conclusion {
	bool complete;
	bool partial;   /* nothing is missing of what was asked for, but the API has more (max_asked) */
	bool failed;    /* a guard, or not one page could be fetched; else it is complete or incomplete */
	uint32_t pages; /* fetched, before the end */
	int64_t items;  /* on them; -1 not counted */
	/* Pages from this index on are behind the end: what is on them does not count. UINT32_MAX: everything counts
	 * (there was no end, or what is behind it contradicts it). */
	uint32_t end;
	int64_t expected_pages, expected_items; /* from the first page on; -1: the API did not tell */
	const char *stop_reason; /* one word: "single", "total", "no_next", "has_more", "stop", "status", "empty",
				  * "short", "max_pages", "guard", "failed", "cancelled" */
	char text[400];          /* what is wrong, a sentence; "" where complete */
	const uint32_t *gaps;    /* indices of pages that are missing, ascending; the plan's */
	size_t gap_count;
};
/* `unique`: items with different keys; -1 where there is no key. plan_conclude may be called again. */
/* How many pages there will be, as far as it is told; -1: not known. */
int64_t plan_pages_wanted(const struct plan *p);
void plan_conclude(struct plan *p, int64_t unique, struct plan_conclusion *out);

#endif
