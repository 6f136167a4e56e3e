/* Setting up easy handles. Bytes and header list live in buffers that are kept from job to job: libcurl copies strings
 * but not bodies and lists. */
#include "worker/request.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/header_name.h"
#include "worker/decode.h"

#define DNS_CACHE_S  60L
#define STALL_MIN_MS 60000 /* a stall is noticed after half the timeout, where that is longer than this */

/* Headers that we add, each unless the job names it. That User-Agent and Accept-Encoding are among them is for speed:
 * with an option of their own, libcurl puts them together twice for every request. The last two only keep libcurl from
 * adding its own: it asks for a 100-continue before large bodies, and calls any body a form. */
enum own { OWN_AGENT, OWN_ENCODING, OWN_TYPE, OWN_EXPECT, OWNS };
static const char *const own_names[OWNS] = {"User-Agent", "Accept-Encoding", "Content-Type", "Expect"};
static char own_encoding[] = "Accept-Encoding: " DECODE_ACCEPT;
static char own_type[] = "Content-Type:";
static char own_expect[] = "Expect:";

int request_prepare(struct request *r, CURL *easy, const char *ca_file, struct err *e)
{
	CURLcode rc = CURLE_OK;

	target_forget(&r->target);
	rc |= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	rc |= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	rc |= curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	rc |= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	rc |= curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L); /* decode.h says why */
	if (ca_file[0]) {
		rc |= curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
		rc |= curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	}
	rc |= curl_easy_setopt(easy, CURLOPT_PROXY, ""); /* none, whatever the environment says */
	rc |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	rc |= curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
	rc |= curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	rc |= curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, DNS_CACHE_S);
	rc |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* or the end of a transfer waits for its resolver */
	if (rc)
		return err_set(e, ERR_SYSTEM, "install libcurl 7.87 or newer, built with SSL and zlib",
			       "libcurl %s lacks an option", curl_version());
	return 0;
}

static int check_line(const char *line, struct err *e)
{
	size_t name = header_token_length(line);
	const char *p = line + name;

	if (name == 0 || (*p != ':' && (*p != ';' || p[1])))
		return err_set(e, ERR_INPUT, NULL, "header \"%.60s\" is not of the form \"Name: value\"", line);
	for (p++; *p; p++) {
		unsigned char c = (unsigned char)*p;

		if ((c < ' ' && c != '\t') || c == 0x7f)
			return err_set(e, ERR_INPUT, NULL, "header \"%.*s\" has a control byte (0x%02x) in its value",
				       (int)(name < 60 ? name : 60), line, c);
	}
	return 0;
}

static int check_method(const struct message_job *job, struct err *e)
{
	size_t n = header_token_length(job->method);

	if (n == 0 || job->method[n])
		return err_set(e, ERR_INPUT, NULL, "method \"%.30s\" is not a token", job->method);
	if (strcmp(job->method, "CONNECT") == 0)
		return err_set(e, ERR_INPUT, NULL, "method CONNECT is for proxies");
	if (strcmp(job->method, "HEAD") == 0 && job->has_body)
		return err_set(e, ERR_INPUT, NULL, "a HEAD request cannot have a body");
	return 0;
}

static int reserve(void **p, size_t *cap, size_t want, size_t size)
{
	void *q;

	if (*cap >= want)
		return 0;
	q = reallocarray(*p, want, size);
	if (!q)
		return -1;
	*p = q;
	*cap = want;
	return 0;
}

static size_t count_lines(const char *s)
{
	size_t n = 1;

	for (; *s; s++)
		n += *s == '\n';
	return n;
}

/* Copies headers and body into our memory. */
static int copy_bytes(struct request *r, const struct message_job *job, size_t headers_bytes)
{
	void *bytes = r->bytes;
	int rc = reserve(&bytes, &r->cap, headers_bytes + job->body_bytes, 1);

	r->bytes = bytes;
	if (rc)
		return -1;
	memcpy(r->bytes, job->headers, headers_bytes);
	if (job->body_bytes)
		memcpy(r->bytes + headers_bytes, job->body, job->body_bytes);
	return 0;
}

static int reserve_lines(struct request *r, size_t n)
{
	void *lines = r->lines;
	int rc = reserve(&lines, &r->lines_cap, n, sizeof *r->lines);

	r->lines = lines;
	return rc;
}

