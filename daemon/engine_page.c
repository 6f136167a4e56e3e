/* One page of a run: its request, made whole when its attempt is opened, and its outcome, recorded in one commit with
 * what follows from it. docs/PULLS.md, "A page's way". */
#define _GNU_SOURCE 1

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/run_private.h"
#include "lib/clock.h"
#include "lib/log.h"

/* ---- the request ---- */

static void *need(void *p)
{
	if (!p)
		abort();
	return p;
}

static void keep_base(struct engine_page *page, const struct store_page_request *req)
{
	page->base_job = req->base_job;
	engine_page_seen(&page->base, req->base);
	page->base.next = page->base_next = need(strdup(req->base->next));
}

static struct engine_page *page_create(const struct store_page_request *req, bool conditional)
{
	struct engine_page *page = need(calloc(1, sizeof *page));

	if (conditional && req->base_job && req->base && (*req->etag || *req->last_modified))
		keep_base(page, req);
	return page;
}

void engine_page_free(struct engine_page *page)
{
	if (page)
		free(page->base_next);
	free(page);
}

static void add_line(char **headers, const char *name, const char *value)
{
	char *longer = NULL;

	if (!*value)
		return;
	if (asprintf(&longer, "%s%s: %s\n", *headers, name, value) < 0)
		abort();
	free(*headers);
	*headers = longer;
}

/* Line by line: after a redirect, one with a secret that may not go to this host is left out, as credentials are. */
static char *fill_headers(const struct secrets *s, const char *lines, const char *host)
{
	char *all = need(calloc(1, 1)), *line, *filled, *next;
	struct err e;

	while (*lines) {
		size_t n = strcspn(lines, "\n");

		line = need(strndup(lines, n));
		filled = secrets_fill(s, line, SECRET_IN_HEADER, host, &e);
		if (filled) {
			if (asprintf(&next, "%s%s\n", all, filled) < 0)
				abort();
			secrets_wipe(all);
			secrets_wipe(filled);
			all = next;
		}
		free(line);
		lines += n + (lines[n] == '\n');
	}
	return all;
}

/* Never what may not go there: a name is sent as a name. */
static char *fill(const struct engine_run *run, enum secret_where where, const char *text, const char *host)
{
	struct err e;
	char *filled = secrets_fill(run->secrets, text, where, host, &e);

	return filled ? filled : need(strdup(text));
}

/* The API's own first number, which the last one counts from; what a later start leaves out the plan takes off. */
static json_int_t first_number(const struct recipe *r)
{
	return r->page.type == PAGE_NUMBER && r->page.start < 1 ? r->page.start : 1;
}

static char *context_of(const struct engine_run *run, const char *token)
{
	struct plan_rules rules = run_rules(run->recipe, &run->ask);
	json_t *page = rules.numbered ? json_integer(strtoll(token, NULL, 10))
		       : *token       ? json_string(token)
				      : json_null();
	json_t *o = json_pack("{s:o,s:O,s:s,s:I}", "page", page ? page : json_null(), "vars", run->var_object, "type",
			      page_type_name(run->recipe->page.type), "start", first_number(run->recipe));
	char *text = need(json_dumps(o, JSON_COMPACT));

	json_decref(o);
	return text;
}

void engine_page_prepare(struct engine_job *j, const struct store_request *req, struct spec_request *r,
			 struct engine_page_fill *f)
{
	const struct engine_run *run = j->lane->batch->run;
	const char *host = j->lane->host;

	engine_page_free(j->page);
	j->page = page_create(req->page, run->recipe->conditional && req->hops == 0);
	f->url = fill(run, SECRET_IN_URL, r->job.url, host);
	f->headers = fill_headers(run->secrets, r->job.headers, host);
	if (j->page->base_job) {
		add_line(&f->headers, "If-None-Match", req->page->etag);
		add_line(&f->headers, "If-Modified-Since", req->page->last_modified);
	}
	if (r->job.has_body) {
		/* Bodies of pages are texts (lib/recipe.h). */
		char *text = need(strndup(r->job.body, r->job.body_bytes));
		f->body = fill(run, run->recipe->body_json ? SECRET_IN_JSON : SECRET_IN_TEXT, text, host);
		free(text);
		r->job.body = f->body;
		r->job.body_bytes = strlen(f->body);
	}
	f->context = context_of(run, req->page->token);
	r->job.url = f->url;
	r->job.headers = f->headers;
	r->job.from_public |= req->page->from_public;
	j->from_public = r->job.from_public;
	r->job.page_program = run->program ? run->program : "";
	r->job.page_context = f->context;
	/* The last offset, or cursor, is no number of pages. */
	r->job.page_param =
	    run->recipe->page.type == PAGE_NUMBER && run->recipe->page.param ? run->recipe->page.param : "";
}

