/* Limits that several keys share and keys that have several: who waits, whose turn it is, what counts where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "tests/unit/test_sched.h"

static struct sched_lane *lane_alone(const char *key, int jobs)
{
	return lane_at(batch(1, 0, 5), key, key, jobs);
}

static struct sched_limit *at_once(unsigned concurrency)
{
	return sched_limit_create(s, &(struct limit_rule){.concurrency = concurrency}, NULL);
}

static unsigned in_flight(const struct sched_limit *l)
{
	return limit_in_flight(sched_limit_state(l));
}

/* ---- several limits, several keys ---- */

static void a_key_goes_when_all_its_limits_agree_and_all_count_it(void **arg)
{
	struct sched_limit *wide = limit_of(3, 10 * S), *narrow = limit_of(1, 2 * S);

	(void)arg;
	lane_alone("a:80", 10);
	set_limits("a:80", wide, narrow, NULL);
	end(pick(0), 0);
	assert_null(sched_pick(s, 1 * S));
	assert_int_equal(sched_wake_us(s, 1 * S), 2 * S);
	end(pick(2 * S), 2 * S);
	end(pick(4 * S), 4 * S);
	assert_null(sched_pick(s, 6 * S)); /* the narrow one would */
	assert_int_equal(sched_wake_us(s, 6 * S), 10 * S);
}

static void keys_that_share_a_limit_are_counted_together(void **arg)
{
	struct sched_limit *l = limit_of(3, 10 * S);

	(void)arg;
	lane_alone("a:80", 10);
	lane_alone("b:80", 10);
	set_limits("a:80", l, NULL);
	set_limits("b:80", l, NULL);
	for (int i = 0; i < 3; i++)
		end(pick(0), 0);
	assert_null(sched_pick(s, 9 * S));
	assert_int_equal(sched_limit_line(l), 2);
	assert_int_equal(sched_limit_keys(l), 2);
	end(pick(10 * S), 10 * S);
}

static void every_loaded_job_behind_a_limit_waits_for_it_but_for_those_that_wait_for_their_batch(void **arg)
{
	const struct sched_batch_options paused = {.priority = 5, .paused = true};
	struct sched_batch *held = batch(90, 0, 5);
	struct sched_limit *l = limit_of(3, 10 * S);

	(void)arg;
	sched_batch_set(s, held, &paused, 0);
	lane_alone("a:80", 10);
	lane_alone("b:80", 4);
	lane_at(batch(91, 0, 5), "b:80", "b:80", 7);
	lane_at(held, "b:80", "b:80", 5);
	set_limits("a:80", l, NULL);
	set_limits("b:80", l, NULL);
	assert_int_equal(sched_limit_waiting(l), 0);
	for (int i = 0; i < 3; i++)
		end(pick(0), 0);
	assert_null(sched_pick(s, 9 * S));
	assert_int_equal(sched_limit_waiting(l), 10 + 4 + 7 - 3);
	end(pick(10 * S), 10 * S);
}

static void what_goes_before_the_last_job_of_a_batch_is_its_rivals_share(void **arg)
{
	struct sched_batch *a = batch(90, 0, 5);
	struct sched_limit *l = limit_of(3, 10 * S);

	(void)arg;
	lane_at(a, "a:80", "a:80", 10);
	set_limits("a:80", l, NULL);
	assert_int_equal(sched_limit_rivals(l, a, 10), 0);
	lane_at(batch(91, 0, 5), "a:80", "a:80", 4); /* all of a smaller one */
	assert_int_equal(sched_limit_rivals(l, a, 10), 4);
	lane_at(batch(92, 0, 6), "a:80", "a:80", 40); /* twice the share */
	assert_int_equal(sched_limit_rivals(l, a, 10), 4 + 20);
	lane_alone("b:80", 50); /* another key gets as much as this one at most */
	set_limits("b:80", l, NULL);
	assert_int_equal(sched_limit_rivals(l, a, 10), 2 * (4 + 20) + 10);
}

