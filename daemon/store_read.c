/* The answers: batches, results, jobs, events. Each is a scan of a range, bounded by the caller's limit. It must not
 * change anything; what is pending is committed first, but for batches where nobody waits for it. */
#include <stdio.h>
#include <string.h>

#include "daemon/store_sqlite.h"

static const char hint_batches[] = "fanoutctl status lists yours";

/* ---- batches ---- */

void store_counts_read(struct store *st, int64_t counts[JOB_STATES], uint32_t batch, const struct stmt *q, int at)
{
	const struct batch_entry *b = store_batch_cached(st, batch);
	/* A batch with something running is never dropped from memory. */
	int64_t running = b ? b->counts[JOB_RUNNING] : 0;

	/* The row's queued are those that run, too. But the row is of the last commit, and who runs of now: jobs that
	 * came and began since are not in it yet. */
	counts[JOB_BLOCKED] = col_int(q, at);
	counts[JOB_QUEUED] = col_int(q, at + 1) > running ? col_int(q, at + 1) - running : 0;
	counts[JOB_RUNNING] = running;
	counts[JOB_DONE] = col_int(q, at + 2);
	counts[JOB_FAILED] = col_int(q, at + 3);
	counts[JOB_CANCELLED] = col_int(q, at + 4);
}

static void batch_read(struct store *st, struct store_batch *out, const struct stmt *q)
{
	*out = (struct store_batch){
	    .id = (uint32_t)col_int(q, 0),
	    .uid = (uint32_t)col_int(q, 1),
	    .name = col_text(q, 2),
	    .key = col_text(q, 3),
	    .options = col_text(q, 4),
	    .priority = (unsigned)col_int(q, 5),
	    .concurrency = (unsigned)col_int(q, 6),
	    .held = col_int(q, 7),
	    .closed = col_int(q, 8),
	    .paused = col_int(q, 9),
	    .sweep = (enum store_sweep)col_int(q, 10),
	    .submitted_us = col_int(q, 11),
	    .ended_us = col_int(q, 12),
	};
	store_counts_read(st, out->counts, out->id, q, 13);
	/* One number of BATCH_COLUMNS for both: state * 8 + verdict. */
	_Static_assert(RUN_VERDICTS <= 8, "a verdict is less than 8");
	out->run = !col_null(q, 18);
	out->run_state = (int)col_int(q, 18) / 8;
	out->run_verdict = (int)col_int(q, 18) % 8;
	out->deadline_from_us = col_int(q, 19) ? col_int(q, 19) : out->submitted_us;
	out->active_from_us = col_int(q, 19) ? col_int(q, 20) : out->submitted_us;
}

/* A batch's row changes with commits only: it is shown as it was at the last one, which is all that anybody was told
 * of. What is pending and waited for (something new, changed, removed) is committed; ends and openings that wait for
 * more are not, or those who ask how far it is would have the daemon commit each time. */
static void commit_awaited(struct store *st)
{
	if (!store_tx_can_wait(st))
		store_tx_commit(st);
}

static void no_batch(struct store_op *op, uint32_t batch)
{
	store_op_refused(op, ERR_NOT_FOUND, hint_batches, "there is no batch %u", batch);
}

void store_batch_get(struct store *st, struct store_batch_get *g)
{
	struct store_batch row;
	struct stmt q;
	bool found = false;
	int rc;

	commit_awaited(st);
	stmt_begin(&q, st, STMT_BATCH_GET);
	stmt_int(&q, g->batch);
	rc = stmt_step(&q);
	if (rc == 1) {
		batch_read(st, &row, &q);
		found = row.sweep != STORE_SWEEP_REMOVE;
		if (found)
			g->on_row(g, &row);
	}
	stmt_end(&q);
	if (rc >= 0 && !found)
		no_batch(&g->op, g->batch);
	else
		store_op_done(st, &g->op, rc < 0);
}

void store_batch_list(struct store *st, struct store_batch_list *l)
{
	struct store_batch row;
	struct stmt q;
	int rc;

	commit_awaited(st);
	stmt_begin(&q, st, l->uid < 0 ? STMT_BATCH_LIST : STMT_BATCH_LIST_UID);
	if (l->uid >= 0)
		stmt_int(&q, l->uid);
	stmt_int(&q, l->before ? (int64_t)l->before : INT64_MAX);
	stmt_int(&q, (int64_t)l->limit);
	while ((rc = stmt_step(&q)) == 1) {
		batch_read(st, &row, &q);
		l->on_row(l, &row);
	}
	stmt_end(&q);
	store_op_done(st, &l->op, rc < 0);
}

/* ---- results ---- */

static void timings_read(struct timings *t, const struct stmt *q, int at)
{
	*t = (struct timings){
	    .dns_us = col_int(q, at),
	    .connect_us = col_int(q, at + 1),
	    .tls_us = col_int(q, at + 2),
	    .send_us = col_int(q, at + 3),
	    .wait_us = col_int(q, at + 4),
	    .receive_us = col_int(q, at + 5),
	    .total_us = col_int(q, at + 6),
	};
}

