/* The daemon itself: health, stats, metrics. */
#define _GNU_SOURCE 1

#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/api.h"
#include "daemon/engine.h"
#include "daemon/metrics.h"
#include "daemon/pool.h"
#include "lib/clock.h"

void api_health(struct http_request *r)
{
	struct api *a = http_arg(r);
	struct engine_stats s;
	const char *status;

	engine_stats(api_engine(a), &s);
	status = api_draining(a) ? "draining" : s.storage_trouble ? "storage" : NULL;
	api_reply_json(r, status ? 503 : 200, json_pack("{s:s}", "status", status ? status : "ok"));
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

	metrics_write(out, &m);
	http_reply(r, 200, "text/plain; version=0.0.4", out);
	evbuffer_free(out);
	free(workers);
}
