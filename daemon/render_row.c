/* One row of results, as text. A batch has millions, and a tree of JSON values for each costs more than all the rest of
 * reading it; so the shape is written out here, once, and who wants a tree reads the text. What is not plain ASCII is
 * left to jansson. */
#define _GNU_SOURCE 1

#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/render_private.h"
#include "lib/base64.h"
#include "lib/clock.h"
#include "lib/err.h"

/* The row being written: one thread, and it is copied at once. */
static struct {
	char *at;
	size_t n, room;
} row_text;

static char *reserve(size_t n)
{
	if (row_text.n + n > row_text.room) {
		row_text.room = (row_text.n + n) * 2;
		row_text.at = realloc(row_text.at, row_text.room);
		if (!row_text.at)
			BUG("out of memory for an answer");
	}
	return row_text.at + row_text.n;
}

static void put(const char *s, size_t n)
{
	memcpy(reserve(n), s, n);
	row_text.n += n;
}

#define PUT(literal) put("" literal, sizeof(literal) - 1)

/* ---- values ---- */

static void put_number(int64_t v)
{
	char digits[20];
	size_t i = sizeof digits;
	uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;

	do
		digits[--i] = (char)('0' + u % 10);
	while (u /= 10);
	if (v < 0)
		PUT("-");
	put(digits + i, sizeof digits - i);
}

static void put_number_or_null(int64_t v)
{
	if (v)
		put_number(v);
	else
		PUT("null");
}

static bool is_plain(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)(s[i] - 0x20) >= 0x7f - 0x20 || s[i] == '"' || s[i] == '\\')
			return false;
	return true;
}

/* Takes the reference. */
static void put_json(json_t *text)
{
	size_t n = json_dumpb(text, NULL, 0, JSON_ENCODE_ANY);

	json_dumpb(text, reserve(n), n, JSON_ENCODE_ANY);
	row_text.n += n;
	json_decref(text);
}

static void put_quoted(const char *s, size_t n)
{
	char *p = reserve(n + 2);

	p[0] = '"';
	memcpy(p + 1, s, n);
	p[n + 1] = '"';
	row_text.n += n + 2;
}

static void put_text(const char *s)
{
	size_t n = s ? strlen(s) : 0;

	if (n == 0)
		PUT("null");
	else if (is_plain(s, n))
		put_quoted(s, n);
	else
		put_json(render_text(s));
}

static void put_word(const char *word)
{
	put_quoted(word, strlen(word));
}

static void put_time(int64_t wall_us)
{
	char text[CLOCK_RFC3339_SIZE];

	if (wall_us)
		put_word(clock_format_rfc3339(text, wall_us));
	else
		PUT("null");
}

/* ---- the row ---- */

static void put_job(uint64_t job)
{
	PUT("{\"job\":\"");
	put_number(jobid_batch(job));
	PUT(".");
	put_number(jobid_seq(job));
	PUT("\",\"batch\":");
	put_number(jobid_batch(job));
	PUT(",\"seq\":");
	put_number(jobid_seq(job));
}

static void put_request(const struct store_result *row)
{
	PUT(",\"chain\":");
	put_text(row->chain);
	PUT(",\"tag\":");
	put_text(row->tag);
	PUT(",\"method\":");
	put_text(row->method);
	PUT(",\"url\":");
	put_text(row->url);
}

static void put_outcome(const struct store_result *row)
{
	PUT(",\"state\":");
	put_word(job_state_name(row->state));
	PUT(",\"reason\":");
	if (row->reason)
		put_word(job_reason_name(row->reason));
	else
		PUT("null");
	PUT(",\"status\":");
	put_number_or_null(row->status);
	PUT(",\"attempts\":");
	put_number(row->attempts);
	PUT(",\"size\":");
	put_number(row->size_bytes);
	PUT(",\"content_type\":");
	put_text(row->content_type);
	PUT(",\"remote_ip\":");
	put_text(row->remote_ip);
	PUT(",\"http_version\":");
	put_text(render_http_version(row->http_version));
}

static void put_times(const struct store_result *row)
{
	PUT(",\"submitted_at\":");
	put_time(row->submitted_us);
	PUT(",\"started_at\":");
	put_time(row->started_us);
	PUT(",\"ended_at\":");
	put_time(row->ended_us);
	PUT(",\"error\":");
	put_text(row->error);
}

static void put_timings(const struct store_result *row)
{
	PUT(",\"timings\":{\"queued_us\":");
	put_number(row->queued_us);
	PUT(",\"limited_us\":");
	put_number(row->limited_us);
	PUT(",\"dns_us\":");
	put_number(row->timings.dns_us);
	PUT(",\"connect_us\":");
	put_number(row->timings.connect_us);
	PUT(",\"tls_us\":");
	put_number(row->timings.tls_us);
	PUT(",\"send_us\":");
	put_number(row->timings.send_us);
	PUT(",\"wait_us\":");
	put_number(row->timings.wait_us);
	PUT(",\"receive_us\":");
	put_number(row->timings.receive_us);
	PUT(",\"total_us\":");
	put_number(row->timings.total_us);
	PUT("}");
}

static void put_row(const struct store_result *row)
{
	row_text.n = 0;
	put_job(row->job);
	put_request(row);
	put_outcome(row);
	put_times(row);
	put_timings(row);
}

void render_row_open(struct evbuffer *out, const struct store_result *row)
{
	put_row(row);
	evbuffer_add(out, row_text.at, row_text.n);
}

void render_row(struct evbuffer *out, const struct store_result *row)
{
	put_row(row);
	PUT("}\n");
	evbuffer_add(out, row_text.at, row_text.n);
}

json_t *render_result(const struct store_result *row)
{
	json_t *o;

	put_row(row);
	PUT("}");
	o = json_loadb(row_text.at, row_text.n, 0, NULL);
	if (!o)
		BUG("a row is no JSON");
	return o;
}

/* ---- its body ---- */

static void put_base64(const void *body, size_t n)
{
	char *p;

	PUT(",\"body_base64\":\"");
	p = reserve(BASE64_SIZE(n));
	row_text.n += base64_encode(p, body, n);
	PUT("\"");
}

void render_row_body(struct evbuffer *out, const void *body, size_t n)
{
	const char *s = n ? body : "";
	json_t *text;

	row_text.n = 0;
	if (is_plain(s, n)) {
		PUT(",\"body\":");
		put_quoted(s, n);
	} else if (memchr(s, '\0', n) || !(text = json_stringn(s, n))) {
		put_base64(s, n);
	} else {
		PUT(",\"body\":");
		put_json(text);
	}
	PUT("}\n");
	evbuffer_add(out, row_text.at, row_text.n);
}
