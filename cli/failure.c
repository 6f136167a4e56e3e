/* Errors as lines. */
#include "cli/failure.h"

#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/lines.h"
#include "cli/progress.h"
#include "lib/method.h"
#include "lib/reason.h"
#include "lib/status.h"

#define COUNTED_MAX 1000 /* failures whose errors are compared */

void failure_add_job(struct text *line, const json_t *result)
{
	const char *job = json_string_value(json_object_get(result, "job"));
	const char *error = json_string_value(json_object_get(result, "error"));
	const char *reason = json_string_value(json_object_get(result, "reason"));
	const char *state = json_string_value(json_object_get(result, "state"));
	const char *url = json_string_value(json_object_get(result, "url"));

	text_printf(line, "%s ", job ? job : "?");
	text_add_shown(line, url ? url : "", 0);
	text_add_str(line, ": ");
	text_add_shown(line, error ? error : reason ? reason : state ? state : "failed", 0);
}

static bool has_reason(const json_t *result, enum job_reason is)
{
	const char *reason = json_string_value(json_object_get(result, "reason"));

	return reason && strcmp(reason, job_reason_name(is)) == 0;
}

bool failure_may_be_done(const json_t *result)
{
	const char *method = json_string_value(json_object_get(result, "method"));
	int status = (int)json_integer_value(json_object_get(result, "status"));

	return has_reason(result, REASON_HTTP_STATUS) && status_may_be_done(status) && method &&
	       !method_idempotent(method);
}

static int on_line(void *arg, const char *line, size_t len, struct err *e)
{
	json_t *row = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
	struct text *t = arg;

	(void)e;
	text_add_str(t, "\n  ");
	failure_add_job(t, row);
	json_decref(row);
	return 0;
}

void failure_add_first(struct ctl *ctl, uint32_t batch, long long failed, struct text *t)
{
	struct lines lines = {.on_line = on_line, .arg = t};
	char path[100];
	struct call call = {.path = path, .on_data = lines_feed, .arg = &lines};
	struct err e;

	snprintf(path, sizeof path, "/v1/batches/%u/results?state=failed&limit=%d", batch, FAILURE_SHOWN);
	if (failed)
		client_call(ctl->client, &call, &e);
	if (failed > FAILURE_SHOWN)
		text_printf(t, "\n  and %lld more: fanoutctl results %u --state failed", failed - FAILURE_SHOWN, batch);
	lines_clear(&lines);
}

void failure_tell_batch(struct ctl *ctl, uint32_t batch)
{
	struct progress p = {0};
	struct text t = {0};
	struct err e;
	json_t *j = client_get_json(ctl->client, &e, "/v1/batches/%u", batch);
	long long failed;

	if (!j) {
		ctl_report(&e);
		return;
	}
	progress_update(&p, j, 0);
	json_decref(j);
	failed = p.counts[JOB_FAILED];
	text_printf(&t, "batch %u: %lld of %lld done", batch, (long long)p.counts[JOB_DONE],
		    (long long)progress_total(&p));
	if (failed)
		text_printf(&t, ", %lld failed", failed);
	if (p.counts[JOB_CANCELLED])
		text_printf(&t, ", %lld cancelled", (long long)p.counts[JOB_CANCELLED]);
	failure_add_first(ctl, batch, failed, &t);
	fprintf(stderr, "fanoutctl: %s\n", t.data);
	text_clear(&t);
}

/* ---- explained ---- */

/* What fails again, for a retry changes nothing of it. */
static const struct vain {
	enum job_reason reason;
	int status; /* 0: any */
	const char *instead;
} vains[] = {
    {REASON_TOO_LARGE, 0, "a retry keeps max_body: submit it anew with a greater --max-body"},
    {REASON_POLICY, 0, "a retry is denied too, until network.deny or the address changes"},
    {REASON_HTTP_STATUS, 401, "a retry sends the same credentials: change the secret that has them, or submit it anew"},
};
#define VAINS (sizeof vains / sizeof *vains)

/* Which of them; VAINS: none. */
static size_t find_vain(const json_t *result)
{
	json_int_t status = json_integer_value(json_object_get(result, "status"));
	size_t i = 0;

	while (i < VAINS && !(has_reason(result, vains[i].reason) && (!vains[i].status || vains[i].status == status)))
		i++;
	return i;
}

