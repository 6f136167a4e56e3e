/* A live run: its recipe, its secrets and its plan, from when its batch is in memory until that is forgotten. Must not
 * know how its plan is read (engine_run_read.c), how a page is fetched (engine_page.c), or how runs begin and end. */
#include <stdlib.h>
#include <string.h>

#include "daemon/run_private.h"
#include "lib/clock.h"
#include "lib/log.h"

#define CANCELS_A_STEP 500

/* ---- opening and closing ---- */

struct row_reading {
	struct store_run_get get;
	struct engine_run *run;
	struct err e;
	bool found;
};

static int take_row(struct engine_run *run, const struct store_run *row, struct err *e)
{
	run->recipe = recipe_parse(row->pull, row->pull, row->recipe, e);
	if (!run->recipe)
		return -1;
	run_ask_read(&run->ask, row->options);
	run->guarded = *row->guard != '\0';
	run->vars = run_vars(run->recipe, run->ask.vars, e);
	if (!run->vars)
		return -1;
	run->var_object = json_object();
	for (size_t i = 0; i < run->recipe->var_count; i++)
		json_object_set_new(run->var_object, run->recipe->vars[i].name, json_string(run->vars[i]));
	run->program = recipe_program(run->recipe);
	run->secrets = run_secrets(run->recipe, engine_secrets_dir(run->batch->en), e);
	return run->secrets ? 0 : -1;
}

static void on_row(struct store_run_get *get, const struct store_run *row)
{
	struct row_reading *r = (struct row_reading *)get;

	r->found = take_row(r->run, row, &r->e) == 0;
}

static void on_got(struct store_op *op, const struct err *e)
{
	struct row_reading *r = (struct row_reading *)op;

	if (e)
		r->e = *e;
}

void engine_run_cancel_needless(struct engine_run *run)
{
	struct plan_step step;

	if (!engine_run_ready(run))
		return;
	plan_more(run->plan, &step);
	if (run->guarded)
		engine_run_cancel_from(run, 0);
	else if (step.cancel_from != UINT32_MAX)
		engine_run_cancel_from(run, step.cancel_from);
}

void engine_runs_cancel_again(struct engine *en)
{
	for (struct engine_batch *b = en->batches; b; b = b->hh.next) {
		if (!b->run || engine_batch_stopped_for_good(b) || !engine_run_ready(b->run))
			continue;
		engine_run_add_more(b->run);
		engine_run_cancel_needless(b->run);
	}
}

void engine_run_open(struct engine_batch *b)
{
	struct engine_run *run = calloc(1, sizeof *run);
	struct row_reading r = {.get = {.op.done = on_got, .run = b->id, .on_row = on_row}, .run = run};

	if (!run)
		abort();
	run->batch = b;
	b->run = run;
	store_run_get(b->en->store, &r.get);
	if (r.found) {
		engine_run_read(run);
		return;
	}
	log_error("run cannot go on", "run=%u why=\"%s\"", b->id, r.e.what);
	engine_batch_fail(b, REASON_POLICY, r.e.what);
	engine_run_close(run);
	b->run = NULL;
	b->cancelling = true; /* nothing of it starts until that is committed */
	engine_batch_refresh(b);
}

const char *engine_run_pull(const struct engine_run *run)
{
	return run->recipe ? run->recipe->name : NULL;
}

void engine_run_close(struct engine_run *run)
{
	if (!run)
		return;
	engine_run_read_stop(run);
	plan_free(run->plan);
	tally_free(run->tally);
	secrets_free(run->secrets);
	free(run->program);
	free(run->vars);
	json_decref(run->var_object);
	run_ask_clear(&run->ask);
	recipe_free(run->recipe);
	free(run);
}

void engine_run_source(const struct engine_run *run, struct run_source *out)
{
	*out = (struct run_source){
	    .recipe = run->recipe, .vars = run->vars, .since = run->ask.sent_since, .secrets = run->secrets};
}

/* ---- more pages, and fewer ---- */

struct adding {
	struct store_pages_add add;
	struct engine *en;
	uint32_t run;
	struct run_pages pages;
};

static void on_added(struct store_op *op, const struct err *e)
{
	struct adding *a = (struct adding *)op;
	struct engine_batch *b = engine_batch_find(a->en, a->run);

	if (e)
		log_error("pages not added", "run=%u why=\"%s\"", a->run, e->what);
	if (b && b->run && e)
		engine_run_unready(b->run);
	else if (b && b->run)
		engine_run_add_more(b->run);
	run_pages_clear(&a->pages);
	free(a);
}

/* What the plan still lacks: pages beyond one step's bound, or all that a crash has left undone. */
static int add_pages(struct engine_run *run, struct adding *a, const struct plan_step *step, struct err *e)
{
	bool by_url = run->recipe->page.type == PAGE_LINK || run->recipe->page.type == PAGE_NEXT_URL;
	struct run_source from;

	engine_run_source(run, &from);
	if (step->next)
		return run_pages_add(&a->pages, &from, step->next, by_url && run->next_public, e);
	return run_pages_number(&a->pages, &from, run->plan, run->added, step->add, e);
}

