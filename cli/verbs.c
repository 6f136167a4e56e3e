/* The verb table, and the tables of options. */
#include "cli/verbs.h"

#include <string.h>

#include "lib/jobid.h"

const struct opt options_common[] = {
    VALUE('S', "socket", OPT_TEXT, socket, "PATH", "fanoutd's socket (else $FANOUT_SOCKET, your own, the system's)"),
    VALUE('f', "format", OPT_FORMAT, format_name, "FORMAT", "of data on stdout: table, json, ndjson or csv"),
    FLAG(0, "local", local, "use a private daemon of yours; start it where none runs"),
    FLAG('q', "quiet", quiet, "no remarks and no progress on stderr, only errors"),
    FLAG('h', "help", help, "show this help"),
    {0},
};

static const struct opt request_options[] = {
    VALUE('i', "input", OPT_TEXT, input, "FILE", "read jobs from FILE (- is stdin): a URL or a JSON object a line"),
    VALUE('X', "request", OPT_TEXT, method, "METHOD", "GET, or POST where there is a body, unless given"),
    VALUE('H', "header", OPT_LIST, headers, "'NAME: VALUE'", "send this header; may be given again"),
    VALUE('d', "data", OPT_LIST, data, "DATA", "send DATA (@FILE, @-) as a form does; several are joined by &"),
    VALUE(0, "data-binary", OPT_LIST, data, "DATA", "as -d, but bytes of @FILE are sent as they are"),
    VALUE(0, "json", OPT_LIST, data, "DATA", "send DATA (@FILE, @-) as JSON, and accept JSON"),
    VALUE('u', "user", OPT_TEXT, user, "USER:PASSWORD", "basic authentication"),
    FLAG('g', "globoff", globoff, "take [] and {} in URLs as they are"),
    NUMBER('n', "repeat", repeat, "COUNT", 1, JOBID_SEQ_MAX, "each job COUNT times"),
    NUMBER(0, "concurrency", concurrency, "K", 1, 1000000, "at most K requests of this batch at a time"),
    FLAG(0, "chain", chain, "one after the other, each when the one before is done"),
    NUMBER(0, "priority", priority, "P", 0, 9, "0 to 9 (default 5): a larger share of busy hosts"),
    NUMBER(0, "max-attempts", max_attempts, "N", 1, 100, "tries for each job"),
    VALUE(0, "timeout", OPT_DURATION, timeout, "TIME", "for one attempt, as 30s"),
    VALUE(0, "connect-timeout", OPT_DURATION, connect_timeout, "TIME", "for its connection, as 5s"),
    VALUE(0, "max-body", OPT_BYTES, max_body, "SIZE", "largest answer to take, as 64M"),
    VALUE(0, "name", OPT_TEXT, name, "NAME", "the batch's name in lists"),
    VALUE(0, "tag", OPT_TEXT, tag, "TAG", "comes back with each result (URLs only, not JSON lines)"),
    VALUE(0, "key", OPT_TEXT, key, "KEY", "submission key: what was submitted with KEY is not submitted again"),
    FLAG(0, "hold", hold, "start nothing before all of the input is in"),
    {0},
};

static const struct opt submit_options[] = {
    FLAG('p', "print-id", print_id, "print the batch's id and nothing else"),
    FLAG(0, "wait", wait, "wait until all jobs have ended"),
    FLAG(0, "follow", follow, "print one result line as each job ends"),
    {0},
};

static const struct opt fetch_options[] = {
    VALUE('o', "output", OPT_TEXT, output, "TEMPLATE",
	  "write bodies to files: {seq} {batch} {job} {tag} {host}; {seq:4}"),
    FLAG(0, "create-dirs", create_dirs, "make the directories that -o names"),
    FLAG(0, "rm", remove, "remove the batch when everything was written"),
    {0},
};

static const struct opt status_options[] = {
    NUMBER(0, "limit", limit, "N", 1, 1000000000, "list the N newest batches (default 20)"),
    FLAG('a', "all", all, "list all of them"),
    {0},
};

static const struct opt wait_options[] = {
    VALUE(0, "timeout", OPT_DURATION, timeout, "TIME", "give up after TIME with exit status 6"),
    {0},
};

static const struct opt results_options[] = {
    VALUE(0, "state", OPT_STATES, states, "STATE,...", "only jobs in this state, or in one of these"),
    NUMBER(0, "after", after, "SEQ", 0, JOBID_SEQ_MAX, "only jobs behind the SEQth"),
    NUMBER(0, "limit", limit, "N", 1, JOBID_SEQ_MAX, "at most N of them"),
    FLAG(0, "body", body, "with the bodies (not in tables)"),
    {0},
};

