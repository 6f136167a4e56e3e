/* Limits: which keys have them, which jobs they granted, and the changes that wake their lines. A job in flight
 * remembers the limits that count it as a set that never changes, shared with its key and the other jobs granted at
 * that time; a key's new list is a new set. It must not know whose turn it is. */
#include <stdlib.h>
#include <string.h>

#include "daemon/sched_private.h"

/* ---- sets ---- */

static struct sched_grants *grants_create(struct sched *s, struct sched_limit *const limits[], unsigned count)
{
	struct sched_grants *g = sched_alloc(sizeof(*g) + count * sizeof(struct sched_limit *));

	g->refs = 1;
	g->count = count;
	for (unsigned i = 0; i < count; i++) {
		g->limits[i] = limits[i];
		limits[i]->refs++;
	}
	LIST_INSERT_HEAD(&s->grants, g, all);
	return g;
}

static void limit_drop_ref(struct sched_limit *l)
{
	if (--l->refs == 0 && !l->limit)
		free(l);
}

static void grants_release(struct sched_grants *g)
{
	if (!g || --g->refs > 0)
		return;
	for (unsigned i = 0; i < g->count; i++)
		limit_drop_ref(g->limits[i]);
	LIST_REMOVE(g, all);
	free(g);
}

static bool grants_have(const struct sched_grants *g, const struct sched_limit *l)
{
	for (unsigned i = 0; g && i < g->count; i++)
		if (g->limits[i] == l)
			return true;
	return false;
}

/* ---- granting and ending ---- */

/* Thousands of limits do not fit in a cache. Those of one job are brought all at once, rather than each when it is
 * asked: with ten of them that is the most of what asking costs. */
static void prefetch(const struct sched_grants *g)
{
	for (unsigned i = 0; i < g->count; i++)
		__builtin_prefetch(g->limits[i], 1);
	for (unsigned i = 0; i < g->count; i++)
		if (g->limits[i]->limit)
			limit_prefetch(g->limits[i]->limit);
}

/* Those of the key that is likely to be asked next. */
void grants_prefetch_next(const struct sched *s)
{
	const struct turn *t = TAILQ_FIRST(&s->ready);

	if (t && t->kind == TURN_KEY && HEAP_CONST_ENTRY(t, struct sched_key, turn)->grants)
		prefetch(HEAP_CONST_ENTRY(t, struct sched_key, turn)->grants);
}

struct sched_limit *key_ask(const struct sched_key *k, int64_t now_us, int64_t *until_us, enum limit_hold *why)
{
	struct sched_limit *latest = NULL;

	*until_us = 0;
	*why = LIMIT_FREE;
	if (!k->grants)
		return NULL;
	prefetch(k->grants);
	for (unsigned i = 0; i < k->grants->count; i++)
		limit_prefetch_ask(k->grants->limits[i]->limit);
	for (unsigned i = 0; i < k->grants->count; i++) {
		struct sched_limit *l = k->grants->limits[i];
		enum limit_hold w;
		int64_t t = limit_ask_why(l->limit, now_us, &w);

		if (t > *until_us) {
			latest = l;
			*until_us = t;
			*why = w;
		}
	}
	return latest;
}

void grants_take(struct sched_job *j, struct sched_key *k, int64_t now_us)
{
	j->granted = k->grants;
	LIST_INSERT_HEAD(&k->flying, j, flying);
	if (!k->grants)
		return;
	k->grants->refs++;
	for (unsigned i = 0; i < k->grants->count; i++)
		limit_grant(k->grants->limits[i]->limit, now_us);
}

static void grants_drop(struct sched_job *j)
{
	LIST_REMOVE(j, flying);
	grants_release(j->granted);
	j->granted = NULL;
}

void grants_end(struct sched *s, struct sched_job *j, int64_t now_us, int64_t counted_us)
{
	if (j->granted)
		prefetch(j->granted);
	for (unsigned i = 0; j->granted && i < j->granted->count; i++)
		if (j->granted->limits[i]->limit)
			limit_prefetch_end(j->granted->limits[i]->limit);
	for (unsigned i = 0; j->granted && i < j->granted->count; i++) {
		struct sched_limit *l = j->granted->limits[i];

		if (!l->limit)
			continue;
		limit_end(l->limit, now_us, j->granted_us, counted_us);
		limit_touched(s, l);
	}
	grants_drop(j);
}

void grants_refund(struct sched *s, struct sched_job *j)
{
	for (unsigned i = 0; j->granted && i < j->granted->count; i++) {
		struct sched_limit *l = j->granted->limits[i];

		if (!l->limit)
			continue;
		limit_refund(l->limit, j->granted_us);
		limit_touched(s, l);
	}
	grants_drop(j);
}

/* ---- the list of a key ---- */

