/* items: pages in, items out. What is missing is told at the end, when it is known what belongs to the run: a page that
 * failed behind the last one does not. */
#include "cli/items.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/items_columns.h"
#include "cli/items_form.h"
#include "cli/items_name.h"
#include "cli/items_place.h"
#include "cli/items_read.h"
#include "cli/items_sink.h"
#include "cli/items_view.h"
#include "cli/pull.h"
#include "cli/receipt.h"
#include "cli/verbs.h"
#include "cli/when.h"

#define TOLD_MAX 10

/* A page of which nothing came. */
struct failed {
	uint32_t page;
	bool gone; /* its body was there once */
	char *why;
};

struct writing {
	struct ctl *ctl;
	json_t *run;
	uint32_t number;
	struct text path; /* "" is standard output */
	struct recipe *recipe;
	struct items_view *view;
	struct items_sink sink;
	struct items_form form;
	bool inexact_told;
	/* what did not come */
	struct failed *failed;
	size_t failed_count;
	uint32_t pending, pending_first;
};

/* ---- before ---- */

static bool has_ended(const json_t *run)
{
	return *pull_text(run, "verdict");
}

/* A file is whole or not there: what cannot become whole is not begun. */
static int check_whole(const struct writing *w, struct err *e)
{
	struct text hint = {0}, why = {0};
	bool ended = has_ended(w->run);

	if (!items_to_file(w->ctl) || (ended ? receipt_status(w->run) == STATUS_FINE : w->ctl->args.follow))
		return 0;
	if (!ended)
		return err_set(e, ERR_CONFLICT, "--follow waits until it has",
			       "run %" PRIu32 " has not ended: %s was not written", w->number, w->ctl->args.output);
	items_add_later(w->ctl, w->number, w->run, &hint);
	text_add_str(&why, pull_text(w->run, "verdict"));
	items_add_error(w->run, &why);
	err_set(e, ERR_CONFLICT, hint.data, "%.100s was not written: run %" PRIu32 " is %s", w->ctl->args.output,
		w->number, why.data);
	text_clear(&why);
	text_clear(&hint);
	return -1;
}

/* As it was when the run was started. */
static int open_view(struct writing *w, struct err *e)
{
	const struct args *a = &w->ctl->args;
	const char *text = pull_text(w->run, "recipe"), *pull = pull_text(w->run, "pull");
	char *vars;
	struct err why;

	w->recipe = recipe_parse(recipe_name_ok(pull) ? pull : "recipe", pull, text, &why);
	if (!w->recipe)
		return err_set(e, ERR_CONFLICT, NULL, "run %" PRIu32 ": its recipe cannot be read: %.300s", w->number,
			       why.what);
	vars = json_dumps(json_object_get(w->run, "vars"), JSON_COMPACT);
	w->view = items_view_create(w->recipe, vars ? vars : "{}", a->jq, a->unique ? ITEMS_UNIQUE : ITEMS_ALL, e);
	free(vars);
	return w->view ? 0 : -1;
}

static int open_output(struct writing *w, struct err *e)
{
	const struct args *a = &w->ctl->args;

	if (items_to_file(w->ctl)) {
		items_name_expand(a->output, pull_text(w->run, "pull"), w->number,
				  when_parse_us(pull_text(w->run, "created_at")), &w->path);
		if (a->create_dirs && output_make_directories(w->path.data, e) < 0)
			return -1;
	}
	return items_sink_open(&w->sink, w->path.data, e);
}

/* ---- pages ---- */

static int on_item(void *arg, jv item, struct err *e)
{
	return items_form_put(&((struct writing *)arg)->form, item, e);
}

static void note_inexact(struct writing *w, const struct items_page *p)
{
	struct text number = {0};

	if (!p->inexact || w->inexact_told)
		return;
	w->inexact_told = true;
	text_add_shown(&number, p->inexact, 0);
	ctl_warn("page %" PRIu32 " has a number that jq cannot hold exactly (%s): such numbers are rounded; "
		 "fanoutctl get %s has the bytes as they came",
		 p->page, number.data, p->job);
	text_clear(&number);
}