static void keys_that_share_a_limit_take_turns(void **arg)
{
	static const char *const keys[] = {"a:80", "b:80", "c:80", "a:80", "b:80", "c:80", "a:80"};
	struct sched_limit *l = limit_of(1, S);

	(void)arg;
	for (int i = 0; i < 3; i++) {
		lane_alone(keys[i], 10);
		set_limits(keys[i], l, NULL);
	}
	for (int i = 0; i < 7; i++) {
		struct sched_job *j = pick((int64_t)i * S);

		assert_string_equal(sched_lane_key(j->lane), keys[i]);
		assert_null(sched_pick(s, (int64_t)i * S));
		end(j, (int64_t)i * S);
	}
}

static void a_key_that_went_does_not_overtake_those_that_wait_though_nobody_asked_meanwhile(void **arg)
{
	struct sched_lane *a = lane_alone("a:80", 10), *b = lane_alone("b:80", 10);
	struct sched_limit *l = limit_of(1, S);

	(void)arg;
	set_limits("a:80", l, NULL);
	set_limits("b:80", l, NULL);
	for (int64_t now = 0; now < 40 * S; now += 10 * S) { /* workers are busy for long */
		end(pick_of(a, now), now);
		end(pick_of(b, now + 5 * S), now + 5 * S);
	}
}

static void a_thousand_keys_on_one_limit_all_get_the_same(void **arg)
{
	struct sched_limit *l = limit_of(100, S);
	int64_t now = 0;
	char key[16];

	(void)arg;
	for (int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "h%d:80", i);
		lane_alone(key, 3);
		set_limits(key, l, NULL);
	}
	for (int i = 0; i < 2000; i++) {
		struct sched_job *j = sched_pick(s, now);

		if (!j) {
			now = sched_wake_us(s, now);
			j = pick(now);
		}
		end(j, now);
	}
	for (int64_t i = 1; i <= 1000; i++)
		assert_int_equal(sched_lane_loaded(sched_lane_find(s, i)), 1);
	assert_in_range(now, 19 * S, 19 * S + 1);
}

static void a_key_held_by_one_limit_leaves_the_room_of_another_to_others(void **arg)
{
	struct sched_lane *b = lane_at(batch(1, 0, 5), "b:80", "b:80", 10);
	struct sched_limit *shared = limit_of(5, S), *own = limit_of(1, 3600LL * S);

	(void)arg;
	lane_alone("a:80", 10);
	set_limits("a:80", own, shared, NULL);
	set_limits("b:80", shared, NULL);
	end(pick(0), 0);
	end(pick(0), 0);
	for (int i = 0; i < 3; i++)
		end(pick_of(b, 0), 0);
	assert_null(sched_pick(s, 0));
	for (int i = 0; i < 5; i++)
		end(pick_of(b, 1 * S), 1 * S);
	assert_null(sched_pick(s, 1 * S));
	assert_int_equal(sched_limit_line(own), 1);
}

static void a_key_that_needs_two_busy_limits_lets_others_use_the_one_that_is_free(void **arg)
{
	struct sched_lane *a = lane_alone("a:80", 10), *b, *c;
	struct sched_limit *first = limit_of(1, 2 * S), *second = limit_of(1, 3 * S);

	(void)arg;
	set_limits("a:80", first, second, NULL);
	end(pick(0), 0);
	assert_null(sched_pick(s, 0)); /* a waits for the second */
	b = lane_alone("b:80", 1);
	c = lane_alone("c:80", 1);
	set_limits("b:80", first, NULL);
	set_limits("c:80", second, NULL);
	end(pick_of(b, 2 * S), 2 * S);
	assert_null(sched_pick(s, 2 * S));
	end(pick_of(c, 3 * S), 3 * S); /* a was first in that line, but the other is taken until 4 s */
	assert_null(sched_pick(s, 4 * S));
	end(pick_of(a, 6 * S), 6 * S); /* the first time that both have room */
}

