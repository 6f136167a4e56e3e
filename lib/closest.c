/* Optimal string alignment distance, with a bound that keeps silly suggestions away. */
#include "lib/closest.h"

#include <stdbool.h>
#include <string.h>

#define WORD_MAX 63u

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

unsigned closest_distance(const char *a, const char *b)
{
	unsigned row[3][WORD_MAX + 2];
	unsigned *before = row[0], *above = row[1], *now = row[2], *spare;
	size_t n = strnlen(a, WORD_MAX), m = strnlen(b, WORD_MAX);

	for (unsigned j = 0; j <= m; j++)
		above[j] = j;
	for (size_t i = 1; i <= n; i++) {
		now[0] = (unsigned)i;
		for (size_t j = 1; j <= m; j++) {
			unsigned cost = a[i - 1] != b[j - 1];

			now[j] = min3(now[j - 1] + 1, above[j] + 1, above[j - 1] + cost);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
			    before[j - 2] + 1 < now[j])
				now[j] = before[j - 2] + 1;
		}
		spare = before;
		before = above;
		above = now;
		now = spare;
	}
	return above[m];
}

void closest_offer(struct closest *c, const char *name)
{
	size_t n = strlen(c->word);
	/* A third of the word may be wrong; in a word of two letters, one. The beginning of a name is always near. */
	unsigned bound = n < 2 ? 0 : (unsigned)((n + 2) / 3);
	bool prefix = n >= 2 && strncmp(name, c->word, n) == 0;
	unsigned distance = prefix ? 1 : closest_distance(c->word, name);

	if (distance > bound && !prefix)
		return;
	if (!c->name || distance < c->distance) {
		c->name = name;
		c->distance = distance;
	}
}
