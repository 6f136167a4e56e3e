/* Transfers: a job becomes a pooled easy handle, and its end a message_outcome, exactly one for each job. Knows neither
 * the channel nor how many jobs are good to have. */
#ifndef FANOUT_WORKER_XFER_H
#define FANOUT_WORKER_XFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/message.h"
#include "worker/policy.h"

struct event_base;
struct xfers;

struct xfer_settings {
	struct event_base *base;
	const struct policy *policy; /* borrowed */
	const char *user_agent;      /* borrowed */
	const char *ca_file;         /* borrowed; "": the system's */
	int bodies_fd;               /* borrowed */
	uint32_t connections;        /* most kept open */
	/* Borrows the message; `lane` is the job's. Never called from a callback of libcurl's, and not to be
	 * answered by a start; a job may end before xfers_start() returns. */
	void (*on_outcome)(const struct message_outcome *m, uint64_t lane, void *arg);
	/* This job's body is about to be judged. Sends it on at once; false while that is not possible: it will be
	 * asked again at the end of another turn. */
	bool (*on_judging)(const struct message_judging *m, void *arg);
	void *arg;
};

struct xfers *xfers_create(const struct xfer_settings *settings, struct err *e);
/* Aborts what is in flight, without an outcome and without leaving files. */
void xfers_free(struct xfers *all);

/* Copies what it needs. -1 when this attempt is in flight already. */
int xfers_start(struct xfers *all, const struct message_job *job);
/* Ends it with CAUSE_CANCELLED. An attempt that is not in flight, or whose response is whole already, is left alone. */
void xfers_cancel(struct xfers *all, const struct message_cancel *cancel);
/* Jobs without an outcome so far. */
size_t xfers_count(const struct xfers *all);

/* To be called at the end of each turn of the loop: has the bodies of the turn synced, judges what is to be judged, and
 * starts those that waited for a name. */
void xfers_end_turn(struct xfers *all);
/* So many connections are kept open from now on. */
void xfers_keep(struct xfers *all, uint32_t connections);
/* Held, nothing moves but cancellations. */
void xfers_hold(struct xfers *all, bool hold);

#endif
