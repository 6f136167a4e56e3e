/* Tables of columns. Members that begin with shown_ are made for tables; the csv ones follow docs/API.md. */
#include "cli/pull_layouts.h"

#define ALWAYS   0
#define OPTIONAL COLUMN_OPTIONAL

/* In csv, a column is called as the member is. */
#define MEMBER(name)                             \
	{                                        \
		name, name, CELL_TEXT, ALWAYS, 0 \
	}
/* A line of one object. */
#define LINE(head, path, kind)              \
	{                                   \
		head, path, kind, ALWAYS, 0 \
	}

static const struct column pulls_table[] = {
    {"NAME", "name", CELL_TEXT, ALWAYS, 0},
    {"TYPE", "type", CELL_TEXT, COLUMN_DROP(1), 0},
    {"STATE", "shown_state", CELL_TEXT, ALWAYS, 0},
    {"LAST RUN", "shown_when", CELL_WHEN, ALWAYS, 0},
    {"ITEMS", "last_run.items", CELL_COUNT, ALWAYS, 0},
    {"SINCE", "shown_since", CELL_TEXT, OPTIONAL | COLUMN_SHRINK | COLUMN_DROP(2), 0},
    {"PROBLEM", "shown_problem", CELL_TEXT, OPTIONAL | COLUMN_BENEATH, 0},
    {0},
};

static const struct column pulls_csv[] = {
    MEMBER("name"),
    MEMBER("file"),
    MEMBER("type"),
    MEMBER("url"),
    {"problem", "problem.detail", CELL_TEXT, ALWAYS, 0},
    {"line", "problem.line", CELL_TEXT, ALWAYS, 0},
    {"last_run", "last_run.run", CELL_TEXT, ALWAYS, 0},
    {"verdict", "last_run.verdict", CELL_TEXT, ALWAYS, 0},
    {"ended_at", "last_run.ended_at", CELL_TEXT, ALWAYS, 0},
    {"pages", "last_run.pages", CELL_TEXT, ALWAYS, 0},
    {"items", "last_run.items", CELL_TEXT, ALWAYS, 0},
    {"live_run", "live_run.run", CELL_TEXT, ALWAYS, 0},
    MEMBER("states"),
    {0},
};

static const struct column pull_table[] = {
    LINE("name", "name", CELL_TEXT),
    LINE("file", "file", CELL_TEXT),
    LINE("problem", "shown_problem", CELL_TEXT),
    LINE("type", "type", CELL_TEXT),
    LINE("url", "url", CELL_TEXT),
    LINE("vars", "shown_vars", CELL_TEXT),
    LINE("secrets", "shown_secrets", CELL_TEXT),
    LINE("runs now", "shown_live", CELL_TEXT),
    {0},
};

static const struct column runs_table[] = {
    {"RUN", "run", CELL_COUNT, ALWAYS, 0},
    {"STATE", "verdict|state", CELL_TEXT, ALWAYS, 0},
    {"STARTED", "started_at|created_at", CELL_WHEN, ALWAYS, 0},
    {"TIME", "shown_us", CELL_SECONDS, COLUMN_DROP(2), 0},
    {"PAGES", "pages", CELL_COUNT, ALWAYS, 0},
    {"ITEMS", "items", CELL_COUNT, ALWAYS, 0},
    {"REQUESTS", "requests", CELL_COUNT, COLUMN_DROP(1), 0},
    {"VARS", "shown_vars", CELL_TEXT, OPTIONAL | COLUMN_SHRINK | COLUMN_DROP(3), 0},
    {"WHY", "error|warning", CELL_TEXT, OPTIONAL | COLUMN_BENEATH, 0},
    {0},
};

static const struct column runs_csv[] = {
    MEMBER("run"),
    MEMBER("pull"),
    MEMBER("vars"),
    MEMBER("state"),
    MEMBER("verdict"),
    MEMBER("complete"),
    MEMBER("created_at"),
    MEMBER("started_at"),
    MEMBER("ended_at"),
    MEMBER("waiting_for"),
    MEMBER("pages"),
    MEMBER("items"),
    MEMBER("unique"),
    {"expected_pages", "expected.pages", CELL_TEXT, ALWAYS, 0},
    {"expected_items", "expected.items", CELL_TEXT, ALWAYS, 0},
    MEMBER("duplicates"),
    MEMBER("gaps"),
    MEMBER("stop_reason"),
    MEMBER("not_modified"),
    MEMBER("requests"),
    MEMBER("retries"),
    MEMBER("limited_seconds"),
    MEMBER("refused"),
    MEMBER("unreached"),
    MEMBER("unreached_seconds"),
    MEMBER("bytes"),
    MEMBER("seconds"),
    {"since_from", "since.from", CELL_TEXT, ALWAYS, 0},
    {"since_to", "since.to", CELL_TEXT, ALWAYS, 0},
    MEMBER("error"),
    MEMBER("warning"),
    {0},
};

