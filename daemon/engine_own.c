/* The rates that batches bring themselves, and recipes: whose they are, and what of the past counts against them. It
 * must not know rules. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "daemon/engine_limit.h"
#include "daemon/engine_run.h"
#include "daemon/render.h"
#include "lib/log.h"

const char *engine_pull_limit_name(char *out, const char *pull, const struct rate *rate)
{
	char text[RENDER_RATE_SIZE];

	snprintf(out, ENGINE_PULL_LIMIT_SIZE, "pull %.100s %s", pull, render_rate(text, rate));
	return out;
}

const char *engine_batch_limit_name(char *out, uint32_t batch)
{
	snprintf(out, ENGINE_PULL_LIMIT_SIZE, "batch %u", batch);
	return out;
}

/* Whose rate it is: the batch's, or that of the pull whose run it is, which all its runs share. A recipe that asks for
 * another rate than before has another limit. */
const char *engine_own_name(const struct engine_batch *b, char *out)
{
	const char *pull = b->run ? engine_run_pull(b->run) : NULL;

	return pull ? engine_pull_limit_name(out, pull, &b->policy.rate) : engine_batch_limit_name(out, b->id);
}

/* ---- what earlier runs of a pull have sent: they may have ended before this daemon began ---- */

struct own_recall {
	struct store_recent recent;
	struct engine_limit *limit;
	struct engine *en;
	struct rate rate;
	struct store_batch_get batch; /* the last that was looked at: rows of a batch come together, mostly */
	bool same;                    /* it has the same rate */
};

static void on_own_batch(struct store_batch_get *g, const struct store_batch *row)
{
	struct own_recall *r = (struct own_recall *)((char *)g - offsetof(struct own_recall, batch));
	struct spec_policy policy = {0};

	spec_batch_policy(row->options, &policy);
	r->same = policy.rate.count == r->rate.count && policy.rate.window_us == r->rate.window_us;
}

static void on_own_batch_read(struct store_op *op, const struct err *e)
{
	struct own_recall *r = (struct own_recall *)((char *)op - offsetof(struct own_recall, batch));

	r->same |= e != NULL; /* it is being removed: rather counted than not */
}

static void on_own_recent(struct store_recent *recent, uint64_t job, const char *host, const char *url,
			  int64_t counted_us)
{
	struct own_recall *r = (struct own_recall *)recent;

	(void)url;
	if (strcmp(host, r->limit->host) != 0)
		return;
	if (r->batch.batch != jobid_batch(job)) {
		r->same = false;
		r->batch = (struct store_batch_get){
		    .op.done = on_own_batch_read, .batch = jobid_batch(job), .on_row = on_own_batch};
		store_batch_get(r->en->store, &r->batch);
	}
	if (r->same)
		sched_limit_seen(r->en->sched, r->limit->sched, counted_us);
}

static void on_own_recalled(struct store_op *op, const struct err *e)
{
	(void)op;
	if (e)
		log_error("what a pull sent lately is not known", "why=\"%s\"", e->what);
}

/* Its state is made when nothing of it counts any more, or when this daemon has not seen it yet: what the record has is
 * all there is. Reads call back at once. */
static void recall_own(const struct engine_batch *b, struct engine_limit *l)
{
	struct own_recall r = {.recent = {.op.done = on_own_recalled,
					  .window_us = b->policy.rate.window_us,
					  .pull = engine_run_pull(b->run),
					  .on_row = on_own_recent},
			       .limit = l,
			       .en = b->en,
			       .rate = b->policy.rate};

	store_recent(b->en->store, &r.recent);
}

struct engine_limit *engine_own_limit(const struct engine_batch *b, const char *host)
{
	struct limit_rule rule = {.rates = {b->policy.rate}, .rate_count = 1};
	char name[ENGINE_PULL_LIMIT_SIZE];
	struct engine_limit *l;
	bool made;

	l = engine_limit_get(b->en, engine_own_name(b, name), b->run ? ENGINE_LIMIT_OF_PULL : b->id, host, &rule,
			     &made);
	if (made)
		engine_rules_window_us(b->en);
	if (made && b->run && engine_run_pull(b->run))
		recall_own(b, l);
	return l;
}
