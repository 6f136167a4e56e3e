/* Requests and what their answers mean, over cli/http. */
#define _GNU_SOURCE 1 /* vasprintf */

#include "cli/client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ctl.h"
#include "cli/http.h"

#define PROBLEM_MAX 65536u

struct client {
	struct http http;
	const struct call *call;
	struct err *e;
	bool private; /* the daemon is the user's own */
	bool sent;
	int status;
	struct text problem; /* the body of an answer that is not 2xx */
};

static bool is_fine(int status)
{
	return status >= 200 && status <= 299;
}

static int on_data(void *arg, int status, const char *data, size_t len)
{
	struct client *c = arg;

	c->status = status;
	if (is_fine(status))
		return c->call->on_data ? c->call->on_data(c->call->arg, data, len, c->e) : 0;
	if (c->problem.len < PROBLEM_MAX)
		text_add(&c->problem, data, len);
	return 0;
}

struct client *client_create(const char *socket)
{
	struct client *c = calloc(1, sizeof *c);

	if (!c)
		BUG("out of memory");
	http_init(&c->http, socket);
	return c;
}

struct client *client_again(const struct client *c)
{
	struct client *again = client_create(c->http.socket);

	again->private = c->private;
	return again;
}

void client_set_private(struct client *c)
{
	c->private = true;
}

bool client_is_private(const struct client *c)
{
	return c->private;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	http_clear(&c->http);
	text_clear(&c->problem);
	free(c);
}

const char *client_socket(const struct client *c)
{
	return c->http.socket;
}

int client_status(const struct client *c)
{
	return c->status;
}

bool client_sent(const struct client *c)
{
	return c->sent;
}

static void write_head(const struct call *call, struct text *head)
{
	bool posts = call->method && (strcmp(call->method, "POST") == 0 || call->body);

	text_printf(head, "%s %s HTTP/1.1\r\nHost: fanout\r\n", call->method ? call->method : "GET", call->path);
	if (posts)
		text_printf(head, "Content-Type: %s\r\nContent-Length: %zu\r\n",
			    call->content_type ? call->content_type : "application/json", call->body_bytes);
	if (call->header)
		text_printf(head, "%s\r\n", call->header);
	text_add_str(head, "\r\n");
}

static int lost(struct client *c, enum http_end end, const struct http_exchange *x, struct err *e)
{
	const char *socket = c->http.socket;

	switch (end) {
	case HTTP_INTERRUPTED:
		return err_set(e, ERR_NONE, NULL, "interrupted");
	case HTTP_NO_CONNECTION:
		return client_unreachable(socket, x->why, e);
	case HTTP_SILENT:
		return err_set(e, ERR_UNREACHABLE, "is it stopped, or its disk very slow? fanoutctl doctor looks",
			       "fanoutd at %s accepts connections and does not answer", socket);
	default:
		return err_set(e, ERR_UNREACHABLE, "did it stop or crash? its log tells",
			       "the connection to fanoutd at %s broke: %s", socket, x->reason);
	}
}

static const struct {
	const char *name;
	enum err_code code;
} problem_codes[] = {
    {"input", ERR_INPUT},         {"usage", ERR_USAGE},       {"permission", ERR_PERMISSION},
    {"not_found", ERR_NOT_FOUND}, {"conflict", ERR_CONFLICT}, {"too_large", ERR_TOO_LARGE},
    {"busy", ERR_BUSY},           {"no_space", ERR_NO_SPACE}, {"unknown", ERR_UNKNOWN},
};

static const struct {
	int status;
	enum err_code code;
} status_codes[] = {{400, ERR_INPUT},     {403, ERR_PERMISSION}, {404, ERR_NOT_FOUND}, {409, ERR_CONFLICT},
		    {413, ERR_TOO_LARGE}, {503, ERR_BUSY},       {507, ERR_NO_SPACE}};

static enum err_code code_of(int status, const char *name)
{
	for (size_t i = 0; name && i < sizeof problem_codes / sizeof problem_codes[0]; i++)
		if (strcmp(problem_codes[i].name, name) == 0)
			return problem_codes[i].code;
	for (size_t i = 0; i < sizeof status_codes / sizeof status_codes[0]; i++)
		if (status_codes[i].status == status)
			return status_codes[i].code;
	return ERR_SYSTEM;
}

