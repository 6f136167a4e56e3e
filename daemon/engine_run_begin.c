/* Making runs, and starting those that waited for another. One way for both: recipe, secrets, what the state has, the
 * first pages, and then one commit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/render.h"
#include "daemon/run_private.h"
#include "lib/log.h"

struct beginning {
	union {
		struct store_run_create create;
		struct store_run_start start;
	} op;
	struct store_pull_states states;
	struct store_run_list others;
	unsigned replacing; /* cancels that are under way */
	struct engine *en;
	struct engine_run_ask *asked; /* NULL: a run that waited */
	uint32_t run;                 /* of one that waited */
	uint32_t uid;
	struct recipe *recipe;
	char *text, *scope, *state, *options;
	const char **vars;
	struct secrets *secrets;
	struct run_ask ask;
	struct run_pages pages;
	struct spec_batch batch;
};

static void finish(struct beginning *b, const struct err *e)
{
	struct engine_run_ask *asked = b->asked;

	if (e && !asked) {
		log_error("run not started", "run=%u why=\"%s\"", b->run, e->what);
		b->en->runs_stuck |= e->code != ERR_CONFLICT && e->code != ERR_NOT_FOUND;
	}
	spec_batch_clear(&b->batch);
	run_pages_clear(&b->pages);
	run_ask_clear(&b->ask);
	secrets_free(b->secrets);
	free(b->vars);
	free(b->text);
	free(b->scope);
	free(b->state);
	free(b->options);
	recipe_free(b->recipe);
	free(b);
	if (asked)
		asked->done(asked, e);
}

/* One that waited can not be started as it is: it ends. */
static void give_up(struct beginning *b, const struct err *e)
{
	uint32_t run = b->asked ? 0 : b->run;
	struct engine *en = b->en;
	struct err why = *e;

	finish(b, &why);
	if (run)
		engine_run_abandon(en, run, why.what);
}

/* ---- what its batch is ---- */

static void set_seconds(json_t *o, const char *name, int64_t us)
{
	if (us > 0)
		json_object_set_new(o, name, json_real((double)us / 1e6));
}

/* Pages are reads, also those that are asked for by POST: they may be repeated. */
static int batch_options(struct beginning *b, struct err *e)
{
	const struct recipe *r = b->recipe;
	char rate[RENDER_RATE_SIZE], name[RECIPE_NAME_MAX + 16];
	int64_t deadline = b->asked->deadline_us ? b->asked->deadline_us : r->deadline_us;
	json_t *o;
	char *json;
	int rc;

	snprintf(name, sizeof name, "pull %s", r->name);
	o = json_pack("{s:s,s:s,s:b}", "name", name, "method", r->method, "retry_unsafe", 1);
	if (r->rate.count)
		json_object_set_new(o, "rate", json_string(render_rate(rate, &r->rate)));
	if (r->concurrency)
		json_object_set_new(o, "concurrency", json_integer(r->concurrency));
	if (r->max_attempts)
		json_object_set_new(o, "max_attempts", json_integer(r->max_attempts));
	if (b->asked->priority >= 0)
		json_object_set_new(o, "priority", json_integer(b->asked->priority));
	set_seconds(o, "timeout", r->timeout_us);
	set_seconds(o, "deadline", deadline);
	json = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (!json)
		BUG("out of memory for a run");
	rc = spec_parse_batch(&b->batch, json, strlen(json), e);
	free(json);
	return rc;
}

/* ---- the first pages ---- */

/* Where following begins. */
static int first_of_followed(struct beginning *b, const struct run_source *from, const struct plan *plan, bool offset,
			     struct err *e)
{
	const char *start = b->recipe->page.start_text;
	char token[32];

	if (offset) {
		plan_token(plan, 0, token, sizeof token);
		start = token;
	}
	return run_pages_add(&b->pages, from, start ? start : "", false, e);
}

static int first_pages(struct beginning *b, struct err *e)
{
	struct plan_rules rules = run_rules(b->recipe, &b->ask);
	struct run_source from;
	struct plan *plan;
	int rc;

	free(b->ask.sent_since); /* what was so when it began to wait */
	b->ask.sent_since = run_since(b->recipe, &b->ask, b->state, e);
	if (!b->ask.sent_since && e->code)
		return -1;
	from = (struct run_source){
	    .recipe = b->recipe, .vars = b->vars, .since = b->ask.sent_since, .secrets = b->secrets};
	plan = plan_create(&rules);
	if (rules.numbered)
		rc = run_pages_number(&b->pages, &from, plan, 0, plan_first(plan), e);
	else
		rc = first_of_followed(b, &from, plan, rules.offset, e);
	plan_free(plan);
	b->options = run_ask_write(&b->ask);
	return rc;
}

/* ---- a new one ---- */

/* The answer may come when those that it replaces are cancelled. */
static void answer(struct beginning *b)
{
	if (--b->replacing == 0)
		finish(b, NULL);
}

static void on_cancelled(void *arg)
{
	answer(arg);
}

