/* A hash of chains, in the order in which they were first seen. */
#include "cli/chains.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "cli/text.h"
#include "cli/when.h"
#include "lib/err.h"
#include "lib/reason.h"
#include "lib/units.h"

#define CHAINS_MAX 5000u

struct chain {
	char *name;
	int64_t first_us, last_us; /* -1: not known */
	int64_t counts[JOB_STATES];
	UT_hash_handle hh;
};

static struct chain *find_or_add(struct chains *c, const char *name)
{
	struct chain *chain;

	HASH_FIND_STR(c->first, name, chain);
	if (chain)
		return chain;
	if (c->count == CHAINS_MAX) {
		c->left_out++;
		return NULL;
	}
	chain = calloc(1, sizeof *chain);
	if (!chain)
		BUG("out of memory");
	*chain = (struct chain){.name = strdup(name), .first_us = -1, .last_us = -1};
	if (!chain->name)
		BUG("out of memory");
	HASH_ADD_KEYPTR(hh, c->first, chain->name, strlen(chain->name), chain);
	c->count++;
	return chain;
}

void chains_note(struct chains *c, const json_t *result)
{
	const char *name = json_string_value(json_object_get(result, "chain"));
	const char *word = json_string_value(json_object_get(result, "state"));
	int state = word ? job_state_parse(word) : -1;
	struct chain *chain = name && state >= 0 ? find_or_add(c, name) : NULL;
	int64_t started, ended;

	if (!chain)
		return;
	chain->counts[state]++;
	started = when_parse_us(json_string_value(json_object_get(result, "started_at")));
	ended = when_parse_us(json_string_value(json_object_get(result, "ended_at")));
	if (started >= 0 && (chain->first_us < 0 || started < chain->first_us))
		chain->first_us = started;
	if (ended > chain->last_us)
		chain->last_us = ended;
}

static void print_chain(const struct chain *chain, int width, FILE *out)
{
	struct text name = {0};
	char took[UNITS_TEXT_SIZE] = "";
	int64_t jobs = 0;
	enum job_state state = chain->counts[JOB_FAILED]      ? JOB_FAILED
			       : chain->counts[JOB_CANCELLED] ? JOB_CANCELLED
							      : JOB_DONE;

	for (int s = 0; s < JOB_STATES; s++)
		jobs += chain->counts[s];
	if (chain->first_us >= 0 && chain->last_us >= chain->first_us)
		units_format_duration(took, chain->last_us - chain->first_us);
	text_reserve(&name, 0);
	text_add_shown(&name, chain->name, 0);
	fprintf(out, "chain %-*s  %lld of %lld done%s%s%s%s\n", width, name.data, (long long)chain->counts[JOB_DONE],
		(long long)jobs, state == JOB_DONE ? "" : ", ", state == JOB_DONE ? "" : job_state_name(state),
		*took ? " in " : "", took);
	text_clear(&name);
}

void chains_print(const struct chains *c, FILE *out)
{
	int width = 0;

	for (const struct chain *i = c->first; i; i = i->hh.next)
		width = (int)strlen(i->name) > width ? (int)strlen(i->name) : width;
	for (const struct chain *i = c->first; i; i = i->hh.next)
		print_chain(i, width < 40 ? width : 40, out);
	if (c->left_out)
		fprintf(out, "(results of more chains are not added up here)\n");
}

void chains_clear(struct chains *c)
{
	struct chain *i, *next;

	HASH_ITER (hh, c->first, i, next) {
		HASH_DEL(c->first, i);
		free(i->name);
		free(i);
	}
}
