/* What the store has, as the JSON of docs/API.md. Structs in, JSON out: it asks nobody but the clock. */
#ifndef FANOUT_DAEMON_RENDER_H
#define FANOUT_DAEMON_RENDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/rules.h"
#include "daemon/store.h"
#include "daemon/throttle.h"

struct evbuffer;

/* Sets a member that is not there yet; takes the reference. */
void render_set(json_t *o, const char *name, json_t *value);

/* All return a new reference. */
json_t *render_batch(const struct store_batch *b, int64_t eta_us);
json_t *render_result(const struct store_result *row);
json_t *render_attempt(const struct store_attempt *a);
/* RFC 3339, or null for 0. */
json_t *render_time(int64_t wall_us);
/* null for "" and NULL; bytes that are not UTF-8 are shown as "?". */
json_t *render_text(const char *s);

/* Limits. Their times are of CLOCK_BOOTTIME, and shown as wall time by how both clocks stand. */
struct render_now {
	int64_t boot_us, wall_us;
};
#define RENDER_RATE_SIZE 48
const char *render_rate(char *out, const struct rate *rate);             /* "100/1min"; `out` has RENDER_RATE_SIZE */
json_t *render_boot_time(int64_t boot_us, const struct render_now *now); /* null for 0 and CLOCK_NEVER */
json_t *render_rule(const struct rule *rule);                            /* with an empty "state" */
json_t *render_rule_state(const char *host, const struct limit *state, unsigned waiting, const struct render_now *now);
/* NULL where there is nothing to tell: no pause, no refusal, nothing learned. */
json_t *render_limited_host(const char *host, const struct limit *state, const struct throttle *throttle,
			    const struct render_now *now);

/* A result as a line of text, the way that bulk goes out; render_result() is a tree of the same. An open one lacks its
 * closing brace: a body and the brace, or some other end, have to follow. */
void render_row(struct evbuffer *out, const struct store_result *row);
void render_row_open(struct evbuffer *out, const struct store_result *row);
/* "body", or "body_base64" where it is not UTF-8 or has a NUL; and the end of the line. */
void render_row_body(struct evbuffer *out, const void *body, size_t n);

/* "open", "running", ... of docs/API.md. */
const char *render_batch_state(const struct store_batch *b);
/* When the batch will have ended, at the speed so far, of which nothing ended for `quiet_us`: as long again is the
 * least to be expected. 0 where nothing can be said. */
int64_t render_eta_us(const struct store_batch *b, int64_t quiet_us, int64_t now_us);

/* Appends the JSON (and a newline, where asked for), and drops the reference. */
void render_write(struct evbuffer *out, json_t *json, bool newline);

#endif
