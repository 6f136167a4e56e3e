/* What of the store is in memory: batches and lanes that are alive, the jobs of a lane that are loaded next. Must not
 * know how an attempt is started (engine_start.c) or what becomes of it (engine_end.c). */
#include <string.h>

#include "daemon/engine_private.h"
#include "lib/clock.h"
#include "lib/log.h"

/* ---- jobs in memory ---- */

struct engine_job *engine_job_find(struct engine *en, uint64_t job)
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
	j->en->staged += phase == PHASE_STAGED;
	j->en->staged -= j->phase == PHASE_STAGED;
	j->phase = phase;
}

static void job_drop(struct engine_job *j)
{
	engine_job_phase(j, PHASE_LOADED);
	engine_job_drop_frame(j);
	HASH_DEL(j->en->jobs, j);
	free(j);
}

void engine_job_free(struct engine_job *j)
{
	struct engine_batch *b = j->lane->batch;

	job_drop(j);
	engine_batch_check(b);
}

/* ---- batches ---- */

struct engine_batch *engine_batch_find(struct engine *en, uint32_t batch)
{
	struct engine_batch *b;

	HASH_FIND(hh, en->batches, &batch, sizeof batch, b);
	return b;
}

bool engine_batch_stopped(const struct engine_batch *b)
{
	return b->paused || b->held || b->cancelling;
}

static struct sched_batch_options batch_options(const struct engine_batch *b)
{
	return (struct sched_batch_options){
	    .concurrency = b->concurrency,
	    .priority = b->priority,
	    .paused = engine_batch_stopped(b),
	};
}

static struct engine_batch *batch_create(struct engine *en, const struct store_batch *row)
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
	    .cancelling = row->sweep == STORE_SWEEP_CANCEL,
	};
	b->template = spec_template_create(row->options, &e);
	if (!b->template)
		BUG("batch %u: stored template: %s", row->id, e.what);
	struct sched_batch_options opt = batch_options(b);
	b->sched = sched_batch_add(en->sched, b->id, &opt);
	HASH_ADD(hh, en->batches, id, sizeof b->id, b);
	return b;
}

static void lane_free(struct engine_lane *lane)
{
	struct sched_job *list = sched_lane_remove(lane->en->sched, lane->sched);

	while (list) {
		struct sched_job *next = list->next;
		job_drop((struct engine_job *)list);
		list = next;
	}
	event_del(&lane->due);
	free(lane);
}

void engine_batch_free(struct engine_batch *b)
{
	struct sched_lane *sl;

	while ((sl = sched_batch_lane_next(b->sched, NULL)))
		lane_free(sched_lane_user(sl));
	sched_batch_remove(b->en->sched, b->sched);
	HASH_DEL(b->en->batches, b);
	spec_template_free(b->template);
	free(b);
}

void engine_batch_check(struct engine_batch *b)
{
	if (b->ended && b->busy == 0)
		engine_batch_free(b);
}

/* ---- lanes ---- */

static bool lane_due(const struct engine_lane *lane)
{
	return lane->next_due_us <= clock_wall_us();
}

bool engine_lane_low(const struct engine_lane *lane)
{
	return sched_lane_loaded(lane->sched) <= lane->depth / 2;
}

void engine_lane_refresh(struct engine_lane *lane)
{
	bool due = lane_due(lane);

	/* While a load is under way the scheduler does not ask again by itself. */
	if (!lane->loading && lane->staging == 0)
		sched_lane_more(lane->en->sched, lane->sched,
				(lane->fresh || due) && engine_lane_low(lane) && !engine_batch_stopped(lane->batch));
	event_del(&lane->due);
	if (!due && lane->next_due_us != INT64_MAX) {
		int64_t in_us = lane->next_due_us - clock_wall_us();
		if (in_us < 0)
			in_us = 0;
		struct timeval tv = {.tv_sec = in_us / 1000000, .tv_usec = in_us % 1000000};
		event_add(&lane->due, &tv);
	}
	engine_pump_soon(lane->en);
}

void engine_lane_adapt(struct engine_lane *lane)
{
	unsigned left = sched_lane_loaded(lane->sched);

	if (left == 0 && lane->depth < ENGINE_LOAD_MAX)
		lane->depth *= 2;
	else if (left > lane->depth / 4 && lane->depth > ENGINE_DEPTH_MIN)
		lane->depth -= lane->depth / 8;
}

void engine_lane_rewind(struct engine_lane *lane)
{
	lane->cursor = lane->head;
	lane->fresh = lane->rewound = true;
	engine_lane_refresh(lane);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	engine_lane_refresh(arg);
}

void engine_batch_refresh(struct engine_batch *b)
{
	struct sched_batch_options opt = batch_options(b);
	struct sched_lane *sl = NULL;

	sched_batch_set(b->en->sched, b->sched, &opt, clock_boot_us());
	while ((sl = sched_batch_lane_next(b->sched, sl)))
		engine_lane_refresh(sched_lane_user(sl));
}

static struct engine_lane *lane_create(struct engine_batch *b, const struct store_lane *row)
{
	struct engine_lane *lane = calloc(1, sizeof *lane);

