/* The progress line, server-sent events, sums of chains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/chains.h"
#include "cli/ctl.h"
#include "cli/progress.h"
#include "cli/sse.h"
#include "lib/clock.h"

static json_t *batch(const char *state, int queued, int running, int done, int failed)
{
	return json_pack("{s:i, s:s, s:{s:i, s:i, s:i, s:i, s:i, s:i}}", "batch", 7, "state", state, "counts",
			 "blocked", 0, "queued", queued, "running", running, "done", done, "failed", failed,
			 "cancelled", 0);
}

static void update(struct progress *p, const char *state, int queued, int running, int done, int failed, int64_t now_us)
{
	json_t *j = batch(state, queued, running, done, failed);

	progress_update(p, j, now_us);
	json_decref(j);
}

static void expect(const struct progress *p, unsigned width, const char *expected)
{
	struct text line = {0};

	progress_format(p, width, &line);
	assert_string_equal(line.data, expected);
	if (width)
		assert_true(line.len <= width);
	text_clear(&line);
}

static void the_line_says_how_far_how_fast_and_how_long(void **arg)
{
	struct progress p = {0};

	(void)arg;
	update(&p, "running", 90, 10, 0, 0, 1000000);
	expect(&p, 0, "batch 7: 0 of 100, 10 running");
	update(&p, "running", 60, 10, 28, 2, 2000000);
	expect(&p, 0, "batch 7: 30 of 100, 2 failed, 30/s, 3 s left, 10 running");
	expect(&p, 59, "batch 7: 30 of 100, 2 failed, 30/s, 3 s left, 10 running");
}

static void the_forecast_counts_where_it_is_later_than_the_speed_says(void **arg)
{
	char eta[CLOCK_RFC3339_SIZE];
	json_t *j = batch("running", 50, 0, 50, 0);
	struct progress p = {0};

	(void)arg;
	/* Half a minute less is the same to it: how soon it is shown does not matter. */
	clock_format_rfc3339(eta, clock_wall_us() + (5 * 3600 + 30 * 60 + 25) * INT64_C(1000000));
	json_object_set_new(j, "eta", json_string(eta));
	progress_update(&p, j, 1000000);
	expect(&p, 0, "batch 7: 50 of 100, 5 h 30 min left");
	update(&p, "running", 50, 0, 50, 0, 2000000);
	expect(&p, 0, "batch 7: 50 of 100");
	json_decref(j);
}

static void where_the_daemon_foresees_nothing_the_speed_says_nothing_either(void **arg)
{
	json_t *j = batch("running", 60, 10, 30, 0);
	struct progress p = {0};

	(void)arg;
	update(&p, "running", 90, 10, 0, 0, 1000000);
	json_object_set_new(j, "eta", json_null());
	progress_update(&p, j, 2000000);
	expect(&p, 0, "batch 7: 30 of 100, 30/s, 10 running");
	json_decref(j);
}

/* Tests have no terminal: a line every ten seconds. */
static void a_line_is_due_ten_seconds_behind_the_one_before(void **arg)
{
	struct progress p = {0};

	(void)arg;
	update(&p, "running", 90, 10, 0, 0, 1000000);
	progress_draw(&p, 1000000);
	assert_int_equal(progress_due_us(&p, 1000000), 10000000);
	assert_int_equal(progress_due_us(&p, 10999999), 1);
	assert_int_equal(progress_due_us(&p, 12000000), 0);
}

static void a_narrow_terminal_gets_what_matters_most(void **arg)
{
	struct progress p = {0};

	(void)arg;
	update(&p, "running", 90, 10, 0, 0, 1000000);
	update(&p, "running", 60, 10, 28, 2, 2000000);
	expect(&p, 30, "batch 7: 30 of 100, 2 failed");
	expect(&p, 10, "batch 7: 3");
}

static void what_holds_it_up_is_told_where_there_is_room(void **arg)
{
	struct progress p = {0};

	(void)arg;
	update(&p, "running", 50, 0, 50, 0, 1000000);
	text_add_str(&p.waits, "the rate of cats is used up (100/1min): goes on in 3 s");
	expect(&p, 0, "batch 7: 50 of 100; the rate of cats is used up (100/1min): goes on in 3 s");
	expect(&p, 50, "batch 7: 50 of 100; the rate of cats is used up...");
	p.stalled = true;
	p.waits.len = 0; /* nothing else is asked for then */
	expect(&p, 0, "batch 7: 50 of 100, the disk is full");
	progress_clear(&p);
}

