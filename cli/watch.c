/* Waiting by long requests, following by server-sent events. Both go on for half a minute when the daemon is away: it
 * is being restarted, and the batch is on its disk. */
#include "cli/watch.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/chains.h"
#include "cli/client.h"
#include "cli/explain.h"
#include "cli/failure.h"
#include "cli/fields.h"
#include "cli/layouts.h"
#include "cli/lines.h"
#include "cli/patience.h"
#include "cli/progress.h"
#include "cli/pull.h"
#include "cli/receipt.h"
#include "cli/sse.h"
#include "cli/verbs.h"
#include "lib/clock.h"
#include "lib/units.h"

#define TICK_US      INT64_C(200000)   /* between looks, where progress moves */
#define TICK_SLOW_US INT64_C(10000000) /* where it does not, or nothing is shown */
#define LAST_LOOK_S  2                 /* that whoever has pressed ^C waits for what the daemon says */

static bool is_paused(const struct progress *seen)
{
	return strcmp(seen->state, "paused") == 0;
}

static bool is_run(const struct json_t *batch)
{
	return json_is_true(json_object_get(batch, "run"));
}

/* What was seen of it last may be seconds old, or nothing. Where the daemon is silent, nobody is kept for long. Returns
 * what people call it. */
static const char *look_once_more(const struct ctl *ctl, uint32_t batch, struct progress *seen)
{
	const char *what;
	json_t *j;

	ctl_hurry(LAST_LOOK_S);
	j = client_get_json(ctl->client, NULL, "/v1/batches/%u", batch);
	ctl_hurry(0);
	if (j)
		progress_update(seen, j, 0);
	what = is_run(j) ? "run" : "batch";
	json_decref(j);
	return what;
}

int watch_interrupted(const struct ctl *ctl, uint32_t batch)
{
	struct progress seen = {0};
	const char *what;

	if (ctl_stopped() || ctl->args.quiet) /* where it was stopped, the other thread says why */
		return STATUS_INTERRUPTED;
	what = look_once_more(ctl, batch, &seen);
	if (is_paused(&seen))
		ctl_note(
		    ctl,
		    "interrupted; %s %u is paused (fanoutctl resume %u lets it go on; fanoutctl cancel %u ends it)",
		    what, batch, batch, batch);
	else
		ctl_note(ctl, "interrupted; %s %u goes on%s (fanoutctl wait %u; fanoutctl cancel %u ends it)", what,
			 batch, seen.stalled ? " when the disk has room again" : "", batch, batch);
	return STATUS_INTERRUPTED;
}

/* Of a run, its receipt: pages that were asked for in vain behind the end say nothing of it. */
static int run_ended(struct ctl *ctl, const struct json_t *batch)
{
	json_t *run = run_get(ctl, (uint32_t)pull_number(batch, "batch"), NULL);
	int status = run ? receipt_tell(ctl, run) : -1;

	json_decref(run);
	return status;
}

/* `errors`: and how the first that failed did, which nobody was shown. */
static int tell_ended(struct ctl *ctl, const struct json_t *batch, bool errors)
{
	uint32_t number = (uint32_t)json_integer_value(json_object_get(batch, "batch"));
	int status = progress_exit_status(batch);
	struct text line = {0};

	progress_summary(batch, &line);
	if (errors && !ctl->args.quiet)
		failure_add_first(
		    ctl, number,
		    (long long)json_integer_value(json_object_get(json_object_get(batch, "counts"), "failed")), &line);
	ctl_note(ctl, "batch %" PRIu32 ": %s", number, line.data);
	text_clear(&line);
	return status < 0 ? STATUS_FAILED : status;
}

int watch_ended(struct ctl *ctl, const struct json_t *batch)
{
	int status = is_run(batch) ? run_ended(ctl, batch) : -1;

	return status < 0 ? tell_ended(ctl, batch, false) : status;
}

/* ---- waiting ---- */

/* In the words that it was asked in: of several batches, the later ones have what was left of it. */
static int gave_up(const struct ctl *ctl, uint32_t batch, const struct progress *seen)
{
	const char *time = ctl->args.timeout;
	struct err e;

	err_set(&e, ERR_TIMEOUT, NULL, "batch %u has not ended within %s; it goes on%s", batch, time,
		seen->stalled ? " when the disk has room again: it is full" : "");
	if (is_paused(seen)) {
		err_set(&e, ERR_TIMEOUT, NULL, "batch %u has not ended within %s: it is paused", batch, time);
		snprintf(e.hint, sizeof e.hint, "fanoutctl resume %u lets it go on", batch);
	}
	return ctl_report(&e);
}

