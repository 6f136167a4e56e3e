/* audit: from the record of what was sent, whether each rate was kept. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit.h"
#include "cli/client.h"
#include "cli/hosts_find.h"
#include "cli/limits.h"
#include "cli/lines.h"
#include "cli/verbs.h"
#include "cli/when.h"
#include "lib/clock.h"
#include "lib/jobid.h"

struct audit {
	struct ctl *ctl;
	struct rows *rows;
	json_t *broken;            /* the rows of rates that were not kept */
	json_t *late;              /* those of limits that were set when requests had been sent already */
	uint64_t attempts, unsent; /* of all hosts */
	const char *host;
	json_t *rules;  /* of that host */
	json_t *batch;  /* what it says of itself (cli/hosts_find.h); NULL: a host is audited */
	const char *of; /* "run", "batch" */
	uint32_t number;
	const char *names[RECORD_RULES_MAX];
	int64_t since_us[RECORD_RULES_MAX];
	size_t name_count;
	struct record record;
	struct windows times;
};

/* ---- the record ---- */

static int on_line(void *arg, const char *line, size_t len, struct err *e)
{
	return record_add(arg, line, len, e);
}

static void add_time(struct text *path, const char *name, const char *given, int64_t now_us)
{
	char time[CLOCK_RFC3339_SIZE];
	int64_t us;

	if (given && when_parse_given(given, now_us, &us, NULL) == 0)
		text_printf(path, "&%s=%s", name, clock_format_rfc3339(time, us));
}

/* A batch's own time, unless another was asked for. */
static const char *since_of(const struct audit *a)
{
	const char *since = a->ctl->args.since;

	return since || !a->batch ? since : json_string_value(json_object_get(a->batch, "started_at"));
}

static const char *until_of(const struct audit *a)
{
	const char *until = a->ctl->args.until;

	return until || !a->batch ? until : json_string_value(json_object_get(a->batch, "ended_at"));
}

static int read_record(struct audit *a, struct err *e)
{
	struct lines lines = {.on_line = on_line, .arg = &a->record};
	struct call call = {.on_data = lines_feed, .arg = &lines};
	struct text path = {0};
	int rc;

	text_add_str(&path, "/v1/audit?host=");
	hosts_add_encoded(&path, a->host);
	add_time(&path, "since", since_of(a), clock_wall_us());
	add_time(&path, "until", until_of(a), clock_wall_us());
	text_add_str(&path, "&unsent=1");
	call.path = path.data;
	rc = client_call(a->ctl->client, &call, e);
	if (rc == 0)
		rc = lines_end(&lines, e);
	lines_clear(&lines);
	text_clear(&path);
	record_sort(&a->record, clock_boot_us());
	return rc;
}

/* ---- one rate ---- */

/* Boot by boot: times of different boots cannot be compared, and no window is laid across one. */
static void measure(struct audit *a, struct audited *rate)
{
	const struct record *r = &a->record;
	struct windows *w = &a->times;

	for (size_t from = 0, to; from < r->count; from = to) {
		struct fullest found[MEASURES];
		int64_t allowed;

		to = record_boot_end(r, from);
		record_select(r, from, to, rate->rule, w);
		windows_fullest(w->sent, w->count, &rate->rate, &found[MEASURE_SENT]);
		windows_fullest(w->ends, w->count, &rate->rate, &found[MEASURE_COUNTED]);
		windows_fullest_at_worst(w, &rate->rate, &found[MEASURE_WORST]);
		for (int m = 0; m < MEASURES; m++) {
			if (windows_join(&rate->fullest[m].window, &found[m]))
				continue;
			rate->fullest[m].from = from;
			rate->fullest[m].to = to;
		}
		rate->used += (int64_t)w->count;
		allowed = windows_allowed(w, &rate->rate);
		if (__builtin_add_overflow(rate->allowed, allowed, &rate->allowed))
			rate->allowed = INT64_MAX;
	}
}

static int put(struct audit *a, const struct audited *rate, struct err *e)
{
	json_t *row = audit_row(&a->record, rate);
	const char *verdict = json_string_value(json_object_get(row, "verdict"));
	int rc;

	if (a->ctl->args.format == FORMAT_TABLE)
		audit_add_share(row);
	rc = rows_put(a->rows, row, e);
	if (json_integer_value(json_object_get(row, "before")))
		json_array_append(a->late, row);
	if (verdict && strcmp(verdict, "broken") == 0)
		json_array_append(a->broken, row);
	json_decref(row);
	return rc;
}

