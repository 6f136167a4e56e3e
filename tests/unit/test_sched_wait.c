/* What a limit makes of the order: a key that waits, until when, and what it waits for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "tests/unit/test_sched.h"

static void a_limited_key_says_when_to_ask_again(void **arg)
{
	struct sched_lane *l = lane(batch(1, 0, 5), "a:80", 5);

	(void)arg;
	under("a:80", 2, 10 * S);
	end(pick(1 * S), 1 * S);
	end(pick(2 * S), 2 * S);
	assert_null(sched_pick(s, 3 * S));
	assert_int_equal(sched_wake_us(s, 3 * S), 11 * S);
	assert_int_equal(waits_for(l, 3 * S, 11 * S), SCHED_LIMITED);
	assert_null(sched_pick(s, 11 * S - 1));
	end(pick(11 * S), 11 * S);
	assert_null(sched_pick(s, 11 * S));
	assert_int_equal(sched_wake_us(s, 11 * S), 12 * S);
}

static void without_limits_there_is_no_time_to_wait_for(void **arg)
{
	struct sched_job *j;

	(void)arg;
	sched_set_host_concurrency(s, 1);
	lane(batch(1, 0, 5), "a:80", 5);
	j = pick(0);
	assert_null(sched_pick(s, 0));
	assert_int_equal(sched_wake_us(s, 0), CLOCK_NEVER);
	end(j, 0);
}

static void an_end_that_was_counted_earlier_wakes_the_key_earlier(void **arg)
{
	struct sched_job *late, *early;

	(void)arg;
	lane(batch(1, 0, 5), "a:80", 5);
	under("a:80", 2, 10 * S);
	early = pick(0);
	late = pick(0);
	end(late, 5 * S);
	assert_null(sched_pick(s, 6 * S));
	assert_int_equal(sched_wake_us(s, 6 * S), 15 * S);
	sched_ended(s, early, 7 * S, 2 * S);
	free(early);
	assert_null(sched_pick(s, 7 * S));
	assert_int_equal(sched_wake_us(s, 7 * S), 12 * S);
	end(pick(12 * S), 12 * S);
}

static void nothing_is_counted_before_it_was_granted(void **arg)
{
	struct sched_job *j;

	(void)arg;
	lane(batch(1, 0, 5), "a:80", 5);
	under("a:80", 1, 10 * S);
	j = pick(100 * S);
	sched_ended(s, j, 101 * S, 3 * S); /* a clock that lies must not loosen a limit */
	free(j);
	assert_null(sched_pick(s, 101 * S));
	assert_int_equal(sched_wake_us(s, 101 * S), 110 * S);
}

static void a_refund_lets_the_next_go_at_once(void **arg)
{
	struct sched_lane *l = lane(batch(1, 0, 5), "a:80", 5);
	struct sched_job *j;

	(void)arg;
	under("a:80", 1, 10 * S);
	j = pick(0);
	assert_null(sched_pick(s, 0));
	sched_refund(s, j, 0);
	assert_int_equal(sched_lane_in_flight(l), 0);
	sched_push(s, l, j, 0);
	end(pick(0), 0);
	assert_null(sched_pick(s, 0));
}

static void a_job_knows_how_long_a_limit_held_it_up(void **arg)
{
	struct sched_lane *l = lane(batch(1, 0, 5), "a:80", 2);
	struct sched_job *j;

	(void)arg;
	under("a:80", 1, 10 * S);
	j = pick(0);
	assert_int_equal(j->limited_us, 0);
	end(j, 2 * S);
	assert_null(sched_pick(s, 3 * S)); /* found limited at 3 s, until 12 s */
	push(l, 1, 5 * S);
	j = pick(14 * S); /* asked late: that is not the limit's doing */
	assert_int_equal(j->limited_us, 9 * S);
	end(j, 14 * S);
	assert_null(sched_pick(s, 14 * S));
	j = pick(24 * S);
	assert_int_equal(j->ready_us, 5 * S);
	assert_int_equal(j->limited_us, 7 * S + 10 * S); /* from 5 to 12, from 14 to 24 */
	end(j, 24 * S);
}

static void what_a_job_waited_for_a_limit_can_be_kept_while_it_is_out_of_memory(void **arg)
{
	struct sched_lane *l = lane(batch(1, 0, 5), "a:80", 2);
	struct sched_job *j;

	(void)arg;
	under("a:80", 1, 10 * S);
	end(pick(0), 0);
	assert_null(sched_pick(s, 1 * S)); /* until 10 s */
	assert_int_equal(sched_job_limited_us(sched_lane_first(l), 4 * S), 3 * S);
	j = sched_take(s, l, sched_lane_first(l)->id);
	j->limited_us = 3 * S;
	sched_push(s, l, j, 6 * S);
	assert_int_equal(sched_job_limited_us(j, 7 * S), 3 * S + 1 * S);
	j = pick(10 * S);
	assert_int_equal(j->limited_us, 3 * S + 4 * S);
	end(j, 10 * S);
}

