/* daemon/tally: requests, retries, and for how long limits held a run back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* after those: */
#include <cmocka.h>

#include "daemon/tally.h"

static void sent(struct tally *t, uint32_t page, bool redirected)
{
	tally_add(t, &(struct tally_attempt){.page = page, .sent = true, .redirected = redirected, .bytes = 10});
}

static void held(struct tally *t, int64_t from_us, int64_t to_us)
{
	tally_add(t, &(struct tally_attempt){.page = 1, .started_us = to_us, .limited_us = to_us - from_us});
}

static void a_page_s_second_request_is_a_retry(void **state)
{
	struct tally *t = tally_create();
	struct tally_sums s;

	(void)state;
	sent(t, 1, false);
	sent(t, 100000, false);
	sent(t, 1, false);
	s = tally_read(t);
	assert_int_equal(s.requests, 3);
	assert_int_equal(s.retries, 1);
	assert_int_equal(s.bytes, 30);
	sent(t, 1, false);
	assert_int_equal(tally_read(t).retries, 2);
	tally_free(t);
}

static void where_a_redirect_leads_is_no_retry(void **state)
{
	struct tally *t = tally_create();

	(void)state;
	sent(t, 1, true);
	sent(t, 1, true);
	sent(t, 1, false);
	assert_int_equal(tally_read(t).retries, 0);
	sent(t, 1, true);
	assert_int_equal(tally_read(t).retries, 1);
	sent(t, 1, false);
	assert_int_equal(tally_read(t).retries, 1);
	assert_int_equal(tally_read(t).requests, 5);
	tally_free(t);
}

static void what_was_not_sent_is_no_request_and_makes_no_retry(void **state)
{
	struct tally *t = tally_create();

	(void)state;
	for (int i = 0; i < 5; i++)
		tally_add(t, &(struct tally_attempt){.page = 1});
	sent(t, 1, false);
	assert_int_equal(tally_read(t).requests, 1);
	assert_int_equal(tally_read(t).retries, 0);
	tally_free(t);
}

static void pages_that_wait_side_by_side_count_once(void **state)
{
	struct tally *t = tally_create();

	(void)state;
	held(t, 100, 200);
	held(t, 150, 250);
	held(t, 110, 120);
	assert_int_equal(tally_read(t).limited_us, 150);
	held(t, 300, 400);
	held(t, 500, 600);
	assert_int_equal(tally_read(t).limited_us, 350);
	held(t, 0, 50);
	assert_int_equal(tally_read(t).limited_us, 400);
	held(t, 250, 550); /* joins three */
	assert_int_equal(tally_read(t).limited_us, 50 + 500);
	held(t, -1000, 1000);
	assert_int_equal(tally_read(t).limited_us, 2000);
	tally_free(t);
}

/* Against a table of moments. */
static void any_spans_in_any_order_are_summed_up_right(void **state)
{
	struct tally *t = tally_create();
	static bool there[2000];
	int64_t sum = 0;

	(void)state;
	srandom(7);
	for (int i = 0; i < 300; i++) {
		int from = (int)(random() % 1900), to = from + (int)(random() % 20);

		held(t, from, to);
		for (int k = from; k < to; k++) {
			sum += !there[k];
			there[k] = true;
		}
		assert_int_equal(tally_read(t).limited_us, sum);
	}
	tally_free(t);
}

static void any_number_of_spans_takes_bounded_memory_and_loses_none(void **state)
{
	struct tally *t = tally_create();

	(void)state;
	for (int64_t i = 0; i < 3 * TALLY_SPANS_MAX; i++)
		held(t, i * 10, i * 10 + 3);
	assert_int_equal(tally_read(t).limited_us, 3 * 3 * TALLY_SPANS_MAX);
	held(t, 0, 5); /* far back: it was summed up */
	assert_int_equal(tally_read(t).limited_us, 3 * 3 * TALLY_SPANS_MAX);
	tally_free(t);
}

/* ---- no way to the host ---- */

static void unreached(struct tally *t, int64_t from_us, int64_t to_us)
{
	tally_add(t, &(struct tally_attempt){
			 .page = 1, .unreached = true, .started_us = from_us, .ended_us = to_us, .limited_us = 5});
}

static void reached(struct tally *t, int64_t at_us, int64_t limited_us)
{
	tally_add(t,
		  &(struct tally_attempt){
		      .page = 1, .sent = true, .started_us = at_us, .ended_us = at_us + 1, .limited_us = limited_us});
}

static void an_outage_lasts_from_its_first_attempt_to_the_next_request_that_is_sent(void **state)
{
	struct tally *t = tally_create();

	(void)state;
	reached(t, 10, 0);
	assert_int_equal(tally_read(t).unreached_us, 0);
	unreached(t, 100, 110);
	unreached(t, 105, 130);
	assert_int_equal(tally_read(t).unreached_us, 30); /* as far as is known */
	reached(t, 200, 0);
	reached(t, 210, 0);
	assert_int_equal(tally_read(t).unreached, 2);
	assert_int_equal(tally_read(t).unreached_us, 100);
	unreached(t, 300, 300);
	reached(t, 340, 0);
	assert_int_equal(tally_read(t).unreached, 3);
	assert_int_equal(tally_read(t).unreached_us, 140);
	tally_free(t);
}

static void what_began_before_an_outage_does_not_end_it(void **state)
{
	struct tally *t = tally_create();

	(void)state;
	unreached(t, 100, 101);
	reached(t, 50, 0); /* a slow answer */
	unreached(t, 150, 151);
	reached(t, 200, 0);
	assert_int_equal(tally_read(t).unreached_us, 100);
	tally_free(t);
}