static int audit_rate(struct audit *a, struct audited rate, struct err *e)
{
	rate.host = a->host;
	rate.of = !a->batch ? NULL : strcmp(a->of, "run") == 0 ? "of_run" : "of_batch";
	rate.number = a->number;
	if (rate.rate_text) {
		if (units_parse_rate(rate.rate_text, &rate.rate, e) < 0)
			return -1;
		measure(a, &rate);
	}
	return put(a, &rate, e);
}

/* What a server told holds from then on only, and a shadowed rule for nobody. */
static bool is_measured(const json_t *rule)
{
	const char *source = json_string_value(json_object_get(rule, "source"));

	return json_is_string(json_object_get(rule, "name")) && !json_is_true(json_object_get(rule, "shadowed")) &&
	       !(source && strcmp(source, "learned") == 0);
}

/* Of a batch, only what its own requests count against. */
static bool concerns_batch(const struct audit *a, uint32_t rule)
{
	for (size_t i = 0; a->batch && i < a->record.count; i++)
		if (jobid_batch(a->record.attempts[i].job) == a->number &&
		    record_counts(&a->record, &a->record.attempts[i], rule))
			return true;
	return !a->batch;
}

static int audit_rates(struct audit *a, struct err *e)
{
	const struct opt_list *given = &a->ctl->args.rates;
	const json_t *rule, *rate;
	unsigned measured = 0;
	size_t i, k;
	uint32_t index = 0;

	json_array_foreach (a->rules, i, rule) {
		if (!is_measured(rule) || index == a->name_count)
			continue;
		json_array_foreach (json_object_get(rule, "rates"), k, rate) {
			if (!concerns_batch(a, index))
				break;
			struct audited one = {.rate_text = json_string_value(rate),
					      .limit = a->names[index],
					      .source = json_string_value(json_object_get(rule, "source")),
					      .since = json_string_value(json_object_get(rule, "since")),
					      .rule = index};

			measured++;
			if (audit_rate(a, one, e) < 0)
				return -1;
		}
		index++;
	}
	for (i = 0; i < given->count; i++, measured++)
		if (audit_rate(a, (struct audited){.rate_text = given->values[i].text, .rule = RECORD_ALL}, e) < 0)
			return -1;
	if (measured)
		return 0;
	ctl_note(a->ctl, "no limit has a rate for %s; --rate R measures one", a->host);
	return audit_rate(a, (struct audited){.rule = RECORD_ALL}, e);
}

/* ---- hosts ---- */

static void find_names(struct audit *a)
{
	const json_t *rule;
	size_t i;

	a->name_count = 0;
	json_array_foreach (a->rules, i, rule) {
		if (!is_measured(rule) || a->name_count == RECORD_RULES_MAX)
			continue;
		a->since_us[a->name_count] = when_parse_us(json_string_value(json_object_get(rule, "since")));
		a->names[a->name_count++] = json_string_value(json_object_get(rule, "name"));
	}
}

/* The limit of a run's recipe, where nothing counts against it any more and the daemon lists it no longer; a batch's
 * own, which is never listed. */
static void add_own(struct audit *a)
{
	const json_t *own = json_object_get(a->batch, "limit"), *rule;
	const char *name = json_string_value(json_object_get(own, "name"));
	size_t i;

	json_array_foreach (a->rules, i, rule) {
		const char *known = json_string_value(json_object_get(rule, "name"));

		if (name && known && strcmp(name, known) == 0)
			return;
	}
	if (name)
		json_array_append_new(a->rules,
				      json_pack("{s:s, s:s, s:[O], s:O?}", "name", name, "source",
						strcmp(a->of, "run") == 0 ? "pull" : "batch", "rates",
						json_object_get(own, "rate"), "since", json_object_get(own, "since")));
}

static void make_times(struct windows *w, size_t room)
{
	int64_t *times = calloc(3 * room, sizeof *times);

	if (!times)
		BUG("out of memory");
	*w = (struct windows){.sent = times, .counted = times + room, .ends = times + 2 * room};
}

static int audit_host(struct audit *a, const char *key, struct err *e)
{
	json_t *limits = limits_of_host(a->ctl->client, key, e);
	int rc;

	if (!limits)
		return -1;
	a->host = key;
	a->rules = json_object_get(limits, "limits");
	add_own(a);
	find_names(a);
	record_init(&a->record, a->names, a->since_us, a->name_count);
	rc = read_record(a, e);
	if (rc == 0 && a->record.count) {
		make_times(&a->times, a->record.count);
		rc = audit_rates(a, e);
		free(a->times.sent);
	}
	a->attempts += a->record.count;
	a->unsent += a->record.unsent;
	record_clear(&a->record);
	json_decref(limits);
	return rc;
}