static void on_other(struct store_run_list *l, const struct store_run *row)
{
	struct beginning *b = (struct beginning *)((char *)l - offsetof(struct beginning, others));

	const struct engine_batch *live = engine_batch_find(b->en, row->run);

	if (row->cancelled || row->run >= b->asked->run)
		return;
	if (live && live->run)
		live->run->replaced_by = b->asked->run;
	b->replacing++;
	engine_batch_cancel(b->en, row->run, on_cancelled, b);
}

static void on_others(struct store_op *op, const struct err *e)
{
	struct beginning *b = (struct beginning *)((char *)op - offsetof(struct beginning, others));

	if (e)
		log_error("run does not replace another yet", "run=%u why=\"%s\"", b->asked->run, e->what);
	answer(b);
}

/* The new one is on disk and waits: whatever happens from here on, one of them is there. Those before it are cancelled,
 * and with the end of the last it begins. */
static void replace_others(struct beginning *b)
{
	b->replacing = 1; /* this call itself */
	b->others = (struct store_run_list){
	    .op.done = on_others,
	    .uid = b->uid,
	    .pull = b->recipe->name,
	    .live = true,
	    .scope = b->scope,
	    .limit = SIZE_MAX,
	    .on_row = on_other,
	};
	store_run_list(b->en->store, &b->others);
}

static void on_created(struct store_op *op, const struct err *e)
{
	struct beginning *b = (struct beginning *)op;
	const struct store_run_create *c = &b->op.create;

	if (!e) {
		b->asked->run = c->skipped ? c->other : c->run;
		b->asked->skipped = c->skipped;
		b->asked->waiting_for = c->waiting ? c->other : 0;
		if (!c->skipped)
			log_info("run", "run=%u pull=%s uid=%u state=%s", c->run, b->recipe->name, b->uid,
				 run_state_name(c->waiting ? RUN_WAITING : RUN_RUNNING));
	}
	if (!e && c->waiting && b->asked->overlap == RUN_REPLACE)
		replace_others(b);
	else
		finish(b, e);
}

static void create(struct beginning *b)
{
	b->op.create = (struct store_run_create){
	    .op.done = on_created,
	    .uid = b->uid,
	    .pull = b->recipe->name,
	    .scope = b->scope,
	    .recipe = b->text,
	    .options = b->options,
	    .name = b->batch.name,
	    .batch_options = b->batch.options,
	    .priority = b->batch.priority,
	    .concurrency = b->batch.concurrency,
	    .overlap = b->asked->overlap == RUN_SKIP ? RUN_SKIP : RUN_QUEUE,
	    .conditional = b->recipe->conditional && !b->ask.fresh,
	    .apart = b->ask.test,
	    .pages = run_pages_get(&b->pages),
	    .page_count = b->pages.count,
	};
	store_run_create(b->en->store, &b->op.create);
}

/* ---- one that waited ---- */

static void on_started(struct store_op *op, const struct err *e)
{
	struct beginning *b = (struct beginning *)op;

	if (!e)
		log_info("run", "run=%u pull=%s uid=%u state=%s", b->run, b->recipe->name, b->uid,
			 run_state_name(RUN_RUNNING));
	finish(b, e);
}

static void start(struct beginning *b)
{
	b->op.start = (struct store_run_start){
	    .op.done = on_started,
	    .run = b->run,
	    .options = b->options,
	    .pages = run_pages_get(&b->pages),
	    .page_count = b->pages.count,
	};
	store_run_start(b->en->store, &b->op.start);
}

/* ---- both ---- */

static void on_state(struct store_pull_states *s, const struct store_pull_state *row)
{
	struct beginning *b = (struct beginning *)((char *)s - offsetof(struct beginning, states));

	free(b->state);
	b->state = strdup(row->since);
}

static void on_states(struct store_op *op, const struct err *error)
{
	struct beginning *b = (struct beginning *)((char *)op - offsetof(struct beginning, states));
	struct err e;

	if (error)
		finish(b, error);
	else if (first_pages(b, &e) < 0)
		give_up(b, &e);
	else if (!b->asked)
		start(b);
	else
		create(b);
}

static int prepare(struct beginning *b, struct err *e)
{
	free(b->vars);
	b->vars = run_vars(b->recipe, b->ask.vars, e);
	if (!b->vars)
		return -1;
	b->secrets = run_secrets(b->recipe, engine_secrets_dir(b->en), e);
	if (!b->secrets)
		return -1;
	if (b->asked && batch_options(b, e) < 0)
		return -1;
	b->states = (struct store_pull_states){
	    .op.done = on_states, .uid = b->uid, .pull = b->recipe->name, .scope = b->scope, .on_row = on_state};
	return 0;
}

static struct beginning *beginning_create(struct engine *en)
{
	struct beginning *b = calloc(1, sizeof *b);

	if (!b)
		abort();
	b->en = en;
	return b;
}

static char *scope_of(const json_t *vars)
{
	char *text = json_dumps(vars, JSON_COMPACT | JSON_SORT_KEYS);

	if (!text)
		BUG("out of memory for a run");
	return text;
}

