/* First all lines are sorted into slots and lists, then what is good of them is weighed. */
#define _GNU_SOURCE 1

#include "worker/ratelimit.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "lib/message.h"
#include "worker/fields.h"
#include "worker/httpdate.h"

#define SECOND_US    INT64_C(1000000)
#define DIGITS_MAX   18 /* of any number: more would overflow */
#define POLICIES_MAX 16 /* in a response; further ones are not looked at */

struct text {
	const char *p;
	size_t n;
};

/* Headers with one value. Said again in the same words they are still one. */
enum slot { DATE, RETRY_AFTER, REMAINING, RESET, X_REMAINING, X_RESET, SLOTS };

struct value {
	struct text text;
	bool told, bad;
};

struct policy {
	struct field_text name;
	int64_t quota, window_s; /* 0 where not told */
	bool of_requests;
};

/* How much is left of one limit, and for how long; -1 where not told. */
struct left {
	struct field_text name;
	int64_t remaining, reset_us;
};

struct reading {
	struct value slots[SLOTS];
	struct policy policies[POLICIES_MAX];
	struct left left[POLICIES_MAX];
	size_t policies_count, left_count;
	bool policy_bad, left_bad; /* a line of the field broke the grammar: the field is none */
	int64_t now_us;            /* by the server's clock where it tells it */
};

/* ---- Numbers and waits ---- */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* All of `t`, or false. */
static bool parse_digits(struct text t, int64_t *out)
{
	int64_t v = 0;

	if (t.n == 0 || t.n > DIGITS_MAX)
		return false;
	for (size_t i = 0; i < t.n; i++) {
		if (!is_digit(t.p[i]))
			return false;
		v = v * 10 + (t.p[i] - '0');
	}
	*out = v;
	return true;
}

/* -1 where it is no wait that somebody could mean. */
static int64_t wait_seconds(int64_t s)
{
	return s >= 0 && s <= MESSAGE_WAIT_MAX_US / SECOND_US ? s * SECOND_US : -1;
}

/* Until `at_us`; what has passed is no wait. */
static int64_t wait_until(int64_t at_us, int64_t now_us)
{
	int64_t us = at_us - now_us;

	return us < 0 ? 0 : us <= MESSAGE_WAIT_MAX_US ? us : -1;
}

/* ---- Structured fields ---- */

static void read_policy(struct reading *r, struct field *f, const struct field_item *item)
{
	struct policy p = {.name = item->text, .of_requests = true};
	struct field_text key;
	struct field_item v;

	if (item->kind == FIELD_INTEGER)
		p.quota = item->integer;
	while (field_next_parameter(f, &key, &v)) {
		bool whole = v.kind == FIELD_INTEGER;

		if (field_text_is(&key, "q"))
			p.quota = whole ? v.integer : 0;
		else if (field_text_is(&key, "w"))
			p.window_s = whole ? v.integer : 0;
		else if (field_text_is(&key, "qu"))
			p.of_requests = v.kind == FIELD_STRING && field_text_is(&v.text, "requests");
	}
	if (r->policies_count < POLICIES_MAX)
		r->policies[r->policies_count++] = p;
}

static void take_policies(struct reading *r, struct text t)
{
	struct field_item item;
	struct field f;

	field_init(&f, t.p, t.n);
	while (field_next_item(&f, &item))
		read_policy(r, &f, &item);
	r->policy_bad |= f.bad;
}

static void note_left(struct reading *r, const struct left *l)
{
	if (l->remaining >= 0 && r->left_count < POLICIES_MAX)
		r->left[r->left_count++] = *l;
}

static int64_t whole_number(const struct field_item *v)
{
	return v->kind == FIELD_INTEGER && v->integer >= 0 ? v->integer : -1;
}

/* "default";r=50;t=30 */
static bool take_items(struct reading *r, struct text t)
{
	struct field_item item, v;
	struct field_text key;
	struct field f;

	field_init(&f, t.p, t.n);
	while (field_next_item(&f, &item)) {
		struct left l = {.name = item.text, .remaining = -1, .reset_us = -1};

		while (field_next_parameter(&f, &key, &v)) {
			if (field_text_is(&key, "r"))
				l.remaining = whole_number(&v);
			else if (field_text_is(&key, "t"))
				l.reset_us = wait_seconds(whole_number(&v));
		}
		note_left(r, &l);
	}
	return !f.bad;
}

