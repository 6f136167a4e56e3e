/* One rule against a fake clock: windows, concurrency, pace, pauses, refunds, changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "tests/unit/test_limit.h"

static void a_window_is_full_until_it_has_passed_since_the_response(void **arg)
{
	struct limit *l = limit_of(2, 10 * S);

	(void)arg;
	grant(l, 0);
	grant(l, 1 * S);
	limit_end(l, 3 * S, 0, 3 * S); /* the second sent is the first to end */
	limit_end(l, 4 * S, 0, 4 * S);
	assert_int_equal(limit_ask(l, 4 * S), 13 * S);
	assert_int_equal(limit_ask(l, 13 * S - 1), 13 * S);
	grant(l, 13 * S);
	assert_int_equal(limit_ask(l, 13 * S), 14 * S);
	grant(l, 14 * S);
	assert_int_equal(limit_ask(l, 14 * S), CLOCK_NEVER);
	limit_free(l);
}

static void a_request_in_flight_holds_its_slot_however_long_it_takes(void **arg)
{
	struct limit *l = limit_of(1, S);

	(void)arg;
	grant(l, 0);
	assert_int_equal(limit_ask(l, 3600LL * S), CLOCK_NEVER);
	limit_end(l, 3600LL * S, 0, 3599LL * S + 500000);
	assert_int_equal(limit_ask(l, 3600LL * S), 3600LL * S + 500000);
	limit_free(l);
}

static void a_response_known_late_counts_from_when_it_came(void **arg)
{
	struct limit *l = limit_of(1, S);

	(void)arg;
	grant(l, 0);
	limit_end(l, 5 * S, 0, 2 * S);
	grant(l, 5 * S);
	limit_free(l);
}

static void an_abort_holds_its_slot_for_the_safety_time_too(void **arg)
{
	struct limit *l = limit_of(1, S);

	(void)arg;
	grant(l, 0);
	limit_end(l, 1 * S, 0, 31 * S);
	assert_int_equal(limit_ask(l, 1 * S), 32 * S);
	assert_int_equal(limit_in_flight(l), 0);
	grant(l, 32 * S);
	limit_free(l);
}

static void slots_free_in_the_order_of_counting_not_of_ending(void **arg)
{
	static const int64_t counted_s[] = {9, 2, 7, 4, 8, 3};
	static const int64_t sorted_s[] = {2, 3, 4, 7, 8, 9};
	struct limit *l = limit_of(6, 10 * S);

	(void)arg;
	for (int i = 0; i < 6; i++)
		grant(l, 0);
	for (int i = 0; i < 6; i++)
		limit_end(l, 9 * S, 0, counted_s[i] * S);
	for (int i = 0; i < 6; i++) {
		int64_t free_us = (10 + sorted_s[i]) * S;

		assert_int_equal(limit_ask(l, free_us - 1), free_us);
		grant(l, free_us);
	}
	assert_int_equal(limit_ask(l, 100 * S), CLOCK_NEVER);
	limit_free(l);
}

static void of_several_windows_the_strictest_decides(void **arg)
{
	struct limit *l = limit_create(&(struct limit_rule){.rates = {{5, 60 * S}, {2, S}}, .rate_count = 2});
	int64_t now = 0, sent[6] = {0};

	(void)arg;
	for (int i = 0; i < 6; i++) {
		int64_t until = limit_ask(l, now);

		now = until > now ? until : now;
		sent[i] = now;
		grant(l, now);
		limit_end(l, now, 0, now);
	}
	assert_int_equal(sent[1], 0);
	assert_int_equal(sent[2], 1 * S);
	assert_int_equal(sent[3], 1 * S);
	assert_int_equal(sent[4], 2 * S);
	assert_int_equal(sent[5], 60 * S);
	limit_free(l);
}

