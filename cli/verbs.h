/* The verb table: the one place where a verb, its operands and its options are named. Dispatch, help, suggestions and
 * the shell's completion are drawn from it. */
#ifndef FANOUT_CLI_VERBS_H
#define FANOUT_CLI_VERBS_H

#include <stddef.h>
#include <stdio.h>

#include "cli/options.h"

struct verb {
	const char *name;     /* one word, or two: "limits set" */
	const char *operands; /* as help shows them */
	const char *line;     /* what it does, in one line */
	const char *more;     /* further help; NULL: none */
	int (*run)(struct ctl *ctl);
	size_t least, most; /* operands */
	const struct opt
	    *options[OPT_GROUPS_MAX]; /* its own tables, NULL-terminated; those of all verbs come by themselves */
};

extern const struct verb verbs[]; /* ends with a NULL name */
extern const struct opt options_common[];
extern const struct opt options_first[]; /* before a verb, or without one */

const struct verb *verb_find(const char *name);
/* The verb that a command line begins with, and how many of its words make it. NULL where there is none. */
const struct verb *verb_match(int count, char **words, int *used);
/* Offers all verbs that may be meant by a word that is none: not those that end or delete something, which nobody
 * should try out. */
struct closest;
void verb_offer(struct closest *near);
/* The second words that may follow it, to `list` as in "list, check", and offered to `near` as verb_offer does. Whether
 * the word may have been meant as one of them: it begins one, or is nearly one. */
struct text;
bool verb_seconds(const struct verb *v, struct text *list, struct closest *near);
/* The verb's option tables and the common one. */
void verb_groups(const struct verb *v, const struct opt *groups[OPT_GROUPS_MAX + 2]);

/* The list of all verbs, for who gave none. */
void help_list(FILE *out);

/* The handlers, each in the file of its family. */
int verb_submit(struct ctl *ctl);
int verb_fetch(struct ctl *ctl);
int verb_status(struct ctl *ctl);
int verb_wait(struct ctl *ctl);
int verb_follow(struct ctl *ctl);
int verb_results(struct ctl *ctl);
int verb_show(struct ctl *ctl);
int verb_get(struct ctl *ctl);
int verb_cancel(struct ctl *ctl);
int verb_retry(struct ctl *ctl);
int verb_rm(struct ctl *ctl);
int verb_pause(struct ctl *ctl);
int verb_resume(struct ctl *ctl);
int verb_explain(struct ctl *ctl);
int verb_limits(struct ctl *ctl);
int verb_limits_set(struct ctl *ctl);
int verb_limits_rm(struct ctl *ctl);
int verb_limits_resume(struct ctl *ctl);
int verb_audit(struct ctl *ctl);
int verb_pull_list(struct ctl *ctl);
int verb_pull_check(struct ctl *ctl);
int verb_pull_test(struct ctl *ctl);
int verb_pull_run(struct ctl *ctl);
int verb_pull_show(struct ctl *ctl);
int verb_pull_state(struct ctl *ctl);
int verb_items(struct ctl *ctl);
int verb_stats(struct ctl *ctl);
int verb_doctor(struct ctl *ctl);
int verb_stop(struct ctl *ctl);
int verb_help(struct ctl *ctl);
int verb_version(struct ctl *ctl);
int verb_completion(struct ctl *ctl);

#endif
