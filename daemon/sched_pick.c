/* The question "which job now" and what follows from its answer. It must not know where jobs come from. */
#include "daemon/sched_private.h"
#include "lib/clock.h"

/* A lane's pass grows by its stride with each job, and the smallest pass goes next: so the lanes of a key get jobs in
 * proportion to 1/stride, and whatever their number, none waits for more than its share (Waldspurger and Weihl, Stride
 * Scheduling, 1995). */
static uint64_t stride(const struct sched_batch *b)
{
	unsigned priority = b->opt.priority < SCHED_PRIORITY_MAX ? b->opt.priority : SCHED_PRIORITY_MAX;

	return UINT64_C(1) << (SCHED_PRIORITY_MAX - priority);
}

static struct sched_lane *queue_top(const struct sched_key *k, enum queue q)
{
	struct heap_node *n = heap_top(&k->queues[q]);

	return n ? HEAP_ENTRY(n, struct sched_lane, node) : NULL;
}

/* The lane whose turn it is, of those that the key's concurrency lets go. */
static struct sched_lane *key_first_lane(const struct sched *s, const struct sched_key *k)
{
	struct sched_lane *own = queue_top(k, QUEUE_OWN);
	struct sched_lane *other = key_default_full(s, k) ? NULL : queue_top(k, QUEUE_DEFAULT);

	if (!own || !other)
		return own ? own : other;
	if (own->pass != other->pass)
		return own->pass < other->pass ? own : other;
	return own->turn < other->turn ? own : other;
}

static bool key_is_limited(struct sched *s, struct sched_key *k, int64_t now_us)
{
	enum limit_hold why;
	int64_t until_us = key_ask(k, now_us, &why);

	key_account_limited(k, why > LIMIT_CONCURRENCY, now_us);
	if (until_us == 0)
		return false;
	k->wake_us = until_us;
	key_set_state(s, k, until_us == CLOCK_NEVER ? KEY_STUCK : KEY_WAITING);
	return true;
}

/* A key's turn: the lane that may go, or NULL, and then the key is no longer ready. */
static struct sched_lane *key_visit(struct sched *s, struct sched_key *k, int64_t now_us)
{
	struct sched_lane *l;

	if (key_has_lanes_queued(k) && key_is_limited(s, k, now_us))
		return NULL;
	while ((l = key_first_lane(s, k))) {
		if (batch_open(l->batch))
			return l;
		lane_leave(s, l);
		lane_park(s, l);
	}
	key_account_limited(k, false, now_us);
	key_set_state(s, k, key_has_lanes_queued(k) ? KEY_STUCK : KEY_IDLE);
	return NULL;
}

/* Brings one parked lane of a batch that may go back to its key; false when there is none. The batches take turns. */
static bool unpark_one(struct sched *s)
{
	struct sched_batch *b = TAILQ_FIRST(&s->owed);
	struct sched_lane *l;

	if (!b)
		return false;
	TAILQ_REMOVE(&s->owed, b, owed_link);
	b->owed = false;
	l = TAILQ_FIRST(&b->parked);
	lane_leave(s, l);
	lane_queue(s, l);
	return true;
}

static void wake_waiting(struct sched *s, int64_t now_us)
{
	struct heap_node *n;

	while ((n = heap_top(&s->waiting)) && HEAP_ENTRY(n, struct sched_key, node)->wake_us <= now_us)
		key_set_state(s, HEAP_ENTRY(n, struct sched_key, node), KEY_READY);
}

static void lane_pay(struct sched_lane *l)
{
	struct sched_key *k = l->key;

	if (l->pass > k->pass)
		k->pass = l->pass;
	/* from the key's pass on: one that was held up by the key's concurrency has no arrears to claim */
	l->pass = k->pass + stride(l->batch);
	l->turn = ++k->turn;
}

static void count_in_flight(struct sched *s, struct sched_lane *l, int by)
{
	s->in_flight += (unsigned)by;
	l->in_flight += (unsigned)by;
	l->batch->in_flight += (unsigned)by;
	l->key->in_flight += (unsigned)by;
	if (batch_queue(l->batch) == QUEUE_DEFAULT)
		l->key->default_in_flight += (unsigned)by;
	batch_update_owed(s, l->batch);
}

static struct sched_job *grant(struct sched *s, struct sched_lane *l, int64_t now_us)
{
	struct sched_key *k = l->key;
	struct sched_job *j = lane_shift(s, l);
	struct key_limit *kl;

