/* The verb table, and the tables of options. */
#include "cli/verbs.h"

#include <string.h>

#include "cli/text.h"
#include "lib/closest.h"
#include "lib/jobid.h"
#include "lib/recipe.h"

const struct opt options_common[] = {
    VALUE('S', "socket", OPT_TEXT, socket, "PATH", "fanoutd's socket (else $FANOUT_SOCKET, your own, the system's)"),
    VALUE('f', "format", OPT_FORMAT, format_name, "FORMAT", "of data on stdout: table, json, ndjson or csv"),
    FLAG(0, "local", local, "use a private daemon of yours; start it where none runs"),
    FLAG('q', "quiet", quiet, "no remarks and no progress on stderr, only errors and warnings"),
    FLAG('h', "help", help, "show this help"),
    {0},
};

const struct opt options_first[] = {
    FLAG('V', "version", version, "print the version"),
    {0},
};

static const struct opt request_options[] = {
    ONCE('i', "input", input, "FILE", "several lists are one in a pipe: cat FILE... | fanoutctl submit -i -",
	 "read jobs from FILE (- is stdin): a URL or a JSON object a line"),
    VALUE('X', "request", OPT_TEXT, method, "METHOD", "GET, or POST where there is a body, unless given"),
    VALUE('H', "header", OPT_LIST, headers, "'NAME: VALUE'",
	  "send this header (@FILE, @-: one a line); may be given again"),
    VALUE('d', "data", OPT_LIST, data, "DATA", "send DATA (@FILE, @-) as a form does; several are joined by &"),
    VALUE(0, "data-binary", OPT_LIST, data, "DATA", "as -d, but bytes of @FILE are sent as they are"),
    VALUE(0, "json", OPT_LIST, data, "DATA", "send DATA (@FILE, @-) as JSON, and accept JSON"),
    VALUE('u', "user", OPT_TEXT, user, "USER[:PASSWORD]",
	  "basic authentication; the password is asked for where it is left away"),
    FLAG('g', "globoff", globoff, "take [] and {} in URLs as they are"),
    NUMBER('n', "repeat", repeat, "COUNT", 1, JOBID_SEQ_MAX, "each job COUNT times"),
    NUMBER(0, "concurrency", concurrency, "K", 1, 10000, "at most K requests of this batch at a time"),
    VALUE(0, "rate", OPT_RATE, rate, "RATE", "at most so many requests of this batch to one host, as 100/min"),
    CHOICE(0, "on-limit", on_limit, "wait drop fail", "wait|drop|fail",
	   "what a refusal (429) means: wait (default), drop the job, fail all"),
    FLAG(0, "chain", chain, "one after the other, each when the one before is done"),
    NUMBER(0, "priority", priority, "P", 0, 9, "0 to 9 (default 5): a larger share of busy hosts"),
    NUMBER(0, "max-attempts", max_attempts, "N", 1, 100, "tries for each job"),
    VALUE(0, "timeout", OPT_DURATION, timeout, "TIME", "for one attempt, as 30s"),
    VALUE(0, "connect-timeout", OPT_DURATION, connect_timeout, "TIME", "for its connection, as 5s"),
    DURATION(0, "deadline", deadline, "TIME", 1000000, INT64_C(30) * 86400 * 1000000,
	     "for all of it: what has not ended by then fails"),
    VALUE(0, "fail-if", OPT_JQ, fail_if, "JQ", "on the JSON of a 2xx answer: true or a text makes it an error"),
    NUMBER(0, "max-redirects", max_redirects, "N", 0, 50, "follow so many (default 10); 0: a redirect is the answer"),
    VALUE(0, "idempotency-key", OPT_TEXT, idempotency_key, "KEY|auto",
	  "sent with each job (auto: one for each): a POST may be repeated"),
    FLAG(0, "retry-unsafe", retry_unsafe, "repeat a POST even though it may have been carried out"),
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
    VALUE(0, "fields", OPT_TEXT, fields, "NAME,...", "with --follow, these columns, as job,url,status"),
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
    NUMBER(0, "after", after, "SEQ", 0, JOBID_SEQ_MAX, "only jobs whose number in the batch is above SEQ"),
    NUMBER(0, "limit", limit, "N", 1, JOBID_SEQ_MAX, "at most N of them"),
    FLAG(0, "body", body, "with the bodies (not in tables)"),
    {0},
};

static const struct opt fields_options[] = {
    VALUE(0, "fields", OPT_TEXT, fields, "NAME,...",
	  "these columns: members of a result as job,url,status, timings as total_us, and seconds"),
    {0},
};

