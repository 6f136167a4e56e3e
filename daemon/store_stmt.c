/* The table of statements and how one is used. Every statement is given all its parameters each time, in order, so
 * nothing of an earlier use can leak into a later one; a count that does not fit is a bug and says so. Most numbers of
 * a row are those of the row before, and a parameter keeps what it was bound to: SQLite is not told again. Texts are
 * bound without a copy, and live until stmt_end, but for those that are likely to come again: these are kept. */
#include "daemon/store_stmt.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/store_sqlite.h"

/* The row of its last outcome: its number is (batch << 32 | event). */
#define LAST_OUTCOME "(j.id & -4294967296) | " STMT_EVENT

/* Of a plain end, the outcome's row says what a row of progress would. (Where o is not the last outcome but that of an
 * event, too: a job with a plain end has no other.) */
#define RESULT_COLUMNS                                                                                              \
	"j.id, coalesce(p.state, o.state), coalesce(p.reason, o.reason), c.name, j.tag, j.method, j.url,"           \
	" coalesce(p.attempts, o.n), j.submitted_us, coalesce(p.started_us, o.started_us), p.due_us, o.status,"     \
	" o.size_bytes, o.content_type, o.remote_ip, coalesce(o.final_error, o.error), o.http_version, o.ended_us," \
	" o.queued_us, o.limited_us, o.dns_us, o.connect_us, o.tls_us, o.send_us, o.wait_us, o.receive_us,"         \
	" o.total_us, o.method, o.body_in_file, CASE WHEN ?1 THEN o.body END,"                                      \
	" CASE WHEN o.n = 0 AND o.prev THEN (o.id & -4294967296) | o.prev END"
#define RESULT_JOINS                 \
	" FROM jobs j" STMT_PROGRESS \
	" LEFT JOIN chains c ON c.id = j.chain LEFT JOIN outcomes o ON o.id = " LAST_OUTCOME

#define BATCH_COLUMNS                                                                                         \
	"b.id, b.uid, b.name, b.key, t.options, b.priority, b.concurrency, b.held, b.closed, b.paused,"       \
	" b.sweep, b.submitted_us, b.ended_us, b.n_blocked, b.n_queued, b.n_done, b.n_failed, b.n_cancelled," \
	" (SELECT state * 8 + verdict FROM runs WHERE batch = b.id), b.deadline_from_us, b.touched_us"

#define BRIEF_COLUMNS                                                                                    \
	"j.id, coalesce(p.lane, j.lane), j.chain, j.submitted_us, p.state, p.reason, p.tries, p.deaths," \
	" p.attempts, " STMT_EVENT ", p.started_us, p.due_us, p.hops, j.lane"

/* A waiting run waits for the newest before it of the same pull. */
#define RUN_COLUMNS                                                                                            \
	"r.batch, r.uid, r.pull, r.scope, r.recipe, r.options, r.state, r.verdict, r.guard, r.receipt,"        \
	" r.base, r.created_us, r.started_us, r.ended_us, r.cancelled, r.error,"                               \
	" b.n_blocked, b.n_queued, b.n_done, b.n_failed, b.n_cancelled,"                                       \
	" CASE WHEN r.state = 0 THEN (SELECT max(w.batch) FROM runs w INDEXED BY runs_live WHERE w.state <> 2" \
	" AND w.batch < r.batch AND w.uid = r.uid AND w.pull = r.pull AND w.scope = r.scope AND NOT w.apart) END"
/* Of an outcome: the host takes no requests now; as engine_refused() has it. */
#define REFUSED                                                                                            \
	"o.cause = 0 AND (o.status = 429 OR o.status = 503 AND char(10) || o.headers LIKE '%' || char(10)" \
	" || 'retry-after:%')"
#define LANE_LAST "(SELECT last FROM spans WHERE lane = l.id ORDER BY first DESC LIMIT 1)"

/* `runs`: joined before the outcomes are looked at. */
#define RECENT(runs)                                                                                    \
	"SELECT (o.id & -4294967296) | o.seq, l.key, coalesce(o.url, j.url), o.counted_boot_us"         \
	" FROM counted c" runs " CROSS JOIN outcomes o ON o.id >= c.outcome AND o.id <"                 \
	" coalesce((SELECT min(n.outcome) FROM counted n WHERE n.outcome > c.outcome"                   \
	" AND n.outcome <= c.outcome | 4294967295), (c.outcome | 4294967295) + 1)"                      \
	" CROSS JOIN lanes l ON l.id = o.lane CROSS JOIN jobs j ON j.id = (o.id & -4294967296) | o.seq" \
	" WHERE c.boot = ?1 AND c.until_boot_us > ?2 AND o.boot = ?1 AND o.counted_boot_us > ?2"

