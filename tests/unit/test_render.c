/* Structs as JSON: states, forecasts, odd bytes. */
#define _GNU_SOURCE 1

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <event2/buffer.h>

#include "daemon/render.h"

#define SECOND INT64_C(1000000)

static void a_batchs_state_is_told_by_what_matters_most(void **state)
{
	struct store_batch b = {.id = 1};

	(void)state;
	assert_string_equal(render_batch_state(&b), "open");
	b.held = true;
	assert_string_equal(render_batch_state(&b), "held");
	b.closed = true;
	assert_string_equal(render_batch_state(&b), "running");
	b.paused = true;
	assert_string_equal(render_batch_state(&b), "paused");
	b.sweep = STORE_SWEEP_CANCEL;
	assert_string_equal(render_batch_state(&b), "cancelling");
	b.sweep = STORE_SWEEP_RETRY;
	assert_string_equal(render_batch_state(&b), "retrying");
	b.sweep = STORE_SWEEP_FAIL;
	assert_string_equal(render_batch_state(&b), "failing");
	b.sweep = STORE_SWEEP_NONE;
	b.ended_us = 5;
	b.counts[JOB_DONE] = 3;
	assert_string_equal(render_batch_state(&b), "done");
	b.counts[JOB_CANCELLED] = 1;
	assert_string_equal(render_batch_state(&b), "cancelled");
	b.counts[JOB_FAILED] = 1;
	assert_string_equal(render_batch_state(&b), "failed");
}

static void the_forecast_is_the_speed_so_far(void **state)
{
	struct store_batch b = {.id = 1, .closed = true, .submitted_us = SECOND, .active_from_us = 100 * SECOND};

	(void)state;
	b.counts[JOB_QUEUED] = 90;
	assert_int_equal(render_eta_us(&b, 0, 110 * SECOND), 0); /* nothing ended yet */
	b.counts[JOB_DONE] = 8;
	b.counts[JOB_FAILED] = 2;
	assert_int_equal(render_eta_us(&b, 0, 110 * SECOND), 200 * SECOND);
	b.counts[JOB_CANCELLED] = 1000; /* cost no time */
	assert_int_equal(render_eta_us(&b, 0, 110 * SECOND), 200 * SECOND);
	assert_int_equal(render_eta_us(&b, 0, 90 * SECOND), 0); /* the clock was set back */
	b.paused = true;
	assert_int_equal(render_eta_us(&b, 0, 110 * SECOND), 0);
	b.paused = false;
	b.ended_us = 1;
	assert_int_equal(render_eta_us(&b, 0, 110 * SECOND), 0);
}

static void where_nothing_ended_for_long_the_end_is_as_far_away_again(void **state)
{
	struct store_batch b = {.id = 1, .closed = true, .active_from_us = 100 * SECOND};

	(void)state;
	b.counts[JOB_DONE] = 1000;
	b.counts[JOB_RUNNING] = 1;
	assert_int_equal(render_eta_us(&b, 0, 110 * SECOND), 110 * SECOND + SECOND / 100);
	assert_int_equal(render_eta_us(&b, 5 * SECOND, 115 * SECOND), 120 * SECOND);
	assert_int_equal(render_eta_us(&b, 20 * SECOND, 130 * SECOND), 150 * SECOND);
	b.counts[JOB_RUNNING] = 5000;
	assert_int_equal(render_eta_us(&b, 20 * SECOND, 130 * SECOND), 280 * SECOND);
}

static void nothing_is_forecast_of_a_batch_that_is_being_cancelled(void **state)
{
	struct store_batch b = {.id = 1, .closed = true, .active_from_us = 100 * SECOND, .sweep = STORE_SWEEP_CANCEL};

	(void)state;
	b.counts[JOB_DONE] = 10;
	b.counts[JOB_QUEUED] = 90;
	assert_int_equal(render_eta_us(&b, 0, 110 * SECOND), 0);
	b.sweep = STORE_SWEEP_FAIL;
	assert_int_equal(render_eta_us(&b, 0, 110 * SECOND), 0);
	b.sweep = STORE_SWEEP_NONE;
	assert_int_equal(render_eta_us(&b, 0, 110 * SECOND), 200 * SECOND);
}

static char *text_of(struct evbuffer *buf)
{
	size_t n = evbuffer_get_length(buf);
	char *text = calloc(1, n + 1);

	assert_non_null(text);
	evbuffer_remove(buf, text, n);
	evbuffer_free(buf);
	return text;
}

