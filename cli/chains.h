/* What became of each chain of a batch: gathered from its results, shown at the end. */
#ifndef FANOUT_CLI_CHAINS_H
#define FANOUT_CLI_CHAINS_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

struct chain;

/* A zeroed struct is a valid empty one. */
struct chains {
	struct chain *first;
	size_t count, left_out; /* beyond some thousands nobody reads them */
};
void chains_note(struct chains *c, const json_t *result);
/* One line a chain: its jobs, its state, the time from the first start to the last end. Nothing where there is none. */
void chains_print(const struct chains *c, FILE *out);
void chains_clear(struct chains *c);

#endif
