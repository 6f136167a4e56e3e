/* The conclusion of a run: when nothing of it is under way any more, what is stored is read once more, in steps, the
 * receipt is made, and one commit ends run and batch. Writes nothing before that: where it is cut off, it is done
 * again. */
#define _GNU_SOURCE 1

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/plan_doubt.h"
#include "daemon/run_private.h"
#include "daemon/tally.h"
#include "daemon/unique.h"
#include "lib/clock.h"
#include "lib/log.h"

#define ROWS_PER_STEP 200
#define AGAIN_US      1000000 /* after an error of the store */

/* Run one after the other, each until it says that it is done. */
enum stage { STAGE_ROW, STAGE_PAGES, STAGE_ATTEMPTS, STAGE_KEYS, STAGE_STATE, STAGE_END };

struct engine_conclusion {
	struct engine *en;
	uint32_t run;
	enum stage stage;
	struct event next;
	union {
		struct store_run_get get;
		struct store_pages pages;
		struct store_run_attempts attempts;
		struct store_pull_states states;
		struct store_run_end end;
	} op;
	/* from the run's row */
	uint32_t uid;
	char *pull, *scope, *guard, *error;
	struct run_ask ask;
	struct recipe *recipe;
	int64_t started_us;
	bool cancelled, waiting, ended;
	/* found out */
	struct plan *plan;
	uint32_t after_seq, after_event;
	int64_t not_modified, keys;
	uint32_t counted; /* pages up to here have keys that count */
	char *since;
	char *failure; /* of the first page that failed: "page 5: 410 Gone" */
	char *told;    /* the receipt's error, where it is made of two */
	struct receipt receipt;
	struct unique *unique;
	struct tally *tally;
	int64_t items_before;
	char *state_since;
	UT_hash_handle hh;
};

#define CONCLUSION_OF(op_ptr) \
	((struct engine_conclusion *)(void *)((char *)(op_ptr)-offsetof(struct engine_conclusion, op)))

static void step(struct engine_conclusion *c);

static void conclusion_free(struct engine_conclusion *c)
{
	event_del(&c->next);
	engine_plans_read_soon(c->en);
	HASH_DEL(c->en->conclusions, c);
	plan_free(c->plan);
	unique_free(c->unique);
	tally_free(c->tally);
	recipe_free(c->recipe);
	run_ask_clear(&c->ask);
	free(c->pull);
	free(c->scope);
	free(c->guard);
	free(c->error);
	free(c->since);
	free(c->failure);
	free(c->told);
	free(c->state_since);
	free(c);
}

void engine_conclusions_free(struct engine *en)
{
	struct engine_conclusion *c, *next;

	HASH_ITER (hh, en->conclusions, c, next) {
		conclusion_free(c);
	}
}

void engine_conclusions_plans(const struct engine *en, unsigned *count, size_t *bytes)
{
	for (const struct engine_conclusion *c = en->conclusions; c; c = c->hh.next) {
		*count += c->plan != NULL;
		*bytes += c->plan ? plan_bytes(c->plan) : 0;
	}
}

static void on_next(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	step(arg);
}

/* Never from within a callback: a read may call back at once, and other things have their turn in between. */
static void soon(struct engine_conclusion *c, enum stage stage, int64_t in_us)
{
	struct timeval tv = {.tv_sec = in_us / 1000000, .tv_usec = in_us % 1000000};

	c->stage = stage;
	event_add(&c->next, &tv);
}

/* From the start: what was read so far may be old by then. */
static void again(struct engine_conclusion *c, const struct err *e)
{
	struct engine *en = c->en;
	uint32_t run = c->run;

	if (e->code == ERR_NOT_FOUND) { /* it was removed */
		conclusion_free(c);
		return;
	}
	/* It goes on by its owner's word; or does not after all, and the news of that came before this. */
	if (e->code != ERR_CONFLICT)
		log_error("run not concluded yet", "run=%u why=\"%s\"", run, e->what);
	conclusion_free(c);
	engine_run_conclude(en, run);
	HASH_FIND(hh, en->conclusions, &run, sizeof run, c);
	if (c)
		soon(c, STAGE_ROW, AGAIN_US);
}

/* A part of what a stage reads has come. True: it was the last. */
static bool stage_read(struct engine_conclusion *c, const struct err *e, bool more)
{
	if (e)
		again(c, e);
	else if (more)
		soon(c, c->stage, 0);
	return !e && !more;
}

