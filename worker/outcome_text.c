/* The readable line for each cause: what happened, with the host, the address and the numbers, and what to change where
 * something can be changed. One small writer a cause, in a table. */
#include "worker/outcome.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "lib/printable.h"
#include "lib/units.h"

#define SNIPPET_CHARS 200
#define SNIPPET_LOOK  1024 /* bytes looked at for it */
#define HOST_CHARS    255

struct words {
	const struct ending *e;
	char host[HOST_CHARS * 4 + 1];
	char port[6];
	char curl[CURL_ERROR_SIZE];
	char *out;
	size_t len;
};

static void say(struct words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct words *w, const char *fmt, ...)
{
	size_t room = OUTCOME_TEXT_SIZE - w->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(w->out + w->len, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		w->len += (size_t)n < room ? (size_t)n : room - 1;
}

/* Whether the host is a name, and so needs its address beside it. */
static bool has_address(const struct words *w)
{
	const char *host = w->host[0] == '[' ? w->host + 1 : w->host;
	size_t n = strcspn(host, "]");

	return w->e->address[0] && (strlen(w->e->address) != n || strncmp(w->e->address, host, n) != 0);
}

/* "a.example (127.0.0.1) port 81" */
static void say_peer(struct words *w)
{
	say(w, "%s", w->host);
	if (has_address(w))
		say(w, " (%s)", w->e->address);
	if (w->port[0])
		say(w, " port %s", w->port);
}

static void say_duration(struct words *w, int64_t ms)
{
	char text[UNITS_TEXT_SIZE];

	say(w, "%s", units_format_duration(text, ms * 1000));
}

/* How much of the response had come. */
static void say_progress(struct words *w)
{
	const struct response *r = w->e->response;

	if (r->at != RESPONSE_IN_BODY)
		say(w, r->status ? "in the middle of the headers" : "before a response came");
	else if (r->has_length)
		say(w, "after %" PRId64 " of %" PRId64 " bytes of the body", w->e->wire_bytes, r->content_length);
	else
		say(w, "after %" PRId64 " bytes of the body", w->e->wire_bytes);
}

static void say_curl(struct words *w, const char *before)
{
	if (w->curl[0])
		say(w, "%s%s", before, w->curl);
}

static bool contains(const char *text, const char *part)
{
	for (; *text; text++)
		if (strncasecmp(text, part, strlen(part)) == 0)
			return true;
	return false;
}

static bool goes_on(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80;
}

/* Past `part` and the marks behind it, where the text begins with it as a word; else `text`. */
static const char *past_word(const char *text, const char *part)
{
	size_t n = strlen(part);

	if (n == 0 || strncasecmp(text, part, n) != 0 || goes_on(text[n]))
		return text;
	return text + n + strspn(text + n, " .:,;|-");
}

/* Many bodies begin with the status once more, some with its code or its phrase alone, some twice (title, heading). */
static const char *past_status(const char *text, int status, const char *phrase)
{
	const char *before;
	char code[12];

	snprintf(code, sizeof code, "%d", status);
	do {
		before = text;
		text = past_word(past_word(text, code), phrase);
	} while (text != before);
	return text;
}

/* What a user can do about a status, where it is not plain from its phrase. */
static const char *status_hint(int status)
{
	switch (status) {
	case 401:
		return "; check the token or password sent with it";
	case 403:
		return "; check that the token or password sent with it allows this";
	default:
		return "";
	}
}

/* The beginning of a text body, without what the status says already. */
static void say_snippet(struct words *w, const char *phrase)
{
	const struct ending *e = w->e;
	size_t look = e->body_bytes < SNIPPET_LOOK ? e->body_bytes : SNIPPET_LOOK;
	char snippet[SNIPPET_CHARS * 4 + 1];
	const char *rest;

	if (look == 0 || !text_is_text(e->body, look))
		return;
	if (contains(e->content_type, "html"))
		text_printable_html(snippet, sizeof snippet, e->body, look, SNIPPET_CHARS);
	else
		text_printable(snippet, sizeof snippet, e->body, look, SNIPPET_CHARS);
	rest = past_status(snippet, e->response->status, phrase);
	if (*rest)
		say(w, ": %s", rest);
}

static void say_response(struct words *w)
{
	const struct ending *e = w->e;
	const char *phrase = http_status_phrase(e->response->status);

	if (e->response->status < 400)
		return;
	say(w, "%d%s%s", e->response->status, phrase[0] ? " " : "", phrase);
	say_snippet(w, phrase);
	say(w, "%s", status_hint(e->response->status));
}

static void say_url(struct words *w)
{
	say(w, "the URL cannot be fetched");
	say_curl(w, ": ");
}

static void say_dns(struct words *w)
{
	say(w, "host %s: name does not resolve", w->host);
}

static void say_connect(struct words *w)
{
	say(w, "connection to ");
	say_peer(w);
	say(w, " failed");
	if (w->e->os_error)
		say(w, ": %s", strerror(w->e->os_error));
	else
		say_curl(w, ": ");
}

/* libcurl's time for a connection is also that of its handshake. */
static void say_connect_timeout(struct words *w)
{
	const struct ending *e = w->e;
	bool whole = e->timeout_ms < e->connect_timeout_ms, connected = e->marks.tls && e->marks.connect_us > 0;

	if (connected) {
		say(w, "the TLS handshake with ");
		say_peer(w);
		say(w, " was not finished");
	} else if (e->address_tried) {
		say(w, "no connection to ");
		say_peer(w);
	} else {
		say(w, "host %s: no answer from the resolver", w->host);
	}
	say(w, " within ");
	say_duration(w, whole ? e->timeout_ms : e->connect_timeout_ms);
	say(w, " (%s)%s", whole ? "timeout" : "connect_timeout", connected ? "; does that port speak TLS?" : "");
}

static void say_tls(struct words *w)
{
	say(w, "TLS with ");
	say_peer(w);
	say(w, " failed");
	say_curl(w, ": ");
}

static void say_reset(struct words *w)
{
	say(w, "the connection to ");
	say_peer(w);
	say(w, " broke ");
	say_progress(w);
	if (w->e->rc != CURLE_GOT_NOTHING)
		say_curl(w, ": ");
}

static void say_truncated(struct words *w)
{
	say(w, "the response ended early, ");
	say_progress(w);
	if (w->e->decode_fault[0])
		say(w, ": %s", w->e->decode_fault);
	else if (w->e->response->has_coding)
		say(w, " and without the last chunk");
}

static void say_protocol(struct words *w)
{
	say(w, "not a valid HTTP response: ");
	if (w->e->response->fault)
		say(w, "%s", w->e->response->fault);
	else if (w->e->rc == CURLE_OUT_OF_MEMORY)
		say(w, "a header line is longer than 100 KiB");
	else if (w->curl[0])
		say_curl(w, "");
	else
		say(w, "no status line came");
}

static void say_decode(struct words *w)
{
	say(w, "the body cannot be decoded: %s", w->e->decode_fault);
}

static void say_timeout(struct words *w)
{
	const char *stall = "Operation too slow";

	if (strncmp(w->e->curl_text, stall, strlen(stall)) == 0) {
		say(w, "stalled ");
		say_progress(w);
		say_curl(w, ": ");
		return;
	}
	say(w, "timeout of ");
	say_duration(w, w->e->timeout_ms);
	say(w, " passed ");
	say_progress(w);
}

static void say_too_large(struct words *w)
{
	char text[UNITS_TEXT_SIZE];
	int status = w->e->response->status;

	if (status >= 400)
		say(w, "%d %s, and ", status, http_status_phrase(status));
	say(w, "the body is larger than %s; raise max_body (--max-body) to fetch it",
	    units_format_bytes(text, w->e->max_body_bytes));
}

static void say_policy(struct words *w)
{
	say(w, "address %s", w->e->address);
	if (has_address(w))
		say(w, " of host %s", w->host);
	say(w, "%s",
	    w->e->not_public ? " is not a public one, and the URL came from a server at a public address"
			     : " is denied by network.deny");
}

static void say_resend(struct words *w)
{
	say(w, "the connection to ");
	say_peer(w);
	say(w, " that was kept from the request before closed before a response came");
}

static void say_cancelled(struct words *w)
{
	say(w, "cancelled");
}

static void say_storage(struct words *w)
{
	say(w, "the body could not be stored: %s", strerror(w->e->storage_error));
}

static void say_soft_error(struct words *w)
{
	say(w, "%s", w->e->verdict);
}

static void say_internal(struct words *w)
{
	say(w, "libcurl: %s", w->curl[0] ? w->curl : curl_easy_strerror(w->e->rc));
}

static void (*const sayers[])(struct words *) = {
    [CAUSE_RESPONSE] = say_response,     [CAUSE_URL] = say_url,         [CAUSE_DNS] = say_dns,
    [CAUSE_CONNECT] = say_connect,       [CAUSE_TLS] = say_tls,         [CAUSE_CONNECT_TIMEOUT] = say_connect_timeout,
    [CAUSE_TLS_VERIFY] = say_tls,        [CAUSE_RESET] = say_reset,     [CAUSE_TRUNCATED] = say_truncated,
    [CAUSE_PROTOCOL] = say_protocol,     [CAUSE_DECODE] = say_decode,   [CAUSE_TIMEOUT] = say_timeout,
    [CAUSE_TOO_LARGE] = say_too_large,   [CAUSE_POLICY] = say_policy,   [CAUSE_RESEND] = say_resend,
    [CAUSE_CANCELLED] = say_cancelled,   [CAUSE_STORAGE] = say_storage, [CAUSE_INTERNAL] = say_internal,
    [CAUSE_WORKER_LOST] = say_internal, /* the daemon's own word */
    [CAUSE_SOFT_ERROR] = say_soft_error,
};
_Static_assert(sizeof sayers / sizeof sayers[0] == CAUSES, "every cause has its words");

/* Host and port as libcurl reads them; the host stays empty where it cannot. */
static void find_host(struct words *w)
{
	CURLU *u = curl_url();
	char *host = NULL, *port = NULL;

	if (u && curl_url_set(u, CURLUPART_URL, w->e->url, 0) == CURLUE_OK) {
		if (curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK)
			text_printable(w->host, sizeof w->host, host, strlen(host), HOST_CHARS);
		if (curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK)
			snprintf(w->port, sizeof w->port, "%s", port);
	}
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
}

const char *outcome_text(const struct ending *e, enum cause cause, char *out)
{
	struct words w = {.e = e, .out = out};

	out[0] = '\0';
	if (cause == CAUSE_RESPONSE && e->response->status < 400)
		return out;
	text_printable(w.curl, sizeof w.curl, e->curl_text, strlen(e->curl_text), sizeof w.curl - 1);
	if (cause != CAUSE_RESPONSE)
		find_host(&w);
	sayers[cause](&w);
	return out;
}
