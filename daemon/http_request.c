/* From what evhttp read to a handler: what it lets through though it should not, the route, the word in the path. Also
 * the life of a request's record. */
#define _GNU_SOURCE 1

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>

#include <event2/keyvalq_struct.h>

#include "daemon/http_private.h"
#include "lib/clock.h"
#include "lib/jobid.h"

/* ---- life ---- */

void http_request_free(struct http_request *r)
{
	if (r->timer)
		event_free(r->timer);
	free(r->query);
	free(r);
}

void http_request_lost(struct http_request *r)
{
	struct evhttp_request *req = r->req;

	r->connection = NULL;
	r->req = NULL;
	if (r->timer)
		evtimer_del(r->timer);
	if (r->answered) { /* evhttp frees what it had been given already */
		http_request_free(r);
		return;
	}
	/* evhttp lets go of what is not answered yet, except when the whole server is being freed. */
	if (!evhttp_request_get_connection(req))
		evhttp_request_free(req);
	if (r->on_gone)
		r->on_gone(r);
}

static void on_complete(struct evhttp_request *req, void *arg)
{
	struct http_request *r = arg;

	(void)req;
	http_connection_idle(r->connection);
	http_request_free(r);
}

/* ---- what evhttp lets through ---- */

static bool is_number(const char *s)
{
	return s[0] && strspn(s, "0123456789") == strlen(s) && strlen(s) < 19;
}

/* RFC 9112, section 6.3: where a message ends must not be a matter of opinion. Returns the body's length. */
static int check_framing(struct evhttp_request *req, int64_t *length, struct err *e)
{
	struct evkeyval *h;

	*length = -1;
	TAILQ_FOREACH (h, evhttp_request_get_input_headers(req), next) {
		if (strcasecmp(h->key, "Transfer-Encoding") == 0) {
			err_set(e, ERR_INPUT, "send the body with a Content-Length", "Transfer-Encoding is not taken");
			return 411;
		}
		if (strcasecmp(h->key, "Content-Length") != 0)
			continue;
		if (*length >= 0 || !is_number(h->value)) {
			err_set(e, ERR_INPUT, NULL, "Content-Length has to come once, in digits");
			return 400;
		}
		*length = strtoll(h->value, NULL, 10);
	}
	return 0;
}

static int check_body(const struct http_route *route, int64_t length, struct err *e)
{
	if (route->verb != HTTP_POST && !route->body && length > 0) {
		err_set(e, ERR_INPUT, NULL, "this request has no body");
		return 400;
	}
	if (route->body && length < 0) {
		err_set(e, ERR_INPUT, "send a body, with its Content-Length", "there is no Content-Length");
		return 411;
	}
	if (length > (int64_t)HTTP_BODY_MAX) {
		err_set(e, ERR_TOO_LARGE, "send it in several requests", "the body has %lld bytes, and may have %zu",
			(long long)length, HTTP_BODY_MAX);
		return 413;
	}
	return 0;
}

/* ---- routes ---- */

static const char *const verb_names[] = {
    [HTTP_GET] = "GET, HEAD", [HTTP_POST] = "POST", [HTTP_PUT] = "PUT", [HTTP_DELETE] = "DELETE"};
_Static_assert(sizeof verb_names / sizeof verb_names[0] == HTTP_VERBS, "every verb has a name");

static int verb_of(const struct evhttp_request *req)
{
	switch (evhttp_request_get_command(req)) {
	case EVHTTP_REQ_GET:
	case EVHTTP_REQ_HEAD:
		return HTTP_GET;
	case EVHTTP_REQ_POST:
		return HTTP_POST;
	case EVHTTP_REQ_PUT:
		return HTTP_PUT;
	case EVHTTP_REQ_DELETE:
		return HTTP_DELETE;
	default:
		return -1;
	}
}

