/* Which page has a given 64-bit key, of those that have one: open addressing over page indices, 8 to 16 bytes a page.
 * The keys are in the caller's pages, not here. */
#ifndef FANOUT_DAEMON_PLAN_INDEX_H
#define FANOUT_DAEMON_PLAN_INDEX_H

#include <stddef.h>
#include <stdint.h>

struct plan_index {
	uint32_t *slots; /* index + 1; 0: free */
	size_t size, used;
};

typedef uint64_t plan_index_key(const void *pages, uint32_t index);

/* The index that has `key`, or UINT32_MAX. */
uint32_t plan_index_find(const struct plan_index *x, uint64_t key, plan_index_key *key_of, const void *pages);
/* Puts page `index` in. If another has its key, the lesser of both stays, and the greater is returned; else
 * UINT32_MAX. Putting a page in twice changes nothing. */
uint32_t plan_index_put(struct plan_index *x, uint32_t index, plan_index_key *key_of, const void *pages);
void plan_index_clear(struct plan_index *x);
/* What it holds of memory, and what one of so many pages does. */
size_t plan_index_bytes(const struct plan_index *x);
size_t plan_index_bytes_of(size_t pages);

#endif
