/* What an API ought to do. */
#include <event2/event.h>
#include <event2/http.h>
#include <event2/util.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "tests/apisim/handlers.h"

static void delay_over(struct request *req)
{
	reply_json(req, 200, json_pack("{sf}", "delay", atof(req->rest)));
}

void plain_delay(struct request *req)
{
	const double seconds = atof(req->rest);

	request_after(req, seconds > 0 ? seconds : 0, delay_over);
}

void plain_uuid(struct request *req)
{
	unsigned char u[16];
	char text[37];

	evutil_secure_rng_get_bytes(u, sizeof u);
	u[6] = (u[6] & 0x0f) | 0x40;
	u[8] = (u[8] & 0x3f) | 0x80;
	snprintf(text, sizeof text, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1],
		 u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
	reply_json(req, 200, json_pack("{ss}", "uuid", text));
}

void plain_status(struct request *req)
{
	const int code = atoi(req->rest);

	if (code < 200 || code > 999)
		reply_text(req, 400, "a status is 200 to 999\n");
	else
		reply_text(req, code, "%d %s\n", code, reply_phrase(code));
}

void plain_json(struct request *req)
{
	reply_json(req, 200, json_pack("{sbs[iii]}", "ok", 1, "items", 1, 2, 3));
}

/* ---- Many bytes, in little memory ---- */

#define PATTERN_PERIOD 251
#define PATTERN_BYTES  (PATTERN_PERIOD * 256)

struct bytes_left {
	uint64_t at, total;
	bool chunked;
};

static void bytes_produce(struct request *req)
{
	static unsigned char pattern[PATTERN_BYTES + PATTERN_PERIOD];
	struct bytes_left *b = req->state;
	const uint64_t left = b->total - b->at;
	const size_t n = left < PATTERN_BYTES ? left : PATTERN_BYTES;

	if (!pattern[1])
		for (size_t i = 0; i < sizeof pattern; i++)
			pattern[i] = (unsigned char)(i % PATTERN_PERIOD);
	if (b->chunked)
		reply_chunk(req, pattern + b->at % PATTERN_PERIOD, n);
	else
		reply_raw(req, pattern + b->at % PATTERN_PERIOD, n);
	b->at += n;
	if (b->chunked && n > 0 && b->at == b->total)
		reply_chunk(req, "", 0);
	if (b->at == b->total)
		reply_end(req);
}

void plain_bytes(struct request *req)
{
	struct bytes_left *b = calloc(1, sizeof *b);

	req->state = b;
	b->total = strtoull(req->rest, NULL, 10);
	b->chunked = request_query(req, "chunked");
	reply_head(req, 200, "application/octet-stream", b->chunked ? -1 : (int64_t)b->total);
	reply_stream(req, bytes_produce);
}

/* ---- Echo ---- */

static json_t *pairs_to_json(const struct evkeyvalq *pairs)
{
	json_t *object = json_object();
	const struct evkeyval *kv;

	TAILQ_FOREACH (kv, pairs, next) {
		const json_t *before = json_object_get(object, kv->key);

		if (before)
			json_object_set_new(object, kv->key,
					    json_sprintf("%s, %s", json_string_value(before), kv->value));
		else
			json_object_set_new(object, kv->key, json_string(kv->value));
	}
	return object;
}

/* As text where it is UTF-8, as hexadecimal digits where not. */
static void add_body(json_t *object, const struct request *req)
{
	json_t *text = json_stringn(req->body, req->body_bytes);
	char *hex;

	if (text) {
		json_object_set_new(object, "body", text);
		return;
	}
	hex = calloc(1, req->body_bytes * 2 + 1);
	for (size_t i = 0; i < req->body_bytes; i++)
		snprintf(hex + 2 * i, 3, "%02x", (unsigned char)req->body[i]);
	json_object_set_new(object, "body_hex", json_string(hex));
	free(hex);
}

void plain_echo(struct request *req)
{
	char peer[32];
	json_t *object = json_pack("{ss ss ss so so ss sI sI}", "method", req->method, "url", req->target, "path",
				   req->path, "query", pairs_to_json(&req->query), "headers",
				   pairs_to_json(&req->headers), "peer", request_peer(req, peer, sizeof peer), "number",
				   (json_int_t)req->number, "connection", (json_int_t)request_conn_number(req));

	add_body(object, req);
	reply_json(req, 200, object);
}

/* ---- Redirects ---- */

void plain_redirect(struct request *req)
{
	const int left = atoi(req->rest);

	if (left > 0)
		reply_header(req, "Location: /redirect/%d", left - 1);
	reply_text(req, left > 0 ? 302 : 200, "%d left\n", left);
}

void plain_redirect_to(struct request *req)
{
	const char *url = request_query(req, "url");

	if (!url) {
		reply_text(req, 400, "say ?url=\n");
		return;
	}
	reply_header(req, "Location: %s", url);
	reply_text(req, (int)request_number(req, "code", 302), "to %s\n", url);
}

/* ---- Credentials ---- */

static void base64(char *out, const char *in)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const size_t n = strlen(in);

	for (size_t i = 0; i < n; i += 3) {
		const unsigned v = (unsigned)(unsigned char)in[i] << 16 |
				   (i + 1 < n ? (unsigned)(unsigned char)in[i + 1] << 8 : 0) |
				   (i + 2 < n ? (unsigned)(unsigned char)in[i + 2] : 0);

		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
		*out++ = i + 2 < n ? digits[v & 63] : '=';
	}
	*out = '\0';
}

static void answer_credentials(struct request *req, const char *scheme, const char *wanted)
{
	const char *got = request_header(req, "Authorization");
	const size_t n = strlen(scheme);

	if (got && strncmp(got, scheme, n) == 0 && got[n] == ' ' && strcmp(got + n + 1, wanted) == 0) {
		reply_json(req, 200, json_pack("{sb}", "authenticated", 1));
		return;
	}
	reply_header(req, "WWW-Authenticate: %s realm=\"apisim\"", scheme);
	reply_json(req, 401, json_pack("{sb}", "authenticated", 0));
}

void plain_basic(struct request *req)
{
	char pair[256], wanted[352];
	char *slash;

	snprintf(pair, sizeof pair, "%s", req->rest);
	slash = strchr(pair, '/');
	if (slash)
		*slash = ':';
	base64(wanted, pair);
	answer_credentials(req, "Basic", wanted);
}

void plain_bearer(struct request *req)
{
	answer_credentials(req, "Bearer", req->rest);
}
