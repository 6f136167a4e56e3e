/* Recipes: all, or one, with the state between its runs and the newest of these. What a recipe may say is lib/recipe's.
 */
#define _GNU_SOURCE 1

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/api.h"
#include "daemon/engine_run.h"
#include "daemon/render.h"
#include "daemon/secrets.h"
#include "lib/recipe.h"

/* ---- one pull ---- */

struct showing {
	struct store_run_list last, live;
	struct store_pull_states states;
	struct http_request *r;
	char **names; /* of all; or NULL: one */
	size_t at;
	json_t *pulls; /* of all */
	json_t *pull;  /* at work */
	bool with_text;
};

static json_t *render_hosts(const struct recipe_secret *s)
{
	json_t *hosts = json_array();

	for (size_t i = 0; i < s->host_count; i++)
		json_array_append_new(hosts, render_text(s->hosts[i]));
	return hosts;
}

static bool goes_into_header(const struct recipe *r, const char *name)
{
	char place[SECRET_NAME_MAX + 16];

	snprintf(place, sizeof place, "{secret:%s}", name);
	for (size_t i = 0; i < r->header_count; i++)
		if (strstr(r->headers[i], place))
			return true;
	return false;
}

/* Why it has no value, or not one that fits, or null; and the file of one that everybody may read. The value is read,
 * and forgotten again. */
static json_t *render_secret(const struct recipe *r, const char *dir, const struct recipe_secret *secret)
{
	const struct secret_bind bind = {
	    .name = secret->name, .hosts = secret->hosts, .host_count = secret->host_count};
	struct err e;
	struct secrets *s = secrets_load(dir, &bind, 1, &e);
	const char *exposed = s ? secrets_exposed(s) : NULL;
	bool fits = s && (!goes_into_header(r, secret->name) || secrets_check(s, SECRET_IN_HEADER, &e) == 0);
	json_t *o = json_pack("{s:s,s:o,s:b,s:o,s:o}", "name", secret->name, "hosts", render_hosts(secret), "present",
			      s != NULL, "problem", fits ? json_null() : render_text(e.what), "exposed",
			      exposed ? render_text(exposed) : json_null());

	secrets_free(s);
	return o;
}

static json_t *render_secrets(const struct recipe *r, const char *dir)
{
	json_t *list = json_array();

	for (size_t i = 0; i < r->secret_count; i++)
		json_array_append_new(list, render_secret(r, dir, &r->secrets[i]));
	return list;
}

static json_t *render_vars(const struct recipe *r)
{
	json_t *vars = json_object();

	for (size_t i = 0; i < r->var_count; i++)
		json_object_set_new(vars, r->vars[i].name,
				    *r->vars[i].value ? render_text(r->vars[i].value) : json_string(""));
	return vars;
}

static json_t *render_problem(const struct err *e)
{
	return json_pack("{s:o,s:o,s:o}", "detail", render_text(e->what), "hint", render_text(e->hint), "line",
			 e->line ? json_integer(e->line) : json_null());
}

static json_t *render_recipe(const struct recipe *r, const char *dir)
{
	return json_pack("{s:n,s:s,s:o,s:o,s:o}", "problem", "type", page_type_name(r->page.type), "url",
			 render_text(r->url), "vars", render_vars(r), "secrets", render_secrets(r, dir));
}

/* ERR_NOT_FOUND leaves NULL. */
static json_t *render_pull(struct api *a, const char *name, bool with_text, struct err *e)
{
	const char *dir = engine_pulls_dir(api_engine(a));
	char *text = NULL, *file = NULL;
	struct recipe *r = recipe_load(dir, name, &text, e);
	json_t *o = NULL;

	if (asprintf(&file, "%s/%s.conf", dir, name) < 0)
		BUG("out of memory for a pull");
	if (r)
		o = render_recipe(r, engine_secrets_dir(api_engine(a)));
	else if (e->code != ERR_NOT_FOUND)
		o = json_pack("{s:o,s:n,s:n,s:{},s:[]}", "problem", render_problem(e), "type", "url", "vars",
			      "secrets");
	if (o) {
		json_object_set_new(o, "name", render_text(name));
		json_object_set_new(o, "file", render_text(file));
		if (with_text)
			json_object_set_new(o, "text", render_text(text));
	}
	recipe_free(r);
	free(text);
	free(file);
	return o;
}

/* ---- what the store knows of it ---- */

static void next_pull(struct showing *s);

static void finish_showing(struct showing *s)
{
	for (size_t i = 0; s->names && s->names[i]; i++)
		free(s->names[i]);
	free(s->names);
	free(s);
}

