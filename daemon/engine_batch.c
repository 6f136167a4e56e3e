/* Jobs and batches in memory: from when they are needed until nothing of them is under way. Must not know how jobs get
 * here (engine_lane.c) or where they go (engine_start.c). */
#include <stdio.h>
#include <string.h>

#include "daemon/engine_private.h"
#include "lib/clock.h"

/* ---- jobs in memory ---- */

struct engine_job *engine_job_find(const struct engine *en, uint64_t job)
{
	struct engine_job *j;

	HASH_FIND(hh, en->jobs, &job, sizeof job, j);
	return j;
}

struct engine_job *engine_job_create(struct engine_lane *lane, uint64_t id)
{
	struct engine_job *j = calloc(1, sizeof *j);

	if (!j)
		abort();
	j->sched.id = id;
	j->en = lane->en;
	j->lane = lane;
	j->phase = PHASE_STAGING;
	lane->batch->busy++;
	lane->batch->staged++;
	HASH_ADD(hh, j->en->jobs, sched.id, sizeof j->sched.id, j);
	return j;
}

void engine_job_note(struct engine_job *j, const struct store_request *req, const struct spec_request *r)
{
	j->tries = req->tries;
	j->deaths = req->deaths;
	j->ready_wall_us = req->ready_us;
	j->hops = req->hops;
	j->stripped = req->stripped;
	j->from_public = req->from_public;
	j->max_attempts = r->max_attempts;
	j->max_redirects = r->max_redirects;
	j->repeatable = r->repeatable;
	j->timeout_ms = r->job.timeout_ms;
	strncpy(j->method, r->job.method, sizeof j->method - 1);
	free(j->url);
	j->url = strdup(r->job.url);
}

void engine_job_drop_frame(struct engine_job *j)
{
	j->en->frame_bytes -= j->frame ? j->frame_bytes : 0;
	free(j->frame);
	j->frame = NULL;
}

static bool phase_busy(enum engine_phase phase)
{
	return phase != PHASE_LOADED && phase != PHASE_STAGED;
}

void engine_job_phase(struct engine_job *j, enum engine_phase phase)
{
	j->lane->batch->busy += phase_busy(phase);
	j->lane->batch->busy -= phase_busy(j->phase);
	j->lane->batch->staged += engine_phase_staged(phase);
	j->lane->batch->staged -= engine_phase_staged(j->phase);
	j->en->staged += phase == PHASE_STAGED || phase == PHASE_STANDBY;
	j->en->staged -= j->phase == PHASE_STAGED || j->phase == PHASE_STANDBY;
	j->phase = phase;
}

void engine_job_drop(struct engine_job *j)
{
	engine_job_phase(j, PHASE_LOADED);
	engine_job_opened(j);
	engine_job_drop_frame(j);
	free(j->url);
	engine_page_free(j->page);
	free(j->guard);
	HASH_DEL(j->en->jobs, j);
	free(j);
}

void engine_job_free(struct engine_job *j)
{
	struct engine_batch *b = j->lane->batch;

	engine_job_drop(j);
	engine_batch_check(b);
}

/* ---- batches ---- */

struct engine_batch *engine_batch_find(const struct engine *en, uint32_t batch)
{
	struct engine_batch *b;

	HASH_FIND(hh, en->batches, &batch, sizeof batch, b);
	return b;
}

bool engine_batch_stopped(const struct engine_batch *b)
{
	return b->paused || b->held || b->cancelling || b->emptying || b->unread;
}

struct sched_batch_options engine_batch_sched_options(const struct engine_batch *b)
{
	return (struct sched_batch_options){
	    .concurrency = b->concurrency,
	    .priority = b->priority,
	    .paused = engine_batch_stopped(b),
	};
}

/* With what it waited for: afterwards nobody knows. */
static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct engine_batch *b = arg;
	struct engine_wait w;
	char error[200] = "the deadline of the batch passed";
	(void)fd;
	(void)what;

	if (engine_explain_held(b, &w))
		snprintf(error, sizeof error, "the deadline of the batch passed while it waited%s%.60s: %.80s",
			 *w.host ? " for " : "", w.host, w.text);
	engine_batch_fail(b, REASON_EXPIRED, error);
}

static void deadline_arm(struct engine_batch *b, const struct store_batch *row)
{
	event_assign(&b->deadline, b->en->base, -1, 0, on_deadline, b);
	event_priority_set(&b->deadline, 1);
	b->deadline_us = INT64_MAX;
	if (b->policy.deadline_us == 0)
		return;
	b->deadline_us = row->deadline_from_us + b->policy.deadline_us;
	int64_t in_us = b->deadline_us - clock_wall_us();
	if (in_us < 0)
		in_us = 0;
	struct timeval tv = {.tv_sec = in_us / 1000000, .tv_usec = in_us % 1000000};
	event_add(&b->deadline, &tv);
}

struct engine_batch *engine_batch_create(struct engine *en, const struct store_batch *row)
{
	struct engine_batch *b = calloc(1, sizeof *b);
	struct err e;

	if (!b)
		abort();
	*b = (struct engine_batch){
	    .en = en,
	    .id = row->id,
	    .priority = row->priority,
	    .concurrency = row->concurrency,
	    .paused = row->paused,
	    .held = row->held && !row->closed,
	    .cancelling = row->sweep == STORE_SWEEP_CANCEL || row->sweep == STORE_SWEEP_FAIL,
	    .last_end_us = clock_boot_us(),
	};
	b->template = spec_template_create(row->options, &e);
	if (!b->template)
		BUG("batch %u: stored template: %s", row->id, e.what);
	spec_template_policy(b->template, &b->policy);
	deadline_arm(b, row);
	struct sched_batch_options opt = engine_batch_sched_options(b);
	b->sched = sched_batch_add(en->sched, b->id, &opt);
	HASH_ADD(hh, en->batches, id, sizeof b->id, b);
	if (row->run)
		engine_run_open(b);
	return b;
}

static void drop_list(struct sched_job *list)
{
	while (list) {
		struct sched_job *next = list->next;
		engine_job_drop((struct engine_job *)list);
		list = next;
	}
}

static void lane_free(struct engine_lane *lane)
{
	struct engine_track *t;

	while ((t = lane->tracks)) {
		lane->tracks = t->next;
		drop_list(sched_lane_remove(lane->en->sched, t->sched));
		free(t);
	}
	event_del(&lane->due);
	engine_lane_unlively(lane);
	LIST_REMOVE(lane, of_batch);
	HASH_DEL(lane->en->lanes, lane);
	engine_failing_clear(&lane->failing);
	engine_lane_forget_held(lane);
	free(lane->host);
	free(lane);
}

void engine_batch_free(struct engine_batch *b)
{
	struct engine_lane *lane;

	while ((lane = LIST_FIRST(&b->lanes)))
		lane_free(lane);
	sched_batch_remove(b->en->sched, b->sched);
	event_del(&b->deadline);
	HASH_DEL(b->en->batches, b);
	spec_template_free(b->template);
	engine_run_close(b->run);
	free(b);
}

void engine_batch_check(struct engine_batch *b)
{
	if (b->ended && b->busy == 0)
		engine_batch_free(b);
}

int64_t engine_batch_quiet_us(const struct engine *en, uint32_t batch)
{
	const struct engine_batch *b = engine_batch_find(en, batch);
	int64_t us = b ? clock_boot_us() - b->last_end_us : 0;

	return us > 0 ? us : 0;
}
