/* Server-sent events: each job of a batch as it ends, the past first, then the batch's own end. The stream reads the
 * store's record of events from where it is, whenever it is woken and the client has taken what was sent before; so a
 * slow reader holds nothing, and one that was cut off goes on with Last-Event-ID. */
#define _GNU_SOURCE 1

#include <errno.h>
#include <event2/buffer.h>
#include <stdlib.h>

#include "daemon/api.h"
#include "daemon/render.h"
#include "daemon/watch.h"
#include "lib/log.h"

#define PAGE_EVENTS 128
#define BEAT_US     INT64_C(15000000)

struct events {
	struct watcher watcher;
	struct store_events op;
	struct store_batch_get get;
	struct http_request *r; /* NULL: the client went away while the store was reading */
	struct api *api;
	struct evbuffer *out;
	bool reading; /* the store is at it */
	bool sending; /* a chunk is on its way to the client */
	bool again;   /* woken meanwhile */
	bool check;   /* the batch may have ended */
	bool over;    /* the last event is in `out` */
};

static void go(struct http_request *r);

#define OF(op, member) ((struct events *)((char *)(op)-offsetof(struct events, member)))

/* ---- life ---- */

static void events_free(struct events *v)
{
	evbuffer_free(v->out);
	free(v);
}

static void detach(struct events *v)
{
	watch_remove(api_watch(v->api), &v->watcher);
	api_stream_leave(v->api);
	v->r = NULL;
}

static void on_gone(struct http_request *r)
{
	struct events *v = http_state(r);

	detach(v);
	if (!v->reading)
		events_free(v);
	http_stream_end(r);
}

static void end(struct http_request *r)
{
	struct events *v = http_state(r);

	detach(v);
	events_free(v);
	http_stream_end(r);
}

static void fail(struct events *v, const struct err *e)
{
	struct http_request *r = v->r;

	log_warn("events broken off", "why=\"%s\"", e->what);
	detach(v);
	events_free(v);
	http_stream_break(r);
}

/* ---- sending ---- */

static void on_written(struct http_request *r)
{
	struct events *v = http_state(r);

	v->sending = false;
	if (v->over)
		end(r);
	else
		go(r);
}

static void send_out(struct events *v)
{
	v->sending = true;
	http_stream_chunk(v->r, v->out, on_written);
}

/* Keeps proxies and clients from taking the silence for an end. */
static void beat(struct http_request *r)
{
	struct events *v = http_state(r);

	evbuffer_add_printf(v->out, ":\n\n");
	send_out(v);
}

/* ---- reading ---- */

static void on_event(struct store_events *op, uint64_t event, const struct store_result *row)
{
	struct events *v = OF(op, op);

	evbuffer_add_printf(v->out, "id: %llu\nevent: job\ndata: ", (unsigned long long)event);
	render_row(v->out, row);
	evbuffer_add(v->out, "\n", 1);
}

static void on_batch(struct store_batch_get *g, const struct store_batch *b)
{
	struct events *v = OF(g, get);
	const struct rate none = {0}; /* nothing is forecast of a batch that has ended */

	if (!b->ended_us)
		return;
	evbuffer_add_printf(v->out, "event: batch\ndata: ");
	render_write(v->out, api_render_batch(v->api, b, &none), true);
	evbuffer_add(v->out, "\n", 1);
	v->over = true;
}

/* True when the stream has gone on, or ended, because of how a reading ended. */
static bool settle(struct events *v, const struct err *e)
{
	v->reading = false;
	if (!v->r) {
		events_free(v);
		return true;
	}
	if (e) {
		fail(v, e);
		return true;
	}
	if (evbuffer_get_length(v->out)) {
		send_out(v);
		return true;
	}
	return false;
}

static void on_checked(struct store_op *op, const struct err *e)
{
	struct events *v = OF(op, get.op);

	if (settle(v, e))
		return;
	if (v->again)
		http_defer(v->r, go);
	else
		http_defer_after(v->r, BEAT_US, beat);
}

static void check_batch(struct events *v)
{
	v->check = false;
	v->reading = true;
	store_batch_get(api_store(v->api), &v->get);
}

static void on_page(struct store_op *op, const struct err *e)
{
	struct events *v = OF(op, op.op);

	v->op.after = v->op.last;
	if (settle(v, e))
		return;
	if (v->op.more || v->again)
		http_defer(v->r, go);
	else if (v->check)
		check_batch(v);
	else
		http_defer_after(v->r, BEAT_US, beat);
}

static void go(struct http_request *r)
{
	struct events *v = http_state(r);

	v->again = false;
	v->reading = true;
	store_events(api_store(v->api), &v->op);
}

/* In the middle of the store's news: the reading comes in the next turn. */
static void on_wake(struct watcher *who, bool ended)
{
	struct events *v = (struct events *)who;

	v->check |= ended;
	if (v->reading)
		v->again = true;
	else if (!v->sending)
		http_defer(v->r, go);
}

/* ---- the request ---- */

static int read_last_id(const struct http_request *r, uint64_t *id, struct err *e)
{
	const char *text = http_header(r, "Last-Event-ID");
	char *rest;

	*id = 0;
	if (!text)
		return 0;
	errno = 0;
	*id = strtoull(text, &rest, 10);
	if (text[0] < '0' || text[0] > '9' || *rest || errno || *id > INT64_MAX)
		return err_set(e, ERR_INPUT, "send the id of the last event that came",
			       "Last-Event-ID is no event's id: %.40s", text);
	return 0;
}

static void begin(struct http_request *r, const struct api_batch *b)
{
	struct api *a = http_arg(r);
	struct events *v;
	uint64_t last;
	struct err e;

	if (read_last_id(r, &last, &e) || !api_stream_enter(a, &e)) {
		http_problem(r, &e);
		return;
	}
	v = api_alloc(sizeof *v);
	v->watcher.batch = v->op.batch = v->get.batch = b->row.id;
	v->watcher.wake = on_wake;
	v->op.op.done = on_page;
	v->op.after = v->op.last = last;
	v->op.limit = PAGE_EVENTS;
	v->op.on_row = on_event;
	v->get.op.done = on_checked;
	v->get.on_row = on_batch;
	v->check = true;
	v->r = r;
	v->api = a;
	v->out = evbuffer_new();
	watch_add(api_watch(a), &v->watcher);
	http_set_state(r, v);
	if (http_gone(r)) {
		on_gone(r);
		return;
	}
	http_stream_begin(r, "text/event-stream");
	if (http_head(r)) {
		end(r);
		return;
	}
	http_on_gone(r, on_gone);
	go(r);
}

void api_events(struct http_request *r)
{
	api_with_batch(r, (uint32_t)http_id(r), 0, begin);
}
