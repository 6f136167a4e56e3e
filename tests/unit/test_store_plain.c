/* Plain ends: of jobs that are done by their first attempt, and have no row of their own for that. Nobody can tell them
 * from others; within the turn they are seen before they are in the table; what fails leaves nothing of them. */
#include <signal.h>
#include <sys/resource.h>

#include "daemon/store_sqlite.h"
#include "tests/unit/test_store.h"

#define MANY 200

/* ---- helpers ---- */

static void open_many(struct room *r, uint32_t batch, uint32_t first, uint32_t count)
{
	struct store_attempt_open ops[MANY];

	for (uint32_t i = 0; i < count; i++) {
		ops[i] = (struct store_attempt_open){
		    .op = op_of(r), .job = jobid_make(batch, first + i), .granted_us = clock_wall_us()};
		store_attempt_open(r->st, &ops[i]);
	}
	wait_done(r);
	assert_fine(r);
}

/* Ends first attempts within one turn, and says so after it. */
struct turn {
	struct message_outcome outcomes[MANY];
	struct store_attempt_end ends[MANY];
	size_t count;
};

static void turn_end(struct room *r, struct turn *t, uint64_t job, enum job_state next)
{
	size_t i = t->count++;

	t->outcomes[i] = bare_outcome(job, 1);
	t->outcomes[i].status = 200 + (int)(jobid_seq(job) % 100);
	t->ends[i] = (struct store_attempt_end){
	    .op = op_of(r),
	    .outcome = &t->outcomes[i],
	    .method = "GET",
	    .next = next,
	    .reason = next == JOB_FAILED ? REASON_HTTP_STATUS : REASON_NONE,
	    .tries = 1,
	    .started_wall_us = 1000 + jobid_seq(job),
	    .ended_wall_us = 5000 + jobid_seq(job),
	    .due_us = next == JOB_QUEUED ? 1 : 0,
	    .actions = job_step(JOB_RUNNING, next == JOB_DONE     ? JOB_EV_SUCCEED
					     : next == JOB_FAILED ? JOB_EV_FAIL
								  : JOB_EV_AGAIN)
			   .actions,
	};
	store_attempt_end(r->st, &t->ends[i]);
}

/* In the closed store's database. */
static int64_t count_of(struct room *r, const char *sql)
{
	sqlite3_stmt *s;
	sqlite3 *db;
	int64_t n;

	room_close(r);
	db = room_database(r);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(s), SQLITE_ROW);
	n = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	sqlite3_close(db);
	room_open(r);
	return n;
}

static void assert_checked(struct room *r)
{
	struct err e = {0};

	if (store_check(r->st, &e) < 0)
		fail_msg("%s", e.what);
}

/* ---- what is kept ---- */

static void assert_done(struct room *r, uint32_t batch, uint32_t seq)
{
	struct job_copy c = job_of(r, jobid_make(batch, seq));

	assert_int_equal(c.row.state, JOB_DONE);
	assert_int_equal(c.row.reason, REASON_NONE);
	assert_int_equal(c.row.attempts, 1);
	assert_int_equal(c.row.status, 200 + (int)(seq % 100));
	assert_int_equal(c.row.started_us, 1000 + seq);
	assert_int_equal(c.row.ended_us, 5000 + seq);
	assert_int_equal(c.row.due_us, 0);
	assert_int_equal(c.attempts, 1);
	assert_int_equal(c.newest_n, 1);
}

/* Over the edges of blocks, in two batches, and out of order. */
static void plain_ends_have_no_rows_and_are_read_like_others(void **state)
{
	struct room *r = *state;
	uint32_t batch[2] = {batch_new(r, false), batch_new(r, false)};
	struct turn *t = calloc(1, sizeof *t);

	for (int b = 0; b < 2; b++) {
		jobs_like(r, batch[b], plain_job(), 150);
		open_many(r, batch[b], 1, 150);
	}
	for (uint32_t i = 0; i < 90; i++) {
		for (int b = 0; b < 2; b++)
			turn_end(r, t, jobid_make(batch[b], 1 + i * 7 % 150), JOB_DONE);
	}
	wait_done(r);
	assert_fine(r);
	for (int again = 0; again < 2; again++) {
		for (uint32_t i = 0; i < 90; i++)
			assert_done(r, batch[i % 2], 1 + i * 7 % 150);
		for (uint32_t i = 90; i < 150; i++)
			assert_int_equal(state_of(r, batch[i % 2], 1 + i * 7 % 150), JOB_RUNNING);
		assert_int_equal(batch_of(r, batch[0]).row.counts[JOB_DONE], 90);
		assert_checked(r);
		room_reopen(r);
	}
	assert_int_equal(count_of(r, "SELECT count(*) FROM progress"), 0);
	assert_int_equal(count_of(r, "SELECT count(*) FROM plain_ends"), 6);
	free(t);
}

