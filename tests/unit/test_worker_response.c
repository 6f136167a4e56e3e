/* Heads of responses line by line, and remote text made printable. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/message.h"
#include "lib/printable.h"
#include "worker/response.h"

/* Feeds lines that end with \n; returns what the last one returned. */
static int feed(struct response *r, const char *lines)
{
	int rc = 0;

	while (*lines && rc == 0) {
		const char *end = strchr(lines, '\n');
		size_t n = end ? (size_t)(end - lines) + 1 : strlen(lines);

		rc = response_line(r, lines, n);
		lines += n;
	}
	return rc;
}

static void the_head_is_kept_from_the_final_status_line_on(void **arg)
{
	struct response r = {0};

	(void)arg;
	response_begin(&r);
	assert_string_equal(response_text(&r), "");
	assert_int_equal(feed(&r, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"), 0);
	assert_int_equal(r.status, 0);
	assert_int_equal(r.first_byte_us, 0);
	assert_int_equal(r.at, RESPONSE_AT_STATUS);
	assert_int_equal(feed(&r, "HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length:  7 \r\n"), 0);
	assert_int_equal(r.at, RESPONSE_IN_HEAD);
	assert_true(r.first_byte_us > 0);
	assert_int_equal(feed(&r, "\r\nTrailer: 1\r\n"), 0);
	assert_int_equal(r.at, RESPONSE_IN_BODY);
	assert_int_equal(r.status, 200);
	assert_true(r.has_length && r.content_length == 7);
	assert_string_equal(response_text(&r), "HTTP/1.1 200 OK\nA: 1\nContent-Length:  7 \n");
	response_begin(&r);
	assert_string_equal(response_text(&r), "");
	assert_int_equal(r.status, 0);
	response_clear(&r);
}

static void status_lines_of_all_versions_are_read(void **arg)
{
	static const struct {
		const char *line;
		int status;
	} lines[] = {{"HTTP/2 200\n", 200},
		     {"HTTP/2 204 \r\n", 204},
		     {"HTTP/1.0 404 Not Found\r\n", 404},
		     {"HTTP/1.1 999 What\r\n", 999},
		     {"HTTP/1.1 20\r\n", -1},
		     {"HTTP/1.1 2x0 OK\r\n", -1},
		     {"HTTP/1.1\r\n", -1},
		     {"ICY 200 OK\r\n", -1},
		     {"HTTP/1.1 099 Low\r\n", -1},
		     {"HTTP/1.1 101 Switching Protocols\r\n", -1}};

	(void)arg;
	for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
		struct response r = {0};

		assert_int_equal(feed(&r, lines[i].line), lines[i].status < 0 ? -1 : 0);
		assert_int_equal(r.status, lines[i].status < 0 ? 0 : lines[i].status);
		assert_int_equal(r.fault != NULL, lines[i].status < 0);
		response_clear(&r);
	}
}

static void contradictions_about_the_length_are_faults(void **arg)
{
	static const struct {
		const char *lines;
		int rc;
	} heads[] = {
	    {"Content-Length: 5\r\nContent-Length: 5\r\n", 0},
	    {"Transfer-Encoding: chunked\r\n", 0},
	    {"Content-Lengthy: x\r\nX-Content-Length: 9\r\nContent-Length: 5\r\n", 0},
	    {"A: 1\r\n folded\r\nContent-Length: 5\r\n", 0},
	    {"Content-Length: 5\r\ncontent-LENGTH: 6\r\n", -1},
	    {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", -1},
	    {"transfer-encoding: chunked\r\nContent-Length: 5\r\n", -1},
	    {"Content-Length: 5, 5\r\n", -1},
	    {"Content-Length:\r\n", -1},
	    {"Content-Length: +5\r\n", -1},
	    {"Content-Length: 5;\r\n", -1},
	    {"Content-Length: 99999999999999999999\r\n", -1},
	    {"Content-Length: 5\r\n 6\r\n", -1},
	    {"Transfer-Encoding:\r\n\tchunked\r\n", -1},
	    {"Transfer-Encoding: Chunked \r\n", 0},
	    {"Transfer-Encoding: identity\r\n", 0},
	    {"Transfer-Encoding: gzip, chunked\r\n", -1},
	    {"Transfer-Encoding: chunkedy\r\n", -1},
	    {"Transfer-Encoding:\r\n", -1},
	    {"Content-Encoding: gzip\r\n , br\r\n", -1},
	};

	(void)arg;
	for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
		struct response r = {0};

		assert_int_equal(feed(&r, "HTTP/1.1 200 OK\r\n"), 0);
		if (feed(&r, heads[i].lines) != heads[i].rc)
			fail_msg("head %zu: %s", i, r.fault ? r.fault : "no fault");
		response_clear(&r);
	}
}

static void all_content_encodings_are_one_list(void **arg)
{
	struct response r = {0};

	(void)arg;
	assert_int_equal(feed(&r, "HTTP/1.1 200 OK\r\n"), 0);
	assert_string_equal(r.encoding, "");
	assert_int_equal(feed(&r, "Content-Encoding: gzip \r\nA: b\r\ncontent-encoding:\r\nCONTENT-ENCODING:br\r\n"),
			 0);
	assert_string_equal(r.encoding, "gzip,br");
	response_begin(&r);
	assert_string_equal(r.encoding, "");
	assert_int_equal(feed(&r, "HTTP/1.1 200 OK\r\n"), 0);
	for (int i = 0; i < 15; i++)
		assert_int_equal(feed(&r, "Content-Encoding: gzip\r\n"), 0);
	assert_int_equal(strlen(r.encoding), 74);
	assert_int_equal(feed(&r, "Content-Encoding: gzip\r\n"), 0);
	assert_int_equal(feed(&r, "Content-Encoding: gzip\r\n"), -1);
	response_clear(&r);
}

static void what_is_told_of_a_head_is_bounded_and_cut_at_a_line(void **arg)
{
	struct response r = {0};
	char line[1002];
	size_t n;

	(void)arg;
	memset(line, 'x', sizeof line);
	memcpy(line, "X:", 2);
	line[1000] = '\r';
	line[1001] = '\n';
	assert_int_equal(feed(&r, "HTTP/1.1 200 OK\r\n"), 0);
	for (int i = 0; i < 20; i++)
		assert_int_equal(response_line(&r, line, sizeof line), 0);
	assert_int_equal(feed(&r, "Content-Length: 9\r\n"), 0);
	assert_int_equal(strlen(response_text(&r)), 16 + 20 * 1001 + 18);
	response_cut(&r);
	n = strlen(response_text(&r));
	assert_int_equal(n, 16 + 16 * 1001);
	assert_int_equal(response_text(&r)[n - 1], '\n');
	response_cut(&r);
	assert_int_equal(strlen(response_text(&r)), n);
	response_begin(&r);
	assert_string_equal(response_text(&r), "");
	response_clear(&r);
}

static void a_head_without_an_end_is_a_fault(void **arg)
{
	struct response r = {0};
	int lines = 0;

	(void)arg;
	assert_int_equal(feed(&r, "HTTP/1.1 200 OK\r\n"), 0);
	while (feed(&r, "X-Header: some value\r\n") == 0)
		lines++;
	assert_in_range(lines, 2900, 3000);
	assert_non_null(strstr(r.fault, "64 KiB"));
	response_clear(&r);
}

static void a_nul_in_a_header_ends_nothing(void **arg)
{
	struct response r = {0};

	(void)arg;
	assert_int_equal(feed(&r, "HTTP/1.1 200 OK\n"), 0);
	assert_int_equal(response_line(&r, "\0A: b\0\0c\0\r\n", 11), 0);
	assert_int_equal(feed(&r, "B: 1\n"), 0);
	assert_string_equal(response_text(&r), "HTTP/1.1 200 OK\n?A: b??c?\nB: 1\n");
	response_clear(&r);
}

static void remote_text_is_made_printable(void **arg)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
	    {"plain", "plain"},
	    {"  many \t\r\n spaces  ", "many spaces"},
	    {"é€😀", "é€😀"},
	    {"\x1b[31m\x07", "?[31m?"},
	    {"a\x7f"
	     "b\xc2\x9b"
	     "c",
	     "a?b?c"},
	    {"\xff\xfe", "??"},
	    {"\xc0\xaf", "??"},           /* overlong */
	    {"\xe0\x80\xaf", "???"},      /* overlong */
	    {"\xed\xa0\x80", "???"},      /* a surrogate */
	    {"\xf4\x90\x80\x80", "????"}, /* past the end */
	    {"ab\xe2\x82", "ab??"},       /* cut short */
	    {"\xe2\x80\xae"
	     "evil",
	     "?evil"}, /* turns the direction */
	    {"\xe2\x80\xa8"
	     "line",
	     "?line"}, /* a line separator */
	};
	char out[100];

	(void)arg;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		size_t n = text_printable(out, sizeof out, cases[i].in, strlen(cases[i].in), 50);

		assert_string_equal(out, cases[i].out);
		assert_int_equal(n, strlen(out));
	}
}

