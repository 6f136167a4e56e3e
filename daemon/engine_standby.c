/* Requests that lie with a worker before their turn, so that it has something to do while the daemon has its answers.
 *
 * A lane's request stands by with a worker that runs others of the lane: there it begins when one of these ends. It
 * takes over that one's slot, whose limits and concurrencies are the same, for they are the lane's; and so none of them
 * has to be asked. The daemon counts the same end the same way when its outcome comes: the first that stands by has
 * begun.
 *
 * At no time are more in flight than were picked. Say R(W) requests of the lane run at worker W in the daemon's books.
 * Each frame that has a request stand by there tells R(W), and the worker begins it only while fewer run there.
 * What it knows may be out of date by what is on its way: outcomes that the daemon has not seen (R(W) includes those;
 * their slots are taken over here as there), and requests that it has not got. R(W) shrinks only with an outcome when
 * nothing stands by at W: then all that W has are R(W). It grows with requests that begin at once, which were picked,
 * and with those that the daemon says may begin (pool_slots), in the place of one that ended at another worker.
 *
 * When a worker dies, what stands by in the daemon's books has not begun, once all that the worker wrote is read. For
 * it begins one only when all it has said has left (worker/main.c, may_begin), in the place of one of those ends or of
 * one that the daemon has handed on (pool_slots): for each the daemon has begun one too, in the same order. So these
 * wait anew, with no attempt to show for it. Of a worker that the daemon killed not all is read: there they may have
 * begun.
 *
 * They come back (engine_lane_recall) whenever what was assumed may be over: a server refuses or tells of limits (then
 * its worker gives them back by itself, so that after a refusal only what is in flight arrives there), a limit comes,
 * the batch is stopped, the store is full, the daemon ends, a worker's requests hang while another's end. Until then
 * they count as in flight, whether they have begun or not.
 *
 * Only where it hurts nobody: requests that may be repeated (what is staged), lanes without limits, no pages, nobody
 * else waiting for the same concurrency; and as many as end within STANDBY_WINDOW_US, so with servers that take their
 * time none at all. */
#include "daemon/engine_private.h"
#include "lib/clock.h"

#define STANDBY_WINDOW_US   4000
#define STANDBY_STALL_US    40000
#define STANDBY_NONE_US     1000000 /* where the server has told of limits */
#define STANDBY_MAX         128
#define STANDBY_FRAME_BYTES 8192 /* a worker keeps a copy of each */

void engine_place_add(struct engine_job *j, unsigned worker)
{
	j->worker = worker;
	j->lane->places[worker].running++;
}

static struct engine_place *place_of(const struct engine_job *j)
{
	return &j->lane->places[j->worker];
}

static void stand_down(struct engine_job *j)
{
	TAILQ_REMOVE(&place_of(j)->standby, j, link);
	place_of(j)->standing--;
	j->lane->standing--;
	j->en->stats.standing--;
}

/* It has begun, or may have. */
static void begin(struct engine_job *j, int64_t now_us)
{
	stand_down(j);
	place_of(j)->running++;
	engine_job_phase(j, PHASE_RUNNING);
	sched_begin(j->en->sched, &j->sched, now_us);
	j->picked = true;
	pool_begun(j->en->pool, j->worker, j->sched.id, j->timeout_ms);
}

/* No worker has it any more. */
static void place_leave(struct engine_job *j)
{
	place_of(j)->running--;
	place_of(j)->recalled -= j->recalled;
	j->recalled = j->picked = false;
}

/* ---- calling back ---- */

static void place_recall(struct engine_lane *lane, unsigned worker, int64_t now_us)
{
	struct engine_place *p = &lane->places[worker];
	struct engine_job *j;

	if (TAILQ_EMPTY(&p->standby))
		return;
	while ((j = TAILQ_FIRST(&p->standby))) {
		begin(j, now_us);
		j->recalled = true;
		p->recalled++;
	}
	pool_recall(lane->en->pool, worker, (uint64_t)lane->id, false);
}

