/* Classification and timings. The words are in outcome_text.c. */
#include "worker/outcome.h"

#include <errno.h>
#include <string.h>

/* What a code of libcurl's means once it is known that we did not stop the transfer ourselves. Codes that are not here
 * are CAUSE_INTERNAL. `unsent` is for those that mean something else before the request was sent. */
static const struct {
	CURLcode rc;
	enum cause sent, unsent;
} causes[] = {
    {CURLE_UNSUPPORTED_PROTOCOL, CAUSE_PROTOCOL, CAUSE_URL}, /* HTTP/0.9, or a scheme that is not ours */
    {CURLE_URL_MALFORMAT, CAUSE_URL, CAUSE_URL},
    {CURLE_COULDNT_RESOLVE_HOST, CAUSE_DNS, CAUSE_DNS},
    {CURLE_COULDNT_CONNECT, CAUSE_CONNECT, CAUSE_CONNECT},
    {CURLE_WEIRD_SERVER_REPLY, CAUSE_PROTOCOL, CAUSE_PROTOCOL},
    {CURLE_HTTP2, CAUSE_PROTOCOL, CAUSE_PROTOCOL},
    {CURLE_HTTP2_STREAM, CAUSE_RESET, CAUSE_RESET},
    {CURLE_PARTIAL_FILE, CAUSE_TRUNCATED, CAUSE_TRUNCATED},
    {CURLE_OPERATION_TIMEDOUT, CAUSE_TIMEOUT, CAUSE_CONNECT_TIMEOUT},
    {CURLE_GOT_NOTHING, CAUSE_RESET, CAUSE_RESET},
    {CURLE_SEND_ERROR, CAUSE_RESET, CAUSE_RESET},
    {CURLE_RECV_ERROR, CAUSE_RESET, CAUSE_RESET},
    {CURLE_SSL_CONNECT_ERROR, CAUSE_TLS, CAUSE_TLS},
    {CURLE_SSL_CERTPROBLEM, CAUSE_TLS, CAUSE_TLS},
    {CURLE_SSL_CIPHER, CAUSE_TLS, CAUSE_TLS},
    {CURLE_USE_SSL_FAILED, CAUSE_TLS, CAUSE_TLS},
    {CURLE_PEER_FAILED_VERIFICATION, CAUSE_TLS_VERIFY, CAUSE_TLS_VERIFY},
    {CURLE_SSL_CACERT_BADFILE, CAUSE_TLS_VERIFY, CAUSE_TLS_VERIFY},
    {CURLE_SSL_ISSUER_ERROR, CAUSE_TLS_VERIFY, CAUSE_TLS_VERIFY},
    {CURLE_SSL_INVALIDCERTSTATUS, CAUSE_TLS_VERIFY, CAUSE_TLS_VERIFY},
    {CURLE_BAD_CONTENT_ENCODING, CAUSE_DECODE, CAUSE_DECODE},
    {CURLE_FILESIZE_EXCEEDED, CAUSE_TOO_LARGE, CAUSE_TOO_LARGE},
};

/* Fewer bytes than announced although libcurl is content: an HTTP/2 stream reset with NO_ERROR in mid-body looks like a
 * success to 7.88. */
static bool is_short(const struct ending *e)
{
	int status = e->response->status;

	return e->response->has_length && !e->bodiless && status != 204 && status != 304 &&
	       e->wire_bytes < e->response->content_length;
}

static bool in_head(const struct ending *e)
{
	return e->sent && e->response->at != RESPONSE_IN_BODY;
}

enum cause outcome_cause(const struct ending *e)
{
	if (e->stopped != CAUSE_RESPONSE)
		return e->stopped;
	if (e->response->fault)
		return CAUSE_PROTOCOL;
	if (e->rc == CURLE_OK) {
		/* To libcurl an end in mid-head is the end of a response without a body. */
		if (e->response->at == RESPONSE_IN_HEAD)
			return CAUSE_RESET;
		if (e->response->status == 0)
			return CAUSE_PROTOCOL;
		return is_short(e) ? CAUSE_TRUNCATED : CAUSE_RESPONSE;
	}
	/* libcurl runs into its own bound on a header line and calls it out of memory. */
	if (e->rc == CURLE_OUT_OF_MEMORY && in_head(e))
		return CAUSE_PROTOCOL;
	/* A malformed chunk is a receive error to it, told from a broken connection by its words alone. */
	if (e->rc == CURLE_RECV_ERROR && strstr(e->curl_text, "chunk"))
		return CAUSE_PROTOCOL;
	for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++)
		if (causes[i].rc == e->rc)
			return e->sent ? causes[i].sent : causes[i].unsent;
	return CAUSE_INTERNAL;
}

/* The time between the end of the phase before and this one's, which is then the phase before. What was not reached
 * (mark 0) takes the rest, for it is in that phase that the transfer ended. */
static int64_t phase(int64_t *at, int64_t mark, int64_t total, bool *over)
{
	int64_t end = mark > 0 && mark < total ? mark : total;
	int64_t us;

	if (*over)
		return 0;
	if (mark <= 0)
		*over = true;
	if (end < *at)
		end = *at;
	us = end - *at;
	*at = end;
	return us;
}

void outcome_timings(const struct marks *m, struct timings *t)
{
	int64_t at = 0;
	bool over = false;

	*t = (struct timings){.total_us = m->total_us};
	if (!m->reused) {
		t->dns_us = phase(&at, m->dns_us, m->total_us, &over);
		t->connect_us = phase(&at, m->connect_us, m->total_us, &over);
		if (m->tls)
			t->tls_us = phase(&at, m->tls_us, m->total_us, &over);
	}
	t->send_us = phase(&at, m->pretransfer_us, m->total_us, &over);
	t->wait_us = phase(&at, m->first_byte_us, m->total_us, &over);
	t->receive_us = phase(&at, m->total_us, m->total_us, &over);
}
