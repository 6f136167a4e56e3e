/* pull show: a recipe with its states and its history of runs, or a run with its receipt and the pages that are not as
 * they should be. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/explain.h"
#include "cli/pull.h"
#include "cli/pull_layouts.h"
#include "cli/receipt.h"
#include "cli/verbs.h"
#include "cli/when.h"
#include "lib/clock.h"
#include "lib/units.h"

#define RUNS_DEFAULT "10"
#define PAGES_SHOWN  20
#define WAITS_SHOWN  3

static void set_text(json_t *object, const char *member, const struct text *t)
{
	if (t->len)
		json_object_set_new(object, member, json_stringn(t->data, t->len));
}

static void set_since(json_t *object, const char *member, const json_t *since)
{
	struct text t = {0};

	receipt_add_since(&t, since);
	set_text(object, member, &t);
	text_clear(&t);
}

/* "repo=curl/curl, kind=open" */
static void add_vars(json_t *object)
{
	json_t *vars = json_object_get(object, "vars"), *value;
	struct text t = {0};
	const char *name;

	json_object_foreach (vars, name, value) {
		text_printf(&t, "%s%s=", t.len ? ", " : "", name);
		text_add_str(&t, json_string_value(value) ? json_string_value(value) : "?");
	}
	set_text(object, "shown_vars", &t);
	text_clear(&t);
}

static void set_us(json_t *object, const char *member, const json_t *seconds)
{
	if (json_is_number(seconds) && json_number_value(seconds) > 0)
		json_object_set_new(object, member, json_integer((json_int_t)(json_number_value(seconds) * 1e6)));
}

/* ---- a run ---- */

static void add_of(json_t *run, const char *member, const char *what, const char *expected)
{
	json_int_t n = pull_number(run, what), of = pull_number(run, expected);
	struct text t = {0};

	if (n >= 0)
		text_printf(&t, of > n ? "%lld of %lld" : "%lld", (long long)n, (long long)of);
	set_text(run, member, &t);
	text_clear(&t);
}

static void add_gaps(json_t *run)
{
	const json_t *gaps = json_object_get(run, "gaps"), *gap;
	struct text t = {0};
	size_t i;

	json_array_foreach (gaps, i, gap) {
		if (i < PAGES_SHOWN)
			text_printf(&t, "%s%lld",
				    i                           ? ", "
				    : json_array_size(gaps) > 1 ? "pages "
								: "page ",
				    (long long)json_integer_value(gap));
	}
	if (json_array_size(gaps) > PAGES_SHOWN)
		text_printf(&t, " and %zu more", json_array_size(gaps) - PAGES_SHOWN);
	set_text(run, "shown_gaps", &t);
	text_clear(&t);
}

static json_t *figure(const json_t *run, const char *path)
{
	json_int_t n = pull_number(run, path);

	return n < 0 ? json_null() : json_integer(n);
}

static void add_waits(json_t *run)
{
	const json_t *wait;
	struct text t = {0};
	size_t i;

	json_array_foreach (rows_member(run, "live.waits"), i, wait) {
		if (i == WAITS_SHOWN)
			break;
		text_add_str(&t, i ? "; " : "");
		explain_wait(wait, clock_wall_us(), &t);
	}
	set_text(run, "shown_waits", &t);
	text_clear(&t);
}

/* Of a run that has not ended: what there is so far. */
static void add_live(json_t *run)
{
	int64_t eta_us = when_parse_us(json_string_value(rows_member(run, "live.eta"))), now_us = clock_wall_us();
	char left[UNITS_TEXT_SIZE];

	add_of(run, "shown_pages", "live.pages", "live.expected.pages");
	add_of(run, "shown_items", "live.items", "live.expected.items");
	set_us(run, "shown_us", rows_member(run, "live.seconds"));
	set_us(run, "shown_limited_us", rows_member(run, "live.limited_seconds"));
	set_us(run, "shown_unreached_us", rows_member(run, "live.unreached_seconds"));
	json_object_set_new(run, "requests", figure(run, "live.requests"));
	json_object_set_new(run, "retries", figure(run, "live.retries"));
	json_object_set_new(run, "bytes", figure(run, "live.bytes"));
	json_object_set_new(run, "shown_in_flight", figure(run, "live.in_flight"));
	json_object_set_new(run, "shown_queued", figure(run, "live.queued"));
	if (eta_us > now_us)
		json_object_set_new(run, "shown_left", json_string(units_format_duration(left, eta_us - now_us)));
	add_waits(run);
}