static const struct opt get_options[] = {
    VALUE('o', "output", OPT_TEXT, output, "FILE",
	  "write to FILE, whole or not at all; for a BATCH a template as fetch's"),
    FLAG(0, "create-dirs", create_dirs, "make the directories that -o names"),
    VALUE(0, "state", OPT_STATES, states, "STATE,...", "of a BATCH, the bodies of jobs in these states (default done)"),
    {0},
};

#define ANY ((size_t)-1)

const struct verb verbs[] = {
    {"submit",
     "[URL...]",
     "hand over jobs; prints the batch's id",
     "URLs may hold curl's patterns: [1-100], [001-100:2], [a-z], {one,two}. A line of -i is a URL or a JSON object:\n"
     "  "
     "{\"url\":\"https://"
     "...\",\"method\":\"POST\",\"headers\":{\"Name\":\"value\"},\"body\":{\"a\":1},\"chain\":\"x\",\"tag\":\"y\"}\n"
     "Blank lines and lines that begin with # are skipped. A file is taken whole or not at all; from a pipe, jobs "
     "start\n"
     "as they come.",
     verb_submit,
     0,
     ANY,
     {request_options, submit_options}},
    {"fetch",
     "[URL...]",
     "submit, and write the answers' bodies to stdout or files",
     "Bodies go to stdout in the order of the jobs, or, with -o, each to a file of its own as it comes. Jobs that fail "
     "are\n"
     "told on stderr.",
     verb_fetch,
     0,
     ANY,
     {request_options, fetch_options}},
    {"status",
     "[BATCH]",
     "your batches, or one: totals by state, rate, time left",
     NULL,
     verb_status,
     0,
     1,
     {status_options}},
    {"wait",
     "BATCH",
     "wait until a batch has ended",
     "Exits with 0 when all is done, 1 when something failed, 7 when it was "
     "cancelled, 6 when the time is over.",
     verb_wait,
     1,
     1,
     {wait_options}},
    {"follow", "BATCH", "one line as each job ends, the past first", NULL, verb_follow, 1, 1, {NULL}},
    {"results", "BATCH", "one row a job", NULL, verb_results, 1, 1, {results_options}},
    {"show", "JOB", "all about a job: its attempts, headers and phases", NULL, verb_show, 1, 1, {NULL}},
    {"get",
     "JOB|BATCH",
     "the bytes of a job's body, or with -o of all bodies of a batch",
     "Of a batch, with -o TEMPLATE, the bodies of the jobs that are done are written to files named as fetch does.",
     verb_get,
     1,
     1,
     {get_options}},
    {"cancel", "BATCH|JOB...", "end what has not ended", NULL, verb_cancel, 1, ANY, {NULL}},
    {"retry", "BATCH|JOB...", "queue again what failed or was cancelled", NULL, verb_retry, 1, ANY, {NULL}},
    {"rm", "BATCH...", "remove ended batches with their results", NULL, verb_rm, 1, ANY, {NULL}},
    {"pause", "BATCH...", "start nothing new; what runs goes on", NULL, verb_pause, 1, ANY, {NULL}},
    {"resume", "BATCH...", "end a pause", NULL, verb_resume, 1, ANY, {NULL}},
    {"stats", "", "what the daemon is doing", NULL, verb_stats, 0, 0, {NULL}},
    {"doctor", "", "is everything in place?", NULL, verb_doctor, 0, 0, {NULL}},
    {"completion",
     "bash",
     "print the shell's completion: eval \"$(fanoutctl completion bash)\"",
     NULL,
     verb_completion,
     1,
     1,
     {NULL}},
    {"help", "[VERB]", "this list, or all about a verb", NULL, verb_help, 0, 1, {NULL}},
    {"version", "", "print the version", NULL, verb_version, 0, 0, {NULL}},
    {0},
};

const struct verb *verb_find(const char *name)
{
	for (const struct verb *v = verbs; v->name; v++)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}

void verb_groups(const struct verb *v, const struct opt *groups[OPT_GROUPS_MAX + 2])
{
	size_t n = 0;

	while (n < OPT_GROUPS_MAX && v->options[n]) {
		groups[n] = v->options[n];
		n++;
	}
	groups[n++] = options_common;
	groups[n] = NULL;
}
