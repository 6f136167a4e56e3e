/* What a run is asked with, and what follows from it: vars, since, the plan's rules, the pages' requests. Knows no
 * store. */
#include <stdlib.h>
#include <string.h>

#include "daemon/run_private.h"
#include "lib/since.h"

/* ---- as JSON ---- */

static void set_text(json_t *o, const char *name, const char *text)
{
	if (text)
		json_object_set_new(o, name, json_string(text));
}

char *run_ask_write(const struct run_ask *a)
{
	json_t *o = json_pack("{s:O,s:b,s:b,s:I}", "vars", a->vars, "fresh", a->fresh, "test", a->test, "max_pages",
			      (json_int_t)a->max_pages);
	char *text;

	if (a->replaces)
		json_object_set_new(o, "replaces", json_true());
	set_text(o, "since", a->since);
	set_text(o, "sent_since", a->sent_since);
	text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(o);
	if (!text)
		BUG("out of memory for a run");
	return text;
}

static char *copy_text(const json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text ? strdup(text) : NULL;
}

void run_ask_read(struct run_ask *a, const char *json)
{
	json_t *o = json_loads(json, 0, NULL), *again = json_object_get(o, "again");

	*a = (struct run_ask){
	    .vars = json_deep_copy(json_object_get(o, "vars")),
	    .since = copy_text(o, "since"),
	    .sent_since = copy_text(o, "sent_since"),
	    .fresh = json_is_true(json_object_get(o, "fresh")),
	    .test = json_is_true(json_object_get(o, "test")),
	    .replaces = json_is_true(json_object_get(o, "replaces")),
	    .max_pages = (uint32_t)json_integer_value(json_object_get(o, "max_pages")),
	};
	a->again.at_us = json_integer_value(json_object_get(again, "at_us"));
	a->again.event = (uint32_t)json_integer_value(json_object_get(again, "event"));
	a->again.took_us = (int64_t)(json_number_value(json_object_get(again, "seconds")) * 1e6);
	if (!a->vars)
		a->vars = json_object();
	json_decref(o);
}

int64_t run_took_us(const struct run_ask *a, int64_t started_us, int64_t now_us)
{
	int64_t from_us = a->again.at_us ? a->again.at_us : started_us;

	return a->again.took_us + (now_us > from_us ? now_us - from_us : 0);
}

void run_ask_clear(struct run_ask *a)
{
	json_decref(a->vars);
	free(a->since);
	free(a->sent_since);
	*a = (struct run_ask){0};
}

/* ---- vars ---- */

static const struct recipe_pair *var_find(const struct recipe *r, const char *name)
{
	for (size_t i = 0; i < r->var_count; i++)
		if (strcmp(r->vars[i].name, name) == 0)
			return &r->vars[i];
	return NULL;
}

static int no_such_var(const struct recipe *r, const char *name, struct err *e)
{
	char have[160] = "";
	size_t len = 0;

	for (size_t i = 0; i < r->var_count && len < sizeof have - 1; i++)
		len += (size_t)snprintf(have + len, sizeof have - len, "%s%s", i ? ", " : "", r->vars[i].name);
	return err_set(e, ERR_INPUT, have[0] ? "its vars are its file's to name" : "it takes none",
		       "the pull %s has no var \"%.60s\"%s%s", r->name, name, have[0] ? "; it has " : "", have);
}

const char **run_vars(const struct recipe *r, const json_t *asked, struct err *e)
{
	const char **values;
	const char *name;
	const json_t *value;

	json_object_foreach ((json_t *)(uintptr_t)asked, name, value) {
		if (!var_find(r, name)) {
			no_such_var(r, name, e);
			return NULL;
		}
		if (!json_is_string(value)) {
			err_set(e, ERR_INPUT, NULL, "the var \"%s\" has to be a text", name);
			return NULL;
		}
	}
	values = calloc(r->var_count + 1, sizeof *values);
	if (!values)
		BUG("out of memory for vars");
	for (size_t i = 0; i < r->var_count; i++) {
		const char *own = json_string_value(json_object_get(asked, r->vars[i].name));
		values[i] = own ? own : r->vars[i].value;
		if (*values[i])
			continue;
		err_set(e, ERR_INPUT, "give it: --var NAME=VALUE", "the pull %s needs a value for its var \"%s\"",
			r->name, r->vars[i].name);
		free(values);
		return NULL;
	}
	return values;
}

