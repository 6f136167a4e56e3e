/* Limits that several keys share, keys that have several, hosts that have several keys: who waits for what, whose turn
 * it is, and what counts where. */
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
	s = sched_create(&(struct sched_settings){.window_total = 100000, .window_lane_max = 1000});
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

static struct sched_batch *batch(uint32_t id, unsigned concurrency)
{
	return sched_batch_add(s, id, &(struct sched_batch_options){.concurrency = concurrency, .priority = 5});
}

static struct sched_lane *lane_at(struct sched_batch *b, const char *key, const char *host, int jobs)
{
	struct sched_lane *l = sched_lane_add(s, next_lane++, b, key, host, NULL);

	while (jobs-- > 0) {
		struct sched_job *j = calloc(1, sizeof(*j));

		j->id = next_id++;
		sched_push(s, l, j, 0);
	}
	return l;
}

static struct sched_lane *lane(const char *key, int jobs)
{
	return lane_at(batch(1, 0), key, key, jobs);
}

static struct sched_limit *limit_of(int64_t count, int64_t window_us)
{
	return sched_limit_create(s, &(struct limit_rule){.rates = {{count, window_us}}, .rate_count = 1}, NULL);
}

static struct sched_limit *at_once(unsigned concurrency)
{
	return sched_limit_create(s, &(struct limit_rule){.concurrency = concurrency}, NULL);
}

/* The whole list of a key; ends with NULL. */
#define set_limits(key, ...) set_list(key, (struct sched_limit *[]){__VA_ARGS__})
static void set_list(const char *key, struct sched_limit *const *list)
{
	unsigned n = 0;

	while (list[n])
		n++;
	sched_key_limits(s, key, list, n, 0);
}

static struct sched_job *pick(int64_t now)
{
	struct sched_job *j = sched_pick(s, now);

	assert_non_null(j);
	return j;
}

static struct sched_job *pick_of(const struct sched_lane *l, int64_t now)
{
	struct sched_job *j = pick(now);

	assert_string_equal(sched_lane_key(j->lane), sched_lane_key(l));
	return j;
}

static void end(struct sched_job *j, int64_t now)
{
	sched_ended(s, j, now, now);
	free(j);
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
	lane("a:80", 10);
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
	lane("a:80", 10);
	lane("b:80", 10);
	set_limits("a:80", l, NULL);
	set_limits("b:80", l, NULL);
	for (int i = 0; i < 3; i++)
		end(pick(0), 0);
	assert_null(sched_pick(s, 9 * S));
	assert_int_equal(sched_limit_line(l), 2);
	assert_int_equal(sched_limit_keys(l), 2);
	end(pick(10 * S), 10 * S);
}

