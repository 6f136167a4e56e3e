/* Messages to frames and back. Field by field in the order of the structs; what is out of range in a decoded message is
 * refused here, so that neither side has to look again. */
#include "lib/message.h"

#include <string.h>

#include "lib/log.h"

static const struct {
	uint8_t type;
	const char *name;
} type_names[] = {
    {MESSAGE_SETTINGS, "settings"}, {MESSAGE_JOB, "job"},           {MESSAGE_CANCEL, "cancel"},
    {MESSAGE_STOP, "stop"},         {MESSAGE_SLOTS, "slots"},       {MESSAGE_RECALL, "recall"},
    {MESSAGE_HELLO, "hello"},       {MESSAGE_CAPACITY, "capacity"}, {MESSAGE_OUTCOME, "outcome"},
    {MESSAGE_ALIVE, "alive"},       {MESSAGE_JUDGING, "judging"},   {MESSAGE_RETURNED, "returned"},
};

const char *message_type_name(uint8_t type)
{
	for (size_t i = 0; i < sizeof type_names / sizeof type_names[0]; i++)
		if (type_names[i].type == type)
			return type_names[i].name;
	return "unknown";
}

uint32_t message_transfers_most(uint64_t descriptors)
{
	uint64_t most = descriptors > MESSAGE_SPARE_FDS + 2 ? (descriptors - MESSAGE_SPARE_FDS) / 2 : 1;

	return most < UINT32_MAX ? (uint32_t)most : UINT32_MAX;
}

/* 0 when the frame was taken exactly and its values are possible. */
static int ended(struct wire_in *in, bool possible)
{
	return wire_in_end(in) && possible ? 0 : -1;
}

/* What is said of one attempt and nothing else. */
static void put_attempt(struct wire_out *o, uint8_t type, uint64_t job, uint32_t n)
{
	wire_begin(o, type);
	wire_put_u64(o, job);
	wire_put_u32(o, n);
	wire_end(o);
}

static bool get_bool(struct wire_in *in)
{
	uint8_t v = wire_get_u8(in);

	if (v > 1)
		in->bad = true;
	return v == 1;
}

void message_put_settings(struct wire_out *o, const struct message_settings *m)
{
	wire_begin(o, MESSAGE_SETTINGS);
	wire_put_u32(o, m->version);
	wire_put_u32(o, m->log_level);
	wire_put_u32(o, m->heartbeat_ms);
	wire_put_u32(o, m->capacity_max);
	wire_put_u32(o, m->deny_count);
	for (uint32_t i = 0; i < m->deny_count; i++)
		wire_put_str(o, m->deny[i]);
	wire_put_str(o, m->user_agent);
	wire_put_str(o, m->ca_file);
	wire_end(o);
}

int message_get_settings(struct wire_in *in, struct message_settings *m)
{
	*m = (struct message_settings){.version = wire_get_u32(in)};
	m->log_level = wire_get_u32(in);
	m->heartbeat_ms = wire_get_u32(in);
	m->capacity_max = wire_get_u32(in);
	m->deny_count = wire_get_u32(in);
	if (m->deny_count > MESSAGE_DENY_MAX)
		return -1;
	for (uint32_t i = 0; i < m->deny_count; i++)
		m->deny[i] = wire_get_str(in);
	m->user_agent = wire_get_str(in);
	m->ca_file = wire_get_str(in);
	return ended(in, m->log_level < LOG_LEVELS && m->heartbeat_ms > 0 && m->capacity_max > 0);
}

void message_put_job(struct wire_out *o, const struct message_job *m)
{
	wire_begin(o, MESSAGE_JOB);
	wire_put_u32(o, m->slots); /* first: message_set_slots() */
	wire_put_u64(o, m->lane);
	wire_put_u64(o, m->job);
	wire_put_u32(o, m->n);
	wire_put_i64(o, m->timeout_ms);
	wire_put_i64(o, m->connect_timeout_ms);
	wire_put_i64(o, m->max_body_bytes);
	wire_put_str(o, m->method);
	wire_put_str(o, m->url);
	wire_put_str(o, m->headers);
	wire_put_str(o, m->user);
	wire_put_bytes(o, m->body, m->has_body ? m->body_bytes : 0);
	wire_put_u8(o, m->has_body);
	wire_put_u8(o, m->from_public);
	wire_put_str(o, m->fail_if);
	wire_put_str(o, m->page_program);
	wire_put_str(o, m->page_context);
	wire_put_str(o, m->page_param);
	wire_end(o);
}