json_t *run_vars_object(const struct recipe *r, const json_t *asked)
{
	json_t *all = json_object();

	for (size_t i = 0; i < r->var_count; i++) {
		const json_t *own = json_object_get(asked, r->vars[i].name);
		const char *value = json_is_string(own) ? json_string_value(own) : r->vars[i].value;

		json_object_set_new(all, r->vars[i].name, json_string(value));
	}
	return all;
}

/* ---- since ---- */

/* The text of a JSON string or number. malloc'd; NULL for anything else. */
static char *plain_text(const char *json)
{
	json_t *v = json_loads(json, JSON_DECODE_ANY, NULL);
	char *text = NULL;

	if (json_is_string(v))
		text = strdup(json_string_value(v));
	else if (json_is_number(v))
		text = strdup(json);
	json_decref(v);
	return text;
}

char *run_since(const struct recipe *r, const struct run_ask *a, const char *state, struct err *e)
{
	char *stored, *value;

	*e = (struct err){0};
	if (!r->since.used)
		return NULL;
	if (a->since)
		return strdup(a->since);
	stored = a->fresh || !state || !*state ? NULL : plain_text(state);
	if (!stored)
		return r->since.initial ? strdup(r->since.initial) : NULL;
	value = since_before(stored, r->since.overlap_us, e);
	free(stored);
	return value;
}

/* Numbers by value, texts byte by byte. */
static bool is_later(const char *a, const char *b)
{
	char *a_end, *b_end;
	double x = strtod(a, &a_end), y = strtod(b, &b_end);

	return *a && *b && !*a_end && !*b_end ? x > y : strcmp(a, b) > 0;
}

bool run_leaves_gap(const struct recipe *r, const struct run_ask *a, const char *state)
{
	char *stored;
	const char *own;
	bool gap;

	if (!a->sent_since || (!a->since && !a->fresh))
		return false;
	stored = state && *state ? plain_text(state) : NULL;
	own = stored && since_form(stored) == since_form(a->sent_since) ? stored : r->since.initial;
	gap = !own || is_later(a->sent_since, own);
	free(stored);
	return gap;
}

bool run_since_moves(const char *seen, const char *state)
{
	char *to = plain_text(seen), *from = plain_text(state);
	bool moves = to && (!from || since_form(to) != since_form(from));

	if (to && !moves && since_form(to) == SINCE_NUMBER && (*seen != '"' || *state != '"'))
		moves = strtod(to, NULL) > strtod(from, NULL); /* one that was set is a text */
	else if (to && !moves)
		moves = receipt_since_greater(seen, state);
	free(to);
	free(from);
	return moves;
}

/* ---- the plan's rules, and secrets ---- */

struct plan_rules run_rules(const struct recipe *r, const struct run_ask *a)
{
	struct plan_rules rules = {
	    .single = r->page.type == PAGE_SINGLE,
	    .numbered = r->page.type == PAGE_NUMBER || (r->page.type == PAGE_OFFSET && r->page.size > 0),
	    .offset = r->page.type == PAGE_OFFSET,
	    .start = r->page.start,
	    .size = r->page.size,
	    .stop_status_count = r->page.stop_status_count,
	    .stop_empty = r->page.stop_empty,
	    .stop_short = r->page.stop_short,
	    .window = r->page.window,
	    .max_pages = r->page.max_pages,
	    .same_origin = r->page.same_origin,
	};

	_Static_assert(PLAN_STATUSES_MAX == RECIPE_STATUSES_MAX, "statuses fit");
	memcpy(rules.stop_status, r->page.stop_status, sizeof rules.stop_status);
	rules.max_asked = a->max_pages && a->max_pages <= rules.max_pages;
	if (rules.max_asked)
		rules.max_pages = a->max_pages;
	return rules;
}

struct secrets *run_secrets(const struct recipe *r, const char *dir, struct err *e)
{
	struct secret_bind *want = calloc(r->secret_count + 1, sizeof *want);
	struct secrets *s;

	if (!want)
		BUG("out of memory for secrets");
	for (size_t i = 0; i < r->secret_count; i++)
		want[i] = (struct secret_bind){
		    .name = r->secrets[i].name,
		    .hosts = r->secrets[i].hosts,
		    .host_count = r->secrets[i].host_count,
		};
	s = secrets_load(dir, want, r->secret_count, e);
	free(want);
	if (!s && e->code == ERR_NOT_FOUND)
		e->code = ERR_INPUT; /* it is the recipe that names it */
	return s;
}
