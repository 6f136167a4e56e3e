/* What the rooms of daemon/spec.h share: spec_members.c (one JSON object, member by member), spec_url.c, spec_parse.c
 * (a batch, lines of jobs), spec_headers.c, spec_raw.c, spec_options.c (what is stored), spec_merge.c. */
#ifndef FANOUT_DAEMON_SPEC_PRIVATE_H
#define FANOUT_DAEMON_SPEC_PRIVATE_H

#include <jansson.h>
#include <limits.h>

#include "daemon/arena.h"
#include "daemon/spec.h"
#include "lib/url.h"

/* Bytes of a JSON text. */
struct slice {
	const char *p;
	size_t n;
};

/* The limit keys of the authorities met last: url_key() costs more than all the rest of a plain job. */
#define SPEC_AUTHORITIES 64
struct spec_authority {
	const char *prefix; /* "https://host:port" as written */
	size_t len;         /* 0: none */
	const char *key;
};

/* Header lines being put together. */
struct spec_lines {
	char *text;
	size_t len, cap;
	unsigned count;
};

#define SPEC_UNSAID UINT_MAX

/* What one JSON object says: a job, or a batch with the template for its jobs. */
struct spec_draft {
	struct arena *arena;
	struct spec_authority *authorities;
	const struct spec_authority *authority; /* the URL's, where it is among them */
	struct slice raw;                       /* the object's text */
	struct store_job_new job;
	struct spec_lines lines;
	bool json;                                              /* the body is JSON */
	int64_t timeout_us, connect_timeout_us, max_body_bytes; /* 0: not said */
	unsigned max_attempts;
	unsigned max_redirects; /* SPEC_UNSAID: not said */
	const char *idempotency_key;
	const char *fail_if; /* NULL: not said */
	int retry_unsafe;    /* -1: not said */
	/* of a batch alone */
	struct spec_policy policy;
	const char *name, *key;
	unsigned priority, concurrency;
	bool chain, hold;
	int close; /* -1: not said */
	json_t *jobs;
};

enum spec_place { SPEC_IN_JOB = 1, SPEC_IN_BATCH = 2 };

/* Reads and checks all members. `d` comes from spec_draft(). */
struct spec_draft spec_draft(struct arena *a, struct spec_authority *authorities, struct slice raw);
int spec_read_members(struct spec_draft *d, json_t *object, enum spec_place place, struct err *e);
void spec_draft_clear(struct spec_draft *d); /* not the arena */
/* Takes the URL, its key, and credentials out of it, into d->job. */
int spec_take_url(struct spec_draft *d, const char *s, size_t n, struct err *e);
/* -1 when `name` is none. */
int spec_on_limit_parse(const char *name);

/* The draft's rare members as JSON in the arena; NULL where there are none. */
const char *spec_job_options(struct spec_draft *d);
/* All of the draft's template members as JSON, never NULL; malloc. */
char *spec_batch_options(struct spec_draft *d);
/* The members that a job and a template share, read back. Strings are the JSON's. */
struct spec_options {
	int64_t timeout_us, connect_timeout_us, max_body_bytes; /* 0: not said */
	unsigned max_attempts;                                  /* 0: not said */
	unsigned max_redirects;                                 /* SPEC_UNSAID: not said */
	bool json;
	int retry_unsafe; /* -1: not said */
	const char *idempotency_key;
	const char *fail_if; /* NULL: not said */
};
struct spec_options spec_options_read(const json_t *o);
struct spec_policy spec_options_policy(const json_t *o);

int spec_refuse(struct err *e, enum err_code code, const char *member, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

int spec_read_headers(struct spec_lines *l, json_t *v, struct err *e);
/* True when a line of `text` says that the header of this name is not to be sent. */
bool spec_takes_away(const char *text, const char *name);
/* Those of `text`'s lines that a redirect leaves: with `as_get` nothing that describes a body, with `stripped` only
 * what is on the list of what is never a credential. malloc. */
char *spec_redirect_headers(const char *text, bool as_get, bool stripped);
/* Lines of `own` before those of `template` whose names `own` has not; "" where nothing is left. malloc. */
char *spec_join_headers(const char *own, const char *template, const char *extra);

/* Finding the text of a value in JSON that jansson has accepted: what is passed on as it was written. */
bool spec_raw_member(struct slice object, const char *name, struct slice *value);
/* Takes the next element off `rest`, which begins as an array's text. */
bool spec_raw_next(struct slice *rest, struct slice *element);

#endif
