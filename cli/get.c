/* get: the body of one job, or with -o those of a batch, each in a file of its own. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/bodies.h"
#include "cli/client.h"
#include "cli/verbs.h"
#include "lib/jobid.h"

#define PAGE_JOBS 500

/* ---- one ---- */

/* An answer that is a whole one has a body, whatever its status says. Anything else that failed has none, or a part of
 * one, which must not look like the whole. */
static int check_whole(const json_t *job, const char *name, struct err *e)
{
	const char *state = json_string_value(json_object_get(job, "state"));
	const char *reason = json_string_value(json_object_get(job, "reason"));
	const char *error = json_string_value(json_object_get(job, "error"));

	if (!state || strcmp(state, "failed") != 0 || !reason || strcmp(reason, "http_status") == 0 ||
	    strcmp(reason, "soft_error") == 0)
		return 0;
	return err_set(e, ERR_CONFLICT, "fanoutctl show tells more", "job %s failed and has no body: %s", name,
		       error ? error : reason);
}

static int get_job(struct ctl *ctl, struct bodies *b, uint64_t id, struct err *e)
{
	char name[JOBID_TEXT_SIZE];
	json_t *job;
	int rc;

	if (ctl->args.states)
		return err_set(e, ERR_USAGE, NULL, " get: --state is for a batch");
	jobid_format(name, id);
	job = client_get_json(ctl->client, e, "/v1/jobs/%s", name);
	if (!job)
		return -1;
	rc = check_whole(job, name, e);
	if (rc == 0)
		rc = b->template ? bodies_write(b, job, e) : bodies_print(b, name, e);
	json_decref(job);
	return rc;
}

/* ---- a batch ---- */

struct page {
	json_t *rows;
	struct text line;
};

static int on_lines(void *arg, const char *data, size_t len, struct err *e)
{
	struct page *p = arg;

	(void)e;
	text_add(&p->line, data, len);
	return 0;
}

/* The next results behind `after`, as an array (a new reference). */
static json_t *read_page(struct ctl *ctl, uint32_t batch, const char *states, json_int_t after, struct err *e)
{
	struct page p = {.rows = json_array()};
	struct text path = {0};
	struct call call = {.on_data = on_lines, .arg = &p};
	char *line, *rest;

	text_printf(&path, "/v1/batches/%" PRIu32 "/results?state=%s&after=%lld&limit=%d", batch, states,
		    (long long)after, PAGE_JOBS);
	call.path = path.data;
	if (client_call(ctl->client, &call, e) < 0) {
		json_decref(p.rows);
		p.rows = NULL;
	}
	for (rest = p.rows ? p.line.data : NULL; (line = strsep(&rest, "\n"));)
		if (*line)
			json_array_append_new(p.rows, json_loads(line, JSON_ALLOW_NUL, NULL));
	text_clear(&path);
	text_clear(&p.line);
	return p.rows;
}

static int write_all(struct ctl *ctl, struct bodies *b, uint32_t batch, struct err *e)
{
	const char *states = ctl->args.states ? ctl->args.states : "done";
	json_int_t after = 0;
	json_t *rows, *row;
	size_t i, count;
	int rc = 0;

	do {
		rows = read_page(ctl, batch, states, after, e);
		if (!rows)
			return -1;
		count = json_array_size(rows);
		json_array_foreach (rows, i, row) {
			after = json_integer_value(json_object_get(row, "seq"));
			rc = bodies_write(b, row, e);
			if (rc < 0)
				break;
		}
		json_decref(rows);
	} while (rc == 0 && count == PAGE_JOBS);
	return rc;
}

/* One name is for one body: with more of them all but one would be told to be left out. */
static int check_name(struct ctl *ctl, uint32_t batch, struct err *e)
{
	const char *state = ctl->args.states ? ctl->args.states : "done";
	json_t *j, *counts;
	json_int_t bodies = 0;
	size_t len;

	if (strchr(ctl->args.output, '{'))
		return 0;
	j = client_get_json(ctl->client, e, "/v1/batches/%" PRIu32, batch);
	if (!j)
		return -1;
	counts = json_object_get(j, "counts");
	for (; *state; state += len + (state[len] == ',')) {
		len = strcspn(state, ",");
		bodies += json_integer_value(json_object_getn(counts, state, len));
	}
	json_decref(j);
	if (bodies < 2)
		return 0;
	return err_set(e, ERR_USAGE, "put {seq} into the name",
		       "-o: all %lld bodies would be written to the one file %.100s", (long long)bodies,
		       ctl->args.output);
}

static int get_batch(struct ctl *ctl, struct bodies *b, uint32_t batch, struct err *e)
{
	if (check_name(ctl, batch, e) < 0 || write_all(ctl, b, batch, e) < 0)
		return -1;
	ctl_note(ctl, "batch %" PRIu32 ": %" PRIu64 " bod%s written", batch, b->written, b->written == 1 ? "y" : "ies");
	return 0;
}

static int parse(struct ctl *ctl, uint32_t *batch, uint64_t *job, struct err *e)
{
	const struct args *a = &ctl->args;

	*batch = 0;
	if (ctl_refuse_format(ctl, "the bytes are given as they are", e) < 0)
		return -1;
	if (jobid_parse_batch(a->operands[0], batch) < 0)
		return ctl_parse_job(a->operands[0], job, e);
	if (a->output && strcmp(a->output, "-") != 0)
		return 0;
	return err_set(e, ERR_USAGE, "7.42 is the 42nd job of batch 7; -o '{seq}' writes all bodies to files",
		       " get: %s is a batch: name one of its jobs, or add -o TEMPLATE", a->operands[0]);
}

int verb_get(struct ctl *ctl)
{
	const struct args *a = &ctl->args;
	struct bodies b;
	uint32_t batch;
	uint64_t job = 0;
	struct err e;
	int rc;

	if (parse(ctl, &batch, &job, &e) < 0 || bodies_open(&b, a->output, a->create_dirs, &e) < 0 ||
	    ctl_connect(ctl, &e) < 0)
		return ctl_report(&e);
	b.client = ctl->client;
	b.patient = batch != 0;
	rc = batch ? get_batch(ctl, &b, batch, &e) : get_job(ctl, &b, job, &e);
	bodies_clear(&b);
	if (rc < 0)
		return ctl_report(&e);
	return b.missing ? STATUS_FAILED : STATUS_FINE;
}
