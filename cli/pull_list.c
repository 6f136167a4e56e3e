/* pull list: the recipes, and how their last runs ended. */
#include <jansson.h>
#include <string.h>

#include "cli/client.h"
#include "cli/pull.h"
#include "cli/pull_layouts.h"
#include "cli/receipt.h"
#include "cli/verbs.h"

static void set_text(json_t *row, const char *member, const char *text)
{
	json_object_set_new(row, member, json_string(text));
}

/* Where the next run begins; with several sets of vars there is no one place. */
static void add_since(json_t *row)
{
	const json_t *states = json_object_get(row, "states");
	size_t n = json_array_size(states);
	struct text t = {0};

	if (n == 1)
		receipt_add_since(&t, json_object_get(json_array_get(states, 0), "since"));
	else if (n > 1)
		text_printf(&t, "%zu states", n);
	if (t.len)
		json_object_set_new(row, "shown_since", json_stringn(t.data, t.len));
	text_clear(&t);
}

/* What a table says beyond the API. */
static void add_shown(json_t *row)
{
	const json_t *live = json_object_get(row, "live_run"), *last = json_object_get(row, "last_run");
	const char *state = json_is_object(live) ? pull_text(live, "state") : pull_text(last, "verdict");
	const json_t *run = json_is_object(live) ? live : last;
	const char *when = pull_text(run, "ended_at");

	if (json_is_object(json_object_get(row, "problem")))
		state = *state ? state : "unsound";
	set_text(row, "shown_state", *state ? state : "never");
	if (!*when)
		when = *pull_text(run, "started_at") ? pull_text(run, "started_at") : pull_text(run, "created_at");
	if (*when)
		set_text(row, "shown_when", when);
	add_since(row);
}

int verb_pull_list(struct ctl *ctl)
{
	struct rows *rows;
	json_t *answer, *row;
	struct err e;
	size_t i;
	int rc = 0;

	if (ctl_connect(ctl, &e) < 0 || !(answer = client_get_json(ctl->client, &e, "/v1/pulls")))
		return ctl_report(&e);
	if (json_array_size(json_object_get(answer, "pulls")) == 0)
		pull_note_none(ctl, answer);
	rows = rows_open(ctl->args.format, &layout_pulls, false);
	json_array_foreach (json_object_get(answer, "pulls"), i, row) {
		if (ctl->args.format == FORMAT_TABLE)
			add_shown(row);
		if (rc == 0)
			rc = rows_put(rows, row, &e);
	}
	rows_close(rows, rc == 0);
	json_decref(answer);
	return rc < 0 ? ctl_report(&e) : STATUS_FINE;
}
