/* Sift up, sift down. Knows nothing of its members but which of two comes first. */
#include "lib/heap.h"

#include <stdlib.h>

#include "lib/err.h"

void heap_init(struct heap *h, bool (*before)(const struct heap_node *a, const struct heap_node *b))
{
	*h = (struct heap){.before = before};
}

void heap_clear(struct heap *h)
{
	free(h->nodes);
	*h = (struct heap){.before = h->before};
}

static void place(struct heap *h, struct heap_node *n, size_t i)
{
	h->nodes[i] = n;
	n->at = i + 1;
}

static void sift_up(struct heap *h, struct heap_node *n, size_t i)
{
	while (i > 0 && h->before(n, h->nodes[(i - 1) / 2])) {
		place(h, h->nodes[(i - 1) / 2], i);
		i = (i - 1) / 2;
	}
	place(h, n, i);
}

static void sift_down(struct heap *h, struct heap_node *n, size_t i)
{
	for (size_t child; (child = 2 * i + 1) < h->count; i = child) {
		if (child + 1 < h->count && h->before(h->nodes[child + 1], h->nodes[child]))
			child++;
		if (!h->before(h->nodes[child], n))
			break;
		place(h, h->nodes[child], i);
	}
	place(h, n, i);
}

void heap_moved(struct heap *h, struct heap_node *n)
{
	size_t i = n->at - 1;

	if (i > 0 && h->before(n, h->nodes[(i - 1) / 2]))
		sift_up(h, n, i);
	else
		sift_down(h, n, i);
}

void heap_insert(struct heap *h, struct heap_node *n)
{
	if (heap_holds(n))
		BUG("heap: inserted twice");
	if (h->count == h->capacity) {
		size_t capacity = h->capacity ? 2 * h->capacity : 4;
		struct heap_node **nodes = realloc(h->nodes, capacity * sizeof(*nodes));

		if (!nodes)
			BUG("out of memory");
		h->nodes = nodes;
		h->capacity = capacity;
	}
	sift_up(h, n, h->count++);
}

void heap_remove(struct heap *h, struct heap_node *n)
{
	size_t i = n->at - 1;
	struct heap_node *last;

	if (!heap_holds(n) || i >= h->count || h->nodes[i] != n)
		BUG("heap: removed what is not in it");
	last = h->nodes[--h->count];
	n->at = 0;
	if (last == n)
		return;
	place(h, last, i);
	heap_moved(h, last);
}
