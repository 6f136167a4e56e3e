/* The fullest window, against a reference that tries every window there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/windows.h"

#define REQUESTS_MAX 40
#define TIMES_MAX    120 /* times are below it: few enough for many to be equal */
#define ROUNDS       20000

struct series {
	int64_t sent[REQUESTS_MAX], counted[REQUESTS_MAX], ends[REQUESTS_MAX];
	size_t count;
};

static struct windows view(struct series *s)
{
	return (struct windows){.sent = s->sent, .counted = s->counted, .ends = s->ends, .count = s->count};
}

static int by_time(const void *left, const void *right)
{
	const int64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

static unsigned seed;

static int64_t random_below(int64_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (int64_t)(seed >> 8) % n;
}

static void make_series(struct series *s)
{
	s->count = (size_t)random_below(REQUESTS_MAX + 1);
	for (size_t i = 0; i < s->count; i++)
		s->sent[i] = random_below(TIMES_MAX);
	qsort(s->sent, s->count, sizeof *s->sent, by_time);
	for (size_t i = 0; i < s->count; i++)
		s->counted[i] = s->ends[i] = s->sent[i] + random_below(random_below(2) ? 3 : 30);
	qsort(s->ends, s->count, sizeof *s->ends, by_time);
}

/* ---- the reference ---- */

static uint64_t times_within(const int64_t *times, size_t count, int64_t from, int64_t window)
{
	uint64_t n = 0;

	for (size_t i = 0; i < count; i++)
		n += times[i] >= from && times[i] < from + window;
	return n;
}

/* Could the server have counted it in [from, from + window)? Tried with each time at which it could have. */
static uint64_t spans_within(const struct series *s, int64_t from, int64_t window)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s->count; i++) {
		bool could = false;

		for (int64_t at = s->sent[i]; at <= s->counted[i]; at++)
			could = could || (at >= from && at < from + window);
		n += could;
	}
	return n;
}

static void each_number_is_that_of_the_reference(void **arg)
{
	(void)arg;
	for (seed = 1; seed < ROUNDS * 7919u; seed += 7919u) {
		unsigned before = seed;
		struct series s;
		struct rate rate;
		struct fullest sent, counted, worst;
		uint64_t most_sent = 0, most_counted = 0, most_worst = 0, n;
		struct windows w;

		make_series(&s);
		rate = (struct rate){.count = 1 + random_below(8), .window_us = 1 + random_below(40)};
		w = view(&s);
		windows_fullest(s.sent, s.count, &rate, &sent);
		windows_fullest(s.ends, s.count, &rate, &counted);
		windows_fullest_at_worst(&w, &rate, &worst);
		for (int64_t from = -rate.window_us; from < TIMES_MAX + 40; from++) {
			n = times_within(s.sent, s.count, from, rate.window_us);
			most_sent = n > most_sent ? n : most_sent;
			n = times_within(s.ends, s.count, from, rate.window_us);
			most_counted = n > most_counted ? n : most_counted;
			n = spans_within(&s, from, rate.window_us);
			most_worst = n > most_worst ? n : most_worst;
		}
		if (sent.requests != most_sent || counted.requests != most_counted || worst.requests != most_worst)
			fail_msg("seed %u: %lu %lu %lu instead of %lu %lu %lu", before, (unsigned long)sent.requests,
				 (unsigned long)counted.requests, (unsigned long)worst.requests,
				 (unsigned long)most_sent, (unsigned long)most_counted, (unsigned long)most_worst);
		/* The window that is told is one of those. */
		assert_int_equal(times_within(s.sent, s.count, sent.from_us, rate.window_us), most_sent);
		assert_int_equal(times_within(s.ends, s.count, counted.from_us, rate.window_us), most_counted);
		assert_int_equal(spans_within(&s, worst.from_us, rate.window_us), most_worst);
		/* Over is what is more than allowed, and nothing else. */
		assert_int_equal(sent.over > 0, most_sent > (uint64_t)rate.count);
		assert_int_equal(counted.over > 0, most_counted > (uint64_t)rate.count);
		assert_int_equal(worst.over > 0, most_worst > (uint64_t)rate.count);
		assert_true(worst.requests >= sent.requests && worst.requests >= counted.requests);
		if (most_sent <= (uint64_t)rate.count)
			assert_true((int64_t)s.count <= windows_allowed(&w, &rate));
		seed = before;
	}
}

