/* An answer of many rows, as NDJSON: read from the store in steps, each when the client has taken the one before, so
 * that a slow reader costs one step. First in a handler's own struct, which http_state() is then. */
#ifndef FANOUT_DAEMON_API_STREAM_H
#define FANOUT_DAEMON_API_STREAM_H

#include <stdbool.h>

#include "lib/err.h"

struct api;
struct evbuffer;
struct http_request;

struct api_stream {
	struct http_request *r; /* NULL: the client went away while the store was reading */
	struct api *api;
	struct evbuffer *out; /* rows that are not on their way yet; the handler's to fill */
	const char *broken;   /* for the log: "results broken off" */
	/* Asks the store for the next step, having set `reading`. */
	void (*step)(struct http_request *r);
	/* What was read is to be sent: calls http_stream_chunk with itself, `step`, or api_stream_end. */
	void (*go)(struct http_request *r);
	/* Frees the handler's struct; `out` and the place among the streams are given back already. */
	void (*free)(struct api_stream *s);
	bool begun, reading;
};

/* The first step, for who has called api_stream_enter. */
void api_stream_start(struct api_stream *s, struct http_request *r);
/* The store has ended a step. False: the stream has ended with it, and is freed. */
bool api_stream_read(struct api_stream *s, const struct err *e);
/* What was read goes out, in another turn: the store may have called back at once. */
void api_stream_send(struct api_stream *s);
void api_stream_end(struct api_stream *s);
/* Before its first row as a problem; later by breaking the answer off. */
void api_stream_fail(struct api_stream *s, const struct err *e);

#endif
