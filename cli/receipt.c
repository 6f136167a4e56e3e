/* The figures are the daemon's; here they become sentences. What went wrong with single pages is asked for only where
 * something did. */
#include "cli/receipt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/progress.h"
#include "cli/pull.h"
#include "cli/rows.h"
#include "lib/reals.h"
#include "lib/since.h"
#include "lib/units.h"

#define SHOWN_MAX 3

int receipt_status(const json_t *run)
{
	int status = progress_exit_status(run);

	return status < 0 ? STATUS_FAILED : status;
}

bool receipt_can_retry(const json_t *run)
{
	return strcmp(pull_text(run, "stop_reason"), "guard") != 0 &&
	       (pull_number(run, "counts.failed") > 0 || pull_number(run, "counts.cancelled") > 0);
}

/* ---- the line ---- */

void receipt_add_count(struct text *out, json_int_t n, const char *one, const char *many)
{
	text_printf(out, "%lld %s", (long long)n, n == 1 ? one : many);
}

/* "14 of 16 pages" */
static void add_of(struct text *out, json_int_t n, json_int_t expected, const char *one, const char *many)
{
	if (expected > n)
		text_printf(out, "%lld of ", (long long)n);
	receipt_add_count(out, expected > n ? expected : n, one, many);
}

static void add_items(struct text *out, const json_t *run)
{
	json_int_t items = pull_number(run, "items"), unique = pull_number(run, "unique");

	if (items < 0)
		return;
	text_add_str(out, ", ");
	add_of(out, items, pull_number(run, "expected.items"), "item", "items");
	if (unique >= 0)
		text_printf(out, " (%lld unique)", (long long)unique);
}

static void add_seconds(struct text *out, const json_t *seconds, const char *before, const char *behind)
{
	int64_t us = (int64_t)(json_number_value(seconds) * 1e6);
	char text[UNITS_TEXT_SIZE];

	text_printf(out, ", %s%s%s", before, units_format_duration(text, us), behind);
}

static void add_figures(struct text *out, const json_t *run)
{
	json_int_t requests = pull_number(run, "requests"), retries = pull_number(run, "retries");
	json_int_t same = pull_number(run, "not_modified");
	json_int_t refused = pull_number(run, "refused"), unreached = pull_number(run, "unreached");
	const json_t *limited = json_object_get(run, "limited_seconds");
	const json_t *down = json_object_get(run, "unreached_seconds");

	add_of(out, pull_number(run, "pages"), pull_number(run, "expected.pages"), "page", "pages");
	add_items(out, run);
	if (same > 0)
		text_printf(out, ", %lld not modified", (long long)same);
	if (requests >= 0) {
		text_add_str(out, ", ");
		receipt_add_count(out, requests, "request", "requests");
	}
	if (retries > 0) {
		text_add_str(out, ", ");
		receipt_add_count(out, retries, "retry", "retries");
	}
	if (refused > 0)
		text_printf(out, ", refused %lld time%s", (long long)refused, refused == 1 ? "" : "s");
	if (unreached > 0)
		text_printf(out, ", %lld attempt%s did not get through", (long long)unreached,
			    unreached == 1 ? "" : "s");
	add_seconds(out, json_object_get(run, "seconds"), "", "");
	if (json_number_value(down) >= 0.0005)
		add_seconds(out, down, "", " of it without getting through");
	if (json_number_value(limited) >= 0.0005)
		add_seconds(out, limited, "waited ", " for limits");
}

void receipt_add_line(struct text *out, const json_t *run)
{
	const char *verdict = pull_text(run, "verdict");

	text_printf(out, "pull %s: %s", pull_text(run, "pull"), *verdict ? verdict : pull_text(run, "state"));
	if (pull_number(run, "pages") < 0)
		return;
	text_add_str(out, ": ");
	add_figures(out, run);
}

void receipt_add_since(struct text *out, const json_t *since)
{
	char *dumped;

	if (json_is_string(since)) {
		text_add_shown(out, json_string_value(since), 0);
	} else if (since && !json_is_null(since)) {
		dumped = json_dumps(since, JSON_ENCODE_ANY | JSON_COMPACT | reals_precision(since));
		text_add_shown(out, dumped ? dumped : "?", 0);
		free(dumped);
	}
}

/* ---- what is wrong ---- */

size_t receipt_error_len(const char *error)
{
	const char *first = strstr(error, " (page ");

	return first ? (size_t)(first - error) : strlen(error);
}

struct failures {
	const json_t *gaps;
	struct text said, last; /* the error of the page before, of the first the run's */
	size_t count;
	size_t by_recipe; /* so many would fail again as the recipe is */
	size_t denied;    /* of those, for who asks */
};

/* What failed behind the end is not missing. */
static bool is_missing(const struct failures *f, const json_t *page)
{
	json_int_t number = pull_number(page, "page");
	const json_t *gap;
	size_t i;

	if (strcmp(pull_text(page, "state"), "failed") != 0)
		return false;
	json_array_foreach (f->gaps, i, gap) {
		if (json_integer_value(gap) == number)
			return true;
	}
	return json_array_size(f->gaps) == 0;
}

