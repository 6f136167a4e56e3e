/* results and show: what the jobs brought. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/fields.h"
#include "cli/layouts.h"
#include "cli/lines.h"
#include "cli/verbs.h"
#include "cli/when.h"
#include "lib/jobid.h"

/* ---- results ---- */

static int put_line(void *arg, const char *line, size_t len, struct err *e)
{
	return rows_put_text(arg, line, len, e);
}

static void results_path(const struct args *a, uint32_t batch, struct text *path)
{
	const char *separator = "?";

	text_printf(path, "/v1/batches/%" PRIu32 "/results", batch);
	const struct {
		const char *name, *value;
	} parameters[] = {
	    {"state", a->states}, {"after", a->after}, {"limit", a->limit}, {"body", a->body ? "1" : NULL}};

	for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++) {
		if (!parameters[i].value)
			continue;
		text_printf(path, "%s%s=%s", separator, parameters[i].name, parameters[i].value);
		separator = "&";
	}
}

int verb_results(struct ctl *ctl)
{
	const struct args *a = &ctl->args;
	struct text path = {0};
	struct lines lines = {.on_line = put_line};
	const struct layout *layout;
	struct call call = {.on_data = lines_feed, .arg = &lines};
	uint32_t batch;
	struct err e;
	int rc;

	if (a->body && a->format == FORMAT_TABLE) {
		err_set(&e, ERR_USAGE, "add -f ndjson, json or csv", " results: bodies do not fit into a table");
		return ctl_report(&e);
	}
	layout = fields_layout(ctl->verb->name, a->fields, a->body ? &layout_results_body : &layout_results, &e);
	if (!layout || ctl_parse_batch(a->operands[0], &batch, &e) < 0 || ctl_connect(ctl, &e) < 0)
		return ctl_report(&e);
	results_path(a, batch, &path);
	call.path = path.data;
	lines.arg = rows_open(a->format, layout, false);
	if (a->fields)
		rows_only_columns(lines.arg);
	rc = client_call(ctl->client, &call, &e);
	if (rc == 0)
		rc = lines_end(&lines, &e);
	rows_close(lines.arg, rc == 0);
	lines_clear(&lines);
	text_clear(&path);
	return rc < 0 ? ctl_report(&e) : STATUS_FINE;
}

/* ---- show ---- */

#define BAR_COLUMNS 50

static const struct {
	const char *name, *member;
} phases[] = {{"dns", "dns_us"},   {"connect", "connect_us"}, {"tls", "tls_us"},
	      {"send", "send_us"}, {"wait", "wait_us"},       {"receive", "receive_us"}};

/* Each phase on its line, where it lies in the whole. */
static void draw_phases(const json_t *timings)
{
	int64_t total = json_integer_value(json_object_get(timings, "total_us")), before = 0;

	if (total <= 0)
		return;
	printf("\n");
	for (size_t i = 0; i < sizeof phases / sizeof phases[0]; i++) {
		int64_t us = json_integer_value(json_object_get(timings, phases[i].member));
		int from = (int)((double)before * BAR_COLUMNS / (double)total);
		int to = (int)((double)(before + us) * BAR_COLUMNS / (double)total);

		before += us;
		if (us <= 0)
			continue;
		printf("%-8s %10.3f ms  %*s", phases[i].name, (double)us / 1000, from, "");
		for (int c = from; c < (to > from ? to : from + 1); c++)
			putchar(to > from ? '#' : '|');
		putchar('\n');
	}
	printf("%-8s %10.3f ms\n", "total", (double)total / 1000);
}

static void show_headers(const json_t *attempt)
{
	const char *headers = json_string_value(json_object_get(attempt, "headers"));
	struct text line = {0};

	if (!headers || !*headers)
		return;
	printf("\n");
	while (*headers) {
		size_t n = strcspn(headers, "\n");
		char *one = strndup(headers, n);

		if (!one)
			BUG("out of memory");
		line.len = 0;
		text_add_shown(&line, one, 0);
		printf("%s\n", n ? line.data : "");
		free(one);
		headers += n + (headers[n] == '\n');
	}
	text_clear(&line);
}

/* From its submission to its end, all attempts and waits; and no zeroes of an attempt that never was. */
static void add_elapsed(json_t *job)
{
	int64_t from = when_parse_us(json_string_value(json_object_get(job, "submitted_at")));
	int64_t to = when_parse_us(json_string_value(json_object_get(job, "ended_at")));

	if (from >= 0 && to >= from)
		json_object_set_new(job, "elapsed_us", json_integer(to - from));
	if (json_integer_value(json_object_get(job, "attempts")) > 0)
		return;
	json_object_del(job, "attempts");
	json_object_del(job, "size");
	json_object_del(job, "timings");
}

/* Those of the job are of its last attempt: beside what it took in all, they would not add up. */
static void add_up_timings(json_t *job, const json_t *attempts)
{
	static const char *const names[] = {"queued_us", "limited_us", "total_us"};
	json_t *timings = json_object_get(job, "timings");
	const json_t *attempt;
	json_int_t sum;
	size_t i;

	for (size_t n = 0; timings && json_array_size(attempts) > 1 && n < sizeof names / sizeof *names; n++) {
		sum = 0;
		json_array_foreach (attempts, i, attempt) {
			sum += json_integer_value(json_object_get(json_object_get(attempt, "timings"), names[n]));
		}
		json_object_set_new(timings, names[n], json_integer(sum));
	}
}

/* The job's own is said above: each attempt's only where one of them went elsewhere. */
static void drop_urls(const json_t *job, const json_t *attempts)
{
	const json_t *url = json_object_get(job, "url");
	json_t *attempt;
	size_t i;

	json_array_foreach (attempts, i, attempt) {
		if (!json_equal(json_object_get(attempt, "url"), url))
			return;
	}
	json_array_foreach (attempts, i, attempt) {
		json_object_del(attempt, "url");
	}
}

static int show_table(json_t *job, struct err *e)
{
	const json_t *attempts = json_object_get(job, "attempt_list"), *attempt;
	struct rows *rows;
	size_t i;
	int rc;

	add_elapsed(job);
	add_up_timings(job, attempts);
	rc = rows_object(FORMAT_TABLE, job, &layout_job, e);

	if (rc < 0 || json_array_size(attempts) == 0)
		return rc;
	printf("\n");
	drop_urls(job, attempts);
	rows = rows_open(FORMAT_TABLE, &layout_attempts, false);
	json_array_foreach (attempts, i, attempt) {
		rows_put(rows, attempt, NULL);
	}
	rows_close(rows, true);
	attempt = json_array_get(attempts, json_array_size(attempts) - 1);
	draw_phases(json_object_get(attempt, "timings"));
	show_headers(attempt);
	return 0;
}

int verb_show(struct ctl *ctl)
{
	char name[JOBID_TEXT_SIZE];
	uint64_t job;
	struct err e;
	json_t *j;
	int rc;

	if (ctl_parse_job(ctl->args.operands[0], &job, &e) < 0 || ctl_connect(ctl, &e) < 0)
		return ctl_report(&e);
	j = client_get_json(ctl->client, &e, "/v1/jobs/%s", jobid_format(name, job));
	if (!j)
		return ctl_report(&e);
	rc = ctl->args.format == FORMAT_TABLE ? show_table(j, &e) : rows_object(ctl->args.format, j, &layout_job, &e);
	json_decref(j);
	return rc < 0 ? ctl_report(&e) : STATUS_FINE;
}
