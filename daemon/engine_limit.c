/* Which limits hold for which track: the rules, the state that each has for a host, and a batch's own rate
 * (engine_own.c). A rule counts every host:port by itself; its state outlives batches and lanes, for as long as it
 * remembers anything. */
#include <stdio.h>
#include <string.h>

#include "daemon/engine_limit.h"
#include "daemon/engine_run.h"
#include "lib/clock.h"
#include "lib/log.h"

#define SWEEP_EVERY_US 10000000

/* ---- state of rules ---- */

static struct engine_limit *limit_find(const struct engine *en, const char *key)
{
	struct engine_limit *l;

	HASH_FIND_STR(en->limits, key, l);
	return l;
}

struct engine_limit *engine_limit_get(struct engine *en, const char *name, uint32_t batch, const char *host,
				      const struct limit_rule *rule, bool *made)
{
	char key[ENGINE_PULL_LIMIT_SIZE + URL_KEY_SIZE + 32];
	struct engine_limit *l;

	_Static_assert(ENGINE_PULL_LIMIT_SIZE > RULES_NAME_MAX, "names of both fit, whole");
	/* A rule's name may be anything, also "batch 7". */
	snprintf(key, sizeof key, "%u\n%s\n%s", batch, name, host);
	l = limit_find(en, key);
	*made = !l;
	if (l)
		return l;
	l = calloc(1, sizeof *l + strlen(key) + 1);
	if (!l || !(l->name = strdup(name)) || !(l->host = strdup(host)))
		abort();
	strcpy(l->key, key);
	l->batch = batch;
	l->sched = sched_limit_create(en->sched, rule, l);
	HASH_ADD_STR(en->limits, key, l);
	return l;
}

void engine_limit_drop(struct engine *en, struct engine_limit *l)
{
	HASH_DEL(en->limits, l);
	free(l->name);
	free(l->host);
	free(l);
}

struct engine_limit *engine_rule_limit(struct engine *en, const struct rule *r, const char *host)
{
	bool made;

	return engine_limit_get(en, r->name, 0, host, &r->limit, &made);
}

/* ---- tracks ---- */

unsigned engine_rules_of(const struct engine *en, const char *host, const char *url, unsigned *index, unsigned room)
{
	char *target = url_target(url);
	unsigned n = rules_select(en->rules, host, target, index, room);

	free(target);
	return n < room ? n : room;
}

bool engine_lane_has_paths(const struct engine_lane *lane)
{
	return rules_have_paths(lane->en->rules, lane->host);
}

void engine_paths_of(const struct engine *en, const char *host, const char *url, char *out, size_t size)
{
	unsigned index[SCHED_KEY_LIMITS_MAX];
	unsigned n = engine_rules_of(en, host, url, index, SCHED_KEY_LIMITS_MAX);
	size_t at = 0;

	*out = '\0';
	for (unsigned i = 0; i < n && i < SCHED_KEY_LIMITS_MAX; i++) {
		const struct rule *r = rules_get(en->rules, index[i]);
		if (!*r->parsed.path || at + strlen(r->name) + 2 > size)
			continue;
		at += (size_t)snprintf(out + at, size - at, "%s\n", r->name);
	}
}

/* Batches that drop what a host refuses do not wait for its pause: engine_start.c asks when their turn comes. */
static bool waits_for_host(const struct engine_batch *b)
{
	return b->policy.on_limit != SPEC_LIMIT_DROP;
}

void engine_track_key(const struct engine_track *t, char *out, size_t size)
{
	const struct engine_batch *b = t->lane->batch;
	char own[ENGINE_PULL_LIMIT_SIZE] = "";

	if (b->policy.rate.count > 0)
		engine_own_name(b, own);
	snprintf(out, size, "%s%s%s%s%s%s", t->lane->host, *t->paths ? "\n" : "", t->paths,
		 waits_for_host(b) ? "" : " drop", *own ? " " : "", own);
}

struct limit_set {
	struct sched_limit *of[SCHED_KEY_LIMITS_MAX];
	unsigned count;
	bool rated;
};

static void set_add(struct limit_set *set, struct engine_limit *l)
{
	if (set->count == SCHED_KEY_LIMITS_MAX)
		return;
	set->rated |= limit_get_rule(sched_limit_state(l->sched))->rate_count > 0;
	set->of[set->count++] = l->sched;
}