static void note_dropped(struct writing *w, uint32_t page)
{
	struct text name = {0};

	if (!w->form.dropped || !w->form.dropped_name[0])
		return;
	text_add_shown(&name, w->form.dropped_name, 0);
	ctl_warn("page %" PRIu32 " has items with members that those of the first page have not (%s): they are left "
		 "out; --fields names columns",
		 page, name.data);
	text_clear(&name);
	w->form.dropped_name[0] = '\0';
}

/* A name that no item has is hardly what was meant: once, when all have been seen. */
static void note_unseen(struct writing *w)
{
	struct text names = {0};
	const char *name;
	size_t at = 0, count = 0;

	if (!w->ctl->args.fields || w->form.count == 0)
		return;
	while ((name = items_columns_unseen(w->form.columns, &at))) {
		text_add_str(&names, count++ ? ", " : "");
		text_add_shown(&names, name, 0);
	}
	if (count)
		ctl_warn("--fields: no item has %s", names.data);
	text_clear(&names);
}

static int take_page(struct writing *w, struct items_page *p, struct err *e)
{
	note_inexact(w, p);
	if (items_view_page(w->view, p, on_item, w, e) < 0 || items_form_page(&w->form, e) < 0)
		return -1;
	note_dropped(w, p->page);
	return 0;
}

static int take_failed(struct writing *w, struct items_page *p, struct err *e)
{
	struct failed *grown = realloc(w->failed, (w->failed_count + 1) * sizeof *grown);

	(void)e;
	if (!grown)
		BUG("out of memory");
	w->failed = grown;
	w->failed[w->failed_count++] = (struct failed){.page = p->page, .gone = p->kind == ITEMS_GONE, .why = p->why};
	p->why = NULL;
	return 0;
}

static int take_pending(struct writing *w, struct items_page *p, struct err *e)
{
	(void)e;
	if (w->pending++ == 0)
		w->pending_first = p->page;
	return 0;
}

static int take_quiet(struct writing *w, struct items_page *p, struct err *e)
{
	(void)p;
	return items_sink_flush(&w->sink, e);
}

static int read_pages(struct writing *w, struct items_reader *r, struct err *e)
{
	static int (*const take[])(struct writing * w, struct items_page * p, struct err * e) = {
	    [ITEMS_PAGE] = take_page,       [ITEMS_FAILED] = take_failed, [ITEMS_GONE] = take_failed,
	    [ITEMS_PENDING] = take_pending, [ITEMS_QUIET] = take_quiet,
	};
	struct items_page p;
	bool end;
	int rc;

	do {
		rc = items_reader_next(r, &p, e);
		end = rc < 0 || p.kind == ITEMS_END;
		if (!end)
			rc = take[p.kind](w, &p, e);
		items_page_clear(&p);
	} while (rc == 0 && !end);
	return rc;
}

static int write_items(struct writing *w, struct err *e)
{
	const struct args *a = &w->ctl->args;
	struct items_reading reading = {.client = w->ctl->client,
					.run = w->number,
					.follow = a->follow && !has_ended(w->run),
					.headers = items_view_wants_headers(w->recipe, a->unique)};
	struct items_reader *r;
	struct err ignored;
	int rc;

	if (items_form_open(&w->form, items_format(w->ctl), a->fields, a->raw, &w->sink, e) < 0)
		return -1;
	r = items_reader_start(&reading);
	rc = read_pages(w, r, e);
	items_reader_end(r);
	if (rc == 0)
		note_unseen(w);
	return items_form_close(&w->form, rc == 0, rc == 0 ? e : &ignored) < 0 ? -1 : rc;
}

/* ---- behind ---- */

static const char *why_of(const struct writing *w, uint32_t page)
{
	for (size_t i = 0; i < w->failed_count; i++)
		if (w->failed[i].page == page)
			return w->failed[i].why;
	return "it was not fetched";
}

static void tell_missing(uint32_t page, const char *why)
{
	struct text t = {0};

	text_add_shown(&t, why, 0);
	fprintf(stderr, "fanoutctl: page %" PRIu32 " is missing: %s\n", page, t.data);
	text_clear(&t);
}