static char *written(json_t *json)
{
	struct evbuffer *buf = evbuffer_new();

	render_write(buf, json, true);
	return text_of(buf);
}

static void assert_body(const void *body, size_t n, const char *expected)
{
	struct evbuffer *buf = evbuffer_new();
	char *text;

	render_row_body(buf, body, n);
	text = text_of(buf);
	assert_string_equal(text, expected);
	free(text);
}

static void a_body_is_text_where_it_can_be(void **state)
{
	(void)state;
	assert_body("abc ~", 5, ",\"body\":\"abc ~\"}\n");
	assert_body("a\"\xc3\xa4\\\n\x7f", 7, ",\"body\":\"a\\\"\xc3\xa4\\\\\\n\x7f\"}\n");
	assert_body(NULL, 0, ",\"body\":\"\"}\n");
	assert_body("a\xff", 2, ",\"body_base64\":\"Yf8=\"}\n");
	assert_body("a\0b", 3, ",\"body_base64\":\"YQBi\"}\n");
}

static void remote_text_is_always_utf8(void **state)
{
	json_t *text = render_text("a\xff\xc3z");

	(void)state;
	assert_string_equal(json_string_value(text), "a??z");
	json_decref(text);
	text = render_text("");
	assert_true(json_is_null(text));
	text = render_text(NULL);
	assert_true(json_is_null(text));
}

static void a_row_of_results_has_every_member(void **state)
{
	struct store_result row = {.job = jobid_make(7, 42),
				   .state = JOB_FAILED,
				   .reason = REASON_TIMEOUT,
				   .method = "GET",
				   .url = "http://h/",
				   .http_version = 20,
				   .submitted_us = 1,
				   .chain = "",
				   .tag = "t"};
	char *text = written(render_result(&row));

	(void)state;
	assert_string_equal(text, "{\"job\":\"7.42\",\"batch\":7,\"seq\":42,\"chain\":null,\"tag\":\"t\",\"method\":"
				  "\"GET\",\"url\":\"http://h/\","
				  "\"state\":\"failed\",\"reason\":\"timeout\",\"status\":null,\"attempts\":0,\"size\":"
				  "0,\"content_type\":null,"
				  "\"remote_ip\":null,\"http_version\":\"2\",\"submitted_at\":\"1970-01-01T00:00:00."
				  "000001Z\",\"started_at\":null,"
				  "\"ended_at\":null,\"error\":null,\"timings\":{\"queued_us\":0,\"limited_us\":0,"
				  "\"dns_us\":0,\"connect_us\":0,"
				  "\"tls_us\":0,\"send_us\":0,\"wait_us\":0,\"receive_us\":0,\"total_us\":0}}\n");
	free(text);
}

/* The text and the tree are of one making; what jansson would have written is the measure. */
static void a_row_is_the_same_whatever_is_in_it(void **state)
{
	static const char *const odd[] = {
	    "plain",    "\"quoted\\\"",         "\t\n\r\b\f\x01\x1f\x7f", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x90\xb1",
	    "bad \xff", "</script>\xe2\x80\xa8"};
	struct store_result row = {.job = jobid_make(JOBID_BATCH_MAX, JOBID_SEQ_MAX),
				   .state = JOB_DONE,
				   .status = 999,
				   .attempts = 4000000000U,
				   .size_bytes = INT64_MAX,
				   .submitted_us = -1,
				   .started_us = 1,
				   .ended_us = INT64_C(253402300800000000), /* the year 10000 */
				   .queued_us = INT64_MIN,
				   .timings = {.total_us = -5}};

	(void)state;
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		struct evbuffer *buf = evbuffer_new();
		char *text, *again;

		row.url = row.tag = row.chain = row.error = row.content_type = odd[i];
		render_row(buf, &row);
		text = text_of(buf);
		again = written(render_result(&row));
		assert_string_equal(text, again);
		free(text);
		free(again);
	}
}

/* ---- limits ---- */

static void a_rate_is_written_in_the_largest_unit_that_fits(void **state)
{
	static const struct {
		struct rate rate;
		const char *text;
	} rates[] = {
	    {{100, 60 * SECOND}, "100/1min"},
	    {{100, 6 * SECOND}, "100/6s"},
	    {{1, 90 * SECOND}, "1/90s"},
	    {{5000, 3600 * SECOND}, "5000/1h"},
	    {{7, 14 * 86400 * SECOND}, "7/2w"},
	    {{1, 1500000}, "1/1500ms"},
	    {{100000, 86400 * SECOND}, "100000/1d"},
	    {{3, 7}, "3/7us"},
	};
	char text[RENDER_RATE_SIZE];
	struct rate back;

	(void)state;
	for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
		assert_string_equal(render_rate(text, &rates[i].rate), rates[i].text);
		assert_int_equal(units_parse_rate(text, &back, NULL), 0);
		assert_int_equal(back.count, rates[i].rate.count);
		assert_int_equal(back.window_us, rates[i].rate.window_us);
	}
}

