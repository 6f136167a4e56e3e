/* Callbacks that note what they see, and the way from there to a message_outcome. Nothing here calls a multi function
 * of libcurl's, so all of it may run within one. */
#include "worker/attempt.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/printable.h"
#include "worker/multi.h"
#include "worker/ratelimit.h"

/* ---- What libcurl tells while it lasts ---- */

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct attempt *a = arg;

	return response_line(&a->response, line, size * n) ? 0 : size * n;
}

static int on_decoded(const void *p, size_t n, void *arg)
{
	struct attempt *a = arg;

	return sink_write(&a->sink, p, n);
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
	struct attempt *a = arg;

	if ((a->decoding || decode_begin(&a->decode, a->response.encoding) == 0) &&
	    decode_write(&a->decode, p, size * n, on_decoded, a) == 0) {
		a->decoding = true;
		return size * n;
	}
	a->stopped = a->decode.fault[0] ? CAUSE_DECODE : a->sink.stopped;
	return 0;
}

/* A new connection: the name is resolved, and this is where the address can still be refused. */
static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct attempt *a = arg;
	curl_socket_t fd;

	(void)purpose;
	lookup_answer(a->context->lookups, &a->ticket, LOOKUP_RESOLVED, clock_boot_us());
	memcpy(&a->tried, &to->addr, to->addrlen < sizeof a->tried ? to->addrlen : sizeof a->tried);
	a->verdict = policy_judge(a->context->policy, &to->addr, a->from_public);
	if (a->verdict != POLICY_ALLOWED) {
		a->socket_denied = true;
		return CURL_SOCKET_BAD;
	}
	fd = socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	a->socket_made = true;
	multi_opened(a->context->multi, fd);
	return fd;
}

/* The handshake begins. libcurl tells when the connection was made only of those that came through it. */
static CURLcode on_tls(CURL *easy, void *context, void *arg)
{
	struct attempt *a = arg;

	(void)easy, (void)context;
	a->tls_us = clock_boot_us() - a->started_us;
	return CURLE_OK;
}

/* Right before a request goes out, on a new connection or a kept one. A second time means that the kept connection
 * closed and libcurl would send again: one grant is one request. */
static int on_request(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	struct attempt *a = arg;

	(void)local_ip, (void)port, (void)local_port;
	lookup_answer(a->context->lookups, &a->ticket, LOOKUP_REUSED, a->started_us);
	if (a->sent) {
		a->stopped = CAUSE_RESEND;
		return CURL_PREREQFUNC_ABORT;
	}
	/* Of a kept connection on_socket() was not asked, and it may have been made for a job that may go anywhere. */
	a->verdict = policy_judge_text(a->context->policy, ip, a->from_public);
	if (a->verdict != POLICY_ALLOWED) {
		a->stopped = CAUSE_POLICY;
		return CURL_PREREQFUNC_ABORT;
	}
	a->sent = true;
	return CURL_PREREQFUNC_OK;
}

/* ---- The handle ---- */

static int prepare(struct attempt *a, struct err *e)
{
	CURLcode rc = CURLE_OK;

	if (request_prepare(&a->request, a->easy, a->context->ca_file, e))
		return -1;
	rc |= curl_easy_setopt(a->easy, CURLOPT_PRIVATE, a);
	rc |= curl_easy_setopt(a->easy, CURLOPT_ERRORBUFFER, a->curl_text);
	rc |= curl_easy_setopt(a->easy, CURLOPT_HEADERFUNCTION, on_header);
	rc |= curl_easy_setopt(a->easy, CURLOPT_HEADERDATA, a);
	rc |= curl_easy_setopt(a->easy, CURLOPT_WRITEFUNCTION, on_body);
	rc |= curl_easy_setopt(a->easy, CURLOPT_WRITEDATA, a);
	rc |= curl_easy_setopt(a->easy, CURLOPT_OPENSOCKETFUNCTION, on_socket);
	rc |= curl_easy_setopt(a->easy, CURLOPT_OPENSOCKETDATA, a);
	rc |= curl_easy_setopt(a->easy, CURLOPT_PREREQFUNCTION, on_request);
	rc |= curl_easy_setopt(a->easy, CURLOPT_PREREQDATA, a);
	/* Not all TLS libraries have it, and it can be done without. */
	curl_easy_setopt(a->easy, CURLOPT_SSL_CTX_FUNCTION, on_tls);
	curl_easy_setopt(a->easy, CURLOPT_SSL_CTX_DATA, a);
	a->prepared = rc == CURLE_OK;
	return rc ? err_set(e, ERR_SYSTEM, NULL, "libcurl lacks an option") : 0;
}

