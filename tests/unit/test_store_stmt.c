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

static void put_job(struct room *r, int64_t id, bool chained, int64_t chain, const char *tag)
{
	struct stmt q;

	stmt_begin(&q, r->st, STMT_JOB_INSERT);
	stmt_int(&q, id);
	stmt_int(&q, 7);
	if (chained)
		stmt_int(&q, chain);
	else
		stmt_null(&q);
	stmt_int(&q, 1);
	stmt_text(&q, "http://h/");
	stmt_text(&q, NULL);
	stmt_text_again(&q, tag);
	for (int i = 0; i < 4; i++)
		stmt_null(&q);
	assert_int_equal(stmt_run(&q), 0);
}

/* A parameter stays bound to what it was; the statement is told only what differs. */
static void a_row_has_nothing_of_the_row_before(void **state)
{
	static const struct {
		bool chained;
		int64_t chain;
		const char *tag;
	} rows[] = {{true, 5, "a"},   {true, 5, NULL},
		    {false, 0, NULL}, {false, 0, "b"},
		    {true, 0, "b"},   {true, 5, "c"},
		    {false, 0, "c"},  {true, 0, NULL},
		    {true, 0, "c"},   {true, 0, "longer than what is kept for the rows to come"},
		    {true, 0, "c"},   {true, 0, "cc"}};
	struct room *r = *state;
	struct stmt forget;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char *tag = rows[i].tag ? strdup(rows[i].tag) : NULL;

		put_job(r, (int64_t)i + 1, rows[i].chained, rows[i].chain, tag);
		free(tag);
	}
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct stmt q;

		stmt_begin(&q, r->st, STMT_JOB_REQUEST);
		stmt_int(&q, (int64_t)i + 1);
		assert_int_equal(stmt_step(&q), 1);
		assert_int_equal(col_null(&q, 2), !rows[i].chained);
		assert_int_equal(col_int(&q, 2), rows[i].chain);
		assert_string_equal(col_text(&q, 16), rows[i].tag ? rows[i].tag : "");
		stmt_end(&q);
	}
	stmt_begin(&forget, r->st, STMT_JOBS_DELETE);
	stmt_int(&forget, 1);
	stmt_int(&forget, sizeof rows / sizeof *rows);
	assert_int_equal(stmt_run(&forget), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(no_statement_reads_a_whole_table_or_sorts),
	    TEST(a_statement_in_use_is_prepared_anew_for_the_time),
	    TEST(a_row_has_nothing_of_the_row_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