static void detach(struct sched_key *k)
{
	for (unsigned i = 0; k->grants && i < k->grants->count; i++) {
		LIST_REMOVE(&k->attached[i], of_limit);
		k->grants->limits[i]->key_count--;
	}
	free(k->attached);
	k->attached = NULL;
}

static void attach(struct sched_key *k)
{
	k->attached = sched_alloc(k->grants->count * sizeof(*k->attached));
	for (unsigned i = 0; i < k->grants->count; i++) {
		k->attached[i].key = k;
		LIST_INSERT_HEAD(&k->grants->limits[i]->keys, &k->attached[i], of_limit);
		k->grants->limits[i]->key_count++;
	}
}

void key_detach_limits(struct sched *s, struct sched_key *k)
{
	(void)s;
	detach(k);
	grants_release(k->grants);
	k->grants = NULL;
}

/* What a job in flight counts against when its key has new limits: those, and those it counted against before. */
static struct sched_grants *join(struct sched *s, const struct sched_grants *before, struct sched_grants *now)
{
	struct sched_limit **all =
	    sched_alloc(((before ? before->count : 0) + now->count) * sizeof(struct sched_limit *));
	struct sched_grants *joined;
	unsigned n = 0;

	for (unsigned i = 0; before && i < before->count; i++)
		if (before->limits[i]->limit)
			all[n++] = before->limits[i];
	for (unsigned i = 0; i < now->count; i++)
		if (!grants_have(before, now->limits[i]))
			all[n++] = now->limits[i];
	joined = n == now->count ? now : grants_create(s, all, n);
	if (joined == now)
		now->refs++;
	free(all);
	return joined;
}

/* The key's jobs in flight count against limits that are new to them. Mostly all have the same set, so the join of the
 * last is kept for the next. */
static void adopt_flying(struct sched *s, struct sched_key *k)
{
	struct sched_grants *before = NULL, *after = NULL;
	struct sched_job *j;

	LIST_FOREACH (j, &k->flying, flying) {
		if (!after || j->granted != before) {
			grants_release(after);
			grants_release(before);
			before = j->granted;
			if (before)
				before->refs++;
			after = join(s, before, k->grants);
		}
		for (unsigned i = 0; i < after->count; i++)
			if (!grants_have(before, after->limits[i]))
				limit_adopt(after->limits[i]->limit, 1);
		grants_release(j->granted);
		j->granted = after;
		after->refs++;
	}
	grants_release(after);
	grants_release(before);
}

void sched_job_count(struct sched *s, struct sched_job *j, struct sched_limit *l)
{
	struct sched_grants *one, *joined;

	if (grants_have(j->granted, l))
		return;
	one = grants_create(s, &l, 1);
	joined = join(s, j->granted, one);
	limit_adopt(l->limit, 1);
	grants_release(j->granted);
	grants_release(one);
	j->granted = joined;
}

static bool same_list(const struct sched_grants *g, struct sched_limit *const limits[], unsigned n)
{
	return (g ? g->count : 0) == n && (n == 0 || memcmp(g->limits, limits, n * sizeof(*limits)) == 0);
}

static void key_set_limits(struct sched *s, struct sched_key *k, struct sched_limit *const limits[], unsigned n,
			   int64_t now_us)
{
	struct sched_grants *fresh = n > 0 ? grants_create(s, limits, n) : NULL;

	if (k->state == KEY_LINED)
		key_leave_line(s, k, now_us);
	key_detach_limits(s, k);
	k->grants = fresh;
	if (fresh) {
		attach(k);
		adopt_flying(s, k);
	}
	if (key_has_lanes_queued(k))
		key_set_state(s, k, KEY_READY);
}

void sched_key_limits(struct sched *s, const char *key, struct sched_limit *const limits[], unsigned n, int64_t now_us)
{
	struct sched_key *k = n > 0 ? key_add(s, key) : key_find(s, key);
	struct sched_limit *once[SCHED_KEY_LIMITS_MAX];
	unsigned count = 0;

	if (n > SCHED_KEY_LIMITS_MAX)
		BUG("%u limits for %s", n, key);
	if (!k)
		return;
	for (unsigned i = 0; i < n; i++) {
		unsigned at = 0;

		while (at < count && once[at] != limits[i])
			at++;
		once[at] = limits[i];
		count += at == count;
	}
	if (!same_list(k->grants, once, count))
		key_set_limits(s, k, once, count, now_us);
	key_drop_unused(s, k);
}

/* ---- limits ---- */

struct sched_limit *sched_limit_create(struct sched *s, const struct limit_rule *rule, void *user)
{
	size_t bytes = (sizeof(struct sched_limit) + LIMIT_LINE - 1) / LIMIT_LINE * LIMIT_LINE;
	struct sched_limit *l = aligned_alloc(LIMIT_LINE, bytes);

