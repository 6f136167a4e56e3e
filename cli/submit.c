/* submit: hand over, say the id, and wait or follow where asked to. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/background.h"
#include "cli/request.h"
#include "cli/verbs.h"
#include "cli/watch.h"
#include "lib/clock.h"

struct told {
	const struct ctl *ctl;
	bool id;
};

/* As soon as there is a batch that stays: whoever feeds a pipe for hours wants to look at it meanwhile. */
static void tell_id(void *arg, uint32_t batch)
{
	struct told *t = arg;

	if (t->id || t->ctl->args.follow || t->ctl->args.format == FORMAT_JSON || t->ctl->args.format == FORMAT_NDJSON)
		return;
	t->id = true;
	printf(t->ctl->args.format == FORMAT_CSV ? "batch\r\n%" PRIu32 "\r\n" : "%" PRIu32 "\n", batch);
	fflush(stdout);
}

static void tell_result(const struct ctl *ctl, struct told *t, const struct submission *s)
{
	const struct args *a = &ctl->args;

	tell_id(t, s->batch);
	if (!t->id && !a->follow)
		printf("{\"batch\":%" PRIu32 ",\"jobs\":%" PRIu64 ",\"existed\":%s}\n", s->batch, s->jobs,
		       s->existed ? "true" : "false");
	if (s->existed)
		ctl_note(ctl, "submitted before with this key, as batch %" PRIu32 ": nothing was added", s->batch);
	else if (a->follow || a->wait)
		ctl_note(ctl, "batch %" PRIu32 ": %" PRIu64 " job%s", s->batch, s->jobs, s->jobs == 1 ? "" : "s");
	else if (isatty(STDERR_FILENO))
		ctl_note(ctl, "%" PRIu64 " job%s submitted (fanoutctl wait %" PRIu32 ", fanoutctl results %" PRIu32 ")",
			 s->jobs, s->jobs == 1 ? "" : "s", s->batch, s->batch);
}

/* What a pipe brings is followed while it comes. */
static int submit_and_follow(struct ctl *ctl)
{
	struct submission s;
	struct background *b;
	int status = STATUS_FINE;
	uint32_t batch;
	struct err e;

	b = background_submit(ctl, &batch, &e);
	if (!b)
		return ctl_report(&e);
	if (batch)
		status = watch_follow(ctl, batch);
	if (background_join(b, &s, &e) < 0)
		return ctl_report(&e);
	if (s.existed)
		ctl_note(ctl, "submitted before with this key, as batch %" PRIu32 ": nothing was added", s.batch);
	return status;
}

int verb_submit(struct ctl *ctl)
{
	struct told told = {.ctl = ctl};
	struct submission s;
	struct err e;

	if (ctl->args.wait && ctl->args.follow) {
		err_set(&e, ERR_USAGE, NULL, " submit: --follow waits by itself; leave --wait away");
		return ctl_report(&e);
	}
	ctl->args.quiet = ctl->args.quiet || ctl->args.print_id;
	if (ctl->args.follow && request_is_stream(&ctl->args))
		return submit_and_follow(ctl);
	if (request_submit(ctl, &s, tell_id, &told, &e) < 0)
		return ctl_report(&e);
	tell_result(ctl, &told, &s);
	fflush(stdout);
	if (ctl->args.follow)
		return watch_follow(ctl, s.batch);
	return ctl->args.wait ? watch_wait(ctl, s.batch, CLOCK_NEVER) : STATUS_FINE;
}
