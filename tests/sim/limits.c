/* What the daemon's engine does with limits, in small: which there are, which a key counts against, and what follows
 * from a refusal. */
#include <stdio.h>
#include <string.h>

#include "lib/err.h"
#include "tests/sim/world.h"

/* What the judge knows of a match, without asking daemon/rules. */
bool scope_covers(const struct scope *s, const struct lane *l)
{
	return s->active && (!s->host || s->host == l->host) && (s->path < 0 || s->path == l->path) &&
	       (!s->batch || s->batch == l->batch);
}

static bool is_history_lost(const struct world *w, bool at_start)
{
	return w->mutation == (at_start ? MUTATE_FORGET_RESTART : MUTATE_NO_HISTORY);
}

static void scope_begin(struct world *w, struct scope *s, bool at_start)
{
	s->limit = sched_limit_create(w->sched, &s->rule, s);
	if (!is_history_lost(w, at_start))
		record_recall(w, s, at_start);
}

static void scope_change(struct world *w, struct scope *s, bool looks_further)
{
	sched_limit_change(w->sched, s->limit, &s->rule, clock_now(w));
	if (!looks_further || is_history_lost(w, false))
		return;
	sched_limit_recall_begin(w->sched, s->limit);
	record_recall(w, s, false);
	sched_limit_recall_end(w->sched, s->limit, true);
}

static void scope_end(struct world *w, struct scope *s)
{
	sched_limit_free(w->sched, s->limit, clock_now(w));
	s->limit = NULL;
}

void limits_begin(struct world *w)
{
	for (unsigned i = 0; i < SCOPES; i++)
		if (w->scopes[i].active)
			scope_begin(w, &w->scopes[i], true);
}

/* ---- keys ---- */

static struct scope *scope_of(struct world *w, const char *rule, const struct host *h)
{
	for (unsigned r = 0; r < RULES_DRAWN; r++)
		if (strcmp(w->drawn[r].name, rule) == 0)
			return &w->scopes[r * HOSTS_MAX + (unsigned)(h - w->hosts)];
	BUG("no rule %s", rule);
}

void limits_of_lane(struct world *w, const struct lane *l)
{
	struct sched_limit *all[RULES_DRAWN + 2];
	struct scope *own = &w->scopes[RULES_DRAWN * HOSTS_MAX + (unsigned)(l->batch - w->batches)];
	unsigned which[RULES_DRAWN], n;
	char target[24];

	snprintf(target, sizeof(target), "/p%d/x?n=7", l->path);
	n = rules_select(w->rules, l->host->name, target, which, RULES_DRAWN);
	for (unsigned i = 0; i < n; i++)
		all[i] = scope_of(w, rules_get(w->rules, which[i])->name, l->host)->limit;
	if (own->limit)
		all[n++] = own->limit;
	if (l->host->limit)
		all[n++] = l->host->limit;
	sched_key_limits(w->sched, l->key, all, n, clock_now(w));
}

static void all_lanes(struct world *w)
{
	for (unsigned i = 0; i < LANES_MAX; i++)
		if (w->lanes[i].handle)
			limits_of_lane(w, &w->lanes[i]);
}

/* ---- rules ---- */

static bool same_windows(const struct limit_rule *a, const struct limit_rule *b)
{
	bool same = a->rate_count == b->rate_count;

	for (unsigned i = 0; same && i < a->rate_count; i++)
		same = a->rates[i].window_us == b->rates[i].window_us;
	return same;
}

/* A rule whose windows stay knows what it knew; one with others is told what the record has, and so is a new one. */
static void scope_set(struct world *w, struct scope *s, const struct limit_rule *limit)
{
	bool change = s->active && limit && chance(w, 80);
	bool looks_further = change && !same_windows(&s->rule, limit);

	if (s->active && !change)
		scope_end(w, s);
	s->active = limit != NULL;
	if (limit)
		s->rule = *limit;
	if (change)
		scope_change(w, s, looks_further);
	else if (limit)
		scope_begin(w, s, false);
	judge_rule(w, s, !change);
}

void limits_set_rule(struct world *w, unsigned rule, const struct limit_rule *limit)
{
	struct sim_rule *r = &w->drawn[rule];
	struct rule row = {.name = r->name, .match = r->match, .source = RULE_RUNTIME};
	struct err e;

	r->present = limit != NULL;
	if (limit)
		r->limit = row.limit = *limit;
	if (!limit)
		rules_remove(w->rules, r->name, RULE_RUNTIME);
	else if (rules_set(w->rules, &row, &e) < 0)
		judge_fail(w, "the rule %s for %s is refused: %s", r->name, r->match, e.what);
	for (unsigned h = 0; h < w->host_count; h++)
		if (w->scopes[rule * HOSTS_MAX + h].host)
			scope_set(w, &w->scopes[rule * HOSTS_MAX + h], limit);
	all_lanes(w);
}

/* ---- refusals ---- */

bool refused(const struct flight *f)
{
	return (f->cause == CAUSE_RESPONSE || f->cause == CAUSE_TRUNCATED) && (f->status == 429 || f->status == 503);
}

static void pause_host(struct world *w, struct host *h, int64_t until_us)
{
	if (w->mutation == MUTATE_NO_PAUSE)
		return;
	if (!h->limit) {
		h->limit = sched_limit_create(w->sched, &(struct limit_rule){0}, h);
		all_lanes(w);
	}
	sched_limit_pause(w->sched, h->limit, until_us);
	if (w->mutation == MUTATE_NO_PROBE)
		event_add(w, until_us + w->booted_us, EVENT_PAUSE_OVER, h, 0);
}

void limits_answered(struct world *w, const struct flight *f)
{
	struct host *h = f->lane->host;
	struct throttle_refusal r = {
	    .now_us = clock_now(w),
	    .granted_us = f->granted_us,
	    .retry_after_us = f->retry_after_us,
	    .reset_us = -1,
	    .cap_us = PAUSE_CAP_US,
	};
	int64_t until_us = 0;

	if (f->cause != CAUSE_RESPONSE && f->cause != CAUSE_TRUNCATED)
		return;
	if (refused(f)) {
		r.random = (uint64_t)draw(w, 0, INT64_MAX - 1);
		until_us = throttle_hit(&h->throttle, &r);
		pause_host(w, h, until_us);
		until_us += w->booted_us;
		trace(w, "%s refuses: pause until %lld", h->name, (long long)until_us);
	} else {
		throttle_ok(&h->throttle, f->granted_us);
		if (h->limit)
			sched_limit_recovered(w->sched, h->limit, f->granted_us);
	}
	judge_answer(w, f, until_us);
}

void limits_resume(struct world *w, struct host *h)
{
	judge_resume(w, h);
	if (!h->limit)
		return;
	trace(w, "%s: its pause is lifted", h->name);
	if (w->mutation == MUTATE_RESUME_ALL)
		sched_limit_recovered(w->sched, h->limit, INT64_MAX);
	sched_limit_resume(w->sched, h->limit, clock_now(w));
	throttle_resume(&h->throttle, clock_now(w));
}