/* What it makes of the answer, or what the server has against the request. */
static bool is_by_recipe(const json_t *page)
{
	json_int_t status = pull_number(page, "status");
	const char *reason = pull_text(page, "reason");

	if (strcmp(reason, "http_status") == 0)
		return status >= 400 && status < 500 && status != 408 && status != 425 && status != 429;
	return strcmp(reason, "soft_error") == 0;
}

static bool is_denied(const json_t *page)
{
	json_int_t status = pull_number(page, "status");

	return is_by_recipe(page) && (status == 401 || status == 403);
}

static int on_page(void *arg, const json_t *page, struct err *e)
{
	struct failures *f = arg;
	const char *error = pull_text(page, "error"), *reason = pull_text(page, "reason");
	const char *why = *error ? error : *reason ? reason : "failed";
	json_int_t attempts = pull_number(page, "attempts");

	(void)e;
	if (f->count >= SHOWN_MAX || !is_missing(f, page))
		return 0;
	f->count++;
	f->by_recipe += is_by_recipe(page);
	f->denied += is_denied(page);
	text_printf(&f->said, "\n  page %lld ", (long long)pull_number(page, "page"));
	text_add_shown(&f->said, pull_text(page, "url"), 0);
	text_add_str(&f->said, ": ");
	text_add_shown(&f->said, f->last.len && strcmp(f->last.data, why) == 0 ? "the same" : why, 0);
	f->last.len = 0;
	text_add_str(&f->last, why);
	if (attempts > 1)
		text_printf(&f->said, ", after %lld attempts", (long long)attempts);
	return 0;
}

enum trouble { TROUBLE_NO_PAGES, TROUBLE_PAGES, TROUBLE_RECIPE, TROUBLE_STATE, TROUBLE_SECRET };

/* The server has something against what it was asked, which is the state's as much as the recipe's. */
static bool may_be_state(const struct failures *f, const json_t *run)
{
	return json_is_true(json_object_get(json_object_get(run, "since"), "from_state")) && f->denied == 0 &&
	       pull_number(run, "pages") == 0;
}

static enum trouble trouble_of(const struct failures *f, const json_t *run)
{
	if (f->count == 0)
		return json_array_size(f->gaps) ? TROUBLE_PAGES : TROUBLE_NO_PAGES;
	if (f->denied == f->count && strstr(pull_text(run, "recipe"), "{secret:"))
		return TROUBLE_SECRET;
	if (f->by_recipe < f->count)
		return TROUBLE_PAGES;
	return may_be_state(f, run) ? TROUBLE_STATE : TROUBLE_RECIPE;
}

/* The first few of the failed pages, with their errors. */
static enum trouble add_failed_pages(struct ctl *ctl, const json_t *run, struct text *out)
{
	struct failures f = {.gaps = json_object_get(run, "gaps")};
	uint32_t number = (uint32_t)pull_number(run, "run");
	size_t all = json_array_size(f.gaps);

	text_add_str(&f.last, pull_text(run, "error"));
	run_pages(ctl->client, number, 0, 0, on_page, &f, NULL); /* what is not said is not said: the verdict stands */
	text_add(out, f.said.len ? f.said.data : "", f.said.len);
	if (f.count && all > f.count)
		text_printf(out, "\n  and %zu more: fanoutctl pull show %u", all - f.count, number);
	text_clear(&f.said);
	text_clear(&f.last);
	return trouble_of(&f, run);
}

/* A retry would send the same again. */
static void add_state(const json_t *run, struct text *out)
{
	const char *name = pull_text(run, "pull"),
		   *vars = json_object_size(json_object_get(run, "vars")) ? " --var ..." : "";

	text_add_str(out, "\n  it began at ");
	text_add_shown(out, pull_text(run, "since.from"), 0);
	text_printf(
	    out,
	    ", which is of the pull's state: where that is why, fanoutctl pull state %s%s --set VALUE (or --reset) "
	    "corrects it; fanoutctl pull run %s then starts anew, also where the recipe has to be corrected",
	    name, vars, name);
}

/* A retry has the recipe as it was, and the secrets as they are then. */
static void add_advice(const json_t *run, enum trouble trouble, struct text *out)
{
	unsigned number = (unsigned)pull_number(run, "run");
	const char *name = pull_text(run, "pull"), *error = pull_text(run, "error");

	if (!receipt_can_retry(run))
		text_printf(
		    out,
		    "\n  fanoutctl pull run %s starts anew; fanoutctl items %u has what came, fanoutctl results "
		    "%u lists its pages",
		    name, number, number);
	else if (receipt_status(run) == STATUS_CANCELLED && *error)
		text_printf(out, "\n  fanoutctl results %u lists its pages", number);
	else if (receipt_status(run) == STATUS_CANCELLED)
		text_printf(out, "\n  fanoutctl retry %u goes on from there", number);
	else if (trouble == TROUBLE_RECIPE)
		text_printf(
		    out,
		    "\n  fanoutctl pull run %s starts anew, where the recipe has to be corrected; fanoutctl retry "
		    "%u fetches what is missing with the recipe as it was",
		    name, number);
	else if (trouble == TROUBLE_STATE)
		add_state(run, out);
	else if (trouble == TROUBLE_SECRET)
		text_printf(
		    out,
		    "\n  where a secret is why, replace its file: fanoutctl retry %u goes on with it; fanoutctl "
		    "pull run %s starts anew, where the recipe has to be corrected",
		    number, name);
	else if (trouble == TROUBLE_PAGES)
		text_printf(out, "\n  fanoutctl retry %u fetches what is missing and goes on from there", number);
	else
		text_printf(out, "\n  fanoutctl results %u lists its pages", number);
}