#define RUN_LIST(index, where)                                                                             \
	"SELECT " RUN_COLUMNS " FROM runs r " index " CROSS JOIN batches b ON b.id = r.batch WHERE " where \
	" r.batch < ? AND b.sweep <> 3 ORDER BY r.batch "

/* Of jobs of a URL and nothing else, numbered on from ?2; ?1: when. Then a lane and a URL for each. */
#define PLAIN(n)            ",(?2+" #n ",?,?1,?)"
#define PLAIN_4(a, b, c, d) PLAIN(a) PLAIN(b) PLAIN(c) PLAIN(d)
#define PLAIN_15            PLAIN(1) PLAIN(2) PLAIN(3) PLAIN_4(4, 5, 6, 7) PLAIN_4(8, 9, 10, 11) PLAIN_4(12, 13, 14, 15)
#define PLAIN_16_ON         PLAIN_4(16, 17, 18, 19) PLAIN_4(20, 21, 22, 23) PLAIN_4(24, 25, 26, 27) PLAIN_4(28, 29, 30, 31)

/* From the span that holds the last one on. The URL only of those that ask for nothing else. */
#define JOBS_FRESH(event, progress)                                                                               \
	"SELECT j.id, " event ", j.submitted_us, CASE WHEN coalesce(j.chain, j.method, j.tag, j.user, j.options," \
	" j.headers, j.body) IS NULL THEN j.url END"                                                              \
	" FROM spans s CROSS JOIN jobs j ON j.id > max(s.first - 1, ?2) AND j.id <= s.last" progress              \
	" WHERE s.lane = ?1 AND j.lane = ?1 AND s.first >="                                                       \
	" coalesce((SELECT max(first) FROM spans WHERE lane = ?1 AND first <= ?2), 0) ORDER BY s.first, j.id LIMIT ?3"

/* What a page said; a struct message_page with its keys. */
#define SAID_COLUMNS                                                                                              \
	"items, next, next_is_url, has_more, stop, total_pages, total_items, since, etag, last_modified, hash_1," \
	" hash_2, keys"

