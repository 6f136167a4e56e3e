/* How the last attempts of a batch at one host went: for people, who else would read that a rate holds back what in
 * truth fails again and again. Nothing here changes what is done; it is forgotten when the daemon ends. */
#include <stdio.h>

#include "daemon/engine_private.h"
#include "lib/clock.h"
#include "lib/units.h"

#define STREAK 3 /* so many failed attempts in a row are no accident of one */

static void note_failed(struct engine_failing *f, const struct engine_job *j, const struct message_outcome *o)
{
	if (f->streak++ == 0)
		f->since_us = clock_boot_us();
	f->put_off += j->tries == 0;
	if (*o->error)
		snprintf(f->error, sizeof f->error, "%s", o->error);
	else if (o->cause == CAUSE_RESPONSE)
		snprintf(f->error, sizeof f->error, "status %d", o->status);
	else
		snprintf(f->error, sizeof f->error, "%s", cause_name(o->cause));
}

void engine_failing_note(struct engine_job *j, const struct message_outcome *o, bool again, bool failed)
{
	struct engine_failing *f = &j->lane->failing;

	if (again && failed) {
		note_failed(f, j, o);
		return;
	}
	if (again) /* refused, or a worker's fault: nothing is known anew */
		return;
	f->put_off -= j->tries > 0 && f->put_off > 0;
	if (!retry_transient(o->cause, o->status)) {
		f->streak = 0;
	} else if (f->streak++ == 0) {
		f->since_us = clock_boot_us();
	}
}

bool engine_failing_all(const struct engine_lane *lane, int64_t queued)
{
	const struct engine_failing *f = &lane->failing;

	return f->streak > 0 && f->error[0] && (f->streak >= STREAK || f->put_off >= queued);
}

bool engine_failing_explain(const struct engine_lane *lane, int64_t queued, struct engine_wait *w)
{
	const struct engine_failing *f = &lane->failing;
	long long jobs = f->put_off < queued ? f->put_off : queued;
	char row[UNITS_TEXT_SIZE + 64] = "", since[UNITS_TEXT_SIZE];

	if (jobs == 0 && !engine_failing_all(lane, queued))
		return false;
	jobs = jobs ? jobs : 1; /* of before a restart */
	*w = (struct engine_wait){.why = "due", .failing = engine_failing_all(lane, queued)};
	if (lane->next_due_us != INT64_MAX && lane->next_due_us > clock_wall_us())
		w->until_us = lane->next_due_us;
	if (f->streak > 1)
		snprintf(row, sizeof row, " (%u in a row, for %s)", f->streak,
			 units_format_duration(since, clock_boot_us() - f->since_us));
	snprintf(w->host, sizeof w->host, "%s", lane->host);
	snprintf(w->text, sizeof w->text, "%lld job%s put off after failed attempts%s, the last error: %s", jobs,
		 jobs == 1 ? " was" : "s were", row, f->error);
	return true;
}
