/* Frames and messages: what is written is read back, and nothing hostile is taken for a message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/message.h"

/* The one frame in `o`. */
static struct wire_in only_frame(const struct wire_out *o, uint8_t type)
{
	struct wire_in in;
	uint8_t got;
	size_t taken;

	assert_int_equal(wire_next(o->data, o->len, &got, &in, &taken), 1);
	assert_int_equal(got, type);
	assert_int_equal(taken, o->len);
	return in;
}

static void fields_are_read_back_in_their_order(void **arg)
{
	struct wire_out o = {0};
	struct wire_in in;
	size_t n;

	(void)arg;
	wire_begin(&o, 9);
	wire_put_u8(&o, 200);
	wire_put_u32(&o, UINT32_MAX);
	wire_put_u64(&o, UINT64_MAX);
	wire_put_i64(&o, INT64_MIN);
	wire_put_str(&o, "text");
	wire_put_str(&o, NULL);
	wire_put_bytes(&o, "a\0b", 3);
	wire_put_bytes(&o, NULL, 0);
	wire_end(&o);
	in = only_frame(&o, 9);
	assert_int_equal(wire_get_u8(&in), 200);
	assert_int_equal(wire_get_u32(&in), UINT32_MAX);
	assert_true(wire_get_u64(&in) == UINT64_MAX);
	assert_true(wire_get_i64(&in) == INT64_MIN);
	assert_string_equal(wire_get_str(&in), "text");
	assert_string_equal(wire_get_str(&in), "");
	assert_memory_equal(wire_get_bytes(&in, &n), "a\0b", 3);
	assert_int_equal(n, 3);
	assert_non_null(wire_get_bytes(&in, &n));
	assert_int_equal(n, 0);
	assert_true(wire_in_end(&in));
	wire_out_clear(&o);
}

static void a_frame_is_there_only_when_all_of_it_is(void **arg)
{
	struct wire_out o = {0};
	struct wire_in in;
	uint8_t type;
	size_t taken;

	(void)arg;
	message_put_capacity(&o, 7);
	for (size_t n = 0; n < o.len; n++)
		assert_int_equal(wire_next(o.data, n, &type, &in, &taken), 0);
	message_put_alive(&o);
	assert_int_equal(wire_next(o.data, o.len, &type, &in, &taken), 1);
	assert_int_equal(type, MESSAGE_CAPACITY);
	assert_int_equal(wire_next(o.data + taken, o.len - taken, &type, &in, &taken), 1);
	assert_int_equal(type, MESSAGE_ALIVE);
	wire_out_clear(&o);
}

static void an_impossible_length_is_not_waited_for(void **arg)
{
	uint8_t frame[8] = {0}, type;
	uint32_t length = WIRE_FRAME_MAX + 1;
	struct wire_in in;
	size_t taken;

	(void)arg;
	assert_int_equal(wire_next(frame, sizeof frame, &type, &in, &taken), -1);
	memcpy(frame, &length, sizeof length);
	assert_int_equal(wire_next(frame, sizeof frame, &type, &in, &taken), -1);
	length = WIRE_FRAME_MAX;
	memcpy(frame, &length, sizeof length);
	assert_int_equal(wire_next(frame, sizeof frame, &type, &in, &taken), 0);
}

static void strings_with_a_nul_inside_or_none_at_the_end_are_bad(void **arg)
{
	static const struct {
		const char *bytes;
		uint32_t n;
	} bad[] = {{"a\0b", 4}, {"abc", 3}, {"", 0}, {"\0", 2}};

	(void)arg;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct wire_out o = {0};
		struct wire_in in;

		wire_begin(&o, 1);
		wire_put_bytes(&o, bad[i].bytes, bad[i].n);
		wire_end(&o);
		in = only_frame(&o, 1);
		assert_string_equal(wire_get_str(&in), "");
		assert_true(in.bad);
		assert_int_equal(wire_get_u8(&in), 0);
		assert_false(wire_in_end(&in));
		wire_out_clear(&o);
	}
}

static const struct message_settings settings = {
    .version = MESSAGE_VERSION,
    .log_level = 2,
    .heartbeat_ms = 1000,
    .capacity_max = 4096,
    .deny_count = 2,
    .deny = {"169.254.0.0/16", "fe80::/10"},
    .user_agent = "fanout/1",
    .ca_file = "/etc/ca.pem",
};

