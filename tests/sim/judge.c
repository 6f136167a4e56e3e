/* What must hold, counted anew at every step from records of its own. It asks the modules under test nothing, but for
 * cross-checks of their books. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/err.h"
#include "tests/sim/world.h"

void judge_fail(struct world *w, const char *fmt, ...)
{
	va_list ap;
	char *out = w->result->what;
	size_t room = sizeof(w->result->what);
	int n;

	if (w->result->failed)
		return;
	w->result->failed = true;
	n = snprintf(out, room, "seed %llu at %lld us: ", (unsigned long long)w->seed, (long long)w->now_us);
	va_start(ap, fmt);
	vsnprintf(out + n, room - (size_t)n, fmt, ap);
	va_end(ap);
}

static void *grow(void *p, size_t count, size_t *room, size_t bytes)
{
	if (count < *room)
		return p;
	*room = *room ? 2 * *room : 64;
	p = realloc(p, *room * bytes);
	if (!p)
		BUG("out of memory");
	return p;
}

#define BEFORE_THE_RULE (INT64_MIN + 1)

/* ---- may it go? ---- */

/* The rule as docs/SCHEDULER.md states it: fewer than N in flight or counted after now - W. */
static bool window_has_room(const struct key *k, const struct rate *r, int64_t at_us)
{
	int64_t taken = 0;

	for (size_t i = 0; i < k->grant_count; i++)
		taken += k->grants[i].counted_us > at_us - r->window_us;
	return taken < r->count;
}

static bool rule_allows(const struct key *k, int64_t at_us)
{
	const struct limit_rule *rule = &k->rule;
	unsigned in_flight = 0;

	if (!k->ruled)
		return true;
	for (size_t i = 0; i < k->grant_count; i++)
		in_flight += k->grants[i].counted_us == CLOCK_NEVER;
	if (rule->concurrency > 0 && in_flight >= rule->concurrency)
		return false;
	for (unsigned i = 0; i < rule->rate_count; i++) {
		const struct rate *r = &rule->rates[i];

		/* paced: count times the distance is at least a window */
		if (rule->pace && k->paced_us >= 0 && (at_us - k->paced_us) * r->count < r->window_us)
			return false;
		if (!window_has_room(k, r, at_us))
			return false;
	}
	return true;
}

static bool caps_allow(const struct world *w, const struct lane *l)
{
	unsigned of_batch = 0, of_key = 0;

	for (unsigned i = 0; i < w->open_count; i++) {
		const struct lane *o = w->open[i]->lane;

		of_batch += o->batch == l->batch;
		of_key += o->key == l->key && o->batch->opt.concurrency == 0;
	}
	if (l->batch->opt.concurrency > 0)
		return of_batch < l->batch->opt.concurrency;
	return w->key_concurrency == 0 || of_key < w->key_concurrency;
}

static const char *forbidden(const struct world *w, const struct lane *l, int64_t at_us)
{
	if (l->batch->opt.paused)
		return "its batch is paused";
	if (!caps_allow(w, l))
		return "a cap is reached";
	if (!rule_allows(l->key, at_us))
		return "the rule of its key forbids it";
	return NULL;
}

/* ---- grants ---- */

void judge_grant(struct world *w, struct flight *f)
{
	struct key *k = f->lane->key;
	const char *why = forbidden(w, f->lane, w->now_us);

	if (f->job->state != JOB_QUEUED)
		judge_fail(w, "job %u was picked while %s", f->job->index, job_state_name(f->job->state));
	if (why)
		judge_fail(w, "job %u of batch %u was picked for %s though %s", f->job->index, f->lane->batch->id,
			   k->name, why);
	k->grants = grow(k->grants, k->grant_count, &k->grants_room, sizeof(*k->grants));
	f->grant = k->grant_count++;
	k->grants[f->grant] = (struct granted){w->now_us, CLOCK_NEVER};
	k->paced_before_us = k->paced_us;
	k->paced_us = w->now_us;
}

void judge_refund(struct world *w, struct flight *f)
{
	struct key *k = f->lane->key;

	(void)w;
	if (k->paced_us == k->grants[f->grant].at_us)
		k->paced_us = k->paced_before_us;
	k->grants[f->grant].counted_us = INT64_MIN;
}