static void refuse(struct showing *s, const struct err *e)
{
	http_problem(s->r, e);
	json_decref(s->pulls);
	json_decref(s->pull);
	finish_showing(s);
}

static void pull_done(struct showing *s)
{
	if (!s->pulls) {
		api_reply_json(s->r, 200, s->pull);
		finish_showing(s);
		return;
	}
	json_array_append_new(s->pulls, s->pull);
	s->pull = NULL;
	next_pull(s);
}

static void on_states_end(struct store_op *op, const struct err *e)
{
	struct showing *s = (struct showing *)((char *)op - offsetof(struct showing, states));

	if (e)
		refuse(s, e);
	else
		pull_done(s);
}

static void on_state(struct store_pull_states *states, const struct store_pull_state *row)
{
	struct showing *s = (struct showing *)((char *)states - offsetof(struct showing, states));

	json_array_append_new(json_object_get(s->pull, "states"), api_render_pull_state(row));
}

static void on_live_end(struct store_op *op, const struct err *e)
{
	struct showing *s = (struct showing *)((char *)op - offsetof(struct showing, live));

	if (e) {
		refuse(s, e);
		return;
	}
	s->states = (struct store_pull_states){.op.done = on_states_end,
					       .uid = (int64_t)http_uid(s->r),
					       .pull = json_string_value(json_object_get(s->pull, "name")),
					       .on_row = on_state};
	store_pull_states(api_store(http_arg(s->r)), &s->states);
}

static void on_live(struct store_run_list *list, const struct store_run *row)
{
	struct showing *s = (struct showing *)((char *)list - offsetof(struct showing, live));

	json_object_set_new(s->pull, "live_run", api_render_run(http_arg(s->r), row));
}

static void on_last_end(struct store_op *op, const struct err *e)
{
	struct showing *s = (struct showing *)((char *)op - offsetof(struct showing, last));

	if (e) {
		refuse(s, e);
		return;
	}
	s->live = s->last;
	s->live.op.done = on_live_end;
	s->live.live = true;
	s->live.on_row = on_live;
	store_run_list(api_store(http_arg(s->r)), &s->live);
}

static void on_last(struct store_run_list *list, const struct store_run *row)
{
	struct showing *s = (struct showing *)((char *)list - offsetof(struct showing, last));

	json_object_set_new(s->pull, "last_run", api_render_run(http_arg(s->r), row));
}

static void show_runs(struct showing *s)
{
	json_object_set_new(s->pull, "states", json_array());
	json_object_set_new(s->pull, "last_run", json_null());
	json_object_set_new(s->pull, "live_run", json_null());
	s->last = (struct store_run_list){.op.done = on_last_end,
					  .uid = (int64_t)http_uid(s->r),
					  .pull = json_string_value(json_object_get(s->pull, "name")),
					  .limit = 1,
					  .on_row = on_last};
	store_run_list(api_store(http_arg(s->r)), &s->last);
}

void api_pull_get(struct http_request *r)
{
	struct showing *s;
	struct err e = {0};
	json_t *pull;

	if (api_refuse_stopped(r))
		return;
	pull = render_pull(http_arg(r), http_name(r), true, &e);
	if (!pull) {
		http_problem(r, &e);
		return;
	}
	s = api_alloc(sizeof *s);
	s->r = r;
	s->pull = pull;
	show_runs(s);
}

/* ---- all of them ---- */

static void next_now(struct http_request *r)
{
	struct showing *s = http_state(r);
	struct err e = {0};

	while (s->names[s->at] && !s->pull)
		s->pull = render_pull(http_arg(r), s->names[s->at++], false, &e);
	if (s->pull) {
		show_runs(s);
		return;
	}
	api_reply_json(
	    r, 200,
	    json_pack("{s:o,s:o}", "pulls", s->pulls, "dir", render_text(engine_pulls_dir(api_engine(http_arg(r))))));
	finish_showing(s);
}

/* One a turn: reading a file takes its time. */
static void next_pull(struct showing *s)
{
	http_set_state(s->r, s);
	http_defer(s->r, next_now);
}

void api_pull_list(struct http_request *r)
{
	struct showing *s;
	struct err e;
	char **names;

	if (api_refuse_stopped(r))
		return;
	names = recipe_list(engine_pulls_dir(api_engine(http_arg(r))), &e);
	if (!names && access(engine_pulls_dir(api_engine(http_arg(r))), F_OK) < 0 && errno == ENOENT)
		names = api_alloc(sizeof *names); /* nobody has written one yet */
	if (!names) {
		http_problem(r, &e);
		return;
	}
	s = api_alloc(sizeof *s);
	s->r = r;
	s->names = names;
	s->pulls = json_array();
	next_pull(s);
}