/* ---- edges ---- */

static void a_window_ends_before_its_last_microsecond_plus_one(void **arg)
{
	const struct rate rate = {.count = 2, .window_us = 100};
	struct fullest f;

	(void)arg;
	windows_fullest((int64_t[]){0, 50, 100}, 3, &rate, &f);
	assert_int_equal(f.requests, 2);
	assert_int_equal(f.over, 0);
	windows_fullest((int64_t[]){0, 50, 99}, 3, &rate, &f);
	assert_int_equal(f.requests, 3);
	assert_int_equal(f.from_us, 0);
	assert_int_equal(f.over, 1);
}

static void requests_in_the_same_microsecond_count_each(void **arg)
{
	const struct rate rate = {.count = 3, .window_us = 1};
	struct fullest f;

	(void)arg;
	windows_fullest((int64_t[]){7, 7, 7, 7, 8, 8}, 6, &rate, &f);
	assert_int_equal(f.requests, 4);
	assert_int_equal(f.from_us, 7);
	assert_int_equal(f.over, 1);
}

static void no_request_is_no_window(void **arg)
{
	const struct rate rate = {.count = 1, .window_us = 100};
	const struct windows nothing = {0};
	struct fullest f;

	(void)arg;
	windows_fullest(NULL, 0, &rate, &f);
	assert_int_equal(f.requests, 0);
	windows_fullest_at_worst(&nothing, &rate, &f);
	assert_int_equal(f.requests, 0);
	assert_int_equal(windows_allowed(&nothing, &rate), 0);
}

static void a_request_still_out_touches_every_window_since(void **arg)
{
	int64_t sent[] = {0, 500, 900}, counted[] = {1000, 510, 910}, ends[] = {510, 910, 1000};
	const struct windows w = {.sent = sent, .counted = counted, .ends = ends, .count = 3};
	const struct rate rate = {.count = 2, .window_us = 100};
	struct fullest f;

	(void)arg;
	windows_fullest(sent, 3, &rate, &f);
	assert_int_equal(f.requests, 1);
	windows_fullest_at_worst(&w, &rate, &f);
	assert_int_equal(f.requests, 2);
	assert_int_equal(f.over, 0);
}

/* ---- use ---- */

static int64_t allowed(const int64_t *sent, size_t count, int64_t answer_us, const struct rate *rate)
{
	struct series s = {.count = count};
	struct windows w = view(&s);

	for (size_t i = 0; i < count; i++) {
		s.sent[i] = sent[i];
		s.counted[i] = s.ends[i] = sent[i] + answer_us;
	}
	return windows_allowed(&w, rate);
}

static void the_share_is_of_what_whole_windows_allow(void **arg)
{
	const struct rate rate = {.count = 10, .window_us = 100};

	(void)arg;
	assert_int_equal(allowed((int64_t[]){0}, 1, 1, &rate), 10);
	assert_int_equal(allowed((int64_t[]){0, 99}, 2, 1, &rate), 10);
	assert_int_equal(allowed((int64_t[]){0, 100}, 2, 1, &rate), 20);
	assert_int_equal(allowed((int64_t[]){0, 100, 250}, 3, 1, &rate), 30);
}

