/* After an attempt: what a worker brought is judged, recorded in one commit with what follows from it, and forgotten.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "daemon/engine_limit.h"
#include "daemon/engine_private.h"
#include "lib/address.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/url.h"

/* xorshift64*: jitter needs spread, not secrecy. */
uint64_t engine_random(struct engine *en)
{
	en->random ^= en->random >> 12;
	en->random ^= en->random << 25;
	en->random ^= en->random >> 27;
	return en->random * 2685821657736338717u;
}

/* ---- what an outcome means ---- */

void engine_verdict_fail(struct verdict *v, enum job_reason reason, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(v->text, sizeof v->text, fmt, ap);
	va_end(ap);
	v->event = JOB_EV_FAIL;
	v->reason = reason;
	v->error = v->text;
}

/* The host refused it. That says nothing of the job: what its batch wants then decides. */
static void judge_refusal(struct engine_job *j, const struct message_outcome *o, struct verdict *v)
{
	engine_host_refused(j, o);
	v->counts = false;
	switch (j->lane->batch->policy.on_limit) {
	case SPEC_LIMIT_WAIT:
		v->event = JOB_EV_AGAIN;
		v->due_us = clock_wall_us(); /* the host's pause is what it waits for: that may be lifted */
		return;
	case SPEC_LIMIT_FAIL:
		v->fails_batch = true;
		break;
	case SPEC_LIMIT_DROP:
		break;
	}
	engine_verdict_fail(v, REASON_LIMITED, "%s", *o->error ? o->error : "the host refused it: too many requests");
}

/* RFC 9110 section 15.4: a POST that is answered 301 or 302 goes on as a GET, as everybody does; 303 always. */
static bool redirect_as_get(int status, const char *method)
{
	if (status == 303)
		return strcmp(method, "HEAD") != 0;
	return (status == 301 || status == 302) && strcmp(method, "POST") == 0;
}

static bool is_redirect(const struct message_outcome *o)
{
	static const int statuses[] = {301, 302, 303, 307, 308};

	if (o->cause != CAUSE_RESPONSE || !*o->redirect_url)
		return false;
	for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
		if (o->status == statuses[i])
			return true;
	return false;
}

static bool is_https(const char *url)
{
	return strncasecmp(url, "https:", 6) == 0;
}

/* A server that is known not to be a public one may lead to its own kind. */
bool engine_known_inside(const char *remote_ip)
{
	uint8_t address[ADDRESS_BYTES];

	return address_parse(address, remote_ip) >= 0 && !address_is_public(address);
}

static void judge_redirect(struct engine_job *j, const struct message_outcome *o, struct verdict *v)
{
	const char *from = j->url, *to = o->redirect_url;
	struct err e;

	v->counts = false;
	v->stripped = j->stripped;
	if (url_key(to, v->next_key, &e) < 0) {
		engine_verdict_fail(v, REASON_POLICY, "%d redirects to what is no usable URL: %s", o->status, e.what);
	} else if (strcmp(from, to) == 0 && !redirect_as_get(o->status, j->method)) {
		engine_verdict_fail(v, REASON_POLICY, "%d redirects to itself: %.300s", o->status, to);
	} else if (j->hops >= j->max_redirects) {
		engine_verdict_fail(
		    v, REASON_POLICY,
		    "redirected more than %u time%s, last to %.300s; max_redirects (--max-redirects) allows more",
		    j->max_redirects, j->max_redirects == 1 ? "" : "s", to);
	} else if (is_https(from) && !is_https(to)) {
		engine_verdict_fail(v, REASON_POLICY, "%d redirects from https to http, which is not followed: %.300s",
				    o->status, to);
	} else {
		v->event = JOB_EV_AGAIN;
		v->due_us = clock_wall_us();
		v->next_url = to;
		v->as_get = redirect_as_get(o->status, j->method);
		v->from_public = j->from_public || !engine_known_inside(o->remote_ip);
		v->stripped |= strcmp(j->lane->host, v->next_key) != 0 || is_https(from) != is_https(to);
	}
}

static void judge_unknown(const struct message_outcome *o, struct verdict *v)
{
	const char *why = *o->error ? o->error : cause_name(o->cause);

	if (o->status)
		engine_verdict_fail(
		    v, REASON_UNKNOWN_OUTCOME,
		    "%s; its status was %d, so the server has most likely carried it out: check there before you retry",
		    why, o->status);
	else
		engine_verdict_fail(
		    v, REASON_UNKNOWN_OUTCOME,
		    "%s; the server may have carried it out: check there before you retry, or submit with an "
		    "idempotency key",
		    why);
}

