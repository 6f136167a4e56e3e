/* Changes of the rules: from the configuration, and by operators, through the store. What is in flight and what was
 * sent lately count against a rule from its first moment. */
#include <stdio.h>
#include <string.h>

#include "daemon/engine_limit.h"
#include "lib/clock.h"
#include "lib/log.h"

/* What is in flight counts against the rules that it matches now, also those with a path, which would have given it
 * another key. */
static void count_running(struct engine *en)
{
	unsigned index[SCHED_KEY_LIMITS_MAX];

	for (struct engine_job *j = en->jobs; j; j = j->hh.next) {
		if (!j->picked || !j->url)
			continue;
		unsigned n = engine_rules_of(en, j->lane->host, j->url, index, SCHED_KEY_LIMITS_MAX);
		for (unsigned i = 0; i < n && i < SCHED_KEY_LIMITS_MAX; i++) {
			const struct rule *r = rules_get(en->rules, index[i]);
			sched_job_count(en->sched, &j->sched, engine_rule_limit(en, r, j->lane->host)->sched);
		}
	}
}

/* What is new is in force now: what is granted from here on is held to it. */
static void rules_begin_new(struct engine *en)
{
	int64_t wall_us = clock_wall_us();

	en->rules_from_us = clock_boot_us();
	for (unsigned i = 0; i < rules_count(en->rules); i++)
		if (rules_get(en->rules, i)->from_us == RULE_NEW)
			rules_begin(en->rules, i, wall_us, en->rules_from_us);
}

/* A worker sends a moment after the grant: what was granted before a rule and was sent behind its beginning shows that
 * it has been in force only since. Else an audit would hold against it what it was never asked for. */
void engine_rules_note_sent(struct engine_job *j, int64_t sent_wall_us)
{
	struct engine *en = j->en;
	unsigned index[SCHED_KEY_LIMITS_MAX];
	unsigned n = 0;

	if (j->sched.granted_us > 0 && j->sched.granted_us <= en->rules_from_us && j->url)
		n = engine_rules_of(en, j->lane->host, j->url, index, SCHED_KEY_LIMITS_MAX);
	for (unsigned i = 0; i < n; i++) {
		const struct rule *r = rules_get(en->rules, index[i]);
		if (!r->since_us || j->sched.granted_us > r->from_us || sent_wall_us < r->since_us)
			continue;
		rules_begin(en->rules, index[i], sent_wall_us + 1, r->from_us);
		if (r->source == RULE_RUNTIME)
			store_limit_since(en->store, NULL, r->name, r->since_us);
	}
}

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
			engine_limit_drop(en, l);
		}
	}
	for (struct engine_lane *lane = en->lanes; lane; lane = lane->hh.next) {
		for (struct engine_track *t = lane->tracks; t; t = t->next)
			engine_track_limits(t);
		engine_lane_reload(lane);
	}
	engine_rules_window_us(en);
	count_running(en);
	rules_begin_new(en);
	engine_pump_soon(en);
}

static bool is_equal(const struct limit_rule *a, const struct limit_rule *b)
{
	bool equal = a->rate_count == b->rate_count && a->concurrency == b->concurrency && a->pace == b->pace;

	for (unsigned i = 0; equal && i < a->rate_count; i++)
		equal = a->rates[i].count == b->rates[i].count && a->rates[i].window_us == b->rates[i].window_us;
	return equal;
}

/* A rule that is set again as it was has been in force all the time. */
static void take_since(const struct engine *en, struct rule *rule, int64_t since_us, int64_t from_us)
{
	rule->since_us = since_us;
	rule->from_us = from_us;
	for (unsigned i = 0; i < rules_count(en->rules); i++) {
		const struct rule *old = rules_get(en->rules, i);

		if (old->source != rule->source || strcmp(old->name, rule->name) != 0 ||
		    strcmp(old->match, rule->match) != 0 || !is_equal(&old->limit, &rule->limit))
			continue;
		rule->since_us = old->since_us;
		rule->from_us = old->from_us;
	}
}

int engine_set_conf_rules(struct engine *en, const struct rule *list, unsigned count, struct err *e)
{
	struct rule *all = calloc(count + 1, sizeof *all);
	struct rules *trial = rules_create();
	int rc = 0;

	if (!all)
		BUG("out of memory for %u rules", count);
	/* All or nothing. Those of the start may have been there before it. */
	for (unsigned i = 0; i < count && rc == 0; i++) {
		all[i] = list[i];
		take_since(en, &all[i], 0, en->conf_read ? RULE_NEW : 0);
		rc = rules_set(trial, &all[i], e);
	}
	rules_free(trial);
	if (rc == 0)
		rules_clear(en->rules, RULE_CONF);
	for (unsigned i = 0; i < count && rc == 0; i++)
		rc = rules_set(en->rules, &all[i], e);
	free(all);
	if (rc < 0)
		return -1;
	en->conf_read = true;
	if (!en->store)
		return rc;
	rules_changed(en);
	for (unsigned i = 0; i < count && rc == 0; i++)
		rc = engine_limits_recall(en, engine_rule_window_us(&list[i].limit), list[i].name, e);
	return rc;
}

