/* One table of numbers: its name in /metrics, its place in /v1/stats, what it means. */
#define _GNU_SOURCE 1

#include "daemon/metrics.h"

#include <event2/buffer.h>
#include <stddef.h>
#include <string.h>

#include "daemon/render.h"

#ifndef FANOUT_VERSION
#define FANOUT_VERSION "unknown"
#endif

enum kind { GAUGE, COUNTER };
enum width { I64, U64, UINT, BOOL };

struct number {
	const char *group, *name; /* fanout_GROUP_NAME, and {"GROUP":{"NAME":...}} */
	enum kind kind;
	enum width width;
	size_t offset;
	const char *help;
	double scale; /* 0: as it is; for the text only */
};

#define AT(field) offsetof(struct metrics, field)

static const struct number numbers[] = {
    {"engine", "attempts_total", COUNTER, U64, AT(engine.attempts), "requests handed to workers", 0},
    {"engine", "outcomes_total", COUNTER, U64, AT(engine.outcomes), "outcomes that workers brought", 0},
    {"engine", "retries_total", COUNTER, U64, AT(engine.retries), "attempts put off for another try", 0},
    {"engine", "lost_workers_total", COUNTER, U64, AT(engine.lost_workers), "workers that ended unasked", 0},
    {"engine", "staged", GAUGE, UINT, AT(engine.staged), "attempts opened ahead of their turn", 0},
    {"engine", "standing_by", GAUGE, UINT, AT(engine.standing), "of these, requests that lie with a worker", 0},
    {"engine", "followed_total", COUNTER, U64, AT(engine.followed), "requests that began there in another's place", 0},
    {"engine", "credit", GAUGE, UINT, AT(engine.credit), "requests that the workers would take now", 0},
    {"sched", "keys", GAUGE, UINT, AT(engine.sched.keys), "hosts with jobs in memory", 0},
    {"sched", "lanes", GAUGE, UINT, AT(engine.sched.lanes), "batches' lanes in memory", 0},
    {"sched", "loaded", GAUGE, UINT, AT(engine.sched.loaded), "job ids in memory", 0},
    {"sched", "in_flight", GAUGE, UINT, AT(engine.sched.in_flight), "requests under way", 0},
    {"store", "batches", GAUGE, I64, AT(store.batches), "batches stored", 0},
    {"store", "live_batches", GAUGE, I64, AT(store.live_batches), "batches that have not ended", 0},
    {"store", "database_bytes", GAUGE, I64, AT(store.database_bytes), "size of the database", 0},
    {"store", "bodies_bytes", GAUGE, I64, AT(store.bodies_bytes), "size of the bodies in files", 0},
    {"store", "commits_total", COUNTER, U64, AT(store.commits), "transactions", 0},
    {"store", "operations_total", COUNTER, U64, AT(store.operations), "operations in them", 0},
    {"store", "commit_seconds_total", COUNTER, I64, AT(store.commit_us_total), "time spent committing", 1e-6},
    {"store", "commit_seconds_max", GAUGE, I64, AT(store.commit_us_max), "the longest commit", 1e-6},
    {"store", "trouble", GAUGE, BOOL, AT(engine.storage_trouble), "1 while the disk is full", 0},
    {"http", "connections", GAUGE, UINT, AT(connections), "connections to the socket", 0},
    {"http", "streams", GAUGE, UINT, AT(streams), "results, events and waits under way", 0},
    {"http", "requests_total", COUNTER, U64, AT(requests), "requests on the socket", 0},
    {"process", "resident_bytes", GAUGE, I64, AT(rss_bytes), "memory of fanoutd", 0},
    {"process", "descriptors_max", GAUGE, I64, AT(descriptors_max), "file descriptors it may have, as may a worker", 0},
};
#define NUMBERS (sizeof numbers / sizeof numbers[0])

static int64_t value(const struct metrics *m, const struct number *n)
{
	const void *p = (const char *)m + n->offset;

	switch (n->width) {
	case I64:
		return *(const int64_t *)p;
	case U64:
		return (int64_t) * (const uint64_t *)p;
	case UINT:
		return *(const unsigned *)p;
	case BOOL:
		return *(const bool *)p;
	}
	return 0;
}

/* ---- Prometheus ---- */