static void concurrency_frees_at_once_while_the_window_stays_full(void **arg)
{
	struct limit *l = limit_create(&(struct limit_rule){.rates = {{3, 10 * S}}, .rate_count = 1, .concurrency = 2});
	enum limit_hold why;

	(void)arg;
	grant(l, 0);
	grant(l, 0);
	assert_int_equal(limit_ask_why(l, 0, &why), CLOCK_NEVER);
	assert_int_equal(why, LIMIT_CONCURRENCY);
	limit_end(l, 1 * S, 0, 1 * S);
	grant(l, 1 * S);
	limit_end(l, 2 * S, 0, 2 * S);
	limit_end(l, 2 * S, 0, 2 * S);
	assert_int_equal(limit_ask_why(l, 2 * S, &why), 11 * S);
	assert_int_equal(why, LIMIT_RATE);
	limit_free(l);
}

static void concurrency_alone_is_a_rule(void **arg)
{
	struct limit *l = limit_create(&(struct limit_rule){.concurrency = 1});

	(void)arg;
	for (int i = 0; i < 1000; i++) {
		grant(l, 0);
		assert_int_equal(limit_ask(l, 0), CLOCK_NEVER);
		limit_end(l, 0, 0, 0);
	}
	limit_free(l);
}

static void pace_spreads_grants_over_the_window(void **arg)
{
	struct limit *l = limit_create(&(struct limit_rule){.rates = {{3, 10 * S}}, .rate_count = 1, .pace = true});
	enum limit_hold why;

	(void)arg;
	grant(l, 0);
	assert_int_equal(limit_ask_why(l, 0, &why), 3333334); /* rounded up: never above the rate */
	assert_int_equal(why, LIMIT_PACE);
	grant(l, 3333334);
	assert_int_equal(limit_ask(l, 3333334), 6666668);
	limit_free(l);
}

static void idle_time_is_no_credit_for_a_paced_burst(void **arg)
{
	struct limit *l = limit_create(&(struct limit_rule){.rates = {{10, 10 * S}}, .rate_count = 1, .pace = true});

	(void)arg;
	grant(l, 1000LL * S);
	assert_int_equal(limit_ask(l, 1000LL * S), 1001LL * S);
	limit_free(l);
}

static void a_refund_gives_slot_and_turn_back(void **arg)
{
	struct limit *l = limit_create(&(struct limit_rule){.rates = {{2, 10 * S}}, .rate_count = 1, .pace = true});

	(void)arg;
	grant(l, 0);
	grant(l, 5 * S);
	assert_int_equal(limit_ask(l, 5 * S), CLOCK_NEVER);
	limit_refund(l, 5 * S);
	assert_int_equal(limit_in_flight(l), 1);
	grant(l, 5 * S); /* nothing was sent: neither the window nor the pace has seen it */
	limit_free(l);
}

static void refunding_an_older_grant_does_not_hurry_the_pace(void **arg)
{
	struct limit *l = limit_create(&(struct limit_rule){.rates = {{4, 8 * S}}, .rate_count = 1, .pace = true});

	(void)arg;
	grant(l, 0);
	grant(l, 2 * S);
	limit_refund(l, 0);
	assert_int_equal(limit_ask(l, 2 * S), 4 * S);
	limit_free(l);
}

static void of_two_pauses_the_later_holds_and_says_so(void **arg)
{
	struct limit *l = limit_of(100, S);
	enum limit_hold why;

	(void)arg;
	limit_pause(l, 30 * S);
	limit_pause(l, 20 * S);
	assert_int_equal(limit_ask_why(l, 10 * S, &why), 30 * S);
	assert_int_equal(why, LIMIT_PAUSE);
	assert_int_equal(limit_ask(l, 30 * S - 1), 30 * S);
	assert_int_equal(limit_ask_why(l, 30 * S, &why), 0);
	assert_int_equal(why, LIMIT_FREE);
	limit_free(l);
}

static void a_pause_does_not_empty_the_window(void **arg)
{
	struct limit *l = limit_of(1, 60 * S);

	(void)arg;
	grant(l, 0);
	limit_end(l, 0, 0, 0);
	limit_pause(l, 30 * S);
	assert_int_equal(limit_ask(l, 30 * S), 60 * S);
	limit_free(l);
}

