/* The name tables of lib/reason.h. */
#include "lib/reason.h"

#include <stddef.h>
#include <string.h>

static const char *const state_names[] = {
    [JOB_BLOCKED] = "blocked", [JOB_QUEUED] = "queued", [JOB_RUNNING] = "running",
    [JOB_DONE] = "done",       [JOB_FAILED] = "failed", [JOB_CANCELLED] = "cancelled",
};
_Static_assert(sizeof state_names / sizeof state_names[0] == JOB_STATES, "every state has a name");

static const char *const reason_names[] = {
    [REASON_NONE] = "",
    [REASON_HTTP_STATUS] = "http_status",
    [REASON_SOFT_ERROR] = "soft_error",
    [REASON_TRANSPORT] = "transport",
    [REASON_TIMEOUT] = "timeout",
    [REASON_TOO_LARGE] = "too_large",
    [REASON_POLICY] = "policy",
    [REASON_LIMITED] = "limited",
    [REASON_POISON] = "poison",
    [REASON_UNKNOWN_OUTCOME] = "unknown_outcome",
    [REASON_PREDECESSOR] = "predecessor",
    [REASON_EXPIRED] = "expired",
};
_Static_assert(sizeof reason_names / sizeof reason_names[0] == JOB_REASONS, "every reason has a name");

static const char *const cause_names[] = {
    [CAUSE_RESPONSE] = "response",
    [CAUSE_URL] = "url",
    [CAUSE_DNS] = "dns",
    [CAUSE_CONNECT] = "connect",
    [CAUSE_CONNECT_TIMEOUT] = "connect_timeout",
    [CAUSE_TLS] = "tls",
    [CAUSE_TLS_VERIFY] = "tls_verify",
    [CAUSE_RESET] = "reset",
    [CAUSE_TRUNCATED] = "truncated",
    [CAUSE_PROTOCOL] = "protocol",
    [CAUSE_DECODE] = "decode",
    [CAUSE_TIMEOUT] = "timeout",
    [CAUSE_TOO_LARGE] = "too_large",
    [CAUSE_POLICY] = "policy",
    [CAUSE_RESEND] = "resend",
    [CAUSE_CANCELLED] = "cancelled",
    [CAUSE_WORKER_LOST] = "worker_lost",
    [CAUSE_STORAGE] = "storage",
    [CAUSE_INTERNAL] = "internal",
    [CAUSE_SOFT_ERROR] = "soft_error",
};
_Static_assert(sizeof cause_names / sizeof cause_names[0] == CAUSES, "every cause has a name");

/* The IANA registry of HTTP status codes, as of 2024. */
static const char *const phrases[] = {
    [100] = "Continue",
    [101] = "Switching Protocols",
    [102] = "Processing",
    [103] = "Early Hints",
    [200] = "OK",
    [201] = "Created",
    [202] = "Accepted",
    [203] = "Non-Authoritative Information",
    [204] = "No Content",
    [205] = "Reset Content",
    [206] = "Partial Content",
    [207] = "Multi-Status",
    [208] = "Already Reported",
    [226] = "IM Used",
    [300] = "Multiple Choices",
    [301] = "Moved Permanently",
    [302] = "Found",
    [303] = "See Other",
    [304] = "Not Modified",
    [305] = "Use Proxy",
    [307] = "Temporary Redirect",
    [308] = "Permanent Redirect",
    [400] = "Bad Request",
    [401] = "Unauthorized",
    [402] = "Payment Required",
    [403] = "Forbidden",
    [404] = "Not Found",
    [405] = "Method Not Allowed",
    [406] = "Not Acceptable",
    [407] = "Proxy Authentication Required",
    [408] = "Request Timeout",
    [409] = "Conflict",
    [410] = "Gone",
    [411] = "Length Required",
    [412] = "Precondition Failed",
    [413] = "Content Too Large",
    [414] = "URI Too Long",
    [415] = "Unsupported Media Type",
    [416] = "Range Not Satisfiable",
    [417] = "Expectation Failed",
    [421] = "Misdirected Request",
    [422] = "Unprocessable Content",
    [423] = "Locked",
    [424] = "Failed Dependency",
    [425] = "Too Early",
    [426] = "Upgrade Required",
    [428] = "Precondition Required",
    [429] = "Too Many Requests",
    [431] = "Request Header Fields Too Large",
    [451] = "Unavailable For Legal Reasons",
    [500] = "Internal Server Error",
    [501] = "Not Implemented",
    [502] = "Bad Gateway",
    [503] = "Service Unavailable",
    [504] = "Gateway Timeout",
    [505] = "HTTP Version Not Supported",
    [506] = "Variant Also Negotiates",
    [507] = "Insufficient Storage",
    [508] = "Loop Detected",
    [510] = "Not Extended",
    [511] = "Network Authentication Required",
};

const char *job_state_name(enum job_state s)
{
	return (unsigned)s < JOB_STATES ? state_names[s] : "unknown";
}

const char *job_reason_name(enum job_reason r)
{
	return (unsigned)r < JOB_REASONS ? reason_names[r] : "unknown";
}

const char *cause_name(enum cause c)
{
	return (unsigned)c < CAUSES ? cause_names[c] : "unknown";
}

int job_state_parse(const char *name)
{
	for (int i = 0; i < JOB_STATES; i++)
		if (strcmp(state_names[i], name) == 0)
			return i;
	return -1;
}

const char *http_status_phrase(int status)
{
	const char *phrase = NULL;

	if (status >= 0 && (size_t)status < sizeof phrases / sizeof phrases[0])
		phrase = phrases[status];
	return phrase ? phrase : "";
}