static const struct opt get_options[] = {
    VALUE('o', "output", OPT_TEXT, output, "FILE",
	  "write to FILE, whole or not at all; for a BATCH a template as fetch's"),
    FLAG(0, "create-dirs", create_dirs, "make the directories that -o names"),
    VALUE(0, "state", OPT_STATES, states, "STATE,...", "of a BATCH, the bodies of jobs in these states (default done)"),
    {0},
};

static const struct opt retry_options[] = {
    FLAG(0, "unsafe", unsafe, "also requests that may have been carried out (unknown_outcome)"),
    {0},
};

static const struct opt rm_options[] = {
    FLAG(0, "ended", ended, "all batches of yours that have ended"),
    {0},
};

static const struct opt limit_options[] = {
    VALUE(0, "rate", OPT_RATES, rates, "RATE", "at most so many in any such time, as 100/min; up to four of them"),
    NUMBER(0, "concurrency", concurrency, "K", 1, 10000, "at most K requests at a time"),
    FLAG(0, "pace", pace, "spread them evenly"),
    VALUE(0, "match", OPT_TEXT, match, "GLOB",
	  "the hosts (and paths) it is for, as '*.example.org:443/search*' (default: NAME)"),
    {0},
};

static const struct opt audit_options[] = {
    VALUE(0, "since", OPT_TIME, since, "T",
	  "only what was sent since then: 2026-01-02T03:04:05Z, or 2h for two hours ago"),
    VALUE(0, "until", OPT_TIME, until, "T", "only what was sent before"),
    VALUE(0, "rate", OPT_RATES, rates, "RATE", "measure this rate too, as 100/min; may be given again"),
    {0},
};

/* What values of a recipe's vars are given. */
static const struct opt var_options[] = {
    VALUE(0, "var", OPT_LIST, vars, "NAME=VALUE", "instead of the recipe's own value; may be given again"),
    {0},
};

static const struct opt pull_test_options[] = {
    FLAG(0, "live", live, "ask for the first page now, and tell what is made of the answer"),
    ONCE(0, "body", page_body, "FILE", NULL, "tell what is made of this answer's body; nothing is sent"),
    ONCE(0, "headers", page_headers, "FILE", NULL, "the answer's header, as curl -D writes it (for --body)"),
    {0},
};

/* How items are written, by whichever verb. */
static const struct opt item_form_options[] = {
    VALUE(0, "jq", OPT_JQ, jq, "EXPR", "what of each item: its outputs are written"),
    FLAG('r', "raw-output", raw, "items that are strings without quotes, as jq -r"),
    FLAG(0, "unique", unique, "each item once, by the recipe's key, or by all of it"),
    FLAG(0, "allow-empty", allow_empty, "a run without items may empty the FILE of -o"),
    VALUE(0, "fields", OPT_TEXT, fields, "NAME,...", "these members, as id,owner.name"),
    {0},
};

static const struct opt pull_run_options[] = {
    FLAG('p', "print-id", print_id, "print the run's number and nothing else"),
    FLAG(0, "wait", wait, "wait until the run has ended, and tell whether it has everything"),
    VALUE('o', "output", OPT_TEXT, output, "FILE",
	  "wait, and write the items to FILE when all are there; .gz, .zst; {date} {name} {run}"),
    FLAG(0, "create-dirs", create_dirs, "make the directories that -o names"),
    NUMBER(0, "max-pages", max_pages, "N", 1, RECIPE_PAGES_MAX, "ask for N pages at most"),
    VALUE(0, "since", OPT_TEXT, since, "VALUE", "from there on, instead of where the last complete run ended"),
    FLAG(0, "fresh", fresh, "everything: as if there had been no run before"),
    CHOICE(0, "overlap", overlap, "skip queue replace", "skip|queue|replace",
	   "where a run of it has not ended: start none (default), wait for it, cancel it"),
    DURATION(0, "deadline", deadline, "TIME", 1000000, INT64_C(30) * 86400 * 1000000,
	     "for all of it: what has not been fetched by then is missing"),
    NUMBER(0, "priority", priority, "P", 0, 9, "0 to 9 (default 5): a larger share of busy hosts"),
    {0},
};

static const struct opt pull_show_options[] = {
    NUMBER(0, "limit", limit, "N", 1, 1000, "the N newest runs (default 10)"),
    {0},
};

