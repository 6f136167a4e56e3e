/* The whole contract between fanoutd and fanout-worker.
 *
 * The worker is started with its end of a stream socketpair as fd 3 and the bodies directory as fd 4; stderr is the
 * daemon's. The daemon speaks first (SETTINGS), the worker answers HELLO and CAPACITY and may then be given JOBs, never
 * more at once than its last CAPACITY. Every JOB is answered by exactly one OUTCOME, also after a CANCEL; one that
 * stood by and will not begin is answered by RETURNED instead. The worker says ALIVE at least every heartbeat_ms.
 * Before it judges a job's body (fail_if, or a page) it says JUDGING, which has left it when the program starts; that
 * job's OUTCOME is the next one. So where a worker falls silent or dies, the job that it has said JUDGING of and not
 * yet told the OUTCOME of is the one to blame. It ends (exit 0) when it has been told to STOP and has nothing in
 * flight, or at end of file on fd 3 (the daemon is gone).
 *
 * A JOB with `slots` stands by: it begins when fewer than so many of its lane are in flight in this worker, those of a
 * lane in the order in which they came. So the next one does not wait for the daemon. The daemon counts the same way:
 * with the OUTCOME of one of a lane, the first that stands by there has begun. None begins before every OUTCOME told so
 * far has left: so when the worker dies, what the daemon has not counted as begun has not. SLOTS raises the number
 * where an end elsewhere made room; RECALL has all of a lane that have not begun RETURNED, and so has an OUTCOME that
 * tells of limits (message_tells_limits). daemon/engine_standby.c has the proof.
 *
 * All times are CLOCK_BOOTTIME microseconds. Encoders append one frame to `o`. Decoders return 0, or -1 for a frame
 * that does not fit; what they fill in borrows from the frame. */
#ifndef FANOUT_LIB_MESSAGE_H
#define FANOUT_LIB_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/reason.h"
#include "lib/units.h"
#include "lib/wire.h"

#define MESSAGE_VERSION         4u
#define MESSAGE_CHANNEL_FD      3
#define MESSAGE_BODIES_FD       4
#define MESSAGE_BODY_INLINE_MAX 65536u     /* larger bodies go to a file (jobid_body_path) */
#define MESSAGE_HEADERS_MAX     16384u     /* response headers told, cut at a line's end */
#define MESSAGE_DENY_MAX        64         /* networks in settings */
#define MESSAGE_KEYS_MAX        (1u << 20) /* bytes of an outcome's keys: 131 072 items a page */
#define MESSAGE_NEXT_MAX        65536u     /* bytes of a cursor or URL of a next page */
/* A transfer may need two descriptors: its connection and its body's file. These are for what no transfer has: channel,
 * epoll, log, bodies, resolver; libcurl's own, 2 a multi handle. */
#define MESSAGE_SPARE_FDS     128u
#define MESSAGE_TRANSFERS_FEW 64u /* fewer at a time by one worker are worth a word */
/* The longest wait that a server can ask for; one that asks for more has told nothing. */
#define MESSAGE_WAIT_MAX_US (INT64_C(10) * 365 * 86400 * 1000000)

enum message_type {
	/* daemon to worker */
	MESSAGE_SETTINGS = 1,
	MESSAGE_JOB,
	MESSAGE_CANCEL,
	MESSAGE_STOP,
	MESSAGE_SLOTS,
	MESSAGE_RECALL,
	/* worker to daemon */
	MESSAGE_HELLO = 65,
	MESSAGE_CAPACITY,
	MESSAGE_OUTCOME,
	MESSAGE_ALIVE,
	MESSAGE_JUDGING,
	MESSAGE_RETURNED,
};
const char *message_type_name(uint8_t type);

/* As many transfers as a worker takes at a time that may have so many descriptors. */
uint32_t message_transfers_most(uint64_t descriptors);

struct message_settings {
	uint32_t version; /* MESSAGE_VERSION */
	uint32_t log_level;
	uint32_t heartbeat_ms;
	uint32_t capacity_max; /* most transfers in flight; bounds descriptors too */
	uint32_t deny_count;
	const char *deny[MESSAGE_DENY_MAX]; /* "169.254.0.0/16", "fe80::/10" */
	const char *user_agent;
	const char *ca_file; /* PEM; the only certificates to trust; "": the system's */
};

/* One wire request. */
struct message_job {
	uint32_t slots; /* 0: it begins at once. Else it stands by */
	uint64_t lane;  /* that it stands by in, or makes way in */
	uint64_t job;
	uint32_t n; /* the attempt's number, from 1 */
	int64_t timeout_ms, connect_timeout_ms;
	int64_t max_body_bytes;
	const char *method;
	const char *url;
	const char *headers; /* "Name: value\n" each; "" where none */
	const char *user;    /* "user:password" for basic authentication; "" where none */
	const void *body;    /* body_bytes of it; has_body tells an empty body from none */
	size_t body_bytes;
	bool has_body;
	/* The URL was supplied by a server at a public address (a redirect): only public addresses may be connected to.
	 */
	bool from_public;
	const char *fail_if; /* jq program that finds the error in a 2xx response's body (lib/jq.h); "" where none */
	/* A page of a run: its outcome has a message_page. Else all three are "". It is the context that makes it one:
	 * JSON, {"page":…,"vars":{…},"type":"link","start":1}; start, the first page's number, is 1 where it is not
	 * told. */
	const char *page_program; /* jq program over the body (recipe_program()); "" where bodies are not looked at */
	const char *page_context;
	const char *page_param; /* query parameter that has the page's number in a Link rel="last"; "" where none */
};

