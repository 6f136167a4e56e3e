/* Plain ends: of jobs that had no row in progress and are done by their first attempt. What such a row would say
 * follows from that of the outcome; so all that is kept is which outcome it is, 4 bytes in the row of a block of 64
 * jobs. A job has this or a row in progress, never both: `done` is never left. It must not know why attempts end.
 *
 * The ends of a transaction are held in memory, and each block that they touch is written once: before the commit, and
 * before a statement that reads the table is begun (stmt_begin). Only the few that are used all the time look here
 * instead (store_plain_held). A rollback drops what is held. */
#include <stdlib.h>
#include <string.h>

#include "daemon/store_sqlite.h"
#include "lib/hash.h"

#define BLOCK_SHIFT 6
#define EVENT_BYTES 4
#define BLOCK_BYTES (EVENT_BYTES << BLOCK_SHIFT)

struct plain_block {
	uint64_t block;
	unsigned char events[BLOCK_BYTES];
	UT_hash_handle hh;
};

static size_t place_of(uint64_t job)
{
	return (job & ((1u << BLOCK_SHIFT) - 1)) * EVENT_BYTES;
}

static void event_put(unsigned char *at, uint32_t event)
{
	for (int i = 0; i < EVENT_BYTES; i++)
		at[i] = (unsigned char)(event >> 8 * (EVENT_BYTES - 1 - i));
}

static uint32_t event_get(const unsigned char *at)
{
	uint32_t event = 0;

	for (int i = 0; i < EVENT_BYTES; i++)
		event = event << 8 | at[i];
	return event;
}

/* ---- in SQL ---- */

/* NULL: the value is not a block. */
static const unsigned char *block_of(sqlite3_value *v)
{
	const unsigned char *events = sqlite3_value_blob(v);

	return events && sqlite3_value_bytes(v) == BLOCK_BYTES ? events : NULL;
}

/* plain_end(events, job): the event of its outcome; NULL: none. */
static void sql_end(sqlite3_context *c, int n, sqlite3_value **arg)
{
	const unsigned char *events = block_of(arg[0]);
	uint32_t event = events ? event_get(events + place_of((uint64_t)sqlite3_value_int64(arg[1]))) : 0;

	(void)n;
	if (event)
		sqlite3_result_int64(c, event);
}

/* plain_merge(events, more): both together. */
static void sql_merge(sqlite3_context *c, int n, sqlite3_value **arg)
{
	const unsigned char *old = block_of(arg[0]), *more = block_of(arg[1]);
	unsigned char both[BLOCK_BYTES];

	(void)n;
	if (!old || !more) {
		sqlite3_result_error_code(c, SQLITE_CORRUPT);
		return;
	}
	for (size_t i = 0; i < BLOCK_BYTES; i++)
		both[i] = old[i] | more[i];
	sqlite3_result_blob(c, both, sizeof both, SQLITE_TRANSIENT);
}

int store_plain_open(struct store *st, struct err *e)
{
	const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
	int rc = sqlite3_create_function_v2(st->db, "plain_end", 2, flags, NULL, sql_end, NULL, NULL, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_create_function_v2(st->db, "plain_merge", 2, flags, NULL, sql_merge, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		return 0;
	store_sql_error(st, rc, e);
	return -1;
}

/* ---- of this transaction ---- */

static struct plain_block *held_find(const struct store *st, uint64_t block)
{
	struct plain_block *p;

	HASH_FIND(hh, st->plain, &block, sizeof block, p);
	return p;
}

void store_plain_note(struct store *st, uint64_t job, uint32_t event)
{
	struct plain_block *p = held_find(st, job >> BLOCK_SHIFT);

	if (!p) {
		p = calloc(1, sizeof *p);
		if (!p)
			abort();
		p->block = job >> BLOCK_SHIFT;
		HASH_ADD(hh, st->plain, block, sizeof p->block, p);
	}
	event_put(p->events + place_of(job), event);
}

uint32_t store_plain_held(const struct store *st, uint64_t job)
{
	const struct plain_block *p = st->plain ? held_find(st, job >> BLOCK_SHIFT) : NULL;

	return p ? event_get(p->events + place_of(job)) : 0;
}

static int block_write(struct store *st, const struct plain_block *p)
{
	struct stmt q;

	stmt_begin(&q, st, STMT_PLAIN_ADD);
	stmt_int(&q, (int64_t)p->block);
	stmt_blob(&q, p->events, sizeof p->events);
	return stmt_run(&q);
}

int store_plain_flush(struct store *st)
{
	struct plain_block *p, *next;

	/* What failed may have undone the transaction: nothing is written outside of it. */
	if (st->plain && st->failed)
		return -1;
	HASH_ITER (hh, st->plain, p, next) {
		if (block_write(st, p) < 0)
			return -1;
		HASH_DEL(st->plain, p);
		free(p);
	}
	return 0;
}

void store_plain_clear(struct store *st)
{
	struct plain_block *p, *next;

	HASH_ITER (hh, st->plain, p, next) {
		HASH_DEL(st->plain, p);
		free(p);
	}
}
