/* What is found when a database is opened: is it ours, is it sound, is it of our version. Migrations run in order, each
 * in one transaction with its version number, so that a crash leaves a database of some version and never a half one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/schema.h"
#include "daemon/store_sqlite.h"
#include "lib/log.h"

#define APPLICATION_ID 0x66616e6f /* "fano", in the header of the file */
/* A look at every page costs about 4 ms a MiB; above this it would delay the start too much. SQLite finds a damaged
 * page when it reads it, at any size. */
#define CHECK_BYTES_MAX (64 << 20)

static int fail(struct store *st, int rc, struct err *e)
{
	store_sql_error(st, rc, e);
	return -1;
}

/* SQLite's report has lines. */
static int damaged(const char *report, struct err *e)
{
	char text[200];

	snprintf(text, sizeof text, "%s", report);
	for (char *p = text; (p = strchr(p, '\n'));)
		*p = ' ';
	return err_set(e, ERR_CORRUPT, "restore a copy, or move fanout.db and fanout.db-wal away",
		       "the database is damaged: %s", text);
}

static int quick_check(struct store *st, struct err *e)
{
	sqlite3_stmt *s = NULL;
	const char *text = NULL;
	int rc = sqlite3_prepare_v2(st->db, "PRAGMA quick_check(1)", -1, &s, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		text = (const char *)sqlite3_column_text(s, 0);
	if (!text)
		rc = fail(st, rc, e);
	else
		rc = strcmp(text, "ok") == 0 ? 0 : damaged(text, e);
	sqlite3_finalize(s);
	return rc;
}

static int refuse_foreign(struct store *st, int64_t version, struct err *e)
{
	int64_t id = store_pragma_int(st, "PRAGMA application_id");
	int64_t tables = store_pragma_int(st, "SELECT count(*) FROM sqlite_schema");

	if (id < 0 || tables < 0 || version < 0) {
		*e = st->sql_err;
		return -1;
	}
	if (tables > 0 && id != APPLICATION_ID)
		return err_set(e, ERR_CORRUPT, "give fanoutd a state_dir of its own",
			       "%s/fanout.db is a database of some other program", st->state_dir);
	if (version > schema_migrations[schema_migration_count - 1].version)
		return err_set(e, ERR_VERSION, "install that version of fanout again, or start with a new state_dir",
			       "%s/fanout.db was made by a newer fanout (schema %" PRId64 ", this one knows %u)",
			       st->state_dir, version, schema_migrations[schema_migration_count - 1].version);
	return 0;
}

static int migrate_one(struct store *st, const struct schema_migration *m, struct err *e)
{
	char version[80];
	int rc = sqlite3_exec(st->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

	snprintf(version, sizeof version, "PRAGMA application_id = %d; PRAGMA user_version = %u", APPLICATION_ID,
		 m->version);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(st->db, m->sql, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(st->db, version, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(st->db, "COMMIT", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		return 0;
	fail(st, rc, e);
	sqlite3_exec(st->db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

static int mark_clean(struct store *st, bool clean)
{
	return sqlite3_exec(st->db,
			    clean ? "INSERT OR REPLACE INTO counters VALUES ('clean', 1)"
				  : "DELETE FROM counters WHERE name IN ('clean', 'probe')",
			    NULL, NULL, NULL);
}

void store_schema_close(struct store *st)
{
	if (mark_clean(st, true) == SQLITE_OK)
		sqlite3_wal_checkpoint_v2(st->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
}

int store_schema_open(struct store *st, struct err *e)
{
	int64_t version = store_pragma_int(st, "PRAGMA user_version");
	int64_t pages;
	int rc;

	if (refuse_foreign(st, version, e) < 0)
		return -1;
	for (unsigned i = 0; i < schema_migration_count; i++) {
		if (schema_migrations[i].version <= version)
			continue;
		if (migrate_one(st, &schema_migrations[i], e) < 0)
			return -1;
		log_info("database set up", "schema=%s", schema_migrations[i].name);
	}
	st->page_bytes = (int)store_pragma_int(st, "PRAGMA page_size");
	pages = store_pragma_int(st, "PRAGMA page_count");
	if (version > 0 && pages * st->page_bytes <= CHECK_BYTES_MAX && quick_check(st, e) < 0)
		return -1;
	st->bodies_deep = store_pragma_int(st, "SELECT count(*) FROM counters WHERE name = 'clean'") == 0;
	rc = mark_clean(st, false);
	return rc == SQLITE_OK ? 0 : fail(st, rc, e);
}
