/* How a run ends, and what stays of it for the next: the state of its pull. Also what its receipt is made of. */
#include "daemon/store_sqlite.h"
#include "lib/clock.h"

/* ---- the end ---- */

static int end_write(struct store *st, const struct store_run_end *e, int64_t now_us)
{
	struct stmt q;

	stmt_begin(&q, st, STMT_RUN_END);
	stmt_int(&q, e->verdict);
	stmt_text(&q, e->receipt);
	stmt_int(&q, now_us);
	stmt_int(&q, e->run);
	return stmt_run(&q);
}

static int state_move(struct store *st, const struct store_run_end *e, int64_t now_us)
{
	struct stmt q;

	if (!e->moves)
		return 0;
	stmt_begin(&q, st, STMT_STATE_MOVE);
	stmt_text(&q, e->since);
	stmt_int(&q, now_us);
	stmt_int(&q, e->run);
	return stmt_run(&q);
}

/* The owner's retry may have come between the last page's end and this. */
static void run_end(struct store *st, struct store_run_end *e)
{
	struct batch_entry *b = store_run_of(st, &e->op, e->run);
	int64_t now = clock_wall_us();

	if (e->moves && e->verdict != RUN_COMPLETE)
		BUG("run %u is %s, and to move its pull's state", e->run, run_verdict_name(e->verdict));
	if (!b)
		return;
	if (store_batch_unfinished(b) || b->sweep == STORE_SWEEP_RETRY) {
		store_tx_refuse(st, &e->op, ERR_CONFLICT, NULL, "pages of run %u have not ended", b->id);
		return;
	}
	if (store_run_has_ended(st, b->id)) {
		store_tx_refuse(st, &e->op, ERR_CONFLICT, NULL, "run %u has ended", b->id);
		return;
	}
	if (end_write(st, e, now) < 0 || state_move(st, e, now) < 0)
		return;
	store_batch_close(st, b);
	store_batch_dirty(st, b, true); /* one that was cancelled is closed, and waits for this */
}

void store_run_end(struct store *st, struct store_run_end *e)
{
	if (!store_tx_join(st, &e->op, 1))
		return;
	run_end(st, e);
	store_tx_leave(st);
}

/* ---- attempts ---- */

_Static_assert(CAUSE_RESPONSE == 0 && CAUSE_DNS == 2 && CAUSE_TLS_VERIFY == 6, "as STMT_RUN_ATTEMPTS has them");

static int attempts_read(struct store *st, struct store_run_attempts *a)
{
	struct stmt q;
	int rc;

	stmt_begin(&q, st, STMT_RUN_ATTEMPTS);
	stmt_int(&q, (int64_t)jobid_make(a->run, a->after_event));
	stmt_int(&q, (int64_t)jobid_make(a->run, UINT32_MAX));
	stmt_int(&q, (int64_t)a->limit);
	while ((rc = stmt_step(&q)) == 1) {
		struct store_run_attempt row = {
		    .page = (uint32_t)col_int(&q, 1),
		    .sent = col_int(&q, 2),
		    .redirected = col_int(&q, 3),
		    .started_us = col_int(&q, 4),
		    .limited_us = col_int(&q, 5),
		    .size_bytes = col_int(&q, 6),
		    .ended_us = col_int(&q, 7),
		    .boot = col_int(&q, 8),
		    .sent_boot_us = col_int(&q, 9),
		    .unreached = col_int(&q, 10),
		    .refused = col_int(&q, 11),
		};
		a->after_event = jobid_seq((uint64_t)col_int(&q, 0));
		a->on_row(a, &row);
	}
	stmt_end(&q);
	return rc;
}

void store_run_attempts(struct store *st, struct store_run_attempts *a)
{
	struct batch_entry *b = store_batch_for(st, &a->op, a->run);
	int rc;

	if (b && !b->run)
		store_op_refused(&a->op, ERR_NOT_FOUND, NULL, "there is no run %u", a->run);
	if (!b || !b->run)
		return;
	rc = attempts_read(st, a);
	a->more = a->limit > 0 && a->after_event < b->next_event - 1;
	store_op_done(st, &a->op, rc < 0);
}

void store_batch_hosts(struct store *st, struct store_host_keys *h)
{
	struct batch_entry *b = store_batch_for(st, &h->op, h->batch);
	struct stmt q;
	int rc;

	if (!b)
		return;
	stmt_begin(&q, st, STMT_BATCH_HOSTS);
	stmt_int(&q, h->batch);
	while ((rc = stmt_step(&q)) == 1)
		h->on_row(h, col_text(&q, 0));
	stmt_end(&q);
	store_op_done(st, &h->op, rc < 0);
}

/* ---- states ---- */

void store_pull_states(struct store *st, struct store_pull_states *s)
{
	struct stmt q;
	int rc;

	store_tx_commit(st);
	stmt_begin(&q, st, STMT_STATES);
	stmt_int(&q, s->uid);
	stmt_text(&q, s->pull);
	stmt_text(&q, s->scope);
	while ((rc = stmt_step(&q)) == 1) {
		struct store_pull_state row = {
		    .uid = (uint32_t)col_int(&q, 0),
		    .pull = col_text(&q, 1),
		    .scope = col_text(&q, 2),
		    .since = col_text(&q, 3),
		    .run = (uint32_t)col_int(&q, 4),
		    .items = col_int(&q, 5),
		    .updated_us = col_int(&q, 6),
		};
		s->on_row(s, &row);
	}
	stmt_end(&q);
	store_op_done(st, &s->op, rc < 0);
}

void store_pull_state_set(struct store *st, struct store_pull_state_set *s)
{
	struct stmt q;

	if (!store_tx_join(st, &s->op, 1))
		return;
	stmt_begin(&q, st, s->since ? STMT_STATE_SET : STMT_STATE_DELETE);
	stmt_int(&q, s->uid);
	stmt_text(&q, s->pull);
	stmt_text(&q, s->scope);
	if (s->since) {
		stmt_text(&q, s->since);
		stmt_int(&q, clock_wall_us());
	}
	stmt_run(&q);
	store_tx_leave(st);
}
