/* Connections: accept, read requests, write what handlers say, close as they say. Knows no route. */
#define _GNU_SOURCE
#include "tests/apisim/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/apisim/conn.h"

#define HEAD_MAX_BYTES (256u << 10)
#define BODY_MAX_BYTES (16u << 20)
#define BACKLOG        8192

/* On one port: a burst of ten thousand connections does not fit into one queue (net.core.somaxconn, mostly 4096), and
 * what does not fit comes again after seconds. */
#define LISTENERS 4

static struct evconnlistener *listeners[LISTENERS];
static struct event_base *server_base;
static const struct server_hooks *hooks;
static uint64_t requests, conns;

int64_t server_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

struct later {
	void (*fn)(void *arg);
	void *arg;
};

static void on_later(evutil_socket_t fd, short what, void *ctx)
{
	const struct later later = *(struct later *)ctx;

	(void)fd;
	(void)what;
	free(ctx);
	later.fn(later.arg);
}

static struct timeval to_timeval(double seconds)
{
	return (struct timeval){.tv_sec = (time_t)seconds,
				.tv_usec = (suseconds_t)((seconds - (double)(time_t)seconds) * 1e6)};
}

void server_after(double seconds, void (*fn)(void *arg), void *arg)
{
	const struct timeval t = to_timeval(seconds);
	struct later *later = calloc(1, sizeof *later);

	*later = (struct later){fn, arg};
	event_base_once(server_base, -1, EV_TIMEOUT, on_later, later, &t);
}

/* ---- One request's life ---- */

static void request_init(struct request *req, struct conn *conn)
{
	memset(req, 0, sizeof *req);
	req->conn = conn;
	TAILQ_INIT(&req->query);
	TAILQ_INIT(&req->headers);
}

static void request_clear(struct request *req)
{
	free(req->method);
	free(req->target);
	free(req->path);
	free(req->body);
	free(req->state);
	evhttp_clear_headers(&req->query);
	evhttp_clear_headers(&req->headers);
}

void conn_request_done(struct conn *c, bool answered)
{
	struct request *req = &c->req;

	event_del(c->timer);
	c->after = NULL;
	c->produce = NULL;
	evbuffer_drain(c->extra, evbuffer_get_length(c->extra));
	if (c->phase == CONN_ANSWERING) {
		if (req->on_done)
			req->on_done(req, answered);
		hooks->on_done(req, answered);
	}
	request_clear(req);
	request_init(req, c);
}

static void conn_free(struct conn *c)
{
	conn_request_done(c, false);
	if (c->reset) {
		const struct linger now = {.l_onoff = 1, .l_linger = 0};

		setsockopt(bufferevent_getfd(c->bev), SOL_SOCKET, SO_LINGER, &now, sizeof now);
	}
	hooks->on_conn(-1);
	bufferevent_free(c->bev);
	event_free(c->timer);
	evbuffer_free(c->extra);
	free(c);
}

/* ---- Reading ---- */

static void split_target(struct request *req)
{
	const char *query = strchr(req->target, '?');
	char *raw = query ? strndup(req->target, (size_t)(query - req->target)) : strdup(req->target);

	req->path = evhttp_uridecode(raw, 0, NULL);
	free(raw);
	if (query)
		evhttp_parse_query_str(query + 1, &req->query);
}

static int parse_request_line(struct conn *c, char *line)
{
	char *save = NULL;
	const char *method = strtok_r(line, " ", &save);
	const char *target = strtok_r(NULL, " ", &save);
	const char *version = strtok_r(NULL, " ", &save);

	if (!method || !target || !version || strncmp(version, "HTTP/1.", 7) != 0 || target[0] != '/')
		return -1;
	c->keep_alive = strcmp(version, "HTTP/1.0") != 0;
	c->req.method = strdup(method);
	c->req.target = strdup(target);
	split_target(&c->req);
	return c->req.path ? 0 : -1;
}

static int parse_header_line(struct conn *c, char *line)
{
	char *colon = strchr(line, ':');

	if (!colon)
		return -1;
	*colon++ = '\0';
	colon += strspn(colon, " \t");
	return evhttp_add_header(&c->req.headers, line, colon);
}

static int parse_head(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);
	const char *value;
	size_t n;
	char *line = evbuffer_readln(in, &n, EVBUFFER_EOL_CRLF);
	int result = line ? parse_request_line(c, line) : -1;

	free(line);
	while (result == 0 && (line = evbuffer_readln(in, &n, EVBUFFER_EOL_CRLF)) && n > 0) {
		result = parse_header_line(c, line);
		free(line);
		line = NULL;
	}
	free(result == 0 ? line : NULL);
	if (result != 0)
		return -1;
	value = evhttp_find_header(&c->req.headers, "Content-Length");
	c->req.body_bytes = value ? strtoul(value, NULL, 10) : 0;
	value = evhttp_find_header(&c->req.headers, "Connection");
	if (value && strcasecmp(value, "close") == 0)
		c->keep_alive = false;
	if (evhttp_find_header(&c->req.headers, "Expect"))
		bufferevent_write(c->bev, "HTTP/1.1 100 Continue\r\n\r\n", 25);
	return evhttp_find_header(&c->req.headers, "Transfer-Encoding") ? -1 : 0;
}

