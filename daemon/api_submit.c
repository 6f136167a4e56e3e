/* Taking work in. A batch with its jobs is made in steps, each a commit: the batch, its jobs, its closing; the answer
 * comes after the last. A step that fails takes the batch away again. A batch that was left half made (the daemon was
 * killed between two steps) is found by its submission key, and the same request goes on where it stopped. */
#define _GNU_SOURCE 1

#include <stdlib.h>

#include "daemon/api.h"
#include "daemon/engine.h"
#include "daemon/render.h"
#include "daemon/spec.h"

/* ---- adding jobs to an open batch ---- */

struct adding {
	struct store_jobs_add add;
	struct http_request *r;
	struct spec_jobs *jobs;
};

static void on_added(struct store_op *op, const struct err *e)
{
	struct adding *s = (struct adding *)op;

	if (e)
		http_problem(s->r, e);
	else
		api_reply_json(s->r, 201,
			       json_pack("{s:I,s:I}", "jobs", (json_int_t)s->add.count, "first_seq",
					 (json_int_t)s->add.first_seq));
	spec_jobs_free(s->jobs);
	free(s);
}

static void add_jobs(struct http_request *r, const struct api_batch *b)
{
	struct adding *s;
	struct spec_jobs *jobs;
	struct err e;
	size_t len;
	const char *body = http_body(r, &len);

	if (b->row.closed) {
		err_set(&e, ERR_CONFLICT, "make another batch", "batch %u is closed and takes no more jobs", b->row.id);
		http_problem(r, &e);
		return;
	}
	jobs = spec_parse_jobs(body, len, &e);
	if (!jobs) {
		http_problem(r, &e);
		return;
	}
	if (b->chain)
		spec_jobs_chain(jobs);
	s = api_alloc(sizeof *s);
	s->add.op.done = on_added;
	s->add.batch = b->row.id;
	s->add.jobs = spec_jobs_array(jobs, &s->add.count);
	s->r = r;
	s->jobs = jobs;
	if (s->add.count == 0) {
		err_set(&e, ERR_INPUT, "send one JSON object a line", "there is no job in it");
		on_added(&s->add.op, &e);
		return;
	}
	store_jobs_add(api_store(http_arg(r)), &s->add);
}

void api_jobs_add(struct http_request *r)
{
	if (!api_refuse_draining(r))
		api_with_batch(r, (uint32_t)http_id(r), 0, add_jobs);
}

/* ---- making a batch ---- */

struct submission {
	struct store_batch_create create;
	struct store_jobs_add add;
	struct store_batch_mark mark;
	struct store_batch_get get;
	struct http_request *r;
	struct api *api;
	struct spec_batch spec;
	struct err failure; /* why it is being taken away again */
	bool guarded;
	struct store_batch found; /* the batch that was there already: counts and closed */
};

static struct submission *of_mark(struct store_op *op)
{
	return (struct submission *)((char *)op - offsetof(struct submission, mark));
}

static size_t job_count(const struct submission *s)
{
	size_t n = 0;

	if (s->spec.jobs)
		spec_jobs_array(s->spec.jobs, &n);
	return n;
}

static void finish(struct submission *s)
{
	if (s->guarded)
		api_creating_remove(s->api, s->create.batch);
	spec_batch_clear(&s->spec);
	free(s);
}

static void fail(struct submission *s, const struct err *e)
{
	http_problem(s->r, e);
	finish(s);
}

static void answer(struct submission *s, int status, bool existed, bool closed, int64_t jobs)
{
	json_t *o = json_pack("{s:I,s:b,s:b,s:I}", "batch", (json_int_t)s->create.batch, "existed", existed, "closed",
			      closed, "jobs", (json_int_t)jobs);

	json_object_set_new(o, "first_seq", jobs ? json_integer(1) : json_null());
	api_reply_json(s->r, status, o);
	finish(s);
}

/* The daemon is ending: no more steps; whoever submits again with the key goes on. */
static bool stopped(struct submission *s)
{
	struct err e;

	if (!api_stopped(s->api))
		return false;
	err_set(&e, ERR_UNKNOWN, "submit it again with the same key", "the daemon ended in the middle of it");
	fail(s, &e);
	return true;
}

/* ---- taking it away again ---- */

static void on_removed(struct store_op *op, const struct err *e)
{
	struct submission *s = of_mark(op);

	(void)e; /* an open batch without jobs is removed sooner or later anyway */
	fail(s, &s->failure);
}

