/* One run: make a world, let things happen in order of time, let the engine take its turn after each, judge. */
#include "tests/sim/sim.h"

#include "tests/sim/world.h"

#define TURNS_MAX 200000 /* far more than any seed needs */

const char *sim_mutation_name(enum sim_mutation m)
{
	static const char *const names[] = {
	    [MUTATE_NOTHING] = "nothing",
	    [MUTATE_COUNT_AT_SEND] = "count-at-send",
	    [MUTATE_NO_SAFETY] = "no-safety",
	    [MUTATE_FORGET_ABORTED] = "forget-aborted",
	    [MUTATE_END_EARLY] = "end-early",
	    [MUTATE_UNBLOCK_EARLY] = "unblock-early",
	    [MUTATE_OVERSLEEP] = "oversleep",
	    [MUTATE_REPEAT_UNSAFE] = "repeat-unsafe",
	    [MUTATE_LOSE_RETRY] = "lose-retry",
	    [MUTATE_FORGET_RESTART] = "forget-on-restart",
	    [MUTATE_TRUST_WALL] = "trust-wall-clock",
	    [MUTATE_NO_HISTORY] = "no-history",
	    [MUTATE_NO_PAUSE] = "no-pause",
	    [MUTATE_NO_PROBE] = "no-probe",
	    [MUTATE_RESUME_ALL] = "resume-all",
	};
	_Static_assert(sizeof names / sizeof *names == SIM_MUTATIONS, "every mutation has a name");

	return names[m];
}

static void happen_until(struct world *w, int64_t until_us)
{
	struct event e;

	while (!w->result->failed && event_take(w, until_us, &e))
		happen(w, &e);
}

/* When the next turn is, and whether the scheduler may be believed that nothing could go before. */
static int64_t next_turn_us(struct world *w)
{
	int64_t next_us = event_next_us(w), wake_us;

	if (w->down || !engine_has_credit(w)) /* it was not asked to the end */
		return next_us;
	judge_idle(w, w->now_us, "when asked");
	wake_us = sched_wake_us(w->sched, clock_now(w));
	if (wake_us != CLOCK_NEVER)
		wake_us += w->booted_us;
	if (wake_us <= w->now_us)
		judge_fail(w, "no job may go now, and the scheduler wants to be asked again at once");
	if (w->mutation == MUTATE_OVERSLEEP && wake_us != CLOCK_NEVER)
		wake_us += MS;
	if (wake_us < next_us) /* sometimes a moment too early, which must change nothing */
		next_us = wake_us - (wake_us - 1 > w->now_us && chance(w, 20));
	if (next_us != CLOCK_NEVER && next_us > w->now_us)
		judge_idle(w, next_us - 1, "until the time it asked for");
	return next_us;
}

void sim_run(uint64_t seed, enum sim_mutation mutation, bool tracing, struct sim_result *out)
{
	struct world w = {.mutation = mutation, .trace = tracing, .result = out};

	*out = (struct sim_result){0};
	world_create(&w, seed);
	for (unsigned turns = 0; !out->failed; turns++) {
		int64_t next_us;

		happen_until(&w, w.now_us);
		engine_turn(&w);
		if (out->failed)
			break;
		next_us = next_turn_us(&w);
		if (next_us == CLOCK_NEVER)
			break;
		if (turns > TURNS_MAX)
			judge_fail(&w, "no end after %u turns", turns);
		w.now_us = next_us;
	}
	if (!out->failed)
		judge_over(&w);
	out->simulated_us = w.now_us;
	world_free(&w);
}
