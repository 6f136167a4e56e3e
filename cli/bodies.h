/* Bodies to files named by a template, or to stdout. Owns which names were used in this run (no file of ours replaces
 * another of ours), and whether there is a place to write to, which is looked at before anything is asked for. */
#ifndef FANOUT_CLI_BODIES_H
#define FANOUT_CLI_BODIES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

struct client;
struct bodies_name;

struct bodies {
	struct client *client; /* whoever uses it sets it before the first body */
	const char *template;  /* NULL: stdout */
	bool create_dirs;
	bool patient; /* asks again while the daemon is away */
	uint64_t written;
	uint64_t missing; /* that could not be had, or whose name was used already; each was told */

	/* its own */
	bool distinct; /* the template cannot give a name twice: none is remembered */
	struct bodies_name *names;
	bool amid_line; /* of a terminal, where the last body had no newline at its end */
};

/* Checks the template and its directory, which is made where create_dirs says so. ERR_USAGE, ERR_SYSTEM. */
int bodies_open(struct bodies *b, const char *template, bool create_dirs, struct err *e);
void bodies_clear(struct bodies *b);

/* One result's body to the file that the template names. A body that is not there, and a name that is taken, are told
 * on stderr and counted as missing; -1 where going on makes no sense. */
int bodies_write(struct bodies *b, const json_t *result, struct err *e);
/* The body of `job` ("7.42") to stdout, likewise. */
int bodies_print(struct bodies *b, const char *job, struct err *e);
/* Before anything is told on a terminal: not behind a body, on its line. */
void bodies_end_line(struct bodies *b);

#endif