static void after_a_pause_one_request_at_a_time_goes_until_one_has_recovered(void **arg)
{
	struct limit *l = limit_of(100, 60 * S);
	enum limit_hold why;

	(void)arg;
	limit_pause(l, 10 * S);
	assert_true(limit_probing(l));
	grant(l, 10 * S);
	assert_int_equal(limit_ask_why(l, 11 * S, &why), CLOCK_NEVER);
	assert_int_equal(why, LIMIT_PROBE);
	limit_end(l, 12 * S, 10 * S, 12 * S); /* it failed some other way: the next is a probe too */
	grant(l, 12 * S);
	assert_int_equal(limit_ask(l, 12 * S), CLOCK_NEVER);
	assert_true(limit_recovered(l, 12 * S));
	assert_false(limit_probing(l));
	grant(l, 12 * S);
	grant(l, 12 * S);
	assert_false(limit_recovered(l, 12 * S)); /* once */
	limit_free(l);
}

static void a_probe_that_was_given_back_makes_room_for_another(void **arg)
{
	struct limit *l = limit_of(100, 60 * S);

	(void)arg;
	limit_pause(l, 10 * S);
	grant(l, 10 * S);
	limit_refund(l, 10 * S);
	grant(l, 10 * S);
	assert_int_equal(limit_ask(l, 10 * S), CLOCK_NEVER);
	limit_free(l);
}

static void requests_from_before_the_pause_neither_recover_nor_count_as_probes(void **arg)
{
	struct limit *l = limit_of(100, 60 * S);

	(void)arg;
	grant(l, 1 * S);
	grant(l, 2 * S);
	limit_pause(l, 10 * S);
	assert_false(limit_recovered(l, 1 * S));
	limit_end(l, 3 * S, 1 * S, 3 * S);
	grant(l, 10 * S); /* though one from before is still out */
	limit_end(l, 11 * S, 2 * S, 11 * S);
	assert_int_equal(limit_ask(l, 11 * S), CLOCK_NEVER);
	limit_free(l);
}

static void a_probe_that_is_refused_extends_the_pause_and_the_next_is_a_probe_again(void **arg)
{
	struct limit *l = limit_of(100, 60 * S);

	(void)arg;
	limit_pause(l, 10 * S);
	grant(l, 10 * S);
	limit_pause(l, 20 * S);
	limit_end(l, 11 * S, 10 * S, 11 * S);
	assert_int_equal(limit_ask(l, 11 * S), 20 * S);
	assert_int_equal(limit_paused_until_us(l, 11 * S), 20 * S);
	grant(l, 20 * S);
	assert_int_equal(limit_ask(l, 20 * S), CLOCK_NEVER);
	assert_false(limit_recovered(l, 10 * S));
	assert_true(limit_recovered(l, 20 * S));
	assert_int_equal(limit_ask(l, 20 * S), 0);
	assert_int_equal(limit_paused_until_us(l, 20 * S), 0);
	limit_free(l);
}

static void an_echo_of_an_old_refusal_does_not_start_the_probing_anew(void **arg)
{
	struct limit *l = limit_of(100, 60 * S);

	(void)arg;
	limit_pause(l, 10 * S);
	grant(l, 10 * S);
	limit_recovered(l, 10 * S);
	limit_pause(l, 9 * S);
	limit_pause(l, 10 * S);
	assert_false(limit_probing(l));
	grant(l, 11 * S);
	limit_free(l);
}

static void a_pause_that_the_operator_lifts_is_over_and_one_request_goes_first(void **arg)
{
	struct limit *l = limit_of(100, 60 * S);
	enum limit_hold why;

	(void)arg;
	limit_pause(l, 3600LL * S);
	limit_resume(l, 1 * S);
	assert_int_equal(limit_paused_until_us(l, 1 * S), 0);
	assert_true(limit_probing(l));
	grant(l, 1 * S);
	assert_int_equal(limit_ask_why(l, 1 * S, &why), CLOCK_NEVER);
	assert_int_equal(why, LIMIT_PROBE);
	limit_resume(l, 2 * S); /* said again: it is out already */
	assert_int_equal(limit_ask(l, 2 * S), CLOCK_NEVER);
	assert_true(limit_recovered(l, 1 * S));
	grant(l, 2 * S);
	grant(l, 2 * S);
	limit_free(l);
}

