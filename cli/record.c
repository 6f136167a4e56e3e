/* Rows come batch by batch; what they are for needs them by time. */
#include "cli/record.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/when.h"
#include "lib/jobid.h"

#define SETS_MAX 65535u

struct record_set {
	uint64_t bits[RECORD_RULES_MAX / 64];
};

void record_init(struct record *r, const char *const *names, const int64_t *since_us, size_t count)
{
	*r = (struct record){
	    .names = names, .since_us = since_us, .name_count = count < RECORD_RULES_MAX ? count : RECORD_RULES_MAX};
}

void record_clear(struct record *r)
{
	free(r->attempts);
	free(r->sets);
	*r = (struct record){0};
}

/* ---- reading ---- */

static void add_name(const struct record *r, struct record_set *set, const char *name)
{
	for (size_t i = 0; name && i < r->name_count; i++)
		if (strcmp(r->names[i], name) == 0)
			set->bits[i / 64] |= UINT64_C(1) << i % 64;
}

/* The same few sets come again and again, the last one most of all. */
static int find_set(struct record *r, const json_t *limits, uint16_t *index, struct err *e)
{
	struct record_set set = {0}, *grown;
	const json_t *name;
	size_t i;

	json_array_foreach (limits, i, name) {
		add_name(r, &set, json_string_value(name));
	}
	for (i = r->set_count; i-- > 0;)
		if (memcmp(&r->sets[i], &set, sizeof set) == 0) {
			*index = (uint16_t)i;
			return 0;
		}
	if (r->set_count == SETS_MAX)
		return err_set(e, ERR_TOO_LARGE, NULL, "the attempts count against limits in too many combinations");
	grown = realloc(r->sets, (r->set_count + 1) * sizeof *grown);
	if (!grown)
		BUG("out of memory");
	r->sets = grown;
	r->sets[r->set_count] = set;
	*index = (uint16_t)r->set_count++;
	return 0;
}

static int make_room(struct record *r, struct err *e)
{
	struct attempt *grown;

	if (r->count < r->room)
		return 0;
	if (r->count >= RECORD_MAX)
		return err_set(e, ERR_TOO_LARGE,
			       "measure it in parts that overlap by the longest window: --since, --until",
			       "more than %u attempts are recorded", RECORD_MAX);
	r->room = r->room ? 2 * r->room : 1024;
	r->room = r->room < RECORD_MAX ? r->room : RECORD_MAX;
	grown = realloc(r->attempts, r->room * sizeof *grown);
	if (!grown)
		BUG("out of memory");
	r->attempts = grown;
	return 0;
}

static int read_attempt(struct record *r, const json_t *row, struct attempt *a, struct err *e)
{
	const json_t *sent = json_object_get(row, "sent_us"), *counted = json_object_get(row, "counted_us");
	const char *job = json_string_value(json_object_get(row, "job"));

	if (!json_is_integer(sent) || !job || jobid_parse(job, &a->job) < 0)
		return err_set(e, ERR_SYSTEM, "do fanoutd and fanoutctl have the same version? fanoutctl doctor looks",
			       "a line of the record has no job or no time");
	a->sent_us = json_integer_value(sent);
	a->counted_us = json_integer_value(counted);
	a->open = !json_is_integer(counted);
	if (a->open)
		a->counted_us = json_integer_value(json_object_get(row, "attempt")); /* until record_sort */
	a->wall_us = when_parse_us(json_string_value(json_object_get(row, "sent_at")));
	a->boot = (uint32_t)json_integer_value(json_object_get(row, "boot"));
	a->refused = json_is_true(json_object_get(row, "refused"));
	return find_set(r, json_object_get(row, "limits"), &a->set, e);
}

static int by_job(const void *left, const void *right)
{
	const struct attempt *a = left, *b = right;

	return (a->job > b->job) - (a->job < b->job);
}