struct counted {
	json_t *errors;      /* how often each was met, of those that are no consequence */
	long long causes;    /* so many are those */
	long long followers; /* did not run, for one before them in their chain failed */
	long long unknown;   /* that may have been carried out: a plain retry leaves them as they are */
	long long answered;  /* that may have been too, and a plain retry sends again */
	long long vain[VAINS + 1];
};

static int count_error(void *arg, const char *line, size_t len, struct err *e)
{
	struct counted *c = arg;
	json_t *row = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
	const char *error = json_string_value(json_object_get(row, "error"));
	const char *reason = json_string_value(json_object_get(row, "reason"));

	(void)e;
	c->unknown += has_reason(row, REASON_UNKNOWN_OUTCOME);
	c->answered += failure_may_be_done(row);
	c->vain[find_vain(row)]++;
	error = error ? error : reason ? reason : "failed";
	if (has_reason(row, REASON_PREDECESSOR)) {
		c->followers++;
	} else {
		c->causes++;
		json_object_set_new(c->errors, error,
				    json_integer(json_integer_value(json_object_get(c->errors, error)) + 1));
	}
	json_decref(row);
	return 0;
}

/* NULL: all are consequences. */
static const char *most_frequent(const struct counted *c, json_int_t *best)
{
	const char *error, *most = NULL;
	const json_t *n;

	*best = 0;
	json_object_foreach (c->errors, error, n) {
		if (json_integer_value(n) <= *best)
			continue;
		*best = json_integer_value(n);
		most = error;
	}
	return most;
}

static void add_most_frequent(struct text *t, const struct counted *c)
{
	json_int_t best;
	const char *most = most_frequent(c, &best);

	if (!most)
		return;
	if (best < c->causes)
		text_printf(t, ", %lld of %s%lld with: ", (long long)best,
			    c->causes + c->followers == COUNTED_MAX ? "the first " : "", c->causes);
	else
		text_add_str(t, ": ");
	text_add_shown(t, most, 0);
}

/* "2 of 5 jobs failed: 404 Not Found; 1 more did not run because of them": causes are told, and their consequences
 * counted. */
static void add_failed(struct text *t, const struct counted *c, const struct progress *p)
{
	long long failed = p->counts[JOB_FAILED], seen = c->causes + c->followers;

	/* Only some were looked at: of the rest it is not known what they are. */
	if (progress_total(p) == 1)
		text_add_str(t, "its job failed");
	else
		text_printf(t, "%lld of %lld jobs failed", c->causes && seen == failed ? c->causes : failed,
			    (long long)progress_total(p));
	add_most_frequent(t, c);
	if (c->followers && seen == failed)
		text_printf(t, "; %lld %sdid not run because %s", c->followers, c->causes ? "more " : "",
			    c->causes == 1 ? "of it"
			    : c->causes    ? "of them"
					   : "one before them in their chain did not succeed");
	else if (c->followers)
		text_printf(t, "; %lld of the first %lld did not run because of others", c->followers, seen);
}

static void print_batch_advice(const struct counted *c, uint32_t batch, long long failed)
{
	long long vain = 0;

	for (size_t i = 0; i < VAINS; i++)
		vain += c->vain[i];
	printf("fanoutctl results %u --state failed has %s", batch, failed == 1 ? "it" : "them");
	if (c->unknown + vain < failed)
		printf(", fanoutctl retry %u tries %s again", batch, failed == 1 ? "it" : "them");
	if (c->answered)
		printf("; of those, %lld may have been carried out (500, 502 or 504 to a POST or the like): look at the"
		       " server first",
		       c->answered);
	if (c->unknown)
		printf("; where they may have been carried out (unknown_outcome), look at the server, then"
		       " fanoutctl retry %u --unsafe",
		       batch);
	printf(".\n");
	for (size_t i = 0; i < VAINS; i++) {
		if (c->vain[i] && vains[i].status)
			printf("of those, %lld (%d): %s.\n", c->vain[i], vains[i].status, vains[i].instead);
		else if (c->vain[i])
			printf("of those, %lld (%s): %s.\n", c->vain[i], job_reason_name(vains[i].reason),
			       vains[i].instead);
	}
}

