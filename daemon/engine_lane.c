/* What of the store is in memory: batches and lanes that are alive, the jobs of a lane that are loaded next. Must not
 * know how an attempt is started (engine_start.c) or what becomes of it (engine_end.c). */
#include <string.h>

#include "daemon/engine_limit.h"
#include "daemon/engine_private.h"
#include "lib/clock.h"
#include "lib/log.h"

/* ---- lanes ---- */

/* Nothing is put off for longer than RETRY_CAP_US: what seems to be due later was written before the wall clock was set
 * back, and must not wait until it is there again. */
static bool lane_due_by_old_clock(const struct engine_lane *lane)
{
	return lane->next_due_us != INT64_MAX && lane->next_due_us > clock_wall_us() + RETRY_CAP_US + 1000000;
}

static bool lane_due(const struct engine_lane *lane)
{
	return lane->next_due_us <= clock_wall_us() || lane_due_by_old_clock(lane);
}

unsigned engine_lane_loaded(const struct engine_lane *lane)
{
	unsigned sum = 0;

	for (const struct engine_track *t = lane->tracks; t; t = t->next)
		sum += sched_lane_loaded(t->sched);
	return sum;
}

/* With several tracks, one that waits must not starve the others: the one with the least decides. */
static struct engine_track *lowest_track(const struct engine_lane *lane)
{
	struct engine_track *low = lane->tracks;

	for (struct engine_track *t = lane->tracks->next; t; t = t->next)
		if (sched_lane_loaded(t->sched) < sched_lane_loaded(low->sched))
			low = t;
	return low;
}

bool engine_lane_low(const struct engine_lane *lane)
{
	return sched_lane_loaded(lowest_track(lane)->sched) <= lane->depth / 2 &&
	       engine_lane_loaded(lane) < 2 * ENGINE_LOAD_MAX;
}

static void lane_tell_more(struct engine_lane *lane, bool more)
{
	struct engine_track *low = lowest_track(lane);

	for (struct engine_track *t = lane->tracks; t; t = t->next)
		sched_lane_more(lane->en->sched, t->sched, more && t == low);
}

