/* The command line of fanoutd, and its exit statuses. */
#ifndef FANOUT_DAEMON_CMDLINE_H
#define FANOUT_DAEMON_CMDLINE_H

#include <stdbool.h>

#include "lib/err.h"

struct options {
	const char *conf; /* NULL: none was named */
	bool check, local;
	long idle_seconds, request_seconds; /* 0: as is usual */
};

/* Ends the program where there is nothing more to do (-h, -V), or something is wrong. */
void cmdline_parse(struct options *o, int argc, char **argv);

/* fanoutd(8) lists them; after sysexits(3) where that has a fitting one. */
enum {
	EXIT_START = 1,
	EXIT_USAGE = 2,
	EXIT_CORRUPT = 65,
	EXIT_NEWER = 70,
	EXIT_SPACE = 73,
	EXIT_STORAGE = 74,
	EXIT_LOCKED = 75,
	EXIT_PERMISSION = 77,
};
int cmdline_exit_status(enum err_code code);

#endif
