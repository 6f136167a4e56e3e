/* An intrusive binary heap: whatever comes `before` all others is at the top.
 *
 * A member embeds a `struct heap_node` and is found again by HEAP_ENTRY. The heap owns its array only, never its
 * members; a member is in at most one heap through one node. Insert, remove and moved are O(log n), top is O(1). */
#ifndef FANOUT_LIB_HEAP_H
#define FANOUT_LIB_HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct heap_node {
	size_t at; /* place in the array, from 1; 0: in no heap */
};

struct heap {
	struct heap_node **nodes;
	size_t count, capacity;
	bool (*before)(const struct heap_node *a, const struct heap_node *b);
};

#define HEAP_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))
/* The same for comparing. */
#define HEAP_CONST_ENTRY(node, type, member) ((const type *)(const void *)((const char *)(node)-offsetof(type, member)))

void heap_init(struct heap *h, bool (*before)(const struct heap_node *a, const struct heap_node *b));
void heap_clear(struct heap *h); /* all members must be out or about to be freed */

static inline struct heap_node *heap_top(const struct heap *h)
{
	return h->count > 0 ? h->nodes[0] : NULL;
}
static inline bool heap_holds(const struct heap_node *n)
{
	return n->at != 0;
}

void heap_insert(struct heap *h, struct heap_node *n);
void heap_remove(struct heap *h, struct heap_node *n);
/* What `n` is ordered by has changed. */
void heap_moved(struct heap *h, struct heap_node *n);

#endif
