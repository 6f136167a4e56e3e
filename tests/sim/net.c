/* What becomes of a request: when it arrives, when it is answered and how, when the engine hears of it, and all the
 * ways in which none of this happens. The one promise the network keeps is the proof's assumption: a request that was
 * given up arrives within SAFETY_US, or never. */
#include "tests/sim/world.h"

enum { UNSENT_PERCENT = 4, LOST_PERCENT = 5, LATE_PERCENT = 6, RESET_PERCENT = 5, CUT_PERCENT = 4 };

static int64_t one_way_us(struct world *w, const struct flight *f)
{
	int64_t most = f->lane->host->latency_us;

	return draw(w, 0, chance(w, 3) ? 5 * most : most); /* with a tail */
}

static void never_sent(struct world *w, struct flight *f)
{
	f->cause = chance(w, 50) ? CAUSE_DNS : CAUSE_CONNECT;
	f->sent = false;
	f->ended_us = w->now_us + draw(w, 0, 50) * MS;
}

static void lost_on_the_way(struct world *w, struct flight *f)
{
	f->cause = CAUSE_TIMEOUT;
	f->ended_us = w->now_us + draw(w, 100, 900) * MS;
}

static void arrives_after_it_was_given_up(struct world *w, struct flight *f)
{
	f->cause = CAUSE_TIMEOUT;
	f->ended_us = w->now_us + draw(w, 50, 400) * MS;
	f->arrive_us = f->ended_us + draw(w, 0, SAFETY_US);
}

static void answer_lost(struct world *w, struct flight *f)
{
	f->cause = CAUSE_RESET;
	f->arrive_us = w->now_us + one_way_us(w, f);
	f->ended_us = f->arrive_us + one_way_us(w, f);
}

/* Refusals may say how long: until it is over, or anything. */
static void refuse(struct world *w, struct flight *f)
{
	const struct host *h = f->lane->host;

	f->status = chance(w, 50) ? 429 : 503;
	if (chance(w, 40))
		f->retry_after_us = h->outage_end_us > f->arrive_us ? h->outage_end_us - f->arrive_us : 0;
	else if (chance(w, 30))
		f->retry_after_us = draw(w, 0, 2000) * MS;
}

static void answered(struct world *w, struct flight *f)
{
	static const int statuses[] = {200, 200, 200, 200, 200, 200, 200, 200, 200, 404, 500, 502};
	const struct host *h = f->lane->host;

	f->status = statuses[draw(w, 0, 11)];
	f->cause = chance(w, CUT_PERCENT) ? CAUSE_TRUNCATED : CAUSE_RESPONSE;
	f->arrive_us = w->now_us + one_way_us(w, f);
	if ((f->arrive_us >= h->outage_us && f->arrive_us < h->outage_end_us) || chance(w, 1))
		refuse(w, f);
	f->answered_us = f->arrive_us + draw(w, 0, 50) * MS + one_way_us(w, f);
	f->ended_us = f->answered_us + draw(w, 0, 20) * MS;
}

static void report_at(struct world *w, struct flight *f, int64_t at_us)
{
	f->report_us = at_us;
	event_add(w, at_us, EVENT_REPORT, f, 0);
}

void net_send(struct world *w, struct flight *f)
{
	int64_t fate = draw(w, 0, 99);

	f->sent_us = w->now_us;
	f->sender = f->job;
	f->life = f->job->life;
	f->arrive_us = f->answered_us = CLOCK_NEVER;
	f->sent = true;
	f->worker = (unsigned)draw(w, 0, w->workers - 1);
	if ((fate -= UNSENT_PERCENT) < 0)
		never_sent(w, f);
	else if ((fate -= LOST_PERCENT) < 0)
		lost_on_the_way(w, f);
	else if ((fate -= LATE_PERCENT) < 0)
		arrives_after_it_was_given_up(w, f);
	else if (fate < RESET_PERCENT)
		answer_lost(w, f);
	else
		answered(w, f);
	f->effect = f->status != 503 && f->status != 429; /* these two say: not done */
	if (f->arrive_us != CLOCK_NEVER)
		event_add(w, f->arrive_us, EVENT_ARRIVE, f, 0);
	report_at(w, f, f->ended_us + draw(w, 0, 30) * MS);
}

/* Aborted, or its worker died. What was on the wire stays on the wire, for a while. */
void net_give_up(struct world *w, struct flight *f, enum cause cause, int64_t report_us)
{
	f->cause = cause;
	if (f->ended_us > w->now_us)
		f->ended_us = w->now_us;
	if (f->answered_us > w->now_us) {
		f->answered_us = CLOCK_NEVER;
		f->status = 0;
	}
	if (f->arrive_us != CLOCK_NEVER && f->arrive_us > f->ended_us + SAFETY_US)
		f->arrive_us = CLOCK_NEVER;
	f->report_us = -1;
	if (report_us >= 0)
		report_at(w, f, report_us);
}
