/* The owner's word on batches and jobs: through the store first, then what it means for what is loaded or running. */
#include <stdlib.h>
#include <string.h>

#include "daemon/engine_private.h"
#include "lib/clock.h"
#include "lib/log.h"

/* A batch's mark on its way through the store, with what is to be done here once it is committed. */
struct batch_mark {
	struct store_batch_mark mark;
	struct store_batch_mark *asked; /* NULL: by the engine itself */
	struct engine *en;
	void (*done)(void *arg); /* of the engine's own: it is committed, or was refused; NULL */
	void *arg;
	char *error;                   /* its own copy */
	TAILQ_ENTRY(batch_mark) again; /* the engine's own, that a full disk did not take */
};

static void job_cancel(struct engine_job *j)
{
	j->cancel = true;
	if (engine_phase_with_worker(j->phase))
		pool_cancel(j->en->pool, j->sched.id, j->n);
	else if (j->phase == PHASE_STAGED)
		engine_job_unstage(j);
}

static void batch_cancel_running(struct engine_batch *b, enum job_reason failing)
{
	struct engine_job *j, *next;

	b->cancelling = true;
	b->failing = failing;
	engine_run_note_held(b);
	engine_run_cancelled(b);
	engine_batch_refresh(b);
	HASH_ITER (hh, b->en->jobs, j, next) {
		if (j->lane->batch == b && (j->phase == PHASE_OPENING || engine_phase_with_worker(j->phase)))
			job_cancel(j);
	}
	engine_batch_unstage(b);
}

static void batch_marked(struct engine_batch *b, enum store_mark mark, enum job_reason reason)
{
	switch (mark) {
	case STORE_MARK_PAUSE:
	case STORE_MARK_RESUME:
		b->paused = mark == STORE_MARK_PAUSE;
		b->last_end_us = clock_boot_us();
		engine_batch_refresh(b);
		if (b->paused)
			engine_batch_unstage(b);
		break;
	case STORE_MARK_CANCEL:
		batch_cancel_running(b, REASON_NONE);
		break;
	case STORE_MARK_FAIL:
		batch_cancel_running(b, reason);
		break;
	case STORE_MARK_CLOSE:
	case STORE_MARK_RETRY:
	case STORE_MARK_REMOVE:
		break; /* the store's listener says what follows */
	}
}

static void mark_free(struct batch_mark *m)
{
	free(m->error);
	free(m);
}

static void on_batch_marked(struct store_op *op, const struct err *e)
{
	struct batch_mark *m = (struct batch_mark *)op;
	struct store_batch_mark *asked = m->asked;
	struct engine_batch *b = engine_batch_find(m->en, m->mark.batch);

	if (e && !asked && e->code == ERR_NO_SPACE && !m->en->draining) {
		TAILQ_INSERT_TAIL(&m->en->marks_again, m, again);
		return;
	}
	if (!e && b)
		batch_marked(b, m->mark.mark, m->mark.reason);
	else if (e && !asked)
		log_error("batch not marked", "batch=%u why=\"%s\"", m->mark.batch, e->what);
	if (asked)
		memcpy(asked->counts, m->mark.counts, sizeof asked->counts);
	event_active(m->en->step, EV_TIMEOUT, 1);
	if (m->done)
		m->done(m->arg);
	mark_free(m);
	if (asked)
		asked->op.done(&asked->op, e);
}

static struct batch_mark *mark_create(struct engine *en, const struct store_batch_mark *what)
{
	struct batch_mark *m = calloc(1, sizeof *m);

	if (!m || (what->error && !(m->error = strdup(what->error))))
		abort();
	m->mark = *what;
	m->mark.error = m->error;
	m->mark.op = (struct store_op){.done = on_batch_marked};
	m->en = en;
	return m;
}

static void mark(struct engine *en, struct store_batch_mark *asked, const struct store_batch_mark *what)
{
	struct batch_mark *m = mark_create(en, what);

	m->asked = asked;
	store_batch_mark(en->store, &m->mark);
}

/* There is room again. One that has lost its sense meanwhile is refused by the store. */
void engine_marks_again(struct engine *en)
{
	struct batch_mark_list list;
	struct batch_mark *m;

	TAILQ_INIT(&list);
	TAILQ_CONCAT(&list, &en->marks_again, again);
	while ((m = TAILQ_FIRST(&list))) {
		TAILQ_REMOVE(&list, m, again);
		store_batch_mark(en->store, &m->mark);
	}
}

/* Whoever waits for one is answered: the next daemon does what it is for. */
void engine_marks_free(struct engine *en)
{
	struct batch_mark *m;

	while ((m = TAILQ_FIRST(&en->marks_again))) {
		TAILQ_REMOVE(&en->marks_again, m, again);
		if (m->done)
			m->done(m->arg);
		mark_free(m);
	}
}

void engine_batch_cancel(struct engine *en, uint32_t batch, void (*done)(void *arg), void *arg)
{
	struct store_batch_mark what = {.batch = batch, .mark = STORE_MARK_CANCEL};
	struct batch_mark *m = mark_create(en, &what);

	m->done = done;
	m->arg = arg;
	store_batch_mark(en->store, &m->mark);
}

void engine_batch_mark(struct engine *en, struct store_batch_mark *asked)
{
	mark(en, asked, asked);
}

void engine_batch_fail(struct engine_batch *b, enum job_reason reason, const char *error)
{
	struct store_batch_mark what = {.batch = b->id, .mark = STORE_MARK_FAIL, .reason = reason, .error = error};

	if (b->cancelling)
		return;
	mark(b->en, NULL, &what);
}

void engine_run_abandon(struct engine *en, uint32_t run, const char *error)
{
	struct store_batch_mark what = {.batch = run, .mark = STORE_MARK_FAIL, .reason = REASON_POLICY, .error = error};

	mark(en, NULL, &what);
}

void engine_job_mark(struct engine *en, struct store_job_mark *m)
{
	struct engine_job *j = engine_job_find(en, m->job);

	if (m->mark == STORE_MARK_CANCEL && j && j->phase < PHASE_ENDING && j->phase != PHASE_LOADED && !j->mark) {
		j->mark = m;
		job_cancel(j);
		return;
	}
	/* Loaded or not: when its attempt is to be opened, the store will say that it is not queued any more. */
	store_job_mark(en->store, m);
}
