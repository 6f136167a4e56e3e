/* Runs and their pages, as they are shown. */
#define _GNU_SOURCE 1

#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "daemon/api.h"
#include "daemon/engine_run.h"
#include "daemon/render.h"
#include "daemon/store_pull.h"
#include "lib/jobid.h"

#define LIST_DEFAULT 20
#define LIST_MAX     1000
#define PAGES_A_STEP 200

/* ---- a run as JSON ---- */

/* What a receipt has, while there is none. */
static void add_unknown(json_t *o, const char *sent_since)
{
	static const char *const members[] = {
	    "pages",        "items",    "unique",    "duplicates",       "gaps",  "missing", "stop_reason",
	    "not_modified", "requests", "retries",   "limited_seconds",  "bytes", "seconds", "error",
	    "warning",      "refused",  "unreached", "unreached_seconds"};

	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		json_object_set_new(o, members[i], json_null());
	json_object_set_new(o, "expected", json_pack("{s:n,s:n}", "pages", "items"));
	json_object_set_new(o, "since", json_pack("{s:o,s:n}", "from", render_text(sent_since), "to"));
}

static json_t *counts_of(const struct store_run *row)
{
	json_t *counts = json_object();

	for (int i = 0; i < JOB_STATES; i++)
		json_object_set_new(counts, job_state_name((enum job_state)i), json_integer(row->counts[i]));
	return counts;
}

static enum run_state shown_state(const struct api *a, const struct store_run *row)
{
	return row->state == RUN_RUNNING && engine_run_waits(api_engine(a), row->run) ? RUN_WAITING : row->state;
}

json_t *api_render_run(const struct api *a, const struct store_run *row)
{
	json_t *ask = json_loads(row->options, 0, NULL), *vars = json_loads(row->scope, 0, NULL);
	json_t *receipt = *row->receipt ? json_loads(row->receipt, 0, NULL) : NULL;
	json_t *o = json_pack(
	    "{s:I,s:s,s:o,s:s,s:o,s:b,s:o,s:o,s:o,s:o,s:b,s:o}", "run", (json_int_t)row->run, "pull", row->pull, "vars",
	    vars ? vars : json_object(), "state", run_state_name(shown_state(a, row)), "verdict",
	    render_text(run_verdict_name(row->verdict)), "complete", row->verdict == RUN_COMPLETE, "created_at",
	    render_time(row->created_us), "started_at", render_time(row->started_us), "ended_at",
	    render_time(row->ended_us), "counts", counts_of(row), "test", json_is_true(json_object_get(ask, "test")),
	    "waiting_for", row->behind ? json_integer(row->behind) : json_null());

	add_unknown(o, json_string_value(json_object_get(ask, "sent_since")));
	json_object_update(o, receipt);
	json_decref(receipt);
	json_decref(ask);
	return o;
}

/* ---- lists ---- */

struct listing {
	struct store_run_list list;
	struct http_request *r;
	char *pull;
	json_t *runs;
	size_t wanted;
	uint32_t last;
	bool more;
};

static void on_listed(struct store_run_list *list, const struct store_run *row)
{
	struct listing *l = (struct listing *)list;

	if (json_array_size(l->runs) == l->wanted) {
		l->more = true;
		return;
	}
	json_array_append_new(l->runs, api_render_run(http_arg(l->r), row));
	l->last = row->run;
}

static void on_list_end(struct store_op *op, const struct err *e)
{
	struct listing *l = (struct listing *)op;

	if (e)
		http_problem(l->r, e);
	else
		api_reply_json(
		    l->r, 200,
		    json_pack("{s:O,s:o}", "runs", l->runs, "next", l->more ? json_integer(l->last) : json_null()));
	json_decref(l->runs);
	free(l->pull);
	free(l);
}

static void list_runs(struct http_request *r, const char *pull)
{
	struct api *a = http_arg(r);
	int64_t before, limit;
	struct listing *l;
	struct err e;

	if (api_refuse_stopped(r))
		return;
	if (api_query_number(r, "before", 1, JOBID_BATCH_MAX, 0, &before, &e) ||
	    api_query_number(r, "limit", 1, LIST_MAX, LIST_DEFAULT, &limit, &e)) {
		http_problem(r, &e);
		return;
	}
	l = api_alloc(sizeof *l);
	l->r = r;
	l->pull = pull ? strdup(pull) : NULL;
	l->runs = json_array();
	l->wanted = (size_t)limit;
	l->list = (struct store_run_list){.op.done = on_list_end,
					  .uid = api_admin(a, http_uid(r)) ? -1 : (int64_t)http_uid(r),
					  .pull = l->pull,
					  .before = (uint32_t)before,
					  .limit = (size_t)limit + 1,
					  .on_row = on_listed};
	store_run_list(api_store(a), &l->list);
}

void api_run_list(struct http_request *r)
{
	list_runs(r, NULL);
}

void api_pull_runs(struct http_request *r)
{
	list_runs(r, http_name(r));
}

