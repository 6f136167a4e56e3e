/* What the store has, as the JSON of docs/API.md. Pure: structs in, JSON out. */
#ifndef FANOUT_DAEMON_RENDER_H
#define FANOUT_DAEMON_RENDER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/store.h"

struct evbuffer;

/* All return a new reference. */
json_t *render_batch(const struct store_batch *b, int64_t now_us);
json_t *render_result(const struct store_result *row);
json_t *render_attempt(const struct store_attempt *a);
/* RFC 3339, or null for 0. */
json_t *render_time(int64_t wall_us);
/* null for "" and NULL; bytes that are not UTF-8 are shown as "?". */
json_t *render_text(const char *s);

/* Adds "body", or "body_base64" where it is not UTF-8 or has a NUL. */
void render_add_body(json_t *result, const void *body, size_t n);

/* "open", "running", ... of docs/API.md. */
const char *render_batch_state(const struct store_batch *b);
/* When the batch will have ended, at the speed so far; 0 where nothing can be said. */
int64_t render_eta_us(const struct store_batch *b, int64_t now_us);

/* Appends the JSON (and a newline, where asked for), and drops the reference. */
void render_write(struct evbuffer *out, json_t *json, bool newline);
/* The same, but the object stays open: `tail` stands in place of its closing brace. */
void render_write_open(struct evbuffer *out, json_t *object, const char *tail);

#endif
