/* Gathering jobs, and the three requests of a submission: make, add, close. A small one is a single request. */
#include "cli/feed.h"

#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/ctl.h"
#include "cli/same.h"
#include "lib/clock.h"

#define REQUEST_BYTES \
	(128u << 10) /* sent when this much has gathered: about 5 ms of the daemon, in which nobody else is heard */
#define AT_ONCE_JOBS   1000u /* with the batch itself, in one request; what the daemon takes */
#define PATIENCE_US    INT64_C(30000000)
#define REMOVE_WAIT_MS 10000

struct feed_mark {
	unsigned at;   /* line of the request, from 1 */
	unsigned line; /* line of the input */
};

static void mark(struct feed *f, unsigned line)
{
	struct feed_mark *grown;

	if (f->repeat == 1 && f->mark_count) {
		const struct feed_mark *last = &f->marks[f->mark_count - 1];

		if (line - last->line == f->jobs + 1 - last->at)
			return; /* the lines go on side by side */
	}
	if (!f->marks || f->mark_count == f->mark_room) {
		f->mark_room = f->mark_room ? 2 * f->mark_room : 64;
		grown = realloc(f->marks, f->mark_room * sizeof *grown);
		if (!grown)
			BUG("out of memory");
		f->marks = grown;
	}
	f->marks[f->mark_count++] = (struct feed_mark){f->jobs + 1, line};
}

static unsigned input_line(const struct feed *f, unsigned at)
{
	for (size_t i = f->mark_count; i > 0; i--) {
		const struct feed_mark *m = &f->marks[i - 1];

		if (m->at <= at)
			return f->repeat == 1 ? m->line + (at - m->at) : m->line;
	}
	return 0;
}

/* Puts "urls.txt:5007: " in front of what the daemon said about a line of the request. */
static int blame(const struct feed *f, struct err *e)
{
	struct err said = *e;
	unsigned line = said.line ? input_line(f, said.line) : 0;

	if (!f->source || !line)
		return -1;
	err_set(e, said.code, said.hint, "%.100s:%u: %.280s", f->source, line, said.what);
	e->line = line;
	return -1;
}

/* ---- requests ---- */

static json_t *post(struct feed *f, const struct text *body, struct err *e, const char *path, uint32_t batch,
		    const char *tail)
{
	json_t *j = batch ? client_post_json(f->client, body->data, body->len, e, "%s/%u%s", path, batch, tail)
			  : client_post_json(f->client, body->data, body->len, e, "%s", path);

	f->lost = !j && client_sent(f->client) &&
		  (e->code == ERR_UNREACHABLE || e->code == ERR_UNKNOWN || e->code == ERR_NONE); /* interrupted */
	return j;
}

/* An end can be told twice, and is not refused because there is too much. */
static bool may_repeat(const struct feed *f, const struct err *e)
{
	return f->ending ? e->code == ERR_UNREACHABLE || e->code == ERR_BUSY : e->code == ERR_UNREACHABLE && !f->lost;
}

/* A daemon that is being restarted comes back. */
static json_t *post_patiently(struct feed *f, const struct text *body, struct err *e, const char *tail)
{
	int64_t until = clock_boot_us() + PATIENCE_US;
	json_t *j;

	while (!(j = post(f, body, e, "/v1/batches", f->batch, tail))) {
		if (!may_repeat(f, e) || clock_boot_us() > until)
			return NULL;
		poll(NULL, 0, 100);
	}
	return j;
}

/* The submission key makes this safe to repeat when the answer was lost. What a second refusal says of the first
 * request is nothing, but where it is of the lines. */
static json_t *post_batch(struct feed *f, const struct text *body, struct err *e)
{
	json_t *j = post(f, body, e, "/v1/batches", 0, "");

	if (j || !f->lost || e->code != ERR_UNREACHABLE)
		return j;
	j = post(f, body, e, "/v1/batches", 0, "");
	f->again = true;
	f->lost = !j && e->code != ERR_INPUT;
	return j;
}

/* An open batch with our key: ours when the answer that it was made was lost, and it is empty; else of another
 * submission, which may be just about to fill it. */
