/* What follows an attempt: the tables of causes and statuses, methods, budget, delay, deadline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/retry.h"
#include "lib/method.h"

/* A GET that was sent, its first attempt of five, no deadline. Tests say what differs. */
#define ATTEMPT(...) attempt((struct retry_input){.random = 12345, __VA_ARGS__})

static struct retry_input attempt(struct retry_input in)
{
	in.method = in.method ? in.method : "GET";
	in.sent = true;
	in.tries = in.tries ? in.tries : 1;
	in.max_attempts = in.max_attempts ? in.max_attempts : 5;
	in.now_us = 1000000000;
	in.deadline_us = in.deadline_us ? in.deadline_us : INT64_MAX;
	return in;
}

static void expect(struct retry_input in, enum retry_verdict verdict, enum job_reason reason)
{
	static const char *const names[] = {"done", "again", "failed"};
	struct retry_decision d = retry_decide(&in);

	if (d.verdict != verdict || (verdict == RETRY_FAILED && d.reason != reason))
		fail_msg("%s %s status %d try %u/%u: %s/%s, not %s/%s", in.method, cause_name(in.cause), in.status,
			 in.tries, in.max_attempts, names[d.verdict], job_reason_name(d.reason), names[verdict],
			 job_reason_name(reason));
}

static void a_good_status_is_done(void **arg)
{
	(void)arg;
	for (int status = 200; status <= 299; status++)
		expect(ATTEMPT(.cause = CAUSE_RESPONSE, .status = status), RETRY_DONE, REASON_NONE);
	expect(ATTEMPT(.cause = CAUSE_RESPONSE, .status = 304), RETRY_DONE, REASON_NONE);
	expect(ATTEMPT(.cause = CAUSE_RESPONSE, .status = 201, .method = "POST", .tries = 9), RETRY_DONE, REASON_NONE);
}

static void other_statuses_are_final_but_for_the_seven_transient_ones(void **arg)
{
	static const int transient[] = {408, 425, 429, 500, 502, 503, 504};

	(void)arg;
	for (int status = 100; status < 1000; status++) {
		bool again = false;

		if ((status >= 200 && status <= 299) || status == 304)
			continue;
		for (size_t i = 0; i < sizeof transient / sizeof *transient; i++)
			again = again || transient[i] == status;
		expect(ATTEMPT(.cause = CAUSE_RESPONSE, .status = status), again ? RETRY_AGAIN : RETRY_FAILED,
		       REASON_HTTP_STATUS);
		assert_int_equal(retry_transient(CAUSE_RESPONSE, status), again);
	}
}

static void a_status_that_says_not_processed_is_repeated_for_any_method(void **arg)
{
	(void)arg;
	expect(ATTEMPT(.cause = CAUSE_RESPONSE, .status = 408, .method = "POST"), RETRY_AGAIN, REASON_NONE);
	expect(ATTEMPT(.cause = CAUSE_RESPONSE, .status = 425, .method = "POST"), RETRY_AGAIN, REASON_NONE);
	expect(ATTEMPT(.cause = CAUSE_RESPONSE, .status = 429, .method = "POST"), RETRY_AGAIN, REASON_NONE);
	expect(ATTEMPT(.cause = CAUSE_RESPONSE, .status = 503, .method = "PATCH"), RETRY_AGAIN, REASON_NONE);
}

static void a_server_error_that_may_have_had_an_effect_is_final_for_a_post(void **arg)
{
	static const int statuses[] = {500, 502, 504};

	(void)arg;
	for (size_t i = 0; i < 3; i++) {
		expect(ATTEMPT(.cause = CAUSE_RESPONSE, .status = statuses[i], .method = "POST"), RETRY_FAILED,
		       REASON_HTTP_STATUS);
		expect(ATTEMPT(.cause = CAUSE_RESPONSE, .status = statuses[i], .method = "POST", .repeatable = true),
		       RETRY_AGAIN, REASON_NONE);
		expect(ATTEMPT(.cause = CAUSE_RESPONSE, .status = statuses[i], .method = "PUT"), RETRY_AGAIN,
		       REASON_NONE);
	}
}

static void what_the_body_calls_an_error_is_final_whatever_the_method(void **arg)
{
	(void)arg;
	expect(ATTEMPT(.cause = CAUSE_SOFT_ERROR, .status = 200), RETRY_FAILED, REASON_SOFT_ERROR);
	expect(ATTEMPT(.cause = CAUSE_SOFT_ERROR, .status = 200, .method = "POST"), RETRY_FAILED, REASON_SOFT_ERROR);
	expect(ATTEMPT(.cause = CAUSE_SOFT_ERROR, .status = 201, .method = "POST", .repeatable = true), RETRY_FAILED,
	       REASON_SOFT_ERROR);
}

