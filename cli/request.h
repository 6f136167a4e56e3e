/* What the request options (-X, -H, -d, ...) mean: the JSON of a batch, and the jobs that URLs and -i name. Shared by
 * submit and fetch. */
#ifndef FANOUT_CLI_REQUEST_H
#define FANOUT_CLI_REQUEST_H

#include <stdint.h>

#include "cli/ctl.h"

struct submission {
	uint32_t batch;
	uint64_t jobs;
	bool existed;            /* it was submitted before, with the same key */
	uint64_t there, offered; /* of one that existed: so many jobs it has, so many this list would have had */
	bool other;              /* and it begins with other URLs */
};

/* Says that nothing was added to the batch that was there. Where it is of another list, with --quiet too. */
void request_tell_existed(const struct submission *s, bool quiet);

/* Submits what the command line says. `on_created` (may be NULL) is called as soon as a batch exists that will not be
 * taken back. Returns 0, or -1 with `e`. */
int request_submit(struct ctl *ctl, struct submission *s, void (*on_created)(void *arg, uint32_t batch), void *arg,
		   struct err *e);

/* The batch's options as JSON; the caller frees. */
char *request_options_json(const struct args *a, struct err *e);
/* Whether jobs come from a pipe or a terminal, piece by piece. */
bool request_is_stream(const struct args *a);
/* How many jobs the operands make, UINT64_MAX where it cannot be said (-i). */
uint64_t request_count(const struct args *a);

#endif
