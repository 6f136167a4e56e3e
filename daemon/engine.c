/* The engine's life: its parts are made and wired, what the store, the pool and the loop tell is handed on, a full disk
 * stops it and room lets it go on, and it ends when nothing is in flight. What is done with a job is its neighbours'
 * affair (daemon/engine_private.h has the list). */
#include "daemon/engine.h"

#include <string.h>
#include <sys/random.h>

#include "daemon/engine_limit.h"
#include "daemon/engine_private.h"
#include "daemon/engine_run.h"
#include "lib/clock.h"
#include "lib/log.h"

#define ENGINE_WINDOW_TOTAL 8192 /* jobs in memory, about 600 bytes each */
#define ENGINE_WINDOW_LANE  512

int64_t engine_wall_us(int64_t boot_us)
{
	return clock_wall_of(boot_us);
}

void engine_pump_soon(struct engine *en)
{
	if (!en->pump_soon)
		event_active(en->pump, EV_TIMEOUT, 1);
	en->pump_soon = true;
}

/* ---- what the store tells ---- */

static void on_batch(void *arg, const struct store_batch_news *news)
{
	struct engine *en = arg;
	struct engine_batch *b = engine_batch_find(en, news->batch);

	if (news->run && news->counts[JOB_BLOCKED] + news->counts[JOB_QUEUED] + news->counts[JOB_RUNNING] == 0)
		engine_run_conclude(en, news->batch);
	if (b && news->closed && b->held) {
		b->held = false;
		engine_batch_refresh(b);
	}
	if (b) {
		b->ended = news->ended;
		engine_batch_check(b);
	}
	watch_wake(en->watch, news->batch, news->ended);
}

static void on_removed(void *arg, uint32_t batch)
{
	struct engine *en = arg;

	watch_wake(en->watch, batch, true);
}

static int64_t run_window_us(void *arg, const char *options)
{
	struct spec_policy policy;

	(void)arg;
	spec_batch_policy(options, &policy);
	return policy.rate.count ? policy.rate.window_us : 0;
}

/* A turn was rolled back, and jobs that were loaded in it may be gone: their numbers will be given out again. What is
 * in memory is skipped when it is loaded once more. */
static void rewind_lanes(struct engine *en)
{
	for (struct engine_lane *lane = en->lanes; lane; lane = lane->hh.next)
		engine_lane_rewind(lane);
}

static void recall_lanes(struct engine *en)
{
	for (struct engine_lane *lane = en->lanes; lane; lane = lane->hh.next)
		engine_lane_recall(lane);
}

static void on_trouble(void *arg, const struct err *e)
{
	struct engine *en = arg;

	if (e && e->code != ERR_NO_SPACE) {
		en->on_fatal(en->on_fatal_arg, e);
		return;
	}
	if (e)
		log_error("storage is full, nothing starts", "why=\"%s\" do=\"%s\"", e->what, e->hint);
	else
		log_info("storage has room again", "unsettled=%d", !TAILQ_EMPTY(&en->unsettled));
	en->trouble = e != NULL;
	en->stats.storage_trouble = en->trouble;
	if (e) {
		recall_lanes(en);
		rewind_lanes(en);
	} else {
		engine_settle_unsettled(en);
		engine_marks_again(en);
		engine_runs_cancel_again(en);
		engine_hosts_note_again(en);
		engine_pump_soon(en);
	}
}

/* ---- events ---- */

static void on_credit(void *arg)
{
	engine_pump_soon(arg);
}

static void on_pump(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	engine_pump(arg);
}

static void on_stage(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	engine_stage_some(arg);
}

static void on_read(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	engine_plans_read_some(arg);
}

static void on_step(evutil_socket_t fd, short what, void *arg)
{
	struct engine *en = arg;
	struct timeval tv = {0};
	(void)fd;
	(void)what;

	engine_limits_sweep(en, clock_boot_us());
	if (en->runs_stuck && !en->trouble)
		engine_runs_recover(en);
	if (!store_step(en->store)) {
		int64_t in_us = store_step_due_us(en->store) - clock_wall_us();
		/* Once a second at most, and at least: sweeps are marked at any time. */
		tv.tv_sec = in_us < 0 || in_us >= 1000000 ? 1 : 0;
		tv.tv_usec = tv.tv_sec ? 0 : in_us;
	}
	event_add(en->step, &tv);
}

