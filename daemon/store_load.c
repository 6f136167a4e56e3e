/* What can be run: lanes, the ids that wait in them, and what was open when the last daemon ended.
 *
 * A load sees what this turn has written and not yet committed. That is safe (an attempt is opened in the same
 * transaction or in a later one, so nothing is sent for a job that is not on disk) and it keeps the turn one commit:
 * the scheduler loads in every turn. */
#include <stdlib.h>

#include "daemon/store_sqlite.h"
#include "lib/clock.h"

/* ---- lanes ---- */

/* A lane's row of STMT_LANES_LIVE or STMT_LANES_OF_BATCH. */
static void lane_tell_row(struct store *st, const struct stmt *q)
{
	struct store_lane lane = {
	    .id = col_int(q, 0),
	    .batch = (uint32_t)col_int(q, 1),
	    .key = col_text(q, 2),
	    .head = (uint64_t)col_int(q, 3),
	    .fresh = col_int(q, 4) > col_int(q, 3),
	    .next_due_us = col_null(q, 5) ? INT64_MAX : col_int(q, 5),
	};

	if (st->listener.on_lane)
		st->listener.on_lane(st->listener.arg, &lane);
}

void store_lanes_tell_batch(struct store *st, uint32_t batch)
{
	struct stmt q;

	if (store_lanes_settle(st) < 0)
		return;
	stmt_begin(&q, st, STMT_LANES_OF_BATCH);
	stmt_int(&q, batch);
	while (stmt_step(&q) == 1)
		lane_tell_row(st, &q);
	stmt_end(&q);
}

void store_announce_lanes(struct store *st, struct store_op *op)
{
	struct stmt q;
	int rc;

	store_tx_commit(st);
	stmt_begin(&q, st, STMT_LANES_LIVE);
	while ((rc = stmt_step(&q)) == 1)
		lane_tell_row(st, &q);
	stmt_end(&q);
	store_op_done(st, op, rc < 0);
}

void store_lane_head(struct store *st, int64_t lane, uint64_t head)
{
	struct group *g = store_group_find(st, GROUP_LANE, lane);

	if (!g || head <= g->head)
		return;
	g->head = head;
	store_group_dirty(st, g);
}

/* ---- loading ---- */

#define LOOK_FIRST_ROOM 32 /* for a smaller load the look costs more than it saves */

/* Whether something became of a job of its batch behind the last one that was loaded. Nothing, as a rule: then a load
 * need not ask that of each job, which would be most of what it costs. What this transaction holds of plain ends is
 * looked at apart. */
static bool touched(struct store *st, const struct store_lane_load *l, uint32_t batch)
{
	uint64_t first = jobid_make(batch, 0);
	struct stmt q;
	bool is = true;

	if (l->room < LOOK_FIRST_ROOM)
		return true;
	stmt_begin(&q, st, STMT_TOUCHED);
	stmt_int(&q, (int64_t)(l->after > first ? l->after : first));
	stmt_int(&q, (int64_t)jobid_make(batch, UINT32_MAX));
	if (stmt_step(&q) == 1)
		is = col_int(&q, 0) != 0;
	stmt_end(&q);
	return is;
}

static int load_fresh(struct store *st, struct store_lane_load *l, struct group *lane)
{
	int64_t examined = 0;
	struct stmt q;
	int rc = 0;

	if (store_lane_settle(st, lane) < 0)
		return -1;
	stmt_begin(&q, st, touched(st, l, lane->batch) ? STMT_JOBS_FRESH : STMT_JOBS_UNTOUCHED);
	stmt_int(&q, l->lane);
	stmt_int(&q, (int64_t)l->after);
	stmt_int(&q, STORE_EXAMINED_MAX);
	while (l->count < l->room && (rc = stmt_step(&q)) == 1) {
		examined++;
		l->last = (uint64_t)col_int(&q, 0);
		if (!col_null(&q, 1) || store_open_find(st, l->last) || store_plain_held(st, l->last))
			continue;
		l->ids[l->count++] = l->last;
		store_ahead_note(st, l->last, l->lane, col_int(&q, 2), &q, 3);
	}
	stmt_end(&q);
	l->more = (l->count == l->room || examined == STORE_EXAMINED_MAX) && l->last < lane->last;
	if (l->last > lane->loaded)
		lane->loaded = l->last;
	return rc < 0 ? -1 : 0;
}

