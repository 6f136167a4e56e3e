/* pull state: what is known between a pull's runs, shown, set and forgotten. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/pull.h"
#include "cli/pull_layouts.h"
#include "cli/receipt.h"
#include "cli/verbs.h"
#include "lib/since.h"

/* ---- setting ---- */

static const json_t *state_of_vars(const json_t *states, const json_t *vars)
{
	const json_t *state;
	size_t i;

	json_array_foreach (states, i, state) {
		if (json_equal(json_object_get(state, "vars"), vars))
			return state;
	}
	return NULL;
}

/* A time in place of a number, or what is neither: the API may know nothing of the kind. */
static void warn_of_form(const char *name, const json_t *before, const json_t *after, const char *set)
{
	struct text was = {0};
	const json_t *old, *new;
	size_t i;

	json_array_foreach (json_object_get(before, "states"), i, old) {
		new = state_of_vars(json_object_get(after, "states"), json_object_get(old, "vars"));
		if (json_equal(json_object_get(old, "since"), json_object_get(new, "since")))
			continue;
		was.len = 0;
		receipt_add_since(&was, json_object_get(old, "since"));
		if (was.len && since_form(was.data) != SINCE_TEXT && since_form(was.data) != since_form(set))
			ctl_warn(
			    "%s is of another form than what stood there, %s: does the API take it? (fanoutctl pull "
			    "state %s --set %s sets it back)",
			    set, was.data, name, was.data);
	}
	text_clear(&was);
}

static int put_state(struct ctl *ctl, const char *name, struct err *e)
{
	json_t *vars = pull_vars(ctl, e), *body, *before, *answer;
	const char *set = ctl->args.set;
	char *text;

	if (!vars)
		return -1;
	body = json_pack("{s:o, s:s?}", "vars", vars, "since", set);
	text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	json_decref(body);
	if (!text)
		return err_set(e, ERR_USAGE, NULL, " pull state: --set is not UTF-8");
	before = set ? client_get_json(ctl->client, NULL, "/v1/pulls/%s/state", name) : NULL;
	answer = client_put_json(ctl->client, text, strlen(text), e, "/v1/pulls/%s/state", name);
	free(text);
	if (answer && set) {
		ctl_note(ctl, "%s: the next run begins at %s", name, set);
		warn_of_form(name, before, answer, set);
	}
	json_decref(before);
	json_decref(answer);
	if (!answer)
		return -1;
	if (!set)
		ctl_note(ctl, "%s: what was known between runs is forgotten; the next one fetches everything", name);
	return 0;
}

/* ---- showing ---- */

/* A var that the recipe has not; NULL. */
static const char *unknown_var(const json_t *pull, const json_t *vars)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)vars, name, value)
		if (!json_object_get(json_object_get(pull, "vars"), name))
			return name;
	return NULL;
}

static int no_such_var(const json_t *pull, const char *name, const char *unknown, struct err *e)
{
	json_t *vars = json_object_get(pull, "vars"), *value;
	struct text have = {0};
	const char *var;

	text_add_str(&have, json_object_size(vars) ? "it has " : "it takes none");
	json_object_foreach (vars, var, value) {
		text_printf(&have, "%s%s", have.len > strlen("it has ") ? ", " : "", var);
	}
	err_set(e, ERR_USAGE, have.data, " pull state: %s has no var \"%.60s\"", name, unknown);
	text_clear(&have);
	return -1;
}

/* An empty table would say the same of vars that were never run, of those that there are not, and of a pull that there
 * is not. */
static int check_none(struct ctl *ctl, const char *name, struct err *e)
{
	json_t *pull = pull_get(ctl, name, e), *vars = pull ? pull_vars(ctl, e) : NULL;
	bool sound = json_is_null(json_object_get(pull, "problem"));
	const char *unknown = sound ? unknown_var(pull, vars) : NULL;
	int rc = 0;

	if (!vars)
		rc = -1;
	else if (unknown)
		rc = no_such_var(pull, name, unknown, e);
	else if (json_object_size(vars))
		rc = err_set(e, ERR_CONFLICT, "fanoutctl pull state without --var lists what is known",
			     "nothing is known of %s with these vars: no run with them was complete", name);
	else
		ctl_note(ctl, "%s: nothing is known between runs; the next one fetches everything", name);
	json_decref(vars);
	json_decref(pull);
	return rc;
}

/* All of them, or those of the vars given. */
static json_t *chosen(struct ctl *ctl, const json_t *states, struct err *e)
{
	json_t *vars = pull_vars(ctl, e), *list = json_array(), *state;
	size_t i;

	json_array_foreach (states, i, state) {
		if (pull_vars_fit(state, vars))
			json_array_append(list, state);
	}
	if (vars)
		json_decref(vars);
	else
		json_decref(list);
	return vars ? list : NULL;
}

static int show_states(struct ctl *ctl, const char *name, struct err *e)
{
	json_t *answer = client_get_json(ctl->client, e, "/v1/pulls/%s/state", name), *list;
	int rc;

	if (!answer)
		return -1;
	list = chosen(ctl, json_object_get(answer, "states"), e);
	json_decref(answer);
	if (!list)
		return -1;
	rc = json_array_size(list) ? 0 : check_none(ctl, name, e);
	if (rc == 0 && (json_array_size(list) || ctl->args.format != FORMAT_TABLE))
		rc = pull_print_list(list, ctl->args.format, &layout_states, e);
	json_decref(list);
	return rc;
}

int verb_pull_state(struct ctl *ctl)
{
	const struct args *a = &ctl->args;
	const char *name = a->operands[0];
	struct err e;
	int rc;

	if (a->set && a->reset) {
		err_set(&e, ERR_USAGE, NULL, " pull state: --set and --reset exclude each other");
		return ctl_report(&e);
	}
	if (pull_check_name(ctl, name, &e) < 0 || ctl_connect(ctl, &e) < 0)
		return ctl_report(&e);
	rc = a->set || a->reset ? put_state(ctl, name, &e) : show_states(ctl, name, &e);
	return rc < 0 ? ctl_report(&e) : STATUS_FINE;
}