/* The same block in one commit after the other. */
static void a_block_keeps_what_was_in_it(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), 20);
	open_many(r, batch, 1, 20);
	for (uint32_t i = 0; i < 20; i++) {
		struct turn *t = calloc(1, sizeof *t);
		uint32_t seq = 1 + i * 7 % 20;

		turn_end(r, t, jobid_make(batch, seq), JOB_DONE);
		wait_done(r);
		assert_fine(r);
		assert_done(r, batch, seq);
		free(t);
	}
	for (uint32_t seq = 1; seq <= 20; seq++)
		assert_done(r, batch, seq);
	assert_int_equal(count_of(r, "SELECT count(*) FROM plain_ends"), 1);
}

static void what_is_not_plain_has_a_row(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), 4);
	chain_jobs(r, batch, "a", 2);
	open_many(r, batch, 1, 3);
	end_job(r, jobid_make(batch, 1), 1, (struct end){.next = JOB_FAILED, .reason = REASON_HTTP_STATUS});
	end_job(r, jobid_make(batch, 2), 1, (struct end){.next = JOB_QUEUED, .due_us = 1});
	assert_int_equal(open_job(r, jobid_make(batch, 2)), 2);
	end_job(r, jobid_make(batch, 2), 2, (struct end){.next = JOB_DONE});
	end_job(r, jobid_make(batch, 3), 1, (struct end){.next = JOB_DONE});
	mark_job(r, jobid_make(batch, 4), STORE_MARK_CANCEL);
	for (uint32_t seq = 5; seq <= 6; seq++) {
		open_job(r, jobid_make(batch, seq));
		end_job(r, jobid_make(batch, seq), 1, (struct end){.next = JOB_DONE});
	}
	assert_checked(r);
	assert_int_equal(job_of(r, jobid_make(batch, 2)).row.attempts, 2);
	assert_int_equal(state_of(r, batch, 6), JOB_DONE);
	/* All but the third, and the first of the chain, which never waited. */
	assert_int_equal(count_of(r, "SELECT count(*) FROM progress"), 4);
	assert_int_equal(count_of(r, "SELECT count(*) FROM progress WHERE job & 4294967295 IN (3, 5)"), 0);
}

/* What failed once and is then done by its owner's retry was not plain. */
static void a_retry_leaves_plain_ends_alone(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), 3);
	open_many(r, batch, 1, 3);
	end_job(r, jobid_make(batch, 1), 1, (struct end){.next = JOB_DONE});
	end_job(r, jobid_make(batch, 2), 1, (struct end){.next = JOB_FAILED, .reason = REASON_HTTP_STATUS});
	end_job(r, jobid_make(batch, 3), 1, (struct end){.next = JOB_DONE});
	mark(r, batch, STORE_MARK_CLOSE);
	assert_int_equal(mark_job(r, jobid_make(batch, 1), STORE_MARK_RETRY).code, ERR_CONFLICT);
	assert_int_equal(mark_job(r, jobid_make(batch, 3), STORE_MARK_CANCEL).code, ERR_CONFLICT);
	assert_int_equal(mark(r, batch, STORE_MARK_RETRY).code, ERR_NONE);
	step_all(r);
	assert_int_equal(state_of(r, batch, 1), JOB_DONE);
	assert_int_equal(state_of(r, batch, 2), JOB_QUEUED);
	assert_int_equal(open_job(r, jobid_make(batch, 2)), 2);
	end_job(r, jobid_make(batch, 2), 2, (struct end){.next = JOB_DONE});
	assert_int_equal(batch_of(r, batch).row.counts[JOB_DONE], 3);
	assert_true(batch_of(r, batch).row.ended_us > 0);
}

