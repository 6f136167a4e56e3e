/* A small HTTP/1.1 server made to misbehave on demand: what a handler wants on the wire goes there byte by byte, and a
 * connection can be cut or reset wherever it likes. (evhttp would make every answer a correct one.)
 *
 * One event loop, one thread. A connection answers one request at a time; a handler either answers at once or keeps
 * the request and answers from request_after() or reply_stream(). A request is gone after reply_end(), reply_close(),
 * reply_reset(), or after on_done where the client went away first: nobody may touch it then. */
#ifndef FANOUT_APISIM_SERVER_H
#define FANOUT_APISIM_SERVER_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

struct conn;

struct request {
	struct conn *conn;
	char *method, *target;
	char *path;       /* decoded, without the query */
	const char *rest; /* what follows the route's prefix; set by the dispatcher */
	struct evkeyvalq query, headers;
	char *body; /* a NUL follows it */
	size_t body_bytes;
	uint64_t number;                                     /* of all requests, from 1, in order of arrival */
	int64_t arrived_us;                                  /* CLOCK_BOOTTIME, head and body are there */
	void *state;                                         /* the handler's; free()d with the request */
	void *counted;                                       /* the statistics' */
	void *flight;                                        /* the limits' */
	void (*on_done)(struct request *req, bool answered); /* the handler's; may be NULL */
};

struct server_hooks {
	void (*on_request)(struct request *req);
	void (*on_done)(struct request *req, bool answered);
	void (*on_conn)(int change); /* +1 opened, -1 closed */
};

/* Listens on address:port (0: any free one) and returns the port, or -1 with errno. `hooks` is kept by reference. */
int server_open(struct event_base *base, const char *address, int port, const struct server_hooks *hooks);
void server_close(void);

int64_t server_now_us(void);
/* Calls `fn` once, `seconds` from now, whatever becomes of any request. */
void server_after(double seconds, void (*fn)(void *arg), void *arg);

/* The query's value, or NULL; as a number (seconds, bytes), or `otherwise` where it is absent or no number. */
const char *request_query(const struct request *req, const char *name);
double request_number(const struct request *req, const char *name, double otherwise);
const char *request_header(const struct request *req, const char *name);
const char *request_peer(const struct request *req, char *out, size_t size);
uint64_t request_conn_number(const struct request *req);
/* Calls `fn` once, `seconds` from now, unless the client goes away first. */
void request_after(struct request *req, double seconds, void (*fn)(struct request *req));

/* A whole, correct answer, held back for ?delay=SECONDS, with ?header=Name:value added. `type` may be NULL. */
void reply(struct request *req, int code, const char *type, const void *data, size_t n);
void reply_text(struct request *req, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Takes `json` over. */
void reply_json(struct request *req, int code, json_t *json);
/* Another header line for the answer that follows. */
void reply_header(struct request *req, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Only the head: status line and headers, those of reply_header() among them; `length` < 0 means chunked. */
void reply_head(struct request *req, int code, const char *type, int64_t length);
/* Bytes as they are. */
void reply_raw(struct request *req, const void *data, size_t n);
/* Calls `produce` whenever the socket wants more, until it ends the answer. */
void reply_stream(struct request *req, void (*produce)(struct request *req));
/* One chunk of a chunked body; 0 bytes is the last one. */
void reply_chunk(struct request *req, const void *data, size_t n);

void reply_end(struct request *req);   /* the answer is whole */
void reply_close(struct request *req); /* close when what was written is out */
void reply_reset(struct request *req); /* the same with a TCP reset, a moment later so that the client reads it first */

const char *reply_phrase(int code);

#endif
