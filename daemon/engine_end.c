/* After an attempt: what a worker brought is judged, recorded in one commit with what follows from it, and forgotten.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/engine_private.h"
#include "lib/clock.h"
#include "lib/log.h"

/* xorshift64*: jitter needs spread, not secrecy. */
static uint64_t random_next(struct engine *en)
{
	en->random ^= en->random >> 12;
	en->random ^= en->random << 25;
	en->random ^= en->random >> 27;
	return en->random * 2685821657736338717u;
}

static struct retry_decision decide(struct engine_job *j, const struct message_outcome *o, bool counts)
{
	struct retry_input in = {
	    .cause = o->cause,
	    .status = o->status,
	    .method = j->method,
	    .sent = o->sent,
	    .repeatable = j->repeatable,
	    .tries = j->tries + counts,
	    .max_attempts = j->max_attempts,
	    .deaths = j->deaths,
	    .now_us = clock_wall_us(),
	    .deadline_us = INT64_MAX,
	    .random = random_next(j->en),
	};

	return retry_decide(&in);
}

static enum job_event event_of(const struct engine_job *j, const struct message_outcome *o,
			       const struct retry_decision *d)
{
	if (o->cause == CAUSE_CANCELLED || (j->cancel && d->verdict != RETRY_DONE))
		return JOB_EV_CANCEL;
	switch (d->verdict) {
	case RETRY_DONE:
		return JOB_EV_SUCCEED;
	case RETRY_AGAIN:
		return JOB_EV_AGAIN;
	case RETRY_FAILED:
		break;
	}
	return JOB_EV_FAIL;
}

/* The last word on a job, where it says more than its attempt's. NULL: the attempt's will do. */
static const char *final_error(char *out, size_t size, const struct message_outcome *o, enum job_reason reason,
			       const struct engine_job *j)
{
	if (reason == REASON_POISON)
		snprintf(out, size, "%u workers died while they ran this job", j->deaths);
	else if (reason == REASON_UNKNOWN_OUTCOME)
		snprintf(out, size,
			 "%s; the server may have carried it out: check there before you retry, or submit with an "
			 "idempotency key",
			 *o->error ? o->error : cause_name(o->cause));
	else
		return NULL;
	return out;
}

static void log_transition(const struct engine_job *j, const struct message_outcome *o, const struct job_step *step,
			   const struct retry_decision *d)
{
	char why[96];

	if (log_get_level() < LOG_LEVEL_DEBUG)
		return;
	if (o->cause == CAUSE_RESPONSE)
		snprintf(why, sizeof why, "%d", o->status);
	else
		snprintf(why, sizeof why, "%s", cause_name(o->cause));
	log_debug("job", "job=%u.%u attempt=%u host=%s from=running to=%s why=%s in_ms=%lld", jobid_batch(j->sched.id),
		  jobid_seq(j->sched.id), j->n, sched_lane_key(j->lane->sched), job_state_name(step->next), why,
		  (long long)(step->next == JOB_QUEUED ? d->delay_us / 1000 : 0));
}

static void mark_done(struct engine_job *j, const struct err *e)
{
	struct store_job_mark *m = j->mark;

	j->mark = NULL;
	if (m)
		m->op.done(&m->op, e);
}

static void on_ended(struct store_op *op, const struct err *e)
{
	struct engine_job *j = ENGINE_JOB_OF(op);
	struct engine *en = j->en;

	en->ending--;
	if (e && e->code == ERR_NO_SPACE) {
		engine_job_phase(j, PHASE_UNSETTLED);
		TAILQ_INSERT_TAIL(&en->unsettled, j, unsettled);
	} else {
		if (e)
			log_error("outcome not stored", "job=%u.%u why=\"%s\"", jobid_batch(j->sched.id),
				  jobid_seq(j->sched.id), e->what);
		else if (job_state_final(j->op.end.next))
			en->stats.by_state[j->op.end.next]++;
		else
			en->stats.retries++;
		mark_done(j, e);
		engine_job_free(j);
	}
	engine_check_drained(en);
}

