/* Operands, vars, and the requests that several verbs make. */
#include "cli/pull.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/lines.h"
#include "cli/rows.h"
#include "cli/verbs.h"
#include "lib/jobid.h"
#include "lib/recipe.h"

const char *pull_text(const json_t *object, const char *path)
{
	const char *s = json_string_value(rows_member(object, path));

	return s ? s : "";
}

json_int_t pull_number(const json_t *object, const char *path)
{
	const json_t *j = rows_member(object, path);

	return json_is_integer(j) ? json_integer_value(j) : -1;
}

/* ---- operands ---- */

bool pull_is_file(const char *operand)
{
	size_t n = strlen(operand);

	return strchr(operand, '/') || (n > 5 && strcmp(operand + n - 5, ".conf") == 0);
}

int pull_check_name(const struct ctl *ctl, const char *name, struct err *e)
{
	size_t n = strlen(name);

	if (recipe_name_ok(name) && !pull_is_file(name))
		return 0;
	if (recipe_name_ok(name))
		return err_set(e, ERR_USAGE, "a file is for pull check and pull test",
			       " %s: \"%.60s\" is a file; did you mean %.*s?", ctl->verb->name, name,
			       (int)(n - strlen(".conf")), name);
	return err_set(e, ERR_USAGE,
		       pull_is_file(name) ? "a file is for pull check and pull test; to be run it lies in pulls_dir"
					  : "fanoutctl pull list has them",
		       " %s: \"%.60s\" is no name of a recipe", ctl->verb->name, name);
}

/* Administrators see everybody's: theirs is meant. */
static bool is_own(struct ctl *ctl, json_int_t run)
{
	json_t *batch = client_get_json(ctl->client, NULL, "/v1/batches/%lld", (long long)run);
	const json_t *uid = json_object_get(batch, "uid");
	bool own = !uid || json_integer_value(uid) == (json_int_t)geteuid();

	json_decref(batch);
	return own;
}

static int find_last(struct ctl *ctl, uint32_t *run, struct err *e)
{
	json_t *answer = client_get_json(ctl->client, e, "/v1/runs?limit=100"), *row;
	size_t i;

	if (!answer)
		return -1;
	json_array_foreach (json_object_get(answer, "runs"), i, row) {
		json_int_t number = pull_number(row, "run");

		if (*run == 0 && number > 0 && is_own(ctl, number))
			*run = (uint32_t)number;
	}
	json_decref(answer);
	return *run ? 0 : err_set(e, ERR_NOT_FOUND, NULL, "there is no last run: you have none");
}

int pull_parse(struct ctl *ctl, const char *operand, struct pull_target *t, struct err *e)
{
	uint64_t job;

	*t = (struct pull_target){.name = operand};
	if (jobid_parse_batch(operand, &t->run) == 0)
		return ctl_connect(ctl, e);
	t->run = 0;
	if (jobid_parse(operand, &job) == 0)
		return err_set(e, ERR_USAGE, NULL, " %s: %s is a job; fanoutctl get %s has its body", ctl->verb->name,
			       operand, operand);
	if (pull_check_name(ctl, operand, e) < 0 || ctl_connect(ctl, e) < 0)
		return -1;
	return strcmp(operand, "last") == 0 ? find_last(ctl, &t->run, e) : 0;
}

/* ---- vars ---- */

json_t *pull_vars(const struct ctl *ctl, struct err *e)
{
	json_t *vars = json_object();

	for (size_t i = 0; i < ctl->args.vars.count; i++) {
		const char *text = ctl->args.vars.values[i].text, *is = strchr(text, '=');
		json_t *value = is ? json_string(is + 1) : NULL;
		char name[80];

		snprintf(name, sizeof name, "%.*s", is ? (int)(is - text) : 0, text);
		if (*name && value && !json_object_get(vars, name)) {
			json_object_set_new(vars, name, value);
			continue;
		}
		err_set(e, ERR_USAGE, "as in --var repo=curl/curl",
			!is || !*name ? " %s: --var: \"%.60s\" is not NAME=VALUE"
			: !value      ? " %s: --var: \"%.60s\" is not UTF-8"
				      : " %s: --var: %.60s comes twice",
			ctl->verb->name, is && *name && value ? name : text);
		json_decref(value);
		json_decref(vars);
		return NULL;
	}
	return vars;
}

const char *pull_var(const struct ctl *ctl, const char *name)
{
	size_t n = strlen(name);

	for (size_t i = 0; i < ctl->args.vars.count; i++) {
		const char *text = ctl->args.vars.values[i].text;

		if (strncmp(text, name, n) == 0 && text[n] == '=')
			return text + n + 1;
	}
	return NULL;
}

/* ---- requests ---- */

json_t *pull_get(struct ctl *ctl, const char *name, struct err *e)
{
	return client_get_json(ctl->client, e, "/v1/pulls/%s", name);
}

