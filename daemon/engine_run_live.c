/* A run that has not ended, for people: how far it is, and what it waits for. It changes nothing but what it has read
 * of the run's attempts, so that a second question costs only what came since the first. */
#include <stdio.h>

#include "daemon/run_private.h"
#include "lib/clock.h"

#define ATTEMPTS_A_STEP 4000

/* ---- figures ---- */

struct reading {
	struct store_run_attempts attempts;
	struct tally *tally;
};

static void on_attempt(struct store_run_attempts *a, const struct store_run_attempt *row)
{
	run_tally_add(((struct reading *)a)->tally, row);
}

static void on_attempts(struct store_op *op, const struct err *e)
{
	struct store_run_attempts *a = (struct store_run_attempts *)op;

	a->more = a->more && !e;
}

/* Reads call back at once. True: there are more. */
static bool read_attempts(struct engine_run *run)
{
	struct reading r = {.attempts = {.op.done = on_attempts,
					 .run = run->batch->id,
					 .after_event = run->tallied,
					 .limit = ATTEMPTS_A_STEP,
					 .on_row = on_attempt}};

	if (!run->tally)
		run->tally = tally_create();
	r.tally = run->tally;
	store_run_attempts(run->batch->en->store, &r.attempts);
	run->tallied = r.attempts.after_event;
	return r.attempts.more;
}

bool engine_run_live(struct engine *en, const struct store_run *row, struct engine_run_live *out)
{
	struct engine_batch *b = engine_batch_find(en, row->run);
	struct plan_conclusion p;

	*out = (struct engine_run_live){.took_us = -1};
	if (!b || !b->run)
		return false;
	if (row->started_us)
		out->took_us = run_took_us(&b->run->ask, row->started_us, clock_wall_us());
	out->more = read_attempts(b->run);
	out->sums = tally_read(b->run->tally);
	out->more |= engine_run_soon_ready(b->run);
	if (out->more || !engine_run_ready(b->run))
		return false;
	plan_conclude(b->run->plan, -1, &p);
	out->pages = p.pages;
	out->items = p.items;
	out->expected_pages = p.expected_pages;
	out->expected_items = p.expected_items;
	return true;
}

int64_t engine_run_pages_told(const struct engine *en, uint32_t number)
{
	const struct engine_batch *b = engine_batch_find(en, number);

	return b && b->run && b->run->plan_is == RUN_PLAN_READY ? plan_pages_wanted(b->run->plan) : -1;
}

/* ---- why it waits ---- */

static void explain_waiting(const struct store_run *row, struct engine_wait *w)
{
	*w = (struct engine_wait){.run = row->behind};
	if (row->behind) {
		w->why = WHY_RUN;
		snprintf(w->text, sizeof w->text, "it begins when run %u of the same pull has ended", row->behind);
	} else {
		w->why = WHY_TURN;
		snprintf(w->text, sizeof w->text, "it is about to begin");
	}
}

static void explain_total(const struct engine_run *run, const struct plan_rules *rules, uint32_t pages,
			  struct engine_wait *w)
{
	bool told = run->recipe->expr[RECIPE_TOTAL_PAGES].text || run->recipe->expr[RECIPE_TOTAL_ITEMS].text;

	w->why = WHY_TOTAL;
	if (told && pages == 0)
		snprintf(w->text, sizeof w->text, "the first page has to say how many there are");
	else
		snprintf(
		    w->text, sizeof w->text,
		    "no total is known: until the end is found, %u page%s asked for at a time (window in the recipe "
		    "says how many)",
		    rules->window, rules->window == 1 ? " is" : "s are");
}

/* Why no more is asked for at a time. */
static bool explain_plan(struct engine_run *run, const struct store_batch *b, struct engine_wait *w)
{
	struct plan_rules rules = run_rules(run->recipe, &run->ask);
	struct plan_conclusion p;

	*w = (struct engine_wait){.why = WHY_NONE};
	if (!engine_run_ready(run) || b->counts[JOB_QUEUED] + b->counts[JOB_RUNNING] == 0 || rules.single)
		return false;
	plan_conclude(run->plan, -1, &p);
	if (!rules.numbered) {
		w->why = WHY_ANSWER;
		snprintf(w->text, sizeof w->text, "pages come one by one: page %u has to say where the next one is",
			 run->added);
	} else if (p.expected_pages < 0 && p.expected_items < 0) {
		explain_total(run, &rules, p.pages, w);
	}
	return w->why != WHY_NONE;
}

unsigned engine_explain_run(struct engine *en, const struct store_run *row, const struct store_batch *b,
			    struct engine_wait *out, unsigned room)
{
	struct engine_batch *live = engine_batch_find(en, row->run);
	unsigned n;

	if (room < 2 || row->state == RUN_ENDED)
		return 0;
	if (engine_explain_storage(en, out))
		return 1;
	if (row->cancelled)
		return 0;
	if (row->state == RUN_WAITING) {
		explain_waiting(row, out);
		return 1;
	}
	n = engine_explain_batch(en, b, out, room - 1);
	if (live && live->run && !b->paused)
		n += explain_plan(live->run, b, &out[n]);
	return n;
}