static void what_went_before_the_operator_lifted_the_pause_is_no_probe(void **arg)
{
	struct limit *l = limit_of(100, 60 * S);

	(void)arg;
	grant(l, 1 * S);
	limit_pause(l, 3600LL * S);
	limit_resume(l, 1 * S); /* in the same moment */
	assert_false(limit_recovered(l, 1 * S));
	grant(l, 2 * S);
	limit_end(l, 3 * S, 1 * S, 3 * S);
	assert_int_equal(limit_ask(l, 3 * S), CLOCK_NEVER);
	limit_pause(l, 20 * S); /* the probe is refused */
	limit_end(l, 4 * S, 2 * S, 4 * S);
	assert_int_equal(limit_ask(l, 4 * S), 20 * S);
	limit_free(l);
}

static void to_lift_a_pause_that_is_not_changes_nothing(void **arg)
{
	struct limit *l = limit_of(100, 60 * S);

	(void)arg;
	limit_resume(l, 1 * S);
	assert_false(limit_probing(l));
	grant(l, 1 * S);
	grant(l, 1 * S);
	limit_free(l);
}

static void an_empty_rule_says_no_only_while_the_host_does(void **arg)
{
	struct limit *l = limit_create(&(struct limit_rule){0});

	(void)arg;
	for (int i = 0; i < 1000; i++)
		grant(l, 0);
	limit_pause(l, 5 * S);
	assert_int_equal(limit_ask(l, 0), 5 * S);
	for (int i = 0; i < 1000; i++)
		limit_end(l, 1 * S, 0, 1 * S);
	grant(l, 5 * S);
	limit_recovered(l, 5 * S);
	limit_end(l, 6 * S, 5 * S, 6 * S);
	assert_int_equal(limit_ask(l, 6 * S), 0);
	assert_true(limit_blank(l, 6 * S));
	limit_free(l);
}

/* ---- changes ---- */

static void a_changed_rule_keeps_what_was_counted_and_what_is_in_flight(void **arg)
{
	struct limit *l = limit_create(&(struct limit_rule){.rates = {{3, S}, {100, 60 * S}}, .rate_count = 2});

	(void)arg;
	grant(l, 0);
	grant(l, 0);
	grant(l, 0);
	limit_end(l, 0, 0, 0);
	limit_end(l, 5 * S, 0, 5 * S);
	limit_change(l, &(struct limit_rule){.rates = {{2, 30 * S}}, .rate_count = 1});
	assert_int_equal(limit_in_flight(l), 1);
	/* three hold slots where two are allowed: two have to go */
	assert_int_equal(limit_ask(l, 6 * S), 30 * S);
	assert_int_equal(limit_ask(l, 30 * S), 35 * S);
	grant(l, 35 * S);
	limit_free(l);
}

static void more_in_flight_than_a_new_rule_allows_waits_for_an_end(void **arg)
{
	struct limit *l = limit_of(2, S);

	(void)arg;
	limit_adopt(l, 5);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(limit_ask(l, i * S), CLOCK_NEVER);
		limit_end(l, i * S, 0, i * S);
	}
	assert_int_equal(limit_ask(l, 2 * S), CLOCK_NEVER);
	limit_end(l, 2 * S, 0, 2 * S);
	assert_int_equal(limit_ask(l, 2 * S), 3 * S);
	assert_int_equal(limit_ask(l, 3 * S), 0);
	limit_free(l);
}

static void a_time_beyond_all_clocks_does_not_wrap_around(void **arg)
{
	struct limit *l = limit_of(1, 3600LL * S);

	(void)arg;
	grant(l, 0);
	limit_end(l, 1, 0, INT64_MAX - 1);
	assert_int_equal(limit_ask(l, 1LL << 60), CLOCK_NEVER);
	limit_free(l);
}

