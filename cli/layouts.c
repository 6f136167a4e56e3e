/* Tables of columns. The csv ones follow docs/API.md, member by member. */
#include "cli/layouts.h"

#define ALWAYS   0
#define OPTIONAL COLUMN_OPTIONAL

static const struct column results_table[] = {
    {"JOB", "job", CELL_JOB, ALWAYS, 6},
    {"CHAIN", "chain", CELL_TEXT, OPTIONAL | COLUMN_SHRINK, 0},
    {"TAG", "tag", CELL_TEXT, OPTIONAL | COLUMN_SHRINK, 0},
    {"STATE", "state", CELL_STATE, ALWAYS, 6},
    {"STATUS", "status", CELL_COUNT, ALWAYS, 6},
    {"TRIES", "attempts", CELL_TRIES, OPTIONAL | COLUMN_DROP(3), 0},
    {"TIME", "timings.total_us", CELL_SECONDS, COLUMN_DROP(2), 8},
    {"SIZE", "size", CELL_BYTES, COLUMN_DROP(1), 9},
    {"URL", "url", CELL_TEXT, ALWAYS, 0},
    {"ERROR", "error|reason", CELL_TEXT, OPTIONAL | COLUMN_BENEATH, 0},
    {0},
};

/* In csv, a column is called as the member is; what it holds is said for the tables that --fields makes of them. */
#define MEMBER(name)                             \
	{                                        \
		name, name, CELL_TEXT, ALWAYS, 0 \
	}
#define NUMBER(name)                              \
	{                                         \
		name, name, CELL_COUNT, ALWAYS, 0 \
	}
#define MOMENT(name)                             \
	{                                        \
		name, name, CELL_TIME, ALWAYS, 0 \
	}
#define TIMING(name)                                         \
	{                                                    \
		name, "timings." name, CELL_COUNT, ALWAYS, 9 \
	}
#define COUNT_OF(name)                                     \
	{                                                  \
		name, "counts." name, CELL_TEXT, ALWAYS, 0 \
	}

static const struct column results_csv[] = {
    MEMBER("job"),
    NUMBER("batch"),
    NUMBER("seq"),
    MEMBER("chain"),
    MEMBER("tag"),
    MEMBER("method"),
    MEMBER("url"),
    MEMBER("state"),
    MEMBER("reason"),
    NUMBER("status"),
    NUMBER("attempts"),
    NUMBER("size"),
    MEMBER("content_type"),
    MEMBER("remote_ip"),
    MEMBER("http_version"),
    MOMENT("submitted_at"),
    MOMENT("started_at"),
    MOMENT("ended_at"),
    MEMBER("error"),
    TIMING("queued_us"),
    TIMING("limited_us"),
    TIMING("dns_us"),
    TIMING("connect_us"),
    TIMING("tls_us"),
    TIMING("send_us"),
    TIMING("wait_us"),
    TIMING("receive_us"),
    TIMING("total_us"),
    {0},
};

static const struct column results_body_csv[] = {
    MEMBER("job"),
    NUMBER("batch"),
    NUMBER("seq"),
    MEMBER("chain"),
    MEMBER("tag"),
    MEMBER("method"),
    MEMBER("url"),
    MEMBER("state"),
    MEMBER("reason"),
    NUMBER("status"),
    NUMBER("attempts"),
    NUMBER("size"),
    MEMBER("content_type"),
    MEMBER("remote_ip"),
    MEMBER("http_version"),
    MOMENT("submitted_at"),
    MOMENT("started_at"),
    MOMENT("ended_at"),
    MEMBER("error"),
    TIMING("queued_us"),
    TIMING("limited_us"),
    TIMING("dns_us"),
    TIMING("connect_us"),
    TIMING("tls_us"),
    TIMING("send_us"),
    TIMING("wait_us"),
    TIMING("receive_us"),
    TIMING("total_us"),
    MEMBER("body"),
    MEMBER("body_base64"),
    {0},
};

const struct layout layout_results = {results_table, results_csv};
const struct layout layout_results_body = {results_table, results_body_csv};

static const struct column batches_table[] = {
    {"BATCH", "batch", CELL_COUNT, ALWAYS, 0},
    {"OWNER", "owner", CELL_TEXT, OPTIONAL | COLUMN_SHRINK, 0},
    {"NAME", "name", CELL_TEXT, OPTIONAL | COLUMN_SHRINK, 0},
    {"STATE", "state", CELL_STATE, ALWAYS, 0},
    {"BLOCKED", "counts.blocked", CELL_TALLY, OPTIONAL | COLUMN_DROP(2), 0},
    {"QUEUED", "counts.queued", CELL_TALLY, OPTIONAL, 0},
    {"RUNNING", "counts.running", CELL_TALLY, OPTIONAL | COLUMN_DROP(4), 0},
    {"DONE", "counts.done", CELL_COUNT, ALWAYS, 0},
    {"FAILED", "counts.failed", CELL_TALLY, OPTIONAL, 0},
    {"CANCELLED", "counts.cancelled", CELL_TALLY, OPTIONAL | COLUMN_DROP(3), 0},
    {"SUBMITTED", "submitted_at", CELL_WHEN, COLUMN_DROP(3), 0},
    {"ENDED", "ended_at", CELL_WHEN, COLUMN_DROP(1), 0},
    {0},
};

