/* Hosts that have several keys: what holds for all of them, and whose turn it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/test_sched.h"

static void the_default_concurrency_of_a_host_counts_over_its_keys(void **arg)
{
	struct sched_batch *b = batch(1, 0, 5);
	struct sched_job *x, *y;
	struct sched_lane *l;

	(void)arg;
	sched_set_host_concurrency(s, 2);
	l = lane_at(b, "a:80/x", "a:80", 10);
	lane_at(b, "a:80/y", "a:80", 10);
	lane_at(b, "b:80", "b:80", 2);
	x = pick_of(l, 0);
	y = pick(0);
	end(pick(0), 0); /* b:80 */
	end(pick(0), 0);
	assert_null(sched_pick(s, 0));
	assert_int_equal(sched_lane_wait(s, l, 0).wait, SCHED_HOST_CAP);
	end(y, 0);
	y = pick(0);
	assert_null(sched_pick(s, 0));
	end(x, 0);
	end(y, 0);
	assert_int_equal(sched_totals(s).hosts, 2);
}

static void the_keys_of_a_host_at_its_concurrency_take_turns(void **arg)
{
	static const char *const keys[] = {"a:80/x", "a:80/y", "a:80/z"};
	struct sched_batch *b = batch(1, 0, 5);

	(void)arg;
	sched_set_host_concurrency(s, 1);
	for (int i = 0; i < 3; i++)
		lane_at(b, keys[i], "a:80", 10);
	for (int i = 0; i < 12; i++) {
		struct sched_job *j = pick(0);

		assert_string_equal(sched_lane_key(j->lane), keys[i % 3]);
		assert_null(sched_pick(s, 0));
		end(j, 0);
	}
}

/* A key with lanes of both kinds is always busy with those that have a concurrency of their own. */
static void neither_kind_of_lane_starves_on_a_host_at_its_concurrency(void **arg)
{
	struct sched_lane *own = lane_at(batch(1, 50, 5), "a:80/x", "a:80", 3000);
	struct sched_lane *mixed = lane_at(batch(2, 0, 5), "a:80/x", "a:80", 1000);
	struct sched_lane *plain = lane_at(batch(3, 0, 5), "a:80/y", "a:80", 1000);
	struct sched_job *slow = NULL;

	(void)arg;
	sched_set_host_concurrency(s, 1);
	for (int i = 0; i < 400; i++) {
		struct sched_job *j = pick(0);

		if (j->lane == own) {
			end(j, 0);
			continue;
		}
		assert_null(slow); /* one at a time */
		slow = j;
		for (int k = 0; k < 3; k++)
			end(pick(0), 0);
		end(slow, 0);
		slow = NULL;
	}
	assert_in_range(sched_lane_loaded(own), 1500, 2900);
	assert_in_range(1000 - sched_lane_loaded(mixed), 1000 - sched_lane_loaded(plain) - 2,
			1000 - sched_lane_loaded(plain) + 2);
	assert_true(sched_lane_loaded(plain) < 950);
}

static void a_key_that_a_limit_holds_does_not_block_its_hosts_line(void **arg)
{
	struct sched_batch *b = batch(1, 0, 5);
	struct sched_limit *l = limit_of(1, 3600LL * S);
	struct sched_lane *x, *y;

	(void)arg;
	sched_set_host_concurrency(s, 1);
	set_limits("a:80/x", l, NULL);
	x = lane_at(b, "a:80/x", "a:80", 10);
	y = lane_at(b, "a:80/y", "a:80", 10);
	end(pick_of(x, 0), 0);
	for (int i = 0; i < 10; i++) {
		struct sched_job *j = pick_of(y, 0);

		assert_null(sched_pick(s, 0));
		end(j, 0);
	}
	assert_null(sched_pick(s, 0));
}

static void a_raised_concurrency_lets_the_keys_of_a_host_go(void **arg)
{
	struct sched_batch *b = batch(1, 0, 5);
	struct sched_job *j[4];

	(void)arg;
	sched_set_host_concurrency(s, 1);
	lane_at(b, "a:80/x", "a:80", 10);
	lane_at(b, "a:80/y", "a:80", 10);
	j[0] = pick(0);
	assert_null(sched_pick(s, 0));
	sched_set_host_concurrency(s, 4);
	for (int i = 1; i < 4; i++)
		j[i] = pick(0);
	assert_null(sched_pick(s, 0));
	for (int i = 0; i < 4; i++)
		end(j[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST_WIDE(the_default_concurrency_of_a_host_counts_over_its_keys),
	    TEST_WIDE(the_keys_of_a_host_at_its_concurrency_take_turns),
	    TEST_WIDE(neither_kind_of_lane_starves_on_a_host_at_its_concurrency),
	    TEST_WIDE(a_key_that_a_limit_holds_does_not_block_its_hosts_line),
	    TEST_WIDE(a_raised_concurrency_lets_the_keys_of_a_host_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
