/* One job: its result, its attempts, its body, and its owner's words. */
#define _GNU_SOURCE 1

#include <errno.h>
#include <event2/buffer.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/api.h"
#include "daemon/engine.h"
#include "daemon/render.h"

/* ---- the result and the attempts ---- */

struct reading {
	struct store_job_get get;
	struct http_request *r;
	struct api *api;
	json_t *result, *attempts;
	bool staged; /* its open attempt is ahead of its turn */
	/* for the body */
	enum job_state state;
	int status;
	char *content_type;
	struct evbuffer *body;
	struct err failure;
};

static void no_such_job(uint64_t job, struct err *e)
{
	char name[JOBID_TEXT_SIZE];

	err_set(e, ERR_NOT_FOUND, "fanoutctl results lists a batch's jobs", "there is no job %s",
		jobid_format(name, job));
}

static void on_row(struct store_job_get *g, const struct store_result *row)
{
	struct reading *v = (struct reading *)g;

	struct store_result shown = api_shown_result(v->api, row);

	v->result = render_result(&shown);
	v->staged = shown.state != row->state;
}

/* They come newest first, and are shown oldest first. */
static void on_attempt(struct store_job_get *g, const struct store_attempt *a)
{
	struct reading *v = (struct reading *)g;

	if (a->ended_us || !v->staged)
		json_array_insert_new(v->attempts, 0, render_attempt(a));
}

static struct reading *reading_create(struct http_request *r)
{
	struct reading *v = api_alloc(sizeof *v);

	v->get.job = http_id(r);
	v->get.on_row = on_row;
	v->r = r;
	v->api = http_arg(r);
	return v;
}

static void reading_free(struct reading *v)
{
	json_decref(v->result);
	json_decref(v->attempts);
	free(v->content_type);
	if (v->body)
		evbuffer_free(v->body);
	free(v);
}

/* Answers what went wrong; true when something did. */
static bool failed(struct reading *v, const struct err *e)
{
	struct err missing;

	if (e && e->code != ERR_NOT_FOUND) {
		http_problem(v->r, e);
		return true;
	}
	if (e || !v->result) {
		no_such_job(v->get.job, &missing);
		http_problem(v->r, &missing);
		return true;
	}
	return false;
}

static void on_result(struct store_op *op, const struct err *e)
{
	struct reading *v = (struct reading *)op;

	if (!failed(v, e)) {
		if (v->attempts)
			json_object_set(v->result, "attempt_list", v->attempts);
		api_reply_json(v->r, 200, json_incref(v->result));
	}
	reading_free(v);
}

static void on_attempts(struct store_op *op, const struct err *e)
{
	struct reading *v = (struct reading *)op;

	if (!failed(v, e))
		api_reply_json(v->r, 200, json_pack("{s:O}", "attempts", v->attempts));
	reading_free(v);
}

static void read_attempts(struct http_request *r, void (*done)(struct store_op *op, const struct err *e))
{
	struct reading *v = reading_create(r);

	v->attempts = json_array();
	v->get.on_attempt = on_attempt;
	v->get.op.done = done;
	store_job_get(api_store(v->api), &v->get);
}

static void get_job(struct http_request *r, const struct api_batch *b)
{
	(void)b;
	read_attempts(r, on_result);
}

static void get_attempts(struct http_request *r, const struct api_batch *b)
{
	(void)b;
	read_attempts(r, on_attempts);
}

static void with_job(struct http_request *r, void (*then)(struct http_request *r, const struct api_batch *b))
{
	api_with_batch(r, jobid_batch(http_id(r)), http_id(r), then);
}

void api_job_get(struct http_request *r)
{
	with_job(r, get_job);
}

void api_job_attempts(struct http_request *r)
{
	with_job(r, get_attempts);
}

/* ---- the body ---- */

