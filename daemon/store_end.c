/* The end of an attempt: its row, what becomes of its job, the body that stays, the chain behind it. What it has to
 * know of the job is kept with the open attempt, so that the plain path (a fresh job, one attempt) reads nothing, and
 * writes one row. It must not know what a page is: only that a body may be that of another job. */
#include <stdlib.h>
#include <string.h>

#include "daemon/store_sqlite.h"

void store_attempt_over(struct store *st, struct batch_entry *b, struct open_attempt *o, enum job_state next,
			bool taken_back)
{
	store_count(st, b, JOB_RUNNING, -1);
	store_count(st, b, next, 1);
	store_open_remove(st, o, taken_back);
}

/* What an end makes of a job: the caller's word, unless the owner's came in between. */
struct ending {
	enum job_state next;
	enum job_reason reason;
	unsigned actions;
	bool keep_body;
	bool plain;       /* nothing is to be said of the job but which outcome is its last */
	const char *url;  /* what was asked for, where a redirect had led there; NULL: the job's own */
	struct group *to; /* the lane that a redirect leads to; NULL: it stays where it is */
	struct body_kept body;
};

static void put_text(struct stmt *q, const char *text)
{
	stmt_text(q, text && *text ? text : NULL);
}

static void put_again(struct stmt *q, const char *text)
{
	stmt_text_again(q, text && *text ? text : NULL);
}

static void put_timings(struct stmt *q, const struct timings *t)
{
	stmt_int(q, t->dns_us);
	stmt_int(q, t->connect_us);
	stmt_int(q, t->tls_us);
	stmt_int(q, t->send_us);
	stmt_int(q, t->wait_us);
	stmt_int(q, t->receive_us);
	stmt_int(q, t->total_us);
}

/* What limits and audits are to know: nothing where nothing was sent. */
static void put_sent(struct stmt *q, struct store *st, const struct store_attempt_end *a)
{
	bool sent = a->counted_boot_us != 0;

	st->boot_noted |= sent;
	if (sent) {
		stmt_int(q, st->boot);
		stmt_int(q, a->sent_boot_us);
		stmt_int(q, a->counted_boot_us);
	} else {
		for (int i = 0; i < 3; i++)
			stmt_null(q);
	}
}

static void put_texts(struct stmt *q, const struct store_attempt_end *a, const struct ending *end, bool usual)
{
	const struct message_outcome *m = a->outcome;

	if (!usual)
		put_text(q, end->url);
	put_again(q, a->method);
	put_again(q, *m->content_type ? m->content_type : end->body.content_type);
	put_again(q, m->remote_ip);
	if (!usual) {
		put_text(q, m->error);
		put_text(q, a->error);
	}
	put_text(q, m->headers);
	if (end->keep_body && end->body.data)
		stmt_blob(q, end->body.data, end->body.data_bytes);
	else
		stmt_null(q);
}

/* Most are told by the same values, which are in the statement then: STMT_OUTCOME_INSERT_PLAIN. */
static bool outcome_usual(const struct store_attempt_end *a, const struct ending *end)
{
	const struct message_outcome *m = a->outcome;

	return end->plain && m->cause == CAUSE_RESPONSE && !*m->error && !(a->error && *a->error);
}

static int outcome_insert(struct store *st, const struct batch_entry *b, const struct open_attempt *o,
			  const struct store_attempt_end *a, const struct ending *end)
{
	const struct message_outcome *m = a->outcome;
	int64_t id = (int64_t)((uint64_t)b->id << 32 | b->next_event);
	bool usual = outcome_usual(a, end);
	struct stmt q;

	stmt_begin(&q, st, usual ? STMT_OUTCOME_INSERT_PLAIN : STMT_OUTCOME_INSERT);
	store_append_put(&q, APPEND_OUTCOMES, id);
	stmt_int(&q, jobid_seq(o->job));
	if (!usual) {
		stmt_int(&q, o->n);
		stmt_int(&q, o->outcome);
		stmt_int(&q, end->next);
		stmt_int(&q, end->reason);
		stmt_int(&q, m->cause);
	}
	stmt_int(&q, m->status);
	stmt_int(&q, m->http_version);
	stmt_int(&q, o->lane);
	stmt_int(&q, a->started_wall_us);
	stmt_int(&q, a->first_byte_wall_us);
	stmt_int(&q, a->ended_wall_us);
	stmt_int(&q, a->queued_us);
	stmt_int(&q, a->limited_us);
	put_timings(&q, &m->timings);
	stmt_int(&q, end->body.size_bytes);
	stmt_int(&q, m->wire_bytes);
	stmt_int(&q, end->keep_body && end->body.in_file);
	put_sent(&q, st, a);
	put_texts(&q, a, end, usual);
	return store_append_run(&q, APPEND_OUTCOMES, id);
}

