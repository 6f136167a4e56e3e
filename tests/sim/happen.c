/* What a world does to the engine: jobs come, are cancelled, expire, are retried; options and rules change; workers and
 * the daemon itself die, the machine boots anew, clocks are stepped; requests arrive and end. */
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
	struct flight *f = e->subject;

	if (!f->ended_in_sched) /* else the daemon died with it */
		engine_refund(w, f);
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
	sched_batch_set(w->sched, b->handle, &b->opt, clock_now(w));
}

/* A rule comes, goes, or changes: its counts alone, or all of it. */
static void on_rule_set(struct world *w, const struct event *e)
{
	struct sim_rule *r = &w->drawn[e->n];
	struct limit_rule rule = draw_rule(w);

	if (r->present && chance(w, 30)) {
		trace(w, "%s: taken away", r->name);
		limits_set_rule(w, e->n, NULL);
		return;
	}
	if (r->present && chance(w, 60)) {
		rule = r->limit;
		for (unsigned i = 0; i < rule.rate_count; i++)
			rule.rates[i].count = draw(w, 1, 10);
	}
	trace(w, "%s: set", r->name);
	limits_set_rule(w, e->n, &rule);
}

static void on_host_concurrency(struct world *w, const struct event *e)
{
	w->set.host_concurrency = e->n;
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

static void on_crash(struct world *w, const struct event *e)
{
	(void)e;
	if (w->down)
		return;
	trace(w, "the daemon dies");
	w->result->crashes++;
	w->down = true;
	w->up_at_us = w->now_us + draw(w, 0, 1200) * MS;
	engine_forget(w);
	event_add(w, w->up_at_us, EVENT_RESTART, NULL, (unsigned)draw(w, 0, w->up_at_us - w->now_us));
}

static void step_wall(struct world *w)
{
	w->wall_ahead_us += draw(w, -5000, 5000) * MS;
}

/* n: how long ago the machine booted, if it did. */
static void on_restart(struct world *w, const struct event *e)
{
	w->down = false;
	if (w->boot + 1 < BOOTS_MAX && chance(w, 40)) {
		w->boot++;
		w->booted_us = w->now_us - e->n;
		w->boot_last_us[w->boot] = 0;
		w->result->reboots++;
		step_wall(w);
	}
	trace(w, "the daemon comes back%s", w->booted_us == w->now_us - e->n ? " after a boot" : "");
	engine_begin(w);
}

static void on_clock_step(struct world *w, const struct event *e)
{
	(void)e;
	step_wall(w);
}

static void on_resume(struct world *w, const struct event *e)
{
	limits_resume(w, e->subject);
}

static void on_pause_over(struct world *w, const struct event *e)
{
	struct host *h = e->subject;

	if (h->limit)
		sched_limit_recovered(w->sched, h->limit, clock_now(w));
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
	    [EVENT_RULE_SET] = on_rule_set,
	    [EVENT_HOST_CONCURRENCY] = on_host_concurrency,
	    [EVENT_WORKER_DEATH] = on_worker_death,
	    [EVENT_CRASH] = on_crash,
	    [EVENT_RESTART] = on_restart,
	    [EVENT_CLOCK_STEP] = on_clock_step,
	    [EVENT_RESUME] = on_resume,
	    [EVENT_PAUSE_OVER] = on_pause_over,
	};
	_Static_assert(sizeof handlers / sizeof *handlers == EVENT_TYPES, "every event has a handler");

	/* without a daemon the network goes on; all else waits for it */
	if (w->down && e->type != EVENT_ARRIVE && e->type != EVENT_RESTART && e->type != EVENT_CLOCK_STEP)
		event_add(w, w->up_at_us, e->type, e->subject, e->n);
	else
		handlers[e->type](w, e);
}