static void job_end(struct engine_job *j, const struct message_outcome *o, bool counts)
{
	struct engine *en = j->en;
	struct retry_decision d = decide(j, o, counts);
	struct job_step step = job_step(JOB_RUNNING, event_of(j, o, &d));
	int64_t now = clock_wall_us();
	int64_t started = engine_wall_us(o->started_us);
	int64_t queued = started - j->ready_wall_us - j->sched.limited_us;
	enum job_reason reason = step.next == JOB_FAILED ? d.reason : REASON_NONE;
	char text[700];

	log_transition(j, o, &step, &d);
	engine_job_phase(j, PHASE_ENDING);
	en->ending++;
	en->stats.outcomes++;
	j->op.end = (struct store_attempt_end){
	    .op.done = on_ended,
	    .outcome = o,
	    .started_wall_us = started,
	    .first_byte_wall_us = o->first_byte_us ? engine_wall_us(o->first_byte_us) : 0,
	    .ended_wall_us = engine_wall_us(o->ended_us),
	    .queued_us = queued > 0 ? queued : 0,
	    .limited_us = j->sched.limited_us,
	    .method = j->method,
	    .next = step.next,
	    .reason = reason,
	    .error = final_error(text, sizeof text, o, reason, j),
	    .due_us = now + d.delay_us,
	    .tries = j->tries + counts,
	    .deaths = j->deaths,
	    .actions = step.actions,
	};
	store_attempt_end(en->store, &j->op.end);
}

/* When the server counted the request at the latest (DESIGN section 5). A worker's word is bounded by what can be. */
static int64_t counted_us(const struct engine_job *j, const struct message_outcome *o, int64_t now_us)
{
	if (!o->sent)
		return now_us;
	if (!o->first_byte_us)
		return now_us + ENGINE_SAFETY_US;
	if (o->first_byte_us < j->sched.granted_us || o->first_byte_us > now_us)
		return now_us;
	return o->first_byte_us;
}

void engine_on_outcome(void *arg, const struct message_outcome *o)
{
	struct engine *en = arg;
	struct engine_job *j = engine_job_find(en, o->job);
	int64_t now = clock_boot_us();

	if (!j || j->phase != PHASE_RUNNING || j->n != o->n) {
		log_error("outcome of no open attempt", "job=%u.%u attempt=%u", jobid_batch(o->job), jobid_seq(o->job),
			  o->n);
		return;
	}
	en->running--;
	j->picked = false;
	sched_ended(en->sched, &j->sched, now, counted_us(j, o, now));
	job_end(j, o, true);
	engine_pump_soon(en);
}

static const char *settle_text(enum cause cause)
{
	switch (cause) {
	case CAUSE_CANCELLED:
		return "cancelled before it was sent";
	case CAUSE_STORAGE:
		return "the result could not be stored: the disk was full";
	default:
		return "the process that ran it died";
	}
}

void engine_settle(struct engine_job *j, enum cause cause, bool sent)
{
	int64_t now = clock_boot_us();
	struct message_outcome o = {
	    .job = j->sched.id,
	    .n = j->n,
	    .cause = cause,
	    .sent = sent,
	    .started_us = j->sched.granted_us ? j->sched.granted_us : now,
	    .ended_us = now,
	    .content_type = "",
	    .remote_ip = "",
	    .redirect_url = "",
	    .headers = "",
	    .error = settle_text(cause),
	};

	o.timings.total_us = o.timings.wait_us = o.ended_us - o.started_us;
	/* A lost worker costs no attempt of the job's own: RETRY_DEATHS_MAX bounds it. */
	job_end(j, &o, cause == CAUSE_STORAGE);
}

void engine_on_lost(void *arg, uint64_t job, uint32_t n, bool sent)
{
	struct engine *en = arg;
	struct engine_job *j = engine_job_find(en, job);
	int64_t now = clock_boot_us();

	en->stats.lost_workers++;
	if (!j || j->phase != PHASE_RUNNING || j->n != n)
		return;
	en->running--;
	j->deaths++;
	j->picked = false;
	sched_ended(en->sched, &j->sched, now, sent ? now + ENGINE_SAFETY_US : now);
	engine_settle(j, CAUSE_WORKER_LOST, sent);
	engine_pump_soon(en);
}

void engine_settle_unsettled(struct engine *en)
{
	struct engine_job *j;

	while ((j = TAILQ_FIRST(&en->unsettled))) {
		TAILQ_REMOVE(&en->unsettled, j, unsettled);
		engine_settle(j, CAUSE_STORAGE, true);
	}
}
