/* Whether a URL goes to libcurl in parts or whole must not show: what is sent, what libcurl calls the URL, and where it
 * says that a redirect leads, are compared with those of a handle that was given the URL as it is. */
#include "worker/target.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#define HEAD_SIZE 4096u
#define URL_SIZE  512u

/* Answers each request with a redirect, and keeps its head. */
struct server {
	int listener;
	unsigned port;
	pthread_t thread;
	char head[HEAD_SIZE]; /* of the last request; read once its answer came */
};

static bool read_head(struct server *s, int fd)
{
	size_t len = 0;
	ssize_t n;

	while (len < HEAD_SIZE - 1 && (n = recv(fd, s->head + len, HEAD_SIZE - 1 - len, 0)) > 0) {
		len += (size_t)n;
		s->head[len] = '\0';
		if (len >= 4 && strcmp(s->head + len - 4, "\r\n\r\n") == 0)
			return true;
	}
	return false;
}

static void *serve(void *arg)
{
	static const char answer[] = "HTTP/1.1 302 Found\r\nLocation: next?to=1\r\nContent-Length: 0\r\n"
				     "Connection: close\r\n\r\n";
	struct server *s = arg;
	int fd;

	while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
		if (read_head(s, fd))
			send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
		close(fd);
	}
	return NULL;
}

static int start_server(void **state)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof addr;
	struct server *s = calloc(1, sizeof *s);

	s->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(s->listener, (struct sockaddr *)&addr, sizeof addr), 0);
	assert_int_equal(listen(s->listener, 16), 0);
	getsockname(s->listener, (struct sockaddr *)&addr, &len);
	s->port = ntohs(addr.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	*state = s;
	return 0;
}

static int stop_server(void **state)
{
	struct server *s = *state;

	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
	free(s);
	return 0;
}

/* What is seen of a fetch. */
struct seen {
	CURLcode rc;
	char head[HEAD_SIZE], effective[URL_SIZE], redirect[URL_SIZE];
};

static void copy_info(CURL *easy, CURLINFO info, char out[URL_SIZE])
{
	char *text = NULL;

	curl_easy_getinfo(easy, info, &text);
	snprintf(out, URL_SIZE, "%s", text ? text : "");
}

static void fetch(struct server *s, CURL *easy, struct seen *seen)
{
	s->head[0] = '\0';
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	seen->rc = curl_easy_perform(easy);
	strcpy(seen->head, s->head);
	copy_info(easy, CURLINFO_EFFECTIVE_URL, seen->effective);
	copy_info(easy, CURLINFO_REDIRECT_URL, seen->redirect);
}

/* "PORT" in the text becomes the server's. */
static void write_url(char out[URL_SIZE], const char *text, unsigned port)
{
	const char *at = strstr(text, "PORT");
	int n = at ? (int)(at - text) : (int)strlen(text);

	if (at)
		snprintf(out, URL_SIZE, "%.*s%u%s", n, text, port, at + 4);
	else
		snprintf(out, URL_SIZE, "%s", text);
}

/* Returns whether the URL went in parts. */
static bool compare(struct server *s, struct target *t, CURL *easy, const char *text)
{
	struct seen in_parts, whole;
	CURL *plain = curl_easy_init();
	char url[URL_SIZE];

	write_url(url, text, s->port);
	assert_int_equal(target_set(t, easy, url), CURLE_OK);
	fetch(s, easy, &in_parts);
	curl_easy_setopt(plain, CURLOPT_URL, url);
	fetch(s, plain, &whole);
	curl_easy_cleanup(plain);
	if (in_parts.rc != whole.rc)
		fail_msg("%s: %d in parts, %d whole", url, in_parts.rc, whole.rc);
	assert_string_equal(in_parts.head, whole.head);
	assert_string_equal(in_parts.effective, whole.effective);
	assert_string_equal(in_parts.redirect, whole.redirect);
	return t->in_parts;
}

