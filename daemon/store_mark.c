/* The owner's word on a batch or on one job. A mark on a batch is one row and done at once; what it means for a million
 * jobs is done by store_sweep, step by step, also after a restart. */
#include <stdio.h>
#include <string.h>

#include "daemon/store_sqlite.h"
#include "lib/clock.h"

static void release_later(struct store *st, uint32_t batch)
{
	struct store_tx *tx = st->tx;

	tx->released = store_grow(tx->released, &tx->released_cap, tx->released_count + 1, sizeof *tx->released);
	tx->released[tx->released_count++] = batch;
}

void store_batch_close(struct store *st, struct batch_entry *b)
{
	if (b->closed)
		return;
	b->closed = true;
	store_batch_dirty(st, b, true);
	if (b->held && b->sweep == STORE_SWEEP_NONE)
		release_later(st, b->id);
}

static void sweep_start(struct store *st, struct batch_entry *b, enum store_sweep sweep)
{
	b->sweep = sweep;
	b->sweep_seq = 0;
	st->work = true;
	store_batch_dirty(st, b, true);
}

/* A run's batch closes with the run. */
static bool mark_close(struct store *st, struct batch_entry *b)
{
	if (b->run && !b->closed)
		return false;
	store_batch_close(st, b);
	return true;
}

static bool mark_pause(struct store *st, struct batch_entry *b)
{
	b->paused = true;
	store_batch_dirty(st, b, true);
	return true;
}

static bool mark_resume(struct store *st, struct batch_entry *b)
{
	b->paused = false;
	store_batch_dirty(st, b, true);
	return true;
}

static bool mark_cancel(struct store *st, struct batch_entry *b)
{
	if (b->ended_us)
		return true;
	sweep_start(st, b, STORE_SWEEP_CANCEL);
	store_batch_close(st, b);
	if (b->run)
		store_run_cut(st, b->id, NULL);
	return true;
}

/* Of two words the first stands, but cancelling is stronger. */
static bool mark_fail(struct store *st, struct batch_entry *b)
{
	if (b->ended_us || store_batch_ending(b))
		return true;
	sweep_start(st, b, STORE_SWEEP_FAIL);
	store_batch_close(st, b);
	if (b->run)
		store_run_cut(st, b->id, b->sweep_error);
	return true;
}

/* What had ended goes on by its owner's word, and has its time once more. The time in between was none of its own. */
static void begin_again(struct store *st, struct batch_entry *b)
{
	int64_t now_us = clock_wall_us(), took_us;

	if (b->run)
		store_run_again(st, b);
	took_us = b->ended_us - (b->deadline_from_us ? b->touched_us : b->submitted_us);
	b->touched_us = now_us - (took_us > 0 ? took_us : 0);
	b->ended_us = 0;
	b->deadline_from_us = now_us;
	st->totals.live_batches++;
}

static bool mark_retry(struct store *st, struct batch_entry *b)
{
	if (!b->ended_us)
		return false;
	if (b->counts[JOB_FAILED] + b->counts[JOB_CANCELLED] == 0)
		return true;
	if (b->run && store_run_is_complete(st, b->id))
		return true;
	begin_again(st, b);
	b->paused = false;
	sweep_start(st, b, STORE_SWEEP_RETRY);
	return true;
}

static bool mark_remove(struct store *st, struct batch_entry *b)
{
	if (!b->ended_us)
		return false;
	store_batch_remove(st, b);
	return true;
}

/* From now on there is no such batch for any reader, and its key is free. */
void store_batch_remove(struct store *st, struct batch_entry *b)
{
	struct store_tx *tx = st->tx;
	struct stmt q;

	if (!b->ended_us) {
		b->ended_us = clock_wall_us();
		st->totals.live_batches--;
	}
	b->closed = true;
	sweep_start(st, b, STORE_SWEEP_REMOVE);
	for (enum job_state s = 0; s < JOB_STATES; s++)
		st->totals.counts[s] -= b->counts[s];
	st->totals.batches--;
	stmt_begin(&q, st, STMT_BATCH_FORGET_KEY);
	stmt_int(&q, b->id);
	stmt_run(&q);
	tx->removed = store_grow(tx->removed, &tx->removed_cap, tx->removed_count + 1, sizeof *tx->removed);
	tx->removed[tx->removed_count++] = b->id;
}

static bool (*const marks[])(struct store *st, struct batch_entry *b) = {
    [STORE_MARK_CLOSE] = mark_close,   [STORE_MARK_PAUSE] = mark_pause, [STORE_MARK_RESUME] = mark_resume,
    [STORE_MARK_CANCEL] = mark_cancel, [STORE_MARK_RETRY] = mark_retry, [STORE_MARK_REMOVE] = mark_remove,
    [STORE_MARK_FAIL] = mark_fail,
};

