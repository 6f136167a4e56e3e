/* What was read of a job when it was loaded, so that its opening need not read it again: of jobs that ask for nothing
 * but a URL, and have not begun. A table of fixed size in which a later job may take the place of an earlier one; who
 * finds nothing here reads the tables. A job's row never changes, so what is noted holds until the job makes progress.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/store_sqlite.h"

/* Jobs of one batch that are near each other have places of their own. */
static struct ahead *place_of(const struct store *st, uint64_t job)
{
	return &st->ahead[(jobid_seq(job) + jobid_batch(job) * 977u) & (STORE_AHEAD_PLACES - 1)];
}

void store_ahead_note(struct store *st, uint64_t job, int64_t lane, int64_t submitted_us, const struct stmt *q, int url)
{
	const char *text = col_text_or_null(q, url);
	size_t bytes = text ? (size_t)sqlite3_column_bytes(q->s, url) + 1 : 0;
	struct ahead *a;

	if (!text || bytes > sizeof a->url)
		return;
	if (!st->ahead && !(st->ahead = calloc(STORE_AHEAD_PLACES, sizeof *st->ahead)))
		abort();
	a = place_of(st, job);
	a->job = job;
	a->lane = lane;
	a->submitted_us = submitted_us;
	a->url_bytes = (uint32_t)bytes;
	memcpy(a->url, text, bytes);
}

const struct ahead *store_ahead_find(const struct store *st, uint64_t job)
{
	const struct ahead *a = st->ahead ? place_of(st, job) : NULL;

	return a && a->job == job ? a : NULL;
}

void store_ahead_forget(struct store *st, uint64_t job)
{
	if (st->ahead && place_of(st, job)->job == job)
		place_of(st, job)->job = 0;
}

void store_ahead_clear(struct store *st)
{
	free(st->ahead);
	st->ahead = NULL;
}
