/* What becomes of a job other than by an attempt's end, and what a job's end means for the others of its chain. All
 * changes of a state that are made here go through job_step.
 *
 * A chain counts its jobs that have not ended (pending) and remembers the first that failed. Blocked jobs are only
 * there while one of the chain is queued or running; when that one ends, the first of them goes, or all behind it fail.
 */
#include <stdio.h>
#include <string.h>

#include "daemon/store_sqlite.h"
#include "lib/clock.h"
#include "lib/log.h"

/* ---- a job's progress ---- */

/* What has no row is fresh, or is done: that is in its block or will be (store_plain.c). */
static void brief_plain(struct job_brief *out, const struct store *st)
{
	if (!out->outcome)
		out->outcome = store_plain_held(st, out->job);
	if (!out->outcome)
		return;
	out->state = JOB_DONE;
	out->attempts = 1;
}

void store_brief_read(struct job_brief *out, const struct stmt *q)
{
	*out = (struct job_brief){
	    .job = (uint64_t)col_int(q, 0),
	    .lane = col_int(q, 1),
	    .chain = col_int(q, 2),
	    .submitted_us = col_int(q, 3),
	    .progress = !col_null(q, 4),
	    .state = JOB_QUEUED,
	    .own_lane = col_int(q, 13),
	};
	out->outcome = (uint32_t)col_int(q, 9);
	if (!out->progress) {
		brief_plain(out, q->st);
		return;
	}
	out->state = (enum job_state)col_int(q, 4);
	out->reason = (enum job_reason)col_int(q, 5);
	out->tries = (unsigned)col_int(q, 6);
	out->deaths = (unsigned)col_int(q, 7);
	out->attempts = (unsigned)col_int(q, 8);
	out->started_us = col_int(q, 10);
	out->due_us = col_int(q, 11);
	out->hops = (unsigned)col_int(q, 12);
}

int store_job_brief(struct store *st, uint64_t job, struct job_brief *out)
{
	struct stmt q;
	int rc;

	stmt_begin(&q, st, STMT_JOB_BRIEF);
	stmt_int(&q, (int64_t)job);
	rc = stmt_step(&q);
	if (rc == 1)
		store_brief_read(out, &q);
	stmt_end(&q);
	return rc;
}

/* The same six or so parameters of an INSERT and of an UPDATE. */
static void put_progress(struct stmt *q, const struct job_brief *j)
{
	stmt_int(q, j->tries);
	stmt_int(q, j->deaths);
	stmt_int(q, j->attempts);
	stmt_int(q, j->outcome);
	stmt_int(q, j->started_us);
}

static void put_waiting(struct stmt *q, const struct job_brief *j)
{
	if (j->due_us)
		stmt_int(q, j->due_us);
	else
		stmt_null(q);
	if (j->state == JOB_BLOCKED)
		stmt_int(q, j->chain);
	else
		stmt_null(q);
}

int store_progress_write(struct store *st, const struct job_brief *j)
{
	struct stmt q;

	store_ahead_forget(st, j->job);
	if (j->progress) {
		stmt_begin(&q, st, STMT_PROGRESS_FULL);
		stmt_int(&q, j->state);
		stmt_int(&q, j->reason);
		put_progress(&q, j);
		put_waiting(&q, j);
		stmt_int(&q, j->lane);
		stmt_int(&q, j->hops);
		stmt_int(&q, (int64_t)j->job);
		return stmt_run(&q);
	}
	stmt_begin(&q, st, STMT_PROGRESS_INSERT);
	stmt_int(&q, (int64_t)j->job);
	stmt_int(&q, j->state);
	stmt_int(&q, j->reason);
	stmt_int(&q, j->lane);
	stmt_int(&q, j->hops);
	put_progress(&q, j);
	put_waiting(&q, j);
	return stmt_run(&q);
}

/* ---- an end without a request ---- */

