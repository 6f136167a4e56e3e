/* From the scheduler to a worker: attempts are opened, ahead of their turn where that is harmless, and what is picked
 * and on disk is sent. */
#include <stdio.h>
#include <string.h>

#include "daemon/engine_limit.h"
#include "daemon/engine_private.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/method.h"

/* ---- starting attempts ---- */

static void on_undone(struct store_op *op, const struct err *e)
{
	struct engine_job *j = ENGINE_JOB_OF(op);
	struct engine *en = j->en;
	struct store_job_mark *m = j->mark;

	en->ending--;
	if (j->picked)
		sched_refund(en->sched, &j->sched, clock_boot_us());
	j->picked = false;
	if (e && e->code == ERR_NO_SPACE) {
		engine_job_unsettled(j, true);
		engine_job_mark_done(j, e);
		engine_check_drained(en);
		return;
	}
	if (e)
		log_error("attempt not taken back", "job=%u.%u why=\"%s\"", jobid_batch(j->sched.id),
			  jobid_seq(j->sched.id), e->what);
	/* The store has put it off until now, and has told its lane. */
	engine_job_free(j);
	if (m)
		store_job_mark(en->store, m);
	engine_check_drained(en);
}

/* Its attempt is on disk, but its turn will not come, or there is nobody to send it to. */
void engine_job_undo(struct engine_job *j)
{
	j->en->ending++;
	engine_job_phase(j, PHASE_ENDING);
	j->op.undo = (struct store_attempt_undo){.op.done = on_undone, .job = j->sched.id, .n = j->n};
	store_attempt_undo(j->en->store, &j->op.undo);
}

void engine_job_unstage(struct engine_job *j)
{
	if (j->phase == PHASE_STAGED)
		sched_take(j->en->sched, j->track->sched, j->sched.id);
	engine_job_undo(j);
}

void engine_batch_unstage(struct engine_batch *b)
{
	struct engine_job *j, *next;
	struct engine_lane *lane;

	LIST_FOREACH (lane, &b->lanes, of_batch)
		engine_lane_recall(lane);
	HASH_ITER (hh, b->en->jobs, j, next) {
		if (j->lane->batch == b && j->phase == PHASE_STAGED)
			engine_job_unstage(j);
	}
}

static void job_send(struct engine_job *j)
{
	struct engine *en = j->en;
	int worker;

	/* At the very end there is nobody left to send it to: the next daemon settles it. */
	if (!en->pool)
		return;
	worker = pool_assign(en->pool, j->lane->host, j->sched.id, j->n, j->timeout_ms, j->frame, j->frame_bytes);
	if (worker < 0) {
		engine_job_undo(j);
		return;
	}
	engine_job_drop_frame(j);
	engine_job_phase(j, PHASE_RUNNING);
	engine_place_add(j, (unsigned)worker);
	en->running++;
	en->stats.attempts++;
}

void engine_job_opened(struct engine_job *j)
{
	j->lane->unopened -= j->unopened;
	j->unopened = false;
}

static void head_set(struct engine_lane *lane, uint64_t job)
{
	if (lane->head < job)
		lane->head = job;
}

/* An attempt is on disk: a restart finds the job by it, and not by the lane's cursor. What is staged may overtake what
 * is loaded and not opened yet, and so may what is on another track: the head stays behind those. Those of one track
 * are opened in order. */
static void lane_started(struct engine_job *j, bool staged)
{
	struct engine_lane *lane = j->lane;

	engine_job_opened(j);
	if (!j->fresh)
		return;
	if (lane->top < j->sched.id)
		lane->top = j->sched.id;
	if (!staged && !lane->tracks->next)
		head_set(lane, j->sched.id);
	if (lane->unopened == 0)
		head_set(lane, lane->top);
}

/* The attempt could not be opened, and the job is out of memory. Where the store refused it, it is not queued any more;
 * else it is found again by its lane's next load. */
static void job_not_opened(struct engine_job *j, const struct err *e)
{
	struct engine *en = j->en;
	struct engine_lane *lane = j->lane;

	if (e->code == ERR_CONFLICT || e->code == ERR_NOT_FOUND) {
		if (j->mark)
			store_job_mark(en->store, j->mark);
		j->mark = NULL;
	} else if (j->fresh) {
		if (lane->cursor >= j->sched.id)
			lane->cursor = j->sched.id - 1;
		lane->fresh = lane->rewound = true;
	} else {
		lane->next_due_us = clock_wall_us();
	}
	engine_job_mark_done(j, e);
	if (j->picked)
		sched_refund(en->sched, &j->sched, clock_boot_us());
	engine_lane_refresh(lane);
	engine_job_free(j);
}