void client_said(struct err *e, enum err_code code, const char *detail, const char *hint)
{
	struct text what = {0}, todo = {0};

	text_add_shown(&what, detail, 0);
	text_add_shown(&todo, hint ? hint : "", 0);
	err_set(e, code, todo.data, "%s", what.data ? what.data : "");
	text_clear(&what);
	text_clear(&todo);
}

static int refused(struct client *c, struct err *e)
{
	json_t *j = c->problem.len ? json_loadb(c->problem.data, c->problem.len, 0, NULL) : NULL;
	const char *detail = json_string_value(json_object_get(j, "detail"));
	const char *hint = json_string_value(json_object_get(j, "hint"));
	const char *name = json_string_value(json_object_get(j, "code"));

	if (detail)
		client_said(e, code_of(c->status, name), detail, hint);
	else
		err_set(e, code_of(c->status, name), "is it fanoutd that listens there?",
			"%s answered with status %d and no reason", c->http.socket, c->status);
	e->line = (unsigned)json_integer_value(json_object_get(j, "line"));
	json_decref(j);
	return -1;
}

int client_call(struct client *c, const struct call *call, struct err *e)
{
	struct http_exchange x = {.body = call->body, .body_bytes = call->body ? call->body_bytes : 0};
	struct err spare = {0};
	enum http_end end;

	c->call = call;
	c->e = e ? e : &spare;
	c->problem.len = 0;
	c->status = 0;
	x.repeatable = !call->method;
	x.on_data = on_data;
	x.arg = c;
	write_head(call, &x.head);
	end = http_exchange(&c->http, &x);
	text_clear(&x.head);
	c->sent = x.sent;
	c->status = x.status;
	if (end == HTTP_BROKEN_OFF)
		return -1;
	if (end != HTTP_WHOLE)
		return lost(c, end, &x, c->e);
	return is_fine(c->status) ? 0 : refused(c, c->e);
}

static int on_text(void *arg, const char *data, size_t len, struct err *e)
{
	(void)e;
	text_add(arg, data, len);
	return 0;
}

static json_t *call_json(struct client *c, const struct call *of, struct err *e)
{
	struct text answer = {0};
	struct call call = *of;
	json_error_t why;
	json_t *j = NULL;

	call.on_data = on_text;
	call.arg = &answer;
	if (client_call(c, &call, e) < 0)
		goto out;
	j = json_loadb(answer.len ? answer.data : "", answer.len, JSON_DECODE_ANY, &why);
	if (!j && answer.len == 0)
		j = json_object(); /* 204 */
	if (!j)
		err_set(e, ERR_SYSTEM, "is it fanoutd that listens there?", "the answer of %s is no JSON: %s",
			c->http.socket, why.text);
out:
	text_clear(&answer);
	return j;
}

static json_t *vcall_json(struct client *c, struct call *call, struct err *e, const char *path, va_list ap)
{
	char *full;
	json_t *j;

	if (vasprintf(&full, path, ap) < 0)
		BUG("out of memory");
	call->path = full;
	j = call_json(c, call, e);
	free(full);
	return j;
}

json_t *client_get_json(struct client *c, struct err *e, const char *path, ...)
{
	struct call call = {0};
	va_list ap;
	json_t *j;

	va_start(ap, path);
	j = vcall_json(c, &call, e, path, ap);
	va_end(ap);
	return j;
}

json_t *client_post_json(struct client *c, const char *body, size_t len, struct err *e, const char *path, ...)
{
	struct call call = {.method = "POST", .body = body, .body_bytes = len};
	va_list ap;
	json_t *j;

	va_start(ap, path);
	j = vcall_json(c, &call, e, path, ap);
	va_end(ap);
	return j;
}

json_t *client_put_json(struct client *c, const char *body, size_t len, struct err *e, const char *path, ...)
{
	struct call call = {.method = "PUT", .body = body, .body_bytes = len};
	va_list ap;
	json_t *j;

	va_start(ap, path);
	j = vcall_json(c, &call, e, path, ap);
	va_end(ap);
	return j;
}

json_t *client_delete(struct client *c, struct err *e, const char *path, ...)
{
	struct call call = {.method = "DELETE"};
	va_list ap;
	json_t *j;

	va_start(ap, path);
	j = vcall_json(c, &call, e, path, ap);
	va_end(ap);
	return j;
}
