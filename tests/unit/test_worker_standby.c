/* What lies with a worker before its turn: when it begins, and how it goes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/wire.h"
#include "worker/standby.h"

enum { SEEN_MAX = 64 };

static struct standby *s;
static uint64_t begun[SEEN_MAX], returned[SEEN_MAX];
static size_t begun_count, returned_count;
static int64_t ends_at_once; /* this job ends before its begin returns */
static int64_t refused;      /* this one can't begin */
static int may_be_begun;     /* so many times it may be begun */

static int on_begin(const struct message_job *job, void *arg)
{
	(void)arg;
	if ((int64_t)job->job == refused)
		return -1;
	assert_in_range(begun_count, 0, SEEN_MAX - 1);
	assert_string_equal(job->url, "http://h/x");
	begun[begun_count++] = job->job;
	if ((int64_t)job->job == ends_at_once)
		standby_ended(s, job->lane);
	return 0;
}

static bool may_begin(void *arg)
{
	(void)arg;
	return may_be_begun-- > 0;
}

static void on_returned(const struct message_returned *m, void *arg)
{
	(void)arg;
	assert_in_range(returned_count, 0, SEEN_MAX - 1);
	assert_int_equal(m->n, 1);
	returned[returned_count++] = m->job;
}

static int set_up(void **arg)
{
	const struct standby_events events = {.on_begin = on_begin, .may_begin = may_begin, .on_returned = on_returned};

	(void)arg;
	begun_count = returned_count = 0;
	ends_at_once = refused = -1;
	may_be_begun = SEEN_MAX;
	s = standby_create(&events);
	return 0;
}

static int tear_down(void **arg)
{
	(void)arg;
	standby_free(s);
	return 0;
}

/* As it comes: read from a frame that is gone afterwards. */
static int take(uint64_t lane, uint64_t job, uint32_t slots)
{
	struct message_job m = {
	    .lane = lane,
	    .job = job,
	    .n = 1,
	    .timeout_ms = 1,
	    .connect_timeout_ms = 1,
	    .method = "GET",
	    .url = "http://h/x",
	};
	struct wire_out o = {0};
	struct wire_in in, frame;
	struct message_job read;
	uint8_t type;
	size_t taken;
	int rc;

	message_put_job(&o, &m);
	message_set_slots(o.data, slots);
	assert_int_equal(wire_next(o.data, o.len, &type, &in, &taken), 1);
	frame = in;
	assert_int_equal(message_get_job(&in, &read), 0);
	rc = standby_take(s, &read, &frame);
	wire_out_clear(&o);
	return rc;
}

static void turn(void)
{
	assert_int_equal(standby_begin(s), 0);
}

static void one_without_slots_begins_at_once(void **arg)
{
	(void)arg;
	assert_int_equal(take(1, 10, 0), 0);
	assert_int_equal(begun_count, 1);
	assert_int_equal(begun[0], 10);
	assert_int_equal(standby_count(s), 0);
}

static void one_begins_when_another_of_its_lane_has_ended(void **arg)
{
	(void)arg;
	take(1, 10, 0);
	take(1, 11, 1);
	take(1, 12, 1);
	turn();
	assert_int_equal(begun_count, 1);
	assert_int_equal(standby_count(s), 2);
	standby_ended(s, 1);
	assert_int_equal(begun_count, 1); /* not before the turn's end */
	turn();
	assert_int_equal(begun_count, 2);
	assert_int_equal(begun[1], 11);
	standby_ended(s, 1);
	turn();
	assert_int_equal(begun[2], 12);
	assert_int_equal(standby_count(s), 0);
}

static void an_end_in_another_lane_lets_none_begin(void **arg)
{
	(void)arg;
	take(1, 10, 0);
	take(2, 20, 0);
	take(1, 11, 1);
	standby_ended(s, 2);
	turn();
	assert_int_equal(begun_count, 2);
	assert_int_equal(standby_count(s), 1);
}

/* The outcome of what it is to follow is on its way to the daemon. */
static void one_that_comes_after_the_end_begins(void **arg)
{
	(void)arg;
	take(1, 10, 0);
	standby_ended(s, 1);
	take(1, 11, 1);
	turn();
	assert_int_equal(begun_count, 2);
}

static void never_more_run_than_were_told_last(void **arg)
{
	(void)arg;
	for (uint64_t i = 0; i < 3; i++)
		take(1, 10 + i, 0);
	for (uint64_t i = 0; i < 10; i++)
		take(1, 20 + i, 3);
	standby_ended(s, 1);
	standby_ended(s, 1);
	turn();
	assert_int_equal(begun_count, 5);
	take(1, 40, 2);
	standby_ended(s, 1);
	turn();
	assert_int_equal(begun_count, 5);
	standby_ended(s, 1);
	turn();
	assert_int_equal(begun_count, 6);
	standby_slots(s, &(struct message_slots){.lane = 1, .slots = 4});
	turn();
	assert_int_equal(begun_count, 8);
	for (size_t i = 3; i < begun_count; i++)
		assert_int_equal(begun[i], 20 + i - 3);
}

