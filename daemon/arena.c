/* Bump allocation. Pure but for malloc. */
#include "daemon/arena.h"

#include <stdlib.h>
#include <string.h>

#include "lib/err.h"

#define BLOCK_BYTES ((size_t)64 << 10)
#define ALIGN       16u

struct arena_block {
	struct arena_block *next;
	char pad[ALIGN - sizeof(struct arena_block *)];
	char data[];
};

static struct arena_block *add_block(struct arena *a, size_t n)
{
	struct arena_block *b = malloc(sizeof *b + n);

	if (!b)
		BUG("out of memory for %zu bytes of a request", n);
	b->next = a->blocks;
	a->blocks = b;
	return b;
}

static void *take(struct arena *a, size_t n)
{
	void *p;

	if (n > a->left) {
		/* What fills most of a block gets one of its own, and the present one goes on being filled. */
		if (n > BLOCK_BYTES / 4)
			return add_block(a, n)->data;
		a->free = add_block(a, BLOCK_BYTES)->data;
		a->left = BLOCK_BYTES;
	}
	p = a->free;
	a->free += n;
	a->left -= n;
	return p;
}

void *arena_take(struct arena *a, size_t n)
{
	return take(a, (n + ALIGN - 1) & ~(size_t)(ALIGN - 1));
}

char *arena_copy(struct arena *a, const void *data, size_t n)
{
	char *p = arena_take(a, n + 1);

	if (n)
		memcpy(p, data, n);
	p[n] = '\0';
	return p;
}

void arena_clear(struct arena *a)
{
	struct arena_block *b, *next;

	for (b = a->blocks; b; b = next) {
		next = b->next;
		free(b);
	}
	*a = (struct arena){0};
}
