/* The bodies of a run's pages, in order, as jq's values. A thread reads and parses one ahead, so that memory is bounded
 * by two pages, and asking, parsing and writing go on at once. Knows pages and bodies; no recipe and no items. */
#ifndef FANOUT_CLI_ITEMS_READ_H
#define FANOUT_CLI_ITEMS_READ_H

#include <jv.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/text.h"
#include "lib/err.h"

struct items_reader;

enum items_kind {
	ITEMS_PAGE,    /* `body` is there */
	ITEMS_FAILED,  /* it ended without one; `why` */
	ITEMS_GONE,    /* it had one, which is not there any more; `why` */
	ITEMS_PENDING, /* it has not ended (only without follow); there may be more of them, told once each */
	ITEMS_QUIET,   /* nothing comes just now: whoever holds something back may give it out */
	ITEMS_END,
};

struct items_page {
	enum items_kind kind;
	uint32_t page;
	int status;
	char job[24];
	char *token;   /* what it was asked with */
	jv body;       /* of ITEMS_PAGE; the receiver's */
	char *why;     /* of ITEMS_FAILED and ITEMS_GONE */
	char *inexact; /* a number of the body that jq's doubles do not hold; NULL */
	char *headers; /* of the response, where they are wanted; NULL */
};
void items_page_clear(struct items_page *p);

struct items_reading {
	const struct client *client; /* the thread has one of its own like it */
	uint32_t run;
	bool follow;  /* until the run has ended */
	bool headers; /* wanted, too: a request more for each page */
};
struct items_reader *items_reader_start(const struct items_reading *what);
/* The next one, which is to be cleared. -1 with `e`: what is asked for cannot be had, or a body is no JSON. */
int items_reader_next(struct items_reader *r, struct items_page *p, struct err *e);
/* Also before the end. */
void items_reader_end(struct items_reader *r);

#endif
