/* Runs: made, started, read. A run is a batch with a row more; what a batch's marks mean for it is here too. Of two
 * runs of one pull the later waits, or is not made: that is seen in the transaction that makes it. Pages:
 * store_pull_page.c; how a run ends, and what stays of it: store_pull_state.c. */
#include <stdio.h>
#include <string.h>

#include "daemon/store_sqlite.h"
#include "lib/clock.h"

static const char *const state_names[RUN_STATES] = {
    [RUN_WAITING] = "waiting", [RUN_RUNNING] = "running", [RUN_ENDED] = "ended"};
static const char *const verdict_names[RUN_VERDICTS] = {
    [RUN_OPEN] = "",         [RUN_COMPLETE] = "complete",   [RUN_INCOMPLETE] = "incomplete",
    [RUN_FAILED] = "failed", [RUN_CANCELLED] = "cancelled", [RUN_PARTIAL] = "partial",
};

const char *run_state_name(enum run_state s)
{
	return (unsigned)s < RUN_STATES ? state_names[s] : "";
}

const char *run_verdict_name(enum run_verdict v)
{
	return (unsigned)v < RUN_VERDICTS ? verdict_names[v] : "";
}

struct batch_entry *store_run_of(struct store *st, struct store_op *op, uint32_t run)
{
	struct batch_entry *b = store_batch_of(st, op, run);

	if (!b || b->run)
		return b;
	store_tx_refuse(st, op, ERR_NOT_FOUND, "fanoutctl status lists what there is", "batch %u is no run", run);
	return NULL;
}

/* ---- others of the same pull ---- */

struct others {
	uint32_t oldest, newest; /* 0: none */
};

/* Runs before `before` of (uid, pull, scope) that have not ended. */
static int others_read(struct store *st, struct others *out, uint32_t before, uint32_t uid, const char *pull,
		       const char *scope)
{
	struct stmt q;
	int rc;

	*out = (struct others){0};
	stmt_begin(&q, st, STMT_RUN_OTHERS);
	stmt_int(&q, before);
	stmt_int(&q, uid);
	stmt_text(&q, pull);
	stmt_text(&q, scope);
	rc = stmt_step(&q);
	if (rc == 1) {
		out->oldest = (uint32_t)col_int(&q, 0);
		out->newest = (uint32_t)col_int(&q, 1);
	}
	stmt_end(&q);
	return rc;
}

/* ---- starting ---- */

static int base_read(struct store *st, uint32_t run, uint32_t *base)
{
	struct stmt q;
	int rc;

	*base = 0;
	stmt_begin(&q, st, STMT_RUN_BASE);
	stmt_int(&q, run);
	rc = stmt_step(&q);
	if (rc == 1)
		*base = (uint32_t)col_int(&q, 0);
	stmt_end(&q);
	return rc;
}

/* What it may refer to is known now, not when it began to wait. */
static int run_begin(struct store *st, struct batch_entry *b, const char *options, const struct store_page_new *pages,
		     size_t count)
{
	struct stmt q;

	if (base_read(st, b->id, &b->base) < 0)
		return -1;
	b->deadline_from_us = b->touched_us = clock_wall_us();
	store_batch_dirty(st, b, true);
	stmt_begin(&q, st, STMT_RUN_START);
	stmt_text(&q, options);
	stmt_int(&q, b->base);
	stmt_int(&q, b->deadline_from_us);
	stmt_int(&q, b->id);
	if (stmt_run(&q) < 0)
		return -1;
	return store_pages_insert(st, b, pages, count);
}

static void run_start(struct store *st, struct store_run_start *s)
{
	struct batch_entry *b = store_run_of(st, &s->op, s->run);
	struct others others = {0};
	bool waits = false;
	struct stmt q;

	if (!b)
		return;
	stmt_begin(&q, st, STMT_RUN_BRIEF);
	stmt_int(&q, b->id);
	if (stmt_step(&q) == 1) {
		waits = col_int(&q, 3) == RUN_WAITING && !b->closed;
		others_read(st, &others, b->id, b->uid, col_text(&q, 1), col_text(&q, 2));
	}
	stmt_end(&q);
	if (!waits)
		store_tx_refuse(st, &s->op, ERR_CONFLICT, NULL, "run %u does not wait", b->id);
	else if (others.newest)
		store_tx_refuse(st, &s->op, ERR_CONFLICT, NULL, "run %u has not ended, and run %u waits for it",
				others.newest, b->id);
	else if (store_pages_fit(st, &s->op, b, s->pages, s->page_count))
		run_begin(st, b, s->options, s->pages, s->page_count);
}

