/* What the rooms of daemon/http.h share: http.c (socket, connections), http_request.c (from bytes to a handler),
 * http_query.c, http_answer.c (replies and streams). */
#ifndef FANOUT_DAEMON_HTTP_PRIVATE_H
#define FANOUT_DAEMON_HTTP_PRIVATE_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <uthash.h>

#include "daemon/http.h"

#define HTTP_CONNECTIONS_MAX 1000
#define HTTP_OF_ONE_MAX      (HTTP_CONNECTIONS_MAX / 2) /* of one user's, but for root and the daemon's own */
#define HTTP_HEADERS_MAX     16384
#define HTTP_BODY_READ_MAX   (2 * HTTP_BODY_MAX) /* evhttp answers what is longer by itself, without a problem's body */
#define HTTP_READ_AHEAD_MAX  65536               /* what a client may send while it is being answered */
#define HTTP_IDLE_US         INT64_C(600000000)
#define HTTP_IDLE_CROWDED_US INT64_C(10000000) /* when there are nearly too many connections */
#define HTTP_WRITE_SECONDS   3600              /* a reader that takes nothing for so long (a pager) has gone */
#define HTTP_WORD_MAX        320               /* bytes of an id or a name in a path, as written */
#define HTTP_PARAMS_MAX      8
#define HTTP_ACCEPT_PAUSE_MS 100

struct http {
	struct event_base *base;
	struct evhttp *server;
	struct evhttp_bound_socket *bound; /* NULL: not listening any more */
	struct event *sweep, *resume;
	struct http_connection *connections; /* by bufferevent */
	unsigned count;
	uint64_t requests;
	int64_t request_us;
	const struct http_route *routes;
	void *arg;
	char *path; /* NULL: the socket is not ours to remove */
	dev_t path_dev;
	ino_t path_ino;
};

struct http_connection {
	struct http *http;
	struct bufferevent *bev; /* one reference is ours */
	struct evbuffer_cb_entry *on_input;
	struct http_request *request; /* being answered, or NULL */
	int64_t since_us;             /* accepted, or the last answer was written */
	int64_t first_byte_us;        /* of the request being read; 0: none came yet */
	bool met;                     /* closecb is set */
	bool crowding;                /* its user had too many when it came */
	bool known;                   /* whose it is */
	bool thinned_out;             /* it was one of too many, and is shut down */
	uid_t uid;
	UT_hash_handle hh;
};

struct http_param {
	const char *name;
	char *value;
};

struct http_request {
	struct http *http;
	struct http_connection *connection; /* NULL: gone */
	struct evhttp_request *req;         /* NULL: gone */
	uid_t uid;
	uint64_t id;
	char name[HTTP_WORD_MAX];
	struct http_param params[HTTP_PARAMS_MAX];
	unsigned param_count;
	char *query; /* the text that params point into */
	bool head, answered;
	void *state;
	void (*on_gone)(struct http_request *r);
	struct event *timer;
	void (*next)(struct http_request *r);
	void (*written)(struct http_request *r);
};

struct http_connection *http_connection_of(struct http *h, struct evhttp_request *req);
/* The client went away: nothing can be answered any more. */
void http_request_lost(struct http_request *r);
/* After the answer has been written, or instead of it. */
void http_request_free(struct http_request *r);
/* In place; -1 where it is malformed, or a NUL would come out of it. */
int http_percent_decode(char *s);
int http_read_query(struct http_request *r, const struct http_route *route, const char *query, struct err *e);
void http_on_request(struct evhttp_request *req, void *arg);
/* The answer has been written: the connection waits for another request. */
void http_connection_idle(struct http_connection *c);

#endif