/* ---- starting ---- */

static int events_create(struct engine *en)
{
	static const struct timeval at_once;

	en->pump = evtimer_new(en->base, on_pump, en);
	en->wake = evtimer_new(en->base, on_pump, en);
	en->step = evtimer_new(en->base, on_step, en);
	en->stage = evtimer_new(en->base, on_stage, en);
	en->read = evtimer_new(en->base, on_read, en);
	if (!en->pump || !en->wake || !en->stage || !en->step || !en->read)
		return -1;
	event_priority_set(en->pump, 1);
	event_priority_set(en->wake, 1);
	event_priority_set(en->stage, 1);
	event_priority_set(en->read, 1);
	event_priority_set(en->step, 2);
	return event_add(en->step, &at_once);
}

static int parts_create(struct engine *en, struct err *e)
{
	struct sched_settings sched = {
	    .host_concurrency = en->set.key_concurrency,
	    .window_total = ENGINE_WINDOW_TOTAL,
	    .window_lane_max = ENGINE_WINDOW_LANE,
	};
	struct store_listener store = {
	    .arg = en,
	    .on_lane = engine_on_lane,
	    .on_batch = on_batch,
	    .on_removed = on_removed,
	    .run_window_us = run_window_us,
	    .on_trouble = on_trouble,
	};
	struct pool_listener pool = {
	    .arg = en,
	    .on_outcome = engine_on_outcome,
	    .on_lost = engine_on_lost,
	    .on_returned = engine_on_returned,
	    .on_credit = on_credit,
	};

	if (events_create(en) < 0 || !(en->sched = sched_create(&sched)))
		return err_set(e, ERR_SYSTEM, NULL, "cannot set up the engine: out of memory");
	if (store_open(&en->store, &en->set.store, &store, en->base, e) < 0 || engine_recover(en, e) < 0)
		return -1;
	struct pool_settings workers = {
	    .workers = en->set.workers,
	    .program = en->set.worker_program,
	    .bodies_fd = store_bodies_fd(en->store),
	    .settings = &en->set.worker,
	};
	en->pool = pool_create(en->base, &workers, &pool, e);
	return en->pool ? 0 : -1;
}

struct engine *engine_create(struct event_base *base, const struct engine_settings *set, struct watch *watch,
			     void (*on_fatal)(void *arg, const struct err *e), void *arg, struct err *e)
{
	struct engine *en = calloc(1, sizeof *en);

	if (!en) {
		err_set(e, ERR_SYSTEM, NULL, "out of memory");
		return NULL;
	}
	en->base = base;
	en->set = *set;
	en->watch = watch;
	en->on_fatal = on_fatal;
	en->on_fatal_arg = arg;
	en->stats.started_wall_us = clock_wall_us();
	TAILQ_INIT(&en->to_stage);
	TAILQ_INIT(&en->unsettled);
	TAILQ_INIT(&en->lively);
	TAILQ_INIT(&en->marks_again);
	TAILQ_INIT(&en->plans_wait);
	TAILQ_INIT(&en->plans_read);
	engine_set_pulls(en, set->pulls_dir, set->secrets_dir);
	en->rules = rules_create();
	en->next_track = 1;
	if (getrandom(&en->random, sizeof en->random, 0) != sizeof en->random || en->random == 0)
		en->random = (uint64_t)clock_wall_us();
	if (parts_create(en, e) < 0) {
		engine_free(en);
		return NULL;
	}
	engine_pump_soon(en);
	return en;
}

static void free_batches(struct engine *en)
{
	struct engine_batch *b, *next_batch;
	struct engine_lane *lane, *next_lane;

	HASH_ITER (hh, en->lanes, lane, next_lane) {
		HASH_DEL(en->lanes, lane);
		event_del(&lane->due);
		while (lane->tracks) {
			struct engine_track *t = lane->tracks;
			lane->tracks = t->next;
			free(t);
		}
		engine_failing_clear(&lane->failing);
		engine_lane_forget_held(lane);
		free(lane->host);
		free(lane);
	}
	HASH_ITER (hh, en->batches, b, next_batch) {
		HASH_DEL(en->batches, b);
		event_del(&b->deadline);
		spec_template_free(b->template);
		engine_run_close(b->run);
		free(b);
	}
}