static const struct cause_expectation {
	enum cause cause;
	enum retry_verdict verdict; /* of a GET without a status */
	enum job_reason reason;     /* when it is final, by nature or by budget */
} expectations[] = {
    {CAUSE_URL, RETRY_FAILED, REASON_TRANSPORT},         {CAUSE_DNS, RETRY_AGAIN, REASON_TRANSPORT},
    {CAUSE_CONNECT, RETRY_AGAIN, REASON_TRANSPORT},      {CAUSE_CONNECT_TIMEOUT, RETRY_AGAIN, REASON_TIMEOUT},
    {CAUSE_TLS, RETRY_AGAIN, REASON_TRANSPORT},          {CAUSE_TLS_VERIFY, RETRY_FAILED, REASON_TRANSPORT},
    {CAUSE_RESET, RETRY_AGAIN, REASON_TRANSPORT},        {CAUSE_TRUNCATED, RETRY_AGAIN, REASON_TRANSPORT},
    {CAUSE_PROTOCOL, RETRY_FAILED, REASON_TRANSPORT},    {CAUSE_DECODE, RETRY_AGAIN, REASON_TRANSPORT},
    {CAUSE_TIMEOUT, RETRY_AGAIN, REASON_TIMEOUT},        {CAUSE_TOO_LARGE, RETRY_FAILED, REASON_TOO_LARGE},
    {CAUSE_POLICY, RETRY_FAILED, REASON_POLICY},         {CAUSE_RESEND, RETRY_AGAIN, REASON_TRANSPORT},
    {CAUSE_CANCELLED, RETRY_AGAIN, REASON_TRANSPORT},    {CAUSE_WORKER_LOST, RETRY_AGAIN, REASON_TRANSPORT},
    {CAUSE_STORAGE, RETRY_AGAIN, REASON_TRANSPORT},      {CAUSE_INTERNAL, RETRY_AGAIN, REASON_TRANSPORT},
    {CAUSE_SOFT_ERROR, RETRY_FAILED, REASON_SOFT_ERROR},
};
_Static_assert(sizeof expectations / sizeof *expectations == CAUSES - 1, "all causes but the whole response");

#define FOR_EACH_CAUSE for (const struct cause_expectation *x = expectations; x < expectations + (CAUSES - 1); x++)

static void every_cause_is_transient_or_final_as_listed(void **arg)
{
	(void)arg;
	FOR_EACH_CAUSE
	{
		expect(ATTEMPT(.cause = x->cause), x->verdict, x->reason);
		assert_int_equal(retry_transient(x->cause, 0), x->verdict == RETRY_AGAIN);
	}
}

static void the_last_attempts_failure_is_final_with_its_own_reason(void **arg)
{
	(void)arg;
	FOR_EACH_CAUSE
	if (x->cause != CAUSE_WORKER_LOST) {
		expect(ATTEMPT(.cause = x->cause, .tries = 5), RETRY_FAILED, x->reason);
		expect(ATTEMPT(.cause = x->cause, .tries = 1, .max_attempts = 1), RETRY_FAILED, x->reason);
	}
	expect(ATTEMPT(.cause = CAUSE_RESPONSE, .status = 503, .tries = 5), RETRY_FAILED, REASON_HTTP_STATUS);
	expect(ATTEMPT(.cause = CAUSE_RESPONSE, .status = 503, .tries = 4), RETRY_AGAIN, REASON_NONE);
}

static void a_post_without_an_answer_is_never_sent_twice(void **arg)
{
	(void)arg;
	FOR_EACH_CAUSE
	{
		expect(ATTEMPT(.cause = x->cause, .method = "POST"), RETRY_FAILED, REASON_UNKNOWN_OUTCOME);
		expect(ATTEMPT(.cause = x->cause, .method = "PATCH", .tries = 5), RETRY_FAILED, REASON_UNKNOWN_OUTCOME);
	}
}

static void a_post_that_was_never_sent_or_may_be_repeated_is_judged_like_a_get(void **arg)
{
	(void)arg;
	FOR_EACH_CAUSE
	{
		struct retry_input unsent = ATTEMPT(.cause = x->cause, .method = "POST");

		unsent.sent = false;
		expect(unsent, x->verdict, x->reason);
		expect(ATTEMPT(.cause = x->cause, .method = "POST", .repeatable = true), x->verdict, x->reason);
	}
}

static void a_post_that_was_answered_well_but_not_whole_is_final_and_sent_again_by_its_owner_alone(void **arg)
{
	static const enum cause broken[] = {CAUSE_TRUNCATED, CAUSE_TIMEOUT, CAUSE_TOO_LARGE, CAUSE_STORAGE};

	(void)arg;
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
		expect(ATTEMPT(.cause = broken[i], .status = 201, .method = "POST"), RETRY_FAILED,
		       REASON_UNKNOWN_OUTCOME);
	expect(ATTEMPT(.cause = CAUSE_SOFT_ERROR, .status = 200, .method = "POST"), RETRY_FAILED, REASON_SOFT_ERROR);
}