void store_run_start(struct store *st, struct store_run_start *s)
{
	if (!store_tx_join(st, &s->op, s->page_count + 1))
		return;
	run_start(st, s);
	store_tx_leave(st);
}

/* ---- making ---- */

static int run_insert(struct store *st, const struct store_run_create *c, const struct batch_entry *b)
{
	struct stmt q;

	stmt_begin(&q, st, STMT_RUN_INSERT);
	stmt_int(&q, b->id);
	stmt_int(&q, c->uid);
	stmt_int(&q, c->apart);
	stmt_int(&q, c->conditional);
	stmt_int(&q, b->submitted_us);
	stmt_text(&q, c->pull);
	stmt_text(&q, c->scope);
	stmt_text(&q, c->options ? c->options : "{}");
	stmt_text(&q, c->recipe ? c->recipe : "");
	return stmt_run(&q);
}

/* Whoever waits does so behind the newest. */
static int run_meet(struct store *st, struct store_run_create *c)
{
	struct others others;

	if (c->apart)
		return 0;
	if (others_read(st, &others, UINT32_MAX, c->uid, c->pull, c->scope) < 0)
		return -1;
	c->skipped = others.oldest && c->overlap == RUN_SKIP;
	c->waiting = others.oldest && !c->skipped;
	c->other = c->skipped ? others.oldest : others.newest;
	return 0;
}

static void run_create(struct store *st, struct store_run_create *c)
{
	struct store_batch_create make = {
	    .uid = c->uid,
	    .name = c->name,
	    .options = c->batch_options,
	    .priority = c->priority,
	    .concurrency = c->concurrency,
	};
	struct batch_entry *b;

	c->run = c->other = 0;
	c->skipped = c->waiting = false;
	if (run_meet(st, c) < 0 || c->skipped || !store_pages_fit(st, &c->op, NULL, c->pages, c->page_count))
		return;
	b = store_batch_add(st, &c->op, &make);
	if (!b)
		return;
	b->run = true;
	c->run = b->id;
	if (run_insert(st, c, b) == 0 && !c->waiting)
		run_begin(st, b, NULL, c->pages, c->page_count);
}

void store_run_create(struct store *st, struct store_run_create *c)
{
	if (!store_tx_join(st, &c->op, c->page_count + 1))
		return;
	run_create(st, c);
	store_tx_leave(st);
}

/* ---- marks ---- */

int store_run_cut(struct store *st, uint32_t run, const char *error)
{
	struct stmt q;

	stmt_begin(&q, st, STMT_RUN_CUT);
	stmt_text(&q, error);
	stmt_int(&q, run);
	return stmt_run(&q);
}

/* Its batch is open as that of any live run: it ends with the run. */
int store_run_again(struct store *st, struct batch_entry *b)
{
	struct stmt q;

	b->closed = false;
	store_batch_dirty(st, b, true);
	stmt_begin(&q, st, STMT_RUN_AGAIN);
	stmt_int(&q, clock_wall_us());
	stmt_int(&q, (int64_t)b->next_event - 1);
	stmt_int(&q, b->id);
	return stmt_run(&q);
}

/* Column `i` of STMT_RUN_BRIEF; -1: an error. */
static int64_t run_brief(struct store *st, uint32_t run, int i)
{
	int64_t v = -1;
	struct stmt q;

	stmt_begin(&q, st, STMT_RUN_BRIEF);
	stmt_int(&q, run);
	if (stmt_step(&q) == 1)
		v = col_int(&q, i);
	stmt_end(&q);
	return v;
}

bool store_run_waits(struct store *st, uint32_t run)
{
	return run_brief(st, run, 3) == RUN_WAITING;
}

bool store_run_has_ended(struct store *st, uint32_t run)
{
	return run_brief(st, run, 3) == RUN_ENDED;
}

