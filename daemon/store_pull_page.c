/* Pages: asked for, what they said, read again. A page is a job with a row more; its token is in its run once, whatever
 * happens. The end of a page is the end of its attempt, what it said, and the pages that follow from it, all in the one
 * transaction of the call: a commit cannot fall between.
 *
 * What a page says is not understood here. */
#include <errno.h>
#include <string.h>

#include "daemon/store_sqlite.h"
#include "lib/clock.h"
#include "lib/log.h"

/* ---- more pages ---- */

bool store_pages_fit(struct store *st, struct store_op *op, const struct batch_entry *b,
		     const struct store_page_new *pages, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!store_job_fits(&pages[i].job)) {
			store_tx_refuse(st, op, ERR_INPUT, NULL, "page %zu: the name of its host is too long", i + 1);
			return false;
		}
	}
	return !b || store_batch_has_room(st, op, b, count);
}

/* 1: it is there. */
static int token_there(struct store *st, uint32_t run, const char *token)
{
	struct stmt q;
	int rc;

	stmt_begin(&q, st, STMT_PAGE_BY_TOKEN);
	stmt_int(&q, run);
	stmt_text(&q, token);
	rc = stmt_step(&q);
	stmt_end(&q);
	return rc;
}

static int page_insert(struct store *st, struct batch_entry *b, const struct store_page_new *page, int64_t now_us)
{
	uint64_t job = jobid_make(b->id, (uint32_t)b->next_seq);
	struct stmt q;

	if (store_job_add(st, b, &page->job, now_us) < 0)
		return -1;
	stmt_begin(&q, st, STMT_PAGE_INSERT);
	stmt_int(&q, (int64_t)job);
	stmt_int(&q, page->from_public);
	stmt_text(&q, page->token);
	return stmt_run(&q);
}

int store_pages_insert(struct store *st, struct batch_entry *b, const struct store_page_new *pages, size_t count)
{
	int64_t now = count ? clock_wall_us() : 0;

	for (size_t i = 0; i < count; i++) {
		int rc = token_there(st, b->id, pages[i].token);
		if (rc < 0 || (rc == 0 && page_insert(st, b, &pages[i], now) < 0))
			return -1;
	}
	return 0;
}

/* A run that waits has none yet; one that has ended, or was cancelled, gets none. */
static void pages_add(struct store *st, struct store_pages_add *a)
{
	struct batch_entry *b = store_run_of(st, &a->op, a->run);

	if (!b)
		return;
	if (b->closed || store_run_waits(st, b->id))
		store_tx_refuse(st, &a->op, ERR_CONFLICT, NULL, "run %u is not under way", b->id);
	else if (store_pages_fit(st, &a->op, b, a->pages, a->count))
		store_pages_insert(st, b, a->pages, a->count);
}

void store_pages_add(struct store *st, struct store_pages_add *a)
{
	if (!store_tx_join(st, &a->op, a->count + 1))
		return;
	pages_add(st, a);
	store_tx_leave(st);
}

int store_page_again(struct store *st, uint64_t job)
{
	struct stmt q;

	stmt_begin(&q, st, STMT_PAGE_AGAIN);
	stmt_int(&q, (int64_t)job);
	return stmt_run(&q);
}

/* ---- what a page said ---- */

static void said_read(struct message_page *out, const struct stmt *q, int at)
{
	*out = (struct message_page){
	    .items = col_int(q, at),
	    .next = col_text(q, at + 1),
	    .next_is_url = col_int(q, at + 2),
	    .has_more = (int)col_int(q, at + 3),
	    .stop = col_int(q, at + 4),
	    .total_pages = col_int(q, at + 5),
	    .total_items = col_int(q, at + 6),
	    .since = col_text(q, at + 7),
	    .etag = col_text(q, at + 8),
	    .last_modified = col_text(q, at + 9),
	    .hash = {(uint64_t)col_int(q, at + 10), (uint64_t)col_int(q, at + 11)},
	};
	if (col_null(q, at + 12))
		return;
	out->keys = col_blob(q, at + 12);
	out->keys_bytes = (size_t)sqlite3_column_bytes(q->s, at + 12);
}

/* ---- what is known of a page beside its request ---- */

static void base_read(struct page_asked *out)
{
	const struct stmt *q = &out->base;

	out->request.base_job = (uint64_t)col_int(q, 0);
	out->request.etag = col_text(q, 1);
	out->request.last_modified = col_text(q, 2);
	out->request.base = &out->said;
	said_read(&out->said, q, 8);
	out->body_n = (uint32_t)col_int(q, 3);
	out->body = (struct body_kept){
	    .in_file = col_int(q, 4),
	    .size_bytes = col_int(q, 5),
	    .content_type = col_text(q, 6),
	};
}

