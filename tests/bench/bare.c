/* The yardstick: libcurl's multi_socket on libevent with nothing around it. No queue, no store, no results; the bodies
 * are thrown away. What fanout adds to this is what fanout costs.
 *
 * usage: bare [-p PARALLEL] [-n PROCESSES] [-k KEPT] FILE     (one URL a line; process k of n takes every n-th line; it
 * keeps KEPT connections, or as many as it has requests under way) */
#define _GNU_SOURCE
#include <curl/curl.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PARALLEL_MAX 16384

static struct {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
	char **urls;
	size_t count, next, done, failed;
	int running;
} loop;

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	(void)data;
	(void)ctx;
	return size * n;
}

static void start_next(CURL *easy)
{
	if (loop.next == loop.count) {
		curl_easy_cleanup(easy);
		return;
	}
	curl_easy_reset(easy);
	curl_easy_setopt(easy, CURLOPT_URL, loop.urls[loop.next++]);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_multi_add_handle(loop.multi, easy);
}

static void collect(void)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(loop.multi, &left))) {
		CURL *easy = message->easy_handle;
		long status = 0;

		curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
		loop.failed += message->data.result != CURLE_OK || status != 200;
		loop.done++;
		curl_multi_remove_handle(loop.multi, easy);
		start_next(easy);
	}
	if (loop.done == loop.count)
		event_base_loopbreak(loop.base);
}

static void on_socket_ready(evutil_socket_t fd, short what, void *ctx)
{
	(void)ctx;
	curl_multi_socket_action(loop.multi, fd,
				 (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0),
				 &loop.running);
	collect();
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	(void)ctx;
	curl_multi_socket_action(loop.multi, CURL_SOCKET_TIMEOUT, 0, &loop.running);
	collect();
}

static int on_socket_wanted(CURL *easy, curl_socket_t fd, int what, void *ctx, void *assigned)
{
	struct event *event = assigned;
	const short kind = (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));

	(void)easy;
	(void)ctx;
	if (event)
		event_del(event);
	if (what == CURL_POLL_REMOVE) {
		if (event)
			event_free(event);
		curl_multi_assign(loop.multi, fd, NULL);
		return 0;
	}
	if (!event)
		event = event_new(loop.base, fd, kind | EV_PERSIST, on_socket_ready, NULL);
	else
		event_assign(event, loop.base, fd, kind | EV_PERSIST, on_socket_ready, NULL);
	event_add(event, NULL);
	curl_multi_assign(loop.multi, fd, event);
	return 0;
}

static int on_timeout_wanted(CURLM *multi, long ms, void *ctx)
{
	const struct timeval t = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	(void)multi;
	(void)ctx;
	if (ms < 0)
		event_del(loop.timer);
	else
		event_add(loop.timer, &t);
	return 0;
}

static struct event_base *make_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
	base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

static int run(size_t parallel, size_t kept)
{
	loop.base = make_base();
	loop.multi = curl_multi_init();
	loop.timer = event_new(loop.base, -1, 0, on_timer, NULL);
	curl_multi_setopt(loop.multi, CURLMOPT_SOCKETFUNCTION, on_socket_wanted);
	curl_multi_setopt(loop.multi, CURLMOPT_TIMERFUNCTION, on_timeout_wanted);
	curl_multi_setopt(loop.multi, CURLMOPT_MAXCONNECTS, (long)(kept ? kept : parallel));
	for (size_t i = 0; i < parallel && i < loop.count; i++)
		start_next(curl_easy_init());
	if (loop.count > 0)
		event_base_dispatch(loop.base);
	return loop.failed > 0;
}

/* Keeps lines k, k + n, k + 2n, ... of the file. */
static void read_urls(const char *path, size_t k, size_t n)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t size = 0, cap = 0;

	if (!file) {
		perror(path);
		exit(2);
	}
	for (size_t i = 0; getline(&line, &size, file) > 0; i++) {
		if (i % n != k)
			continue;
		if (loop.count == cap)
			loop.urls = realloc(loop.urls, (cap = cap ? cap * 2 : 1024) * sizeof *loop.urls);
		line[strcspn(line, "\r\n")] = '\0';
		loop.urls[loop.count++] = strdup(line);
	}
	free(line);
	fclose(file);
}

static void raise_descriptors(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
}

int main(int argc, char **argv)
{
	size_t parallel = 64, processes = 1, kept = 0;
	int option, status, failed = 0;

	while ((option = getopt(argc, argv, "p:n:k:")) != -1)
		if (option == 'p')
			parallel = strtoul(optarg, NULL, 10);
		else if (option == 'n')
			processes = strtoul(optarg, NULL, 10);
		else if (option == 'k')
			kept = strtoul(optarg, NULL, 10);
		else
			return 2;
	if (optind + 1 != argc || processes < 1 || parallel < 1 || parallel > PARALLEL_MAX) {
		fprintf(stderr, "usage: bare [-p PARALLEL] [-n PROCESSES] [-k KEPT] FILE\n");
		return 2;
	}
	raise_descriptors();
	const double begin = now_s();
	for (size_t k = 0; k < processes; k++)
		if (fork() == 0) {
			read_urls(argv[optind], k, processes);
			_exit(run(parallel / processes ? parallel / processes : 1, kept));
		}
	while (wait(&status) > 0)
		failed += status != 0;
	printf("%.3f s, %d of %zu processes failed\n", now_s() - begin, failed, processes);
	return failed > 0;
}
