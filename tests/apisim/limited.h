/* The strict limit servers, by name, and what each has seen. limited.c counts and answers, limited_options.c reads
 * settings, limited_tell.c says how it stands (headers, statistics). */
#ifndef FANOUT_APISIM_LIMITED_H
#define FANOUT_APISIM_LIMITED_H

#include <event2/keyvalq_struct.h>
#include <jansson.h>
#include <uthash.h>

#include "tests/apisim/jitter.h"
#include "tests/apisim/server.h"
#include "tests/apisim/window.h"

enum limited_retry { RETRY_SECONDS, RETRY_DATE, RETRY_NONE, RETRY_GARBAGE };
enum limited_draft { DRAFT_NONE, DRAFT_DRAFT };
enum limited_x { X_NONE, X_EPOCH, X_EPOCH_MS, X_DELTA };

struct limited_options {
	struct window window;
	struct jitter in, out; /* from the network to the counter, and back */
	uint64_t seed;
	int code;             /* of a refusal */
	int64_t refuse_first; /* so many are refused whatever the window says */
	int64_t tell_us;      /* what headers say instead of the truth; < 0: the truth */
	int retry_after, ratelimit, x_ratelimit;
};

struct arrival {
	int64_t received_us, counted_us, answered_us; /* 0: not answered yet, or the client is gone */
	bool taken;
	char *target;
};

struct limited {
	struct limited_options set;
	uint64_t random;
	struct arrival *seen; /* in order of counting */
	size_t count, room, taken;
	unsigned generation; /* one more with every limited_forget() */
	UT_hash_handle hh;
	char name[];
};

/* Makes one, or sets it anew and forgets what it saw. Options as in README.md. -1: `why` says what is wrong. */
int limited_configure(const char *name, const struct evkeyvalq *options, char *why, size_t size);
/* The same from "NAME,option=value,...". */
int limited_configure_text(const char *text, char *why, size_t size);
/* The names of its options, with commas. */
void limited_name_options(char *out, size_t size);
int limited_read_options(const struct evkeyvalq *options, struct limited_options *out, char *why, size_t size);

/* Lets a request of another route travel to that limit: it is answered as `path`, in the request, would be, or refused.
 * False, and nothing done, when there is no such limit. */
bool limited_pass(struct request *req, const char *name, const char *path);

void limited_add_headers(struct limited *l, struct request *req, bool taken);
/* `window_us`: the length for which the worst window is looked for. */
json_t *limited_statistics(const struct limited *l, int64_t window_us, bool list);

#endif