/* ---- within a turn ---- */

static void a_load_in_the_same_turn_does_not_find_them(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct turn *t = calloc(1, sizeof *t);
	uint64_t ids[8];
	struct store_lane_load l = {.lane = 1, .ids = ids, .room = 8, .now_us = 1};

	jobs_like(r, batch, plain_job(), 3);
	open_many(r, batch, 1, 2);
	turn_end(r, t, jobid_make(batch, 1), JOB_DONE);
	turn_end(r, t, jobid_make(batch, 2), JOB_DONE);
	l.op = op_of(r);
	store_lane_load(r->st, &l);
	assert_true(r->pending >= 2); /* the turn is not over */
	assert_int_equal(l.count, 1);
	assert_int_equal(ids[0], jobid_make(batch, 3));
	wait_done(r);
	free(t);
}

static enum err_code refused;

static void note_refusal(struct store_op *op, const struct err *e)
{
	refused = e ? e->code : ERR_NONE;
	op_done(op, NULL);
}

static void they_are_not_opened_again_in_the_same_turn(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct turn *t = calloc(1, sizeof *t);
	struct store_attempt_open o = {.job = jobid_make(batch, 1)};

	jobs_like(r, batch, plain_job(), 1);
	open_many(r, batch, 1, 1);
	turn_end(r, t, o.job, JOB_DONE);
	o.op = op_of(r);
	o.op.done = note_refusal;
	store_attempt_open(r->st, &o);
	wait_done(r);
	assert_int_equal(refused, ERR_CONFLICT);
	assert_fine(r);
	free(t);
}

static void a_mark_in_the_same_turn_finds_them_done(void **state)
{
	static const enum store_mark marks[] = {STORE_MARK_CANCEL, STORE_MARK_RETRY, STORE_MARK_FAIL};
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), 3);
	open_many(r, batch, 1, 3);
	for (uint32_t i = 0; i < 3; i++) {
		struct store_job_mark m = {.job = jobid_make(batch, i + 1), .mark = marks[i]};
		struct turn *t = calloc(1, sizeof *t);

		turn_end(r, t, m.job, JOB_DONE);
		m.op = op_of(r);
		m.op.done = note_refusal;
		store_job_mark(r->st, &m);
		wait_done(r);
		assert_int_equal(refused, ERR_CONFLICT);
		assert_done(r, batch, i + 1);
		free(t);
	}
}

/* The sweep's step is of the same transaction as the ends before it. */
static void a_cancelled_batch_keeps_what_was_done_in_the_same_turn(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct store_batch_mark m = {.batch = batch, .mark = STORE_MARK_CANCEL};
	struct turn *t = calloc(1, sizeof *t);

	jobs_like(r, batch, plain_job(), 4);
	open_many(r, batch, 1, 2);
	mark(r, batch, STORE_MARK_CANCEL);
	turn_end(r, t, jobid_make(batch, 1), JOB_DONE);
	turn_end(r, t, jobid_make(batch, 2), JOB_DONE);
	store_step(r->st);
	m.op = op_of(r);
	store_batch_mark(r->st, &m);
	wait_done(r);
	step_all(r);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_DONE], 2);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_CANCELLED], 2);
	free(t);
}

/* ---- what fails ---- */

static void of_a_turn_that_fails_none_is_left(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct turn *t = calloc(1, sizeof *t);
	struct store_job_new big = plain_job();
	struct store_jobs_add a = {.batch = batch, .jobs = &big, .count = 1};
	char *body = calloc(1, 400000);

	big.body = memset(body, 'x', 399999);
	big.body_bytes = 399999;
	big.has_body = true;
	jobs_like(r, batch, plain_job(), 100);
	open_many(r, batch, 1, 100);
	turn_end(r, t, jobid_make(batch, 1), JOB_DONE);
	wait_done(r);
	limit_files(256 << 10);
	for (uint32_t seq = 2; seq <= 100; seq++)
		turn_end(r, t, jobid_make(batch, seq), JOB_DONE);
	a.op = op_of(r);
	store_jobs_add(r->st, &a);
	wait_done(r);
	limit_files(RLIM_INFINITY);
	assert_error(r, ERR_NO_SPACE);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_DONE], 1);
	assert_int_equal(batch_of(r, batch).row.counts[JOB_RUNNING], 99);
	assert_checked(r);
	t->count = 0;
	/* Other events than before, and one of them fails. */
	for (uint32_t seq = 100; seq >= 2; seq--)
		turn_end(r, t, jobid_make(batch, seq), seq == 50 ? JOB_FAILED : JOB_DONE);
	wait_done(r);
	assert_fine(r);
	assert_checked(r);
	assert_int_equal(state_of(r, batch, 50), JOB_FAILED);
	for (uint32_t seq = 2; seq <= 100; seq++) {
		if (seq != 50)
			assert_done(r, batch, seq);
	}
	free(body);
	free(t);
}

