/* The words for a job's state, for why it ended as it did, and for what a worker saw go wrong on the wire.
 *
 * Each enum has one name table; names are what the API, the store's readers and the tables of the client show. Numbers
 * are stored in the database: append only. */
#ifndef FANOUT_LIB_REASON_H
#define FANOUT_LIB_REASON_H

#include <stdbool.h>

enum job_state { JOB_BLOCKED, JOB_QUEUED, JOB_RUNNING, JOB_DONE, JOB_FAILED, JOB_CANCELLED, JOB_STATES };

/* Why a final state is what it is. REASON_NONE goes with `done` and `cancelled`. */
enum job_reason {
	REASON_NONE,
	REASON_HTTP_STATUS,
	REASON_SOFT_ERROR,
	REASON_TRANSPORT,
	REASON_TIMEOUT,
	REASON_TOO_LARGE,
	REASON_POLICY,
	REASON_LIMITED,
	REASON_POISON,
	REASON_UNKNOWN_OUTCOME,
	REASON_PREDECESSOR,
	REASON_EXPIRED,
	JOB_REASONS
};

/* What ended one attempt, finer than a reason: daemon/retry.c decides from it (and the status) whether another attempt
 * makes sense. CAUSE_RESPONSE is a whole response, of whatever status. */
enum cause {
	CAUSE_RESPONSE,
	CAUSE_URL,             /* libcurl cannot use the URL */
	CAUSE_DNS,             /* the host name does not exist, or the resolver failed */
	CAUSE_CONNECT,         /* refused, unreachable, network down */
	CAUSE_CONNECT_TIMEOUT, /* no connection within connect_timeout (DNS and TLS included) */
	CAUSE_TLS,             /* the handshake failed */
	CAUSE_TLS_VERIFY,      /* the certificate is not to be trusted */
	CAUSE_RESET,           /* the connection broke before the response was whole */
	CAUSE_TRUNCATED,       /* it ended early: fewer bytes than announced, a chunk missing */
	CAUSE_PROTOCOL,        /* not HTTP, or HTTP that contradicts itself */
	CAUSE_DECODE,          /* a broken gzip, deflate or br stream */
	CAUSE_TIMEOUT,         /* the whole took longer than timeout, or stalled */
	CAUSE_TOO_LARGE,       /* more decoded bytes than max_body */
	CAUSE_POLICY,          /* the address is not to be reached */
	CAUSE_RESEND,          /* libcurl wanted to send the request again: refused, one wire request per attempt */
	CAUSE_CANCELLED,       /* on the daemon's word */
	CAUSE_WORKER_LOST,     /* the worker died; never sent by a worker */
	CAUSE_STORAGE,         /* the worker could not write the body's file */
	CAUSE_INTERNAL,        /* libcurl out of memory and the like */
	CAUSE_SOFT_ERROR,      /* a whole response of status 2xx whose body says that it is an error */
	CAUSES
};

const char *job_state_name(enum job_state s);
const char *job_reason_name(enum job_reason r);
const char *cause_name(enum cause c);
/* -1 when `name` is no state. */
int job_state_parse(const char *name);
static inline bool job_state_final(enum job_state s)
{
	return s >= JOB_DONE;
}

/* A status code's phrase ("Not Found"), or "" where RFC 9110 and its registry name none. */
const char *http_status_phrase(int status);

#endif
