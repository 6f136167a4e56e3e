/* The record of one host as NDJSON: every attempt that was sent, read from the store in steps, each when the client has
 * taken the one before. A limit is shared by all users, and so is its record: it has the numbers of their jobs, and
 * nothing else of them. */
#define _GNU_SOURCE 1

#include <ctype.h>
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/api.h"
#include "daemon/api_stream.h"
#include "daemon/engine_run.h"
#include "daemon/render.h"
#include "lib/clock.h"
#include "lib/units.h"
#include "lib/url.h"

#define STEP_ROWS   2000
#define RULES_SHOWN 64

struct audit {
	struct api_stream stream;
	struct store_audit op;
	char host[URL_KEY_SIZE];
	struct store_batch_get batch;     /* the last that was looked at */
	char own[ENGINE_PULL_LIMIT_SIZE]; /* the rate of its pull, or its own; "": none */
};

#define OF(p, member) ((struct audit *)((char *)(p)-offsetof(struct audit, member)))

/* ---- rows ---- */

/* The rate of a pull is its runs' own, and a batch may have one: it is found by the batch, and not by the host. Rows
 * come batch by batch. */
static void on_batch(struct store_batch_get *g, const struct store_batch *b)
{
	struct audit *v = OF(g, batch);
	struct rate rate = api_batch_rate(b);

	api_pull_limit(b, &rate, v->own);
	if (rate.count && !b->run)
		engine_batch_limit_name(v->own, b->id);
}

static void on_batch_read(struct store_op *op, const struct err *e)
{
	(void)op;
	(void)e; /* it is being removed: then its rate is not told */
}

static const char *own_limit(struct audit *v, uint32_t batch)
{
	if (v->batch.batch == batch)
		return v->own;
	v->own[0] = '\0';
	v->batch = (struct store_batch_get){.op.done = on_batch_read, .batch = batch, .on_row = on_batch};
	store_batch_get(api_store(v->stream.api), &v->batch);
	return v->own;
}

static json_t *rules_of(struct audit *v, uint32_t batch, const char *url)
{
	const char *own = own_limit(v, batch);
	const struct rules *rules = engine_rules(api_engine(v->stream.api));
	char *target = url_target(url);
	unsigned which[RULES_SHOWN], n = rules_select(rules, v->host, target, which, RULES_SHOWN);
	json_t *names = json_array();

	for (unsigned i = 0; i < n && i < RULES_SHOWN; i++)
		json_array_append_new(names, render_text(rules_get(rules, which[i])->name));
	if (*own)
		json_array_append_new(names, render_text(own));
	free(target);
	return names;
}

static void on_row(struct store_audit *op, const struct store_audit_row *row)
{
	struct audit *v = OF(op, op);
	bool open = row->counted_boot_us == INT64_MAX;
	char job[JOBID_TEXT_SIZE];
	json_t *o = json_object();

	render_set(o, "job", json_string_nocheck(jobid_format(job, row->job)));
	render_set(o, "attempt", json_integer(row->n));
	render_set(o, "boot", row->unsent ? json_null() : json_integer(row->boot));
	render_set(o, "sent_us", row->unsent ? json_null() : json_integer(row->sent_boot_us));
	render_set(o, "counted_us", open || row->unsent ? json_null() : json_integer(row->counted_boot_us));
	render_set(o, row->unsent ? "began_at" : "sent_at", render_time(row->sent_us));
	render_set(o, "status", row->status ? json_integer(row->status) : json_null());
	render_set(o, "refused", json_boolean(row->refused));
	render_set(o, "limits", rules_of(v, jobid_batch(row->job), row->url));
	render_write(v->stream.out, o, true);
}

static void go(struct http_request *r)
{
	struct audit *v = http_state(r);

	if (evbuffer_get_length(v->stream.out))
		http_stream_chunk(r, v->stream.out, go);
	else if (v->op.more)
		v->stream.step(r);
	else
		api_stream_end(&v->stream);
}

static void on_step(struct store_op *op, const struct err *e)
{
	struct audit *v = OF(op, op.op);

	if (!api_stream_read(&v->stream, e))
		return;
	v->op.after = v->op.last;
	api_stream_send(&v->stream);
}

static void step(struct http_request *r)
{
	struct audit *v = http_state(r);

	v->stream.reading = true;
	store_audit(api_store(v->stream.api), &v->op);
}

static void audit_free(struct api_stream *s)
{
	free(s);
}

/* ---- the request ---- */

/* Behind the date and time: a fraction, and Z or an offset (RFC 3339, section 5.6). */
static int read_rest(const char *p, int64_t *fraction_us, int64_t *offset_us)
{
	int64_t unit = 100000;
	unsigned hours, minutes;
	int used = 0;

	*fraction_us = *offset_us = 0;
	if (*p == '.' && isdigit((unsigned char)p[1]))
		for (p++; isdigit((unsigned char)*p); p++, unit /= 10)
			*fraction_us += (*p - '0') * unit;
	if (strcmp(p, "Z") == 0 || strcmp(p, "z") == 0)
		return 0;
	if ((*p != '+' && *p != '-') || sscanf(p + 1, "%2u:%2u%n", &hours, &minutes, &used) != 2 || used != 5 || p[6])
		return -1;
	*offset_us = (int64_t)(hours * 60 + minutes) * 60000000 * (*p == '-' ? -1 : 1);
	return 0;
}

static int parse_time(const char *text, int64_t *wall_us)
{
	struct tm tm = {0};
	const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t fraction, offset;

	if (!rest || read_rest(rest, &fraction, &offset))
		return -1;
	*wall_us = (int64_t)timegm(&tm) * 1000000 + fraction - offset;
	return 0;
}

/* A time, or a duration back from now. */
static int read_when(struct http_request *r, const char *name, int64_t missing, int64_t *wall_us, struct err *e)
{
	const char *text = http_query(r, name);
	int64_t back;

	*wall_us = missing;
	if (!text || parse_time(text, wall_us) == 0)
		return 0;
	if (units_parse_duration_us(text, &back, NULL))
		return err_set(e, ERR_INPUT, "write 2026-01-02T03:04:05Z, or 2h for two hours ago",
			       "%s=%.60s is neither a time nor a duration", name, text);
	*wall_us = clock_wall_us() - back;
	return 0;
}

static int read_span(struct http_request *r, struct audit *v, struct err *e)
{
	if (api_query_host(r, v->host, e) || read_when(r, "since", 0, &v->op.from_us, e) ||
	    read_when(r, "until", INT64_MAX, &v->op.until_us, e))
		return -1;
	if (!v->host[0])
		return err_set(e, ERR_INPUT, "add ?host=HOST:PORT", "the host is missing");
	if (v->op.from_us >= v->op.until_us)
		return err_set(e, ERR_INPUT, NULL, "since is not before until");
	return 0;
}

void api_audit(struct http_request *r)
{
	struct audit *v;
	int64_t unsent;
	struct err e;

	if (api_refuse_stopped(r))
		return;
	v = api_alloc(sizeof *v);
	if (read_span(r, v, &e) || api_query_number(r, "unsent", 0, 1, 0, &unsent, &e) < 0 ||
	    !api_stream_enter(http_arg(r), &e)) {
		http_problem(r, &e);
		free(v);
		return;
	}
	v->op.op.done = on_step;
	v->op.host = v->host;
	v->op.limit = STEP_ROWS;
	v->op.unsent = unsent;
	v->op.on_row = on_row;
	v->stream = (struct api_stream){.broken = "audit broken off", .step = step, .go = go, .free = audit_free};
	api_stream_start(&v->stream, r);
}