/* A value that no run could begin at is refused when it is set, not when it is needed. */
static int since_fits(const struct recipe *r, const json_t *since, struct err *e)
{
	char *text, *from;
	struct run_ask none = {0};

	if (!since)
		return 0;
	if (!r->since.used)
		return err_set(e, ERR_INPUT, "fanout-pulls(5) has the group `since`",
			       "the pull %s asks for nothing by since", r->name);
	text = json_dumps(since, JSON_ENCODE_ANY | JSON_COMPACT);
	from = run_since(r, &none, text, e);
	free(text);
	free(from);
	return from ? 0 : -1;
}

char *engine_pull_scope(const struct engine *en, const char *pull, const json_t *vars, const json_t *since,
			struct err *e)
{
	struct recipe *r = recipe_load(engine_pulls_dir(en), pull, NULL, e);
	const char **values = r ? run_vars(r, vars, e) : NULL;
	char *scope = NULL;

	if (values && since_fits(r, since, e) == 0) {
		json_t *changed = run_vars_object(r, vars);

		scope = scope_of(changed);
		json_decref(changed);
	}
	free(values);
	recipe_free(r);
	return scope;
}

/* A secret goes where a recipe in pulls_dir says. Whoever could read it there may say it himself. */
static struct recipe *given_recipe(struct beginning *b, const struct engine_run_ask *asked, struct err *e)
{
	struct recipe *r;

	if (!recipe_name_ok(asked->pull)) {
		err_set(e, ERR_INPUT, NULL, "\"%.64s\" is no name of a pull", asked->pull);
		return NULL;
	}
	r = recipe_parse(asked->pull, asked->pull, asked->recipe, e);
	if (r && r->secret_count && asked->uid != 0 && asked->uid != geteuid()) {
		err_set(e, ERR_PERMISSION, "put it into pulls_dir, and test it by its name",
			"secrets are filled in only in recipes that are in pulls_dir");
		recipe_free(r);
		return NULL;
	}
	b->text = strdup(asked->recipe);
	return r;
}

void engine_run_submit(struct engine *en, struct engine_run_ask *asked)
{
	struct beginning *b = beginning_create(en);
	struct err e;

	b->asked = asked;
	b->uid = asked->uid;
	b->recipe =
	    asked->recipe ? given_recipe(b, asked, &e) : recipe_load(engine_pulls_dir(en), asked->pull, &b->text, &e);
	if (!b->recipe) {
		finish(b, &e);
		return;
	}
	b->ask = (struct run_ask){
	    .vars = run_vars_object(b->recipe, asked->vars),
	    .since = asked->since ? strdup(asked->since) : NULL,
	    .fresh = asked->fresh,
	    .test = asked->test,
	    .replaces = asked->overlap == RUN_REPLACE,
	    .max_pages = asked->max_pages,
	};
	b->scope = scope_of(b->ask.vars);
	/* Those that are not there are named by what was asked, not by what was left of it. */
	b->vars = run_vars(b->recipe, asked->vars, &e);
	if (!b->vars || prepare(b, &e) < 0) {
		finish(b, &e);
		return;
	}
	store_pull_states(en->store, &b->states);
}

static void begin_waiting(struct engine *en, const struct store_run *row)
{
	struct beginning *b = beginning_create(en);
	struct err e;

	b->run = row->run;
	b->uid = row->uid;
	b->scope = strdup(row->scope);
	run_ask_read(&b->ask, row->options);
	b->recipe = recipe_parse(row->pull, row->pull, row->recipe, &e);
	if (!b->recipe || prepare(b, &e) < 0) {
		give_up(b, &e);
		return;
	}
	store_pull_states(en->store, &b->states);
}

/* ---- who is next ---- */

struct looking {
	struct store_run_list list;
	struct engine *en;
	struct store_run next;
	char *pull, *scope_copy, *recipe, *options;
	bool found;
};

static void copy_row(struct looking *l, const struct store_run *row)
{
	l->found = true;
	l->next = *row;
	l->next.pull = l->pull = strdup(row->pull);
	l->next.scope = l->scope_copy = strdup(row->scope);
	l->next.recipe = l->recipe = strdup(row->recipe);
	l->next.options = l->options = strdup(row->options);
}

static void on_candidate(struct store_run_list *list, const struct store_run *row)
{
	struct looking *l = (struct looking *)list;

	if (!l->found && row->state == RUN_WAITING && !row->cancelled && row->behind == 0)
		copy_row(l, row);
}

static void on_candidates(struct store_op *op, const struct err *e)
{
	if (!e)
		return;
	log_error("waiting runs not read", "why=\"%s\"", e->what);
	((struct looking *)op)->en->runs_stuck = true;
}

void engine_run_next(struct engine *en, uint32_t uid, const char *pull, const char *scope)
{
	struct looking l = {
	    .list = {.op.done = on_candidates,
		     .uid = uid,
		     .pull = pull,
		     .live = true,
		     .scope = scope,
		     .limit = SIZE_MAX,
		     .on_row = on_candidate},
	    .en = en,
	};

	store_run_list(en->store, &l.list);
	if (l.found)
		begin_waiting(en, &l.next);
	free(l.pull);
	free(l.scope_copy);
	free(l.recipe);
	free(l.options);
}
