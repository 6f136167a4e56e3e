/* pull run: starts a run, and waits for it where that is wanted. Under cron all of it is one line. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/items.h"
#include "cli/items_place.h"
#include "cli/pull.h"
#include "cli/pull_recipe.h"
#include "cli/pull_wait.h"
#include "cli/receipt.h"
#include "cli/verbs.h"
#include "lib/since.h"

/* What was answered to the POST. */
struct started {
	uint32_t run, waiting_for;
	bool skipped;
};

/* ---- what is asked for ---- */

static void set_text(json_t *ask, const char *member, const char *value)
{
	if (value)
		json_object_set_new(ask, member, json_string(value));
}

static void set_number(json_t *ask, const char *member, const char *value)
{
	if (value)
		json_object_set_new(ask, member, json_integer(strtoll(value, NULL, 10)));
}

/* NULL with `e`. */
static char *make_ask(const struct ctl *ctl, struct err *e)
{
	const struct args *a = &ctl->args;
	json_t *vars = pull_vars(ctl, e), *ask = json_object();
	char *text = NULL;

	if (vars) {
		json_object_set_new(ask, "vars", vars);
		set_text(ask, "since", a->since);
		set_text(ask, "overlap", a->overlap);
		set_text(ask, "deadline", a->deadline);
		set_number(ask, "max_pages", a->max_pages);
		set_number(ask, "priority", a->priority);
		if (a->fresh)
			json_object_set_new(ask, "fresh", json_true());
		text = json_dumps(ask, JSON_COMPACT);
		if (!text)
			BUG("out of memory");
	}
	json_decref(ask);
	return text;
}

static int check_options(const struct ctl *ctl, struct err *e)
{
	const struct args *a = &ctl->args;

	if (a->since && a->fresh)
		return err_set(e, ERR_USAGE, NULL, " pull run: --since and --fresh exclude each other");
	if (a->since && !*a->since)
		return err_set(e, ERR_USAGE, "--fresh fetches everything", " pull run: --since is empty");
	if (a->create_dirs && !a->output)
		return err_set(e, ERR_USAGE, NULL, " pull run: --create-dirs is for -o, which is not given");
	if ((a->unique || a->raw || a->fields || a->jq || a->allow_empty) && !a->output)
		return err_set(e, ERR_USAGE, "-o - writes them to standard output",
			       " pull run: %s is for the items of -o, which is not given",
			       a->unique   ? "--unique"
			       : a->raw    ? "-r"
			       : a->fields ? "--fields"
			       : a->jq     ? "--jq"
					   : "--allow-empty");
	if (pull_check_name(ctl, a->operands[0], e) < 0)
		return -1;
	return a->output ? items_check_output(ctl, e) : 0;
}

/* As a state that is set: what no request could be made of is not tried on the API. */
static int check_since(const struct recipe *r, const char *since, struct err *e)
{
	struct err why;
	char *from;

	if (!since)
		return 0;
	if (!r->since.used)
		return err_set(e, ERR_USAGE, "fanout-pulls(5) has the group `since`",
			       " pull run: --since: the pull %s asks for nothing by since", r->name);
	from = since_before(since, r->since.overlap_us, &why);
	free(from);
	return from ? 0 : err_set(e, ERR_USAGE, why.hint, " pull run: --since: %.300s", why.what);
}

/* A mistake in the recipe is better told here, with its line, than by every page. Returns an exit status. */
static int check_recipe(struct ctl *ctl, const char *name)
{
	struct pull_recipe p;
	struct err e;
	int status = STATUS_FINE;

	if (pull_recipe_open(ctl, name, &p, &e) < 0)
		status = ctl_report(&e);
	else if (pull_recipe_check_quickly(&p, stderr))
		status = STATUS_USAGE;
	else if (check_since(p.recipe, ctl->args.since, &e) < 0)
		status = ctl_report(&e);
	pull_recipe_clear(&p);
	return status;
}

static int start(struct ctl *ctl, const char *name, struct started *s, struct err *e)
{
	char *ask = make_ask(ctl, e);
	json_t *answer;

	if (!ask)
		return -1;
	answer = client_post_json(ctl->client, ask, strlen(ask), e, "/v1/pulls/%s/runs", name);
	free(ask);
	if (!answer)
		return -1;
	*s = (struct started){.run = (uint32_t)pull_number(answer, "run"),
			      .skipped = json_is_true(json_object_get(answer, "skipped"))};
	if (pull_number(answer, "waiting_for") > 0)
		s->waiting_for = (uint32_t)pull_number(answer, "waiting_for");
	json_decref(answer);
	return 0;
}

