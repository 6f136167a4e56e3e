/* fetch: submit, follow, and write each body as its job ends; to stdout in the order of the jobs. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/background.h"
#include "cli/bodies.h"
#include "cli/client.h"
#include "cli/explain.h"
#include "cli/failure.h"
#include "cli/progress.h"
#include "cli/request.h"
#include "cli/verbs.h"
#include "cli/watch.h"
#include "lib/clock.h"
#include "lib/jobid.h"

#define LOOK_US INT64_C(200000) /* at the batch's totals, for the line of progress */

enum seen { SEEN_NOT, SEEN_DONE, SEEN_OTHER };

struct fetch {
	struct ctl *ctl;
	struct bodies bodies; /* with a client of its own: the other one holds the stream of events */
	uint32_t batch;
	unsigned char *seen; /* enum seen by seq; for the order on stdout */
	size_t room;
	uint64_t next; /* seq whose body goes to stdout next */
	struct progress progress;
	int64_t looked_us;
};

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
	char job[JOBID_TEXT_SIZE];

	for (; f->next < f->room && f->seen[f->next] != SEEN_NOT; f->next++) {
		if (f->seen[f->next] != SEEN_DONE)
			continue;
		jobid_format(job, jobid_make(f->batch, (uint32_t)f->next));
		if (bodies_print(&f->bodies, job, e) < 0)
			return -1;
	}
	return 0;
}

/* Only where bodies go to files: on a terminal, their text and a line that moves do not go together. */
static void show_progress(struct fetch *f)
{
	int64_t now = clock_boot_us();
	json_t *batch;

	if (!f->bodies.template || f->ctl->args.quiet || (f->looked_us && now - f->looked_us < LOOK_US))
		return;
	f->looked_us = now;
	batch = client_get_json(f->bodies.client, &(struct err){0}, "/v1/batches/%" PRIu32, f->batch);
	if (!batch)
		return;
	progress_update(&f->progress, batch, now);
	json_decref(batch);
	if (progress_due_us(&f->progress, now) == 0)
		explain_progress(f->bodies.client, &f->progress, now);
	progress_draw(&f->progress, now);
}

static void on_pause(void *arg)
{
	show_progress(arg);
}

static void tell_failure(const json_t *row)
{
	struct text line = {0};

	failure_add_job(&line, row);
	fprintf(stderr, "fanoutctl: %s\n", line.data);
	text_clear(&line);
}

static int on_job(void *arg, const char *json, size_t len, struct err *e)
{
	struct fetch *f = arg;
	json_t *row = json_loadb(json, len, JSON_ALLOW_NUL, NULL);
	const char *state = json_string_value(json_object_get(row, "state"));
	uint64_t seq = (uint64_t)json_integer_value(json_object_get(row, "seq"));
	bool done = state && strcmp(state, "done") == 0;
	int rc = 0;

	if (!done) {
		progress_wipe(&f->progress);
		bodies_end_line(&f->bodies);
		tell_failure(row);
	}
	if (!f->bodies.template) {
		remember(f, seq, done ? SEEN_DONE : SEEN_OTHER);
		rc = write_in_order(f, e);
	} else if (done) {
		rc = bodies_write(&f->bodies, row, e);
	}
	json_decref(row);
	return rc;
}

static int check(const struct ctl *ctl, struct bodies *bodies, struct err *e)
{
	const struct args *a = &ctl->args;

	if (ctl_refuse_format(ctl, "the bodies are written as they are", e) < 0 ||
	    bodies_open(bodies, a->output, a->create_dirs, e) < 0)
		return -1;
	if (a->output && !strchr(a->output, '{') && request_count(a) > 1)
		return err_set(e, ERR_USAGE, "put {seq} into the name",
			       "-o: all answers would be written to the one file %.100s", a->output);
	return 0;
}

/* The jobs go on; that their bodies would come to files ends with this process. */
static int interrupted(const struct fetch *f)
{
	int status = watch_interrupted(f->ctl, f->batch);
	struct text get = {0};

	text_add_option(&get, "-o", f->bodies.template);
	if (get.len && !ctl_stopped())
		ctl_note(f->ctl, "  to have the files: fanoutctl wait %" PRIu32 "; fanoutctl get %" PRIu32 "%s%s",
			 f->batch, f->batch, get.data, f->ctl->args.create_dirs ? " --create-dirs" : "");
	text_clear(&get);
	return status;
}

static int follow(struct fetch *f, struct err *e)
{
	struct watcher w = {.on_job = on_job, .on_pause = on_pause, .arg = f};
	json_t *ended = NULL;
	int status, rc;

	show_progress(f);
	rc = watch_events(f->ctl->client, f->batch, &w, &ended, e);
	progress_wipe(&f->progress);
	if (rc < 0)
		return ctl_interrupted() ? interrupted(f) : ctl_report(e);
	status = f->bodies.template ? watch_ended(f->ctl, ended) : progress_exit_status(ended);
	json_decref(ended);
	if (f->ctl->args.remove && !f->bodies.missing && status == STATUS_FINE)
		json_decref(client_delete(f->bodies.client, NULL, "/v1/batches/%" PRIu32, f->batch));
	return status == STATUS_FINE && f->bodies.missing ? STATUS_FAILED : status;
}

/* The bodies that come are those of the earlier list: of the same one they are what was asked for. */
static void tell_other(const struct submission *s)
{
	if (s->existed)
		request_tell_existed(s, true);
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
	if (background_join(b, &s, e) < 0)
		return ctl_report(e);
	tell_other(&s);
	return status;
}

int verb_fetch(struct ctl *ctl)
{
	struct fetch f = {.ctl = ctl, .next = 1};
	struct submission s = {0};
	struct err e;
	int status;

	if (check(ctl, &f.bodies, &e) < 0 || ctl_connect(ctl, &e) < 0)
		return ctl_report(&e);
	f.bodies.client = client_again(ctl->client);
	f.bodies.patient = true;
	if (request_is_stream(&ctl->args)) {
		status = submit_and_follow(&f, &e);
	} else if (request_submit(ctl, &s, NULL, NULL, &e) < 0) {
		status = ctl_report(&e);
	} else {
		tell_other(&s);
		f.batch = s.batch;
		status = follow(&f, &e);
	}
	client_free(f.bodies.client);
	progress_clear(&f.progress);
	bodies_clear(&f.bodies);
	free(f.seen);
	return status;
}