/* The page of the base with the same token and URL, while its body is there: then it may be asked whether it changed.
 */
static int base_ask(struct store *st, struct page_asked *out, uint32_t base)
{
	const struct batch_entry *b = store_batch_find(st, base);
	int rc;

	if (!b || b->sweep == STORE_SWEEP_REMOVE)
		return 0;
	out->base_begun = true;
	stmt_begin(&out->base, st, STMT_PAGE_BASE);
	stmt_int(&out->base, base);
	stmt_text(&out->base, out->request.token);
	stmt_text(&out->base, col_text(&out->own, 2));
	rc = stmt_step(&out->base);
	if (rc == 1)
		base_read(out);
	if (rc == 1 && out->body.in_file && !store_body_shareable(st, out->request.base_job, out->body_n)) {
		out->request.base_job = 0;
		out->request.base = NULL;
		out->request.etag = out->request.last_modified = "";
	}
	return rc;
}

int store_page_ask(struct store *st, struct page_asked *out, uint32_t base, uint64_t job)
{
	int rc;

	*out = (struct page_asked){.own_begun = true, .request = {.etag = "", .last_modified = ""}};
	stmt_begin(&out->own, st, STMT_PAGE_OWN);
	stmt_int(&out->own, (int64_t)job);
	rc = stmt_step(&out->own);
	if (rc != 1)
		return rc;
	out->request.token = col_text(&out->own, 0);
	out->request.from_public = col_int(&out->own, 1);
	return base && base_ask(st, out, base) < 0 ? -1 : 1;
}

void store_page_asked(struct page_asked *p)
{
	if (p->base_begun)
		stmt_end(&p->base);
	if (p->own_begun)
		stmt_end(&p->own);
}

/* ---- what it said ---- */

static void put_said(struct stmt *q, const struct message_page *m)
{
	stmt_int(q, m->items);
	stmt_text(q, *m->next ? m->next : NULL);
	stmt_int(q, m->next_is_url);
	stmt_int(q, m->has_more);
	stmt_int(q, m->stop);
	stmt_int(q, m->total_pages);
	stmt_int(q, m->total_items);
	stmt_text(q, *m->since ? m->since : NULL);
	stmt_text(q, *m->etag ? m->etag : NULL);
	stmt_text(q, *m->last_modified ? m->last_modified : NULL);
	stmt_int(q, (int64_t)m->hash[0]);
	stmt_int(q, (int64_t)m->hash[1]);
	if (m->keys)
		stmt_blob(q, m->keys, m->keys_bytes);
	else
		stmt_null(q);
}

static int said_write(struct store *st, const struct store_page_end *p, uint64_t job)
{
	struct stmt q;

	if (!p->page && !p->past_end)
		return 0;
	stmt_begin(&q, st, STMT_PAGE_SAID);
	stmt_int(&q, p->past_end);
	stmt_int(&q, p->page != NULL);
	if (p->page)
		put_said(&q, p->page);
	for (int i = 0; !p->page && i < 13; i++)
		stmt_null(&q);
	stmt_int(&q, (int64_t)job);
	return stmt_run(&q);
}

static int said_again(struct store *st, uint64_t base_job, uint64_t job)
{
	struct stmt q;

	stmt_begin(&q, st, STMT_PAGE_REUSE);
	stmt_int(&q, (int64_t)base_job);
	stmt_int(&q, (int64_t)job);
	return stmt_run(&q);
}

static int guard_write(struct store *st, uint32_t run, const char *guard)
{
	struct stmt q;

	if (!guard)
		return 0;
	stmt_begin(&q, st, STMT_RUN_GUARD);
	stmt_text(&q, guard);
	stmt_int(&q, run);
	return stmt_run(&q);
}

/* ---- the end of a page ---- */

static bool body_again(struct store *st, struct page_asked *asked, const struct open_attempt *o)
{
	int error;

	if (!asked->body.in_file) {
		asked->body.data = col_null(&asked->base, 7) ? NULL : col_blob(&asked->base, 7);
		asked->body.data_bytes = (size_t)sqlite3_column_bytes(asked->base.s, 7);
		return true;
	}
	error = store_body_link(st, asked->request.base_job, asked->body_n, o->job, o->n);
	if (error)
		log_warn("stored page not usable", "job=%u.%u why=\"%s\"", jobid_batch(o->job), jobid_seq(o->job),
			 strerror(error));
	return error == 0;
}

/* What follows from its end, wherever its body came from. A batch that is being cancelled gets no more pages: the sweep
 * may have passed. */