static void of_two_keys_that_may_go_the_one_that_waits_longer_goes(void **arg)
{
	struct sched_limit *own = limit_of(1, 2 * S), *shared = limit_of(1, 3 * S);
	struct sched_lane *a = lane_alone("a:80", 10), *b, *c;

	(void)arg;
	set_limits("a:80", own, shared, NULL);
	end(pick(0), 0);
	assert_null(sched_pick(s, 0)); /* a waits in the line of the shared one */
	b = lane_alone("b:80", 10);
	set_limits("b:80", shared, NULL);
	assert_null(sched_pick(s, 1 * S));
	end(pick_of(a, 3 * S), 3 * S);
	assert_null(sched_pick(s, 3 * S));
	c = lane_alone("c:80", 10);
	set_limits("c:80", shared, NULL);
	end(pick_of(b, 6 * S), 6 * S);
	end(pick_of(a, 9 * S), 9 * S);
	end(pick_of(c, 12 * S), 12 * S);
}

static void a_limit_counts_once_however_often_it_is_named(void **arg)
{
	struct sched_limit *l = limit_of(2, S);

	(void)arg;
	lane_alone("a:80", 10);
	set_limits("a:80", l, l, l, NULL);
	end(pick(0), 0);
	end(pick(0), 0);
	assert_null(sched_pick(s, 0));
}

/* ---- lists that change ---- */

static void a_job_ends_in_the_limits_that_granted_it_whatever_the_list_is_by_then(void **arg)
{
	struct sched_limit *before = at_once(5), *after = at_once(5);
	struct sched_job *j;

	(void)arg;
	lane_alone("a:80", 10);
	set_limits("a:80", before, NULL);
	j = pick(0);
	set_limits("a:80", after, NULL);
	assert_int_equal(in_flight(before), 1);
	assert_int_equal(in_flight(after), 1); /* it is in flight there too from now on */
	end(j, 0);
	assert_int_equal(in_flight(before), 0);
	assert_int_equal(in_flight(after), 0);
}

static void a_list_that_changes_back_and_forth_counts_a_job_once(void **arg)
{
	struct sched_limit *one = at_once(5), *two = at_once(5);
	struct sched_job *j[3];

	(void)arg;
	lane_alone("a:80", 10);
	j[0] = pick(0);
	set_limits("a:80", one, NULL);
	j[1] = pick(0);
	set_limits("a:80", two, NULL);
	set_limits("a:80", NULL);
	set_limits("a:80", two, one, NULL);
	set_limits("a:80", one, two, NULL);
	j[2] = pick(0);
	assert_int_equal(in_flight(one), 3);
	assert_int_equal(in_flight(two), 3);
	for (int i = 0; i < 3; i++)
		end(j[i], 0);
	assert_int_equal(in_flight(one), 0);
	assert_int_equal(in_flight(two), 0);
}

static void a_job_in_flight_can_count_against_a_limit_that_its_key_does_not_have(void **arg)
{
	struct sched_limit *host = at_once(5), *path = limit_of(1, 10 * S);
	struct sched_job *j;

	(void)arg;
	lane_alone("a:80", 1);
	set_limits("a:80", host, NULL);
	j = pick(0);
	sched_job_count(s, j, path);
	sched_job_count(s, j, path);
	sched_job_count(s, j, host);
	assert_int_equal(in_flight(host), 1);
	assert_int_equal(in_flight(path), 1);
	lane_at(batch(1, 0, 5), "a:80/v1", "a:80", 1);
	set_limits("a:80/v1", host, path, NULL);
	assert_null(sched_pick(s, 0));
	end(j, 3 * S);
	assert_int_equal(in_flight(host), 0);
	assert_null(sched_pick(s, 3 * S));
	end(pick(13 * S), 13 * S);
}

static void a_refund_gives_back_in_the_limits_that_granted(void **arg)
{
	struct sched_limit *one = limit_of(1, S), *two = limit_of(1, S);
	struct sched_job *j;

	(void)arg;
	lane_alone("a:80", 1);
	set_limits("a:80", one, NULL);
	j = pick(0);
	set_limits("a:80", one, two, NULL);
	sched_refund(s, j, 0);
	sched_push(s, j->lane, j, 0);
	end(pick(0), 0);
}