static int progress_end(struct store *st, const struct open_attempt *o, const struct store_attempt_end *a,
			const struct ending *end, uint32_t event)
{
	struct job_brief j = {
	    .job = o->job,
	    .lane = end->to ? end->to->id : o->lane,
	    .hops = o->hops + (end->to != NULL),
	    .chain = o->chain,
	    .progress = o->progress,
	    .state = end->next,
	    .reason = end->reason,
	    .tries = a->tries,
	    .deaths = a->deaths,
	    .attempts = o->n,
	    .outcome = event,
	    .started_us = o->started_us ? o->started_us : a->started_wall_us,
	};
	struct stmt q;

	if (end->plain) {
		store_plain_note(st, o->job, event);
		return 0;
	}
	/* Never none: a queued job with progress and no due time would be found by nobody. */
	if (end->next == JOB_QUEUED)
		j.due_us = a->due_us > 0 ? a->due_us : 1;
	if (!j.progress || j.due_us)
		return store_progress_write(st, &j);
	/* The common second attempt: it was cleared of its due time when it was opened, and does not wait. */
	stmt_begin(&q, st, STMT_PROGRESS_UPDATE);
	stmt_int(&q, j.state);
	stmt_int(&q, j.reason);
	stmt_int(&q, j.tries);
	stmt_int(&q, j.deaths);
	stmt_int(&q, j.attempts);
	stmt_int(&q, j.outcome);
	stmt_int(&q, j.started_us);
	stmt_int(&q, (int64_t)j.job);
	return stmt_run(&q);
}

/* Its batch is being cancelled, and the sweep may have passed it: it is not put off any more. */
static void ending_decide(struct ending *end, const struct batch_entry *b, const struct open_attempt *o,
			  const struct store_attempt_end *a)
{
	end->next = a->next;
	end->reason = a->reason;
	end->actions = a->actions;
	if (a->next == JOB_QUEUED && store_batch_ending(b)) {
		bool fails = b->sweep == STORE_SWEEP_FAIL;
		struct job_step step = job_step(JOB_RUNNING, fails ? JOB_EV_FAIL : JOB_EV_CANCEL);
		end->next = step.next;
		end->reason = fails ? b->sweep_reason : REASON_NONE;
		end->actions = step.actions;
	}
	end->keep_body = job_state_final(end->next);
	/* Without a row there was no attempt before, no redirect, no other lane, and it waited for nobody. */
	end->plain = end->next == JOB_DONE && end->reason == REASON_NONE && !o->progress;
}

/* The file of an attempt: kept with a final one, else gone after the commit. */
static void body_account(struct store *st, struct batch_entry *b, const struct open_attempt *o,
			 const struct message_outcome *m, const struct ending *end)
{
	if (end->keep_body && end->body.in_file) {
		b->body_bytes += end->body.size_bytes;
		st->totals.bodies_bytes += end->body.size_bytes;
	} else if (m->body_in_file || o->inherited || m->cause == CAUSE_WORKER_LOST) {
		/* A worker that was lost may have left one. */
		store_unlink_later(st, o->job, o->n);
	}
}

static int chain_after(struct store *st, struct batch_entry *b, int64_t chain_id, uint64_t job,
		       const struct ending *end)
{
	struct group *chain;

	if (!chain_id || !job_state_final(end->next))
		return 0;
	chain = store_group_find(st, GROUP_CHAIN, chain_id);
	if (!chain)
		return -1;
	chain->pending--;
	store_group_dirty(st, chain);
	return store_chain_ended(st, b, chain_id, job, true, end->actions);
}