static void conn_refuse(struct conn *c)
{
	static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

	bufferevent_write(c->bev, answer, sizeof answer - 1);
	conn_request_done(c, false);
	conn_shut(c, 0);
}

/* Returns true when the head was taken and the body is awaited. */
static bool conn_read_head(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	if (evbuffer_search(in, "\r\n\r\n", 4, NULL).pos < 0) {
		if (evbuffer_get_length(in) > HEAD_MAX_BYTES)
			conn_refuse(c);
		return false;
	}
	if (parse_head(c) < 0 || c->req.body_bytes > BODY_MAX_BYTES) {
		conn_refuse(c);
		return false;
	}
	c->phase = CONN_BODY;
	return true;
}

/* Returns true when a whole request was given to its handler. */
static bool conn_read_body(struct conn *c)
{
	struct evbuffer *in = bufferevent_get_input(c->bev);

	if (evbuffer_get_length(in) < c->req.body_bytes)
		return false;
	c->req.body = calloc(1, c->req.body_bytes + 1);
	evbuffer_remove(in, c->req.body, c->req.body_bytes);
	c->req.number = ++requests;
	c->req.arrived_us = server_now_us();
	c->phase = CONN_ANSWERING;
	hooks->on_request(&c->req);
	return true;
}

void conn_advance(struct conn *c)
{
	bool more = true;

	/* A handler that answers at once comes here again by reply_end(): the loop below goes on instead. */
	if (c->advancing)
		return;
	c->advancing = true;
	while (more)
		switch (c->phase) {
		case CONN_HEAD:
			more = conn_read_head(c);
			break;
		case CONN_BODY:
			more = conn_read_body(c);
			break;
		default:
			more = false;
		}
	c->advancing = false;
}

/* ---- Events ---- */

static void on_read(struct bufferevent *bev, void *ctx)
{
	(void)bev;
	conn_advance(ctx);
}

/* Called when all that was written is out. */
static void on_written(struct bufferevent *bev, void *ctx)
{
	struct conn *c = ctx;

	(void)bev;
	if (c->phase == CONN_CLOSING && !event_pending(c->timer, EV_TIMEOUT, NULL))
		conn_shut(c, c->reset ? CONN_RESET_AFTER_S : 0);
	else if (c->produce)
		c->produce(&c->req);
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
	(void)bev;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		conn_free(ctx);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct conn *c = ctx;
	void (*after)(struct request *) = c->after;

	(void)fd;
	(void)what;
	c->after = NULL;
	if (c->phase == CONN_CLOSING)
		conn_free(c);
	else if (after)
		after(&c->req);
}

void conn_arm(struct conn *c, double seconds)
{
	const struct timeval t = to_timeval(seconds);

	event_add(c->timer, &t);
}

void conn_shut(struct conn *c, double seconds)
{
	c->phase = CONN_CLOSING;
	bufferevent_disable(c->bev, EV_READ);
	if (evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
		conn_arm(c, seconds);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *address, int length, void *ctx)
{
	struct conn *c = calloc(1, sizeof *c);
	int on = 1;

	(void)l;
	(void)address;
	(void)length;
	(void)ctx;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	c->number = ++conns;
	c->bev = bufferevent_socket_new(server_base, fd, BEV_OPT_CLOSE_ON_FREE);
	c->timer = event_new(server_base, -1, 0, on_timer, c);
	c->extra = evbuffer_new();
	request_init(&c->req, c);
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	hooks->on_conn(+1);
}

static struct evconnlistener *listen_on(const struct sockaddr_in *sin)
{
	return evconnlistener_new_bind(server_base, on_accept, NULL,
				       LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE |
					   LEV_OPT_REUSEABLE_PORT,
				       BACKLOG, (const struct sockaddr *)sin, sizeof *sin);
}

/* Its listeners share the port, as those of another process of the same user would: that there is none has to be found
 * out by one that does not share. */
static int check_free(const struct sockaddr_in *sin)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, rc, why;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	rc = bind(fd, (const struct sockaddr *)sin, sizeof *sin);
	why = errno;
	close(fd);
	errno = why;
	return rc;
}

int server_open(struct event_base *base, const char *address, int port, const struct server_hooks *h)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	socklen_t length = sizeof sin;

	if (inet_pton(AF_INET, address, &sin.sin_addr) != 1) {
		errno = EINVAL;
		return -1;
	}
	if (check_free(&sin) < 0)
		return -1;
	server_base = base;
	hooks = h;
	for (int i = 0; i < LISTENERS; i++) {
		listeners[i] = listen_on(&sin);
		/* The first may have chosen the port. */
		if (!listeners[i] ||
		    getsockname(evconnlistener_get_fd(listeners[i]), (struct sockaddr *)&sin, &length) < 0)
			return -1;
	}
	return ntohs(sin.sin_port);
}

void server_close(void)
{
	for (int i = 0; i < LISTENERS; i++)
		evconnlistener_free(listeners[i]);
}