int message_get_job(struct wire_in *in, struct message_job *m)
{
	*m = (struct message_job){.slots = wire_get_u32(in)};
	m->lane = wire_get_u64(in);
	m->job = wire_get_u64(in);
	m->n = wire_get_u32(in);
	m->timeout_ms = wire_get_i64(in);
	m->connect_timeout_ms = wire_get_i64(in);
	m->max_body_bytes = wire_get_i64(in);
	m->method = wire_get_str(in);
	m->url = wire_get_str(in);
	m->headers = wire_get_str(in);
	m->user = wire_get_str(in);
	m->body = wire_get_bytes(in, &m->body_bytes);
	m->has_body = get_bool(in);
	m->from_public = get_bool(in);
	m->fail_if = wire_get_str(in);
	m->page_program = wire_get_str(in);
	m->page_context = wire_get_str(in);
	m->page_param = wire_get_str(in);
	return ended(in, m->n > 0 && m->method[0] && m->timeout_ms > 0 && m->connect_timeout_ms > 0 &&
			     m->max_body_bytes >= 0 && (m->has_body || m->body_bytes == 0));
}

void message_set_slots(void *frame, uint32_t slots)
{
	memcpy((uint8_t *)frame + WIRE_HEADER_BYTES, &slots, sizeof slots);
}

void message_put_slots(struct wire_out *o, const struct message_slots *m)
{
	wire_begin(o, MESSAGE_SLOTS);
	wire_put_u64(o, m->lane);
	wire_put_u32(o, m->slots);
	wire_end(o);
}

int message_get_slots(struct wire_in *in, struct message_slots *m)
{
	*m = (struct message_slots){.lane = wire_get_u64(in)};
	m->slots = wire_get_u32(in);
	return ended(in, true);
}

void message_put_recall(struct wire_out *o, const struct message_recall *m)
{
	wire_begin(o, MESSAGE_RECALL);
	wire_put_u64(o, m->lane);
	wire_put_u8(o, m->answers);
	wire_end(o);
}

int message_get_recall(struct wire_in *in, struct message_recall *m)
{
	*m = (struct message_recall){.lane = wire_get_u64(in)};
	m->answers = get_bool(in);
	return ended(in, true);
}

void message_put_returned(struct wire_out *o, const struct message_returned *m)
{
	put_attempt(o, MESSAGE_RETURNED, m->job, m->n);
}

int message_get_returned(struct wire_in *in, struct message_returned *m)
{
	*m = (struct message_returned){.job = wire_get_u64(in)};
	m->n = wire_get_u32(in);
	return ended(in, true);
}

void message_put_cancel(struct wire_out *o, const struct message_cancel *m)
{
	put_attempt(o, MESSAGE_CANCEL, m->job, m->n);
}

int message_get_cancel(struct wire_in *in, struct message_cancel *m)
{
	*m = (struct message_cancel){.job = wire_get_u64(in)};
	m->n = wire_get_u32(in);
	return ended(in, true);
}

void message_put_stop(struct wire_out *o)
{
	wire_begin(o, MESSAGE_STOP);
	wire_end(o);
}

void message_put_hello(struct wire_out *o, const struct message_hello *m)
{
	wire_begin(o, MESSAGE_HELLO);
	wire_put_u32(o, m->version);
	wire_put_u32(o, m->pid);
	wire_end(o);
}

int message_get_hello(struct wire_in *in, struct message_hello *m)
{
	*m = (struct message_hello){.version = wire_get_u32(in)};
	m->pid = wire_get_u32(in);
	return ended(in, true);
}

void message_put_capacity(struct wire_out *o, uint32_t capacity)
{
	wire_begin(o, MESSAGE_CAPACITY);
	wire_put_u32(o, capacity);
	wire_end(o);
}