void engine_free(struct engine *en)
{
	struct engine_job *j, *next;

	if (!en)
		return;
	pool_free(en->pool);
	en->pool = NULL;
	en->draining = true;
	engine_marks_free(en);
	/* Runs the callbacks of what it still commits: everything but the pool is there. */
	if (en->store)
		store_close(en->store);
	/* What the scheduler holds is its own to free. */
	HASH_ITER (hh, en->jobs, j, next) {
		HASH_DEL(en->jobs, j);
		free(j->frame);
		free(j->url);
		engine_page_free(j->page);
		free(j->guard);
		if (j->phase != PHASE_LOADED && j->phase != PHASE_STAGED)
			free(j);
	}
	free_batches(en);
	engine_limits_free(en);
	engine_conclusions_free(en);
	free(en->pulls_dir);
	free(en->secrets_dir);
	if (en->sched)
		sched_free(en->sched);
	if (en->pump)
		event_free(en->pump);
	if (en->wake)
		event_free(en->wake);
	if (en->stage)
		event_free(en->stage);
	if (en->step)
		event_free(en->step);
	if (en->read)
		event_free(en->read);
	wire_out_clear(&en->scratch);
	free(en);
}

struct store *engine_store(struct engine *en)
{
	return en->store;
}

/* ---- settings ---- */

void engine_set_defaults(struct engine *en, const struct spec_defaults *d, unsigned key_concurrency)
{
	en->set.defaults = *d;
	recall_lanes(en);
	sched_set_host_concurrency(en->sched, key_concurrency);
	engine_pump_soon(en);
}

void engine_set_pulls(struct engine *en, const char *pulls_dir, const char *secrets_dir)
{
	free(en->pulls_dir);
	free(en->secrets_dir);
	en->pulls_dir = strdup(pulls_dir);
	en->secrets_dir = strdup(secrets_dir);
	if (!en->pulls_dir || !en->secrets_dir)
		abort();
}

const char *engine_pulls_dir(const struct engine *en)
{
	return en->pulls_dir;
}

const char *engine_secrets_dir(const struct engine *en)
{
	return en->secrets_dir;
}

/* ---- the end ---- */

static void on_pool_idle(void *arg)
{
	struct engine *en = arg;

	en->on_drained(en->on_drained_arg);
}

void engine_check_drained(struct engine *en)
{
	if (!en->draining || !en->on_drained || en->staging + en->opening + en->running + en->ending > 0)
		return;
	if (!en->stats.draining) {
		en->stats.draining = true;
		pool_stop(en->pool, on_pool_idle, en);
	}
}

void engine_drain(struct engine *en, void (*on_drained)(void *arg), void *arg)
{
	en->draining = true;
	en->on_drained = on_drained;
	en->on_drained_arg = arg;
	for (struct engine_batch *b = en->batches; b; b = b->hh.next)
		engine_batch_unstage(b);
	engine_check_drained(en);
}

bool engine_idle(const struct engine *en)
{
	struct store_totals t;

	store_totals(en->store, &t);
	return t.live_batches == 0 && !en->jobs;
}

/* ---- reports ---- */

void engine_stats(const struct engine *en, struct engine_stats *s)
{
	*s = en->stats;
	s->draining = en->draining;
	s->credit = pool_credit(en->pool);
	s->staged = en->staged + en->staging_open;
	s->sched = sched_totals(en->sched);
}

unsigned engine_workers(const struct engine *en)
{
	return pool_workers(en->pool);
}

void engine_worker_info(const struct engine *en, unsigned i, struct pool_worker_info *info)
{
	pool_worker_info(en->pool, i, info);
}

bool engine_job_staged(const struct engine *en, uint64_t job)
{
	const struct engine_job *j = engine_job_find(en, job);

	return j && engine_phase_staged(j->phase);
}

unsigned engine_batch_staged(const struct engine *en, uint32_t batch)
{
	const struct engine_batch *b = engine_batch_find(en, batch);

	return b ? b->staged : 0;
}
