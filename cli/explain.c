/* explain: why a job or a batch waits, and until when. The daemon gives the reasons; here they become sentences. */
#include "cli/explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/failure.h"
#include "cli/pull.h"
#include "cli/receipt.h"
#include "cli/rows.h"
#include "cli/verbs.h"
#include "cli/when.h"
#include "lib/clock.h"
#include "lib/jobid.h"

#define EXPLAIN_US INT64_C(1000000)

static const struct column wait_columns[] = {
    {"why", "why", CELL_TEXT, false, 0},   {"limit", "limit", CELL_TEXT, false, 0},
    {"host", "host", CELL_TEXT, false, 0}, {"until", "until", CELL_TEXT, false, 0},
    {"text", "text", CELL_TEXT, false, 0}, {0},
};
static const struct layout layout_waits = {wait_columns, wait_columns};

/* Where the daemon says no more than the name. `limited`: it waits for a limit, and not for its turn. */
static const struct why {
	const char *name;
	bool limited;
	const char *text;
} whys[] = {
    {"rate", true, "as many requests as the rate allows were sent"},
    {"learned", true, "as many requests as the server said it allows were sent"},
    {"pace", true, "requests are spread evenly"},
    {"pause", true, "the host refused, and is left alone"},
    {"probe", true, "a single request finds out whether the host answers again"},
    {"concurrency", true, "as many requests as the limit allows are in flight"},
    {"batch_concurrency", false, "as many requests of this batch as it allows are in flight"},
    {"host_concurrency", false, "as many requests as are allowed for one host are in flight"},
    {"credit", false, "the workers have all the requests they can take"},
    {"chain", false, "the job before it in its chain has not ended"},
    {"due", false, "it is tried again later"},
    {"held", false, "the batch is held until it is closed"},
    {"paused", false, "the batch is paused"},
    {"storage", false, "the disk is full, or fails"},
    {"memory", false, "the plans of other runs take all the memory there is for them"},
    {"reading", false, "what is known of its pages is being read"},
    {"run", false, "it begins when another run of the same pull has ended"},
    {"answer", false, "the page that is under way has to say where the next one is"},
    {"total", false, "no total is known: some pages are asked for at a time"},
    {"turn", false, "other jobs are before it"},
};

static const struct why *find_why(const json_t *wait)
{
	const char *name = json_string_value(json_object_get(wait, "why"));

	for (size_t i = 0; name && i < sizeof whys / sizeof whys[0]; i++)
		if (strcmp(whys[i].name, name) == 0)
			return &whys[i];
	return NULL;
}

/* " (limit cats, catfact.ninja:443)" */
static void add_place(struct text *out, const char *limit, const char *host)
{
	if (!limit && !host)
		return;
	text_add_str(out, limit ? " (limit " : " (");
	if (limit)
		text_add_shown(out, limit, 0);
	if (limit && host)
		text_add_str(out, ", ");
	if (host)
		text_add_shown(out, host, 0);
	text_add_char(out, ')');
}

/* Also as a worker writes it: "127.0.0.1 port 8042", of "127.0.0.1:8042". */
static bool says_host(const char *text, const char *host)
{
	const char *port = host ? strrchr(host, ':') : NULL;
	char apart[300];

	if (!text || !host || strstr(text, host))
		return text && host;
	if (!port)
		return false;
	snprintf(apart, sizeof apart, "%.*s port %s", (int)(port - host), host, port + 1);
	return strstr(text, apart) != NULL;
}

void explain_wait(const json_t *wait, int64_t now_us, struct text *out)
{
	const struct why *why = find_why(wait);
	const char *name = json_string_value(json_object_get(wait, "why"));
	const char *text = json_string_value(json_object_get(wait, "text"));
	const char *limit = json_string_value(json_object_get(wait, "limit"));
	const char *host = json_string_value(json_object_get(wait, "host"));
	int64_t until_us = when_parse_us(json_string_value(json_object_get(wait, "until")));
	char until[WHEN_TEXT_SIZE];

	text_add_shown(out, text ? text : why ? why->text : name ? name : "?", 0);
	/* What the daemon's own words have already is not said again. */
	add_place(out, limit && !(text && strstr(text, limit)) ? limit : NULL, says_host(text, host) ? NULL : host);
	if (until_us >= 0)
		text_printf(out, ": goes on %s", when_format_until(until, until_us, now_us));
}

