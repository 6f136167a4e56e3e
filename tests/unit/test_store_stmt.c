/* The statements: none of them reads a whole table where it need not, and each can be used within itself. */
#include "daemon/store_sqlite.h"
#include "tests/unit/test_store.h"

/* These are read whole on purpose: at the start, or because they are small. */
static bool may_scan(enum stmt_id id)
{
	return id == STMT_BATCH_SUMS || id == STMT_RUNNING_ALL || id == STMT_BOOTS || id == STMT_LIMITS ||
	       id == STMT_HOSTS || id == STMT_STATES;
}

static void look_at_plan(sqlite3 *db, const char *sql, bool scans)
{
	sqlite3_stmt *plan;
	char explain[2048];

	snprintf(explain, sizeof explain, "EXPLAIN QUERY PLAN %s", sql);
	assert_int_equal(sqlite3_prepare_v2(db, explain, -1, &plan, NULL), SQLITE_OK);
	while (sqlite3_step(plan) == SQLITE_ROW) {
		const char *detail = (const char *)sqlite3_column_text(plan, 3);
		bool whole = strncmp(detail, "SCAN ", 5) == 0 && !strstr(detail, "INDEX") &&
			     !strstr(detail, "(subquery") && !strstr(detail, "CONSTANT ROW");
		if ((whole && !scans) || strstr(detail, "TEMP B-TREE") || strstr(detail, "AUTOMATIC"))
			fail_msg("%s\n  %s", detail, sql);
	}
	sqlite3_finalize(plan);
}

static void no_statement_reads_a_whole_table_or_sorts(void **state)
{
	struct room *r = *state;

	for (enum stmt_id id = 0; id < STMT_COUNT; id++) {
		const char *sql = sqlite3_sql(r->st->stmts[id].s);
		if (strncmp(sql, "SELECT", 6) == 0 || strncmp(sql, "UPDATE", 6) == 0 || strncmp(sql, "DELETE", 6) == 0)
			look_at_plan(r->st->db, sql, may_scan(id));
	}
}

static void a_statement_in_use_is_prepared_anew_for_the_time(void **state)
{
	struct room *r = *state;
	struct stmt outer, inner;

	batch_new(r, false);
	stmt_begin(&outer, r->st, STMT_BATCH_GET);
	stmt_int(&outer, 1);
	assert_int_equal(stmt_step(&outer), 1);
	stmt_begin(&inner, r->st, STMT_BATCH_GET);
	stmt_int(&inner, 2);
	assert_int_equal(stmt_step(&inner), 0);
	stmt_end(&inner);
	assert_int_equal(col_int(&outer, 0), 1);
	stmt_end(&outer);
	assert_false(r->st->stmts[STMT_BATCH_GET].busy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(no_statement_reads_a_whole_table_or_sorts),
	    TEST(a_statement_in_use_is_prepared_anew_for_the_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
