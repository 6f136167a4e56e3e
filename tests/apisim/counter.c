/* Counts by name. */
#include "tests/apisim/counter.h"

#include <stdlib.h>
#include <string.h>

struct counter *counter_get(struct counter **all, const char *name)
{
	const size_t n = strlen(name);
	struct counter *c;

	HASH_FIND(hh, *all, name, n, c);
	if (c)
		return c;
	c = calloc(1, sizeof *c + n + 1);
	memcpy(c->name, name, n);
	HASH_ADD_KEYPTR(hh, *all, c->name, n, c);
	return c;
}

void counter_clear(struct counter **all)
{
	struct counter *c = *all, *next;

	HASH_CLEAR(hh, *all);
	for (; c; c = next) {
		next = c->hh.next;
		free(c);
	}
}

void counter_begin(struct counter *c)
{
	c->total++;
	if (++c->now > c->peak)
		c->peak = c->now;
}

void counter_end(struct counter *c)
{
	if (c->now > 0)
		c->now--;
}