/* ---- what a limit did ---- */

struct limited {
	unsigned rows; /* that were looked at: the first ones are shown as they are */
	bool found;
	struct text line; /* "7.101 at catfact.ninja:443: 429 ..." */
};

/* "catfact.ninja:443", of a URL that the daemon took. (lib/url would want libcurl.) */
static void add_host(struct text *line, const char *url)
{
	const char *begin = url ? strstr(url, "://") : NULL, *port;
	char host[300];

	if (!begin) {
		text_add_str(line, "its host");
		return;
	}
	snprintf(host, sizeof host, "%.*s", (int)strcspn(begin + 3, "/?#"), begin + 3);
	port = strrchr(host, ':');
	text_add_shown(line, host, 0);
	if (!port || strchr(port, ']'))
		text_add_str(line, begin - url == 5 ? ":443" : ":80"); /* https, http */
}

static int find_limited(void *arg, const char *line, size_t len, struct err *e)
{
	struct limited *l = arg;
	json_t *row = l->found ? NULL : json_loadb(line, len, JSON_ALLOW_NUL, NULL);
	const char *reason = json_string_value(json_object_get(row, "reason"));
	const char *error = json_string_value(json_object_get(row, "error"));
	const char *job = json_string_value(json_object_get(row, "job"));
	const char *url = json_string_value(json_object_get(row, "url"));
	bool limited = reason && strcmp(reason, "limited") == 0;

	(void)e;
	if (limited && l->rows >= FAILURE_SHOWN) {
		text_printf(&l->line, "%s at ", job ? job : "?");
		add_host(&l->line, url);
		text_add_str(&l->line, ": ");
		text_add_shown(&l->line, error ? error : "limited", 0);
	}
	l->found |= limited;
	l->rows++;
	json_decref(row);
	return 0;
}

/* With --on-limit fail or drop it is the limit that a failed batch failed by: its first words say which one. */
static void tell_limited(struct ctl *ctl, uint32_t batch)
{
	struct limited l = {0};
	struct lines lines = {.on_line = find_limited, .arg = &l};
	char path[80];
	struct call call = {.path = path, .on_data = lines_feed, .arg = &lines};

	snprintf(path, sizeof path, "/v1/batches/%u/results?state=failed&limit=1000", batch);
	if (client_call(ctl->client, &call, NULL) == 0)
		lines_end(&lines, NULL);
	if (l.line.len)
		ctl_note(ctl, "limited: %s", l.line.data);
	lines_clear(&lines);
	text_clear(&l.line);
}

/* Shows how far it is, where it is time to, and says when to look again: where lines are written, when the next one is
 * due, so that they come every ten seconds and not every second time. */
static int64_t next_look(const struct ctl *ctl, struct progress *p)
{
	int64_t now = clock_boot_us();

	if (ctl->args.quiet)
		return TICK_SLOW_US;
	if (progress_due_us(p, now) == 0)
		explain_progress(ctl->client, p, now);
	progress_draw(p, now);
	return progress_moves() ? TICK_US : progress_due_us(p, now);
}

static int wait_with(struct ctl *ctl, uint32_t batch, int64_t timeout_us, struct progress *progress)
{
	int64_t start = clock_boot_us(), left = timeout_us, tick = 0; /* the first answer comes at once */
	struct patience patience = {0};
	struct err e;
	json_t *j;
	int status;

	for (;;) {
		if (timeout_us != CLOCK_NEVER)
			left = timeout_us - (clock_boot_us() - start);
		left = left < 0 ? 0 : left;
		j = client_get_json(ctl->client, &e, "/v1/batches/%u/wait?timeout=%lldms", batch,
				    (long long)((left < tick ? left : tick) + 999) / 1000);
		if (!j && patience_again(&patience, ctl->client, &e))
			continue;
		progress_wipe(progress);
		if (!j) {
			patience_lost(&patience, ctl->client, "batch", batch, &e);
			return ctl_interrupted() ? watch_interrupted(ctl, batch) : ctl_report(&e);
		}
		patience_heard(&patience);
		if (progress_exit_status(j) >= 0)
			break;
		progress_update(progress, j, clock_boot_us());
		json_decref(j);
		if (left == 0)
			return gave_up(ctl, batch, progress);
		tick = next_look(ctl, progress);
	}
	/* What wait is asked for is data where a form of it was given; submit prints its own. */
	if (ctl->verb->run == verb_wait && ctl->args.format_name &&
	    rows_object(ctl->args.format, j, &layout_batch, &e) < 0)
		ctl_report(&e);
	status = is_run(j) ? watch_ended(ctl, j) : tell_ended(ctl, j, true);
	if (status == STATUS_FAILED && !is_run(j) && !ctl->args.quiet)
		tell_limited(ctl, batch);
	json_decref(j);
	return status;
}