static void waiting_for_concurrency_is_not_waiting_for_a_limit(void **arg)
{
	struct sched_lane *l = lane(batch(1, 0, 5), "a:80", 2);
	struct sched_job *j;

	(void)arg;
	set_limits("a:80", sched_limit_create(s, &(struct limit_rule){.concurrency = 1}, NULL), NULL);
	j = pick(0);
	assert_null(sched_pick(s, 1 * S));
	assert_int_equal(waits_for(l, 1 * S, CLOCK_NEVER), SCHED_LIMIT_CAP);
	end(j, 9 * S);
	j = pick(9 * S);
	assert_int_equal(j->limited_us, 0);
	end(j, 9 * S);
}

static void a_window_full_of_requests_in_flight_is_the_limits_doing(void **arg)
{
	struct sched_lane *l = lane(batch(1, 0, 5), "a:80", 2);
	struct sched_job *j;

	(void)arg;
	under("a:80", 1, S);
	j = pick(0);
	assert_null(sched_pick(s, 2 * S));
	assert_int_equal(waits_for(l, 2 * S, CLOCK_NEVER), SCHED_LIMITED);
	assert_int_equal(sched_wake_us(s, 2 * S), CLOCK_NEVER);
	end(j, 8 * S);
	assert_null(sched_pick(s, 8 * S));
	j = pick(9 * S);
	assert_int_equal(j->limited_us, 7 * S);
	end(j, 9 * S);
}

static void what_a_limit_remembers_outlives_the_lanes_of_its_key(void **arg)
{
	struct sched_batch *b = batch(1, 0, 5);
	struct sched_lane *l = lane(b, "a:80", 1);
	struct sched_limit *limit = under("a:80", 1, 10 * S);

	(void)arg;
	end(pick(0), 0);
	assert_null(sched_lane_remove(s, l));
	assert_int_equal(sched_totals(s).keys, 1);
	lane(b, "a:80", 1);
	set_limits("a:80", limit, NULL); /* said again: nothing is forgotten */
	assert_null(sched_pick(s, 1 * S));
	end(pick(10 * S), 10 * S);
}

static void a_rule_counts_what_was_in_flight_when_it_came(void **arg)
{
	struct sched_job *a, *b;

	(void)arg;
	lane(batch(1, 0, 5), "a:80", 5);
	a = pick(0);
	b = pick(0);
	under("a:80", 2, 10 * S);
	assert_null(sched_pick(s, 0));
	end(a, 1 * S);
	end(b, 2 * S);
	assert_null(sched_pick(s, 2 * S));
	assert_int_equal(sched_wake_us(s, 2 * S), 11 * S);
}

static void a_rule_taken_away_lets_its_key_go(void **arg)
{
	struct sched_batch *b = batch(1, 0, 5);
	struct sched_job *j;

	(void)arg;
	lane(b, "a:80", 3);
	under("a:80", 1, 10 * S);
	j = pick(0);
	assert_null(sched_pick(s, 0));
	set_limits("a:80", NULL);
	end(pick(0), 0);
	end(j, 0);
	set_limits("nobody:80", NULL);
	under("somebody:80", 1, S);
	assert_int_equal(sched_totals(s).keys, 2);
	set_limits("somebody:80", NULL);
	assert_int_equal(sched_totals(s).keys, 1);
}

static void a_lane_says_what_it_waits_for(void **arg)
{
	struct sched_lane *l = lane(batch(1, 1, 5), "a:80", 0);
	struct sched_job *j;

	(void)arg;
	assert_int_equal(waits_for(l, 5, CLOCK_NEVER), SCHED_EMPTY);
	push(l, 2, 5);
	assert_int_equal(waits_for(l, 5, 5), SCHED_READY);
	j = pick(5);
	assert_int_equal(waits_for(l, 5, CLOCK_NEVER), SCHED_BATCH_CAP);
	end(j, 5);
	assert_string_equal(sched_wait_name(SCHED_BATCH_CAP), "batch_cap");
	assert_string_equal(sched_wait_name((enum sched_wait)99), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_limited_key_says_when_to_ask_again),
	    TEST(without_limits_there_is_no_time_to_wait_for),
	    TEST(an_end_that_was_counted_earlier_wakes_the_key_earlier),
	    TEST(nothing_is_counted_before_it_was_granted),
	    TEST(a_refund_lets_the_next_go_at_once),
	    TEST(a_job_knows_how_long_a_limit_held_it_up),
	    TEST(what_a_job_waited_for_a_limit_can_be_kept_while_it_is_out_of_memory),
	    TEST(waiting_for_concurrency_is_not_waiting_for_a_limit),
	    TEST(a_window_full_of_requests_in_flight_is_the_limits_doing),
	    TEST(what_a_limit_remembers_outlives_the_lanes_of_its_key),
	    TEST(a_rule_counts_what_was_in_flight_when_it_came),
	    TEST(a_rule_taken_away_lets_its_key_go),
	    TEST(a_lane_says_what_it_waits_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
