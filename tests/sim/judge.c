/* What must hold, counted anew at every step from records of its own. It asks the modules under test nothing, but for
 * cross-checks of their books. */
#include <stdarg.h>
#include <stdio.h>

#include "lib/method.h"
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
	va_start(ap, fmt);
	n = snprintf(out, room, "seed %llu at %lld us: ", (unsigned long long)w->seed, (long long)w->now_us);
	vsnprintf(out + n, room - (size_t)n, fmt, ap);
	va_end(ap);
}

/* ---- what a scope remembers ---- */

/* Of the attempts that a scope covers, those that still may count in a window. */
static void scope_prune(struct world *w, struct scope *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->recent_count; i++)
		if (w->attempts[s->recent[i]].told_us > w->now_us - WINDOW_MAX_US)
			s->recent[kept++] = s->recent[i];
	s->recent_count = kept;
}

static void scope_remember(struct scope *s, size_t attempt)
{
	s->recent = grow(s->recent, s->recent_count, &s->recent_room, sizeof(*s->recent));
	s->recent[s->recent_count++] = attempt;
}

static void scope_rebuild(struct world *w, struct scope *s)
{
	s->recent_count = 0;
	for (size_t i = 0; i < w->attempt_count; i++)
		if (scope_covers(s, w->attempts[i].lane))
			scope_remember(s, i);
	scope_prune(w, s);
}

/* ---- may it go? ---- */

/* The rule as docs/SCHEDULER.md states it: fewer than N in flight or counted after now - W. */
static bool window_has_room(const struct world *w, const struct scope *s, const struct rate *r, int64_t at_us)
{
	int64_t taken = 0;

	for (size_t i = 0; i < s->recent_count; i++)
		taken += w->attempts[s->recent[i]].told_us > at_us - r->window_us;
	return taken < r->count;
}

static bool scope_allows(const struct world *w, const struct scope *s, int64_t at_us)
{
	const struct limit_rule *rule = &s->rule;
	unsigned in_flight = 0;

	for (size_t i = 0; i < s->recent_count; i++)
		in_flight += w->attempts[s->recent[i]].told_us == CLOCK_NEVER;
	if (rule->concurrency > 0 && in_flight >= rule->concurrency)
		return false;
	for (unsigned i = 0; i < rule->rate_count; i++) {
		const struct rate *r = &rule->rates[i];

		/* paced: count times the distance is at least a window */
		if (rule->pace && s->paced_us >= 0 && (at_us - s->paced_us) * r->count < r->window_us)
			return false;
		if (!window_has_room(w, s, r, at_us))
			return false;
	}
	return true;
}

static bool caps_allow(const struct world *w, const struct lane *l)
{
	unsigned of_batch = 0, of_host = 0;

	for (unsigned i = 0; i < w->open_count; i++) {
		const struct lane *o = w->open[i]->lane;

		of_batch += o->batch == l->batch;
		of_host += o->host == l->host && o->batch->opt.concurrency == 0;
	}
	if (l->batch->opt.concurrency > 0)
		return of_batch < l->batch->opt.concurrency;
	return w->set.host_concurrency == 0 || of_host < w->set.host_concurrency;
}

/* A host that refused: nothing until the pause is over, and then one at a time until one was not refused. */
static bool host_allows(const struct world *w, const struct host *h, int64_t at_us)
{
	if (at_us < h->pause_until_us)
		return false;
	for (unsigned i = 0; h->probing && i < w->open_count; i++)
		if (w->open[i]->lane->host == h && w->attempts[w->open[i]->attempt].at_us >= h->pause_until_us)
			return false;
	return true;
}

struct answers {
	bool scope[SCOPES], host[HOSTS_MAX];
};

static void ask_all(struct world *w, int64_t at_us, struct answers *a)
{
	for (unsigned i = 0; i < SCOPES; i++) {
		if (w->scopes[i].active)
			scope_prune(w, &w->scopes[i]);
		a->scope[i] = !w->scopes[i].active || scope_allows(w, &w->scopes[i], at_us);
	}
	for (unsigned i = 0; i < w->host_count; i++)
		a->host[i] = host_allows(w, &w->hosts[i], at_us);
}

static const char *forbidden(const struct world *w, const struct lane *l, const struct answers *a)
{
	if (l->batch->opt.paused)
		return "its batch is paused";
	if (!caps_allow(w, l))
		return "a cap is reached";
	if (!a->host[l->host - w->hosts])
		return "its host is paused, or a probe is out";
	for (unsigned i = 0; i < SCOPES; i++)
		if (!a->scope[i] && scope_covers(&w->scopes[i], l))
			return w->scopes[i].name;
	return NULL;
}

/* ---- grants ---- */

void judge_grant(struct world *w, struct flight *f)
{
	struct answers a;
	const char *why;

	ask_all(w, w->now_us, &a);
	why = forbidden(w, f->lane, &a);
	if (f->job->state != JOB_QUEUED)
		judge_fail(w, "job %u was picked while %s", f->job->index, job_state_name(f->job->state));
	if (why)
		judge_fail(w, "job %u of batch %u was picked for %s though not allowed: %s", f->job->index,
			   f->lane->batch->id, f->lane->key, why);
	f->attempt = record_open(w, f->lane);
	w->result->probes += f->lane->host->probing;
	for (unsigned i = 0; i < SCOPES; i++) {
		struct scope *s = &w->scopes[i];

		if (!scope_covers(s, f->lane))
			continue;
		scope_remember(s, f->attempt);
		s->paced_before_us = s->paced_us;
		s->paced_us = w->now_us;
	}
}