	if (!lane)
		abort();
	lane->en = b->en;
	lane->batch = b;
	lane->cursor = lane->head = row->head;
	lane->next_due_us = INT64_MAX;
	lane->depth = ENGINE_DEPTH_START;
	lane->sched = sched_lane_add(b->en->sched, row->id, b->sched, row->key, row->key, lane);
	event_assign(&lane->due, b->en->base, -1, 0, on_due, lane);
	event_priority_set(&lane->due, 1);
	return lane;
}

static void lane_news(struct engine_batch *b, const struct store_lane *row)
{
	struct sched_lane *sl = sched_lane_find(b->en->sched, row->id);
	struct engine_lane *lane = sl ? sched_lane_user(sl) : lane_create(b, row);

	b->ended = false;
	lane->fresh |= row->fresh;
	if (row->next_due_us < lane->next_due_us)
		lane->next_due_us = row->next_due_us;
	engine_lane_refresh(lane);
}

/* A lane of a batch that is not in memory: the batch is read first. */
struct arrival {
	struct store_batch_get get;
	struct engine *en;
	struct store_lane lane;
	char key[];
};

static void on_arrival_batch(struct store_batch_get *g, const struct store_batch *row)
{
	struct arrival *a = (struct arrival *)g;
	struct engine_batch *b = engine_batch_find(a->en, row->id);

	lane_news(b ? b : batch_create(a->en, row), &a->lane);
}

static void on_arrival_done(struct store_op *op, const struct err *e)
{
	struct arrival *a = (struct arrival *)op;

	if (e && e->code != ERR_NOT_FOUND)
		log_error("batch not read", "batch=%u why=\"%s\"", a->lane.batch, e->what);
	free(a);
}

void engine_on_lane(void *arg, const struct store_lane *row)
{
	struct engine *en = arg;
	struct engine_batch *b = engine_batch_find(en, row->batch);

	if (b) {
		lane_news(b, row);
		return;
	}
	size_t key_bytes = strlen(row->key) + 1;
	struct arrival *a = calloc(1, sizeof *a + key_bytes);
	if (!a)
		abort();
	memcpy(a->key, row->key, key_bytes);
	a->en = en;
	a->lane = *row;
	a->lane.key = a->key;
	a->get = (struct store_batch_get){.op.done = on_arrival_done, .batch = row->batch, .on_row = on_arrival_batch};
	store_batch_get(en->store, &a->get);
}

/* ---- loading ---- */

struct loader {
	struct store_lane_load load;
	struct engine_lane *lane;
	uint64_t ids[ENGINE_LOAD_MAX];
};

/* Returns how many of the ids were new to us. */
static size_t take_ids(struct engine_lane *lane, const struct store_lane_load *l)
{
	int64_t now = clock_boot_us();
	/* All of one load go the same way, and so stay in order. */
	bool stage = engine_lane_may_stage(lane);
	size_t taken = 0;

	for (size_t i = 0; i < l->count; i++) {
		if (engine_job_find(lane->en, l->ids[i]))
			continue;
		struct engine_job *j = engine_job_create(lane, l->ids[i]);
		j->fresh = !l->due;
		if (stage)
			engine_job_stage(j);
		else
			engine_job_push(j, PHASE_LOADED, now);
		taken++;
	}
	return taken;
}

static void on_loaded(struct store_op *op, const struct err *e)
{
	struct loader *loader = (struct loader *)op;
	struct engine_lane *lane = loader->lane;
	struct store_lane_load *l = &loader->load;

	lane->loading = false;
	if (e) {
		log_error("lane not loaded", "lane=%lld why=\"%s\"", (long long)l->lane, e->what);
		lane->fresh = false;
	} else if (l->due) {
		size_t taken = take_ids(lane, l);
		lane->next_due_us = l->next_due_us;
		/* All that is due is loaded, and some of it not started yet: look again later. */
		if (taken == 0 && lane_due(lane))
			lane->next_due_us = clock_wall_us() + 100000;
	} else {
		take_ids(lane, l);
		lane->cursor = l->last;
		lane->fresh = l->more;
	}
	engine_lane_refresh(lane);
	free(loader);
}

static void lane_load(struct engine_lane *lane, unsigned room)
{
	struct engine *en = lane->en;
	struct loader *loader = malloc(sizeof *loader);
	unsigned loaded = sched_lane_loaded(lane->sched);
	size_t want;

	if (!loader)
		abort();
	if (room > lane->depth)
		room = lane->depth;
	/* What is loaded already may come again, where it is due or the cursor went back. */
	want = (size_t)room + loaded;
	if (!lane->rewound)
		store_lane_head(en->store, sched_lane_id(lane->sched), lane->head);
	lane->loading = true;
	loader->lane = lane;
	loader->load = (struct store_lane_load){
	    .op.done = on_loaded,
	    .lane = sched_lane_id(lane->sched),
	    .due = lane_due(lane),
	    .now_us = clock_wall_us(),
	    .after = lane->cursor,
	    .ids = loader->ids,
	    .room = want < ENGINE_LOAD_MAX ? want : ENGINE_LOAD_MAX,
	};
	store_lane_load(en->store, &loader->load);
}

void engine_load(struct engine *en)
{
	for (int i = 0; i < ENGINE_LOADS_PER_TURN; i++) {
		unsigned room;
		struct sched_lane *sl = sched_hungry(en->sched, &room);
		if (!sl)
			return;
		lane_load(sched_lane_user(sl), room);
	}
	engine_pump_soon(en);
}
