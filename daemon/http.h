/* The HTTP front on the Unix socket, by libevent's evhttp: the listener, who asks (SO_PEERCRED), the table of routes,
 * limits against misspeaking clients, answers and streams. Knows no batches and no jobs; what a path means is in the
 * handlers' files.
 *
 * A handler gets a request and must answer it exactly once, at once or later: http_reply, http_problem, or
 * http_stream_begin ... http_stream_end. When the client goes away before, the request stays valid (and http_gone)
 * until it is answered all the same; answering then only frees it. A handler that waits for an event instead of a store
 * operation asks to be told (http_on_gone) and answers there. */
#ifndef FANOUT_DAEMON_HTTP_H
#define FANOUT_DAEMON_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"

#define HTTP_BODY_MAX   ((size_t)32 << 20)
#define HTTP_REQUEST_US INT64_C(60000000)

struct evbuffer;
struct event_base;
struct http;
struct http_request;

enum http_verb { HTTP_GET, HTTP_POST, HTTP_PUT, HTTP_DELETE, HTTP_VERBS };

struct http_route {
	enum http_verb verb;
	/* "{id}" stands for a batch's number, "{job}" for a job's name, "{name}" for any word, percent-encoded */
	const char *path;
	const char *query; /* parameters it takes, with a space between; NULL: none */
	void (*handle)(struct http_request *r);
	bool body; /* a body has to come */
};

struct http_settings {
	const char *socket;
	unsigned socket_mode;
	int64_t request_us;              /* from a request's first byte to its last; 0: HTTP_REQUEST_US */
	const struct http_route *routes; /* ends with a NULL path */
	void *arg;                       /* for http_arg */
};

/* Before anything is started: a path that is too long, a directory that is missing or not to be written into. Nothing
 * is made, and what another daemon has is http_open's to find. Of a socket that systemd passed it says nothing. */
int http_check_socket(const char *socket, struct err *e);
/* Takes the socket that systemd passed (sd_listen_fds), else makes one at `socket`; a stale one of a daemon that was
 * killed is replaced. ERR_LOCKED where somebody answers there. */
struct http *http_open(struct event_base *base, const struct http_settings *set, struct err *e);
void http_stop_listening(struct http *h);
/* Ends all connections. */
void http_close(struct http *h);
unsigned http_connections(const struct http *h);
uint64_t http_requests(const struct http *h);

/* ---- the request ---- */

void *http_arg(const struct http_request *r);
struct event_base *http_base(const struct http_request *r);
uid_t http_uid(const struct http_request *r);
bool http_head(const struct http_request *r);        /* a HEAD: streams have no body */
uint64_t http_id(const struct http_request *r);      /* the number of the batch, or of the job, in the path */
const char *http_name(const struct http_request *r); /* the word in the path, decoded; no NUL, else any bytes */
/* NULL where it was not given. */
const char *http_query(const struct http_request *r, const char *name);
const char *http_header(const struct http_request *r, const char *name);
/* Until the handler returns to the event loop. */
const char *http_body(struct http_request *r, size_t *n);
bool http_gone(const struct http_request *r);

/* The handler's own, kept with the request. */
void http_set_state(struct http_request *r, void *state);
void *http_state(const struct http_request *r);
/* `gone` is called when the client goes away before the end of the answer; it has to end the request. */
void http_on_gone(struct http_request *r, void (*gone)(struct http_request *r));
/* Calls `next` in a later turn of the loop, once, unless the request has ended. */
void http_defer(struct http_request *r, void (*next)(struct http_request *r));
void http_defer_after(struct http_request *r, int64_t us, void (*next)(struct http_request *r));

/* ---- the answer ---- */

void http_add_header(struct http_request *r, const char *name, const char *value);
/* `body` is emptied, not freed; NULL: none. */
void http_reply(struct http_request *r, int status, const char *content_type, struct evbuffer *body);
/* application/problem+json, with the status that e->code has (or `status`). */
void http_problem(struct http_request *r, const struct err *e);
void http_problem_status(struct http_request *r, int status, const struct err *e);
int http_status_of(enum err_code code);

/* A body of unknown length, pulled: `written` is called when the client has taken the chunk, so that one chunk is in
 * memory at most. `buf` is emptied. An empty `buf` does nothing: `written` is not called. */
void http_stream_begin(struct http_request *r, const char *content_type);
void http_stream_chunk(struct http_request *r, struct evbuffer *buf, void (*written)(struct http_request *r));
void http_stream_end(struct http_request *r);
/* Breaks the connection off, so that the client sees that the answer is not whole. */
void http_stream_break(struct http_request *r);

#endif
