/* Rows that come in the order of their ids: jobs and outcomes. SQLite looks for the place of a row whose id it is
 * given, from the root down; that of one whose id it is to choose itself is the end. It chooses the one behind the
 * greatest, and for the next row of the newest batch that is the one we mean: so it is left to choose, and looked at
 * afterwards. The greatest is read once, and kept until rows are deleted or a transaction is undone. It must not know
 * what the rows say. */
#include "daemon/store_sqlite.h"

static int64_t greatest_read(struct store *st, enum append_table t)
{
	static const char *const texts[] = {
	    [APPEND_JOBS] = "SELECT max(id) FROM jobs",
	    [APPEND_OUTCOMES] = "SELECT max(id) FROM outcomes",
	};
	_Static_assert(sizeof texts / sizeof *texts == APPEND_TABLES, "a text for each");

	return store_pragma_int(st, texts[t]);
}

void store_append_put(struct stmt *q, enum append_table t, int64_t id)
{
	int64_t *greatest = &q->st->greatest[t];

	if (*greatest <= 0)
		*greatest = greatest_read(q->st, t);
	if (*greatest > 0 && id == *greatest + 1)
		stmt_null(q);
	else
		stmt_int(q, id);
}

int store_append_run(struct stmt *q, enum append_table t, int64_t id)
{
	struct store *st = q->st;

	if (stmt_run(q) < 0)
		return -1;
	if (sqlite3_last_insert_rowid(st->db) != id)
		BUG("a row that was to be %lld became %lld", (long long)id,
		    (long long)sqlite3_last_insert_rowid(st->db));
	if (id > st->greatest[t])
		st->greatest[t] = id;
	return 0;
}

void store_append_forget(struct store *st)
{
	for (enum append_table t = 0; t < APPEND_TABLES; t++)
		st->greatest[t] = 0;
}
