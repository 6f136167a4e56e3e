/* fetch: submit, follow, and write each body as its job ends; to stdout in the order of the jobs. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/background.h"
#include "cli/client.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/request.h"
#include "cli/template.h"
#include "cli/verbs.h"
#include "cli/watch.h"
#include "lib/clock.h"

#define PATIENCE_US INT64_C(30000000)

enum seen { SEEN_NOT, SEEN_DONE, SEEN_OTHER };

struct fetch {
	struct ctl *ctl;
	struct client *client; /* for bodies: the other one holds the stream of events */
	uint32_t batch;
	unsigned char *seen; /* enum seen by seq; for the order on stdout */
	size_t room;
	uint64_t next;    /* seq whose body goes to stdout next */
	uint64_t missing; /* bodies that could not be written */
};

static int on_body(void *arg, const char *data, size_t len, struct err *e)
{
	return output_write(arg, data, len, e);
}

/* One body to `path` (NULL: stdout). What broke off in the middle of stdout cannot be repeated. */
static int write_body(struct fetch *f, uint64_t seq, const char *path, struct err *e)
{
	int64_t until = clock_boot_us() + PATIENCE_US;
	struct output o;
	struct call call = {.on_data = on_body, .arg = &o};
	char url[80];

	snprintf(url, sizeof url, "/v1/jobs/%" PRIu32 ".%" PRIu64 "/body", f->batch, seq);
	call.path = url;
	for (;;) {
		if (output_open(&o, path, e) < 0)
			return -1;
		if (client_call(f->client, &call, e) == 0)
			return output_commit(&o, e);
		output_discard(&o);
		if (e->code != ERR_UNREACHABLE || clock_boot_us() > until || ctl_interrupted() ||
		    (!path && client_status(f->client)))
			return -1;
		poll(NULL, 0, 100);
	}
}

/* A job without a body (an answer to HEAD, 204) writes nothing; anything else ends fetch. */
static int body_outcome(struct fetch *f, uint64_t seq, int rc, struct err *e)
{
	if (rc == 0)
		return 0;
	if (e->code != ERR_CONFLICT && e->code != ERR_NOT_FOUND)
		return -1;
	f->missing++;
	fprintf(stderr, "fanoutctl: %" PRIu32 ".%" PRIu64 ": %s\n", f->batch, seq, e->what);
	return 0;
}

static void remember(struct fetch *f, uint64_t seq, enum seen seen)
{
	if (seq >= f->room) {
		size_t room = (size_t)seq + 1 > 2 * f->room ? (size_t)seq + 1024 : 2 * f->room;
		unsigned char *grown = realloc(f->seen, room);

		if (!grown)
			BUG("out of memory");
		memset(grown + f->room, SEEN_NOT, room - f->room);
		f->seen = grown;
		f->room = room;
	}
	f->seen[seq] = (unsigned char)seen;
}

static int write_in_order(struct fetch *f, struct err *e)
{
	for (; f->next < f->room && f->seen[f->next] != SEEN_NOT; f->next++)
		if (f->seen[f->next] == SEEN_DONE && body_outcome(f, f->next, write_body(f, f->next, NULL, e), e) < 0)
			return -1;
	return 0;
}

static void tell_failure(const json_t *row)
{
	struct text line = {0};
	const char *error = json_string_value(json_object_get(row, "error"));
	const char *reason = json_string_value(json_object_get(row, "reason"));
	const char *state = json_string_value(json_object_get(row, "state"));
	const char *url = json_string_value(json_object_get(row, "url"));

	text_printf(&line, "%s ", json_string_value(json_object_get(row, "job")));
	text_add_shown(&line, url ? url : "", 0);
	text_add_str(&line, ": ");
	text_add_shown(&line, error ? error : reason ? reason : state ? state : "failed", 0);
	fprintf(stderr, "fanoutctl: %s\n", line.data);
	text_clear(&line);
}

static int on_job(void *arg, const char *json, size_t len, struct err *e)
{
	struct fetch *f = arg;
	const char *template = f->ctl->args.output;
	json_t *row = json_loadb(json, len, JSON_ALLOW_NUL, NULL);
	const char *state = json_string_value(json_object_get(row, "state"));
	uint64_t seq = (uint64_t)json_integer_value(json_object_get(row, "seq"));
	bool done = state && strcmp(state, "done") == 0;
	struct text path = {0};
	int rc = 0;

	if (!done)
		tell_failure(row);
	if (!template) {
		remember(f, seq, done ? SEEN_DONE : SEEN_OTHER);
		rc = write_in_order(f, e);
	} else if (done) {
		template_expand(template, row, &path);
		rc = body_outcome(f, seq, write_body(f, seq, path.data, e), e);
		text_clear(&path);
	}
	json_decref(row);
	return rc;
}

static int check(const struct args *a, struct err *e)
{
	bool distinct;

	if (!a->output)
		return 0;
	if (template_check(a->output, &distinct, e) < 0)
		return -1;
	if (!distinct && !strchr(a->output, '{') && request_count(a) > 1)
		return err_set(e, ERR_USAGE, "put {seq} into the name",
			       "-o: all answers would be written to the one file %.100s", a->output);
	return 0;
}

static int follow(struct fetch *f, struct err *e)
{
	struct watcher w = {.on_job = on_job, .arg = f};
	json_t *ended;
	int status;

	if (watch_events(f->ctl->client, f->batch, &w, &ended, e) < 0)
		return ctl_interrupted() ? watch_interrupted(f->ctl, f->batch) : ctl_report(e);
	status = f->ctl->args.output ? watch_ended(f->ctl, ended) : progress_exit_status(ended);
	json_decref(ended);
	if (f->ctl->args.remove && !f->missing && status == STATUS_FINE)
		json_decref(client_delete(f->client, NULL, "/v1/batches/%" PRIu32, f->batch));
	return status == STATUS_FINE && f->missing ? STATUS_FAILED : status;
}

static int submit_and_follow(struct fetch *f, struct err *e)
{
	struct background *b = background_submit(f->ctl, &f->batch, e);
	int status = STATUS_FINE;
	struct submission s;

	if (!b)
		return ctl_report(e);
	if (f->batch)
		status = follow(f, e);
	return background_join(b, &s, e) < 0 ? ctl_report(e) : status;
}

int verb_fetch(struct ctl *ctl)
{
	struct fetch f = {.ctl = ctl, .next = 1};
	struct submission s = {0};
	struct err e;
	int status;

	if (check(&ctl->args, &e) < 0 || ctl_connect(ctl, &e) < 0)
		return ctl_report(&e);
	f.client = client_create(client_socket(ctl->client));
	if (request_is_stream(&ctl->args)) {
		status = submit_and_follow(&f, &e);
	} else if (request_submit(ctl, &s, NULL, NULL, &e) < 0) {
		status = ctl_report(&e);
	} else {
		f.batch = s.batch;
		status = follow(&f, &e);
	}
	client_free(f.client);
	free(f.seen);
	return status;
}
