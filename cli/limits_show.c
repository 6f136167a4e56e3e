/* How limits are shown. A table's cells are made here from the daemon's members; json is passed on as it came. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/limits.h"
#include "cli/rows.h"
#include "cli/verbs.h"
#include "cli/when.h"
#include "lib/clock.h"
#include "lib/closest.h"
#include "lib/units.h"

#define ALWAYS   false
#define OPTIONAL true

static const struct column rule_table[] = {
    {"LIMIT", "name", CELL_TEXT, ALWAYS, 0},
    {"SOURCE", "source", CELL_TEXT, ALWAYS, 0},
    {"MATCH", "match", CELL_TEXT, ALWAYS, 0},
    {"RATES", "shown_rates", CELL_TEXT, ALWAYS, 0},
    {"CONCURRENCY", "concurrency", CELL_COUNT, OPTIONAL, 0},
    {"PACE", "shown_pace", CELL_TEXT, OPTIONAL, 0},
    {"NOTE", "note", CELL_TEXT, OPTIONAL, 0},
    {0},
};

static const struct column use_table[] = {
    {"HOST", "host", CELL_TEXT, ALWAYS, 0},
    {"LIMIT", "name", CELL_TEXT, ALWAYS, 0},
    {"IN FLIGHT", "in_flight", CELL_COUNT, ALWAYS, 0},
    {"WAITING", "waiting", CELL_COUNT, ALWAYS, 0},
    {"USED", "used", CELL_COUNT, ALWAYS, 0},
    {"ALLOWED", "rate", CELL_TEXT, ALWAYS, 0},
    {"NEXT SLOT", "next", CELL_TEXT, ALWAYS, 0},
    {0},
};

static const struct column host_table[] = {
    {"HOST", "host", CELL_TEXT, ALWAYS, 0},
    {"REFUSED IN A ROW", "refusals", CELL_COUNT, ALWAYS, 0},
    {"STATE", "held", CELL_TEXT, ALWAYS, 0},
    {"LEARNED", "learned.rate", CELL_TEXT, OPTIONAL, 0},
    {"UNTIL", "learned.expires_at", CELL_TIME, OPTIONAL, 0},
    {0},
};

/* A row for each window of each host; a rule without any has one row. */
static const struct column use_csv[] = {
    {"name", "name", CELL_TEXT, ALWAYS, 0},
    {"source", "source", CELL_TEXT, ALWAYS, 0},
    {"match", "match", CELL_TEXT, ALWAYS, 0},
    {"rates", "shown_rates", CELL_TEXT, ALWAYS, 0},
    {"concurrency", "concurrency", CELL_TEXT, ALWAYS, 0},
    {"pace", "pace", CELL_TEXT, ALWAYS, 0},
    {"shadowed", "shadowed", CELL_TEXT, ALWAYS, 0},
    {"host", "host", CELL_TEXT, ALWAYS, 0},
    {"in_flight", "in_flight", CELL_TEXT, ALWAYS, 0},
    {"waiting", "waiting", CELL_TEXT, ALWAYS, 0},
    {"rate", "rate", CELL_TEXT, ALWAYS, 0},
    {"used", "used", CELL_TEXT, ALWAYS, 0},
    {"free_at", "free_at", CELL_TEXT, ALWAYS, 0},
    {0},
};

static const struct layout layout_rules = {rule_table, use_csv};
static const struct layout layout_use = {use_table, use_csv};
static const struct layout layout_hosts = {host_table, host_table};

void limits_add_rates(const json_t *rule, struct text *out)
{
	const json_t *rate;
	size_t i;

	text_reserve(out, 0);
	json_array_foreach (json_object_get(rule, "rates"), i, rate) {
		text_printf(out, "%s%s", i ? " " : "", json_string_value(rate) ? json_string_value(rate) : "?");
	}
}

