/* From what libcurl says to what the daemon is told: causes, words and phases. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "worker/outcome.h"

static struct response no_response;

static struct ending ending(CURLcode rc, bool sent)
{
	return (struct ending){.rc = rc,
			       .curl_text = "",
			       .sent = sent,
			       .response = &no_response,
			       .url = "http://a.example:81/x",
			       .address = "",
			       .timeout_ms = 30000,
			       .connect_timeout_ms = 10000,
			       .max_body_bytes = 1 << 20,
			       .content_type = "",
			       .decode_fault = "",
			       .verdict = "",
			       .body = ""};
}

static const struct response ok = {.at = RESPONSE_IN_BODY, .status = 200};

static void codes_become_causes(void **arg)
{
	static const struct {
		CURLcode rc;
		bool sent;
		enum cause cause;
	} cases[] = {
	    {CURLE_URL_MALFORMAT, false, CAUSE_URL},
	    {CURLE_UNSUPPORTED_PROTOCOL, false, CAUSE_URL},
	    {CURLE_UNSUPPORTED_PROTOCOL, true, CAUSE_PROTOCOL}, /* HTTP/0.9 */
	    {CURLE_COULDNT_RESOLVE_HOST, false, CAUSE_DNS},
	    {CURLE_COULDNT_CONNECT, false, CAUSE_CONNECT},
	    {CURLE_OPERATION_TIMEDOUT, false, CAUSE_CONNECT_TIMEOUT},
	    {CURLE_OPERATION_TIMEDOUT, true, CAUSE_TIMEOUT},
	    {CURLE_SSL_CONNECT_ERROR, false, CAUSE_TLS},
	    {CURLE_PEER_FAILED_VERIFICATION, false, CAUSE_TLS_VERIFY},
	    {CURLE_SSL_CACERT_BADFILE, false, CAUSE_TLS_VERIFY},
	    {CURLE_GOT_NOTHING, true, CAUSE_RESET},
	    {CURLE_RECV_ERROR, true, CAUSE_RESET},
	    {CURLE_SEND_ERROR, true, CAUSE_RESET},
	    {CURLE_HTTP2_STREAM, true, CAUSE_RESET},
	    {CURLE_PARTIAL_FILE, true, CAUSE_TRUNCATED},
	    {CURLE_WEIRD_SERVER_REPLY, true, CAUSE_PROTOCOL},
	    {CURLE_HTTP2, true, CAUSE_PROTOCOL},
	    {CURLE_BAD_CONTENT_ENCODING, true, CAUSE_DECODE},
	    {CURLE_OUT_OF_MEMORY, false, CAUSE_INTERNAL},
	    {CURLE_OUT_OF_MEMORY, true, CAUSE_PROTOCOL}, /* an endless header line */
	    {CURLE_FAILED_INIT, false, CAUSE_INTERNAL},
	    {CURLE_OK, true, CAUSE_PROTOCOL}, /* and no status line */
	};

	(void)arg;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct ending e = ending(cases[i].rc, cases[i].sent);

		if (outcome_cause(&e) != cases[i].cause)
			fail_msg("code %d (sent %d) is told as %s", cases[i].rc, cases[i].sent,
				 cause_name(outcome_cause(&e)));
	}
}

static void memory_short_in_a_body_is_our_own_trouble(void **arg)
{
	struct ending e = ending(CURLE_OUT_OF_MEMORY, true);

	(void)arg;
	e.response = &ok;
	assert_int_equal(outcome_cause(&e), CAUSE_INTERNAL);
}

static void what_our_callbacks_saw_goes_before_libcurls_code(void **arg)
{
	struct ending e = ending(CURLE_WRITE_ERROR, true);

	(void)arg;
	e.stopped = CAUSE_TOO_LARGE;
	assert_int_equal(outcome_cause(&e), CAUSE_TOO_LARGE);
	e = ending(CURLE_ABORTED_BY_CALLBACK, true);
	e.stopped = CAUSE_RESEND;
	assert_int_equal(outcome_cause(&e), CAUSE_RESEND);
}

static void a_malformed_chunk_is_not_a_broken_connection(void **arg)
{
	struct ending e = ending(CURLE_RECV_ERROR, true);

	(void)arg;
	e.response = &ok;
	e.curl_text = "Illegal or missing hexadecimal sequence in chunked-encoding";
	assert_int_equal(outcome_cause(&e), CAUSE_PROTOCOL);
	e.curl_text = "Recv failure: Connection reset by peer";
	assert_int_equal(outcome_cause(&e), CAUSE_RESET);
}

