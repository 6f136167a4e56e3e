/* Lanes and chains in memory: both are something of a batch with a name and a number. New ones are inserted when they
 * are first named; what changes of them is written once, just before the commit. */
#include <stdlib.h>
#include <string.h>

#include "daemon/store_sqlite.h"

static const struct {
	enum stmt_id by_name, by_id, insert;
	const char *counter; /* in the table of counters */
	const char *max;
} kinds[GROUP_KINDS] = {
    [GROUP_LANE] = {STMT_LANE_BY_KEY, STMT_LANE_BY_ID, STMT_LANE_INSERT, "lane", "SELECT max(id) FROM lanes"},
    [GROUP_CHAIN] = {STMT_CHAIN_BY_NAME, STMT_CHAIN_BY_ID, STMT_CHAIN_INSERT, "chain", "SELECT max(id) FROM chains"},
};

/* The key of by_name: a batch and a name, one behind the other. */
struct group_key {
	uint32_t batch;
	char name[STORE_NAME_MAX + 1];
};

static struct group *group_add(struct store *st, enum group_kind kind, int64_t id, uint32_t batch, const char *name)
{
	size_t len = strlen(name);
	struct group *g = calloc(1, sizeof *g + len + 1);

	if (!g)
		abort();
	g->id = id;
	g->kind = kind;
	g->batch = batch;
	memcpy(g->name, name, len + 1);
	HASH_ADD(by_id, st->groups[kind].by_id, id, sizeof g->id, g);
	HASH_ADD(by_name, st->groups[kind].by_name, batch, sizeof g->batch + len, g);
	return g;
}

static void group_drop(struct store *st, struct group *g)
{
	HASH_DELETE(by_id, st->groups[g->kind].by_id, g);
	HASH_DELETE(by_name, st->groups[g->kind].by_name, g);
	if (st->groups[g->kind].last == g)
		st->groups[g->kind].last = NULL;
	free(g);
}

static void lane_read_last(struct store *st, struct group *g)
{
	struct stmt q;

	stmt_begin(&q, st, STMT_LANE_SPAN);
	stmt_int(&q, g->id);
	if (stmt_step(&q) == 1) {
		g->span = (uint64_t)col_int(&q, 0);
		g->last = (uint64_t)col_int(&q, 1);
	}
	stmt_end(&q);
}

/* Takes the row that the statement stands on, and ends it. */
static struct group *group_read(struct store *st, enum group_kind kind, struct stmt *q)
{
	struct group *g = NULL;

	if (stmt_step(q) == 1) {
		g = group_add(st, kind, col_int(q, 0), (uint32_t)col_int(q, 1), col_text(q, 2));
		if (kind == GROUP_LANE) {
			g->head = g->head_written = (uint64_t)col_int(q, 3);
		} else {
			g->pending = col_int(q, 3);
			g->failed = (uint64_t)col_int(q, 4);
			g->rest = col_int(q, 5);
		}
	}
	stmt_end(q);
	if (g && kind == GROUP_LANE)
		lane_read_last(st, g);
	return g;
}

struct group *store_group_find(struct store *st, enum group_kind kind, int64_t id)
{
	struct group *g;
	struct stmt q;

	HASH_FIND(by_id, st->groups[kind].by_id, &id, sizeof id, g);
	if (g)
		return g;
	stmt_begin(&q, st, kinds[kind].by_id);
	stmt_int(&q, id);
	return group_read(st, kind, &q);
}

static struct group *group_insert(struct store *st, enum group_kind kind, uint32_t batch, const char *name)
{
	int64_t id = st->groups[kind].next_id;
	struct stmt q;

	stmt_begin(&q, st, kinds[kind].insert);
	stmt_int(&q, id);
	stmt_int(&q, batch);
	stmt_text(&q, name);
	if (stmt_run(&q) < 0)
		return NULL;
	st->groups[kind].next_id++;
	return group_add(st, kind, id, batch, name);
}

/* Finds or makes it. NULL only on an SQL error; the name is at most STORE_NAME_MAX long. */
struct group *store_group_get(struct store *st, enum group_kind kind, struct batch_entry *b, const char *name)
{
	struct group *g = st->groups[kind].last;
	struct group_key key = {.batch = b->id};
	size_t len = strlen(name);
	struct stmt q;

	if (g && g->batch == b->id && strcmp(g->name, name) == 0)
		return g; /* jobs come in runs */
	memcpy(key.name, name, len + 1);
	HASH_FIND(by_name, st->groups[kind].by_name, &key, sizeof key.batch + len, g);
	if (!g) {
		stmt_begin(&q, st, kinds[kind].by_name);
		stmt_int(&q, b->id);
		stmt_text(&q, name);
		g = group_read(st, kind, &q);
	}
	if (!g && !st->failed)
		g = group_insert(st, kind, b->id, name);
	st->groups[kind].last = g;
	return g;
}

void store_group_dirty(struct store *st, struct group *g)
{
	if (g->dirty)
		return;
	g->dirty = true;
	g->dirty_next = st->groups[g->kind].dirty;
	st->groups[g->kind].dirty = g;
}

void store_lane_tell(struct store *st, struct group *lane)
{
	if (lane->tell)
		return;
	lane->tell = true;
	lane->tell_next = st->tell_lanes;
	st->tell_lanes = lane;
	st->awaited = true; /* by what is to begin: the next of a chain or of a redirect, a page */
}

