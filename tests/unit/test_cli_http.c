/* HTTP as the client speaks it, against a server that plays a script: for each connection its answers, cut into pieces.
 */
#define _GNU_SOURCE 1 /* asprintf */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/http.h"

#define ANSWERS_MAX 4
#define BIG_BYTES   (4u << 20)

struct script {
	const char *answers[ANSWERS_MAX]; /* to one connection, which is closed behind them */
	size_t piece;                     /* bytes sent at a time; 0: all */
	bool early;                       /* answers before it has read the body */
};

struct server {
	char directory[32], path[64];
	int fd;
	const struct script *scripts;
	size_t count;
	unsigned requests;
	int signals;     /* that many reach the client before an answer */
	char last[4096]; /* the last request's beginning */
	pthread_t thread, client;
};

static atomic_int signals;

static void on_signal(int signal)
{
	(void)signal;
	signals++;
}

static void send_pieces(int fd, const char *text, size_t piece)
{
	size_t len = strlen(text), n;

	for (; len; text += n, len -= n) {
		n = piece && piece < len ? piece : len;
		if (send(fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
			return;
	}
}

/* False: the client has gone. */
static bool read_request(struct server *s, int fd, bool early)
{
	char *text = calloc(1, BIG_BYTES + 4096), *end = NULL, *length;
	size_t have = 0, want = SIZE_MAX;
	ssize_t n = 1;

	while (have < want && n > 0) {
		n = recv(fd, text + have, BIG_BYTES + 4095 - have, 0);
		have += n > 0 ? (size_t)n : 0;
		end = strstr(text, "\r\n\r\n");
		length = strstr(text, "Content-Length: ");
		if (end)
			want = early ? have : (size_t)(end + 4 - text) + (length ? strtoul(length + 16, NULL, 10) : 0);
	}
	snprintf(s->last, sizeof s->last, "%.4000s", text);
	free(text);
	s->requests += n > 0;
	return n > 0;
}

static void disturb(pthread_t client, int count)
{
	for (signals = 0; signals < count; poll(NULL, 0, 1))
		pthread_kill(client, SIGUSR1);
}

static void *serve(void *arg)
{
	struct server *s = arg;

	for (size_t i = 0; i < s->count; i++) {
		const struct script *script = &s->scripts[i];
		int fd = accept(s->fd, NULL, NULL);

		for (size_t k = 0; k < ANSWERS_MAX && script->answers[k] && read_request(s, fd, script->early); k++) {
			disturb(s->client, s->signals);
			send_pieces(fd, script->answers[k], script->piece);
		}
		close(fd);
	}
	return NULL;
}

static void server_start(struct server *s, const struct script *scripts, size_t count)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	*s = (struct server){
	    .directory = "/tmp/fanout-http-XXXXXX", .scripts = scripts, .count = count, .client = pthread_self()};
	assert_non_null(mkdtemp(s->directory));
	snprintf(s->path, sizeof s->path, "%s/s", s->directory);
	strcpy(address.sun_path, s->path);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(s->fd, 8), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void server_end(struct server *s)
{
	pthread_join(s->thread, NULL);
	close(s->fd);
	unlink(s->path);
	rmdir(s->directory);
}

static int gather(void *arg, int status, const char *data, size_t len)
{
	(void)status;
	text_add(arg, data, len);
	return 0;
}

static int have_enough(void *arg, int status, const char *data, size_t len)
{
	(void)arg, (void)status, (void)data, (void)len;
	return -1;
}

/* One exchange whose body is expected to be `body`. */
static struct http_exchange ask(struct http *h, const char *method, enum http_end end, const char *body)
{
	struct text got = {0};
	struct http_exchange x = {.on_data = gather, .arg = &got, .repeatable = strcmp(method, "GET") == 0};

	text_printf(&x.head, "%s / HTTP/1.1\r\nHost: x\r\n\r\n", method);
	assert_int_equal(http_exchange(h, &x), end);
	assert_string_equal(got.len ? got.data : "", body);
	text_clear(&x.head);
	text_clear(&got);
	return x;
}

#define LENGTH_5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
#define CHUNKED  "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nB;x=1\r\n, and again\r\n0\r\n\r\n"
#define EMPTY    "HTTP/1.1 204 No Content\r\n\r\n"

static void answers_of_every_framing_share_one_connection(void **arg)
{
	static const size_t pieces[] = {0, 1, 3};
	struct server s;
	struct http h;

	(void)arg;
	for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		const struct script one = {
		    {LENGTH_5, CHUNKED, EMPTY, "HTTP/1.1 100 Continue\r\n\r\n" LENGTH_5}, pieces[i], false};

		server_start(&s, &one, 1);
		http_init(&h, s.path);
		assert_int_equal(ask(&h, "GET", HTTP_WHOLE, "hello").status, 200);
		ask(&h, "GET", HTTP_WHOLE, "hello, and again");
		assert_int_equal(ask(&h, "DELETE", HTTP_WHOLE, "").status, 204);
		ask(&h, "GET", HTTP_WHOLE, "hello");
		http_clear(&h);
		server_end(&s);
		assert_int_equal(s.requests, 4);
	}
}

static void an_answer_longer_than_any_buffer_comes_whole(void **arg)
{
	char *body = malloc(BIG_BYTES + 1), *answer;
	struct server s;
	struct http h;

	(void)arg;
	for (size_t i = 0; i < BIG_BYTES; i++)
		body[i] = (char)('a' + i % 23);
	body[BIG_BYTES] = '\0';
	assert_true(asprintf(&answer, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n%s", BIG_BYTES, body) > 0);
	server_start(&s, &(struct script){{answer, LENGTH_5}, 0, false}, 1);
	http_init(&h, s.path);
	ask(&h, "GET", HTTP_WHOLE, body);
	ask(&h, "GET", HTTP_WHOLE, "hello");
	http_clear(&h);
	server_end(&s);
	free(body);
	free(answer);
}

static void answers_that_have_no_body_have_none_whatever_their_headers_say(void **arg)
{
	const struct script one = {{"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
				    "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nHTTP/1.1 204 No "
				    "Content\r\nTransfer-Encoding: chunked\r\n\r\n",
				    LENGTH_5},
				   0,
				   false};
	struct server s;
	struct http h;

	(void)arg;
	server_start(&s, &one, 1);
	http_init(&h, s.path);
	assert_int_equal(ask(&h, "GET", HTTP_WHOLE, "").status, 304);
	assert_int_equal(ask(&h, "GET", HTTP_WHOLE, "").status, 204);
	assert_int_equal(ask(&h, "GET", HTTP_WHOLE, "hello").status, 200);
	http_clear(&h);
	server_end(&s);
}

/* The server waits for the next request on the first connection: that there is none, but a second one, is the client's.
 */
static void a_connection_is_not_kept_where_the_answer_says_so_or_does_not_end(void **arg)
{
	static const char *const answers[] = {
	    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
	    "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
	    LENGTH_5 "and more",
	    LENGTH_5 LENGTH_5,
	};
	struct server s;
	struct http h;

	(void)arg;
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		const struct script two[] = {{{answers[i], EMPTY}, 0, false}, {{CHUNKED}, 0, false}};

		server_start(&s, two, 2);
		http_init(&h, s.path);
		ask(&h, "POST", HTTP_WHOLE, "hello");
		assert_int_equal(h.fd, -1);
		ask(&h, "POST", HTTP_WHOLE, "hello, and again");
		http_clear(&h);
		server_end(&s);
		assert_int_equal(s.requests, 2);
	}
}

static void an_answer_without_a_length_ends_with_the_connection(void **arg)
{
	const struct script two[] = {{{"HTTP/1.0 200 OK\r\n\r\nall of it"}, 2, false}, {{LENGTH_5}, 0, false}};
	struct server s;
	struct http h;

	(void)arg;
	server_start(&s, two, 2);
	http_init(&h, s.path);
	ask(&h, "GET", HTTP_WHOLE, "all of it");
	ask(&h, "GET", HTTP_WHOLE, "hello"); /* on another one */
	http_clear(&h);
	server_end(&s);
}

static void an_answer_that_breaks_off_is_no_answer(void **arg)
{
	static const struct {
		const char *answer, *body, *reason;
	} cases[] = {
	    {"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", "hello", "it ended before"},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "hello", "it ended before"},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello too long\r\n0\r\n\r\n", "hello", "chunk"},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "", "chunk"},
	    {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", "", "no HTTP"},
	    {"HTTP/1.1 200 OK\r\nContent-Le", "", "it ended before"},
	    {"HTTP/1.1 100 Continue\r\n\r\n", "", "it ended before"},
	    {"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello", "", ""},
	    {"SSH-2.0-OpenSSH\r\n", "", "no HTTP"},
	    {"\r\n", "", "it ended before"},
	};
	struct server s;
	struct http h;

	(void)arg;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct script one = {{cases[i].answer}, 0, false};
		struct http_exchange x;

		server_start(&s, &one, 1);
		http_init(&h, s.path);
		x = ask(&h, "GET", HTTP_BROKEN, cases[i].body);
		assert_true(x.sent && strstr(x.reason, cases[i].reason));
		http_clear(&h);
		server_end(&s);
	}
}

/* The daemon may close a kept connection while the request is on its way: only what may be repeated is sent again. */
static void a_kept_connection_that_was_closed_is_replaced_for_what_may_be_repeated(void **arg)
{
	const struct script get[] = {{{LENGTH_5, ""}, 0, false}, {{CHUNKED}, 0, false}};
	const struct script post[] = {{{LENGTH_5, ""}, 0, false}};
	struct server s;
	struct http h;

	(void)arg;
	server_start(&s, get, 2);
	http_init(&h, s.path);
	ask(&h, "GET", HTTP_WHOLE, "hello");
	ask(&h, "GET", HTTP_WHOLE, "hello, and again");
	http_clear(&h);
	server_end(&s);
	assert_int_equal(s.requests, 3);
	server_start(&s, post, 1);
	http_init(&h, s.path);
	ask(&h, "GET", HTTP_WHOLE, "hello");
	assert_true(ask(&h, "POST", HTTP_BROKEN, "").sent);
	http_clear(&h);
	server_end(&s);
	assert_int_equal(s.requests, 2);
}

static void a_first_connection_is_not_tried_again(void **arg)
{
	const struct script one = {{""}, 0, false};
	struct server s;
	struct http h;

	(void)arg;
	server_start(&s, &one, 1);
	http_init(&h, s.path);
	ask(&h, "GET", HTTP_BROKEN, "");
	http_clear(&h);
	server_end(&s);
}

static void a_refusal_before_all_was_sent_is_read(void **arg)
{
	const struct script one = {{"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nhello"}, 0, true};
	struct text got = {0};
	struct http_exchange x = {.on_data = gather, .arg = &got, .body_bytes = BIG_BYTES};
	char *body = calloc(1, BIG_BYTES);
	struct server s;
	struct http h;

	(void)arg;
	server_start(&s, &one, 1);
	http_init(&h, s.path);
	x.body = body;
	text_printf(&x.head, "POST / HTTP/1.1\r\nContent-Length: %u\r\n\r\n", BIG_BYTES);
	assert_int_equal(http_exchange(&h, &x), HTTP_WHOLE);
	assert_int_equal(x.status, 413);
	assert_string_equal(got.data, "hello");
	assert_int_equal(h.fd, -1); /* the rest of the body would be taken for a request */
	text_clear(&x.head);
	text_clear(&got);
	free(body);
	http_clear(&h);
	server_end(&s);
}

static void head_and_body_arrive_as_they_are(void **arg)
{
	const struct script one = {{LENGTH_5}, 0, false};
	struct text got = {0};
	struct http_exchange x = {.on_data = gather, .arg = &got, .body = "a body", .body_bytes = 6};
	struct server s;
	struct http h;

	(void)arg;
	server_start(&s, &one, 1);
	http_init(&h, s.path);
	text_add_str(&x.head, "POST /p HTTP/1.1\r\nContent-Length: 6\r\n\r\n");
	assert_int_equal(http_exchange(&h, &x), HTTP_WHOLE);
	text_clear(&x.head);
	text_clear(&got);
	http_clear(&h);
	server_end(&s);
	assert_string_equal(s.last, "POST /p HTTP/1.1\r\nContent-Length: 6\r\n\r\na body");
}

static void who_has_enough_breaks_off(void **arg)
{
	const struct script two[] = {{{CHUNKED}, 0, false}, {{LENGTH_5}, 0, false}};
	struct http_exchange x = {.on_data = have_enough};
	struct server s;
	struct http h;

	(void)arg;
	server_start(&s, two, 2);
	http_init(&h, s.path);
	text_add_str(&x.head, "GET / HTTP/1.1\r\n\r\n");
	assert_int_equal(http_exchange(&h, &x), HTTP_BROKEN_OFF);
	text_clear(&x.head);
	ask(&h, "GET", HTTP_WHOLE, "hello"); /* not what was left of the other answer */
	http_clear(&h);
	server_end(&s);
}

/* More of them than the looks that silence is counted in. */
static void signals_are_no_silence(void **arg)
{
	const struct script one = {{LENGTH_5}, 0, false};
	struct server s;
	struct http h;

	(void)arg;
	sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL);
	server_start(&s, &one, 1);
	s.signals = 300;
	http_init(&h, s.path);
	ask(&h, "GET", HTTP_WHOLE, "hello");
	http_clear(&h);
	server_end(&s);
}

