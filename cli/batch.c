/* status: the caller's batches, or one of them. */
#include <inttypes.h>
#include <jansson.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/explain.h"
#include "cli/layouts.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "cli/when.h"
#include "lib/clock.h"
#include "lib/jobid.h"
#include "lib/units.h"

#define LIST_DEFAULT 20
#define LIST_PAGE    1000 /* the most that the daemon gives at once */

#define RATE_LEAST_US INT64_C(5000000) /* that a rate is told of, while a batch goes on */

/* ---- status ---- */

/* "alice", or "1000": where a table has batches that are not the caller's, it tells whose they are. */
static void set_owner(json_t *batch)
{
	const json_t *uid = json_object_get(batch, "uid");
	const struct passwd *pw = json_is_integer(uid) ? getpwuid((uid_t)json_integer_value(uid)) : NULL;
	json_t *name = pw ? json_string(pw->pw_name) : NULL;

	if (json_is_integer(uid))
		json_object_set_new(batch, "owner", name ? name : json_copy((json_t *)(uintptr_t)uid));
}

static bool is_anothers(const json_t *batch)
{
	const json_t *uid = json_object_get(batch, "uid");

	return json_is_integer(uid) && json_integer_value(uid) != (json_int_t)getuid();
}

static void set_owners(const json_t *batches)
{
	bool others = false;
	json_t *row;
	size_t i;

	json_array_foreach (batches, i, row) {
		others = others || is_anothers(row);
	}
	json_array_foreach (batches, i, row) {
		if (others)
			set_owner(row);
	}
}

/* *left: how many are shown at most; afterwards, how many there might have been besides. */
static int list(struct ctl *ctl, struct rows *rows, int64_t *left, struct err *e)
{
	json_int_t before = 0;
	json_t *page, *row;
	size_t i;
	int rc = 0;

	while (*left > 0) {
		long long limit = *left < LIST_PAGE ? *left : LIST_PAGE;

		page = before ? client_get_json(ctl->client, e, "/v1/batches?before=%lld&limit=%lld", (long long)before,
						limit)
			      : client_get_json(ctl->client, e, "/v1/batches?limit=%lld", limit);
		if (!page)
			return -1;
		if (ctl->args.format == FORMAT_TABLE)
			set_owners(json_object_get(page, "batches"));
		json_array_foreach (json_object_get(page, "batches"), i, row) {
			if (rc == 0)
				rc = rows_put(rows, row, e);
			--*left;
		}
		before = json_integer_value(json_object_get(page, "next"));
		json_decref(page);
		if (rc < 0 || before == 0)
			break;
	}
	return rc;
}

static int status_list(struct ctl *ctl)
{
	int64_t limit = ctl->args.all ? INT64_MAX : ctl->args.limit ? strtoll(ctl->args.limit, NULL, 10) : LIST_DEFAULT;
	int64_t left = limit;
	struct rows *rows = rows_open(ctl->args.format, &layout_batches, false);
	struct err e;
	int rc = list(ctl, rows, &left, &e);

	rows_close(rows, rc == 0);
	if (rc == 0 && left == limit && ctl->args.format == FORMAT_TABLE)
		ctl_note(ctl, "no batches: fanoutctl submit URL... makes one");
	return rc < 0 ? ctl_report(&e) : STATUS_FINE;
}

static void set_text(json_t *batch, const char *member, const struct text *t)
{
	json_object_set_new(batch, member, json_stringn(t->data, t->len));
}

