/* The table of statements and how one is used. Every statement binds all its parameters each time, in order, so nothing
 * of an earlier use can leak into a later one; a count that does not fit is a bug and says so. Texts are bound without
 * a copy: they live until stmt_end. */
#include "daemon/store_stmt.h"

#include <string.h>

#include "daemon/store_sqlite.h"

/* Out of (batch << 32 | seq) of j and the event of p: the row of its last outcome. */
#define LAST_OUTCOME "(j.id & -4294967296) | p.outcome"

#define RESULT_COLUMNS                                                                                 \
	"j.id, p.state, p.reason, c.name, j.tag, j.method, j.url, p.attempts, j.submitted_us,"         \
	" p.started_us, p.due_us, o.status, o.size_bytes, o.content_type, o.remote_ip,"                \
	" coalesce(o.final_error, o.error), o.http_version, o.ended_us, o.queued_us, o.limited_us,"    \
	" o.dns_us, o.connect_us, o.tls_us, o.send_us, o.wait_us, o.receive_us, o.total_us, o.method," \
	" o.body_in_file, CASE WHEN ?1 THEN o.body END"
#define RESULT_JOINS                                                                             \
	" FROM jobs j LEFT JOIN progress p ON p.job = j.id LEFT JOIN chains c ON c.id = j.chain" \
	" LEFT JOIN outcomes o ON o.id = " LAST_OUTCOME

#define BATCH_COLUMNS                                                                                   \
	"b.id, b.uid, b.name, b.key, t.options, b.priority, b.concurrency, b.held, b.closed, b.paused," \
	" b.sweep, b.submitted_us, b.ended_us, b.n_blocked, b.n_queued, b.n_done, b.n_failed, b.n_cancelled"

#define BRIEF_COLUMNS                                                                                    \
	"j.id, coalesce(p.lane, j.lane), j.chain, j.submitted_us, p.state, p.reason, p.tries, p.deaths," \
	" p.attempts, p.outcome, p.started_us, p.due_us, p.hops, j.lane"

