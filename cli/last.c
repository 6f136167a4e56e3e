/* Questions to the daemon, only where a word is used that is no number. */
#include "cli/last.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/pull.h"
#include "cli/verbs.h"
#include "lib/jobid.h"

/* What follows "last": "" or ".3"; NULL where the word is another. */
static const char *behind(const char *word, const char *last)
{
	size_t n = strlen(last);

	return strncmp(word, last, n) == 0 && (word[n] == '\0' || word[n] == '.') ? word + n : NULL;
}

/* Words live as long as the program, as argv does: they are chained, and never lost. */
static char *keep(size_t bytes)
{
	static struct kept {
		struct kept *next;
		char word[];
	} * all;
	struct kept *k = malloc(sizeof *k + bytes);

	if (!k)
		BUG("out of memory");
	k->next = all;
	all = k;
	return k->word;
}

void last_spell(const struct opt *const *groups, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *rest = behind(argv[i], "-1");
		char *word;

		if (!rest || options_await_value(groups, argv[i - 1]))
			continue;
		word = keep(strlen(rest) + sizeof "last");
		sprintf(word, "last%s", rest);
		argv[i] = word;
	}
}

/* Administrators see everybody's: theirs is meant. */
static int find_last(struct ctl *ctl, uint32_t *last, struct err *e)
{
	json_int_t before = JOBID_BATCH_MAX;
	json_t *page, *row;
	size_t i;

	*last = 0;
	while (*last == 0 && before) {
		page = client_get_json(ctl->client, e, "/v1/batches?limit=100&before=%lld", (long long)before);
		if (!page)
			return -1;
		json_array_foreach (json_object_get(page, "batches"), i, row) {
			const json_t *uid = json_object_get(row, "uid");

			if (*last == 0 && (!uid || json_integer_value(uid) == (json_int_t)geteuid()))
				*last = (uint32_t)json_integer_value(json_object_get(row, "batch"));
		}
		before = json_integer_value(json_object_get(page, "next"));
		json_decref(page);
	}
	if (*last)
		return 0;
	return err_set(e, ERR_NOT_FOUND, NULL, "there is no last batch: you have none");
}

/* In place of the operand. */
static void put_number(char **operand, uint32_t batch, const char *rest)
{
	char *word = keep(sizeof "2147483647" + strlen(rest));

	sprintf(word, "%u%s", batch, rest);
	*operand = word;
}

/* No number, and no job's. What is removed is named by its number. */
static bool may_be_pull(const struct ctl *ctl, const char *word, const char *page)
{
	return (*page || strstr(ctl->verb->operands, "BATCH")) && ctl->verb->run != verb_rm &&
	       word[strspn(word, "0123456789.")];
}

/* The ".3" of "NAME.3"; "" where there is none. */
static const char *page_of(const struct ctl *ctl, const char *word)
{
	const char *dot = strrchr(word, '.');

	return strstr(ctl->verb->operands, "JOB") && dot && dot[1] && !dot[1 + strspn(dot + 1, "0123456789")] ? dot
													      : "";
}

/* What is no pull either is the verb's to refuse, and so is a daemon that is not there. */
static int resolve_pull(struct ctl *ctl, char **operand, struct err *e)
{
	const char *word = *operand, *page = page_of(ctl, word);
	struct err ignored;
	uint32_t run;
	char *name;

	if (!may_be_pull(ctl, word, page) || ctl_connect(ctl, &ignored) < 0)
		return 0;
	name = keep(strlen(word) + 1);
	sprintf(name, "%.*s", (int)(strlen(word) - strlen(page)), word);
	if (pull_newest(ctl, name, &run, e) < 0)
		return -1;
	if (run)
		put_number(operand, run, page);
	return 0;
}

int last_resolve(struct ctl *ctl, struct err *e)
{
	uint32_t last = 0;

	for (size_t i = 0; i < ctl->args.operand_count; i++) {
		char **operand = &ctl->args.operands[i];
		const char *rest = behind(*operand, "last");

		if (!rest && resolve_pull(ctl, operand, e) < 0)
			return -1;
		if (!rest)
			continue;
		if (last == 0 && (ctl_connect(ctl, e) < 0 || find_last(ctl, &last, e) < 0))
			return -1;
		put_number(operand, last, rest);
	}
	return 0;
}