static const struct column run_table[] = {
    LINE("run", "run", CELL_TEXT),
    LINE("pull", "pull", CELL_TEXT),
    LINE("vars", "shown_vars", CELL_TEXT),
    LINE("state", "verdict|state", CELL_TEXT),
    LINE("why", "error", CELL_TEXT),
    LINE("warning", "warning", CELL_TEXT),
    LINE("waits for run", "waiting_for", CELL_TEXT),
    LINE("waits because", "shown_waits", CELL_TEXT),
    LINE("started", "started_at|created_at", CELL_TIME),
    LINE("ended", "ended_at", CELL_TIME),
    LINE("time", "shown_us", CELL_SECONDS),
    LINE("limited for", "shown_limited_us", CELL_SECONDS),
    LINE("unreached for", "shown_unreached_us", CELL_SECONDS),
    LINE("pages", "shown_pages", CELL_TEXT),
    LINE("items", "shown_items", CELL_TEXT),
    LINE("unique", "unique", CELL_TEXT),
    LINE("duplicates", "duplicates", CELL_TEXT),
    LINE("missing", "shown_gaps", CELL_TEXT),
    LINE("ended by", "shown_stop|stop_reason", CELL_TEXT),
    LINE("not modified", "shown_not_modified", CELL_TEXT),
    LINE("requests", "requests", CELL_TEXT),
    LINE("retries", "retries", CELL_TEXT),
    LINE("refused", "shown_refused", CELL_TEXT),
    LINE("unreached", "shown_unreached", CELL_TEXT),
    LINE("in flight", "shown_in_flight", CELL_TEXT),
    LINE("queued", "shown_queued", CELL_TEXT),
    LINE("size", "bytes", CELL_BYTES),
    LINE("time left", "shown_left", CELL_TEXT),
    LINE("limit", "limit.rate", CELL_TEXT),
    LINE("since", "shown_from", CELL_TEXT),
    LINE("next since", "shown_to", CELL_TEXT),
    {0},
};

static const struct column pages_table[] = {
    {"PAGE", "page", CELL_COUNT, ALWAYS, 0},
    {"STATE", "state", CELL_STATE, ALWAYS, 0},
    {"STATUS", "status", CELL_COUNT, ALWAYS, 0},
    {"TRIES", "attempts", CELL_COUNT, COLUMN_DROP(1), 0},
    {"URL", "url", CELL_TEXT, ALWAYS, 0},
    {"ERROR", "error|reason", CELL_TEXT, OPTIONAL | COLUMN_BENEATH, 0},
    {0},
};

static const struct column pages_csv[] = {MEMBER("page"), {0}};

static const struct column states_table[] = {
    {"VARS", "shown_vars", CELL_TEXT, OPTIONAL | COLUMN_SHRINK, 0},
    {"SINCE", "shown_since", CELL_TEXT, ALWAYS, 0},
    {"RUN", "run", CELL_COUNT, ALWAYS, 0},
    {"ITEMS", "items", CELL_COUNT, ALWAYS, 0},
    {"UPDATED", "updated_at", CELL_TIME, ALWAYS, 0},
    {0},
};

static const struct column states_csv[] = {
    MEMBER("pull"), MEMBER("vars"), MEMBER("since"), MEMBER("run"), MEMBER("items"), MEMBER("updated_at"), {0},
};

const struct layout layout_pulls = {pulls_table, pulls_csv};
const struct layout layout_pull = {pull_table, pulls_csv};
const struct layout layout_runs = {runs_table, runs_csv};
const struct layout layout_run = {run_table, runs_csv};
const struct layout layout_pages = {pages_table, pages_csv};
const struct layout layout_states = {states_table, states_csv};