/* ---- the row ---- */

static void on_row(struct store_run_get *get, const struct store_run *row)
{
	struct engine_conclusion *c = CONCLUSION_OF(get);
	struct plan_rules rules;
	struct err e;

	c->uid = row->uid;
	c->pull = strdup(row->pull);
	c->scope = strdup(row->scope);
	c->guard = strdup(row->guard);
	c->error = strdup(row->error);
	c->cancelled = row->cancelled;
	c->started_us = row->started_us ? row->started_us : row->created_us;
	c->ended = row->state == RUN_ENDED ||
		   row->counts[JOB_BLOCKED] + row->counts[JOB_QUEUED] + row->counts[JOB_RUNNING] > 0;
	c->waiting = row->state == RUN_WAITING && !row->cancelled && !*row->error;
	run_ask_read(&c->ask, row->options);
	c->recipe = recipe_parse(row->pull, row->pull, row->recipe, &e);
	/* A later version may refuse what this one took: then its pages are counted, and no more. */
	rules = c->recipe ? run_rules(c->recipe, &c->ask) : (struct plan_rules){.max_pages = RECIPE_PAGES_MAX};
	c->plan = plan_create(&rules);
}

static void on_got(struct store_op *op, const struct err *e)
{
	struct engine_conclusion *c = CONCLUSION_OF(op);
	if (e)
		again(c, e);
	else if (c->ended || c->waiting)
		conclusion_free(c);
	else
		soon(c, STAGE_PAGES, 0);
}

static void read_row(struct engine_conclusion *c)
{
	c->op.get = (struct store_run_get){.op.done = on_got, .run = c->run, .on_row = on_row};
	store_run_get(c->en->store, &c->op.get);
}

/* ---- its pages ---- */

static void on_page(struct store_pages *p, const struct store_page *row)
{
	struct engine_conclusion *c = CONCLUSION_OF(p);

	engine_run_tell(c->plan, row);
	c->not_modified += row->reused_from != 0;
	if (row->state == JOB_FAILED && !c->failure &&
	    asprintf(&c->failure, "page %u: %s", jobid_seq(row->job),
		     *row->error ? row->error : job_reason_name(row->reason)) < 0)
		abort();
	if (row->state != JOB_DONE || !row->said)
		return;
	c->keys += row->page.items > 0 ? row->page.items : 0;
	if (*row->page.since && receipt_since_greater(row->page.since, c->since ? c->since : "")) {
		free(c->since);
		c->since = strdup(row->page.since);
	}
}

static void on_pages(struct store_op *op, const struct err *e)
{
	struct engine_conclusion *c = CONCLUSION_OF(op);

	c->after_seq = c->op.pages.last_seq;
	if (!stage_read(c, e, c->op.pages.more))
		return;
	struct plan_conclusion p;
	plan_conclude(c->plan, -1, &p);
	c->counted = p.end;
	c->tally = tally_create();
	soon(c, STAGE_ATTEMPTS, 0);
}

static void read_pages(struct engine_conclusion *c)
{
	c->op.pages = (struct store_pages){
	    .op.done = on_pages, .run = c->run, .after_seq = c->after_seq, .limit = ROWS_PER_STEP, .on_row = on_page};
	store_pages(c->en->store, &c->op.pages);
}

/* ---- its attempts ---- */

static void on_attempt(struct store_run_attempts *a, const struct store_run_attempt *row)
{
	struct engine_conclusion *c = CONCLUSION_OF(a);
	struct store_run_attempt r = *row;

	/* What the clock did before the last retry is none of this stretch's. */
	if (a->after_event <= c->ask.again.event)
		r.boot = 0;
	run_tally_add(c->tally, &r);
}

static void on_attempts(struct store_op *op, const struct err *e)
{
	struct engine_conclusion *c = CONCLUSION_OF(op);

	c->after_event = c->op.attempts.after_event;
	if (!stage_read(c, e, c->op.attempts.more))
		return;
	c->receipt.sums = engine_run_sums(c->en, c->run, c->tally);
	c->after_seq = 0;
	c->receipt.unique = -1;
	if (c->recipe && c->recipe->expr[RECIPE_KEY].text) {
		c->unique = unique_create((uint64_t)c->keys);
		unique_pass_begin(c->unique);
	}
	soon(c, c->unique ? STAGE_KEYS : STAGE_STATE, 0);
}

