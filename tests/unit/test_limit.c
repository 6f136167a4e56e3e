/* One rule against a fake clock: windows, concurrency, pace, pauses, refunds, changes; and against a naive model that
 * remembers everything and counts anew at every question. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "daemon/limit.h"
#include "lib/clock.h"

enum { S = 1000000 };

static struct limit *limit_of(int64_t count, int64_t window_us)
{
	return limit_create(&(struct limit_rule){.rates = {{count, window_us}}, .rate_count = 1});
}

static void grant(struct limit *l, int64_t now_us)
{
	assert_int_equal(limit_ask(l, now_us), 0);
	limit_grant(l, now_us);
}

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

static void a_pause_that_the_operator_lifts_is_over(void **arg)
{
	struct limit *l = limit_of(100, 60 * S);

	(void)arg;
	limit_pause(l, 3600LL * S);
	limit_resume(l);
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

/* ---- what it did not grant ---- */

static void requests_from_the_record_hold_their_slots(void **arg)
{
	struct limit *l = limit_of(3, 10 * S);

	(void)arg;
	limit_seen(l, 97 * S);
	limit_seen(l, 80 * S);  /* long forgotten */
	limit_seen(l, 110 * S); /* open when the daemon died: it may still arrive */
	limit_seen(l, 95 * S);
	assert_int_equal(limit_ask(l, 100 * S), 105 * S);
	grant(l, 105 * S);
	assert_int_equal(limit_ask(l, 105 * S), 107 * S);
	limit_free(l);
}

static void of_more_requests_than_the_rule_allows_enough_are_remembered(void **arg)
{
	struct limit *l = limit_of(2, 10 * S);

	(void)arg;
	for (int i = 0; i < 100; i++)
		limit_seen(l, i * S / 10);
	assert_int_equal(limit_ask(l, 10 * S - 1), 10 * S); /* the first of many tries */
	assert_int_equal(limit_ask(l, 14900000 - 1), 14900000);
	limit_change(l, &(struct limit_rule){.rates = {{50, 10 * S}}, .rate_count = 1});
	assert_int_equal(limit_ask(l, 14900000), 15000000); /* fifty from 5.0 to 9.9 */
	assert_int_equal(limit_ask(l, 15 * S), 0);
	limit_change(l, &(struct limit_rule){.rates = {{2, 10 * S}}, .rate_count = 1});
	assert_int_equal(limit_ask(l, 19800000 - 1), 19800000);
	assert_int_equal(limit_ask(l, 19800000), 0);
	limit_free(l);
}

static void what_is_remembered_is_bounded_however_much_was_seen(void **arg)
{
	struct limit *l = limit_of(10, 10 * S);
	struct limit_window w[LIMIT_WINDOWS_MAX];

	(void)arg;
	for (int i = 0; i < 3 * LIMIT_SEEN_MAX; i++)
		limit_seen(l, (i * 7919LL) % (3 * LIMIT_SEEN_MAX));
	assert_int_equal(limit_windows(l, 0, w), 1);
	assert_int_equal(w[0].used, LIMIT_SEEN_MAX);
	/* the latest were kept: the last ten decide */
	assert_int_equal(limit_ask(l, 10 * S + 3 * LIMIT_SEEN_MAX - 11), 10 * S + 3 * LIMIT_SEEN_MAX - 10);
	assert_int_equal(limit_ask(l, 10 * S + 3 * LIMIT_SEEN_MAX - 10), 0);
	limit_free(l);
}

static void a_record_told_anew_takes_the_place_of_what_was_counted(void **arg)
{
	struct limit *l = limit_of(3, 10 * S);

	(void)arg;
	grant(l, 0);
	limit_end(l, 1 * S, 0, 1 * S);
	grant(l, 2 * S); /* in flight all the while */
	limit_change(l, &(struct limit_rule){.rates = {{3, 20 * S}}, .rate_count = 1});
	limit_recall_begin(l);
	limit_seen(l, -5LL * S); /* the old rule did not look that far back */
	limit_seen(l, 1 * S);    /* and this one is not counted twice */
	limit_recall_end(l, true);
	assert_int_equal(limit_ask(l, 3 * S), 15 * S);
	grant(l, 15 * S);
	assert_int_equal(limit_ask(l, 15 * S), 21 * S);
	limit_free(l);
}

