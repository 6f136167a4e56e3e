/* What is on disk of attempts: a row written before the request is sent, and its end. And what a daemon that comes back
 * makes of it: an open one is taken to have ended now, plus the safety time; the times of an earlier boot are taken as
 * late as they can have been. */
#include <stdlib.h>

#include "tests/sim/world.h"

/* Any writing tells that this boot has reached this time. */
static void note(struct world *w)
{
	w->boot_last_us[w->boot] = clock_now(w);
}

size_t record_open(struct world *w, const struct lane *l)
{
	size_t i = w->attempt_count;

	w->attempts = grow(w->attempts, w->attempt_count, &w->attempts_room, sizeof(*w->attempts));
	w->attempts[w->attempt_count++] = (struct attempt){
	    .lane = l,
	    .boot = w->boot,
	    .open = true,
	    .at_us = w->now_us,
	    .told_us = CLOCK_NEVER,
	    .arrived_us = CLOCK_NEVER,
	};
	note(w);
	return i;
}

/* `counted_us` is true time, written down as the two clocks have it. */
void record_end(struct world *w, size_t attempt, int64_t counted_us)
{
	struct attempt *a = &w->attempts[attempt];

	a->open = false;
	a->boot = w->boot;
	a->noted_counted_us = counted_us - w->booted_us;
	a->noted_wall_us = counted_us + w->wall_ahead_us;
	note(w);
}

void record_remove(struct world *w, size_t attempt)
{
	w->attempts[attempt].open = false;
	w->attempts[attempt].removed = true;
}

/* On the common clock of now. */
static int64_t recalled_us(const struct world *w, const struct attempt *a, bool at_start)
{
	int64_t t = a->noted_counted_us;

	if (w->mutation == MUTATE_TRUST_WALL) /* once at the start; the judge has to know what was told */
		return at_start ? clock_now(w) - (w->now_us + w->wall_ahead_us - a->noted_wall_us)
				: a->told_us - w->booted_us;
	for (unsigned boot = a->boot; boot < w->boot; boot++)
		t = limit_after_reboot_us(t, w->boot_last_us[boot]);
	return t;
}

void record_recall(struct world *w, struct scope *s, bool at_start)
{
	for (size_t i = 0; i < w->attempt_count; i++) {
		const struct attempt *a = &w->attempts[i];

		if (!a->open && !a->removed && scope_covers(s, a->lane))
			sched_limit_seen(w->sched, s->limit, recalled_us(w, a, at_start));
	}
}

void record_restart(struct world *w)
{
	for (size_t i = 0; i < w->attempt_count; i++) {
		struct attempt *a = &w->attempts[i];

		if (a->open)
			record_end(w, i, w->now_us + SAFETY_US);
		if (!a->removed)
			judge_told(w, i,
				   w->mutation == MUTATE_FORGET_RESTART ? INT64_MIN
									: recalled_us(w, a, true) + w->booted_us);
	}
	judge_restart(w);
}
