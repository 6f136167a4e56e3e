/* The store's own work, in steps of a few milliseconds: what a mark on a batch means for its jobs, and the rest of
 * chains that failed. How far a sweep has come is written with it, so that a restart goes on there. Retention and the
 * care of the files: store_keep.c, store_bodies.c. */
#include <string.h>

#include "daemon/store_sqlite.h"
#include "lib/clock.h"

static const uint32_t everything = JOBID_SEQ_MAX;

/* ---- cancel, retry ---- */

static bool cancels(const struct batch_entry *b, const struct job_brief *j)
{
	(void)b;
	return job_step(j->state, JOB_EV_CANCEL).allowed;
}

static bool expires(const struct batch_entry *b, const struct job_brief *j)
{
	(void)b;
	return job_step(j->state, JOB_EV_EXPIRE).allowed;
}

static bool retries(const struct batch_entry *b, const struct job_brief *j)
{
	if (j->reason != REASON_NONE && j->reason == b->sweep_reason)
		return false;
	return job_step(j->state, JOB_EV_RETRY).allowed;
}

static int cancel_one(struct store *st, struct batch_entry *b, struct job_brief *j)
{
	/* The engine ends it, and attempt_end sees to it that it is not put off. */
	if (store_open_find(st, j->job))
		return 0;
	return store_job_end(st, b, j, JOB_EV_CANCEL, REASON_NONE, NULL);
}

static int fail_one(struct store *st, struct batch_entry *b, struct job_brief *j)
{
	if (store_open_find(st, j->job))
		return 0;
	return store_job_end(st, b, j, JOB_EV_EXPIRE, b->sweep_reason, b->sweep_error);
}

static int retry_one(struct store *st, struct batch_entry *b, struct job_brief *j)
{
	struct group *chain = NULL;

	if (j->chain && !(chain = store_group_find(st, GROUP_CHAIN, j->chain)))
		return -1;
	/* One before it was retried by this sweep, and failed again already. */
	if (chain && chain->failed && chain->failed < j->job)
		return 0;
	return store_job_again(st, b, j, chain);
}

/* Reads the next jobs that the sweep is about. The rows are changed when the statement has ended. */
static size_t sweep_read(struct store *st, struct batch_entry *b,
			 bool (*wanted)(const struct batch_entry *b, const struct job_brief *j), struct job_brief *jobs,
			 int *rc)
{
	size_t n = 0, examined = 0;
	struct job_brief j;
	struct stmt q;

	*rc = 0;
	stmt_begin(&q, st, STMT_JOBS_SWEEP);
	stmt_int(&q, (int64_t)jobid_make(b->id, b->sweep_seq));
	stmt_int(&q, (int64_t)jobid_make(b->id, everything));
	stmt_int(&q, STORE_SWEEP_ROWS * 4);
	while (n < STORE_SWEEP_ROWS && (*rc = stmt_step(&q)) == 1) {
		examined++;
		store_brief_read(&j, &q);
		b->sweep_seq = jobid_seq(j.job);
		if (wanted(b, &j))
			jobs[n++] = j;
	}
	stmt_end(&q);
	if (n < STORE_SWEEP_ROWS && examined < STORE_SWEEP_ROWS * 4)
		b->sweep_seq = everything;
	return n;
}

static int sweep_jobs(struct store *st, struct batch_entry *b)
{
	static const struct sweep {
		bool (*wanted)(const struct batch_entry *b, const struct job_brief *j);
		int (*apply)(struct store *st, struct batch_entry *b, struct job_brief *j);
	} sweeps[] = {
	    [STORE_SWEEP_CANCEL] = {cancels, cancel_one},
	    [STORE_SWEEP_RETRY] = {retries, retry_one},
	    [STORE_SWEEP_FAIL] = {expires, fail_one},
	};
	struct job_brief jobs[STORE_SWEEP_ROWS];
	int rc = 0;
	const struct sweep *s = &sweeps[b->sweep];
	size_t n;

	if (!s->wanted || !s->apply)
		BUG("sweep %d is not one of jobs", (int)b->sweep);
	n = sweep_read(st, b, s->wanted, jobs, &rc);
	for (size_t i = 0; i < n && rc >= 0; i++)
		rc = s->apply(st, b, &jobs[i]);
	store_batch_dirty(st, b, true);
	/* A cancelled batch stays so until its last running job has ended: the commit sees that. */
	if (rc >= 0 && b->sweep_seq == everything && !store_batch_ending(b))
		b->sweep = STORE_SWEEP_NONE;
	return rc;
}

/* ---- remove ---- */

static int cut(struct store *st, enum stmt_id remove, uint64_t from, uint64_t to)
{
	struct stmt q;

	stmt_begin(&q, st, remove);
	stmt_int(&q, (int64_t)from);
	stmt_int(&q, (int64_t)to);
	store_append_forget(st);
	return stmt_run(&q);
}

/* Outcomes may be long, pages longer: few at a time. 1: there may be more. */
static int cut_some(struct store *st, enum stmt_id look, enum stmt_id remove, uint32_t batch, int rows)
{
	uint64_t from = jobid_make(batch, 0), to = jobid_make(batch, everything), last = 0;
	struct stmt q;
	int rc;

	stmt_begin(&q, st, look);
	stmt_int(&q, (int64_t)from);
	stmt_int(&q, (int64_t)to);
	stmt_int(&q, rows);
	rc = stmt_step(&q);
	if (rc == 1)
		last = (uint64_t)col_int(&q, 0);
	stmt_end(&q);
	if (rc < 0 || !last)
		return rc < 0 ? -1 : 0;
	return cut(st, remove, from, last) < 0 ? -1 : 1;
}