static void a_time_of_this_boot_is_shown_as_wall_time(void **state)
{
	const struct render_now now = {.boot_us = 100 * SECOND, .wall_us = 1000 * SECOND};
	json_t *t = render_boot_time(105 * SECOND, &now);

	(void)state;
	assert_string_equal(json_string_value(t), "1970-01-01T00:16:45.000000Z");
	json_decref(t);
	assert_true(json_is_null(render_boot_time(0, &now)));
	assert_true(json_is_null(render_boot_time(INT64_MAX, &now)));
}

static void a_rule_is_shown_with_what_it_counts(void **state)
{
	const struct render_now now = {.boot_us = 100 * SECOND, .wall_us = 1000 * SECOND};
	struct rule rule = {.name = "cats",
			    .match = "catfact.ninja",
			    .source = RULE_RUNTIME,
			    .since_us = 900 * SECOND,
			    .limit = {.rates = {{2, 60 * SECOND}}, .rate_count = 1, .pace = false}};
	struct limit *l = limit_create(&rule.limit);
	json_t *o = render_rule(&rule);
	char *text;

	(void)state;
	limit_grant(l, 90 * SECOND);
	limit_end(l, 91 * SECOND, 90 * SECOND, 91 * SECOND);
	limit_grant(l, 95 * SECOND);
	json_array_append_new(json_object_get(o, "state"), render_rule_state("catfact.ninja:443", l, 5, &now));
	text = written(o);
	assert_string_equal(
	    text, "{\"name\":\"cats\",\"match\":\"catfact.ninja\",\"source\":\"runtime\",\"rates\":[\"2/1min\"],"
		  "\"concurrency\":null,\"pace\":false,\"shadowed\":false,"
		  "\"since\":\"1970-01-01T00:15:00.000000Z\",\"state\":[{\"host\":\"catfact.ninja:443\","
		  "\"in_flight\":1,\"windows\":[{\"rate\":\"2/1min\",\"used\":2,"
		  "\"free_at\":\"1970-01-01T00:17:31.000000Z\"}],\"waiting\":5}]}\n");
	free(text);
	limit_free(l);
}

static void a_host_is_shown_with_its_pause_and_what_it_told(void **state)
{
	const struct render_now now = {.boot_us = 100 * SECOND, .wall_us = 1000 * SECOND};
	const struct limit_rule nothing = {0};
	const struct rate told = {10, SECOND};
	const struct throttle throttle = {.hits = 3};
	struct limit *l = limit_create(&nothing);
	char *text;

	(void)state;
	assert_null(render_limited_host("h:80", l, NULL, &now));
	limit_pause(l, 130 * SECOND);
	limit_learn_rate(l, &told, 100 * SECOND, 200 * SECOND);
	text = written(render_limited_host("h:80", l, &throttle, &now));
	assert_string_equal(text,
			    "{\"host\":\"h:80\",\"paused_until\":\"1970-01-01T00:17:10.000000Z\",\"probing\":true,"
			    "\"refusals\":3,\"learned\":{\"rate\":\"10/1s\","
			    "\"expires_at\":\"1970-01-01T00:18:20.000000Z\"}}\n");
	free(text);
	limit_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_batchs_state_is_told_by_what_matters_most),
	    cmocka_unit_test(the_forecast_is_the_speed_so_far),
	    cmocka_unit_test(where_nothing_ended_for_long_the_end_is_as_far_away_again),
	    cmocka_unit_test(nothing_is_forecast_of_a_batch_that_is_being_cancelled),
	    cmocka_unit_test(a_body_is_text_where_it_can_be),
	    cmocka_unit_test(remote_text_is_always_utf8),
	    cmocka_unit_test(a_row_of_results_has_every_member),
	    cmocka_unit_test(a_row_is_the_same_whatever_is_in_it),
	    cmocka_unit_test(a_rate_is_written_in_the_largest_unit_that_fits),
	    cmocka_unit_test(a_time_of_this_boot_is_shown_as_wall_time),
	    cmocka_unit_test(a_rule_is_shown_with_what_it_counts),
	    cmocka_unit_test(a_host_is_shown_with_its_pause_and_what_it_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