static void what_holds_it_up_comes_before_the_speed(void **arg)
{
	struct progress p = {0};

	(void)arg;
	update(&p, "running", 90, 10, 0, 0, 1000000);
	update(&p, "running", 60, 10, 30, 0, 2000000);
	text_add_str(&p.waits, "the rate of cats is used up (100/1min)");
	expect(&p, 0, "batch 7: 30 of 100, 30/s, 3 s left, 10 running; the rate of cats is used up (100/1min)");
	expect(&p, 70, "batch 7: 30 of 100, 3 s left; the rate of cats is used up (100/1min)");
	progress_clear(&p);
}

static void when_it_goes_on_is_counted_down(void **arg)
{
	struct progress p = {0};

	(void)arg;
	update(&p, "running", 50, 0, 50, 0, 1000000);
	text_add_str(&p.waits, "the rate of cats is used up");
	/* Half a minute less is the same to it: how soon it is shown does not matter. */
	p.goes_on_us = clock_wall_us() + (5 * 3600 + 30 * 60 + 25) * INT64_C(1000000);
	expect(&p, 0, "batch 7: 50 of 100; the rate of cats is used up, goes on in 5 h 30 min");
	expect(&p, 50, "batch 7: 50 of 100; the rate of cats is used up");
	p.goes_on_us = 1;
	expect(&p, 0, "batch 7: 50 of 100; the rate of cats is used up");
	progress_clear(&p);
}

static void of_an_error_that_does_not_fit_the_ends_are_told(void **arg)
{
	struct progress p = {0};

	(void)arg;
	update(&p, "running", 300, 0, 0, 0, 1000000);
	text_add_str(&p.waits, "90 attempts failed: connection to 127.0.0.1 port 1 failed: Connection refused");
	expect(&p, 0,
	       "batch 7: 0 of 300; 90 attempts failed: connection to 127.0.0.1 port 1 failed: Connection refused");
	expect(&p, 79, "batch 7: 0 of 300; 90 attempts failed: ...Connection refused");
	p.waits.len = 0;
	text_add_str(&p.waits, "90 attempts failed: 503 Service Unavailable: {\"message\": \"The database is away\"}");
	expect(&p, 79, "batch 7: 0 of 300; 90 attempts failed: 503 Service Unavailable: {\"message\"...");
	progress_clear(&p);
}

static void a_wide_terminal_gets_a_bar(void **arg)
{
	struct progress p = {0};

	(void)arg;
	update(&p, "running", 50, 0, 50, 0, 1000000);
	expect(&p, 37, "[######------] batch 7: 50 of 100");
	expect(&p, 79, "[#########----------] batch 7: 50 of 100");
	/* and as long with more behind it */
	update(&p, "running", 48, 0, 50, 2, 1000000);
	expect(&p, 79, "[#########----------] batch 7: 52 of 100, 2 failed");
}

static void a_pause_and_an_open_batch_are_told(void **arg)
{
	struct progress p = {0};

	(void)arg;
	update(&p, "paused", 10, 0, 0, 0, 1);
	expect(&p, 0, "batch 7: 0 of 10, paused");
	update(&p, "open", 10, 0, 0, 0, 2);
	expect(&p, 0, "batch 7: 0 of 10 or more");
}

static void the_rate_forgets_what_is_long_ago(void **arg)
{
	struct progress p = {0};

	(void)arg;
	/* 100 a second for a minute, then nothing for ten seconds. */
	for (int i = 0; i <= 300; i++)
		update(&p, "running", 10000 - i * 20, 0, i * 20, 0, i * INT64_C(200000));
	assert_true(progress_rate(&p) > 99 && progress_rate(&p) < 101);
	for (int i = 1; i <= 50; i++)
		update(&p, "running", 4000, 0, 6000, 0, INT64_C(60000000) + i * INT64_C(200000));
	assert_true(progress_rate(&p) == 0);
}

static void what_is_cancelled_has_no_speed_and_nothing_is_left(void **arg)
{
	struct progress p = {0};

	(void)arg;
	update(&p, "running", 1000, 0, 100, 0, 1000000);
	update(&p, "running", 990, 0, 110, 0, 2000000);
	assert_true(progress_rate(&p) > 9 && progress_rate(&p) < 11 && progress_seconds_left(&p) > 0);
	json_t *counts = json_pack("{s:i, s:i, s:i}", "queued", 100, "done", 120, "cancelled", 880);
	json_t *j = json_pack("{s:i, s:s, s:o}", "batch", 7, "state", "cancelling", "counts", counts);
	progress_update(&p, j, 3000000);
	json_decref(j);
	assert_true(progress_rate(&p) > 9 && progress_rate(&p) < 11);
	assert_true(progress_seconds_left(&p) == 0);
}

