/* Server-sent events, as they come in pieces (the WHATWG's "event stream" grammar, without "retry"). */
#ifndef FANOUT_CLI_SSE_H
#define FANOUT_CLI_SSE_H

#include <stddef.h>

#include "cli/text.h"
#include "lib/err.h"

struct sse_event {
	const char *name; /* "message" where none was given */
	const char *id;   /* the last one seen */
	const char *data;
	size_t len;
};

/* Zero it, set on_event and arg; clear frees. */
struct sse {
	int (*on_event)(void *arg, const struct sse_event *event, struct err *e);
	void *arg;
	struct text line, name, data;
	struct text id, next_id; /* of the last whole event; of the one that is coming */
	bool has_data;
	bool known;   /* a line of this stream was in the grammar */
	size_t alien; /* bytes before the first such line */
};
/* Returns 0, or what on_event returned when that was not 0, or -1 with ERR_SYSTEM for what is no such stream. */
int sse_feed(struct sse *s, const char *piece, size_t len, struct err *e);
/* The stream has ended: as sse_feed, for one in which nothing was to be understood. */
int sse_end(const struct sse *s, struct err *e);
/* Forgets an event that was cut off; the id of the last whole one stays. */
void sse_restart(struct sse *s);
void sse_clear(struct sse *s);

#endif