/* Of a run that has ended, its receipt says what is missing: a page that failed behind the end is not. */
static size_t tell_gaps(const struct writing *w)
{
	const json_t *gaps = json_object_get(w->run, "gaps"), *gap;
	size_t i;

	json_array_foreach (gaps, i, gap) {
		uint32_t page = (uint32_t)json_integer_value(gap);

		if (i < TOLD_MAX)
			tell_missing(page, why_of(w, page));
	}
	return json_array_size(gaps);
}

/* What was met: bodies that are gone, and, while the run goes on, pages that failed. */
static size_t tell_met(const struct writing *w, size_t told)
{
	size_t count = 0;

	for (size_t i = 0; i < w->failed_count; i++) {
		if (!w->failed[i].gone && has_ended(w->run))
			continue;
		if (told + count++ < TOLD_MAX)
			tell_missing(w->failed[i].page, w->failed[i].why);
	}
	return count;
}

static size_t tell_pages(const struct writing *w)
{
	size_t count = tell_gaps(w);

	count += tell_met(w, count);
	if (count > TOLD_MAX)
		fprintf(stderr, "fanoutctl: and %zu more pages are missing\n", count - TOLD_MAX);
	return count;
}

/* `told`: why pages are missing. */
static int tell_rest(const struct writing *w, bool told)
{
	const char *error = pull_text(w->run, "error");
	struct text t = {0}, short_error = {0};

	if (!has_ended(w->run)) {
		fprintf(stderr, "fanoutctl: run %" PRIu32 " has not ended", w->number);
		if (w->pending)
			fprintf(stderr, ": page %" PRIu32 " is not there yet", w->pending_first);
		if (w->pending > 1)
			fprintf(stderr, ", nor are %" PRIu32 " others", w->pending - 1);
		fprintf(stderr, "\n  --follow waits until it has\n");
	} else {
		text_add(&short_error, error, told ? receipt_error_len(error) : strlen(error));
		text_add_shown(&t, short_error.data, 0);
		text_clear(&short_error);
		fprintf(stderr, "fanoutctl: run %" PRIu32 " is %s%s%s\n", w->number, pull_text(w->run, "verdict"),
			*error ? ": " : "", *error ? t.data : "");
	}
	text_clear(&t);
	return STATUS_FAILED;
}

static int tell_end(const struct writing *w)
{
	size_t missing;

	fflush(stdout);
	missing = tell_pages(w);
	if (!has_ended(w->run) || receipt_status(w->run) != STATUS_FINE)
		return tell_rest(w, missing > 0);
	if (receipt_is_partial(w->run) && w->ctl->verb->run != verb_pull_run) /* whose receipt has said it */
		ctl_note(w->ctl, "run %" PRIu32 " is partial: it was to ask for so many pages only (--max-pages)",
			 w->number);
	return missing ? STATUS_FAILED : STATUS_FINE;
}

/* Of a run that was followed, how it ended. */
static int refresh(struct writing *w, struct err *e)
{
	json_t *run;

	if (has_ended(w->run) || !w->ctl->args.follow)
		return 0;
	run = run_get(w->ctl, w->number, e);
	if (!run)
		return -1;
	json_decref(w->run);
	w->run = run;
	return 0;
}

/* What is there more than once went into the file so. */
static void note_duplicates(const struct writing *w)
{
	json_int_t again = pull_number(w->run, "duplicates");

	if (again > 0 && !w->ctl->args.unique)
		ctl_note(w->ctl,
			 "%lld of them %s there already, by the recipe's key: --unique writes each once (fanoutctl "
			 "items %" PRIu32 " --unique)",
			 (long long)again, again == 1 ? "was" : "were", w->number);
}

/* That is what was asked for; it is also what a slip in the expression does. */
static void warn_none_left(const struct writing *w)
{
	json_int_t items = pull_number(w->run, "items");

	if (w->form.count == 0 && items > 0 && !w->ctl->args.allow_empty)
		ctl_warn("of %lld item%s of run %" PRIu32 " --jq left none: %s is empty (where that may be so: "
			 "--allow-empty)",
			 (long long)items, items == 1 ? "" : "s", w->number, w->path.data);
}