static const struct column batches_csv[] = {
    MEMBER("batch"),
    MEMBER("name"),
    MEMBER("state"),
    COUNT_OF("blocked"),
    COUNT_OF("queued"),
    COUNT_OF("running"),
    COUNT_OF("done"),
    COUNT_OF("failed"),
    COUNT_OF("cancelled"),
    MEMBER("submitted_at"),
    MEMBER("ended_at"),
    MEMBER("eta"),
    MEMBER("uid"),
    MEMBER("priority"),
    MEMBER("concurrency"),
    MEMBER("paused"),
    MEMBER("closed"),
    MEMBER("key"),
    {0},
};

static const struct column batch_table[] = {
    {"batch", "batch", CELL_TEXT, ALWAYS, 0},
    {"owner", "owner", CELL_TEXT, ALWAYS, 0},
    {"name", "name", CELL_TEXT, ALWAYS, 0},
    {"state", "state", CELL_TEXT, ALWAYS, 0},
    {"ended jobs", "ended", CELL_TEXT, ALWAYS, 0},
    {"rate", "rate", CELL_TEXT, ALWAYS, 0},
    {"time", "time", CELL_TEXT, ALWAYS, 0},
    {"time left", "left", CELL_TEXT, ALWAYS, 0},
    {"limited", "limited", CELL_TEXT, ALWAYS, 0},
    {"waits", "waits", CELL_TEXT, ALWAYS, 0},
    {"blocked", "counts.blocked", CELL_COUNT, ALWAYS, 0},
    {"queued", "counts.queued", CELL_COUNT, ALWAYS, 0},
    {"running", "counts.running", CELL_COUNT, ALWAYS, 0},
    {"done", "counts.done", CELL_COUNT, ALWAYS, 0},
    {"failed", "counts.failed", CELL_COUNT, ALWAYS, 0},
    {"cancelled", "counts.cancelled", CELL_COUNT, ALWAYS, 0},
    {"priority", "priority", CELL_COUNT, ALWAYS, 0},
    {"concurrency", "concurrency", CELL_COUNT, ALWAYS, 0},
    {"submitted", "submitted_at", CELL_TIME, ALWAYS, 0},
    {"ended", "ended_at", CELL_TIME, ALWAYS, 0},
    {0},
};

const struct layout layout_batches = {batches_table, batches_csv};
const struct layout layout_batch = {batch_table, batches_csv};

static const struct column job_table[] = {
    {"job", "job", CELL_TEXT, ALWAYS, 0},
    {"chain", "chain", CELL_TEXT, ALWAYS, 0},
    {"tag", "tag", CELL_TEXT, ALWAYS, 0},
    {"request", "method", CELL_TEXT, ALWAYS, 0},
    {"url", "url", CELL_TEXT, ALWAYS, 0},
    {"state", "state", CELL_TEXT, ALWAYS, 0},
    {"reason", "reason", CELL_TEXT, ALWAYS, 0},
    {"error", "error", CELL_TEXT, ALWAYS, 0},
    {"status", "status", CELL_COUNT, ALWAYS, 0},
    {"attempts", "attempts", CELL_COUNT, ALWAYS, 0},
    {"size", "size", CELL_BYTES, ALWAYS, 0},
    {"type", "content_type", CELL_TEXT, ALWAYS, 0},
    {"address", "remote_ip", CELL_TEXT, ALWAYS, 0},
    {"http", "http_version", CELL_TEXT, ALWAYS, 0},
    {"submitted", "submitted_at", CELL_TIME, ALWAYS, 0},
    {"started", "started_at", CELL_TIME, ALWAYS, 0},
    {"ended", "ended_at", CELL_TIME, ALWAYS, 0},
    {"queued for", "timings.queued_us", CELL_SECONDS, ALWAYS, 0},
    {"limited for", "timings.limited_us", CELL_SECONDS, ALWAYS, 0},
    {"time", "timings.total_us", CELL_SECONDS, ALWAYS, 0},
    {"elapsed", "elapsed_us", CELL_SECONDS, ALWAYS, 0},
    {0},
};

const struct layout layout_job = {job_table, results_csv};

static const struct column attempts_table[] = {
    {"ATTEMPT", "attempt", CELL_COUNT, ALWAYS, 0},
    {"CAUSE", "cause", CELL_TEXT, ALWAYS, 0},
    {"STATUS", "status", CELL_COUNT, ALWAYS, 0},
    {"STARTED", "started_at", CELL_MOMENT, ALWAYS, 0},
    {"TIME", "timings.total_us", CELL_SECONDS, ALWAYS, 0},
    {"SIZE", "size", CELL_BYTES, ALWAYS, 0},
    {"ADDRESS", "remote_ip", CELL_TEXT, ALWAYS, 0},
    {"ERROR", "error", CELL_TEXT, OPTIONAL | COLUMN_BENEATH, 0},
    {"URL", "url", CELL_TEXT, OPTIONAL | COLUMN_BENEATH, 0},
    {0},
};

static const struct column attempts_csv[] = {
    MEMBER("attempt"),  MEMBER("cause"),      MEMBER("status"),     MEMBER("http_version"),
    MEMBER("url"),      MEMBER("remote_ip"),  MEMBER("started_at"), MEMBER("first_byte_at"),
    MEMBER("ended_at"), MEMBER("size"),       MEMBER("wire_size"),  MEMBER("content_type"),
    MEMBER("error"),    MEMBER("headers"),    TIMING("queued_us"),  TIMING("limited_us"),
    TIMING("dns_us"),   TIMING("connect_us"), TIMING("tls_us"),     TIMING("send_us"),
    TIMING("wait_us"),  TIMING("receive_us"), TIMING("total_us"),   {0},
};

const struct layout layout_attempts = {attempts_table, attempts_csv};
