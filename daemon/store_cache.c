/* Batches and totals in memory. Between two commits they are the truth; store_cache_flush writes each
 * touched batch once, sees which have ended, and notes what the listener is to be told. Entries that are clean and not
 * in use are dropped when there are many. Lanes and chains: store_group.c; open attempts:
 * store_open.c. */
#include <stdlib.h>
#include <string.h>

#include "daemon/store_sqlite.h"
#include "lib/clock.h"

/* ---- batches ---- */

struct batch_entry *store_batch_cached(struct store *st, uint32_t id)
{
	struct batch_entry *b;

	HASH_FIND(hh, st->batches, &id, sizeof id, b);
	return b;
}

struct batch_entry *store_batch_new(struct store *st, uint32_t id)
{
	struct batch_entry *b = calloc(1, sizeof *b);

	if (!b)
		abort();
	b->id = id;
	b->next_seq = b->next_event = 1;
	HASH_ADD(hh, st->batches, id, sizeof b->id, b);
	return b;
}

static void batch_read(struct batch_entry *b, const struct stmt *q)
{
	b->uid = (uint32_t)col_int(q, 0);
	b->held = col_int(q, 1);
	b->closed = col_int(q, 2);
	b->paused = col_int(q, 3);
	b->sweep = (enum store_sweep)col_int(q, 4);
	b->sweep_seq = (uint32_t)col_int(q, 5);
	b->submitted_us = col_int(q, 6);
	b->touched_us = col_int(q, 7);
	b->ended_us = col_int(q, 8);
	b->next_seq = (uint64_t)col_int(q, 9);
	b->next_event = (uint64_t)col_int(q, 10);
	b->last_event = b->next_event - 1;
	b->counts[JOB_BLOCKED] = col_int(q, 11);
	b->counts[JOB_QUEUED] = col_int(q, 12);
	b->counts[JOB_DONE] = col_int(q, 13);
	b->counts[JOB_FAILED] = col_int(q, 14);
	b->counts[JOB_CANCELLED] = col_int(q, 15);
	b->body_bytes = col_int(q, 16);
	b->sweep_reason = (enum job_reason)col_int(q, 17);
	snprintf(b->sweep_error, sizeof b->sweep_error, "%s", col_text(q, 18));
	b->run = !col_null(q, 19);
	b->base = (uint32_t)col_int(q, 19);
	b->deadline_from_us = col_int(q, 20);
}

struct batch_entry *store_batch_find(struct store *st, uint32_t id)
{
	struct batch_entry *b = store_batch_cached(st, id);
	struct stmt q;

	if (b)
		return b;
	stmt_begin(&q, st, STMT_BATCH_LOAD);
	stmt_int(&q, id);
	if (stmt_step(&q) == 1) {
		b = store_batch_new(st, id);
		batch_read(b, &q);
	}
	stmt_end(&q);
	return b;
}

struct batch_entry *store_batch_of(struct store *st, struct store_op *op, uint32_t id)
{
	struct batch_entry *b = store_batch_find(st, id);

	if (b && b->sweep != STORE_SWEEP_REMOVE)
		return b;
	store_tx_refuse(st, op, ERR_NOT_FOUND, "fanoutctl status lists yours", "there is no batch %u", id);
	return NULL;
}

void store_batch_dirty(struct store *st, struct batch_entry *b, bool changed)
{
	b->changed |= changed;
	if (b->dirty)
		return;
	b->dirty = true;
	b->dirty_next = st->dirty_batches;
	st->dirty_batches = b;
}

/* It is removed from the database. Its entry goes with the next trim: it may be among those to write. */
void store_batch_forget(struct store *st, uint32_t id)
{
	struct batch_entry *b = store_batch_cached(st, id);

	for (struct batch_entry **p = &st->dirty_batches; b && *p; p = &(*p)->dirty_next) {
		if (*p == b) {
			*p = b->dirty_next;
			break;
		}
	}
	if (b) {
		HASH_DEL(st->batches, b);
		free(b);
	}
}

void store_count(struct store *st, struct batch_entry *b, enum job_state state, int by)
{
	b->counts[state] += by;
	st->totals.counts[state] += by;
	if (by > 0 && job_state_final(state))
		st->totals.ended[state] += (uint64_t)by;
	store_batch_dirty(st, b, false);
}

bool store_batch_unfinished(const struct batch_entry *b)
{
	return b->counts[JOB_BLOCKED] + b->counts[JOB_QUEUED] + b->counts[JOB_RUNNING] > 0;
}

static void batch_check_end(struct store *st, struct batch_entry *b, int64_t now_us)
{
	if (b->ended_us || !b->closed || store_batch_unfinished(b) || b->sweep == STORE_SWEEP_RETRY)
		return;
	/* Whoever waits for a run waits for its receipt. */
	if (b->run && !store_run_has_ended(st, b->id))
		return;
	b->sweep = store_batch_ending(b) ? STORE_SWEEP_NONE : b->sweep;
	b->ended_us = now_us;
	b->changed = true;
	st->totals.live_batches--;
}