bool store_run_is_complete(struct store *st, uint32_t run)
{
	return run_brief(st, run, 4) == RUN_COMPLETE;
}

bool store_run_refuse_retry(struct store *st, struct store_op *op, const struct batch_entry *b)
{
	bool nothing = b->counts[JOB_FAILED] + b->counts[JOB_CANCELLED] == 0, refused = false;
	char hint[120];
	struct stmt q;

	stmt_begin(&q, st, STMT_RUN_BRIEF);
	stmt_int(&q, b->id);
	if (stmt_step(&q) == 1 && col_int(&q, 4) != RUN_COMPLETE && (!col_null(&q, 6) || nothing)) {
		refused = true;
		snprintf(hint, sizeof hint, "fanoutctl pull run %s starts a new one", col_text(&q, 1));
		if (!col_null(&q, 6))
			store_tx_refuse(st, op, ERR_CONFLICT, hint,
					"run %u was stopped for good, and what it has would stop it again: %s", b->id,
					col_text(&q, 6));
		else
			store_tx_refuse(st, op, ERR_CONFLICT, hint,
					"run %u has no page that failed or was cancelled: nothing can be fetched again",
					b->id);
	}
	stmt_end(&q);
	return refused;
}

/* ---- reading ---- */

/* From RUN_COLUMNS, in their order. */
static void run_read(struct store *st, struct store_run *out, const struct stmt *q)
{
	*out = (struct store_run){
	    .run = (uint32_t)col_int(q, 0),
	    .uid = (uint32_t)col_int(q, 1),
	    .pull = col_text(q, 2),
	    .scope = col_text(q, 3),
	    .recipe = col_text(q, 4),
	    .options = col_text(q, 5),
	    .state = (enum run_state)col_int(q, 6),
	    .verdict = (enum run_verdict)col_int(q, 7),
	    .guard = col_text(q, 8),
	    .receipt = col_text(q, 9),
	    .base = (uint32_t)col_int(q, 10),
	    .created_us = col_int(q, 11),
	    .started_us = col_int(q, 12),
	    .ended_us = col_int(q, 13),
	    .cancelled = col_int(q, 14),
	    .error = col_text(q, 15),
	    .behind = (uint32_t)col_int(q, 21),
	};
	store_counts_read(st, out->counts, out->run, q, 16);
}

void store_run_get(struct store *st, struct store_run_get *g)
{
	struct store_run row;
	struct stmt q;
	int rc;

	store_tx_commit(st);
	stmt_begin(&q, st, STMT_RUN_GET);
	stmt_int(&q, g->run);
	rc = stmt_step(&q);
	if (rc == 1) {
		run_read(st, &row, &q);
		g->on_row(g, &row);
	}
	stmt_end(&q);
	if (rc == 0)
		store_op_refused(&g->op, ERR_NOT_FOUND, "fanoutctl pull list shows yours", "there is no run %u",
				 g->run);
	else
		store_op_done(st, &g->op, rc < 0);
}

static enum stmt_id list_statement(const struct store_run_list *l)
{
	static const enum stmt_id by[2][2] = {{STMT_RUN_LIST, STMT_RUN_LIST_PULL},
					      {STMT_RUN_LIST_UID, STMT_RUN_LIST_UID_PULL}};

	return l->live ? STMT_RUN_LIST_LIVE : by[l->uid >= 0][l->pull != NULL];
}

void store_run_list(struct store *st, struct store_run_list *l)
{
	struct store_run row;
	struct stmt q;
	int rc;

	store_tx_commit(st);
	stmt_begin(&q, st, list_statement(l));
	if (l->live || l->uid >= 0)
		stmt_int(&q, l->uid);
	if (l->live || l->pull)
		stmt_text(&q, l->pull);
	if (l->live)
		stmt_text(&q, l->scope);
	stmt_int(&q, l->before ? (int64_t)l->before : INT64_MAX);
	stmt_int(&q, (int64_t)l->limit);
	while ((rc = stmt_step(&q)) == 1) {
		run_read(st, &row, &q);
		l->on_row(l, &row);
	}
	stmt_end(&q);
	store_op_done(st, &l->op, rc < 0);
}
