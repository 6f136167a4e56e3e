/* A batch's results as NDJSON: a page of rows is read from the store when the client has taken the one before, so that
 * a slow reader costs one page. Bodies that lie in files go out as base64, a piece at a time. */
#define _GNU_SOURCE 1

#include <errno.h>
#include <event2/buffer.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "daemon/api.h"
#include "daemon/api_stream.h"
#include "daemon/render.h"
#include "lib/base64.h"

#define PAGE_ROWS        256
#define PAGE_ROWS_BODIES 16
#define PIECE_BYTES      (192u << 10) /* a multiple of 3: base64 without padding in the middle */

/* Which of the two a job is, is not the store's last word (api_shown_state). */
#define EITHER (1u << JOB_QUEUED | 1u << JOB_RUNNING)

/* What is still to go out of the page: text, or a file's bytes. */
struct segment {
	STAILQ_ENTRY(segment) next;
	struct evbuffer *text; /* NULL: a file */
	char path[JOBID_PATH_SIZE];
	int fd;
};

struct results {
	struct api_stream stream;
	struct store_results op;
	STAILQ_HEAD(, segment) segments;
	int64_t left;    /* rows to show yet */
	unsigned states; /* to show; 0: all */
	bool with_body;
};

#define OF(p, member) ((struct results *)((char *)(p)-offsetof(struct results, member)))

static void go(struct http_request *r);

/* ---- segments ---- */