static void idle_times_are_left_out_of_the_share(void **arg)
{
	const struct rate rate = {.count = 10, .window_us = 100};

	(void)arg;
	assert_int_equal(allowed((int64_t[]){0, 201}, 2, 1, &rate), 30); /* two windows behind the answer: busy */
	assert_int_equal(allowed((int64_t[]){0, 202}, 2, 1, &rate), 20);
	assert_int_equal(allowed((int64_t[]){0, 1000000}, 2, 1, &rate), 20);
	assert_int_equal(allowed((int64_t[]){0, 1000000}, 2, 1000000, &rate), 100010); /* it was out all the time */
}

static void huge_shares_do_not_overflow(void **arg)
{
	const struct rate rate = {.count = 1000000000, .window_us = 1};
	const int64_t year = INT64_C(31536000000000);

	(void)arg;
	assert_true(allowed((int64_t[]){0, year}, 2, year, &rate) == INT64_MAX);
	assert_true(allowed((int64_t[]){0, year, 3 * year, 4 * year}, 4, year - 1, &rate) == INT64_MAX);
}

/* ---- the rule that the daemon keeps ---- */

/* Grants requests as docs/SCHEDULER.md says, or (`wrong`) counts each at its sending. */
static void drive(struct series *s, const struct rate *rate, bool wrong)
{
	int64_t now = 0;

	for (s->count = 0; s->count < REQUESTS_MAX; now += random_below(3)) {
		int64_t held = 0;

		for (size_t i = 0; i < s->count; i++)
			held += (wrong ? s->sent[i] : s->counted[i]) > now - rate->window_us;
		if (held >= rate->count) {
			now++;
			continue;
		}
		s->sent[s->count] = now;
		s->counted[s->count] = s->ends[s->count] = now + random_below(50);
		s->count++;
	}
	qsort(s->ends, s->count, sizeof *s->ends, by_time);
}

static void a_daemon_that_keeps_the_rule_is_never_found_to_break_it(void **arg)
{
	unsigned wrong_found = 0;

	(void)arg;
	for (unsigned round = 1; round <= 2000; round++) {
		struct series s;
		struct windows w;
		struct fullest f;
		struct rate rate;

		seed = round * 2654435761u;
		rate = (struct rate){.count = 1 + random_below(6), .window_us = 1 + random_below(60)};
		drive(&s, &rate, false);
		w = view(&s);
		windows_fullest_at_worst(&w, &rate, &f);
		if (f.over)
			fail_msg("round %u: %lu in a window of %ld", round, (unsigned long)f.requests,
				 (long)rate.count);
		drive(&s, &rate, true);
		w = view(&s);
		windows_fullest_at_worst(&w, &rate, &f);
		wrong_found += f.over > 0;
	}
	/* One that counts at the sending keeps its windows of sending, and is found all the same. */
	assert_true(wrong_found > 1000);
}

static void the_fuller_of_two_boots_is_kept(void **arg)
{
	struct fullest a = {.requests = 5, .from_us = 10, .over = 1};

	(void)arg;
	assert_true(windows_join(&a, &(struct fullest){.requests = 5, .from_us = 90, .over = 2}));
	assert_int_equal(a.from_us, 10);
	assert_int_equal(a.over, 3);
	assert_false(windows_join(&a, &(struct fullest){.requests = 6, .from_us = 90}));
	assert_int_equal(a.from_us, 90);
	assert_int_equal(a.over, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_number_is_that_of_the_reference),
	    cmocka_unit_test(a_window_ends_before_its_last_microsecond_plus_one),
	    cmocka_unit_test(requests_in_the_same_microsecond_count_each),
	    cmocka_unit_test(no_request_is_no_window),
	    cmocka_unit_test(a_request_still_out_touches_every_window_since),
	    cmocka_unit_test(the_share_is_of_what_whole_windows_allow),
	    cmocka_unit_test(idle_times_are_left_out_of_the_share),
	    cmocka_unit_test(huge_shares_do_not_overflow),
	    cmocka_unit_test(a_daemon_that_keeps_the_rule_is_never_found_to_break_it),
	    cmocka_unit_test(the_fuller_of_two_boots_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
