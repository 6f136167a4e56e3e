/* Which job goes next: order, turns, shares and caps, against a fake clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "tests/unit/test_sched.h"

/* ---- order and turns ---- */

static void the_jobs_of_a_lane_go_in_the_order_they_were_pushed(void **arg)
{
	(void)arg;
	lane(batch(1, 0, 5), "a:80", 5);
	for (uint64_t id = 1; id <= 5; id++) {
		struct sched_job *j = pick(7);

		assert_int_equal(j->id, id);
		assert_int_equal(j->granted_us, 7);
		end(j, 7);
	}
	assert_null(sched_pick(s, 7));
}

static void keys_take_turns_one_job_each(void **arg)
{
	static const char *const expected[] = {"a:80", "b:80", "c:80", "a:80", "b:80", "a:80", "a:80"};
	struct sched_batch *b = batch(1, 0, 5);

	(void)arg;
	lane(b, "a:80", 4);
	lane(b, "b:80", 2);
	lane(b, "c:80", 1);
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		struct sched_job *j = pick(0);

		assert_string_equal(sched_lane_key(j->lane), expected[i]);
		end(j, 0);
	}
}

static void a_limited_key_never_delays_another(void **arg)
{
	struct sched_batch *b = batch(1, 0, 5);
	struct sched_lane *free_lane;

	(void)arg;
	lane(b, "slow:80", 100);
	free_lane = lane(b, "fast:80", 100);
	under("slow:80", 1, 3600LL * S);
	assert_int_equal(served(free_lane, 51), 50);
	assert_int_equal(served(free_lane, 50), 50);
	assert_null(sched_pick(s, 0));
}

static void batches_of_one_priority_share_a_key_evenly_whatever_their_size(void **arg)
{
	struct sched_lane *big = lane(batch(1, 0, 5), "a:80", 1000);
	struct sched_lane *small;

	(void)arg;
	assert_int_equal(served(big, 500), 500);
	small = lane(batch(2, 0, 5), "a:80", 10);
	assert_in_range(served(small, 20), 9, 10);
	assert_int_equal(sched_lane_loaded(small) <= 1, 1);
}

static void each_step_of_priority_doubles_the_share(void **arg)
{
	struct sched_lane *low = lane(batch(1, 0, 4), "a:80", 1000);
	struct sched_lane *middle = lane(batch(2, 0, 5), "a:80", 1000);
	struct sched_lane *high = lane(batch(3, 0, 7), "a:80", 1000);
	int total = 1 + 2 + 8;

	(void)arg;
	served(high, 50 * total);
	assert_in_range(sched_lane_loaded(low), 1000 - 51, 1000 - 49);
	assert_in_range(sched_lane_loaded(middle), 1000 - 101, 1000 - 99);
	assert_in_range(sched_lane_loaded(high), 1000 - 401, 1000 - 399);
}

static void the_lowest_priority_is_slow_but_not_starved(void **arg)
{
	struct sched_lane *low = lane(batch(1, 0, SCHED_PRIORITY_MIN), "a:80", 10);

	(void)arg;
	lane(batch(2, 0, SCHED_PRIORITY_MAX), "a:80", 5000);
	assert_in_range(served(low, 513 * 5), 4, 6);
}

static void a_lane_that_comes_back_has_saved_up_no_credit(void **arg)
{
	struct sched_lane *here = lane(batch(1, 0, 5), "a:80", 2000);
	struct sched_lane *away = lane(batch(2, 0, 5), "a:80", 1);

	(void)arg;
	served(here, 1000);
	push(away, 100, 0);
	assert_in_range(served(away, 100), 49, 51);
}

static void going_away_and_coming_back_does_not_get_more_than_a_share(void **arg)
{
	struct sched_lane *steady = lane(batch(1, 0, 5), "a:80", 2000);
	struct sched_lane *flicker = lane(batch(2, 0, 5), "a:80", 1);
	int count = 0;

	(void)arg;
	for (int i = 0; i < 200; i++) {
		struct sched_job *j = pick(0);

		if (j->lane == flicker) {
			count++;
			push(flicker, 1, 0);
		}
		end(j, 0);
	}
	assert_in_range(count, 99, 101);
	assert_in_range(sched_lane_loaded(steady), 1899, 1901);
}

/* ---- caps ---- */