void engine_page_fill_clear(struct engine_page_fill *f)
{
	secrets_wipe(f->url);
	secrets_wipe(f->headers);
	secrets_wipe(f->body);
	free(f->context);
}

/* ---- what comes back ---- */

/* It would have to be sent back as it came: then it is not. */
static void forget_validator(const struct secrets *s, const char **validator)
{
	char *hidden = *validator ? secrets_hide(s, *validator) : NULL;

	if (hidden)
		*validator = "";
	free(hidden);
}

const struct message_outcome *engine_page_hide(const struct engine_run *run, const struct message_outcome *o,
					       struct engine_page_hidden *h)
{
	const char **fields[] = {&h->o.error,        &h->o.redirect_url, &h->o.headers,
				 &h->o.content_type, &h->o.page.next,    &h->o.page.since};

	_Static_assert(sizeof fields / sizeof *fields == ENGINE_PAGE_HIDDEN, "a place for each");
	h->o = *o;
	for (size_t i = 0; i < ENGINE_PAGE_HIDDEN; i++) {
		h->owned[i] = !*fields[i] ? NULL
			      : i == 0    ? secrets_hide_cut(run->secrets, *fields[i])
					  : secrets_hide(run->secrets, *fields[i]);
		if (h->owned[i])
			*fields[i] = h->owned[i];
	}
	/* What is to be followed as a URL is judged as one, whatever the worker says of it. */
	h->o.page.next_is_url = run->recipe->page.type == PAGE_LINK || run->recipe->page.type == PAGE_NEXT_URL;
	forget_validator(run->secrets, &h->o.page.etag);
	forget_validator(run->secrets, &h->o.page.last_modified);
	return &h->o;
}

void engine_page_hidden_clear(struct engine_page_hidden *h)
{
	for (size_t i = 0; i < ENGINE_PAGE_HIDDEN; i++)
		free(h->owned[i]);
}

void engine_page_seen(struct plan_seen *seen, const struct message_page *p)
{
	seen->items = p->items;
	seen->next = p->next ? p->next : "";
	seen->next_is_url = p->next_is_url;
	seen->has_more = p->has_more;
	seen->stop = p->stop;
	seen->total_pages = p->total_pages;
	seen->total_items = p->total_items;
	seen->hash[0] = p->hash[0];
	seen->hash[1] = p->hash[1];
}

static bool is_stop_status(const struct recipe *r, int status)
{
	for (unsigned i = 0; i < r->page.stop_status_count; i++)
		if (r->page.stop_status[i] == status)
			return true;
	return false;
}

/* Nobody waits for it: it is not asked for once more. */
static bool is_needless(struct engine_run *run, uint32_t index)
{
	return run->guarded || (engine_run_ready(run) && plan_needless(run->plan, index));
}

/* A page behind the last, and a page that has not changed, are what was asked for. */
void engine_page_judge(struct engine_job *j, const struct message_outcome *o, struct verdict *v)
{
	struct engine_run *run = j->lane->batch->run;

	if (v->event == JOB_EV_AGAIN && is_needless(run, jobid_seq(j->sched.id) - 1)) {
		v->event = JOB_EV_CANCEL;
		v->next_url = NULL;
		return;
	}
	if (o->cause != CAUSE_RESPONSE || v->event == JOB_EV_CANCEL)
		return;
	if (!engine_batch_stopped_for_good(run->batch) && !engine_run_ready(run)) {
		v->event = JOB_EV_AGAIN;
		v->counts = false;
		v->due_us = clock_wall_us() + 1000000;
	} else if (is_stop_status(run->recipe, o->status) && jobid_seq(j->sched.id) > 1) {
		v->event = JOB_EV_SUCCEED;
		v->reason = REASON_NONE;
		v->past_end = true;
	} else if (o->status == 304 && v->event == JOB_EV_SUCCEED && !(j->page && j->page->base_job)) {
		engine_verdict_fail(v, REASON_HTTP_STATUS,
				    "304 Not Modified to a request without conditions: there is no page in it");
	} else if (v->event == JOB_EV_SUCCEED && o->status != 304 && !o->has_page) {
		engine_verdict_fail(v, REASON_HTTP_STATUS, "%d is no page", o->status);
	}
}

/* ---- recording it ---- */

