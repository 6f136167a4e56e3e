/* submit: hand over, say the id, and wait or follow where asked to. */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/background.h"
#include "cli/failure.h"
#include "cli/fields.h"
#include "cli/layouts.h"
#include "cli/request.h"
#include "cli/verbs.h"
#include "cli/watch.h"
#include "lib/clock.h"

struct told {
	const struct ctl *ctl;
	bool id;
	bool silent; /* -q and --wait: nothing on stdout either, for cron */
};

/* As soon as there is a batch that stays: whoever feeds a pipe for hours wants to look at it meanwhile. */
static void tell_id(void *arg, uint32_t batch)
{
	struct told *t = arg;

	const struct args *a = &t->ctl->args;

	if (t->id || a->follow || t->silent || a->format == FORMAT_JSON || a->format == FORMAT_NDJSON)
		return;
	t->id = true;
	printf(a->format == FORMAT_CSV ? "batch\r\n%" PRIu32 "\r\n" : "%" PRIu32 "\n", batch);
	fflush(stdout);
}

static void tell_result(const struct ctl *ctl, struct told *t, bool quiet, const struct submission *s)
{
	const struct args *a = &ctl->args;

	tell_id(t, s->batch);
	if (!t->id && !a->follow && !t->silent)
		printf("{\"batch\":%" PRIu32 ",\"jobs\":%" PRIu64 ",\"existed\":%s}\n", s->batch, s->jobs,
		       s->existed ? "true" : "false");
	if (a->follow && a->print_id) /* the rows have stdout */
		fprintf(stderr, "%" PRIu32 "\n", s->batch);
	if (s->existed)
		request_tell_existed(s, quiet); /* to whoever gave -p too: the number is another list's */
	else if (a->follow || a->wait)
		ctl_note(ctl, "batch %" PRIu32 ": %" PRIu64 " job%s", s->batch, s->jobs, s->jobs == 1 ? "" : "s");
	else if (isatty(STDERR_FILENO))
		ctl_note(ctl, "%" PRIu64 " job%s submitted (fanoutctl wait %" PRIu32 ", fanoutctl results %" PRIu32 ")",
			 s->jobs, s->jobs == 1 ? "" : "s", s->batch, s->batch);
}

/* What a pipe brings is followed while it comes. */
static int submit_and_follow(struct ctl *ctl, bool quiet)
{
	struct submission s;
	struct background *b;
	int status = STATUS_FINE;
	uint32_t batch;
	struct err e;

	b = background_submit(ctl, &batch, &e);
	if (!b)
		return ctl_report(&e);
	if (batch && ctl->args.print_id)
		fprintf(stderr, "%" PRIu32 "\n", batch);
	if (batch)
		status = watch_follow(ctl, batch);
	if (background_join(b, &s, &e) < 0)
		return ctl_report(&e);
	if (s.existed)
		request_tell_existed(&s, quiet);
	return status;
}

static int wait_for(struct ctl *ctl, const struct told *told, uint32_t batch)
{
	int status = watch_wait(ctl, batch, CLOCK_NEVER);

	if (told->silent && (status == STATUS_FAILED || status == STATUS_CANCELLED))
		failure_tell_batch(ctl, batch);
	return status;
}

static int check_options(const struct args *a, struct err *e)
{
	if (a->wait && a->follow)
		return err_set(e, ERR_USAGE, NULL, " submit: --follow waits by itself; leave --wait away");
	if (a->fields && !a->follow)
		return err_set(e, ERR_USAGE, "fanoutctl results BATCH --fields chooses the columns later",
			       " submit: --fields is for the rows of --follow");
	return a->fields && !fields_layout("submit", a->fields, &layout_results, e) ? -1 : 0;
}

int verb_submit(struct ctl *ctl)
{
	const struct args *a = &ctl->args;
	struct told told = {.ctl = ctl, .silent = a->quiet && a->wait && !a->print_id};
	bool quiet = a->quiet;
	struct submission s;
	struct err e;

	if (check_options(a, &e) < 0)
		return ctl_report(&e);
	ctl->args.quiet = quiet || a->print_id;
	if (a->follow && request_is_stream(a))
		return submit_and_follow(ctl, quiet);
	if (request_submit(ctl, &s, tell_id, &told, &e) < 0)
		return ctl_report(&e);
	tell_result(ctl, &told, quiet, &s);
	fflush(stdout);
	if (a->follow)
		return watch_follow(ctl, s.batch);
	return a->wait ? wait_for(ctl, &told, s.batch) : STATUS_FINE;
}
