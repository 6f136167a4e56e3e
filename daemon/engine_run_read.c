/* The plans of live runs, from the store: read in slices, as many pages a turn of the loop as keep nobody waiting, and
 * begun only where there is memory for them. Must not know what a plan says. */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/run_private.h"
#include "lib/log.h"

#define PAGES_A_TURN 1000 /* about 2.5 us each: then the others have their turn */
#define RUN_COSTS    20   /* pages: what it costs to begin with one */
#define AGAIN_S      1    /* after an error of the store */

static void read_in(struct engine *en, int seconds)
{
	struct timeval tv = {.tv_sec = seconds};

	event_add(en->read, &tv);
}

void engine_plans_read_soon(struct engine *en)
{
	if (!TAILQ_EMPTY(&en->plans_read) || !TAILQ_EMPTY(&en->plans_wait))
		read_in(en, 0);
}

/* ---- a page ---- */

/* No server's trouble is an end, nor a request that was not allowed: a token that was revoked half-way ends nothing. */
static bool may_be_end(const struct store_page *row)
{
	static const int others[] = {401, 403, 407, 408, 425, 429};

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (row->status == others[i])
			return false;
	return row->reason == REASON_HTTP_STATUS && row->status >= 400 && row->status < 500;
}

static enum plan_result result_of(const struct store_page *row)
{
	if (row->state != JOB_DONE && row->reason == REASON_SOFT_ERROR)
		return PLAN_SOFT;
	if (row->state != JOB_DONE)
		return may_be_end(row) ? PLAN_ABSENT : PLAN_FAILED;
	return row->past_end ? PLAN_STATUS : PLAN_OK;
}

void engine_run_tell(struct plan *plan, const struct store_page *row)
{
	uint32_t index = jobid_seq(row->job) - 1;
	struct plan_step ignored;
	struct plan_seen seen = {
	    .result = result_of(row),
	    .items = -1,
	    .next = "",
	    .has_more = -1,
	    .total_pages = -1,
	    .total_items = -1,
	    .ended_us = row->ended_us,
	    .url = row->url,
	};

	plan_added(plan, index, row->token);
	if (row->state != JOB_DONE && row->state != JOB_FAILED)
		return;
	if (row->said)
		engine_page_seen(&seen, &row->page);
	plan_ended(plan, index, &seen, &ignored);
}

/* What was not read yet is read with its end. */
void engine_run_tell_late(struct engine_run *run, uint32_t index, const struct plan_seen *seen)
{
	struct plan_step ignored;

	if (run->plan_is == RUN_PLAN_READING && index < run->read_to)
		plan_ended(run->plan, index, seen, &ignored);
}

/* ---- memory ---- */

struct holders {
	unsigned runs;
	size_t bytes;
};

static size_t held_bytes(const struct engine_run *run)
{
	size_t bytes = plan_bytes(run->plan);

	return bytes > run->need_bytes ? bytes : run->need_bytes;
}

static struct holders who_holds(const struct engine *en)
{
	struct holders h = {0};

	for (const struct engine_batch *b = en->batches; b; b = b->hh.next) {
		if (!b->run || !b->run->plan)
			continue;
		h.runs++;
		h.bytes += held_bytes(b->run);
	}
	engine_conclusions_plans(en, &h.runs, &h.bytes);
	return h;
}

static struct plan_rules rules_of(const struct engine_run *run)
{
	return run_rules(run->recipe, &run->ask);
}

/* One that is alone always fits: its own max_pages bounds it. */
static bool fits(const struct engine_run *run, const struct holders *h)
{
	struct engine *en = run->batch->en;
	struct plan_rules rules = rules_of(run);
	size_t need = plan_bytes_of(&rules, store_run_pages(en->store, run->batch->id));

	return h->runs == 0 || h->bytes + need <= en->set.plans_bytes;
}

/* The latest that is under way: what it has fetched is stored, so it can begin once more from there. Never the first of
 * them: that one has to come to its end. NULL: there is no other. */
static struct engine_run *latest(const struct engine *en)
{
	struct engine_run *found = NULL;
	uint32_t first = UINT32_MAX;

	for (const struct engine_batch *b = en->batches; b; b = b->hh.next) {
		if (!b->run || !b->run->plan || engine_batch_stopped_for_good(b))
			continue;
		first = b->id < first ? b->id : first;
		if (b->run->plan_is == RUN_PLAN_READY && (!found || b->id > found->batch->id))
			found = b->run;
	}
	return found && found->batch->id > first ? found : NULL;
}

