/* Makes a world from a seed: hosts and rules, batches with lanes and chains, and what will be done to them. Also its
 * dice and its calendar. */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

/* ---- dice ---- */

static uint64_t next_random(struct world *w)
{
	uint64_t z = (w->random += 0x9e3779b97f4a7c15U); /* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
	return z ^ (z >> 31);
}

int64_t draw(struct world *w, int64_t lo, int64_t hi)
{
	return lo + (int64_t)(next_random(w) % (uint64_t)(hi - lo + 1));
}

bool chance(struct world *w, unsigned percent)
{
	return draw(w, 0, 99) < percent;
}

void trace(struct world *w, const char *fmt, ...)
{
	va_list ap;

	if (!w->trace)
		return;
	printf("%10lld ", (long long)w->now_us);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void *grow(void *p, size_t count, size_t *room, size_t bytes)
{
	if (count < *room)
		return p;
	*room = *room ? 2 * *room : 64;
	p = realloc(p, *room * bytes);
	if (!p)
		BUG("out of memory");
	return p;
}

/* ---- calendar ---- */

static bool event_comes_before(const struct heap_node *a, const struct heap_node *b)
{
	const struct event *x = HEAP_CONST_ENTRY(a, struct event, node);
	const struct event *y = HEAP_CONST_ENTRY(b, struct event, node);

	return x->at_us != y->at_us ? x->at_us < y->at_us : x->order < y->order;
}

void event_add(struct world *w, int64_t at_us, enum event_type type, void *subject, unsigned n)
{
	struct event *e = calloc(1, sizeof(*e));

	if (!e)
		BUG("out of memory");
	*e = (struct event){.at_us = at_us, .order = w->event_order++, .type = type, .subject = subject, .n = n};
	heap_insert(&w->events, &e->node);
}

int64_t event_next_us(const struct world *w)
{
	const struct heap_node *n = heap_top(&w->events);

	return n ? HEAP_CONST_ENTRY(n, struct event, node)->at_us : CLOCK_NEVER;
}

bool event_take(struct world *w, int64_t until_us, struct event *out)
{
	struct event *e;

	if (!heap_top(&w->events) || event_next_us(w) > until_us)
		return false;
	e = HEAP_ENTRY(heap_top(&w->events), struct event, node);
	heap_remove(&w->events, &e->node);
	*out = *e;
	free(e);
	return true;
}

/* ---- creation ---- */

struct sched_batch_options draw_options(struct world *w)
{
	return (struct sched_batch_options){
	    .concurrency = chance(w, 50) ? 0 : (unsigned)draw(w, 1, 5),
	    .priority = (unsigned)draw(w, SCHED_PRIORITY_MIN, SCHED_PRIORITY_MAX),
	};
}

struct limit_rule draw_rule(struct world *w)
{
	struct limit_rule r = {.rate_count = (unsigned)draw(w, 0, 3)};

	for (unsigned i = 0; i < r.rate_count; i++)
		r.rates[i] = (struct rate){draw(w, 1, 10), draw(w, 1, 40) * 50 * MS};
	r.concurrency = r.rate_count == 0 || chance(w, 25) ? (unsigned)draw(w, 1, 4) : 0;
	r.pace = r.rate_count > 0 && chance(w, 15);
	return r;
}

/* ---- hosts and rules ---- */

static void create_hosts(struct world *w)
{
	w->host_count = (unsigned)draw(w, 1, HOSTS_MAX);
	for (unsigned i = 0; i < w->host_count; i++) {
		struct host *h = &w->hosts[i];

		snprintf(h->name, sizeof(h->name), "h%u:80", i);
		h->latency_us = draw(w, 1, 300) * MS;
		h->pause_until_us = -1;
		if (chance(w, 30)) {
			h->outage_us = draw(w, 0, 3 * SEC);
			h->outage_end_us = h->outage_us + draw(w, 1, 1500) * MS;
		}
	}
}

/* Four matches, of which a request may match several; each counts every host by itself. */
static const struct {
	const char *match;
	int host, path; /* -1: any */
} matches[RULES_DRAWN] = {
    {"*", -1, -1},
    {"h0:80", 0, -1},
    {"h*/p1/*", -1, 1},
    {"h1:80/p0/x\\?*", 1, 0},
};

static void create_rules(struct world *w)
{
	w->rules = rules_create();
	for (unsigned r = 0; r < RULES_DRAWN; r++) {
		snprintf(w->drawn[r].name, sizeof(w->drawn[r].name), "r%u", r);
		snprintf(w->drawn[r].match, sizeof(w->drawn[r].match), "%s", matches[r].match);
		for (unsigned h = 0; h < w->host_count; h++) {
			struct scope *s = &w->scopes[r * HOSTS_MAX + h];

			if (matches[r].host >= 0 && matches[r].host != (int)h)
				continue;
			*s = (struct scope){.host = &w->hosts[h], .path = matches[r].path, .paced_us = -1};
			snprintf(s->name, sizeof(s->name), "rule %u at host %u", r, h);
		}
		if (chance(w, r == 0 ? 60 : 40)) {
			struct limit_rule rule = draw_rule(w);

			limits_set_rule(w, r, &rule);
		}
		for (int n = (int)draw(w, 0, 2); n > 0; n--)
			event_add(w, draw(w, 0, 5 * SEC), EVENT_RULE_SET, NULL, r);
	}
}

static void create_own_rate(struct world *w, struct batch *b)
{
	struct scope *s = &w->scopes[RULES_DRAWN * HOSTS_MAX + (unsigned)(b - w->batches)];

	*s = (struct scope){.active = true, .path = -1, .batch = b, .rule = draw_rule(w), .paced_us = -1};
	snprintf(s->name, sizeof(s->name), "batch %u", b->id);
	s->limit = sched_limit_create(w->sched, &s->rule, s);
	b->own_rate = true;
}

static void create_lanes(struct world *w, struct batch *b)
{
	for (unsigned h = 0; h < w->host_count; h++)
		for (int path = 0; path < PATHS; path++) {
			unsigned at = ((unsigned)(b - w->batches) * HOSTS_MAX + h) * PATHS + (unsigned)path;
			struct lane *l = &w->lanes[at];

			*l = (struct lane){.id = at + 1, .batch = b, .host = &w->hosts[h], .path = path};
			snprintf(l->key, sizeof(l->key), "h%u:80|p%d%s%u", h, path, b->own_rate ? "#" : "",
				 b->own_rate ? b->id : 0);
		}
}

static void create_job(struct world *w, struct batch *b, struct job *before)
{
	static const char *const methods[] = {"GET", "GET", "GET", "PUT", "POST"};
	struct job *j = &w->jobs[w->job_count];
	unsigned host = (unsigned)draw(w, 0, w->host_count - 1), path = (unsigned)draw(w, 0, PATHS - 1);

	*j = (struct job){
	    .index = w->job_count++,
	    .batch = b,
	    .lane = &w->lanes[((unsigned)(b - w->batches) * HOSTS_MAX + host) * PATHS + path],
	    .before = before,
	    .method = methods[draw(w, 0, 4)],
	    .repeatable = chance(w, 20),
	    .max_attempts = (unsigned)draw(w, 1, 5),
	    .deadline_us = chance(w, 15) ? draw(w, 1, 8000) * MS : CLOCK_NEVER,
	    .state = JOB_STATES, /* not there yet */
	};
	if (before)
		before->after = j;
	if (chance(w, 8))
		event_add(w, draw(w, 0, 5 * SEC), EVENT_CANCEL, j, 0);
	if (chance(w, 8))
		event_add(w, draw(w, 2 * SEC, 10 * SEC), EVENT_RETRY, j, 0);
}

/* Jobs, some in chains; a chain's jobs may lead to different keys. */
static void create_batch(struct world *w, struct batch *b)
{
	int64_t jobs = draw(w, 1, JOBS_MAX / BATCHES_MAX);
	int64_t starts_us = chance(w, 50) ? 0 : draw(w, 0, 2 * SEC);
	struct job *before = NULL;

	b->id = (uint32_t)(b - w->batches) + 1;
	b->opt = draw_options(w);
	b->handle = sched_batch_add(w->sched, b->id, &b->opt);
	if (chance(w, 30))
		create_own_rate(w, b);
	create_lanes(w, b);
	while (jobs-- > 0) {
		struct job *j = &w->jobs[w->job_count];

		create_job(w, b, chance(w, 30) ? before : NULL);
		before = j;
		event_add(w, starts_us, EVENT_SUBMIT, j, 0);
	}
	for (int n = (int)draw(w, 0, 2); n > 0; n--)
		event_add(w, draw(w, 0, 5 * SEC), EVENT_BATCH_SET, b, 0);
}

/* Crashes come close together at times: then the next one meets what the last one left. */
static void create_accidents(struct world *w)
{
	for (int n = (int)draw(w, 0, 3); n > 0; n--)
		event_add(w, draw(w, 0, 6 * SEC), EVENT_WORKER_DEATH, NULL, (unsigned)draw(w, 0, w->workers - 1));
	if (chance(w, 30))
		event_add(w, draw(w, 0, 4 * SEC), EVENT_HOST_CONCURRENCY, NULL, (unsigned)draw(w, 0, 6));
	for (int n = chance(w, 50) ? (int)draw(w, 1, 5) : 0; n > 0; n--)
		event_add(w, draw(w, 0, 6 * SEC), EVENT_CRASH, NULL, 0);
	for (int n = (int)draw(w, 0, 3); n > 0; n--)
		event_add(w, draw(w, 0, 6 * SEC), EVENT_CLOCK_STEP, NULL, 0);
	for (int n = chance(w, 50) ? (int)draw(w, 1, 4) : 0; n > 0; n--)
		event_add(w, draw(w, 0, 4 * SEC), EVENT_RESUME, &w->hosts[draw(w, 0, w->host_count - 1)], 0);
}

void world_create(struct world *w, uint64_t seed)
{
	w->seed = seed;
	w->random = seed * 0xd1342543de82ef95U;
	heap_init(&w->events, event_comes_before);
	w->booted_us = -draw(w, 0, 100) * SEC;
	w->wall_ahead_us = draw(w, 0, 1000) * SEC;
	w->workers = (unsigned)draw(w, 1, WORKERS_MAX);
	w->credit = (unsigned)draw(w, 1, CREDIT_MAX);
	w->set = (struct sched_settings){
	    .host_concurrency = (unsigned)draw(w, 0, 6),
	    .window_total = (unsigned)draw(w, 4, 60),
	    .window_lane_max = (unsigned)draw(w, 4, 30),
	};
	w->sched = sched_create(&w->set);
	create_hosts(w);
	create_rules(w);
	w->batch_count = (unsigned)draw(w, 1, BATCHES_MAX);
	for (unsigned b = 0; b < w->batch_count; b++)
		create_batch(w, &w->batches[b]);
	create_accidents(w);
	w->result->jobs = w->job_count;
}

void world_free(struct world *w)
{
	struct event e;

	while (event_take(w, CLOCK_NEVER, &e))
		;
	heap_clear(&w->events);
	while (w->flights) {
		struct flight *next = w->flights->next;

		if (!w->flights->ended_in_sched)
			free(w->flights->handle);
		free(w->flights);
		w->flights = next;
	}
	for (unsigned i = 0; i < SCOPES; i++)
		free(w->scopes[i].recent);
	free(w->attempts);
	rules_free(w->rules);
	sched_free(w->sched);
}
