/* After an attempt: is the job done, is it to be tried again (and when), or has it failed, and why.
 *
 * For every cause and status a table says whether it is transient. Pure: time and randomness are arguments. */
#ifndef FANOUT_DAEMON_RETRY_H
#define FANOUT_DAEMON_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/reason.h"

#define RETRY_BASE_US    500000   /* first delay is drawn from [0, base) */
#define RETRY_CAP_US     60000000 /* no delay is longer */
#define RETRY_DEATHS_MAX 3        /* workers that died with a job before it is `poison` */

struct retry_input {
	enum cause cause;
	int status;
	const char *method;
	bool sent;       /* bytes of the request may have reached the server */
	bool repeatable; /* the job carries an idempotency key or said retry_unsafe */
	unsigned tries;  /* attempts that counted, this one included */
	unsigned max_attempts;
	unsigned deaths;     /* workers that died with this job, this one included */
	int64_t now_us;      /* wall */
	int64_t deadline_us; /* wall; INT64_MAX where none */
	uint64_t random;     /* uniform */
};

enum retry_verdict { RETRY_DONE, RETRY_AGAIN, RETRY_FAILED };

struct retry_decision {
	enum retry_verdict verdict;
	enum job_reason reason; /* for RETRY_FAILED */
	int64_t delay_us;       /* for RETRY_AGAIN */
};

struct retry_decision retry_decide(const struct retry_input *in);

bool retry_transient(enum cause cause, int status);

#endif
