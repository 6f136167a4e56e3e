/* Answers: whole ones, problems (RFC 9457), and streams that are pulled by the client's reading. */
#define _GNU_SOURCE 1

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "daemon/http_private.h"
#include "daemon/render.h"
#include "lib/reason.h"

int http_status_of(enum err_code code)
{
	static const int statuses[ERR_CODES] = {
	    [ERR_USAGE] = 400,     [ERR_INPUT] = 400,    [ERR_PERMISSION] = 403,
	    [ERR_NOT_FOUND] = 404, [ERR_CONFLICT] = 409, [ERR_TOO_LARGE] = 413,
	    [ERR_BUSY] = 503,      [ERR_UNKNOWN] = 503,  [ERR_NO_SPACE] = 507,
	};

	return (unsigned)code < ERR_CODES && statuses[code] ? statuses[code] : 500;
}

void http_add_header(struct http_request *r, const char *name, const char *value)
{
	if (r->req)
		evhttp_add_header(evhttp_request_get_output_headers(r->req), name, value);
}

static void type_header(struct http_request *r, const char *content_type)
{
	http_add_header(r, "Content-Type", content_type);
	http_add_header(r, "X-Content-Type-Options", "nosniff");
}

/* A HEAD gets the length that a GET would have got. */
static void length_header(struct http_request *r, const struct evbuffer *body)
{
	char text[32];

	if (!r->head)
		return;
	snprintf(text, sizeof text, "%zu", body ? evbuffer_get_length(body) : 0);
	http_add_header(r, "Content-Length", text);
}

void http_reply(struct http_request *r, int status, const char *content_type, struct evbuffer *body)
{
	if (!r->req) {
		http_request_free(r);
		return;
	}
	r->on_gone = NULL;
	r->answered = true;
	if (r->timer)
		evtimer_del(r->timer);
	type_header(r, content_type);
	length_header(r, body);
	if (r->head && body)
		evbuffer_drain(body, evbuffer_get_length(body));
	evhttp_send_reply(r->req, status, http_status_phrase(status), body);
}

static void set_text(json_t *o, const char *name, const char *text)
{
	if (text[0])
		json_object_set_new(o, name, render_text(text));
}

void http_problem_status(struct http_request *r, int status, const struct err *e)
{
	struct evbuffer *body = evbuffer_new();
	json_t *o = json_object();

	set_text(o, "type", "about:blank");
	set_text(o, "title", http_status_phrase(status));
	json_object_set_new(o, "status", json_integer(status));
	set_text(o, "code", err_code_name(e->code));
	set_text(o, "detail", e->what);
	set_text(o, "hint", e->hint);
	if (e->line)
		json_object_set_new(o, "line", json_integer(e->line));
	render_write(body, o, true);
	if (status == 503)
		http_add_header(r, "Retry-After", "1");
	http_reply(r, status, "application/problem+json", body);
	evbuffer_free(body);
}

void http_problem(struct http_request *r, const struct err *e)
{
	http_problem_status(r, http_status_of(e->code), e);
}

/* ---- streams ---- */

void http_stream_begin(struct http_request *r, const char *content_type)
{
	if (!r->req)
		return;
	type_header(r, content_type);
	http_add_header(r, "Cache-Control", "no-store");
	evhttp_send_reply_start(r->req, 200, "OK");
}

static void on_written(struct evhttp_connection *evcon, void *arg)
{
	struct http_request *r = arg;
	void (*written)(struct http_request * r) = r->written;

	(void)evcon;
	r->written = NULL;
	if (written)
		written(r);
}

void http_stream_chunk(struct http_request *r, struct evbuffer *buf, void (*written)(struct http_request *r))
{
	if (!r->req || evbuffer_get_length(buf) == 0)
		return;
	r->written = written;
	evhttp_send_reply_chunk_with_cb(r->req, buf, on_written, r);
}

void http_stream_end(struct http_request *r)
{
	if (!r->req) {
		http_request_free(r);
		return;
	}
	r->on_gone = NULL;
	r->written = NULL;
	r->answered = true;
	if (r->timer)
		evtimer_del(r->timer);
	evhttp_send_reply_end(r->req);
}

void http_stream_break(struct http_request *r)
{
	if (r->req)
		shutdown(bufferevent_getfd(r->connection->bev), SHUT_RDWR);
	/* The end of the answer is never written: evhttp sees the end of file first, or the write fails. */
	http_stream_end(r);
}