	if (!l)
		BUG("out of memory for a limit");
	memset(l, 0, bytes);
	l->limit = limit_create(rule);
	l->user = user;
	line_init(&l->line, TURN_LIMIT);
	LIST_INIT(&l->keys);
	LIST_INSERT_HEAD(&s->limits, l, all);
	s->limit_count++;
	return l;
}

static void key_without(struct sched *s, struct sched_key *k, const struct sched_limit *gone, int64_t now_us)
{
	struct sched_limit *rest[SCHED_KEY_LIMITS_MAX];
	unsigned n = 0;

	for (unsigned i = 0; i < k->grants->count; i++)
		if (k->grants->limits[i] != gone)
			rest[n++] = k->grants->limits[i];
	key_set_limits(s, k, rest, n, now_us);
	key_drop_unused(s, k);
}

void sched_limit_free(struct sched *s, struct sched_limit *l, int64_t now_us)
{
	if (!l)
		return;
	while (!LIST_EMPTY(&l->keys))
		key_without(s, LIST_FIRST(&l->keys)->key, l, now_us);
	if (heap_holds(&l->node))
		heap_remove(&s->waiting, &l->node);
	line_clear(s, &l->line);
	LIST_REMOVE(l, all);
	s->limit_count--;
	limit_free(l->limit);
	l->limit = NULL;
	if (l->refs == 0)
		free(l);
}

/* At the very end, when there are no keys any more: also what jobs in flight hold, which are not ours. */
void limits_free(struct sched *s)
{
	while (!LIST_EMPTY(&s->grants)) {
		LIST_FIRST(&s->grants)->refs = 1;
		grants_release(LIST_FIRST(&s->grants));
	}
	while (!LIST_EMPTY(&s->limits))
		sched_limit_free(s, LIST_FIRST(&s->limits), 0);
}

void sched_limit_change(struct sched *s, struct sched_limit *l, const struct limit_rule *rule, int64_t now_us)
{
	(void)now_us;
	limit_change(l->limit, rule);
	limit_touched(s, l);
}

void sched_limit_seen(struct sched *s, struct sched_limit *l, int64_t counted_us)
{
	(void)s;
	limit_seen(l->limit, counted_us);
}

void sched_limit_recall_begin(struct sched *s, struct sched_limit *l)
{
	(void)s;
	limit_recall_begin(l->limit);
}

void sched_limit_recall_end(struct sched *s, struct sched_limit *l, bool whole)
{
	limit_recall_end(l->limit, whole);
	limit_touched(s, l);
}

void sched_limit_pause(struct sched *s, struct sched_limit *l, int64_t until_us)
{
	(void)s;
	limit_pause(l->limit, until_us);
}

bool sched_limit_recovered(struct sched *s, struct sched_limit *l, int64_t granted_us)
{
	bool recovered = limit_recovered(l->limit, granted_us);

	if (recovered)
		limit_touched(s, l);
	return recovered;
}

void sched_limit_resume(struct sched *s, struct sched_limit *l, int64_t now_us)
{
	limit_resume(l->limit, now_us);
	limit_touched(s, l);
}

void sched_limit_learn_rate(struct sched *s, struct sched_limit *l, const struct rate *rate, int64_t now_us,
			    int64_t expires_us)
{
	limit_learn_rate(l->limit, rate, now_us, expires_us);
	limit_touched(s, l);
}

/* ---- for whoever looks ---- */

void *sched_limit_user(const struct sched_limit *l)
{
	return l->user;
}

const struct limit *sched_limit_state(const struct sched_limit *l)
{
	return l->limit;
}

unsigned sched_limit_keys(const struct sched_limit *l)
{
	return l->key_count;
}

unsigned sched_limit_line(const struct sched_limit *l)
{
	return (unsigned)l->line.keys.count;
}

/* Parked lanes wait for their batch, and not for the limit. */
unsigned sched_limit_waiting(const struct sched_limit *l)
{
	unsigned jobs = 0;

	for (size_t i = 0; i < l->line.keys.count; i++) {
		const struct sched_key *k = HEAP_CONST_ENTRY(l->line.keys.nodes[i], struct sched_key, lined);

		for (int q = 0; q < QUEUES; q++)
			for (size_t n = 0; n < k->queues[q].count; n++)
				jobs += HEAP_CONST_ENTRY(k->queues[q].nodes[n], struct sched_lane, node)->loaded;
	}
	return jobs;
}

bool sched_limit_idle(const struct sched_limit *l, int64_t now_us)
{
	return l->key_count == 0 && limit_blank(l->limit, now_us);
}

struct sched_limit *sched_limit_next(const struct sched *s, const struct sched_limit *prev)
{
	return prev ? LIST_NEXT(prev, all) : LIST_FIRST(&s->limits);
}
