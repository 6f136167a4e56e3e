/* The question "which job now" and what follows from its answer. It must not know where jobs come from. */
#include "daemon/sched_private.h"
#include "lib/clock.h"

#define RIVALS_MAX 1e15

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

/* Why a key is looked at: in its own turn it has to respect the lines before its limits and its host; when it is served
 * by one of them it has waited already, and does not wait in another that has room. */
enum visit { VISIT_IN_TURN, VISIT_BY_LIMIT, VISIT_BY_HOST };

/* Whether lanes under the host's default concurrency may go. A key that finds they may not is in the host's line from
 * then on, also while its other lanes go. */
static bool default_may_go(struct sched *s, struct sched_key *k, enum visit visit)
{
	const struct sched_key *first;

	if (!queue_top(k, QUEUE_DEFAULT))
		return false;
	first = host_first_in_line(k->host);
	if (!host_full(s, k->host) && (visit != VISIT_IN_TURN || !first || first == k))
		return true;
	key_join_host_line(s, k);
	return false;
}

/* The lane whose turn it is, of those that the host's concurrency lets go. */
static struct sched_lane *key_first_lane(const struct sched_key *k, bool default_may)
{
	struct sched_lane *own = queue_top(k, QUEUE_OWN);
	struct sched_lane *other = default_may ? queue_top(k, QUEUE_DEFAULT) : NULL;

	if (!own || !other)
		return own ? own : other;
	if (own->pass != other->pass)
		return own->pass < other->pass ? own : other;
	return own->turn < other->turn ? own : other;
}

/* A limit with a line before it that this key has not waited in. */
static struct sched_limit *line_to_join(const struct sched_key *k)
{
	for (unsigned i = 0; k->grants && i < k->grants->count; i++) {
		const struct sched_key *first = limit_first_in_line(k->grants->limits[i]);

		if (first && (k->ticket == 0 || first->ticket < k->ticket))
			return k->grants->limits[i];
	}
	return NULL;
}

static bool key_is_limited(struct sched *s, struct sched_key *k, enum visit visit, int64_t now_us)
{
	enum limit_hold why;
	int64_t until_us;
	struct sched_limit *l = key_ask(k, now_us, &until_us, &why);

	if (l)
		limit_held(s, l, until_us, why, now_us);
	else if (visit == VISIT_IN_TURN)
		l = line_to_join(k);
	if (l)
		key_join_line(s, k, l, now_us);
	return l != NULL;
}

/* The lane of the key that may go; or NULL, and then the key is no longer in the ring. */
static struct sched_lane *key_visit(struct sched *s, struct sched_key *k, enum visit visit, int64_t now_us)
{
	struct sched_lane *l;

	if (key_has_lanes_queued(k) && key_is_limited(s, k, visit, now_us))
		return NULL;
	while ((l = key_first_lane(k, default_may_go(s, k, visit)))) {
		if (batch_open(l->batch))
			return l;
		lane_leave(s, l);
		lane_park(s, l);
	}
	key_set_state(s, k, key_has_lanes_queued(k) ? KEY_STUCK : KEY_IDLE);
	return NULL;
}

/* A limit's turn: the first in its line is served, if the limit lets it. */
static struct sched_lane *limit_serve(struct sched *s, struct sched_limit *l, int64_t now_us)
{
	enum limit_hold why;
	int64_t until_us = limit_ask_why(l->limit, now_us, &why);
	struct sched_key *k = limit_first_in_line(l);
	struct sched_lane *lane;

	if (until_us != 0) {
		limit_held(s, l, until_us, why, now_us);
		return NULL;
	}
	limit_free_again(l, now_us);
	key_leave_line(s, k, now_us);
	lane = key_visit(s, k, VISIT_BY_LIMIT, now_us);
	if (lane && l->line.turn.ready)
		turn_ready(s, &l->line.turn);
	return lane;
}

/* A host's turn: the first in its line is served, if a limit does not hold it: then it comes back when that lets go. */
static struct sched_lane *host_serve(struct sched *s, struct sched_host *h, int64_t now_us)
{
	struct sched_key *k = host_first_in_line(h);
	struct sched_lane *lane;

