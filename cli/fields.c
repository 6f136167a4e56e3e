/* Names are looked up among the columns of csv, which are all that a result has. */
#include "cli/fields.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/closest.h"

#define FIELDS_MAX 24u
#define HEAD_SIZE  24u

/* As members in csv, in capitals above a table. */
struct chosen {
	struct column csv[FIELDS_MAX + 1], table[FIELDS_MAX + 1];
	char heads[FIELDS_MAX][HEAD_SIZE];
	unsigned count;
};

static const struct column seconds = {"seconds", "timings.total_us", CELL_DECIMAL, 0, 0};

static const struct column *find(const struct column *all, const char *verb, const char *name, struct err *e)
{
	struct closest near = {.word = name};

	if (strcmp(name, seconds.head) == 0)
		return &seconds;
	for (const struct column *c = all; c->head; c++) {
		if (strcmp(c->head, name) == 0)
			return c;
		closest_offer(&near, c->head);
	}
	err_set(e, ERR_USAGE,
		"fanoutctl results BATCH -f csv has all of them in its first line; also seconds, and timings for all "
		"that end in _us",
		" %s: --fields: there is no field \"%.40s\"%s%s%s", verb, name, near.name ? "; did you mean " : "",
		near.name ? near.name : "", near.name ? "?" : "");
	return NULL;
}

static void add(struct chosen *to, const struct column *c)
{
	size_t i = 0;

	if (to->count < FIELDS_MAX) {
		to->csv[to->count] = to->table[to->count] = *c;
		for (; c->head[i] && i + 1 < HEAD_SIZE; i++)
			to->heads[to->count][i] = (char)toupper((unsigned char)c->head[i]);
		to->heads[to->count][i] = 0;
		to->table[to->count].head = to->heads[to->count];
	}
	to->count++;
}

static int add_named(struct chosen *to, const struct column *all, const char *verb, const char *name, struct err *e)
{
	const struct column *c;

	if (strcmp(name, "timings") == 0) {
		for (c = all; c->head; c++)
			if (strncmp(c->path, "timings.", strlen("timings.")) == 0)
				add(to, c);
	} else {
		c = find(all, verb, name, e);
		if (!c)
			return -1;
		add(to, c);
	}
	if (to->count > FIELDS_MAX)
		return err_set(e, ERR_USAGE, NULL, " %s: --fields: more than %u fields", verb, FIELDS_MAX);
	return 0;
}

const struct layout *fields_layout(const char *verb, const char *list, const struct layout *standard, struct err *e)
{
	static struct chosen chosen;
	static const struct layout layout = {chosen.table, chosen.csv};

	if (!list)
		return standard;
	memset(&chosen, 0, sizeof chosen);
	for (;; list++) {
		size_t len = strcspn(list, ",");
		char name[64];

		snprintf(name, sizeof name, "%.*s", (int)len, list);
		if (add_named(&chosen, standard->csv, verb, name, e) < 0)
			return NULL;
		list += len;
		if (!*list)
			return &layout;
	}
}