int message_get_capacity(struct wire_in *in, uint32_t *capacity)
{
	*capacity = wire_get_u32(in);
	return ended(in, true);
}

void message_put_alive(struct wire_out *o)
{
	wire_begin(o, MESSAGE_ALIVE);
	wire_end(o);
}

void message_put_judging(struct wire_out *o, const struct message_judging *m)
{
	put_attempt(o, MESSAGE_JUDGING, m->job, m->n);
}

int message_get_judging(struct wire_in *in, struct message_judging *m)
{
	*m = (struct message_judging){.job = wire_get_u64(in)};
	m->n = wire_get_u32(in);
	return ended(in, m->n > 0);
}

static void put_timings(struct wire_out *o, const struct timings *t)
{
	wire_put_i64(o, t->dns_us);
	wire_put_i64(o, t->connect_us);
	wire_put_i64(o, t->tls_us);
	wire_put_i64(o, t->send_us);
	wire_put_i64(o, t->wait_us);
	wire_put_i64(o, t->receive_us);
	wire_put_i64(o, t->total_us);
}

static bool get_timings(struct wire_in *in, struct timings *t)
{
	t->dns_us = wire_get_i64(in);
	t->connect_us = wire_get_i64(in);
	t->tls_us = wire_get_i64(in);
	t->send_us = wire_get_i64(in);
	t->wait_us = wire_get_i64(in);
	t->receive_us = wire_get_i64(in);
	t->total_us = wire_get_i64(in);
	return t->dns_us >= 0 && t->connect_us >= 0 && t->tls_us >= 0 && t->send_us >= 0 && t->wait_us >= 0 &&
	       t->receive_us >= 0 && t->total_us >= 0;
}

static void put_limits(struct wire_out *o, const struct message_outcome *m)
{
	wire_put_i64(o, m->retry_after_us);
	wire_put_i64(o, m->limit_remaining);
	wire_put_i64(o, m->limit_reset_us);
	wire_put_i64(o, m->limit_rate.count);
	wire_put_i64(o, m->limit_rate.window_us);
}

static bool wait_possible(int64_t us)
{
	return us >= -1 && us <= MESSAGE_WAIT_MAX_US;
}

static bool get_limits(struct wire_in *in, struct message_outcome *m)
{
	struct rate *rate = &m->limit_rate;

	m->retry_after_us = wire_get_i64(in);
	m->limit_remaining = wire_get_i64(in);
	m->limit_reset_us = wire_get_i64(in);
	rate->count = wire_get_i64(in);
	rate->window_us = wire_get_i64(in);
	return wait_possible(m->retry_after_us) && m->limit_remaining >= -1 && wait_possible(m->limit_reset_us) &&
	       (rate->count > 0 ? rate->window_us > 0 && wait_possible(rate->window_us)
				: rate->count == 0 && rate->window_us == 0);
}

/* Told, not told: 1, 0, -1, as 0 to 2. */
static void put_page(struct wire_out *o, const struct message_page *p)
{
	wire_put_i64(o, p->items);
	wire_put_str(o, p->next);
	wire_put_u8(o, p->next_is_url);
	wire_put_u8(o, (uint8_t)(p->has_more + 1));
	wire_put_u8(o, p->stop);
	wire_put_i64(o, p->total_pages);
	wire_put_i64(o, p->total_items);
	wire_put_str(o, p->since);
	wire_put_str(o, p->etag);
	wire_put_str(o, p->last_modified);
	wire_put_u64(o, p->hash[0]);
	wire_put_u64(o, p->hash[1]);
	wire_put_bytes(o, p->keys, p->keys ? p->keys_bytes : 0);
}

/* So that sums over all pages of a run are possible too. */
static bool count_possible(int64_t n)
{
	return n >= -1 && n <= INT64_C(1) << 53;
}