static void append(struct request *r, size_t *n, char *line)
{
	if (*n > 0)
		r->lines[*n - 1].next = &r->lines[*n];
	r->lines[(*n)++] = (struct curl_slist){.data = line};
}

static void note_name(const char *line, bool named[OWNS])
{
	size_t n = header_token_length(line);

	for (enum own k = 0; k < OWNS; k++)
		if (n == strlen(own_names[k]) && strncasecmp(line, own_names[k], n) == 0)
			named[k] = true;
}

/* Cuts the copied headers into a list, and notes which of ours are among them. */
static int make_list(struct request *r, size_t *n, bool named[OWNS], struct err *e)
{
	for (char *line = r->bytes; *line;) {
		char *end = strchr(line, '\n');
		char *next = end ? end + 1 : line + strlen(line);

		if (end)
			*end = '\0';
		if (check_line(line, e))
			return -1;
		note_name(line, named);
		append(r, n, line);
		line = next;
	}
	return 0;
}

static int set_headers(struct request *r, CURL *easy, const struct message_job *job, char *agent, bool with_body,
		       struct err *e)
{
	bool named[OWNS] = {false};
	size_t n = 0;

	if (reserve_lines(r, count_lines(job->headers) + OWNS))
		return err_set(e, ERR_SYSTEM, NULL, "out of memory for a request");
	if (job->headers[0] && make_list(r, &n, named, e))
		return -1;
	if (agent[0] && !named[OWN_AGENT])
		append(r, &n, agent);
	if (!named[OWN_ENCODING])
		append(r, &n, own_encoding);
	if (with_body && !named[OWN_TYPE])
		append(r, &n, own_type);
	if (with_body && !named[OWN_EXPECT])
		append(r, &n, own_expect);
	return curl_easy_setopt(easy, CURLOPT_HTTPHEADER, n > 0 ? r->lines : NULL) ? -1 : 0;
}

/* RFC 9110, section 8.6: a method that has a use for a body says "Content-Length: 0" where there is none. */
static bool wants_body(const char *method)
{
	return strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
}

static CURLcode set_method(struct request *r, CURL *easy, const struct message_job *job, const char *body)
{
	CURLcode rc = CURLE_OK;

	if (body) {
		rc |= curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)job->body_bytes);
		rc |= curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body);
	} else if (strcmp(job->method, "GET") == 0) {
		return rc;
	} else if (strcmp(job->method, "HEAD") == 0) {
		r->plain = false;
		return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	}
	r->plain = false;
	return rc | curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, job->method);
}

static long clamp_ms(int64_t ms)
{
	return ms > INT_MAX ? INT_MAX : (long)ms;
}

static CURLcode set_times(CURL *easy, const struct message_job *job)
{
	long stall_ms = clamp_ms(job->timeout_ms) / 2;
	CURLcode rc = CURLE_OK;

	rc |= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, clamp_ms(job->timeout_ms));
	rc |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, clamp_ms(job->connect_timeout_ms));
	rc |= curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, stall_ms > STALL_MIN_MS ? 1L : 0L);
	rc |= curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, stall_ms > STALL_MIN_MS ? stall_ms / 1000 : 0L);
	return rc;
}

int request_apply(struct request *r, CURL *easy, const struct message_job *job, char *agent, struct err *e)
{
	bool with_body = job->has_body || wants_body(job->method);
	size_t headers_bytes = job->headers[0] || with_body ? strlen(job->headers) + 1 : 0;
	CURLcode rc;

	r->plain = true;
	if (check_method(job, e))
		return -1;
	if (headers_bytes && copy_bytes(r, job, headers_bytes))
		return err_set(e, ERR_SYSTEM, NULL, "out of memory for a request");
	if (set_headers(r, easy, job, agent, with_body, e))
		return -1;
	rc = set_method(r, easy, job, with_body ? r->bytes + headers_bytes : NULL);
	rc |= set_times(easy, job);
	rc |= target_set(&r->target, easy, job->url);
	if (job->user[0]) {
		r->plain = false;
		rc |= curl_easy_setopt(easy, CURLOPT_USERPWD, job->user);
	}
	return rc ? err_set(e, ERR_SYSTEM, NULL, "libcurl cannot take the request") : 0;
}

void request_clear(struct request *r)
{
	free(r->bytes);
	free(r->lines);
	target_clear(&r->target);
	*r = (struct request){0};
}
