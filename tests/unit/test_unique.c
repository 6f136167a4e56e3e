/* Different keys, in bounded memory, against sorting them all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/unique.h"

#define PAGE 10000

static uint64_t state = 1;

static uint64_t draw(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static int compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static uint64_t count_naively(const uint64_t *keys, size_t n)
{
	uint64_t *sorted = calloc(n + 1, sizeof(*sorted)), count = 0;

	assert_non_null(sorted);
	if (n > 0)
		memcpy(sorted, keys, n * sizeof(*keys));
	qsort(sorted, n, sizeof(*sorted), compare);
	for (size_t i = 0; i < n; i++)
		count += i == 0 || sorted[i] != sorted[i - 1];
	free(sorted);
	return count;
}

/* Page by page, in so many passes. */
static uint64_t count(const uint64_t *keys, size_t n, uint64_t expected, unsigned *passes)
{
	struct unique *u = unique_create(expected);
	uint64_t found;

	for (*passes = 0; unique_pass_begin(u); (*passes)++) {
		assert_true(*passes < unique_passes(u));
		for (size_t i = 0; i < n; i += PAGE)
			unique_add(u, keys + i, (n - i < PAGE ? n - i : PAGE) * sizeof(*keys));
	}
	assert_int_equal(*passes, unique_passes(u));
	found = unique_count(u);
	unique_free(u);
	return found;
}

static void each_key_counts_once(void **arg)
{
	static const size_t sizes[] = {0, 1, 2, 700, 768, 769, 1024, 5000, 100000};
	static uint64_t keys[100000];
	unsigned passes;

	(void)arg;
	for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
		for (int few = 0; few < 2; few++) {
			for (size_t i = 0; i < sizes[k]; i++)
				keys[i] = few ? draw() % 900 : draw();
			assert_int_equal(count(keys, sizes[k], sizes[k], &passes), count_naively(keys, sizes[k]));
			assert_int_equal(passes, 1);
			assert_int_equal(count(keys, sizes[k], 0, &passes), count_naively(keys, sizes[k]));
			assert_int_equal(passes, 1);
		}
}

static void many_keys_take_passes(void **arg)
{
	size_t n = UNIQUE_KEYS_A_PASS / 2 * 5;
	uint64_t *keys = calloc(n, sizeof(*keys)), expected;
	unsigned passes;

	(void)arg;
	assert_non_null(keys);
	for (size_t i = 0; i < n; i++)
		keys[i] = i % 7 == 3 ? keys[i / 2] : draw();
	expected = count_naively(keys, n);
	assert_int_equal(count(keys, n, n, &passes), expected);
	assert_in_range(passes, 3, 4);
	assert_int_equal(count(keys, n, 1, &passes), expected); /* nobody said that there were so many */
	assert_in_range(passes, 3, 5);
	assert_int_equal(count(keys, n, n * 4, &passes), expected);
	free(keys);
}

static void keys_that_are_made_alike_do_not_fill_one_range(void **arg)
{
	size_t n = UNIQUE_KEYS_A_PASS + 1000;
	uint64_t *keys = calloc(n, sizeof(*keys));
	unsigned passes;

	(void)arg;
	assert_non_null(keys);
	for (size_t i = 0; i < n; i++)
		keys[i] = i; /* 0 too */
	assert_int_equal(count(keys, n, n, &passes), n);
	assert_int_equal(passes, 2);
	free(keys);
}

static void passes_are_known_beforehand(void **arg)
{
	(void)arg;
	for (unsigned passes = 1; passes < 40; passes++) {
		struct unique *u = unique_create((uint64_t)UNIQUE_KEYS_A_PASS * passes - 1);
		unsigned made = 0;

		while (unique_pass_begin(u)) {
			made++;
			assert_int_equal(unique_passes(u), passes);
		}
		assert_int_equal(made, passes);
		unique_free(u);
	}
}

static void keys_need_not_be_aligned(void **arg)
{
	static const char text[] = "xAAAAAAAABBBBBBBBAAAAAAAACCC";
	struct unique *u = unique_create(3);

	(void)arg;
	assert_true(unique_pass_begin(u));
	unique_add(u, text + 1, strlen(text + 1));
	unique_add(u, NULL, 0);
	assert_false(unique_pass_begin(u));
	assert_int_equal(unique_count(u), 2);
	unique_free(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_key_counts_once),
	    cmocka_unit_test(many_keys_take_passes),
	    cmocka_unit_test(keys_that_are_made_alike_do_not_fill_one_range),
	    cmocka_unit_test(passes_are_known_beforehand),
	    cmocka_unit_test(keys_need_not_be_aligned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