void engine_lane_recall(struct engine_lane *lane)
{
	if (lane->standing == 0 || !lane->en->pool)
		return;
	for (unsigned i = 0; i < lane->en->set.workers; i++)
		place_recall(lane, i, clock_boot_us());
}

static bool place_stalls(const struct engine_place *p, int64_t now_us)
{
	return now_us - p->ended_us > STANDBY_STALL_US;
}

/* All that run at a worker take their time, while others of the lane end: what stands by there would be late. */
static void recall_stalled(struct engine_lane *lane, int64_t now_us)
{
	for (unsigned i = 0; lane->standing > 0 && i < lane->en->set.workers; i++)
		if (place_stalls(&lane->places[i], now_us))
			place_recall(lane, i, now_us);
}

/* ---- how many ---- */

void engine_lane_unlively(struct engine_lane *lane)
{
	if (lane->lively)
		TAILQ_REMOVE(&lane->en->lively, lane, of_lively);
	lane->lively = false;
}

static void count_end(struct engine_lane *lane, int64_t now_us)
{
	int64_t took_us = now_us - lane->ends_from_us;

	lane->ends++;
	if (took_us >= STANDBY_WINDOW_US) {
		lane->ahead = (unsigned)(lane->ends * (int64_t)STANDBY_WINDOW_US / took_us);
		if (lane->ahead > STANDBY_MAX)
			lane->ahead = STANDBY_MAX;
		lane->ends = 0;
		lane->ends_from_us = now_us;
		recall_stalled(lane, now_us);
	}
	if (!lane->lively && lane->ahead > lane->standing)
		TAILQ_INSERT_TAIL(&lane->en->lively, lane, of_lively);
	lane->lively |= lane->ahead > lane->standing;
}

/* ---- an end ---- */

/* Nothing stands by where it ended, and the lane has nothing to pick: one that stands by elsewhere has its slot. */
static struct engine_job *elsewhere(const struct engine_lane *lane)
{
	if (lane->standing == 0 || sched_lane_loaded(lane->tracks->sched) > 0)
		return NULL;
	for (unsigned i = 0; i < lane->en->set.workers; i++)
		if (!TAILQ_EMPTY(&lane->places[i].standby))
			return TAILQ_FIRST(&lane->places[i].standby);
	return NULL;
}

/* A worker that has lost count: what it says has ended is taken to have begun. */
static void begin_late(struct engine_job *j, int64_t now_us)
{
	if (j->phase == PHASE_STANDBY)
		begin(j, now_us);
}

void engine_place_ended(struct engine_job *j, const struct message_outcome *o, int64_t now_us, int64_t counted_us)
{
	struct engine_lane *lane = j->lane;
	struct engine_job *next;

	begin_late(j, now_us);
	place_leave(j);
	place_of(j)->ended_us = now_us;
	if (message_tells_limits(o)) {
		/* The worker has given back what stood by, and takes none before this is answered. */
		engine_lane_recall(lane);
		pool_recall(lane->en->pool, j->worker, (uint64_t)lane->id, true);
		lane->none_until_us = now_us + STANDBY_NONE_US;
	}
	next = TAILQ_FIRST(&place_of(j)->standby);
	if (next) {
		begin(next, now_us);
	} else if ((next = elsewhere(lane))) {
		begin(next, now_us);
		pool_slots(j->en->pool, next->worker, (uint64_t)lane->id, place_of(next)->running);
	}
	j->en->stats.followed += next != NULL;
	sched_ended(j->en->sched, &j->sched, now_us, counted_us);
	count_end(lane, now_us);
}

/* Its slot is not handed on: what stands by with the same worker is lost, too. */
void engine_place_lost(struct engine_job *j, int64_t now_us, int64_t counted_us)
{
	if (j->phase == PHASE_STANDBY) {
		stand_down(j);
		return;
	}
	place_leave(j);
	sched_ended(j->en->sched, &j->sched, now_us, counted_us);
}