int watch_wait(struct ctl *ctl, uint32_t batch, int64_t timeout_us)
{
	struct progress progress = {0};
	int status = wait_with(ctl, batch, timeout_us, &progress);

	progress_clear(&progress);
	return status;
}

/* ---- following ---- */

/* A stream that has stood for so long was worth its connection, whatever it brought: one that breaks sooner, again and
 * again, is waited for no longer than a daemon that is away. */
#define STOOD_US INT64_C(5000000)

struct follow {
	struct sse sse;
	const struct watcher *watcher;
	json_t *ended;
	struct patience patience;
	int64_t begun_us; /* of this stream */
	struct text last; /* the event that was seen last */
};

static int on_event(void *arg, const struct sse_event *event, struct err *e)
{
	struct follow *f = arg;

	if (strcmp(event->name, "job") == 0)
		return f->watcher->on_job(f->watcher->arg, event->data, event->len, e);
	if (strcmp(event->name, "batch") == 0) {
		json_decref(f->ended);
		f->ended = json_loadb(event->data, event->len, 0, NULL);
		if (!f->ended)
			return err_set(e, ERR_SYSTEM, NULL, "an event of the daemon is no JSON");
	}
	return 0;
}

/* A new event, or a sign of life on a stream that stands. */
static void note_heard(struct follow *f)
{
	const struct text *id = &f->sse.id;
	bool news = id->len != f->last.len || (id->len && memcmp(id->data, f->last.data, id->len) != 0);

	if (!news && (!f->sse.known || clock_boot_us() - f->begun_us < STOOD_US))
		return;
	patience_heard(&f->patience);
	f->last.len = 0;
	text_add(&f->last, id->data, id->len);
}

static int on_piece(void *arg, const char *data, size_t len, struct err *e)
{
	struct follow *f = arg;

	if (sse_feed(&f->sse, data, len, e))
		return -1;
	note_heard(f);
	if (f->watcher->on_pause)
		f->watcher->on_pause(f->watcher->arg);
	return 0;
}

int watch_events(struct client *c, uint32_t batch, const struct watcher *w, struct json_t **ended, struct err *e)
{
	struct follow f = {.watcher = w};
	struct call call = {.on_data = on_piece, .arg = &f};
	char path[64];
	struct text header = {0};

	f.sse.on_event = on_event;
	f.sse.arg = &f;
	snprintf(path, sizeof path, "/v1/batches/%u/events", batch);
	call.path = path;
	for (;;) {
		int rc;

		f.begun_us = clock_boot_us();
		rc = client_call(c, &call, e);
		if (f.ended)
			break;
		if (client_status(c) == 200)
			f.patience.heard = true;
		if (rc == 0 &&
		    sse_end(&f.sse, e) == 0) /* the stream ended before the batch did: the daemon is going down */
			err_set(e, ERR_UNREACHABLE, NULL, "the daemon ended the stream of events too early");
		if (!patience_again(&f.patience, c, e)) {
			patience_lost(&f.patience, c, "batch", batch, e);
			break;
		}
		sse_restart(&f.sse);
		if (f.sse.id.len) {
			header.len = 0;
			text_printf(&header, "Last-Event-ID: %s", f.sse.id.data);
			call.header = header.data;
		}
	}
	text_clear(&header);
	text_clear(&f.last);
	sse_clear(&f.sse);
	*ended = f.ended;
	return f.ended ? 0 : -1;
}

struct show {
	struct rows *rows;
	struct chains chains;
	bool table;
};

static int show_job(void *arg, const char *json, size_t len, struct err *e)
{
	struct show *s = arg;
	json_t *row;
	int rc;

	if (!s->table)
		return rows_put_text(s->rows, json, len, e);
	row = json_loadb(json, len, JSON_ALLOW_NUL, NULL);
	if (!row)
		return err_set(e, ERR_SYSTEM, NULL, "an event of the daemon is no JSON");
	chains_note(&s->chains, row);
	rc = rows_put(s->rows, row, e);
	json_decref(row);
	return rc;
}

static void show_pause(void *arg)
{
	rows_flush(((struct show *)arg)->rows);
}

#define EXPECT_ROWS 200

