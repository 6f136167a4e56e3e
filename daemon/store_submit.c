/* New batches and new jobs. It must not know how they run. */
#include <string.h>

#include "daemon/store_sqlite.h"
#include "lib/clock.h"
#include "lib/log.h"

/* Longer than any client of ours takes from making a batch to its first jobs, a restart of the daemon included. */
#define BEGUN_US INT64_C(120000000)

/* ---- batches ---- */

/* 1: there is one with this key, 0: none, -1: an error. */
static int batch_by_key(struct store *st, struct store_batch_create *c)
{
	struct batch_entry *b;
	struct stmt q;
	int rc;

	if (!c->key)
		return 0;
	stmt_begin(&q, st, STMT_BATCH_BY_KEY);
	stmt_int(&q, c->uid);
	stmt_text(&q, c->key);
	rc = stmt_step(&q);
	if (rc == 1)
		c->batch = (uint32_t)col_int(&q, 0);
	stmt_end(&q);
	if (rc != 1)
		return rc;
	b = store_batch_find(st, c->batch);
	c->existed = true;
	c->closed = b && b->closed;
	return b ? 1 : -1;
}

static int batch_insert(struct store *st, const struct store_batch_create *c, int64_t now_us)
{
	struct stmt q;

	stmt_begin(&q, st, STMT_BATCH_INSERT);
	stmt_int(&q, c->batch);
	stmt_int(&q, c->uid);
	stmt_text(&q, c->name ? c->name : "");
	stmt_text(&q, c->key);
	stmt_int(&q, c->priority);
	stmt_int(&q, c->concurrency);
	stmt_int(&q, c->held);
	stmt_int(&q, now_us);
	stmt_int(&q, now_us);
	if (stmt_run(&q) < 0)
		return -1;
	stmt_begin(&q, st, STMT_TEMPLATE_INSERT);
	stmt_int(&q, c->batch);
	stmt_text(&q, c->options ? c->options : "{}");
	return stmt_run(&q);
}

struct batch_entry *store_batch_add(struct store *st, struct store_op *op, struct store_batch_create *c)
{
	int64_t now = clock_wall_us();
	struct batch_entry *b;

	if (st->next_batch > JOBID_BATCH_MAX) {
		store_tx_refuse(st, op, ERR_NO_SPACE, "start with a new state directory",
				"there are no batch numbers left");
		return NULL;
	}
	c->batch = st->next_batch;
	if (batch_insert(st, c, now) < 0)
		return NULL;
	st->next_batch++;
	b = store_batch_new(st, c->batch);
	b->uid = c->uid;
	b->held = c->held;
	b->submitted_us = b->touched_us = now;
	st->totals.batches++;
	st->totals.live_batches++;
	return b;
}

/* ---- jobs ---- */

/* Of a URL and nothing else. */
static bool is_plain(const struct store_job_new *j)
{
	return !j->chain && !j->method && !j->tag && !j->user && !j->options && !j->headers && !j->has_body;
}

static int job_insert_plain(struct store *st, uint64_t id, const struct group *lane, const char *url, int64_t now_us)
{
	struct stmt q;

	stmt_begin(&q, st, STMT_JOB_INSERT_PLAIN);
	store_append_put(&q, APPEND_JOBS, (int64_t)id);
	stmt_int(&q, lane->id);
	stmt_int(&q, now_us);
	stmt_text(&q, url);
	return store_append_run(&q, APPEND_JOBS, (int64_t)id);
}

static int job_insert(struct store *st, uint64_t id, const struct group *lane, const struct group *chain,
		      const struct store_job_new *j, int64_t now_us)
{
	struct stmt q;

	if (is_plain(j))
		return job_insert_plain(st, id, lane, j->url, now_us);
	stmt_begin(&q, st, STMT_JOB_INSERT);
	store_append_put(&q, APPEND_JOBS, (int64_t)id);
	stmt_int(&q, lane->id);
	if (chain)
		stmt_int(&q, chain->id);
	else
		stmt_null(&q);
	stmt_int(&q, now_us);
	stmt_text(&q, j->url);
	stmt_text(&q, j->method);
	stmt_text(&q, j->tag);
	stmt_text(&q, j->user);
	stmt_text(&q, j->options);
	stmt_text(&q, j->headers);
	if (j->has_body)
		stmt_blob(&q, j->body, j->body_bytes);
	else
		stmt_null(&q);
	return store_append_run(&q, APPEND_JOBS, (int64_t)id);
}