int attempt_init(struct attempt *a, const struct attempt_context *context, struct err *e)
{
	*a = (struct attempt){.context = context, .easy = curl_easy_init()};
	sink_init(&a->sink, context->bodies_fd);
	if (!a->easy)
		return err_set(e, ERR_SYSTEM, NULL, "out of memory for a transfer");
	return prepare(a, e);
}

void attempt_clear(struct attempt *a)
{
	curl_easy_cleanup(a->easy);
	request_clear(&a->request); /* the handle referred to it */
	response_clear(&a->response);
	decode_end(&a->decode);
	attempt_rest(a);
	sink_clear(&a->sink);
	attempt_rest(a);
	free(a->fail_if);
}

void attempt_rest(struct attempt *a)
{
	sink_end(&a->sink);
	if (!a->page)
		return;
	verdict_clear(&a->page->verdict);
	free(a->page);
	a->page = NULL;
}

/* A handle that has done nothing but a plain GET is used as it is: reset and set-up are most of what a start costs. */
static void make_ready(struct attempt *a)
{
	struct err e;

	if (a->prepared)
		return;
	curl_easy_reset(a->easy);
	if (prepare(a, &e))
		BUG("%s", e.what);
}

/* Few jobs have one. */
static void keep_fail_if(struct attempt *a, const char *program)
{
	size_t n = program[0] ? strlen(program) + 1 : 0;

	if (n > a->fail_if_cap) {
		char *p = realloc(a->fail_if, n);

		if (!p)
			BUG("out of memory for a program of %zu bytes", n);
		a->fail_if = p;
		a->fail_if_cap = n;
	}
	if (n)
		memcpy(a->fail_if, program, n);
	else if (a->fail_if)
		a->fail_if[0] = '\0';
}

/* Makes it a page, where the job is one: its body is hashed too. */
static void keep_page(struct attempt *a, const struct message_job *job)
{
	size_t program = strlen(job->page_program) + 1, context = strlen(job->page_context) + 1;
	size_t param = strlen(job->page_param) + 1;
	char *text;

	if (!job->page_context[0])
		return;
	a->page = calloc(1, sizeof *a->page + program + context + param);
	if (!a->page)
		BUG("out of memory for a page");
	text = (char *)(a->page + 1);
	a->page->program = memcpy(text, job->page_program, program);
	a->page->context = memcpy(text + program, job->page_context, context);
	a->page->param = memcpy(text + program + context, job->page_param, param);
	sink_hash(&a->sink);
}

int attempt_begin(struct attempt *a, const struct message_job *job)
{
	struct err e;

	make_ready(a);
	a->job = job->job;
	a->n = job->n;
	a->stopped = CAUSE_RESPONSE;
	a->sent = a->socket_denied = a->socket_made = a->decoding = false;
	a->decode.fault[0] = '\0';
	a->from_public = job->from_public;
	a->verdict = POLICY_ALLOWED;
	a->head = strcmp(job->method, "HEAD") == 0;
	a->timeout_ms = job->timeout_ms;
	a->connect_timeout_ms = job->connect_timeout_ms;
	a->started_us = clock_boot_us();
	a->tls_us = 0;
	a->curl_text[0] = '\0';
	keep_fail_if(a, job->fail_if);
	response_begin(&a->response);
	sink_begin(&a->sink, job->job, job->n, job->max_body_bytes);
	keep_page(a, job);
	if (request_apply(&a->request, a->easy, job, a->context->agent, &e) == 0) {
		a->prepared = a->request.plain;
		return 0;
	}
	curl_easy_reset(a->easy); /* or it would tell of the job before */
	a->prepared = false;
	snprintf(a->curl_text, sizeof a->curl_text, "%.*s", (int)sizeof a->curl_text - 1, e.what);
	a->stopped = CAUSE_URL;
	attempt_end(a, CURLE_URL_MALFORMAT);
	return -1;
}

