/* The verbs that change a batch or a job: cancel, retry, rm, pause, resume. */
#define _GNU_SOURCE 1 /* memmem */

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/failure.h"
#include "cli/lines.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "lib/jobid.h"
#include "lib/reason.h"

#define LIST_PAGE    1000  /* the most that the daemon gives at once */
#define UNKNOWN_MOST 10000 /* then they are not counted on */

struct change {
	const char *action; /* the last word of the path; NULL: DELETE */
	bool jobs;          /* a job may be named too */
	bool running;       /* has a sense only for what has not ended */
};

/* What an operand names. */
struct target {
	uint64_t job; /* 0: a batch */
	uint32_t batch;
	char path[64];
};

static int parse(const struct change *c, const char *operand, struct target *t, struct err *e)
{
	*t = (struct target){0};
	if (c->jobs && jobid_parse(operand, &t->job) == 0) {
		snprintf(t->path, sizeof t->path, "/v1/jobs/%s", operand);
		return 0;
	}
	if (ctl_parse_batch(operand, &t->batch, e) < 0)
		return -1;
	snprintf(t->path, sizeof t->path, "/v1/batches/%" PRIu32, t->batch);
	return 0;
}

/* ---- retry: what may have been carried out ---- */

struct unknown {
	json_int_t count;
	json_int_t answered; /* with 500, 502 or 504: these are sent again */
};

static int on_failed(void *arg, const char *line, size_t len, struct err *e)
{
	struct unknown *u = arg;
	const char *name = job_reason_name(REASON_UNKNOWN_OUTCOME), *reason;
	json_t *row;

	if (!memmem(line, len, name, strlen(name)) && !memmem(line, len, "\"status\":50", 11))
		return 0;
	row = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
	reason = json_string_value(json_object_get(row, "reason"));
	u->count += reason && strcmp(reason, name) == 0;
	u->answered += failure_may_be_done(row);
	json_decref(row);
	return u->count < UNKNOWN_MOST ? 0 : err_set(e, ERR_NONE, NULL, "enough");
}

/* How many jobs of a batch that has failed ones may have been carried out, and stay as they are; -1 with `e`. */
static json_int_t count_unknown(struct ctl *ctl, const struct target *t, json_int_t *answered, struct err *e)
{
	struct unknown u = {0};
	struct lines lines = {.on_line = on_failed, .arg = &u};
	char path[100];
	struct call call = {.path = path, .on_data = lines_feed, .arg = &lines};
	int rc;

	snprintf(path, sizeof path, "%s/results?state=failed", t->path);
	rc = client_call(ctl->client, &call, e);
	if (rc == 0)
		rc = lines_end(&lines, e);
	lines_clear(&lines);
	*answered = u.answered;
	return rc < 0 && u.count < UNKNOWN_MOST ? -1 : u.count;
}

/* What may have been carried out is left out by the daemon; here it is told. Returns how many jobs that are, or -1 with
 * `e`, also where a batch has nothing else to retry. Of a job the daemon tells. */
static json_int_t check_safe(struct ctl *ctl, const struct target *t, const json_t *now, json_int_t *answered,
			     struct err *e)
{
	const json_t *counts = json_object_get(now, "counts");
	json_int_t failed = json_integer_value(json_object_get(counts, "failed"));
	json_int_t n = t->job || failed == 0 ? 0 : count_unknown(ctl, t, answered, e);

	if (t->job)
		*answered = failure_may_be_done(now);
	if (n <= 0 || n < failed + json_integer_value(json_object_get(counts, "cancelled")))
		return n;
	return err_set(e, ERR_CONFLICT, "look at the server, then retry with --unsafe",
		       "the %lld job%s of batch %" PRIu32
		       " that failed may have been carried out (unknown_outcome): nothing "
		       "was retried",
		       (long long)n, n == 1 ? "" : "s", t->batch);
}

static void note_left_out(struct ctl *ctl, const struct target *t, json_int_t n)
{
	if (n > 0)
		ctl_note(ctl,
			 "%s%lld job%s of batch %" PRIu32
			 " may have been carried out (unknown_outcome) and %s: --unsafe sends "
			 "%s again too",
			 n < UNKNOWN_MOST ? "" : "at least ", (long long)n, n == 1 ? "" : "s", t->batch,
			 n == 1 ? "stays as it is" : "stay as they are", n == 1 ? "it" : "them");
}

static void note_sent_again(struct ctl *ctl, const struct target *t, json_int_t n)
{
	if (n > 0)
		ctl_note(ctl,
			 "%s %s: %lld job%s that may have been carried out (500, 502 or 504 to a POST or the like) %s "
			 "sent again",
			 t->job ? "job" : "batch", strrchr(t->path, '/') + 1, (long long)n, n == 1 ? "" : "s",
			 n == 1 ? "is" : "are");
}

