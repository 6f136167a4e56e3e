/* Batches: reading them, listing them, the owner's words (close, cancel, retry, pause, resume, remove), waiting. */
#define _GNU_SOURCE 1

#include <stdlib.h>

#include "daemon/api.h"
#include "daemon/engine.h"
#include "daemon/watch.h"
#include "lib/units.h"

#define WAIT_MAX_US  (INT64_C(3600) * 1000000)
#define LIST_DEFAULT 50
#define LIST_MAX     1000

/* ---- reading ---- */

static void reply_batch(struct http_request *r, const struct api_batch *b)
{
	api_reply_batch(r, b);
}

void api_batch_get(struct http_request *r)
{
	api_with_batch(r, (uint32_t)http_id(r), 0, reply_batch);
}

struct listing {
	struct store_batch_list list;
	struct http_request *r;
	json_t *batches;
	size_t wanted;
	bool more;
	uint32_t last;
};

static void on_listed(struct store_batch_list *list, const struct store_batch *b)
{
	struct listing *l = (struct listing *)list;
	struct rate rate;

	if (json_array_size(l->batches) == l->wanted) {
		l->more = true;
		return;
	}
	rate = api_batch_rate(b);
	json_array_append_new(l->batches, api_render_batch(http_arg(l->r), b, &rate));
	l->last = b->id;
}

static void on_list_end(struct store_op *op, const struct err *e)
{
	struct listing *l = (struct listing *)op;

	if (e) {
		http_problem(l->r, e);
		json_decref(l->batches);
	} else {
		json_t *o = json_object();

		json_object_set_new(o, "batches", l->batches);
		json_object_set_new(o, "next", l->more ? json_integer(l->last) : json_null());
		api_reply_json(l->r, 200, o);
	}
	free(l);
}

void api_batch_list(struct http_request *r)
{
	struct api *a = http_arg(r);
	int64_t before, limit;
	struct listing *l;
	struct err e;

	if (api_query_number(r, "before", 1, JOBID_BATCH_MAX, 0, &before, &e) ||
	    api_query_number(r, "limit", 1, LIST_MAX, LIST_DEFAULT, &limit, &e)) {
		http_problem(r, &e);
		return;
	}
	l = api_alloc(sizeof *l);
	l->list.op.done = on_list_end;
	l->list.uid = api_admin(a, http_uid(r)) ? -1 : (int64_t)http_uid(r);
	l->list.before = (uint32_t)before;
	l->list.limit = (size_t)limit + 1; /* one more tells whether there is a next page */
	l->list.on_row = on_listed;
	l->r = r;
	l->batches = json_array();
	l->wanted = (size_t)limit;
	store_batch_list(api_store(a), &l->list);
}

/* ---- the owner's words ---- */

struct marking {
	struct store_batch_mark mark;
	struct http_request *r;
};

static void on_marked(struct store_op *op, const struct err *e)
{
	struct marking *m = (struct marking *)op;

	if (e)
		http_problem(m->r, e);
	else if (m->mark.mark == STORE_MARK_REMOVE)
		api_reply_json(m->r, 200, json_pack("{s:I,s:b}", "batch", (json_int_t)m->mark.batch, "removed", 1));
	else
		api_with_batch(m->r, m->mark.batch, 0, reply_batch);
	free(m);
}

static struct marking *marking_create(struct http_request *r, uint32_t batch, enum store_mark what)
{
	struct marking *m = api_alloc(sizeof *m);

	m->mark.op.done = on_marked;
	m->mark.batch = batch;
	m->mark.mark = what;
	m->r = r;
	return m;
}

static void mark(struct http_request *r, uint32_t batch, enum store_mark what)
{
	struct marking *m = marking_create(r, batch, what);

	engine_batch_mark(api_engine(http_arg(r)), &m->mark);
}

static void close_it(struct http_request *r, const struct api_batch *b)
{
	mark(r, b->row.id, STORE_MARK_CLOSE);
}

static void cancel_it(struct http_request *r, const struct api_batch *b)
{
	mark(r, b->row.id, STORE_MARK_CANCEL);
}

