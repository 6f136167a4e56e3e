/* Jobs on their way to the daemon: gathered into requests of 128 KiB, a batch made when the first of them goes.
 * Owns what a half-done submission means: which line was at fault, what is certainly there, what is not known. */
#ifndef FANOUT_CLI_FEED_H
#define FANOUT_CLI_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/refusals.h"
#include "cli/text.h"
#include "lib/err.h"

struct client;

struct feed {
	struct client *client;
	const char *options;  /* the batch's JSON, an object without "jobs", "hold" and "close" */
	const char *tag_json; /* for jobs made of URLs; NULL: none */
	const char *source;   /* the input's name for messages; NULL: the command line */
	bool hold;            /* nothing starts before all is in; an error removes the batch */
	uint64_t repeat;      /* each job so often */
	void (*on_created)(
	    void *arg, uint32_t batch); /* called once when jobs were taken that will not be taken back; may be NULL */
	void *arg;

	/* the feed's own */
	struct text lines;
	unsigned jobs;           /* in `lines` */
	struct feed_mark *marks; /* which line of the input a line of `lines` was */
	size_t mark_count, mark_room;
	uint64_t taken;   /* jobs acknowledged */
	uint64_t offered; /* jobs of the list, also where nothing was added */
	uint32_t batch;   /* 0: not made yet */
	bool foreign; /* JSON that is the user's is in `lines`: only as a line of its own can it be told what it is */
	bool lost;    /* a request's answer did not come */
	bool again;   /* the batch was asked for twice: the first may have made it */
	bool ending;  /* all is in, and the batch is being closed */
	struct refusals refusals; /* of what is held: nothing is taken any more, the rest is only looked at */
	bool existed;             /* a batch with this key was there, and is another's: nothing is added */
	uint64_t there;           /* so many jobs it has */
	bool other;               /* and it begins with other URLs */
};

/* One more job: a URL, or a JSON object as it is. `line`: of the input. They go on their way when enough have gathered.
 */
int feed_add_url(struct feed *f, const char *url, size_t len, unsigned line, struct err *e);
int feed_add_json(struct feed *f, const char *json, size_t len, unsigned line, struct err *e);
/* A line that is no job. 0: it is noted, and told with the others when all are in; -1 with `e`: what came before it has
 * been sent. */
int feed_refuse(struct feed *f, unsigned line, const struct err *why, struct err *e);
/* Sends what has gathered. */
int feed_flush(struct feed *f, struct err *e);
/* Sends the rest and closes the batch. ERR_USAGE when there was no job at all. */
int feed_finish(struct feed *f, struct err *e);
/* After an error: removes a held batch, closes another, and puts into `e` (whose text is kept) what became of it. */
void feed_abandon(struct feed *f, struct err *e);
void feed_clear(struct feed *f);

#endif