/* It was taken to have begun, and has not. Unless all were called back, the worker has begun the next in its place. */
static void give_way(struct engine_job *j)
{
	struct engine_job *next = j->recalled ? NULL : TAILQ_FIRST(&place_of(j)->standby);
	int64_t now_us = clock_boot_us();

	place_leave(j);
	if (next)
		begin(next, now_us);
	sched_refund(j->en->sched, &j->sched, now_us);
}

void engine_not_begun(struct engine_job *j)
{
	struct engine *en = j->en;

	if (j->cancel)
		engine_settle(j, CAUSE_CANCELLED, false);
	else
		engine_job_undo(j);
	engine_pump_soon(en);
}

void engine_on_returned(void *arg, uint64_t job, uint32_t n)
{
	struct engine *en = arg;
	struct engine_job *j = engine_job_find(en, job);

	if (!j || j->n != n || !engine_phase_with_worker(j->phase))
		return;
	en->running--;
	if (j->phase == PHASE_STANDBY)
		stand_down(j);
	else
		give_way(j);
	engine_not_begun(j);
}

/* ---- handing out ---- */

/* Where the lane runs, with the fewest that stand by for each that runs. */
static int best_place(const struct engine_lane *lane, int64_t now_us)
{
	const struct engine_place *best = NULL;

	for (unsigned i = 0; i < lane->en->set.workers; i++) {
		const struct engine_place *p = &lane->places[i];
		if (p->running > 0 && p->recalled == 0 && !place_stalls(p, now_us) &&
		    pool_may_stand_by(lane->en->pool, i) &&
		    (!best || (uint64_t)p->standing * best->running < (uint64_t)best->standing * p->running))
			best = p;
	}
	return best ? (int)(best - lane->places) : -1;
}

static void hand_out(struct engine_job *j, unsigned worker)
{
	struct engine_lane *lane = j->lane;
	struct engine_place *p = &lane->places[worker];

	message_set_slots(j->frame, p->running);
	pool_stand_by(j->en->pool, worker, j->sched.id, j->n, j->frame, j->frame_bytes);
	engine_job_drop_frame(j);
	engine_job_phase(j, PHASE_STANDBY);
	j->worker = worker;
	j->en->running++;
	j->en->stats.attempts++;
	TAILQ_INSERT_TAIL(&p->standby, j, link);
	p->standing++;
	lane->standing++;
	j->en->stats.standing++;
}

/* The next of the lane, where it may stand by. */
static struct engine_job *take_next(struct engine_lane *lane, int64_t now_us)
{
	struct sched_lane *sched = lane->tracks->sched;
	const struct engine_job *first = (const struct engine_job *)sched_lane_first(sched);

	if (!first || first->phase != PHASE_STAGED || first->frame_bytes > STANDBY_FRAME_BYTES)
		return NULL;
	return (struct engine_job *)sched_stand_by(lane->en->sched, sched, now_us);
}

/* A batch that drops what a host refuses is asked of every job when its turn comes. */
static bool may_have_some(const struct engine_lane *lane)
{
	return !lane->batch->run && !lane->tracks->next && engine_lane_may_stage(lane) &&
	       lane->batch->policy.on_limit != SPEC_LIMIT_DROP;
}

static void lane_fill(struct engine_lane *lane, int64_t now_us)
{
	struct engine_job *j;
	int worker;

	if (!may_have_some(lane) || now_us < lane->none_until_us)
		return;
	while (lane->standing < lane->ahead && (worker = best_place(lane, now_us)) >= 0 &&
	       (j = take_next(lane, now_us)))
		hand_out(j, (unsigned)worker);
	if (engine_lane_low(lane))
		engine_lane_refresh(lane);
}

void engine_standby_fill(struct engine *en)
{
	struct engine_lane *lane;
	int64_t now_us;

	if (TAILQ_EMPTY(&en->lively))
		return;
	now_us = clock_boot_us();
	while ((lane = TAILQ_FIRST(&en->lively))) {
		engine_lane_unlively(lane);
		lane_fill(lane, now_us);
	}
}
