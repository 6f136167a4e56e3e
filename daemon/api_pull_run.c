/* Starting runs, and the state between them. What a recipe may say is lib/recipe's, what a run does is the engine's. */
#define _GNU_SOURCE 1

#include <stdlib.h>
#include <string.h>

#include "daemon/api.h"
#include "daemon/engine_run.h"
#include "daemon/render.h"
#include "daemon/spec.h"
#include "lib/recipe.h"
#include "lib/units.h"

/* They are kept with every run, and shown in lists. */
#define VAR_MAX_BYTES   16384
#define SINCE_MAX_BYTES 1024

/* ---- starting a run ---- */

struct starting {
	struct engine_run_ask ask;
	struct http_request *r;
	char *pull;
	json_t *body;
};

static void finish_starting(struct starting *s)
{
	json_decref(s->body);
	free(s->pull);
	free(s);
}

static void on_asked(struct engine_run_ask *ask, const struct err *e)
{
	struct starting *s = (struct starting *)ask;

	if (e)
		http_problem(s->r, e);
	else
		api_reply_json(s->r, ask->skipped ? 200 : 201,
			       json_pack("{s:I,s:s,s:b,s:o}", "run", (json_int_t)ask->run, "pull", ask->pull, "skipped",
					 ask->skipped, "waiting_for",
					 ask->waiting_for ? json_integer(ask->waiting_for) : json_null()));
	finish_starting(s);
}

static int wrong(const char *member, const char *wanted, struct err *e)
{
	return err_set(e, ERR_INPUT, NULL, "\"%s\": it has to be %s", member, wanted);
}

static int check_vars(const json_t *v, struct err *e)
{
	const char *name;
	const json_t *value;

	if (!json_is_object(v))
		return wrong("vars", "an object of texts", e);
	json_object_foreach ((json_t *)(uintptr_t)v, name, value)
		if (!json_is_string(value) || json_string_length(value) > VAR_MAX_BYTES)
			return err_set(e, ERR_INPUT, NULL, "\"vars\": \"%.60s\" has to be a text of at most %d bytes",
				       name, VAR_MAX_BYTES);
	return 0;
}

static int read_vars(struct engine_run_ask *ask, const json_t *v, struct err *e)
{
	ask->vars = v;
	return check_vars(v, e);
}

static bool since_fits(const json_t *v)
{
	return json_string_length(v) <= SINCE_MAX_BYTES;
}

static int read_since(struct engine_run_ask *ask, const json_t *v, struct err *e)
{
	ask->since = json_string_value(v);
	return ask->since && since_fits(v) ? 0 : wrong("since", "a text of at most 1024 bytes", e);
}

static int read_flag(bool *out, const char *member, const json_t *v, struct err *e)
{
	*out = json_is_true(v);
	return json_is_boolean(v) ? 0 : wrong(member, "true or false", e);
}

static int read_fresh(struct engine_run_ask *ask, const json_t *v, struct err *e)
{
	return read_flag(&ask->fresh, "fresh", v, e);
}

static int read_test(struct engine_run_ask *ask, const json_t *v, struct err *e)
{
	return read_flag(&ask->test, "test", v, e);
}

static int read_recipe(struct engine_run_ask *ask, const json_t *v, struct err *e)
{
	ask->recipe = json_string_value(v);
	if (!ask->recipe || json_string_length(v) > RECIPE_TEXT_MAX)
		return wrong("recipe", "a recipe's text", e);
	return 0;
}

static int read_max_pages(struct engine_run_ask *ask, const json_t *v, struct err *e)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 1 || n > RECIPE_PAGES_MAX)
		return wrong("max_pages", "a number from 1 to 1000000", e);
	ask->max_pages = (uint32_t)n;
	return 0;
}

static int read_overlap(struct engine_run_ask *ask, const json_t *v, struct err *e)
{
	static const char *const words[] = {[RUN_SKIP] = "skip", [RUN_QUEUE] = "queue", [RUN_REPLACE] = "replace"};
	const char *word = json_string_value(v);

	for (size_t i = 0; word && i < sizeof words / sizeof *words; i++) {
		if (strcmp(word, words[i]) == 0) {
			ask->overlap = (enum run_overlap)i;
			return 0;
		}
	}
	return wrong("overlap", "skip, queue or replace", e);
}

