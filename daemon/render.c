/* Structs to JSON: batches and attempts. */
#define _GNU_SOURCE 1

#include "daemon/render_private.h"
#include "daemon/store_pull.h"

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/reals.h"

void render_set(json_t *o, const char *name, json_t *value)
{
	if (json_object_set_new_nocheck(o, name, value))
		BUG("out of memory for an answer");
}

static json_t *number_or_null(int64_t n)
{
	return n ? json_integer(n) : json_null();
}

json_t *render_time(int64_t wall_us)
{
	char text[CLOCK_RFC3339_SIZE];

	return wall_us ? json_string_nocheck(clock_format_rfc3339(text, wall_us)) : json_null();
}

/* Servers and users write what they like; what goes out is always UTF-8. */
static json_t *repaired(const char *s)
{
	char *copy = strdup(s);
	json_t *text;

	if (!copy)
		BUG("out of memory for an answer");
	for (char *p = copy; *p; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	text = json_string_nocheck(copy);
	free(copy);
	return text;
}

json_t *render_text(const char *s)
{
	json_t *text;

	if (!s || !s[0])
		return json_null();
	text = json_string(s);
	return text ? text : repaired(s);
}

/* ---- batches ---- */

/* Of a run the verdict counts: pages behind its end may have been cancelled or have failed, and all may have ended well
 * and one be missing. */
static const char *run_batch_state(const struct store_batch *b)
{
	static const char *const by_verdict[RUN_VERDICTS] = {
	    [RUN_OPEN] = "running",  [RUN_COMPLETE] = "done",       [RUN_INCOMPLETE] = "failed",
	    [RUN_FAILED] = "failed", [RUN_CANCELLED] = "cancelled", [RUN_PARTIAL] = "done",
	};

	if (b->paused && !b->ended_us)
		return "paused";
	if (b->run_state == RUN_WAITING && !b->ended_us)
		return run_state_name(RUN_WAITING);
	return by_verdict[b->run_verdict];
}

const char *render_batch_state(const struct store_batch *b)
{
	static const char *const sweeping[] = {
	    [STORE_SWEEP_CANCEL] = "cancelling",
	    [STORE_SWEEP_RETRY] = "retrying",
	    [STORE_SWEEP_REMOVE] = "removing",
	    [STORE_SWEEP_FAIL] = "failing",
	};

	if (b->sweep != STORE_SWEEP_NONE)
		return sweeping[b->sweep];
	if (b->run)
		return run_batch_state(b);
	if (b->ended_us)
		return b->counts[JOB_FAILED] ? "failed" : b->counts[JOB_CANCELLED] ? "cancelled" : "done";
	if (b->paused)
		return "paused";
	if (!b->closed)
		return b->held ? "held" : "open";
	return "running";
}

int64_t render_eta_us(const struct store_batch *b, int64_t quiet_us, int64_t now_us)
{
	int64_t left = b->counts[JOB_BLOCKED] + b->counts[JOB_QUEUED] + b->counts[JOB_RUNNING];
	int64_t ended = b->counts[JOB_DONE] + b->counts[JOB_FAILED];
	int64_t elapsed = now_us - b->active_from_us, left_us;

	if (b->ended_us || b->sweep != STORE_SWEEP_NONE || b->paused || (b->held && !b->closed) || ended == 0 ||
	    left == 0 || elapsed <= 0)
		return 0;
	left_us = (int64_t)((double)elapsed / (double)ended * (double)left);
	return now_us + (left_us > quiet_us ? left_us : quiet_us);
}

static json_t *counts(const int64_t *n)
{
	json_t *o = json_object();

	for (int s = 0; s < JOB_STATES; s++)
		render_set(o, job_state_name((enum job_state)s), json_integer(n[s]));
	return o;
}

json_t *render_batch(const struct store_batch *b, int64_t eta_us)
{
	int64_t active_us = (b->ended_us ? b->ended_us : clock_wall_us()) - b->active_from_us;
	json_t *o = json_object();

	render_set(o, "batch", json_integer(b->id));
	render_set(o, "name", render_text(b->name));
	render_set(o, "key", render_text(b->key));
	render_set(o, "state", json_string_nocheck(render_batch_state(b)));
	render_set(o, "uid", json_integer(b->uid));
	render_set(o, "priority", json_integer(b->priority));
	render_set(o, "concurrency", number_or_null(b->concurrency));
	render_set(o, "run", json_boolean(b->run));
	render_set(o, "verdict",
		   b->run ? render_text(run_verdict_name((enum run_verdict)b->run_verdict)) : json_null());
	render_set(o, "paused", json_boolean(b->paused));
	render_set(o, "closed", json_boolean(b->closed));
	render_set(o, "counts", counts(b->counts));
	render_set(o, "submitted_at", render_time(b->submitted_us));
	render_set(o, "ended_at", render_time(b->ended_us));
	render_set(o, "active_us", json_integer(active_us > 0 ? active_us : 0)); /* the wall clock may be set back */
	render_set(o, "eta", render_time(eta_us));
	return o;
}

/* ---- attempts ---- */

const char *render_http_version(int v)
{
	return v == 10 ? "1.0" : v == 11 ? "1.1" : v == 20 ? "2" : NULL;
}

static json_t *timings(int64_t queued_us, int64_t limited_us, const struct timings *t)
{
	json_t *o = json_object();

	render_set(o, "queued_us", json_integer(queued_us));
	render_set(o, "limited_us", json_integer(limited_us));
	render_set(o, "dns_us", json_integer(t->dns_us));
	render_set(o, "connect_us", json_integer(t->connect_us));
	render_set(o, "tls_us", json_integer(t->tls_us));
	render_set(o, "send_us", json_integer(t->send_us));
	render_set(o, "wait_us", json_integer(t->wait_us));
	render_set(o, "receive_us", json_integer(t->receive_us));
	render_set(o, "total_us", json_integer(t->total_us));
	return o;
}

json_t *render_attempt(const struct store_attempt *a)
{
	json_t *o = json_object();

	render_set(o, "attempt", json_integer(a->n));
	render_set(o, "cause", a->ended_us ? json_string_nocheck(cause_name(a->cause)) : json_null());
	render_set(o, "status", number_or_null(a->status));
	render_set(o, "http_version", render_text(render_http_version(a->http_version)));
	render_set(o, "url", render_text(a->url));
	render_set(o, "remote_ip", render_text(a->remote_ip));
	render_set(o, "started_at", render_time(a->started_us));
	render_set(o, "first_byte_at", render_time(a->first_byte_us));
	render_set(o, "ended_at", render_time(a->ended_us));
	render_set(o, "size", json_integer(a->size_bytes));
	render_set(o, "wire_size", json_integer(a->wire_bytes));
	render_set(o, "content_type", render_text(a->content_type));
	render_set(o, "error", render_text(a->error));
	render_set(o, "headers", render_text(a->headers));
	render_set(o, "timings", timings(a->queued_us, a->limited_us, &a->timings));
	return o;
}

/* ---- writing ---- */

/* The text of `json`, whose reference is dropped, with room for one more byte; good until the next call. */
static char *dump(json_t *json, size_t *n)
{
	static char *scratch; /* one thread, and it is copied at once */
	static size_t room;

	size_t flags = JSON_COMPACT | reals_precision(json);

	*n = json_dumpb(json, scratch, room ? room - 1 : 0, flags);
	if (*n == 0)
		BUG("an answer is no JSON");
	if (*n + 1 > room) {
		room = *n + 1 + *n / 2;
		scratch = realloc(scratch, room);
		if (!scratch)
			BUG("out of memory for an answer");
		json_dumpb(json, scratch, room - 1, flags);
	}
	json_decref(json);
	return scratch;
}

void render_write(struct evbuffer *out, json_t *json, bool newline)
{
	size_t n;
	char *text = dump(json, &n);

	if (newline)
		text[n++] = '\n';
	evbuffer_add(out, text, n);
}