static void a_truncated_body_is_never_done(void **arg)
{
	(void)arg;
	expect(ATTEMPT(.cause = CAUSE_TRUNCATED, .status = 200), RETRY_AGAIN, REASON_NONE);
	expect(ATTEMPT(.cause = CAUSE_RESET, .status = 200, .tries = 5), RETRY_FAILED, REASON_TRANSPORT);
	expect(ATTEMPT(.cause = CAUSE_DECODE, .status = 206), RETRY_AGAIN, REASON_NONE);
}

static void a_bad_status_decides_even_when_its_body_broke_off(void **arg)
{
	(void)arg;
	expect(ATTEMPT(.cause = CAUSE_TRUNCATED, .status = 404), RETRY_FAILED, REASON_HTTP_STATUS);
	expect(ATTEMPT(.cause = CAUSE_TOO_LARGE, .status = 403), RETRY_FAILED, REASON_HTTP_STATUS);
	expect(ATTEMPT(.cause = CAUSE_RESET, .status = 503, .method = "POST"), RETRY_AGAIN, REASON_NONE);
	expect(ATTEMPT(.cause = CAUSE_TIMEOUT, .status = 500, .method = "POST"), RETRY_FAILED, REASON_HTTP_STATUS);
	assert_false(retry_transient(CAUSE_TRUNCATED, 404));
	assert_true(retry_transient(CAUSE_TOO_LARGE, 502));
}

static void the_third_worker_that_dies_with_a_job_makes_it_poison(void **arg)
{
	(void)arg;
	expect(ATTEMPT(.cause = CAUSE_WORKER_LOST, .deaths = 1), RETRY_AGAIN, REASON_NONE);
	expect(ATTEMPT(.cause = CAUSE_WORKER_LOST, .deaths = 2), RETRY_AGAIN, REASON_NONE);
	expect(ATTEMPT(.cause = CAUSE_WORKER_LOST, .deaths = 3), RETRY_FAILED, REASON_POISON);
	expect(ATTEMPT(.cause = CAUSE_WORKER_LOST, .deaths = 3, .method = "POST"), RETRY_FAILED, REASON_POISON);
	expect(ATTEMPT(.cause = CAUSE_RESET, .deaths = 3), RETRY_AGAIN, REASON_NONE);
}

static void a_workers_death_costs_no_attempt(void **arg)
{
	(void)arg;
	expect(ATTEMPT(.cause = CAUSE_WORKER_LOST, .deaths = 1, .tries = 1, .max_attempts = 1), RETRY_AGAIN,
	       REASON_NONE);
	expect(ATTEMPT(.cause = CAUSE_WORKER_LOST, .deaths = 2, .tries = 7), RETRY_AGAIN, REASON_NONE);
}

/* The range a delay is drawn from: its supremum is found with the greatest random numbers. */
static int64_t longest_delay(struct retry_input in)
{
	int64_t longest = 0;

	for (uint64_t r = 0; r < 70000000; r += 997) {
		in.random = r;
		int64_t d = retry_decide(&in).delay_us;

		assert_true(d >= 0);
		longest = d > longest ? d : longest;
	}
	return longest;
}

static void delays_are_drawn_from_ranges_that_double_up_to_the_cap(void **arg)
{
	int64_t range = RETRY_BASE_US;

	(void)arg;
	for (unsigned tries = 1; tries < 12; tries++) {
		int64_t longest = longest_delay(ATTEMPT(.cause = CAUSE_CONNECT, .tries = tries, .max_attempts = 99));

		assert_in_range(longest, range - range / 100, range - 1);
		range = range * 2 < RETRY_CAP_US ? range * 2 : RETRY_CAP_US;
	}
	assert_in_range(longest_delay(ATTEMPT(.cause = CAUSE_DNS, .tries = 4000000000U, .max_attempts = 4294967295U)),
			1, RETRY_CAP_US - 1);
}

static void delays_are_spread_evenly(void **arg)
{
	unsigned quarter[4] = {0};
	uint64_t x = 88172645463325252U;

	(void)arg;
	for (int i = 0; i < 40000; i++) {
		struct retry_input in = ATTEMPT(.cause = CAUSE_CONNECT);

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		in.random = x;
		quarter[retry_decide(&in).delay_us * 4 / RETRY_BASE_US]++;
	}
	for (int q = 0; q < 4; q++)
		assert_in_range(quarter[q], 9500, 10500);
}

