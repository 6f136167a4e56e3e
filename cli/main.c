/* fanoutctl: from the command line to a verb. Knows no HTTP and no verb by name but through the table. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/last.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/words.h"
#include "lib/units.h"

static int unknown_verb(const char *word)
{
	struct err e;

	words_refuse_verb(word, &e);
	return ctl_report(&e);
}

static bool takes_rate(const struct verb *v)
{
	for (size_t i = 0; v->options[i]; i++)
		for (const struct opt *o = v->options[i]; o->name; o++)
			if (strcmp(o->name, "rate") == 0)
				return true;
	return false;
}

/* An operand may have been meant as the second word of a verb. */
static int too_much(const struct ctl *ctl, struct err *e)
{
	const struct verb *v = ctl->verb;
	const char *word = ctl->args.operands[v->most];
	struct rate rate;
	char hint[80] = "";

	if (words_refuse(v, ctl->args.operands[0], v->most == 0, e))
		return -1;
	if (takes_rate(v) && units_parse_rate(word, &rate, NULL) == 0)
		snprintf(hint, sizeof hint, "did you mean --rate %.30s?", word);
	return err_set(e, ERR_USAGE, hint, " %s: \"%.60s\" is one word too many (usage: fanoutctl %s%s%s)", v->name,
		       word, v->name, v->operands[0] ? " " : "", v->operands);
}

static int check_operands(const struct ctl *ctl, struct err *e)
{
	const struct verb *v = ctl->verb;
	size_t n = ctl->args.operand_count;

	if (n < v->least)
		return err_set(e, ERR_USAGE, NULL, " %s: %s is missing (usage: fanoutctl %s %s)", v->name, v->operands,
			       v->name, v->operands);
	if (n > v->most)
		return too_much(ctl, e);
	/* A variable that is not set: not any daemon that happens to be there is meant. */
	if (ctl->args.socket && !*ctl->args.socket)
		return err_set(e, ERR_USAGE, "name a socket, or leave --socket away", " %s: --socket is empty",
			       v->name);
	if (ctl->args.local && ctl->args.socket)
		return err_set(e, ERR_USAGE, NULL, " %s: --local has a socket of its own; leave --socket away",
			       v->name);
	return 0;
}

/* Data that did not reach stdout (a full disk) must not look like success. A reader that has gone away is its own
 * affair. */
static int close_stdout(int status)
{
	struct err e;
	int failed = ferror(stdout);

	errno = 0;
	if ((fclose(stdout) == 0 && !failed) || errno == EPIPE)
		return status;
	err_set(&e, ERR_SYSTEM, NULL, "cannot write to standard output%s%s", errno ? ": " : "",
		errno ? strerror(errno) : "");
	ctl_report(&e);
	return status ? status : STATUS_FAILED;
}

static bool takes_batches(const struct verb *v)
{
	return strstr(v->operands, "BATCH") || strstr(v->operands, "JOB");
}

/* What they make of "last" is their own affair (cli/pull.c). */
static bool takes_runs(const struct verb *v)
{
	return strstr(v->operands, "RUN");
}

/* The verb's own options; argv[0] is its last word. Where they are another verb's, the word behind it was meant as its
 * second. */
static int parse_verb(struct ctl *ctl, int argc, char **argv, struct err *e)
{
	const struct opt *groups[OPT_GROUPS_MAX + 2];
	const char *second = argc > 1 && argv[1][0] != '-' ? argv[1] : NULL;
	char prefix[40];
	int used;

	if (second && words_refuse_foreign(ctl->verb, second, e))
		return -1;
	verb_groups(ctl->verb, groups);
	snprintf(prefix, sizeof prefix, " %s", ctl->verb->name);
	if (takes_batches(ctl->verb) || takes_runs(ctl->verb))
		last_spell(groups, argc, argv);
	if (options_parse(&ctl->args, groups, prefix, argc, argv, false, &used, e) == 0)
		return 0;
	if (second)
		words_refuse(ctl->verb, second, ctl->verb->most == 0, e);
	return -1;
}

static int run(struct ctl *ctl, int argc, char **argv)
{
	const struct opt *groups[OPT_GROUPS_MAX + 2] = {options_common, options_first};
	struct err e;
	int used, words;

	if (options_parse(&ctl->args, groups, "", argc, argv, true, &used, &e) < 0)
		return ctl_report(&e);
	if (ctl->args.version)
		return verb_version(ctl);
	if (used == argc || ctl->args.help) {
		help_list(ctl->args.help ? stdout : stderr);
		return ctl->args.help ? STATUS_FINE : STATUS_USAGE;
	}
	ctl->verb = verb_match(argc - used, argv + used, &words);
	if (!ctl->verb)
		return unknown_verb(argv[used]);
	used += words - 1;
	if (parse_verb(ctl, argc - used, argv + used, &e) < 0)
		return ctl_report(&e);
	if (ctl->args.help) {
		return verb_help(ctl);
	}
	if (check_operands(ctl, &e) < 0 || (takes_batches(ctl->verb) && last_resolve(ctl, &e) < 0))
		return ctl_report(&e);
	return ctl->verb->run(ctl);
}

int main(int argc, char **argv)
{
	struct ctl ctl = {0};
	int status;

	setlocale(LC_ALL, "");
	setlocale(LC_NUMERIC, "C"); /* "0.123 s" everywhere */
	ctl_catch_signals();
	status = run(&ctl, argc, argv);
	client_free(ctl.client);
	free(ctl.args.headers.values);
	free(ctl.args.data.values);
	free(ctl.args.rates.values);
	free(ctl.args.vars.values);
	return close_stdout(status);
}