/* What there is nothing of is not shown. */
static void add_vain(json_t *run, const char *refused, const char *unreached)
{
	json_int_t refusals = pull_number(run, refused), vain = pull_number(run, unreached);

	if (refusals > 0)
		json_object_set_new(run, "shown_refused", json_sprintf("%lld times", (long long)refusals));
	if (vain > 0)
		json_object_set_new(run, "shown_unreached", json_sprintf("%lld attempts", (long long)vain));
}

static bool is_paused(const json_t *run)
{
	const json_t *wait;
	size_t i;

	json_array_foreach (rows_member(run, "live.waits"), i, wait) {
		if (strcmp(pull_text(wait, "why"), "paused") == 0)
			return true;
	}
	return false;
}

/* Of what says stop_reason. */
static void add_stop(json_t *run)
{
	static const struct {
		const char *reason, *words;
	} stops[] = {
	    {"single", "its only page"},
	    {"total", "the total that the API told"},
	    {"no_next", "a page that names no next one"},
	    {"has_more", "a page that says that there are no more"},
	    {"stop", "stop, an expression of the recipe"},
	    {"status", "a status that the recipe takes for the end"},
	    {"empty", "a page without items"},
	    {"short", "a page with fewer items than fit"},
	    {"guard", "a guard: why is above"},
	    {"failed", "pages that failed"},
	    {"max_pages", "max_pages of the recipe"},
	    {"cancelled", "its cancellation"},
	};
	const char *reason = pull_text(run, "stop_reason");

	if (receipt_is_partial(run)) {
		json_object_set_new(run, "shown_stop", json_string("max_pages (asked for)"));
		return;
	}
	for (size_t i = 0; i < sizeof stops / sizeof *stops; i++)
		if (strcmp(stops[i].reason, reason) == 0)
			json_object_set_new(run, "shown_stop", json_string(stops[i].words));
}

/* What a table says beyond the API, or in other words. */
static void add_shown(json_t *run)
{
	json_int_t same = pull_number(run, "not_modified");
	bool lives = json_is_object(json_object_get(run, "live"));

	if (is_paused(run))
		json_object_set_new(run, "state", json_string("paused"));
	add_vain(run, lives ? "live.refused" : "refused", lives ? "live.unreached" : "unreached");

	add_vars(run);
	if (lives) {
		add_live(run);
	} else {
		add_of(run, "shown_pages", "pages", "expected.pages");
		add_of(run, "shown_items", "items", "expected.items");
		set_us(run, "shown_us", json_object_get(run, "seconds"));
		set_us(run, "shown_limited_us", json_object_get(run, "limited_seconds"));
		set_us(run, "shown_unreached_us", json_object_get(run, "unreached_seconds"));
	}
	add_gaps(run);
	set_since(run, "shown_from", rows_member(run, "since.from"));
	set_since(run, "shown_to", rows_member(run, "since.to"));
	if (same > 0)
		json_object_set_new(run, "shown_not_modified", json_integer(same));
	add_stop(run);
}

struct problems {
	struct rows *rows;
	unsigned count;
};

/* What has ended, and is not done. */
static int on_page(void *arg, const json_t *page, struct err *e)
{
	struct problems *p = arg;

	if (strcmp(pull_text(page, "state"), "failed") != 0)
		return 0;
	if (p->count == 0)
		putchar('\n');
	return p->count++ < PAGES_SHOWN ? rows_put(p->rows, page, e) : 0;
}

static int show_pages(struct ctl *ctl, uint32_t run, struct err *e)
{
	struct problems p = {.rows = rows_open(FORMAT_TABLE, &layout_pages, false)};
	int rc = run_pages(ctl->client, run, 0, 0, on_page, &p, e);

	rows_close(p.rows, rc == 0);
	if (p.count > PAGES_SHOWN)
		printf("and %u more pages that failed: fanoutctl results %u --state failed\n", p.count - PAGES_SHOWN,
		       run);
	return rc;
}

/* Once, where pages that failed are told one by one. */
static void shorten_error(json_t *run)
{
	const char *error = pull_text(run, "error");
	size_t n = receipt_error_len(error);

	if (error[n] && pull_number(run, "counts.failed") > 0)
		json_object_set_new(run, "error", json_stringn(error, n));
}