static void on_opened(struct store_op *op, const struct err *e)
{
	struct engine_job *j = ENGINE_JOB_OF(op);
	struct engine *en = j->en;

	en->opening--;
	j->n = j->op.open.n;
	if (e) {
		job_not_opened(j, e);
	} else if (j->cancel) {
		lane_started(j, false);
		sched_refund(en->sched, &j->sched, clock_boot_us());
		j->picked = false;
		engine_settle(j, CAUSE_CANCELLED, false);
	} else {
		lane_started(j, false);
		job_send(j);
	}
	engine_check_drained(en);
}

static void request_encode(struct engine_job *j, const struct spec_request *r)
{
	struct engine *en = j->en;

	struct message_job job = r->job;

	job.lane = (uint64_t)j->lane->id;
	en->scratch.len = 0;
	message_put_job(&en->scratch, &job);
	j->frame = malloc(en->scratch.len);
	if (!j->frame)
		abort();
	memcpy(j->frame, en->scratch.data, en->scratch.len);
	j->frame_bytes = en->scratch.len;
	en->frame_bytes += j->frame_bytes;
}

bool engine_lane_may_stage(const struct engine_lane *lane)
{
	return !lane->unstaged && !lane->rated && lane->en->frame_bytes < ENGINE_FRAMES_BYTES;
}

/* A job that is being staged may decline: then nothing of it is opened. */
static bool on_request(struct store_attempt_open *o, const struct store_request *req)
{
	struct engine_job *j = ENGINE_JOB_OF(o);
	struct engine_page_fill filled = {0};
	struct spec_request r;
	bool take = true;

	spec_merge(&r, j->lane->batch->template, req, &j->en->set.defaults);
	if (j->phase == PHASE_STAGING && !r.repeatable && !method_idempotent(r.job.method)) {
		j->lane->unstaged = true;
		take = false;
	} else if (j->phase == PHASE_STAGING && j->en->frame_bytes >= ENGINE_FRAMES_BYTES) {
		take = false;
	} else {
		engine_job_note(j, req, &r);
		if (req->page)
			engine_page_prepare(j, req, &r, &filled);
		request_encode(j, &r);
		engine_page_fill_clear(&filled);
	}
	spec_request_clear(&r);
	return take;
}

static void job_open(struct engine_job *j, void (*done)(struct store_op *op, const struct err *e))
{
	int64_t now_us = clock_boot_us();

	j->op.open = (struct store_attempt_open){
	    .op = {.done = done, .patient = j->phase == PHASE_STAGING},
	    .job = j->sched.id,
	    .granted_us = engine_wall_us(now_us),
	    .granted_boot_us = now_us,
	    .on_request = on_request,
	};
	store_attempt_open(j->en->store, &j->op.open);
}

/* ---- staging ---- */

void engine_job_push(struct engine_job *j, enum engine_phase phase, int64_t now_us)
{
	engine_job_phase(j, phase);
	j->unopened = phase == PHASE_LOADED && j->fresh;
	j->lane->unopened += j->unopened;
	sched_push(j->en->sched, j->track->sched, &j->sched, now_us);
}

/* It was not opened after all: the owner's word is the store's business again. */
static void mark_loaded(struct engine_job *j)
{
	struct store_job_mark *m = j->mark;

	j->mark = NULL;
	j->cancel = false;
	if (m)
		store_job_mark(j->en->store, m);
}

static void on_staged(struct store_op *op, const struct err *e)
{
	struct engine_job *j = ENGINE_JOB_OF(op);
	struct engine *en = j->en;
	struct engine_lane *lane = j->lane;

	en->staging--;
	en->staging_open--;
	j->n = j->op.open.n;
	if (!lane->adapted)
		engine_lane_adapt(lane);
	lane->adapted = lane->staging > 1;
	/* The last of a load lets the next one begin. */
	if (--lane->staging == 0)
		engine_lane_refresh(lane);
	if (e) {
		job_not_opened(j, e);
	} else if (j->n == 0) {
		engine_job_push(j, PHASE_LOADED, clock_boot_us());
		mark_loaded(j);
	} else {
		lane_started(j, true);
		if (j->cancel || engine_batch_stopped(lane->batch) || en->draining || lane->rated)
			engine_job_unstage(j);
		else
			engine_job_push(j, PHASE_STAGED, clock_boot_us());
	}
	engine_check_drained(en);
}

