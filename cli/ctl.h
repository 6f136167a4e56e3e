/* What the verbs of fanoutctl share: the exit statuses, the values of all options, and how an error is told.
 *
 * A verb is a function that is given the parsed command line and an unopened client, and returns an exit status. Data
 * goes to stdout, everything else to stderr. */
#ifndef FANOUT_CLI_CTL_H
#define FANOUT_CLI_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/text.h"
#include "lib/err.h"

struct client;

/* Fixed: scripts rely on them. */
enum exit_status {
	STATUS_FINE = 0,
	STATUS_FAILED = 1,      /* something waited for failed, or an error that is none of those below */
	STATUS_USAGE = 2,       /* the command line, or the data handed over */
	STATUS_UNREACHABLE = 3, /* no daemon, or it went away before it answered */
	STATUS_NOT_FOUND = 4,
	STATUS_PERMISSION = 5,
	STATUS_TIMED_OUT = 6,
	STATUS_CANCELLED = 7,
	STATUS_TRY_AGAIN = 75,
	STATUS_INTERRUPTED = 130,
};

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_NDJSON, FORMAT_CSV, FORMATS };

struct opt;

/* Values of a repeatable option, in the order given; `opt` tells options that share a list apart. */
struct opt_value {
	const struct opt *opt;
	const char *text;
};
struct opt_list {
	struct opt_value *values;
	size_t count;
};

/* Every option's value. The tables of cli/verbs.c say which verb takes which. Zero, NULL or false is "not given". */
struct args {
	/* all verbs */
	const char *socket;
	const char *format_name;
	enum format format;
	bool local, quiet, help, version;
	/* requests: submit and fetch */
	const char *input, *method, *user, *name, *tag, *key;
	const char *timeout, *connect_timeout, *max_body;
	struct opt_list headers, data;
	const char *repeat, *concurrency, *priority, *max_attempts;
	const char *rate, *on_limit, *deadline, *fail_if, *max_redirects, *idempotency_key;
	bool globoff, chain, hold, retry_unsafe;
	/* what is done with it */
	bool print_id, wait, follow;
	const char *output;
	bool remove, create_dirs;
	/* reading */
	const char *states, *after, *limit, *fields;
	bool body, all;
	/* changing */
	bool unsafe, ended;
	/* limits and audits */
	struct opt_list rates;
	const char *match, *since, *until;
	bool pace;
	/* pulls and items */
	struct opt_list vars;
	const char *max_pages, *overlap, *set, *page_body, *page_headers, *jq;
	bool live, fresh, reset, unique, raw, allow_empty;
	/* what is left */
	char **operands;
	size_t operand_count;
};

struct ctl {
	struct args args;
	struct client *client;
	const struct verb *verb;
	int place; /* enum client_place: whose daemon the client speaks with */
};

/* `fanoutctl: WHAT` and, indented, the hint. Returns the exit status that goes with it. */
int ctl_report(const struct err *e);
/* Told below the next error that is reported: what is too long for it. Takes the text. */
void ctl_report_beneath(struct text *text);
int ctl_status_of(enum err_code code);
/* A remark on stderr, unless --quiet. */
void ctl_note(const struct ctl *ctl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* "warning: ...", also with --quiet: something was left out or changed that somebody may need. */
void ctl_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Opens ctl->client (once). Returns 0, or -1 with `e` filled in. */
int ctl_connect(struct ctl *ctl, struct err *e);

/* -f where there is nothing that it could be the form of: ERR_USAGE, with why. */
int ctl_refuse_format(const struct ctl *ctl, const char *why, struct err *e);

/* Set by SIGINT and SIGTERM: whoever waits looks at it and comes back. */
bool ctl_interrupted(void);
/* For putting things in order after it: this thread's requests work again. */
void ctl_forget_interrupt(void);
/* As if it had been interrupted: the other thread has given up. */
void ctl_stop(void);
/* Until 0 is said, this thread's requests work for so many seconds, whatever was pressed, and no longer. */
void ctl_hurry(unsigned seconds);
bool ctl_stopped(void);
void ctl_catch_signals(void);

/* Reads operands. Return 0, or -1 with `e`. */
int ctl_parse_batch(const char *text, uint32_t *batch, struct err *e);
int ctl_parse_job(const char *text, uint64_t *job, struct err *e);

#endif