static void set_add_rules(struct limit_set *set, struct engine *en, const struct engine_track *t)
{
	unsigned index[SCHED_KEY_LIMITS_MAX];
	unsigned n = rules_select(en->rules, t->lane->host, NULL, index, SCHED_KEY_LIMITS_MAX);
	char paths[ENGINE_KEY_SIZE], *rest = paths, *name;

	for (unsigned i = 0; i < n && i < SCHED_KEY_LIMITS_MAX; i++)
		set_add(set, engine_rule_limit(en, rules_get(en->rules, index[i]), t->lane->host));
	snprintf(paths, sizeof paths, "%s", t->paths);
	while ((name = strsep(&rest, "\n")) && *name) {
		const struct rule *r = rules_find(en->rules, name);
		if (r)
			set_add(set, engine_rule_limit(en, r, t->lane->host));
	}
}

void engine_track_limits(struct engine_track *t)
{
	struct engine_lane *lane = t->lane;
	struct engine *en = lane->en;
	struct engine_host *host = engine_host_find(en, lane->host);
	struct limit_set set = {.count = 0};
	char key[ENGINE_KEY_SIZE];

	engine_lane_recall(lane);
	set_add_rules(&set, en, t);
	if (lane->batch->policy.rate.count > 0)
		set_add(&set, engine_own_limit(lane->batch, lane->host));
	if (host && waits_for_host(lane->batch) && set.count < SCHED_KEY_LIMITS_MAX)
		set.of[set.count++] = host->sched;
	lane->rated = set.rated;
	engine_track_key(t, key, sizeof key);
	sched_key_limits(en->sched, key, set.of, set.count, clock_boot_us());
}

void engine_host_attach(struct engine *en, const char *host)
{
	for (struct engine_lane *lane = en->lanes; lane; lane = lane->hh.next) {
		if (strcmp(lane->host, host) != 0)
			continue;
		for (struct engine_track *t = lane->tracks; t; t = t->next)
			engine_track_limits(t);
	}
}

/* ---- the record ---- */

/* `recorded`: the rate of a pull has been told of it already, from the record (recall_own). */
static void limits_seen(struct engine *en, uint64_t job, const char *host, const char *url, int64_t counted_us,
			bool recorded)
{
	unsigned index[SCHED_KEY_LIMITS_MAX];
	unsigned n = engine_rules_of(en, host, url, index, SCHED_KEY_LIMITS_MAX);
	struct engine_batch *b = engine_batch_find(en, jobid_batch(job));
	struct engine_host *h = engine_host_find(en, host);

	if (h)
		sched_limit_seen(en->sched, h->sched, counted_us);
	for (unsigned i = 0; i < n && i < SCHED_KEY_LIMITS_MAX; i++) {
		struct engine_limit *l = engine_rule_limit(en, rules_get(en->rules, index[i]), host);
		sched_limit_seen(en->sched, l->sched, counted_us);
	}
	if (b && b->policy.rate.count > 0) {
		struct engine_limit *own = engine_own_limit(b, host);

		if (!recorded || own->batch != ENGINE_LIMIT_OF_PULL)
			sched_limit_seen(en->sched, own->sched, counted_us);
	}
}

void engine_limits_seen(struct engine *en, uint64_t job, const char *host, const char *url, int64_t counted_us)
{
	limits_seen(en, job, host, url, counted_us, false);
}

struct recall {
	struct store_recent recent;
	struct engine *en;
	const char *only; /* name of the rule that is new; NULL: all */
	struct err *e;
	bool failed;
};

static void on_recent(struct store_recent *r, uint64_t job, const char *host, const char *url, int64_t counted_us)
{
	struct recall *c = (struct recall *)r;
	unsigned index[SCHED_KEY_LIMITS_MAX];
	unsigned n;

	if (!c->only) {
		limits_seen(c->en, job, host, url, counted_us, true);
		return;
	}
	n = engine_rules_of(c->en, host, url, index, SCHED_KEY_LIMITS_MAX);
	for (unsigned i = 0; i < n && i < SCHED_KEY_LIMITS_MAX; i++) {
		const struct rule *rule = rules_get(c->en->rules, index[i]);
		if (strcmp(rule->name, c->only) == 0)
			sched_limit_seen(c->en->sched, engine_rule_limit(c->en, rule, host)->sched, counted_us);
	}
}