	if (host_full(s, h)) {
		turn_over(s, &h->line.turn);
		return NULL;
	}
	key_leave_host_line(s, k);
	if (k->state == KEY_LINED)
		return NULL;
	lane = key_visit(s, k, VISIT_BY_HOST, now_us);
	if (lane && h->line.turn.ready)
		turn_ready(s, &h->line.turn);
	return lane;
}

static struct sched_lane *turn_take(struct sched *s, struct turn *t, int64_t now_us)
{
	switch (t->kind) {
	case TURN_KEY:
		return key_visit(s, HEAP_ENTRY(t, struct sched_key, turn), VISIT_IN_TURN, now_us);
	case TURN_LIMIT:
		return limit_serve(s, HEAP_ENTRY(t, struct sched_limit, line.turn), now_us);
	case TURN_HOST:
		return host_serve(s, HEAP_ENTRY(t, struct sched_host, line.turn), now_us);
	}
	BUG("a turn of kind %d", (int)t->kind);
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

	while ((n = heap_top(&s->waiting)) && HEAP_ENTRY(n, struct sched_limit, node)->wake_us <= now_us)
		limit_touched(s, HEAP_ENTRY(n, struct sched_limit, node));
}

static void lane_pay(struct sched_lane *l)
{
	struct sched_key *k = l->key;

	if (l->pass > k->pass)
		k->pass = l->pass;
	/* from the key's pass on: one that was held up by the key's concurrency has no arrears to claim */
	l->pass = k->pass + stride(l->batch);
	l->turn = ++k->turns;
}

static void count_in_flight(struct sched *s, struct sched_lane *l, int by)
{
	s->in_flight += (unsigned)by;
	l->in_flight += (unsigned)by;
	l->batch->in_flight += (unsigned)by;
	if (batch_queue(l->batch) == QUEUE_DEFAULT)
		l->key->host->default_in_flight += (unsigned)by;
	batch_update_owed(s, l->batch);
}

static struct sched_job *grant(struct sched *s, struct sched_lane *l, int64_t now_us)
{
	struct sched_key *k = l->key;
	struct sched_job *j = lane_shift(s, l);

	j->granted_us = now_us;
	j->limited_us += key_limited_us(k, now_us);
	grants_take(j, k, now_us);
	grants_prefetch_next(s);
	count_in_flight(s, l, 1);
	k->ticket = 0;
	if (batch_queue(l->batch) == QUEUE_DEFAULT) {
		key_leave_host_line(s, k);
		k->host_ticket = 0;
	}
	lane_pay(l);
	if (l->loaded == 0 || !TAILQ_EMPTY(&l->batch->parked))
		lane_leave(s, l);
	else
		heap_moved(&k->queues[batch_queue(l->batch)], &l->node);
	/* Others of its batch have waited longer: in its key's place it would be served again before they are back. */
	if (l->loaded > 0 && l->place == LANE_OUT)
		lane_park(s, l);
	key_set_state(s, k, key_has_lanes_queued(k) ? KEY_READY : KEY_IDLE);
	return j;
}

struct sched_job *sched_pick(struct sched *s, int64_t now_us)
{
	struct turn *t;
	struct sched_lane *l;

	wake_waiting(s, now_us);
	/* one at every pick, and all before giving up: parked lanes come back even while others always have work */
	unpark_one(s);
	for (;;) {
		while ((t = TAILQ_FIRST(&s->ready)))
			if ((l = turn_take(s, t, now_us)))
				return grant(s, l, now_us);
		if (!unpark_one(s))
			return NULL;
	}
}

/* ---- standing by ---- */

struct sched_job *sched_lane_first(const struct sched_lane *l)
{
	return l->first;
}

/* Alone among those that its batch's, or else its host's concurrency holds up; which is reached, and not exceeded: a
 * lower one may have been set. */
static bool waits_alone(const struct sched *s, const struct sched_lane *l)
{
	const struct sched_batch *b = l->batch;
	const struct sched_key *k = l->key;

	if (batch_queue(b) == QUEUE_OWN)
		return b->in_flight == b->opt.concurrency && TAILQ_FIRST(&b->parked) == l && !TAILQ_NEXT(l, parked);
	return k->host->default_in_flight == s->set.host_concurrency && k->queues[QUEUE_DEFAULT].count == 1 &&
	       host_first_in_line(k->host) == k && k->host->line.keys.count == 1;
}

