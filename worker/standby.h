/* Jobs that lie here before their turn: each begins when one of its lane ends (lib/message.h has the rule). It knows of
 * a job that it has a lane, and of a lane how many of its jobs are in flight here; what a transfer is it must not know.
 */
#ifndef FANOUT_WORKER_STANDBY_H
#define FANOUT_WORKER_STANDBY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/message.h"

struct standby;

struct standby_events {
	/* The job begins now, and counts in its lane until standby_ended(), which may come before this returns. -1: it
	 * can't. Borrows the message. */
	int (*on_begin)(const struct message_job *job, void *arg);
	/* Asked before each that stood by begins: false while what was told of ends has not left. Those that end with
	 * this process are then known not to have begun. */
	bool (*may_begin)(void *arg);
	/* It will not begin. Never called for a job that has. */
	void (*on_returned)(const struct message_returned *m, void *arg);
	void *arg;
};

struct standby *standby_create(const struct standby_events *events);
void standby_free(struct standby *s);

/* A job came, `frame` is what it was read from. It begins, or a copy of the frame is kept. Returns what on_begin says,
 * 0 where it stands by. */
int standby_take(struct standby *s, const struct message_job *job, const struct wire_in *frame);
/* One of the lane that had begun has ended. What follows it begins with the next standby_begin(). */
void standby_ended(struct standby *s, uint64_t lane);
/* Begins what may begin: to be called at the end of each turn of the loop, also when may_begin would say something new.
 * -1 when on_begin said so. */
int standby_begin(struct standby *s);
void standby_slots(struct standby *s, const struct message_slots *m);
/* True when that attempt stood by: it has been returned. */
bool standby_cancel(struct standby *s, const struct message_cancel *m);
/* The end of one of the lane tells of limits: returns all of it, and what comes until that is answered. Before
 * standby_ended(). */
void standby_told(struct standby *s, uint64_t lane);
/* Returns all of a lane, or all. */
void standby_recall(struct standby *s, const struct message_recall *m);
void standby_recall_all(struct standby *s);
size_t standby_count(const struct standby *s); /* that have not begun */

#endif