/* Where its last redirect led: for the record of the attempt. Copied, for the row is about to change. */
static char *target_read(struct store *st, const struct open_attempt *o)
{
	char *url = NULL;
	struct stmt q;

	if (o->hops == 0)
		return NULL;
	stmt_begin(&q, st, STMT_JOB_URL);
	stmt_int(&q, (int64_t)o->job);
	if (stmt_step(&q) == 1)
		url = strdup(col_text(&q, 0));
	stmt_end(&q);
	return url;
}

static int target_write(struct store *st, struct batch_entry *b, const struct store_attempt_end *a, struct ending *end)
{
	struct stmt q;

	if (!a->next_url || end->next != JOB_QUEUED)
		return 0;
	end->to = store_group_get(st, GROUP_LANE, b, a->next_key);
	if (!end->to)
		return -1;
	stmt_begin(&q, st, STMT_TARGET_SET);
	stmt_int(&q, (int64_t)a->outcome->job);
	stmt_text(&q, a->next_url);
	stmt_int(&q, a->next_as_get);
	stmt_int(&q, a->next_stripped);
	stmt_int(&q, a->next_from_public);
	return stmt_run(&q);
}

static int attempt_write(struct store *st, struct store_attempt_end *a, struct batch_entry *b, struct open_attempt *o,
			 struct ending *end)
{
	uint32_t event = (uint32_t)b->next_event;
	int64_t chain = o->chain;
	uint64_t job = o->job;

	if (target_write(st, b, a, end) < 0)
		return -1;
	if (a->counted_boot_us != 0 && store_counted_note(st, b, a->counted_boot_us) < 0)
		return -1;
	if (outcome_insert(st, b, o, a, end) < 0 || progress_end(st, o, a, end, event) < 0)
		return -1;
	b->next_event++;
	if (job_state_final(end->next))
		b->last_event = event;
	body_account(st, b, o, a->outcome, end);
	if (end->next == JOB_QUEUED) {
		struct group *lane = end->to ? end->to : store_group_find(st, GROUP_LANE, o->lane);
		if (!lane)
			return -1;
		store_lane_tell(st, lane);
	}
	store_attempt_over(st, b, o, end->next, false);
	return chain_after(st, b, chain, job, end);
}

static struct body_kept body_own(const struct message_outcome *m)
{
	return (struct body_kept){
	    .in_file = m->body_in_file,
	    .size_bytes = m->size_bytes,
	    .data = m->body,
	    .data_bytes = m->body_bytes,
	    .content_type = "",
	};
}

int store_attempt_write(struct store *st, struct store_attempt_end *a, struct batch_entry *b, struct open_attempt *o,
			const struct body_kept *body)
{
	char *url = target_read(st, o);
	struct ending end = {.url = url, .body = body ? *body : body_own(a->outcome)};
	int rc;

	ending_decide(&end, b, o, a);
	rc = attempt_write(st, a, b, o, &end);
	free(url);
	return rc;
}

static bool end_makes_sense(const struct store_attempt_end *a)
{
	return a->next == JOB_QUEUED || job_state_final(a->next);
}

struct open_attempt *store_attempt_of(struct store *st, struct store_attempt_end *a, struct batch_entry **out)
{
	struct batch_entry *b = store_batch_of(st, &a->op, jobid_batch(a->outcome->job));
	struct open_attempt *o = b ? store_open_find(st, a->outcome->job) : NULL;

	if (!end_makes_sense(a))
		BUG("an attempt cannot end with its job %s", job_state_name(a->next));
	*out = b;
	if (o && o->n == a->outcome->n)
		return o;
	if (b)
		store_tx_refuse(st, &a->op, ERR_CONFLICT, NULL, "that attempt is not open");
	return NULL;
}

void store_attempt_end(struct store *st, struct store_attempt_end *a)
{
	struct batch_entry *b;
	struct open_attempt *o;

	if (!store_tx_join(st, &a->op, 1))
		return;
	o = store_attempt_of(st, a, &b);
	if (o)
		store_attempt_write(st, a, b, o, NULL);
	store_tx_leave(st);
}