static const struct message_job job = {
    .lane = (UINT64_C(3) << 33) | 9,
    .job = (UINT64_C(7) << 32) | 42,
    .n = 3,
    .timeout_ms = 30000,
    .connect_timeout_ms = 10000,
    .max_body_bytes = 1 << 26,
    .method = "POST",
    .url = "https://a.example/",
    .headers = "X-A: 1\nX-B: 2\n",
    .user = "me:pw",
    .body = "a\0b",
    .body_bytes = 3,
    .has_body = true,
    .from_public = true,
    .fail_if = ".message",
    .page_program = "{items:1}",
    .page_context = "{\"page\":3}",
    .page_param = "page",
};

static const struct message_outcome outcome = {
    .job = (UINT64_C(7) << 32) | 42,
    .n = 3,
    .cause = CAUSE_RESPONSE,
    .status = 404,
    .sent = true,
    .http_version = 11,
    .started_us = 100,
    .first_byte_us = 150,
    .ended_us = 200,
    .timings = {1, 2, 3, 4, 5, 6, 21},
    .size_bytes = 3,
    .wire_bytes = 2,
    .content_type = "text/plain",
    .remote_ip = "127.0.0.1",
    .redirect_url = "",
    .error = "404 Not Found",
    .headers = "HTTP/1.1 404 Not Found\n",
    .body = "x\0y",
    .body_bytes = 3,
    .retry_after_us = 0,
    .limit_remaining = -1,
    .limit_reset_us = MESSAGE_WAIT_MAX_US,
    .limit_rate = {100, 60000000},
    .has_page = true,
    .page =
	{
	    .items = 2,
	    .next = "abc",
	    .has_more = -1,
	    .stop = true,
	    .total_pages = -1,
	    .total_items = 17,
	    .since = "\"2026\"",
	    .etag = "\"x\"",
	    .last_modified = "",
	    .hash = {1, 2},
	    .keys = "0123456789abcdef",
	    .keys_bytes = 16,
	},
};

static void settings_come_through(void **arg)
{
	struct wire_out o = {0};
	struct message_settings m;
	struct wire_in in;

	(void)arg;
	message_put_settings(&o, &settings);
	in = only_frame(&o, MESSAGE_SETTINGS);
	assert_int_equal(message_get_settings(&in, &m), 0);
	assert_int_equal(m.version, MESSAGE_VERSION);
	assert_int_equal(m.heartbeat_ms, 1000);
	assert_int_equal(m.capacity_max, 4096);
	assert_int_equal(m.deny_count, 2);
	assert_string_equal(m.deny[1], "fe80::/10");
	assert_string_equal(m.user_agent, "fanout/1");
	wire_out_clear(&o);
}

static void a_job_comes_through(void **arg)
{
	struct wire_out o = {0};
	struct message_job m;
	struct wire_in in;

	(void)arg;
	message_put_job(&o, &job);
	in = only_frame(&o, MESSAGE_JOB);
	assert_int_equal(message_get_job(&in, &m), 0);
	assert_true(m.job == job.job && m.n == 3 && m.has_body && m.from_public);
	assert_true(m.lane == job.lane && m.slots == job.slots);
	assert_int_equal(m.timeout_ms, 30000);
	assert_int_equal(m.connect_timeout_ms, 10000);
	assert_int_equal(m.max_body_bytes, 1 << 26);
	assert_string_equal(m.method, "POST");
	assert_string_equal(m.url, job.url);
	assert_string_equal(m.headers, job.headers);
	assert_string_equal(m.user, "me:pw");
	assert_int_equal(m.body_bytes, 3);
	assert_memory_equal(m.body, "a\0b", 3);
	assert_string_equal(m.page_program, "{items:1}");
	assert_string_equal(m.page_context, "{\"page\":3}");
	assert_string_equal(m.page_param, "page");
	wire_out_clear(&o);
}

static void a_job_that_is_encoded_is_told_to_stand_by(void **arg)
{
	struct wire_out o = {0};
	struct message_job m;
	struct wire_in in;

	(void)arg;
	message_put_job(&o, &job);
	message_set_slots(o.data, 0x01020304);
	in = only_frame(&o, MESSAGE_JOB);
	assert_int_equal(message_get_job(&in, &m), 0);
	assert_int_equal(m.slots, 0x01020304);
	assert_true(m.lane == job.lane && m.job == job.job);
	wire_out_clear(&o);
}

