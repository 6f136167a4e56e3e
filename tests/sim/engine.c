/* What the daemon's engine does, in small: keeps queued jobs in a store, feeds the scheduler's windows, starts what it
 * picks, and tells it of ends. The mutations that break a promise to the scheduler are here. */
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "tests/sim/world.h"

/* ---- lanes come and go with their jobs ---- */

static void lane_begin(struct world *w, struct lane *l)
{
	l->handle = sched_lane_add(w->sched, l->id, l->batch->handle, l->key, l->host->name, l);
	limits_of_lane(w, l);
}

static void lane_need(struct world *w, struct lane *l)
{
	if (l->needed++ == 0)
		lane_begin(w, l);
}

static void lane_drop(struct world *w, struct lane *l)
{
	if (--l->needed > 0)
		return;
	if (sched_lane_remove(w->sched, l->handle))
		judge_fail(w, "lane %lld still had jobs loaded when its last one had ended", (long long)l->id);
	l->handle = NULL;
}

/* ---- the store ---- */

static void store(struct world *w, struct job *j)
{
	struct lane *l = j->lane;

	j->place = PLACE_STORED;
	l->stored[l->stored_count++] = j;
	sched_lane_more(w->sched, l->handle, true);
}

void engine_queue(struct world *w, struct job *j, int64_t due_us)
{
	lane_need(w, j->lane);
	if (due_us <= w->now_us) {
		store(w, j);
		return;
	}
	j->place = PLACE_PUT_OFF;
	event_add(w, due_us, EVENT_DUE, j, ++j->put_off);
}

void engine_due(struct world *w, struct job *j, unsigned put_off)
{
	if (j->place == PLACE_PUT_OFF && j->put_off == put_off)
		store(w, j);
}

static void unstore(struct lane *l, unsigned at)
{
	memmove(&l->stored[at], &l->stored[at + 1], (--l->stored_count - at) * sizeof(struct job *));
}

static void unload(struct world *w, struct job *j)
{
	struct sched_job *handle = sched_take(w->sched, j->lane->handle, j->index + 1);

	if (!handle)
		judge_fail(w, "job %u is loaded, but could not be taken out", j->index);
	free(handle);
	j->lane->loaded--;
}

/* A queued job that ends without having been picked. */
void engine_unqueue(struct world *w, struct job *j)
{
	struct lane *l = j->lane;

	if (j->place == PLACE_LOADED)
		unload(w, j);
	for (unsigned i = 0; j->place == PLACE_STORED && i < l->stored_count; i++)
		if (l->stored[i] == j) {
			unstore(l, i);
			break;
		}
	if (j->place == PLACE_FLYING) { /* picked, and its grant is about to be given back */
		j->flight->job = NULL;
		j->flight = NULL;
	} else {
		lane_drop(w, l);
	}
	j->place = PLACE_NOWHERE;
}

/* ---- loading ---- */

static void load_job(struct world *w, struct job *j, struct sched_job *handle)
{
	*handle = (struct sched_job){.id = j->index + 1};
	j->place = PLACE_LOADED;
	j->lane->loaded++;
	sched_push(w->sched, j->lane->handle, handle, clock_now(w));
}

static bool load(struct world *w)
{
	struct sched_lane *handle;
	unsigned room;
	bool any = false;

	while ((handle = sched_hungry(w->sched, &room))) {
		struct lane *l = sched_lane_user(handle);

		for (; room > 0 && l->stored_count > 0; room--, any = true) {
			struct job *j = l->stored[0];
			struct sched_job *memory = malloc(sizeof(*memory));

			if (!memory)
				BUG("out of memory");
			unstore(l, 0);
			load_job(w, j, memory);
		}
		sched_lane_more(w->sched, handle, l->stored_count > 0);
	}
	return any;
}

/* ---- starting ---- */

static struct flight *flight_create(struct world *w, struct sched_job *handle)
{
	struct flight *f = calloc(1, sizeof(*f));
	struct job *j = &w->jobs[handle->id - 1];

	if (!f)
		BUG("out of memory");
	*f = (struct flight){
	    .job = j,
	    .lane = j->lane,
	    .handle = handle,
	    .granted_us = handle->granted_us,
	    .retry_after_us = -1,
	    .next = w->flights,
	};
	w->flights = f;
	j->lane->loaded--;
	return f;
}

static void start(struct world *w, struct sched_job *handle)
{
	struct flight *f = flight_create(w, handle);

	judge_grant(w, f);
	w->open[w->open_count++] = f;
	f->job->place = PLACE_FLYING;
	f->job->flight = f;
	if (chance(w, 2)) { /* the attempt's row cannot be committed: nothing is sent */
		f->unsent = true;
		f->report_us = -1;
		event_add(w, w->now_us + draw(w, 0, 5) * MS, EVENT_REFUND, f, 0);
		return;
	}
	trace(w, "start job %u on %s", f->job->index, f->lane->key);
	w->result->attempts++;
	life_apply(w, f->job, JOB_EV_START, REASON_NONE);
	net_send(w, f);
	if (w->mutation == MUTATE_UNBLOCK_EARLY && f->job->after && f->job->after->state == JOB_BLOCKED)
		life_apply(w, f->job->after, JOB_EV_UNBLOCK, REASON_NONE);
	if (w->mutation == MUTATE_END_EARLY) {
		sched_ended(w->sched, handle, clock_now(w), clock_now(w));
		f->ended_in_sched = true;
		free(handle);
		f->handle = NULL;
	}
}

bool engine_has_credit(const struct world *w)
{
	return w->open_count < w->credit;
}

