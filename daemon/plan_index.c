#include "daemon/plan_index.h"

#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

#define SIZE_FIRST 64

/* Keys are hashes, but an offset is a key too. */
static size_t place_of(const struct plan_index *x, uint64_t key)
{
	return (size_t)((key * 0x9e3779b97f4a7c15u) >> 32) & (x->size - 1);
}

/* Its slot, or the free one where it belongs. */
static uint32_t *slot_of(const struct plan_index *x, uint64_t key, plan_index_key *key_of, const void *pages)
{
	size_t i = place_of(x, key);

	while (x->slots[i] && key_of(pages, x->slots[i] - 1) != key)
		i = (i + 1) & (x->size - 1);
	return &x->slots[i];
}

static void grow(struct plan_index *x, plan_index_key *key_of, const void *pages)
{
	struct plan_index bigger = {.size = x->size ? x->size * 2 : SIZE_FIRST, .used = x->used};

	bigger.slots = calloc(bigger.size, sizeof(*bigger.slots));
	if (!bigger.slots)
		BUG("out of memory for an index of %zu pages", bigger.size);
	for (size_t i = 0; i < x->size; i++)
		if (x->slots[i])
			*slot_of(&bigger, key_of(pages, x->slots[i] - 1), key_of, pages) = x->slots[i];
	free(x->slots);
	*x = bigger;
}

uint32_t plan_index_find(const struct plan_index *x, uint64_t key, plan_index_key *key_of, const void *pages)
{
	return x->size ? *slot_of(x, key, key_of, pages) - 1 : UINT32_MAX;
}

uint32_t plan_index_put(struct plan_index *x, uint32_t index, plan_index_key *key_of, const void *pages)
{
	uint32_t *slot, other;

	if (x->used * 2 >= x->size)
		grow(x, key_of, pages);
	slot = slot_of(x, key_of(pages, index), key_of, pages);
	other = *slot - 1;
	if (other == index)
		return UINT32_MAX;
	if (other == UINT32_MAX) {
		x->used++;
		*slot = index + 1;
		return UINT32_MAX;
	}
	if (other < index)
		return index;
	*slot = index + 1;
	return other;
}

void plan_index_clear(struct plan_index *x)
{
	free(x->slots);
	*x = (struct plan_index){0};
}

size_t plan_index_bytes(const struct plan_index *x)
{
	return x->size * sizeof(*x->slots);
}

size_t plan_index_bytes_of(size_t pages)
{
	size_t size = SIZE_FIRST;

	while (size < pages * 2)
		size *= 2;
	return size * sizeof(uint32_t);
}
