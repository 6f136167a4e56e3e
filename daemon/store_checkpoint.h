/* The log's way into the database: what the other files of the store ask for. */
#ifndef FANOUT_DAEMON_STORE_CHECKPOINT_H
#define FANOUT_DAEMON_STORE_CHECKPOINT_H

#include "lib/err.h"

#define STORE_PASS_PAGES    256  /* of the log: then the thread moves them, */
#define STORE_LOG_PAGES     6144 /* 48 MiB: from here on the log is to start anew, */
#define STORE_REST_PAGES    256  /* where a pass has left no more than these, mostly 30: the loop's, 2 to 6 ms; */
#define STORE_LOG_PAGES_MAX 8192 /* and here whatever is left */

struct store;

int store_checkpoint_open(struct store *st, struct err *e);
/* Waits for the pass that is under way. */
void store_checkpoint_close(struct store *st);
/* After a commit, in a quiet moment, after a pass: has the log moved on where more than so many pages wait, and sees to
 * it that it does not grow for ever. What fails is told as trouble. */
void store_checkpoint_keep(struct store *st, int worth_pages);
/* All of it, here and now. Returns SQLite's code. */
int store_checkpoint(struct store *st);

#endif
