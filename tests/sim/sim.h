/* Deterministic simulation of the policy modules together: job, retry, rules, limit, throttle and sched, driven by a
 * small engine with a fake clock, a store in memory, and servers that count what arrives. Workers die, the daemon dies
 * and comes back with what was on disk, the machine boots anew, wall clocks are stepped. A seed is a world and
 * everything that happens in it; the same seed is the same run, to the microsecond.
 *
 * What is held against every run (tests/sim/judge.c): no server sees more than a rule allows in any window, so the
 * strictest server refuses nothing; no cap is exceeded; a host that refused is left alone as long as it said, and then
 * sees one request at a time; the jobs of a chain run in order; nothing that must not be repeated has its effect twice;
 * when the scheduler says "none may go", a model that counts everything anew agrees, then and until the moment it asked
 * to be woken; and every job ends. */
#ifndef FANOUT_TESTS_SIM_SIM_H
#define FANOUT_TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stdint.h>

/* Ways to drive the modules wrongly. Each must be found out: that is how it is known that the checks can fail. */
enum sim_mutation {
	MUTATE_NOTHING,
	MUTATE_COUNT_AT_SEND,  /* a request counts from when it was sent, not from when it was answered */
	MUTATE_NO_SAFETY,      /* an aborted request counts from its abort */
	MUTATE_FORGET_ABORTED, /* an aborted request is refunded, as if it had never been sent */
	MUTATE_END_EARLY,      /* the scheduler is told of the end when the request is sent */
	MUTATE_UNBLOCK_EARLY,  /* a chain goes on when its job starts */
	MUTATE_OVERSLEEP,      /* the engine asks a millisecond later than it was told */
	MUTATE_REPEAT_UNSAFE,  /* every job is said to be repeatable */
	MUTATE_LOSE_RETRY,     /* a job that is to be tried again is not put back */
	MUTATE_FORGET_RESTART, /* a daemon that comes back knows nothing of the requests before */
	MUTATE_TRUST_WALL,     /* it takes their times from the wall clock */
	MUTATE_NO_HISTORY,     /* a new rule knows nothing of the requests before it */
	MUTATE_NO_PAUSE,       /* a refusal is taken like any other failure */
	MUTATE_NO_PROBE,       /* after a pause everything goes at once */
	MUTATE_RESUME_ALL,     /* nor when the operator lifts one */
	SIM_MUTATIONS
};
const char *sim_mutation_name(enum sim_mutation m);

struct sim_result {
	bool failed;
	char what[400];
	unsigned jobs, attempts, arrivals, deaths, refunds, followed, crashes, reboots, refusals, probes, resumes;
	unsigned full_windows; /* arrivals that made a window as full as its rule allows */
	int64_t simulated_us;
};

void sim_run(uint64_t seed, enum sim_mutation mutation, bool trace, struct sim_result *out);

#endif