static const char *const texts[STMT_COUNT] = {
    [STMT_BEGIN] = "BEGIN IMMEDIATE",
    [STMT_COMMIT] = "COMMIT",
    [STMT_ROLLBACK] = "ROLLBACK",
    [STMT_COUNTER_GET] = "SELECT value FROM counters WHERE name = ?",
    [STMT_COUNTER_SET] = "INSERT INTO counters (name, value) VALUES (?, ?)"
			 " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    [STMT_PAGES] = "PRAGMA page_count",
    [STMT_FREE_PAGES] = "PRAGMA freelist_count",

    [STMT_BATCH_INSERT] = "INSERT INTO batches VALUES (?,?,?,?,?,?,?,0,0,0,0,0,NULL,?,?,NULL,1,1,0,0,0,0,0,0,0)",
    [STMT_TEMPLATE_INSERT] = "INSERT INTO templates VALUES (?,?)",
    [STMT_TEMPLATE_GET] = "SELECT options FROM templates WHERE batch = ?",
    [STMT_BATCH_BY_KEY] = "SELECT id FROM batches WHERE uid = ? AND key = ?",
    [STMT_BATCH_LOAD] =
	"SELECT uid, held, closed, paused, sweep, sweep_seq, submitted_us, touched_us, ended_us, next_seq,"
	" next_event, n_blocked, n_queued, n_done, n_failed, n_cancelled, body_bytes, sweep_reason, sweep_error,"
	" (SELECT base FROM runs WHERE batch = batches.id), deadline_from_us FROM batches WHERE id = ?",
    [STMT_BATCH_COUNTS] = "UPDATE batches SET next_seq = ?, next_event = ?, n_blocked = ?, n_queued = ?, n_done = ?,"
			  " n_failed = ?, n_cancelled = ?, body_bytes = ? WHERE id = ?",
    [STMT_BATCH_STATE] =
	"UPDATE batches SET held = ?, closed = ?, paused = ?, sweep = ?, sweep_seq = ?, touched_us = ?,"
	" ended_us = ?, sweep_reason = ?, sweep_error = ?, deadline_from_us = ? WHERE id = ?",
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
    [STMT_BATCH_IDLE_NEXT] = "SELECT id FROM batches WHERE closed = 0 AND touched_us < ?"
			     " AND NOT EXISTS (SELECT 1 FROM runs WHERE batch = id) ORDER BY touched_us LIMIT 1",
    [STMT_BATCH_ENDED_NEXT] = "SELECT id, ended_us FROM batches WHERE ended_us IS NOT NULL AND sweep = 0"
			      " AND (ended_us, id) > (?, ?) ORDER BY ended_us, id LIMIT 1",
    [STMT_BATCH_DELETE] = "DELETE FROM batches WHERE id = ?",
    [STMT_TEMPLATE_DELETE] = "DELETE FROM templates WHERE batch = ?",

    [STMT_LANE_BY_KEY] = "SELECT id, batch, key, head FROM lanes WHERE batch = ? AND key = ?",
    [STMT_LANE_BY_ID] = "SELECT id, batch, key, head FROM lanes WHERE id = ?",
    [STMT_LANE_INSERT] = "INSERT INTO lanes VALUES (?,?,?,0)",
    [STMT_LANE_HEAD] = "UPDATE lanes SET head = ? WHERE id = ?",
    [STMT_LANE_SPAN] = "SELECT first, last FROM spans WHERE lane = ? ORDER BY first DESC LIMIT 1",
    [STMT_LANE_NEXT_DUE] = "SELECT min(due_us) FROM progress WHERE lane = ? AND due_us IS NOT NULL",
    [STMT_LANES_LIVE] = "SELECT l.id, l.batch, l.key, l.head, " LANE_LAST ","
			" (SELECT min(due_us) FROM progress WHERE lane = l.id AND due_us IS NOT NULL)"
			" FROM batches b CROSS JOIN lanes l ON l.batch = b.id"
			" WHERE b.ended_us IS NULL AND (b.closed OR NOT b.held) ORDER BY b.id",
    [STMT_LANES_OF_BATCH] = "SELECT l.id, l.batch, l.key, l.head, " LANE_LAST ","
			    " (SELECT min(due_us) FROM progress WHERE lane = l.id AND due_us IS NOT NULL)"
			    " FROM lanes l WHERE l.batch = ?",
    [STMT_LANES_OF_HOST] = "SELECT batch, id FROM lanes WHERE key = ? AND batch >= ? ORDER BY batch LIMIT 1",
    [STMT_LANES_NEXT_HOST] = "SELECT key FROM lanes WHERE key > ? AND key < ? ORDER BY key LIMIT 1",
    [STMT_LANES_DELETE] = "DELETE FROM lanes WHERE id IN (SELECT id FROM lanes WHERE batch = ? LIMIT 500)",
    [STMT_SPAN_SET] = "INSERT INTO spans VALUES (?,?,?) ON CONFLICT (lane, first) DO UPDATE SET last = excluded.last",
    [STMT_SPANS_DELETE] = "DELETE FROM spans WHERE (lane, first) IN (SELECT s.lane, s.first FROM lanes l"
			  " CROSS JOIN spans s ON s.lane = l.id WHERE l.batch = ? LIMIT 500)",
    [STMT_CHAIN_BY_NAME] = "SELECT id, batch, name, pending, failed, rest FROM chains WHERE batch = ? AND name = ?",
    [STMT_CHAIN_BY_ID] = "SELECT id, batch, name, pending, failed, rest FROM chains WHERE id = ?",
    [STMT_CHAIN_INSERT] = "INSERT INTO chains VALUES (?,?,?,0,0,0)",
    [STMT_CHAIN_COUNTS] = "UPDATE chains SET pending = ?, failed = ? WHERE id = ?",
    [STMT_CHAIN_REST] = "UPDATE chains SET rest = ? WHERE id = ?",
    [STMT_CHAINS_REST_NEXT] = "SELECT id, batch FROM chains WHERE rest AND id > ? ORDER BY id LIMIT 1",
    [STMT_CHAINS_DELETE] = "DELETE FROM chains WHERE id IN (SELECT id FROM chains WHERE batch = ? LIMIT 500)",

    [STMT_JOB_INSERT] = "INSERT INTO jobs VALUES (?,?,?,?,?,?,?,?,?,?,?)",
    [STMT_JOB_INSERT_PLAIN] = "INSERT INTO jobs VALUES (?,?,NULL,?,?,NULL,NULL,NULL,NULL,NULL,NULL)",
    [STMT_JOB_INSERT_MANY] = "INSERT INTO jobs (id, lane, submitted_us, url) VALUES (?2,?,?1,?)" PLAIN_15 PLAIN_16_ON,
    [STMT_JOB_REQUEST] = "SELECT " BRIEF_COLUMNS ", coalesce(t.url, j.url), j.method, j.tag, j.user, j.options,"
			 " j.headers, j.body, t.as_get, t.stripped, t.from_public FROM jobs j" STMT_PROGRESS
			 " LEFT JOIN targets t ON p.hops > 0 AND t.job = j.id WHERE j.id = ?",
    [STMT_JOB_BRIEF] = "SELECT " BRIEF_COLUMNS " FROM jobs j" STMT_PROGRESS " WHERE j.id = ?",
    [STMT_JOBS_FRESH] = JOBS_FRESH(STMT_EVENT, STMT_PROGRESS),
    [STMT_JOBS_UNTOUCHED] = JOBS_FRESH("NULL", ""),
    /* The block of ?1 may say something of those before it. */
    [STMT_TOUCHED] = "SELECT EXISTS (SELECT 1 FROM progress WHERE job > ?1 AND job <= ?2)"
		     " OR EXISTS (SELECT 1 FROM plain_ends WHERE block > ?1 >> 6 AND block <= ?2 >> 6)"
		     " OR EXISTS (SELECT 1 FROM plain_ends WHERE block = ?1 >> 6"
		     " AND substr(events, (?1 & 63) * 4 + 5) <> zeroblob(252 - (?1 & 63) * 4))",
    [STMT_JOB_URL] = "SELECT coalesce(t.url, j.url) FROM jobs j LEFT JOIN targets t ON t.job = j.id WHERE j.id = ?",
    [STMT_JOBS_DUE] = "SELECT job, due_us FROM progress WHERE lane = ? AND due_us IS NOT NULL"
		      " ORDER BY due_us, job LIMIT ?",
    [STMT_JOBS_SWEEP] =
	"SELECT " BRIEF_COLUMNS " FROM jobs j" STMT_PROGRESS " WHERE j.id > ? AND j.id <= ? ORDER BY j.id LIMIT ?",
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
    [STMT_PLAIN_ADD] = "INSERT INTO plain_ends VALUES (?,?) ON CONFLICT (block) DO UPDATE SET"
		       " events = plain_merge(events, excluded.events)",
    [STMT_PLAIN_DELETE] = "DELETE FROM plain_ends WHERE block IN (SELECT block FROM plain_ends"
			  " WHERE block >= ?1 << 26 AND block <= ?1 << 26 | 67108863 LIMIT 500)",
    [STMT_TARGET_SET] = "INSERT INTO targets VALUES (?,?,?,?,?) ON CONFLICT (job) DO UPDATE SET url = excluded.url,"
			" as_get = as_get OR excluded.as_get, stripped = stripped OR excluded.stripped,"
			" from_public = from_public OR excluded.from_public",
    [STMT_TARGET_DELETE] = "DELETE FROM targets WHERE job BETWEEN ? AND ?",
    [STMT_CHAIN_WAITING] = "SELECT job FROM progress WHERE waits = ? AND job > ? ORDER BY job LIMIT ?",

    [STMT_OPENING_SET] = "INSERT OR REPLACE INTO openings VALUES (?,?,?)",
    [STMT_OPENING_DELETE] = "DELETE FROM openings WHERE id = ?",
    [STMT_RUNNING_ALL] =
	"SELECT r.job, r.n, r.granted_us, r.ready_us, coalesce(p.lane, j.lane), j.chain, p.job, p.attempts,"
	" p.outcome, p.started_us, r.boot, r.granted_boot_us, p.hops, r.opening FROM " STMT_RUNNING " r"
	" CROSS JOIN jobs j ON j.id = r.job LEFT JOIN progress p ON p.job = r.job ORDER BY r.opening",

    [STMT_OUTCOME_INSERT] = "INSERT INTO outcomes VALUES"
			    " (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    /* The first attempt, and an answer: n 1, prev 0, state 3, reason 0, cause 0; no url, error, final_error. */
    [STMT_OUTCOME_INSERT_PLAIN] =
	"INSERT INTO outcomes VALUES (?,?,1,0,3,0,0,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,"
	"NULL,?,?,?,NULL,NULL,?,?)",
    [STMT_OUTCOME_BODY] = "SELECT n, body_in_file, size_bytes FROM outcomes WHERE id = ?",
    [STMT_OUTCOME_ATTEMPT] =
	"SELECT n, prev, cause, status, http_version, started_us, first_byte_us, ended_us, queued_us,"
	" limited_us, dns_us, connect_us, tls_us, send_us, wait_us, receive_us, total_us, size_bytes,"
	" wire_bytes, content_type, remote_ip, error, headers, body_in_file OR body IS NOT NULL, state,"
	" url, method FROM outcomes WHERE id = ?",
    [STMT_OUTCOMES_CUT] = "SELECT max(id) FROM (SELECT id FROM outcomes WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?)",
    [STMT_OUTCOMES_DELETE] = "DELETE FROM outcomes WHERE id BETWEEN ? AND ?",

    /* The newest that a removal would forget. */
    [STMT_OUTCOMES_LAST] = "SELECT boot, counted_boot_us FROM outcomes WHERE id BETWEEN ? AND ? AND boot IS NOT NULL"
			   " ORDER BY id DESC LIMIT 1",
    [STMT_COUNTED_INSERT] = "INSERT INTO counted VALUES (?,?,?)",
    [STMT_COUNTED_DELETE] = "DELETE FROM counted WHERE outcome IN (SELECT outcome FROM counted"
			    " WHERE outcome > ?1 << 32 AND outcome <= ?1 << 32 | 4294967295 LIMIT 500)",
    [STMT_RECENT] = RECENT(""),
    [STMT_RECENT_PULL] = RECENT(" CROSS JOIN runs r ON r.batch = c.outcome >> 32") " AND r.pull = ?3",
    [STMT_AUDIT] = "SELECT o.id, (o.id & -4294967296) | o.seq, o.lane, o.n, o.boot, o.sent_boot_us,"
		   " o.counted_boot_us, o.started_us, o.status, coalesce(o.url, j.url), " REFUSED
		   " FROM outcomes o CROSS JOIN jobs j ON j.id = (o.id & -4294967296) | o.seq"
		   " WHERE o.id > ? AND o.id <= ? ORDER BY o.id LIMIT ?",

    [STMT_BOOT_FIND] = "SELECT id FROM boots WHERE boot = ?",
    [STMT_BOOT_INSERT] = "INSERT INTO boots (boot, last_us) VALUES (?, ?)",
    [STMT_BOOT_NOTE] = "UPDATE boots SET last_us = max(last_us, ?) WHERE id = ?",
    [STMT_BOOTS] = "SELECT id, last_us FROM boots ORDER BY id DESC",

    [STMT_COUNTER_DELETE] = "DELETE FROM counters WHERE name = ?",
    [STMT_LIMIT_SET] = "INSERT INTO limits VALUES (?,?,?,?,?) ON CONFLICT (name) DO UPDATE SET match = excluded.match,"
		       " rates = excluded.rates, concurrency = excluded.concurrency, pace = excluded.pace",
    [STMT_LIMIT_DELETE] = "DELETE FROM limits WHERE name = ?",
    [STMT_LIMITS] = "SELECT name, match, rates, concurrency, pace FROM limits ORDER BY name",
    [STMT_HOST_SET] = "INSERT OR REPLACE INTO hosts VALUES (?,?,?,?,?,?,?)",
    [STMT_HOST_DELETE] = "DELETE FROM hosts WHERE host = ?",
    [STMT_HOSTS] = "SELECT host, boot, hits, paused_until_us, learned_count, learned_window_us, learned_until_us"
		   " FROM hosts",

    [STMT_RESULTS] = "SELECT " RESULT_COLUMNS RESULT_JOINS " WHERE j.id > ? AND j.id <= ? ORDER BY j.id LIMIT ?",
    [STMT_RESULT] = "SELECT " RESULT_COLUMNS RESULT_JOINS " WHERE j.id = ?",
    /* CROSS JOIN: the order of the loops is the order of the events. */
    [STMT_EVENTS] =
	"SELECT " RESULT_COLUMNS ", o.id, o.state, o.reason, o.n, coalesce(p.outcome = o.id & 4294967295, 1)"
	" FROM outcomes o CROSS JOIN jobs j ON j.id = (o.id & -4294967296) | o.seq"
	" LEFT JOIN progress p ON p.job = j.id LEFT JOIN chains c ON c.id = j.chain"
	" WHERE o.id > ? AND o.id <= ? ORDER BY o.id LIMIT ?",

    [STMT_RUN_INSERT] = "INSERT INTO runs VALUES (?,?,0,0,?,?,0,0,?,0,0,?,?,?,NULL,NULL,NULL,?)",
    [STMT_RUN_BRIEF] = "SELECT uid, pull, scope, state, verdict, apart, guard FROM runs WHERE batch = ?",
    [STMT_RUN_OTHERS] = "SELECT min(batch), max(batch) FROM runs INDEXED BY runs_live WHERE state <> 2 AND batch < ?"
			" AND uid = ? AND pull = ? AND scope = ? AND NOT apart",
    [STMT_RUN_BASE] = "SELECT s.run FROM runs r JOIN pull_states s"
		      " ON s.uid = r.uid AND s.pull = r.pull AND s.scope = r.scope"
		      " JOIN batches b ON b.id = s.run AND b.sweep <> 3"
		      " JOIN runs o ON o.batch = s.run AND o.recipe = r.recipe WHERE r.batch = ? AND r.conditional",
    [STMT_RUN_START] = "UPDATE runs SET state = 1, options = coalesce(?, options), base = ?, started_us = ?"
		       " WHERE batch = ?",
    [STMT_RUN_GUARD] = "UPDATE runs SET guard = coalesce(guard, ?) WHERE batch = ?",
    [STMT_RUN_CUT] = "UPDATE runs SET cancelled = 1, error = ? WHERE batch = ?",
    /* The idle time before a retry is no time of the run's: what it took so far, and from where on more is counted. */
    [STMT_RUN_AGAIN] = "UPDATE runs SET state = 1, verdict = 0, cancelled = 0, ended_us = 0, guard = NULL,"
		       " error = NULL, receipt = NULL, options = json_set(options, '$.again', json_object('at_us', ?,"
		       " 'event', ?, 'seconds', coalesce(CASE WHEN json_valid(receipt) THEN"
		       " json_extract(receipt, '$.seconds') END, 0))) WHERE batch = ?",
    [STMT_RUN_END] = "UPDATE runs SET state = 2, verdict = ?, receipt = ?, ended_us = ? WHERE batch = ?",
    [STMT_RUN_DELETE] = "DELETE FROM runs WHERE batch = ?",
    [STMT_RUN_GET] = "SELECT " RUN_COLUMNS " FROM runs r JOIN batches b ON b.id = r.batch"
		     " WHERE r.batch = ? AND b.sweep <> 3",
    [STMT_RUN_LIST] = RUN_LIST("", "") "DESC LIMIT ?",
    [STMT_RUN_LIST_UID] = RUN_LIST("INDEXED BY runs_uid", "r.uid = ? AND") "DESC LIMIT ?",
    [STMT_RUN_LIST_PULL] = RUN_LIST("INDEXED BY runs_pull", "r.pull = ? AND") "DESC LIMIT ?",
    [STMT_RUN_LIST_UID_PULL] = RUN_LIST("INDEXED BY runs_uid_pull", "r.uid = ? AND r.pull = ? AND") "DESC LIMIT ?",
    [STMT_RUN_LIST_LIVE] = RUN_LIST("INDEXED BY runs_live", "r.state <> 2 AND (?1 < 0 OR r.uid = ?1)"
							    " AND (?2 IS NULL OR r.pull = ?2)"
							    " AND (?3 IS NULL OR r.scope = ?3) AND") "LIMIT ?",
    [STMT_RUN_ATTEMPTS] =
	"SELECT id, seq, boot IS NOT NULL, state = 1 AND status IN (301, 302, 303, 307, 308), started_us, limited_us,"
	" size_bytes, ended_us, boot, sent_boot_us, n > 0 AND boot IS NULL AND cause BETWEEN 2 AND 6, " REFUSED
	" FROM outcomes o WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
    [STMT_BATCH_HOSTS] = "SELECT key FROM lanes WHERE batch = ?",
    [STMT_PAGE_BY_TOKEN] = "SELECT job FROM pages WHERE job >> 32 = ? AND token = ?",
    [STMT_PAGE_INSERT] = "INSERT INTO pages (job, from_public, past_end, said, reused_from, token)"
			 " VALUES (?,?,0,0,0,?)",
    [STMT_PAGE_OWN] = "SELECT p.token, p.from_public, j.url FROM pages p JOIN jobs j ON j.id = p.job WHERE p.job = ?",
    /* The body is read only where it is asked for. */
    [STMT_PAGE_BASE] =
	"SELECT g.job, g.etag, g.last_modified, o.n, o.body_in_file, o.size_bytes, o.content_type,"
	" o.body, g.items, g.next, g.next_is_url, g.has_more, g.stop, g.total_pages, g.total_items, g.since,"
	" g.etag, g.last_modified, g.hash_1, g.hash_2, NULL FROM pages g"
	" CROSS JOIN jobs j ON j.id = g.job" STMT_PROGRESS " CROSS JOIN outcomes o ON o.id = " LAST_OUTCOME
	" WHERE g.job >> 32 = ? AND g.token = ? AND j.url = ? AND g.said AND coalesce(p.state, 3) = 3"
	" AND (o.body_in_file OR o.body IS NOT NULL OR o.size_bytes = 0)",
    [STMT_PAGE_SAID] = "UPDATE pages SET past_end = ?, said = ?, reused_from = 0, (" SAID_COLUMNS ") ="
		       " (?,?,?,?,?,?,?,?,?,?,?,?,?) WHERE job = ?",
    [STMT_PAGE_REUSE] = "UPDATE pages SET past_end = 0, said = 1, reused_from = ?1, (" SAID_COLUMNS ") ="
			" (SELECT " SAID_COLUMNS " FROM pages WHERE job = ?1) WHERE job = ?",
    [STMT_PAGE_AGAIN] = "UPDATE pages SET past_end = 0, said = 0, reused_from = 0 WHERE job = ?",
    [STMT_PAGE_LIST] =
	"SELECT j.id, g.token, j.url, coalesce(p.state, o.state), coalesce(p.reason, o.reason), o.status,"
	" coalesce(o.final_error, o.error), g.past_end, g.from_public, g.reused_from, o.ended_us, o.size_bytes,"
	" coalesce(p.attempts, o.n), g.said, g.items, g.next, g.next_is_url,"
	" g.has_more, g.stop, g.total_pages, g.total_items, g.since, g.etag, g.last_modified, g.hash_1, g.hash_2,"
	" CASE WHEN ?1 THEN g.keys END, o.remote_ip FROM pages g CROSS JOIN jobs j ON j.id = g.job" STMT_PROGRESS
	" LEFT JOIN outcomes o ON o.id = " LAST_OUTCOME " WHERE g.job > ? AND g.job <= ? ORDER BY g.job LIMIT ?",
    [STMT_PAGES_CUT] = "SELECT max(job) FROM (SELECT job FROM pages WHERE job BETWEEN ? AND ? ORDER BY job LIMIT ?)",
    [STMT_PAGES_DELETE] = "DELETE FROM pages WHERE job BETWEEN ? AND ?",
    /* How many items is what the receipt says. An older run that was retried does not turn back what a later one
     * moved. */
    [STMT_STATE_MOVE] = "INSERT INTO pull_states SELECT uid, pull, scope, ?, batch,"
			" coalesce(CASE WHEN json_valid(receipt) THEN CAST(json_extract(receipt, '$.items') AS"
			" INTEGER) END, -1), ? FROM runs WHERE batch = ? ON CONFLICT (uid, pull, scope) DO UPDATE SET"
			" since = coalesce(excluded.since, since), run = excluded.run, items = excluded.items,"
			" updated_us = excluded.updated_us WHERE excluded.run >= run",
    [STMT_STATE_SET] = "INSERT INTO pull_states VALUES (?,?,?,?,0,-1,?) ON CONFLICT (uid, pull, scope) DO UPDATE SET"
		       " since = excluded.since, updated_us = excluded.updated_us",
    [STMT_STATE_DELETE] = "DELETE FROM pull_states WHERE uid = ? AND pull = ? AND scope = ?",
    [STMT_STATES] =
	"SELECT uid, pull, scope, since,"
	" CASE WHEN EXISTS (SELECT 1 FROM batches WHERE id = run AND sweep <> 3) THEN run ELSE 0 END, items,"
	" updated_us FROM pull_states WHERE (?1 < 0 OR uid = ?1) AND (?2 IS NULL OR pull = ?2)"
	" AND (?3 IS NULL OR scope = ?3) ORDER BY uid, pull, scope",
};

