/* pull test: the first page of a recipe, tried: as a request, on a stored answer, or for real. What is made of a stored
 * answer is found out by the code that workers run (lib/judge.h); of a real one the daemon tells. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/items_view.h"
#include "cli/pull.h"
#include "cli/pull_page.h"
#include "cli/pull_test.h"
#include "cli/receipt.h"
#include "cli/verbs.h"
#include "lib/closest.h"
#include "lib/envelope.h"
#include "lib/judge.h"
#include "lib/since.h"
#include "lib/verdict.h"

/* ---- the request ---- */

static int check_var_names(const struct trial *t, struct err *e)
{
	const struct recipe *r = t->p.recipe;
	const char *name;
	json_t *value;

	json_object_foreach (t->var_object, name, value) {
		struct closest near = {.word = name};
		bool found = false;

		for (size_t i = 0; i < r->var_count; i++) {
			found = found || strcmp(r->vars[i].name, name) == 0;
			closest_offer(&near, r->vars[i].name);
		}
		if (!found)
			return err_set(e, ERR_USAGE, NULL, " pull test: the recipe has no var \"%.60s\"%s%s%s", name,
				       near.name ? "; did you mean " : "", near.name ? near.name : "",
				       near.name ? "?" : "");
	}
	return 0;
}

/* The recipe's values where none are given. */
static int fill_vars(struct trial *t, struct err *e)
{
	const struct recipe *r = t->p.recipe;

	t->var_object = pull_vars(t->ctl, e);
	if (!t->var_object || check_var_names(t, e) < 0)
		return -1;
	t->vars = calloc(r->var_count + 1, sizeof *t->vars);
	if (!t->vars)
		BUG("out of memory");
	for (size_t i = 0; i < r->var_count; i++) {
		const char *given = pull_var(t->ctl, r->vars[i].name);

		t->vars[i] = given ? given : r->vars[i].value;
		if (!*t->vars[i])
			return err_set(e, ERR_USAGE, NULL, " pull test: give --var %.60s=VALUE: the recipe has none",
				       r->vars[i].name);
		json_object_set_new(t->var_object, r->vars[i].name, json_string(t->vars[i]));
	}
	return 0;
}

/* What the next run would send: the state's value less the overlap, or the first one ever. */
static int find_since(struct trial *t, struct err *e)
{
	const struct recipe *r = t->p.recipe;
	const char *initial = r->since.initial;
	struct text stored = {0};
	const json_t *state;
	size_t i;
	int rc;

	if (!r->since.used)
		return 0;
	json_array_foreach (json_object_get(t->p.pull, "states"), i, state) {
		if (json_equal(json_object_get(state, "vars"), t->var_object))
			receipt_add_since(&stored, json_object_get(state, "since"));
	}
	if (stored.len)
		t->since = since_before(stored.data, r->since.overlap_us, e);
	else if (initial)
		t->since = strdup(initial);
	rc = t->since || !(stored.len || initial) ? 0 : -1;
	text_clear(&stored);
	return rc;
}

static int make_request(struct trial *t, struct err *e)
{
	if (fill_vars(t, e) < 0 || find_since(t, e) < 0)
		return -1;
	t->page =
	    (struct recipe_page){.token = pull_first_token(t->p.recipe, t->token), .since = t->since, .vars = t->vars};
	return recipe_request(t->p.recipe, &t->page, &t->request, e);
}

static void print(const struct text *out)
{
	fwrite(out->data, 1, out->len, stdout);
	fflush(stdout);
}

static int show_request(struct trial *t)
{
	struct text out = {0};

	pull_add_request(&out, t->p.recipe, &t->request);
	print(&out);
	text_clear(&out);
	return STATUS_FINE;
}

/* ---- the first item ---- */

struct items_met {
	jv item; /* the first */
	struct pull_keys keys;
	int64_t count;
	bool keyed; /* they come with their keys */
};

static void take_key(struct items_met *m, jv key)
{
	m->keys.missing += jv_get_kind(key) == JV_KIND_NULL;
	if (m->count == 0)
		m->keys.first = jv_copy(key);
	jv_free(m->keys.last);
	m->keys.last = key;
}

