/* A submission that goes on in a thread of its own, so that what a pipe brings can be followed while it comes. The two
 * threads share nothing but the address of the socket: each has a client. */
#ifndef FANOUT_CLI_BACKGROUND_H
#define FANOUT_CLI_BACKGROUND_H

#include "cli/request.h"

struct background;

/* Starts request_submit() and returns when there is a batch (*batch is its number) or when the submission has ended
 * without one (*batch is 0). NULL when it cannot start. */
struct background *background_submit(struct ctl *ctl, uint32_t *batch, struct err *e);
/* Waits for its end (an interrupt ends it too) and frees. Returns what request_submit() did. */
int background_join(struct background *b, struct submission *s, struct err *e);

#endif