static void retry_it(struct http_request *r, const struct api_batch *b)
{
	struct marking *m;
	enum job_reason left_out;
	struct err e;

	if (api_query_left_out(r, &left_out, &e) < 0) {
		http_problem(r, &e);
		return;
	}
	m = marking_create(r, b->row.id, STORE_MARK_RETRY);
	m->mark.reason = left_out;
	engine_batch_mark(api_engine(http_arg(r)), &m->mark);
}

static void pause_it(struct http_request *r, const struct api_batch *b)
{
	mark(r, b->row.id, STORE_MARK_PAUSE);
}

static void resume_it(struct http_request *r, const struct api_batch *b)
{
	mark(r, b->row.id, STORE_MARK_RESUME);
}

static void remove_it(struct http_request *r, const struct api_batch *b)
{
	mark(r, b->row.id, STORE_MARK_REMOVE);
}

static void with_batch(struct http_request *r, void (*then)(struct http_request *r, const struct api_batch *b))
{
	if (!api_refuse_draining(r))
		api_with_batch(r, (uint32_t)http_id(r), 0, then);
}

void api_batch_close(struct http_request *r)
{
	with_batch(r, close_it);
}

void api_batch_cancel(struct http_request *r)
{
	with_batch(r, cancel_it);
}

void api_batch_retry(struct http_request *r)
{
	with_batch(r, retry_it);
}

void api_batch_pause(struct http_request *r)
{
	with_batch(r, pause_it);
}

void api_batch_resume(struct http_request *r)
{
	with_batch(r, resume_it);
}

void api_batch_remove(struct http_request *r)
{
	with_batch(r, remove_it);
}

/* ---- waiting ---- */

struct wait {
	struct watcher watcher;
	struct http_request *r;
	struct api *api;
};

static void wait_end(struct wait *w)
{
	watch_remove(api_watch(w->api), &w->watcher);
	api_stream_leave(w->api);
	http_on_gone(w->r, NULL);
	free(w);
}

static void on_wait_over(struct http_request *r)
{
	struct wait *w = http_state(r);
	uint32_t batch = w->watcher.batch;

	wait_end(w);
	api_with_batch(r, batch, 0, reply_batch);
}

static void on_wait_gone(struct http_request *r)
{
	wait_end(http_state(r));
	http_reply(r, 200, "application/json", NULL); /* to nobody */
}

/* In the middle of the store's news: the reading comes in the next turn. */
static void on_wait_wake(struct watcher *who, bool ended)
{
	struct wait *w = (struct wait *)who;

	if (ended)
		http_defer(w->r, on_wait_over);
}

static int read_timeout(struct http_request *r, int64_t *us, struct err *e)
{
	const char *text = http_query(r, "timeout");
	struct err why;

	*us = WAIT_MAX_US;
	if (!text)
		return 0;
	if (units_parse_duration_us(text, us, &why))
		return err_set(e, ERR_INPUT, why.hint, "timeout: %.380s", why.what);
	if (*us > WAIT_MAX_US)
		*us = WAIT_MAX_US;
	return 0;
}

static void begin_wait(struct http_request *r, const struct api_batch *b)
{
	struct api *a = http_arg(r);
	struct wait *w;
	int64_t us;
	struct err e;

	if (read_timeout(r, &us, &e)) {
		http_problem(r, &e);
		return;
	}
	if (b->row.ended_us || us == 0) {
		api_reply_batch(r, b);
		return;
	}
	if (!api_stream_enter(a, &e)) {
		http_problem(r, &e);
		return;
	}
	w = api_alloc(sizeof *w);
	w->watcher.batch = b->row.id;
	w->watcher.wake = on_wait_wake;
	w->r = r;
	w->api = a;
	watch_add(api_watch(a), &w->watcher);
	http_set_state(r, w);
	if (http_gone(r)) {
		on_wait_gone(r);
		return;
	}
	http_on_gone(r, on_wait_gone);
	http_defer_after(r, us, on_wait_over);
}

void api_batch_wait(struct http_request *r)
{
	api_with_batch(r, (uint32_t)http_id(r), 0, begin_wait);
}
