/* Answers to a page's request: the page, the end, a refusal, or what a fault makes of it. */
#define ZLIB_CONST /* its input is not written to */
#include <event2/util.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zlib.h>

#include "tests/apisim/paged.h"

#define GZIP_WINDOW (15 + 16) /* zlib's way to say gzip and not zlib */

static void answer_message(struct request *req, struct paged_turn *t, int code, const char *message)
{
	t->status = code;
	reply_json(req, code, json_pack("{ss}", "message", message));
}

/* ---- Totals ---- */

static void add_range(struct request *req, const struct paged_turn *t)
{
	if (t->view.count > 0)
		reply_header(req, "Content-Range: items %" PRId64 "-%" PRId64 "/%" PRId64, t->view.from,
			     t->view.from + t->view.count - 1, paged_told_items(t));
	else
		reply_header(req, "Content-Range: items */%" PRId64, paged_told_items(t));
}

static void add_totals(struct request *req, const struct paged_turn *t)
{
	const unsigned totals = t->paged->set.totals;

	if (totals & TOTAL_X_COUNT)
		reply_header(req, "X-Total-Count: %" PRId64, paged_told_items(t));
	if (totals & TOTAL_X_PAGES)
		reply_header(req, "X-Total-Pages: %" PRId64, paged_told_pages(t));
	if (totals & TOTAL_RANGE)
		add_range(req, t);
}

static void add_cursor_header(struct request *req, struct paged_turn *t)
{
	const int64_t at = paged_next_at(t->paged, &t->place, &t->view);
	char *text;

	if (!t->paged->set.cursor_header[0] || (at < 0 && t->paged->set.last != LAST_EMPTY))
		return;
	text = at >= 0 ? paged_address(t->paged, &t->place, at) : strdup("");
	reply_header(req, "%s: %s", t->paged->set.cursor_header, text);
	free(text);
}

/* ---- Conditional requests ---- */

/* FNV-1a */
static uint64_t hash_of(const char *data, size_t n)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (size_t i = 0; i < n; i++)
		h = (h ^ (unsigned char)data[i]) * 0x100000001b3u;
	return h;
}

static void http_date(char *out, size_t size, int64_t seconds)
{
	const time_t when = (time_t)seconds;
	struct tm tm;

	strftime(out, size, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&when, &tm));
}

/* What If-None-Match and If-Modified-Since say (RFC 9110 section 13.2.2); a date is good only as the text we gave. */
static bool is_known(const struct request *req, unsigned told, const char *tag, const char *date)
{
	const char *tags = request_header(req, "If-None-Match"), *since = request_header(req, "If-Modified-Since");

	if (tags)
		return (told & TOLD_ETAG) && (strstr(tags, tag) || strcmp(tags, "*") == 0);
	return since && (told & TOLD_MODIFIED) && strcmp(since, date) == 0;
}

/* Adds the validators; true: the client has this body, a 304 is due. */
static bool add_validators(struct request *req, const struct paged_turn *t, const char *body, size_t n)
{
	const unsigned told = t->paged->set.told;
	char tag[24], date[40];

	if (!told)
		return false;
	snprintf(tag, sizeof tag, "\"%016" PRIx64 "\"", hash_of(body, n));
	http_date(date, sizeof date, PAGED_EPOCH_S + paged_record_changed(t->paged, t->place.page));
	if (told & TOLD_ETAG)
		reply_header(req, "ETag: %s%s", told & TOLD_WEAK ? "W/" : "", tag);
	if (told & TOLD_MODIFIED)
		reply_header(req, "Last-Modified: %s", date);
	return is_known(req, told, tag, date);
}

/* ---- The page ---- */

static char *zip(const char *data, size_t n, size_t *bytes)
{
	z_stream z = {0};
	char *out;

	deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY);
	*bytes = deflateBound(&z, n);
	out = malloc(*bytes);
	z.next_in = (const Bytef *)data;
	z.avail_in = (uInt)n;
	z.next_out = (Bytef *)out;
	z.avail_out = (uInt)*bytes;
	deflate(&z, Z_FINISH);
	*bytes -= z.avail_out;
	deflateEnd(&z);
	return out;
}

static void send_body(struct request *req, const struct paged_turn *t, const char *body, size_t n)
{
	const char *accepted = request_header(req, "Accept-Encoding");
	size_t zipped_bytes;
	char *zipped;

	if (!t->paged->set.gzip || !accepted || !strstr(accepted, "gzip")) {
		reply(req, t->status, "application/json", body, n);
		return;
	}
	zipped = zip(body, n, &zipped_bytes);
	reply_header(req, "Content-Encoding: gzip");
	reply(req, t->status, "application/json", zipped, zipped_bytes);
	free(zipped);
}

void paged_answer_page(struct request *req, struct paged_turn *t)
{
	size_t n;
	char *body = paged_body(req, t, &n);

	add_totals(req, t);
	add_cursor_header(req, t);
	paged_links_add(req, t);
	t->status = add_validators(req, t, body, n) ? 304 : 200;
	if (t->status == 304)
		reply(req, 304, NULL, "", 0);
	else
		send_body(req, t, body, n);
	free(body);
}

/* ---- All else ---- */

void paged_answer_past(struct request *req, struct paged_turn *t)
{
	const char *end = t->paged->set.end;

	if (strcmp(end, "soft") == 0)
		answer_message(req, t, 200, "Page not found");
	else if (atoi(end) > 0)
		answer_message(req, t, atoi(end), "Page not found");
	else
		paged_answer_page(req, t);
}

void paged_answer_wrong(struct request *req, struct paged_turn *t)
{
	answer_message(req, t, (int)t->place.wrong_code, t->place.wrong);
}

void paged_answer_token(struct request *req, struct paged_turn *t)
{
	if (t->paged->set.token_code == 401)
		reply_header(req, "WWW-Authenticate: Bearer realm=\"apisim\"");
	answer_message(req, t, t->paged->set.token_code, "Token not valid!");
}

/* ---- Faults ---- */

static void fault_soft(struct request *req, struct paged_turn *t)
{
	answer_message(req, t, 200, "Something went wrong");
}

static void fault_garbage(struct request *req, struct paged_turn *t)
{
	static const char text[] = "{\"result\":[{\"id\":1,\"name\":<html>";

	t->status = 200;
	reply(req, 200, "application/json", text, sizeof text - 1);
}

/* Half of the page that its Content-Length announces. */
static void send_half(struct request *req, struct paged_turn *t)
{
	size_t n;
	char *body = paged_body(req, t, &n);

	reply_head(req, 200, "application/json", (int64_t)n);
	reply_raw(req, body, n / 2);
	free(body);
}

static void fault_cut(struct request *req, struct paged_turn *t)
{
	send_half(req, t);
	reply_close(req);
}

static void fault_reset(struct request *req, struct paged_turn *t)
{
	send_half(req, t);
	reply_reset(req);
}

static void fault_hang(struct request *req, struct paged_turn *t)
{
	(void)req;
	(void)t;
}

/* In the order of paged_fault_words. */
static void (*const faults[])(struct request *req, struct paged_turn *t) = {fault_soft, fault_garbage, fault_cut,
									    fault_reset, fault_hang};

void paged_answer_fault(struct request *req, struct paged_turn *t)
{
	if (t->fault->code)
		answer_message(req, t, t->fault->code, reply_phrase(t->fault->code));
	else
		faults[t->fault->what](req, t);
}