static void what_is_said_of_standing_by_comes_through(void **arg)
{
	struct message_returned returned;
	struct message_recall recall;
	struct message_slots slots;
	struct wire_out o = {0};
	struct wire_in in;

	(void)arg;
	message_put_slots(&o, &(struct message_slots){.lane = UINT64_C(1) << 40, .slots = 7});
	in = only_frame(&o, MESSAGE_SLOTS);
	assert_int_equal(message_get_slots(&in, &slots), 0);
	assert_true(slots.lane == UINT64_C(1) << 40 && slots.slots == 7);
	o.len = 0;
	message_put_recall(&o, &(struct message_recall){.lane = UINT64_C(1) << 41, .answers = true});
	in = only_frame(&o, MESSAGE_RECALL);
	assert_int_equal(message_get_recall(&in, &recall), 0);
	assert_true(recall.lane == UINT64_C(1) << 41 && recall.answers);
	o.len = 0;
	message_put_returned(&o, &(struct message_returned){.job = UINT64_C(5) << 32 | 6, .n = 2});
	in = only_frame(&o, MESSAGE_RETURNED);
	assert_int_equal(message_get_returned(&in, &returned), 0);
	assert_true(returned.job == (UINT64_C(5) << 32 | 6) && returned.n == 2);
	wire_out_clear(&o);
}

static void an_empty_body_is_told_from_none(void **arg)
{
	struct wire_out o = {0};
	struct message_job m = job;
	struct wire_in in;

	(void)arg;
	m.body = NULL;
	m.body_bytes = 0;
	message_put_job(&o, &m);
	in = only_frame(&o, MESSAGE_JOB);
	assert_int_equal(message_get_job(&in, &m), 0);
	assert_true(m.has_body && m.body_bytes == 0);
	o.len = 0;
	m.has_body = m.from_public = false;
	message_put_job(&o, &m);
	in = only_frame(&o, MESSAGE_JOB);
	assert_int_equal(message_get_job(&in, &m), 0);
	assert_false(m.has_body || m.from_public);
	wire_out_clear(&o);
}

static void an_outcome_comes_through(void **arg)
{
	struct wire_out o = {0};
	struct message_outcome m;
	struct wire_in in;

	(void)arg;
	message_put_outcome(&o, &outcome);
	in = only_frame(&o, MESSAGE_OUTCOME);
	assert_int_equal(message_get_outcome(&in, &m), 0);
	assert_true(m.job == outcome.job && m.n == 3 && m.sent && !m.body_in_file);
	assert_int_equal(m.cause, CAUSE_RESPONSE);
	assert_int_equal(m.status, 404);
	assert_int_equal(m.http_version, 11);
	assert_int_equal(m.started_us, 100);
	assert_int_equal(m.first_byte_us, 150);
	assert_int_equal(m.ended_us, 200);
	assert_memory_equal(&m.timings, &outcome.timings, sizeof m.timings);
	assert_int_equal(m.size_bytes, 3);
	assert_int_equal(m.wire_bytes, 2);
	assert_string_equal(m.content_type, "text/plain");
	assert_string_equal(m.remote_ip, "127.0.0.1");
	assert_string_equal(m.redirect_url, "");
	assert_string_equal(m.error, "404 Not Found");
	assert_string_equal(m.headers, outcome.headers);
	assert_memory_equal(m.body, "x\0y", 3);
	assert_int_equal(m.retry_after_us, 0);
	assert_int_equal(m.limit_remaining, -1);
	assert_int_equal(m.limit_reset_us, MESSAGE_WAIT_MAX_US);
	assert_int_equal(m.limit_rate.count, 100);
	assert_int_equal(m.limit_rate.window_us, 60000000);
	wire_out_clear(&o);
}

static void an_outcome_without_a_word_on_limits_comes_through(void **arg)
{
	const struct message_outcome untold = {.n = 1, MESSAGE_LIMITS_UNTOLD};
	struct wire_out o = {0};
	struct message_outcome m;
	struct wire_in in;

	(void)arg;
	message_put_outcome(&o, &untold);
	in = only_frame(&o, MESSAGE_OUTCOME);
	assert_int_equal(message_get_outcome(&in, &m), 0);
	assert_int_equal(m.retry_after_us, -1);
	assert_int_equal(m.limit_remaining, -1);
	assert_int_equal(m.limit_reset_us, -1);
	assert_int_equal(m.limit_rate.count, 0);
	wire_out_clear(&o);
}