int store_lane_settle(struct store *st, struct group *lane)
{
	struct stmt q;

	if (!lane->span_dirty)
		return 0;
	stmt_begin(&q, st, STMT_SPAN_SET);
	stmt_int(&q, lane->id);
	stmt_int(&q, (int64_t)lane->span);
	stmt_int(&q, (int64_t)lane->last);
	if (stmt_run(&q) < 0)
		return -1;
	lane->span_dirty = false;
	return 0;
}

int store_lanes_settle(struct store *st)
{
	for (struct group *g = st->groups[GROUP_LANE].dirty; g; g = g->dirty_next) {
		if (store_lane_settle(st, g) < 0)
			return -1;
	}
	return 0;
}

int store_lane_extend(struct store *st, struct group *lane, uint64_t job)
{
	if (!lane->span || job > lane->last + 1 + STORE_SPAN_GAP) {
		if (store_lane_settle(st, lane) < 0)
			return -1;
		lane->span = job;
	}
	lane->last = job;
	lane->span_dirty = true;
	store_group_dirty(st, lane);
	return 0;
}

static int lane_write(struct store *st, struct group *g)
{
	struct stmt q;

	if (store_lane_settle(st, g) < 0)
		return -1;
	if (g->head == g->head_written)
		return 0;
	g->head_written = g->head;
	stmt_begin(&q, st, STMT_LANE_HEAD);
	stmt_int(&q, (int64_t)g->head);
	stmt_int(&q, g->id);
	return stmt_run(&q);
}

static int chain_write(struct store *st, const struct group *g)
{
	struct stmt q;

	stmt_begin(&q, st, STMT_CHAIN_COUNTS);
	stmt_int(&q, g->pending);
	stmt_int(&q, (int64_t)g->failed);
	stmt_int(&q, g->id);
	return stmt_run(&q);
}

/* The listener hears after the commit; when the first put-off job is due has to be read before. */
static int lane_note(struct store *st, struct store_tx *tx, const struct group *g)
{
	int64_t due = INT64_MAX;
	struct stmt q;
	int rc;

	stmt_begin(&q, st, STMT_LANE_NEXT_DUE);
	stmt_int(&q, g->id);
	rc = stmt_step(&q);
	if (rc == 1 && !col_null(&q, 0))
		due = col_int(&q, 0);
	stmt_end(&q);
	if (rc < 0)
		return -1;
	tx->lanes = store_grow(tx->lanes, &tx->lane_cap, tx->lane_count + 1, sizeof *tx->lanes);
	char *key = strdup(g->name);
	if (!key)
		abort();
	tx->lanes[tx->lane_count++] = (struct store_lane){
	    .id = g->id,
	    .batch = g->batch,
	    .key = key,
	    .head = g->head,
	    .fresh = g->last > g->head && g->last > g->loaded,
	    .next_due_us = due,
	};
	return 0;
}

int store_groups_flush(struct store *st, struct store_tx *tx)
{
	struct group *g;

	for (enum group_kind kind = 0; kind < GROUP_KINDS; kind++) {
		while ((g = st->groups[kind].dirty)) {
			if ((kind == GROUP_LANE ? lane_write(st, g) : chain_write(st, g)) < 0)
				return -1;
			st->groups[kind].dirty = g->dirty_next;
			g->dirty = false;
		}
	}
	while ((g = st->tell_lanes)) {
		if (lane_note(st, tx, g) < 0)
			return -1;
		st->tell_lanes = g->tell_next;
		g->tell = false;
	}
	return 0;
}

void store_groups_trim(struct store *st)
{
	struct group *g, *next;

	for (enum group_kind kind = 0; kind < GROUP_KINDS; kind++) {
		if (HASH_CNT(by_id, st->groups[kind].by_id) <= STORE_CACHE_MAX)
			continue;
		HASH_ITER (by_id, st->groups[kind].by_id, g, next) {
			if (HASH_CNT(by_id, st->groups[kind].by_id) <= STORE_CACHE_MAX * 3 / 4)
				break;
			if (!g->dirty && !g->tell)
				group_drop(st, g);
		}
	}
}

/* All of a batch that goes; none of them is to be written any more. */
void store_groups_forget(struct store *st, uint32_t batch)
{
	struct group *g, *next;

	for (enum group_kind kind = 0; kind < GROUP_KINDS; kind++) {
		HASH_ITER (by_id, st->groups[kind].by_id, g, next) {
			if (g->batch == batch && !g->dirty && !g->tell)
				group_drop(st, g);
		}
	}
}

void store_groups_clear(struct store *st)
{
	struct group *g, *next;

	for (enum group_kind kind = 0; kind < GROUP_KINDS; kind++) {
		HASH_ITER (by_id, st->groups[kind].by_id, g, next) {
			group_drop(st, g);
		}
		st->groups[kind].dirty = NULL;
	}
	st->tell_lanes = NULL;
}

int store_groups_reload(struct store *st)
{
	for (enum group_kind kind = 0; kind < GROUP_KINDS; kind++) {
		int64_t high = store_counter_get(st, kinds[kind].counter);
		int64_t max = store_pragma_int(st, kinds[kind].max);
		if (max < 0)
			return -1;
		if (max > high)
			high = max;
		if (st->groups[kind].next_id <= high)
			st->groups[kind].next_id = high + 1;
	}
	return 0;
}
