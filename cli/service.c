/* stats and doctor: the daemon itself. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/confcheck.h"
#include "cli/rows.h"
#include "cli/verbs.h"
#include "lib/message.h"
#include "lib/paths.h"
#include "lib/reals.h"
#include "lib/units.h"

/* ---- stats ---- */

static const struct column pair_columns[] = {
    {"NAME", "name", CELL_TEXT, false, 0}, {"VALUE", "value", CELL_TEXT, false, 0}, {0}};
static const struct column pair_csv[] = {
    {"name", "name", CELL_TEXT, false, 0}, {"value", "value", CELL_TEXT, false, 0}, {0}};
static const struct layout layout_pairs = {pair_columns, pair_csv};

static void put_pairs(struct rows *rows, json_t *j, const char *name, bool people);

/* "uptime 42 s" of "uptime_us": what is counted in the smallest unit is nothing to read. */
static json_t *pair_for_people(const char *name, json_t *value)
{
	size_t n = strlen(name);
	char text[UNITS_TEXT_SIZE];
	bool us = n > 3 && strcmp(name + n - 3, "_us") == 0, bytes = n > 6 && strcmp(name + n - 6, "_bytes") == 0;

	if (!json_is_integer(value) || !(us || bytes))
		return json_pack("{s:s, s:O}", "name", name, "value", value);
	if (us)
		units_format_duration(text, json_integer_value(value));
	else
		units_format_bytes(text, json_integer_value(value));
	return json_pack("{s:s%, s:s}", "name", name, n - (us ? 3 : 6), "value", text);
}

static void put_pair(struct rows *rows, json_t *value, const char *prefix, const char *key, bool people)
{
	char name[200];

	snprintf(name, sizeof name, "%s%s%s", prefix, *prefix ? "." : "", key);
	put_pairs(rows, value, name, people);
}

/* Whatever the daemon tells, member by member: "counts.done 68", "workers.0.pid 4711". */
static void put_pairs(struct rows *rows, json_t *j, const char *name, bool people)
{
	json_t *value, *pair;
	const char *key;
	char number[24];
	size_t i;

	if (json_is_object(j)) {
		json_object_foreach (j, key, value) {
			put_pair(rows, value, name, key, people);
		}
	} else if (json_is_array(j)) {
		json_array_foreach (j, i, value) {
			snprintf(number, sizeof number, "%zu", i);
			put_pair(rows, value, name, number, people);
		}
	} else {
		pair = people ? pair_for_people(name, j) : json_pack("{s:s, s:O}", "name", name, "value", j);
		rows_put(rows, pair, NULL);
		json_decref(pair);
	}
}

int verb_stats(struct ctl *ctl)
{
	enum format format = ctl->args.format;
	struct rows *rows;
	struct err e;
	json_t *j;

	if (ctl_connect(ctl, &e) < 0)
		return ctl_report(&e);
	j = client_get_json(ctl->client, &e, "/v1/stats");
	if (!j)
		return ctl_report(&e);
	if (format == FORMAT_JSON || format == FORMAT_NDJSON) {
		json_dumpf(j, stdout, (format == FORMAT_JSON ? JSON_INDENT(2) : JSON_COMPACT) | reals_precision(j));
		putchar('\n');
	} else {
		rows = rows_open(format, &layout_pairs, false);
		put_pairs(rows, j, "", format == FORMAT_TABLE);
		rows_close(rows, true);
	}
	json_decref(j);
	return STATUS_FINE;
}

/* ---- doctor ---- */

static const struct column check_columns[] = {{"CHECK", "check", CELL_TEXT, false, 0},
					      {"RESULT", "result", CELL_TEXT, false, 0},
					      {"DETAIL", "detail", CELL_TEXT, COLUMN_WRAP, 0},
					      {0}};
static const struct column check_csv[] = {{"check", "check", CELL_TEXT, false, 0},
					  {"result", "result", CELL_TEXT, false, 0},
					  {"detail", "detail", CELL_TEXT, false, 0},
					  {0}};
static const struct layout layout_checks = {check_columns, check_csv};

struct doctor {
	struct rows *rows;
	int status;
	bool fit;                  /* the configuration, as far as it was looked at */
	struct text configuration; /* what is told of it; empty: it was not */
};

static void tell(struct doctor *d, const char *check, bool fine, const char *detail)
{
	json_t *row = json_pack("{s:s, s:s, s:s}", "check", check, "result", fine ? "ok" : "wrong", "detail", detail);

	rows_put(d->rows, row, NULL);
	json_decref(row);
	if (!fine && d->status == STATUS_FINE)
		d->status = STATUS_FAILED;
}

static void tell_error(struct doctor *d, const char *check, const struct err *e)
{
	char text[sizeof e->what + sizeof e->hint + 4];

	snprintf(text, sizeof text, "%s%s%s", e->what, e->hint[0] ? "; " : "", e->hint);
	tell(d, check, false, text);
	d->status = ctl_status_of(e->code);
}

/* As it is on disk: what is wrong with it shows when the daemon is started the next time, or reloads it. Which file a
 * daemon has that -S names is not known, and the system's may be read by its user alone. */