static void another_attempt_is_due_before_the_deadline(void **arg)
{
	(void)arg;
	assert_in_range(longest_delay(ATTEMPT(.cause = CAUSE_CONNECT, .tries = 4, .deadline_us = 1000000000 + 1000)), 1,
			999);
	expect(ATTEMPT(.cause = CAUSE_CONNECT, .deadline_us = 1000000001), RETRY_AGAIN, REASON_NONE);
}

static void what_would_be_tried_again_after_the_deadline_has_expired(void **arg)
{
	(void)arg;
	expect(ATTEMPT(.cause = CAUSE_CONNECT, .deadline_us = 1000000000), RETRY_FAILED, REASON_EXPIRED);
	expect(ATTEMPT(.cause = CAUSE_RESPONSE, .status = 503, .deadline_us = 1), RETRY_FAILED, REASON_EXPIRED);
	expect(ATTEMPT(.cause = CAUSE_WORKER_LOST, .deaths = 1, .deadline_us = 1), RETRY_FAILED, REASON_EXPIRED);
}

static void what_is_final_anyway_keeps_its_reason_after_the_deadline(void **arg)
{
	(void)arg;
	expect(ATTEMPT(.cause = CAUSE_RESPONSE, .status = 404, .deadline_us = 1), RETRY_FAILED, REASON_HTTP_STATUS);
	expect(ATTEMPT(.cause = CAUSE_RESET, .method = "POST", .deadline_us = 1), RETRY_FAILED, REASON_UNKNOWN_OUTCOME);
	expect(ATTEMPT(.cause = CAUSE_TIMEOUT, .tries = 5, .deadline_us = 1), RETRY_FAILED, REASON_TIMEOUT);
	expect(ATTEMPT(.cause = CAUSE_RESPONSE, .status = 200, .deadline_us = 1), RETRY_DONE, REASON_NONE);
}

static void methods_are_idempotent_as_rfc_9110_says(void **arg)
{
	static const char *const yes[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
	static const char *const no[] = {"POST", "PATCH", "CONNECT", "get", "GETX", "", "PROPFIND"};

	(void)arg;
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
		assert_true(method_idempotent(yes[i]));
	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		assert_false(method_idempotent(no[i]));
}

static void nonsense_from_a_worker_is_a_failure_and_not_a_crash(void **arg)
{
	(void)arg;
	expect(ATTEMPT(.cause = (enum cause)CAUSES), RETRY_AGAIN, REASON_NONE);
	expect(ATTEMPT(.cause = (enum cause)99, .tries = 5), RETRY_FAILED, REASON_TRANSPORT);
	expect(ATTEMPT(.cause = CAUSE_RESPONSE, .status = 0), RETRY_FAILED, REASON_TRANSPORT);
	expect(ATTEMPT(.cause = CAUSE_RESPONSE, .status = -200), RETRY_FAILED, REASON_HTTP_STATUS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_good_status_is_done),
	    cmocka_unit_test(other_statuses_are_final_but_for_the_seven_transient_ones),
	    cmocka_unit_test(a_status_that_says_not_processed_is_repeated_for_any_method),
	    cmocka_unit_test(a_server_error_that_may_have_had_an_effect_is_final_for_a_post),
	    cmocka_unit_test(what_the_body_calls_an_error_is_final_whatever_the_method),
	    cmocka_unit_test(every_cause_is_transient_or_final_as_listed),
	    cmocka_unit_test(the_last_attempts_failure_is_final_with_its_own_reason),
	    cmocka_unit_test(a_post_without_an_answer_is_never_sent_twice),
	    cmocka_unit_test(a_post_that_was_never_sent_or_may_be_repeated_is_judged_like_a_get),
	    cmocka_unit_test(a_post_that_was_answered_well_but_not_whole_is_final_and_sent_again_by_its_owner_alone),
	    cmocka_unit_test(a_truncated_body_is_never_done),
	    cmocka_unit_test(a_bad_status_decides_even_when_its_body_broke_off),
	    cmocka_unit_test(the_third_worker_that_dies_with_a_job_makes_it_poison),
	    cmocka_unit_test(a_workers_death_costs_no_attempt),
	    cmocka_unit_test(delays_are_drawn_from_ranges_that_double_up_to_the_cap),
	    cmocka_unit_test(delays_are_spread_evenly),
	    cmocka_unit_test(another_attempt_is_due_before_the_deadline),
	    cmocka_unit_test(what_would_be_tried_again_after_the_deadline_has_expired),
	    cmocka_unit_test(what_is_final_anyway_keeps_its_reason_after_the_deadline),
	    cmocka_unit_test(methods_are_idempotent_as_rfc_9110_says),
	    cmocka_unit_test(nonsense_from_a_worker_is_a_failure_and_not_a_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
