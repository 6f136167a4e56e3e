/* The scheduler's books: which batches, lanes and keys there are, and their settings. It must not know in what order
 * they go (sched_pick.c), when a limit lets a key go (sched_line.c), or what a lane has in memory (sched_lane.c). */
#include "daemon/sched.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/sched_private.h"

void *sched_alloc(size_t bytes)
{
	void *p = calloc(1, bytes);

	if (!p)
		BUG("out of memory for the scheduler");
	return p;
}

char *sched_copy(const char *text)
{
	size_t bytes = strlen(text) + 1;

	return memcpy(sched_alloc(bytes), text, bytes);
}

struct sched *sched_create(const struct sched_settings *set)
{
	struct sched *s = sched_alloc(sizeof(*s));

	s->set = *set;
	TAILQ_INIT(&s->ready);
	TAILQ_INIT(&s->owed);
	TAILQ_INIT(&s->hungry);
	LIST_INIT(&s->limits);
	LIST_INIT(&s->grants);
	heap_init(&s->waiting, limit_comes_before);
	return s;
}

static void jobs_free(struct sched_job *j)
{
	while (j) {
		struct sched_job *next = j->next;

		free(j);
		j = next;
	}
}

/* Lanes first: a lane leaves its key's queues and its batch's lists, and may take its key along. */
void sched_free(struct sched *s)
{
	if (!s)
		return;
	for (struct sched_lane *l = s->lanes, *next; l; l = next) {
		next = l->hh.next;
		l->in_flight = 0; /* whoever holds such a job may free it, and nothing more */
		jobs_free(sched_lane_remove(s, l));
	}
	for (struct sched_batch *b = s->batches, *next; b; b = next) {
		next = b->hh.next;
		sched_batch_remove(s, b);
	}
	for (struct sched_key *k = s->keys, *next; k; k = next) {
		next = k->hh.next;
		key_free(s, k);
	}
	limits_free(s);
	heap_clear(&s->waiting);
	free(s);
}

void sched_set_host_concurrency(struct sched *s, unsigned host_concurrency)
{
	s->set.host_concurrency = host_concurrency;
	for (struct sched_host *h = s->hosts; h; h = h->hh.next)
		host_touched(s, h);
}

/* ---- batches ---- */

struct sched_batch *sched_batch_find(struct sched *s, uint32_t batch)
{
	struct sched_batch *b;

	HASH_FIND(hh, s->batches, &batch, sizeof(batch), b);
	return b;
}

struct sched_batch *sched_batch_add(struct sched *s, uint32_t batch, const struct sched_batch_options *opt)
{
	struct sched_batch *b = sched_batch_find(s, batch);

	if (b)
		return b;
	b = sched_alloc(sizeof(*b));
	b->id = batch;
	b->opt = *opt;
	TAILQ_INIT(&b->lanes);
	TAILQ_INIT(&b->parked);
	HASH_ADD(hh, s->batches, id, sizeof(b->id), b);
	return b;
}

/* A concurrency of its own, or none any more: another queue of the key, and other in-flight jobs that count. */
static void lane_change_queue(struct sched *s, struct sched_lane *l, enum queue to)
{
	struct sched_key *k = l->key;

	if (to == QUEUE_DEFAULT)
		k->host->default_in_flight += l->in_flight;
	else
		k->host->default_in_flight -= l->in_flight;
	if (l->place == LANE_QUEUED) {
		heap_remove(&k->queues[to == QUEUE_DEFAULT ? QUEUE_OWN : QUEUE_DEFAULT], &l->node);
		heap_insert(&k->queues[to], &l->node);
		if (k->state == KEY_STUCK)
			key_set_state(s, k, KEY_READY);
	}
	host_touched(s, k->host);
}

void sched_batch_set(struct sched *s, struct sched_batch *b, const struct sched_batch_options *opt, int64_t now_us)
{
	enum queue before = batch_queue(b);
	struct sched_lane *l;

	(void)now_us;
	b->opt = *opt;
	if (batch_queue(b) != before)
		for (l = TAILQ_FIRST(&b->lanes); l; l = TAILQ_NEXT(l, of_batch))
			lane_change_queue(s, l, batch_queue(b));
	batch_update_owed(s, b);
}

void sched_batch_remove(struct sched *s, struct sched_batch *b)
{
	if (!TAILQ_EMPTY(&b->lanes))
		BUG("batch %u removed while it has lanes", b->id);
	HASH_DEL(s->batches, b);
	free(b);
}

unsigned sched_batch_in_flight(const struct sched_batch *b)
{
	return b->in_flight;
}

struct sched_lane *sched_batch_lane_next(const struct sched_batch *b, const struct sched_lane *prev)
{
	return prev ? TAILQ_NEXT(prev, of_batch) : TAILQ_FIRST(&b->lanes);
}

/* ---- lanes ---- */

struct sched_lane *sched_lane_find(struct sched *s, int64_t lane)
{
	struct sched_lane *l;

	HASH_FIND(hh, s->lanes, &lane, sizeof(lane), l);
	return l;
}

struct sched_lane *sched_lane_add(struct sched *s, int64_t lane, struct sched_batch *b, const char *key,
				  const char *host, void *user)
{
	struct sched_lane *l = sched_lane_find(s, lane);

	if (l)
		return l;
	l = sched_alloc(sizeof(*l));
	l->id = lane;
	l->batch = b;
	l->user = user;
	l->end = &l->first;
	l->key = key_add(s, key);
	key_set_host(s, l->key, host);
	l->key->lanes++;
	TAILQ_INSERT_TAIL(&b->lanes, l, of_batch);
	HASH_ADD(hh, s->lanes, id, sizeof(l->id), l);
	return l;
}

struct sched_job *sched_lane_remove(struct sched *s, struct sched_lane *l)
{
	struct sched_job *jobs = l->first;

	if (l->in_flight > 0)
		BUG("lane %lld removed with %u jobs in flight", (long long)l->id, l->in_flight);
	lane_leave(s, l);
	s->loaded -= l->loaded;
	if (l->live)
		s->live--;
	if (l->hungry)
		TAILQ_REMOVE(&s->hungry, l, hungry_link);
	TAILQ_REMOVE(&l->batch->lanes, l, of_batch);
	HASH_DEL(s->lanes, l);
	l->key->lanes--;
	key_drop_unused(s, l->key);
	free(l);
	return jobs;
}

void *sched_lane_user(const struct sched_lane *l)
{
	return l->user;
}

const char *sched_lane_key(const struct sched_lane *l)
{
	return l->key->name;
}

const char *sched_lane_host(const struct sched_lane *l)
{
	return l->key->host->name;
}

struct sched_batch *sched_lane_batch(const struct sched_lane *l)
{
	return l->batch;
}

int64_t sched_lane_id(const struct sched_lane *l)
{
	return l->id;
}

unsigned sched_lane_loaded(const struct sched_lane *l)
{
	return l->loaded;
}

unsigned sched_lane_in_flight(const struct sched_lane *l)
{
	return l->in_flight;
}

struct sched_totals sched_totals(const struct sched *s)
{
	return (struct sched_totals){
	    .keys = HASH_COUNT(s->keys),
	    .hosts = HASH_COUNT(s->hosts),
	    .limits = s->limit_count,
	    .lanes = HASH_COUNT(s->lanes),
	    .batches = HASH_COUNT(s->batches),
	    .loaded = s->loaded,
	    .in_flight = s->in_flight,
	};
}