	j->granted_us = now_us;
	j->limited_us += key_limited_us(k, now_us);
	for (kl = SLIST_FIRST(&k->limits); kl; kl = SLIST_NEXT(kl, next))
		limit_grant(kl->limit, now_us);
	count_in_flight(s, l, 1);
	lane_pay(l);
	if (l->loaded == 0)
		lane_leave(s, l);
	else
		heap_moved(&k->queues[batch_queue(l->batch)], &l->node);
	key_set_state(s, k, key_has_lanes_queued(k) ? KEY_READY : KEY_IDLE);
	return j;
}

struct sched_job *sched_pick(struct sched *s, int64_t now_us)
{
	struct sched_key *k;
	struct sched_lane *l;

	wake_waiting(s, now_us);
	/* one at every pick, and all before giving up: parked lanes come back even while others always have work */
	unpark_one(s);
	for (;;) {
		while ((k = TAILQ_FIRST(&s->ready)))
			if ((l = key_visit(s, k, now_us)))
				return grant(s, l, now_us);
		if (!unpark_one(s))
			return NULL;
	}
}

int64_t sched_wake_us(const struct sched *s, int64_t now_us)
{
	const struct heap_node *n = heap_top(&s->waiting);
	int64_t wake_us = n ? HEAP_CONST_ENTRY(n, struct sched_key, node)->wake_us : CLOCK_NEVER;

	return wake_us > now_us ? wake_us : now_us;
}

void sched_ended(struct sched *s, struct sched_job *j, int64_t now_us, int64_t counted_us)
{
	struct sched_lane *l = j->lane;
	struct key_limit *kl;

	if (counted_us < j->granted_us)
		counted_us = j->granted_us;
	count_in_flight(s, l, -1);
	for (kl = SLIST_FIRST(&l->key->limits); kl; kl = SLIST_NEXT(kl, next))
		limit_end(kl->limit, now_us, j->granted_us, counted_us);
	key_look_again(s, l->key);
}

void sched_refund(struct sched *s, struct sched_job *j, int64_t now_us)
{
	struct sched_lane *l = j->lane;
	struct key_limit *kl;

	(void)now_us; /* room for limits that care */
	count_in_flight(s, l, -1);
	for (kl = SLIST_FIRST(&l->key->limits); kl; kl = SLIST_NEXT(kl, next))
		limit_refund(kl->limit, j->granted_us);
	key_look_again(s, l->key);
}

/* ---- explaining ---- */

static struct sched_waiting key_wait(const struct sched *s, const struct sched_lane *l, int64_t now_us)
{
	struct sched_waiting w = {.wait = SCHED_READY, .until_us = now_us};
	int64_t until_us = key_ask(l->key, now_us, &w.hold);

	if (w.hold != LIMIT_FREE) {
		w.until_us = until_us;
		w.wait = w.hold == LIMIT_CONCURRENCY ? SCHED_LIMIT_CAP : SCHED_LIMITED;
	} else if (batch_queue(l->batch) == QUEUE_DEFAULT && key_default_full(s, l->key)) {
		w.until_us = CLOCK_NEVER;
		w.wait = SCHED_HOST_CAP;
	}
	return w;
}

struct sched_waiting sched_lane_wait(const struct sched *s, const struct sched_lane *l, int64_t now_us)
{
	struct sched_waiting w = {.until_us = CLOCK_NEVER};

	if (l->loaded == 0)
		w.wait = SCHED_EMPTY;
	else if (l->batch->opt.paused)
		w.wait = SCHED_PAUSED;
	else if (!batch_open(l->batch))
		w.wait = SCHED_BATCH_CAP;
	else
		w = key_wait(s, l, now_us);
	return w;
}

const char *sched_wait_name(enum sched_wait w)
{
	static const char *const names[] = {
	    [SCHED_READY] = "ready",         [SCHED_EMPTY] = "empty",       [SCHED_PAUSED] = "paused",
	    [SCHED_BATCH_CAP] = "batch_cap", [SCHED_HOST_CAP] = "host_cap", [SCHED_LIMIT_CAP] = "limit_cap",
	    [SCHED_LIMITED] = "limited",
	};
	_Static_assert(sizeof names / sizeof *names == SCHED_WAITS, "every wait has a name");

	return (unsigned)w < SCHED_WAITS ? names[w] : "?";
}