struct page_ending {
	struct run_pages add;
	struct plan_step step;
	char guard[400];
};

static void guard(struct page_ending *p, const char *why)
{
	snprintf(p->guard, sizeof p->guard, "%s", why);
}

/* What follows from a page that has ended. */
static void follow(struct engine_job *j, const struct message_outcome *o, const struct plan_seen *seen,
		   struct page_ending *p)
{
	struct engine_run *run = j->lane->batch->run;
	struct run_source from;
	struct err e;
	int rc = 0;

	if (!engine_run_ready(run)) { /* what follows is seen when it is */
		engine_run_tell_late(run, jobid_seq(j->sched.id) - 1, seen);
		return;
	}
	run->next_public = j->from_public || !engine_known_inside(o->remote_ip);
	plan_ended(run->plan, jobid_seq(j->sched.id) - 1, seen, &p->step);
	if (p->step.guard) {
		guard(p, p->step.guard);
		return;
	}
	if (run->guarded || engine_batch_stopped_for_good(j->lane->batch))
		return;
	engine_run_source(run, &from);
	if (p->step.next)
		rc = run_pages_add(&p->add, &from, p->step.next, seen->next_is_url && run->next_public, &e);
	else if (p->step.add)
		rc = run_pages_number(&p->add, &from, run->plan, run->added, p->step.add, &e);
	if (rc < 0)
		guard(p, e.what);
	else
		engine_run_added(run, &p->add);
}

static struct plan_seen seen_of(const struct engine_job *j, const struct message_outcome *o, const struct verdict *v,
				bool reuse)
{
	struct plan_seen seen = {
	    .result = v->event != JOB_EV_SUCCEED ? PLAN_FAILED
		      : v->past_end              ? PLAN_STATUS
						 : PLAN_OK,
	    .items = -1,
	    .next = "",
	    .has_more = -1,
	    .total_pages = -1,
	    .total_items = -1,
	};

	if (reuse)
		seen = j->page->base;
	else if (o->has_page)
		engine_page_seen(&seen, &o->page);
	seen.ended_us = engine_wall_us(o->ended_us);
	seen.url = j->url;
	return seen;
}

/* The job, and its batch with the run, live until it is freed here. */
static void on_page_ended(struct store_op *op, const struct err *e)
{
	struct engine_job *j = ENGINE_JOB_OF(op);
	struct engine_batch *b = j->lane->batch;
	struct engine_run *run = b->run;
	uint32_t cancel_from = j->cancel_from;
	char *why = j->guard;

	j->guard = NULL;
	if (e) {
		engine_run_unready(run); /* what was planned with it did not happen */
		/* The stored page is gone: it is asked for again without conditions. */
		if (e->code == ERR_CONFLICT && j->op.page.reuse) {
			free(why);
			engine_page_free(j->page);
			j->page = NULL;
			engine_settle_as(j, CAUSE_STORAGE, true, false,
					 "304 Not Modified, and the page of the earlier run was removed meanwhile");
			j->en->ending--;
			return;
		}
	} else if (why) {
		run->guarded = true;
		engine_run_cancel_from(run, 0);
	} else {
		if (cancel_from != UINT32_MAX)
			engine_run_cancel_from(run, cancel_from);
		engine_run_add_more(run);
	}
	free(why);
	engine_job_ended(op, e);
}

void engine_page_end(struct engine_job *j, const struct message_outcome *o, const struct verdict *v)
{
	struct store_page_end *end = &j->op.page; /* its first part is filled in */
	struct page_ending p = {.step.cancel_from = UINT32_MAX};
	bool final = job_state_final(end->end.next);
	bool reuse = final && v->event == JOB_EV_SUCCEED && o->status == 304;

	end->end.op.done = on_page_ended;
	end->page_ended = final;
	end->page = final && o->has_page ? &o->page : NULL;
	end->past_end = v->past_end;
	end->reuse = reuse;
	end->guard = NULL;
	end->add = NULL;
	end->add_count = 0;
	j->cancel_from = UINT32_MAX;
	if (final && end->end.next != JOB_CANCELLED) {
		struct plan_seen seen = seen_of(j, o, v, reuse);

		follow(j, o, &seen, &p);
		end->add = run_pages_get(&p.add);
		end->add_count = p.add.count;
		j->cancel_from = p.step.cancel_from;
		if (p.guard[0]) {
			j->guard = need(strdup(p.guard));
			end->guard = j->guard;
		}
	}
	store_page_end(j->en->store, end);
	run_pages_clear(&p.add);
}