int pull_print_run(const struct ctl *ctl, json_t *run, struct err *e)
{
	json_object_del(run, "recipe"); /* the receipt is what is shown */
	if (ctl->args.format == FORMAT_TABLE) {
		add_shown(run);
		shorten_error(run);
	}
	return rows_object(ctl->args.format, run, &layout_run, e);
}

static int show_run(struct ctl *ctl, uint32_t number, struct err *e)
{
	json_t *run = run_get(ctl, number, e);
	int rc;

	if (!run)
		return -1;
	rc = pull_print_run(ctl, run, e);
	json_decref(run);
	if (rc < 0 || ctl->args.format != FORMAT_TABLE)
		return rc;
	return show_pages(ctl, number, e);
}

/* ---- a pull ---- */

static void add_secrets(json_t *pull)
{
	const json_t *secret, *host;
	struct text t = {0};
	size_t i, k;

	json_array_foreach (json_object_get(pull, "secrets"), i, secret) {
		text_printf(&t, "%s%s for", i ? "; " : "", pull_text(secret, "name"));
		json_array_foreach (json_object_get(secret, "hosts"), k, host) {
			text_printf(&t, "%s %s", k ? "," : "", json_string_value(host) ? json_string_value(host) : "?");
		}
		if (json_is_false(json_object_get(secret, "present")))
			text_add_str(&t, " (missing)");
	}
	set_text(pull, "shown_secrets", &t);
	text_clear(&t);
}

static void show_summary(json_t *pull, struct err *e)
{
	const json_t *live = json_object_get(pull, "live_run");
	struct text t = {0};

	add_vars(pull);
	add_secrets(pull);
	if (json_is_object(live))
		text_printf(&t, "%lld (%s)", (long long)pull_number(live, "run"), pull_text(live, "state"));
	set_text(pull, "shown_live", &t);
	t.len = 0;
	text_add_str(&t, pull_text(pull, "problem.detail"));
	set_text(pull, "shown_problem", &t);
	text_clear(&t);
	rows_object(FORMAT_TABLE, pull, &layout_pull, e);
}

int pull_print_list(const json_t *list, enum format format, const struct layout *layout, struct err *e)
{
	struct rows *rows = rows_open(format, layout, false);
	json_t *row;
	size_t i;
	int rc = 0;

	json_array_foreach (list, i, row) {
		if (format == FORMAT_TABLE) {
			add_vars(row);
			set_us(row, "shown_us", json_object_get(row, "seconds"));
			set_since(row, "shown_since", json_object_get(row, "since"));
		}
		if (rc == 0)
			rc = rows_put(rows, row, e);
	}
	rows_close(rows, rc == 0);
	return rc;
}

static int show_tables(json_t *pull, const json_t *runs, struct err *e)
{
	const json_t *states = json_object_get(pull, "states");

	show_summary(pull, e);
	if (json_array_size(states)) {
		printf("\nBetween runs:\n");
		pull_print_list(states, FORMAT_TABLE, &layout_states, e);
	}
	if (json_array_size(runs) == 0)
		return 0;
	printf("\nRuns:\n");
	return pull_print_list(runs, FORMAT_TABLE, &layout_runs, e);
}

static int show_pull(struct ctl *ctl, const char *name, struct err *e)
{
	const char *limit = ctl->args.limit ? ctl->args.limit : RUNS_DEFAULT;
	json_t *pull = pull_get(ctl, name, e), *answer, *runs;
	int rc = -1;

	answer = pull ? client_get_json(ctl->client, e, "/v1/pulls/%s/runs?limit=%s", name, limit) : NULL;
	runs = json_object_get(answer, "runs");
	if (answer && ctl->args.format == FORMAT_TABLE) {
		rc = show_tables(pull, runs, e);
	} else if (answer && ctl->args.format == FORMAT_JSON) {
		json_object_set(pull, "runs", runs);
		rc = rows_object(FORMAT_JSON, pull, &layout_pull, e);
	} else if (answer) {
		rc = pull_print_list(runs, ctl->args.format, &layout_runs, e);
	}
	json_decref(answer);
	json_decref(pull);
	return rc;
}

int verb_pull_show(struct ctl *ctl)
{
	struct pull_target t;
	struct err e;

	if (pull_parse(ctl, ctl->args.operands[0], &t, &e) < 0)
		return ctl_report(&e);
	if ((t.run ? show_run(ctl, t.run, &e) : show_pull(ctl, t.name, &e)) < 0)
		return ctl_report(&e);
	return STATUS_FINE;
}
