/* Does it all add up? Counts again, by SQL alone, what is kept as running sums, and looks for rows that belong to
 * nothing. For tests and for the doctor: it reads everything and takes its time. */
#include <stdio.h>

#include "daemon/store_sqlite.h"

/* Each returns one row for each thing that is wrong, with its number in the first column. */
static const struct {
	const char *what, *sql;
} checks[] = {
    {"counts of a batch differ from its jobs",
     "SELECT b.id FROM batches b WHERE b.sweep <> 3 AND"
     " (b.n_blocked, b.n_queued, b.n_done, b.n_failed, b.n_cancelled) <>"
     " (SELECT count(*) FILTER (WHERE s = 0), count(*) FILTER (WHERE s = 1), count(*) FILTER (WHERE s = 3),"
     "  count(*) FILTER (WHERE s = 4), count(*) FILTER (WHERE s = 5)"
     "  FROM (SELECT " STMT_STATE " AS s FROM jobs j" STMT_PROGRESS
     "  WHERE j.id > b.id << 32 AND j.id <= b.id << 32 | 4294967295))"},
    {"job numbers of a batch have a gap",
     "SELECT b.id FROM batches b WHERE b.sweep <> 3 AND b.next_seq - 1 <> (SELECT count(*) FROM jobs j"
     " WHERE j.id > b.id << 32 AND j.id <= b.id << 32 | 4294967295)"},
    {"event numbers of a batch have a gap",
     "SELECT b.id FROM batches b WHERE b.sweep <> 3 AND b.next_event - 1 <> (SELECT count(*) FROM outcomes o"
     " WHERE o.id > b.id << 32 AND o.id <= b.id << 32 | 4294967295)"},
    {"a batch that ended has jobs that have not",
     "SELECT id FROM batches WHERE ended_us IS NOT NULL AND sweep <> 3 AND n_blocked + n_queued > 0"},
    {"a batch that should have ended has not",
     "SELECT id FROM batches b WHERE ended_us IS NULL AND closed AND sweep <> 2 AND n_blocked + n_queued = 0"
     " AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.batch = b.id AND r.state <> 2)"},
    {"bytes of a batch's files differ from its outcomes",
     "SELECT b.id FROM batches b WHERE b.sweep <> 3 AND b.body_bytes <> (SELECT coalesce(sum(o.size_bytes), 0)"
     " FROM jobs j" STMT_PROGRESS " JOIN outcomes o ON o.id = (j.id & -4294967296) | " STMT_EVENT
     " WHERE j.id > b.id << 32 AND j.id <= b.id << 32 | 4294967295 AND " STMT_STATE " >= 3 AND o.body_in_file)"},
    {"a job belongs to no batch",
     "SELECT j.id FROM jobs j WHERE NOT EXISTS (SELECT 1 FROM batches WHERE id = j.id >> 32)"},
    {"a job has no lane of its batch",
     "SELECT j.id FROM jobs j LEFT JOIN lanes l ON l.id = j.lane WHERE l.batch IS NOT j.id >> 32"},
    {"a job has no chain of its batch", "SELECT j.id FROM jobs j LEFT JOIN chains c ON c.id = j.chain"
					" WHERE j.chain IS NOT NULL AND c.batch IS NOT j.id >> 32"},
    {"progress of no job", "SELECT job FROM progress WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE id = job)"},
    {"an outcome of no job", "SELECT o.id FROM outcomes o JOIN batches b ON b.id = o.id >> 32 AND b.sweep <> 3"
			     " WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE id = (o.id & -4294967296) | o.seq)"},
    {"an outcome of no batch",
     "SELECT o.id FROM outcomes o WHERE NOT EXISTS (SELECT 1 FROM batches WHERE id = o.id >> 32)"},
    {"an open attempt of a job that is not queued",
     "SELECT r.job FROM " STMT_RUNNING " r LEFT JOIN jobs j ON j.id = r.job" STMT_PROGRESS
     " WHERE j.id IS NULL OR " STMT_STATE " <> 1 OR p.due_us IS NOT NULL"},
    {"a job that has ended has no outcome that says so",
     "SELECT p.job FROM progress p JOIN batches b ON b.id = p.job >> 32 AND b.sweep <> 3"
     " LEFT JOIN outcomes o ON o.id = (p.job & -4294967296) | p.outcome"
     " WHERE p.state >= 3 AND (o.state IS NOT p.state OR o.seq IS NOT p.job & 4294967295)"},
    {"plain ends are not those of 64 jobs",
     "SELECT block FROM plain_ends WHERE typeof(events) <> 'blob' OR length(events) <> 256"},
    {"plain ends of no batch",
     "SELECT block FROM plain_ends WHERE NOT EXISTS (SELECT 1 FROM batches WHERE id = block >> 26)"},
    {"a plain end of no job",
     "WITH RECURSIVE k(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM k WHERE i < 63)"
     " SELECT e.block << 6 | k.i FROM plain_ends e JOIN batches b ON b.id = e.block >> 26 AND b.sweep <> 3 CROSS JOIN k"
     " WHERE plain_end(e.events, k.i) AND NOT EXISTS (SELECT 1 FROM jobs WHERE id = e.block << 6 | k.i)"},
    {"a job has a plain end and progress",
     "SELECT p.job FROM progress p JOIN plain_ends e ON e.block = p.job >> 6 WHERE plain_end(e.events, p.job)"},
    {"a plain end has no outcome that says so",
     "SELECT j.id FROM jobs j JOIN batches b ON b.id = j.id >> 32 AND b.sweep <> 3 JOIN plain_ends e"
     " ON e.block = j.id >> 6 LEFT JOIN outcomes o ON o.id = (j.id & -4294967296) | plain_end(e.events, j.id)"
     " WHERE plain_end(e.events, j.id) AND (o.seq, o.n, o.prev, o.state, o.reason, o.lane)"
     " IS NOT (j.id & 4294967295, 1, 0, 3, 0, j.lane)"},
    {"a queued job that is neither fresh, nor due, nor running",
     "SELECT p.job FROM progress p WHERE p.state = 1 AND p.due_us IS NULL"
     " AND p.job NOT IN (SELECT job FROM " STMT_RUNNING ")"},
    {"a job waits or is due that should not",
     "SELECT job FROM progress WHERE (waits IS NOT NULL) <> (state = 0) OR (due_us IS NOT NULL AND state <> 1)"},
    {"a fresh job lies behind its lane's head",
     "SELECT j.id FROM jobs j JOIN lanes l ON l.id = j.lane" STMT_PROGRESS " WHERE j.id <= l.head AND " STMT_EVENT
     " IS NULL AND j.id NOT IN (SELECT job FROM " STMT_RUNNING ")"},
    {"a job has two open attempts", "SELECT max(job) FROM " STMT_RUNNING " GROUP BY job HAVING count(*) > 1"},
    {"an opening with nothing open", "SELECT id FROM openings WHERE id NOT IN (SELECT opening FROM " STMT_RUNNING ")"},
    {"a job is in no span of its lane",
     "SELECT j.id FROM jobs j JOIN batches b ON b.id = j.id >> 32 AND b.sweep <> 3 WHERE j.id >"
     " coalesce((SELECT last FROM spans WHERE lane = j.lane AND first <= j.id ORDER BY first DESC LIMIT 1), 0)"},
    {"a span of no lane", "SELECT lane FROM spans WHERE lane NOT IN (SELECT id FROM lanes)"},
    {"an outcome was counted later than said",
     "SELECT o.id FROM outcomes o JOIN batches b ON b.id = o.id >> 32 AND b.sweep <> 3 WHERE o.boot IS NOT NULL"
     " AND NOT EXISTS (SELECT 1 FROM counted c WHERE c.boot = o.boot AND c.until_boot_us >= o.counted_boot_us"
     " AND c.outcome = (SELECT max(outcome) FROM counted WHERE outcome <= o.id AND outcome > o.id & -4294967296))"},
    {"a chain's count of unfinished jobs is wrong",
     "SELECT c.id FROM chains c JOIN batches b ON b.id = c.batch AND b.sweep <> 3 WHERE c.pending <>"
     " (SELECT count(*) FROM jobs j" STMT_PROGRESS
     "  WHERE j.id > b.id << 32 AND j.id <= b.id << 32 | 4294967295 AND j.chain = c.id AND " STMT_STATE " < 2)"},
    {"a chain waits for nobody",
     "SELECT q.waits FROM progress q JOIN chains c ON c.id = q.waits JOIN batches b ON b.id = c.batch"
     " WHERE b.sweep = 0 AND NOT c.rest AND NOT EXISTS (SELECT 1 FROM jobs j" STMT_PROGRESS
     "  WHERE j.id > b.id << 32 AND j.id <= b.id << 32 | 4294967295 AND j.chain = c.id AND " STMT_STATE " = 1)"},
    {"a run of no batch", "SELECT batch FROM runs WHERE NOT EXISTS (SELECT 1 FROM batches WHERE id = batch)"},
    {"a page of no run", "SELECT job FROM pages WHERE NOT EXISTS (SELECT 1 FROM runs WHERE batch = job >> 32)"},
    {"a page that is no job", "SELECT p.job FROM pages p WHERE NOT EXISTS (SELECT 1 FROM jobs WHERE id = p.job)"},
    {"a job of a run is no page", "SELECT j.id FROM runs r JOIN batches b ON b.id = r.batch AND b.sweep <> 3"
				  " JOIN jobs j ON j.id > r.batch << 32 AND j.id <= r.batch << 32 | 4294967295"
				  " WHERE NOT EXISTS (SELECT 1 FROM pages WHERE job = j.id)"},
    {"a page that has not ended has said something",
     "SELECT g.job FROM pages g JOIN jobs j ON j.id = g.job" STMT_PROGRESS
     " WHERE (g.said OR g.past_end OR g.reused_from) AND " STMT_STATE " < 3"
     " AND (SELECT sweep FROM batches WHERE id = g.job >> 32) <> 3"},
    {"a page in its run twice", "SELECT max(job) FROM pages GROUP BY job >> 32, token HAVING count(*) > 1"},
    {"the batch of a live run is closed, and nobody cancelled it",
     "SELECT r.batch FROM runs r JOIN batches b ON b.id = r.batch WHERE r.state <> 2 AND b.closed AND NOT r.cancelled"},
    {"a run and its batch do not end together",
     "SELECT r.batch FROM runs r JOIN batches b ON b.id = r.batch WHERE (r.state = 2) <> (b.ended_us IS NOT NULL)"},
    {"a run that waits has pages",
     "SELECT r.batch FROM runs r JOIN batches b ON b.id = r.batch WHERE r.state = 0 AND b.next_seq > 1"},
    {"a run and its verdict do not agree",
     "SELECT r.batch FROM runs r JOIN batches b ON b.id = r.batch AND b.sweep <> 3"
     " WHERE (r.state = 2) <> (r.verdict <> 0) OR (r.state = 2) <> (r.ended_us <> 0)"},
};