static void on_recalled(struct store_op *op, const struct err *e)
{
	struct recall *c = (struct recall *)op;

	c->failed = e != NULL;
	if (e && c->e)
		*c->e = *e;
	if (e)
		log_error("what was sent lately is not known", "why=\"%s\"", e->what);
}

int64_t engine_rule_window_us(const struct limit_rule *r)
{
	int64_t longest = 0;

	for (unsigned i = 0; i < r->rate_count; i++)
		if (r->rates[i].window_us > longest)
			longest = r->rates[i].window_us;
	return longest;
}

/* A limit that had a record is told it anew: begun before, ended after, so that nothing counts twice. */
static void recall_each(struct engine *en, const char *name, bool begin, bool whole)
{
	for (struct engine_limit *l = en->limits; l; l = l->hh.next) {
		if (l->batch || strcmp(l->name, name) != 0)
			continue;
		if (begin)
			sched_limit_recall_begin(en->sched, l->sched);
		else
			sched_limit_recall_end(en->sched, l->sched, whole);
	}
}

int engine_limits_recall(struct engine *en, int64_t window_us, const char *only, struct err *e)
{
	struct recall c = {
	    .recent = {.op.done = on_recalled, .window_us = window_us, .on_row = on_recent},
	    .en = en,
	    .only = only,
	    .e = e,
	};

	if (window_us == 0)
		return 0;
	if (only)
		recall_each(en, only, true, true);
	store_recent(en->store, &c.recent);
	if (only)
		recall_each(en, only, false, !c.failed);
	return c.failed ? -1 : 0;
}

/* Of all rules, of the batches' own rates and of what servers told; the store keeps its record for that long. */
int64_t engine_rules_window_us(struct engine *en)
{
	int64_t longest = engine_hosts_window_us(en);

	for (unsigned i = 0; i < rules_count(en->rules); i++) {
		int64_t window = engine_rule_window_us(&rules_get(en->rules, i)->limit);
		if (window > longest)
			longest = window;
	}
	for (struct engine_batch *b = en->batches; b; b = b->hh.next)
		if (b->policy.rate.window_us > longest)
			longest = b->policy.rate.window_us;
	/* Those of pulls outlive their runs. */
	for (struct engine_limit *l = en->limits; l; l = l->hh.next) {
		int64_t window = l->batch ? engine_rule_window_us(limit_get_rule(sched_limit_state(l->sched))) : 0;
		if (window > longest)
			longest = window;
	}
	store_keep_window(en->store, longest);
	return longest;
}

int engine_limits_recover(struct engine *en, struct err *e)
{
	return engine_limits_recall(en, engine_rules_window_us(en), NULL, e);
}

const struct rules *engine_rules(const struct engine *en)
{
	return en->rules;
}

/* ---- keeping house ---- */

static void keys_sweep(struct engine *en, int64_t now_us)
{
	struct sched_key *k = sched_key_next(en->sched, NULL), *next;

	for (; k; k = next) {
		next = sched_key_next(en->sched, k);
		if (sched_key_lanes(k) == 0)
			sched_key_limits(en->sched, sched_key_name(k), NULL, 0, now_us);
	}
}

void engine_limits_sweep(struct engine *en, int64_t now_us)
{
	struct engine_limit *l, *next;

	if (now_us < en->next_sweep_us)
		return;
	en->next_sweep_us = now_us + SWEEP_EVERY_US;
	keys_sweep(en, now_us);
	HASH_ITER (hh, en->limits, l, next) {
		if (!sched_limit_idle(l->sched, now_us))
			continue;
		sched_limit_free(en->sched, l->sched, now_us);
		engine_limit_drop(en, l);
	}
	engine_hosts_sweep(en, now_us);
}

void engine_limits_free(struct engine *en)
{
	struct engine_limit *l, *next;

	HASH_ITER (hh, en->limits, l, next) {
		engine_limit_drop(en, l);
	}
	engine_hosts_free(en);
	rules_free(en->rules);
}
