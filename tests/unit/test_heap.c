/* The intrusive heap against a list that is searched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/heap.h"

enum { ITEMS = 300, STEPS = 20000 };

struct item {
	int weight;
	struct heap_node node;
};

static struct item items[ITEMS];
static uint32_t seed;

static unsigned draw(unsigned below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

static bool lighter(const struct heap_node *a, const struct heap_node *b)
{
	return HEAP_CONST_ENTRY(a, struct item, node)->weight < HEAP_CONST_ENTRY(b, struct item, node)->weight;
}

static int set_up(void **arg)
{
	(void)arg;
	seed = 42;
	for (int i = 0; i < ITEMS; i++)
		items[i] = (struct item){.weight = (int)draw(1000)};
	return 0;
}

static int lightest_held(void)
{
	int lightest = INT32_MAX;

	for (int i = 0; i < ITEMS; i++)
		if (heap_holds(&items[i].node) && items[i].weight < lightest)
			lightest = items[i].weight;
	return lightest;
}

static void the_top_comes_before_all_others_after_every_change(void **arg)
{
	struct heap h;

	(void)arg;
	heap_init(&h, lighter);
	assert_null(heap_top(&h));
	for (int step = 0; step < STEPS; step++) {
		struct item *it = &items[draw(ITEMS)];

		if (!heap_holds(&it->node)) {
			heap_insert(&h, &it->node);
		} else if (draw(2)) {
			heap_remove(&h, &it->node);
		} else {
			it->weight = (int)draw(1000);
			heap_moved(&h, &it->node);
		}
		if (h.count > 0)
			assert_int_equal(HEAP_ENTRY(heap_top(&h), struct item, node)->weight, lightest_held());
	}
	heap_clear(&h);
}

static void members_come_out_in_order(void **arg)
{
	struct heap h;
	int last = -1;

	(void)arg;
	heap_init(&h, lighter);
	for (int i = 0; i < ITEMS; i++)
		heap_insert(&h, &items[i].node);
	for (int i = 0; i < ITEMS; i++) {
		struct item *it = HEAP_ENTRY(heap_top(&h), struct item, node);

		assert_true(it->weight >= last);
		last = it->weight;
		heap_remove(&h, &it->node);
		assert_false(heap_holds(&it->node));
	}
	assert_null(heap_top(&h));
	heap_clear(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(the_top_comes_before_all_others_after_every_change, set_up),
	    cmocka_unit_test_setup(members_come_out_in_order, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
