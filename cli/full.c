/* Stands in fanoutctl for what fanoutctl-full has: verbs and checks that need libcurl's reading of URLs, libjq or
 * libconfig. Loading those, with the thirty libraries that libcurl brings, takes 6 ms of a processor, and all else that
 * `fetch` does takes one; most verbs need none of them. So fanoutctl is linked without, and becomes the other program,
 * which is all of the client, where one is asked for. That is before anything was sent or written. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/input.h"
#include "cli/verbs.h"
#include "lib/jq.h"
#include "lib/paths.h"

#define WORDS_MAX (64u << 20) /* more than the kernel gives a program */
#define NOTE      "FANOUTCTL_BECOMES_FULL"

/* The command line as it was given: ours may have been changed since (cli/last.c). */
static char **given_words(struct err *e)
{
	size_t len, count = 0;
	char *text = input_read_whole("/proc/self/cmdline", WORDS_MAX, &len, e);
	char **words = text ? calloc(len + 1, sizeof *words) : NULL;

	if (text && !words)
		BUG("out of memory");
	for (char *word = text; words && word < text + len; word += strlen(word) + 1)
		words[count++] = word;
	return words;
}

/* What was executed is this program once more: somebody has given it the other's name. A program that is executed keeps
 * its process, and what that has noted. */
static bool was_here_before(void)
{
	const char *before = getenv(NOTE);
	char pid[24];
	bool again;

	snprintf(pid, sizeof pid, "%ld", (long)getpid());
	again = before && strcmp(before, pid) == 0;
	setenv(NOTE, pid, 1);
	return again;
}

/* Returns only where it failed: -1. */
static int become_full(struct err *e)
{
	char program[PATHS_MAX];
	char **words;

	if (was_here_before())
		return err_set(e, ERR_SYSTEM, "build or install fanout as a whole",
			       "fanoutctl-full is not the whole client, but this program once more");
	if (paths_program("fanoutctl-full", program, sizeof program, e) < 0 || !(words = given_words(e)))
		return -1;
	execv(program, words);
	return err_set(e, ERR_SYSTEM, NULL, "cannot execute %.200s: %s", program, strerror(errno));
}

int jq_program_check(const char *text, struct err *e)
{
	(void)text;
	return become_full(e);
}

#define IN_FULL(verb)                  \
	int verb(struct ctl *ctl)      \
	{                              \
		struct err e;          \
                                       \
		(void)ctl;             \
		become_full(&e);       \
		return ctl_report(&e); \
	}

IN_FULL(verb_audit)
IN_FULL(verb_items)
IN_FULL(verb_limits)
IN_FULL(verb_limits_resume)
IN_FULL(verb_limits_rm)
IN_FULL(verb_limits_set)
IN_FULL(verb_pull_check)
IN_FULL(verb_pull_list)
IN_FULL(verb_pull_run)
IN_FULL(verb_pull_show)
IN_FULL(verb_pull_state)
IN_FULL(verb_pull_test)