static int check_open(struct feed *f, struct err *e)
{
	json_t *j = client_get_json(f->client, e, "/v1/batches/%u", f->batch), *count;
	json_int_t jobs = 0;
	const char *state;

	if (!j)
		return -1;
	json_object_foreach (json_object_get(j, "counts"), state, count)
		jobs += json_integer_value(count);
	json_decref(j);
	f->existed = jobs > 0 || !f->again;
	if (!f->existed)
		return 0;
	return err_set(e, ERR_CONFLICT,
		       "nothing was submitted; look at it with fanoutctl status; cancel and rm it to submit again",
		       "batch %u was begun with this key and is not complete (%lld jobs are in it)", f->batch,
		       (long long)jobs);
}

static int made(struct feed *f, json_t *answer, struct err *e)
{
	bool existed = json_is_true(json_object_get(answer, "existed"));
	bool closed = json_is_true(json_object_get(answer, "closed"));

	f->batch = (uint32_t)json_integer_value(json_object_get(answer, "batch"));
	f->there = (uint64_t)json_integer_value(json_object_get(answer, "jobs"));
	json_decref(answer);
	if (f->batch == 0)
		return err_set(e, ERR_SYSTEM, NULL, "the daemon's answer names no batch");
	f->existed = existed;
	if (existed && closed)
		f->other = !same_urls(f->client, f->batch, &f->lines);
	return existed && !closed ? check_open(f, e) : 0;
}

static int make_batch(struct feed *f, struct err *e)
{
	struct text body = {0};
	json_t *answer;

	text_add(&body, f->options, strlen(f->options) - 1); /* without its closing brace */
	text_add_str(&body, f->hold ? ",\"hold\":true,\"close\":false}" : ",\"close\":false}");
	answer = post_batch(f, &body, e);
	text_clear(&body);
	return answer ? made(f, answer, e) : -1;
}

/* ---- more than one line may be at fault ---- */

/* Of a file, that is taken whole or not at all, all refused lines are told. */
static bool tells_all(const struct feed *f)
{
	return f->hold && f->source;
}

/* What the daemon said of a line of the request. */
static void refusal_read(const json_t *row, struct err *e)
{
	const char *detail = json_string_value(json_object_get(row, "detail"));

	client_said(e, ERR_INPUT, detail ? detail : "refused", json_string_value(json_object_get(row, "hint")));
	e->line = (unsigned)json_integer_value(json_object_get(row, "line"));
}

/* Has the daemon look at what has gathered. Refused lines are noted, or the first is the error, and has a line. */
static int look_at(struct feed *f, struct err *e)
{
	json_t *answer = client_post_json(f->client, f->lines.data, f->lines.len, e, "/v1/check"), *refusals, *row;
	struct err one;
	size_t i;
	int rc = answer ? 0 : -1;

	refusals = json_object_get(answer, "refusals");
	json_array_foreach (refusals, i, row) {
		refusal_read(row, &one);
		if (!tells_all(f)) {
			*e = one;
			rc = -1;
			break;
		}
		refusals_note(&f->refusals, input_line(f, one.line), &one);
	}
	json_decref(answer);
	return rc;
}

static int take_lines(struct feed *f, struct err *e)
{
	json_t *answer;

	if (f->batch == 0 && make_batch(f, e) < 0)
		return -1;
	if (f->existed)
		return 0;
	answer = post_patiently(f, &f->lines, e, "/jobs");
	if (!answer)
		return -1;
	json_decref(answer);
	if (f->taken == 0 && f->on_created && !f->hold)
		f->on_created(f->arg, f->batch);
	f->taken += f->jobs;
	return 0;
}

/* However the lines of a pipe came, what stands before the first that is refused is taken, and nothing behind it. */
static int take_before(struct feed *f, struct err *e)
{
	struct err said = *e;
	size_t end = 0;

	blame(f, &said);
	f->jobs = e->line - 1;
	for (unsigned i = 0; i < f->jobs && end < f->lines.len; end++)
		i += f->lines.data[end] == '\n';
	f->lines.len = end;
	if (f->jobs && take_lines(f, e) < 0)
		return blame(f, e);
	*e = said;
	return -1;
}