static const struct opt pull_state_options[] = {
    VALUE(0, "set", OPT_TEXT, set, "VALUE", "the next run begins there"),
    FLAG(0, "reset", reset, "forget it: the next run fetches everything"),
    {0},
};

static const struct opt items_options[] = {
    FLAG(0, "follow", follow, "go on until the run has ended"),
    VALUE('o', "output", OPT_TEXT, output, "FILE",
	  "to FILE, when all are there; .csv and .json are forms, .gz and .zst compress; {date} {name} {run}"),
    FLAG(0, "create-dirs", create_dirs, "make the directories that -o names"),
    VALUE(0, "var", OPT_LIST, vars, "NAME=VALUE", "of a NAME: the newest run with this value; may be given again"),
    {0},
};

#define ANY ((size_t)-1)

const struct verb verbs[] = {
    {"submit",
     "[URL...]",
     "hand over jobs; prints the batch's id",
     "URLs may hold curl's patterns: [1-100], [001-100:2], [a-z], {one,two}. A line of -i is a URL or a JSON object:\n"
     "  {\"url\":\"https://...\",\"method\":\"POST\",\"body\":{\"a\":1},\"tag\":\"y\"}\n"
     "It may have headers, a chain and more (see the manual). "
     "Lines of -i hold no patterns. Blank ones and those that begin with # are skipped. A file is taken whole or not "
     "at all.\nFrom a pipe, jobs start as they come; the first line that is refused ends it, and what stands before it "
     "goes on.",
     verb_submit,
     0,
     ANY,
     {request_options, submit_options}},
    {"fetch",
     "[URL...]",
     "submit, and write the answers' bodies to stdout or files",
     "Bodies go to stdout in the order of the jobs, or, with -o, each to a file of its own as it comes. Jobs that fail "
     "are told on stderr.",
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
     "BATCH...",
     "wait until batches have ended",
     "Exits with 0 when all is done, 1 when something failed, 7 when it was "
     "cancelled, 6 when the time is over; of several, with the worst of these.",
     verb_wait,
     1,
     ANY,
     {wait_options}},
    {"follow", "BATCH", "one line as each job ends, the past first", NULL, verb_follow, 1, 1, {fields_options}},
    {"results", "BATCH", "one row a job", NULL, verb_results, 1, 1, {results_options, fields_options}},
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
    {"retry", "BATCH|JOB...", "queue again what failed or was cancelled", NULL, verb_retry, 1, ANY, {retry_options}},
    {"rm", "BATCH...", "remove ended batches with their results; 7-12 is a range", NULL, verb_rm, 0, ANY, {rm_options}},
    {"pause", "BATCH...", "start nothing new; what runs goes on", NULL, verb_pause, 1, ANY, {NULL}},
    {"resume", "BATCH...", "end a pause", NULL, verb_resume, 1, ANY, {NULL}},
    {"explain",
     "JOB|BATCH",
     "why it waits, and until when",
     "All that holds it up just now, and when the batch will be done.",
     verb_explain,
     1,
     1,
     {NULL}},
    {"limits",
     "[HOST | BATCH | NAME]",
     "the limits and their use, hosts that are paused",
     "HOST may be a URL, HOST or HOST:PORT. Of a BATCH (its number, last, or NAME: the newest run of that pull), "
     "those of its hosts.\nA rule counts each host and port by itself; a request counts against every "
     "rule it matches. limits set, limits rm and limits resume change them.",
     verb_limits,
     0,
     1,
     {NULL}},
    {"limits set",
     "NAME",
     "make or replace a limit, also after a restart",
     "NAME is the host (or a URL of it), or a word with --match. A rule of fanout.conf with the same name is shadowed "
     "by it.",
     verb_limits_set,
     1,
     1,
     {limit_options}},
    {"limits rm", "NAME...", "remove limits that were set here", NULL, verb_limits_rm, 1, ANY, {NULL}},
    {"limits resume",
     "HOST...",
     "go on with hosts that are paused because they refused",
     NULL,
     verb_limits_resume,
     1,
     ANY,
     {NULL}},
    {"pull",
     "",
     "the recipes, and how their last runs ended",
     "A recipe, pulls.d/NAME.conf, says how all pages of an API are asked for: fanout-pulls(5). A run of it is a "
     "batch, "
     "and its pages are jobs: wait, results, cancel, retry and explain work on them.",
     verb_pull_list,
     0,
     0,
     {NULL}},
    {"pull list", "", "the recipes, and how their last runs ended", NULL, verb_pull_list, 0, 0, {NULL}},
    {"pull check",
     "[NAME|FILE...]",
     "are the recipes sound?",
     "A word with a slash, or one that ends in .conf, is a file, and no daemon is asked. Exits with 0 when all are, 2 "
     "when one is not.",
     verb_pull_check,
     0,
     ANY,
     {NULL}},
    {"pull test",
     "NAME|FILE",
     "what a recipe asks for, and what it makes of a page",
     "Without --live or --body: the request for its first page. A run that --live makes is removed afterwards and "
     "moves "
     "no state.",
     verb_pull_test,
     1,
     1,
     {pull_test_options, var_options}},
    {"pull run",
     "NAME",
     "fetch every page; prints the run's number",
     "With --wait (or -o) exits with 0 when the run is complete, or one was under way and none was started; 1 when it "
     "failed or something is missing; 7 when it was cancelled. With -q too, nothing is printed when all is well: the "
     "form for cron.",
     verb_pull_run,
     1,
     1,
     {pull_run_options, item_form_options, var_options}},
    {"pull show",
     "NAME|RUN",
     "a recipe and its runs; or a run: what it has, what is missing",
     "RUN is a number, or last.",
     verb_pull_show,
     1,
     1,
     {pull_show_options}},
    {"pull state",
     "NAME",
     "where the next run begins",
     "It moves when a run is complete. It is kept for each set of vars.",
     verb_pull_state,
     1,
     1,
     {pull_state_options, var_options}},
    {"items",
     "RUN|NAME",
     "the items of a run's pages, in order",
     "As ndjson unless -f says csv or json. NAME: those of its newest run; last: of your newest. Pages that are "
     "missing "
     "are told, and the exit status is 1.",
     verb_items,
     1,
     1,
     {item_form_options, items_options}},
    {"audit",
     "HOST | BATCH | NAME",
     "prove from the record that the limits were kept",
     "HOST may be a URL, HOST or HOST:PORT. Without a port, all its ports. Of a BATCH (its number, last, or NAME: the "
     "newest run of that pull), the limits that its requests counted against, its own among them, for its time.\nFor "
     "each rate, the worst window: by the time of sending, by the latest "
     "time "
     "at which the server can have counted (its answer), and at worst: whenever it counted in between. Exits with 0 "
     "when each rate was kept at worst, 1 when one was not, 4 when nothing is recorded.",
     verb_audit,
     1,
     1,
     {audit_options}},
    {"stats", "", "what the daemon is doing", NULL, verb_stats, 0, 0, {NULL}},
    {"doctor", "", "is everything in place?", NULL, verb_doctor, 0, 0, {NULL}},
    {"stop", "", "end your private daemon; its batches are kept", NULL, verb_stop, 0, 0, {NULL}},
    {"completion",
     "bash",
     "print the shell's completion",
     "In ~/.bashrc, or for this shell: eval \"$(fanoutctl completion bash)\"",
     verb_completion,
     1,
     1,
     {NULL}},
    {"help", "[VERB]", "this list, or all about a verb", NULL, verb_help, 0, 2, {NULL}},
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

const struct verb *verb_match(int count, char **words, int *used)
{
	char two[60];
	const struct verb *v = NULL;

	*used = 2;
	if (count > 1) {
		snprintf(two, sizeof two, "%.29s %.29s", words[0], words[1]);
		v = verb_find(two);
	}
	if (v)
		return v;
	*used = 1;
	return verb_find(words[0]);
}

/* It ends or deletes: nobody is to type it because it was offered. */
static bool is_harsh(const struct verb *v)
{
	return v->run == verb_stop || v->run == verb_rm || v->run == verb_cancel || v->run == verb_limits_rm;
}

void verb_offer(struct closest *near)
{
	for (const struct verb *v = verbs; v->name; v++)
		if (!is_harsh(v))
			closest_offer(near, v->name);
}

bool verb_seconds(const struct verb *v, struct text *list, struct closest *near)
{
	size_t n = strlen(v->name), word_bytes = strlen(near->word);
	struct closest any = {.word = near->word};
	bool begins = false;

	for (const struct verb *w = verbs; w->name; w++) {
		const char *second = w->name + n + 1;

		if (strncmp(w->name, v->name, n) != 0 || w->name[n] != ' ')
			continue;
		text_printf(list, "%s%s", list->len ? ", " : "", second);
		begins = begins || (word_bytes && strncmp(second, near->word, word_bytes) == 0);
		closest_offer(&any, second);
		if (!is_harsh(w))
			closest_offer(near, second);
	}
	return begins || any.name;
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
