/* What the scheduler holds of the store's jobs: windows, hunger, what is taken out; and its books. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "tests/unit/test_sched.h"

/* ---- loading ---- */

static void a_lane_with_more_is_hungry_until_its_window_is_half_full(void **arg)
{
	struct sched_lane *l = lane(batch(1, 0, 5), "a:80", 0);
	unsigned room;

	(void)arg;
	assert_null(sched_hungry(s, &room));
	sched_lane_more(s, l, true);
	assert_ptr_equal(sched_hungry(s, &room), l);
	assert_int_equal(room, 100);         /* alone, it is bounded by the lane's maximum */
	assert_null(sched_hungry(s, &room)); /* it was asked: not a second time */
	push(l, 100, 0);
	sched_lane_more(s, l, true);
	assert_null(sched_hungry(s, &room));
	served(l, 50);
	assert_null(sched_hungry(s, &room));
	served(l, 1);
	assert_ptr_equal(sched_hungry(s, &room), l);
	assert_int_equal(room, 51);
	sched_lane_more(s, l, false);
	served(l, 49);
	assert_null(sched_hungry(s, &room));
}

static void lanes_share_the_window_and_are_hungry_in_turn(void **arg)
{
	struct sched_batch *b = batch(1, 0, 5);
	struct sched_lane *l[50];
	char key[16];
	unsigned room;

	(void)arg;
	for (int i = 0; i < 50; i++) {
		snprintf(key, sizeof(key), "h%d:80", i);
		l[i] = lane(b, key, 0);
		sched_lane_more(s, l[i], true);
	}
	for (int i = 0; i < 50; i++) {
		assert_ptr_equal(sched_hungry(s, &room), l[i]);
		assert_int_equal(room, 20); /* 1000 for 50, also while the others were asked already */
		push(l[i], (int)room, 0);
		sched_lane_more(s, l[i], true);
	}
	assert_null(sched_hungry(s, &room));
	assert_int_equal(sched_totals(s).loaded, 1000);
}

static void however_many_lanes_each_may_hold_a_few(void **arg)
{
	struct sched_batch *b = batch(1, 0, 5);
	char key[16];
	unsigned room = 0;

	(void)arg;
	for (int i = 0; i < 2000; i++) {
		snprintf(key, sizeof(key), "h%d:80", i);
		sched_lane_more(s, lane(b, key, 0), true);
	}
	assert_non_null(sched_hungry(s, &room));
	assert_int_equal(room, 4);
}

static void a_loaded_job_can_be_taken_out_wherever_it_is(void **arg)
{
	static const uint64_t order[] = {3, 1, 5};
	struct sched_lane *l = lane(batch(1, 0, 5), "a:80", 5);
	struct sched_job *j;

	(void)arg;
	for (int i = 0; i < 3; i++) {
		j = sched_take(s, l, order[i]);
		assert_int_equal(j->id, order[i]);
		free(j);
	}
	assert_null(sched_take(s, l, 3));
	push(l, 1, 0);
	assert_int_equal(sched_lane_loaded(l), 3);
	j = pick(0);
	assert_int_equal(j->id, 2);
	assert_null(sched_take(s, l, 2)); /* in flight, not loaded */
	end(j, 0);
	free(sched_take(s, l, 4));
	free(sched_take(s, l, 6));
	assert_null(sched_pick(s, 0));
	push(l, 1, 0);
	end(pick(0), 0);
}

static void the_last_job_can_be_taken_from_a_parked_lane(void **arg)
{
	struct sched_batch *b = batch(1, 1, 5);
	struct sched_lane *parked;
	struct sched_job *j;

	(void)arg;
	lane(b, "a:80", 1);
	j = pick(0);
	parked = lane(b, "b:80", 1);
	assert_null(sched_pick(s, 0));
	free(sched_take(s, parked, 2));
	end(j, 0);
	assert_null(sched_pick(s, 0));
	push(parked, 1, 0);
	end(pick(0), 0);
}

