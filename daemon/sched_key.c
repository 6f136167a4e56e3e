/* Keys and hosts: that they are there, and in what state a key is. It must not know which lane goes first, nor when a
 * limit lets go. */
#include <stdlib.h>
#include <string.h>

#include "daemon/sched_private.h"

/* ---- hosts ---- */

static struct sched_host *host_add(struct sched *s, const char *name)
{
	struct sched_host *h;

	HASH_FIND_STR(s->hosts, name, h);
	if (h)
		return h;
	h = sched_alloc(sizeof(*h));
	h->name = sched_copy(name);
	line_init(&h->line, TURN_HOST);
	HASH_ADD_KEYPTR(hh, s->hosts, h->name, strlen(h->name), h);
	return h;
}

static void host_drop(struct sched *s, struct sched_host *h)
{
	if (--h->keys > 0)
		return;
	line_clear(s, &h->line);
	HASH_DEL(s->hosts, h);
	free(h->name);
	free(h);
}

bool host_full(const struct sched *s, const struct sched_host *h)
{
	return s->set.host_concurrency > 0 && h->default_in_flight >= s->set.host_concurrency;
}

/* ---- keys ---- */

static bool lane_comes_before(const struct heap_node *a, const struct heap_node *b)
{
	const struct sched_lane *x = HEAP_CONST_ENTRY(a, struct sched_lane, node);
	const struct sched_lane *y = HEAP_CONST_ENTRY(b, struct sched_lane, node);

	return x->pass != y->pass ? x->pass < y->pass : x->turn < y->turn;
}

struct sched_key *key_find(struct sched *s, const char *name)
{
	struct sched_key *k;

	HASH_FIND_STR(s->keys, name, k);
	return k;
}

struct sched_key *key_add(struct sched *s, const char *name)
{
	struct sched_key *k = key_find(s, name);

	if (k)
		return k;
	k = sched_alloc(sizeof(*k));
	k->name = sched_copy(name);
	k->turn.kind = TURN_KEY;
	for (int q = 0; q < QUEUES; q++)
		heap_init(&k->queues[q], lane_comes_before);
	LIST_INIT(&k->flying);
	HASH_ADD_KEYPTR(hh, s->keys, k->name, strlen(k->name), k);
	return k;
}

void key_set_host(struct sched *s, struct sched_key *k, const char *host)
{
	if (k->host) {
		if (strcmp(k->host->name, host) != 0)
			BUG("the key %s belongs to %s, not to %s", k->name, k->host->name, host);
		return;
	}
	k->host = host_add(s, host);
	k->host->keys++;
}

void key_free(struct sched *s, struct sched_key *k)
{
	if (k->state == KEY_LINED)
		key_leave_line(s, k, 0);
	key_set_state(s, k, KEY_IDLE);
	key_detach_limits(s, k);
	if (k->host) {
		key_leave_host_line(s, k);
		host_drop(s, k->host);
	}
	for (int q = 0; q < QUEUES; q++)
		heap_clear(&k->queues[q]);
	HASH_DEL(s->keys, k);
	free(k->name);
	free(k);
}

/* A key that was given limits stays until they are taken from it: the next lane finds them. */
void key_drop_unused(struct sched *s, struct sched_key *k)
{
	if (k->lanes == 0 && !k->grants)
		key_free(s, k);
}

bool key_has_lanes_queued(const struct sched_key *k)
{
	return heap_top(&k->queues[QUEUE_DEFAULT]) || heap_top(&k->queues[QUEUE_OWN]);
}

/* To KEY_READY always means to the end of the ring, also from KEY_READY: that is the rotation. */
void key_set_state(struct sched *s, struct sched_key *k, enum key_state state)
{
	k->state = state;
	if (state == KEY_READY)
		turn_ready(s, &k->turn);
	else
		turn_over(s, &k->turn);
}

/* ---- for whoever looks ---- */

struct sched_key *sched_key_next(const struct sched *s, const struct sched_key *prev)
{
	return prev ? prev->hh.next : s->keys;
}

const char *sched_key_name(const struct sched_key *k)
{
	return k->name;
}

const char *sched_key_host(const struct sched_key *k)
{
	return k->host ? k->host->name : NULL;
}

unsigned sched_key_lanes(const struct sched_key *k)
{
	return k->lanes;
}

struct sched_limit *sched_key_limit_at(const struct sched_key *k, unsigned i)
{
	return k->grants && i < k->grants->count ? k->grants->limits[i] : NULL;
}