/* Of the line of progress: what does not fit there is the rest of it. */
static void add_short(const json_t *wait, struct text *out)
{
	const struct why *why = find_why(wait);
	const char *text = json_string_value(json_object_get(wait, "text"));
	const char *error = json_string_value(json_object_get(wait, "error"));
	const char *limit = json_string_value(json_object_get(wait, "limit"));
	const char *host = json_string_value(json_object_get(wait, "host"));
	long long failed = json_integer_value(json_object_get(wait, "failed"));

	if (error && failed > 0) {
		text_printf(out, "%lld attempt%s failed: ", failed, failed == 1 ? "" : "s");
		text_add_shown(out, error, 0);
		return;
	}
	text_add_shown(out, text ? text : why ? why->text : "?", 0);
	if (!limit && !says_host(text, host))
		add_place(out, NULL, host);
}

const json_t *explain_limited(const json_t *answer)
{
	const json_t *wait;
	size_t i;

	json_array_foreach (json_object_get(answer, "waits"), i, wait) {
		const struct why *why = find_why(wait);

		if (why && strcmp(why->name, "due") == 0 && i == 0) /* what fails comes before what a limit says */
			return NULL;
		if (why && why->limited)
			return wait;
	}
	return NULL;
}

const json_t *explain_failing(const json_t *answer)
{
	const json_t *wait = json_array_get(json_object_get(answer, "waits"), 0);
	const struct why *why = wait ? find_why(wait) : NULL;

	return why && (strcmp(why->name, "due") == 0 || strcmp(why->name, "storage") == 0) ? wait : NULL;
}

void explain_progress(struct client *c, struct progress *p, int64_t now_us)
{
	const json_t *wait;
	json_t *answer;

	if (now_us - p->explained_us < EXPLAIN_US)
		return;
	p->explained_us = now_us;
	p->waits.len = 0;
	p->goes_on_us = 0;
	if (!p->counts[JOB_QUEUED] || p->stalled)
		return;
	answer = client_get_json(c, NULL, "/v1/batches/%" PRIu32 "/explain", p->batch);
	wait = explain_limited(answer);
	wait = wait ? wait : explain_failing(answer);
	if (wait &&
	    strcmp(find_why(wait)->name, "storage") != 0) { /* that is p->stalled, as soon as it is asked again */
		add_short(wait, &p->waits);
		p->goes_on_us = when_parse_us(json_string_value(json_object_get(wait, "until")));
	}
	json_decref(answer);
}

static bool has_ended(const char *state)
{
	return strcmp(state, "done") == 0 || strcmp(state, "failed") == 0 || strcmp(state, "cancelled") == 0;
}

static const char *format_soon(char *out, int64_t us, int64_t now_us)
{
	return us > now_us ? when_format_until(out, us, now_us) : "any moment";
}

/* Of a job that waits, first when it goes itself. */
static void tell_end(const char *whose, const json_t *answer, int64_t eta_us, int64_t now_us)
{
	const char *state = json_string_value(json_object_get(answer, "state"));
	bool begun = state && strcmp(state, "running") == 0; /* and its end cannot be stored */
	const json_t *starts = begun ? NULL : json_object_get(answer, "starts_at");
	int64_t starts_us = when_parse_us(json_string_value(starts));
	char at[WHEN_TEXT_SIZE], goes[WHEN_TEXT_SIZE];

	if (starts_us >= 0)
		printf("By estimate, it is sent %s", format_soon(goes, starts_us, now_us));
	else if (starts && json_array_size(json_object_get(answer, "waits")) > 0)
		printf("When it is sent itself is not known%s", eta_us >= 0 ? ": by estimate" : "");
	else if (eta_us >= 0)
		printf("By estimate");
	else
		return;
	if (eta_us >= 0)
		printf(", %s%s will have ended %s", starts_us >= 0 ? "and " : "", whose,
		       format_soon(at, eta_us, now_us));
	printf(".\n");
}

/* What is being cancelled, or failed, is changed without being fetched; of millions of jobs that takes its time. */
static void tell_left(const char *what, const json_t *left)
{
	printf("%s, with %" JSON_INTEGER_FORMAT " of its jobs to go",
	       strcmp(what, "job") == 0 ? "; its batch is being ended" : "", json_integer_value(left));
}