/* A statement that reads the table has to write them first, and cannot. */
static void a_read_that_cannot_see_them_fails_with_its_turn(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct turn *t = calloc(1, sizeof *t);
	struct stmt q;

	jobs_like(r, batch, plain_job(), 2);
	open_many(r, batch, 1, 2);
	turn_end(r, t, jobid_make(batch, 1), JOB_DONE);
	assert_int_equal(store_plain_held(r->st, jobid_make(batch, 1)), 1);
	assert_int_equal(store_plain_held(r->st, jobid_make(batch, 2)), 0);
	assert_int_equal(sqlite3_exec(r->st->db, "PRAGMA query_only = ON", NULL, NULL, NULL), SQLITE_OK);
	for (int i = 0; i < 2; i++) {
		stmt_begin(&q, r->st, STMT_RESULT);
		stmt_int(&q, 0);
		stmt_int(&q, (int64_t)jobid_make(batch, 2));
		assert_int_equal(stmt_step(&q), -1);
		stmt_end(&q);
		assert_true(r->st->failed);
		/* What failed may have ended the transaction: then this would be written for good. */
		sqlite3_exec(r->st->db, "PRAGMA query_only = OFF; ROLLBACK", NULL, NULL, NULL);
	}
	wait_done(r);
	assert_true(r->last.code != ERR_NONE);
	assert_int_equal(store_plain_held(r->st, jobid_make(batch, 1)), 0);
	assert_int_equal(state_of(r, batch, 1), JOB_RUNNING);
	t->count = 0;
	turn_end(r, t, jobid_make(batch, 1), JOB_DONE);
	wait_done(r);
	assert_fine(r);
	assert_done(r, batch, 1);
	free(t);
}

/* ---- removal, the check, databases from before ---- */

static void a_removed_batch_takes_its_plain_ends_with_it(void **state)
{
	struct room *r = *state;
	uint32_t batch[2] = {batch_new(r, false), batch_new(r, false)};

	for (int b = 0; b < 2; b++) {
		struct turn *t = calloc(1, sizeof *t);

		jobs_like(r, batch[b], plain_job(), MANY);
		open_many(r, batch[b], 1, MANY);
		for (uint32_t seq = 1; seq <= MANY; seq++)
			turn_end(r, t, jobid_make(batch[b], seq), JOB_DONE);
		wait_done(r);
		mark(r, batch[b], STORE_MARK_CLOSE);
		free(t);
	}
	assert_int_equal(count_of(r, "SELECT count(*) FROM plain_ends"), 8);
	mark(r, batch[0], STORE_MARK_REMOVE);
	step_until_quiet(r);
	assert_checked(r);
	assert_int_equal(count_of(r, "SELECT count(*) FROM plain_ends"), 4);
	assert_int_equal(count_of(r, "SELECT count(*) FROM plain_ends WHERE block >> 26 = 2"), 4);
	for (uint32_t seq = 1; seq <= MANY; seq++)
		assert_done(r, batch[1], seq);
}

