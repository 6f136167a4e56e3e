/* What servers say of limits: a refusal (429, 503 with Retry-After) pauses its host for everybody, a probe follows; a
 * rate or an empty allowance that is told with a good answer tightens what is configured. daemon/throttle decides for
 * how long, engine_host keeps it. */
#include <string.h>

#include "daemon/engine_limit.h"
#include "lib/clock.h"
#include "lib/log.h"

bool engine_refused(const struct message_outcome *o)
{
	return o->cause == CAUSE_RESPONSE && (o->status == 429 || (o->status == 503 && o->retry_after_us >= 0));
}

static struct throttle_refusal refusal_of(const struct engine_job *j, const struct message_outcome *o, uint64_t random)
{
	int64_t now = clock_boot_us();
	int64_t since = now - o->ended_us; /* what is told counts from the answer */

	return (struct throttle_refusal){
	    .now_us = now,
	    .granted_us = j->sched.granted_us,
	    .retry_after_us = o->retry_after_us < 0       ? -1
			      : o->retry_after_us > since ? o->retry_after_us - since
							  : 0,
	    .reset_us = o->limit_reset_us < 0       ? -1
			: o->limit_reset_us > since ? o->limit_reset_us - since
						    : 0,
	    .cap_us = j->en->set.defaults.max_pause_us,
	    .random = random,
	};
}

/* What is told of the pause, by the answer that made it as long as it is. */
static void note_cause(struct engine_host *h, int status, bool told)
{
	h->paused_by = status;
	h->pause_told = told;
}

void engine_host_refused(struct engine_job *j, const struct message_outcome *o)
{
	struct engine *en = j->en;
	struct engine_host *h = engine_host_get(en, j->lane->host);
	struct throttle_refusal r = refusal_of(j, o, engine_random(en));
	int64_t before = limit_paused_until_us(sched_limit_state(h->sched), r.now_us);
	int64_t until = throttle_hit(&h->throttle, &r);

	sched_limit_pause(en->sched, h->sched, until);
	if (until > before && until > r.now_us) {
		note_cause(h, o->status, r.retry_after_us >= 0 || r.reset_us >= 0);
		log_info("host paused", "host=%s status=%d in_ms=%lld hits=%u", h->name, o->status,
			 (long long)((until - r.now_us) / 1000), h->throttle.hits);
	}
	engine_host_note(en, h);
}

void engine_host_answered(struct engine_job *j, const struct message_outcome *o)
{
	struct engine *en = j->en;
	struct engine_host *h = engine_host_find(en, j->lane->host);
	struct throttle_refusal r;

	/* A 503 that does not say for how long is the job's affair; it is no sign of health either. */
	if (o->cause != CAUSE_RESPONSE || o->status == 503)
		return;
	if (h && h->throttle.hits > 0 && throttle_ok(&h->throttle, j->sched.granted_us))
		log_info("host answers again", "host=%s", h->name);
	if (h)
		sched_limit_recovered(en->sched, h->sched, j->sched.granted_us);
	if (o->limit_rate.count > 0) {
		int64_t now = clock_boot_us();
		h = engine_host_get(en, j->lane->host);
		sched_limit_learn_rate(en->sched, h->sched, &o->limit_rate, now, now + ENGINE_LEARNED_US);
	}
	if (o->limit_remaining == 0 && o->limit_reset_us > 0) {
		h = engine_host_get(en, j->lane->host);
		r = refusal_of(j, o, engine_random(en));
		if (!limit_paused_until_us(sched_limit_state(h->sched), r.now_us))
			note_cause(h, ENGINE_SPENT, true);
		sched_limit_pause(en->sched, h->sched, throttle_spent(&h->throttle, &r));
	}
	if (h)
		engine_host_note(en, h);
	engine_pump_soon(en);
}

int64_t engine_host_paused_until(struct engine *en, const char *host)
{
	struct engine_host *h = engine_host_find(en, host);
	int64_t now = clock_boot_us();
	int64_t until = h ? limit_paused_until_us(sched_limit_state(h->sched), now) : 0;

	return until > now ? engine_wall_us(until) : 0;
}

bool engine_host_resume(struct engine *en, const char *host)
{
	struct engine_host *h = engine_host_find(en, host);
	int64_t now = clock_boot_us();

	if (!h || !limit_probing(sched_limit_state(h->sched)))
		return false;
	sched_limit_resume(en->sched, h->sched, now);
	throttle_resume(&h->throttle, now);
	engine_host_note(en, h);
	engine_pump_soon(en);
	return true;
}