static void read_attempts(struct engine_conclusion *c)
{
	c->op.attempts = (struct store_run_attempts){.op.done = on_attempts,
						     .run = c->run,
						     .after_event = c->after_event,
						     .limit = ROWS_PER_STEP,
						     .on_row = on_attempt};
	store_run_attempts(c->en->store, &c->op.attempts);
}

/* ---- how many keys are different: a pass over the pages, or some ---- */

static void on_keys_row(struct store_pages *p, const struct store_page *row)
{
	struct engine_conclusion *c = CONCLUSION_OF(p);

	if (row->state != JOB_DONE || !row->said || jobid_seq(row->job) - 1 >= c->counted)
		return;
	c->receipt.keys_rounded |= row->page.items > 0 && row->page.keys_bytes == 0;
	if (row->page.keys)
		unique_add(c->unique, row->page.keys, row->page.keys_bytes);
}

static void on_keys(struct store_op *op, const struct err *e)
{
	struct engine_conclusion *c = CONCLUSION_OF(op);

	c->after_seq = c->op.pages.last_seq;
	if (!stage_read(c, e, c->op.pages.more))
		return;
	c->after_seq = 0;
	if (unique_pass_begin(c->unique)) {
		soon(c, STAGE_KEYS, 0);
		return;
	}
	if (!c->receipt.keys_rounded)
		c->receipt.unique = (int64_t)unique_count(c->unique);
	soon(c, STAGE_STATE, 0);
}

/* A page may have a hundred thousand of them: few pages a step. */
static void read_keys(struct engine_conclusion *c)
{
	c->op.pages = (struct store_pages){.op.done = on_keys,
					   .run = c->run,
					   .after_seq = c->after_seq,
					   .limit = 4,
					   .with_keys = true,
					   .on_row = on_keys_row};
	store_pages(c->en->store, &c->op.pages);
}

/* ---- what was before ---- */

static void on_state(struct store_pull_states *s, const struct store_pull_state *row)
{
	struct engine_conclusion *c = CONCLUSION_OF(s);

	c->items_before = row->items;
	free(c->state_since);
	c->state_since = strdup(row->since);
}

static void on_states(struct store_op *op, const struct err *e)
{
	struct engine_conclusion *c = CONCLUSION_OF(op);

	if (e)
		again(c, e);
	else
		soon(c, STAGE_END, 0);
}

static void read_state(struct engine_conclusion *c)
{
	c->items_before = -1;
	c->op.states = (struct store_pull_states){
	    .op.done = on_states, .uid = c->uid, .pull = c->pull, .scope = c->scope, .on_row = on_state};
	store_pull_states(c->en->store, &c->op.states);
}

/* ---- the end ---- */

static enum run_verdict verdict_of(const struct engine_conclusion *c, const struct plan_conclusion *p)
{
	if (*c->guard)
		return RUN_FAILED;
	if (p->complete)
		return RUN_COMPLETE;
	if (p->partial)
		return RUN_PARTIAL;
	if (c->cancelled && !*c->error)
		return RUN_CANCELLED;
	return p->failed ? RUN_FAILED : RUN_INCOMPLETE;
}

/* NULL: it was cancelled by itself, and no more is to be said. */
static const char *who_replaced(struct engine_conclusion *c)
{
	const struct engine_batch *b = engine_batch_find(c->en, c->run);

	if (!b || !b->run || b->run->replaced_by == 0)
		return NULL;
	if (asprintf(&c->told, "run %u took its place (overlap: replace)", b->run->replaced_by) < 0)
		abort();
	return c->told;
}

static const char *error_of(struct engine_conclusion *c, const struct plan_conclusion *p, enum run_verdict verdict)
{
	if (verdict == RUN_COMPLETE || verdict == RUN_PARTIAL)
		return NULL;
	if (*c->guard)
		return c->guard;
	if (*c->error)
		return c->error;
	if (verdict == RUN_CANCELLED)
		return who_replaced(c);
	/* A page behind the end may have failed: that is not why. */
	if (!c->failure || (!p->failed && p->gap_count == 0))
		return p->text;
	if (asprintf(&c->told, "%s (%s)", p->text, c->failure) < 0)
		abort();
	return c->told;
}