static void the_check_finds_plain_ends_that_do_not_add_up(void **state)
{
	/* Jobs 1 and 2 of batch 1 are done, by events 1 and 2; the third is queued, the fourth has failed. */
	static const char *const damages[][2] = {
	    {"UPDATE plain_ends SET block = block + 1", "UPDATE plain_ends SET block = block - 1"},
	    {"UPDATE plain_ends SET block = 9 << 26", "UPDATE plain_ends SET block = 1 << 26"},
	    {"UPDATE plain_ends SET events = substr(events, 1, 255)",
	     "UPDATE plain_ends SET events = CAST(events || x'00' AS BLOB)"},
	    {"UPDATE plain_ends SET events = CAST(substr(events, 1, 4) || x'0000000200000001' || substr(events, 13) AS "
	     "BLOB)",
	     "UPDATE plain_ends SET events = CAST(substr(events, 1, 4) || x'0000000100000002' || substr(events, 13) AS "
	     "BLOB)"},
	    {"UPDATE plain_ends SET events = CAST(x'00000001' || substr(events, 5) AS BLOB)",
	     "UPDATE plain_ends SET events = CAST(x'00000000' || substr(events, 5) AS BLOB)"},
	    {"UPDATE plain_ends SET events = CAST(substr(events, 1, 12) || x'00000002' || substr(events, 17) AS BLOB)",
	     "UPDATE plain_ends SET events = CAST(substr(events, 1, 12) || x'00000000' || substr(events, 17) AS BLOB)"},
	    {"UPDATE plain_ends SET events = CAST(substr(events, 1, 16) || x'00000003' || substr(events, 21) AS BLOB)",
	     "UPDATE plain_ends SET events = CAST(substr(events, 1, 16) || x'00000000' || substr(events, 21) AS BLOB)"},
	    {"UPDATE plain_ends SET events = zeroblob(256)",
	     "UPDATE plain_ends SET events = CAST(x'000000000000000100000002' || zeroblob(244) AS BLOB)"},
	    {"UPDATE outcomes SET n = 2 WHERE seq = 1", "UPDATE outcomes SET n = 1 WHERE seq = 1"},
	    {"UPDATE outcomes SET state = 4 WHERE seq = 1", "UPDATE outcomes SET state = 3 WHERE seq = 1"},
	};
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);
	struct err e;

	jobs_like(r, batch, plain_job(), 4);
	open_many(r, batch, 1, 2);
	end_job(r, jobid_make(batch, 1), 1, (struct end){.next = JOB_DONE});
	end_job(r, jobid_make(batch, 2), 1, (struct end){.next = JOB_DONE});
	open_job(r, jobid_make(batch, 4));
	end_job(r, jobid_make(batch, 4), 1, (struct end){.next = JOB_FAILED, .reason = REASON_HTTP_STATUS});
	for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
		meddle(r, damages[i][0]);
		if (store_check(r->st, &e) == 0)
			fail_msg("not found: %s", damages[i][0]);
		assert_int_equal(e.code, ERR_CORRUPT);
		meddle(r, damages[i][1]);
		assert_checked(r);
	}
}

/* A block that is none is damage: nothing is put in its place. */
static void what_is_no_block_is_not_written_over(void **state)
{
	struct room *r = *state;
	uint32_t batch = batch_new(r, false);

	jobs_like(r, batch, plain_job(), 2);
	open_many(r, batch, 1, 2);
	end_job(r, jobid_make(batch, 1), 1, (struct end){.next = JOB_DONE});
	meddle(r, "UPDATE plain_ends SET events = x'0102'");
	end_job(r, jobid_make(batch, 2), 1, (struct end){.next = JOB_DONE});
	assert_error(r, ERR_CORRUPT);
	assert_int_equal(r->heard.trouble.code, ERR_CORRUPT);
	meddle(r, "UPDATE plain_ends SET events = CAST(x'0000000000000001' || zeroblob(248) AS BLOB)");
	assert_int_equal(state_of(r, batch, 1), JOB_DONE);
	assert_int_equal(state_of(r, batch, 2), JOB_RUNNING);
}

