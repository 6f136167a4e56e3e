/* lib/clock: a moment is told on both clocks, and always the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs the four above */
#include <cmocka.h>

#include "lib/clock.h"

static void the_same_moment_is_always_told_the_same(void **state)
{
	int64_t moment = clock_boot_us(), told = clock_wall_of(moment);

	(void)state;
	for (int i = 0; i < 200000; i++)
		assert_int_equal(clock_wall_of(moment), told);
}

static void a_moment_told_on_the_other_clock_and_back_is_the_same(void **state)
{
	(void)state;
	assert_int_equal(clock_boot_of(clock_wall_of(12345678)), 12345678);
	assert_int_equal(clock_wall_of(98765) - clock_wall_of(1234), 98765 - 1234);
}

static void now_is_now_on_both_clocks(void **state)
{
	const int64_t slack = 1000;
	int64_t before = clock_wall_us(), told = clock_wall_of(clock_boot_us()), after = clock_wall_us();

	(void)state;
	assert_in_range(told, before - slack, after + slack);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_same_moment_is_always_told_the_same),
	    cmocka_unit_test(a_moment_told_on_the_other_clock_and_back_is_the_same),
	    cmocka_unit_test(now_is_now_on_both_clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