struct sched_job *sched_stand_by(struct sched *s, struct sched_lane *l, int64_t now_us)
{
	struct sched_job *j;

	if (l->loaded == 0 || l->in_flight == 0 || l->batch->opt.paused || l->key->grants || !waits_alone(s, l))
		return NULL;
	j = lane_shift(s, l);
	j->limited_us += key_limited_us(l->key, now_us);
	lane_pay(l);
	if (l->loaded == 0)
		lane_leave(s, l);
	else if (l->place == LANE_QUEUED)
		heap_moved(&l->key->queues[QUEUE_DEFAULT], &l->node);
	return j;
}

void sched_begin(struct sched *s, struct sched_job *j, int64_t now_us)
{
	j->granted_us = now_us;
	grants_take(j, j->lane->key, now_us);
	count_in_flight(s, j->lane, 1);
}

int64_t sched_wake_us(const struct sched *s, int64_t now_us)
{
	const struct heap_node *n = heap_top(&s->waiting);
	int64_t wake_us = n ? HEAP_CONST_ENTRY(n, struct sched_limit, node)->wake_us : CLOCK_NEVER;

	return wake_us > now_us ? wake_us : now_us;
}

static void leave_flight(struct sched *s, struct sched_lane *l)
{
	count_in_flight(s, l, -1);
	host_touched(s, l->key->host);
}

void sched_ended(struct sched *s, struct sched_job *j, int64_t now_us, int64_t counted_us)
{
	if (counted_us < j->granted_us)
		counted_us = j->granted_us;
	leave_flight(s, j->lane);
	grants_end(s, j, now_us, counted_us);
}

void sched_refund(struct sched *s, struct sched_job *j, int64_t now_us)
{
	(void)now_us;
	leave_flight(s, j->lane);
	grants_refund(s, j);
}

/* ---- explaining ---- */

static struct sched_waiting key_wait(const struct sched *s, const struct sched_lane *l, int64_t now_us)
{
	struct sched_waiting w = {.wait = SCHED_READY, .until_us = now_us};
	int64_t until_us;

	w.limit = key_ask(l->key, now_us, &until_us, &w.hold);
	if (w.limit) {
		w.until_us = until_us;
		w.wait = w.hold == LIMIT_CONCURRENCY ? SCHED_LIMIT_CAP : SCHED_LIMITED;
	} else if (batch_queue(l->batch) == QUEUE_DEFAULT && host_full(s, l->key->host)) {
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

/* What the lanes of other batches get by stride while `b` gets `jobs`; and whether `b` waits with this key, too. Of a
 * lane that the store has more of, it is not known how many. */
static double key_rivals(const struct sched_key *k, const struct sched_batch *b, double jobs, bool *own)
{
	double sum = 0;

	*own = false;
	for (int q = 0; q < QUEUES; q++)
		for (size_t i = 0; i < k->queues[q].count; i++) {
			const struct sched_lane *l = HEAP_CONST_ENTRY(k->queues[q].nodes[i], struct sched_lane, node);
			double share = jobs * (double)stride(b) / (double)stride(l->batch);

			if (l->batch == b)
				*own = true;
			else
				sum += l->more || l->asked || share < l->loaded ? share : l->loaded;
		}
	return sum;
}

/* Keys take turns, whatever is in them: another key gets no more than the batch's own does. */
int64_t sched_limit_rivals(const struct sched_limit *l, const struct sched_batch *b, int64_t jobs)
{
	double own_key = (double)jobs, beside = 0, n;
	const struct attachment *a;
	bool own;

	LIST_FOREACH (a, &l->keys, of_limit) {
		n = key_rivals(a->key, b, (double)jobs, &own);
		own_key += own ? n : 0;
	}
	LIST_FOREACH (a, &l->keys, of_limit) {
		n = key_rivals(a->key, b, own_key, &own);
		beside += own ? 0 : n < own_key ? n : own_key;
	}
	n = own_key - (double)jobs + beside;
	return n < RIVALS_MAX ? (int64_t)n : (int64_t)RIVALS_MAX;
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