static void a_final_state_is_an_exit_status(void **arg)
{
	static const struct {
		const char *state;
		int status;
	} cases[] = {{"done", STATUS_FINE},
		     {"failed", STATUS_FAILED},
		     {"cancelled", STATUS_CANCELLED},
		     {"running", -1},
		     {"open", -1},
		     {"paused", -1},
		     {"cancelling", -1},
		     {"held", -1}};

	(void)arg;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		json_t *j = batch(cases[i].state, 0, 0, 0, 0);

		if (progress_exit_status(j) != cases[i].status)
			fail_msg("%s: %d", cases[i].state, progress_exit_status(j));
		json_decref(j);
	}
}

/* ---- events ---- */

static int note_event(void *arg, const struct sse_event *event, struct err *e)
{
	(void)e;
	text_printf(arg, "(%s %s %s)", event->id, event->name, event->data);
	return 0;
}

static void events_are_the_same_in_pieces_of_any_size(void **arg)
{
	static const char stream[] =
	    ": hello\n\nid: 1\nevent: job\ndata: {\"a\":1}\n\n:\r\nid:2\r\ndata:x\r\ndata: y\r\n\r\n"
	    "unknown: z\nevent: batch\ndata: {}\n\ndata: cut";

	(void)arg;
	for (size_t size = 1; size < sizeof stream; size++) {
		struct text seen = {0};
		struct sse s = {.on_event = note_event, .arg = &seen};

		for (size_t at = 0; at < sizeof stream - 1; at += size) {
			size_t n = sizeof stream - 1 - at;

			assert_int_equal(sse_feed(&s, stream + at, n < size ? n : size, NULL), 0);
		}
		assert_string_equal(seen.data, "(1 job {\"a\":1})(2 message x\ny)(2 batch {})");
		text_clear(&seen);
		sse_clear(&s);
	}
}

static void a_stream_that_was_cut_begins_anew_and_keeps_the_id(void **arg)
{
	struct text seen = {0};
	struct sse s = {.on_event = note_event, .arg = &seen};

	(void)arg;
	sse_feed(&s, "id: 5\ndata: a\n\nid: 6\ndata: half", 31, NULL);
	sse_restart(&s);
	sse_feed(&s, "data: b\n\n", 9, NULL);
	assert_string_equal(seen.data, "(5 message a)(5 message b)");
	assert_string_equal(s.id.data, "5");
	text_clear(&seen);
	sse_clear(&s);
}

/* ---- chains ---- */

static void note(struct chains *c, const char *chain, const char *state, const char *start, const char *end)
{
	json_t *row =
	    json_pack("{s:s?, s:s, s:s?, s:s?}", "chain", chain, "state", state, "started_at", start, "ended_at", end);

	chains_note(c, row);
	json_decref(row);
}

static void chains_are_summed_from_first_start_to_last_end(void **arg)
{
	struct chains c = {0};
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)arg;
	note(&c, "b", "done", "2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:00.500000Z");
	note(&c, "a", "done", "2026-01-01T00:00:01.000000Z", "2026-01-01T00:00:02.000000Z");
	note(&c, "b", "failed", "2026-01-01T00:00:01.000000Z", "2026-01-01T00:00:01.500000Z");
	note(&c, "b", "failed", NULL, NULL);
	note(&c, NULL, "done", NULL, NULL);
	chains_print(&c, out);
	fclose(out);
	assert_string_equal(text, "chain b  1 of 3 done, failed in 1.50 s\nchain a  1 of 1 done in 1.00 s\n");
	free(text);
	chains_clear(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_line_says_how_far_how_fast_and_how_long),
	    cmocka_unit_test(the_forecast_counts_where_it_is_later_than_the_speed_says),
	    cmocka_unit_test(where_the_daemon_foresees_nothing_the_speed_says_nothing_either),
	    cmocka_unit_test(a_line_is_due_ten_seconds_behind_the_one_before),
	    cmocka_unit_test(a_narrow_terminal_gets_what_matters_most),
	    cmocka_unit_test(what_holds_it_up_is_told_where_there_is_room),
	    cmocka_unit_test(what_holds_it_up_comes_before_the_speed),
	    cmocka_unit_test(when_it_goes_on_is_counted_down),
	    cmocka_unit_test(of_an_error_that_does_not_fit_the_ends_are_told),
	    cmocka_unit_test(a_wide_terminal_gets_a_bar),
	    cmocka_unit_test(a_pause_and_an_open_batch_are_told),
	    cmocka_unit_test(the_rate_forgets_what_is_long_ago),
	    cmocka_unit_test(what_is_cancelled_has_no_speed_and_nothing_is_left),
	    cmocka_unit_test(a_final_state_is_an_exit_status),
	    cmocka_unit_test(events_are_the_same_in_pieces_of_any_size),
	    cmocka_unit_test(a_stream_that_was_cut_begins_anew_and_keeps_the_id),
	    cmocka_unit_test(chains_are_summed_from_first_start_to_last_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
