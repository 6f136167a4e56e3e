/* One easy handle on a Unix socket. */
#define _GNU_SOURCE 1 /* asprintf */

#include "cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/ctl.h"

#define IO_BUFFER_BYTES 524288L /* the most libcurl takes */
#define PROBLEM_MAX     65536u
#define SILENCE_S       60L /* the daemon says something every 15 s, even in a stream where nothing happens */
#define IDLE_MAX_S      3L  /* older connections are not reused: the daemon may be closing them just now */

struct client {
	CURL *curl;
	const char *socket;
	const struct call *call;
	struct err *e;
	bool private;    /* the daemon is the user's own */
	bool broken_off; /* by on_data */
	int requests;    /* on the wire, in this call */
	long status;
	struct text problem; /* the body of an answer that is not 2xx */
	char why[CURL_ERROR_SIZE];
};

static size_t on_write(char *data, size_t size, size_t count, void *arg)
{
	struct client *c = arg;
	size_t len = size * count;

	if (!c->status)
		curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->status);
	if (c->status < 200 || c->status > 299) {
		if (c->problem.len < PROBLEM_MAX)
			text_add(&c->problem, data, len);
		return len;
	}
	if (!c->call->on_data || c->call->on_data(c->call->arg, data, len, c->e) == 0)
		return len;
	c->broken_off = true;
	return len + 1;
}

/* libcurl sends a request again by itself when a reused connection closes, also one that makes something. */
static int on_request(void *arg, char *a, char *b, int p, int q)
{
	struct client *c = arg;

	(void)a, (void)b, (void)p, (void)q;
	return ++c->requests > 1 && c->call->method ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static int on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t p, curl_off_t q)
{
	(void)arg, (void)a, (void)b, (void)p, (void)q;
	return ctl_interrupted();
}

struct client *client_create(const char *socket)
{
	struct client *c = calloc(1, sizeof *c);

	if (!c || curl_global_init(CURL_GLOBAL_NOTHING) || !(c->curl = curl_easy_init()))
		BUG("out of memory");
	c->socket = socket;
	return c;
}

struct client *client_again(const struct client *c)
{
	struct client *again = client_create(c->socket);

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
	curl_easy_cleanup(c->curl);
	text_clear(&c->problem);
	free(c);
}

const char *client_socket(const struct client *c)
{
	return c->socket;
}

int client_status(const struct client *c)
{
	return (int)c->status;
}

bool client_sent(const struct client *c)
{
	return c->requests > 0;
}

static void set_common(struct client *c)
{
	CURL *h = c->curl;

	curl_easy_reset(h); /* keeps the connection */
	curl_easy_setopt(h, CURLOPT_UNIX_SOCKET_PATH, c->socket);
	curl_easy_setopt(h, CURLOPT_PROXY, "");
	curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http");
	curl_easy_setopt(h, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L); /* and so SIGPIPE stays ours: `| head` ends us quietly */
	curl_easy_setopt(h, CURLOPT_ERRORBUFFER, c->why);
	curl_easy_setopt(h, CURLOPT_BUFFERSIZE, IO_BUFFER_BYTES);
	curl_easy_setopt(h, CURLOPT_UPLOAD_BUFFERSIZE, IO_BUFFER_BYTES);
	curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, 5000L);
	curl_easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(h, CURLOPT_LOW_SPEED_TIME, SILENCE_S);
	curl_easy_setopt(h, CURLOPT_MAXAGE_CONN, IDLE_MAX_S);
	curl_easy_setopt(h, CURLOPT_WRITEFUNCTION, on_write);
	curl_easy_setopt(h, CURLOPT_WRITEDATA, c);
	curl_easy_setopt(h, CURLOPT_PREREQFUNCTION, on_request);
	curl_easy_setopt(h, CURLOPT_PREREQDATA, c);
	curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
	curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
}

static struct curl_slist *set_request(struct client *c, const struct call *call)
{
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	char line[200], *url;