void engine_job_stage(struct engine_job *j)
{
	static const struct timeval at_once;
	struct engine *en = j->en;

	en->staging++;
	j->lane->staging++;
	if (TAILQ_EMPTY(&en->to_stage))
		event_add(en->stage, &at_once);
	TAILQ_INSERT_TAIL(&en->to_stage, j, link);
}

/* A whole load at once would keep the workers waiting, whose answers lie unread meanwhile. The timer lets the loop look
 * for them. */
void engine_stage_some(struct engine *en)
{
	static const struct timeval at_once;
	struct engine_job *j;

	for (int i = 0; i < ENGINE_STAGE_SLICE && (j = TAILQ_FIRST(&en->to_stage)); i++) {
		TAILQ_REMOVE(&en->to_stage, j, link);
		en->staging_open++;
		job_open(j, on_staged);
	}
	if (!TAILQ_EMPTY(&en->to_stage))
		event_add(en->stage, &at_once);
}

/* ---- the pump ---- */

static bool may_start(const struct engine *en)
{
	return en->frame_bytes < 2 * ENGINE_FRAMES_BYTES && en->opening < pool_credit(en->pool);
}

struct drop {
	struct store_job_mark mark;
	struct engine *en;
	int64_t lane;
};

/* Where it could not be recorded, the job is loaded once more. */
static void on_dropped(struct store_op *op, const struct err *e)
{
	struct drop *d = (struct drop *)op;
	struct engine_lane *lane = e && e->code != ERR_CONFLICT ? engine_lane_find(d->en, d->lane) : NULL;

	if (lane) {
		lane->next_due_us = clock_wall_us();
		engine_lane_rewind(lane);
	}
	free(d);
}

/* Its batch does not wait for a host that refused: it ends without a request. */
static void job_drop_limited(struct engine_job *j, int64_t until_us)
{
	struct drop *d = calloc(1, sizeof *d);
	char until[CLOCK_RFC3339_SIZE];
	char text[160];

	if (!d)
		abort();
	snprintf(text, sizeof text, "not sent: the host refused others and is paused until %s",
		 clock_format_rfc3339(until, until_us));
	d->en = j->en;
	d->lane = j->lane->id;
	d->mark = (struct store_job_mark){
	    .op.done = on_dropped,
	    .job = j->sched.id,
	    .mark = STORE_MARK_FAIL,
	    .reason = REASON_LIMITED,
	    .error = text,
	};
	sched_refund(j->en->sched, &j->sched, clock_boot_us());
	j->picked = false;
	if (j->phase == PHASE_STAGED) {
		/* Only what is not open can be marked. Both are in the same turn, in this order. */
		engine_job_phase(j, PHASE_OPENING);
		engine_job_undo(j);
		store_job_mark(d->en->store, &d->mark);
		return;
	}
	store_job_mark(d->en->store, &d->mark);
	engine_job_free(j);
}

static void job_start(struct engine_job *j)
{
	struct engine *en = j->en;
	int64_t paused_until = 0;

	j->picked = true;
	if (j->lane->batch->policy.on_limit == SPEC_LIMIT_DROP)
		paused_until = engine_host_paused_until(en, j->lane->host);
	if (paused_until) {
		job_drop_limited(j, paused_until);
		return;
	}
	if (engine_lane_low(j->lane))
		engine_lane_refresh(j->lane);
	if (j->phase == PHASE_STAGED) {
		engine_job_phase(j, PHASE_OPENING);
		job_send(j);
		return;
	}
	engine_job_phase(j, PHASE_OPENING);
	en->opening++;
	job_open(j, on_opened);
}

/* Only when the scheduler said no is there a time to ask again; credit and commits come by themselves. */
static void arm_wake(struct engine *en, int64_t now_us)
{
	int64_t wake = sched_wake_us(en->sched, now_us);

	event_del(en->wake);
	if (wake == CLOCK_NEVER)
		return;
	int64_t in_us = wake > now_us ? wake - now_us : 0;
	struct timeval tv = {.tv_sec = in_us / 1000000, .tv_usec = in_us % 1000000};
	event_add(en->wake, &tv);
}

void engine_pump(struct engine *en)
{
	int64_t now = clock_boot_us();

	en->pump_soon = false;
	if (en->trouble || en->draining)
		return;
	engine_load(en);
	for (int i = 0; i < ENGINE_PICKS_PER_TURN; i++) {
		if (!may_start(en))
			return;
		struct sched_job *picked = sched_pick(en->sched, now);
		if (!picked) {
			engine_standby_fill(en);
			arm_wake(en, now);
			return;
		}
		job_start((struct engine_job *)picked);
	}
	engine_pump_soon(en);
}