static void on_closed_to_remove(struct store_op *op, const struct err *e)
{
	struct submission *s = of_mark(op);

	if (e || api_stopped(s->api)) {
		fail(s, &s->failure);
		return;
	}
	s->mark.op.done = on_removed;
	s->mark.mark = STORE_MARK_REMOVE;
	engine_batch_mark(api_engine(s->api), &s->mark);
}

static void take_away(struct submission *s, const struct err *e)
{
	s->failure = *e;
	if (api_stopped(s->api)) {
		fail(s, &s->failure);
		return;
	}
	s->mark.op.done = on_closed_to_remove;
	s->mark.batch = s->create.batch;
	s->mark.mark = STORE_MARK_CLOSE;
	engine_batch_mark(api_engine(s->api), &s->mark);
}

/* ---- the steps ---- */

static void on_closed(struct store_op *op, const struct err *e)
{
	struct submission *s = of_mark(op);

	if (e)
		fail(s, e);
	else
		answer(s, s->create.existed ? 200 : 201, s->create.existed, true, (int64_t)job_count(s));
}

static void step_close(struct submission *s)
{
	if (!s->spec.close) {
		answer(s, s->create.existed ? 200 : 201, s->create.existed, false, (int64_t)job_count(s));
		return;
	}
	s->mark.op.done = on_closed;
	s->mark.batch = s->create.batch;
	s->mark.mark = STORE_MARK_CLOSE;
	engine_batch_mark(api_engine(s->api), &s->mark);
}

static void on_jobs(struct store_op *op, const struct err *e)
{
	struct submission *s = (struct submission *)((char *)op - offsetof(struct submission, add));

	if (e && e->code != ERR_UNKNOWN)
		take_away(s, e);
	else if (e)
		fail(s, e);
	else if (!stopped(s))
		step_close(s);
}

static void step_jobs(struct submission *s)
{
	if (job_count(s) == 0) {
		step_close(s);
		return;
	}
	s->add.op.done = on_jobs;
	s->add.batch = s->create.batch;
	s->add.jobs = spec_jobs_array(s->spec.jobs, &s->add.count);
	store_jobs_add(api_store(s->api), &s->add);
}

/* ---- a key that was seen before ---- */

static void on_row(struct store_batch_get *g, const struct store_batch *b)
{
	struct submission *s = (struct submission *)((char *)g - offsetof(struct submission, get));

	s->found = *b;
}

static void on_found(struct store_op *op, const struct err *e)
{
	struct submission *s = (struct submission *)((char *)op - offsetof(struct submission, get));
	int64_t jobs = 0;

	if (e) {
		fail(s, e);
		return;
	}
	for (int i = 0; i < JOB_STATES; i++)
		jobs += s->found.counts[i];
	/* Only a request that brings all there is to the batch can have been cut off within itself. */
	if (s->found.closed || !s->spec.close || !s->spec.jobs)
		answer(s, 200, true, s->found.closed, jobs);
	else if (!stopped(s)) {
		s->guarded = true;
		api_creating_add(s->api, s->create.batch);
		if (jobs == 0)
			step_jobs(s);
		else
			step_close(s);
	}
}

static void on_existing(struct submission *s)
{
	struct err e;

	if (api_creating(s->api, s->create.batch)) {
		err_set(&e, ERR_BUSY, "try again in a moment", "this submission is being taken in just now");
		fail(s, &e);
		return;
	}
	s->get.op.done = on_found;
	s->get.batch = s->create.batch;
	s->get.on_row = on_row;
	store_batch_get(api_store(s->api), &s->get);
}

static void on_created(struct store_op *op, const struct err *e)
{
	struct submission *s = (struct submission *)op;

	if (e) {
		fail(s, e);
	} else if (stopped(s)) {
		return;
	} else if (s->create.existed) {
		on_existing(s);
	} else {
		s->guarded = true;
		api_creating_add(s->api, s->create.batch);
		step_jobs(s);
	}
}

void api_batch_create(struct http_request *r)
{
	struct submission *s;
	struct err e;
	size_t len;
	const char *body = http_body(r, &len);
	struct spec_batch spec;

	if (api_refuse_draining(r))
		return;
	if (spec_parse_batch(&spec, body, len, &e)) {
		http_problem(r, &e);
		return;
	}
	s = api_alloc(sizeof *s);
	s->r = r;
	s->api = http_arg(r);
	s->spec = spec;
	s->create.op.done = on_created;
	s->create.uid = http_uid(r);
	s->create.name = spec.name;
	s->create.key = spec.key;
	s->create.options = spec.options;
	s->create.priority = spec.priority;
	s->create.concurrency = spec.concurrency;
	s->create.held = spec.held;
	store_batch_create(api_store(s->api), &s->create);
}