static void remote_text_is_cut_at_characters(void **arg)
{
	char out[7];

	(void)arg;
	text_printable(out, sizeof out, "é€😀", strlen("é€😀"), 2);
	assert_string_equal(out, "é€");
	text_printable(out, sizeof out, "é€😀", strlen("é€😀"), 9);
	assert_string_equal(out, "é€");
	text_printable(out, 1, "x", 1, 9);
	assert_string_equal(out, "");
	text_printable(out, sizeof out, "a\0b", 3, 9);
	assert_string_equal(out, "a?b");
}

static void tags_are_left_out_of_html(void **arg)
{
	static const char html[] = "<html><body class=\"x\"><h1>Not</h1>found<br>here</body>";
	char out[100];

	(void)arg;
	text_printable_html(out, sizeof out, html, sizeof html - 1, 99);
	assert_string_equal(out, "Not found here");
	text_printable_html(out, sizeof out, "a <b", 4, 99);
	assert_string_equal(out, "a");
}

static void text_is_told_from_other_bytes(void **arg)
{
	(void)arg;
	assert_true(text_is_text("{\"a\":\t1}\r\n", 10));
	assert_true(text_is_text("é", 1)); /* cut in the middle of a character */
	assert_true(text_is_text("", 0));
	assert_false(text_is_text("a\0b", 3));
	assert_false(text_is_text("\x89PNG", 4));
	assert_false(text_is_text("\x1b[m", 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_head_is_kept_from_the_final_status_line_on),
	    cmocka_unit_test(status_lines_of_all_versions_are_read),
	    cmocka_unit_test(contradictions_about_the_length_are_faults),
	    cmocka_unit_test(all_content_encodings_are_one_list),
	    cmocka_unit_test(what_is_told_of_a_head_is_bounded_and_cut_at_a_line),
	    cmocka_unit_test(a_head_without_an_end_is_a_fault),
	    cmocka_unit_test(a_nul_in_a_header_ends_nothing),
	    cmocka_unit_test(remote_text_is_made_printable),
	    cmocka_unit_test(remote_text_is_cut_at_characters),
	    cmocka_unit_test(tags_are_left_out_of_html),
	    cmocka_unit_test(text_is_told_from_other_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