static void judge_response(struct engine_job *j, const struct message_outcome *o, struct verdict *v)
{
	struct retry_input in = {
	    .cause = o->cause,
	    .status = o->status,
	    .method = j->method,
	    .sent = o->sent,
	    .repeatable = j->repeatable,
	    .tries = j->tries + v->counts,
	    .max_attempts = j->max_attempts,
	    .deaths = j->deaths,
	    .now_us = clock_wall_us(),
	    .deadline_us = j->lane->batch->deadline_us,
	    .random = engine_random(j->en),
	};
	struct retry_decision d = retry_decide(&in);

	v->event = d.verdict == RETRY_DONE ? JOB_EV_SUCCEED : d.verdict == RETRY_AGAIN ? JOB_EV_AGAIN : JOB_EV_FAIL;
	v->reason = d.verdict == RETRY_FAILED ? d.reason : REASON_NONE;
	v->due_us = in.now_us + d.delay_us;
	if (v->reason == REASON_POISON)
		engine_verdict_fail(v, REASON_POISON, "%u workers died while they ran this job", j->deaths);
	else if (v->reason == REASON_UNKNOWN_OUTCOME)
		judge_unknown(o, v);
}

/* The owner's word, or the batch's end, came while it ran. What was done is done all the same. */
static void judge_cancelled(const struct engine_job *j, struct verdict *v)
{
	if (v->event == JOB_EV_SUCCEED)
		return;
	v->next_url = NULL;
	if (j->lane->batch->failing != REASON_NONE && !j->mark)
		engine_verdict_fail(v, j->lane->batch->failing, "%s while it ran",
				    j->lane->batch->failing == REASON_EXPIRED ? "the deadline of its batch passed"
									      : "its batch was ended by a limit");
	else
		v->event = JOB_EV_CANCEL;
}

static void judge(struct engine_job *j, const struct message_outcome *o, struct verdict *v)
{
	if (engine_refused(o))
		judge_refusal(j, o, v);
	else if (is_redirect(o) && j->max_redirects == 0)
		v->event = JOB_EV_SUCCEED; /* who follows none wants to see it */
	else if (is_redirect(o))
		judge_redirect(j, o, v);
	else if (o->cause != CAUSE_CANCELLED)
		judge_response(j, o, v);
	if (j->cancel || o->cause == CAUSE_CANCELLED)
		judge_cancelled(j, v);
}

static void log_transition(const struct engine_job *j, const struct message_outcome *o, const struct job_step *step,
			   const struct verdict *v)
{
	char why[96];

	if (log_get_level() < LOG_LEVEL_DEBUG)
		return;
	if (o->cause == CAUSE_RESPONSE)
		snprintf(why, sizeof why, "%d", o->status);
	else
		snprintf(why, sizeof why, "%s", cause_name(o->cause));
	log_debug("job", "job=%u.%u attempt=%u host=%s from=running to=%s why=%s in_ms=%lld", jobid_batch(j->sched.id),
		  jobid_seq(j->sched.id), j->n, j->lane->host, job_state_name(step->next), why,
		  (long long)(step->next == JOB_QUEUED ? (v->due_us - clock_wall_us()) / 1000 : 0));
}

/* ---- recording it ---- */

void engine_job_mark_done(struct engine_job *j, const struct err *e)
{
	struct store_job_mark *m = j->mark;

	j->mark = NULL;
	if (m)
		m->op.done(&m->op, e);
}

void engine_job_unsettled(struct engine_job *j, bool undo)
{
	engine_job_phase(j, PHASE_UNSETTLED);
	j->undo = undo;
	TAILQ_INSERT_TAIL(&j->en->unsettled, j, link);
}

void engine_job_ended(struct store_op *op, const struct err *e)
{
	struct engine_job *j = ENGINE_JOB_OF(op);
	struct engine *en = j->en;

	en->ending--;
	if (e && e->code == ERR_NO_SPACE) {
		engine_job_unsettled(j, false);
	} else {
		if (e)
			log_error("outcome not stored", "job=%u.%u why=\"%s\"", jobid_batch(j->sched.id),
				  jobid_seq(j->sched.id), e->what);
		else if (!job_state_final(j->op.end.next))
			en->stats.retries++;
		engine_job_mark_done(j, e);
		engine_job_free(j);
	}
	engine_check_drained(en);
}