void limits_describe(const json_t *rule, struct text *out)
{
	json_int_t concurrency = json_integer_value(json_object_get(rule, "concurrency"));
	const char *match = json_string_value(json_object_get(rule, "match"));

	limits_add_rates(rule, out);
	if (concurrency)
		text_printf(out, "%sat most %" JSON_INTEGER_FORMAT " at a time", out->len ? ", " : "", concurrency);
	if (json_is_true(json_object_get(rule, "pace")))
		text_add_str(out, ", evenly spread");
	if (match)
		text_printf(out, "%sfor %s", out->len ? ", " : "", match);
}

static void set_str(json_t *row, const char *member, const char *value)
{
	json_object_set_new(row, member, json_string(value));
}

/* A copy of the rule with the cells that a table shows. */
static json_t *rule_row(json_t *rule)
{
	json_t *row = json_copy(rule);
	struct text rates = {0};

	limits_add_rates(rule, &rates);
	json_object_set_new(row, "shown_rates", json_stringn(rates.data, rates.len));
	text_clear(&rates);
	if (json_is_true(json_object_get(rule, "pace")))
		set_str(row, "shown_pace", "evenly");
	if (json_is_true(json_object_get(rule, "shadowed")))
		set_str(row, "note", "shadowed: another one with this name is in force");
	return row;
}

typedef int put_fn(struct rows *rows, json_t *row, struct err *e);

static int show(enum format format, const struct layout *layout, const json_t *list, put_fn *put, struct err *e)
{
	struct rows *rows = rows_open(format, layout, false);
	json_t *row;
	size_t i;
	int rc = 0;

	json_array_foreach (list, i, row) {
		rc = rc < 0 ? rc : put(rows, row, e);
	}
	rows_close(rows, rc == 0);
	return rc;
}

static int put_plain(struct rows *rows, json_t *row, struct err *e)
{
	return rows_put(rows, row, e);
}

static int put_rule(struct rows *rows, json_t *rule, struct err *e)
{
	json_t *row = rule_row(rule);
	int rc = rows_put(rows, row, e);

	json_decref(row);
	return rc;
}

/* Calls `put` with a row for each window of each host of the rule. */
static int each_window(json_t *rule, put_fn *put, struct rows *rows, struct err *e)
{
	json_t *state, *window, *windows;
	size_t i, k;
	int rc = 0;

	json_array_foreach (json_object_get(rule, "state"), i, state) {
		windows = json_object_get(state, "windows");
		for (k = 0; rc == 0 && (k == 0 || k < json_array_size(windows)); k++) {
			json_t *row = rule_row(rule);

			window = json_array_get(windows, k);
			json_object_update(row, state);
			if (window)
				json_object_update(row, window);
			rc = put(rows, row, e);
			json_decref(row);
		}
	}
	return rc;
}

/* "in 3.20 s, at ..." where it is full; with room for a request now, nothing is waited for. */
static int put_window(struct rows *rows, json_t *row, struct err *e)
{
	int64_t free_us = when_parse_us(json_string_value(json_object_get(row, "free_at")));
	char next[WHEN_TEXT_SIZE];

	if (json_object_get(row, "rate")) {
		const char *rate = json_string_value(json_object_get(row, "rate"));
		struct rate parsed;
		bool full = rate && units_parse_rate(rate, &parsed, NULL) == 0 &&
			    json_integer_value(json_object_get(row, "used")) >= parsed.count;

		set_str(row, "next",
			free_us >= 0 ? when_format_until(next, free_us, clock_wall_us())
			: full       ? "when a request ends"
				     : "now");
	}
	return rows_put(rows, row, e);
}

static int put_use(struct rows *rows, json_t *rule, struct err *e)
{
	return each_window(rule, put_window, rows, e);
}

static bool any_state(const json_t *rules)
{
	const json_t *rule;
	size_t i;

	json_array_foreach (rules, i, rule) {
		if (json_array_size(json_object_get(rule, "state")))
			return true;
	}
	return false;
}

static int show_use(const json_t *rules, struct err *e)
{
	if (!any_state(rules))
		return 0;
	putchar('\n');
	return show(FORMAT_TABLE, &layout_use, rules, put_use, e);
}