/* What a table says beyond the API: how much has ended, how fast, and what is left. */
static void add_sums(json_t *batch)
{
	int64_t active = progress_active_us(batch);
	int64_t eta = when_parse_us(json_string_value(json_object_get(batch, "eta")));
	int64_t now = clock_wall_us();
	bool ended = json_is_string(json_object_get(batch, "ended_at"));
	struct progress p = {0};
	struct text t = {0};
	char amount[UNITS_TEXT_SIZE];

	progress_update(&p, batch, 0);
	if (strcmp(p.state, "cancelling") == 0 || strcmp(p.state, "failing") == 0) {
		text_printf(&t, "%s, %" PRId64 " to go", p.state, progress_total(&p) - progress_ended(&p));
		set_text(batch, "state", &t);
		t.len = 0;
	}
	text_printf(&t, "%" PRId64, progress_ended(&p));
	if (ended || progress_whole(&p) >= 0)
		text_printf(&t, " of %" PRId64, ended ? progress_total(&p) : progress_whole(&p));
	set_text(batch, "ended", &t);
	/* A limit lets a whole burst go at once: the average of the first seconds is not its rate. */
	if (active > 0 && (ended || active >= RATE_LEAST_US)) {
		t.len = 0;
		text_printf(&t, "%.1f jobs/s", (double)progress_worked(&p) * 1e6 / (double)active);
		set_text(batch, "rate", &t);
	}
	if (active > 0) {
		t.len = 0;
		text_add_str(&t, units_format_duration(amount, active));
		set_text(batch, "time", &t);
	}
	if (eta > now) {
		t.len = 0;
		text_add_str(&t, units_format_duration(amount, eta - now));
		set_text(batch, "left", &t);
	}
	text_clear(&t);
}

/* What a run waits for, be it a limit or another run. */
static void add_run_waits(struct ctl *ctl, json_t *batch, uint32_t number)
{
	json_t *answer = client_get_json(ctl->client, NULL, "/v1/batches/%" PRIu32 "/explain", number);
	const json_t *limited = explain_limited(answer);
	const json_t *wait = limited ? limited : json_array_get(json_object_get(answer, "waits"), 0);
	struct text t = {0};

	if (wait) {
		explain_wait(wait, clock_wall_us(), &t);
		set_text(batch, limited ? "limited" : "waits", &t);
	}
	text_clear(&t);
	json_decref(answer);
}

/* Which limit holds up what is queued; a daemon that cannot say leaves it out. */
static void add_limited(struct ctl *ctl, json_t *batch, uint32_t number)
{
	const char *state = json_string_value(json_object_get(batch, "state"));
	struct text t = {0};
	json_t *answer;
	const json_t *wait, *limited;

	if (!json_is_string(json_object_get(batch, "stalled")) &&
	    (!state || (strcmp(state, "running") != 0 && strcmp(state, "open") != 0) ||
	     json_integer_value(rows_member(batch, "counts.queued")) == 0))
		return;
	answer = client_get_json(ctl->client, NULL, "/v1/batches/%" PRIu32 "/explain", number);
	limited = explain_limited(answer);
	wait = limited ? limited : explain_failing(answer);
	if (wait) {
		explain_wait(wait, clock_wall_us(), &t);
		set_text(batch, limited ? "limited" : "waits", &t);
	}
	text_clear(&t);
	json_decref(answer);
}

int verb_status(struct ctl *ctl)
{
	uint32_t batch = 0;
	struct err e;
	json_t *j;
	int rc;

	if ((ctl->args.operand_count && ctl_parse_batch(ctl->args.operands[0], &batch, &e) < 0) ||
	    ctl_connect(ctl, &e) < 0)
		return ctl_report(&e);
	if (!ctl->args.operand_count)
		return status_list(ctl);
	j = client_get_json(ctl->client, &e, "/v1/batches/%" PRIu32, batch);
	if (!j)
		return ctl_report(&e);
	if (ctl->args.format == FORMAT_TABLE) {
		add_sums(j);
		if (is_anothers(j))
			set_owner(j);
		if (json_is_true(json_object_get(j, "run")))
			add_run_waits(ctl, j, batch);
		else
			add_limited(ctl, j, batch);
	}
	rc = rows_object(ctl->args.format, j, &layout_batch, &e);
	json_decref(j);
	return rc < 0 ? ctl_report(&e) : STATUS_FINE;
}