void judge_refund(struct world *w, struct flight *f)
{
	struct attempt *a = &w->attempts[f->attempt];

	for (unsigned i = 0; i < SCOPES; i++)
		if (scope_covers(&w->scopes[i], f->lane) && w->scopes[i].paced_us == a->at_us)
			w->scopes[i].paced_us = w->scopes[i].paced_before_us;
	a->told_us = INT64_MIN;
}

/* What the scheduler is told: here it is checked that it does what it is told. Whether that was the truth is seen at
 * the server. */
void judge_told(struct world *w, size_t attempt, int64_t told_us)
{
	w->attempts[attempt].told_us = told_us;
}

/* A rule counts whatever was sent before it came. A limit that is new has no last grant to pace from. */
void judge_rule(struct world *w, struct scope *s, bool anew)
{
	s->since_us = w->now_us;
	if (anew)
		s->paced_us = -1;
	scope_rebuild(w, s);
}

/* A daemon that comes back knows all requests, but neither the pace nor the pauses of the one before. */
void judge_restart(struct world *w)
{
	for (unsigned i = 0; i < SCOPES; i++) {
		w->scopes[i].paced_us = -1;
		scope_rebuild(w, &w->scopes[i]);
	}
	for (unsigned i = 0; i < w->host_count; i++) {
		w->hosts[i].pause_until_us = -1;
		w->hosts[i].probing = false;
	}
}

/* ---- refusals ---- */

static void judge_pause(struct world *w, const struct flight *f, int64_t until_us)
{
	struct host *h = f->lane->host;
	int64_t told_us = f->retry_after_us < PAUSE_CAP_US ? f->retry_after_us : PAUSE_CAP_US;

	w->result->refusals++;
	if (told_us >= 0 && until_us < w->now_us + told_us)
		judge_fail(w, "%s said to wait %lld us, and is left alone for %lld", h->name, (long long)told_us,
			   (long long)(until_us - w->now_us));
	if (until_us > w->now_us + PAUSE_CAP_US && until_us > h->pause_until_us)
		judge_fail(w, "%s is left alone for %lld us", h->name, (long long)(until_us - w->now_us));
	if (until_us <= h->pause_until_us)
		return;
	h->pause_until_us = until_us;
	h->probing = true;
}

void judge_answer(struct world *w, const struct flight *f, int64_t pause_until_us)
{
	struct host *h = f->lane->host;

	if (refused(f))
		judge_pause(w, f, pause_until_us);
	else if (w->attempts[f->attempt].at_us >= h->pause_until_us)
		h->probing = false;
}

/* The operator lifts its pause: what follows is what follows every pause. */
void judge_resume(struct world *w, struct host *h)
{
	if (h->pause_until_us <= w->now_us)
		return;
	h->pause_until_us = w->now_us;
	w->result->resumes++;
}

/* ---- at the server ---- */

/* Any window that holds too many holds them when its last one arrives: so the windows that end with an arrival are all
 * there are. A rule answers for those whose last granted request it granted as it is now. */
static void judge_window(struct world *w, const struct scope *s, const struct rate *r)
{
	int64_t count = 0, last_us = INT64_MIN;

	for (size_t i = 0; i < w->attempt_count; i++) {
		const struct attempt *a = &w->attempts[i];

		if (a->arrived_us > w->now_us || a->arrived_us <= w->now_us - r->window_us || !scope_covers(s, a->lane))
			continue;
		count++;
		last_us = a->at_us > last_us ? a->at_us : last_us;
	}
	if (last_us >= s->since_us && count > r->count)
		judge_fail(w, "%lld requests arrived at %s within %lld us, %lld are allowed", (long long)count, s->name,
			   (long long)r->window_us, (long long)r->count);
	w->result->full_windows += count == r->count;
}

static void judge_effect(struct world *w, const struct flight *f)
{
	struct job *j = f->sender;

	if (f->effect && f->life == j->life && ++j->effects > 1 && !j->repeatable && !method_idempotent(j->method))
		judge_fail(w, "the %s of job %u was done twice", j->method, j->index);
}

void judge_arrival(struct world *w, struct flight *f)
{
	judge_effect(w, f);
	w->result->arrivals++;
	w->attempts[f->attempt].arrived_us = w->now_us;
	for (unsigned i = 0; i < SCOPES; i++)
		for (unsigned k = 0; scope_covers(&w->scopes[i], f->lane) && k < w->scopes[i].rule.rate_count; k++)
			judge_window(w, &w->scopes[i], &w->scopes[i].rule.rates[k]);
}

/* ---- when nothing goes ---- */

/* The scheduler said that no job may go, until a time after at_us: is that so? */
void judge_idle(struct world *w, int64_t at_us, const char *when)
{
	struct answers a;

	ask_all(w, at_us, &a);
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
		if (l->loaded > 0 && !forbidden(w, l, &a))
			judge_fail(w, "a job of batch %u could go to %s at %lld us, but none was picked %s",
				   l->batch->id, l->key, (long long)at_us, when);
	}
}

void judge_over(struct world *w)
{
	struct sched_totals t = sched_totals(w->sched);

	for (unsigned i = 0; i < w->job_count; i++)
		if (w->jobs[i].state == JOB_STATES || !job_state_final(w->jobs[i].state))
			judge_fail(w, "nothing will happen any more, but job %u is %s", i,
				   job_state_name(w->jobs[i].state));
	if (t.in_flight != 0 || t.loaded != 0 || t.lanes != 0)
		judge_fail(w, "all is over, but %u lanes with %u jobs loaded and %u in flight are left", t.lanes,
			   t.loaded, t.in_flight);
}