/* It waits as if it had not begun yet, with what is stored of it. Its plan is as large when it is read again, so it
 * does not come back before others have made room. */
static void yield(struct engine_run *run)
{
	log_info("run waits for memory", "run=%u plan_bytes=%zu", run->batch->id, plan_bytes(run->plan));
	engine_run_read_stop(run);
	engine_run_read(run);
	engine_batch_unstage(run->batch);
}

bool engine_run_grown(struct engine_run *run)
{
	struct engine *en = run->batch->en;
	struct holders h;

	if (plan_bytes(run->plan) <= run->seen_bytes)
		return false;
	run->seen_bytes = plan_bytes(run->plan);
	h = who_holds(en);
	for (struct engine_run *last; h.bytes > en->set.plans_bytes && (last = latest(en));) {
		h.bytes -= held_bytes(last);
		yield(last);
	}
	return run->plan_is != RUN_PLAN_READY;
}

/* ---- from the first page ---- */

static void begin(struct engine_run *run)
{
	struct engine_batch *b = run->batch;
	struct plan_rules rules = rules_of(run);

	plan_free(run->plan);
	run->plan = plan_create(&rules);
	run->plan_is = RUN_PLAN_READING;
	run->seen_bytes = 0;
	run->need_bytes = plan_bytes_of(&rules, store_run_pages(b->en->store, b->id));
	run->added = run->read_to = 0;
}

static void stop_batch(struct engine_batch *b)
{
	b->unread = true;
	engine_batch_refresh(b);
}

void engine_run_read(struct engine_run *run)
{
	struct engine_batch *b = run->batch;

	stop_batch(b);
	if (engine_batch_stopped_for_good(b))
		return;
	run->plan_is = RUN_PLAN_WAITS;
	TAILQ_INSERT_TAIL(&b->en->plans_wait, run, read);
	engine_plans_read_soon(b->en);
}

/* It has its memory already, and goes first. */
void engine_run_unready(struct engine_run *run)
{
	struct engine_batch *b = run->batch;

	if (run->plan_is == RUN_PLAN_NONE || run->plan_is == RUN_PLAN_WAITS)
		return;
	if (run->plan_is == RUN_PLAN_READY)
		TAILQ_INSERT_HEAD(&b->en->plans_read, run, read);
	begin(run);
	stop_batch(b);
	engine_plans_read_soon(b->en);
}

/* Where a commit failed, pages that the plan has are not there; that is seen before anybody is told. */
bool engine_run_ready(struct engine_run *run)
{
	if (run->plan_is == RUN_PLAN_READY && run->added != store_run_pages(run->batch->en->store, run->batch->id))
		engine_run_unready(run);
	return run->plan_is == RUN_PLAN_READY;
}

static void leave(struct engine_run *run)
{
	struct engine *en = run->batch->en;

	if (run->plan_is == RUN_PLAN_WAITS)
		TAILQ_REMOVE(&en->plans_wait, run, read);
	else if (run->plan_is == RUN_PLAN_READING)
		TAILQ_REMOVE(&en->plans_read, run, read);
}

void engine_run_read_stop(struct engine_run *run)
{
	leave(run);
	plan_free(run->plan);
	run->plan = NULL;
	run->plan_is = RUN_PLAN_NONE;
	engine_plans_read_soon(run->batch->en);
}

static void conclude_if_over(struct engine_run *run)
{
	bool over = run->over;

	run->over = false;
	if (over)
		engine_run_conclude(run->batch->en, run->batch->id);
}

void engine_run_cancelled(struct engine_batch *b)
{
	if (!b->run || b->run->plan_is == RUN_PLAN_READY)
		return;
	engine_run_read_stop(b->run);
	conclude_if_over(b->run);
}

bool engine_run_ends_later(struct engine_batch *b)
{
	if (!b->run || !b->unread || engine_batch_stopped_for_good(b))
		return false;
	b->run->over = true;
	return true;
}

/* ---- slices ---- */

struct reading {
	struct store_pages pages;
	struct engine_run *run;
	size_t rows;
	bool failed;
};

static void on_page(struct store_pages *p, const struct store_page *row)
{
	struct reading *r = (struct reading *)p;

	engine_run_tell(r->run->plan, row);
	r->rows++;
	r->run->added++;
	r->run->next_public = row->from_public || !engine_known_inside(row->remote_ip);
}

static void on_pages(struct store_op *op, const struct err *e)
{
	struct reading *r = (struct reading *)op;

	if (!e)
		return;
	r->failed = true;
	log_error("pages not read", "run=%u why=\"%s\"", r->pages.run, e->what);
}

