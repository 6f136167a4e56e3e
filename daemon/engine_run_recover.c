/* What the last daemon left of runs: those that have nothing under way any more are concluded, those that waited start.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/run_private.h"
#include "lib/log.h"

struct live_run {
	uint32_t run, uid;
	bool idle, starts;
	bool cancelled, apart;
	bool replaces; /* it waits for those whose place it is to take */
	char *pull, *scope;
};

struct live {
	struct store_run_list list;
	struct live_run *runs;
	size_t count, room;
	struct engine *en;
};

static void on_live(struct store_run_list *list, const struct store_run *row)
{
	struct live *l = (struct live *)list;
	struct run_ask ask;

	run_ask_read(&ask, row->options);
	if (l->count == l->room) {
		l->room = l->room ? 2 * l->room : 16;
		l->runs = realloc(l->runs, l->room * sizeof *l->runs);
		if (!l->runs)
			abort();
	}
	l->runs[l->count++] = (struct live_run){
	    .run = row->run,
	    .uid = row->uid,
	    .replaces = row->state == RUN_WAITING && !row->cancelled && ask.replaces,
	    .cancelled = row->cancelled,
	    .apart = ask.test,
	    .starts = row->state == RUN_WAITING && !row->cancelled && row->behind == 0,
	    .idle = row->counts[JOB_BLOCKED] + row->counts[JOB_QUEUED] + row->counts[JOB_RUNNING] == 0,
	    .pull = strdup(row->pull),
	    .scope = strdup(row->scope),
	};
	run_ask_clear(&ask);
}

static void on_lives(struct store_op *op, const struct err *e)
{
	if (!e)
		return;
	log_error("runs not read", "why=\"%s\"", e->what);
	((struct live *)op)->en->runs_stuck = true;
}

/* It was stored, and those before it were to be cancelled then: the last daemon may not have come to that. Tests
 * are in nobody's way. */
static void replace_others(struct live *l, const struct live_run *by)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct live_run *r = &l->runs[i];
		struct engine_batch *b;

		if (r->run >= by->run || r->cancelled || r->apart || r->uid != by->uid ||
		    strcmp(r->pull, by->pull) != 0 || strcmp(r->scope, by->scope) != 0)
			continue;
		b = engine_batch_find(l->en, r->run);
		if (b && b->run)
			b->run->replaced_by = by->run;
		engine_batch_cancel(l->en, r->run, NULL, NULL);
	}
}

/* Those with work are found by their lanes. One that waits, for a run that has ended, starts; it is the oldest of its
 * kind that does. */
void engine_runs_recover(struct engine *en)
{
	struct live l = {.list = {.op.done = on_lives, .uid = -1, .live = true, .limit = SIZE_MAX, .on_row = on_live},
			 .en = en};

	en->runs_stuck = false;
	store_run_list(en->store, &l.list);
	for (size_t i = 0; i < l.count; i++)
		if (l.runs[i].replaces)
			replace_others(&l, &l.runs[i]);
	for (size_t i = 0; i < l.count; i++) {
		if (l.runs[i].idle)
			engine_run_conclude(en, l.runs[i].run);
		if (l.runs[i].starts)
			engine_run_next(en, l.runs[i].uid, l.runs[i].pull, l.runs[i].scope);
		free(l.runs[i].pull);
		free(l.runs[i].scope);
	}
	free(l.runs);
}