static int expect_row(void *arg, const char *line, size_t len, struct err *e)
{
	json_t *row = json_loadb(line, len, JSON_ALLOW_NUL, NULL);

	(void)e;
	if (row)
		rows_expect(arg, row);
	json_decref(row);
	return 0;
}

/* How long names, tags and URLs are is known before the first job ends: columns do not move then. */
static void expect_rows(struct ctl *ctl, uint32_t batch, struct rows *rows)
{
	struct lines lines = {.on_line = expect_row, .arg = rows};
	char path[80];
	struct call call = {.path = path, .on_data = lines_feed, .arg = &lines};
	struct err e;

	snprintf(path, sizeof path, "/v1/batches/%u/results?limit=%d", batch, EXPECT_ROWS);
	client_call(ctl->client, &call, &e); /* what goes wrong here will do so again, and is told then */
	lines_clear(&lines);
}

int watch_follow(struct ctl *ctl, uint32_t batch)
{
	struct show s = {.table = ctl->args.format == FORMAT_TABLE};
	const struct layout *layout;
	struct watcher w = {.on_job = show_job, .on_pause = show_pause, .arg = &s};
	json_t *ended;
	struct err e;
	int rc, status;

	layout = fields_layout(ctl->verb->name, ctl->args.fields, &layout_results, &e);
	if (!layout)
		return ctl_report(&e);
	s.rows = rows_open(ctl->args.format, layout, true);
	if (ctl->args.fields)
		rows_only_columns(s.rows);
	if (s.table)
		expect_rows(ctl, batch, s.rows);
	rc = watch_events(ctl->client, batch, &w, &ended, &e);
	rows_close(s.rows, rc == 0);
	if (rc < 0) {
		status = ctl_interrupted() ? watch_interrupted(ctl, batch) : ctl_report(&e);
	} else {
		fflush(stdout);
		if (!ctl->args.quiet)
			chains_print(&s.chains, stderr);
		status = watch_ended(ctl, ended);
		json_decref(ended);
	}
	chains_clear(&s.chains);
	return status;
}

/* ---- the verbs ---- */

/* All, before the first is waited for. */
static int check_batches(const struct ctl *ctl, struct err *e)
{
	uint32_t batch;

	for (size_t i = 0; i < ctl->args.operand_count; i++)
		if (ctl_parse_batch(ctl->args.operands[i], &batch, e) < 0)
			return -1;
	if (ctl->args.operand_count > 1 && (ctl->args.format == FORMAT_JSON || ctl->args.format == FORMAT_CSV))
		return err_set(e, ERR_USAGE, "-f ndjson has a line for each", " wait: -f %s is for one batch",
			       format_name(ctl->args.format));
	return 0;
}

/* Which of several statuses is the verb's own: what failed comes before what was cancelled or may still end well, and
 * what could not be waited for before all. */
static int badness(int status)
{
	static const int order[] = {STATUS_FINE, STATUS_CANCELLED, STATUS_TIMED_OUT, STATUS_FAILED};

	for (size_t i = 0; i < sizeof order / sizeof *order; i++)
		if (order[i] == status)
			return (int)i;
	return sizeof order / sizeof *order + (status == STATUS_INTERRUPTED);
}

int verb_wait(struct ctl *ctl)
{
	int64_t timeout_us = CLOCK_NEVER, start = clock_boot_us(), left;
	size_t count = ctl->args.operand_count;
	int status = STATUS_FINE, one = STATUS_FINE;
	struct err e;

	if (check_batches(ctl, &e) < 0 || ctl_connect(ctl, &e) < 0)
		return ctl_report(&e);
	if (ctl->args.timeout)
		units_parse_duration_us(ctl->args.timeout, &timeout_us, NULL);
	for (size_t i = 0; i < count && one != STATUS_UNREACHABLE && one != STATUS_INTERRUPTED; i++) {
		uint32_t batch = 0;

		ctl_parse_batch(ctl->args.operands[i], &batch, &e);
		left = timeout_us == CLOCK_NEVER ? CLOCK_NEVER : timeout_us - (clock_boot_us() - start);
		one = watch_wait(ctl, batch, left < 0 ? 0 : left);
		status = badness(one) > badness(status) ? one : status;
	}
	return status;
}

int verb_follow(struct ctl *ctl)
{
	uint32_t batch;
	struct err e;

	if (ctl_parse_batch(ctl->args.operands[0], &batch, &e) < 0 || ctl_connect(ctl, &e) < 0)
		return ctl_report(&e);
	return watch_follow(ctl, batch);
}