static void fewer_bytes_than_announced_are_never_a_response(void **arg)
{
	struct response r = {.at = RESPONSE_IN_BODY, .status = 200, .has_length = true, .content_length = 100};
	struct ending e = ending(CURLE_OK, true);

	(void)arg;
	e.response = &r;
	e.wire_bytes = 99;
	assert_int_equal(outcome_cause(&e), CAUSE_TRUNCATED);
	e.wire_bytes = 100;
	assert_int_equal(outcome_cause(&e), CAUSE_RESPONSE);
	e.wire_bytes = 0;
	e.bodiless = true;
	assert_int_equal(outcome_cause(&e), CAUSE_RESPONSE);
	e.bodiless = false;
	r.status = 304;
	assert_int_equal(outcome_cause(&e), CAUSE_RESPONSE);
}

static void an_end_in_the_middle_of_the_head_is_never_a_response(void **arg)
{
	struct response r = {.at = RESPONSE_IN_HEAD, .status = 200};
	struct ending e = ending(CURLE_OK, true);

	(void)arg;
	e.response = &r;
	assert_int_equal(outcome_cause(&e), CAUSE_RESET);
}

static void assert_text(const struct ending *e, const char *expected)
{
	char out[OUTCOME_TEXT_SIZE];

	assert_string_equal(outcome_text(e, outcome_cause(e), out), expected);
}

static void a_good_response_needs_no_words(void **arg)
{
	struct ending e = ending(CURLE_OK, true);
	struct response r = ok;

	(void)arg;
	e.response = &r;
	e.body = "fine";
	e.body_bytes = 4;
	assert_text(&e, "");
	r.status = 302;
	assert_text(&e, "");
	r.status = 599;
	assert_text(&e, "599: fine");
}

static void assert_status_text(int status, const char *type, const char *body, const char *expected)
{
	struct response r = {.at = RESPONSE_IN_BODY, .status = status};
	struct ending e = ending(CURLE_OK, true);

	e.response = &r;
	e.content_type = type;
	e.body = body;
	e.body_bytes = strlen(body);
	assert_text(&e, expected);
}

static void a_body_that_repeats_the_status_is_not_repeated(void **arg)
{
	(void)arg;
	assert_status_text(404, "", "", "404 Not Found");
	assert_status_text(404, "", "404 Not Found", "404 Not Found");
	assert_status_text(404, "", "Not found\n", "404 Not Found");
	assert_status_text(404, "", "404", "404 Not Found");
	assert_status_text(404, "", "404: Not Found.", "404 Not Found");
	assert_status_text(404, "", "404 page not found", "404 Not Found: page not found");
	assert_status_text(404, "", "Not Found: no cat of that name", "404 Not Found: no cat of that name");
	assert_status_text(404, "", "Not Foundling", "404 Not Found: Not Foundling");
	assert_status_text(404, "", "4045", "404 Not Found: 4045");
	assert_status_text(404, "", "{\"message\":\"Not Found\"}", "404 Not Found: {\"message\":\"Not Found\"}");
	assert_status_text(502, "text/html",
			   "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1>"
			   "</center><hr><center>nginx</center></body></html>",
			   "502 Bad Gateway: nginx");
	assert_status_text(599, "", "599", "599");
	assert_status_text(599, "", "599 Odd", "599: Odd");
}

static void a_status_that_is_about_the_credential_says_so(void **arg)
{
	(void)arg;
	assert_status_text(401, "", "", "401 Unauthorized; check the token or password sent with it");
	assert_status_text(401, "", "Token expired",
			   "401 Unauthorized: Token expired; check the token or password sent with it");
	assert_status_text(403, "", "Forbidden",
			   "403 Forbidden; check that the token or password sent with it allows this");
}

static void connection_failures_say_where_and_why(void **arg)
{
	struct ending e = ending(CURLE_COULDNT_CONNECT, false);

	(void)arg;
	e.address_tried = true;
	e.address = "127.0.0.1";
	e.os_error = ECONNREFUSED;
	assert_text(&e, "connection to a.example (127.0.0.1) port 81 failed: Connection refused");
	e.os_error = EHOSTUNREACH;
	assert_text(&e, "connection to a.example (127.0.0.1) port 81 failed: No route to host");
	e.os_error = 0;
	e.curl_text = "Couldn't bind";
	assert_text(&e, "connection to a.example (127.0.0.1) port 81 failed: Couldn't bind");
	e.os_error = EHOSTUNREACH;
	e.url = "http://127.0.0.1/";
	assert_text(&e, "connection to 127.0.0.1 port 80 failed: No route to host");
	e.url = "http://[::1]:8080/";
	e.address = "::1";
	assert_text(&e, "connection to [::1] port 8080 failed: No route to host");
	e.url = "http://127.0.0.1/";
	e.address = "127.0.0.1";
	e.stopped = CAUSE_POLICY;
	assert_text(&e, "address 127.0.0.1 is denied by network.deny");
	e.url = "https://a.example/";
	assert_text(&e, "address 127.0.0.1 of host a.example is denied by network.deny");
	e.not_public = true;
	assert_text(&e, "address 127.0.0.1 of host a.example is not a public one, and the URL came from a server at a "
			"public address");
}