/* A number is compared before it is converted: it may be any. */
static int read_deadline(struct engine_run_ask *ask, const json_t *v, struct err *e)
{
	double seconds = json_number_value(v);
	int64_t us = -1;

	if (json_is_number(v) && seconds >= UNITS_DEADLINE_MIN_US / 1e6 && seconds <= UNITS_DEADLINE_MAX_US / 1e6)
		us = (int64_t)(seconds * 1e6 + 0.5);
	else if (!json_is_number(v) &&
		 (!json_is_string(v) || units_parse_duration_us(json_string_value(v), &us, e) < 0))
		return wrong("deadline", "a duration as 2h, or seconds", e);
	if (us < UNITS_DEADLINE_MIN_US || us > UNITS_DEADLINE_MAX_US)
		return wrong("deadline", "from 1 s to 30 d", e);
	ask->deadline_us = us;
	return 0;
}

static int read_priority(struct engine_run_ask *ask, const json_t *v, struct err *e)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v) || n < 0 || n > 9)
		return wrong("priority", "a number from 0 to 9", e);
	ask->priority = (int)n;
	return 0;
}

static const struct {
	const char *name;
	int (*read)(struct engine_run_ask *ask, const json_t *v, struct err *e);
} members[] = {
    {"vars", read_vars},         {"since", read_since},         {"fresh", read_fresh},
    {"test", read_test},         {"max_pages", read_max_pages}, {"overlap", read_overlap},
    {"deadline", read_deadline}, {"priority", read_priority},   {"recipe", read_recipe},
};

static int read_member(struct engine_run_ask *ask, const char *name, const json_t *v, struct err *e)
{
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		if (strcmp(name, members[i].name) == 0)
			return members[i].read(ask, v, e);
	return err_set(e, ERR_INPUT, "docs/API.md lists them", "\"%.60s\": there is no such member", name);
}

static json_t *read_object(struct http_request *r, struct err *e)
{
	json_error_t error;
	size_t len;
	const char *text = http_body(r, &len);
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);

	if (json_is_object(o))
		return o;
	if (o)
		err_set(e, ERR_INPUT, "an empty one is {}", "an object is wanted");
	else
		err_set(e, ERR_INPUT, NULL, "this is no JSON: %s", error.text);
	json_decref(o);
	return NULL;
}

static int read_ask(struct engine_run_ask *ask, json_t *o, struct err *e)
{
	const char *name;
	json_t *v;

	json_object_foreach (o, name, v)
		if (read_member(ask, name, v, e))
			return -1;
	if (ask->since && ask->fresh)
		return err_set(e, ERR_INPUT, NULL, "\"since\" and \"fresh\" exclude each other");
	if (ask->recipe && !ask->test)
		return err_set(e, ERR_INPUT, "put it into pulls_dir to run it", "\"recipe\" is for a \"test\" only");
	return 0;
}

void api_run_create(struct http_request *r)
{
	struct starting *s;
	struct err e;
	json_t *body;

	if (api_refuse_draining(r))
		return;
	body = read_object(r, &e);
	if (!body) {
		http_problem(r, &e);
		return;
	}
	s = api_alloc(sizeof *s);
	s->r = r;
	s->body = body;
	s->pull = strdup(http_name(r));
	s->ask =
	    (struct engine_run_ask){.uid = (uint32_t)http_uid(r), .pull = s->pull, .priority = -1, .done = on_asked};
	if (read_ask(&s->ask, body, &e)) {
		http_problem(r, &e);
		finish_starting(s);
		return;
	}
	engine_run_submit(api_engine(http_arg(r)), &s->ask);
}

/* ---- the state between runs ---- */