/* A line was refused. 0: it is noted. */
static int refuse(struct feed *f, struct err *e)
{
	struct err seen;

	if (!f->source || !e->line || e->line > f->jobs)
		return blame(f, e);
	if (look_at(f, &seen) < 0 && seen.line)
		*e = seen; /* in the words of a line, and not of a batch */
	if (!f->hold)
		return take_before(f, e);
	return f->refusals.count ? 0 : blame(f, e);
}

/* All of it in one request: taken or not, as one. */
static int make_at_once(struct feed *f, struct err *e)
{
	struct text body = {0};
	json_t *answer;
	size_t from;
	int rc;

	text_add(&body, f->options, strlen(f->options) - 1);
	text_add_str(&body, ",\"close\":true,\"jobs\":[");
	from = body.len;
	text_add(&body, f->lines.data, f->lines.len - 1);
	for (size_t i = from; i < body.len; i++)
		if (body.data[i] == '\n')
			body.data[i] = ',';
	text_add_str(&body, "]}");
	answer = post_batch(f, &body, e);
	text_clear(&body);
	if (!answer)
		return refuse(f, e) < 0 ? -1 : refusals_tell(&f->refusals, f->source, e);
	rc = made(f, answer, e);
	f->taken += f->existed || rc < 0 ? 0 : f->jobs;
	f->offered += f->jobs;
	return rc;
}

int feed_flush(struct feed *f, struct err *e)
{
	int rc = 0;

	if (f->jobs && !f->existed) {
		if (f->refusals.count)
			rc = look_at(f, e);
		else if (take_lines(f, e) < 0)
			rc = refuse(f, e);
	}
	f->offered += f->jobs;
	f->lines.len = 0;
	f->jobs = 0;
	f->mark_count = 0;
	return rc;
}

/* ---- adding ---- */

static int repeat_line(struct feed *f, size_t from, unsigned line, struct err *e)
{
	size_t len = f->lines.len - from;
	char *copy = NULL;
	int rc = 0;

	if (f->repeat > 1) {
		copy = malloc(len);
		if (!copy)
			BUG("out of memory");
		memcpy(copy, f->lines.data + from, len);
	}
	for (uint64_t n = 1; rc == 0; n++) {
		f->jobs++;
		if (f->lines.len >= REQUEST_BYTES)
			rc = feed_flush(f, e);
		if (n == f->repeat)
			break;
		if (f->jobs == 0)
			mark(f, line);
		text_add(&f->lines, copy, len);
	}
	free(copy);
	return rc;
}

int feed_refuse(struct feed *f, unsigned line, const struct err *why, struct err *e)
{
	if (tells_all(f)) {
		refusals_note(&f->refusals, line, why);
		return 0;
	}
	if (f->source && feed_flush(f, e) < 0)
		return -1;
	if (!f->source)
		return err_set(e, why->code, why->hint, "%s", why->what);
	return err_set(e, why->code, why->hint, "%.100s:%u: %.280s", f->source, line, why->what);
}

static int refuse_url(struct feed *f, unsigned line, const char *what, struct err *e)
{
	struct err one;

	err_set(&one, ERR_INPUT, "percent-encode such bytes", "the URL %s", what);
	return feed_refuse(f, line, &one, e);
}

int feed_add_url(struct feed *f, const char *url, size_t len, unsigned line, struct err *e)
{
	size_t from = f->lines.len;

	/* The daemon would find it in no line where all go in one request: its JSON can't be read then. */
	if (memchr(url, '\0', len))
		return refuse_url(f, line, "has a NUL byte", e);
	mark(f, line);
	text_add(&f->lines, "{\"url\":", 7);
	if (text_add_json(&f->lines, url, len) < 0) {
		f->lines.len = from;
		return refuse_url(f, line, "is not valid UTF-8", e);
	}
	if (f->tag_json) {
		text_add(&f->lines, ",\"tag\":", 7);
		text_add_str(&f->lines, f->tag_json);
	}
	text_add(&f->lines, "}\n", 2);
	return repeat_line(f, from, line, e);
}