static void those_that_end_as_they_begin_make_way(void **arg)
{
	(void)arg;
	ends_at_once = 11;
	take(1, 10, 0);
	take(1, 11, 1);
	take(1, 12, 1);
	standby_ended(s, 1);
	turn();
	assert_int_equal(begun_count, 3);
	standby_ended(s, 1);
	assert_int_equal(standby_count(s), 0);
}

static void none_begins_before_what_was_told_of_ends_has_left(void **arg)
{
	(void)arg;
	for (uint64_t job = 10; job < 12; job++)
		take(1, job, 0);
	for (uint64_t job = 12; job < 15; job++)
		take(1, job, 2);
	standby_ended(s, 1);
	standby_ended(s, 1);
	may_be_begun = 0;
	turn();
	assert_int_equal(begun_count, 2);
	ends_at_once = 12; /* its end has to leave too */
	may_be_begun = 1;
	turn();
	assert_int_equal(begun_count, 3);
	may_be_begun = SEEN_MAX;
	turn();
	assert_int_equal(begun_count, 5);
}

static void what_is_recalled_goes_back_and_never_begins(void **arg)
{
	(void)arg;
	take(1, 10, 0);
	take(2, 20, 0);
	take(1, 11, 1);
	take(1, 12, 1);
	take(2, 21, 1);
	standby_recall(s, &(struct message_recall){.lane = 1});
	assert_int_equal(returned_count, 2);
	assert_int_equal(returned[0], 11);
	assert_int_equal(returned[1], 12);
	standby_recall(s, &(struct message_recall){.lane = 3});
	standby_ended(s, 1);
	turn();
	assert_int_equal(begun_count, 2);
	standby_recall_all(s);
	assert_int_equal(returned_count, 3);
	standby_ended(s, 2);
	turn();
	assert_int_equal(begun_count, 2);
	assert_int_equal(standby_count(s), 0);
}

static void where_limits_were_told_none_stands_by_before_that_is_answered(void **arg)
{
	const struct message_recall other = {.lane = 1}, answer = {.lane = 1, .answers = true};

	(void)arg;
	take(1, 10, 0);
	take(1, 11, 0);
	take(1, 12, 2);
	standby_told(s, 1);
	standby_ended(s, 1);
	standby_told(s, 1);
	standby_ended(s, 1);
	assert_int_equal(returned_count, 1);
	take(1, 13, 2);
	assert_int_equal(returned_count, 2);
	take(1, 14, 0); /* what was picked for now begins all the same */
	assert_int_equal(begun_count, 3);
	standby_recall(s, &other);
	standby_recall(s, &answer);
	take(1, 15, 2);
	assert_int_equal(returned_count, 3);
	standby_recall(s, &answer);
	take(1, 16, 2);
	turn();
	assert_int_equal(returned_count, 3);
	assert_int_equal(begun_count, 4);
	standby_ended(s, 1);
	standby_ended(s, 1);
	standby_recall(s, &answer); /* of a lane that is not known any more */
}

static void one_that_is_cancelled_goes_back_alone(void **arg)
{
	(void)arg;
	assert_false(standby_cancel(s, &(struct message_cancel){.job = 10, .n = 1}));
	take(1, 10, 0);
	take(1, 11, 1);
	take(1, 12, 1);
	assert_false(standby_cancel(s, &(struct message_cancel){.job = 10, .n = 1})); /* it has begun */
	assert_false(standby_cancel(s, &(struct message_cancel){.job = 11, .n = 2}));
	assert_true(standby_cancel(s, &(struct message_cancel){.job = 11, .n = 1}));
	assert_int_equal(returned_count, 1);
	standby_ended(s, 1);
	turn();
	assert_int_equal(begun[1], 12);
}

static void one_that_cannot_begin_is_told(void **arg)
{
	(void)arg;
	refused = 11;
	assert_int_equal(take(1, 11, 0), -1);
	take(1, 11, 2);
	assert_int_equal(standby_begin(s), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(one_without_slots_begins_at_once),
	    TEST(one_begins_when_another_of_its_lane_has_ended),
	    TEST(an_end_in_another_lane_lets_none_begin),
	    TEST(one_that_comes_after_the_end_begins),
	    TEST(never_more_run_than_were_told_last),
	    TEST(those_that_end_as_they_begin_make_way),
	    TEST(none_begins_before_what_was_told_of_ends_has_left),
	    TEST(what_is_recalled_goes_back_and_never_begins),
	    TEST(where_limits_were_told_none_stands_by_before_that_is_answered),
	    TEST(one_that_is_cancelled_goes_back_alone),
	    TEST(one_that_cannot_begin_is_told),
	};

	return cmocka_run_group_tests_name("worker_standby", tests, NULL, NULL);
}
