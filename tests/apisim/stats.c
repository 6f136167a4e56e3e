/* What was seen: requests in all, by path and by host, open ones, and the peaks of those. */
#include <string.h>

#include "tests/apisim/counter.h"
#include "tests/apisim/handlers.h"

/* Beyond so many different paths the rest is one line: the counts must not grow with a test's length. */
#define PATHS_MAX 10000

static struct counter *paths, *hosts;
static struct {
	uint64_t requests, lost;
	int64_t now, peak;
	int64_t conns, conns_now, conns_peak;
	uint64_t since; /* requests before this number were counted before a DELETE */
} seen;

void stats_on_conn(int change)
{
	seen.conns += change > 0;
	seen.conns_now += change;
	if (seen.conns_now > seen.conns_peak)
		seen.conns_peak = seen.conns_now;
}

void stats_on_request(struct request *req)
{
	const char *host = request_header(req, "Host");
	const char *path = HASH_COUNT(paths) < PATHS_MAX ? req->path : "other";

	if (strcmp(req->path, "/stats") == 0)
		return;
	seen.requests++;
	if (++seen.now > seen.peak)
		seen.peak = seen.now;
	counter_begin(counter_get(&paths, path));
	req->counted = counter_get(&hosts, host ? host : "");
	counter_begin(req->counted);
}

void stats_on_done(struct request *req, bool answered)
{
	const char *host = request_header(req, "Host");

	if (!req->counted || req->number < seen.since)
		return;
	seen.now--;
	seen.lost += !answered;
	counter_end(counter_get(&hosts, host ? host : ""));
}

static json_t *counters_to_json(struct counter *all)
{
	json_t *object = json_object();
	struct counter *c;

	for (c = all; c; c = c->hh.next)
		json_object_set_new(object, c->name, json_integer((json_int_t)c->total));
	return object;
}

static json_t *peaks_to_json(struct counter *all)
{
	json_t *object = json_object();
	struct counter *c;

	for (c = all; c; c = c->hh.next)
		json_object_set_new(object, c->name, json_integer((json_int_t)c->peak));
	return object;
}

static void stats_forget(const struct request *req)
{
	counter_clear(&paths);
	counter_clear(&hosts);
	memset(&seen, 0, offsetof(__typeof__(seen), conns));
	seen.conns = seen.conns_peak = seen.conns_now;
	seen.since = req->number;
}

void stats_show(struct request *req)
{
	if (strcmp(req->method, "DELETE") == 0) {
		stats_forget(req);
		reply(req, 204, NULL, "", 0);
		return;
	}
	reply_json(req, 200,
		   json_pack("{sI sI sI sI sI sI sI so so so}", "requests", (json_int_t)seen.requests, "lost",
			     (json_int_t)seen.lost, "concurrent", (json_int_t)seen.now, "peak_concurrent",
			     (json_int_t)seen.peak, "connections", (json_int_t)seen.conns, "connections_now",
			     (json_int_t)seen.conns_now, "connections_peak", (json_int_t)seen.conns_peak, "paths",
			     counters_to_json(paths), "hosts", counters_to_json(hosts), "host_peaks",
			     peaks_to_json(hosts)));
}
