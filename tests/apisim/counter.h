/* Counts by name. */
#ifndef FANOUT_APISIM_COUNTER_H
#define FANOUT_APISIM_COUNTER_H

#include <stdint.h>
#include <uthash.h>

struct counter {
	uint64_t total, now, peak;
	UT_hash_handle hh;
	char name[];
};

/* The counter of that name, made where it is not there yet. Lives until counter_clear(). */
struct counter *counter_get(struct counter **all, const char *name);
void counter_clear(struct counter **all);
/* One more begins; `now` falls again by counter_end(). */
void counter_begin(struct counter *c);
void counter_end(struct counter *c);

#endif