static bool is_none(const json_t *expected)
{
	return json_is_integer(expected) && json_integer_value(expected) == 0;
}

/* Nothing came, and neither the API nor what was asked for says why: a recipe that names the wrong member is not to
 * cost the file of the day before. */
static bool is_doubtful(const struct writing *w)
{
	const json_t *expected = json_object_get(w->run, "expected");

	return w->form.count == 0 && pull_number(w->run, "items") <= 0 &&
	       json_is_null(json_object_get(json_object_get(w->run, "since"), "from")) &&
	       !is_none(json_object_get(expected, "items")) && !is_none(json_object_get(expected, "pages"));
}

/* Puts it in its place, or takes it away. Returns the exit status. */
static int finish(struct writing *w)
{
	int status = tell_end(w);
	struct err e;

	if (status != STATUS_FINE && items_to_file(w->ctl)) {
		items_sink_discard(&w->sink);
		items_tell_unwritten(w->ctl, w->number,
				     receipt_status(w->run) != STATUS_FINE && has_ended(w->run) ? w->run : NULL);
		return status;
	}
	if (is_doubtful(w) && !w->ctl->args.allow_empty && items_sink_end(&w->sink, &e) == 0 &&
	    items_sink_shrinks(&w->sink)) {
		items_sink_discard(&w->sink);
		items_tell_kept(w->ctl, w->number, w->run);
		return STATUS_FAILED;
	}
	if (items_sink_commit(&w->sink, &e) < 0) {
		status = ctl_report(&e);
		items_tell_unwritten(w->ctl, w->number, NULL);
		return status;
	}
	if (items_to_file(w->ctl)) {
		ctl_note(w->ctl, "%" PRIu64 " item%s written to %s", w->form.count, w->form.count == 1 ? "" : "s",
			 w->path.data);
		note_duplicates(w);
		warn_none_left(w);
	}
	return status;
}

static void clear(struct writing *w)
{
	for (size_t i = 0; i < w->failed_count; i++)
		free(w->failed[i].why);
	free(w->failed);
	items_view_free(w->view);
	recipe_free(w->recipe);
	json_decref(w->run);
	text_clear(&w->path);
}

int items_write(struct ctl *ctl, const json_t *run)
{
	struct writing w = {.ctl = ctl, .run = json_incref((json_t *)(uintptr_t)run)};
	struct err e;
	bool able = false; /* there is something to write: what fails from here on is the file */
	int status = -1;

	w.number = (uint32_t)pull_number(run, "run");
	if (check_whole(&w, &e) == 0 && open_view(&w, &e) == 0)
		able = true;
	if (able && open_output(&w, &e) == 0) {
		if (write_items(&w, &e) == 0 && refresh(&w, &e) == 0) {
			status = finish(&w);
		} else if (items_to_file(ctl)) {
			items_sink_discard(&w.sink);
		} else {
			items_sink_commit(&w.sink, NULL); /* what came so far is shown */
		}
	}
	clear(&w);
	if (status >= 0)
		return status;
	status = ctl_report(&e);
	if (able)
		items_tell_unwritten(ctl, w.number, NULL);
	return status;
}

int verb_items(struct ctl *ctl)
{
	struct pull_target t;
	struct err e;
	json_t *run;
	int status;

	if (items_check_output(ctl, &e) < 0 || pull_parse(ctl, ctl->args.operands[0], &t, &e) < 0)
		return ctl_report(&e);
	if (t.run && ctl->args.vars.count) {
		err_set(&e, ERR_USAGE, NULL, " items: --var chooses among the runs of a pull, and %s is one run",
			ctl->args.operands[0]);
		return ctl_report(&e);
	}
	run = t.run ? run_get(ctl, t.run, &e) : run_newest(ctl, t.name, &e);
	if (run && !t.run) { /* a list has no recipes */
		t.run = (uint32_t)pull_number(run, "run");
		json_decref(run);
		run = run_get(ctl, t.run, &e);
	}
	if (!run)
		return ctl_report(&e);
	status = items_write(ctl, run);
	json_decref(run);
	return status;
}
