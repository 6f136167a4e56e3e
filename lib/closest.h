/* Which of some names was probably meant by a word that is none of them. */
#ifndef FANOUT_LIB_CLOSEST_H
#define FANOUT_LIB_CLOSEST_H

#include <stddef.h>

/* Edits (insert, delete, replace, swap of neighbours) that make one of the other. Words are cut at 63 bytes. */
unsigned closest_distance(const char *a, const char *b);

/* Keeps the nearest name seen: zero it, then offer every name; `name` stays NULL where none is near enough. */
struct closest {
	const char *word;
	const char *name;
	unsigned distance;
};
void closest_offer(struct closest *c, const char *name);

#endif