static void tell(const char *what, const char *name, const json_t *answer)
{
	const char *state = json_string_value(json_object_get(answer, "state"));
	const json_t *waits = json_object_get(answer, "waits"), *left = json_object_get(answer, "left"), *wait;
	int64_t eta_us = when_parse_us(json_string_value(json_object_get(answer, "eta")));
	int64_t now_us = clock_wall_us();
	struct text line = {0};
	size_t i;

	state = state ? state : "in an unknown state";
	printf("%s %s %s%s", what, name, strcmp(state, "failed") == 0 ? "" : "is ", state);
	if (json_is_integer(left) && !has_ended(state))
		tell_left(what, left);
	else if (json_array_size(waits) == 0 && !has_ended(state))
		printf(" and waits for nothing");
	printf(json_array_size(waits) == 0 ? ".\n" : ". It waits because\n");
	json_array_foreach (waits, i, wait) {
		line.len = 0;
		explain_wait(wait, now_us, &line);
		printf("  %s\n", line.data);
	}
	tell_end(strcmp(what, "job") == 0 ? "its batch" : "it", answer, eta_us, now_us);
	text_clear(&line);
}

/* What its receipt says, where it has not everything: the state of its pages says nothing of that. */
static void tell_run(struct ctl *ctl, uint32_t number)
{
	json_t *run = run_get(ctl, number, NULL);
	struct text out = {0};

	if (run && (receipt_status(run) != STATUS_FINE || receipt_is_partial(run))) {
		receipt_add(ctl, run, &out);
		printf("%s\n", out.data);
	}
	text_clear(&out);
	json_decref(run);
}

/* What the sentences say besides the daemon's answer. Members that are missing have nothing to say. */
static void add_facts(struct ctl *ctl, const char *operand, uint32_t batch, json_t *answer)
{
	const char *state = json_string_value(json_object_get(answer, "state"));
	json_t *j;

	if (json_is_true(json_object_get(answer, "run"))) {
		j = state && has_ended(state) ? run_get(ctl, batch, NULL) : NULL;
		if (j) {
			json_object_del(j, "recipe"); /* as of pull show */
			json_object_set_new(answer, "receipt", j);
		}
	} else if (state && strcmp(state, "failed") == 0) {
		j = batch ? failure_of_batch(ctl, batch) : failure_of_job(ctl, operand);
		if (j)
			json_object_set_new(answer, "failure", j);
	}
}

/* `batch` 0: it is a job. */
static void tell_all(struct ctl *ctl, const char *operand, uint32_t batch, const json_t *answer)
{
	const char *state = json_string_value(json_object_get(answer, "state"));
	bool run = json_is_true(json_object_get(answer, "run"));

	tell(!batch ? "job" : run ? "run" : "batch", operand, answer);
	if (run && state && has_ended(state))
		tell_run(ctl, batch);
	else if (state && strcmp(state, "failed") == 0 && batch)
		failure_explain_batch(ctl, batch);
	else if (state && strcmp(state, "failed") == 0)
		failure_explain_job(ctl, operand);
}

/* A row for each reason. */
static int show_csv(const json_t *answer, struct err *e)
{
	struct rows *rows = rows_open(FORMAT_CSV, &layout_waits, false);
	const json_t *wait;
	size_t i;
	int rc = 0;

	json_array_foreach (json_object_get(answer, "waits"), i, wait) {
		rc = rc < 0 ? rc : rows_put(rows, wait, e);
	}
	rows_close(rows, rc == 0);
	return rc;
}

int verb_explain(struct ctl *ctl)
{
	const char *operand = ctl->args.operands[0];
	bool is_job = strchr(operand, '.') != NULL;
	uint32_t batch = 0;
	uint64_t job;
	struct err e;
	json_t *j;
	int rc = 0;

	if ((is_job ? ctl_parse_job(operand, &job, &e) : ctl_parse_batch(operand, &batch, &e)) < 0 ||
	    ctl_connect(ctl, &e) < 0)
		return ctl_report(&e);
	j = client_get_json(ctl->client, &e, "/v1/%s/%s/explain", is_job ? "jobs" : "batches", operand);
	if (!j)
		return ctl_report(&e);
	if (ctl->args.format == FORMAT_TABLE) {
		tell_all(ctl, operand, batch, j);
	} else if (ctl->args.format == FORMAT_CSV) {
		rc = show_csv(j, &e);
	} else {
		add_facts(ctl, operand, batch, j);
		rc = rows_object(ctl->args.format, j, &layout_waits, &e);
	}
	json_decref(j);
	return rc < 0 ? ctl_report(&e) : STATUS_FINE;
}