static int prepare(struct store *st, enum stmt_id id, sqlite3_stmt **out)
{
	return sqlite3_prepare_v3(st->db, texts[id], -1, SQLITE_PREPARE_PERSISTENT, out, NULL);
}

/* It writes what is held of plain ends, or its users ask store_plain_held: they come for each job. */
static bool looks_itself(enum stmt_id id)
{
	return id == STMT_PLAIN_ADD || id == STMT_JOB_REQUEST || id == STMT_JOB_BRIEF || id == STMT_JOBS_SWEEP ||
	       id == STMT_JOBS_FRESH || id == STMT_TOUCHED;
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
		st->stmts[id].reads_plain = strstr(texts[id], "plain_ends") && !looks_itself(id);
		st->stmts[id].count = sqlite3_bind_parameter_count(st->stmts[id].s);
		st->stmts[id].bound = calloc((size_t)st->stmts[id].count + 1, sizeof *st->stmts[id].bound);
		if (!st->stmts[id].bound)
			abort();
	}
	return 0;
}

void store_stmts_finalize(struct store *st)
{
	for (enum stmt_id id = 0; id < STMT_COUNT; id++) {
		for (int i = 0; st->stmts[id].bound && i < st->stmts[id].count; i++)
			free(st->stmts[id].bound[i].text);
		sqlite3_finalize(st->stmts[id].s);
		free(st->stmts[id].bound);
	}
}

