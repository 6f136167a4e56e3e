/* HTTP/1.1 as a client speaks it over a Unix socket: one kept connection, one request at a time. No libcurl: loading it
 * with its thirty libraries takes five times as long as all else that a verb does. Owns the descriptor and the waiting;
 * knows neither fanout's paths nor what an answer means. */
#ifndef FANOUT_CLI_HTTP_H
#define FANOUT_CLI_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/text.h"

enum http_end {
	HTTP_WHOLE,
	HTTP_BROKEN_OFF, /* by on_data */
	HTTP_INTERRUPTED,
	HTTP_NO_CONNECTION, /* `why` is an errno, 0: not accepted in time */
	HTTP_SILENT,        /* nothing came, or nothing was taken, for too long */
	HTTP_BROKEN,        /* the connection ended, or what came is no HTTP: `reason` */
};

struct http {
	const char *socket; /* by reference */
	int fd;             /* -1: none */
	int64_t used_us;    /* when the connection was last of use */
};

struct http_exchange {
	struct text head; /* the request's, with its empty line */
	const void *body;
	size_t body_bytes;
	bool repeatable; /* may be sent again where a kept connection turns out to be closed */
	/* A piece of the answer's body; nonzero: enough. */
	int (*on_data)(void *arg, int status, const char *data, size_t len);
	void *arg;

	/* what became of it */
	bool sent;  /* it may have reached the server */
	int status; /* 0: no answer came */
	int why;
	const char *reason;
};

void http_init(struct http *h, const char *socket);
void http_clear(struct http *h);
enum http_end http_exchange(struct http *h, struct http_exchange *x);

#endif
