/* Base64, both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base64.h"

static void base64_goes_both_ways(void **state)
{
	static const char *const vectors[][2] = {{"", ""},
						 {"f", "Zg=="},
						 {"fo", "Zm8="},
						 {"foo", "Zm9v"},
						 {"foob", "Zm9vYg=="},
						 {"fooba", "Zm9vYmE="},
						 {"foobar", "Zm9vYmFy"}};
	char text[20], back[20];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		assert_int_equal(base64_encode(text, vectors[i][0], strlen(vectors[i][0])), strlen(vectors[i][1]));
		assert_string_equal(text, vectors[i][1]);
		assert_int_equal(base64_decode(back, &n, text, strlen(text)), 0);
		assert_int_equal(n, strlen(vectors[i][0]));
		assert_memory_equal(back, vectors[i][0], n);
	}
}

static void what_is_not_base64_is_refused(void **state)
{
	static const char *const wrong[] = {
	    "Z", "Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm9v\n", "Zm-v", "Zg==Zg=="};
	char back[20];
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if (base64_decode(back, &n, wrong[i], strlen(wrong[i])) == 0)
			fail_msg("taken: %s", wrong[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(base64_goes_both_ways),
	    cmocka_unit_test(what_is_not_base64_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
