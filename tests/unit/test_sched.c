/* Which job goes next: order, turns, shares, caps, limits, windows, against a fake clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/sched.h"
#include "lib/clock.h"

enum { S = 1000000 };

static struct sched *s;
static uint64_t next_id;
static int64_t next_lane;

static int set_up(void **arg)
{
	(void)arg;
	s = sched_create(&(struct sched_settings){.host_concurrency = 0, .window_total = 1000, .window_lane_max = 100});
	next_id = 1;
	next_lane = 1;
	return 0;
}

static int tear_down(void **arg)
{
	(void)arg;
	sched_free(s);
	return 0;
}

static struct sched_batch *batch(uint32_t id, unsigned concurrency, unsigned priority)
{
	return sched_batch_add(s, id, &(struct sched_batch_options){.concurrency = concurrency, .priority = priority});
}

static void push(struct sched_lane *l, int n, int64_t now)
{
	while (n-- > 0) {
		struct sched_job *j = calloc(1, sizeof(*j));

		j->id = next_id++;
		sched_push(s, l, j, now);
	}
}

static struct sched_lane *lane(struct sched_batch *b, const char *key, int jobs)
{
	struct sched_lane *l = sched_lane_add(s, next_lane++, b, key, key, NULL);

	push(l, jobs, 0);
	return l;
}

static struct sched_job *pick(int64_t now)
{
	struct sched_job *j = sched_pick(s, now);

	assert_non_null(j);
	return j;
}

static void end(struct sched_job *j, int64_t now)
{
	sched_ended(s, j, now, now);
	free(j);
}

/* Picks and ends n jobs one after the other; returns how many were of that lane. */
static int served(const struct sched_lane *l, int n)
{
	int count = 0;

	while (n-- > 0) {
		struct sched_job *j = pick(0);

		count += j->lane == l;
		end(j, 0);
	}
	return count;
}

static struct sched_limit *limit_of(int64_t count, int64_t window_us)
{
	return sched_limit_create(s, &(struct limit_rule){.rates = {{count, window_us}}, .rate_count = 1}, NULL);
}

/* The key under these limits and no others; ends with NULL. */
#define set_limits(key, ...) set_list(key, (struct sched_limit *[]){__VA_ARGS__})
static void set_list(const char *key, struct sched_limit *const *list)
{
	unsigned n = 0;

	while (list[n])
		n++;
	sched_key_limits(s, key, list, n, 0);
}

static struct sched_limit *under(const char *key, int64_t count, int64_t window_us)
{
	struct sched_limit *l = limit_of(count, window_us);

	set_limits(key, l, NULL);
	return l;
}

static enum sched_wait waits_for(const struct sched_lane *l, int64_t now, int64_t until)
{
	struct sched_waiting w = sched_lane_wait(s, l, now);

	assert_int_equal(w.until_us, until);
	return w.wait;
}

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

/* ---- limits ---- */

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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

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
	    TEST(a_limited_key_says_when_to_ask_again),
	    TEST(without_limits_there_is_no_time_to_wait_for),
	    TEST(an_end_that_was_counted_earlier_wakes_the_key_earlier),
	    TEST(nothing_is_counted_before_it_was_granted),
	    TEST(a_refund_lets_the_next_go_at_once),
	    TEST(a_job_knows_how_long_a_limit_held_it_up),
	    TEST(waiting_for_concurrency_is_not_waiting_for_a_limit),
	    TEST(a_window_full_of_requests_in_flight_is_the_limits_doing),
	    TEST(what_a_limit_remembers_outlives_the_lanes_of_its_key),
	    TEST(a_rule_counts_what_was_in_flight_when_it_came),
	    TEST(a_rule_taken_away_lets_its_key_go),
	    TEST(a_lane_with_more_is_hungry_until_its_window_is_half_full),
	    TEST(lanes_share_the_window_and_are_hungry_in_turn),
	    TEST(however_many_lanes_each_may_hold_a_few),
	    TEST(a_loaded_job_can_be_taken_out_wherever_it_is),
	    TEST(the_last_job_can_be_taken_from_a_parked_lane),
	    TEST(a_removed_lane_hands_back_its_loaded_jobs_in_order),
	    TEST(lanes_can_be_removed_hungry_parked_and_limited),
	    TEST(adding_what_exists_returns_it),
	    TEST(a_batchs_lanes_can_be_walked),
	    TEST(a_lane_says_what_it_waits_for),
	    TEST(totals_follow_every_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
