/* From a message_job to the options of an easy handle. Refuses what would not go out as it was written: a header with a
 * line break, a method that is no token. Knows no transfer and no callback.
 *
 * Headers are written as for curl's -H: "Name: value" sends it, "Name:" keeps libcurl from sending its own, "Name;"
 * sends it with no value. A body without a Content-Type among the headers is sent without one. */
#ifndef FANOUT_WORKER_REQUEST_H
#define FANOUT_WORKER_REQUEST_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"
#include "lib/message.h"
#include "worker/target.h"

/* What a handle refers to while its transfer lasts; the memory is used again for the next. */
struct request {
	char *bytes; /* headers, then the body */
	size_t cap;
	struct curl_slist *lines;
	size_t lines_cap;
	struct target target;
	bool plain; /* the handle was given nothing that a plain GET does not override */
};

/* Of a fresh or reset handle: sets what is the same for every job; "" is the system's certificates. Returns 0, or -1
 * when this libcurl lacks one of the options. */
int request_prepare(struct request *r, CURL *easy, const char *ca_file, struct err *e);

/* Sets what differs. The handle is fresh from request_prepare(), or `plain` and so may be used again as it is. `agent`
 * is the User-Agent line, or "", borrowed while the transfer lasts. Returns 0, or -1 with a text that tells what in the
 * job cannot be sent. */
int request_apply(struct request *r, CURL *easy, const struct message_job *job, char *agent, struct err *e);
void request_clear(struct request *r);

#endif