void engine_turn(struct world *w)
{
	struct sched_job *handle;

	if (w->down)
		return;
	do {
		load(w);
		while (!w->result->failed && engine_has_credit(w) && (handle = sched_pick(w->sched, clock_now(w))))
			start(w, handle);
	} while (!w->result->failed && load(w));
}

/* ---- ending ---- */

static bool was_answered(const struct flight *f)
{
	return f->cause == CAUSE_RESPONSE || f->cause == CAUSE_TRUNCATED;
}

static int64_t counted_us(const struct world *w, const struct flight *f)
{
	if (w->mutation == MUTATE_COUNT_AT_SEND)
		return f->sent_us;
	if (was_answered(f))
		return f->answered_us;
	if (!f->sent)
		return f->ended_us;
	return f->ended_us + (w->mutation == MUTATE_NO_SAFETY ? 0 : SAFETY_US);
}

static void tell_sched(struct world *w, struct flight *f)
{
	int64_t told_us = counted_us(w, f);

	record_end(w, f->attempt, told_us);
	if (w->mutation == MUTATE_FORGET_ABORTED && !was_answered(f)) {
		judge_told(w, f->attempt, INT64_MIN);
		sched_refund(w->sched, f->handle, clock_now(w));
	} else {
		judge_told(w, f->attempt, told_us);
		if (!f->ended_in_sched)
			sched_ended(w->sched, f->handle, clock_now(w), told_us - w->booted_us);
	}
	if (!f->ended_in_sched)
		free(f->handle);
	f->ended_in_sched = true;
}

static void close_flight(struct world *w, struct flight *f)
{
	unsigned i = 0;

	while (w->open[i] != f)
		i++;
	w->open[i] = w->open[--w->open_count];
	if (f->job)
		f->job->flight = NULL;
}

void engine_refund(struct world *w, struct flight *f)
{
	w->result->refunds++;
	trace(w, "refund job %u on %s", f->job ? f->job->index : JOBS_MAX, f->lane->key);
	close_flight(w, f);
	judge_refund(w, f);
	record_remove(w, f->attempt);
	sched_refund(w->sched, f->handle, clock_now(w));
	f->ended_in_sched = true;
	if (f->job) {
		load_job(w, f->job, f->handle);
		return;
	}
	free(f->handle);
	lane_drop(w, f->lane);
}

/* What stood by with the worker that had this one; or NULL. */
static struct sched_job *begin_next(struct world *w, struct flight *f)
{
	struct sched_job *next = NULL;

	if (chance(w, 50) && !f->ended_in_sched)
		next = sched_stand_by(w->sched, f->lane->handle, clock_now(w));
	if (next)
		sched_begin(w->sched, next, clock_now(w));
	return next;
}

void engine_report(struct world *w, struct flight *f)
{
	struct sched_job *next = begin_next(w, f);

	close_flight(w, f);
	tell_sched(w, f);
	if (next) {
		w->result->followed++;
		start(w, next);
	}
	trace(w, "end job %u: %s %d", f->job ? f->job->index : JOBS_MAX, cause_name(f->cause), f->status);
	limits_answered(w, f);
	if (f->job) {
		f->job->place = PLACE_NOWHERE;
		life_settle(w, f->job, f);
	}
	lane_drop(w, f->lane);
}

/* ---- dying and coming back ---- */

static void job_back_to_store(struct job *j)
{
	j->place = PLACE_STORED;
	j->lane->stored[j->lane->stored_count++] = j;
}

/* Its workers die with it. A request whose row was not committed was not sent; what was on the wire stays there. */
static void forget_flight(struct world *w, struct flight *f)
{
	if (!f->ended_in_sched)
		free(f->handle);
	f->handle = NULL;
	f->ended_in_sched = true;
	if (!f->unsent) {
		net_give_up(w, f, CAUSE_WORKER_LOST, -1);
		return;
	}
	close_flight(w, f);
	judge_refund(w, f);
	record_remove(w, f->attempt);
	if (f->job)
		job_back_to_store(f->job);
	else
		f->lane->needed--;
}

void engine_forget(struct world *w)
{
	sched_free(w->sched);
	w->sched = NULL;
	for (unsigned i = w->open_count; i-- > 0;)
		forget_flight(w, w->open[i]);
	for (unsigned i = 0; i < w->job_count; i++)
		if (w->jobs[i].place == PLACE_LOADED)
			job_back_to_store(&w->jobs[i]);
	for (unsigned i = 0; i < LANES_MAX; i++) {
		w->lanes[i].handle = NULL;
		w->lanes[i].loaded = 0;
	}
	for (unsigned i = 0; i < SCOPES; i++)
		w->scopes[i].limit = NULL;
	for (unsigned i = 0; i < HOSTS_MAX; i++) {
		w->hosts[i].limit = NULL;
		w->hosts[i].throttle = (struct throttle){0};
	}
}

static void settle(struct world *w, struct flight *f)
{
	f->sent = true;
	close_flight(w, f);
	if (f->job) {
		f->job->place = PLACE_NOWHERE;
		life_settle(w, f->job, f);
	}
	lane_drop(w, f->lane);
}

/* In this order: limits that know what the record knows, lanes, and then what the last daemon left open. */
void engine_begin(struct world *w)
{
	record_restart(w);
	w->sched = sched_create(&w->set);
	limits_begin(w);
	for (unsigned i = 0; i < w->batch_count; i++)
		w->batches[i].handle = sched_batch_add(w->sched, w->batches[i].id, &w->batches[i].opt);
	for (unsigned i = 0; i < LANES_MAX; i++) {
		struct lane *l = &w->lanes[i];

		if (l->needed == 0)
			continue;
		lane_begin(w, l);
		sched_lane_more(w->sched, l->handle, l->stored_count > 0);
	}
	while (w->open_count > 0)
		settle(w, w->open[0]);
}