static void head(struct evbuffer *out, const char *name, const char *type, const char *help)
{
	evbuffer_add_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_number(struct evbuffer *out, const struct metrics *m, const struct number *n)
{
	char name[80];
	int64_t v = value(m, n);

	snprintf(name, sizeof name, "fanout_%s_%s", n->group, n->name);
	head(out, name, n->kind == COUNTER ? "counter" : "gauge", n->help);
	if (n->scale > 0)
		evbuffer_add_printf(out, "%s %.6f\n", name, (double)v * n->scale);
	else
		evbuffer_add_printf(out, "%s %lld\n", name, (long long)v);
}

static void write_jobs(struct evbuffer *out, const struct metrics *m)
{
	head(out, "fanout_jobs", "gauge", "stored jobs by state");
	for (int s = 0; s < JOB_STATES; s++)
		evbuffer_add_printf(out, "fanout_jobs{state=\"%s\"} %lld\n", job_state_name((enum job_state)s),
				    (long long)m->store.counts[s]);
	head(out, "fanout_jobs_ended_total", "counter", "jobs that ended since the start, by state");
	for (int s = JOB_DONE; s < JOB_STATES; s++)
		evbuffer_add_printf(out, "fanout_jobs_ended_total{state=\"%s\"} %llu\n",
				    job_state_name((enum job_state)s), (unsigned long long)m->store.ended[s]);
}

static void write_workers(struct evbuffer *out, const struct metrics *m)
{
	head(out, "fanout_worker_in_flight", "gauge", "requests under way in a worker");
	for (unsigned i = 0; i < m->worker_count; i++)
		evbuffer_add_printf(out, "fanout_worker_in_flight{worker=\"%u\"} %u\n", i, m->workers[i].in_flight);
	head(out, "fanout_worker_outcomes_total", "counter", "outcomes that a worker brought");
	for (unsigned i = 0; i < m->worker_count; i++)
		evbuffer_add_printf(out, "fanout_worker_outcomes_total{worker=\"%u\"} %llu\n", i,
				    (unsigned long long)m->workers[i].outcomes);
	head(out, "fanout_worker_starts_total", "counter", "times that a worker was started");
	for (unsigned i = 0; i < m->worker_count; i++)
		evbuffer_add_printf(out, "fanout_worker_starts_total{worker=\"%u\"} %llu\n", i,
				    (unsigned long long)m->workers[i].starts);
}

/* A label's value: three bytes have to be escaped. */
static void label(struct evbuffer *out, const char *name, const char *text)
{
	evbuffer_add_printf(out, "%s=\"", name);
	for (const char *p = text; *p; p++) {
		if (*p == '"' || *p == '\\' || *p == '\n')
			evbuffer_add(out, "\\", 1);
		evbuffer_add(out, *p == '\n' ? "n" : p, 1);
	}
	evbuffer_add(out, "\"", 1);
}

static void limit_labels(struct evbuffer *out, const char *name, const struct metrics_limit *l)
{
	evbuffer_add_printf(out, "%s{", name);
	label(out, "limit", l->name);
	evbuffer_add(out, ",", 1);
	label(out, "host", l->host);
}

static void write_windows(struct evbuffer *out, const struct metrics *m, const char *name, bool used)
{
	char rate[RENDER_RATE_SIZE];

	for (unsigned i = 0; i < m->limit_count; i++)
		for (unsigned k = 0; k < m->limits[i].window_count; k++) {
			const struct limit_window *w = &m->limits[i].windows[k];

			limit_labels(out, name, &m->limits[i]);
			evbuffer_add_printf(out, ",window=\"%s\"} %lld\n", render_rate(rate, &w->rate),
					    (long long)(used ? w->used : w->rate.count));
		}
}

static void write_limits(struct evbuffer *out, const struct metrics *m)
{
	head(out, "fanout_limit_in_flight", "gauge", "requests under way under a limit");
	for (unsigned i = 0; i < m->limit_count; i++) {
		limit_labels(out, "fanout_limit_in_flight", &m->limits[i]);
		evbuffer_add_printf(out, "} %u\n", m->limits[i].in_flight);
	}
	head(out, "fanout_limit_waiting", "gauge", "jobs in memory that wait for a limit");
	for (unsigned i = 0; i < m->limit_count; i++) {
		limit_labels(out, "fanout_limit_waiting", &m->limits[i]);
		evbuffer_add_printf(out, "} %u\n", m->limits[i].waiting);
	}
	head(out, "fanout_limit_used", "gauge", "requests that count in a limit's window");
	write_windows(out, m, "fanout_limit_used", true);
	head(out, "fanout_limit_size", "gauge", "requests that a limit's window allows");
	write_windows(out, m, "fanout_limit_size", false);
}

static void write_hosts(struct evbuffer *out, const struct metrics *m)
{
	head(out, "fanout_host_paused_seconds", "gauge", "how much longer a host is left alone");
	for (unsigned i = 0; i < m->host_count; i++) {
		evbuffer_add_printf(out, "fanout_host_paused_seconds{");
		label(out, "host", m->hosts[i].host);
		evbuffer_add_printf(out, "} %.6f\n", (double)m->hosts[i].paused_us / 1e6);
	}
	head(out, "fanout_host_refusals", "gauge", "refusals of a host in a row");
	for (unsigned i = 0; i < m->host_count; i++) {
		evbuffer_add_printf(out, "fanout_host_refusals{");
		label(out, "host", m->hosts[i].host);
		evbuffer_add_printf(out, "} %u\n", m->hosts[i].refusals);
	}
}

void metrics_write(struct evbuffer *out, const struct metrics *m)
{
	head(out, "fanout_build_info", "gauge", "the version");
	evbuffer_add_printf(out, "fanout_build_info{version=\"%s\"} 1\n", FANOUT_VERSION);
	head(out, "fanout_start_time_seconds", "gauge", "when fanoutd was started");
	evbuffer_add_printf(out, "fanout_start_time_seconds %.6f\n", (double)m->engine.started_wall_us / 1e6);
	write_jobs(out, m);
	for (size_t i = 0; i < NUMBERS; i++)
		write_number(out, m, &numbers[i]);
	write_workers(out, m);
	write_limits(out, m);
	write_hosts(out, m);
}

/* ---- JSON ---- */

/* Durations are whole microseconds there. */
static void json_name(const struct number *n, char *out, size_t size)
{
	const char *seconds = strstr(n->name, "_seconds");

	if (seconds)
		snprintf(out, size, "%.*s%s_us", (int)(seconds - n->name), n->name, seconds + strlen("_seconds"));
	else
		snprintf(out, size, "%s", n->name);
	if (n->kind == COUNTER && strlen(out) > 6 && strcmp(out + strlen(out) - 6, "_total") == 0)
		out[strlen(out) - 6] = '\0';
}

static json_t *json_counts(const struct metrics *m)
{
	json_t *o = json_object();

	for (int s = 0; s < JOB_STATES; s++)
		json_object_set_new(o, job_state_name((enum job_state)s), json_integer(m->store.counts[s]));
	return o;
}

static json_t *json_workers(const struct metrics *m)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < m->worker_count; i++) {
		const struct pool_worker_info *w = &m->workers[i];

		json_array_append_new(list,
				      json_pack("{s:i,s:b,s:i,s:i,s:I,s:I}", "pid", w->pid, "ready", w->ready,
						"capacity", (int)w->capacity, "in_flight", (int)w->in_flight,
						"outcomes", (json_int_t)w->outcomes, "starts", (json_int_t)w->starts));
	}
	return list;
}

json_t *metrics_json(const struct metrics *m)
{
	json_t *o = json_object();
	char name[80];

	json_object_set_new(o, "version", json_string(FANOUT_VERSION));
	json_object_set_new(o, "started_at", render_time(m->engine.started_wall_us));
	json_object_set_new(o, "uptime_us", json_integer(m->now_us - m->engine.started_wall_us));
	json_object_set_new(o, "draining", json_boolean(m->engine.draining));
	json_object_set_new(o, "counts", json_counts(m));
	for (size_t i = 0; i < NUMBERS; i++) {
		json_t *group = json_object_get(o, numbers[i].group);

		if (!group) {
			group = json_object();
			json_object_set_new(o, numbers[i].group, group);
		}
		json_name(&numbers[i], name, sizeof name);
		json_object_set_new(group, name, json_integer(value(m, &numbers[i])));
	}
	json_object_set_new(o, "workers", json_workers(m));
	return o;
}