/* One done, one failed, one open, one put off, one fresh; as schema 004 has them. */
static void make_version_4(struct room *r)
{
	static const char rows[] =
	    "INSERT INTO batches (id, uid, name, priority, concurrency, held, closed, paused, sweep,"
	    " sweep_seq, sweep_reason, submitted_us, touched_us, next_seq, next_event, n_blocked,"
	    " n_queued, n_done, n_failed, n_cancelled, body_bytes)"
	    " VALUES (1, 1000, 'old', 5, 0, 0, 1, 0, 0, 0, 0, 5, 5, 6, 4, 0, 3, 1, 1, 0, 0);"
	    "INSERT INTO templates VALUES (1, '{}'); INSERT INTO boots VALUES (1, 'before', 900);"
	    "INSERT INTO lanes VALUES (1, 1, 'a.example:80', 0);"
	    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5)"
	    " INSERT INTO jobs (id, lane, submitted_us, url) SELECT 1 << 32 | i, 1, 5, 'http://a.example/x' FROM n;"
	    "INSERT INTO spans VALUES (1, 1 << 32 | 1, 1 << 32 | 5);"
	    "INSERT INTO openings VALUES (1, 1, json_array(json_array(1 << 32 | 3, 1, 77, 5, 800)));"
	    "WITH e(i) AS (VALUES (1), (2), (4)) INSERT INTO outcomes SELECT 1 << 32 | min(i, 3), i, 1, 0,"
	    " CASE i WHEN 1 THEN 3 WHEN 2 THEN 4 ELSE 1 END, iif(i = 2, 1, 0), 0,"
	    " 200, 11, 1, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 700, 701,"
	    " NULL, 'GET', NULL, NULL, NULL, NULL, NULL, NULL FROM e;"
	    "INSERT INTO counted VALUES (1 << 32 | 1, 1, 701);"
	    "INSERT INTO progress SELECT 1 << 32 | seq, state, reason, 1, 0, 1, 0, 1, id & 4294967295, 6,"
	    " iif(state = 1, 9, NULL), NULL FROM outcomes";

	room_make_version(r, 4, rows);
}

static void a_database_with_progress_of_every_job_goes_on(void **state)
{
	static const enum job_state was[] = {JOB_DONE, JOB_FAILED, JOB_RUNNING, JOB_QUEUED, JOB_QUEUED};
	struct room *r = *state;

	room_close(r);
	make_version_4(r);
	room_open(r);
	assert_checked(r);
	for (uint32_t seq = 1; seq <= 5; seq++)
		assert_int_equal(state_of(r, 1, seq), was[seq - 1]);
	assert_int_equal(load(r, 1, false, 0, 100).count, 1);
	assert_int_equal(load(r, 1, true, 0, 100).count, 1);
	end_job(r, jobid_make(1, 3), 1, (struct end){.next = JOB_DONE});
	assert_int_equal(open_job(r, jobid_make(1, 4)), 2);
	end_job(r, jobid_make(1, 4), 2, (struct end){.next = JOB_DONE});
	assert_int_equal(open_job(r, jobid_make(1, 5)), 1);
	end_job(r, jobid_make(1, 5), 1, (struct end){.next = JOB_DONE});
	assert_checked(r);
	assert_true(batch_of(r, 1).row.ended_us > 0);
	assert_int_equal(batch_of(r, 1).row.counts[JOB_DONE], 4);
	assert_int_equal(job_of(r, jobid_make(1, 1)).row.started_us, 6);
	assert_int_equal(count_of(r, "SELECT count(*) FROM progress"), 3);
	assert_int_equal(mark(r, 1, STORE_MARK_RETRY).code, ERR_NONE);
	step_all(r);
	assert_int_equal(state_of(r, 1, 2), JOB_QUEUED);
	mark(r, 1, STORE_MARK_CANCEL);
	step_all(r);
	mark(r, 1, STORE_MARK_REMOVE);
	step_until_quiet(r);
	assert_int_equal(count_of(r, "SELECT (SELECT count(*) FROM progress) + (SELECT count(*) FROM plain_ends)"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(plain_ends_have_no_rows_and_are_read_like_others),
	    TEST(a_block_keeps_what_was_in_it),
	    TEST(what_is_not_plain_has_a_row),
	    TEST(a_retry_leaves_plain_ends_alone),
	    TEST(a_load_in_the_same_turn_does_not_find_them),
	    TEST(they_are_not_opened_again_in_the_same_turn),
	    TEST(a_mark_in_the_same_turn_finds_them_done),
	    TEST(a_cancelled_batch_keeps_what_was_done_in_the_same_turn),
	    TEST(of_a_turn_that_fails_none_is_left),
	    TEST(a_read_that_cannot_see_them_fails_with_its_turn),
	    TEST(a_removed_batch_takes_its_plain_ends_with_it),
	    TEST(the_check_finds_plain_ends_that_do_not_add_up),
	    TEST(what_is_no_block_is_not_written_over),
	    TEST(a_database_with_progress_of_every_job_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
