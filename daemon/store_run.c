/* Attempts: opening and taking back; their ends are store_end. The plain path (a fresh job, one attempt, an end) is one
 * INSERT: what its opening has to know was read when it was loaded, and its opening and its end are rows with others.
 */
#include <string.h>

#include "daemon/store_sqlite.h"

/* ---- opening ---- */

/* From a row of STMT_JOB_REQUEST. */
void store_request_read(struct store_request *req, const struct stmt *q)
{
	struct job_brief j;

	store_brief_read(&j, q);
	*req = (struct store_request){
	    .job = j.job,
	    .n = j.attempts + 1,
	    .lane = j.lane,
	    .tries = j.tries,
	    .deaths = j.deaths,
	    .ready_us = j.due_us ? j.due_us : j.submitted_us,
	    .submitted_us = j.submitted_us,
	    .hops = j.hops,
	    .as_get = col_int(q, 21),
	    .stripped = col_int(q, 22),
	    .from_public = col_int(q, 23),
	    .spec =
		{
		    .url = col_text(q, 14),
		    .method = col_text_or_null(q, 15),
		    .tag = col_text_or_null(q, 16),
		    .user = col_text_or_null(q, 17),
		    .options = col_text_or_null(q, 18),
		    .headers = col_text_or_null(q, 19),
		    .has_body = !col_null(q, 20),
		},
	};
	if (req->spec.has_body) {
		req->spec.body = col_blob(q, 20);
		req->spec.body_bytes = (size_t)sqlite3_column_bytes(q->s, 20);
	}
}

/* Its due time is over: it is not to be loaded again. */
static int due_clear(struct store *st, uint64_t job)
{
	struct stmt q;

	stmt_begin(&q, st, STMT_PROGRESS_OPENED);
	stmt_int(&q, (int64_t)job);
	return stmt_run(&q);
}

/* The caller's word on what is to be opened. Of a page it is told more. */
static bool request_wanted(struct store *st, struct store_attempt_open *a, const struct batch_entry *b,
			   struct store_request *req)
{
	struct page_asked asked;
	bool wanted;

	if (!a->on_request)
		return true;
	if (!b->run)
		return a->on_request(a, req);
	if (store_page_ask(st, &asked, b->base, a->job) > 0)
		req->page = &asked.request;
	wanted = a->on_request(a, req);
	store_page_asked(&asked);
	return wanted;
}

static void open_note(struct open_attempt *o, const struct store_attempt_open *a, const struct store_request *req,
		      const struct job_brief *j)
{
	o->n = req->n;
	o->granted_us = a->granted_us;
	o->granted_boot_us = a->granted_boot_us;
	o->ready_us = req->ready_us;
	o->hops = j->hops;
	o->started_us = j->started_us;
	o->lane = j->lane;
	o->chain = j->chain;
	o->attempts = j->attempts;
	o->outcome = j->outcome;
	o->progress = j->progress;
}

static void attempt_open(struct store *st, struct store_attempt_open *a, struct batch_entry *b,
			 const struct job_brief *j, struct store_request *req)
{
	struct open_attempt *o;

	if (!job_step(j->state, JOB_EV_START).allowed || store_open_find(st, a->job) || store_batch_ending(b)) {
		store_tx_refuse(st, &a->op, ERR_CONFLICT, NULL, "the job is not queued");
		return;
	}
	if (!request_wanted(st, a, b, req)) {
		a->n = 0;
		return;
	}
	b = store_batch_find(st, jobid_batch(a->job)); /* the callback may have led to a commit */
	if (!b)
		return;
	o = store_open_add(st, a->job);
	open_note(o, a, req, j);
	st->opening++;
	st->boot_noted = true;
	o->boot = st->boot;
	a->n = o->n;
	store_count(st, b, JOB_QUEUED, -1);
	store_count(st, b, JOB_RUNNING, 1);
	if (j->due_us)
		due_clear(st, a->job);
}

/* What is handed out borrows from the row that the statement stands on. */
static void open_read(struct store *st, struct store_attempt_open *a, struct batch_entry *b)
{
	struct store_request req;
	struct job_brief j;
	struct stmt q;
	int rc;

	stmt_begin(&q, st, STMT_JOB_REQUEST);
	stmt_int(&q, (int64_t)a->job);
	rc = stmt_step(&q);
	if (rc == 1) {
		store_brief_read(&j, &q);
		store_request_read(&req, &q);
		attempt_open(st, a, b, &j, &req);
	} else if (rc == 0) {
		store_tx_refuse(st, &a->op, ERR_NOT_FOUND, NULL, "there is no such job");
	}
	stmt_end(&q);
}

/* As it was loaded. Its URL is copied: the callback may lead to another load. */
static void open_ahead(struct store *st, struct store_attempt_open *a, struct batch_entry *b, const struct ahead *ahead)
{
	char url[sizeof ahead->url];
	struct job_brief j = {
	    .job = a->job,
	    .lane = ahead->lane,
	    .own_lane = ahead->lane,
	    .submitted_us = ahead->submitted_us,
	    .state = JOB_QUEUED,
	};
	struct store_request req = {
	    .job = a->job,
	    .n = 1,
	    .lane = ahead->lane,
	    .ready_us = ahead->submitted_us,
	    .submitted_us = ahead->submitted_us,
	    .spec.url = url,
	};

	memcpy(url, ahead->url, ahead->url_bytes);
	store_ahead_forget(st, a->job);
	attempt_open(st, a, b, &j, &req);
}

void store_attempt_open(struct store *st, struct store_attempt_open *a)
{
	const struct ahead *ahead;
	struct batch_entry *b;

	if (!store_tx_join(st, &a->op, 1))
		return;
	b = store_batch_of(st, &a->op, jobid_batch(a->job));
	ahead = store_ahead_find(st, a->job);
	if (b && ahead)
		open_ahead(st, a, b, ahead);
	else if (b)
		open_read(st, a, b);
	store_tx_leave(st);
}

/* ---- taking back ---- */

/* It is put off until the time when it was ready, so that the lane's next load finds it wherever its cursor is. */
static void attempt_undo(struct store *st, struct batch_entry *b, struct open_attempt *o)
{
	struct group *lane = store_group_find(st, GROUP_LANE, o->lane);
	struct job_brief j;
	int64_t ready = o->ready_us;

	if (!lane || store_job_brief(st, o->job, &j) != 1)
		return;
	store_attempt_over(st, b, o, JOB_QUEUED, true);
	if (store_batch_ending(b)) {
		if (b->sweep == STORE_SWEEP_FAIL)
			store_job_end(st, b, &j, JOB_EV_EXPIRE, b->sweep_reason, b->sweep_error);
		else
			store_job_end(st, b, &j, JOB_EV_CANCEL, REASON_NONE, NULL);
		return;
	}
	j.due_us = ready;
	store_lane_tell(st, lane);
	store_progress_write(st, &j);
}

void store_attempt_undo(struct store *st, struct store_attempt_undo *u)
{
	struct batch_entry *b;
	struct open_attempt *o;

	if (!store_tx_join(st, &u->op, 1))
		return;
	b = store_batch_of(st, &u->op, jobid_batch(u->job));
	o = b ? store_open_find(st, u->job) : NULL;
	if (o && o->n == u->n)
		attempt_undo(st, b, o);
	else if (b)
		store_tx_refuse(st, &u->op, ERR_CONFLICT, NULL, "that attempt is not open");
	store_tx_leave(st);
}