/* A job of a chain: the first goes at once, the others wait for the one before, and fail with it. */
static int job_join_chain(struct store *st, struct batch_entry *b, struct group *chain, struct job_brief *j)
{
	char error[STORE_CHAIN_WHY_SIZE];

	j->chain = chain->id;
	store_group_dirty(st, chain);
	if (chain->failed) {
		j->state = JOB_BLOCKED;
		store_count(st, b, JOB_BLOCKED, 1);
		chain->pending++;
		if (store_chain_why(st, chain, error) < 0)
			return -1;
		return store_job_end(st, b, j, JOB_EV_PREDECESSOR, REASON_PREDECESSOR, error);
	}
	j->state = chain->pending ? JOB_BLOCKED : JOB_QUEUED;
	store_count(st, b, j->state, 1);
	chain->pending++;
	return j->state == JOB_BLOCKED ? store_progress_write(st, j) : 0;
}

int store_job_add(struct store *st, struct batch_entry *b, const struct store_job_new *spec, int64_t now_us)
{
	struct group *lane = store_group_get(st, GROUP_LANE, b, spec->limit_key), *chain = NULL;
	struct job_brief j = {.job = jobid_make(b->id, (uint32_t)b->next_seq), .submitted_us = now_us};

	if (!lane || (spec->chain && !(chain = store_group_get(st, GROUP_CHAIN, b, spec->chain))))
		return -1;
	if (job_insert(st, j.job, lane, chain, spec, now_us) < 0 || store_lane_extend(st, lane, j.job) < 0)
		return -1;
	b->next_seq++;
	j.lane = j.own_lane = lane->id;
	j.state = JOB_QUEUED;
	if (!chain)
		store_count(st, b, JOB_QUEUED, 1);
	else if (job_join_chain(st, b, chain, &j) < 0)
		return -1;
	if (j.state != JOB_QUEUED)
		return 0;
	if (!b->held)
		store_lane_tell(st, lane);
	return 0;
}

bool store_job_fits(const struct store_job_new *j)
{
	return strlen(j->limit_key) <= STORE_NAME_MAX && (!j->chain || strlen(j->chain) <= STORE_NAME_MAX);
}

bool store_batch_has_room(struct store *st, struct store_op *op, const struct batch_entry *b, size_t count)
{
	if (count <= JOBID_SEQ_MAX - b->next_seq)
		return true;
	store_tx_refuse(st, op, ERR_TOO_LARGE, "submit to a new batch", "batch %u is full", b->id);
	return false;
}

static bool names_fit(struct store *st, struct store_op *op, const struct store_job_new *jobs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!store_job_fits(&jobs[i])) {
			store_tx_refuse(st, op, ERR_INPUT, NULL, "job %zu: the name of its chain or host is too long",
					i + 1);
			return false;
		}
	}
	return true;
}

/* What SQLite does around a statement costs as much as the row: the commonest jobs go many to one. */
static int add_many(struct store *st, struct batch_entry *b, const struct store_job_new *jobs, int64_t now_us)
{
	uint64_t first = jobid_make(b->id, (uint32_t)b->next_seq);
	struct group *lanes[STMT_JOBS_MANY];
	struct stmt q;

	for (size_t i = 0; i < STMT_JOBS_MANY; i++)
		if (!(lanes[i] = store_group_get(st, GROUP_LANE, b, jobs[i].limit_key)))
			return -1;
	stmt_begin(&q, st, STMT_JOB_INSERT_MANY);
	stmt_int(&q, now_us);
	store_append_put(&q, APPEND_JOBS, (int64_t)first);
	for (size_t i = 0; i < STMT_JOBS_MANY; i++) {
		stmt_int(&q, lanes[i]->id);
		stmt_text(&q, jobs[i].url);
	}
	if (store_append_run(&q, APPEND_JOBS, (int64_t)first + STMT_JOBS_MANY - 1) < 0)
		return -1;
	b->next_seq += STMT_JOBS_MANY;
	store_count(st, b, JOB_QUEUED, STMT_JOBS_MANY);
	for (size_t i = 0; i < STMT_JOBS_MANY; i++) {
		if (store_lane_extend(st, lanes[i], first + i) < 0)
			return -1;
		if (!b->held)
			store_lane_tell(st, lanes[i]);
	}
	return 0;
}