static bool get_page(struct wire_in *in, struct message_page *p)
{
	uint8_t has_more;

	p->items = wire_get_i64(in);
	p->next = wire_get_str(in);
	p->next_is_url = get_bool(in);
	has_more = wire_get_u8(in);
	p->has_more = (int)has_more - 1;
	p->stop = get_bool(in);
	p->total_pages = wire_get_i64(in);
	p->total_items = wire_get_i64(in);
	p->since = wire_get_str(in);
	p->etag = wire_get_str(in);
	p->last_modified = wire_get_str(in);
	p->hash[0] = wire_get_u64(in);
	p->hash[1] = wire_get_u64(in);
	p->keys = wire_get_bytes(in, &p->keys_bytes);
	if (p->keys_bytes == 0)
		p->keys = NULL;
	return p->items >= -1 && p->items <= UINT32_MAX && has_more <= 2 && count_possible(p->total_pages) &&
	       count_possible(p->total_items) && strlen(p->next) <= MESSAGE_NEXT_MAX &&
	       p->keys_bytes <= MESSAGE_KEYS_MAX && p->keys_bytes % 8 == 0;
}

void message_put_outcome(struct wire_out *o, const struct message_outcome *m)
{
	wire_begin(o, MESSAGE_OUTCOME);
	wire_put_u64(o, m->job);
	wire_put_u32(o, m->n);
	wire_put_u32(o, m->cause);
	wire_put_u32(o, (uint32_t)m->status);
	wire_put_u8(o, m->sent);
	wire_put_u8(o, m->body_in_file);
	wire_put_u32(o, (uint32_t)m->http_version);
	wire_put_i64(o, m->started_us);
	wire_put_i64(o, m->first_byte_us);
	wire_put_i64(o, m->ended_us);
	put_timings(o, &m->timings);
	wire_put_i64(o, m->size_bytes);
	wire_put_i64(o, m->wire_bytes);
	wire_put_str(o, m->content_type);
	wire_put_str(o, m->remote_ip);
	wire_put_str(o, m->redirect_url);
	wire_put_str(o, m->error);
	wire_put_str(o, m->headers);
	wire_put_bytes(o, m->body, m->body ? m->body_bytes : 0);
	put_limits(o, m);
	wire_put_u8(o, m->has_page);
	if (m->has_page)
		put_page(o, &m->page);
	wire_end(o);
}

/* A worker that was led astray by a server must not lead the daemon astray. */
static bool outcome_possible(const struct message_outcome *m)
{
	return m->n > 0 && m->status >= 0 && m->status <= 999 && m->http_version >= 0 && m->http_version <= 99 &&
	       m->size_bytes >= 0 && m->wire_bytes >= 0 && m->started_us >= 0 && m->first_byte_us >= 0 &&
	       m->ended_us >= m->started_us && m->body_bytes <= MESSAGE_BODY_INLINE_MAX &&
	       strlen(m->headers) <= MESSAGE_HEADERS_MAX && !(m->body_in_file && m->body);
}

int message_get_outcome(struct wire_in *in, struct message_outcome *m)
{
	uint32_t cause, status, version;
	bool possible;

	*m = (struct message_outcome){.job = wire_get_u64(in)};
	m->n = wire_get_u32(in);
	cause = wire_get_u32(in);
	status = wire_get_u32(in);
	m->sent = get_bool(in);
	m->body_in_file = get_bool(in);
	version = wire_get_u32(in);
	possible = cause < CAUSES && cause != CAUSE_WORKER_LOST && status <= 999 && version <= 99;
	m->cause = (enum cause)cause;
	m->status = (int)status;
	m->http_version = (int)version;
	m->started_us = wire_get_i64(in);
	m->first_byte_us = wire_get_i64(in);
	m->ended_us = wire_get_i64(in);
	possible = get_timings(in, &m->timings) && possible;
	m->size_bytes = wire_get_i64(in);
	m->wire_bytes = wire_get_i64(in);
	m->content_type = wire_get_str(in);
	m->remote_ip = wire_get_str(in);
	m->redirect_url = wire_get_str(in);
	m->error = wire_get_str(in);
	m->headers = wire_get_str(in);
	m->body = wire_get_bytes(in, &m->body_bytes);
	if (m->body_bytes == 0)
		m->body = NULL;
	possible = get_limits(in, m) && possible;
	m->has_page = get_bool(in);
	if (m->has_page)
		possible = get_page(in, &m->page) && possible;
	return ended(in, possible && outcome_possible(m));
}