static void a_record_that_was_not_told_to_its_end_takes_nothing_away(void **arg)
{
	struct limit *l = limit_of(3, 10 * S);

	(void)arg;
	grant(l, 0);
	limit_end(l, 1 * S, 0, 1 * S);
	limit_end((limit_grant(l, 2 * S), l), 2 * S, 2 * S, 9 * S); /* out of order: it may arrive at 9 */
	limit_recall_begin(l);
	limit_seen(l, 3 * S);
	limit_recall_end(l, false);
	assert_int_equal(limit_ask(l, 4 * S), 11 * S);
	grant(l, 11 * S);
	assert_int_equal(limit_ask(l, 11 * S), 13 * S);
	limit_free(l);
}

static void a_time_of_an_earlier_boot_is_taken_as_late_as_it_can_have_been(void **arg)
{
	(void)arg;
	/* noted 20 s before the last word of its boot: at least 20 s before this boot began */
	assert_int_equal(limit_after_reboot_us(80 * S, 100 * S), -20 * S);
	/* given up at the very end, it may arrive after */
	assert_int_equal(limit_after_reboot_us(100 * S + LIMIT_SAFETY_US, 100 * S), LIMIT_SAFETY_US);
	/* the boot between lasted 50 s at least */
	assert_int_equal(limit_after_reboot_us(limit_after_reboot_us(80 * S, 100 * S), 50 * S), -70 * S);
}

/* ---- what a server told ---- */

static void a_learned_rate_tightens_until_it_expires(void **arg)
{
	struct limit *l = limit_of(10, 60 * S);
	enum limit_hold why;

	(void)arg;
	limit_learn_rate(l, &(struct rate){2, 10 * S}, 0, 25 * S);
	grant(l, 0);
	grant(l, 0);
	assert_int_equal(limit_ask_why(l, 0, &why), 25 * S); /* no later than what makes it wait */
	assert_int_equal(why, LIMIT_LEARNED);
	limit_end(l, 1 * S, 0, 1 * S);
	assert_int_equal(limit_ask(l, 1 * S), 11 * S);
	grant(l, 11 * S);
	limit_end(l, 12 * S, 11 * S, 24 * S);
	limit_end(l, 24 * S, 0, 24 * S);
	assert_int_equal(limit_ask(l, 24 * S), 25 * S);
	for (int i = 0; i < 7; i++)
		grant(l, 25 * S);
	limit_free(l);
}

static void a_learned_rate_never_loosens_the_rule(void **arg)
{
	struct limit *l = limit_of(1, 10 * S);

	(void)arg;
	limit_learn_rate(l, &(struct rate){1000, S}, 0, 3600LL * S);
	grant(l, 0);
	assert_int_equal(limit_ask(l, 0), CLOCK_NEVER);
	limit_free(l);
}

static void a_learned_rate_counts_what_was_counted_before_it_came(void **arg)
{
	struct limit *l = limit_of(10, 60 * S);

	(void)arg;
	for (int i = 0; i < 3; i++) {
		grant(l, i * S);
		limit_end(l, i * S, i * S, i * S);
	}
	grant(l, 3 * S);
	limit_learn_rate(l, &(struct rate){4, 30 * S}, 4 * S, 3600LL * S);
	assert_int_equal(limit_ask(l, 4 * S), 30 * S);
	limit_learn_rate(l, &(struct rate){3, 30 * S}, 5 * S, 3600LL * S); /* and the next what that one knew */
	assert_int_equal(limit_ask(l, 30 * S), 31 * S);
	limit_learn_rate(l, NULL, 5 * S, 0);
	assert_int_equal(limit_ask(l, 5 * S), 0);
	limit_free(l);
}

static void nonsense_is_not_learned(void **arg)
{
	struct limit *l = limit_of(10, 60 * S);
	struct limit_window w[LIMIT_WINDOWS_MAX];

	(void)arg;
	limit_learn_rate(l, &(struct rate){0, S}, 0, 100 * S);
	limit_learn_rate(l, &(struct rate){5, 0}, 0, 100 * S);
	limit_learn_rate(l, &(struct rate){5, S}, 100 * S, 100 * S);
	assert_int_equal(limit_windows(l, 0, w), 1);
	limit_free(l);
}