static size_t plain_ones(const struct store_job_new *jobs, size_t count)
{
	size_t n = 0;

	while (n < count && is_plain(&jobs[n]))
		n++;
	return n;
}

static int insert_all(struct store *st, struct batch_entry *b, const struct store_job_new *jobs, size_t count,
		      int64_t now_us)
{
	size_t at = 0;

	while (at < count) {
		size_t plain = plain_ones(jobs + at, count - at),
		       one_by_one = plain % STMT_JOBS_MANY + (at + plain < count);

		for (; plain >= STMT_JOBS_MANY; plain -= STMT_JOBS_MANY, at += STMT_JOBS_MANY)
			if (add_many(st, b, jobs + at, now_us) < 0)
				return -1;
		for (; one_by_one > 0; one_by_one--, at++)
			if (store_job_add(st, b, &jobs[at], now_us) < 0)
				return -1;
	}
	return 0;
}

static void jobs_add(struct store *st, struct store_jobs_add *a)
{
	struct batch_entry *b = store_batch_of(st, &a->op, a->batch);
	int64_t now = clock_wall_us();

	if (!b || !names_fit(st, &a->op, a->jobs, a->count))
		return;
	if (b->closed) {
		store_tx_refuse(st, &a->op, ERR_CONFLICT, "submit to a new batch", "batch %u is closed", b->id);
		return;
	}
	if (b->run) {
		store_tx_refuse(st, &a->op, ERR_CONFLICT, "submit to a new batch",
				"batch %u is a run: its jobs are its pages", b->id);
		return;
	}
	if (!store_batch_has_room(st, &a->op, b, a->count))
		return;
	a->first_seq = (uint32_t)b->next_seq;
	if (insert_all(st, b, a->jobs, a->count, now) < 0)
		return;
	b->touched_us = now;
	store_batch_dirty(st, b, true);
}

void store_jobs_add(struct store *st, struct store_jobs_add *a)
{
	if (!store_tx_join(st, &a->op, a->count + 1))
		return;
	jobs_add(st, a);
	store_tx_leave(st);
}

/* ---- a batch with all that comes with it ---- */

static void batch_create(struct store *st, struct store_batch_create *c)
{
	struct batch_entry *b;

	if (!names_fit(st, &c->op, c->jobs, c->count))
		return;
	b = c->existed ? store_batch_find(st, c->batch) : store_batch_add(st, &c->op, c);
	if (!b || insert_all(st, b, c->jobs, c->count, clock_wall_us()) < 0)
		return;
	if (c->close)
		store_batch_close(st, b);
}

/* One with this key was made and nothing put into it. */
static bool begun_only(const struct batch_entry *b)
{
	return !b->closed && !b->run && b->next_seq == 1;
}

/* Whoever made it and was cut off makes way for whoever submits again. It goes, and is not filled: one that was only
 * stopped, and goes on now, finds no batch, and nothing is in it twice. */
static bool remove_cut_off(struct store *st, struct store_batch_create *c, struct batch_entry *b)
{
	if (!begun_only(b) || clock_wall_us() - b->touched_us < BEGUN_US)
		return false;
	log_info("batch removed", "batch=%u why=\"begun and left empty, and its key is used again\"", b->id);
	store_batch_remove(st, b);
	c->existed = c->closed = false;
	return true;
}

/* False: there is one with its key, and it stays as it is. */
static bool to_be_filled(struct store *st, struct store_batch_create *c)
{
	struct batch_entry *b = NULL;
	int rc = batch_by_key(st, c);

	if (rc == 1)
		b = store_batch_find(st, c->batch);
	return rc == 0 || (b && (remove_cut_off(st, c, b) || (begun_only(b) && c->close && c->count)));
}

void store_batch_create(struct store *st, struct store_batch_create *c)
{
	if (!store_tx_join(st, &c->op, c->count + 1))
		return;
	c->existed = c->closed = false;
	if (to_be_filled(st, c))
		batch_create(st, c);
	store_tx_leave(st);
}