/* The file goes from the disk to the socket by sendfile, whatever its size. */
static void add_file(struct reading *v, const struct store_result *row)
{
	char path[JOBID_PATH_SIZE];
	struct stat st;
	int fd;

	jobid_body_path(path, row->job, row->attempts);
	fd = openat(store_bodies_fd(api_store(v->api)), path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st)) {
		err_set(&v->failure, ERR_SYSTEM, "look at the state directory's bodies", "cannot read the body %s: %s",
			path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return;
	}
	evbuffer_set_flags(v->body, EVBUFFER_FLAG_DRAINS_TO_FD);
	if (st.st_size == 0)
		close(fd);
	else if (evbuffer_add_file(v->body, fd, 0, st.st_size))
		err_set(&v->failure, ERR_SYSTEM, NULL, "cannot send the body %s", path);
}

static void on_body_row(struct store_job_get *g, const struct store_result *row)
{
	struct reading *v = (struct reading *)g;

	v->result = json_true(); /* there is such a job */
	v->state = api_shown_state(v->api, row);
	v->status = row->status;
	v->content_type =
	    strdup(row->content_type && row->content_type[0] ? row->content_type : "application/octet-stream");
	if (!job_state_final(row->state))
		return;
	if (row->body_in_file)
		add_file(v, row);
	else if (row->body)
		evbuffer_add(v->body, row->body, row->body_bytes);
}

static void on_body(struct store_op *op, const struct err *e)
{
	struct reading *v = (struct reading *)op;
	char name[JOBID_TEXT_SIZE];
	struct err none;

	jobid_format(name, v->get.job);
	if (failed(v, e)) {
		/* answered */
	} else if (v->failure.code) {
		http_problem(v->r, &v->failure);
	} else if (!job_state_final(v->state)) {
		err_set(&none, ERR_CONFLICT, "wait for its end", "job %s has no body yet: it is %s", name,
			job_state_name(v->state));
		http_problem(v->r, &none);
	} else if (v->status == 0) {
		err_set(&none, ERR_CONFLICT, "fanoutctl show tells why", "job %s ended without a response", name);
		http_problem(v->r, &none);
	} else {
		http_reply(v->r, 200, v->content_type, v->body);
	}
	reading_free(v);
}

static void get_body(struct http_request *r, const struct api_batch *b)
{
	struct reading *v = reading_create(r);

	(void)b;
	v->body = evbuffer_new();
	v->get.with_body = true;
	v->get.on_row = on_body_row;
	v->get.op.done = on_body;
	store_job_get(api_store(v->api), &v->get);
}

void api_job_body(struct http_request *r)
{
	with_job(r, get_body);
}

/* ---- the owner's words ---- */

struct marking {
	struct store_job_mark mark;
	struct http_request *r;
};

static void on_marked(struct store_op *op, const struct err *e)
{
	struct marking *m = (struct marking *)op;
	struct reading *v;
	struct err missing;

	if (e && e->code == ERR_NOT_FOUND) {
		no_such_job(m->mark.job, &missing);
		http_problem(m->r, &missing);
	} else if (e) {
		http_problem(m->r, e);
	} else if (!api_refuse_stopped(m->r)) {
		v = reading_create(m->r);
		v->get.op.done = on_result;
		store_job_get(api_store(v->api), &v->get);
	}
	free(m);
}

static void mark(struct http_request *r, enum store_mark what, enum job_reason left_out)
{
	struct marking *m = api_alloc(sizeof *m);

	m->mark.op.done = on_marked;
	m->mark.job = http_id(r);
	m->mark.mark = what;
	m->mark.reason = left_out;
	m->r = r;
	engine_job_mark(api_engine(http_arg(r)), &m->mark);
}

static void cancel_it(struct http_request *r, const struct api_batch *b)
{
	(void)b;
	mark(r, STORE_MARK_CANCEL, REASON_NONE);
}

static void retry_it(struct http_request *r, const struct api_batch *b)
{
	enum job_reason left_out;
	struct err e;

	(void)b;
	if (api_query_left_out(r, &left_out, &e) < 0)
		http_problem(r, &e);
	else
		mark(r, STORE_MARK_RETRY, left_out);
}

void api_job_cancel(struct http_request *r)
{
	if (!api_refuse_draining(r))
		with_job(r, cancel_it);
}

void api_job_retry(struct http_request *r)
{
	if (!api_refuse_draining(r))
		with_job(r, retry_it);
}
