/* The daemon's numbers, as Prometheus text and as JSON, from one table. Pure: numbers in, text out. */
#ifndef FANOUT_DAEMON_METRICS_H
#define FANOUT_DAEMON_METRICS_H

#include <jansson.h>
#include <stdint.h>

#include "daemon/engine.h"
#include "daemon/pool.h"
#include "daemon/store.h"

struct evbuffer;

/* One rule at one host: what it counts, and who waits. Told of at most METRICS_LIMITS_MAX, of so many hosts each. */
#define METRICS_LIMITS_MAX 1000
struct metrics_limit {
	char name[RULES_NAME_MAX + 1], host[280];
	unsigned in_flight, waiting, window_count;
	struct limit_window windows[LIMIT_WINDOWS_MAX];
};
/* A host that refused, or told a limit. */
struct metrics_host {
	char host[280];
	int64_t paused_us; /* how much longer */
	unsigned refusals; /* in a row */
};

struct metrics {
	struct engine_stats engine;
	struct store_totals store;
	const struct pool_worker_info *workers;
	unsigned worker_count;
	const struct metrics_limit *limits;
	const struct metrics_host *hosts;
	unsigned limit_count, host_count;
	unsigned connections, streams;
	uint64_t requests;
	int64_t now_us; /* wall */
	int64_t rss_bytes;
	int64_t descriptors_max; /* of fanoutd, and of each worker */
};

void metrics_write(struct evbuffer *out, const struct metrics *m);
json_t *metrics_json(const struct metrics *m);

#endif
