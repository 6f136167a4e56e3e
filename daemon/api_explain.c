/* Why a batch or a job waits, and until when: the engine's reasons, and a forecast. */
#define _GNU_SOURCE 1

#include <stdlib.h>
#include <string.h>

#include "daemon/api.h"
#include "daemon/engine_run.h"
#include "daemon/render.h"

json_t *api_render_waits(const struct engine_wait *waits, unsigned n)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < n; i++) {
		json_t *o = json_object();

		render_set(o, "why", json_string_nocheck(engine_why_name(waits[i].why)));
		render_set(o, "limit", render_text(waits[i].limit));
		render_set(o, "host", render_text(waits[i].host));
		render_set(o, "until", render_time(waits[i].until_us));
		render_set(o, "text", render_text(waits[i].text));
		if (waits[i].failed) {
			render_set(o, "failed", json_integer(waits[i].failed));
			render_set(o, "error", render_text(waits[i].text + waits[i].error_at));
		}
		if (waits[i].run)
			render_set(o, "run", json_integer(waits[i].run));
		json_array_append_new(list, o);
	}
	return list;
}

/* While a batch is being cancelled, or failed: how many of its jobs that has not reached. */
static json_t *left_of(const struct store_batch *b)
{
	if (b->sweep != STORE_SWEEP_CANCEL && b->sweep != STORE_SWEEP_FAIL)
		return json_null();
	return json_integer(b->counts[JOB_BLOCKED] + b->counts[JOB_QUEUED] + b->counts[JOB_RUNNING]);
}

static json_t *explanation(const char *state, const struct store_batch *b, const struct engine_wait *waits, unsigned n,
			   int64_t eta_us)
{
	json_t *o = json_object();

	render_set(o, "state", json_string_nocheck(state));
	render_set(o, "waits", api_render_waits(waits, n));
	render_set(o, "eta", render_time(eta_us));
	render_set(o, "left", left_of(b));
	return o;
}

/* What has ended waits for nothing; what is being cancelled for no more than room on the disk. */
static bool goes_on(const struct api *a, const struct store_batch *b)
{
	return b->sweep == STORE_SWEEP_NONE ? !b->ended_us : engine_storage_full(api_engine(a));
}

/* ---- a batch ---- */

struct explaining_run {
	struct store_run_get get;
	struct http_request *r;
	struct store_batch batch; /* as shown; without its strings */
	int64_t eta_us;
	json_t *answer;
};

static void on_run(struct store_run_get *g, const struct store_run *row)
{
	struct explaining_run *x = (struct explaining_run *)g;
	struct engine_wait *waits = api_alloc(API_WAITS_MAX * sizeof *waits);
	unsigned n = 0;

	if (goes_on(http_arg(x->r), &x->batch))
		n = engine_explain_run(api_engine(http_arg(x->r)), row, &x->batch, waits, API_WAITS_MAX);
	x->answer = explanation(render_batch_state(&x->batch), &x->batch, waits, n, x->eta_us);
	render_set(x->answer, "run", json_true());
	free(waits);
}

static void on_run_explained(struct store_op *op, const struct err *e)
{
	struct explaining_run *x = (struct explaining_run *)op;

	if (e)
		http_problem(x->r, e);
	else
		api_reply_json(x->r, 200, x->answer);
	free(x);
}

static void explain_run(struct http_request *r, const struct store_batch *shown, int64_t eta_us)
{
	struct explaining_run *x = api_alloc(sizeof *x);

	*x = (struct explaining_run){.get = {.op.done = on_run_explained, .run = shown->id, .on_row = on_run},
				     .r = r,
				     .batch = *shown,
				     .eta_us = eta_us};
	x->batch.name = x->batch.key = "";
	store_run_get(api_store(http_arg(r)), &x->get);
}

static void explain_batch(struct http_request *r, const struct api_batch *b)
{
	struct api *a = http_arg(r);
	struct store_batch shown = api_shown_batch(a, &b->row);
	struct engine_wait *waits;
	unsigned n;

	if (shown.run) {
		explain_run(r, &shown, api_eta_us(a, &shown, &b->rate));
		return;
	}
	waits = api_alloc(API_WAITS_MAX * sizeof *waits);
	n = goes_on(a, &shown) ? engine_explain_batch(api_engine(a), &shown, waits, API_WAITS_MAX) : 0;
	api_reply_json(r, 200,
		       explanation(render_batch_state(&shown), &shown, waits, n, api_eta_us(a, &shown, &b->rate)));
	free(waits);
}

void api_batch_explain(struct http_request *r)
{
	api_with_batch(r, (uint32_t)http_id(r), 0, explain_batch);
}

/* ---- a job ---- */

struct explaining {
	struct store_job_get get;
	struct http_request *r;
	struct api *api;
	struct store_batch batch; /* as shown; of its strings only the name */
	char *name;               /* a forecast knows by it whose rate a run has */
	struct rate rate;
	json_t *answer;
};

/* Its own end cannot be told: its batch's is when it will have ended at the latest. */
static void on_job(struct store_job_get *g, const struct store_result *row)
{
	struct explaining *x = (struct explaining *)g;
	struct store_result shown = *row;
	struct engine_wait wait;
	int64_t starts_us = 0;
	unsigned n = 0;

	shown.state = api_shown_state(x->api, row);
	if (goes_on(x->api, &x->batch))
		n = engine_explain_job(api_engine(x->api), &shown, &x->batch, &wait);
	if (n)
		starts_us = api_start_us(x->api, &x->batch, &x->rate, &wait);
	x->answer = explanation(job_state_name(shown.state), &x->batch, &wait, n,
				job_state_final(shown.state) ? 0 : api_eta_us(x->api, &x->batch, &x->rate));
	render_set(x->answer, "starts_at", render_time(starts_us));
}

static void on_explained(struct store_op *op, const struct err *e)
{
	struct explaining *x = (struct explaining *)op;
	char name[JOBID_TEXT_SIZE];
	struct err missing;

	if (e && e->code != ERR_NOT_FOUND) {
		http_problem(x->r, e);
	} else if (e || !x->answer) {
		err_set(&missing, ERR_NOT_FOUND, "fanoutctl results lists a batch's jobs", "there is no job %s",
			jobid_format(name, x->get.job));
		http_problem(x->r, &missing);
	} else {
		api_reply_json(x->r, 200, json_incref(x->answer));
	}
	json_decref(x->answer);
	free(x->name);
	free(x);
}

static void explain_job(struct http_request *r, const struct api_batch *b)
{
	struct explaining *x = api_alloc(sizeof *x);

	x->api = http_arg(r);
	x->get.op.done = on_explained;
	x->get.job = http_id(r);
	x->get.on_row = on_job;
	x->r = r;
	x->batch = api_shown_batch(x->api, &b->row);
	x->name = strdup(b->row.name);
	if (!x->name)
		abort();
	x->batch.name = x->name;
	x->batch.key = "";
	x->rate = b->rate;
	store_job_get(api_store(x->api), &x->get);
}

void api_job_explain(struct http_request *r)
{
	api_with_batch(r, jobid_batch(http_id(r)), http_id(r), explain_job);
}