static void a_hundred_thousand_a_day_go_through_for_days(void **arg)
{
	struct limit *l = limit_of(100000, 86400LL * S);
	int64_t now = 0;

	(void)arg;
	for (int i = 0; i < 300000; i++) {
		int64_t until = limit_ask(l, now);

		assert_true(until != CLOCK_NEVER);
		now = until > now ? until : now;
		limit_grant(l, now);
		limit_end(l, now, 0, now + (i * 7919LL) % S); /* out of order by up to a second */
	}
	assert_in_range(now, 2 * 86400LL * S, 2 * 86400LL * S + 3 * S);
	limit_free(l);
}

static void a_burst_after_a_steady_stream_leaves_what_is_remembered_in_order(void **arg)
{
	struct limit *l = limit_of(30, 12);

	(void)arg;
	for (int64_t now = 0; now < 40; now++) {
		grant(l, now);
		limit_end(l, now, now, now);
	}
	for (int i = 0; i < 19; i++) { /* 29 to 39 are in the window */
		grant(l, 40);
		limit_end(l, 40, 40, 40);
	}
	for (int64_t now = 41; now <= 51; now++) {
		assert_int_equal(limit_ask(l, now - 1), now);
		grant(l, now);
	}
	assert_int_equal(limit_ask(l, 51), 52);
	for (int i = 0; i < 19; i++)
		grant(l, 52);
	assert_int_equal(limit_ask(l, 52), CLOCK_NEVER);
	limit_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_window_is_full_until_it_has_passed_since_the_response),
	    cmocka_unit_test(a_request_in_flight_holds_its_slot_however_long_it_takes),
	    cmocka_unit_test(a_response_known_late_counts_from_when_it_came),
	    cmocka_unit_test(an_abort_holds_its_slot_for_the_safety_time_too),
	    cmocka_unit_test(slots_free_in_the_order_of_counting_not_of_ending),
	    cmocka_unit_test(of_several_windows_the_strictest_decides),
	    cmocka_unit_test(concurrency_frees_at_once_while_the_window_stays_full),
	    cmocka_unit_test(concurrency_alone_is_a_rule),
	    cmocka_unit_test(pace_spreads_grants_over_the_window),
	    cmocka_unit_test(idle_time_is_no_credit_for_a_paced_burst),
	    cmocka_unit_test(a_refund_gives_slot_and_turn_back),
	    cmocka_unit_test(refunding_an_older_grant_does_not_hurry_the_pace),
	    cmocka_unit_test(of_two_pauses_the_later_holds_and_says_so),
	    cmocka_unit_test(a_pause_does_not_empty_the_window),
	    cmocka_unit_test(after_a_pause_one_request_at_a_time_goes_until_one_has_recovered),
	    cmocka_unit_test(a_probe_that_was_given_back_makes_room_for_another),
	    cmocka_unit_test(requests_from_before_the_pause_neither_recover_nor_count_as_probes),
	    cmocka_unit_test(a_probe_that_is_refused_extends_the_pause_and_the_next_is_a_probe_again),
	    cmocka_unit_test(an_echo_of_an_old_refusal_does_not_start_the_probing_anew),
	    cmocka_unit_test(a_pause_that_the_operator_lifts_is_over_and_one_request_goes_first),
	    cmocka_unit_test(what_went_before_the_operator_lifted_the_pause_is_no_probe),
	    cmocka_unit_test(to_lift_a_pause_that_is_not_changes_nothing),
	    cmocka_unit_test(an_empty_rule_says_no_only_while_the_host_does),
	    cmocka_unit_test(a_changed_rule_keeps_what_was_counted_and_what_is_in_flight),
	    cmocka_unit_test(more_in_flight_than_a_new_rule_allows_waits_for_an_end),
	    cmocka_unit_test(a_time_beyond_all_clocks_does_not_wrap_around),
	    cmocka_unit_test(a_hundred_thousand_a_day_go_through_for_days),
	    cmocka_unit_test(a_burst_after_a_steady_stream_leaves_what_is_remembered_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