static const char *const texts[STMT_COUNT] = {
    [STMT_BEGIN] = "BEGIN IMMEDIATE",
    [STMT_COMMIT] = "COMMIT",
    [STMT_ROLLBACK] = "ROLLBACK",
    [STMT_COUNTER_GET] = "SELECT value FROM counters WHERE name = ?",
    [STMT_COUNTER_SET] = "INSERT INTO counters (name, value) VALUES (?, ?)"
			 " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    [STMT_PAGES] = "PRAGMA page_count",
    [STMT_FREE_PAGES] = "PRAGMA freelist_count",

    [STMT_BATCH_INSERT] = "INSERT INTO batches VALUES (?,?,?,?,?,?,?,0,0,0,0,0,NULL,?,?,NULL,1,1,0,0,0,0,0,0)",
    [STMT_TEMPLATE_INSERT] = "INSERT INTO templates VALUES (?,?)",
    [STMT_BATCH_BY_KEY] = "SELECT id FROM batches WHERE uid = ? AND key = ?",
    [STMT_BATCH_LOAD] =
	"SELECT uid, held, closed, paused, sweep, sweep_seq, submitted_us, touched_us, ended_us, next_seq,"
	" next_event, n_blocked, n_queued, n_done, n_failed, n_cancelled, body_bytes, sweep_reason, sweep_error"
	" FROM batches WHERE id = ?",
    [STMT_BATCH_COUNTS] = "UPDATE batches SET next_seq = ?, next_event = ?, n_blocked = ?, n_queued = ?, n_done = ?,"
			  " n_failed = ?, n_cancelled = ?, body_bytes = ? WHERE id = ?",
    [STMT_BATCH_STATE] =
	"UPDATE batches SET held = ?, closed = ?, paused = ?, sweep = ?, sweep_seq = ?, touched_us = ?,"
	" ended_us = ?, sweep_reason = ?, sweep_error = ? WHERE id = ?",
    [STMT_BATCH_FORGET_KEY] = "UPDATE batches SET key = NULL WHERE id = ?",
    [STMT_BATCH_GET] = "SELECT " BATCH_COLUMNS " FROM batches b JOIN templates t ON t.batch = b.id WHERE b.id = ?",
    [STMT_BATCH_LIST] = "SELECT " BATCH_COLUMNS " FROM batches b JOIN templates t ON t.batch = b.id"
			" WHERE b.id < ? AND b.sweep <> 3 ORDER BY b.id DESC LIMIT ?",
    [STMT_BATCH_LIST_UID] = "SELECT " BATCH_COLUMNS " FROM batches b JOIN templates t ON t.batch = b.id"
			    " WHERE b.uid = ? AND b.id < ? AND b.sweep <> 3 ORDER BY b.id DESC LIMIT ?",
    /* What is being removed is gone for everybody; its files are there still. */
    [STMT_BATCH_SUMS] = "SELECT count(*) FILTER (WHERE sweep <> 3), sum(ended_us IS NULL),"
			" sum(n_blocked) FILTER (WHERE sweep <> 3), sum(n_queued) FILTER (WHERE sweep <> 3),"
			" sum(n_done) FILTER (WHERE sweep <> 3), sum(n_failed) FILTER (WHERE sweep <> 3),"
			" sum(n_cancelled) FILTER (WHERE sweep <> 3), sum(body_bytes), max(id) FROM batches",
    [STMT_BATCH_SWEEP_NEXT] = "SELECT id FROM batches WHERE sweep <> 0 AND id > ? ORDER BY id LIMIT 1",
    [STMT_BATCH_IDLE_NEXT] = "SELECT id FROM batches WHERE closed = 0 AND touched_us < ? ORDER BY touched_us LIMIT 1",
    [STMT_BATCH_ENDED_NEXT] = "SELECT id, ended_us FROM batches WHERE ended_us IS NOT NULL AND sweep = 0"
			      " ORDER BY ended_us LIMIT 1",
    [STMT_BATCH_DELETE] = "DELETE FROM batches WHERE id = ?",
    [STMT_TEMPLATE_DELETE] = "DELETE FROM templates WHERE batch = ?",

    [STMT_LANE_BY_KEY] = "SELECT id, batch, key, head FROM lanes WHERE batch = ? AND key = ?",
    [STMT_LANE_BY_ID] = "SELECT id, batch, key, head FROM lanes WHERE id = ?",
    [STMT_LANE_INSERT] = "INSERT INTO lanes VALUES (?,?,?,0)",
    [STMT_LANE_HEAD] = "UPDATE lanes SET head = ? WHERE id = ?",
    [STMT_LANE_LAST] = "SELECT max(id) FROM jobs WHERE lane = ?",
    [STMT_LANE_NEXT_DUE] = "SELECT min(due_us) FROM progress WHERE lane = ? AND due_us IS NOT NULL",
    [STMT_LANES_LIVE] = "SELECT l.id, l.batch, l.key, l.head, (SELECT max(id) FROM jobs WHERE lane = l.id),"
			" (SELECT min(due_us) FROM progress WHERE lane = l.id AND due_us IS NOT NULL)"
			" FROM batches b CROSS JOIN lanes l ON l.batch = b.id"
			" WHERE b.ended_us IS NULL AND (b.closed OR NOT b.held) ORDER BY b.id",
    [STMT_LANES_OF_BATCH] = "SELECT l.id, l.batch, l.key, l.head, (SELECT max(id) FROM jobs WHERE lane = l.id),"
			    " (SELECT min(due_us) FROM progress WHERE lane = l.id AND due_us IS NOT NULL)"
			    " FROM lanes l WHERE l.batch = ?",
    [STMT_LANES_OF_HOST] = "SELECT batch, id FROM lanes WHERE key = ? AND batch >= ? ORDER BY batch LIMIT 1",
    [STMT_LANES_DELETE] = "DELETE FROM lanes WHERE id IN (SELECT id FROM lanes WHERE batch = ? LIMIT 500)",
    [STMT_CHAIN_BY_NAME] = "SELECT id, batch, name, pending, failed, rest FROM chains WHERE batch = ? AND name = ?",
    [STMT_CHAIN_BY_ID] = "SELECT id, batch, name, pending, failed, rest FROM chains WHERE id = ?",
    [STMT_CHAIN_INSERT] = "INSERT INTO chains VALUES (?,?,?,0,0,0)",
    [STMT_CHAIN_COUNTS] = "UPDATE chains SET pending = ?, failed = ? WHERE id = ?",
    [STMT_CHAIN_REST] = "UPDATE chains SET rest = ? WHERE id = ?",
    [STMT_CHAINS_REST_NEXT] = "SELECT id, batch FROM chains WHERE rest AND id > ? ORDER BY id LIMIT 1",
    [STMT_CHAINS_DELETE] = "DELETE FROM chains WHERE id IN (SELECT id FROM chains WHERE batch = ? LIMIT 500)",

    [STMT_JOB_INSERT] = "INSERT INTO jobs VALUES (?,?,?,?,?,?,?,?,?,?,?)",
    [STMT_JOB_REQUEST] =
	"SELECT " BRIEF_COLUMNS ", coalesce(t.url, j.url), j.method, j.tag, j.user, j.options,"
	" j.headers, j.body, t.as_get, t.stripped, t.from_public FROM jobs j LEFT JOIN progress p ON p.job = j.id"
	" LEFT JOIN targets t ON p.hops > 0 AND t.job = j.id WHERE j.id = ?",
    [STMT_JOB_BRIEF] = "SELECT " BRIEF_COLUMNS " FROM jobs j LEFT JOIN progress p ON p.job = j.id WHERE j.id = ?",
    [STMT_JOBS_FRESH] = "SELECT j.id, p.job FROM jobs j LEFT JOIN progress p ON p.job = j.id"
			" WHERE j.lane = ? AND j.id > ? ORDER BY j.id LIMIT ?",
    [STMT_JOB_URL] = "SELECT coalesce(t.url, j.url) FROM jobs j LEFT JOIN targets t ON t.job = j.id WHERE j.id = ?",
    [STMT_JOBS_DUE] = "SELECT job, due_us FROM progress WHERE lane = ? AND due_us IS NOT NULL"
		      " ORDER BY due_us, job LIMIT ?",
    [STMT_JOBS_SWEEP] = "SELECT " BRIEF_COLUMNS " FROM jobs j LEFT JOIN progress p ON p.job = j.id"
			" WHERE j.id > ? AND j.id <= ? ORDER BY j.id LIMIT ?",
    [STMT_JOBS_DELETE] = "DELETE FROM jobs WHERE id BETWEEN ? AND ?",
    [STMT_PROGRESS_INSERT] = "INSERT INTO progress VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
    /* An ended attempt: the job does not wait, and its due time is gone already. So neither index is touched. */
    [STMT_PROGRESS_UPDATE] =
	"UPDATE progress SET state = ?, reason = ?, tries = ?, deaths = ?, attempts = ?, outcome = ?,"
	" started_us = ? WHERE job = ?",
    [STMT_PROGRESS_FULL] =
	"UPDATE progress SET state = ?, reason = ?, tries = ?, deaths = ?, attempts = ?, outcome = ?,"
	" started_us = ?, due_us = ?, waits = ?, lane = ?, hops = ? WHERE job = ?",
    [STMT_PROGRESS_OPENED] = "UPDATE progress SET due_us = NULL WHERE job = ?",
    [STMT_PROGRESS_DELETE] = "DELETE FROM progress WHERE job BETWEEN ? AND ?",
    [STMT_TARGET_SET] = "INSERT INTO targets VALUES (?,?,?,?,?) ON CONFLICT (job) DO UPDATE SET url = excluded.url,"
			" as_get = as_get OR excluded.as_get, stripped = stripped OR excluded.stripped,"
			" from_public = from_public OR excluded.from_public",
    [STMT_TARGET_DELETE] = "DELETE FROM targets WHERE job BETWEEN ? AND ?",
    [STMT_CHAIN_WAITING] = "SELECT job FROM progress WHERE waits = ? AND job > ? ORDER BY job LIMIT ?",

    [STMT_RUNNING_INSERT] = "INSERT INTO running VALUES (?,?,?,?,?,?)",
    [STMT_RUNNING_DELETE] = "DELETE FROM running WHERE job = ?",
    [STMT_RUNNING_ALL] =
	"SELECT r.job, r.n, r.granted_us, r.ready_us, coalesce(p.lane, j.lane), j.chain, p.job, p.attempts,"
	" p.outcome, p.started_us, r.boot, r.granted_boot_us, p.hops FROM running r JOIN jobs j ON j.id = r.job LEFT "
	"JOIN progress p ON p.job = r.job",

    [STMT_OUTCOME_INSERT] = "INSERT INTO outcomes VALUES"
			    " (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [STMT_OUTCOME_BODY] = "SELECT n, body_in_file, size_bytes FROM outcomes WHERE id = ?",
    [STMT_OUTCOME_ATTEMPT] =
	"SELECT n, prev, cause, status, http_version, started_us, first_byte_us, ended_us, queued_us,"
	" limited_us, dns_us, connect_us, tls_us, send_us, wait_us, receive_us, total_us, size_bytes,"
	" wire_bytes, content_type, remote_ip, error, headers, body_in_file OR body IS NOT NULL, state,"
	" url FROM outcomes WHERE id = ?",
    [STMT_OUTCOMES_CUT] = "SELECT max(id) FROM (SELECT id FROM outcomes WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?)",
    [STMT_OUTCOMES_DELETE] = "DELETE FROM outcomes WHERE id BETWEEN ? AND ?",

    /* The newest that a removal would forget. */
    [STMT_OUTCOMES_LAST] = "SELECT boot, counted_boot_us FROM outcomes WHERE id BETWEEN ? AND ? AND boot IS NOT NULL"
			   " ORDER BY id DESC LIMIT 1",
    [STMT_RECENT] = "SELECT (o.id & -4294967296) | o.seq, l.key, coalesce(o.url, j.url), o.counted_boot_us"
		    " FROM outcomes o CROSS JOIN lanes l ON l.id = o.lane"
		    " CROSS JOIN jobs j ON j.id = (o.id & -4294967296) | o.seq"
		    " WHERE o.boot = ? AND o.counted_boot_us > ?",
    [STMT_AUDIT] = "SELECT o.id, (o.id & -4294967296) | o.seq, o.lane, o.n, o.boot, o.sent_boot_us,"
		   " o.counted_boot_us, o.started_us, o.status, coalesce(o.url, j.url)"
		   " FROM outcomes o CROSS JOIN jobs j ON j.id = (o.id & -4294967296) | o.seq"
		   " WHERE o.id > ? AND o.id <= ? ORDER BY o.id LIMIT ?",

    [STMT_BOOT_FIND] = "SELECT id FROM boots WHERE boot = ?",
    [STMT_BOOT_INSERT] = "INSERT INTO boots (boot, last_us) VALUES (?, ?)",
    [STMT_BOOT_NOTE] = "UPDATE boots SET last_us = max(last_us, ?) WHERE id = ?",
    [STMT_BOOTS] = "SELECT id, last_us FROM boots ORDER BY id DESC",

    [STMT_LIMIT_SET] = "INSERT INTO limits VALUES (?,?,?,?,?) ON CONFLICT (name) DO UPDATE SET match = excluded.match,"
		       " rates = excluded.rates, concurrency = excluded.concurrency, pace = excluded.pace",
    [STMT_LIMIT_DELETE] = "DELETE FROM limits WHERE name = ?",
    [STMT_LIMITS] = "SELECT name, match, rates, concurrency, pace FROM limits ORDER BY name",

    [STMT_RESULTS] = "SELECT " RESULT_COLUMNS RESULT_JOINS " WHERE j.id > ? AND j.id <= ? ORDER BY j.id LIMIT ?",
    [STMT_RESULT] = "SELECT " RESULT_COLUMNS RESULT_JOINS " WHERE j.id = ?",
    /* CROSS JOIN: the order of the loops is the order of the events. */
    [STMT_EVENTS] = "SELECT " RESULT_COLUMNS ", o.id, o.state, o.reason, o.n, p.outcome = o.id & 4294967295"
		    " FROM outcomes o CROSS JOIN jobs j ON j.id = (o.id & -4294967296) | o.seq"
		    " LEFT JOIN progress p ON p.job = j.id LEFT JOIN chains c ON c.id = j.chain"
		    " WHERE o.id > ? AND o.id <= ? ORDER BY o.id LIMIT ?",
};

