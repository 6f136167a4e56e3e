/* What became of one wire request: from libcurl's code, the phase it had reached and what our own callbacks saw to an
 * enum cause, the durations of its phases, and one readable line. Pure: everything it looks at is in struct ending. */
#ifndef FANOUT_WORKER_OUTCOME_H
#define FANOUT_WORKER_OUTCOME_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/message.h"
#include "worker/response.h"

#define OUTCOME_TEXT_SIZE 1400 /* a host of 255 bytes and 200 characters of 4 bytes, with room */

/* When each phase ended, in µs since the transfer began; 0 where it was not reached. */
struct marks {
	int64_t dns_us, connect_us, tls_us, pretransfer_us, first_byte_us, total_us;
	bool reused; /* the connection was there already */
	bool tls;
};

struct ending {
	CURLcode rc;
	const char *curl_text; /* libcurl's words; may be "" */
	int os_error;
	enum cause stopped; /* what our callbacks stopped it for; CAUSE_RESPONSE where they did not */
	int storage_error;  /* errno of a CAUSE_STORAGE */
	bool sent;          /* the request may have reached the server */
	bool bodiless;      /* the answer to a HEAD */
	bool address_tried; /* a socket was wanted, so the name was resolved */
	bool not_public;    /* of a CAUSE_POLICY: only public addresses were allowed */
	const struct response *response;
	struct marks marks;
	const char *url;
	const char *address; /* last one tried, "" where none */
	int64_t timeout_ms, connect_timeout_ms, max_body_bytes;
	int64_t size_bytes, wire_bytes;
	const char *content_type;
	const void *body; /* its beginning is enough */
	size_t body_bytes;
	const char *decode_fault; /* what is wrong with the coded body; "" where nothing */
	const char *verdict;      /* of a CAUSE_SOFT_ERROR: what the body says; printable */
};

enum cause outcome_cause(const struct ending *e);
void outcome_timings(const struct marks *m, struct timings *t);
/* Writes the line for `cause` (OUTCOME_TEXT_SIZE bytes) and returns it: "" for a response with status below 400. */
const char *outcome_text(const struct ending *e, enum cause cause, char *out);

#endif
