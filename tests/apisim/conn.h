/* What server.c and reply.c share: a connection and the request it is answering. Handlers do not include this. */
#ifndef FANOUT_APISIM_CONN_H
#define FANOUT_APISIM_CONN_H

#include "tests/apisim/server.h"

/* Between the last byte of a cut answer and its reset: enough for the client to have read that byte. */
#define CONN_RESET_AFTER_S 0.02

struct bufferevent;

struct conn {
	struct bufferevent *bev;
	struct event *timer;    /* request_after(), or the end of a closing connection */
	struct evbuffer *extra; /* header lines for the next head */
	uint64_t number;
	enum { CONN_HEAD, CONN_BODY, CONN_ANSWERING, CONN_CLOSING } phase;
	bool keep_alive, reset, advancing;
	void (*after)(struct request *req);
	void (*produce)(struct request *req);
	struct request req;
};

/* The answer is out, or will never be: tells the hooks and forgets the request. */
void conn_request_done(struct conn *c, bool answered);
/* Goes on with the next request, where one has come. */
void conn_advance(struct conn *c);
void conn_arm(struct conn *c, double seconds);
/* Closes `seconds` after everything was written. */
void conn_shut(struct conn *c, double seconds);

#endif
