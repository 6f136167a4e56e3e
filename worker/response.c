/* Reading a response's head line by line. libcurl has parsed each line already; what is done here is what it does not
 * do: RFC 9112, section 6.3 (conflicting lengths), a bound on the whole head, and a time for the limiter. */
#include "worker/response.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/message.h"

#define RESPONSE_FIRST_CAP 1024u

void response_begin(struct response *r)
{
	char *text = r->text;
	size_t cap = r->cap;

	/* Few servers send so much: it is not kept for the others. */
	if (cap > MESSAGE_HEADERS_MAX) {
		free(text);
		text = NULL;
		cap = 0;
	}
	*r = (struct response){.text = text, .cap = cap};
}

void response_clear(struct response *r)
{
	free(r->text);
	*r = (struct response){0};
}

const char *response_text(const struct response *r)
{
	return r->len ? r->text : "";
}

void response_cut(struct response *r)
{
	if (r->len <= MESSAGE_HEADERS_MAX)
		return;
	r->len = MESSAGE_HEADERS_MAX;
	while (r->len > 0 && r->text[r->len - 1] != '\n')
		r->len--;
	r->text[r->len] = '\0';
}

static int fault(struct response *r, const char *why)
{
	if (!r->fault)
		r->fault = why;
	return -1;
}

static void reserve(struct response *r, size_t n)
{
	size_t cap = r->cap ? r->cap : RESPONSE_FIRST_CAP;
	char *text;

	if (r->cap >= n)
		return;
	while (cap < n)
		cap *= 2;
	text = realloc(r->text, cap);
	if (!text)
		BUG("out of memory for %zu bytes of headers", cap);
	r->text = text;
	r->cap = cap;
}

/* Keeps a line without its line end; all of them are at most RESPONSE_HEAD_MAX, and a next page may be in the last. A
 * NUL has no place in a string and none in a header: it becomes a "?". */
static void keep(struct response *r, const char *line, size_t n)
{
	reserve(r, r->len + n + 2);
	memcpy(r->text + r->len, line, n);
	for (char *p = r->text + r->len; (p = memchr(p, '\0', n - (size_t)(p - r->text) + r->len));)
		*p = '?';
	r->len += n;
	r->text[r->len++] = '\n';
	r->text[r->len] = '\0';
}

/* "HTTP/1.1 200 OK", "HTTP/2 200". Returns the code, or -1. */
static int status_code(const char *line, size_t n)
{
	const char *p = n > 5 && memcmp(line, "HTTP/", 5) == 0 ? memchr(line, ' ', n) : NULL;
	int code = 0;

	if (!p || (size_t)(p - line) + 4 > n)
		return -1;
	for (int i = 1; i <= 3; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -1;
		code = code * 10 + (p[i] - '0');
	}
	return code;
}

static int take_status(struct response *r, const char *line, size_t n)
{
	int code = status_code(line, n);

	if (code < 100)
		return fault(r, "the status line is malformed");
	r->at = RESPONSE_IN_HEAD;
	if (code == 101)
		return fault(r, "the server switched to another protocol without being asked");
	if (code < 200) /* interim: its lines are skipped, its end leads back here */
		return 0;
	r->status = code;
	r->first_byte_us = clock_boot_us();
	keep(r, line, n);
	return 0;
}

static bool is_named(const char *line, size_t n, const char *name)
{
	size_t len = strlen(name);

	return n > len && line[len] == ':' && strncasecmp(line, name, len) == 0;
}

struct span {
	const char *p;
	size_t n;
};

/* A header's value without the white space around it. */
static struct span trim(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return (struct span){.p = p, .n = (size_t)(end - p)};
}

/* Digits only; -1 for anything else, also for the list form "5, 5". */
static int64_t parse_length(const char *p, const char *end)
{
	struct span s = trim(p, end);
	int64_t v = 0;

	if (s.n == 0)
		return -1;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' || v > (INT64_MAX - 9) / 10)
			return -1;
		v = v * 10 + (s.p[i] - '0');
	}
	return v;
}

static int take_length(struct response *r, const char *value, const char *end)
{
	int64_t v = parse_length(value, end);

	if (v < 0)
		return fault(r, "Content-Length is not a number");
	if (r->has_length && v != r->content_length)
		return fault(r, "two Content-Length headers contradict each other");
	r->has_length = true;
	r->content_length = v;
	return 0;
}

/* We ask for no other (RFC 9112, section 7.4), and libcurl is told not to undo codings. */
static int take_coding(struct response *r, const char *value, const char *end)
{
	static const char *const known[] = {"chunked", "identity"};
	struct span v = trim(value, end);

	r->has_coding = true;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (v.n == strlen(known[i]) && strncasecmp(v.p, known[i], v.n) == 0)
			return 0;
	return fault(r, "the Transfer-Encoding is one that was not asked for");
}

/* RFC 9110, section 8.4: several headers are one list. */
static int take_encoding(struct response *r, const char *value, const char *end)
{
	struct span v = trim(value, end);
	size_t n = strlen(r->encoding);

	if (v.n == 0)
		return 0;
	if (n + v.n + 2 > sizeof r->encoding || memchr(v.p, '\0', v.n))
		return fault(r, "the Content-Encoding is too long, or no text");
	if (n)
		r->encoding[n++] = ',';
	memcpy(r->encoding + n, v.p, v.n);
	r->encoding[n + v.n] = '\0';
	return 0;
}

static int take_header(struct response *r, const char *line, size_t n)
{
	static const char length[] = "Content-Length", coding[] = "Transfer-Encoding", encoding[] = "Content-Encoding";
	bool folded = line[0] == ' ' || line[0] == '\t';

	if (folded && r->framing_line)
		return fault(r, "the header that frames the body is folded");
	keep(r, line, n);
	r->framing_line = false;
	if (is_named(line, n, length)) {
		r->framing_line = true;
		if (take_length(r, line + sizeof length, line + n))
			return -1;
	} else if (is_named(line, n, coding)) {
		r->framing_line = true;
		if (take_coding(r, line + sizeof coding, line + n))
			return -1;
	} else if (is_named(line, n, encoding)) {
		r->framing_line = true;
		if (take_encoding(r, line + sizeof encoding, line + n))
			return -1;
	}
	if (r->has_length && r->has_coding)
		return fault(r, "Content-Length and Transfer-Encoding contradict each other");
	return 0;
}

int response_line(struct response *r, const char *line, size_t n)
{
	r->bytes += n;
	if (r->bytes > RESPONSE_HEAD_MAX)
		return fault(r, "the headers are larger than 64 KiB");
	if (n && line[n - 1] == '\n')
		n--;
	if (n && line[n - 1] == '\r')
		n--;
	switch (r->at) {
	case RESPONSE_AT_STATUS:
		return take_status(r, line, n);
	case RESPONSE_IN_HEAD:
		if (n == 0) {
			r->at = r->status ? RESPONSE_IN_BODY : RESPONSE_AT_STATUS;
			return 0;
		}
		return r->status ? take_header(r, line, n) : 0;
	case RESPONSE_IN_BODY: /* trailers */
		break;
	}
	return 0;
}
