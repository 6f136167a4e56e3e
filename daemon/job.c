/* The table of a job's life. It must not know who stores a job, who asks, or what time it is.
 *
 * docs/STATES.md shows the same table; tests/unit/test_job.c parses that file and compares the two cell by cell. */
#include "daemon/job.h"

#define TO(state, acts)                                              \
	{                                                            \
		.allowed = true, .next = (state), .actions = (acts), \
	}

/* What a job that will never be done means for the others: it counts as ended, and the rest of its chain cannot run. */
#define END_BADLY (JOB_ACT_END | JOB_ACT_FAIL_REST)

static const struct job_step table[JOB_STATES][JOB_EVENTS] = {
    [JOB_BLOCKED] =
	{
	    [JOB_EV_UNBLOCK] = TO(JOB_QUEUED, JOB_ACT_QUEUE),
	    /* no FAIL_REST: whoever sends this sends it to the whole rest of the chain at once */
	    [JOB_EV_PREDECESSOR] = TO(JOB_FAILED, JOB_ACT_END),
	    [JOB_EV_EXPIRE] = TO(JOB_FAILED, END_BADLY),
	    [JOB_EV_CANCEL] = TO(JOB_CANCELLED, END_BADLY),
	},
    /* no PREDECESSOR: a job is queued only when its predecessor is done, and `done` is never left */
    [JOB_QUEUED] =
	{
	    [JOB_EV_START] = TO(JOB_RUNNING, JOB_ACT_NONE),
	    [JOB_EV_EXPIRE] = TO(JOB_FAILED, END_BADLY),
	    [JOB_EV_CANCEL] = TO(JOB_CANCELLED, END_BADLY),
	},
    /* no EXPIRE: an open attempt is bounded by its own timeout, and its end asks daemon/retry about the deadline */
    [JOB_RUNNING] =
	{
	    [JOB_EV_SUCCEED] = TO(JOB_DONE, JOB_ACT_END | JOB_ACT_UNBLOCK),
	    [JOB_EV_AGAIN] = TO(JOB_QUEUED, JOB_ACT_QUEUE),
	    [JOB_EV_FAIL] = TO(JOB_FAILED, END_BADLY),
	    [JOB_EV_CANCEL] = TO(JOB_CANCELLED, JOB_ACT_ABORT | END_BADLY),
	},
    [JOB_FAILED] =
	{
	    [JOB_EV_RETRY] = TO(JOB_QUEUED, JOB_ACT_QUEUE),
	    [JOB_EV_RETRY_CHAIN] = TO(JOB_BLOCKED, JOB_ACT_NONE),
	},
    [JOB_CANCELLED] =
	{
	    [JOB_EV_RETRY] = TO(JOB_QUEUED, JOB_ACT_QUEUE),
	    [JOB_EV_RETRY_CHAIN] = TO(JOB_BLOCKED, JOB_ACT_NONE),
	},
    /* JOB_DONE: nothing. Its result was given out; whoever wants it again submits it again. */
};

static const char *const event_names[] = {
    [JOB_EV_UNBLOCK] = "unblock", [JOB_EV_PREDECESSOR] = "predecessor",
    [JOB_EV_START] = "start",     [JOB_EV_SUCCEED] = "succeed",
    [JOB_EV_AGAIN] = "again",     [JOB_EV_FAIL] = "fail",
    [JOB_EV_EXPIRE] = "expire",   [JOB_EV_CANCEL] = "cancel",
    [JOB_EV_RETRY] = "retry",     [JOB_EV_RETRY_CHAIN] = "retry_chain",
};
_Static_assert(sizeof event_names / sizeof *event_names == JOB_EVENTS, "every event has a name");

struct job_step job_step(enum job_state state, enum job_event event)
{
	/* both may come from outside the process (a stored row): what is not in the table is refused, not read */
	if ((unsigned)state >= JOB_STATES || (unsigned)event >= JOB_EVENTS)
		return (struct job_step){.allowed = false};
	return table[state][event];
}

const char *job_event_name(enum job_event event)
{
	return (unsigned)event < JOB_EVENTS ? event_names[event] : "?";
}
