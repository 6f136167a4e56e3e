/* A list, the one used last first: there are few, and the first is nearly always it. */
#include "lib/programs.h"

#include <jq.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/err.h"
#include "lib/jq.h"
#include "lib/judge.h"

struct kept {
	struct program program;
	enum program_kind kind;
	char *text, *error;
	TAILQ_ENTRY(kept) entry;
};
TAILQ_HEAD(kept_list, kept);

struct programs {
	struct kept_list list;
	size_t count;
};

static struct jq_state *(*const compilers[])(const char *text, struct err *e) = {
    [PROGRAM_FAIL_IF] = jq_program_compile,
    [PROGRAM_PAGE] = jq_page_compile,
};

struct programs *programs_create(void)
{
	struct programs *all = calloc(1, sizeof *all);

	if (!all)
		BUG("out of memory");
	TAILQ_INIT(&all->list);
	return all;
}

static void forget(struct programs *all, struct kept *k)
{
	TAILQ_REMOVE(&all->list, k, entry);
	all->count--;
	if (k->program.jq)
		jq_teardown(&k->program.jq);
	free(k->error);
	free(k->text);
	free(k);
}

void programs_free(struct programs *all)
{
	if (!all)
		return;
	while (!TAILQ_EMPTY(&all->list))
		forget(all, TAILQ_FIRST(&all->list));
	free(all);
}

static struct kept *compile(enum program_kind kind, const char *text)
{
	struct kept *k = calloc(1, sizeof *k);
	struct err e;

	if (!k || !(k->text = strdup(text)))
		BUG("out of memory for a program");
	k->kind = kind;
	k->program.jq = compilers[kind](text, &e);
	if (!k->program.jq && !(k->error = strdup(e.what)))
		BUG("out of memory for a program");
	k->program.error = k->error;
	k->program.wants_headers = strstr(text, "headers") != NULL;
	return k;
}

const struct program *programs_get(struct programs *all, enum program_kind kind, const char *text)
{
	struct kept *k;

	TAILQ_FOREACH (k, &all->list, entry)
		if (k->kind == kind && strcmp(k->text, text) == 0)
			break;
	if (k) {
		TAILQ_REMOVE(&all->list, k, entry);
	} else {
		if (all->count == JUDGE_PROGRAMS_MAX)
			forget(all, TAILQ_LAST(&all->list, kept_list));
		k = compile(kind, text);
		all->count++;
	}
	TAILQ_INSERT_HEAD(&all->list, k, entry);
	return &k->program;
}