static void finish(struct engine_run *run)
{
	struct engine_batch *b = run->batch;

	leave(run);
	run->plan_is = RUN_PLAN_READY;
	run->need_bytes = 0;
	run->added = store_run_pages(b->en->store, b->id);
	b->unread = false;
	engine_batch_refresh(b);
	engine_run_add_more(run);
	engine_run_cancel_needless(run);
	conclude_if_over(run);
}

/* Reads call back at once. Where pages are missing at the end, what is there is all there is. */
static int read_slice(struct engine_run *run, size_t limit, size_t *rows)
{
	struct engine *en = run->batch->en;
	struct reading r = {.run = run,
			    .pages = {.op.done = on_pages,
				      .run = run->batch->id,
				      .after_seq = run->read_to,
				      .limit = limit,
				      .on_row = on_page}};

	store_pages(en->store, &r.pages);
	*rows = r.rows;
	if (r.failed)
		return -1;
	run->read_to = r.pages.last_seq;
	if (!r.pages.more || r.rows == 0)
		finish(run);
	return 0;
}

/* The oldest first, and none before it: else one with many pages would never have its turn. */
static void admit(struct engine *en)
{
	struct engine_run *run = TAILQ_FIRST(&en->plans_wait);
	struct holders h;

	en->plans_full = false;
	if (!run)
		return;
	h = who_holds(en);
	for (; run && fits(run, &h); run = TAILQ_FIRST(&en->plans_wait)) {
		TAILQ_REMOVE(&en->plans_wait, run, read);
		begin(run);
		TAILQ_INSERT_TAIL(&en->plans_read, run, read);
		h.runs++;
		h.bytes += held_bytes(run);
	}
	en->plans_full = run != NULL;
}

/* In turn: a run of one page does not wait for one of a million. */
void engine_plans_read_some(struct engine *en)
{
	struct engine_run *run;
	size_t left = PAGES_A_TURN, rows;

	if (en->draining)
		return;
	admit(en);
	while (left > RUN_COSTS && (run = TAILQ_FIRST(&en->plans_read))) {
		TAILQ_REMOVE(&en->plans_read, run, read);
		TAILQ_INSERT_TAIL(&en->plans_read, run, read);
		if (read_slice(run, left - RUN_COSTS, &rows) < 0) {
			read_in(en, AGAIN_S);
			return;
		}
		left -= rows + RUN_COSTS;
	}
	if (!TAILQ_EMPTY(&en->plans_read))
		read_in(en, 0);
}

/* ---- for people ---- */

static bool waits_for_memory(const struct engine_run *run)
{
	return run->plan_is == RUN_PLAN_WAITS && run->batch->en->plans_full;
}

/* One that has just begun is as good as under way. */
static bool is_long(const struct engine_run *run)
{
	return run->plan_is == RUN_PLAN_READING && run->read_to > 0;
}

bool engine_run_soon_ready(const struct engine_run *run)
{
	const struct engine *en = run->batch->en;

	if (en->draining)
		return false;
	return (run->plan_is == RUN_PLAN_WAITS && !en->plans_full) ||
	       (run->plan_is == RUN_PLAN_READING && run->read_to == 0);
}

bool engine_run_waits(const struct engine *en, uint32_t run)
{
	const struct engine_batch *b = engine_batch_find(en, run);

	return b && b->run && !engine_batch_stopped_for_good(b) && (waits_for_memory(b->run) || is_long(b->run));
}

static void put_memory(const struct engine *en, struct engine_wait *w)
{
	struct holders h = who_holds(en);

	w->why = WHY_MEMORY;
	snprintf(w->text, sizeof w->text, "it waits for memory: the plans of %u run%s hold %.1f MiB", h.runs,
		 h.runs == 1 ? "" : "s", (double)h.bytes / (1 << 20));
}

void engine_run_explain_unread(const struct engine_batch *b, struct engine_wait *w)
{
	if (!b->unread || !b->run || engine_batch_stopped_for_good(b))
		return;
	if (waits_for_memory(b->run)) {
		put_memory(b->en, w);
	} else if (is_long(b->run)) {
		w->why = WHY_READING;
		snprintf(w->text, sizeof w->text, "its pages are being read: %u of %u so far", b->run->read_to,
			 store_run_pages(b->en->store, b->id));
	} else {
		w->why = WHY_TURN;
		snprintf(w->text, sizeof w->text, "it is about to be loaded");
	}
}