/* Whether there is something to tell. c->errors is the caller's to release. */
static bool count_batch(struct ctl *ctl, uint32_t batch, struct counted *c, struct progress *p)
{
	struct lines lines = {.on_line = count_error, .arg = c};
	char path[100];
	struct call call = {.path = path, .on_data = lines_feed, .arg = &lines};
	json_t *j = client_get_json(ctl->client, NULL, "/v1/batches/%u", batch);
	struct err e;
	bool told;

	*c = (struct counted){.errors = json_object()};
	if (j)
		progress_update(p, j, 0);
	json_decref(j);
	snprintf(path, sizeof path, "/v1/batches/%u/results?state=failed&limit=%d", batch, COUNTED_MAX);
	told = p->counts[JOB_FAILED] && client_call(ctl->client, &call, &e) == 0 && lines_end(&lines, &e) == 0;
	lines_clear(&lines);
	return told;
}

void failure_explain_batch(struct ctl *ctl, uint32_t batch)
{
	struct progress p = {0};
	struct text t = {0};
	struct counted c;

	if (count_batch(ctl, batch, &c, &p)) {
		add_failed(&t, &c, &p);
		printf("%s\n", t.data);
		print_batch_advice(&c, batch, (long long)p.counts[JOB_FAILED]);
	}
	text_clear(&t);
	json_decref(c.errors);
}

json_t *failure_of_batch(struct ctl *ctl, uint32_t batch)
{
	struct progress p = {0};
	json_t *failure = NULL;
	struct counted c;
	const char *most;
	json_int_t best;

	if (count_batch(ctl, batch, &c, &p)) {
		most = most_frequent(&c, &best);
		failure = json_pack("{s:I, s:I, s:I, s:I, s:I, s:s?, s:I, s:I, s:I}", "jobs",
				    (json_int_t)progress_total(&p), "failed", (json_int_t)p.counts[JOB_FAILED],
				    "looked_at", (json_int_t)(c.causes + c.followers), "causes", (json_int_t)c.causes,
				    "followers", (json_int_t)c.followers, "error", most, "error_jobs", best,
				    "unknown_outcome", (json_int_t)c.unknown, "maybe_done", (json_int_t)c.answered);
	}
	json_decref(c.errors);
	return failure;
}

/* What a retry of it alone would be refused for is not advised. */
static void print_job_advice(const char *name, const char *reason, const json_t *j)
{
	if (strcmp(reason, job_reason_name(REASON_PREDECESSOR)) == 0)
		printf("fanoutctl retry %.*s tries it again, after what failed before it.\n", (int)strcspn(name, "."),
		       name);
	else if (strcmp(reason, job_reason_name(REASON_UNKNOWN_OUTCOME)) == 0)
		printf("fanoutctl show %s has its attempts; it may have been carried out (unknown_outcome): look at the"
		       " server, then fanoutctl retry %s --unsafe.\n",
		       name, name);
	else if (failure_may_be_done(j))
		printf("fanoutctl show %s has its attempts; its %s may have been carried out all the same: look at the"
		       " server first, then fanoutctl retry %s.\n",
		       name, json_string_value(json_object_get(j, "method")), name);
	else if (find_vain(j) < VAINS)
		printf("fanoutctl show %s has its attempts; %s.\n", name, vains[find_vain(j)].instead);
	else
		printf("fanoutctl show %s has its attempts, fanoutctl retry %s tries it again.\n", name, name);
}

void failure_explain_job(struct ctl *ctl, const char *name)
{
	json_t *j = client_get_json(ctl->client, NULL, "/v1/jobs/%s", name);
	const char *error = json_string_value(json_object_get(j, "error"));
	const char *reason = json_string_value(json_object_get(j, "reason"));
	long long attempts = json_integer_value(json_object_get(j, "attempts"));
	struct text line = {0};

	reason = reason ? reason : "";
	text_add_shown(&line, error ? error : *reason ? reason : "it does not say why", 0);
	if (error && *reason)
		text_printf(&line, " (%s)", reason);
	if (attempts > 0)
		text_printf(&line, ", after %lld attempt%s", attempts, attempts == 1 ? "" : "s");
	if (j) {
		printf("%s\n", line.data);
		print_job_advice(name, reason, j);
	}
	text_clear(&line);
	json_decref(j);
}

json_t *failure_of_job(struct ctl *ctl, const char *name)
{
	static const char *const members[] = {"reason", "error", "status", "attempts"};
	json_t *j = client_get_json(ctl->client, NULL, "/v1/jobs/%s", name), *failure = j ? json_object() : NULL;

	for (size_t i = 0; j && i < sizeof members / sizeof *members; i++)
		json_object_set(failure, members[i], json_object_get(j, members[i]));
	if (j)
		json_object_set_new(failure, "maybe_done", json_boolean(failure_may_be_done(j)));
	json_decref(j);
	return failure;
}