static void small_messages_come_through(void **arg)
{
	const struct message_cancel cancel = {.job = 9, .n = 2};
	const struct message_judging judging = {.job = 9, .n = 3};
	const struct message_hello hello = {.version = 1, .pid = 77};
	struct wire_out o = {0};
	struct message_cancel c;
	struct message_judging j;
	struct message_hello h;
	struct wire_in in;
	uint32_t capacity;

	(void)arg;
	message_put_cancel(&o, &cancel);
	in = only_frame(&o, MESSAGE_CANCEL);
	assert_int_equal(message_get_cancel(&in, &c), 0);
	assert_true(c.job == 9 && c.n == 2);
	o.len = 0;
	message_put_judging(&o, &judging);
	in = only_frame(&o, MESSAGE_JUDGING);
	assert_int_equal(message_get_judging(&in, &j), 0);
	assert_true(j.job == 9 && j.n == 3);
	o.len = 0;
	message_put_judging(&o, &(struct message_judging){.job = 9});
	in = only_frame(&o, MESSAGE_JUDGING);
	assert_int_equal(message_get_judging(&in, &j), -1);
	o.len = 0;
	message_put_hello(&o, &hello);
	in = only_frame(&o, MESSAGE_HELLO);
	assert_int_equal(message_get_hello(&in, &h), 0);
	assert_true(h.version == 1 && h.pid == 77);
	o.len = 0;
	message_put_capacity(&o, 12);
	in = only_frame(&o, MESSAGE_CAPACITY);
	assert_int_equal(message_get_capacity(&in, &capacity), 0);
	assert_int_equal(capacity, 12);
	o.len = 0;
	message_put_stop(&o);
	in = only_frame(&o, MESSAGE_STOP);
	assert_true(wire_in_end(&in));
	wire_out_clear(&o);
}

/* What must not be taken for an outcome, one wrong thing each. */
static void an_outcome_that_cannot_be_is_refused(void **arg)
{
	static char long_headers[MESSAGE_HEADERS_MAX + 2];
	static uint8_t long_body[MESSAGE_BODY_INLINE_MAX + 1];
	struct message_outcome bad[28];
	size_t n = 0;

	(void)arg;
	memset(long_headers, 'h', MESSAGE_HEADERS_MAX + 1);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		bad[i] = outcome;
	bad[n++].n = 0;
	bad[n++].cause = CAUSES;
	bad[n++].cause = CAUSE_WORKER_LOST;
	bad[n++].status = 1000;
	bad[n++].status = -1;
	bad[n++].http_version = -11;
	bad[n++].size_bytes = -1;
	bad[n++].wire_bytes = -1;
	bad[n++].ended_us = 99;
	bad[n++].first_byte_us = -1;
	bad[n++].timings.tls_us = -1;
	bad[n++].headers = long_headers;
	bad[n].body = long_body;
	bad[n++].body_bytes = sizeof long_body;
	bad[n++].body_in_file = true;
	bad[n++].retry_after_us = -2;
	bad[n++].retry_after_us = MESSAGE_WAIT_MAX_US + 1;
	bad[n++].limit_remaining = -2;
	bad[n++].limit_reset_us = INT64_MIN;
	bad[n++].limit_reset_us = INT64_MAX;
	bad[n++].limit_rate.count = -1;
	bad[n++].limit_rate.count = 0;
	bad[n++].limit_rate.window_us = 0;
	bad[n++].limit_rate.window_us = -1;
	bad[n++].limit_rate.window_us = MESSAGE_WAIT_MAX_US + 1;
	bad[n++].page.items = -2;
	bad[n++].page.items = INT64_MAX;
	bad[n++].page.total_items = INT64_MAX;
	bad[n++].page.keys_bytes = 15;
	assert_int_equal(n, sizeof bad / sizeof bad[0]);
	for (size_t i = 0; i < n; i++) {
		struct wire_out o = {0};
		struct message_outcome m;
		struct wire_in in;

		message_put_outcome(&o, &bad[i]);
		in = only_frame(&o, MESSAGE_OUTCOME);
		if (message_get_outcome(&in, &m) == 0)
			fail_msg("impossible outcome %zu is taken", i);
		wire_out_clear(&o);
	}
}

