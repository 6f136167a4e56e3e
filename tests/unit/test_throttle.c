/* How long a host that refuses is left alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/throttle.h"

enum { S = 1000000 };
#define MOST UINT64_MAX

/* A refusal now of a request granted just before, without a header. */
static struct throttle_refusal refusal(int64_t now_us, uint64_t random)
{
	return (struct throttle_refusal){
	    .now_us = now_us,
	    .granted_us = now_us - 1,
	    .retry_after_us = -1,
	    .reset_us = -1,
	    .random = random,
	};
}

static void a_host_is_left_alone_as_long_as_it_says_and_a_little_longer(void **arg)
{
	for (uint64_t random = 0; random < 3 * S; random += 1000) {
		struct throttle t = {0};
		struct throttle_refusal r = refusal(100LL * S, random);

		r.retry_after_us = 60LL * S;
		assert_in_range(throttle_hit(&t, &r), 160LL * S, 161LL * S - 1);
		t = (struct throttle){0};
		r.retry_after_us = 2LL * S;
		assert_in_range(throttle_hit(&t, &r), 102LL * S, 102LL * S + 200000);
	}
	(void)arg;
}

static void clients_do_not_all_come_back_at_once(void **arg)
{
	int64_t earliest = INT64_MAX, latest = 0;

	for (uint64_t random = 0; random < S; random += 997) {
		struct throttle t = {0};
		struct throttle_refusal r = refusal(0, random);
		int64_t until;

		r.retry_after_us = 60LL * S;
		until = throttle_hit(&t, &r);
		earliest = until < earliest ? until : earliest;
		latest = until > latest ? until : latest;
	}
	assert_true(latest - earliest > 900000);
	(void)arg;
}

static void what_it_says_is_clamped_both_ways(void **arg)
{
	struct throttle t = {0};
	struct throttle_refusal r = refusal(100LL * S, 0);

	(void)arg;
	r.retry_after_us = 0;
	assert_int_equal(throttle_hit(&t, &r), 100LL * S + THROTTLE_MIN_US);
	t = (struct throttle){0};
	r.retry_after_us = INT64_MAX;
	assert_int_equal(throttle_hit(&t, &r), 100LL * S + THROTTLE_CAP_US);
	t = (struct throttle){0};
	r.cap_us = 30LL * S;
	r.random = MOST;
	assert_int_equal(throttle_hit(&t, &r), 130LL * S);
	t = (struct throttle){0};
	r.cap_us = 1;
	assert_int_equal(throttle_hit(&t, &r), 100LL * S + THROTTLE_MIN_US);
}

static void retry_after_is_believed_before_a_reset(void **arg)
{
	struct throttle t = {0};
	struct throttle_refusal r = refusal(0, 0);

	(void)arg;
	r.reset_us = 50LL * S;
	assert_int_equal(throttle_hit(&t, &r), 50LL * S);
	t = (struct throttle){0};
	r.retry_after_us = 20LL * S;
	assert_int_equal(throttle_hit(&t, &r), 20LL * S);
}

/* The longest that is drawn for the nth refusal in a row. */
static int64_t longest(struct throttle *t, int64_t cap_us)
{
	int64_t now = t->until_us + 1, range = THROTTLE_BASE_US;
	struct throttle_refusal r = refusal(now, 0);

	r.granted_us = t->until_us;
	r.cap_us = cap_us;
	for (unsigned i = 0; i < t->hits && i < 40; i++)
		range *= 2;
	r.random = (uint64_t)(cap_us > 0 && range > cap_us ? cap_us : range) - 1;
	return throttle_hit(t, &r) - now;
}

static void without_a_header_the_range_doubles_with_each_refusal_in_a_row(void **arg)
{
	struct throttle t = {0};

	(void)arg;
	assert_int_equal(longest(&t, 0), THROTTLE_BASE_US - 1);
	assert_int_equal(longest(&t, 0), 2 * THROTTLE_BASE_US - 1);
	assert_int_equal(longest(&t, 0), 4 * THROTTLE_BASE_US - 1);
	assert_int_equal(t.hits, 3);
}

static void the_range_stops_growing_at_the_cap(void **arg)
{
	struct throttle t = {0};

	(void)arg;
	for (int i = 0; i < 100; i++)
		assert_true(longest(&t, 10LL * S) < 10LL * S);
	assert_int_equal(longest(&t, 10LL * S), 10LL * S - 1);
	for (int i = 0; i < 100; i++)
		assert_true(longest(&t, 0) <= THROTTLE_CAP_US);
}

static void the_whole_range_is_drawn_from(void **arg)
{
	int short_ones = 0, long_ones = 0;

	for (uint64_t random = 0; random < S; random += 1000) {
		struct throttle t = {0};
		struct throttle_refusal r = refusal(0, random);
		int64_t until = throttle_hit(&t, &r);

		assert_in_range(until, THROTTLE_MIN_US, THROTTLE_BASE_US - 1);
		short_ones += until < THROTTLE_BASE_US / 2;
		long_ones += until >= THROTTLE_BASE_US / 2;
	}
	assert_int_equal(short_ones, 500);
	assert_int_equal(long_ones, 500);
	(void)arg;
}