int feed_add_json(struct feed *f, const char *json, size_t len, unsigned line, struct err *e)
{
	size_t from = f->lines.len;

	f->foreign = true;
	mark(f, line);
	text_add(&f->lines, json, len);
	text_add_char(&f->lines, '\n');
	return repeat_line(f, from, line, e);
}

/* ---- ending ---- */

int feed_finish(struct feed *f, struct err *e)
{
	json_t *answer;

	if (f->batch == 0 && f->jobs == 0 && !f->refusals.count)
		return err_set(e, ERR_USAGE, "give URLs, or -i FILE with one URL a line", "no URLs%s%s",
			       f->source ? " in " : "", f->source ? f->source : "");
	if (f->batch == 0 && f->jobs <= AT_ONCE_JOBS && !f->foreign && !f->refusals.count)
		return make_at_once(f, e);
	if (feed_flush(f, e) < 0)
		return -1;
	if (f->refusals.count)
		return refusals_tell(&f->refusals, f->source, e);
	if (f->existed)
		return 0;
	f->ending = true;
	answer = post_patiently(f, &(struct text){0}, e, "/close");
	if (!answer)
		return -1;
	json_decref(answer);
	return 0;
}

/* It has to end before it can go. */
static bool remove_batch(struct feed *f)
{
	static const struct text nothing;
	json_t *j = client_delete(f->client, NULL, "/v1/batches/%u", f->batch);

	if (!j) {
		json_decref(post(f, &nothing, &(struct err){0}, "/v1/batches", f->batch, "/cancel"));
		json_decref(
		    client_get_json(f->client, NULL, "/v1/batches/%u/wait?timeout=%dms", f->batch, REMOVE_WAIT_MS));
		j = client_delete(f->client, NULL, "/v1/batches/%u", f->batch);
	}
	json_decref(j);
	return j != NULL;
}

/* What became of the jobs is never what is cut. */
static void tell(struct err *e, const char *text)
{
	size_t n = strlen(e->hint), room = sizeof e->hint - strlen(text) - sizeof "...; ";

	if (n > room) {
		strcpy(e->hint + room, "...");
		n = strlen(e->hint);
	}
	snprintf(e->hint + n, sizeof e->hint - n, "%s%s", n ? "; " : "", text);
}

void feed_abandon(struct feed *f, struct err *e)
{
	char text[200] = "nothing was submitted";
	bool away = e->code == ERR_UNREACHABLE || e->code == ERR_UNKNOWN, lost = f->lost && !f->ending;
	/* While it was empty: filled or removed by another submission with its key. */
	bool others = f->taken == 0 && (e->code == ERR_CONFLICT || e->code == ERR_NOT_FOUND);

	ctl_forget_interrupt();
	if (f->batch == 0 || others) {
		if (f->lost)
			snprintf(text, sizeof text, "it may or may not have been taken: fanoutctl status shows");
	} else if (away && f->ending) {
		snprintf(text, sizeof text,
			 "all jobs (%llu) are in batch %u, which may run; to stop it: fanoutctl cancel %u",
			 (unsigned long long)f->taken, f->batch, f->batch);
	} else if (away) {
		/* No daemon to put it in order with. */
		snprintf(text, sizeof text,
			 "batch %u was begun and not closed; jobs surely in it: %llu%s. %s fanoutctl cancel %u",
			 f->batch, (unsigned long long)f->taken, f->lost ? " and perhaps the last request's" : "",
			 f->hold ? "It does not run; to be rid of it:" : "They run; to stop them:", f->batch);
	} else if (f->hold || f->taken == 0) {
		if (!remove_batch(f))
			snprintf(text, sizeof text,
				 "batch %u does not run; fanoutctl rm %u removes it when it is cancelled", f->batch,
				 f->batch);
	} else {
		f->ending = true;
		json_decref(post_patiently(f, &(struct text){0}, &(struct err){0}, "/close"));
		snprintf(
		    text, sizeof text,
		    "what came before it (%llu%s) was taken as batch %u and goes on; to stop it: fanoutctl cancel %u",
		    (unsigned long long)f->taken, lost ? ", and perhaps the last request's" : "", f->batch, f->batch);
	}
	tell(e, text);
}

void feed_clear(struct feed *f)
{
	text_clear(&f->lines);
	free(f->marks);
}