static void keys_that_share_a_limit_take_turns(void **arg)
{
	static const char *const keys[] = {"a:80", "b:80", "c:80", "a:80", "b:80", "c:80", "a:80"};
	struct sched_limit *l = limit_of(1, S);

	(void)arg;
	for (int i = 0; i < 3; i++) {
		lane(keys[i], 10);
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
	struct sched_lane *a = lane("a:80", 10), *b = lane("b:80", 10);
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
		lane(key, 3);
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
	struct sched_lane *b = lane_at(batch(1, 0), "b:80", "b:80", 10);
	struct sched_limit *shared = limit_of(5, S), *own = limit_of(1, 3600LL * S);

	(void)arg;
	lane("a:80", 10);
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
	struct sched_lane *a = lane("a:80", 10), *b, *c;
	struct sched_limit *first = limit_of(1, 2 * S), *second = limit_of(1, 3 * S);

	(void)arg;
	set_limits("a:80", first, second, NULL);
	end(pick(0), 0);
	assert_null(sched_pick(s, 0)); /* a waits for the second */
	b = lane("b:80", 1);
	c = lane("c:80", 1);
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
	struct sched_lane *a = lane("a:80", 10), *b, *c;

	(void)arg;
	set_limits("a:80", own, shared, NULL);
	end(pick(0), 0);
	assert_null(sched_pick(s, 0)); /* a waits in the line of the shared one */
	b = lane("b:80", 10);
	set_limits("b:80", shared, NULL);
	assert_null(sched_pick(s, 1 * S));
	end(pick_of(a, 3 * S), 3 * S);
	assert_null(sched_pick(s, 3 * S));
	c = lane("c:80", 10);
	set_limits("c:80", shared, NULL);
	end(pick_of(b, 6 * S), 6 * S);
	end(pick_of(a, 9 * S), 9 * S);
	end(pick_of(c, 12 * S), 12 * S);
}

static void a_limit_counts_once_however_often_it_is_named(void **arg)
{
	struct sched_limit *l = limit_of(2, S);

	(void)arg;
	lane("a:80", 10);
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
	lane("a:80", 10);
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
	lane("a:80", 10);
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
	lane("a:80", 1);
	set_limits("a:80", host, NULL);
	j = pick(0);
	sched_job_count(s, j, path);
	sched_job_count(s, j, path);
	sched_job_count(s, j, host);
	assert_int_equal(in_flight(host), 1);
	assert_int_equal(in_flight(path), 1);
	lane_at(batch(1, 0), "a:80/v1", "a:80", 1);
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
	lane("a:80", 1);
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
	lane("a:80", 10);
	lane("b:80", 10);
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
	a = lane("a:80", 1);
	end(pick(0), 0);
	assert_null(sched_lane_remove(s, a));
	lane("a:80", 1);
	assert_null(sched_pick(s, 9 * S));
	end(pick(10 * S), 10 * S);
}

static void keys_can_be_walked_and_forgotten_when_their_lanes_are_gone(void **arg)
{
	struct sched_limit *l = limit_of(1, 10 * S);
	struct sched_lane *a = lane_at(batch(1, 0), "a:80/x", "a:80", 0);
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
	lane("a:80", 10);
	lane("b:80", 10);
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
	lane("a:80", 10);
	lane("b:80", 10);
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
	lane("a:80/x", 10);
	lane("a:80/y", 10);
	lane("b:80", 2);
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

static void a_lifted_pause_wakes_its_keys(void **arg)
{
	struct sched_limit *l = sched_limit_create(s, &(struct limit_rule){0}, NULL);

	(void)arg;
	lane("a:80", 10);
	set_limits("a:80", l, NULL);
	sched_limit_pause(s, l, 3600LL * S);
	assert_null(sched_pick(s, 0));
	sched_limit_resume(s, l);
	end(pick(0), 0);
	end(pick(0), 0);
}

static void a_learned_rate_holds_until_it_expires_or_is_forgotten(void **arg)
{
	struct sched_limit *l = sched_limit_create(s, &(struct limit_rule){0}, NULL);

	(void)arg;
	lane("a:80", 10);
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
	lane("a:80", 10);
	set_limits("a:80", l, NULL);
	assert_null(sched_pick(s, 5 * S));
	assert_int_equal(sched_wake_us(s, 5 * S), 11 * S);
}

/* ---- explaining ---- */

static void a_lane_names_the_limit_that_holds_it(void **arg)
{
	struct sched_lane *a = lane("a:80", 10);
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
	lane("a:80", 1);
	b = lane("b:80", 1);
	lane("c:80", 1);
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

/* ---- hosts with several keys ---- */

static void the_default_concurrency_of_a_host_counts_over_its_keys(void **arg)
{
	struct sched_batch *b = batch(1, 0);
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
	struct sched_batch *b = batch(1, 0);

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
	struct sched_lane *own = lane_at(batch(1, 50), "a:80/x", "a:80", 3000);
	struct sched_lane *mixed = lane_at(batch(2, 0), "a:80/x", "a:80", 1000);
	struct sched_lane *plain = lane_at(batch(3, 0), "a:80/y", "a:80", 1000);
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
	struct sched_batch *b = batch(1, 0);
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
	struct sched_batch *b = batch(1, 0);
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(a_key_goes_when_all_its_limits_agree_and_all_count_it),
	    TEST(keys_that_share_a_limit_are_counted_together),
	    TEST(keys_that_share_a_limit_take_turns),
	    TEST(a_key_that_went_does_not_overtake_those_that_wait_though_nobody_asked_meanwhile),
	    TEST(a_thousand_keys_on_one_limit_all_get_the_same),
	    TEST(a_key_held_by_one_limit_leaves_the_room_of_another_to_others),
	    TEST(a_key_that_needs_two_busy_limits_lets_others_use_the_one_that_is_free),
	    TEST(of_two_keys_that_may_go_the_one_that_waits_longer_goes),
	    TEST(a_limit_counts_once_however_often_it_is_named),
	    TEST(a_job_ends_in_the_limits_that_granted_it_whatever_the_list_is_by_then),
	    TEST(a_list_that_changes_back_and_forth_counts_a_job_once),
	    TEST(a_job_in_flight_can_count_against_a_limit_that_its_key_does_not_have),
	    TEST(a_refund_gives_back_in_the_limits_that_granted),
	    TEST(a_freed_limit_is_gone_from_its_keys_and_the_jobs_it_granted_end),
	    TEST(limits_can_be_set_before_a_key_has_lanes_and_outlive_them),
	    TEST(keys_can_be_walked_and_forgotten_when_their_lanes_are_gone),
	    TEST(everything_can_be_torn_down_while_jobs_are_in_flight),
	    TEST(a_loosened_rule_lets_its_keys_go_at_once),
	    TEST(a_pause_holds_all_keys_and_lets_one_probe_go_for_all),
	    TEST(a_lifted_pause_wakes_its_keys),
	    TEST(a_learned_rate_holds_until_it_expires_or_is_forgotten),
	    TEST(what_was_seen_before_holds_a_key_that_comes),
	    TEST(a_lane_names_the_limit_that_holds_it),
	    TEST(waiting_in_the_line_of_a_shared_limit_is_the_limits_doing),
	    TEST(the_default_concurrency_of_a_host_counts_over_its_keys),
	    TEST(the_keys_of_a_host_at_its_concurrency_take_turns),
	    TEST(neither_kind_of_lane_starves_on_a_host_at_its_concurrency),
	    TEST(a_key_that_a_limit_holds_does_not_block_its_hosts_line),
	    TEST(a_raised_concurrency_lets_the_keys_of_a_host_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