/* `counted_us` is what the scheduler is told: here it is checked that it does what it is told. Whether that was the
 * truth is seen at the server. */
void judge_end(struct world *w, struct flight *f, int64_t counted_us)
{
	(void)w;
	f->lane->key->grants[f->grant].counted_us = counted_us;
}

/* A rule that comes knows what is in flight, and nothing of what ended before: neither what was counted, nor what was
 * given up and may yet arrive. */
void judge_rule(struct world *w, struct key *k, const struct limit_rule *rule)
{
	if (rule && !k->ruled) {
		for (size_t i = 0; i < k->grant_count; i++)
			if (k->grants[i].counted_us != CLOCK_NEVER)
				k->grants[i].counted_us = BEFORE_THE_RULE;
		k->paced_us = -1;
	}
	k->ruled = rule != NULL;
	if (rule)
		k->rule = *rule;
	k->ruled_since_us = w->now_us;
}

/* ---- at the server ---- */

/* Any window that holds too many holds them when its last one arrives: so the windows that end with an arrival are all
 * there are. A rule answers for those that lie in its time and hold a request which it granted. */
static void judge_window(struct world *w, const struct key *k, const struct rate *r)
{
	int64_t count = 0;
	bool answers = false;

	for (size_t i = k->arrival_count; i-- > 0;) {
		const struct arrived *a = &k->arrivals[i];

		if (a->at_us <= w->now_us - r->window_us || a->at_us < k->ruled_since_us)
			break;
		count++;
		answers = answers || a->granted_us >= k->ruled_since_us;
	}
	if (answers && count > r->count)
		judge_fail(w, "%lld requests arrived at %s within %lld us, %lld are allowed", (long long)count, k->name,
			   (long long)r->window_us, (long long)r->count);
	w->result->full_windows += count == r->count;
}

static void judge_effect(struct world *w, const struct flight *f)
{
	struct job *j = f->sender;

	if (f->effect && f->life == j->life && ++j->effects > 1 && !j->repeatable &&
	    !retry_method_idempotent(j->method))
		judge_fail(w, "the %s of job %u was done twice", j->method, j->index);
}

void judge_arrival(struct world *w, struct flight *f)
{
	struct key *k = f->lane->key;

	judge_effect(w, f);
	w->result->arrivals++;
	if (k->grants[f->grant].counted_us == BEFORE_THE_RULE)
		return;
	k->arrivals = grow(k->arrivals, k->arrival_count, &k->arrivals_room, sizeof(*k->arrivals));
	k->arrivals[k->arrival_count++] = (struct arrived){w->now_us, f->sent_us};
	for (unsigned i = 0; k->ruled && i < k->rule.rate_count; i++)
		judge_window(w, k, &k->rule.rates[i]);
}

/* ---- when nothing goes ---- */

/* The scheduler said that no job may go, until a time after at_us: is that so? */
void judge_idle(struct world *w, int64_t at_us, const char *when)
{
	for (unsigned i = 0; i < LANES_MAX; i++) {
		const struct lane *l = &w->lanes[i];

		if (!l->handle)
			continue;
		if (sched_lane_loaded(l->handle) != l->loaded)
			judge_fail(w, "lane %lld has %u jobs loaded, not %u", (long long)l->id,
				   sched_lane_loaded(l->handle), l->loaded);
		if (l->loaded == 0 && l->stored_count > 0)
			judge_fail(w, "lane %lld was never hungry for its %u stored jobs", (long long)l->id,
				   l->stored_count);
		if (l->loaded > 0 && !forbidden(w, l, at_us))
			judge_fail(w, "a job of batch %u could go to %s at %lld us, but none was picked %s",
				   l->batch->id, l->key->name, (long long)at_us, when);
	}
}

void judge_over(struct world *w)
{
	struct sched_totals t = sched_totals(w->sched);

	for (unsigned i = 0; i < w->job_count; i++)
		if (!job_state_final(w->jobs[i].state) || w->jobs[i].state == JOB_STATES)
			judge_fail(w, "nothing will happen any more, but job %u is %s", i,
				   job_state_name(w->jobs[i].state));
	if (t.in_flight != 0 || t.loaded != 0 || t.lanes != 0)
		judge_fail(w, "all is over, but %u lanes with %u jobs loaded and %u in flight are left", t.lanes,
			   t.loaded, t.in_flight);
}
