/* Judges one ended attempt. Two tables, of causes here and of statuses in lib/status, are the whole policy;
 * docs/SCHEDULER.md tells it in words. It must not know jobs, the store, or a clock.
 *
 * Three questions, in this order: is the outcome final by its nature; would repeating it risk doing it twice; and is
 * there budget (attempts, deadline) for another. */
#include "daemon/retry.h"

#include "lib/method.h"
#include "lib/status.h"

/* What a cause means. `in_body`: it may strike after the final status arrived. A status that is itself a failure then
 * decides, since the rest of an error page changes nothing; with a good status the response is not whole, and the cause
 * decides (a truncated body is never done). */
struct cause_rule {
	bool transient;
	bool in_body;
	enum job_reason reason;
};

static const struct cause_rule causes[] = {
    [CAUSE_RESPONSE] = {false, false, REASON_HTTP_STATUS}, /* the status decides */
    [CAUSE_URL] = {false, false, REASON_TRANSPORT},
    [CAUSE_DNS] = {true, false, REASON_TRANSPORT}, /* "no such host" and "resolver down" look alike to a client */
    [CAUSE_CONNECT] = {true, false, REASON_TRANSPORT},
    [CAUSE_CONNECT_TIMEOUT] = {true, false, REASON_TIMEOUT},
    [CAUSE_TLS] = {true, false, REASON_TRANSPORT}, /* overloaded servers drop connections in the handshake */
    [CAUSE_TLS_VERIFY] = {false, false, REASON_TRANSPORT},
    [CAUSE_RESET] = {true, true, REASON_TRANSPORT},
    [CAUSE_TRUNCATED] = {true, true, REASON_TRANSPORT},
    [CAUSE_PROTOCOL] = {false, true, REASON_TRANSPORT}, /* contradictory framing may be an attack: ask no more */
    [CAUSE_DECODE] = {true, true, REASON_TRANSPORT},    /* a cut stream decodes as a broken one */
    [CAUSE_TIMEOUT] = {true, true, REASON_TIMEOUT},
    [CAUSE_TOO_LARGE] = {false, true, REASON_TOO_LARGE},
    [CAUSE_POLICY] = {false, false, REASON_POLICY},
    [CAUSE_RESEND] = {true, false, REASON_TRANSPORT},      /* a kept connection had gone stale */
    [CAUSE_CANCELLED] = {true, true, REASON_TRANSPORT},    /* nobody asked for it: else nobody would ask here */
    [CAUSE_WORKER_LOST] = {true, false, REASON_TRANSPORT}, /* bounded by deaths, not by attempts */
    [CAUSE_STORAGE] = {true, true, REASON_TRANSPORT},
    [CAUSE_INTERNAL] = {true, true, REASON_TRANSPORT},
    [CAUSE_SOFT_ERROR] = {false, false, REASON_SOFT_ERROR}, /* asked again it would say the same */
};
_Static_assert(sizeof causes / sizeof *causes == CAUSES, "every cause has a rule");

static const struct cause_rule *cause_rule(enum cause cause)
{
	/* a worker's frame carries it as a number */
	return &causes[(unsigned)cause < CAUSES ? cause : CAUSE_INTERNAL];
}

/* 304 answers a conditional request in full. */
static bool status_good(int status)
{
	return (status >= 200 && status <= 299) || status == 304;
}

/* Does the status, rather than the cause, say how the attempt ended? */
static bool status_decides(enum cause cause, int status)
{
	return cause == CAUSE_RESPONSE || (cause_rule(cause)->in_body && status != 0 && !status_good(status));
}

bool retry_transient(enum cause cause, int status)
{
	return status_decides(cause, status) ? status_transient(status) : cause_rule(cause)->transient;
}

static struct retry_decision failed(enum job_reason reason)
{
	return (struct retry_decision){.verdict = RETRY_FAILED, .reason = reason};
}

/* Full jitter: uniform in [0, min(cap, base * 2^(tries - 1))), and never past the deadline: a late job that can still
 * be tried is tried. */
static int64_t delay_draw(const struct retry_input *in)
{
	unsigned doublings = in->tries > 0 ? in->tries - 1 : 0;
	int64_t range = RETRY_BASE_US;

	while (doublings-- > 0 && range < RETRY_CAP_US)
		range *= 2;
	if (range > RETRY_CAP_US)
		range = RETRY_CAP_US;
	if (range > in->deadline_us - in->now_us)
		range = in->deadline_us - in->now_us;
	return (int64_t)(in->random % (uint64_t)range);
}

/* Worth another attempt; is there budget for it? A worker's death is no fault of the job or its server, so it costs no
 * attempt: deaths bound it instead. */
static struct retry_decision again(const struct retry_input *in, enum job_reason reason)
{
	if (in->cause != CAUSE_WORKER_LOST && in->tries >= in->max_attempts)
		return failed(reason);
	if (in->now_us >= in->deadline_us)
		return failed(REASON_EXPIRED);
	return (struct retry_decision){.verdict = RETRY_AGAIN, .delay_us = delay_draw(in)};
}

/* What is said of the host rather than of the job does not come here: 429, and 503 with Retry-After, pause the host and
 * cost no attempt (daemon/throttle); they hold where nobody throttles. Nor does a redirect that is followed. */
static struct retry_decision decide_by_status(const struct retry_input *in, bool safe)
{
	if (in->status == 0) /* a worker that reports a response without one */
		return failed(REASON_TRANSPORT);
	if (status_good(in->status))
		return (struct retry_decision){.verdict = RETRY_DONE};
	if (!status_transient(in->status) || (status_may_be_done(in->status) && !safe))
		return failed(REASON_HTTP_STATUS);
	return again(in, REASON_HTTP_STATUS);
}

struct retry_decision retry_decide(const struct retry_input *in)
{
	const struct cause_rule *rule = cause_rule(in->cause);
	bool safe = in->repeatable || method_idempotent(in->method);

	if (in->cause == CAUSE_WORKER_LOST && in->deaths >= RETRY_DEATHS_MAX)
		return failed(REASON_POISON);
	if (status_decides(in->cause, in->status))
		return decide_by_status(in, safe);
	/* Without a status it may have been done, with a good one it was, and its answer broke off: never twice. */
	if (in->sent && !safe)
		return failed(in->status == 0 || rule->in_body ? REASON_UNKNOWN_OUTCOME : rule->reason);
	return rule->transient ? again(in, rule->reason) : failed(rule->reason);
}