/* What a page says: see docs/PULLS.md. Only with a whole 2xx response that is no soft error. */
struct message_page {
	int64_t items;    /* -1: not counted */
	const char *next; /* cursor, last key, or absolute URL of the next page; "" none */
	bool next_is_url;
	int has_more; /* 1, 0; -1: not told */
	bool stop;
	int64_t total_pages, total_items; /* from the program or from headers; -1: not told */
	const char *since;                /* the greatest value, as JSON text; "" none */
	const char *etag, *last_modified; /* as received; "" none, or not fit to be sent back */
	uint64_t hash[2];                 /* of the decoded body */
	const void *keys;                 /* 8 bytes for each item: a hash of its key; NULL where none are asked for */
	size_t keys_bytes;
};

struct message_cancel {
	uint64_t job;
	uint32_t n;
};

struct message_judging {
	uint64_t job;
	uint32_t n;
};

/* It stood by and has not begun, and will not. */
struct message_returned {
	uint64_t job;
	uint32_t n;
};

/* So many jobs of the lane may be in flight in this worker. */
struct message_slots {
	uint64_t lane;
	uint32_t slots;
};

struct message_recall {
	uint64_t lane;
	bool answers; /* an OUTCOME that told of limits: one each */
};

struct message_hello {
	uint32_t version;
	uint32_t pid;
};

/* Durations of the phases, each in microseconds, 0 where a phase did not happen. They add up to total_us. */
struct timings {
	int64_t dns_us, connect_us, tls_us, send_us, wait_us, receive_us, total_us;
};

struct message_outcome {
	uint64_t job;
	uint32_t n;
	enum cause cause;
	int status;            /* 0 where no final status line came */
	bool sent;             /* bytes of the request may have reached the server */
	bool body_in_file;     /* the body is whole, synced, at jobid_body_path(job, n) */
	int http_version;      /* 10, 11, 20; 0 unknown */
	int64_t started_us;    /* handed to libcurl */
	int64_t first_byte_us; /* the final response's status line; 0 where none came */
	int64_t ended_us;
	struct timings timings;
	int64_t size_bytes;       /* decoded body */
	int64_t wire_bytes;       /* body as transferred */
	const char *content_type; /* "" where none */
	const char *remote_ip;    /* "" where no connection was made */
	const char *redirect_url; /* absolute target of a 3xx with Location; "" where none */
	const char *error;        /* readable, one line; "" for a whole response with status below 400 */
	const char *headers;      /* as received, lines ended by \n, status line first; "" where none */
	const void *body;         /* inline body; NULL where it lies in the file or there is none */
	size_t body_bytes;
	/* What the response's headers tell of limits, from ended_us on. -1 where nothing is told, or nonsense. */
	int64_t retry_after_us;  /* 0 to MESSAGE_WAIT_MAX_US */
	int64_t limit_remaining; /* requests left in the server's window */
	int64_t limit_reset_us;  /* until it has them all again; 0 to MESSAGE_WAIT_MAX_US */
	struct rate limit_rate;  /* the policy; count 0 where not told */
	bool has_page;
	struct message_page page;
};
/* The server takes no more for now, or tells how many it takes: what stands by in the lane is asked for anew. */
static inline bool message_tells_limits(const struct message_outcome *m)
{
	return m->status == 429 || m->status == 503 || m->retry_after_us >= 0 || m->limit_remaining >= 0 ||
	       m->limit_reset_us >= 0 || m->limit_rate.count > 0;
}
/* For outcomes that no server had a word in. */
#define MESSAGE_LIMITS_UNTOLD .retry_after_us = -1, .limit_remaining = -1, .limit_reset_us = -1

void message_put_settings(struct wire_out *o, const struct message_settings *m);
int message_get_settings(struct wire_in *in, struct message_settings *m);
void message_put_job(struct wire_out *o, const struct message_job *m);
int message_get_job(struct wire_in *in, struct message_job *m);
/* In an encoded frame of a job: it is to stand by. */
void message_set_slots(void *frame, uint32_t slots);
void message_put_cancel(struct wire_out *o, const struct message_cancel *m);
int message_get_cancel(struct wire_in *in, struct message_cancel *m);
void message_put_slots(struct wire_out *o, const struct message_slots *m);
int message_get_slots(struct wire_in *in, struct message_slots *m);
void message_put_recall(struct wire_out *o, const struct message_recall *m);
int message_get_recall(struct wire_in *in, struct message_recall *m);
void message_put_stop(struct wire_out *o);
void message_put_hello(struct wire_out *o, const struct message_hello *m);
int message_get_hello(struct wire_in *in, struct message_hello *m);
void message_put_capacity(struct wire_out *o, uint32_t capacity);
int message_get_capacity(struct wire_in *in, uint32_t *capacity);
void message_put_alive(struct wire_out *o);
void message_put_judging(struct wire_out *o, const struct message_judging *m);
int message_get_judging(struct wire_in *in, struct message_judging *m);
void message_put_returned(struct wire_out *o, const struct message_returned *m);
int message_get_returned(struct wire_in *in, struct message_returned *m);
void message_put_outcome(struct wire_out *o, const struct message_outcome *m);
int message_get_outcome(struct wire_in *in, struct message_outcome *m);

#endif