/* ---- What is told of it ---- */

static int64_t get_us(CURL *easy, CURLINFO info)
{
	curl_off_t us = 0;

	curl_easy_getinfo(easy, info, &us);
	return us > 0 ? us : 0;
}

static long get_long(CURL *easy, CURLINFO info)
{
	long v = 0;

	curl_easy_getinfo(easy, info, &v);
	return v;
}

/* Never NULL. */
static const char *get_text(CURL *easy, CURLINFO info)
{
	char *s = NULL;

	curl_easy_getinfo(easy, info, &s);
	return s ? s : "";
}

/* What only a connection of its own has, and what tells how far it came. */
static void fill_connection(const struct attempt *a, struct marks *m)
{
	m->dns_us = get_us(a->easy, CURLINFO_NAMELOOKUP_TIME_T);
	m->connect_us = get_us(a->easy, CURLINFO_CONNECT_TIME_T);
	m->tls_us = get_us(a->easy, CURLINFO_APPCONNECT_TIME_T);
	if (m->connect_us == 0)
		m->connect_us = a->tls_us;
	m->tls = m->tls_us > 0 || a->tls_us > 0 || strcasecmp(get_text(a->easy, CURLINFO_SCHEME), "https") == 0;
}

static void fill_marks(const struct attempt *a, struct marks *m)
{
	const struct response *r = &a->response;
	int64_t total_us = get_us(a->easy, CURLINFO_TOTAL_TIME_T);

	*m = (struct marks){
	    .pretransfer_us = get_us(a->easy, CURLINFO_PRETRANSFER_TIME_T),
	    .total_us = total_us > 0 ? total_us : a->ended_us - a->started_us,
	    .reused = a->sent && get_long(a->easy, CURLINFO_NUM_CONNECTS) == 0,
	};
	if (!m->reused)
		fill_connection(a, m);
	if (r->status) {
		/* Not STARTTRANSFER_TIME, which an interim response sets too. Counted back from the end. */
		int64_t us = m->total_us - (a->ended_us - r->first_byte_us);

		m->first_byte_us = us > 0 ? us : 1;
	}
}

static void fill_ending(struct attempt *a)
{
	a->ending = (struct ending){
	    .rc = a->rc,
	    .curl_text = a->curl_text,
	    .os_error = a->rc ? (int)get_long(a->easy, CURLINFO_OS_ERRNO) : 0,
	    .stopped = a->stopped,
	    .storage_error = a->sink.error,
	    .sent = a->sent,
	    .bodiless = a->head,
	    .address_tried = a->socket_made || a->socket_denied,
	    .not_public = a->verdict == POLICY_NOT_PUBLIC,
	    .response = &a->response,
	    .url = get_text(a->easy, CURLINFO_EFFECTIVE_URL),
	    .address = a->address,
	    .timeout_ms = a->timeout_ms,
	    .connect_timeout_ms = a->connect_timeout_ms,
	    .max_body_bytes = a->sink.max_bytes,
	    .size_bytes = a->sink.size_bytes,
	    .wire_bytes = get_us(a->easy, CURLINFO_SIZE_DOWNLOAD_T),
	    .content_type = get_text(a->easy, CURLINFO_CONTENT_TYPE),
	    .body = a->sink.data,
	    .body_bytes = a->sink.len,
	    .decode_fault = a->decode.fault,
	};
	if (a->ending.address_tried)
		policy_format(a->address, (const struct sockaddr *)&a->tried);
	else
		strncpy(a->address, get_text(a->easy, CURLINFO_PRIMARY_IP), sizeof a->address - 1);
	fill_marks(a, &a->ending.marks);
}