static int on_item(void *arg, jv item, struct err *e)
{
	struct items_met *m = arg;

	(void)e;
	if (m->keyed) {
		take_key(m, jv_array_get(jv_copy(item), 1));
		item = jv_array_get(item, 0);
	}
	if (m->count++ == 0) {
		jv_free(m->item);
		m->item = item;
	} else {
		jv_free(item);
	}
	return 0;
}

/* Where a recipe asks nothing of its pages, they are not counted; here they are. */
static int find_items(struct trial *t, struct items_met *m, struct err *e)
{
	struct items_page page = {
	    .kind = ITEMS_PAGE, .page = 1, .status = t->status, .token = (char *)(uintptr_t)t->page.token};
	char *vars = json_dumps(t->var_object, JSON_COMPACT);
	struct items_view *v = items_view_create(t->p.recipe, vars ? vars : "{}", NULL, ITEMS_KEYED, e);
	int rc = -1;

	m->keyed = t->p.recipe->expr[RECIPE_KEY].text;
	free(vars);
	if (!v)
		return -1;
	page.headers = t->head.data;
	page.body = envelope_body(t->body.data, (int64_t)t->body.len);
	if (jv_is_valid(page.body))
		rc = items_view_page(v, &page, on_item, m, e);
	else
		jv_free(page.body), err_set(e, ERR_CONFLICT, NULL, "the body is no JSON");
	items_view_free(v);
	return rc;
}

int trial_tell(struct trial *t, const struct pull_said *said)
{
	struct items_met m = {.item = jv_invalid(), .keys = {.first = jv_invalid(), .last = jv_invalid()}};
	struct pull_said s = *said;
	struct text out = {0};
	struct err e;

	if (!s.error && t->body.len && find_items(t, &m, &e) < 0)
		s.error = e.what;
	else if (s.items < 0 && t->body.len)
		s.items = m.count;
	pull_add_said(&out, t->p.recipe, &t->page, &s, m.item, &m.keys);
	print(&out);
	text_clear(&out);
	return s.error ? STATUS_FAILED : STATUS_FINE;
}

/* ---- a stored answer ---- */

static int read_file(const char *path, struct text *out, struct err *e)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char piece[65536];
	size_t n;

	if (!f)
		return err_set(e, ERR_INPUT, NULL, "cannot read %.200s: %s", path, strerror(errno));
	while (out->len <= JUDGE_BODY_MAX && (n = fread(piece, 1, sizeof piece, f)) > 0)
		text_add(out, piece, n);
	text_add(out, "", 0);
	if (ferror(f))
		err_set(e, ERR_INPUT, NULL, "cannot read %.200s: %s", path, strerror(errno));
	n = (size_t)ferror(f);
	if (f != stdin)
		fclose(f);
	return n ? -1 : 0;
}

/* The last one, where curl -D wrote several (redirects); lines ended by \n, status line first. */
static void take_head(struct trial *t, const struct text *file)
{
	const char *from = file->len ? file->data : "\n", *next;

	while ((next = strstr(from + 1, "\nHTTP/")))
		from = next + 1;
	if (strncmp(from, "HTTP/", 5) != 0)
		text_add_str(&t->head, "HTTP/1.1 200 OK\n");
	for (; *from; from++)
		if (*from != '\r')
			text_add_char(&t->head, *from);
	while (t->head.len && t->head.data[t->head.len - 1] == '\n')
		t->head.data[--t->head.len] = '\0';
	text_add_char(&t->head, '\n');
}

static int read_answer(struct trial *t, struct err *e)
{
	const struct args *a = &t->ctl->args;
	struct text file = {0};
	int rc = read_file(a->page_body, &t->body, e);

	/* An editor's last newline is no line of an answer that an error could be told of. */
	while (t->body.len && (t->body.data[t->body.len - 1] == '\n' || t->body.data[t->body.len - 1] == '\r'))
		t->body.data[--t->body.len] = '\0';

	if (rc == 0 && a->page_headers)
		rc = read_file(a->page_headers, &file, e);
	else
		text_add_str(&file, "HTTP/1.1 200 OK\n");
	if (rc == 0)
		take_head(t, &file);
	text_clear(&file);
	t->status = t->head.len > 9 ? atoi(t->head.data + 9) : 0;
	if (rc == 0 && (t->status < 100 || t->status > 599))
		t->status = strncmp(t->head.data, "HTTP/2 ", 7) == 0 ? atoi(t->head.data + 7) : 200;
	return rc;
}