/* The open ones come first, and the record is told as it is read: one that has ended meanwhile comes again. */
static struct attempt *was_open(struct record *r, const struct attempt *a, json_int_t n)
{
	struct attempt *found;

	if (r->open_count == 0)
		return NULL;
	if (!r->open_sorted)
		qsort(r->attempts, r->open_count, sizeof *r->attempts, by_job);
	r->open_sorted = true;
	found = bsearch(a, r->attempts, r->open_count, sizeof *r->attempts, by_job);
	return found && found->open && found->counted_us == n ? found : NULL;
}

static void take(struct record *r, const struct attempt *a, json_int_t n)
{
	struct attempt *was = a->open ? NULL : was_open(r, a, n);

	if (was) {
		*was = *a;
		return;
	}
	r->open_count += a->open && r->open_count == r->count;
	r->attempts[r->count++] = *a;
}

static bool is_unsent(const json_t *row)
{
	return json_is_string(json_object_get(row, "began_at"));
}

int record_add(struct record *r, const char *line, size_t len, struct err *e)
{
	struct attempt a = {0};
	json_error_t why;
	json_t *row;
	int rc;

	if (make_room(r, e) < 0)
		return -1;
	row = json_loadb(line, len, 0, &why);
	if (!row)
		return err_set(e, ERR_SYSTEM, NULL, "the daemon's answer is no JSON: %s", why.text);
	rc = is_unsent(row) ? 0 : read_attempt(r, row, &a, e);
	if (is_unsent(row))
		r->unsent++;
	else if (rc == 0)
		take(r, &a, json_integer_value(json_object_get(row, "attempt")));
	json_decref(row);
	return rc;
}

/* ---- in order ---- */

static int by_boot_and_time(const void *left, const void *right)
{
	const struct attempt *a = left, *b = right;

	if (a->boot != b->boot)
		return a->boot < b->boot ? -1 : 1;
	if (a->sent_us != b->sent_us)
		return a->sent_us < b->sent_us ? -1 : 1;
	return (a->job > b->job) - (a->job < b->job);
}

void record_sort(struct record *r, int64_t now_us)
{
	for (size_t i = 0; i < r->count; i++) {
		struct attempt *a = &r->attempts[i];

		a->counted_us = a->open ? now_us : a->counted_us;
		a->counted_us = a->counted_us < a->sent_us ? a->sent_us : a->counted_us;
	}
	if (r->count)
		qsort(r->attempts, r->count, sizeof *r->attempts, by_boot_and_time);
}

static bool matches(const struct record *r, const struct attempt *a, uint32_t rule)
{
	return r->sets[a->set].bits[rule / 64] >> rule % 64 & 1;
}

bool record_counts(const struct record *r, const struct attempt *a, uint32_t rule)
{
	return rule == RECORD_ALL || (matches(r, a, rule) && a->wall_us >= r->since_us[rule]);
}

uint64_t record_before(const struct record *r, uint32_t rule)
{
	uint64_t count = 0;

	for (size_t i = 0; rule != RECORD_ALL && i < r->count; i++)
		count += matches(r, &r->attempts[i], rule) && r->attempts[i].wall_us < r->since_us[rule];
	return count;
}

size_t record_boot_end(const struct record *r, size_t from)
{
	size_t to = from;

	while (to < r->count && r->attempts[to].boot == r->attempts[from].boot)
		to++;
	return to;
}

static int by_time(const void *left, const void *right)
{
	const int64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

void record_select(const struct record *r, size_t from, size_t to, uint32_t rule, struct windows *w)
{
	w->count = 0;
	for (size_t i = from; i < to; i++) {
		const struct attempt *a = &r->attempts[i];

		if (!record_counts(r, a, rule))
			continue;
		w->sent[w->count] = a->sent_us;
		w->counted[w->count] = w->ends[w->count] = a->counted_us;
		w->count++;
	}
	if (w->count)
		qsort(w->ends, w->count, sizeof *w->ends, by_time);
}