static void body_read(struct store_result *out, const struct stmt *q)
{
	out->body_in_file = col_int(q, 28);
	if (col_null(q, 29))
		return;
	out->body = col_blob(q, 29);
	out->body_bytes = (size_t)sqlite3_column_bytes(q->s, 29);
}

static void attempt_read(struct store_attempt *a, const struct stmt *q)
{
	*a = (struct store_attempt){
	    .n = (uint32_t)col_int(q, 0),
	    .cause = (enum cause)col_int(q, 2),
	    .status = (int)col_int(q, 3),
	    .http_version = (int)col_int(q, 4),
	    .started_us = col_int(q, 5),
	    .first_byte_us = col_int(q, 6),
	    .ended_us = col_int(q, 7),
	    .queued_us = col_int(q, 8),
	    .limited_us = col_int(q, 9),
	    .size_bytes = col_int(q, 17),
	    .wire_bytes = col_int(q, 18),
	    .content_type = col_text(q, 19),
	    .remote_ip = col_text(q, 20),
	    .error = col_text(q, 21),
	    .headers = col_text(q, 22),
	};
	timings_read(&a->timings, q, 10);
}

/* A job that was put off, and then cancelled or expired, has ended without a request: what its last one brought is told
 * all the same, but for the body, which is not kept. The texts live until the next row's. */
static void last_attempt_read(struct store *st, struct store_result *out, int64_t id)
{
	static char method[40], remote_ip[64], error[1024];
	struct store_attempt a;
	struct stmt q;

	stmt_begin(&q, st, STMT_OUTCOME_ATTEMPT);
	stmt_int(&q, id);
	if (stmt_step(&q) == 1) {
		attempt_read(&a, &q);
		snprintf(method, sizeof method, "%s", col_text(&q, 26));
		snprintf(remote_ip, sizeof remote_ip, "%s", a.remote_ip);
		snprintf(error, sizeof error, "%s", *out->error ? out->error : a.error);
		out->status = a.status;
		out->http_version = a.http_version;
		out->timings = a.timings;
		out->method = method;
		out->remote_ip = remote_ip;
		out->error = error;
	}
	stmt_end(&q);
}

/* From RESULT_COLUMNS, in their order. */
static void result_read(struct store *st, struct store_result *out, const struct stmt *q)
{
	*out = (struct store_result){
	    .job = (uint64_t)col_int(q, 0),
	    .state = col_null(q, 1) ? JOB_QUEUED : (enum job_state)col_int(q, 1),
	    .reason = (enum job_reason)col_int(q, 2),
	    .chain = col_text(q, 3),
	    .tag = col_text(q, 4),
	    .method = col_null(q, 27) ? col_text(q, 5) : col_text(q, 27),
	    .url = col_text(q, 6),
	    .attempts = (unsigned)col_int(q, 7),
	    .submitted_us = col_int(q, 8),
	    .started_us = col_int(q, 9),
	    .due_us = col_int(q, 10),
	    .status = (int)col_int(q, 11),
	    .size_bytes = col_int(q, 12),
	    .content_type = col_text(q, 13),
	    .remote_ip = col_text(q, 14),
	    .error = col_text(q, 15),
	    .http_version = (int)col_int(q, 16),
	    .queued_us = col_int(q, 18),
	    .limited_us = col_int(q, 19),
	};
	timings_read(&out->timings, q, 20);
	if (!col_null(q, 30))
		last_attempt_read(st, out, col_int(q, 30));
	/* A job that was retried has an outcome still, but no end and no body any more. */
	if (job_state_final(out->state)) {
		out->ended_us = col_int(q, 17);
		body_read(out, q);
	} else if (store_open_find(st, out->job)) {
		out->state = JOB_RUNNING;
	}
}

/* The batch, for a read; told and NULL where there is none. */
struct batch_entry *store_batch_for(struct store *st, struct store_op *op, uint32_t batch)
{
	struct batch_entry *b;

	store_tx_commit(st);
	st->sql_err.code = ERR_NONE;
	b = store_batch_find(st, batch);
	if (b && b->sweep != STORE_SWEEP_REMOVE)
		return b;
	if (!b && st->sql_err.code != ERR_NONE)
		store_op_done(st, op, true);
	else
		no_batch(op, batch);
	return NULL;
}

