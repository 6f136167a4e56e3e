/* Where items go: standard output, or a file that is there whole or not at all, compressed as its name says. Owns the
 * output and what is held back for a larger write. */
#ifndef FANOUT_CLI_ITEMS_SINK_H
#define FANOUT_CLI_ITEMS_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/output.h"
#include "cli/text.h"
#include "lib/err.h"

struct items_packer;

struct items_sink {
	struct output output;
	struct items_packer *packer; /* NULL: bytes go as they are */
	struct text held;
	int64_t written; /* bytes taken, before they are compressed */
	bool ended;
};

/* `path` NULL or "-": standard output; else it is kept by reference. ".gz" and ".zst" compress. */
int items_sink_open(struct items_sink *s, const char *path, struct err *e);
/* Whoever adds to `held` says so then; it goes out where it is enough. */
int items_sink_added(struct items_sink *s, struct err *e);
/* What is held goes out now, for who watches. */
int items_sink_flush(struct items_sink *s, struct err *e);
/* Nothing more comes. */
int items_sink_end(struct items_sink *s, struct err *e);
/* Of one that has ended: whether a larger file stands in its place. */
bool items_sink_shrinks(const struct items_sink *s);
/* All of it is in its place; or nothing. Both free. */
int items_sink_commit(struct items_sink *s, struct err *e);
void items_sink_discard(struct items_sink *s);

#endif