static int page_follow(struct store *st, struct store_page_end *p, struct batch_entry *b)
{
	if (guard_write(st, b->id, p->guard) < 0)
		return -1;
	return b->closed ? 0 : store_pages_insert(st, b, p->add, p->add_count);
}

static void page_end_again(struct store *st, struct store_page_end *p, struct batch_entry *b, struct open_attempt *o)
{
	uint64_t job = o->job;
	struct page_asked asked;

	if (store_page_ask(st, &asked, b->base, job) >= 0) {
		if (!asked.request.base_job || !body_again(st, &asked, o))
			store_tx_refuse(st, &p->end.op, ERR_CONFLICT, "ask for the page without conditions",
					"the stored page is gone");
		else if (store_attempt_write(st, &p->end, b, o, &asked.body) == 0 &&
			 said_again(st, asked.request.base_job, job) == 0)
			page_follow(st, p, b);
	}
	store_page_asked(&asked);
}

static void page_end(struct store *st, struct store_page_end *p)
{
	struct batch_entry *b;
	struct open_attempt *o = store_attempt_of(st, &p->end, &b);
	uint64_t job = p->end.outcome->job;

	if (!o || !store_run_of(st, &p->end.op, b->id))
		return;
	if (p->page_ended && !job_state_final(p->end.next))
		BUG("a page that has ended is to be %s", job_state_name(p->end.next));
	if (!p->page_ended)
		store_attempt_write(st, &p->end, b, o, NULL);
	else if (!store_pages_fit(st, &p->end.op, b, p->add, p->add_count))
		return;
	else if (p->reuse)
		page_end_again(st, p, b, o);
	else if (store_attempt_write(st, &p->end, b, o, NULL) == 0 && said_write(st, p, job) == 0)
		page_follow(st, p, b);
}

void store_page_end(struct store *st, struct store_page_end *p)
{
	if (!store_tx_join(st, &p->end.op, p->page_ended ? p->add_count + 1 : 1))
		return;
	page_end(st, p);
	store_tx_leave(st);
}

/* ---- reading ---- */

uint32_t store_run_pages(struct store *st, uint32_t run)
{
	const struct batch_entry *b = store_batch_find(st, run);

	return b && b->run ? (uint32_t)(b->next_seq - 1) : 0;
}

/* From STMT_PAGE_LIST. */
static void page_read(struct store *st, struct store_page *out, const struct stmt *q)
{
	*out = (struct store_page){
	    .job = (uint64_t)col_int(q, 0),
	    .token = col_text(q, 1),
	    .url = col_text(q, 2),
	    .state = col_null(q, 3) ? JOB_QUEUED : (enum job_state)col_int(q, 3),
	    .reason = (enum job_reason)col_int(q, 4),
	    .status = (int)col_int(q, 5),
	    .error = col_text(q, 6),
	    .past_end = col_int(q, 7),
	    .from_public = col_int(q, 8),
	    .reused_from = (uint64_t)col_int(q, 9),
	    .attempts = (unsigned)col_int(q, 12),
	    .said = col_int(q, 13),
	    .remote_ip = col_text(q, 27),
	};
	if (job_state_final(out->state)) {
		out->ended_us = col_int(q, 10);
		out->size_bytes = col_int(q, 11);
	} else if (store_open_find(st, out->job)) {
		out->state = JOB_RUNNING;
	}
	if (out->said)
		said_read(&out->page, q, 14);
}

static void pages_read(struct store *st, struct store_pages *p, const struct batch_entry *b)
{
	uint32_t newest = (uint32_t)(b->next_seq - 1);
	struct store_page row;
	struct stmt q;
	int rc;

	p->last_seq = p->after_seq;
	stmt_begin(&q, st, STMT_PAGE_LIST);
	stmt_int(&q, p->with_keys);
	stmt_int(&q, (int64_t)jobid_make(p->run, p->after_seq));
	stmt_int(&q, (int64_t)jobid_make(p->run, JOBID_SEQ_MAX));
	stmt_int(&q, (int64_t)p->limit);
	while ((rc = stmt_step(&q)) == 1) {
		page_read(st, &row, &q);
		p->last_seq = jobid_seq(row.job);
		p->on_row(p, &row);
	}
	stmt_end(&q);
	p->more = p->last_seq < newest;
	store_op_done(st, &p->op, rc < 0);
}

void store_pages(struct store *st, struct store_pages *p)
{
	struct batch_entry *b = store_batch_for(st, &p->op, p->run);

	if (b && b->run)
		pages_read(st, p, b);
	else if (b)
		store_op_refused(&p->op, ERR_NOT_FOUND, "fanoutctl pull list shows yours", "there is no run %u",
				 p->run);
}
