/* apisim: plays HTTP APIs, good and hostile, for tests and the demo. See README.md for what it answers. */
#define _GNU_SOURCE
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/apisim/handlers.h"
#include "tests/apisim/limited.h"
#include "tests/apisim/paged.h"
#include "tests/apisim/routes.h"

static const struct option options[] = {
    {"port", required_argument, NULL, 'p'},  {"bind", required_argument, NULL, 'b'},
    {"stdin", no_argument, NULL, 'i'},       {"routes", no_argument, NULL, 'r'},
    {"help", no_argument, NULL, 'h'},        {"limit", required_argument, NULL, 'l'},
    {"pages", required_argument, NULL, 'g'}, {NULL, 0, NULL, 0},
};

static const char usage[] = "usage: apisim [--port N] [--bind ADDRESS] [--stdin] [--limit NAME,OPTION=VALUE,...]...\n"
			    "              [--pages NAME,OPTION=VALUE,...]... | --routes\n"
			    "Listens on ADDRESS (127.0.0.1) and port N (any free one) and says where on stdout.\n"
			    "Ends on SIGTERM or SIGINT, with its parent, and with --stdin at the end of its input.\n";

static void print_help(void)
{
	char names[OPTION_WHY_BYTES];

	limited_name_options(names, sizeof names);
	printf("%s\nOptions of --limit: %s\n", usage, names);
	paged_name_options(names, sizeof names);
	printf("\nOptions of --pages: %s\n\ntests/apisim/README.md says what they mean.\n", names);
}

/* Anything else would be taken as 0, any free one, and nobody find it. */
static int read_port(const char *text)
{
	char *end;
	const long port = strtol(text, &end, 10);

	if (*text >= '0' && *text <= '9' && !*end && port <= 65535)
		return (int)port;
	fprintf(stderr, "apisim: --port takes 0 (any free one) to 65535, not \"%s\"\n", text);
	exit(2);
}

static void on_signal(evutil_socket_t fd, short what, void *base)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(base);
}

static void on_stdin(evutil_socket_t fd, short what, void *base)
{
	char bin[256];

	(void)what;
	if (read(fd, bin, sizeof bin) <= 0)
		event_base_loopbreak(base);
}

/* Thousands of connections at once; and no orphan when a test run is killed. */
static void prepare_process(void)
{
	const pid_t parent = getppid();
	struct rlimit files;

	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		exit(0);
}

static struct event_base *make_base(bool with_stdin)
{
	struct event_config *config = event_config_new();
	struct event_base *base;

	/* Otherwise a delay begins at the last turn of the loop, by a clock of 4 ms: too short by as much. */
	event_config_set_flag(config, EVENT_BASE_FLAG_PRECISE_TIMER | EVENT_BASE_FLAG_NO_CACHE_TIME);
	base = event_base_new_with_config(config);
	event_config_free(config);

	event_add(evsignal_new(base, SIGTERM, on_signal, base), NULL);
	event_add(evsignal_new(base, SIGINT, on_signal, base), NULL);
	if (with_stdin && event_add(event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, on_stdin, base), NULL) < 0) {
		fprintf(stderr, "apisim: --stdin needs a pipe or a terminal on standard input\n");
		exit(2);
	}
	return base;
}

static void configure(const char *option, int (*take)(const char *text, char *why, size_t size), const char *text)
{
	char why[OPTION_WHY_BYTES];

	if (take(text, why, sizeof why) == 0)
		return;
	fprintf(stderr, "apisim: --%s %s: %s\n", option, text, why);
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct server_hooks hooks = {
	    .on_request = routes_dispatch, .on_done = routes_done, .on_conn = stats_on_conn};
	const char *address = "127.0.0.1";
	bool with_stdin = false;
	int port = 0, listening, option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		switch (option) {
		case 'p':
			port = read_port(optarg);
			break;
		case 'b':
			address = optarg;
			break;
		case 'i':
			with_stdin = true;
			break;
		case 'l':
			configure("limit", limited_configure_text, optarg);
			break;
		case 'g':
			configure("pages", paged_configure_text, optarg);
			break;
		case 'r':
			routes_print();
			return 0;
		case 'h':
			print_help();
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	prepare_process();
	struct event_base *base = make_base(with_stdin);
	listening = server_open(base, address, port, &hooks);
	if (listening < 0) {
		fprintf(stderr, "apisim: cannot listen on %s:%d: %s\n", address, port, strerror(errno));
		return 1;
	}
	printf("listening http://%s:%d\n", address, listening);
	fflush(stdout);
	event_base_dispatch(base);
	server_close();
	return 0;
}