	if (asprintf(&url, "http://fanout%s", call->path) < 0)
		BUG("out of memory");
	curl_easy_setopt(c->curl, CURLOPT_URL, url);
	free(url);
	if (call->method && (strcmp(call->method, "POST") == 0 || call->body)) {
		curl_easy_setopt(c->curl, CURLOPT_POST, 1L);
		curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, call->method);
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, call->body ? call->body : "");
		curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body_bytes);
		snprintf(line, sizeof line, "Content-Type: %s",
			 call->content_type ? call->content_type : "application/json");
		headers = curl_slist_append(headers, line);
	} else if (call->method) {
		curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, call->method);
	}
	if (call->header)
		headers = curl_slist_append(headers, call->header);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
	return headers;
}

static int lost(struct client *c, CURLcode rc, struct err *e)
{
	long os_errno = 0;

	if (ctl_interrupted())
		return err_set(e, ERR_NONE, NULL, "interrupted");
	curl_easy_getinfo(c->curl, CURLINFO_OS_ERRNO, &os_errno);
	if (rc == CURLE_COULDNT_CONNECT)
		return client_unreachable(c->socket, os_errno ? (int)os_errno : client_probe(c->socket), e);
	if (rc == CURLE_OPERATION_TIMEDOUT)
		return err_set(e, ERR_UNREACHABLE, "is it stopped, or its disk very slow? fanoutctl doctor looks",
			       "fanoutd at %s accepts connections and does not answer", c->socket);
	return err_set(e, ERR_UNREACHABLE, "did it stop or crash? its log tells",
		       "the connection to fanoutd at %s broke: %s", c->socket,
		       c->why[0] ? c->why : curl_easy_strerror(rc));
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

static int refused(struct client *c, struct err *e)
{
	json_t *j = c->problem.len ? json_loadb(c->problem.data, c->problem.len, 0, NULL) : NULL;
	const char *detail = json_string_value(json_object_get(j, "detail"));
	const char *hint = json_string_value(json_object_get(j, "hint"));
	const char *name = json_string_value(json_object_get(j, "code"));

	if (detail)
		err_set(e, code_of((int)c->status, name), hint, "%s", detail);
	else
		err_set(e, code_of((int)c->status, name), "is it fanoutd that listens there?",
			"%s answered with status %ld and no reason", c->socket, c->status);
	e->line = (unsigned)json_integer_value(json_object_get(j, "line"));
	json_decref(j);
	return -1;
}

int client_call(struct client *c, const struct call *call, struct err *e)
{
	struct curl_slist *headers;
	struct err spare = {0};
	CURLcode rc;

	c->call = call;
	c->e = e ? e : &spare;
	c->broken_off = false;
	c->requests = 0;
	c->status = 0;
	c->problem.len = 0;
	c->why[0] = '\0';
	set_common(c);
	headers = set_request(c, call);
	rc = curl_easy_perform(c->curl);
	curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &c->status);
	curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, NULL);
	curl_slist_free_all(headers);
	if (c->broken_off)
		return -1;
	if (rc != CURLE_OK)
		return lost(c, rc, c->e);
	if (c->status < 200 || c->status > 299)
		return refused(c, c->e);
	return 0;
}

static int on_text(void *arg, const char *data, size_t len, struct err *e)
{
	(void)e;
	text_add(arg, data, len);
	return 0;
}

static json_t *call_json(struct client *c, struct call *call, struct err *e)
{
	struct text answer = {0};
	json_error_t why;
	json_t *j = NULL;

	call->on_data = on_text;
	call->arg = &answer;
	if (client_call(c, call, e) < 0)
		goto out;
	j = json_loadb(answer.len ? answer.data : "", answer.len, JSON_DECODE_ANY, &why);
	if (!j && answer.len == 0)
		j = json_object(); /* 204 */
	if (!j)
		err_set(e, ERR_SYSTEM, "is it fanoutd that listens there?", "the answer of %s is no JSON: %s",
			c->socket, why.text);
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
