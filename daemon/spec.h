/* What is asked for: reading the JSON of a batch and of its jobs, and merging a job with its batch's template into the
 * one request that goes to a worker. Strict: unknown members, duplicate ones, wrong types, values out of range are
 * refused with a text that names the member. docs/API.md lists the members.
 *
 * Knows JSON and URLs; no store, no sockets, no clock. */
#ifndef FANOUT_DAEMON_SPEC_H
#define FANOUT_DAEMON_SPEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/store.h"
#include "lib/err.h"
#include "lib/message.h"
#include "lib/units.h"

#define SPEC_BODY_MAX        (1u << 20)  /* a request's body */
#define SPEC_HEADERS_MAX     (16u << 10) /* a request's own headers */
#define SPEC_LINE_MAX        (2u << 20)  /* one job's JSON */
#define SPEC_JOBS_INLINE_MAX 1000        /* jobs within the JSON of a batch */
#define SPEC_JOBS_MAX        30000       /* jobs in one request: the loop stands still for as long as it takes */
#define SPEC_HEADER_LINES    100         /* of one job */
#define SPEC_WORD_MAX        200         /* bytes of a name, key, tag or chain */
#define SPEC_CONCURRENCY_MAX 10000
#define SPEC_CHAIN_ALL       "batch" /* the chain of a batch that is one chain */
#define SPEC_KEY_AUTO        "auto"  /* an idempotency key that is made for each job */
#define SPEC_REDIRECTS       10      /* max_redirects, where it is not said */

/* The defaults of DESIGN section 8, from the configuration. */
struct spec_defaults {
	unsigned max_attempts;
	int64_t timeout_us, connect_timeout_us, max_body_bytes;
	int64_t max_pause_us; /* how long a host that refuses is left alone at most */
};

/* A batch's template, parsed once and kept while the batch is live. */
struct spec_template;

/* What a batch asks for as a whole, beside its jobs' requests. */
enum spec_on_limit { SPEC_LIMIT_WAIT, SPEC_LIMIT_DROP, SPEC_LIMIT_FAIL };
struct spec_policy {
	struct rate rate; /* of its own, per host; count 0: none */
	enum spec_on_limit on_limit;
	int64_t deadline_us; /* after its submission; 0: none */
};
void spec_template_policy(const struct spec_template *t, struct spec_policy *out);

/* The same from what store_batch.options holds. */
void spec_batch_policy(const char *options, struct spec_policy *out);

/* `options` is what store_batch.options holds (canonical JSON made by spec_parse_batch). */
struct spec_template *spec_template_create(const char *options, struct err *e);
void spec_template_free(struct spec_template *t);

/* Everything that a POST /v1/batches body can say. Free with spec_batch_clear. */
struct spec_batch {
	char *name, *key, *options;
	unsigned priority, concurrency;
	bool held, close;
	struct spec_jobs *jobs; /* NULL where none were given */
};
int spec_parse_batch(struct spec_batch *out, const char *json, size_t len, struct err *e);
void spec_batch_clear(struct spec_batch *b);

/* NDJSON of jobs, all or nothing. e->line names the line at fault. Blank lines are skipped. */
struct spec_jobs;
struct spec_jobs *spec_parse_jobs(const char *ndjson, size_t len, struct err *e);
const struct store_job_new *spec_jobs_array(const struct spec_jobs *j, size_t *count);
/* True for a batch that is one chain ("chain": true); spec_jobs_chain puts those jobs into it that name none. */
bool spec_options_chain(const char *options);
void spec_jobs_chain(struct spec_jobs *j);
void spec_jobs_free(struct spec_jobs *j);

/* How one request is to be made and judged. Strings borrow from the template, the request and what is owned. In
 * job.headers, as for curl, a line "Name:" asks the worker not to send what it would by itself, and "Name;" is an empty
 * value.
 *
 * After redirects (req->hops) it is what a browser would send there: as_get asks by GET, without a body and without
 * what describes one; stripped takes no user along, and of the headers only those that are never a credential. */
struct spec_request {
	struct message_job job; /* ready for message_put_job */
	unsigned max_attempts;
	unsigned max_redirects;
	bool repeatable; /* idempotency key or retry_unsafe */
	/* free with spec_request_clear */
	char *owned;            /* merged headers */
	struct json_t *options; /* of the job, parsed */
};
void spec_merge(struct spec_request *out, const struct spec_template *t, const struct store_request *req,
		const struct spec_defaults *def);
void spec_request_clear(struct spec_request *r);

#endif