static void a_batch_never_has_more_in_flight_than_its_concurrency(void **arg)
{
	struct sched_batch *b = batch(1, 3, 5);
	struct sched_job *flying[3];
	char key[16];

	(void)arg;
	for (int i = 0; i < 10; i++) {
		snprintf(key, sizeof(key), "h%d:80", i);
		lane(b, key, 2);
	}
	for (int i = 0; i < 3; i++)
		flying[i] = pick(0);
	for (int i = 0; i < 17; i++) {
		assert_null(sched_pick(s, 0));
		assert_int_equal(sched_batch_in_flight(b), 3);
		end(flying[i % 3], 0);
		flying[i % 3] = pick(0);
	}
	for (int i = 0; i < 3; i++)
		end(flying[i], 0);
	assert_null(sched_pick(s, 0));
	assert_int_equal(sched_totals(s).loaded, 0);
}

static void the_keys_of_a_capped_batch_take_turns_too(void **arg)
{
	static const char *const expected[] = {"a:80", "b:80", "c:80", "a:80", "b:80", "c:80"};
	struct sched_batch *b = batch(1, 1, 5);

	(void)arg;
	lane(b, "a:80", 3);
	lane(b, "b:80", 3);
	lane(b, "c:80", 3);
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		struct sched_job *j = pick(0);

		assert_null(sched_pick(s, 0)); /* parks the others */
		assert_string_equal(sched_lane_key(j->lane), expected[i]);
		end(j, 0);
	}
}

static void a_parked_lane_comes_back_while_another_batch_always_has_work(void **arg)
{
	struct sched_batch *capped = batch(1, 1, 5);
	struct sched_lane *parked[3];
	struct sched_job *first;

	(void)arg;
	parked[0] = lane(capped, "a:80", 1);
	first = pick(0);
	parked[1] = lane(capped, "b:80", 1);
	parked[2] = lane(capped, "c:80", 1);
	lane(batch(2, 0, 9), "d:80", 1000);
	for (int i = 0; i < 50; i++)
		end(pick(0), 0);
	assert_ptr_equal(first->lane, parked[0]);
	end(first, 0);
	for (int i = 0; i < 6; i++)
		end(pick(0), 0);
	assert_int_equal(sched_lane_loaded(parked[1]), 0);
	assert_int_equal(sched_lane_loaded(parked[2]), 0);
}

static void the_hosts_of_a_batch_at_its_concurrency_take_turns_however_many_jobs_end_at_once(void **arg)
{
	struct sched_batch *b = batch(1, 4, 5);
	struct sched_job *flying[4];
	int of_host[10] = {0};
	char key[16];

	(void)arg;
	for (int i = 0; i < 10; i++) {
		snprintf(key, sizeof key, "%d:80", i);
		lane(b, key, 20);
	}
	for (int round = 0; round < 30; round++) {
		for (int i = 0; i < 4; i++) {
			flying[i] = pick(0);
			of_host[atoi(sched_lane_key(flying[i]->lane))]++;
		}
		assert_null(sched_pick(s, 0));
		for (int i = 0; i < 4; i++)
			end(flying[i], 0);
	}
	for (int i = 0; i < 10; i++)
		assert_in_range(of_host[i], 11, 13); /* 120 picks */
}

static void the_keys_concurrency_holds_for_all_batches_that_set_none(void **arg)
{
	struct sched_job *a, *b;

	(void)arg;
	sched_set_host_concurrency(s, 2);
	lane(batch(1, 0, 5), "a:80", 10);
	lane(batch(2, 0, 5), "a:80", 10);
	a = pick(0);
	b = pick(0);
	assert_null(sched_pick(s, 0));
	end(a, 0);
	a = pick(0);
	assert_null(sched_pick(s, 0));
	sched_set_host_concurrency(s, 3);
	end(pick(0), 0);
	end(a, 0);
	end(b, 0);
}

static void a_concurrency_of_ones_own_neither_uses_nor_obeys_the_keys(void **arg)
{
	struct sched_job *theirs, *ours[5];
	struct sched_lane *own;

	(void)arg;
	sched_set_host_concurrency(s, 1);
	lane(batch(1, 0, 5), "a:80", 10);
	theirs = pick(0);
	assert_null(sched_pick(s, 0));
	own = lane(batch(2, 5, 5), "a:80", 10);
	for (int i = 0; i < 5; i++) {
		ours[i] = pick(0);
		assert_ptr_equal(ours[i]->lane, own);
	}
	assert_null(sched_pick(s, 0));
	end(theirs, 0);
	theirs = pick(0);
	assert_ptr_not_equal(theirs->lane, own);
	end(theirs, 0);
	for (int i = 0; i < 5; i++)
		end(ours[i], 0);
}