void engine_run_add_more(struct engine_run *run)
{
	struct plan_step step;
	struct adding *a;
	struct err e;

	if (run->guarded || engine_batch_stopped_for_good(run->batch) || !engine_run_ready(run))
		return;
	if (engine_run_grown(run))
		return;
	plan_more(run->plan, &step);
	if (step.add == 0 && !step.next)
		return;
	a = calloc(1, sizeof *a);
	if (!a)
		abort();
	a->en = run->batch->en;
	a->run = run->batch->id;
	if (add_pages(run, a, &step, &e) < 0) {
		engine_batch_fail(run->batch, REASON_POLICY, e.what);
		run_pages_clear(&a->pages);
		free(a);
		return;
	}
	engine_run_added(run, &a->pages);
	a->add = (struct store_pages_add){
	    .op.done = on_added, .run = a->run, .pages = run_pages_get(&a->pages), .count = a->pages.count};
	store_pages_add(a->en->store, &a->add);
}

void engine_run_added(struct engine_run *run, const struct run_pages *pages)
{
	for (size_t i = 0; i < pages->count; i++)
		plan_added(run->plan, run->added++, pages->tokens[i]);
}

/* A run may have a million pages: some are cancelled, and when that is committed the next. */
struct cancelling {
	struct engine *en;
	uint32_t run, at; /* the next page's index */
	unsigned open;
};
struct cancel {
	struct store_job_mark mark;
	struct cancelling *of;
};

static void cancel_some(struct cancelling *c);

static void on_cancelled(struct store_op *op, const struct err *e)
{
	struct cancelling *c = ((struct cancel *)op)->of;

	(void)e; /* it has ended by itself, or is running: then what it brings is not counted */
	free(op);
	if (--c->open == 0)
		cancel_some(c);
}

static void cancel_page(struct cancelling *c, uint64_t job)
{
	struct cancel *one = calloc(1, sizeof *one);

	if (!one)
		abort();
	one->of = c;
	one->mark = (struct store_job_mark){.op.done = on_cancelled, .job = job, .mark = STORE_MARK_CANCEL};
	c->open++;
	engine_job_mark(c->en, &one->mark);
}

static void cancelled_all(struct cancelling *c, struct engine_batch *b)
{
	if (b && b->emptying) {
		b->emptying = false;
		engine_batch_refresh(b);
	}
	free(c);
}

/* What is refused is told at once, and of all of a run it may be: that goes on here and not in the callback. */
static void cancel_some(struct cancelling *c)
{
	struct engine_batch *b;
	uint32_t end;

	do {
		b = engine_batch_find(c->en, c->run);
		end = b && b->run && !c->en->draining ? b->run->added : 0; /* the next daemon goes on */
		c->open = 1; /* this call itself: callbacks may come before it returns */
		for (unsigned n = 0; n < CANCELS_A_STEP && c->at < end; n++) {
			uint64_t job = jobid_make(c->run, ++c->at);
			const struct engine_job *j = engine_job_find(c->en, job);

			/* One whose attempt is ending may be queued again by that: the store knows. */
			if (!j || j->phase != PHASE_RUNNING)
				cancel_page(c, job);
		}
		if (--c->open > 0)
			return;
	} while (c->at < end);
	cancelled_all(c, b);
}

void engine_run_cancel_from(struct engine_run *run, uint32_t index)
{
	struct cancelling *c = calloc(1, sizeof *c);

	if (!c)
		abort();
	*c = (struct cancelling){.en = run->batch->en, .run = run->batch->id, .at = index};
	if (index == 0) {
		run->batch->emptying = true;
		engine_batch_refresh(run->batch);
	}
	cancel_some(c);
}

/* ---- pages that end without a request ---- */

void engine_run_note_held(struct engine_batch *b)
{
	int64_t now = clock_boot_us(), held_us = 0;

	if (!b->run || b->run->held_us)
		return;
	for (const struct engine_job *j = b->en->jobs; j; j = j->hh.next) {
		if (j->lane->batch != b || (j->phase != PHASE_LOADED && j->phase != PHASE_STAGED))
			continue;
		int64_t us = sched_job_limited_us(&j->sched, now);
		held_us = us > held_us ? us : held_us;
	}
	b->run->held_us = held_us;
	b->run->held_to_us = clock_wall_us();
}

struct tally_sums engine_run_sums(const struct engine *en, uint32_t number, struct tally *attempts)
{
	const struct engine_batch *b = engine_batch_find(en, number);

	if (b && b->run)
		tally_add_held(attempts, b->run->held_us, b->run->held_to_us);
	return tally_read(attempts);
}