static void a_freed_limit_is_gone_from_its_keys_and_the_jobs_it_granted_end(void **arg)
{
	struct sched_limit *gone = at_once(1), *stays = at_once(2);
	struct sched_job *a, *b;

	(void)arg;
	lane_alone("a:80", 10);
	lane_alone("b:80", 10);
	set_limits("a:80", gone, stays, NULL);
	set_limits("b:80", gone, NULL);
	a = pick(0);
	assert_null(sched_pick(s, 0));
	sched_limit_free(s, gone, 0);
	b = pick(0);
	end(a, 0);
	end(b, 0);
	for (int i = 0; i < 4; i++)
		end(pick(0), 0);
	assert_int_equal(in_flight(stays), 0);
	assert_int_equal(sched_totals(s).limits, 1);
}

static void limits_can_be_set_before_a_key_has_lanes_and_outlive_them(void **arg)
{
	struct sched_limit *l = limit_of(1, 10 * S);
	struct sched_lane *a;

	(void)arg;
	set_limits("a:80", l, NULL);
	assert_int_equal(sched_totals(s).keys, 1);
	a = lane_alone("a:80", 1);
	end(pick(0), 0);
	assert_null(sched_lane_remove(s, a));
	lane_alone("a:80", 1);
	assert_null(sched_pick(s, 9 * S));
	end(pick(10 * S), 10 * S);
}

static void keys_can_be_walked_and_forgotten_when_their_lanes_are_gone(void **arg)
{
	struct sched_limit *l = limit_of(1, 10 * S);
	struct sched_lane *a = lane_at(batch(1, 0, 5), "a:80/x", "a:80", 0);
	unsigned seen = 0;

	(void)arg;
	set_limits("a:80/x", l, NULL);
	set_limits("b:80", l, NULL);
	assert_null(sched_lane_remove(s, a));
	for (struct sched_key *k = sched_key_next(s, NULL), *next; k; k = next) {
		next = sched_key_next(s, k);
		assert_ptr_equal(sched_key_limit_at(k, 0), l);
		assert_null(sched_key_limit_at(k, 1));
		assert_int_equal(sched_key_lanes(k), 0);
		if (strcmp(sched_key_name(k), "a:80/x") == 0)
			assert_string_equal(sched_key_host(k), "a:80");
		else
			assert_null(sched_key_host(k));
		sched_key_limits(s, sched_key_name(k), NULL, 0, 0);
		seen++;
	}
	assert_int_equal(seen, 2);
	assert_int_equal(sched_totals(s).keys, 0);
	assert_int_equal(sched_totals(s).hosts, 0);
	assert_ptr_equal(sched_limit_next(s, NULL), l);
	assert_null(sched_limit_next(s, l));
	assert_true(sched_limit_idle(l, 0));
	sched_limit_seen(s, l, 5 * S);
	assert_false(sched_limit_idle(l, 6 * S));
	assert_true(sched_limit_idle(l, 15 * S));
}

static void everything_can_be_torn_down_while_jobs_are_in_flight(void **arg)
{
	struct sched_limit *l = at_once(2), *m = at_once(2);
	struct sched_job *a, *b;

	(void)arg;
	lane_alone("a:80", 10);
	lane_alone("b:80", 10);
	set_limits("a:80", l, m, NULL);
	set_limits("b:80", m, NULL);
	a = pick(0);
	b = pick(0);
	assert_null(sched_pick(s, 0));
	sched_limit_free(s, l, 0);
	sched_free(s);
	free(a);
	free(b);
	s = sched_create(&(struct sched_settings){.window_total = 10, .window_lane_max = 10});
}

/* ---- what wakes a key ---- */

static void a_loosened_rule_lets_its_keys_go_at_once(void **arg)
{
	struct sched_limit *l = limit_of(1, 3600LL * S);

	(void)arg;
	lane_alone("a:80", 10);
	lane_alone("b:80", 10);
	set_limits("a:80", l, NULL);
	set_limits("b:80", l, NULL);
	end(pick(0), 0);
	assert_null(sched_pick(s, 0));
	sched_limit_change(s, l, &(struct limit_rule){.rates = {{3, 3600LL * S}}, .rate_count = 1}, 1);
	end(pick(1), 1);
	end(pick(1), 1);
	assert_null(sched_pick(s, 1));
}

