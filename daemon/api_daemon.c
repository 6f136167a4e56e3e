/* The daemon itself: health, stats, metrics. */
#define _GNU_SOURCE 1

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/api.h"
#include "daemon/engine.h"
#include "daemon/metrics.h"
#include "daemon/pool.h"
#include "lib/clock.h"

void api_health(struct http_request *r)
{
	struct api *a = http_arg(r);

	if (api_draining(a))
		api_reply_json(r, 503,
			       json_pack("{s:s, s:s, s:s}", "status", "draining", "code", err_code_name(ERR_BUSY),
					 "detail", "fanoutd is ending"));
	else if (engine_storage_full(api_engine(a)))
		api_reply_json(r, 503,
			       json_pack("{s:s, s:s, s:s, s:s}", "status", "storage", "code",
					 err_code_name(ERR_NO_SPACE), "detail", ENGINE_STORAGE_TEXT, "hint",
					 "free disk space below the state directory, or lower retention"));
	else
		api_reply_json(r, 200, json_pack("{s:s}", "status", "ok"));
}

static int64_t resident_bytes(void)
{
	long long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%*s %lld", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * sysconf(_SC_PAGESIZE);
}

/* The workers began with the same. */
static int64_t descriptors_max(void)
{
	struct rlimit files;

	return getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < INT64_MAX ? (int64_t)files.rlim_cur
										   : INT64_MAX;
}

/* ---- what the limits say ---- */

struct limits {
	struct metrics_limit *limits;
	struct metrics_host *hosts;
	unsigned limit_count, host_count;
	int64_t now_us; /* CLOCK_BOOTTIME */
};

static void on_rule(void *arg, const struct rule *rule)
{
	(void)arg;
	(void)rule;
}

static void on_state(void *arg, const struct rule *rule, const char *host, const struct limit *state, unsigned waiting,
		     int64_t rivals)
{
	struct limits *l = arg;
	struct metrics_limit *m = &l->limits[l->limit_count];

	(void)rivals;
	if (l->limit_count == METRICS_LIMITS_MAX)
		return;
	l->limit_count++;
	snprintf(m->name, sizeof m->name, "%s", rule->name);
	snprintf(m->host, sizeof m->host, "%s", host);
	m->in_flight = limit_in_flight(state);
	m->waiting = waiting;
	m->window_count = limit_windows(state, l->now_us, m->windows);
}

static void on_host(void *arg, const char *host, const struct limit *state, const struct throttle *throttle,
		    int64_t rivals)
{
	struct limits *l = arg;
	struct metrics_host *m = &l->hosts[l->host_count];
	int64_t until = limit_paused_until_us(state, l->now_us);

	(void)rivals;
	if (l->host_count == METRICS_LIMITS_MAX || (!until && !throttle->hits))
		return;
	l->host_count++;
	snprintf(m->host, sizeof m->host, "%s", host);
	m->paused_us = until > l->now_us ? until - l->now_us : 0;
	m->refusals = throttle->hits;
}

static struct limits collect_limits(struct api *a)
{
	struct limits l = {.limits = api_alloc(METRICS_LIMITS_MAX * sizeof *l.limits),
			   .hosts = api_alloc(METRICS_LIMITS_MAX * sizeof *l.hosts),
			   .now_us = clock_boot_us()};
	struct engine_limits_visitor v = {.arg = &l, .on_rule = on_rule, .on_state = on_state, .on_host = on_host};

	engine_limits_visit(api_engine(a), NULL, &v);
	return l;
}

/* ---- numbers ---- */

/* The caller frees `workers`. */
static struct pool_worker_info *collect(struct api *a, struct metrics *m)
{
	struct engine *en = api_engine(a);
	unsigned n = engine_workers(en);
	struct pool_worker_info *workers = api_alloc((n + 1) * sizeof *workers);

	*m = (struct metrics){
	    .workers = workers,
	    .worker_count = n,
	    .connections = http_connections(api_http(a)),
	    .streams = api_streams(a),
	    .requests = http_requests(api_http(a)),
	    .now_us = clock_wall_us(),
	    .rss_bytes = resident_bytes(),
	    .descriptors_max = descriptors_max(),
	};
	engine_stats(en, &m->engine);
	store_totals(api_store(a), &m->store);
	if (m->store.counts[JOB_RUNNING] >= (int64_t)m->engine.staged) {
		m->store.counts[JOB_RUNNING] -= m->engine.staged;
		m->store.counts[JOB_QUEUED] += m->engine.staged;
	}
	for (unsigned i = 0; i < n; i++)
		engine_worker_info(en, i, &workers[i]);
	return workers;
}

void api_stats(struct http_request *r)
{
	struct metrics m;
	struct pool_worker_info *workers = collect(http_arg(r), &m);

	api_reply_json(r, 200, metrics_json(&m));
	free(workers);
}

void api_metrics(struct http_request *r)
{
	struct evbuffer *out = evbuffer_new();
	struct metrics m;
	struct pool_worker_info *workers = collect(http_arg(r), &m);
	struct limits l = collect_limits(http_arg(r));

	m.limits = l.limits;
	m.limit_count = l.limit_count;
	m.hosts = l.hosts;
	m.host_count = l.host_count;
	metrics_write(out, &m);
	http_reply(r, 200, "text/plain; version=0.0.4", out);
	evbuffer_free(out);
	free(workers);
	free(l.limits);
	free(l.hosts);
}