static void an_attempt_that_failed_slowly_begins_no_outage_after_it(void **state)
{
	struct tally *t = tally_create();

	(void)state;
	reached(t, 150, 0);
	unreached(t, 100, 160); /* a connection that was waited for in vain */
	reached(t, 1000, 0);
	assert_int_equal(tally_read(t).unreached, 1);
	assert_int_equal(tally_read(t).unreached_us, 0);
	tally_free(t);
}

static void no_time_of_an_outage_is_a_limit_s(void **state)
{
	struct tally *t = tally_create();

	(void)state;
	reached(t, 90, 10); /* 80 to 90 */
	unreached(t, 100, 110);
	reached(t, 200, 150); /* all of it since the outage began, or before */
	assert_int_equal(tally_read(t).limited_us, 10);
	reached(t, 230, 170); /* since the end of it */
	assert_int_equal(tally_read(t).limited_us, 10 + 30);
	assert_int_equal(tally_read(t).unreached_us, 100);
	tally_free(t);
}

static void what_was_held_until_it_was_ended_counts_and_no_time_of_an_outage_does(void **state)
{
	struct tally *t = tally_create();

	(void)state;
	held(t, 10, 50);
	tally_add_held(t, 0, 60);
	tally_add_held(t, -5, 60);
	assert_int_equal(tally_read(t).limited_us, 40);
	tally_add_held(t, 70, 100); /* 30 to 100: in part told by an attempt */
	assert_int_equal(tally_read(t).limited_us, 90);
	unreached(t, 200, 210);
	tally_add_held(t, 50, 240); /* 190 to 240: none got through from 200 on */
	assert_int_equal(tally_read(t).limited_us, 90 + 10);
	tally_add_held(t, 5, 240);
	tally_add_held(t, INT64_MAX, -10);
	assert_int_equal(tally_read(t).limited_us, 90 + 10);
	tally_free(t);
}

static void refusals_are_counted_apart_from_retries(void **state)
{
	struct tally *t = tally_create();

	(void)state;
	for (int i = 0; i < 3; i++)
		tally_add(t, &(struct tally_attempt){.page = 1, .sent = true, .refused = i < 2});
	assert_int_equal(tally_read(t).refused, 2);
	assert_int_equal(tally_read(t).retries, 2);
	tally_free(t);
}

/* ---- a clock that is set ---- */

static void sent_at(struct tally *t, int64_t wall_us, int64_t boot, int64_t boot_us)
{
	tally_add(t, &(struct tally_attempt){.page = 1,
					     .sent = true,
					     .started_us = wall_us,
					     .ended_us = wall_us,
					     .boot = boot,
					     .sent_boot_us = boot_us});
}

static void what_the_wall_clock_was_set_by_is_told(void **state)
{
	struct tally *t = tally_create();

	(void)state;
	sent_at(t, 1000, 7, 100);
	sent_at(t, 1050, 7, 150);
	assert_int_equal(tally_read(t).clock_us, 0);
	sent_at(t, 8060, 7, 160);
	assert_int_equal(tally_read(t).clock_us, 7000);
	sent_at(t, 1070, 7, 170);
	assert_int_equal(tally_read(t).clock_us, 0);
	sent_at(t, 2000, 7, 1100);
	sent_at(t, 9000, 8, 50); /* after a boot nothing can be said */
	sent_at(t, 9010, 8, 60);
	assert_int_equal(tally_read(t).clock_us, 0);
	tally_free(t);
}

static void a_clock_that_is_set_amid_an_outage_makes_it_no_longer(void **state)
{
	struct tally *t = tally_create();

	(void)state;
	sent_at(t, 1000, 7, 100);
	unreached(t, 1010, 1011);
	unreached(t, 8020, 8021);
	sent_at(t, 8030, 7, 130);
	assert_int_equal(tally_read(t).unreached_us, 20);
	unreached(t, 8040, 8041);
	sent_at(t, 8050, 7, 150);
	assert_int_equal(tally_read(t).unreached_us, 30);
	tally_free(t);
}

static void nonsense_does_no_harm(void **state)
{
	struct tally *t = tally_create();

	(void)state;
	tally_add(t, &(struct tally_attempt){.started_us = INT64_MIN, .limited_us = 10});
	tally_add(t, &(struct tally_attempt){.started_us = 10, .limited_us = -10});
	assert_int_equal(tally_read(t).limited_us, 0);
	tally_free(t);
	tally_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_page_s_second_request_is_a_retry),
	    cmocka_unit_test(where_a_redirect_leads_is_no_retry),
	    cmocka_unit_test(what_was_not_sent_is_no_request_and_makes_no_retry),
	    cmocka_unit_test(pages_that_wait_side_by_side_count_once),
	    cmocka_unit_test(any_spans_in_any_order_are_summed_up_right),
	    cmocka_unit_test(any_number_of_spans_takes_bounded_memory_and_loses_none),
	    cmocka_unit_test(an_outage_lasts_from_its_first_attempt_to_the_next_request_that_is_sent),
	    cmocka_unit_test(what_began_before_an_outage_does_not_end_it),
	    cmocka_unit_test(an_attempt_that_failed_slowly_begins_no_outage_after_it),
	    cmocka_unit_test(no_time_of_an_outage_is_a_limit_s),
	    cmocka_unit_test(what_was_held_until_it_was_ended_counts_and_no_time_of_an_outage_does),
	    cmocka_unit_test(refusals_are_counted_apart_from_retries),
	    cmocka_unit_test(what_the_wall_clock_was_set_by_is_told),
	    cmocka_unit_test(a_clock_that_is_set_amid_an_outage_makes_it_no_longer),
	    cmocka_unit_test(nonsense_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