static void a_pause_holds_all_keys_and_lets_one_probe_go_for_all(void **arg)
{
	struct sched_limit *l = sched_limit_create(s, &(struct limit_rule){0}, NULL);
	struct sched_job *probe;

	(void)arg;
	lane_alone("a:80/x", 10);
	lane_alone("a:80/y", 10);
	lane_alone("b:80", 2);
	set_limits("a:80/x", l, NULL);
	set_limits("a:80/y", l, NULL);
	sched_limit_pause(s, l, 10 * S);
	end(pick(0), 0); /* another host goes on */
	end(pick(0), 0);
	assert_null(sched_pick(s, 0));
	assert_int_equal(sched_wake_us(s, 0), 10 * S);
	probe = pick(10 * S);
	assert_null(sched_pick(s, 11 * S));
	assert_int_equal(sched_wake_us(s, 11 * S), CLOCK_NEVER);
	sched_limit_pause(s, l, 20 * S); /* refused again */
	end(probe, 11 * S);
	assert_null(sched_pick(s, 11 * S));
	probe = pick(20 * S);
	assert_true(sched_limit_recovered(s, l, probe->granted_us));
	for (int i = 0; i < 18; i++)
		end(pick(20 * S), 20 * S);
	end(probe, 20 * S);
}

static void a_lifted_pause_wakes_its_keys_for_one_probe(void **arg)
{
	struct sched_limit *l = sched_limit_create(s, &(struct limit_rule){0}, NULL);
	struct sched_job *probe;

	(void)arg;
	lane_alone("a:80", 10);
	set_limits("a:80", l, NULL);
	sched_limit_pause(s, l, 3600LL * S);
	assert_null(sched_pick(s, 0));
	sched_limit_resume(s, l, 0);
	probe = pick(0);
	assert_null(sched_pick(s, 0));
	assert_true(sched_limit_recovered(s, l, probe->granted_us));
	end(pick(0), 0);
	end(pick(0), 0);
	end(probe, 0);
}

static void a_learned_rate_holds_until_it_expires_or_is_forgotten(void **arg)
{
	struct sched_limit *l = sched_limit_create(s, &(struct limit_rule){0}, NULL);

	(void)arg;
	lane_alone("a:80", 10);
	set_limits("a:80", l, NULL);
	sched_limit_learn_rate(s, l, &(struct rate){1, 60LL * S}, 0, 30LL * S);
	end(pick(0), 0);
	assert_null(sched_pick(s, 0));
	assert_int_equal(sched_wake_us(s, 0), 30LL * S);
	sched_limit_learn_rate(s, l, NULL, 1 * S, 0);
	end(pick(1 * S), 1 * S);
}

static void what_was_seen_before_holds_a_key_that_comes(void **arg)
{
	struct sched_limit *l = limit_of(2, 10 * S);

	(void)arg;
	sched_limit_seen(s, l, 3 * S);
	sched_limit_seen(s, l, 1 * S);
	lane_alone("a:80", 10);
	set_limits("a:80", l, NULL);
	assert_null(sched_pick(s, 5 * S));
	assert_int_equal(sched_wake_us(s, 5 * S), 11 * S);
}

/* ---- explaining ---- */

static void a_lane_names_the_limit_that_holds_it(void **arg)
{
	struct sched_lane *a = lane_alone("a:80", 10);
	struct sched_limit *rate = limit_of(1, 10 * S), *cap = at_once(1);
	struct sched_waiting w;
	struct sched_job *j;

	(void)arg;
	set_limits("a:80", cap, rate, NULL);
	assert_int_equal(sched_lane_wait(s, a, 0).wait, SCHED_READY);
	j = pick(0);
	w = sched_lane_wait(s, a, 0);
	assert_int_equal(w.wait, SCHED_LIMIT_CAP);
	assert_ptr_equal(w.limit, cap);
	end(j, 1 * S);
	w = sched_lane_wait(s, a, 1 * S);
	assert_int_equal(w.wait, SCHED_LIMITED);
	assert_int_equal(w.hold, LIMIT_RATE);
	assert_ptr_equal(w.limit, rate);
	assert_int_equal(w.until_us, 11 * S);
	sched_limit_pause(s, cap, 20 * S);
	w = sched_lane_wait(s, a, 1 * S);
	assert_int_equal(w.hold, LIMIT_PAUSE);
	assert_ptr_equal(w.limit, cap);
	assert_string_equal(sched_wait_name(SCHED_LIMIT_CAP), "limit_cap");
	assert_string_equal(sched_lane_host(a), "a:80");
}