static int rule_of(struct rule *out, const struct store_limit *row, struct err *e)
{
	char rates[256], *rest = rates, *one;

	*out = (struct rule){
	    .name = row->name,
	    .match = row->match,
	    .source = RULE_RUNTIME,
	    .since_us = row->since_us,
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
		struct store_op since;
	} u;
	struct store_op *asked;
	struct engine *en;
	struct rule rule;
	char name[RULES_NAME_MAX + 1];
	char *match;
};

static void change_done(struct change *c, const struct err *e)
{
	struct store_op *asked = c->asked;

	c->en->rules_coming--;
	free(c->match);
	free(c);
	asked->done(asked, e);
}

/* It is in force, and on disk, whatever became of since when. */
static void on_since_set(struct store_op *op, const struct err *e)
{
	(void)e;
	change_done((struct change *)op, NULL);
}

/* What is sent until it is committed is not held to it: since when it is in force is known only now. */
static void on_limit_set(struct store_op *op, const struct err *e)
{
	struct change *c = (struct change *)op;
	struct engine *en = c->en;
	int64_t stored_us = c->rule.since_us;
	struct err why;

	if (e) {
		change_done(c, e);
		return;
	}
	take_since(en, &c->rule, stored_us, RULE_NEW);
	if (rules_set(en->rules, &c->rule, &why) < 0)
		BUG("a rule that was checked is refused: %s", why.what);
	rules_changed(en);
	engine_limits_recall(en, engine_rule_window_us(&c->rule.limit), c->name, NULL);
	c->rule.since_us = rules_find(en->rules, c->name)->since_us;
	if (c->rule.since_us == stored_us) {
		change_done(c, NULL);
		return;
	}
	c->u.since.done = on_since_set;
	store_limit_since(en->store, &c->u.since, c->name, c->rule.since_us);
}

/* Those that are new and on their way count as well. */
static bool has_room_for(const struct engine *en, const char *name)
{
	const struct rule *old = rules_find(en->rules, name);

	return (old && old->source == RULE_RUNTIME) ||
	       rules_count_of(en->rules, RULE_RUNTIME) + en->rules_coming < RULES_MAX;
}

int engine_limit_set(struct engine *en, struct store_limit_set *s, struct err *e)
{
	struct rules *trial = rules_create();
	struct rule rule;
	int rc = rule_of(&rule, &s->limit, e);

	if (rc == 0)
		rc = rules_set(trial, &rule, e);
	rules_free(trial);
	if (rc == 0 && !has_room_for(en, rule.name))
		rc = err_set(e, ERR_TOO_LARGE, "fanoutctl limits rm takes one away", "there are %d rules already",
			     RULES_MAX);
	if (rc < 0)
		return -1;
	struct change *c = calloc(1, sizeof *c);
	if (!c || !(c->match = strdup(rule.match)))
		abort();
	snprintf(c->name, sizeof c->name, "%s", rule.name);
	c->rule = rule;
	take_since(en, &c->rule, clock_wall_us(), RULE_NEW);
	c->rule.name = c->name;
	c->rule.match = c->match;
	c->en = en;
	c->asked = &s->op;
	en->rules_coming++;
	c->u.set = (struct store_limit_set){.op.done = on_limit_set, .limit = s->limit};
	c->u.set.limit.since_us = c->rule.since_us;
	store_limit_set(en->store, &c->u.set);
	return 0;
}

static void on_limit_removed(struct store_op *op, const struct err *e)
{
	struct change *c = (struct change *)op;
	struct engine *en = c->en;
	const struct rule *r = NULL;

	if (!e) {
		rules_remove(en->rules, c->name, RULE_RUNTIME);
		r = rules_find(en->rules, c->name); /* of the configuration, in force again */
		for (unsigned i = 0; r && i < rules_count(en->rules); i++)
			if (rules_get(en->rules, i) == r)
				rules_begin(en->rules, i, 0, RULE_NEW);
		rules_changed(en);
	}
	if (r)
		engine_limits_recall(en, engine_rule_window_us(&r->limit), c->name, NULL);
	change_done(c, e);
}

void engine_limit_remove(struct engine *en, struct store_limit_remove *r)
{
	struct change *c = calloc(1, sizeof *c);

	if (!c)
		abort();
	snprintf(c->name, sizeof c->name, "%s", r->name);
	c->en = en;
	c->asked = &r->op;
	en->rules_coming++;
	c->u.remove = (struct store_limit_remove){.op.done = on_limit_removed, .name = r->name};
	store_limit_remove(en->store, &c->u.remove);
}