/* They are for no server to count; but a rate was used up by them, and `limits` says so. */
static const char *add_unsent(const struct audit *a, struct text *t)
{
	text_printf(t, "%llu attempt%s sent no request, as the connection failed; rates count %s all the same",
		    (unsigned long long)a->unsent, a->unsent == 1 ? "" : "s", a->unsent == 1 ? "it" : "them");
	return t->data;
}

static void tell_unsent(const struct audit *a)
{
	struct text t = {0};

	if (a->unsent)
		ctl_note(a->ctl, "besides, %s", add_unsent(a, &t));
	text_clear(&t);
}

static int nothing(const struct audit *a, struct err *e)
{
	const struct args *args = &a->ctl->args;
	const char *when = args->since || args->until ? " in that time" : "";
	struct text t = {0};
	const char *hint = a->unsent ? add_unsent(a, &t) : NULL;

	if (a->batch)
		err_set(e, ERR_NOT_FOUND, hint, "no request of %s %u is recorded%s", a->of, a->number, when);
	else
		err_set(e, ERR_NOT_FOUND, hint, "nothing that was sent to %.200s%s is recorded", args->operands[0],
			when);
	text_clear(&t);
	return -1;
}

static int audit_batch(struct audit *a, struct err *e)
{
	const json_t *host;
	size_t i;
	int rc = 0;

	json_array_foreach (json_object_get(a->batch, "hosts"), i, host) {
		if (rc == 0 && json_is_string(host))
			rc = audit_host(a, json_string_value(host), e);
	}
	return rc;
}

static int audit_hosts(struct audit *a, struct err *e)
{
	struct hosts *h = calloc(1, sizeof *h);
	int rc;

	if (!h)
		BUG("out of memory");
	rc = hosts_find_recorded(a->ctl->client, a->ctl->args.operands[0], h, e);
	for (size_t i = 0; rc == 0 && i < h->count; i++)
		rc = audit_host(a, h->keys[i], e);
	free(h);
	return rc;
}

/* What went before a limit was set is not held against it. */
static void tell_late(const struct audit *a)
{
	const json_t *row;
	size_t i;

	json_array_foreach (a->late, i, row) {
		long long before = json_integer_value(json_object_get(row, "before"));
		char since[WHEN_TEXT_SIZE];

		ctl_note(a->ctl, "%s, %s is judged since it was set, %s; %lld request%s went before",
			 json_string_value(json_object_get(row, "limit")),
			 json_string_value(json_object_get(row, "rate")),
			 when_format(since, when_parse_us(json_string_value(json_object_get(row, "since")))), before,
			 before == 1 ? "" : "s");
	}
}

static void tell_breaks(const struct audit *a)
{
	bool unknown = false, given = false;
	const json_t *row;
	size_t i;

	json_array_foreach (a->broken, i, row) {
		audit_tell_break(row);
		given = given || !json_is_string(json_object_get(row, "limit"));
		unknown = unknown || (json_is_string(json_object_get(row, "limit")) &&
				      !json_is_string(json_object_get(row, "since")));
	}
	if (unknown)
		ctl_note(a->ctl,
			 "since when a limit of fanout.conf or a recipe holds is not recorded, and what went before it"
			 " counts here too: --since TIME leaves that out");
	if (given)
		ctl_note(a->ctl,
			 "all requests to the host count against a --rate, those of other batches too: --since and"
			 " --until choose a time");
}

int verb_audit(struct ctl *ctl)
{
	struct audit *a = calloc(1, sizeof *a);
	int status = STATUS_FINE, rc;
	struct err e;

	if (!a)
		BUG("out of memory");
	a->ctl = ctl;
	if (hosts_find_batch(ctl, ctl->args.operands[0], &a->batch, &e) < 0) {
		free(a);
		return ctl_report(&e);
	}
	a->of = json_object_get(a->batch, "run") ? "run" : "batch";
	a->number = (uint32_t)json_integer_value(json_object_get(a->batch, a->of));
	a->broken = json_array();
	a->late = json_array();
	a->rows = rows_open(ctl->args.format, &layout_audit, false);
	rc = a->batch ? audit_batch(a, &e) : audit_hosts(a, &e);
	rows_close(a->rows, rc == 0);
	if (rc == 0 && a->attempts == 0)
		rc = nothing(a, &e);
	if (rc == 0 && ctl->args.format == FORMAT_TABLE) {
		tell_unsent(a);
		tell_late(a);
		tell_breaks(a);
	}
	if (rc == 0 && json_array_size(a->broken))
		status = STATUS_FAILED;
	json_decref(a->broken);
	json_decref(a->late);
	json_decref(a->batch);
	free(a);
	return rc < 0 ? ctl_report(&e) : status;
}
