/* Options by getopt_long. */
#define _GNU_SOURCE 1

#include "daemon/cmdline.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/paths.h"

#ifndef FANOUT_VERSION
#define FANOUT_VERSION "unknown"
#endif

int cmdline_exit_status(enum err_code code)
{
	static const int statuses[ERR_CODES] = {
	    [ERR_USAGE] = EXIT_USAGE,           [ERR_CORRUPT] = EXIT_CORRUPT, [ERR_VERSION] = EXIT_NEWER,
	    [ERR_NO_SPACE] = EXIT_SPACE,        [ERR_UNKNOWN] = EXIT_STORAGE, [ERR_LOCKED] = EXIT_LOCKED,
	    [ERR_PERMISSION] = EXIT_PERMISSION,
	};

	return statuses[code] ? statuses[code] : EXIT_START;
}

#define IDLE_SECONDS 60

static const char usage_text[] =
    "usage: fanoutd [-c FILE] [-n]\n"
    "       fanoutd --local [-c FILE] [-n]\n"
    "       fanoutd -h | -V\n"
    "\n"
    "  -c FILE   the configuration (default: " PATHS_SYSTEM_CONF ";\n"
    "            with --local, fanout/fanout.conf in ~/.config, where there is one)\n"
    "  -n        check the configuration, and end\n"
    "  --local   a private daemon for this user; it ends when it has been idle for a minute\n"
    "  -h        this text\n"
    "  -V        the version\n";

/* --idle and --request are for tests. */
static const struct option long_options[] = {
    {"conf", required_argument, NULL, 'c'},    {"check", no_argument, NULL, 'n'},
    {"local", no_argument, NULL, 'l'},         {"idle", required_argument, NULL, 'i'},
    {"request", required_argument, NULL, 'r'}, {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},       {NULL, 0, NULL, 0},
};

static long parse_seconds(const char *text)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*end || !*text || n < 1 || n > 86400) {
		fprintf(stderr, "fanoutd: \"%s\" is not a number of seconds\n", text);
		exit(EXIT_USAGE);
	}
	return n;
}

void cmdline_parse(struct options *o, int argc, char **argv)
{
	int c;

	*o = (struct options){.idle_seconds = IDLE_SECONDS};
	while ((c = getopt_long(argc, argv, "c:nhV", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->conf = optarg;
			break;
		case 'n':
			o->check = true;
			break;
		case 'l':
			o->local = true;
			break;
		case 'i':
			o->idle_seconds = parse_seconds(optarg);
			break;
		case 'r':
			o->request_seconds = parse_seconds(optarg);
			break;
		case 'h':
			fputs(usage_text, stdout);
			exit(0);
		case 'V':
			puts("fanoutd " FANOUT_VERSION);
			exit(0);
		default:
			fputs(usage_text, stderr);
			exit(EXIT_USAGE);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "fanoutd: \"%s\" is one argument too many\n%s", argv[optind], usage_text);
		exit(EXIT_USAGE);
	}
}
