/* Which attempts are open: in memory each for itself, with what its end needs to know of the job; on disk those that
 * one transaction opened are one row, an opening. The row stays until the last of them is over, which is when their
 * jobs' progress counts them: so an attempt costs neither an insert nor a delete. It must not know why attempts begin
 * or end.
 *
 * A row that names many and has few left is written anew with those: what is read at the start stays within a bound of
 * what is open. */
#include <stdlib.h>
#include <string.h>

#include "daemon/store_sqlite.h"
#include "lib/hash.h"

#define SPARSE_ENTRIES 32
#define SPARSE_FACTOR  16
/* "[" and five numbers, each with what stands behind it. */
#define ENTRY_SIZE (1 + 5 * 21 + 1)

struct opening {
	int64_t id, boot;
	unsigned entries; /* attempts that its row names; 0: it has none yet */
	unsigned live;
	bool dirty;
	LIST_HEAD(, open_attempt) attempts;
	struct opening *dirty_next;
	LIST_ENTRY(opening) all;
};

static void opening_dirty(struct store *st, struct opening *p)
{
	if (p->dirty)
		return;
	p->dirty = true;
	p->dirty_next = st->dirty_openings;
	st->dirty_openings = p;
}

static struct opening *opening_create(struct store *st, int64_t id, int64_t boot)
{
	struct opening *p = calloc(1, sizeof *p);

	if (!p)
		abort();
	p->id = id;
	p->boot = boot;
	LIST_INIT(&p->attempts);
	LIST_INSERT_HEAD(&st->openings, p, all);
	return p;
}

static void opening_free(struct opening *p)
{
	LIST_REMOVE(p, all);
	free(p);
}

/* ---- attempts ---- */

struct open_attempt *store_open_find(struct store *st, uint64_t job)
{
	struct open_attempt *o;

	HASH_FIND(hh, st->open, &job, sizeof job, o);
	return o;
}

static struct open_attempt *open_add(struct store *st, uint64_t job, struct opening *p)
{
	struct open_attempt *o = st->open_spare;

	if (o)
		st->open_spare = o->next_free;
	else if (!(o = malloc(sizeof *o)))
		abort();
	*o = (struct open_attempt){.job = job, .opening = p};
	p->live++;
	LIST_INSERT_HEAD(&p->attempts, o, beside);
	HASH_ADD(hh, st->open, job, sizeof o->job, o);
	return o;
}

struct open_attempt *store_open_add(struct store *st, uint64_t job)
{
	if (!st->opened) {
		st->opened = opening_create(st, st->next_opening++, st->boot);
		opening_dirty(st, st->opened);
	}
	return open_add(st, job, st->opened);
}

static void open_drop(struct store *st, struct open_attempt *o)
{
	HASH_DEL(st->open, o);
	LIST_REMOVE(o, beside);
	o->opening->live--;
	o->next_free = st->open_spare;
	st->open_spare = o;
}

void store_open_remove(struct store *st, struct open_attempt *o, bool taken_back)
{
	struct opening *p = o->opening;

	open_drop(st, o);
	if (taken_back || p->live == 0 || (p->entries >= SPARSE_ENTRIES && p->live <= p->entries / SPARSE_FACTOR))
		opening_dirty(st, p);
}

/* ---- rows ---- */

/* Two digits a division: five numbers an attempt were a fortieth of what the daemon does for a job. */
static char *put_number(char *at, int64_t v, char behind)
{
	char digits[20], *const end = digits + sizeof digits, *d = end;
	uint64_t left = v < 0 ? -(uint64_t)v : (uint64_t)v;

	for (; left >= 10; left /= 100) {
		unsigned two = (unsigned)(left % 100);
		*--d = (char)('0' + two % 10);
		*--d = (char)('0' + two / 10);
	}
	if (left > 0 || d == end)
		*--d = (char)('0' + left);
	if (v < 0)
		*at++ = '-';
	memcpy(at, d, (size_t)(end - d));
	at += end - d;
	*at++ = behind;
	return at;
}

