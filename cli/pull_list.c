/* pull list: the recipes, and how their last runs ended. */
#include <jansson.h>
#include <jq.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/pull.h"
#include "cli/pull_layouts.h"
#include "cli/pull_recipe.h"
#include "cli/receipt.h"
#include "cli/verbs.h"
#include "lib/jq.h"

static void set_text(json_t *row, const char *member, const char *text)
{
	json_object_set_new(row, member, json_string(text));
}

/* ---- what is wrong ---- */

#define SHORT_MOST 72u

/* The daemon knows no jq; the client looks at the expressions, and at what else is wrong. */
static void find_problem(struct ctl *ctl, json_t *row)
{
	struct pull_recipe p;
	const struct err *e;
	struct err ignored;

	if (pull_recipe_open(ctl, pull_text(row, "name"), &p, &ignored) == 0) {
		pull_recipe_examine(&p);
		e = p.faults.list;
		if (p.faults.count)
			json_object_set_new(
			    row, "problem",
			    json_pack("{s:s*,s:s*,s:i}", "detail", e->what, "hint", e->hint, "line", (int)e->line));
	}
	pull_recipe_clear(&p);
}

static bool is_sound(const json_t *row)
{
	return !json_is_object(json_object_get(row, "problem"));
}

/* All expressions of all recipes, as one program: jq takes 20 ms to compile anything, and mostly nothing is wrong. */
static bool all_compile(struct ctl *ctl, const json_t *pulls)
{
	struct text all = {0};
	struct pull_recipe p;
	struct jq_state *jq = NULL;
	const json_t *row;
	struct err e;
	size_t i;

	text_add_str(&all, "null");
	json_array_foreach (pulls, i, row) {
		char *program = NULL;

		if (is_sound(row) && pull_recipe_open(ctl, pull_text(row, "name"), &p, &e) == 0 && !p.faults.count)
			program = recipe_program(p.recipe);
		if (program)
			text_printf(&all, ",(%s\n)", program);
		free(program);
		if (is_sound(row))
			pull_recipe_clear(&p);
	}
	jq = jq_page_compile(all.data, &e);
	text_clear(&all);
	if (jq)
		jq_teardown(&jq);
	return jq != NULL;
}

static bool misses_secret(const json_t *row)
{
	const json_t *secret;
	size_t i;

	json_array_foreach (json_object_get(row, "secrets"), i, secret) {
		if (json_is_false(json_object_get(secret, "present")))
			return true;
	}
	return false;
}

static void find_problems(struct ctl *ctl, json_t *pulls)
{
	bool compile = all_compile(ctl, pulls);
	json_t *row;
	size_t i;

	json_array_foreach (pulls, i, row) {
		if (is_sound(row) && (!compile || misses_secret(row)))
			find_problem(ctl, row);
	}
}

/* In a table the place is the line, and the text ends where it would make the table hard to read. */
static void add_short_problem(json_t *row)
{
	const char *detail = pull_text(row, "problem.detail"), *what = strstr(detail, ".conf:");
	const char *file = pull_text(row, "file");
	struct text t = {0};
	size_t n;

	if (!*detail) {
		detail = pull_text(row, "last_run.error");
		detail = *detail ? detail : pull_text(row, "last_run.warning");
		what = NULL;
	}
	if (strncmp(detail, file, strlen(file)) == 0 && detail[strlen(file)] == ' ')
		text_printf(&t, "the file%s", detail + strlen(file));
	else if (what)
		text_printf(&t, "line %s", what + strlen(".conf:"));
	else
		text_add_str(&t, detail);
	n = t.len;
	if (n > SHORT_MOST && isatty(STDOUT_FILENO)) {
		for (n = SHORT_MOST; n > SHORT_MOST / 2 && t.data[n] != ' ';)
			n--;
		while (n > 0 && ((unsigned char)t.data[n] & 0xc0) == 0x80)
			n--;
		t.len = n;
		text_add_str(&t, "...");
	}
	if (t.len)
		json_object_set_new(row, "shown_problem", json_stringn(t.data, t.len));
	text_clear(&t);
}

/* ---- rows ---- */

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

	if (!*state) /* what a run left for the next one stays when it is removed */
		state = !is_sound(row)                                    ? "unsound"
			: json_array_size(json_object_get(row, "states")) ? "removed"
									  : "never";
	set_text(row, "shown_state", state);
	if (!*when)
		when = *pull_text(run, "started_at") ? pull_text(run, "started_at") : pull_text(run, "created_at");
	if (*when)
		set_text(row, "shown_when", when);
	add_since(row);
	add_short_problem(row);
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
	find_problems(ctl, json_object_get(answer, "pulls"));
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