void engine_lane_refresh(struct engine_lane *lane)
{
	bool due = lane_due(lane);

	/* While a load is under way the scheduler does not ask again by itself. */
	if (!lane->loading && lane->staging == 0)
		lane_tell_more(lane,
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
	unsigned left = engine_lane_loaded(lane);

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
	struct sched_batch_options opt = engine_batch_sched_options(b);
	struct engine_lane *lane;

	sched_batch_set(b->en->sched, b->sched, &opt, clock_boot_us());
	LIST_FOREACH (lane, &b->lanes, of_batch)
		engine_lane_refresh(lane);
}

static struct engine_track *track_create(struct engine_lane *lane, const char *paths)
{
	char key[ENGINE_KEY_SIZE];
	size_t bytes = strlen(paths) + 1;
	struct engine_track *t = malloc(sizeof *t + bytes);

	if (!t)
		abort();
	t->lane = lane;
	t->next = NULL;
	memcpy(t->paths, paths, bytes);
	engine_track_key(t, key, sizeof key);
	t->sched = sched_lane_add(lane->en->sched, lane->en->next_track++, lane->batch->sched, key, lane->host, t);
	engine_track_limits(t);
	return t;
}

/* The track for jobs that match these rules with a path. */
static struct engine_track *track_for(struct engine_lane *lane, const char *paths)
{
	struct engine_track **end = &lane->tracks;

	for (; *end; end = &(*end)->next)
		if (strcmp((*end)->paths, paths) == 0)
			return *end;
	return *end = track_create(lane, paths);
}

struct engine_lane *engine_lane_find(const struct engine *en, int64_t id)
{
	struct engine_lane *lane;

	HASH_FIND(hh, en->lanes, &id, sizeof id, lane);
	return lane;
}

static struct engine_lane *lane_create(struct engine_batch *b, const struct store_lane *row)
{
	unsigned workers = b->en->set.workers;
	struct engine_lane *lane = calloc(1, sizeof *lane + workers * sizeof *lane->places);

	if (!lane || !(lane->host = strdup(row->key)))
		abort();
	lane->en = b->en;
	lane->id = row->id;
	lane->batch = b;
	lane->cursor = lane->head = row->head;
	lane->next_due_us = INT64_MAX;
	lane->depth = ENGINE_DEPTH_START;
	for (unsigned i = 0; i < workers; i++)
		TAILQ_INIT(&lane->places[i].standby);
	lane->tracks = track_create(lane, "");
	LIST_INSERT_HEAD(&b->lanes, lane, of_batch);
	HASH_ADD(hh, b->en->lanes, id, sizeof lane->id, lane);
	event_assign(&lane->due, b->en->base, -1, 0, on_due, lane);
	event_priority_set(&lane->due, 1);
	return lane;
}

static void lane_news(struct engine_batch *b, const struct store_lane *row)
{
	struct engine_lane *lane = engine_lane_find(b->en, row->id);

	if (!lane)
		lane = lane_create(b, row);
	b->ended = false;
	lane->fresh |= row->fresh;
	if (row->next_due_us < lane->next_due_us)
		lane->next_due_us = row->next_due_us;
	engine_lane_refresh(lane);
}

/* ---- what a job has waited for limits, while it is out of memory ---- */

static void held_keep(struct engine_lane *lane, const struct sched_job *j, int64_t now_us)
{
	int64_t limited_us = sched_job_limited_us(j, now_us);
	struct engine_held *h = limited_us > 0 ? malloc(sizeof *h) : NULL;

	if (limited_us <= 0)
		return;
	if (!h)
		abort();
	*h = (struct engine_held){.job = j->id, .limited_us = limited_us};
	HASH_ADD(hh, lane->held, job, sizeof h->job, h);
}

static int64_t held_take(struct engine_lane *lane, uint64_t job)
{
	struct engine_held *h;
	int64_t limited_us = 0;

	HASH_FIND(hh, lane->held, &job, sizeof job, h);
	if (h) {
		limited_us = h->limited_us;
		HASH_DEL(lane->held, h);
		free(h);
	}
	return limited_us;
}

void engine_lane_forget_held(struct engine_lane *lane)
{
	struct engine_held *h, *next;

	HASH_ITER (hh, lane->held, h, next) {
		HASH_DEL(lane->held, h);
		free(h);
	}
}

/* ---- once more, and news ---- */

void engine_lane_reload(struct engine_lane *lane)
{
	int64_t now = clock_boot_us();

	engine_lane_recall(lane);
	for (struct engine_track *t = lane->tracks; t; t = t->next) {
		struct engine_job *j, *next;
		HASH_ITER (hh, lane->en->jobs, j, next) {
			if (j->sched.lane != t->sched)
				continue;
			if (j->phase == PHASE_STAGED || j->phase == PHASE_LOADED)
				held_keep(lane, &j->sched, now);
			if (j->phase == PHASE_STAGED) {
				engine_job_unstage(j);
			} else if (j->phase == PHASE_LOADED) {
				sched_take(lane->en->sched, t->sched, j->sched.id);
				engine_job_drop(j);
			}
		}
	}
	if (lane->next_due_us == INT64_MAX)
		lane->next_due_us = clock_wall_us();
	engine_lane_rewind(lane);
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

	lane_news(b ? b : engine_batch_create(a->en, row), &a->lane);
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
	struct engine_track *tracks[ENGINE_LOAD_MAX]; /* where rules have paths */
};

static void on_id(struct store_lane_load *l, size_t i, const char *url)
{
	struct loader *loader = (struct loader *)l;
	char paths[ENGINE_KEY_SIZE];

	engine_paths_of(loader->lane->en, loader->lane->host, url, paths, sizeof paths);
	loader->tracks[i] = track_for(loader->lane, paths);
}

/* Returns how many of the ids were new to us. */
static size_t take_ids(struct loader *loader)
{
	const struct store_lane_load *l = &loader->load;
	struct engine_lane *lane = loader->lane;
	int64_t now = clock_boot_us();
	/* All of one load go the same way, and so stay in order. */
	bool stage = engine_lane_may_stage(lane);
	size_t taken = 0;

	for (size_t i = 0; i < l->count; i++) {
		if (engine_job_find(lane->en, l->ids[i]))
			continue;
		struct engine_job *j = engine_job_create(lane, l->ids[i]);
		j->track = l->on_id ? loader->tracks[i] : lane->tracks;
		j->fresh = !l->due;
		j->sched.limited_us = held_take(lane, l->ids[i]);
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
		size_t taken = take_ids(loader);
		lane->next_due_us = l->next_due_us;
		/* All that is due is loaded, and some of it not started yet: look again later. */
		if (taken == 0 && lane_due(lane))
			lane->next_due_us = clock_wall_us() + 100000;
	} else {
		take_ids(loader);
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
	unsigned loaded = engine_lane_loaded(lane);
	size_t want;

	if (!loader)
		abort();
	if (room > lane->depth)
		room = lane->depth;
	/* What is loaded already may come again, where it is due or the cursor went back. */
	want = (size_t)room + loaded;
	if (!lane->rewound)
		store_lane_head(en->store, lane->id, lane->head);
	lane->loading = true;
	loader->lane = lane;
	loader->load = (struct store_lane_load){
	    .op.done = on_loaded,
	    .lane = lane->id,
	    .due = lane_due(lane),
	    .now_us = lane_due_by_old_clock(lane) ? INT64_MAX - 1 : clock_wall_us(),
	    .after = lane->cursor,
	    .ids = loader->ids,
	    .room = want < ENGINE_LOAD_MAX ? want : ENGINE_LOAD_MAX,
	    .on_id = engine_lane_has_paths(lane) ? on_id : NULL,
	};
	store_lane_load(en->store, &loader->load);
}

void engine_load(struct engine *en)
{
	for (int i = 0; i < ENGINE_LOADS_PER_TURN; i++) {
		if (en->staging - en->staging_open >= ENGINE_UNSTAGED_MAX)
			return;
		unsigned room;
		struct sched_lane *sl = sched_hungry(en->sched, &room);
		if (!sl)
			return;
		lane_load(((struct engine_track *)sched_lane_user(sl))->lane, room);
	}
	engine_pump_soon(en);
}