/* NUL behind it; the caller frees. */
static char *attempts_format(const struct opening *p)
{
	char *text = malloc(p->live * (size_t)ENTRY_SIZE + 2), *at = text;
	const struct open_attempt *o;

	if (!text)
		abort();
	LIST_FOREACH (o, &p->attempts, beside) {
		*at = at == text ? '[' : ',';
		*++at = '[';
		at++;
		at = put_number(at, (int64_t)o->job, ',');
		at = put_number(at, o->n, ',');
		at = put_number(at, o->granted_us, ',');
		at = put_number(at, o->ready_us, ',');
		at = put_number(at, o->granted_boot_us, ']');
	}
	*at++ = ']';
	*at = '\0';
	return text;
}

static int opening_write(struct store *st, struct opening *p)
{
	char *text = attempts_format(p);
	struct stmt q;
	int rc;

	stmt_begin(&q, st, STMT_OPENING_SET);
	stmt_int(&q, p->id);
	stmt_int(&q, p->boot);
	stmt_text(&q, text);
	rc = stmt_run(&q);
	free(text);
	p->entries = p->live;
	return rc;
}

static int opening_delete(struct store *st, const struct opening *p)
{
	struct stmt q;

	if (p->entries == 0)
		return 0;
	stmt_begin(&q, st, STMT_OPENING_DELETE);
	stmt_int(&q, p->id);
	return stmt_run(&q);
}

int store_openings_flush(struct store *st)
{
	struct opening *p;

	while ((p = st->dirty_openings)) {
		if ((p->live > 0 ? opening_write(st, p) : opening_delete(st, p)) < 0)
			return -1;
		st->dirty_openings = p->dirty_next;
		p->dirty = false;
		if (p->live == 0)
			opening_free(p);
	}
	st->opened = NULL;
	return 0;
}

/* ---- from the disk ---- */

static void open_read(struct open_attempt *o, const struct stmt *q)
{
	o->n = (uint32_t)col_int(q, 1);
	o->granted_us = col_int(q, 2);
	o->ready_us = col_int(q, 3);
	o->lane = col_int(q, 4);
	o->chain = col_int(q, 5);
	o->progress = !col_null(q, 6);
	o->attempts = (unsigned)col_int(q, 7);
	o->outcome = (uint32_t)col_int(q, 8);
	o->started_us = col_int(q, 9);
	o->boot = col_int(q, 10);
	o->granted_boot_us = col_int(q, 11);
	o->hops = (unsigned)col_int(q, 12);
}

/* In the order of their openings. */
static int open_reload(struct store *st, const struct stmt *q)
{
	uint64_t job = (uint64_t)col_int(q, 0);
	struct batch_entry *b = store_batch_find(st, jobid_batch(job));
	struct opening *p = LIST_FIRST(&st->openings);
	struct open_attempt *o;

	if (!b)
		return err_set(&st->sql_err, ERR_CORRUPT, NULL, "an open attempt has no batch");
	if (store_open_find(st, job))
		return err_set(&st->sql_err, ERR_CORRUPT, NULL, "a job has two open attempts");
	if (!p || p->id != col_int(q, 13))
		p = opening_create(st, col_int(q, 13), col_int(q, 10));
	o = open_add(st, job, p);
	p->entries = p->live;
	open_read(o, q);
	o->inherited = st->inherits;
	b->counts[JOB_QUEUED]--;
	b->counts[JOB_RUNNING]++;
	st->totals.counts[JOB_QUEUED]--;
	st->totals.counts[JOB_RUNNING]++;
	return 0;
}

int store_openings_reload(struct store *st)
{
	int64_t max = store_pragma_int(st, "SELECT max(id) FROM openings");
	struct stmt q;
	int rc;

	if (max < 0)
		return -1;
	st->next_opening = max + 1;
	stmt_begin(&q, st, STMT_RUNNING_ALL);
	while ((rc = stmt_step(&q)) == 1 && (rc = open_reload(st, &q)) == 0)
		;
	stmt_end(&q);
	return rc;
}

void store_openings_clear(struct store *st)
{
	struct open_attempt *o, *next;
	struct opening *p;

	HASH_ITER (hh, st->open, o, next) {
		open_drop(st, o);
	}
	while ((o = st->open_spare)) {
		st->open_spare = o->next_free;
		free(o);
	}
	while ((p = LIST_FIRST(&st->openings)))
		opening_free(p);
	st->opened = st->dirty_openings = NULL;
}
