/* Jobs handed out before their turn: only where that is nobody else's, and never more in flight than may be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/test_sched.h"

/* In the place of `before`. */
static struct sched_job *follow(struct sched_job *before, int64_t now)
{
	struct sched_job *j = sched_stand_by(s, before->lane, now);

	assert_non_null(j);
	sched_begin(s, j, now);
	end(before, now);
	return j;
}

static void the_next_of_a_lane_stands_by_at_its_batch_s_concurrency(void **arg)
{
	struct sched_lane *l = lane(batch(1, 2, 5), "a:80", 5);
	struct sched_job *x = pick(0), *y = pick(0), *j;

	(void)arg;
	assert_null(sched_pick(s, 0));
	assert_int_equal(sched_lane_first(l)->id, 3);
	j = sched_stand_by(s, l, 0);
	assert_int_equal(j->id, 3);
	assert_int_equal(sched_totals(s).in_flight, 2);
	assert_int_equal(sched_lane_loaded(l), 2);
	sched_begin(s, j, 7);
	end(x, 7);
	assert_int_equal(j->granted_us, 7);
	assert_int_equal(sched_totals(s).in_flight, 2);
	assert_null(sched_pick(s, 7));
	end(j, 8);
	end(y, 8);
	end(pick(8), 8);
	end(pick(8), 8);
	assert_null(sched_pick(s, 8));
}

static void a_chain_of_them_keeps_to_the_host_s_concurrency(void **arg)
{
	struct sched_lane *l;
	struct sched_job *j;

	(void)arg;
	sched_set_host_concurrency(s, 1);
	l = lane(batch(1, 0, 5), "a:80", 50);
	j = pick(0);
	assert_null(sched_pick(s, 0));
	for (int i = 1; i < 50; i++) {
		j = follow(j, i);
		assert_int_equal(sched_lane_in_flight(l), 1);
		assert_null(sched_pick(s, i));
	}
	assert_null(sched_stand_by(s, l, 50));
	assert_null(sched_lane_first(l));
	end(j, 50);
	assert_int_equal(sched_totals(s).in_flight, 0);
	push(l, 1, 51);
	end(pick(51), 51);
}

static void none_stands_by_while_there_is_room(void **arg)
{
	struct sched_lane *l = lane(batch(1, 3, 5), "a:80", 5);
	struct sched_lane *host = lane(batch(2, 0, 5), "b:80", 5);
	struct sched_job *x, *y;

	(void)arg;
	assert_null(sched_stand_by(s, l, 0)); /* and nothing in flight */
	x = pick_of(l, 0);
	y = pick_of(host, 0);
	assert_null(sched_stand_by(s, l, 0));
	assert_null(sched_stand_by(s, host, 0)); /* a host without a bound */
	end(x, 0);
	end(y, 0);
}

static void none_stands_by_while_more_are_in_flight_than_may_be_now(void **arg)
{
	struct sched_batch *b = batch(1, 3, 5);
	struct sched_lane *l = lane(b, "a:80", 9);
	struct sched_job *j[3] = {pick(0), pick(0), pick(0)};

	(void)arg;
	assert_null(sched_pick(s, 0));
	sched_batch_set(s, b, &(struct sched_batch_options){.concurrency = 2, .priority = 5}, 0);
	assert_null(sched_stand_by(s, l, 0));
	end(j[0], 0);
	assert_null(sched_pick(s, 0));
	end(follow(j[1], 0), 0);
	end(j[2], 0);
}

static void none_stands_by_where_another_lane_of_its_batch_waits(void **arg)
{
	struct sched_batch *b = batch(1, 1, 5);
	struct sched_lane *a = lane(b, "a:80", 5), *other = lane(b, "b:80", 1);
	struct sched_job *j = pick_of(a, 0);

	(void)arg;
	assert_null(sched_pick(s, 0));
	assert_null(sched_stand_by(s, a, 0));
	end(j, 0);
	j = pick_of(other, 0);
	assert_null(sched_pick(s, 0));
	assert_null(sched_stand_by(s, a, 0)); /* nothing of it is in flight */
	end(j, 0);
	j = pick_of(a, 0);
	assert_null(sched_pick(s, 0));
	end(follow(j, 0), 0);
}

