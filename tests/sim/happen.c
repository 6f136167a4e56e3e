/* What a world does to the engine: jobs come, are cancelled, expire, are retried; options and rules change; workers
 * die; requests arrive and end. */
#include "tests/sim/world.h"

static bool exists(const struct job *j)
{
	return j->state != JOB_STATES;
}

static void on_submit(struct world *w, const struct event *e)
{
	struct job *j = e->subject;

	j->state = j->before ? JOB_BLOCKED : JOB_QUEUED;
	if (!j->before)
		engine_queue(w, j, w->now_us);
	if (j->deadline_us != CLOCK_NEVER)
		event_add(w, j->deadline_us > w->now_us ? j->deadline_us : w->now_us, EVENT_EXPIRE, j, 0);
}

static void on_arrive(struct world *w, const struct event *e)
{
	struct flight *f = e->subject;

	if (f->arrive_us == e->at_us)
		judge_arrival(w, f);
}

static void on_report(struct world *w, const struct event *e)
{
	struct flight *f = e->subject;

	if (f->report_us != e->at_us)
		return;
	f->report_us = -1; /* once */
	engine_report(w, f);
}

static void on_refund(struct world *w, const struct event *e)
{
	engine_refund(w, e->subject);
}

static void on_due(struct world *w, const struct event *e)
{
	engine_due(w, e->subject, e->n);
}

static void on_expire(struct world *w, const struct event *e)
{
	struct job *j = e->subject;

	if (j->state == JOB_QUEUED || j->state == JOB_BLOCKED)
		life_apply(w, j, JOB_EV_EXPIRE, REASON_EXPIRED);
}

static void on_cancel(struct world *w, const struct event *e)
{
	struct job *j = e->subject;

	if (exists(j) && !job_state_final(j->state))
		life_apply(w, j, JOB_EV_CANCEL, REASON_NONE);
}

static void retry_one(struct world *w, struct job *j, enum job_event event)
{
	j->tries = j->deaths = j->effects = 0;
	j->life++;
	j->deadline_us = CLOCK_NEVER;
	life_apply(w, j, event, REASON_NONE);
}

/* The job and all after it in its chain; only where everything before it is done. */
static void on_retry(struct world *w, const struct event *e)
{
	struct job *j = e->subject;

	if ((j->state != JOB_FAILED && j->state != JOB_CANCELLED) || (j->before && j->before->state != JOB_DONE))
		return;
	retry_one(w, j, JOB_EV_RETRY);
	for (j = j->after; j; j = j->after)
		retry_one(w, j, JOB_EV_RETRY_CHAIN);
}

static void on_batch_set(struct world *w, const struct event *e)
{
	struct batch *b = e->subject;

	b->opt = draw_options(w);
	if (e->n == 0 && chance(w, 50)) {
		b->opt.paused = true;
		event_add(w, w->now_us + draw(w, 1, 2000) * MS, EVENT_BATCH_SET, b, 1);
	}
	trace(w, "batch %u: concurrency %u%s", b->id, b->opt.concurrency, b->opt.paused ? ", paused" : "");
	sched_batch_set(w->sched, b->handle, &b->opt, w->now_us);
}

static void set_rule(struct world *w, struct key *k, const struct limit_rule *rule)
{
	trace(w, "%s: %s", k->name, rule ? "rule set" : "rule taken away");
	key_set_rule(w, k, rule);
}

/* A rule comes, goes, or changes its counts (its windows stay, so that what is remembered is known exactly). */
static void on_key_set(struct world *w, const struct event *e)
{
	struct key *k = e->subject;
	struct limit_rule rule = k->ruled ? k->rule : draw_rule(w);

	if (k->ruled && (rule.pace || chance(w, 30))) {
		set_rule(w, k, NULL);
		return;
	}
	for (unsigned i = 0; k->ruled && i < rule.rate_count; i++)
		rule.rates[i].count = draw(w, 1, 10);
	set_rule(w, k, &rule);
}

static void on_key_concurrency(struct world *w, const struct event *e)
{
	w->key_concurrency = e->n;
	sched_set_host_concurrency(w->sched, e->n);
}

static void on_worker_death(struct world *w, const struct event *e)
{
	trace(w, "worker %u dies", e->n);
	w->result->deaths++;
	for (unsigned i = 0; i < w->open_count; i++)
		if (w->open[i]->worker == e->n && w->open[i]->report_us >= 0)
			net_give_up(w, w->open[i], CAUSE_WORKER_LOST, w->now_us);
}

void happen(struct world *w, const struct event *e)
{
	static void (*const handlers[])(struct world *, const struct event *) = {
	    [EVENT_SUBMIT] = on_submit,
	    [EVENT_ARRIVE] = on_arrive,
	    [EVENT_REPORT] = on_report,
	    [EVENT_REFUND] = on_refund,
	    [EVENT_DUE] = on_due,
	    [EVENT_EXPIRE] = on_expire,
	    [EVENT_CANCEL] = on_cancel,
	    [EVENT_RETRY] = on_retry,
	    [EVENT_BATCH_SET] = on_batch_set,
	    [EVENT_KEY_SET] = on_key_set,
	    [EVENT_KEY_CONCURRENCY] = on_key_concurrency,
	    [EVENT_WORKER_DEATH] = on_worker_death,
	};
	_Static_assert(sizeof handlers / sizeof *handlers == EVENT_TYPES, "every event has a handler");

	handlers[e->type](w, e);
}