static const char *const in_parts[] = {
    "http://127.0.0.1:PORT/",
    "http://127.0.0.1:PORT/1",
    "http://127.0.0.1:PORT/a/b/c",
    "http://127.0.0.1:PORT/a/b/c?page=2&x=%20%2F%e4",
    "http://127.0.0.1:PORT/a?x={[|]}\"'`^\\<>",
    "http://127.0.0.1:PORT//a//b/",
    "http://127.0.0.1:PORT/a.b/c..d/e.",
    "http://127.0.0.1:PORT/~!$&'()*+,;=:@-_",
    "http://127.0.0.1:PORT/?x",
    "http://127.0.0.1:PORT/a?b?c=/../d",
    "http://user:pass@127.0.0.1:PORT/a/b",
    "http://user@127.0.0.1:PORT/a/b?c",
    "http://localhost:PORT/a/b",
};

static const char *const whole[] = {
    "http://127.0.0.1:PORT",
    "http://127.0.0.1:PORT?a=b",
    "http://127.0.0.1:PORT/a?",
    "http://127.0.0.1:PORT/a#b",
    "http://127.0.0.1:PORT/a?b#c",
    "http://127.0.0.1:PORT/a/../b",
    "http://127.0.0.1:PORT/a/./b/..",
    "http://127.0.0.1:PORT/.a",
    "http://127.0.0.1:PORT/%2F/%e4/%C4",
    "http://127.0.0.1:PORT/a b",
    "http://127.0.0.1:PORT/a?b c",
    "http://127.0.0.1:PORT/\xc3\xa4?\xc3\xa4",
    "http://127.0.0.1:PORT/a?\x01",
    "HTTP://127.0.0.1:PORT/a",
    "http:/127.0.0.1:PORT/a",
    "http:///127.0.0.1:PORT/a",
    "127.0.0.1:PORT/a",
    "http://2130706433:PORT/a",
    "http://0x7f.1:PORT/a",
    "http://127.0.0.1:0PORT/a",
    "http://127.0.0.1:PORT1234567/a",
    "http://127.0.0.%31:PORT/a",
    "http://[fe80::1%25lo]:PORT/a",
    "http://us%65r@127.0.0.1:PORT/a",
    "http://",
    "http://:PORT/",
    "gopher://127.0.0.1:PORT/a",
    "",
};

static void urls_in_parts_are_fetched_as_they_would_be_whole(void **state)
{
	struct target t = {0};
	CURL *easy = curl_easy_init();

	/* Twice, so that each of them is once behind one of another origin, and once behind itself. */
	for (size_t i = 0; i < sizeof in_parts / sizeof *in_parts * 2; i++)
		if (!compare(*state, &t, easy, in_parts[i / 2]))
			fail_msg("%s did not go in parts", in_parts[i / 2]);
	curl_easy_cleanup(easy);
	target_clear(&t);
}

static void urls_that_are_not_plain_go_whole(void **state)
{
	struct target t = {0};
	CURL *easy = curl_easy_init();

	for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
		assert_true(compare(*state, &t, easy, in_parts[i % 4]));
		if (compare(*state, &t, easy, whole[i]))
			fail_msg("%s went in parts", whole[i]);
	}
	curl_easy_cleanup(easy);
	target_clear(&t);
}

static void any_url_may_follow_any_other(void **state)
{
	const size_t n = sizeof in_parts / sizeof *in_parts, m = sizeof whole / sizeof *whole;
	struct target t = {0};
	CURL *easy = curl_easy_init();

	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n + m; k += 1 + i % 3) {
			compare(*state, &t, easy, in_parts[i]);
			compare(*state, &t, easy, k < n ? in_parts[k] : whole[k - n]);
		}
	curl_easy_cleanup(easy);
	target_clear(&t);
}

static void a_handle_that_was_reset_is_told_again(void **state)
{
	struct target t = {0};
	CURL *easy = curl_easy_init();

	for (int i = 0; i < 2; i++) {
		assert_true(compare(*state, &t, easy, "http://127.0.0.1:PORT/a/b?c"));
		curl_easy_reset(easy);
		target_forget(&t);
		assert_true(compare(*state, &t, easy, "http://127.0.0.1:PORT/a/c"));
	}
	curl_easy_cleanup(easy);
	target_clear(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(urls_in_parts_are_fetched_as_they_would_be_whole),
	    cmocka_unit_test(urls_that_are_not_plain_go_whole),
	    cmocka_unit_test(any_url_may_follow_any_other),
	    cmocka_unit_test(a_handle_that_was_reset_is_told_again),
	};

	curl_global_init(CURL_GLOBAL_DEFAULT);
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