static void none_stands_by_where_another_batch_or_key_waits_for_the_host(void **arg)
{
	struct sched_lane *a, *beside;
	struct sched_job *j;

	(void)arg;
	sched_set_host_concurrency(s, 1);
	a = lane_at(batch(1, 0, 5), "a:80", "a:80", 3);
	j = pick_of(a, 0);
	assert_null(sched_pick(s, 0));
	beside = lane_at(batch(2, 0, 5), "a:80", "a:80", 1);
	assert_null(sched_pick(s, 0));
	assert_null(sched_stand_by(s, a, 0));
	end(j, 0);
	j = pick_of(beside, 0);
	end(j, 0);
	j = pick_of(a, 0);
	lane_at(batch(3, 0, 5), "a:80/x", "a:80", 1);
	assert_null(sched_pick(s, 0));
	assert_null(sched_stand_by(s, a, 0));
	end(j, 0);
}

static void none_stands_by_under_a_limit_or_in_a_paused_batch(void **arg)
{
	struct sched_batch *b = batch(1, 1, 5);
	struct sched_lane *l = lane(b, "a:80", 5);
	struct sched_limit *limit = under("a:80", 100, S);
	struct sched_job *j = pick(0);

	(void)arg;
	assert_null(sched_pick(s, 0));
	assert_null(sched_stand_by(s, l, 0));
	set_limits("a:80", NULL);
	assert_null(sched_pick(s, 0));
	sched_batch_set(s, b, &(struct sched_batch_options){.concurrency = 1, .priority = 5, .paused = true}, 0);
	assert_null(sched_stand_by(s, l, 0));
	sched_batch_set(s, b, &(struct sched_batch_options){.concurrency = 1, .priority = 5}, 0);
	assert_null(sched_pick(s, 0));
	end(follow(j, 0), 0);
	sched_limit_free(s, limit, 0);
}

static void one_that_begins_counts_in_a_limit_that_came_meanwhile(void **arg)
{
	struct sched_lane *l = lane(batch(1, 1, 5), "a:80", 5);
	struct sched_job *first = pick(0), *j;

	(void)arg;
	assert_null(sched_pick(s, 0));
	j = sched_stand_by(s, l, 0);
	under("a:80", 2, S);
	sched_begin(s, j, 1);
	end(first, 1);
	end(j, 2);
	/* Both count: one since it came in flight, the other since it began. */
	assert_null(sched_pick(s, 3));
	assert_int_equal(sched_lane_wait(s, l, 3).wait, SCHED_LIMITED);
}

static void one_that_is_given_back_leaves_no_trace(void **arg)
{
	struct sched_lane *l = lane(batch(1, 1, 5), "a:80", 3);
	struct sched_job *first = pick(0), *j;

	(void)arg;
	assert_null(sched_pick(s, 0));
	j = sched_stand_by(s, l, 0);
	sched_begin(s, j, 0);
	assert_int_equal(sched_totals(s).in_flight, 2);
	sched_refund(s, j, 1);
	assert_int_equal(sched_totals(s).in_flight, 1);
	assert_null(sched_pick(s, 1));
	free(j);
	end(first, 1);
	end(pick(1), 1);
}

static void what_stands_by_is_paid_for(void **arg)
{
	struct sched_lane *busy = lane(batch(1, 1, 5), "a:80", 40), *late;
	struct sched_job *j = pick(0);
	int of_late = 0;

	(void)arg;
	for (int i = 0; i < 10; i++) {
		assert_null(sched_pick(s, i));
		j = follow(j, i);
	}
	end(j, 10);
	late = lane(batch(2, 1, 5), "a:80", 10);
	for (int i = 0; i < 8; i++) {
		j = pick(11);
		of_late += j->lane == late;
		end(j, 11);
	}
	assert_in_range(of_late, 4, 5);
	assert_true(sched_lane_loaded(busy) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(the_next_of_a_lane_stands_by_at_its_batch_s_concurrency),
	    TEST(a_chain_of_them_keeps_to_the_host_s_concurrency),
	    TEST(none_stands_by_while_there_is_room),
	    TEST(none_stands_by_while_more_are_in_flight_than_may_be_now),
	    TEST(none_stands_by_where_another_lane_of_its_batch_waits),
	    TEST(none_stands_by_where_another_batch_or_key_waits_for_the_host),
	    TEST(none_stands_by_under_a_limit_or_in_a_paused_batch),
	    TEST(one_that_begins_counts_in_a_limit_that_came_meanwhile),
	    TEST(one_that_is_given_back_leaves_no_trace),
	    TEST(what_stands_by_is_paid_for),
	};

	return cmocka_run_group_tests_name("sched_standby", tests, NULL, NULL);
}