/* Matches segment by segment. The text that stands for "{...}" is copied to `word`; too long a one matches nothing. */
static bool matches(const char *pattern, const char *path, char *word, size_t size)
{
	while (*pattern) {
		if (*pattern == '{') {
			size_t n = strcspn(path, "/");

			if (n == 0 || n >= size)
				return false;
			memcpy(word, path, n);
			word[n] = '\0';
			path += n;
			pattern = strchr(pattern, '}') + 1;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return *path == '\0';
}

static int read_name(struct http_request *r, const char *word, struct err *e)
{
	strcpy(r->name, word);
	if (http_percent_decode(r->name))
		return err_set(e, ERR_INPUT, "write % as %25", "the name in the path is not percent-encoded");
	return 0;
}

static int read_word(const struct http_route *route, const char *word, struct http_request *r, struct err *e)
{
	uint32_t batch;

	if (strstr(route->path, "{name}"))
		return read_name(r, word, e);
	if (strstr(route->path, "{id}")) {
		if (jobid_parse_batch(word, &batch))
			return err_set(e, ERR_NOT_FOUND, "a batch is named by its number, as in 7",
				       "there is no batch %s", word);
		r->id = batch;
	} else if (strstr(route->path, "{job}") && jobid_parse(word, &r->id)) {
		return err_set(e, ERR_NOT_FOUND, "a job is named as in 7.42", "there is no job %s", word);
	}
	return 0;
}

struct found {
	const struct http_route *route;
	char word[HTTP_WORD_MAX];
	char allow[64]; /* verbs that the path has, for a 405 */
};

static void find_route(const struct http_route *routes, const char *path, int verb, struct found *f)
{
	char word[sizeof f->word] = "";

	*f = (struct found){0};
	for (const struct http_route *t = routes; t->path; t++) {
		if (!matches(t->path, path, word, sizeof word))
			continue;
		if ((int)t->verb == verb) {
			f->route = t;
			strcpy(f->word, word);
			return;
		}
		if (f->allow[0])
			strcat(f->allow, ", ");
		strcat(f->allow, verb_names[t->verb]);
	}
}

/* ---- dispatch ---- */

static struct http_request *request_create(struct http *h, struct evhttp_request *req)
{
	struct http_request *r = calloc(1, sizeof *r);

	if (!r)
		BUG("out of memory for a request");
	r->http = h;
	r->req = req;
	r->connection = http_connection_of(h, req);
	r->head = evhttp_request_get_command(req) == EVHTTP_REQ_HEAD;
	h->requests++;
	return r;
}

/* What comes behind a request that was not understood is not to be understood either. */
static void refuse_and_close(struct http_request *r, int status, const struct err *e)
{
	http_add_header(r, "Connection", "close");
	http_problem_status(r, status, e);
}

static void dispatch(struct http_request *r)
{
	const char *uri = evhttp_request_get_uri(r->req);
	size_t path_len = strcspn(uri, "?");
	char path[512] = "";
	struct found f;
	int64_t length;
	struct err e;
	int status = check_framing(r->req, &length, &e);

	if (r->connection->crowding) {
		err_set(&e, ERR_BUSY, "end some of them, or keep one and send its requests one after the other",
			"uid %u has %d connections already, half of what there are for all",
			(unsigned)r->connection->uid, HTTP_OF_ONE_MAX);
		refuse_and_close(r, 503, &e);
		return;
	}
	if (status) {
		refuse_and_close(r, status, &e);
		return;
	}
	if (path_len < sizeof path)
		memcpy(path, uri, path_len);
	find_route(r->http->routes, path, verb_of(r->req), &f);
	if (!f.route && f.allow[0]) {
		http_add_header(r, "Allow", f.allow);
		err_set(&e, ERR_USAGE, NULL, "%.100s takes %s", path, f.allow);
		refuse_and_close(r, 405, &e);
		return;
	}
	if (!f.route) {
		err_set(&e, ERR_NOT_FOUND, "docs/API.md lists the paths; they match exactly", "there is no %.100s",
			uri);
		refuse_and_close(r, 404, &e);
		return;
	}
	status = check_body(f.route, length, &e);
	if (status)
		refuse_and_close(r, status, &e);
	else if (read_word(f.route, f.word, r, &e) ||
		 http_read_query(r, f.route, uri[path_len] ? uri + path_len + 1 : NULL, &e))
		http_problem(r, &e);
	else
		f.route->handle(r);
}

void http_on_request(struct evhttp_request *req, void *arg)
{
	struct http_request *r = request_create(arg, req);
	struct err e;

	evhttp_request_set_on_complete_cb(req, on_complete, r);
	if (!r->connection) {
		err_set(&e, ERR_PERMISSION, NULL, "the socket's peer cannot be told");
		r->answered = true;
		evhttp_request_set_on_complete_cb(req, NULL, NULL);
		evhttp_send_error(req, 403, NULL);
		http_request_free(r);
		return;
	}
	r->uid = r->connection->uid;
	r->connection->request = r;
	bufferevent_setwatermark(r->connection->bev, EV_READ, 0, HTTP_READ_AHEAD_MAX);
	dispatch(r);
}

/* ---- what a handler asks ---- */

void *http_arg(const struct http_request *r)
{
	return r->http->arg;
}

struct event_base *http_base(const struct http_request *r)
{
	return r->http->base;
}

uid_t http_uid(const struct http_request *r)
{
	return r->uid;
}

bool http_head(const struct http_request *r)
{
	return r->head;
}

uint64_t http_id(const struct http_request *r)
{
	return r->id;
}

const char *http_name(const struct http_request *r)
{
	return r->name;
}

const char *http_header(const struct http_request *r, const char *name)
{
	return r->req ? evhttp_find_header(evhttp_request_get_input_headers(r->req), name) : NULL;
}

const char *http_body(struct http_request *r, size_t *n)
{
	struct evbuffer *buf = r->req ? evhttp_request_get_input_buffer(r->req) : NULL;

	*n = buf ? evbuffer_get_length(buf) : 0;
	return *n ? (const char *)evbuffer_pullup(buf, -1) : "";
}

bool http_gone(const struct http_request *r)
{
	return r->req == NULL;
}

void http_set_state(struct http_request *r, void *state)
{
	r->state = state;
}

void *http_state(const struct http_request *r)
{
	return r->state;
}

/* evhttp does not look at the connection while a request waits for its answer. Its callback for input must not run now:
 * it ends the program (event_errx) when bytes come in this state. */
void http_on_gone(struct http_request *r, void (*gone)(struct http_request *r))
{
	bufferevent_data_cb on_write;
	bufferevent_event_cb on_event;
	void *arg;

	r->on_gone = gone;
	if (!r->connection || !gone)
		return;
	bufferevent_getcb(r->connection->bev, NULL, &on_write, &on_event, &arg);
	bufferevent_setcb(r->connection->bev, NULL, on_write, on_event, arg);
	bufferevent_enable(r->connection->bev, EV_READ);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct http_request *r = arg;

	(void)fd;
	(void)what;
	r->next(r);
}

void http_defer_after(struct http_request *r, int64_t us, void (*next)(struct http_request *r))
{
	struct timeval delay = {.tv_sec = us / 1000000, .tv_usec = us % 1000000};

	if (!r->timer && !(r->timer = evtimer_new(r->http->base, on_timer, r)))
		BUG("out of memory for a timer");
	r->next = next;
	evtimer_add(r->timer, &delay);
}

void http_defer(struct http_request *r, void (*next)(struct http_request *r))
{
	http_defer_after(r, 0, next);
}