static int cut_outcomes(struct store *st, uint32_t batch)
{
	return cut_some(st, STMT_OUTCOMES_CUT, STMT_OUTCOMES_DELETE, batch, STORE_SWEEP_ROWS / 5);
}

static int cut_pages(struct store *st, const struct batch_entry *b)
{
	return b->run ? cut_some(st, STMT_PAGES_CUT, STMT_PAGES_DELETE, b->id, STORE_SWEEP_ROWS / 50) : 0;
}

static int cut_jobs(struct store *st, struct batch_entry *b)
{
	uint64_t from = jobid_make(b->id, 0), to;

	if ((uint64_t)b->sweep_seq + 1 >= b->next_seq)
		return 0;
	b->sweep_seq = everything - b->sweep_seq > STORE_SWEEP_ROWS ? b->sweep_seq + STORE_SWEEP_ROWS : everything;
	to = jobid_make(b->id, b->sweep_seq);
	store_batch_dirty(st, b, true);
	if (cut(st, STMT_TARGET_DELETE, from, to) < 0 || cut(st, STMT_PROGRESS_DELETE, from, to) < 0 ||
	    cut(st, STMT_JOBS_DELETE, from, to) < 0)
		return -1;
	return 1;
}

/* 1: there may be more. */
static int cut_of_batch(struct store *st, enum stmt_id remove, uint32_t batch)
{
	struct stmt q;

	stmt_begin(&q, st, remove);
	stmt_int(&q, batch);
	if (stmt_run(&q) < 0)
		return -1;
	return sqlite3_changes(st->db) == STORE_SWEEP_ROWS;
}

/* Its rows are gone: the batch itself, and then, when that is committed, its files. */
static int cut_batch(struct store *st, struct batch_entry *b)
{
	static const enum stmt_id last[] = {STMT_PLAIN_DELETE, STMT_COUNTED_DELETE, STMT_SPANS_DELETE,
					    STMT_LANES_DELETE, STMT_CHAINS_DELETE,  STMT_TEMPLATE_DELETE,
					    STMT_BATCH_DELETE};
	uint32_t id = b->id;

	if (store_counters_save(st) < 0 || (b->run && cut_of_batch(st, STMT_RUN_DELETE, id) < 0))
		return -1;
	for (size_t i = 0; i < sizeof last / sizeof *last; i++) {
		int rc = cut_of_batch(st, last[i], id);
		if (rc != 0)
			return rc;
	}
	st->totals.bodies_bytes -= b->body_bytes;
	store_groups_forget(st, id);
	store_batch_forget(st, id);
	store_bodies_gone(st, id);
	return 0;
}

/* Small rows by the hundred, large ones by the time they take. */
static int sweep_remove(struct store *st, struct batch_entry *b)
{
	int64_t until = clock_boot_us() + STORE_STEP_US / 2;
	int rc = 1;

	for (int i = 0; i < 10 && rc > 0 && clock_boot_us() < until; i++) {
		rc = cut_outcomes(st, b->id);
		if (rc == 0)
			rc = cut_pages(st, b);
	}
	if (rc == 0)
		rc = cut_jobs(st, b);
	if (rc == 0)
		rc = cut_batch(st, b);
	return rc;
}

/* ---- steps ---- */

static uint32_t next_swept(struct store *st, uint32_t after)
{
	uint32_t id = 0;
	struct stmt q;

	stmt_begin(&q, st, STMT_BATCH_SWEEP_NEXT);
	stmt_int(&q, after);
	if (stmt_step(&q) == 1)
		id = (uint32_t)col_int(&q, 0);
	stmt_end(&q);
	return id;
}

/* Nothing to do for it now. What was sent lately stays on record, for the limits, also of what was removed. */
static bool waits_only(struct store *st, struct batch_entry *b)
{
	if (b->sweep == STORE_SWEEP_REMOVE) {
		bool needed = store_record_needed(st, b);

		st->keeps_removed |= needed;
		return needed;
	}
	return b->sweep == STORE_SWEEP_NONE || (store_batch_ending(b) && b->sweep_seq == everything);
}

/* One batch's turn; the batches take turns. False: there is none with work. */
static bool sweep_batch(struct store *st)
{
	struct batch_entry *b = NULL;
	uint32_t id = st->swept;

	for (int i = 0; i < 2 && !b; i++) {
		while ((id = next_swept(st, id)) && (b = store_batch_find(st, id)) && waits_only(st, b))
			b = NULL;
		st->swept = id;
	}
	if (!b || !store_tx_join(st, NULL, STORE_SWEEP_ROWS))
		return false;
	if (b->sweep == STORE_SWEEP_REMOVE)
		sweep_remove(st, b);
	else
		sweep_jobs(st, b);
	store_tx_leave(st);
	return true;
}

static bool sweep_chain(struct store *st)
{
	struct batch_entry *b = NULL;
	struct group *chain = NULL;
	struct stmt q;

	stmt_begin(&q, st, STMT_CHAINS_REST_NEXT);
	stmt_int(&q, 0);
	if (stmt_step(&q) == 1) {
		chain = store_group_find(st, GROUP_CHAIN, col_int(&q, 0));
		b = store_batch_find(st, (uint32_t)col_int(&q, 1));
	}
	stmt_end(&q);
	if (!chain || !b || !store_tx_join(st, NULL, STORE_REST_ROWS))
		return false;
	store_chain_rest(st, b, chain);
	store_tx_leave(st);
	return true;
}

bool store_sweep_step(struct store *st)
{
	bool uncommitted = st->tx != NULL; /* a mark in it is not in the tables yet: look again behind the commit */

	if (!st->work)
		return false;
	st->work = sweep_batch(st) | sweep_chain(st) | uncommitted;
	return st->work;
}