/* limit=100, remaining=50, reset=30 */
static bool take_entries(struct reading *r, struct text t)
{
	struct left l = {.remaining = -1, .reset_us = -1};
	struct field_text key;
	struct field_item v;
	struct field f;

	field_init(&f, t.p, t.n);
	while (field_next_entry(&f, &key, &v)) {
		if (field_text_is(&key, "remaining"))
			l.remaining = whole_number(&v);
		else if (field_text_is(&key, "reset"))
			l.reset_us = wait_seconds(whole_number(&v));
	}
	if (!f.bad)
		note_left(r, &l);
	return !f.bad;
}

static void take_left(struct reading *r, struct text t)
{
	r->left_bad |= !take_items(r, t) && !take_entries(r, t);
}

/* ---- The lines ---- */

static void take_slot(struct reading *r, enum slot slot, struct text t)
{
	struct value *v = &r->slots[slot];

	if (v->told && (v->text.n != t.n || memcmp(v->text.p, t.p, t.n) != 0))
		v->bad = true;
	v->text = t;
	v->told = true;
}

static const struct {
	const char *name;
	enum slot slot;
	void (*take)(struct reading *r, struct text t); /* for headers that are lists */
} names[] = {
    {"Date", DATE, NULL},
    {"Retry-After", RETRY_AFTER, NULL},
    {"RateLimit", SLOTS, take_left},
    {"RateLimit-Policy", SLOTS, take_policies},
    {"RateLimit-Limit", SLOTS, take_policies}, /* "100", or "100, 100;w=60" */
    {"RateLimit-Remaining", REMAINING, NULL},
    {"RateLimit-Reset", RESET, NULL},
    {"X-RateLimit-Remaining", X_REMAINING, NULL},
    {"X-Rate-Limit-Remaining", X_REMAINING, NULL},
    {"X-RateLimit-Reset", X_RESET, NULL},
    {"X-Rate-Limit-Reset", X_RESET, NULL},
};

/* Most lines of most responses are none of ours. */
static bool may_be_ours(char first)
{
	return first && strchr("DdRrXx", first);
}

static struct text trim(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return (struct text){.p = p, .n = (size_t)(end - p)};
}

/* A folded header (RFC 9112, section 5.2) goes on in the next line: its value is not what stands in this one. */
static struct text value_of(const char *colon, const char *end)
{
	static const struct text garbage = {.p = "?", .n = 1};

	return end[0] && (end[1] == ' ' || end[1] == '\t') ? garbage : trim(colon + 1, end);
}

static void take_line(struct reading *r, const char *line, const char *end)
{
	const char *colon = memchr(line, ':', (size_t)(end - line));
	size_t n = colon ? (size_t)(colon - line) : 0;

	for (size_t i = 0; n > 0 && i < sizeof names / sizeof *names; i++) {
		if (strlen(names[i].name) != n || strncasecmp(names[i].name, line, n) != 0)
			continue;
		if (names[i].take)
			names[i].take(r, value_of(colon, end));
		else
			take_slot(r, names[i].slot, value_of(colon, end));
		return;
	}
}

static void take_lines(struct reading *r, const char *head)
{
	while (*head) {
		const char *end = strchrnul(head, '\n');

		if (may_be_ours(head[0]))
			take_line(r, head, end);
		head = *end ? end + 1 : end;
	}
}

/* ---- What they add up to ---- */

/* The text of a header that was told once; false where it was not. */
static bool get(const struct reading *r, enum slot slot, struct text *t)
{
	const struct value *v = &r->slots[slot];

	*t = v->text;
	return v->told && !v->bad;
}

static int64_t get_number(const struct reading *r, enum slot slot)
{
	struct text t;
	int64_t v;

	return get(r, slot, &t) && parse_digits(t, &v) ? v : -1;
}

/* Only where somebody is going to ask: most responses have a Date and no limits. */
static int64_t server_clock(const struct reading *r, int64_t wall_us)
{
	bool wanted = r->slots[RETRY_AFTER].told || r->slots[X_RESET].told;
	struct text date;
	int64_t us;

	return wanted && get(r, DATE, &date) && httpdate_parse(date.p, date.n, &us) ? us : wall_us;
}

static int64_t retry_after(const struct reading *r)
{
	int64_t seconds = get_number(r, RETRY_AFTER), at_us;
	struct text t;

	if (seconds >= 0)
		return wait_seconds(seconds);
	return get(r, RETRY_AFTER, &t) && httpdate_parse(t.p, t.n, &at_us) ? wait_until(at_us, r->now_us) : -1;
}