static void timeouts_say_which_and_how_far_it_had_come(void **arg)
{
	struct response r = {.at = RESPONSE_IN_BODY, .status = 200, .has_length = true, .content_length = 500};
	struct ending e = ending(CURLE_OPERATION_TIMEDOUT, false);

	(void)arg;
	assert_text(&e, "host a.example: no answer from the resolver within 10.00 s (connect_timeout)");
	e.address_tried = true;
	e.address = "192.0.2.1";
	assert_text(&e, "no connection to a.example (192.0.2.1) port 81 within 10.00 s (connect_timeout)");
	e.timeout_ms = 2000;
	assert_text(&e, "no connection to a.example (192.0.2.1) port 81 within 2.00 s (timeout)");
	e.marks.tls = true;
	assert_text(&e, "no connection to a.example (192.0.2.1) port 81 within 2.00 s (timeout)");
	e.marks.connect_us = 700;
	assert_text(&e,
		    "the TLS handshake with a.example (192.0.2.1) port 81 was not finished within 2.00 s (timeout); "
		    "does that port speak TLS?");
	e.sent = true;
	assert_text(&e, "timeout of 2.00 s passed before a response came");
	e.response = &r;
	e.wire_bytes = 123;
	assert_text(&e, "timeout of 2.00 s passed after 123 of 500 bytes of the body");
	r.has_length = false;
	assert_text(&e, "timeout of 2.00 s passed after 123 bytes of the body");
	e.curl_text = "Operation too slow. Less than 1 bytes/sec transferred the last 60 seconds";
	assert_text(
	    &e, "stalled after 123 bytes of the body: Operation too slow. Less than 1 bytes/sec transferred the last "
		"60 seconds");
}

static void broken_responses_say_how_far_they_had_come(void **arg)
{
	struct response r = {.at = RESPONSE_IN_BODY, .status = 200, .has_coding = true};
	struct ending e = ending(CURLE_GOT_NOTHING, true);

	(void)arg;
	assert_text(&e, "the connection to a.example port 81 broke before a response came");
	e.rc = CURLE_PARTIAL_FILE;
	e.response = &r;
	e.wire_bytes = 5;
	assert_text(&e, "the response ended early, after 5 bytes of the body and without the last chunk");
	e.decode_fault = "the gzip stream is cut short";
	e.stopped = CAUSE_TRUNCATED;
	assert_text(&e, "the response ended early, after 5 bytes of the body: the gzip stream is cut short");
	e.decode_fault = "gzip: incorrect data check";
	e.stopped = CAUSE_DECODE;
	assert_text(&e, "the body cannot be decoded: gzip: incorrect data check");
	e.stopped = CAUSE_RESPONSE;
	r.fault = "two Content-Length headers contradict each other";
	assert_text(&e, "not a valid HTTP response: two Content-Length headers contradict each other");
}

static void other_failures_have_their_words(void **arg)
{
	struct ending e = ending(CURLE_COULDNT_RESOLVE_HOST, false);

	(void)arg;
	assert_text(&e, "host a.example: name does not resolve");
	e = ending(CURLE_WRITE_ERROR, true);
	e.stopped = CAUSE_TOO_LARGE;
	assert_text(&e, "the body is larger than 1.0 MiB; raise max_body (--max-body) to fetch it");
	e.response = &(const struct response){.at = RESPONSE_IN_BODY, .status = 403};
	assert_text(&e, "403 Forbidden, and the body is larger than 1.0 MiB; raise max_body (--max-body) to fetch it");
	e.stopped = CAUSE_STORAGE;
	e.storage_error = ENOSPC;
	assert_text(&e, "the body could not be stored: No space left on device");
	e.stopped = CAUSE_CANCELLED;
	assert_text(&e, "cancelled");
	e = ending(CURLE_FAILED_INIT, false);
	assert_text(&e, "libcurl: Failed initialization");
	e = ending(CURLE_SSL_CONNECT_ERROR, false);
	e.curl_text = "bad\x1b"
		      "cert\n";
	assert_text(&e, "TLS with a.example port 81 failed: bad?cert");
	e = ending(CURLE_OK, true);
	e.stopped = CAUSE_SOFT_ERROR;
	e.verdict = "Token not valid!";
	assert_text(&e, "Token not valid!");
}

