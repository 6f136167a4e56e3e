/* One run, with all there is to tell of it: its receipt, or, while it lives, how far it is and what it waits for. Lists
 * of runs, and pages, are api_runs.c. */
#define _GNU_SOURCE 1

#include <stdlib.h>
#include <string.h>

#include "daemon/api.h"
#include "daemon/engine_run.h"
#include "daemon/render.h"
#include "lib/clock.h"
#include "lib/recipe.h"

struct showing {
	union {
		struct store_run_get get;
		struct store_batch_get batch;
		struct store_host_keys hosts;
	} op;
	struct http_request *r;
	uint32_t run;
	json_t *found, *live;
	struct engine_run_live figures;
	bool hidden, known;
	struct store_run row; /* numbers alone: its strings are gone */
	void (*then)(struct http_request *r, uint32_t run);
};

static void fail(struct showing *s, const struct err *e)
{
	http_problem(s->r, e);
	json_decref(s->found);
	json_decref(s->live);
	free(s);
}

static void reply(struct showing *s)
{
	api_reply_json(s->r, 200, s->found);
	free(s);
}

/* ---- a live one ---- */

static json_t *count(bool known, int64_t n)
{
	return known && n >= 0 ? json_integer(n) : json_null();
}

static json_t *seconds(int64_t us)
{
	return json_real((double)us / 1e6);
}

static void on_batch(struct store_batch_get *g, const struct store_batch *b)
{
	struct showing *s = (struct showing *)g;
	struct api *a = http_arg(s->r);
	struct store_batch shown = api_shown_batch(a, b);
	struct rate rate = api_batch_rate(b);
	const struct engine_run_live *f = &s->figures;
	struct engine_wait *waits = api_alloc(API_WAITS_MAX * sizeof *waits);
	unsigned n = engine_explain_run(api_engine(a), &s->row, &shown, waits, API_WAITS_MAX);

	s->live = json_pack("{s:o,s:o,s:{s:o,s:o},s:o,s:o,s:o,s:o,s:o,s:o,s:I,s:I,s:o}", "pages",
			    s->known ? json_integer(f->pages) : json_integer(b->counts[JOB_DONE]), "items",
			    count(s->known, f->items), "expected", "pages", count(s->known, f->expected_pages), "items",
			    count(s->known, f->expected_items), "requests", json_integer(f->sums.requests), "retries",
			    json_integer(f->sums.retries), "bytes", json_integer(f->sums.bytes), "seconds",
			    f->took_us < 0 ? json_null() : seconds(f->took_us), "limited_seconds",
			    seconds(f->sums.limited_us), "eta", render_time(api_eta_us(a, &shown, &rate)), "in_flight",
			    (json_int_t)shown.counts[JOB_RUNNING], "queued", (json_int_t)shown.counts[JOB_QUEUED],
			    "waits", api_render_waits(waits, n));
	json_object_set_new(s->live, "refused", json_integer(f->sums.refused));
	json_object_set_new(s->live, "unreached", json_integer(f->sums.unreached));
	json_object_set_new(s->live, "unreached_seconds", seconds(f->sums.unreached_us));
	free(waits);
}

static void on_batch_read(struct store_op *op, const struct err *e)
{
	struct showing *s = (struct showing *)op;

	if (e) {
		fail(s, e);
		return;
	}
	json_object_set_new(s->found, "live", s->live);
	s->live = NULL;
	reply(s);
}

/* A run may have a million attempts: some are read in each turn. */
static void add_live(struct http_request *r)
{
	struct showing *s = http_state(r);

	s->known = engine_run_live(api_engine(http_arg(r)), &s->row, &s->figures);
	if (s->figures.more && !http_gone(r)) {
		http_defer(r, add_live);
		return;
	}
	s->op.batch = (struct store_batch_get){.op.done = on_batch_read, .batch = s->run, .on_row = on_batch};
	store_batch_get(api_store(http_arg(r)), &s->op.batch);
}

/* ---- any ---- */

static void on_host(struct store_host_keys *h, const char *host)
{
	json_array_append_new(json_object_get(((struct showing *)h)->found, "hosts"), render_text(host));
}

static void on_hosts(struct store_op *op, const struct err *e)
{
	struct showing *s = (struct showing *)op;

	if (e) {
		fail(s, e);
	} else if (s->row.state != RUN_ENDED) {
		http_set_state(s->r, s);
		add_live(s->r);
	} else {
		reply(s);
	}
}

static json_t *limit_of(const struct store_run *row)
{
	char name[ENGINE_PULL_LIMIT_SIZE], text[RENDER_RATE_SIZE];
	struct err e;
	struct recipe *r = recipe_parse(row->pull, row->pull, row->recipe, &e);
	json_t *o = json_null();

	if (r && r->rate.count)
		o = json_pack("{s:o,s:s}", "name", render_text(engine_pull_limit_name(name, row->pull, &r->rate)),
			      "rate", render_rate(text, &r->rate));
	recipe_free(r);
	return o;
}

static void on_row(struct store_run_get *get, const struct store_run *row)
{
	struct showing *s = (struct showing *)get;

	s->hidden = !api_visible(http_arg(s->r), http_uid(s->r), row->uid);
	if (s->hidden)
		return;
	s->found = api_render_run(http_arg(s->r), row);
	s->row = *row;
	if (s->then)
		return;
	json_object_set_new(s->found, "recipe", render_text(row->recipe));
	json_object_set_new(s->found, "limit", limit_of(row));
	json_object_set_new(s->found, "hosts", json_array());
	json_object_set_new(s->found, "live", json_null());
}

static void on_got(struct store_op *op, const struct err *e)
{
	struct showing *s = (struct showing *)op;
	struct err none;

	if (e && e->code != ERR_NOT_FOUND) {
		fail(s, e);
	} else if (e || s->hidden || !s->found) {
		err_set(&none, ERR_NOT_FOUND, "fanoutctl pull show NAME lists the runs of a pull", "there is no run %u",
			s->run);
		fail(s, &none);
	} else if (s->then) {
		json_decref(s->found);
		s->then(s->r, s->run);
		free(s);
	} else {
		s->op.hosts = (struct store_host_keys){.op.done = on_hosts, .batch = s->run, .on_row = on_host};
		store_batch_hosts(api_store(http_arg(s->r)), &s->op.hosts);
	}
}

void api_with_run(struct http_request *r, void (*then)(struct http_request *r, uint32_t run))
{
	struct showing *s;

	if (api_refuse_stopped(r))
		return;
	s = api_alloc(sizeof *s);
	s->r = r;
	s->then = then;
	s->run = (uint32_t)http_id(r);
	s->op.get = (struct store_run_get){.op.done = on_got, .run = s->run, .on_row = on_row};
	store_run_get(api_store(http_arg(r)), &s->op.get);
}

void api_run_get(struct http_request *r)
{
	api_with_run(r, NULL);
}