/* Up to six decimals of a second, in µs; more only make it later by one. */
static bool parse_fraction(struct text t, int64_t *us)
{
	static const int64_t powers[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
	struct text six = {.p = t.p, .n = t.n < 6 ? t.n : 6};
	int64_t rest;

	if (!parse_digits(t, &rest) || !parse_digits(six, us))
		return false;
	*us = *us * powers[six.n] + (t.n > 6);
	return true;
}

static int64_t x_reset(const struct reading *r)
{
	struct text t, whole, fraction = {0};
	int64_t v, us = 0;
	const char *dot;

	if (!get(r, X_RESET, &t) || t.n == 0)
		return -1;
	dot = memchr(t.p, '.', t.n);
	whole = (struct text){.p = t.p, .n = dot ? (size_t)(dot - t.p) : t.n};
	if (dot)
		fraction = (struct text){.p = dot + 1, .n = t.n - whole.n - 1};
	if (!parse_digits(whole, &v) || (dot && !parse_fraction(fraction, &us)))
		return -1;
	if (v > INT64_C(1000000000000))
		return v <= INT64_MAX / 1000 ? wait_until(v * 1000, r->now_us) : -1;
	if (v > INT64_C(1000000000))
		return wait_until(v * SECOND_US + us, r->now_us);
	return wait_seconds(v + 1) < 0 ? -1 : wait_seconds(v) + us;
}

/* A limit of something else than requests? */
static bool of_requests(const struct reading *r, const struct left *l)
{
	for (size_t i = 0; i < r->policies_count && !r->policy_bad; i++) {
		const struct policy *p = &r->policies[i];

		if (!p->of_requests && p->name.n > 0 && p->name.n == l->name.n &&
		    memcmp(p->name.p, l->name.p, l->name.n) == 0)
			return false;
	}
	return true;
}

/* Takes it where it leaves less than what is told already: of equal ones that which lasts longer. What says only when
 * it resets yields to any that says what is left. */
static void weigh(struct ratelimit *out, const struct left *l)
{
	bool less;

	if (l->remaining < 0 && l->reset_us < 0)
		return;
	if (l->remaining < 0 || out->remaining < 0)
		less = l->remaining >= 0 || (out->remaining < 0 && l->reset_us > out->reset_us);
	else
		less = l->remaining < out->remaining || (l->remaining == out->remaining && l->reset_us > out->reset_us);
	if (!less)
		return;
	out->remaining = l->remaining;
	out->reset_us = l->reset_us;
}

static void tell_left(struct ratelimit *out, const struct reading *r)
{
	const struct left older = {.remaining = get_number(r, REMAINING),
				   .reset_us = wait_seconds(get_number(r, RESET))};
	const struct left x = {.remaining = get_number(r, X_REMAINING), .reset_us = x_reset(r)};

	for (size_t i = 0; i < r->left_count && !r->left_bad; i++)
		if (of_requests(r, &r->left[i]))
			weigh(out, &r->left[i]);
	weigh(out, &older);
	weigh(out, &x);
}

/* Whether `p` allows less than `rate` in the long run, or as much in smaller portions. */
static bool is_tighter(const struct policy *p, const struct rate *rate)
{
	long double a = (long double)p->quota * (long double)rate->window_us;
	long double b = (long double)rate->count * (long double)p->window_s * SECOND_US;

	return rate->count == 0 || a < b || (a == b && p->quota < rate->count);
}

static void tell_rate(struct ratelimit *out, const struct reading *r)
{
	for (size_t i = 0; i < r->policies_count && !r->policy_bad; i++) {
		const struct policy *p = &r->policies[i];

		if (p->of_requests && p->quota > 0 && p->window_s > 0 && wait_seconds(p->window_s) > 0 &&
		    is_tighter(p, &out->rate))
			out->rate = (struct rate){.count = p->quota, .window_us = p->window_s * SECOND_US};
	}
}

void ratelimit_read(struct ratelimit *out, const char *head, int64_t wall_us)
{
	struct reading r;

	*out = (struct ratelimit){.retry_after_us = -1, .remaining = -1, .reset_us = -1};
	memset(r.slots, 0, sizeof r.slots);
	r.policies_count = r.left_count = 0;
	r.policy_bad = r.left_bad = false;
	take_lines(&r, head);
	r.now_us = server_clock(&r, wall_us);
	out->retry_after_us = retry_after(&r);
	tell_left(out, &r);
	tell_rate(out, &r);
}