static char *make_context(const struct trial *t)
{
	const struct recipe *r = t->p.recipe;
	bool numbered = r->page.type == PAGE_NUMBER || r->page.type == PAGE_OFFSET;
	json_t *page = numbered         ? json_integer(r->page.start)
		       : *t->page.token ? json_string(t->page.token)
					: json_null();
	json_t *o = json_pack("{s:o,s:O,s:s,s:I}", "page", page, "vars", t->var_object, "type",
			      page_type_name(r->page.type), "start", (json_int_t)r->page.start);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;

	json_decref(o);
	if (!text)
		BUG("out of memory");
	return text;
}

static void say(struct pull_said *s, const struct message_page *page, struct text *since)
{
	json_t *value = *page->since ? json_loads(page->since, JSON_DECODE_ANY, NULL) : NULL;

	text_add(since, "", 0);
	receipt_add_since(since, value);
	json_decref(value);
	s->items = page->items;
	s->next = page->next;
	s->has_more = page->has_more;
	s->stop = page->stop;
	s->total_pages = page->total_pages;
	s->total_items = page->total_items;
	s->since = since->data;
}

/* As a worker would. Only an answer that is 2xx is looked into. */
static int judge_answer(struct trial *t)
{
	char *program = recipe_program(t->p.recipe), *context = make_context(t), text[JUDGE_TEXT_SIZE];
	struct verdict v;
	struct judge_page page = {.program = program ? program : "",
				  .context = context,
				  .param = t->p.recipe->page.param ? t->p.recipe->page.param : "",
				  .url = t->request.url,
				  .verdict = &v};
	struct judge_case c = {.page = &page,
			       .status = t->status,
			       .headers = t->head.data,
			       .content_type = "",
			       .body = t->body.data,
			       .body_bytes = (int64_t)t->body.len};
	struct pull_said s = {.status = t->status, .items = -1, .next = "", .has_more = -1, .since = ""};
	struct judge *j = judge_create();
	struct text since = {0};
	int status;

	verdict_begin(&v);
	if (t->status < 200 || t->status > 299) {
		snprintf(text, sizeof text, "the status is %d", t->status);
		s.error = text;
	} else if (judge_run(j, &c, text)) {
		s.error = text;
	} else {
		say(&s, &v.page, &since);
	}
	status = trial_tell(t, &s);
	if (!s.error)
		ctl_note(t->ctl,
			 "What would be asked next is told from this page alone; --live has the daemon decide.");
	text_clear(&since);
	verdict_clear(&v);
	judge_free(j);
	free(program);
	free(context);
	return status;
}

static int try_answer(struct trial *t, struct err *e)
{
	return read_answer(t, e) < 0 ? -1 : judge_answer(t);
}

/* ---- the verb ---- */

static int check_options(const struct ctl *ctl, struct err *e)
{
	const struct args *a = &ctl->args;

	if (a->live && a->page_body)
		return err_set(e, ERR_USAGE, NULL, " pull test: --live and --body exclude each other");
	if (a->page_headers && !a->page_body)
		return err_set(e, ERR_USAGE, NULL, " pull test: --headers is for --body, which is not given");
	return ctl_refuse_format(ctl, "what is told is lines", e);
}

static void clear(struct trial *t)
{
	recipe_request_clear(&t->request);
	pull_recipe_clear(&t->p);
	json_decref(t->var_object);
	free(t->vars);
	free(t->since);
	text_clear(&t->body);
	text_clear(&t->head);
}

int verb_pull_test(struct ctl *ctl)
{
	const struct args *a = &ctl->args;
	struct trial t = {.ctl = ctl};
	struct err e;
	int status = -1;

	if (check_options(ctl, &e) == 0 && pull_recipe_open(ctl, a->operands[0], &t.p, &e) == 0) {
		if (a->live ? pull_recipe_check(&t.p, stderr) : pull_recipe_check_text(&t.p, stderr))
			status = STATUS_USAGE;
		else if (make_request(&t, &e) == 0)
			status = a->live ? trial_live(&t, &e) : a->page_body ? try_answer(&t, &e) : show_request(&t);
	}
	clear(&t);
	return status < 0 ? ctl_report(&e) : status;
}
