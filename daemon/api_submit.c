/* Taking work in. A batch, its first jobs and its closing are one commit, and the answer comes after it: what was cut
 * off on the way was either taken as a whole, and is found by its submission key, or not at all. */
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
	struct store_batch_get get;
	struct http_request *r;
	struct spec_batch spec;
	int64_t found; /* jobs of the batch that was there already */
};

static void answer(struct submission *s, int status, int64_t jobs)
{
	json_t *o = json_pack("{s:I,s:b,s:b,s:I}", "batch", (json_int_t)s->create.batch, "existed", s->create.existed,
			      "closed", status == 201 ? s->create.close : s->create.closed, "jobs", (json_int_t)jobs);

	json_object_set_new(o, "first_seq", jobs ? json_integer(1) : json_null());
	api_reply_json(s->r, status, o);
}

static void finish(struct submission *s)
{
	spec_batch_clear(&s->spec);
	free(s);
}

/* ---- a key that was seen before ---- */

static void on_row(struct store_batch_get *g, const struct store_batch *b)
{
	struct submission *s = (struct submission *)((char *)g - offsetof(struct submission, get));

	for (int i = 0; i < JOB_STATES; i++)
		s->found += b->counts[i];
	s->create.closed = b->closed;
}

static void on_found(struct store_op *op, const struct err *e)
{
	struct submission *s = (struct submission *)((char *)op - offsetof(struct submission, get));

	if (e)
		http_problem(s->r, e);
	else
		answer(s, 200, s->found);
	finish(s);
}

static void on_created(struct store_op *op, const struct err *e)
{
	struct submission *s = (struct submission *)op;

	if (!e && s->create.existed) {
		s->get.op.done = on_found;
		s->get.batch = s->create.batch;
		s->get.on_row = on_row;
		store_batch_get(api_store(http_arg(s->r)), &s->get);
		return;
	}
	if (e)
		http_problem(s->r, e);
	else
		answer(s, 201, (int64_t)s->create.count);
	finish(s);
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
	s->spec = spec;
	s->create.op.done = on_created;
	s->create.uid = http_uid(r);
	s->create.name = spec.name;
	s->create.key = spec.key;
	s->create.options = spec.options;
	s->create.priority = spec.priority;
	s->create.concurrency = spec.concurrency;
	s->create.held = spec.held;
	s->create.close = spec.close;
	if (spec.jobs)
		s->create.jobs = spec_jobs_array(spec.jobs, &s->create.count);
	store_batch_create(api_store(http_arg(r)), &s->create);
}