static int check_totals(struct store *st, struct err *e)
{
	static const char *const sums[JOB_STATES] = {
	    [JOB_BLOCKED] = "SELECT sum(n_blocked) FROM batches WHERE sweep <> 3",
	    [JOB_QUEUED] =
		"SELECT sum(n_queued) - (SELECT count(*) FROM " STMT_RUNNING ") FROM batches WHERE sweep <> 3",
	    [JOB_RUNNING] = "SELECT count(*) FROM " STMT_RUNNING,
	    [JOB_DONE] = "SELECT sum(n_done) FROM batches WHERE sweep <> 3",
	    [JOB_FAILED] = "SELECT sum(n_failed) FROM batches WHERE sweep <> 3",
	    [JOB_CANCELLED] = "SELECT sum(n_cancelled) FROM batches WHERE sweep <> 3",
	};

	for (enum job_state s = 0; s < JOB_STATES; s++) {
		int64_t n = store_pragma_int(st, sums[s]);
		if (n != st->totals.counts[s])
			return err_set(e, ERR_CORRUPT, NULL, "%lld jobs are %s, counted as %lld", (long long)n,
				       job_state_name(s), (long long)st->totals.counts[s]);
	}
	if (store_pragma_int(st, "SELECT count(*) FROM batches WHERE ended_us IS NULL") != st->totals.live_batches)
		return err_set(e, ERR_CORRUPT, NULL, "the count of live batches is wrong");
	if (store_pragma_int(st, "SELECT sum(body_bytes) FROM batches") != st->totals.bodies_bytes)
		return err_set(e, ERR_CORRUPT, NULL, "the count of bytes in files is wrong");
	return 0;
}

int store_check(struct store *st, struct err *e)
{
	store_tx_commit(st);
	for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
		int64_t id = store_pragma_int(st, checks[i].sql);
		if (id < 0) {
			*e = st->sql_err;
			return -1;
		}
		if (id > 0)
			return err_set(e, ERR_CORRUPT, "stop fanoutd; restore a copy", "%s (%lld)", checks[i].what,
				       (long long)id);
	}
	return check_totals(st, e);
}