static void it_tells_how_much_of_each_window_is_used(void **arg)
{
	struct limit *l = limit_create(&(struct limit_rule){.rates = {{2, 10 * S}, {5, 60 * S}}, .rate_count = 2});
	struct limit_window w[LIMIT_WINDOWS_MAX];

	(void)arg;
	assert_true(limit_blank(l, 0));
	grant(l, 0);
	limit_end(l, 1 * S, 0, 1 * S);
	grant(l, 2 * S);
	limit_learn_rate(l, &(struct rate){3, 30 * S}, 2 * S, 100 * S);
	assert_int_equal(limit_windows(l, 3 * S, w), 3);
	assert_int_equal(w[0].used, 2);
	assert_int_equal(w[0].free_us, 11 * S);
	assert_int_equal(w[1].used, 2);
	assert_int_equal(w[1].free_us, 0);
	assert_false(w[1].learned);
	assert_true(w[2].learned);
	assert_int_equal(w[2].rate.count, 3);
	assert_int_equal(w[2].expires_us, 100 * S);
	assert_int_equal(limit_windows(l, 100 * S, w), 2);
	limit_end(l, 100 * S, 2 * S, 100 * S);
	assert_false(limit_blank(l, 159 * S));
	assert_true(limit_blank(l, 160 * S));
	assert_int_equal(limit_get_rule(l)->rates[1].count, 5);
	assert_string_equal(limit_hold_name(LIMIT_PROBE), "probe");
	assert_string_equal(limit_hold_name((enum limit_hold)99), "?");
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

/* ---- the naive model ---- */

enum { MODEL_MAX = 4000 };

struct model {
	struct limit_rule rule;
	struct {
		int64_t sent, counted; /* counted: CLOCK_NEVER while in flight */
		bool refunded;
	} all[MODEL_MAX];
	int count;
	int64_t pause_until;
	bool probing;
	struct rate learned;
	int64_t learned_until;
};

static int64_t model_taken(const struct model *m, int64_t window_us, int64_t now)
{
	int64_t taken = 0;

	for (int i = 0; i < m->count; i++)
		if (!m->all[i].refunded && m->all[i].counted > now - window_us)
			taken++;
	return taken;
}

static int64_t model_in_flight(const struct model *m)
{
	int64_t n = 0;

	for (int i = 0; i < m->count; i++)
		n += !m->all[i].refunded && m->all[i].counted == CLOCK_NEVER;
	return n;
}

static bool model_probe_is_out(const struct model *m)
{
	for (int i = 0; m->probing && i < m->count; i++)
		if (!m->all[i].refunded && m->all[i].counted == CLOCK_NEVER && m->all[i].sent >= m->pause_until)
			return true;
	return false;
}

static bool model_may(const struct model *m, int64_t now)
{
	bool may = now >= m->pause_until && !model_probe_is_out(m);

	if (now < m->learned_until)
		may = may && model_taken(m, m->learned.window_us, now) < m->learned.count;

	for (unsigned r = 0; r < m->rule.rate_count; r++)
		may = may && model_taken(m, m->rule.rates[r].window_us, now) < m->rule.rates[r].count;
	if (m->rule.concurrency > 0)
		may = may && model_in_flight(m) < m->rule.concurrency;
	return may;
}

static uint64_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

static int64_t between(uint64_t *x, int64_t lo, int64_t hi)
{
	return lo + (int64_t)(next_random(x) % (uint64_t)(hi - lo + 1));
}

static struct limit_rule random_rule(uint64_t *x)
{
	struct limit_rule rule = {.rate_count = (unsigned)between(x, 1, LIMIT_RATES_MAX)};

	for (unsigned r = 0; r < rule.rate_count; r++)
		rule.rates[r] = (struct rate){between(x, 1, 8), between(x, 1, 400)};
	rule.rates[0].window_us = 400; /* so that whatever is learned is known */
	rule.concurrency = (unsigned)between(x, 0, 4);
	return rule;
}

static void end_one(struct model *m, struct limit *l, uint64_t *x, int64_t now)
{
	int i = (int)between(x, 0, MODEL_MAX);

	for (int k = 0; k < m->count; k++, i++) {
		int at = i % m->count;

		if (m->all[at].refunded || m->all[at].counted != CLOCK_NEVER)
			continue;
		if (between(x, 0, 9) == 0) {
			m->all[at].refunded = true;
			limit_refund(l, m->all[at].sent);
			return;
		}
		/* anywhere from its sending on, sometimes in the future */
		m->all[at].counted = between(x, m->all[at].sent, between(x, 0, 4) == 0 ? now + 50 : now);
		if (between(x, 0, 1) && limit_recovered(l, m->all[at].sent))
			m->probing = false;
		limit_end(l, now, m->all[at].sent, m->all[at].counted);
		return;
	}
}

/* More hold slots than are allowed (seen, or under a learned rate that is new): then more than one has to free. */
static bool model_overfull(const struct model *m, int64_t now)
{
	if (now < m->learned_until && model_taken(m, m->learned.window_us, now) > m->learned.count)
		return true;
	for (unsigned r = 0; r < m->rule.rate_count; r++)
		if (model_taken(m, m->rule.rates[r].window_us, now) > m->rule.rates[r].count)
			return true;
	return false;
}

static void compare(const struct model *m, const struct limit *l, int64_t now)
{
	enum limit_hold why;
	int64_t until = limit_ask_why(l, now, &why);

	assert_int_equal(limit_in_flight(l), model_in_flight(m));
	if ((until == 0) != model_may(m, now))
		fail_msg("at %lld: asked for %lld by its %s, the model says %d", (long long)now, (long long)until,
			 limit_hold_name(why), model_may(m, now));
	if (until != 0 && until != CLOCK_NEVER) {
		assert_false(model_may(m, until - 1));
		assert_true(model_may(m, until) || model_overfull(m, now));
	}
}

/* What happens besides grants and ends. */
static void something_is_said(struct model *m, struct limit *l, uint64_t *x, int64_t now)
{
	int64_t later = now + between(x, 0, 300);

	switch (between(x, 0, 3)) {
	case 0:
		m->probing = m->probing || later > m->pause_until;
		m->pause_until = later > m->pause_until ? later : m->pause_until;
		limit_pause(l, later);
		break;
	case 1:
		m->learned = (struct rate){between(x, 1, 8), between(x, 1, 400)};
		m->learned_until = later;
		limit_learn_rate(l, &m->learned, now, later);
		break;
	case 2:
		m->all[m->count].sent = -1;
		m->all[m->count++].counted = between(x, now - 200, later);
		limit_seen(l, m->all[m->count - 1].counted);
		break;
	default:
		m->pause_until = 0;
		m->probing = false;
		limit_resume(l);
	}
}

static void every_answer_is_that_of_a_model_that_counts_anew(void **arg)
{
	static struct model m;

	(void)arg;
	for (uint64_t seed = 1; seed <= 100; seed++) {
		uint64_t x = seed * 0x9e3779b97f4a7c15U;
		struct limit *l;
		int64_t now = 0;

		m = (struct model){.rule = random_rule(&x)};
		l = limit_create(&m.rule);
		for (int step = 0; step < 1500; step++) {
			now += between(&x, 0, 20);
			compare(&m, l, now);
			if (limit_ask(l, now) == 0 && between(&x, 0, 3) > 0) {
				m.all[m.count].sent = now;
				m.all[m.count++].counted = CLOCK_NEVER;
				limit_grant(l, now);
			} else if (between(&x, 0, 60) == 0) {
				something_is_said(&m, l, &x, now);
			} else if (m.count > 0) {
				end_one(&m, l, &x, now);
			}
		}
		assert_true(m.count > 20);
		limit_free(l);
	}
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
	    cmocka_unit_test(a_pause_that_the_operator_lifts_is_over),
	    cmocka_unit_test(an_empty_rule_says_no_only_while_the_host_does),
	    cmocka_unit_test(requests_from_the_record_hold_their_slots),
	    cmocka_unit_test(of_more_requests_than_the_rule_allows_enough_are_remembered),
	    cmocka_unit_test(what_is_remembered_is_bounded_however_much_was_seen),
	    cmocka_unit_test(a_record_told_anew_takes_the_place_of_what_was_counted),
	    cmocka_unit_test(a_record_that_was_not_told_to_its_end_takes_nothing_away),
	    cmocka_unit_test(a_time_of_an_earlier_boot_is_taken_as_late_as_it_can_have_been),
	    cmocka_unit_test(a_learned_rate_tightens_until_it_expires),
	    cmocka_unit_test(a_learned_rate_never_loosens_the_rule),
	    cmocka_unit_test(a_learned_rate_counts_what_was_counted_before_it_came),
	    cmocka_unit_test(nonsense_is_not_learned),
	    cmocka_unit_test(it_tells_how_much_of_each_window_is_used),
	    cmocka_unit_test(a_changed_rule_keeps_what_was_counted_and_what_is_in_flight),
	    cmocka_unit_test(more_in_flight_than_a_new_rule_allows_waits_for_an_end),
	    cmocka_unit_test(a_time_beyond_all_clocks_does_not_wrap_around),
	    cmocka_unit_test(a_hundred_thousand_a_day_go_through_for_days),
	    cmocka_unit_test(a_burst_after_a_steady_stream_leaves_what_is_remembered_in_order),
	    cmocka_unit_test(every_answer_is_that_of_a_model_that_counts_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