static int http_version(const struct attempt *a)
{
	static const int versions[] = {[CURL_HTTP_VERSION_1_0] = 10,
				       [CURL_HTTP_VERSION_1_1] = 11,
				       [CURL_HTTP_VERSION_2_0] = 20,
				       [CURL_HTTP_VERSION_3] = 30};
	long v = a->response.status ? get_long(a->easy, CURLINFO_HTTP_VERSION) : 0;

	return v > 0 && (size_t)v < sizeof versions / sizeof versions[0] ? versions[v] : 0;
}

static const char *remote_ip(const struct attempt *a)
{
	return a->sent || a->ending.marks.connect_us > 0 ? get_text(a->easy, CURLINFO_PRIMARY_IP) : "";
}

/* libcurl is content; but are the decoders? */
static void finish_decoding(struct attempt *a, CURLcode rc)
{
	if (rc == CURLE_OK && a->decoding && a->stopped == CAUSE_RESPONSE && decode_finish(&a->decode))
		a->stopped = a->decode.cut ? CAUSE_TRUNCATED : CAUSE_DECODE;
	decode_end(&a->decode);
}

void attempt_end(struct attempt *a, CURLcode rc)
{
	a->rc = rc;
	a->ended_us = clock_boot_us();
	lookup_answer(a->context->lookups, &a->ticket, LOOKUP_FAILED, a->ended_us);
	if (rc == CURLE_COULDNT_CONNECT && a->socket_denied && !a->socket_made)
		a->stopped = CAUSE_POLICY;
	finish_decoding(a, rc);
	fill_ending(a);
	a->cause = outcome_cause(&a->ending);
	if (a->cause != CAUSE_RESPONSE) {
		sink_discard(&a->sink);
		a->ending.body_bytes = 0;
	}
}

/* A whole response whose file could not be synced after all. */
static void note_lost_body(struct attempt *a)
{
	if (a->cause != CAUSE_RESPONSE || a->sink.stopped == CAUSE_RESPONSE)
		return;
	a->cause = a->ending.stopped = a->sink.stopped;
	a->ending.storage_error = a->sink.error;
}

/* ---- Telling ---- */

void attempt_fill_type(const struct attempt *a, struct attempt_texts *texts)
{
	const char *type = a->ending.content_type;

	text_printable(texts->content_type, sizeof texts->content_type, type, strlen(type), ATTEMPT_TYPE_CHARS);
}

void attempt_tell(struct attempt *a, struct message_outcome *m, struct attempt_texts *texts)
{
	const struct ending *e = &a->ending;
	struct ratelimit limits;
	bool whole;

	ratelimit_read(&limits, response_text(&a->response), clock_wall_us());
	response_cut(&a->response);
	note_lost_body(a);
	whole = a->cause == CAUSE_RESPONSE || a->cause == CAUSE_SOFT_ERROR;
	*m = (struct message_outcome){
	    .job = a->job,
	    .n = a->n,
	    .cause = a->cause,
	    .status = a->response.status,
	    .sent = a->sent,
	    .body_in_file = whole && attempt_body_in_file(a),
	    .http_version = http_version(a),
	    .started_us = a->started_us,
	    .first_byte_us = a->response.first_byte_us,
	    .ended_us = a->ended_us,
	    .size_bytes = e->size_bytes,
	    .wire_bytes = e->wire_bytes,
	    .content_type = texts->content_type,
	    .remote_ip = remote_ip(a),
	    .redirect_url = whole ? get_text(a->easy, CURLINFO_REDIRECT_URL) : "",
	    .error = outcome_text(e, a->cause, texts->error),
	    .headers = response_text(&a->response),
	    .retry_after_us = limits.retry_after_us,
	    .limit_remaining = limits.remaining,
	    .limit_reset_us = limits.reset_us,
	    .limit_rate = limits.rate,
	};
	if (a->page && a->page->judged) {
		m->has_page = true;
		m->page = a->page->verdict.page;
	}
	outcome_timings(&e->marks, &m->timings);
	attempt_fill_type(a, texts);
	if (whole && !m->body_in_file && a->sink.len > 0) {
		m->body = a->sink.data;
		m->body_bytes = a->sink.len;
	}
}