static void echoes_of_one_refusal_do_not_double_it(void **arg)
{
	struct throttle t = {0};
	struct throttle_refusal r = refusal(10LL * S, 500000);
	int64_t until = throttle_hit(&t, &r);

	(void)arg;
	assert_int_equal(until, 10LL * S + 500000);
	for (int i = 1; i <= 60; i++) { /* all that was in flight is refused too */
		r = refusal(10LL * S + i, 999999);
		r.granted_us = 9LL * S + i;
		assert_int_equal(throttle_hit(&t, &r), until);
	}
	assert_int_equal(t.hits, 1);
	r = refusal(20LL * S, 999999); /* and one much later: nothing to do */
	r.granted_us = 9LL * S;
	assert_true(throttle_hit(&t, &r) <= 20LL * S);
}

static void an_echo_that_knows_a_later_time_lengthens_the_pause(void **arg)
{
	struct throttle t = {0};
	struct throttle_refusal r = refusal(10LL * S, 500000);

	(void)arg;
	throttle_hit(&t, &r);
	r = refusal(10LL * S + 1, 0);
	r.granted_us = 9LL * S;
	r.retry_after_us = 30LL * S;
	assert_int_equal(throttle_hit(&t, &r), 40LL * S + 1);
	r.retry_after_us = 3LL * S;
	assert_int_equal(throttle_hit(&t, &r), 40LL * S + 1);
	assert_int_equal(t.hits, 1);
}

static void a_good_answer_begins_anew_if_it_was_asked_after_the_pause(void **arg)
{
	struct throttle t = {0};

	(void)arg;
	longest(&t, 0);
	longest(&t, 0);
	assert_false(throttle_ok(&t, t.until_us - 1));
	assert_int_equal(t.hits, 2);
	assert_true(throttle_ok(&t, t.until_us));
	assert_int_equal(longest(&t, 0), THROTTLE_BASE_US - 1);
}

static void a_host_that_never_refused_is_fine(void **arg)
{
	struct throttle t = {0};

	(void)arg;
	assert_true(throttle_ok(&t, 1));
	assert_int_equal(t.until_us, 0);
}

static void a_spent_budget_pauses_until_its_reset_and_is_no_refusal(void **arg)
{
	struct throttle t = {0};
	struct throttle_refusal r = refusal(10LL * S, 0);

	(void)arg;
	r.reset_us = 5LL * S;
	r.retry_after_us = 77LL * S; /* says nothing in a good answer */
	assert_int_equal(throttle_spent(&t, &r), 15LL * S);
	assert_int_equal(t.hits, 0);
	r.reset_us = -1;
	assert_int_equal(throttle_spent(&t, &r), 15LL * S);
	r.reset_us = INT64_MAX;
	assert_int_equal(throttle_spent(&t, &r), 10LL * S + THROTTLE_CAP_US);
}

static void after_a_pause_that_was_lifted_a_refusal_counts_and_an_echo_does_not_bring_it_back(void **arg)
{
	struct throttle t = {0};
	struct throttle_refusal r = refusal(10LL * S, 0);

	(void)arg;
	r.retry_after_us = 600LL * S;
	assert_int_equal(throttle_hit(&t, &r), 610LL * S);
	throttle_resume(&t, 20LL * S);
	r = refusal(21LL * S, MOST);
	r.granted_us = 9LL * S;
	assert_int_equal(throttle_hit(&t, &r), 20LL * S);
	assert_int_equal(t.hits, 1);
	r.granted_us = 20LL * S;
	r.retry_after_us = 500LL * S;
	assert_in_range(throttle_hit(&t, &r), 521LL * S, 522LL * S);
	assert_int_equal(t.hits, 2);
	throttle_resume(&t, 30LL * S);
	assert_true(throttle_ok(&t, 30LL * S));
	assert_int_equal(t.hits, 0);
	throttle_resume(&t, 29LL * S);
	throttle_resume(&t, 40LL * S); /* is over already */
	assert_int_equal(t.until_us, 29LL * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_host_is_left_alone_as_long_as_it_says_and_a_little_longer),
	    cmocka_unit_test(clients_do_not_all_come_back_at_once),
	    cmocka_unit_test(what_it_says_is_clamped_both_ways),
	    cmocka_unit_test(retry_after_is_believed_before_a_reset),
	    cmocka_unit_test(without_a_header_the_range_doubles_with_each_refusal_in_a_row),
	    cmocka_unit_test(the_range_stops_growing_at_the_cap),
	    cmocka_unit_test(the_whole_range_is_drawn_from),
	    cmocka_unit_test(echoes_of_one_refusal_do_not_double_it),
	    cmocka_unit_test(an_echo_that_knows_a_later_time_lengthens_the_pause),
	    cmocka_unit_test(a_good_answer_begins_anew_if_it_was_asked_after_the_pause),
	    cmocka_unit_test(a_host_that_never_refused_is_fine),
	    cmocka_unit_test(after_a_pause_that_was_lifted_a_refusal_counts_and_an_echo_does_not_bring_it_back),
	    cmocka_unit_test(a_spent_budget_pauses_until_its_reset_and_is_no_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