/* ---- pages ---- */

struct paging {
	struct store_pages pages;
	struct http_request *r;
	struct api *api;
	int64_t left; /* -1: all */
	struct evbuffer *out;
	bool failed;
};

static json_t *or_null(int64_t n)
{
	return n < 0 ? json_null() : json_integer(n);
}

static json_t *any_json(const char *text)
{
	json_t *v = text && *text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;

	return v ? v : json_null();
}

static void add_said(json_t *o, const struct message_page *p)
{
	json_object_set_new(o, "items", or_null(p ? p->items : -1));
	json_object_set_new(o, "next", render_text(p ? p->next : ""));
	json_object_set_new(o, "has_more", p && p->has_more >= 0 ? json_boolean(p->has_more) : json_null());
	json_object_set_new(o, "stop", p ? json_boolean(p->stop) : json_null());
	json_object_set_new(o, "total_pages", or_null(p ? p->total_pages : -1));
	json_object_set_new(o, "total_items", or_null(p ? p->total_items : -1));
	json_object_set_new(o, "since", any_json(p ? p->since : ""));
}

static json_t *render_page(const struct api *a, const struct store_page *row)
{
	char job[JOBID_TEXT_SIZE], from[JOBID_TEXT_SIZE];
	enum job_state state = row->state;
	json_t *o;

	if (state == JOB_RUNNING && engine_job_staged(api_engine(a), row->job))
		state = JOB_QUEUED;
	o = json_pack("{s:I,s:s,s:o,s:o,s:s,s:o,s:o,s:b,s:o,s:o,s:I,s:o}", "page", (json_int_t)jobid_seq(row->job),
		      "job", jobid_format(job, row->job), "token", render_text(row->token), "url",
		      render_text(row->url), "state", job_state_name(state), "reason",
		      row->reason == REASON_NONE ? json_null() : json_string(job_reason_name(row->reason)), "status",
		      row->status ? json_integer(row->status) : json_null(), "past_end", row->past_end, "reused_from",
		      row->reused_from ? json_string(jobid_format(from, row->reused_from)) : json_null(), "size",
		      job_state_final(row->state) ? json_integer(row->size_bytes) : json_null(), "attempts",
		      (json_int_t)row->attempts, "error", render_text(row->error));
	add_said(o, row->said ? &row->page : NULL);
	return o;
}

static void on_page(struct store_pages *pages, const struct store_page *row)
{
	struct paging *p = (struct paging *)pages;

	render_write(p->out, render_page(http_arg(p->r), row), true);
	p->left -= p->left > 0;
}

static void on_pages(struct store_op *op, const struct err *e)
{
	struct paging *p = (struct paging *)op;

	p->failed = e != NULL;
}

static void paging_free(struct paging *p)
{
	api_stream_leave(p->api); /* the request may be gone */
	evbuffer_free(p->out);
	free(p);
}

static void on_gone(struct http_request *r)
{
	struct paging *p = http_state(r);

	http_stream_end(r);
	paging_free(p);
}

/* Reads of the store call back at once. A chunk is in memory at a time. */
static void next_step(struct http_request *r)
{
	struct paging *p = http_state(r);

	while (!p->failed && p->left != 0 && p->pages.more && evbuffer_get_length(p->out) == 0) {
		p->pages.after_seq = p->pages.last_seq;
		p->pages.limit = p->left > 0 && p->left < PAGES_A_STEP ? (size_t)p->left : PAGES_A_STEP;
		store_pages(api_store(http_arg(r)), &p->pages);
	}
	if (p->failed || api_stopped(http_arg(r))) {
		http_stream_break(r);
		paging_free(p);
	} else if (evbuffer_get_length(p->out) > 0) {
		http_stream_chunk(r, p->out, next_step);
	} else {
		http_stream_end(r);
		paging_free(p);
	}
}

static void stream_pages(struct http_request *r, uint32_t run)
{
	int64_t after, limit;
	struct paging *p;
	struct err e;

	if (api_query_number(r, "after", 0, JOBID_SEQ_MAX, 0, &after, &e) ||
	    api_query_number(r, "limit", 1, JOBID_SEQ_MAX, -1, &limit, &e) || !api_stream_enter(http_arg(r), &e)) {
		http_problem(r, &e);
		return;
	}
	p = api_alloc(sizeof *p);
	p->r = r;
	p->api = http_arg(r);
	p->left = limit;
	p->out = evbuffer_new();
	if (!p->out)
		BUG("out of memory for an answer");
	p->pages = (struct store_pages){
	    .op.done = on_pages, .run = run, .last_seq = (uint32_t)after, .more = true, .on_row = on_page};
	http_set_state(r, p);
	http_stream_begin(r, "application/x-ndjson");
	http_on_gone(r, on_gone);
	if (http_gone(r) || http_head(r))
		on_gone(r);
	else
		next_step(r);
}

void api_run_pages(struct http_request *r)
{
	api_with_run(r, stream_pages);
}
