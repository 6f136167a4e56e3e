/* The daemon's numbers, as Prometheus text and as JSON, from one table. Pure: numbers in, text out. */
#ifndef FANOUT_DAEMON_METRICS_H
#define FANOUT_DAEMON_METRICS_H

#include <jansson.h>
#include <stdint.h>

#include "daemon/engine.h"
#include "daemon/pool.h"
#include "daemon/store.h"

struct evbuffer;

struct metrics {
	struct engine_stats engine;
	struct store_totals store;
	const struct pool_worker_info *workers;
	unsigned worker_count;
	unsigned connections, streams;
	uint64_t requests;
	int64_t now_us; /* wall */
	int64_t rss_bytes;
};

void metrics_write(struct evbuffer *out, const struct metrics *m);
json_t *metrics_json(const struct metrics *m);

#endif
