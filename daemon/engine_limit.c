/* Which limits hold for which track: the rules, the state that each has for a host, and a batch's own rate. A rule
 * counts every host:port by itself; its state outlives batches and lanes, for as long as it remembers anything. */
#include <stdio.h>
#include <string.h>

#include "daemon/engine_private.h"
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

static struct engine_limit *limit_get(struct engine *en, const char *name, uint32_t batch, const char *host,
				      const struct limit_rule *rule)
{
	char key[RULES_NAME_MAX + URL_KEY_SIZE + 32];
	struct engine_limit *l;

	/* A rule's name may be anything, also "batch 7". */
	snprintf(key, sizeof key, "%u\n%s\n%s", batch, name, host);
	l = limit_find(en, key);
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

static void limit_drop(struct engine *en, struct engine_limit *l)
{
	HASH_DEL(en->limits, l);
	free(l->name);
	free(l->host);
	free(l);
}

static struct engine_limit *rule_limit(struct engine *en, const struct rule *r, const char *host)
{
	return limit_get(en, r->name, 0, host, &r->limit);
}

static struct engine_limit *batch_limit(const struct engine_batch *b, const char *host)
{
	struct limit_rule rule = {.rates = {b->policy.rate}, .rate_count = 1};
	char name[24];

	snprintf(name, sizeof name, "batch %u", b->id);
	return limit_get(b->en, name, b->id, host, &rule);
}

/* ---- tracks ---- */

static const char *url_target(const char *url)
{
	const char *p = strstr(url, "://");

	p = strpbrk(p ? p + 3 : url, "/?#");
	return p && *p == '/' ? p : "/";
}

bool engine_lane_has_paths(const struct engine_lane *lane)
{
	return rules_have_paths(lane->en->rules, lane->host);
}

void engine_paths_of(const struct engine *en, const char *host, const char *url, char *out, size_t size)
{
	unsigned index[SCHED_KEY_LIMITS_MAX];
	unsigned n = rules_select(en->rules, host, url_target(url), index, SCHED_KEY_LIMITS_MAX);
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
	char own[32] = "";

	if (b->policy.rate.count > 0)
		snprintf(own, sizeof own, " batch %u", b->id);
	snprintf(out, size, "%s%s%s%s%s", t->lane->host, *t->paths ? "\n" : "", t->paths,
		 waits_for_host(b) ? "" : " drop", own);
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
		set_add(set, rule_limit(en, rules_get(en->rules, index[i]), t->lane->host));
	snprintf(paths, sizeof paths, "%s", t->paths);
	while ((name = strsep(&rest, "\n")) && *name) {
		const struct rule *r = rules_find(en->rules, name);
		if (r)
			set_add(set, rule_limit(en, r, t->lane->host));
	}
}

void engine_track_limits(struct engine_track *t)
{
	struct engine_lane *lane = t->lane;
	struct engine *en = lane->en;
	struct engine_host *host = engine_host_find(en, lane->host);
	struct limit_set set = {.count = 0};
	char key[ENGINE_KEY_SIZE];

	set_add_rules(&set, en, t);
	if (lane->batch->policy.rate.count > 0)
		set_add(&set, batch_limit(lane->batch, lane->host));
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

void engine_limits_seen(struct engine *en, uint64_t job, const char *host, const char *url, int64_t counted_us)
{
	unsigned index[SCHED_KEY_LIMITS_MAX];
	unsigned n = rules_select(en->rules, host, url_target(url), index, SCHED_KEY_LIMITS_MAX);
	struct engine_batch *b = engine_batch_find(en, jobid_batch(job));

	for (unsigned i = 0; i < n && i < SCHED_KEY_LIMITS_MAX; i++) {
		struct engine_limit *l = rule_limit(en, rules_get(en->rules, index[i]), host);
		sched_limit_seen(en->sched, l->sched, counted_us);
	}
	if (b && b->policy.rate.count > 0)
		sched_limit_seen(en->sched, batch_limit(b, host)->sched, counted_us);
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
		engine_limits_seen(c->en, job, host, url, counted_us);
		return;
	}
	n = rules_select(c->en->rules, host, url_target(url), index, SCHED_KEY_LIMITS_MAX);
	for (unsigned i = 0; i < n && i < SCHED_KEY_LIMITS_MAX; i++) {
		const struct rule *rule = rules_get(c->en->rules, index[i]);
		if (strcmp(rule->name, c->only) == 0)
			sched_limit_seen(c->en->sched, rule_limit(c->en, rule, host)->sched, counted_us);
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

static int64_t longest_window_us(const struct limit_rule *r)
{
	int64_t longest = 0;

	for (unsigned i = 0; i < r->rate_count; i++)
		if (r->rates[i].window_us > longest)
			longest = r->rates[i].window_us;
	return longest;
}

static int recall(struct engine *en, int64_t window_us, const char *only, struct err *e)
{
	struct recall c = {
	    .recent = {.op.done = on_recalled, .window_us = window_us, .on_row = on_recent},
	    .en = en,
	    .only = only,
	    .e = e,
	};

	if (window_us > 0)
		store_recent(en->store, &c.recent);
	return c.failed ? -1 : 0;
}

/* Of all rules and of the batches' own rates; the store keeps its record for that long. */
static int64_t longest_of_all_us(struct engine *en)
{
	int64_t longest = 0;

	for (unsigned i = 0; i < rules_count(en->rules); i++) {
		int64_t window = longest_window_us(&rules_get(en->rules, i)->limit);
		if (window > longest)
			longest = window;
	}
	for (struct engine_batch *b = en->batches; b; b = b->hh.next)
		if (b->policy.rate.window_us > longest)
			longest = b->policy.rate.window_us;
	store_keep_window(en->store, longest);
	return longest;
}

int engine_limits_recover(struct engine *en, struct err *e)
{
	return recall(en, longest_of_all_us(en), NULL, e);
}

/* ---- changes ---- */

/* After a change of the table: states follow their rules, and what is loaded is sorted anew. */
static void rules_changed(struct engine *en)
{
	int64_t now = clock_boot_us();
	struct engine_limit *l, *next;

	HASH_ITER (hh, en->limits, l, next) {
		const struct rule *r = l->batch ? NULL : rules_find(en->rules, l->name);
		if (r) {
			sched_limit_change(en->sched, l->sched, &r->limit, now);
		} else if (!l->batch) {
			sched_limit_free(en->sched, l->sched, now);
			limit_drop(en, l);
		}
	}
	for (struct engine_lane *lane = en->lanes; lane; lane = lane->hh.next) {
		for (struct engine_track *t = lane->tracks; t; t = t->next)
			engine_track_limits(t);
		engine_lane_reload(lane);
	}
	longest_of_all_us(en);
	engine_pump_soon(en);
}

int engine_set_conf_rules(struct engine *en, const struct rule *list, unsigned count, struct err *e)
{
	struct rules *trial = rules_create();
	int rc = 0;

	/* All or nothing. */
	for (unsigned i = 0; i < count && rc == 0; i++)
		rc = rules_set(trial, &list[i], e);
	rules_free(trial);
	if (rc < 0)
		return -1;
	rules_clear(en->rules, RULE_CONF);
	for (unsigned i = 0; i < count && rc == 0; i++)
		rc = rules_set(en->rules, &list[i], e);
	if (!en->store)
		return rc;
	rules_changed(en);
	for (unsigned i = 0; i < count && rc == 0; i++)
		rc = recall(en, longest_window_us(&list[i].limit), list[i].name, e);
	return rc;
}

static int rule_of(struct rule *out, const struct store_limit *row, struct err *e)
{
	char rates[256], *rest = rates, *one;

	*out = (struct rule){
	    .name = row->name,
	    .match = row->match,
	    .source = RULE_RUNTIME,
	    .limit = {.concurrency = row->concurrency, .pace = row->pace},
	};
	if (strlen(row->rates) >= sizeof rates)
		return err_set(e, ERR_INPUT, NULL, "too many rates");
	snprintf(rates, sizeof rates, "%s", row->rates);
	while ((one = strsep(&rest, " "))) {
		if (!*one)
			continue;
		if (out->limit.rate_count == LIMIT_RATES_MAX)
			return err_set(e, ERR_INPUT, NULL, "a rule has at most %d rates", LIMIT_RATES_MAX);
		if (units_parse_rate(one, &out->limit.rates[out->limit.rate_count++], e) < 0)
			return -1;
	}
	return 0;
}

static void on_stored_limit(struct store_limits *l, const struct store_limit *row)
{
	struct engine *en = *(struct engine **)(l + 1);
	struct rule rule;
	struct err e;

	if (rule_of(&rule, row, &e) < 0 || rules_set(en->rules, &rule, &e) < 0)
		log_error("stored limit not understood", "name=\"%s\" why=\"%s\"", row->name, e.what);
}

static void on_stored_limits(struct store_op *op, const struct err *e)
{
	(void)op;
	if (e)
		log_error("stored limits not read", "why=\"%s\"", e->what);
}

void engine_limits_load(struct engine *en)
{
	struct {
		struct store_limits limits;
		struct engine *en;
	} read = {.limits = {.op.done = on_stored_limits, .on_row = on_stored_limit}, .en = en};

	store_limits(en->store, &read.limits);
}

/* A set or a removal on its way through the store. */
struct change {
	union {
		struct store_op op;
		struct store_limit_set set;
		struct store_limit_remove remove;
	} u;
	struct store_op *asked;
	struct engine *en;
	struct rule rule;
	char name[RULES_NAME_MAX + 1];
	char *match;
};

static void on_limit_set(struct store_op *op, const struct err *e)
{
	struct change *c = (struct change *)op;
	struct store_op *asked = c->asked;
	struct err why;

	if (!e) {
		if (rules_set(c->en->rules, &c->rule, &why) < 0)
			BUG("a rule that was checked is refused: %s", why.what);
		rules_changed(c->en);
		recall(c->en, longest_window_us(&c->rule.limit), c->name, NULL);
	}
	free(c->match);
	free(c);
	asked->done(asked, e);
}

int engine_limit_set(struct engine *en, struct store_limit_set *s, struct err *e)
{
	struct rules *trial = rules_create();
	struct rule rule;
	int rc = rule_of(&rule, &s->limit, e);

	if (rc == 0)
		rc = rules_set(trial, &rule, e);
	rules_free(trial);
	if (rc == 0 && rules_count(en->rules) >= RULES_MAX)
		rc = err_set(e, ERR_TOO_LARGE, "fanoutctl limits rm takes one away", "there are %d rules already",
			     RULES_MAX);
	if (rc < 0)
		return -1;
	struct change *c = calloc(1, sizeof *c);
	if (!c || !(c->match = strdup(rule.match)))
		abort();
	snprintf(c->name, sizeof c->name, "%s", rule.name);
	c->rule = rule;
	c->rule.name = c->name;
	c->rule.match = c->match;
	c->en = en;
	c->asked = &s->op;
	c->u.set = (struct store_limit_set){.op.done = on_limit_set, .limit = s->limit};
	store_limit_set(en->store, &c->u.set);
	return 0;
}

static void on_limit_removed(struct store_op *op, const struct err *e)
{
	struct change *c = (struct change *)op;
	struct store_op *asked = c->asked;

	if (!e) {
		rules_remove(c->en->rules, c->name, RULE_RUNTIME);
		rules_changed(c->en);
	}
	free(c);
	asked->done(asked, e);
}

void engine_limit_remove(struct engine *en, struct store_limit_remove *r)
{
	struct change *c = calloc(1, sizeof *c);

	if (!c)
		abort();
	snprintf(c->name, sizeof c->name, "%s", r->name);
	c->en = en;
	c->asked = &r->op;
	c->u.remove = (struct store_limit_remove){.op.done = on_limit_removed, .name = r->name};
	store_limit_remove(en->store, &c->u.remove);
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
		limit_drop(en, l);
	}
	engine_hosts_sweep(en, now_us);
}

void engine_limits_free(struct engine *en)
{
	struct engine_limit *l, *next;

	HASH_ITER (hh, en->limits, l, next) {
		limit_drop(en, l);
	}
	engine_hosts_free(en);
	rules_free(en->rules);
}