static int outcome_insert_bare(struct store *st, const struct batch_entry *b, const struct job_brief *j,
			       const char *error)
{
	int64_t id = (int64_t)((uint64_t)b->id << 32 | b->next_event);
	struct stmt q;

	stmt_begin(&q, st, STMT_OUTCOME_INSERT);
	store_append_put(&q, APPEND_OUTCOMES, id);
	stmt_int(&q, jobid_seq(j->job));
	stmt_int(&q, 0);
	stmt_int(&q, j->outcome);
	stmt_int(&q, j->state);
	stmt_int(&q, j->reason);
	for (int i = 0; i < 3; i++) /* cause, status, http_version */
		stmt_int(&q, 0);
	stmt_int(&q, j->lane);
	stmt_int(&q, 0);
	stmt_int(&q, 0);
	stmt_int(&q, clock_wall_us());
	for (int i = 0; i < 12; i++) /* from queued_us to body_in_file */
		stmt_int(&q, 0);
	for (int i = 0; i < 7; i++) /* boot, sent, counted, url, method, content_type, remote_ip */
		stmt_null(&q);
	stmt_text(&q, error);
	for (int i = 0; i < 3; i++) /* final_error, headers, body */
		stmt_null(&q);
	return store_append_run(&q, APPEND_OUTCOMES, id);
}

int store_job_end(struct store *st, struct batch_entry *b, struct job_brief *j, enum job_event event,
		  enum job_reason reason, const char *error)
{
	struct job_step step = job_step(j->state, event);

	if (!step.allowed)
		BUG("job %u.%u: %s while %s", b->id, jobid_seq(j->job), job_event_name(event),
		    job_state_name(j->state));
	store_count(st, b, j->state, -1);
	store_count(st, b, step.next, 1);
	j->state = step.next;
	j->reason = reason;
	j->due_us = 0;
	if (outcome_insert_bare(st, b, j, error) < 0)
		return -1;
	j->outcome = (uint32_t)b->next_event;
	b->last_event = b->next_event++;
	if (j->chain) {
		struct group *chain = store_group_find(st, GROUP_CHAIN, j->chain);
		if (!chain)
			return -1;
		chain->pending--;
		store_group_dirty(st, chain);
	}
	return store_progress_write(st, j);
}

/* ---- the rest of a chain ---- */

static int unblock_first(struct store *st, struct batch_entry *b, struct group *chain)
{
	struct job_brief j;
	struct stmt q;
	uint64_t job = 0;
	int rc;

	stmt_begin(&q, st, STMT_CHAIN_WAITING);
	stmt_int(&q, chain->id);
	stmt_int(&q, 0);
	stmt_int(&q, 1);
	rc = stmt_step(&q);
	if (rc == 1)
		job = (uint64_t)col_int(&q, 0);
	stmt_end(&q);
	if (rc != 1)
		return rc;
	/* Behind the one that failed: store_chain_rest comes for it. */
	if (chain->failed && job > chain->failed)
		return 0;
	if (store_job_brief(st, job, &j) != 1)
		return -1;
	struct job_step step = job_step(j.state, JOB_EV_UNBLOCK);
	if (!step.allowed)
		BUG("a job that waits for its chain is %s", job_state_name(j.state));
	store_count(st, b, j.state, -1);
	store_count(st, b, step.next, 1);
	j.state = step.next;
	j.due_us = clock_wall_us();
	struct group *lane = store_group_find(st, GROUP_LANE, j.lane);
	if (!lane)
		return -1;
	store_lane_tell(st, lane);
	return store_progress_write(st, &j);
}

static size_t waiting_read(struct store *st, const struct group *chain, uint64_t *jobs, size_t room, int *rc)
{
	struct stmt q;
	size_t n = 0;

	stmt_begin(&q, st, STMT_CHAIN_WAITING);
	stmt_int(&q, chain->id);
	stmt_int(&q, (int64_t)chain->failed);
	stmt_int(&q, (int64_t)room);
	while ((*rc = stmt_step(&q)) == 1)
		jobs[n++] = (uint64_t)col_int(&q, 0);
	stmt_end(&q);
	return n;
}

static int chain_rest_set(struct store *st, struct group *chain, bool rest)
{
	struct stmt q;

	if (chain->rest == rest)
		return 0;
	chain->rest = rest;
	st->work |= rest;
	stmt_begin(&q, st, STMT_CHAIN_REST);
	stmt_int(&q, rest);
	stmt_int(&q, chain->id);
	return stmt_run(&q);
}

