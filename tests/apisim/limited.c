/* /limit/NAME/...: an API that keeps a strict limit, behind a network that is never twice as fast.
 *
 * A request travels (jitter-in) to the counter, is counted and taken or refused there, and its answer travels back
 * (jitter-out). What is on its way arrives even when the client has hung up meanwhile, as it would in a network. Knows
 * nothing of the other routes but that what follows NAME may be one of them. */
#include "tests/apisim/limited.h"

#include <event2/http.h>
#include <stdlib.h>
#include <string.h>

#include "tests/apisim/handlers.h"
#include "tests/apisim/options.h"
#include "tests/apisim/routes.h"

#define PREFIX "/limit/"

static struct limited *all;

/* One request on its way. */
struct flight {
	struct limited *limited;
	struct request *req; /* NULL: the client is gone */
	const char *path;    /* the route that answers once it is taken; in the request */
	char *target;
	int64_t received_us;
	size_t index; /* of its arrival, once counted */
	unsigned generation;
	bool counted;
};

/* ---- The limits ---- */

static struct limited *limited_find(const char *name, size_t length)
{
	struct limited *l;

	HASH_FIND(hh, all, name, length, l);
	return l;
}

static void limited_forget(struct limited *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->seen[i].target);
	l->count = l->taken = 0;
	l->generation++;
	l->random = l->set.seed;
	window_clear(&l->set.window);
}

int limited_configure(const char *name, const struct evkeyvalq *options, char *why, size_t size)
{
	struct limited *l = limited_find(name, strlen(name));
	struct limited_options set;

	if (limited_read_options(options, &set, why, size) < 0)
		return -1;
	if (l) {
		limited_forget(l);
	} else {
		l = calloc(1, sizeof *l + strlen(name) + 1);
		memcpy(l->name, name, strlen(name));
		HASH_ADD_KEYPTR(hh, all, l->name, strlen(l->name), l);
	}
	l->set = set;
	l->random = set.seed;
	return 0;
}

int limited_configure_text(const char *text, char *why, size_t size)
{
	struct evkeyvalq options;
	char *name = options_split(text, &options);
	const int result = limited_configure(name, &options, why, size);

	evhttp_clear_headers(&options);
	free(name);
	return result;
}

/* ---- Counting ---- */

static void note_arrival(struct flight *f, bool taken, int64_t now_us)
{
	struct limited *l = f->limited;

	if (l->count == l->room) {
		l->room = l->room ? 2 * l->room : 256;
		l->seen = realloc(l->seen, l->room * sizeof *l->seen);
	}
	f->index = l->count;
	f->generation = l->generation;
	l->seen[l->count++] =
	    (struct arrival){.received_us = f->received_us, .counted_us = now_us, .taken = taken, .target = f->target};
	f->target = NULL;
	l->taken += taken;
}

static void flight_free(struct flight *f)
{
	free(f->target);
	free(f);
}

static void answer_taken(struct request *req)
{
	const struct flight *f = req->flight;
	struct limited *l = f->limited;

	limited_add_headers(l, req, true);
	if (!routes_answer(req, f->path))
		reply_json(req, 200, json_pack("{ss sI}", "limit", l->name, "accepted", (json_int_t)l->taken));
}

static void answer_refused(struct request *req)
{
	struct limited *l = ((struct flight *)req->flight)->limited;

	limited_add_headers(l, req, false);
	reply_json(req, l->set.code, json_pack("{ss ss}", "limit", l->name, "message", "too many requests"));
}

static void on_counter(void *arg)
{
	struct flight *f = arg;
	struct limited *l = f->limited;
	const int64_t now_us = server_now_us();
	const bool first = (int64_t)l->count < l->set.refuse_first;
	const bool taken = !first && window_count(&l->set.window, now_us);
	const double back_s = jitter_draw(&l->set.out, &l->random);

	f->counted = true;
	note_arrival(f, taken, now_us);
	if (!f->req)
		flight_free(f);
	else if (back_s > 0)
		request_after(f->req, back_s, taken ? answer_taken : answer_refused);
	else
		(taken ? answer_taken : answer_refused)(f->req);
}

static void depart(struct limited *l, struct request *req, const char *path)
{
	struct flight *f = calloc(1, sizeof *f);
	const double there_s = jitter_draw(&l->set.in, &l->random);

	f->limited = l;
	f->req = req;
	f->path = path;
	f->target = strdup(req->target);
	f->received_us = req->arrived_us;
	req->flight = f;
	if (there_s > 0)
		server_after(there_s, on_counter, f);
	else
		on_counter(f);
}

bool limited_pass(struct request *req, const char *name, const char *path)
{
	struct limited *l = limited_find(name, strlen(name));

	if (l)
		depart(l, req, path);
	return l;
}

void limited_on_done(struct request *req, bool answered)
{
	struct flight *f = req->flight;

	if (!f)
		return;
	req->flight = NULL;
	f->req = NULL;
	if (!f->counted)
		return; /* it is on its way, and arrives */
	if (answered && f->generation == f->limited->generation)
		f->limited->seen[f->index].answered_us = server_now_us();
	flight_free(f);
}

/* ---- Routes ---- */

static void limited_put(struct request *req)
{
	char why[OPTION_WHY_BYTES];

	if (limited_configure(req->rest, &req->query, why, sizeof why) < 0)
		reply_text(req, 400, "%s\n", why);
	else
		reply(req, 204, NULL, "", 0);
}

static void limited_control(struct request *req)
{
	struct limited *l = limited_find(req->rest, strlen(req->rest));

	if (strcmp(req->method, "PUT") == 0) {
		limited_put(req);
	} else if (!l) {
		reply_text(req, 404, "no limit %.100s: PUT it first\n", req->rest);
	} else if (strcmp(req->method, "DELETE") == 0) {
		limited_forget(l);
		reply(req, 204, NULL, "", 0);
	} else {
		const double window_s = request_number(req, "window", (double)l->set.window.length_us / 1e6);

		reply_json(req, 200,
			   limited_statistics(l, (int64_t)(window_s * 1e6 + 0.5), request_query(req, "list") != NULL));
	}
}

void limited_handle(struct request *req)
{
	const char *slash = strchr(req->rest, '/');
	struct limited *l;

	if (!slash) {
		limited_control(req);
		return;
	}
	l = limited_find(req->rest, (size_t)(slash - req->rest));
	if (!l || req->flight)
		reply_text(req, 404, l ? "a limit in a limit\n" : "no such limit: PUT it first\n");
	else
		depart(l, req, strchr(req->path + strlen(PREFIX), '/'));
}

void limited_jitter(struct request *req)
{
	uint64_t state = (uint64_t)request_number(req, "seed", 1);
	const int n = (int)request_number(req, "n", 1000);
	json_t *draws = json_array();
	struct jitter j;

	if (jitter_parse(req->rest, &j) < 0) {
		json_decref(draws);
		reply_text(req, 400, "no distribution: %.100s\n", req->rest);
		return;
	}
	for (int i = 0; i < n; i++)
		json_array_append_new(draws, json_real(jitter_draw(&j, &state)));
	reply_json(req, 200, json_pack("{so}", "draws", draws));
}
