/* Names are looked up among the columns of csv, which are all that a result has. */
#include "cli/fields.h"

#include <stdio.h>
#include <string.h>

#include "lib/closest.h"

#define FIELDS_MAX 24u

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
	err_set(e, ERR_USAGE, "fanoutctl results BATCH -f csv has all of them in its first line; also seconds",
		" %s: --fields: there is no field \"%.40s\"%s%s%s", verb, name, near.name ? "; did you mean " : "",
		near.name ? near.name : "", near.name ? "?" : "");
	return NULL;
}

const struct layout *fields_layout(const char *verb, const char *list, const struct layout *standard, struct err *e)
{
	static struct column columns[FIELDS_MAX + 1];
	static const struct layout chosen = {columns, columns};
	unsigned n = 0;

	if (!list)
		return standard;
	for (;; list++) {
		size_t len = strcspn(list, ",");
		const struct column *c;
		char name[64];

		snprintf(name, sizeof name, "%.*s", (int)len, list);
		c = find(standard->csv, verb, name, e);
		if (!c)
			return NULL;
		if (n == FIELDS_MAX) {
			err_set(e, ERR_USAGE, NULL, " %s: --fields: more than %u fields", verb, FIELDS_MAX);
			return NULL;
		}
		columns[n++] = *c;
		list += len;
		if (!*list)
			return &chosen;
	}
}