static void add_trouble(struct ctl *ctl, const json_t *run, struct text *out)
{
	const char *error = pull_text(run, "error");
	struct text pages = {0}, said = {0};
	enum trouble trouble = add_failed_pages(ctl, run, &pages);

	if (*error) {
		text_add_str(out, "\n  ");
		text_add(&said, error, pages.len ? receipt_error_len(error) : strlen(error));
		text_add_shown(out, said.data, 0);
	}
	text_clear(&said);
	text_add(out, pages.len ? pages.data : "", pages.len);
	text_clear(&pages);
	add_advice(run, trouble, out);
}

bool receipt_is_partial(const json_t *run)
{
	return strcmp(pull_text(run, "verdict"), "partial") == 0;
}

static void add_partial(const json_t *run, struct text *out)
{
	text_add_str(out, "\n  ended after ");
	receipt_add_count(out, pull_number(run, "pages"), "page", "pages");
	text_add_str(out, ", as asked for (--max-pages); the next run begins where this one did");
}

static bool are_alike(const struct text *a, const struct text *b)
{
	return !a->len || !b->len || since_form(a->data) == since_form(b->data);
}

/* Where the next run begins is not where this one would have it. With -q too it stands in the receipt: whoever asks so
 * every night has no use for the state. */
static void add_kept(const json_t *run, struct text *out)
{
	const json_t *since = json_object_get(run, "since");
	bool kept = json_is_true(json_object_get(since, "kept"));
	struct text from = {0}, to = {0}, seen = {0};

	receipt_add_since(&from, json_object_get(since, "from"));
	receipt_add_since(&to, json_object_get(since, "to"));
	receipt_add_since(&seen, json_object_get(since, "seen"));
	if (kept && are_alike(&from, &to))
		text_printf(
		    out,
		    "\n  what the next run begins at stays as it was: this one began later, at %s, and what lies "
		    "before was not fetched",
		    from.data);
	else if (kept)
		text_printf(out,
			    "\n  what the next run begins at stays at %s: this one began at %s, and which of them is "
			    "earlier cannot be told",
			    to.data, from.data);
	else if (to.len && seen.len && strcmp(to.data, seen.data) != 0)
		text_printf(out, "\n  what the next run begins at stays at %s: the latest that came is %s", to.data,
			    seen.data);
	else
		to.len = 0;
	if (kept || to.len)
		text_printf(out, " (fanoutctl pull state %s --set sets it)", pull_text(run, "pull"));
	text_clear(&from);
	text_clear(&to);
	text_clear(&seen);
}

/* Whether a rule or a rate of a recipe holds for one of the run's hosts; also where that is not known. */
static bool has_limit(struct ctl *ctl, const json_t *run)
{
	const char *host = json_string_value(json_array_get(json_object_get(run, "hosts"), 0));
	json_t *answer = host ? client_get_json(ctl->client, NULL, "/v1/limits?host=%s", host) : NULL;
	bool found = !answer || json_array_size(json_object_get(answer, "limits")) > 0 ||
		     json_is_object(json_object_get(run, "limit"));

	json_decref(answer);
	return found;
}

static void add_refused(struct ctl *ctl, const json_t *run, struct text *out)
{
	json_int_t refused = pull_number(run, "refused");

	if (refused > 0 && !has_limit(ctl, run))
		text_printf(out,
			    "\n  the host refused %lld time%s (429 or 503), and no limit is set for it: put"
			    " limit = { rate = ...; } into the recipe, or see fanoutctl limits set",
			    (long long)refused, refused == 1 ? "" : "s");
}

void receipt_add(struct ctl *ctl, const json_t *run, struct text *out)
{
	const char *warning = pull_text(run, "warning");

	receipt_add_line(out, run);
	if (*warning) {
		text_add_str(out, "\n  warning: ");
		text_add_shown(out, warning, 0);
	}
	add_refused(ctl, run, out);
	if (receipt_is_partial(run))
		add_partial(run, out);
	add_kept(run, out);
	if (receipt_status(run) != STATUS_FINE)
		add_trouble(ctl, run, out);
}

int receipt_tell(struct ctl *ctl, const json_t *run)
{
	int status = receipt_status(run);
	struct text out = {0};

	receipt_add(ctl, run, &out);
	fflush(stdout);
	if (status != STATUS_FINE || *pull_text(run, "warning"))
		fprintf(stderr, "fanoutctl: %s\n", out.data);
	else
		ctl_note(ctl, "%s", out.data);
	text_clear(&out);
	return status;
}