/* ---- one operand ---- */

static bool has_ended(const struct target *t, const json_t *now)
{
	const char *word = json_string_value(json_object_get(now, "state"));
	int state = word ? job_state_parse(word) : -1;

	return t->job ? state == JOB_DONE || state == JOB_FAILED || state == JOB_CANCELLED
		      : progress_exit_status(now) >= 0;
}

/* A batch, or a run of a pull, that has all it could get; of a job, and of a run that cannot be retried, the daemon
 * tells. */
static bool has_nothing_to_retry(const struct target *t, const json_t *now)
{
	const json_t *counts = json_object_get(now, "counts");
	const char *verdict = json_string_value(json_object_get(now, "verdict"));

	if (t->job || !has_ended(t, now))
		return false;
	return verdict ? strcmp(verdict, "complete") == 0
		       : json_integer_value(json_object_get(counts, "failed")) +
				 json_integer_value(json_object_get(counts, "cancelled")) ==
			     0;
}

/* Looks before it asks, where what is there decides. Returns what to tell, or NULL with `e`. */
static json_t *change_one(struct ctl *ctl, const struct change *c, const struct target *t, const char **as_it_is,
			  struct err *e)
{
	bool retry = c->action && !strcmp(c->action, "retry");
	json_int_t left_out = 0, answered = 0;
	json_t *now;

	if (!c->action)
		return client_delete(ctl->client, e, "%s", t->path);
	now = client_get_json(ctl->client, e, "%s", t->path);
	if (!now)
		return NULL;
	if (c->running && has_ended(t, now))
		*as_it_is = " had ended already:";
	else if (retry && has_nothing_to_retry(t, now))
		*as_it_is = ": there is nothing to retry:";
	if (*as_it_is)
		return now;
	if (retry && !ctl->args.unsafe)
		left_out = check_safe(ctl, t, now, &answered, e);
	json_decref(now);
	if (left_out < 0)
		return NULL;
	now = client_post_json(ctl->client, NULL, 0, e, "%s/%s%s", t->path, c->action,
			       retry && ctl->args.unsafe ? "?unsafe=1" : "");
	if (now) {
		note_left_out(ctl, t, left_out);
		note_sent_again(ctl, t, answered);
	}
	return now;
}

static int change_operand(struct ctl *ctl, const struct change *c, const char *operand, struct err *e)
{
	struct target t;
	const char *as_it_is = NULL, *state;
	json_t *j = parse(c, operand, &t, e) < 0 ? NULL : change_one(ctl, c, &t, &as_it_is, e);

	if (!j)
		return ctl_report(e);
	state = json_string_value(json_object_get(j, "state"));
	if (!ctl->args.ended) /* else their sum is told */
		ctl_note(ctl, "%s %s%s %s", t.job ? "job" : "batch", operand, as_it_is ? as_it_is : ":",
			 c->action && state ? state : "removed");
	json_decref(j);
	return STATUS_FINE;
}

/* Before the first is changed: of a command line that is wrong nothing is done. */
static int check_all(const struct ctl *ctl, const struct change *c, struct err *e)
{
	struct target t;

	for (size_t i = 0; i < ctl->args.operand_count; i++)
		if (parse(c, ctl->args.operands[i], &t, e) < 0)
			return -1;
	return 0;
}

/* All operands, also behind one that was refused; the first refusal is the exit status. *done: how many were not. */
static int change_all(struct ctl *ctl, const struct change *c, size_t *done)
{
	int status = STATUS_FINE;
	struct err e = {0};

	if (ctl_refuse_format(ctl, "it shows no data", &e) < 0 || check_all(ctl, c, &e) < 0 || ctl_connect(ctl, &e) < 0)
		return ctl_report(&e);
	for (size_t i = 0; i < ctl->args.operand_count; i++) {
		int one = change_operand(ctl, c, ctl->args.operands[i], &e);

		status = status ? status : one;
		*done += one == STATUS_FINE;
		if (one && (e.code == ERR_UNREACHABLE || ctl_interrupted()))
			break;
	}
	return status;
}

static int change(struct ctl *ctl, const struct change *c)
{
	size_t done = 0;

	return change_all(ctl, c, &done);
}

/* ---- rm: also many at once ---- */

struct found {
	char **names;
	size_t count, room;
	bool runs; /* some are runs of pulls; known with --ended */
};

