/* One rule, and what it did not grant itself: requests of a record, and rates that a server told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "tests/unit/test_limit.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