static void look_at_configuration(struct doctor *d, const struct ctl *ctl)
{
	bool local = ctl->place == PLACE_PRIVATE || ctl->place == PLACE_ASLEEP;
	struct err e = {.what = "fanoutd -n says nothing"};

	d->fit = true;
	if (!local && (ctl->place != PLACE_SYSTEM || access(PATHS_SYSTEM_CONF, R_OK) < 0))
		return;
	d->fit = confcheck_run(local, &d->configuration, &e) > 0;
	if (!d->configuration.len)
		text_printf(&d->configuration, "%s", e.what);
}

static void check_configuration(struct doctor *d)
{
	if (d->configuration.len)
		tell(d, "configuration", d->fit, d->configuration.data);
	text_clear(&d->configuration);
}

/* `connected`: what ctl_connect said, with `e`. */
static bool check_socket(struct doctor *d, struct ctl *ctl, int connected, struct err *e)
{
	const char *path;
	char text[300];
	int rc;

	if (connected < 0 && ctl->place == PLACE_ASLEEP && d->fit) {
		tell(d, "socket", true, e->what); /* its usual state: it ends when it is idle */
		return false;
	}
	if (connected < 0 && ctl->place == PLACE_ASLEEP)
		err_set(e, ERR_UNREACHABLE, NULL,
			"your private daemon is not running, and would not start: see configuration");
	if (!ctl->client) {
		tell_error(d, "socket", e);
		return false;
	}
	path = client_socket(ctl->client);
	rc = client_probe(path);
	if (rc) {
		client_unreachable(path, rc, e);
		tell_error(d, "socket", e);
		return false;
	}
	snprintf(text, sizeof text, "%s: %s", path,
		 ctl->place == PLACE_PRIVATE  ? "your private daemon"
		 : ctl->place == PLACE_SYSTEM ? "the system's daemon"
					      : "given by -S or FANOUT_SOCKET");
	tell(d, "socket", true, text);
	return true;
}

static void check_health(struct doctor *d, struct ctl *ctl, struct err *e)
{
	json_t *j = client_get_json(ctl->client, e, "/healthz");

	if (j)
		tell(d, "daemon", true, "it answers, and its storage works");
	else
		tell_error(d, "daemon", e);
	json_decref(j);
}

static void check_version(struct doctor *d, struct ctl *ctl, struct err *e)
{
	json_t *j = client_get_json(ctl->client, e, "/v1/stats");
	const char *version = json_string_value(json_object_get(j, "version"));
	char text[200];

	if (!j) {
		tell_error(d, "version", e);
		return;
	}
	snprintf(text, sizeof text, "fanoutd %s, fanoutctl %s", version ? version : "of unknown version",
		 FANOUT_VERSION);
	tell(d, "version", version && strcmp(version, FANOUT_VERSION) == 0, text);
	json_decref(j);
}

/* That they have died and are not started again, and that few descriptors make them slow, is seen from nothing else. */
static void check_workers(struct doctor *d, struct ctl *ctl, struct err *e)
{
	json_t *j = client_get_json(ctl->client, e, "/v1/stats"), *worker;
	json_t *max = json_object_get(json_object_get(j, "process"), "descriptors_max");
	uint32_t most = message_transfers_most(max ? (uint64_t)json_integer_value(max) : UINT32_MAX);
	unsigned up = 0;
	size_t i;
	char text[300];

	if (!j) {
		tell_error(d, "workers", e);
		return;
	}
	json_array_foreach (json_object_get(j, "workers"), i, worker)
		up += json_integer_value(json_object_get(worker, "pid")) > 0;
	if (!up)
		snprintf(text, sizeof text, "none of %zu runs: the log of fanoutd says why", i);
	else if (most < MESSAGE_TRANSFERS_FEW)
		snprintf(text, sizeof text,
			 "each takes only %" PRIu32
			 " request%s at a time, for it may have only %lld file descriptors; have "
			 "LimitNOFILE= in fanoutd.service, or the hard limit of ulimit -n, at 1024 or more",
			 most, most == 1 ? "" : "s", (long long)json_integer_value(max));
	else
		snprintf(text, sizeof text, "%u of %zu run", up, i);
	tell(d, "workers", up && most >= MESSAGE_TRANSFERS_FEW, text);
	json_decref(j);
}

static void check_access(struct doctor *d, struct ctl *ctl, struct err *e)
{
	json_t *j = client_get_json(ctl->client, e, "/v1/batches?limit=1");

	if (j)
		tell(d, "permission", true, "batches can be listed");
	else
		tell_error(d, "permission", e);
	json_decref(j);
}

int verb_doctor(struct ctl *ctl)
{
	struct doctor d = {.rows = rows_open(ctl->args.format, &layout_checks, false)};
	struct err e;
	int connected;
	bool reached;

	connected = ctl_connect(ctl, &e);
	look_at_configuration(&d, ctl);
	reached = check_socket(&d, ctl, connected, &e);
	check_configuration(&d);
	if (reached) {
		check_health(&d, ctl, &e);
		check_version(&d, ctl, &e);
		check_workers(&d, ctl, &e);
		check_access(&d, ctl, &e);
	}
	rows_close(d.rows, true);
	return d.status;
}