/* It is asked for what needs an end. */
static void refuse_unended(struct store *st, struct store_op *op, const struct batch_entry *b)
{
	int64_t left = b->counts[JOB_BLOCKED] + b->counts[JOB_QUEUED] + b->counts[JOB_RUNNING];

	if (store_batch_ending(b))
		store_tx_refuse(st, op, ERR_CONFLICT, "wait for its end", "batch %u is %s, with %lld of its jobs to go",
				b->id, b->sweep == STORE_SWEEP_CANCEL ? "being cancelled" : "failing", (long long)left);
	else
		store_tx_refuse(st, op, ERR_CONFLICT, "wait for its end, or cancel it first", "batch %u has not ended",
				b->id);
}

void store_batch_mark(struct store *st, struct store_batch_mark *m)
{
	struct batch_entry *b;

	if (!store_tx_join(st, &m->op, 1))
		return;
	b = store_batch_of(st, &m->op, m->batch);
	if (b && m->mark == STORE_MARK_RETRY && b->run && b->ended_us && store_run_refuse_retry(st, &m->op, b))
		b = NULL;
	if (b) {
		memcpy(m->counts, b->counts, sizeof m->counts);
		if (m->mark == STORE_MARK_RETRY && b->ended_us)
			b->sweep_reason = m->reason;
		if (m->mark == STORE_MARK_FAIL && !store_batch_ending(b)) {
			b->sweep_reason = m->reason;
			snprintf(b->sweep_error, sizeof b->sweep_error, "%s", m->error ? m->error : "");
		}
		if (!marks[m->mark](st, b))
			refuse_unended(st, &m->op, b);
	}
	store_tx_leave(st);
}

/* ---- one job ---- */

static void refuse_job(struct store *st, struct store_job_mark *m, const char *what)
{
	char name[JOBID_TEXT_SIZE];

	store_tx_refuse(st, &m->op, ERR_CONFLICT, NULL, "job %s %s", jobid_format(name, m->job), what);
}

/* The end of one that is not running: cancelled, or failed without a request. */
static void job_end(struct store *st, struct store_job_mark *m, struct batch_entry *b, struct job_brief *j)
{
	enum job_event event = m->mark == STORE_MARK_CANCEL ? JOB_EV_CANCEL : JOB_EV_EXPIRE;
	struct job_step step = job_step(j->state, event);
	bool was_active = j->state == JOB_QUEUED;

	if (store_open_find(st, m->job)) {
		refuse_job(st, m, "is running");
		return;
	}
	if (!step.allowed) {
		refuse_job(st, m, "has ended");
		return;
	}
	if (store_job_end(st, b, j, event, m->reason, m->error) == 0 && j->chain)
		store_chain_ended(st, b, j->chain, j->job, was_active, step.actions);
}

static void job_retry(struct store *st, struct store_job_mark *m, struct batch_entry *b, struct job_brief *j)
{
	struct group *chain = j->chain ? store_group_find(st, GROUP_CHAIN, j->chain) : NULL;
	char name[JOBID_TEXT_SIZE];

	if (!job_step(j->state, JOB_EV_RETRY).allowed || store_open_find(st, m->job)) {
		refuse_job(st, m, "has neither failed nor been cancelled");
		return;
	}
	if (b->run && b->ended_us && store_run_refuse_retry(st, &m->op, b))
		return;
	if (m->reason != REASON_NONE && j->reason == m->reason) {
		store_tx_refuse(st, &m->op, ERR_CONFLICT,
				"look there; if it is to be sent again: fanoutctl retry --unsafe (unsafe=1 of the API)",
				"job %s ended %s: the server may have carried it out", jobid_format(name, m->job),
				job_reason_name(j->reason));
		return;
	}
	if (store_batch_ending(b)) {
		refuse_job(st, m, "is in a batch that is being cancelled");
		return;
	}
	if (chain && chain->failed && chain->failed < j->job) {
		refuse_job(st, m, "waits for one of its chain that failed: retry that one first, or the batch");
		return;
	}
	if (store_job_again(st, b, j, chain) < 0)
		return;
	if (b->ended_us)
		begin_again(st, b);
	store_batch_dirty(st, b, true);
}

void store_job_mark(struct store *st, struct store_job_mark *m)
{
	struct batch_entry *b;
	struct job_brief j;
	int rc;

	if (!store_tx_join(st, &m->op, 1))
		return;
	b = store_batch_of(st, &m->op, jobid_batch(m->job));
	rc = b ? store_job_brief(st, m->job, &j) : -1;
	if (rc == 0)
		store_tx_refuse(st, &m->op, ERR_NOT_FOUND, NULL, "there is no such job in batch %u", b->id);
	else if (rc == 1 && (m->mark == STORE_MARK_CANCEL || m->mark == STORE_MARK_FAIL))
		job_end(st, m, b, &j);
	else if (rc == 1 && m->mark == STORE_MARK_RETRY)
		job_retry(st, m, b, &j);
	else if (rc == 1)
		BUG("mark %d is for batches", (int)m->mark);
	store_tx_leave(st);
}
