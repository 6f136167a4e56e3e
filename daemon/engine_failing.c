/* How the last attempts of a batch at one host went: for people, who else would read that a rate holds back what in
 * truth fails again and again. Nothing here changes what is done. It is of this daemon's life alone: after a restart
 * the next attempts tell. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/engine_limit.h"
#include "daemon/engine_private.h"
#include "lib/clock.h"
#include "lib/units.h"

#define STREAK 3 /* so many failed attempts in a row are no accident of one */

static void note_failed(struct engine_failing *f, const struct message_outcome *o)
{
	char text[ENGINE_FAILING_SIZE];

	if (f->streak++ == 0)
		f->since_us = clock_boot_us();
	if (*o->error)
		snprintf(text, sizeof text, "%s", o->error);
	else if (o->cause == CAUSE_RESPONSE)
		snprintf(text, sizeof text, "status %d", o->status);
	else
		snprintf(text, sizeof text, "%s", cause_name(o->cause));
	if (f->error && strcmp(f->error, text) == 0)
		return;
	free(f->error);
	f->error = strdup(text);
	if (!f->error)
		abort();
}

/* Ours: they say nothing of the host. */
static bool is_own(enum cause cause)
{
	return cause == CAUSE_CANCELLED || cause == CAUSE_WORKER_LOST || cause == CAUSE_STORAGE ||
	       cause == CAUSE_INTERNAL;
}

void engine_failing_note(struct engine_lane *lane, const struct message_outcome *o, bool again)
{
	if (is_own(o->cause))
		return;
	/* A refusal is an answer, and the host's pause is told by its limit. */
	if (engine_refused(o) || !retry_transient(o->cause, o->status))
		lane->failing.streak = 0;
	else if (again) /* what is given up keeps nobody waiting */
		note_failed(&lane->failing, o);
}

void engine_failing_clear(struct engine_failing *f)
{
	free(f->error);
	*f = (struct engine_failing){0};
}

bool engine_failing_explain(const struct engine_lane *lane, int64_t left, struct engine_wait *w)
{
	const struct engine_failing *f = &lane->failing;
	char since[UNITS_TEXT_SIZE];

	if (f->streak == 0 || (f->streak < STREAK && f->streak < left))
		return false;
	*w = (struct engine_wait){.why = WHY_DUE, .failing = true};
	if (lane->next_due_us != INT64_MAX && lane->next_due_us > clock_wall_us())
		w->until_us = lane->next_due_us;
	snprintf(w->host, sizeof w->host, "%s", lane->host);
	w->failed = f->streak;
	if (f->streak == 1)
		w->error_at =
		    (unsigned)snprintf(w->text, sizeof w->text, "the last attempt failed, and is made again: ");
	else
		w->error_at = (unsigned)snprintf(
		    w->text, sizeof w->text, "the last %u attempts all failed, for %s, and are made again: ", f->streak,
		    units_format_duration(since, clock_boot_us() - f->since_us));
	snprintf(w->text + w->error_at, sizeof w->text - w->error_at, "%s", f->error);
	return true;
}
