/* Different keys, counted in passes. It must not know where keys come from. */
#include "daemon/unique.h"

#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

#define SLOTS_MIN 1024

struct unique {
	uint64_t *slots; /* 0: free; hash 0 is `zero` */
	size_t size, used;
	bool zero;
	uint64_t from, to; /* the hashes of this pass, both included */
	uint64_t width;    /* to - from, of the next pass */
	unsigned pass;     /* from 1; 0: none has begun */
	uint64_t count;    /* of the passes before */
};

/* One to one, so that different keys stay different; and keys that were made alike do not fill one range (the finish of
 * MurmurHash3). */
static uint64_t hash_of(uint64_t key)
{
	key = (key ^ key >> 33) * 0xff51afd7ed558ccdu;
	key = (key ^ key >> 33) * 0xc4ceb9fe1a85ec53u;
	return key ^ key >> 33;
}

static size_t full_at(const struct unique *u)
{
	return u->size / 4 * 3;
}

struct unique *unique_create(uint64_t expected)
{
	struct unique *u = calloc(1, sizeof(*u));

	if (!u)
		BUG("out of memory for counting keys");
	u->size = SLOTS_MIN;
	while (u->size < UNIQUE_SLOTS_MAX && full_at(u) < expected)
		u->size *= 2;
	u->width = UINT64_MAX / (expected / UNIQUE_KEYS_A_PASS + 1);
	return u;
}

void unique_free(struct unique *u)
{
	if (!u)
		return;
	free(u->slots);
	free(u);
}

/* ---- the set ---- */

static bool put(uint64_t *slots, size_t size, uint64_t hash)
{
	size_t i = (size_t)hash & (size - 1);

	while (slots[i] && slots[i] != hash)
		i = (i + 1) & (size - 1);
	if (slots[i])
		return false;
	slots[i] = hash;
	return true;
}

/* Into a set of `size` slots, without those above u->to. */
static void rehash(struct unique *u, size_t size)
{
	uint64_t *slots = calloc(size, sizeof(*slots));

	if (!slots)
		BUG("out of memory for a set of %zu keys", size);
	u->used = 0;
	for (size_t i = 0; u->slots && i < u->size; i++)
		if (u->slots[i] && u->slots[i] <= u->to)
			u->used += put(slots, size, u->slots[i]);
	free(u->slots);
	u->slots = slots;
	u->size = size;
}

/* There are more than were expected: a larger set, and where that is not to be, a smaller range. The passes that follow
 * are of that range too. */
static void make_room(struct unique *u)
{
	if (u->size < UNIQUE_SLOTS_MAX) {
		rehash(u, u->size * 2);
		return;
	}
	u->to = u->from + (u->to - u->from) / 2;
	u->width = u->to - u->from;
	rehash(u, u->size);
}

static void add(struct unique *u, uint64_t hash)
{
	if (hash < u->from || hash > u->to)
		return;
	if (hash == 0) {
		u->zero = true;
		return;
	}
	u->used += put(u->slots, u->size, hash);
	while (u->used > full_at(u))
		make_room(u);
}

void unique_add(struct unique *u, const void *keys, size_t bytes)
{
	const char *at = keys;
	uint64_t key;

	for (; bytes >= sizeof(key); bytes -= sizeof(key), at += sizeof(key)) {
		memcpy(&key, at, sizeof(key));
		add(u, hash_of(key));
	}
}

/* ---- passes ---- */

unsigned unique_passes(const struct unique *u)
{
	if (u->width == UINT64_MAX || (u->pass > 0 && u->to == UINT64_MAX))
		return u->pass ? u->pass : 1;
	return u->pass + 1 + (unsigned)((u->pass ? UINT64_MAX - u->to - 1 : UINT64_MAX) / (u->width + 1));
}

bool unique_pass_begin(struct unique *u)
{
	if (u->pass > 0) {
		u->count += u->used;
		u->used = 0;
		if (u->to == UINT64_MAX)
			return false;
		u->from = u->to + 1;
		memset(u->slots, 0, u->size * sizeof(*u->slots));
	} else {
		rehash(u, u->size);
	}
	u->pass++;
	u->to = UINT64_MAX - u->from > u->width ? u->from + u->width : UINT64_MAX;
	return true;
}

uint64_t unique_count(const struct unique *u)
{
	return u->count + u->zero;
}
