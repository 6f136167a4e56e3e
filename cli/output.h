/* A file that is there whole or not at all: written beside its place, renamed when complete. Also stdout. */
#ifndef FANOUT_CLI_OUTPUT_H
#define FANOUT_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/text.h"
#include "lib/err.h"

struct output {
	const char *path; /* NULL: stdout */
	char *temporary;  /* NULL: written in place (a device, a pipe) */
	int fd;
	bool guard; /* stdout is a terminal: bytes that are no text are refused */
	char last;  /* byte that was written; 0: none was */
};

/* `path` NULL or "-" is stdout; else it is kept by reference. */
int output_open(struct output *o, const char *path, struct err *e);
int output_write(struct output *o, const void *data, size_t len, struct err *e);
/* Puts it in its place. */
int output_commit(struct output *o, struct err *e);
void output_discard(struct output *o);

/* Makes the directories above `path`, as curl --create-dirs does. */
int output_make_directories(const char *path, struct err *e);
/* Whether files can be written where a template of names ("out/{seq}") says, before there is a first one; `create`
 * makes the directory. */
int output_check_place(const char *template, bool create, struct err *e);

#endif