static void the_longest_words_fit(void **arg)
{
	static char body[1024];
	struct ending e = ending(CURLE_OK, true);
	struct response r = {.at = RESPONSE_IN_BODY, .status = 431};
	char out[OUTCOME_TEXT_SIZE], url[400] = "http://", text[CURL_ERROR_SIZE];

	(void)arg;
	for (size_t i = 0; i + 4 <= sizeof body; i += 4)
		memcpy(body + i, "😀", 4);
	e.response = &r;
	e.body = body;
	e.body_bytes = sizeof body;
	assert_int_equal(strlen(outcome_text(&e, CAUSE_RESPONSE, out)),
			 strlen("431 Request Header Fields Too Large: ") + 800);
	memset(url + 7, 'h', 255);
	memset(text, 't', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	e.url = url;
	e.curl_text = text;
	for (int c = 0; c < CAUSES; c++)
		assert_true(strlen(outcome_text(&e, (enum cause)c, out)) < sizeof out - 1);
}

static int64_t sum(const struct timings *t)
{
	return t->dns_us + t->connect_us + t->tls_us + t->send_us + t->wait_us + t->receive_us;
}

static void phases_are_disjoint_and_add_up(void **arg)
{
	const struct marks m = {10, 30, 60, 65, 100, 150, false, true};
	struct timings t;

	(void)arg;
	outcome_timings(&m, &t);
	assert_int_equal(t.dns_us, 10);
	assert_int_equal(t.connect_us, 20);
	assert_int_equal(t.tls_us, 30);
	assert_int_equal(t.send_us, 5);
	assert_int_equal(t.wait_us, 35);
	assert_int_equal(t.receive_us, 50);
	assert_int_equal(t.total_us, 150);
}

static void a_reused_connection_has_no_phases_before_sending(void **arg)
{
	const struct marks m = {10, 11, 12, 15, 100, 150, true, true};
	struct timings t;

	(void)arg;
	outcome_timings(&m, &t);
	assert_int_equal(t.dns_us + t.connect_us + t.tls_us, 0);
	assert_int_equal(t.send_us, 15);
	assert_int_equal(sum(&t), 150);
}

static void the_phase_in_which_it_ended_takes_the_rest(void **arg)
{
	struct marks m = {.total_us = 500};
	struct timings t;

	(void)arg;
	outcome_timings(&m, &t);
	assert_int_equal(t.dns_us, 500);
	m.dns_us = 100;
	outcome_timings(&m, &t);
	assert_int_equal(t.connect_us, 400);
	m.connect_us = 200;
	m.tls = true;
	outcome_timings(&m, &t);
	assert_int_equal(t.tls_us, 300);
	m.tls_us = 300;
	m.pretransfer_us = 310;
	outcome_timings(&m, &t);
	assert_int_equal(t.wait_us, 190);
	assert_int_equal(t.receive_us, 0);
	assert_int_equal(sum(&t), 500);
}

static void marks_in_disorder_still_add_up(void **arg)
{
	uint32_t seed = 1;

	(void)arg;
	for (int i = 0; i < 10000; i++) {
		int64_t v[6];
		struct marks m;
		struct timings t;

		for (int k = 0; k < 6; k++) {
			seed = seed * 1664525u + 1013904223u;
			v[k] = (seed >> 8) % 7 ? (int64_t)(seed >> 10) % 1000 : 0;
		}
		m = (struct marks){v[0], v[1], v[2], v[3], v[4], v[5], seed & 1, seed & 2};
		outcome_timings(&m, &t);
		assert_int_equal(sum(&t), m.total_us);
		assert_true(t.dns_us >= 0 && t.connect_us >= 0 && t.tls_us >= 0 && t.send_us >= 0 && t.wait_us >= 0 &&
			    t.receive_us >= 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(codes_become_causes),
	    cmocka_unit_test(memory_short_in_a_body_is_our_own_trouble),
	    cmocka_unit_test(what_our_callbacks_saw_goes_before_libcurls_code),
	    cmocka_unit_test(a_malformed_chunk_is_not_a_broken_connection),
	    cmocka_unit_test(fewer_bytes_than_announced_are_never_a_response),
	    cmocka_unit_test(an_end_in_the_middle_of_the_head_is_never_a_response),
	    cmocka_unit_test(a_good_response_needs_no_words),
	    cmocka_unit_test(a_body_that_repeats_the_status_is_not_repeated),
	    cmocka_unit_test(a_status_that_is_about_the_credential_says_so),
	    cmocka_unit_test(connection_failures_say_where_and_why),
	    cmocka_unit_test(timeouts_say_which_and_how_far_it_had_come),
	    cmocka_unit_test(broken_responses_say_how_far_they_had_come),
	    cmocka_unit_test(other_failures_have_their_words),
	    cmocka_unit_test(the_longest_words_fit),
	    cmocka_unit_test(phases_are_disjoint_and_add_up),
	    cmocka_unit_test(a_reused_connection_has_no_phases_before_sending),
	    cmocka_unit_test(the_phase_in_which_it_ended_takes_the_rest),
	    cmocka_unit_test(marks_in_disorder_still_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