void stmt_begin(struct stmt *q, struct store *st, enum stmt_id id)
{
	*q = (struct stmt){.st = st, .s = st->stmts[id].s, .id = id, .count = st->stmts[id].count};
	q->broken = st->stmts[id].reads_plain && store_plain_flush(st) < 0;
	if (!st->stmts[id].busy) {
		st->stmts[id].busy = true;
		q->bound = st->stmts[id].bound;
		return;
	}
	if (prepare(st, id, &q->s) != SQLITE_OK)
		BUG("statement %d cannot be prepared twice: %s", (int)id, sqlite3_errmsg(st->db));
}

/* Moves on to the next parameter. False when it is bound to that already. */
static bool next(struct stmt *q, enum stmt_kind kind, int64_t v)
{
	struct stmt_bound *b = q->bound ? &q->bound[q->at] : NULL;

	if (q->at++ == q->count)
		BUG("statement %d takes %d parameters, and got more", (int)q->id, q->count);
	if (!b)
		return true;
	if (kind != STMT_KIND_ELSE && b->kind == kind && b->v == v)
		return false;
	b->v = v;
	b->kind = kind;
	return true;
}

void stmt_int(struct stmt *q, int64_t v)
{
	if (next(q, STMT_KIND_INT, v))
		sqlite3_bind_int64(q->s, q->at, v);
}

