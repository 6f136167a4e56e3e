/* A row of an audit: numbers for every format, and sentences for people. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/audit.h"
#include "cli/when.h"
#include "lib/clock.h"
#include "lib/jobid.h"

#define ALWAYS         false
#define OPTIONAL       COLUMN_OPTIONAL
#define JOB_RANGES_MAX 1000 /* that a row names */

static const struct column audit_table[] = {
    {"HOST", "host", CELL_TEXT, COLUMN_SHRINK, 0},
    {"LIMIT", "limit", CELL_TEXT, OPTIONAL | COLUMN_SHRINK, 0},
    {"RATE", "rate", CELL_TEXT, OPTIONAL, 0},
    {"ATTEMPTS", "attempts", CELL_COUNT, ALWAYS, 0},
    {"OF THE RUN", "of_run", CELL_COUNT, OPTIONAL | COLUMN_DROP(2), 0},
    {"OF THE BATCH", "of_batch", CELL_COUNT, OPTIONAL | COLUMN_DROP(2), 0},
    {"REFUSED", "refused", CELL_COUNT, ALWAYS, 0},
    {"BY SENDING", "fullest.sent.requests", CELL_COUNT, OPTIONAL | COLUMN_DROP(1), 0},
    {"BY ANSWER", "fullest.counted.requests", CELL_COUNT, OPTIONAL | COLUMN_DROP(1), 0},
    {"AT WORST", "fullest.worst.requests", CELL_COUNT, OPTIONAL, 0},
    {"USE", "use", CELL_TEXT, OPTIONAL, 0},
    {"VERDICT", "verdict", CELL_TEXT, OPTIONAL, 0},
    {0},
};

static const struct column audit_csv[] = {
    {"host", "host", CELL_TEXT, ALWAYS, 0},
    {"limit", "limit", CELL_TEXT, ALWAYS, 0},
    {"source", "source", CELL_TEXT, ALWAYS, 0},
    {"rate", "rate", CELL_TEXT, ALWAYS, 0},
    {"attempts", "attempts", CELL_TEXT, ALWAYS, 0},
    {"open", "open", CELL_TEXT, ALWAYS, 0},
    {"refused", "refused", CELL_TEXT, ALWAYS, 0},
    {"first_sent_at", "first_sent_at", CELL_TEXT, ALWAYS, 0},
    {"last_sent_at", "last_sent_at", CELL_TEXT, ALWAYS, 0},
    {"fullest_sent", "fullest.sent.requests", CELL_TEXT, ALWAYS, 0},
    {"fullest_sent_from", "fullest.sent.from", CELL_TEXT, ALWAYS, 0},
    {"fullest_counted", "fullest.counted.requests", CELL_TEXT, ALWAYS, 0},
    {"fullest_counted_from", "fullest.counted.from", CELL_TEXT, ALWAYS, 0},
    {"fullest_worst", "fullest.worst.requests", CELL_TEXT, ALWAYS, 0},
    {"fullest_worst_from", "fullest.worst.from", CELL_TEXT, ALWAYS, 0},
    {"over", "over", CELL_TEXT, ALWAYS, 0},
    {"used", "used", CELL_TEXT, ALWAYS, 0},
    {"allowed", "allowed", CELL_TEXT, ALWAYS, 0},
    {"verdict", "verdict", CELL_TEXT, ALWAYS, 0},
    {"of_run", "of_run", CELL_TEXT, ALWAYS, 0},
    {"since", "since", CELL_TEXT, ALWAYS, 0},
    {"before", "before", CELL_TEXT, ALWAYS, 0},
    {"of_batch", "of_batch", CELL_TEXT, ALWAYS, 0},
    {"unsent", "unsent", CELL_TEXT, ALWAYS, 0},
    {0},
};

const struct layout layout_audit = {audit_table, audit_csv};

static const char *const measure_names[MEASURES] = {
    [MEASURE_SENT] = "sent", [MEASURE_COUNTED] = "counted", [MEASURE_WORST] = "worst"};

static json_t *time_json(int64_t wall_us)
{
	char text[CLOCK_RFC3339_SIZE];

	return json_string(clock_format_rfc3339(text, wall_us));
}

/* ---- which jobs ---- */