static int batch_write(struct store *st, const struct batch_entry *b)
{
	struct stmt q;

	stmt_begin(&q, st, STMT_BATCH_COUNTS);
	stmt_int(&q, (int64_t)b->next_seq);
	stmt_int(&q, (int64_t)b->next_event);
	stmt_int(&q, b->counts[JOB_BLOCKED]);
	stmt_int(&q, b->counts[JOB_QUEUED] + b->counts[JOB_RUNNING]);
	stmt_int(&q, b->counts[JOB_DONE]);
	stmt_int(&q, b->counts[JOB_FAILED]);
	stmt_int(&q, b->counts[JOB_CANCELLED]);
	stmt_int(&q, b->body_bytes);
	stmt_int(&q, b->id);
	if (stmt_run(&q) < 0)
		return -1;
	if (!b->changed)
		return 0;
	stmt_begin(&q, st, STMT_BATCH_STATE);
	stmt_int(&q, b->held);
	stmt_int(&q, b->closed);
	stmt_int(&q, b->paused);
	stmt_int(&q, b->sweep);
	stmt_int(&q, b->sweep_seq);
	stmt_int(&q, b->touched_us);
	if (b->ended_us)
		stmt_int(&q, b->ended_us);
	else
		stmt_null(&q);
	stmt_int(&q, b->sweep_reason);
	stmt_text(&q, *b->sweep_error ? b->sweep_error : NULL);
	stmt_int(&q, b->deadline_from_us);
	stmt_int(&q, b->id);
	return stmt_run(&q);
}

static void batch_tell(struct store_tx *tx, const struct batch_entry *b)
{
	struct batch_telling *t;

	if (b->sweep == STORE_SWEEP_REMOVE)
		return;
	tx->batches = store_grow(tx->batches, &tx->batch_cap, tx->batch_count + 1, sizeof *tx->batches);
	t = &tx->batches[tx->batch_count++];
	t->news = (struct store_batch_news){
	    .batch = b->id, .last_event = b->last_event, .closed = b->closed, .run = b->run, .ended = b->ended_us != 0};
	memcpy(t->counts, b->counts, sizeof t->counts);
}

static int batches_flush(struct store *st, struct store_tx *tx)
{
	int64_t now = st->dirty_batches ? clock_wall_us() : 0;
	struct batch_entry *b;

	while ((b = st->dirty_batches)) {
		batch_check_end(st, b, now);
		if (batch_write(st, b) < 0)
			return -1;
		batch_tell(tx, b);
		st->dirty_batches = b->dirty_next;
		b->dirty = b->changed = false;
	}
	return 0;
}

static void batches_trim(struct store *st)
{
	struct batch_entry *b, *next;

	if (HASH_COUNT(st->batches) <= STORE_CACHE_MAX)
		return;
	/* In order of their coming: the oldest go. */
	HASH_ITER (hh, st->batches, b, next) {
		if (HASH_COUNT(st->batches) <= STORE_CACHE_MAX * 3 / 4)
			break;
		if (b->dirty || b->counts[JOB_RUNNING] > 0)
			continue;
		HASH_DEL(st->batches, b);
		free(b);
	}
}

/* ---- all of it ---- */

int64_t store_counter_get(struct store *st, const char *name)
{
	struct stmt q;
	int64_t v = 0;

	stmt_begin(&q, st, STMT_COUNTER_GET);
	stmt_text(&q, name);
	if (stmt_step(&q) == 1)
		v = col_int(&q, 0);
	stmt_end(&q);
	return v;
}

int store_counter_set(struct store *st, const char *name, int64_t value)
{
	struct stmt q;

	stmt_begin(&q, st, STMT_COUNTER_SET);
	stmt_text(&q, name);
	stmt_int(&q, value);
	return stmt_run(&q);
}

int store_counters_save(struct store *st)
{
	if (store_counter_set(st, "batch", (int64_t)st->next_batch - 1) < 0 ||
	    store_counter_set(st, "lane", st->groups[GROUP_LANE].next_id - 1) < 0 ||
	    store_counter_set(st, "chain", st->groups[GROUP_CHAIN].next_id - 1) < 0)
		return -1;
	return 0;
}

static int sums_reload(struct store *st)
{
	int64_t high = store_counter_get(st, "batch");
	struct store_totals *t = &st->totals;
	struct stmt q;
	int rc;

	stmt_begin(&q, st, STMT_BATCH_SUMS);
	rc = stmt_step(&q);
	if (rc == 1) {
		t->batches = col_int(&q, 0);
		t->live_batches = col_int(&q, 1);
		t->counts[JOB_BLOCKED] = col_int(&q, 2);
		t->counts[JOB_QUEUED] = col_int(&q, 3);
		t->counts[JOB_DONE] = col_int(&q, 4);
		t->counts[JOB_FAILED] = col_int(&q, 5);
		t->counts[JOB_CANCELLED] = col_int(&q, 6);
		t->counts[JOB_RUNNING] = 0;
		t->bodies_bytes = col_int(&q, 7);
		high = col_int(&q, 8) > high ? col_int(&q, 8) : high;
	}
	stmt_end(&q);
	memcpy(t->ended, st->ended, sizeof t->ended);
	if (st->next_batch <= high)
		st->next_batch = (uint32_t)high + 1;
	return rc;
}

int store_cache_reload(struct store *st)
{
	if (sums_reload(st) < 0 || store_groups_reload(st) < 0 || store_openings_reload(st) < 0)
		return -1;
	return 0;
}

int store_cache_flush(struct store *st, struct store_tx *tx)
{
	if (store_groups_flush(st, tx) < 0 || batches_flush(st, tx) < 0 || store_openings_flush(st) < 0 ||
	    store_plain_flush(st) < 0 || store_boot_flush(st) < 0)
		return -1;
	return 0;
}

void store_cache_trim(struct store *st)
{
	batches_trim(st);
	store_groups_trim(st);
}

void store_cache_clear(struct store *st)
{
	struct batch_entry *b, *next;

	HASH_ITER (hh, st->batches, b, next) {
		HASH_DEL(st->batches, b);
		free(b);
	}
	st->dirty_batches = NULL;
	store_openings_clear(st);
	store_plain_clear(st);
	store_ahead_clear(st);
	store_append_forget(st);
	store_groups_clear(st);
}
