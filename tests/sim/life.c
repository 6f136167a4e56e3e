/* Jobs by daemon/job, attempts by daemon/retry: the words of these two modules carried out. */
#include "tests/sim/world.h"

static void check_start(struct world *w, const struct job *j)
{
	if (j->tries >= j->max_attempts || j->deaths >= RETRY_DEATHS_MAX)
		judge_fail(w, "job %u starts again after %u of %u attempts and %u deaths", j->index, j->tries,
			   j->max_attempts, j->deaths);
	if (j->before && j->before->state != JOB_DONE)
		judge_fail(w, "job %u starts while job %u before it in its chain is %s", j->index, j->before->index,
			   job_state_name(j->before->state));
}

static void fail_rest(struct world *w, struct job *j)
{
	for (struct job *next = j->after; next; next = next->after)
		if (next->state == JOB_BLOCKED)
			life_apply(w, next, JOB_EV_PREDECESSOR, REASON_PREDECESSOR);
}

static void abort_flight(struct world *w, struct job *j)
{
	struct flight *f = j->flight;

	f->job = NULL; /* its outcome no longer concerns the job */
	j->flight = NULL;
	j->place = PLACE_NOWHERE;
	net_give_up(w, f, CAUSE_CANCELLED, w->now_us + draw(w, 0, 30) * MS);
}

void life_apply(struct world *w, struct job *j, enum job_event event, enum job_reason reason)
{
	enum job_state from = j->state;
	struct job_step step = job_step(from, event);

	if (!step.allowed) {
		judge_fail(w, "job %u: %s is refused in state %s", j->index, job_event_name(event),
			   job_state_name(from));
		return;
	}
	trace(w, "job %u: %s, %s -> %s %s", j->index, job_event_name(event), job_state_name(from),
	      job_state_name(step.next), job_reason_name(reason));
	if (event == JOB_EV_START)
		check_start(w, j);
	if (from == JOB_QUEUED && step.next != JOB_RUNNING)
		engine_unqueue(w, j);
	j->state = step.next;
	j->reason = reason;
	if (step.actions & JOB_ACT_ABORT)
		abort_flight(w, j);
	if ((step.actions & JOB_ACT_QUEUE) && !(w->mutation == MUTATE_LOSE_RETRY && event == JOB_EV_AGAIN))
		engine_queue(w, j, event == JOB_EV_AGAIN ? j->due_us : w->now_us);
	if (step.actions & JOB_ACT_FAIL_REST)
		fail_rest(w, j);
	if ((step.actions & JOB_ACT_UNBLOCK) && j->after && j->after->state == JOB_BLOCKED)
		life_apply(w, j->after, JOB_EV_UNBLOCK, REASON_NONE);
}

void life_settle(struct world *w, struct job *j, const struct flight *f)
{
	struct retry_decision d;

	/* a refusal is a state of the host: it costs no attempt, and the pause is not the job's */
	if (refused(f) && w->now_us < j->deadline_us) {
		j->due_us = w->now_us;
		life_apply(w, j, JOB_EV_AGAIN, REASON_NONE);
		return;
	}
	if (f->cause == CAUSE_WORKER_LOST)
		j->deaths++;
	else
		j->tries++;
	d = retry_decide(&(struct retry_input){
	    .cause = f->cause,
	    .status = f->status,
	    .method = j->method,
	    .sent = f->sent,
	    .repeatable = j->repeatable || w->mutation == MUTATE_REPEAT_UNSAFE,
	    .tries = j->tries,
	    .max_attempts = j->max_attempts,
	    .deaths = j->deaths,
	    .now_us = w->now_us,
	    .deadline_us = j->deadline_us,
	    .random = (uint64_t)draw(w, 0, INT64_MAX - 1),
	});
	j->due_us = w->now_us + d.delay_us;
	if (d.verdict == RETRY_DONE)
		life_apply(w, j, JOB_EV_SUCCEED, REASON_NONE);
	else if (d.verdict == RETRY_AGAIN)
		life_apply(w, j, JOB_EV_AGAIN, REASON_NONE);
	else
		life_apply(w, j, JOB_EV_FAIL, d.reason);
}