static bool is_within(const struct attempt *a, enum measure m, int64_t from_us, int64_t to_us)
{
	switch (m) {
	case MEASURE_SENT:
		return a->sent_us >= from_us && a->sent_us < to_us;
	case MEASURE_COUNTED:
		return a->counted_us >= from_us && a->counted_us < to_us;
	default:
		return a->sent_us < to_us && a->counted_us >= from_us;
	}
}

static int by_number(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

static void add_range(json_t *ranges, uint64_t first, uint64_t last)
{
	char a[JOBID_TEXT_SIZE], b[JOBID_TEXT_SIZE];

	jobid_format(a, first);
	jobid_format(b, last);
	json_array_append_new(ranges, first == last ? json_string(a) : json_sprintf("%s-%s", a, b));
}

/* "7.1-7.103": neighbours as one. */
static json_t *ranges_of(uint64_t *jobs, size_t count)
{
	json_t *ranges = json_array();
	size_t first = 0;

	if (count)
		qsort(jobs, count, sizeof *jobs, by_number);
	for (size_t i = 0; i < count && json_array_size(ranges) < JOB_RANGES_MAX; i++) {
		if (i + 1 < count && jobs[i + 1] - jobs[i] <= 1)
			continue;
		add_range(ranges, jobs[first], jobs[i]);
		first = i + 1;
	}
	return ranges;
}

static json_t *jobs_within(const struct record *r, const struct audited *a, enum measure m)
{
	int64_t from_us = a->fullest[m].window.from_us, to_us = from_us + a->rate.window_us;
	uint64_t *jobs = malloc((size_t)(a->fullest[m].window.requests + 1) * sizeof *jobs);
	size_t count = 0;
	json_t *ranges;

	if (!jobs)
		BUG("out of memory");
	for (size_t i = a->fullest[m].from; i < a->fullest[m].to && count < a->fullest[m].window.requests; i++) {
		const struct attempt *one = &r->attempts[i];

		if (record_counts(r, one, a->rule) && is_within(one, m, from_us, to_us))
			jobs[count++] = one->job;
	}
	ranges = ranges_of(jobs, count);
	free(jobs);
	return ranges;
}

/* ---- the row ---- */

/* The wall clock may have been stepped: the nearest attempt behind it says what it was then. */
static int64_t wall_of(const struct record *r, const struct audited *a, enum measure m, int64_t at_us)
{
	size_t i = a->fullest[m].from;

	while (i + 1 < a->fullest[m].to && r->attempts[i].sent_us < at_us)
		i++;
	return r->attempts[i].wall_us + (at_us - r->attempts[i].sent_us);
}

static json_t *window_json(const struct record *r, const struct audited *a, enum measure m)
{
	const struct fullest *f = &a->fullest[m].window;
	json_t *j = json_pack("{s:I}", "requests", (json_int_t)f->requests);
	int64_t from_us;

	if (!f->requests)
		return j;
	from_us = wall_of(r, a, m, f->from_us);
	json_object_set_new(j, "from", time_json(from_us));
	json_object_set_new(j, "until", time_json(from_us + a->rate.window_us));
	if (f->over)
		json_object_set_new(j, "jobs", jobs_within(r, a, m));
	return j;
}

static void add_counts(json_t *row, const struct record *r, const struct audited *by)
{
	json_int_t attempts = 0, open = 0, refused = 0, own = 0;
	int64_t first_us = INT64_MAX, last_us = INT64_MIN;

	for (size_t i = 0; i < r->count; i++) {
		const struct attempt *a = &r->attempts[i];

		if (!record_counts(r, a, by->rule))
			continue;
		attempts++;
		own += by->of && jobid_batch(a->job) == by->number;
		open += a->open;
		refused += a->refused;
		first_us = a->wall_us < first_us ? a->wall_us : first_us;
		last_us = a->wall_us > last_us ? a->wall_us : last_us;
	}
	json_object_set_new(row, "attempts", json_integer(attempts));
	if (by->of)
		json_object_set_new(row, by->of, json_integer(own));
	json_object_set_new(row, "open", json_integer(open));
	json_object_set_new(row, "refused", json_integer(refused));
	json_object_set_new(row, "unsent", json_integer((json_int_t)r->unsent));
	json_object_set_new(row, "first_sent_at", attempts ? time_json(first_us) : json_null());
	json_object_set_new(row, "last_sent_at", attempts ? time_json(last_us) : json_null());
}

json_t *audit_row(const struct record *r, const struct audited *a)
{
	json_t *row = json_pack("{s:s, s:s?, s:s?, s:s?}", "host", a->host, "limit", a->limit, "source", a->source,
				"rate", a->rate_text);
	json_t *fullest = json_object();
	uint64_t over = a->fullest[MEASURE_WORST].window.over, before = record_before(r, a->rule);

	add_counts(row, r, a);
	if (!a->rate_text) {
		json_decref(fullest);
		return row;
	}
	for (int m = 0; m < MEASURES; m++)
		json_object_set_new(fullest, measure_names[m], window_json(r, a, (enum measure)m));
	json_object_set_new(row, "fullest", fullest);
	json_object_set_new(row, "over", json_integer((json_int_t)over));
	json_object_set_new(row, "used", json_integer(a->used));
	json_object_set_new(row, "allowed", json_integer(a->allowed));
	json_object_set_new(row, "since", a->since ? json_string(a->since) : json_null());
	json_object_set_new(row, "before", json_integer((json_int_t)before));
	/* Where all went before it, nothing is proven. */
	json_object_set_new(row, "verdict",
			    over                 ? json_string("broken")
			    : a->used || !before ? json_string("kept")
						 : json_null());
	return row;
}

void audit_add_share(json_t *row)
{
	json_int_t used = json_integer_value(json_object_get(row, "used"));
	json_int_t allowed = json_integer_value(json_object_get(row, "allowed"));
	char use[24];

	if (allowed <= 0)
		return;
	snprintf(use, sizeof use, "%.1f %%", (double)used * 100 / (double)allowed);
	json_object_set_new(row, "use", json_string(use));
}

/* ---- where it was broken ---- */

static const char *const broken_words[MEASURES] = {[MEASURE_SENT] = "were sent",
						   [MEASURE_COUNTED] = "were answered",
						   [MEASURE_WORST] = "may have been counted by the server"};

/* With microseconds: windows are that exact. */
static void add_exact_time(struct text *t, const char *rfc3339)
{
	int64_t us = when_parse_us(rfc3339);
	char shown[WHEN_TEXT_SIZE];

	text_printf(t, "%s.%06d", when_format(shown, us), (int)(us % 1000000));
}

static const json_t *fullest_of(const json_t *row, int m)
{
	return json_object_get(json_object_get(row, "fullest"), measure_names[m]);
}

/* By the plainest evidence of the three. */
void audit_tell_break(const json_t *row)
{
	const char *limit = json_string_value(json_object_get(row, "limit"));
	const char *rate_text = json_string_value(json_object_get(row, "rate"));
	char window[UNITS_TEXT_SIZE];
	struct text line = {0};
	struct rate rate;
	const json_t *f, *job;
	size_t i;
	int m;

	if (!rate_text || units_parse_rate(rate_text, &rate, NULL) < 0)
		return;
	f = fullest_of(row, MEASURE_SENT);
	for (m = 0; m + 1 < MEASURES && json_integer_value(json_object_get(f, "requests")) <= rate.count;)
		f = fullest_of(row, ++m);
	text_printf(&line,
		    "\n%s%s%s for %s is broken: %" PRId64 " of %" PRId64 " requests went too early; %" PRId64 " %s",
		    limit ? limit : "", limit ? ", " : "", rate_text, json_string_value(json_object_get(row, "host")),
		    (int64_t)json_integer_value(json_object_get(row, "over")),
		    (int64_t)json_integer_value(json_object_get(row, "attempts")),
		    (int64_t)json_integer_value(json_object_get(f, "requests")), broken_words[m]);
	text_printf(&line, " within %s from ", units_format_duration(window, rate.window_us));
	add_exact_time(&line, json_string_value(json_object_get(f, "from")));
	text_printf(&line, ", where %" PRId64 " may be:", rate.count);
	json_array_foreach (json_object_get(f, "jobs"), i, job) {
		text_printf(&line, " %s", json_string_value(job));
	}
	printf("%s\n", line.data);
	text_clear(&line);
}