static int load_due(struct store *st, struct store_lane_load *l)
{
	struct stmt q;
	int rc;

	stmt_begin(&q, st, STMT_JOBS_DUE);
	stmt_int(&q, l->lane);
	stmt_int(&q, (int64_t)l->room + 1);
	while ((rc = stmt_step(&q)) == 1) {
		int64_t due = col_int(&q, 1);
		if (due > l->now_us || l->count == l->room) {
			l->next_due_us = due;
			break;
		}
		l->ids[l->count++] = (uint64_t)col_int(&q, 0);
	}
	stmt_end(&q);
	return rc < 0 ? -1 : 0;
}

static int ids_tell(struct store *st, struct store_lane_load *l)
{
	struct stmt q;
	int rc = 0;

	for (size_t i = 0; i < l->count && rc >= 0; i++) {
		const struct ahead *a = store_ahead_find(st, l->ids[i]);
		if (a) {
			l->on_id(l, i, a->url);
			continue;
		}
		stmt_begin(&q, st, STMT_JOB_URL);
		stmt_int(&q, (int64_t)l->ids[i]);
		rc = stmt_step(&q);
		l->on_id(l, i, rc == 1 ? col_text(&q, 0) : "");
		stmt_end(&q);
	}
	return rc;
}

void store_lane_load(struct store *st, struct store_lane_load *l)
{
	struct batch_entry *b;
	struct group *lane;
	int rc = 0;

	if (st->failed)
		store_tx_commit(st);
	l->count = 0;
	l->more = false;
	l->last = l->after;
	l->next_due_us = INT64_MAX;
	lane = store_group_find(st, GROUP_LANE, l->lane);
	b = lane ? store_batch_find(st, lane->batch) : NULL;
	if (!b) {
		store_op_refused(&l->op, ERR_NOT_FOUND, NULL, "there is no lane %lld", (long long)l->lane);
		return;
	}
	/* The sweep is taking them. */
	if (!store_batch_ending(b) && b->sweep != STORE_SWEEP_REMOVE)
		rc = l->due ? load_due(st, l) : load_fresh(st, l, lane);
	if (rc >= 0 && l->on_id)
		rc = ids_tell(st, l);
	store_op_done(st, &l->op, rc < 0);
}

/* ---- recovery ---- */

static int compare_jobs(const void *a, const void *b)
{
	const struct body_name *x = a, *y = b;

	return (x->job > y->job) - (x->job < y->job);
}

static int open_attempt_tell(struct store *st, struct store_open_attempts *o, uint64_t job)
{
	struct open_attempt *open = store_open_find(st, job);
	struct store_request req;
	struct stmt q;
	int rc;

	if (!open)
		return 0; /* a callback ended it */
	stmt_begin(&q, st, STMT_JOB_REQUEST);
	stmt_int(&q, (int64_t)job);
	rc = stmt_step(&q);
	if (rc == 1) {
		store_request_read(&req, &q);
		req.n = open->n;
		req.ready_us = open->ready_us;
		req.granted_boot_us = store_boot_time_us(st, open->boot, open->granted_boot_us);
		o->on_row(o, &req, open->granted_us);
	}
	stmt_end(&q);
	return rc;
}

/* The list is made first: rows are ended while it is told. */
void store_open_attempts(struct store *st, struct store_open_attempts *o)
{
	size_t n = 0, count;
	struct body_name *list;
	struct open_attempt *open, *next;
	int rc = 0;

	store_tx_commit(st);
	count = HASH_COUNT(st->open);
	list = calloc(count + 1, sizeof *list);
	if (!list)
		abort();
	HASH_ITER (hh, st->open, open, next) {
		list[n++].job = open->job;
	}
	qsort(list, n, sizeof *list, compare_jobs);
	for (size_t i = 0; i < n && rc >= 0; i++)
		rc = open_attempt_tell(st, o, list[i].job);
	free(list);
	store_op_done(st, &o->op, rc < 0);
}