int store_chain_why(struct store *st, const struct group *chain, char *out)
{
	struct job_brief j;
	char name[JOBID_TEXT_SIZE];

	if (store_job_brief(st, chain->failed, &j) != 1)
		return -1;
	snprintf(out, STORE_CHAIN_WHY_SIZE, "job %s of its chain %s", jobid_format(name, chain->failed),
		 j.state == JOB_CANCELLED ? "was cancelled" : "failed");
	return 0;
}

int store_chain_rest(struct store *st, struct batch_entry *b, struct group *chain)
{
	uint64_t jobs[STORE_REST_ROWS];
	char error[STORE_CHAIN_WHY_SIZE];
	size_t n = 0;
	int rc = 0;

	/* The one that failed may have been retried meanwhile: then the rest waits for it again. */
	if (chain->failed)
		n = waiting_read(st, chain, jobs, STORE_REST_ROWS, &rc);
	if (rc < 0 || (n > 0 && store_chain_why(st, chain, error) < 0))
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct job_brief j;
		if (store_job_brief(st, jobs[i], &j) != 1)
			return -1;
		if (store_job_end(st, b, &j, JOB_EV_PREDECESSOR, REASON_PREDECESSOR, error) < 0)
			return -1;
	}
	return chain_rest_set(st, chain, n == STORE_REST_ROWS);
}

int store_chain_ended(struct store *st, struct batch_entry *b, int64_t chain_id, uint64_t job, bool was_active,
		      unsigned actions)
{
	struct group *chain = store_group_find(st, GROUP_CHAIN, chain_id);

	if (!chain)
		return -1;
	/* The sweep is on its way to all of them. */
	if (store_batch_ending(b))
		return 0;
	if (actions & JOB_ACT_FAIL_REST) {
		if (!chain->failed || job < chain->failed)
			chain->failed = job;
		store_group_dirty(st, chain);
		if (store_chain_rest(st, b, chain) < 0)
			return -1;
	}
	/* After a failure too: jobs before it may wait, those that were retried later. */
	if (was_active && chain->pending > 0)
		return unblock_first(st, b, chain);
	return 0;
}

/* ---- once more ---- */

static int body_forget(struct store *st, struct batch_entry *b, const struct job_brief *j)
{
	struct stmt q;
	int rc;

	if (!j->outcome)
		return 0;
	stmt_begin(&q, st, STMT_OUTCOME_BODY);
	stmt_int(&q, (int64_t)((uint64_t)b->id << 32 | j->outcome));
	rc = stmt_step(&q);
	if (rc == 1 && col_int(&q, 1)) {
		store_unlink_later(st, j->job, (uint32_t)col_int(&q, 0));
		b->body_bytes -= col_int(&q, 2);
		st->totals.bodies_bytes -= col_int(&q, 2);
	}
	stmt_end(&q);
	return rc < 0 ? -1 : 0;
}

static int target_forget(struct store *st, uint64_t job)
{
	struct stmt q;

	stmt_begin(&q, st, STMT_TARGET_DELETE);
	stmt_int(&q, (int64_t)job);
	stmt_int(&q, (int64_t)job);
	return stmt_run(&q);
}

int store_job_again(struct store *st, struct batch_entry *b, struct job_brief *j, struct group *chain)
{
	bool behind = chain && chain->pending > 0;
	struct job_step step = job_step(j->state, behind ? JOB_EV_RETRY_CHAIN : JOB_EV_RETRY);
	struct group *lane = store_group_find(st, GROUP_LANE, j->own_lane);

	if (!step.allowed || !lane || body_forget(st, b, j) < 0 || (b->run && store_page_again(st, j->job) < 0))
		return -1;
	/* From its own URL, wherever redirects led it before. */
	if (j->hops && target_forget(st, j->job) < 0)
		return -1;
	j->hops = 0;
	j->lane = j->own_lane;
	if (chain) {
		if (chain->failed >= j->job)
			chain->failed = 0;
		chain->pending++;
		store_group_dirty(st, chain);
	}
	store_count(st, b, j->state, -1);
	store_count(st, b, step.next, 1);
	j->state = step.next;
	j->reason = REASON_NONE;
	j->tries = j->deaths = 0;
	j->due_us = behind ? 0 : clock_wall_us();
	if (!behind)
		store_lane_tell(st, lane);
	return store_progress_write(st, j);
}
