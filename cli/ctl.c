/* Telling errors, catching signals, and the operands that most verbs take. */
#define _GNU_SOURCE 1 /* vasprintf */

#include "cli/ctl.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/local.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "lib/jobid.h"
#include "lib/paths.h"
#include "lib/recipe.h"

static const int exit_statuses[ERR_CODES] = {
    [ERR_NONE] = STATUS_INTERRUPTED, /* nothing went wrong: somebody pressed ^C */
    [ERR_USAGE] = STATUS_USAGE,
    [ERR_INPUT] = STATUS_USAGE,
    [ERR_PERMISSION] = STATUS_PERMISSION,
    [ERR_NOT_FOUND] = STATUS_NOT_FOUND,
    [ERR_CONFLICT] = STATUS_FAILED,
    [ERR_TOO_LARGE] = STATUS_USAGE,
    [ERR_BUSY] = STATUS_TRY_AGAIN,
    [ERR_NO_SPACE] = STATUS_TRY_AGAIN,
    [ERR_UNKNOWN] = STATUS_UNREACHABLE,
    [ERR_LOCKED] = STATUS_TRY_AGAIN,
    [ERR_VERSION] = STATUS_FAILED,
    [ERR_CORRUPT] = STATUS_FAILED,
    [ERR_UNREACHABLE] = STATUS_UNREACHABLE,
    [ERR_TIMEOUT] = STATUS_TIMED_OUT,
    [ERR_SYSTEM] = STATUS_FAILED,
};

int ctl_status_of(enum err_code code)
{
	return exit_statuses[code];
}

/* Names of hosts and files, and what a daemon said, may be in it: no control byte of theirs reaches a terminal. */
static void put_line(const char *before, const char *text)
{
	struct text shown = {0};

	fflush(stdout); /* what was read so far comes before what is said of it */
	text_add_str(&shown, before);
	for (size_t n; *text; text += n + (text[n] == '\n')) {
		char *line;

		n = strcspn(text, "\n");
		line = strndup(text, n);
		if (!line)
			BUG("out of memory");
		text_add_shown(&shown, line, 0);
		text_add_str(&shown, text[n] ? "\n" : "");
		free(line);
	}
	fprintf(stderr, "%s\n", shown.data);
	text_clear(&shown);
}

static struct text beneath;

void ctl_report_beneath(struct text *text)
{
	text_clear(&beneath);
	beneath = *text;
}

int ctl_report(const struct err *e)
{
	/* A usage error begins with the verb: "fanoutctl submit: unknown option". */
	put_line(e->what[0] == ' ' || e->what[0] == ':' ? "fanoutctl" : "fanoutctl: ", e->what);
	if (e->hint[0])
		put_line("  ", e->hint);
	if (beneath.len)
		put_line("", beneath.data);
	text_clear(&beneath);
	return ctl_status_of(e->code);
}

static void vput(const char *before, const char *fmt, va_list ap)
{
	char *text;

	if (vasprintf(&text, fmt, ap) < 0)
		BUG("out of memory");
	put_line(before, text);
	free(text);
}

void ctl_note(const struct ctl *ctl, const char *fmt, ...)
{
	va_list ap;

	if (ctl->args.quiet)
		return;
	va_start(ap, fmt);
	vput("", fmt, ap);
	va_end(ap);
}

void ctl_warn(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vput("warning: ", fmt, ap);
	va_end(ap);
}

/* A private daemon that ended because it was idle is started again: its batches are there, and whoever asks for them
 * should not have to know. Not by doctor, which changes nothing. */
static int find_daemon(struct ctl *ctl, char *socket, size_t size, struct err *e)
{
	ctl->place = PLACE_PRIVATE;
	if (ctl->args.local)
		return local_start(socket, size, e);
	ctl->place = client_find_socket(ctl->args.socket, socket, size);
	if (ctl->place != PLACE_ASLEEP)
		return 0;
	if (ctl->verb->run == verb_doctor)
		return err_set(e, ERR_UNREACHABLE, NULL,
			       "your private daemon is not running (it ends when it is idle, or by stop): its batches "
			       "are kept, and the next verb starts it and goes on with what is left");
	return local_start(socket, size, e);
}

int ctl_connect(struct ctl *ctl, struct err *e)
{
	static char socket[PATHS_MAX];

	if (ctl->client)
		return 0;
	if (find_daemon(ctl, socket, sizeof socket, e) < 0)
		return -1;
	if (strlen(socket) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
		return client_unreachable(socket, ENAMETOOLONG, e);
	ctl->client = client_create(socket);
	if (ctl->place == PLACE_PRIVATE || ctl->place == PLACE_ASLEEP)
		client_set_private(ctl->client);
	return 0;
}

int ctl_refuse_format(const struct ctl *ctl, const char *why, struct err *e)
{
	if (!ctl->args.format_name)
		return 0;
	return err_set(e, ERR_USAGE, NULL, " %s: -f has no use here: %s", ctl->verb->name, why);
}

#define STOPPED (-1)
static volatile sig_atomic_t interrupted; /* the signal's number, or STOPPED */
static volatile sig_atomic_t late;
static _Thread_local bool deaf, hurried;

static void on_signal(int signo)
{
	interrupted = signo;
}

bool ctl_interrupted(void)
{
	return hurried ? late : interrupted != 0 && !deaf;
}

void ctl_forget_interrupt(void)
{
	deaf = true;
}

void ctl_stop(void)
{
	interrupted = STOPPED;
}

static void on_alarm(int signo)
{
	(void)signo;
	late = 1;
}

void ctl_hurry(unsigned seconds)
{
	late = 0;
	hurried = seconds != 0;
	signal(SIGALRM, on_alarm);
	alarm(seconds);
}

bool ctl_stopped(void)
{
	return interrupted == STOPPED;
}

void ctl_catch_signals(void)
{
	/* No SA_RESTART: who waits in poll or read comes back. The second signal kills. */
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
}

int ctl_parse_batch(const char *text, uint32_t *batch, struct err *e)
{
	char hint[240] = "";
	uint64_t job;

	if (jobid_parse_batch(text, batch) == 0)
		return 0;
	if (jobid_parse(text, &job) == 0)
		return err_set(e, ERR_USAGE, "7 is a batch, 7.42 is its 42nd job",
			       "%s is a job; a batch is wanted here", text);
	if (recipe_name_ok(text))
		snprintf(hint, sizeof hint,
			 "a batch is a number: fanoutctl status lists yours; if %.60s is a pull, "
			 "fanoutctl pull show %.60s has the numbers of its runs",
			 text, text);
	return err_set(e, ERR_USAGE, *hint ? hint : "a batch is a number: fanoutctl status lists yours",
		       "\"%.60s\" is no batch", text);
}

int ctl_parse_job(const char *text, uint64_t *job, struct err *e)
{
	uint32_t batch;

	if (jobid_parse(text, job) == 0)
		return 0;
	if (jobid_parse_batch(text, &batch) == 0)
		return err_set(e, ERR_USAGE, "7.42 is the 42nd job of batch 7: fanoutctl results 7 lists them",
			       "%s is a batch; a job is wanted here", text);
	return err_set(e, ERR_USAGE, "a job is written 7.42: the 42nd job of batch 7", "\"%.60s\" is no job", text);
}
