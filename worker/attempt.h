/* One wire request: an easy handle with its buffers, what libcurl's callbacks see while it lasts, and what is told of
 * it afterwards. Must not know what is done with the multi handle, nor the other attempts. */
#ifndef FANOUT_WORKER_ATTEMPT_H
#define FANOUT_WORKER_ATTEMPT_H

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/err.h"
#include "lib/judge.h"
#include "lib/message.h"
#include "lib/verdict.h"
#include "worker/decode.h"
#include "worker/lookup.h"
#include "worker/outcome.h"
#include "worker/policy.h"
#include "worker/request.h"
#include "worker/response.h"
#include "worker/sink.h"

#define ATTEMPT_TYPE_CHARS 200 /* of a Content-Type */

struct multi;

/* What all attempts of a worker share; borrowed. */
struct attempt_context {
	const struct policy *policy;
	struct lookups *lookups;
	struct multi *multi; /* is told of new sockets */
	char *agent;         /* the User-Agent line; "": none */
	const char *ca_file;
	int bodies_fd;
};

/* What a page of a run has besides; few jobs are one. */
struct attempt_page {
	struct verdict verdict;
	bool judged;                           /* the verdict stands */
	const char *program, *context, *param; /* the job's; they lie behind */
};

struct attempt {
	uint64_t job;
	uint32_t n;
	const struct attempt_context *context;
	CURL *easy;    /* its CURLINFO_PRIVATE is this struct */
	bool prepared; /* the handle has the common options, and nothing that a plain GET does not override */
	struct lookup_ticket ticket;
	struct request request;
	struct response response;
	struct decode decode;
	struct sink sink;
	char *fail_if; /* the job's; "" where none */
	size_t fail_if_cap;
	struct attempt_page *page; /* NULL where it is none */
	enum cause stopped;        /* by one of our callbacks, or on the daemon's word; CAUSE_RESPONSE where not */
	bool sent, head;
	bool decoding;    /* the body has begun */
	bool from_public; /* a server at a public address supplied the URL */
	bool socket_denied, socket_made;
	enum policy_verdict verdict;   /* on the last address */
	struct sockaddr_storage tried; /* the last address */
	int64_t timeout_ms, connect_timeout_ms, started_us, ended_us;
	int64_t tls_us; /* after started_us, where a handshake began */
	CURLcode rc;
	/* Once ended. */
	enum cause cause;
	struct ending ending;
	char address[INET6_ADDRSTRLEN]; /* the one of the connection, or the last that was tried */
	char curl_text[CURL_ERROR_SIZE];
};

int attempt_init(struct attempt *a, const struct attempt_context *context, struct err *e);
void attempt_clear(struct attempt *a);

/* Sets it up for a job. Returns 0, or -1 when the job cannot be sent as it is: then it has ended (CAUSE_URL). */
int attempt_begin(struct attempt *a, const struct message_job *job);

/* Libcurl is done with it, or it was given up (`stopped`). Sets `cause`. A whole body may lie in a file that is not
 * synced yet: sink_in_file(); of any other attempt nothing stays. */
void attempt_end(struct attempt *a, CURLcode rc);

/* The texts that an outcome borrows, where the attempt does not hold them itself. */
struct attempt_texts {
	char error[OUTCOME_TEXT_SIZE];
	char verdict[JUDGE_TEXT_SIZE];
	char content_type[ATTEMPT_TYPE_CHARS * 4 + 1];
};

/* Of an attempt that has ended and whose body is safe. A good response is judged before it is told where its job has a
 * fail_if or is a page: its cause may become CAUSE_SOFT_ERROR (or CAUSE_STORAGE, where the body cannot be read again).
 */
bool attempt_wants_judging(const struct attempt *a);
void attempt_judge(struct attempt *a, struct judge *judge, struct attempt_texts *texts);

/* Whether its body is too large to go inline. */
static inline bool attempt_body_in_file(const struct attempt *a)
{
	return a->sink.size_bytes > MESSAGE_BODY_INLINE_MAX;
}
void attempt_fill_type(const struct attempt *a, struct attempt_texts *texts);

/* Tells of it; borrows from both until the attempt begins again. */
void attempt_tell(struct attempt *a, struct message_outcome *m, struct attempt_texts *texts);

/* It has been told of: gives back what it need not keep until it begins again. */
void attempt_rest(struct attempt *a);

#endif