static void segment_free(struct segment *s)
{
	if (s->text)
		evbuffer_free(s->text);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

static void segment_done(struct results *v)
{
	struct segment *s = STAILQ_FIRST(&v->segments);

	STAILQ_REMOVE_HEAD(&v->segments, next);
	segment_free(s);
}

static struct segment *segment_add(struct results *v)
{
	struct segment *s = api_alloc(sizeof *s);

	s->fd = -1;
	STAILQ_INSERT_TAIL(&v->segments, s, next);
	return s;
}

/* What has been written to `out` so far becomes a segment. */
static void cut(struct results *v)
{
	if (evbuffer_get_length(v->stream.out) == 0)
		return;
	segment_add(v)->text = v->stream.out;
	v->stream.out = evbuffer_new();
}

static void results_free(struct api_stream *s)
{
	struct results *v = (struct results *)s;

	while (!STAILQ_EMPTY(&v->segments))
		segment_done(v);
	free(v);
}

/* ---- sending a page ---- */

/* Reads as much as there is up to PIECE_BYTES; -1 on error. */
static ssize_t read_piece(int fd, char *buf)
{
	size_t n = 0;

	while (n < PIECE_BYTES) {
		ssize_t got = read(fd, buf + n, PIECE_BYTES - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

/* The next piece of a file, as base64, to `out`; nothing at its end. */
static int add_piece(struct results *v, struct segment *s)
{
	char *raw = api_alloc(PIECE_BYTES + BASE64_SIZE(PIECE_BYTES)), *text = raw + PIECE_BYTES;
	ssize_t n;

	if (s->fd < 0)
		s->fd = openat(store_bodies_fd(api_store(v->stream.api)), s->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	n = s->fd < 0 ? -1 : read_piece(s->fd, raw);
	if (n > 0)
		evbuffer_add(v->stream.out, text, base64_encode(text, raw, (size_t)n));
	free(raw);
	return n < 0 ? -1 : 0;
}

static void send_file(struct results *v, struct segment *s)
{
	struct err e;

	if (add_piece(v, s)) {
		err_set(&e, ERR_SYSTEM, NULL, "cannot read the body %s: %s", s->path, strerror(errno));
		api_stream_fail(&v->stream, &e);
		return;
	}
	if (evbuffer_get_length(v->stream.out) == 0) {
		segment_done(v);
		http_defer(v->stream.r, go);
		return;
	}
	http_stream_chunk(v->stream.r, v->stream.out, go);
}

static void go(struct http_request *r)
{
	struct results *v = http_state(r);
	struct segment *s = STAILQ_FIRST(&v->segments);

	if (!s) {
		if (v->op.more && v->left > 0)
			v->stream.step(r);
		else
			api_stream_end(&v->stream);
	} else if (s->text) {
		http_stream_chunk(r, s->text, go);
		segment_done(v);
	} else {
		send_file(v, s);
	}
}

/* ---- reading a page ---- */

static void on_row(struct store_results *op, const struct store_result *row)
{
	struct results *v = OF(op, op);
	struct store_result shown;
	struct segment *s;

	if (v->left == 0 || (v->states && !(v->states & 1u << api_shown_state(v->stream.api, row))))
		return;
	v->left--;
	shown = api_shown_result(v->stream.api, row);
	if (!v->with_body || !job_state_final(row->state)) {
		render_row(v->stream.out, &shown);
	} else if (!row->body_in_file) {
		render_row_open(v->stream.out, &shown);
		render_row_body(v->stream.out, row->body, row->body_bytes);
	} else {
		render_row_open(v->stream.out, &shown);
		evbuffer_add_printf(v->stream.out, ",\"body_base64\":\"");
		cut(v);
		s = segment_add(v);
		jobid_body_path(s->path, row->job, row->attempts);
		evbuffer_add_printf(v->stream.out, "\"}\n");
	}
}

static void on_page(struct store_op *op, const struct err *e)
{
	struct results *v = OF(op, op.op);

	if (!api_stream_read(&v->stream, e))
		return;
	v->op.after_seq = v->op.last_seq;
	cut(v);
	api_stream_send(&v->stream);
}

static void pull(struct http_request *r)
{
	struct results *v = http_state(r);
	int64_t rows = v->with_body ? PAGE_ROWS_BODIES : PAGE_ROWS;

	v->op.limit = (size_t)(v->op.state_mask || rows < v->left ? rows : v->left);
	v->stream.reading = true;
	store_results(api_store(v->stream.api), &v->op);
}

/* ---- the request ---- */

static int read_states(struct http_request *r, unsigned *mask, struct err *e)
{
	const char *text = http_query(r, "state");
	char word[16];

	*mask = 0;
	while (text) {
		size_t n = strcspn(text, ",");
		int state = -1;

		if (n < sizeof word) {
			memcpy(word, text, n);
			word[n] = '\0';
			state = job_state_parse(word);
		}
		if (state < 0)
			return err_set(e, ERR_INPUT, "states are blocked queued running done failed cancelled",
				       "state=%.60s names no state", text);
		*mask |= 1u << state;
		text = text[n] ? text + n + 1 : NULL;
	}
	return 0;
}

static void begin(struct http_request *r, const struct api_batch *b)
{
	struct api *a = http_arg(r);
	int64_t after, limit, body;
	struct results *v;
	unsigned mask;
	struct err e;

	if (api_query_number(r, "after", 0, JOBID_SEQ_MAX, 0, &after, &e) ||
	    api_query_number(r, "limit", 1, JOBID_SEQ_MAX, JOBID_SEQ_MAX, &limit, &e) ||
	    api_query_number(r, "body", 0, 1, 0, &body, &e) || read_states(r, &mask, &e) || !api_stream_enter(a, &e)) {
		http_problem(r, &e);
		return;
	}
	v = api_alloc(sizeof *v);
	v->op.op.done = on_page;
	v->op.batch = b->row.id;
	v->op.after_seq = (uint32_t)after;
	v->states = mask;
	v->op.state_mask = mask & EITHER ? mask | EITHER : mask;
	v->op.with_body = v->with_body = body == 1;
	v->op.on_row = on_row;
	v->left = limit;
	v->stream = (struct api_stream){.broken = "results broken off", .step = pull, .go = go, .free = results_free};
	STAILQ_INIT(&v->segments);
	api_stream_start(&v->stream, r);
}

void api_results(struct http_request *r)
{
	api_with_batch(r, (uint32_t)http_id(r), 0, begin);
}
