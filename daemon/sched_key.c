/* A key: its state, its limits, and for how long these held it up. It must not know which of its lanes goes first. */
#include <stdlib.h>
#include <string.h>

#include "daemon/sched_private.h"
#include "lib/clock.h"

static bool lane_comes_before(const struct heap_node *a, const struct heap_node *b)
{
	const struct sched_lane *x = HEAP_CONST_ENTRY(a, struct sched_lane, node);
	const struct sched_lane *y = HEAP_CONST_ENTRY(b, struct sched_lane, node);

	return x->pass != y->pass ? x->pass < y->pass : x->turn < y->turn;
}

bool key_comes_before(const struct heap_node *a, const struct heap_node *b)
{
	return HEAP_CONST_ENTRY(a, struct sched_key, node)->wake_us <
	       HEAP_CONST_ENTRY(b, struct sched_key, node)->wake_us;
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
	for (int q = 0; q < QUEUES; q++)
		heap_init(&k->queues[q], lane_comes_before);
	SLIST_INIT(&k->limits);
	HASH_ADD_KEYPTR(hh, s->keys, k->name, strlen(k->name), k);
	return k;
}

static void key_remove_limits(struct sched_key *k)
{
	struct key_limit *kl;

	while ((kl = SLIST_FIRST(&k->limits))) {
		SLIST_REMOVE_HEAD(&k->limits, next);
		limit_free(kl->limit);
		free(kl);
	}
}

void key_free(struct sched *s, struct sched_key *k)
{
	key_set_state(s, k, KEY_IDLE);
	key_remove_limits(k);
	for (int q = 0; q < QUEUES; q++)
		heap_clear(&k->queues[q]);
	HASH_DEL(s->keys, k);
	free(k->name);
	free(k->host);
	free(k);
}

/* A key under a limit stays: what the limit remembers holds for the next lane too. */
void key_drop_unused(struct sched *s, struct sched_key *k)
{
	if (k->lanes == 0 && SLIST_EMPTY(&k->limits))
		key_free(s, k);
}

bool key_default_full(const struct sched *s, const struct sched_key *k)
{
	return s->set.host_concurrency > 0 && k->default_in_flight >= s->set.host_concurrency;
}

bool key_has_lanes_queued(const struct sched_key *k)
{
	return heap_top(&k->queues[QUEUE_DEFAULT]) || heap_top(&k->queues[QUEUE_OWN]);
}

/* To KEY_READY always means to the end of the line, also from KEY_READY: that is the rotation. */
void key_set_state(struct sched *s, struct sched_key *k, enum key_state state)
{
	if (k->state == KEY_READY)
		TAILQ_REMOVE(&s->ready, k, ready);
	else if (k->state == KEY_WAITING)
		heap_remove(&s->waiting, &k->node);
	k->state = state;
	if (state == KEY_READY)
		TAILQ_INSERT_TAIL(&s->ready, k, ready);
	else if (state == KEY_WAITING)
		heap_insert(&s->waiting, &k->node);
}

/* Something changed that may let it go. Whether it does is found out when its turn comes. */
void key_look_again(struct sched *s, struct sched_key *k)
{
	if (k->state == KEY_WAITING || k->state == KEY_STUCK)
		key_set_state(s, k, KEY_READY);
}

/* ---- limits ---- */

int64_t key_ask(const struct sched_key *k, int64_t now_us, enum limit_hold *why)
{
	int64_t latest_us = 0;

	*why = LIMIT_FREE;
	for (const struct key_limit *kl = SLIST_FIRST(&k->limits); kl; kl = SLIST_NEXT(kl, next)) {
		enum limit_hold w;
		int64_t until_us = limit_ask_why(kl->limit, now_us, &w);

		if (until_us > latest_us) {
			latest_us = until_us;
			*why = w;
		}
	}
	return latest_us;
}

/* A key's limited time ends when its limit would have let it go, even if nobody asked until later. */
static int64_t limited_until_us(const struct sched_key *k, int64_t now_us)
{
	int64_t until_us = k->wake_us < now_us ? k->wake_us : now_us;

	return until_us > k->limited_since_us ? until_us : k->limited_since_us;
}

void key_account_limited(struct sched_key *k, bool limited, int64_t now_us)
{
	if (k->limited && !limited)
		k->limited_us += limited_until_us(k, now_us) - k->limited_since_us;
	else if (!k->limited && limited)
		k->limited_since_us = now_us;
	k->limited = limited;
}

int64_t key_limited_us(const struct sched_key *k, int64_t now_us)
{
	return k->limited_us + (k->limited ? limited_until_us(k, now_us) - k->limited_since_us : 0);
}

void sched_key_limit(struct sched *s, const char *key, const struct limit_rule *rule)
{
	struct sched_key *k = rule ? key_add(s, key) : key_find(s, key);
	struct key_limit *kl;

	if (!k)
		return;
	kl = SLIST_FIRST(&k->limits);
	if (!rule) {
		key_remove_limits(k);
		key_look_again(s, k);
		key_drop_unused(s, k);
		return;
	}
	if (kl) {
		limit_change(kl->limit, rule);
	} else {
		kl = sched_alloc(sizeof(*kl));
		kl->limit = limit_create(rule);
		limit_adopt(kl->limit, k->in_flight);
		SLIST_INSERT_HEAD(&k->limits, kl, next);
	}
	key_look_again(s, k);
}