json_t *api_render_pull_state(const struct store_pull_state *row)
{
	json_t *vars = json_loads(row->scope, 0, NULL),
	       *since = *row->since ? json_loads(row->since, JSON_DECODE_ANY, NULL) : NULL;

	return json_pack("{s:s,s:o,s:o,s:o,s:o,s:o}", "pull", row->pull, "vars", vars ? vars : json_object(), "since",
			 since ? since : json_null(), "run", row->run ? json_integer(row->run) : json_null(), "items",
			 row->items < 0 ? json_null() : json_integer(row->items), "updated_at",
			 render_time(row->updated_us));
}

struct stating {
	struct store_pull_states states;
	struct store_pull_state_set set;
	struct http_request *r;
	json_t *list;
	char *pull, *scope, *since;
};

static void finish_stating(struct stating *s)
{
	json_decref(s->list);
	free(s->pull);
	free(s->scope);
	free(s->since);
	free(s);
}

static void on_one_state(struct store_pull_states *states, const struct store_pull_state *row)
{
	struct stating *s = (struct stating *)states;

	json_array_append_new(s->list, api_render_pull_state(row));
}

static void on_stated(struct store_op *op, const struct err *e)
{
	struct stating *s = (struct stating *)op;

	if (e)
		http_problem(s->r, e);
	else
		api_reply_json(s->r, 200, json_pack("{s:O}", "states", s->list));
	finish_stating(s);
}

static void tell_states(struct stating *s)
{
	s->states = (struct store_pull_states){
	    .op.done = on_stated, .uid = (int64_t)http_uid(s->r), .pull = s->pull, .on_row = on_one_state};
	store_pull_states(api_store(http_arg(s->r)), &s->states);
}

static struct stating *stating_create(struct http_request *r)
{
	struct stating *s = api_alloc(sizeof *s);

	s->r = r;
	s->list = json_array();
	s->pull = strdup(http_name(r));
	return s;
}

static bool refuse_bad_name(struct http_request *r)
{
	struct err e;

	if (recipe_name_ok(http_name(r)))
		return false;
	err_set(&e, ERR_NOT_FOUND, NULL, "there is no pull of this name");
	http_problem(r, &e);
	return true;
}

void api_pull_state_get(struct http_request *r)
{
	if (!api_refuse_stopped(r) && !refuse_bad_name(r))
		tell_states(stating_create(r));
}

static void on_set(struct store_op *op, const struct err *e)
{
	struct stating *s = (struct stating *)((char *)op - offsetof(struct stating, set));

	if (e) {
		http_problem(s->r, e);
		finish_stating(s);
	} else {
		tell_states(s);
	}
}

static int read_state(struct stating *s, const json_t *o, struct err *e)
{
	const json_t *vars = json_object_get(o, "vars"), *since = json_object_get(o, "since");

	if (!since || !since_fits(since) || !(json_is_string(since) || json_is_number(since) || json_is_null(since)))
		return wrong("since", "a text of at most 1024 bytes, a number, or null to forget it", e);
	if (vars && check_vars(vars, e))
		return -1;
	if (json_object_size(o) > (size_t)(vars ? 2 : 1))
		return err_set(e, ERR_INPUT, NULL, "only \"vars\" and \"since\" are taken");
	s->scope = engine_pull_scope(api_engine(http_arg(s->r)), s->pull, vars, json_is_null(since) ? NULL : since, e);
	if (!s->scope)
		return -1;
	s->since = json_is_null(since) ? NULL : json_dumps(since, JSON_COMPACT | JSON_ENCODE_ANY);
	return 0;
}

void api_pull_state_put(struct http_request *r)
{
	struct stating *s;
	struct err e;
	json_t *body;

	if (api_refuse_draining(r) || refuse_bad_name(r))
		return;
	body = read_object(r, &e);
	if (!body) {
		http_problem(r, &e);
		return;
	}
	s = stating_create(r);
	if (read_state(s, body, &e)) {
		http_problem(r, &e);
		json_decref(body);
		finish_stating(s);
		return;
	}
	json_decref(body);
	s->set = (struct store_pull_state_set){
	    .op.done = on_set, .uid = (uint32_t)http_uid(r), .pull = s->pull, .scope = s->scope, .since = s->since};
	store_pull_state_set(api_store(http_arg(r)), &s->set);
}
