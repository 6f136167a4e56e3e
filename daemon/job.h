/* The life of a job, as one table: [state][event] -> next state and what else must happen.
 *
 * The table is the only place where a job's state changes; a pair it leaves blank is refused by the caller and logged.
 * docs/STATES.md draws it, and a test holds the drawing against it. Pure: knows no store, no clock, no I/O. */
#ifndef FANOUT_DAEMON_JOB_H
#define FANOUT_DAEMON_JOB_H

#include <stdbool.h>

#include "lib/reason.h"

enum job_event {
	JOB_EV_UNBLOCK,     /* its chain predecessor is done */
	JOB_EV_PREDECESSOR, /* its chain predecessor failed or was cancelled */
	JOB_EV_START,       /* an attempt's row is committed */
	JOB_EV_SUCCEED,     /* the attempt brought what was asked for */
	JOB_EV_AGAIN,       /* the attempt failed and another one is due later (retry, redirect, lost worker) */
	JOB_EV_FAIL,        /* the attempt failed for good */
	JOB_EV_EXPIRE,      /* its deadline passed while it waited */
	JOB_EV_CANCEL,      /* the owner's word */
	JOB_EV_RETRY,       /* the owner's word: once more from the start */
	JOB_EV_RETRY_CHAIN, /* the same, but an earlier job of its chain has to be done first */
	JOB_EVENTS
};

enum job_action {
	JOB_ACT_NONE = 0,
	JOB_ACT_QUEUE = 1 << 0,     /* it becomes due: tell the scheduler */
	JOB_ACT_UNBLOCK = 1 << 1,   /* let its chain successor go */
	JOB_ACT_FAIL_REST = 1 << 2, /* the rest of its chain fails `predecessor` */
	JOB_ACT_ABORT = 1 << 3,     /* end the open attempt */
	JOB_ACT_END = 1 << 4,       /* final: count, notify */
};

struct job_step {
	bool allowed;
	enum job_state next;
	unsigned actions; /* of enum job_action */
};

struct job_step job_step(enum job_state state, enum job_event event);
const char *job_event_name(enum job_event event);

#endif