static void whoever_was_held_by_the_keys_concurrency_claims_no_arrears(void **arg)
{
	struct sched_lane *held = lane(batch(1, 0, 5), "a:80", 1000), *own;
	struct sched_job *j;

	(void)arg;
	sched_set_host_concurrency(s, 1);
	j = pick(0);
	own = lane(batch(2, 100, 5), "a:80", 1000);
	assert_int_equal(served(own, 400), 400);
	assert_ptr_equal(j->lane, held);
	end(j, 0);
	assert_in_range(served(own, 100), 49, 51);
}

static void concurrency_can_be_set_and_unset_while_jobs_are_in_flight(void **arg)
{
	struct sched_batch *b = batch(1, 0, 5);
	struct sched_lane *l = lane(b, "a:80", 20);
	struct sched_job *flying[4];

	(void)arg;
	sched_set_host_concurrency(s, 2);
	flying[0] = pick(0);
	flying[1] = pick(0);
	assert_null(sched_pick(s, 0));
	sched_batch_set(s, b, &(struct sched_batch_options){.concurrency = 4, .priority = 5}, 0);
	flying[2] = pick(0);
	flying[3] = pick(0);
	assert_null(sched_pick(s, 0));
	sched_batch_set(s, b, &(struct sched_batch_options){.concurrency = 0, .priority = 5}, 0);
	assert_null(sched_pick(s, 0));
	assert_int_equal(waits_for(l, 0, CLOCK_NEVER), SCHED_HOST_CAP);
	for (int i = 0; i < 3; i++)
		end(flying[i], 0);
	end(pick(0), 0);
	end(flying[3], 0);
	assert_int_equal(sched_totals(s).in_flight, 0);
}

static void a_paused_batch_waits_and_others_do_not(void **arg)
{
	struct sched_batch *b = batch(1, 0, 9);
	struct sched_lane *paused = lane(b, "a:80", 10), *other = lane(batch(2, 0, 0), "a:80", 10);

	(void)arg;
	sched_batch_set(s, b, &(struct sched_batch_options){.priority = 9, .paused = true}, 0);
	assert_int_equal(served(other, 10), 10);
	assert_null(sched_pick(s, 0));
	assert_int_equal(waits_for(paused, 0, CLOCK_NEVER), SCHED_PAUSED);
	sched_batch_set(s, b, &(struct sched_batch_options){.priority = 9}, 0);
	assert_int_equal(served(paused, 10), 10);
}

static void a_batch_that_begins_paused_goes_when_resumed(void **arg)
{
	struct sched_batch *b = sched_batch_add(s, 1, &(struct sched_batch_options){.paused = true});

	(void)arg;
	lane(b, "a:80", 1);
	lane(b, "b:80", 1);
	assert_null(sched_pick(s, 0));
	sched_batch_set(s, b, &(struct sched_batch_options){.paused = false}, 0);
	end(pick(0), 0);
	end(pick(0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_jobs_of_a_lane_go_in_the_order_they_were_pushed),
	    TEST(keys_take_turns_one_job_each),
	    TEST(a_limited_key_never_delays_another),
	    TEST(batches_of_one_priority_share_a_key_evenly_whatever_their_size),
	    TEST(each_step_of_priority_doubles_the_share),
	    TEST(the_lowest_priority_is_slow_but_not_starved),
	    TEST(a_lane_that_comes_back_has_saved_up_no_credit),
	    TEST(going_away_and_coming_back_does_not_get_more_than_a_share),
	    TEST(a_batch_never_has_more_in_flight_than_its_concurrency),
	    TEST(the_keys_of_a_capped_batch_take_turns_too),
	    TEST(a_parked_lane_comes_back_while_another_batch_always_has_work),
	    TEST(the_hosts_of_a_batch_at_its_concurrency_take_turns_however_many_jobs_end_at_once),
	    TEST(the_keys_concurrency_holds_for_all_batches_that_set_none),
	    TEST(a_concurrency_of_ones_own_neither_uses_nor_obeys_the_keys),
	    TEST(whoever_was_held_by_the_keys_concurrency_claims_no_arrears),
	    TEST(concurrency_can_be_set_and_unset_while_jobs_are_in_flight),
	    TEST(a_paused_batch_waits_and_others_do_not),
	    TEST(a_batch_that_begins_paused_goes_when_resumed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
