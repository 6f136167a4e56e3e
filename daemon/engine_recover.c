/* The start after another daemon, before anything else goes: limits are told what may still count against them, and the
 * attempts that were left open are settled, for they may have been sent and their answers are lost. What was left of
 * runs is engine_run_recover's affair. */
#include "daemon/engine_limit.h"
#include "daemon/engine_private.h"
#include "lib/clock.h"
#include "lib/log.h"

struct leftover {
	struct store_open_attempts rows;
	struct engine *en;
	bool failed;
};

static void on_leftover(struct store_open_attempts *rows, const struct store_request *req, int64_t granted_us)
{
	struct leftover *left = (struct leftover *)rows;
	struct engine *en = left->en;
	struct engine_lane *lane = engine_lane_find(en, req->lane);
	struct spec_request r;
	(void)granted_us;

	if (!lane) {
		log_error("open attempt without a lane", "job=%u.%u", jobid_batch(req->job), jobid_seq(req->job));
		return;
	}
	struct engine_job *j = engine_job_create(lane, req->job);
	spec_merge(&r, j->lane->batch->template, req, &en->set.defaults);
	j->n = req->n;
	engine_job_note(j, req, &r);
	engine_limits_seen(en, req->job, lane->host, r.job.url, clock_boot_us() + LIMIT_SAFETY_US);
	spec_request_clear(&r);
	engine_job_phase(j, PHASE_UNSETTLED);
	TAILQ_INSERT_TAIL(&en->unsettled, j, link);
}

static void on_leftovers(struct store_op *op, const struct err *e)
{
	struct leftover *left = (struct leftover *)op;

	left->failed = e != NULL;
	if (e)
		log_error("open attempts not read", "why=\"%s\"", e->what);
}

static void on_announced(struct store_op *op, const struct err *e)
{
	(void)op;
	if (e)
		log_error("lanes not read", "why=\"%s\"", e->what);
}

int engine_recover(struct engine *en, struct err *e)
{
	struct store_op announce = {.done = on_announced};
	struct leftover left = {.rows = {.op.done = on_leftovers, .on_row = on_leftover}, .en = en};
	struct engine_job *j;
	unsigned count = 0;

	engine_limits_load(en);
	engine_hosts_load(en);
	store_announce_lanes(en->store, &announce);
	if (engine_limits_recover(en, e) < 0)
		return -1;
	store_open_attempts(en->store, &left.rows);
	if (left.failed)
		return err_set(e, ERR_SYSTEM, NULL, "the attempts that were open cannot be read");
	while ((j = TAILQ_FIRST(&en->unsettled))) {
		TAILQ_REMOVE(&en->unsettled, j, link);
		engine_settle(j, CAUSE_WORKER_LOST, true);
		count++;
	}
	engine_runs_recover(en);
	if (count)
		log_info("settled what was open", "attempts=%u", count);
	return 0;
}