/* Vars that were asked for may be another day's: that nothing came with them before says nothing. */
static void doubt(const struct engine_conclusion *c, const struct plan_conclusion *p, char *text)
{
	const struct recipe_expr *x = c->recipe ? c->recipe->expr : NULL;
	struct plan_named named = {
	    .items = x && x[RECIPE_ITEMS].text,
	    .next = x && x[RECIPE_NEXT].text,
	    .total_pages = x && x[RECIPE_TOTAL_PAGES].text,
	    .total_items = x && x[RECIPE_TOTAL_ITEMS].text,
	    .news = c->ask.sent_since && *c->ask.sent_since,
	    .reused = c->not_modified > 0,
	    .first = c->ask.test || (c->items_before < 0 && json_object_size(c->ask.vars) == 0),
	};

	plan_doubt(c->plan, p, &named, c->receipt.unique, text, PLAN_DOUBT_SIZE);
}

static void on_ended(struct store_op *op, const struct err *e)
{
	struct engine_conclusion *c = CONCLUSION_OF(op);
	struct engine *en = c->en;
	struct engine_batch *b;

	if (e) {
		again(c, e);
		return;
	}
	log_info("run", "run=%u pull=%s uid=%u state=%s verdict=%s", c->run, c->pull, c->uid, run_state_name(RUN_ENDED),
		 run_verdict_name(c->op.end.verdict));
	b = engine_batch_find(en, c->run);
	if (b && b->run) { /* the owner's retry begins from what is stored */
		b->run->guarded = false;
		engine_run_unready(b->run);
	}
	engine_run_next(en, c->uid, c->pull, c->scope);
	conclusion_free(c);
}

static void write_end(struct engine_conclusion *c)
{
	struct plan_conclusion p;
	char doubted[PLAN_DOUBT_SIZE];
	enum run_verdict verdict;
	const char *since;
	char *written;
	bool moves, gap;

	plan_conclude(c->plan, c->receipt.unique, &p);
	verdict = verdict_of(c, &p);
	moves = verdict == RUN_COMPLETE && !c->ask.test;
	gap = c->recipe && run_leaves_gap(c->recipe, &c->ask, c->state_since);
	since = !gap && c->since && run_since_moves(c->since, c->state_since ? c->state_since : "") ? c->since : NULL;
	c->receipt.conclusion = &p;
	c->receipt.verdict = verdict;
	c->receipt.not_modified = c->not_modified;
	c->receipt.items_before = c->items_before;
	c->receipt.took_us = run_took_us(&c->ask, c->started_us, clock_wall_us() - c->receipt.sums.clock_us);
	c->receipt.since_wanted = c->recipe && c->recipe->since.used;
	c->receipt.since_seen = c->since;
	c->receipt.since_from = c->ask.sent_since;
	c->receipt.since_to = moves ? (since ? since : c->state_since) : NULL;
	c->receipt.since_kept = moves && gap;
	c->receipt.since_of_state = c->state_since && *c->state_since && !c->ask.since && !c->ask.fresh;
	c->receipt.error = error_of(c, &p, verdict);
	doubt(c, &p, doubted);
	c->receipt.doubt = doubted;
	written = receipt_write(&c->receipt);
	c->op.end = (struct store_run_end){.op.done = on_ended,
					   .run = c->run,
					   .verdict = verdict,
					   .receipt = written,
					   .moves = moves,
					   .since = moves ? since : NULL};
	store_run_end(c->en->store, &c->op.end);
	free(written);
}

static void step(struct engine_conclusion *c)
{
	static void (*const stages[])(struct engine_conclusion * c) = {
	    [STAGE_ROW] = read_row,   [STAGE_PAGES] = read_pages, [STAGE_ATTEMPTS] = read_attempts,
	    [STAGE_KEYS] = read_keys, [STAGE_STATE] = read_state, [STAGE_END] = write_end,
	};

	stages[c->stage](c);
}

void engine_run_conclude(struct engine *en, uint32_t run)
{
	struct engine_batch *b = engine_batch_find(en, run);
	struct engine_conclusion *c;

	if (b && engine_run_ends_later(b))
		return;
	HASH_FIND(hh, en->conclusions, &run, sizeof run, c);
	if (c)
		return;
	c = calloc(1, sizeof *c);
	if (!c)
		abort();
	c->en = en;
	c->run = run;
	event_assign(&c->next, en->base, -1, 0, on_next, c);
	event_priority_set(&c->next, 2);
	HASH_ADD(hh, en->conclusions, run, sizeof c->run, c);
	soon(c, STAGE_ROW, 0);
}