void store_results(struct store *st, struct store_results *r)
{
	struct batch_entry *b = store_batch_for(st, &r->op, r->batch);
	uint32_t newest = b ? (uint32_t)(b->next_seq - 1) : 0;
	struct store_result row;
	struct stmt q;
	int rc;

	if (!b)
		return;
	r->last_seq = r->after_seq;
	stmt_begin(&q, st, STMT_RESULTS);
	stmt_int(&q, r->with_body);
	stmt_int(&q, (int64_t)jobid_make(r->batch, r->after_seq));
	stmt_int(&q, (int64_t)jobid_make(r->batch, JOBID_SEQ_MAX));
	stmt_int(&q, (int64_t)r->limit);
	while ((rc = stmt_step(&q)) == 1) {
		result_read(st, &row, &q);
		r->last_seq = jobid_seq(row.job);
		if (!r->state_mask || r->state_mask & 1u << row.state)
			r->on_row(r, &row);
	}
	stmt_end(&q);
	r->more = r->last_seq < newest;
	store_op_done(st, &r->op, rc < 0);
}

/* ---- one job ---- */

static void open_attempt_tell(struct store_job_get *g, const struct open_attempt *o, const char *url)
{
	struct store_attempt a = {
	    .job = o->job,
	    .n = o->n,
	    .started_us = o->granted_us,
	    .url = url,
	    .content_type = "",
	    .remote_ip = "",
	    .error = "",
	    .headers = "",
	};

	g->on_attempt(g, &a);
}

/* The attempts form a list, from the newest. The body of the last one is there while its job is final. */
static int attempts_tell(struct store *st, struct store_job_get *g, uint32_t event, const struct store_result *job)
{
	uint32_t batch = jobid_batch(g->job);
	bool last = job_state_final(job->state);
	struct store_attempt a;
	struct stmt q;
	int rc = 1;

	while (event && rc == 1) {
		stmt_begin(&q, st, STMT_OUTCOME_ATTEMPT);
		stmt_int(&q, (int64_t)((uint64_t)batch << 32 | event));
		rc = stmt_step(&q);
		event = 0;
		if (rc == 1) {
			attempt_read(&a, &q);
			event = (uint32_t)col_int(&q, 1);
			a.job = g->job;
			a.url = col_null(&q, 25) ? job->url : col_text(&q, 25);
			a.has_body = last && col_int(&q, 23);
			if (a.n)
				g->on_attempt(g, &a);
			last = false;
		}
		stmt_end(&q);
	}
	return rc;
}

static int job_tell(struct store *st, struct store_job_get *g, const struct stmt *q)
{
	const struct open_attempt *o;
	struct store_result row;
	struct job_brief j;

	result_read(st, &row, q);
	if (store_job_brief(st, g->job, &j) != 1)
		return -1;
	g->on_row(g, &row);
	if (!g->on_attempt)
		return 1;
	o = store_open_find(st, g->job);
	if (o)
		open_attempt_tell(g, o, row.url);
	return attempts_tell(st, g, j.outcome, &row);
}

void store_job_get(struct store *st, struct store_job_get *g)
{
	char name[JOBID_TEXT_SIZE];
	struct stmt q;
	int rc;

	if (!store_batch_for(st, &g->op, jobid_batch(g->job)))
		return;
	stmt_begin(&q, st, STMT_RESULT);
	stmt_int(&q, g->with_body);
	stmt_int(&q, (int64_t)g->job);
	rc = stmt_step(&q);
	if (rc == 1)
		rc = job_tell(st, g, &q) < 0 ? -1 : 1;
	stmt_end(&q);
	if (rc == 0)
		store_op_refused(&g->op, ERR_NOT_FOUND, NULL, "there is no job %s", jobid_format(name, g->job));
	else
		store_op_done(st, &g->op, rc < 0);
}

/* ---- events ---- */

/* As it was at that event: it may have been retried since. */
static void event_read(struct store *st, struct store_result *out, const struct stmt *q)
{
	result_read(st, out, q);
	out->state = (enum job_state)col_int(q, 32);
	out->reason = (enum job_reason)col_int(q, 33);
	out->ended_us = col_int(q, 17);
	out->due_us = 0;
	if (col_int(q, 34))
		out->attempts = (unsigned)col_int(q, 34);
	if (!col_int(q, 35))
		out->body_in_file = false;
}

void store_events(struct store *st, struct store_events *v)
{
	struct batch_entry *b = store_batch_for(st, &v->op, v->batch);
	uint64_t newest = b ? b->next_event - 1 : 0;
	struct store_result row;
	struct stmt q;
	int rc;

	if (!b)
		return;
	v->last = v->after;
	stmt_begin(&q, st, STMT_EVENTS);
	stmt_int(&q, 0);
	stmt_int(&q, (int64_t)jobid_make(v->batch, v->after < UINT32_MAX ? (uint32_t)v->after : UINT32_MAX));
	stmt_int(&q, (int64_t)jobid_make(v->batch, JOBID_SEQ_MAX));
	stmt_int(&q, (int64_t)v->limit);
	while ((rc = stmt_step(&q)) == 1) {
		v->last = (uint32_t)col_int(&q, 31);
		if (!job_state_final((enum job_state)col_int(&q, 32)))
			continue;
		event_read(st, &row, &q);
		v->on_row(v, v->last, &row);
	}
	stmt_end(&q);
	v->more = v->last < newest;
	store_op_done(st, &v->op, rc < 0);
}
