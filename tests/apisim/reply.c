/* Answers: whole and correct ones, and the pieces of wrong ones. Knows no route. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <event2/bufferevent.h>
#include <event2/http.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "tests/apisim/conn.h"

static const struct {
	int code;
	const char *phrase;
} phrases[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {418, "I'm a teapot"},
    {425, "Too Early"},
    {429, "Too Many Requests"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

const char *reply_phrase(int code)
{
	for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
		if (phrases[i].code == code)
			return phrases[i].phrase;
	return "Something Else";
}

/* ---- What a request says ---- */

const char *request_query(const struct request *req, const char *name)
{
	return evhttp_find_header(&req->query, name);
}

double request_number(const struct request *req, const char *name, double otherwise)
{
	const char *text = request_query(req, name);
	char *end;
	double value;

	if (!text)
		return otherwise;
	value = strtod(text, &end);
	return end == text || *end || !(value >= 0) ? otherwise : value;
}

const char *request_header(const struct request *req, const char *name)
{
	return evhttp_find_header(&req->headers, name);
}

const char *request_peer(const struct request *req, char *out, size_t size)
{
	struct sockaddr_in sin;
	socklen_t length = sizeof sin;
	char address[INET_ADDRSTRLEN] = "?";

	memset(&sin, 0, sizeof sin);
	getpeername(bufferevent_getfd(req->conn->bev), (struct sockaddr *)&sin, &length);
	inet_ntop(AF_INET, &sin.sin_addr, address, sizeof address);
	snprintf(out, size, "%s:%d", address, ntohs(sin.sin_port));
	return out;
}

uint64_t request_conn_number(const struct request *req)
{
	return req->conn->number;
}

void request_after(struct request *req, double seconds, void (*fn)(struct request *req))
{
	req->conn->after = fn;
	conn_arm(req->conn, seconds);
}

/* ---- Pieces ---- */

void reply_raw(struct request *req, const void *data, size_t n)
{
	bufferevent_write(req->conn->bev, data, n);
}

void reply_header(struct request *req, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	evbuffer_add_vprintf(req->conn->extra, fmt, ap);
	va_end(ap);
	evbuffer_add(req->conn->extra, "\r\n", 2);
}

/* ?header=Name:value, any number of times. */
static void add_wanted_headers(struct request *req, struct evbuffer *out)
{
	struct evkeyval *q;

	TAILQ_FOREACH (q, &req->query, next)
		if (strcmp(q->key, "header") == 0 && strchr(q->value, ':') && !strpbrk(q->value, "\r\n"))
			evbuffer_add_printf(out, "%s\r\n", q->value);
}

static void add_head(struct request *req, struct evbuffer *out, int code, const char *type, int64_t length)
{
	evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\nServer: apisim\r\n", code, reply_phrase(code));
	if (type)
		evbuffer_add_printf(out, "Content-Type: %s\r\n", type);
	if (length < 0)
		evbuffer_add_printf(out, "Transfer-Encoding: chunked\r\n");
	else if (code >= 200 && code != 204 && code != 304)
		evbuffer_add_printf(out, "Content-Length: %lld\r\n", (long long)length);
	if (!req->conn->keep_alive)
		evbuffer_add_printf(out, "Connection: close\r\n");
	add_wanted_headers(req, out);
	evbuffer_add_buffer(out, req->conn->extra);
	evbuffer_add(out, "\r\n", 2);
}

void reply_head(struct request *req, int code, const char *type, int64_t length)
{
	add_head(req, bufferevent_get_output(req->conn->bev), code, type, length);
}

void reply_chunk(struct request *req, const void *data, size_t n)
{
	struct evbuffer *out = bufferevent_get_output(req->conn->bev);

	evbuffer_add_printf(out, "%zx\r\n", n);
	evbuffer_add(out, data, n);
	evbuffer_add(out, "\r\n", 2);
}

void reply_stream(struct request *req, void (*produce)(struct request *req))
{
	req->conn->produce = produce;
	produce(req);
}

void reply_end(struct request *req)
{
	struct conn *c = req->conn;

	conn_request_done(c, true);
	if (!c->keep_alive) {
		conn_shut(c, 0);
		return;
	}
	c->phase = CONN_HEAD;
	conn_advance(c);
}

void reply_close(struct request *req)
{
	struct conn *c = req->conn;

	conn_request_done(c, true);
	conn_shut(c, 0);
}

void reply_reset(struct request *req)
{
	req->conn->reset = true;
	conn_request_done(req->conn, true);
	conn_shut(req->conn, CONN_RESET_AFTER_S);
}

/* ---- Whole answers ---- */

static void send_held(struct request *req)
{
	struct conn *c = req->conn;

	bufferevent_write_buffer(c->bev, c->extra);
	reply_end(req);
}

void reply(struct request *req, int code, const char *type, const void *data, size_t n)
{
	const double delay = request_number(req, "delay", 0);
	const bool bodiless = strcmp(req->method, "HEAD") == 0 || code == 204 || code == 304;
	struct evbuffer *whole = evbuffer_new();

	add_head(req, whole, code, type, (int64_t)n);
	if (!bodiless)
		evbuffer_add(whole, data, n);
	/* The spare header buffer is empty now; it holds the answer until it is due. */
	evbuffer_add_buffer(req->conn->extra, whole);
	evbuffer_free(whole);
	if (delay > 0)
		request_after(req, delay, send_held);
	else
		send_held(req);
}

void reply_text(struct request *req, int code, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	reply(req, code, "text/plain", text, n < 0 ? 0 : (size_t)n);
	free(text);
}

void reply_json(struct request *req, int code, json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15));

	json_decref(json);
	reply(req, code, "application/json", text ? text : "", text ? strlen(text) : 0);
	free(text);
}