/* Batches and runs share their numbers. */
static void tell_no_run(struct ctl *ctl, uint32_t number, struct err *e)
{
	json_t *batch = client_get_json(ctl->client, NULL, "/v1/batches/%u", number);
	char hint[60];

	snprintf(hint, sizeof hint, "fanoutctl results %u lists its jobs", number);
	if (batch)
		err_set(e, ERR_NOT_FOUND, hint, "batch %u is no run of a pull", number);
	json_decref(batch);
}

json_t *run_get(struct ctl *ctl, uint32_t run, struct err *e)
{
	json_t *answer = client_get_json(ctl->client, e, "/v1/runs/%u", run);

	if (!answer && e && e->code == ERR_NOT_FOUND)
		tell_no_run(ctl, run, e);
	return answer;
}

bool pull_vars_fit(const json_t *row, const json_t *vars)
{
	const char *name;
	json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)vars, name, value) {
		if (!json_equal(value, json_object_get(json_object_get(row, "vars"), name)))
			return false;
	}
	return true;
}

#define RUNS_A_TIME 200

/* The newest run with these vars, *run: a new reference, NULL where there is none. -1 with `e`. */
static int find_run(struct ctl *ctl, const char *name, const json_t *vars, json_t **run, struct err *e)
{
	char before[40] = "";
	json_t *answer, *row;
	size_t i, n;

	*run = NULL;
	do {
		answer = client_get_json(ctl->client, e, "/v1/pulls/%s/runs?limit=%d%s", name,
					 json_object_size(vars) ? RUNS_A_TIME : 1, before);
		n = json_array_size(json_object_get(answer, "runs"));
		json_array_foreach (json_object_get(answer, "runs"), i, row) {
			snprintf(before, sizeof before, "&before=%lld", (long long)pull_number(row, "run"));
			if (!*run && pull_vars_fit(row, vars))
				*run = json_incref(row);
		}
		json_decref(answer);
	} while (answer && !*run && n == RUNS_A_TIME);
	return answer ? 0 : -1;
}

json_t *run_newest(struct ctl *ctl, const char *name, struct err *e)
{
	json_t *vars = pull_vars(ctl, e), *run = NULL, *pull;
	int rc = vars ? find_run(ctl, name, vars, &run, e) : -1;
	bool chosen = json_object_size(vars) > 0;

	json_decref(vars);
	if (rc < 0 || run)
		return run;
	/* There may be no such recipe either: then the daemon knows the closest one. */
	pull = pull_get(ctl, name, e);
	if (pull)
		err_set(e, ERR_NOT_FOUND, "fanoutctl pull run starts one",
			"%s has not been run%s, or its runs were removed", name, chosen ? " with these vars" : "");
	json_decref(pull);
	return NULL;
}

int pull_newest(struct ctl *ctl, const char *name, uint32_t *run, struct err *e)
{
	json_t *pull = recipe_name_ok(name) ? pull_get(ctl, name, NULL) : NULL, *row;

	*run = 0;
	if (!pull)
		return 0;
	json_decref(pull);
	row = run_newest(ctl, name, e);
	if (row)
		*run = (uint32_t)pull_number(row, "run");
	json_decref(row);
	return *run ? 0 : -1;
}

void pull_note_none(const struct ctl *ctl, const json_t *answer)
{
	const char *dir = pull_text(answer, "dir");

	ctl_note(ctl, "no recipes yet: put NAME.conf into %s (fanout-pulls(5) says how)", *dir ? dir : "pulls_dir");
}

struct reading {
	run_page_fn *on_page;
	void *arg;
};

static int on_line(void *arg, const char *line, size_t len, struct err *e)
{
	const struct reading *r = arg;
	json_t *page = json_loadb(line, len, JSON_ALLOW_NUL, NULL);
	int rc;

	if (!page)
		return err_set(e, ERR_SYSTEM, NULL, "what the daemon says of a page is no JSON");
	rc = r->on_page(r->arg, page, e);
	json_decref(page);
	return rc;
}

int run_pages(struct client *c, uint32_t run, uint32_t after, unsigned limit, run_page_fn *on_page, void *arg,
	      struct err *e)
{
	struct reading r = {.on_page = on_page, .arg = arg};
	struct lines lines = {.on_line = on_line, .arg = &r};
	char path[100];
	struct call call = {.path = path, .on_data = lines_feed, .arg = &lines};
	int rc;

	if (limit)
		snprintf(path, sizeof path, "/v1/runs/%u/pages?after=%u&limit=%u", run, after, limit);
	else
		snprintf(path, sizeof path, "/v1/runs/%u/pages?after=%u", run, after);
	rc = client_call(c, &call, e);
	if (rc == 0)
		rc = lines_end(&lines, e);
	lines_clear(&lines);
	return rc;
}