static void job_end(struct engine_job *j, const struct message_outcome *o, struct verdict *v, int64_t counted_us)
{
	struct engine *en = j->en;
	struct job_step step;
	int64_t started = engine_wall_us(o->started_us);
	int64_t queued = started - j->ready_wall_us - j->sched.limited_us;

	if (o->sent)
		engine_rules_note_sent(j, started);
	judge(j, o, v);
	if (j->lane->batch->run)
		engine_page_judge(j, o, v);
	step = job_step(JOB_RUNNING, v->event);
	engine_failing_note(j->lane, o, step.next == JOB_QUEUED && !v->next_url);
	log_transition(j, o, &step, v);
	engine_job_phase(j, PHASE_ENDING);
	if (step.next == JOB_DONE || step.next == JOB_FAILED)
		j->lane->batch->last_end_us = o->ended_us;
	en->ending++;
	en->stats.outcomes++;
	j->op.end = (struct store_attempt_end){
	    .op = {.done = engine_job_ended, .patient = true},
	    .outcome = o,
	    .started_wall_us = started,
	    .first_byte_wall_us = o->first_byte_us ? engine_wall_us(o->first_byte_us) : 0,
	    .ended_wall_us = engine_wall_us(o->ended_us),
	    .queued_us = queued > 0 ? queued : 0,
	    .limited_us = j->sched.limited_us,
	    .method = j->method,
	    .sent_boot_us = o->sent ? o->started_us : 0,
	    .counted_boot_us = o->sent ? counted_us : 0,
	    .next_url = v->next_url,
	    .next_key = v->next_url ? v->next_key : NULL,
	    .next_as_get = v->as_get,
	    .next_stripped = v->stripped,
	    .next_from_public = v->from_public,
	    .next = step.next,
	    .reason = step.next == JOB_FAILED ? v->reason : REASON_NONE,
	    .error = v->error,
	    .due_us = v->due_us,
	    .tries = j->tries + v->counts,
	    .deaths = j->deaths,
	    .actions = step.actions,
	};
	if (j->lane->batch->run)
		engine_page_end(j, o, v);
	else
		store_attempt_end(en->store, &j->op.end);
}

/* When the server counted the request at the latest (DESIGN section 5). A worker's word is bounded by what can be. */
static int64_t counted_us(const struct engine_job *j, const struct message_outcome *o, int64_t now_us)
{
	if (!o->sent)
		return now_us;
	if (!o->first_byte_us)
		return now_us + LIMIT_SAFETY_US;
	if (o->first_byte_us < j->sched.granted_us || o->first_byte_us > now_us)
		return now_us;
	return o->first_byte_us;
}

void engine_on_outcome(void *arg, const struct message_outcome *o)
{
	struct engine *en = arg;
	struct engine_job *j = engine_job_find(en, o->job);
	int64_t now = clock_boot_us();

	if (!j || !engine_phase_with_worker(j->phase) || j->n != o->n) {
		log_error("outcome of no open attempt", "job=%u.%u attempt=%u", jobid_batch(o->job), jobid_seq(o->job),
			  o->n);
		return;
	}
	struct engine_batch *b = j->lane->batch;
	struct verdict v = {.counts = true};
	int64_t counted = counted_us(j, o, now);
	struct engine_page_hidden hidden = {0};
	en->running--;
	/* First what the answer tells: a rate that is new counts the request that taught it. */
	if (!engine_refused(o))
		engine_host_answered(j, o);
	engine_place_ended(j, o, now, counted);
	if (b->run)
		o = engine_page_hide(b->run, o, &hidden);
	job_end(j, o, &v, counted);
	if (v.fails_batch)
		engine_batch_fail(b, REASON_LIMITED, v.text);
	engine_page_hidden_clear(&hidden);
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

void engine_settle_as(struct engine_job *j, enum cause cause, bool sent, bool counts, const char *why)
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
	    .error = why,
	    MESSAGE_LIMITS_UNTOLD,
	};
	struct verdict v = {.counts = counts};

	o.timings.total_us = o.timings.wait_us = o.ended_us - o.started_us;
	job_end(j, &o, &v, now + LIMIT_SAFETY_US);
}

/* A lost worker costs no attempt of the job's own: RETRY_DEATHS_MAX bounds it. */
void engine_settle(struct engine_job *j, enum cause cause, bool sent)
{
	engine_settle_as(j, cause, sent, cause == CAUSE_STORAGE, settle_text(cause));
}

void engine_on_lost(void *arg, const struct pool_lost *lost)
{
	struct engine *en = arg;
	struct engine_job *j = engine_job_find(en, lost->job);
	int64_t now = clock_boot_us();

	en->stats.lost_workers++;
	if (!j || !engine_phase_with_worker(j->phase) || j->n != lost->n)
		return;
	en->running--;
	if (lost->heard && j->phase == PHASE_STANDBY) {
		engine_place_lost(j, now, now);
		engine_not_begun(j);
		return;
	}
	j->deaths += lost->blamed && j->phase == PHASE_RUNNING && !j->recalled;
	engine_place_lost(j, now, lost->sent ? now + LIMIT_SAFETY_US : now);
	engine_settle(j, CAUSE_WORKER_LOST, lost->sent);
	engine_pump_soon(en);
}

void engine_settle_unsettled(struct engine *en)
{
	struct engine_job *j;

	while ((j = TAILQ_FIRST(&en->unsettled))) {
		TAILQ_REMOVE(&en->unsettled, j, link);
		if (j->undo)
			engine_job_undo(j);
		else
			engine_settle(j, CAUSE_STORAGE, true);
	}
}