static void a_removed_lane_hands_back_its_loaded_jobs_in_order(void **arg)
{
	struct sched_batch *b = batch(1, 0, 5);
	struct sched_lane *l = lane(b, "a:80", 3);
	struct sched_job *j = sched_lane_remove(s, l);

	(void)arg;
	for (uint64_t id = 1; id <= 3; id++) {
		struct sched_job *next = j->next;

		assert_int_equal(j->id, id);
		free(j);
		j = next;
	}
	assert_null(j);
	assert_int_equal(sched_totals(s).lanes, 0);
	assert_int_equal(sched_totals(s).loaded, 0);
	assert_int_equal(sched_totals(s).keys, 0);
	assert_null(sched_pick(s, 0));
	sched_batch_remove(s, b);
	assert_null(sched_batch_find(s, 1));
}

static void lanes_can_be_removed_hungry_parked_and_limited(void **arg)
{
	struct sched_batch *b = batch(1, 1, 5);
	struct sched_lane *hungry = lane(b, "a:80", 0), *parked, *limited;
	struct sched_job *j;
	unsigned room;

	(void)arg;
	sched_lane_more(s, hungry, true);
	assert_null(sched_lane_remove(s, hungry));
	assert_null(sched_hungry(s, &room));
	limited = lane(batch(2, 0, 5), "b:80", 2);
	under("b:80", 1, 10 * S);
	end(pick(0), 0);
	lane(b, "a:80", 1);
	j = pick(0);
	parked = lane(b, "c:80", 1);
	assert_null(sched_pick(s, 0));
	free(sched_lane_remove(s, parked));
	free(sched_lane_remove(s, limited));
	set_limits("b:80", NULL);
	assert_int_equal(sched_wake_us(s, 0), CLOCK_NEVER);
	end(j, 0);
	assert_null(sched_pick(s, 100 * S));
}

/* ---- books ---- */

static void adding_what_exists_returns_it(void **arg)
{
	struct sched_batch *b = batch(1, 3, 5);
	struct sched_lane *l = sched_lane_add(s, 77, b, "a:80", "a:80", &next_id);

	(void)arg;
	assert_ptr_equal(batch(1, 9, 9), b);
	assert_ptr_equal(sched_lane_add(s, 77, b, "b:80", "b:80", NULL), l);
	assert_ptr_equal(sched_lane_find(s, 77), l);
	assert_null(sched_lane_find(s, 78));
	assert_ptr_equal(sched_lane_user(l), &next_id);
	assert_ptr_equal(sched_lane_batch(l), b);
	assert_int_equal(sched_lane_id(l), 77);
	assert_string_equal(sched_lane_key(l), "a:80");
}

static void a_batchs_lanes_can_be_walked(void **arg)
{
	struct sched_batch *b = batch(1, 0, 5);
	struct sched_lane *first = lane(b, "a:80", 0), *second = lane(b, "b:80", 0);

	(void)arg;
	lane(batch(2, 0, 5), "a:80", 0);
	assert_ptr_equal(sched_batch_lane_next(b, NULL), first);
	assert_ptr_equal(sched_batch_lane_next(b, first), second);
	assert_null(sched_batch_lane_next(b, second));
	assert_null(sched_batch_lane_next(batch(3, 0, 5), NULL));
}

static void totals_follow_every_step(void **arg)
{
	struct sched_job *j;
	struct sched_totals t;

	(void)arg;
	lane(batch(1, 0, 5), "a:80", 3);
	lane(batch(2, 0, 5), "a:80", 2);
	j = pick(0);
	t = sched_totals(s);
	assert_int_equal(t.keys, 1);
	assert_int_equal(t.lanes, 2);
	assert_int_equal(t.batches, 2);
	assert_int_equal(t.loaded, 4);
	assert_int_equal(t.in_flight, 1);
	end(j, 0);
	assert_int_equal(sched_totals(s).in_flight, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_lane_with_more_is_hungry_until_its_window_is_half_full),
	    TEST(lanes_share_the_window_and_are_hungry_in_turn),
	    TEST(however_many_lanes_each_may_hold_a_few),
	    TEST(a_loaded_job_can_be_taken_out_wherever_it_is),
	    TEST(the_last_job_can_be_taken_from_a_parked_lane),
	    TEST(a_removed_lane_hands_back_its_loaded_jobs_in_order),
	    TEST(lanes_can_be_removed_hungry_parked_and_limited),
	    TEST(adding_what_exists_returns_it),
	    TEST(a_batchs_lanes_can_be_walked),
	    TEST(totals_follow_every_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