void stmt_null(struct stmt *q)
{
	if (next(q, STMT_KIND_NULL, 0))
		sqlite3_bind_null(q->s, q->at);
}

void stmt_text(struct stmt *q, const char *text)
{
	if (!text)
		stmt_null(q);
	else if (next(q, STMT_KIND_ELSE, 0))
		sqlite3_bind_text(q->s, q->at, text, (int)strlen(text), SQLITE_STATIC);
}

void stmt_text_again(struct stmt *q, const char *text)
{
	struct stmt_bound *b = q->bound && q->at < q->count ? &q->bound[q->at] : NULL;
	size_t bytes = text ? strlen(text) + 1 : 0;
	bool same;

	if (!b || !text || bytes > STMT_TEXT_KEPT) {
		stmt_text(q, text);
		return;
	}
	same = b->kind == STMT_KIND_TEXT && strcmp(b->text, text) == 0;
	next(q, STMT_KIND_ELSE, 0);
	if (!same) {
		if (!b->text && !(b->text = malloc(STMT_TEXT_KEPT)))
			abort();
		memcpy(b->text, text, bytes);
		sqlite3_bind_text(q->s, q->at, b->text, (int)bytes - 1, SQLITE_STATIC);
	}
	b->kind = STMT_KIND_TEXT;
}

void stmt_blob(struct stmt *q, const void *p, size_t n)
{
	if (next(q, STMT_KIND_ELSE, 0))
		sqlite3_bind_blob(q->s, q->at, n ? p : "", (int)n, SQLITE_STATIC);
}

int stmt_step(struct stmt *q)
{
	int rc;

	if (q->broken)
		return -1;
	rc = sqlite3_step(q->s);
	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	store_sql_failed(q->st, rc);
	return -1;
}

void stmt_end(struct stmt *q)
{
	if (q->at != q->count)
		BUG("statement %d takes %d parameters, got %d", (int)q->id, q->count, q->at);
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
