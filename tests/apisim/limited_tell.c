/* How a limit server says how it stands: in headers, as APIs do, and in its statistics, for tests. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/apisim/limited.h"

#define US_PER_S 1000000

static int64_t ceil_seconds(int64_t us)
{
	return (us + US_PER_S - 1) / US_PER_S;
}

static int64_t wall_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

/* ---- Headers ---- */

static void add_retry_after(struct request *req, enum limited_retry form, int64_t reset_us)
{
	const time_t when = (time_t)ceil_seconds(wall_us() + reset_us);
	struct tm tm;
	char date[40];

	switch (form) {
	case RETRY_SECONDS:
		reply_header(req, "Retry-After: %" PRId64, ceil_seconds(reset_us));
		break;
	case RETRY_DATE: /* RFC 9110 section 5.6.7, the form that is to be sent */
		strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&when, &tm));
		reply_header(req, "Retry-After: %s", date);
		break;
	case RETRY_GARBAGE:
		reply_header(req, "Retry-After: in a moment, 10abc");
		break;
	case RETRY_NONE:
		break;
	}
}

/* draft-ietf-httpapi-ratelimit-headers-09 and later: structured fields, named by their policy */
static void add_ratelimit(struct request *req, const struct window *w, int64_t left, int64_t reset_us)
{
	reply_header(req, "RateLimit-Policy: \"default\";q=%" PRId64 ";w=%" PRId64, w->n, ceil_seconds(w->length_us));
	reply_header(req, "RateLimit: \"default\";r=%" PRId64 ";t=%" PRId64, left, ceil_seconds(reset_us));
}

static void add_x_ratelimit(struct request *req, const struct limited_options *set, int64_t left, int64_t reset_us)
{
	const int64_t at_us = wall_us() + reset_us;

	reply_header(req, "X-RateLimit-Limit: %" PRId64, set->window.n);
	reply_header(req, "X-RateLimit-Remaining: %" PRId64, left);
	reply_header(req, "X-RateLimit-Reset: %" PRId64,
		     set->x_ratelimit == X_EPOCH      ? ceil_seconds(at_us)
		     : set->x_ratelimit == X_EPOCH_MS ? (at_us + 999) / 1000
						      : ceil_seconds(reset_us));
}

void limited_add_headers(struct limited *l, struct request *req, bool taken)
{
	const int64_t now_us = server_now_us();
	struct limited_options *set = &l->set;
	const int64_t left = taken ? window_left(&set->window, now_us) : 0;
	const int64_t reset_us = set->tell_us >= 0 ? set->tell_us : window_reset_us(&set->window, now_us);

	if (!taken)
		add_retry_after(req, set->retry_after, reset_us);
	if (set->ratelimit == DRAFT_DRAFT)
		add_ratelimit(req, &set->window, left, reset_us);
	if (set->x_ratelimit != X_NONE)
		add_x_ratelimit(req, set, left, reset_us);
}

/* ---- Statistics ---- */

/* The most requests in any window [t, t + window_us). Such a window may be taken to begin with a request. */
static size_t worst_window(const struct limited *l, int64_t window_us, bool taken_only)
{
	size_t worst = 0, inside = 0, end = 0;

	for (size_t i = 0; i < l->count; i++) {
		if (taken_only && !l->seen[i].taken)
			continue;
		for (; end < l->count && l->seen[end].counted_us < l->seen[i].counted_us + window_us; end++)
			inside += l->seen[end].taken || !taken_only;
		worst = inside > worst ? inside : worst;
		inside--;
	}
	return worst;
}

static json_t *list_arrivals(const struct limited *l)
{
	json_t *list = json_array();

	for (size_t i = 0; i < l->count; i++)
		json_array_append_new(list,
				      json_pack("{sI sI sI sb ss}", "received_us", (json_int_t)l->seen[i].received_us,
						"counted_us", (json_int_t)l->seen[i].counted_us, "answered_us",
						(json_int_t)l->seen[i].answered_us, "accepted", (int)l->seen[i].taken,
						"target", l->seen[i].target));
	return list;
}

/* From the first byte in to the last byte out, over all requests; and the longest that one of them took. */
static void add_times(const struct limited *l, json_t *out)
{
	int64_t first_us = 0, last_us = 0, slowest_us = 0;

	for (size_t i = 0; i < l->count; i++) {
		const struct arrival *a = &l->seen[i];

		first_us = first_us == 0 || a->received_us < first_us ? a->received_us : first_us;
		last_us = a->answered_us > last_us ? a->answered_us : last_us;
		slowest_us =
		    a->answered_us - a->received_us > slowest_us ? a->answered_us - a->received_us : slowest_us;
	}
	json_object_set_new(out, "first_received_us", json_integer(first_us));
	json_object_set_new(out, "last_answered_us", json_integer(last_us));
	json_object_set_new(out, "slowest_us", json_integer(slowest_us));
}

json_t *limited_statistics(const struct limited *l, int64_t window_us, bool list)
{
	json_t *out = json_pack(
	    "{ss ss sI sf sf sI sI sI sI sI}", "name", l->name, "kind", window_kind_name(l->set.window.kind), "n",
	    (json_int_t)l->set.window.n, "window", (double)l->set.window.length_us / US_PER_S, "worst_over",
	    (double)window_us / US_PER_S, "arrivals", (json_int_t)l->count, "accepted", (json_int_t)l->taken, "refused",
	    (json_int_t)(l->count - l->taken), "worst", (json_int_t)worst_window(l, window_us, false), "worst_accepted",
	    (json_int_t)worst_window(l, window_us, true));

	json_object_set_new(out, "first_us", json_integer(l->count ? l->seen[0].counted_us : 0));
	json_object_set_new(out, "last_us", json_integer(l->count ? l->seen[l->count - 1].counted_us : 0));
	add_times(l, out);
	if (list)
		json_object_set_new(out, "list", list_arrivals(l));
	return out;
}
