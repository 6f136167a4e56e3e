/* What a page says: first from its body, by its recipe's program (verdict_body.h), then from the head of its response,
 * where that tells more. Knows no transfer and runs no program. */
#ifndef FANOUT_LIB_VERDICT_H
#define FANOUT_LIB_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/message.h"

#define VERDICT_VALIDATOR_MAX 1024u /* bytes of an ETag or Last-Modified that is sent back */
#define VERDICT_SINCE_MAX     4096u /* bytes of the greatest since value, as JSON */

struct verdict {
	struct message_page page; /* borrows from what follows */
	char *next, *since;
	uint64_t *keys;
	char etag[VERDICT_VALIDATOR_MAX + 1], last_modified[VERDICT_VALIDATOR_MAX + 1];
};

/* Nothing is told. A zeroed struct may be cleared too. */
void verdict_begin(struct verdict *v);
void verdict_clear(struct verdict *v);

/* Where its next page's token comes from. */
enum verdict_next {
	VERDICT_NEXT_TOKEN, /* the program: a cursor or key */
	VERDICT_NEXT_URL,   /* the program: a URL */
	VERDICT_NEXT_LINK,  /* Link rel="next" */
};

struct verdict_head {
	const char *head; /* lines ended by \n */
	const char *url;  /* what was asked for */
	enum verdict_next next;
	const char *param; /* query parameter with the page's number, in rel="last"; "" where none */
	int64_t start;     /* the first page's number */
};

/* Adds what the head tells: the next page's URL (and makes the program's absolute), totals that the program has not
 * told, validators. What is no number or date there is passed over. True when the next page is nowhere: then `text`
 * (JUDGE_TEXT_SIZE) has why. */
bool verdict_take_head(struct verdict *v, const struct verdict_head *h, char *text);

#endif