static void waiting_in_the_line_of_a_shared_limit_is_the_limits_doing(void **arg)
{
	struct sched_limit *l = limit_of(1, S);
	struct sched_lane *b;
	struct sched_job *j;

	(void)arg;
	lane_alone("a:80", 1);
	b = lane_alone("b:80", 1);
	lane_alone("c:80", 1);
	set_limits("a:80", l, NULL);
	set_limits("b:80", l, NULL);
	set_limits("c:80", l, NULL);
	end(pick(0), 0);
	assert_null(sched_pick(s, 0));
	j = pick_of(b, 1 * S);
	assert_int_equal(j->limited_us, 1 * S);
	end(j, 1 * S);
	assert_null(sched_pick(s, 1 * S));
	j = pick(5 * S); /* asked late: from 2 to 5 s it could have gone */
	assert_int_equal(j->limited_us, 2 * S);
	end(j, 5 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST_WIDE(a_key_goes_when_all_its_limits_agree_and_all_count_it),
	    TEST_WIDE(keys_that_share_a_limit_are_counted_together),
	    TEST_WIDE(every_loaded_job_behind_a_limit_waits_for_it_but_for_those_that_wait_for_their_batch),
	    TEST_WIDE(what_goes_before_the_last_job_of_a_batch_is_its_rivals_share),
	    TEST_WIDE(keys_that_share_a_limit_take_turns),
	    TEST_WIDE(a_key_that_went_does_not_overtake_those_that_wait_though_nobody_asked_meanwhile),
	    TEST_WIDE(a_thousand_keys_on_one_limit_all_get_the_same),
	    TEST_WIDE(a_key_held_by_one_limit_leaves_the_room_of_another_to_others),
	    TEST_WIDE(a_key_that_needs_two_busy_limits_lets_others_use_the_one_that_is_free),
	    TEST_WIDE(of_two_keys_that_may_go_the_one_that_waits_longer_goes),
	    TEST_WIDE(a_limit_counts_once_however_often_it_is_named),
	    TEST_WIDE(a_job_ends_in_the_limits_that_granted_it_whatever_the_list_is_by_then),
	    TEST_WIDE(a_list_that_changes_back_and_forth_counts_a_job_once),
	    TEST_WIDE(a_job_in_flight_can_count_against_a_limit_that_its_key_does_not_have),
	    TEST_WIDE(a_refund_gives_back_in_the_limits_that_granted),
	    TEST_WIDE(a_freed_limit_is_gone_from_its_keys_and_the_jobs_it_granted_end),
	    TEST_WIDE(limits_can_be_set_before_a_key_has_lanes_and_outlive_them),
	    TEST_WIDE(keys_can_be_walked_and_forgotten_when_their_lanes_are_gone),
	    TEST_WIDE(everything_can_be_torn_down_while_jobs_are_in_flight),
	    TEST_WIDE(a_loosened_rule_lets_its_keys_go_at_once),
	    TEST_WIDE(a_pause_holds_all_keys_and_lets_one_probe_go_for_all),
	    TEST_WIDE(a_lifted_pause_wakes_its_keys_for_one_probe),
	    TEST_WIDE(a_learned_rate_holds_until_it_expires_or_is_forgotten),
	    TEST_WIDE(what_was_seen_before_holds_a_key_that_comes),
	    TEST_WIDE(a_lane_names_the_limit_that_holds_it),
	    TEST_WIDE(waiting_in_the_line_of_a_shared_limit_is_the_limits_doing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