static void where_nobody_listens_nothing_is_sent(void **arg)
{
	struct http_exchange x;
	struct http h;

	(void)arg;
	http_init(&h, "/nonexistent/s");
	x = ask(&h, "GET", HTTP_NO_CONNECTION, "");
	assert_int_equal(x.why, ENOENT);
	assert_false(x.sent);
	http_clear(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(answers_of_every_framing_share_one_connection),
	    cmocka_unit_test(an_answer_longer_than_any_buffer_comes_whole),
	    cmocka_unit_test(answers_that_have_no_body_have_none_whatever_their_headers_say),
	    cmocka_unit_test(a_connection_is_not_kept_where_the_answer_says_so_or_does_not_end),
	    cmocka_unit_test(an_answer_without_a_length_ends_with_the_connection),
	    cmocka_unit_test(an_answer_that_breaks_off_is_no_answer),
	    cmocka_unit_test(a_kept_connection_that_was_closed_is_replaced_for_what_may_be_repeated),
	    cmocka_unit_test(a_first_connection_is_not_tried_again),
	    cmocka_unit_test(a_refusal_before_all_was_sent_is_read),
	    cmocka_unit_test(head_and_body_arrive_as_they_are),
	    cmocka_unit_test(who_has_enough_breaks_off),
	    cmocka_unit_test(signals_are_no_silence),
	    cmocka_unit_test(where_nobody_listens_nothing_is_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