static int put_host(struct rows *rows, json_t *host, struct err *e)
{
	int64_t until_us = when_parse_us(json_string_value(json_object_get(host, "paused_until")));
	bool probing = json_is_true(json_object_get(host, "probing"));
	json_t *row = json_copy(host);
	char until[WHEN_TEXT_SIZE], held[WHEN_TEXT_SIZE + 40];
	int64_t now_us = clock_wall_us();
	int rc;

	if (until_us > now_us)
		snprintf(held, sizeof held, "paused; goes on %s", when_format_until(until, until_us, now_us));
	else
		snprintf(held, sizeof held, probing ? "a single request probes whether it answers again" : "goes on");
	set_str(row, "held", held);
	rc = rows_put(rows, row, e);
	json_decref(row);
	return rc;
}

static int show_hosts(const json_t *hosts, bool behind, struct err *e)
{
	if (json_array_size(hosts) == 0)
		return 0;
	if (behind)
		putchar('\n');
	return show(FORMAT_TABLE, &layout_hosts, hosts, put_host, e);
}

static int put_csv(struct rows *rows, json_t *rule, struct err *e)
{
	return json_array_size(json_object_get(rule, "state")) ? each_window(rule, put_plain, rows, e)
							       : put_rule(rows, rule, e);
}

/* "r" may be a host, but is hardly meant as one. */
static void note_none(const struct ctl *ctl)
{
	struct closest near = {.word = ctl->args.operand_count ? ctl->args.operands[0] : ""};
	struct text seconds = {0};

	if (verb_seconds(ctl->verb, &seconds, &near))
		ctl_note(ctl, "no limits for a host \"%s\"; there are also fanoutctl limits %s", near.word,
			 seconds.data);
	else
		ctl_note(ctl, "no limits%s",
			 !*near.word                                  ? ""
			 : near.word[strspn(near.word, "0123456789")] ? " for this host"
								      : " for its hosts");
	text_clear(&seconds);
}

static int show_tables(const struct ctl *ctl, const json_t *rules, const json_t *hosts, struct err *e)
{
	if (json_array_size(rules) == 0)
		note_none(ctl);
	else if (show(FORMAT_TABLE, &layout_rules, rules, put_rule, e) < 0 || show_use(rules, e) < 0)
		return -1;
	return show_hosts(hosts, json_array_size(rules) > 0, e);
}

int limits_show(const struct ctl *ctl, const json_t *answer, struct err *e)
{
	json_t *hosts = json_object_get(answer, "hosts"), *rules;
	int rc;

	if (ctl->args.format == FORMAT_JSON)
		return rows_object(FORMAT_JSON, answer, &layout_use, e);
	rules = json_array();
	json_array_extend(rules, json_object_get(answer, "limits"));
	json_array_extend(rules, json_object_get(answer, "batches"));
	if (ctl->args.format == FORMAT_NDJSON)
		json_array_extend(rules, hosts);
	rc = ctl->args.format == FORMAT_CSV      ? show(FORMAT_CSV, &layout_use, rules, put_csv, e)
	     : ctl->args.format == FORMAT_NDJSON ? show(FORMAT_NDJSON, &layout_use, rules, put_plain, e)
						 : show_tables(ctl, rules, hosts, e);
	json_decref(rules);
	if (rc == 0 && ctl->args.format == FORMAT_CSV && json_array_size(hosts))
		ctl_note(ctl, "csv has the limits alone; %zu host%s that refused or told a rate: -f json, or table",
			 json_array_size(hosts), json_array_size(hosts) == 1 ? "" : "s");
	return rc;
}

void limits_show_rule(const struct ctl *ctl, json_t *rule)
{
	json_t *row = rule_row(rule);

	rows_object(ctl->args.format, ctl->args.format == FORMAT_CSV ? row : rule, &layout_use, NULL);
	json_decref(row);
}