static void add_found(struct found *f, const char *name)
{
	if (f->count == f->room) {
		f->room = f->room ? 2 * f->room : 64;
		f->names = realloc(f->names, f->room * sizeof *f->names);
	}
	if (!f->names || !(f->names[f->count++] = strdup(name)))
		BUG("out of memory");
}

static const char *number(char *out, size_t size, json_int_t n)
{
	snprintf(out, size, "%lld", (long long)n);
	return out;
}

/* Batches from `first` to `last`, newest first; with `ended` those of the caller that have ended. */
static int find_batches(struct ctl *ctl, uint32_t first, uint32_t last, bool ended, struct found *f, struct err *e)
{
	json_int_t before = last < JOBID_BATCH_MAX ? (json_int_t)last + 1 : last, batch;
	json_t *page, *row;
	char text[24];
	size_t i;

	while (before > first) {
		page =
		    client_get_json(ctl->client, e, "/v1/batches?before=%lld&limit=%d", (long long)before, LIST_PAGE);
		if (!page)
			return -1;
		json_array_foreach (json_object_get(page, "batches"), i, row) {
			batch = json_integer_value(json_object_get(row, "batch"));
			if (batch >= (json_int_t)first &&
			    (!ended || (progress_exit_status(row) >= 0 &&
					json_integer_value(json_object_get(row, "uid")) == (json_int_t)geteuid()))) {
				add_found(f, number(text, sizeof text, batch));
				f->runs = f->runs || json_is_true(json_object_get(row, "run"));
			}
		}
		before = json_integer_value(json_object_get(page, "next"));
		json_decref(page);
	}
	return 0;
}

/* "7-12" */
static bool parse_range(const char *text, uint32_t *first, uint32_t *last)
{
	size_t n = strcspn(text, "-");
	char begin[16];

	snprintf(begin, sizeof begin, "%.*s", (int)n, text);
	return n < sizeof begin && text[n] && jobid_parse_batch(begin, first) == 0 &&
	       jobid_parse_batch(text + n + 1, last) == 0 && *first <= *last;
}

static int gather(struct ctl *ctl, struct found *f, struct err *e)
{
	uint32_t first, last;

	if (ctl->args.ended)
		return ctl_connect(ctl, e) < 0 ? -1 : find_batches(ctl, 1, JOBID_BATCH_MAX, true, f, e);
	for (size_t i = 0; i < ctl->args.operand_count; i++) {
		const char *operand = ctl->args.operands[i];
		size_t had = f->count;

		if (!parse_range(operand, &first, &last)) {
			add_found(f, operand);
			continue;
		}
		if (ctl_connect(ctl, e) < 0 || find_batches(ctl, first, last, false, f, e) < 0)
			return -1;
		if (f->count == had)
			return err_set(e, ERR_NOT_FOUND, NULL, "there are no batches %s", operand);
	}
	return 0;
}

/* In place of a line for each. */
static void note_sum(struct ctl *ctl, const struct found *f, size_t done)
{
	ctl_note(ctl, "%zu batch%s removed%s", done, done == 1 ? "" : "es",
		 f->runs && done ? ", runs of pulls among them: their items and receipts are gone; where the next runs "
				   "begin is kept (fanoutctl pull state NAME)"
				 : "");
}

int verb_rm(struct ctl *ctl)
{
	struct found f = {0};
	size_t done = 0;
	struct err e;
	int status;

	if (ctl->args.ended == (ctl->args.operand_count > 0)) {
		err_set(&e, ERR_USAGE, NULL, " rm: %s (usage: fanoutctl rm BATCH... | --ended)",
			ctl->args.ended ? "--ended is for all; leave the batches away" : "BATCH is missing");
		return ctl_report(&e);
	}
	if (gather(ctl, &f, &e) < 0) {
		status = ctl_report(&e);
	} else {
		ctl->args.operands = f.names;
		ctl->args.operand_count = f.count;
		status = change_all(ctl, &(struct change){NULL, false, false}, &done);
		if (ctl->args.ended)
			note_sum(ctl, &f, done);
	}
	for (size_t i = 0; i < f.count; i++)
		free(f.names[i]);
	free(f.names);
	ctl->args.operand_count = 0;
	return status;
}

int verb_cancel(struct ctl *ctl)
{
	return change(ctl, &(struct change){"cancel", true, true});
}

int verb_retry(struct ctl *ctl)
{
	return change(ctl, &(struct change){"retry", true, false});
}

int verb_pause(struct ctl *ctl)
{
	return change(ctl, &(struct change){"pause", false, true});
}

int verb_resume(struct ctl *ctl)
{
	return change(ctl, &(struct change){"resume", false, true});
}
