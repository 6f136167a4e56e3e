/* Lines of an input that cannot be taken: the first few are told, the rest counted. Knows no daemon. */
#ifndef FANOUT_CLI_REFUSALS_H
#define FANOUT_CLI_REFUSALS_H

#include <stdint.h>

#include "lib/err.h"

#define REFUSALS_TOLD 5

/* A zeroed struct has none. They come by line, but for those that are told late: the first ones are kept. */
struct refusals {
	uint64_t count;
	unsigned last;                   /* line; one that is refused again counts once */
	struct err first[REFUSALS_TOLD]; /* by their `line` */
};
void refusals_note(struct refusals *r, unsigned line, const struct err *e);
/* Tells them on standard error but for what is left to say, which it puts into `e`; returns -1. */
int refusals_tell(const struct refusals *r, const char *source, struct err *e);

#endif
