/* A body that comes in pieces, given on line by line. Empty lines are skipped. */
#ifndef FANOUT_CLI_LINES_H
#define FANOUT_CLI_LINES_H

#include <stddef.h>

#include "cli/text.h"
#include "lib/err.h"

/* A zeroed struct with its callback set is ready. */
struct lines {
	int (*on_line)(void *arg, const char *line, size_t len, struct err *e); /* -1 breaks off */
	void *arg;
	struct text begun; /* the beginning of one that is not whole yet */
};
/* A client_data_fn whose `arg` is the struct lines. */
int lines_feed(void *lines, const char *data, size_t len, struct err *e);
/* The last line, where it has no newline. */
int lines_end(struct lines *l, struct err *e);
void lines_clear(struct lines *l);

#endif