/* ---- what is told ---- */

/* The number, as soon as there is one: whoever waits for hours wants to look meanwhile. Where the run is waited for and
 * a form of data was asked for, that is the receipt's, at the end. */
static void tell_number(const struct ctl *ctl, const struct started *s, const char *name)
{
	const struct args *a = &ctl->args;

	if (a->quiet && a->wait && !a->print_id)
		return;
	if (a->print_id || a->format == FORMAT_TABLE)
		printf("%" PRIu32 "\n", s->run);
	else if (!a->wait && a->format == FORMAT_CSV)
		printf("run,pull,skipped\r\n%" PRIu32 ",%s,%s\r\n", s->run, name, s->skipped ? "true" : "false");
	else if (!a->wait)
		printf("{\"run\":%" PRIu32 ",\"pull\":\"%s\",\"skipped\":%s}\n", s->run, name,
		       s->skipped ? "true" : "false");
	fflush(stdout);
}

static void note_start(const struct ctl *ctl, const struct started *s, const char *name)
{
	if (s->skipped)
		ctl_note(ctl,
			 "pull %s: run %" PRIu32 " of it has not ended, and no other was started (--overlap queue or "
			 "replace does)",
			 name, s->run);
	else if (s->waiting_for && ctl->args.overlap && strcmp(ctl->args.overlap, "replace") == 0)
		ctl_note(ctl,
			 "pull %s: run %" PRIu32 " takes the place of run %" PRIu32 " and of those before it: they are "
			 "cancelled, and it begins when they have ended",
			 name, s->run, s->waiting_for);
	else if (s->waiting_for)
		ctl_note(ctl, "pull %s: run %" PRIu32 " begins when run %" PRIu32 " has ended", name, s->run,
			 s->waiting_for);
}

/* Another one's items would be taken for those of this run. With -q nothing is said: under cron a run that is late is
 * no fault, and the next line of the table writes the file. But what comes behind && may not take an older file for it.
 */
static int skip(const struct ctl *ctl, uint32_t run)
{
	struct text later = {0};

	if (!items_to_file(ctl))
		return ctl->args.output ? STATUS_TRY_AGAIN : STATUS_FINE;
	items_add_later(ctl, run, NULL, &later);
	ctl_note(ctl, "%s was not written: run %" PRIu32 " has not ended, and no other was started\n  %s",
		 ctl->args.output, run, later.data);
	text_clear(&later);
	return STATUS_TRY_AGAIN;
}

static int finish(struct ctl *ctl, const struct started *s, const char *name)
{
	struct err e;
	json_t *run;
	int status;

	if (pull_wait(ctl, s->run, name, &run, &status) < 0) {
		items_tell_unwritten(ctl, s->run, NULL);
		return status;
	}
	status = receipt_tell(ctl, run);
	if (status != STATUS_FINE)
		items_tell_unwritten(ctl, s->run, run);
	if (ctl->args.format_name && !ctl->args.output && !ctl->args.print_id && pull_print_run(ctl, run, &e) < 0)
		status = ctl_report(&e);
	if (status == STATUS_FINE && ctl->args.output)
		status = items_write(ctl, run);
	json_decref(run);
	return status;
}

int verb_pull_run(struct ctl *ctl)
{
	const char *name = ctl->args.operands[0];
	struct started s;
	struct err e;
	int status;

	ctl->args.wait = ctl->args.wait || ctl->args.output;
	if (check_options(ctl, &e) < 0 || ctl_connect(ctl, &e) < 0)
		return ctl_report(&e);
	status = check_recipe(ctl, name);
	if (status != STATUS_FINE)
		return status;
	if (start(ctl, name, &s, &e) < 0)
		return ctl_report(&e);
	tell_number(ctl, &s, name);
	ctl->args.quiet = ctl->args.quiet || ctl->args.print_id;
	note_start(ctl, &s, name);
	if (s.skipped)
		return skip(ctl, s.run);
	return ctl->args.wait ? finish(ctl, &s, name) : STATUS_FINE;
}
