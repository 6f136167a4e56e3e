/* Makes a world from a seed: keys with rules, batches with lanes and chains, and what will be done to them. Also its
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

void key_set_rule(struct world *w, struct key *k, const struct limit_rule *rule)
{
	judge_rule(w, k, rule);
	if (!rule) {
		sched_limit_free(w->sched, k->limit, w->now_us);
		k->limit = NULL;
	} else if (k->limit) {
		sched_limit_change(w->sched, k->limit, rule, w->now_us);
	} else {
		k->limit = sched_limit_create(w->sched, rule, k);
		sched_key_limits(w->sched, k->name, &k->limit, 1, w->now_us);
	}
}

static void create_keys(struct world *w)
{
	w->key_count = (unsigned)draw(w, 1, KEYS_MAX);
	for (unsigned i = 0; i < w->key_count; i++) {
		struct key *k = &w->keys[i];

		snprintf(k->name, sizeof(k->name), "k%u:80", i);
		k->latency_us = draw(w, 1, 300) * MS;
		if (chance(w, 75)) {
			struct limit_rule rule = draw_rule(w);

			key_set_rule(w, k, &rule);
		}
		for (int n = (int)draw(w, 0, 2); n > 0; n--)
			event_add(w, draw(w, 0, 5 * SEC), EVENT_KEY_SET, k, 0);
	}
}

static void create_job(struct world *w, struct batch *b, struct job *before)
{
	static const char *const methods[] = {"GET", "GET", "GET", "PUT", "POST"};
	struct job *j = &w->jobs[w->job_count];
	unsigned key = (unsigned)draw(w, 0, w->key_count - 1);

	*j = (struct job){
	    .index = w->job_count++,
	    .batch = b,
	    .lane = &w->lanes[(unsigned)(b - w->batches) * KEYS_MAX + key],
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
	while (jobs-- > 0) {
		struct job *j = &w->jobs[w->job_count];

		create_job(w, b, chance(w, 30) ? before : NULL);
		before = j;
		event_add(w, starts_us, EVENT_SUBMIT, j, 0);
	}
	for (int n = (int)draw(w, 0, 2); n > 0; n--)
		event_add(w, draw(w, 0, 5 * SEC), EVENT_BATCH_SET, b, 0);
}

void world_create(struct world *w, uint64_t seed)
{
	w->seed = seed;
	for (unsigned k = 0; k < KEYS_MAX; k++)
		w->keys[k].paced_us = w->keys[k].paced_before_us = -1;
	w->random = seed * 0xd1342543de82ef95U;
	heap_init(&w->events, event_comes_before);
	w->key_concurrency = (unsigned)draw(w, 0, 6);
	w->workers = (unsigned)draw(w, 1, WORKERS_MAX);
	w->credit = (unsigned)draw(w, 1, CREDIT_MAX);
	w->sched = sched_create(&(struct sched_settings){
	    .host_concurrency = w->key_concurrency,
	    .window_total = (unsigned)draw(w, 4, 60),
	    .window_lane_max = (unsigned)draw(w, 4, 30),
	});
	create_keys(w);
	w->batch_count = (unsigned)draw(w, 1, BATCHES_MAX);
	for (unsigned b = 0; b < BATCHES_MAX; b++)
		for (unsigned k = 0; k < KEYS_MAX; k++)
			w->lanes[b * KEYS_MAX + k] =
			    (struct lane){.id = b * KEYS_MAX + k + 1, .batch = &w->batches[b], .key = &w->keys[k]};
	for (unsigned b = 0; b < w->batch_count; b++)
		create_batch(w, &w->batches[b]);
	for (int n = (int)draw(w, 0, 3); n > 0; n--)
		event_add(w, draw(w, 0, 6 * SEC), EVENT_WORKER_DEATH, NULL, (unsigned)draw(w, 0, w->workers - 1));
	if (chance(w, 30))
		event_add(w, draw(w, 0, 4 * SEC), EVENT_KEY_CONCURRENCY, NULL, (unsigned)draw(w, 0, 6));
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
	for (unsigned k = 0; k < w->key_count; k++) {
		free(w->keys[k].grants);
		free(w->keys[k].arrivals);
	}
	sched_free(w->sched);
}