typedef int decoder(struct wire_in *in);
static int decode_settings(struct wire_in *in)
{
	struct message_settings m;

	return message_get_settings(in, &m);
}
static int decode_job(struct wire_in *in)
{
	struct message_job m;

	return message_get_job(in, &m);
}
static int decode_outcome(struct wire_in *in)
{
	struct message_outcome m;

	return message_get_outcome(in, &m);
}

/* Every cut is refused, one byte too many is refused, and no change of a byte leads outside (the sanitizers watch). */
static void check_decoder(const struct wire_out *o, decoder *decode)
{
	size_t n = o->len - WIRE_HEADER_BYTES;
	uint8_t *copy = malloc(n + 1);

	assert_non_null(copy);
	for (size_t len = 0; len <= n + 1; len++) {
		uint8_t *exact = malloc(len ? len : 1);
		struct wire_in in = {.p = exact, .end = exact + len};

		assert_non_null(exact);
		memcpy(exact, o->data + WIRE_HEADER_BYTES, len < n ? len : n);
		if (len > n)
			exact[n] = 0;
		assert_int_equal(decode(&in), len == n ? 0 : -1);
		free(exact);
	}
	for (size_t i = 0; i < n; i++) {
		for (int flip = 1; flip < 256; flip += 2) {
			struct wire_in in = {.p = copy, .end = copy + n};

			memcpy(copy, o->data + WIRE_HEADER_BYTES, n);
			copy[i] ^= (uint8_t)flip;
			decode(&in);
		}
	}
	free(copy);
}

static void no_damage_leads_a_decoder_outside(void **arg)
{
	struct wire_out o = {0};

	(void)arg;
	message_put_settings(&o, &settings);
	check_decoder(&o, decode_settings);
	o.len = 0;
	message_put_job(&o, &job);
	check_decoder(&o, decode_job);
	o.len = 0;
	message_put_outcome(&o, &outcome);
	check_decoder(&o, decode_outcome);
	wire_out_clear(&o);
}

static void more_networks_than_fit_are_refused(void **arg)
{
	struct wire_out o = {0};
	struct message_settings m;
	struct wire_in in;

	(void)arg;
	wire_begin(&o, MESSAGE_SETTINGS);
	for (int i = 0; i < 4; i++)
		wire_put_u32(&o, 1);
	wire_put_u32(&o, UINT32_MAX);
	wire_end(&o);
	in = only_frame(&o, MESSAGE_SETTINGS);
	assert_int_equal(message_get_settings(&in, &m), -1);
	wire_out_clear(&o);
}

static void every_type_has_a_name(void **arg)
{
	(void)arg;
	assert_string_equal(message_type_name(MESSAGE_SETTINGS), "settings");
	assert_string_equal(message_type_name(MESSAGE_ALIVE), "alive");
	assert_string_equal(message_type_name(MESSAGE_JUDGING), "judging");
	assert_string_equal(message_type_name(200), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(fields_are_read_back_in_their_order),
	    cmocka_unit_test(a_frame_is_there_only_when_all_of_it_is),
	    cmocka_unit_test(an_impossible_length_is_not_waited_for),
	    cmocka_unit_test(strings_with_a_nul_inside_or_none_at_the_end_are_bad),
	    cmocka_unit_test(settings_come_through),
	    cmocka_unit_test(a_job_comes_through),
	    cmocka_unit_test(a_job_that_is_encoded_is_told_to_stand_by),
	    cmocka_unit_test(what_is_said_of_standing_by_comes_through),
	    cmocka_unit_test(an_empty_body_is_told_from_none),
	    cmocka_unit_test(an_outcome_comes_through),
	    cmocka_unit_test(an_outcome_without_a_word_on_limits_comes_through),
	    cmocka_unit_test(small_messages_come_through),
	    cmocka_unit_test(an_outcome_that_cannot_be_is_refused),
	    cmocka_unit_test(no_damage_leads_a_decoder_outside),
	    cmocka_unit_test(more_networks_than_fit_are_refused),
	    cmocka_unit_test(every_type_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