static int prepare(struct store *st, enum stmt_id id, sqlite3_stmt **out)
{
	return sqlite3_prepare_v3(st->db, texts[id], -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
}

int store_stmts_prepare(struct store *st, struct err *e)
{
	for (enum stmt_id id = 0; id < STMT_COUNT; id++) {
		if (!texts[id])
			BUG("statement %d has no text", (int)id);
		int rc = prepare(st, id, &st->stmts[id].s);
		if (rc != SQLITE_OK) {
			store_sql_error(st, rc, e);
			return -1;
		}
	}
	return 0;
}

void store_stmts_finalize(struct store *st)
{
	for (enum stmt_id id = 0; id < STMT_COUNT; id++)
		sqlite3_finalize(st->stmts[id].s);
}

void stmt_begin(struct stmt *q, struct store *st, enum stmt_id id)
{
	*q = (struct stmt){.st = st, .s = st->stmts[id].s, .id = id};
	if (!st->stmts[id].busy) {
		st->stmts[id].busy = true;
		return;
	}
	if (prepare(st, id, &q->s) != SQLITE_OK)
		BUG("statement %d cannot be prepared twice: %s", (int)id, sqlite3_errmsg(st->db));
}

void stmt_int(struct stmt *q, int64_t v)
{
	sqlite3_bind_int64(q->s, ++q->at, v);
}

void stmt_null(struct stmt *q)
{
	sqlite3_bind_null(q->s, ++q->at);
}

void stmt_text(struct stmt *q, const char *text)
{
	if (text)
		sqlite3_bind_text(q->s, ++q->at, text, (int)strlen(text), SQLITE_STATIC);
	else
		sqlite3_bind_null(q->s, ++q->at);
}

void stmt_blob(struct stmt *q, const void *p, size_t n)
{
	sqlite3_bind_blob(q->s, ++q->at, n ? p : "", (int)n, SQLITE_STATIC);
}

int stmt_step(struct stmt *q)
{
	int rc = sqlite3_step(q->s);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	store_sql_failed(q->st, rc);
	return -1;
}

void stmt_end(struct stmt *q)
{
	if (q->at != sqlite3_bind_parameter_count(q->s))
		BUG("statement %d takes %d parameters, got %d", (int)q->id, sqlite3_bind_parameter_count(q->s), q->at);
	if (q->s != q->st->stmts[q->id].s) {
		sqlite3_finalize(q->s);
		return;
	}
	sqlite3_reset(q->s);
	q->st->stmts[q->id].busy = false;
}

int stmt_run(struct stmt *q)
{
	int rc = stmt_step(q);

	stmt_end(q);
	return rc < 0 ? -1 : 0;
}

int stmt_exec(struct store *st, enum stmt_id id)
{
	struct stmt q;

	stmt_begin(&q, st, id);
	return stmt_run(&q);
}
