/* One program gives the items (with their keys, where they are wanted), another one what is made of each. */
#define _GNU_SOURCE 1 /* asprintf */

#include "cli/items_view.h"

#include <jq.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "lib/envelope.h"
#include "lib/jq.h"

#define SEEN_LEAST 4096u

/* Hashes of what was seen: 8 to 32 bytes an item. Two of ten million items meet by chance once in 370 000 runs. */
struct seen {
	uint64_t *slots; /* 0: free */
	size_t size, count;
};

struct items_view {
	jq_state *items, *expr;
	const struct recipe *recipe;
	bool unique, with_keys;
	jv vars;
	struct seen seen;
};

/* ---- each only once ---- */

static uint64_t *find_slot(const struct seen *s, uint64_t hash)
{
	size_t i = (size_t)hash & (s->size - 1);

	while (s->slots[i] && s->slots[i] != hash)
		i = (i + 1) & (s->size - 1);
	return &s->slots[i];
}

static void grow(struct seen *s)
{
	struct seen old = *s;

	s->size = old.size ? old.size * 2 : SEEN_LEAST;
	s->slots = calloc(s->size, sizeof *s->slots);
	if (!s->slots)
		BUG("out of memory");
	for (size_t i = 0; i < old.size; i++)
		if (old.slots[i])
			*find_slot(s, old.slots[i]) = old.slots[i];
	free(old.slots);
}

/* Whether it was there before; now it is. */
static bool seen_before(struct seen *s, uint64_t hash)
{
	uint64_t *slot;

	if (s->count * 4 >= s->size * 3)
		grow(s);
	hash = hash ? hash : 1;
	slot = find_slot(s, hash);
	if (*slot)
		return true;
	*slot = hash;
	s->count++;
	return false;
}

/* Sorted: the same object is the same, however the server writes it. Consumes `v`. */
static uint64_t hash_of(jv v)
{
	jv text = jv_dump_string(v, JV_PRINT_SORTED);
	uint64_t hash = XXH3_64bits(jv_string_value(text), (size_t)jv_string_length_bytes(jv_copy(text)));

	jv_free(text);
	return hash;
}

/* ---- programs ---- */

static bool has_headers(const char *expr)
{
	return expr && strstr(expr, "$headers");
}

bool items_view_wants_headers(const struct recipe *r, bool unique)
{
	return has_headers(r->expr[RECIPE_ITEMS].text) || (unique && has_headers(r->expr[RECIPE_KEY].text));
}

/* [item, key] instead of the item; an array around the key, for it may give nothing, or several. */
static char *with_keys(char *items, const char *key)
{
	char *text;

	if (asprintf(&text, "%s| [., ([(\n%s\n)] | .[0])]\n", items, key) < 0)
		BUG("out of memory");
	free(items);
	return text;
}

static int compile_items(struct items_view *v, struct err *e)
{
	const struct recipe *r = v->recipe;
	char *text = recipe_items_program(r);
	struct err why;

	if (v->with_keys)
		text = with_keys(text, r->expr[RECIPE_KEY].text);
	v->items = jq_items_compile(text, &why);
	free(text);
	return v->items ? 0 : err_set(e, ERR_INPUT, NULL, "the recipe's items: %.300s", why.what);
}

static int compile_expr(struct items_view *v, const char *expr, struct err *e)
{
	struct err why;
	char *text;

	if (asprintf(&text, "(\n%s\n)", expr) < 0)
		BUG("out of memory");
	v->expr = jq_items_compile(text, &why);
	free(text);
	return v->expr ? 0 : err_set(e, ERR_USAGE, NULL, " items: --jq: %.300s", why.what);
}

struct items_view *items_view_create(const struct recipe *r, const char *vars, const char *expr, enum items_how how,
				     struct err *e)
{
	struct items_view *v = calloc(1, sizeof *v);

	if (!v)
		BUG("out of memory");
	v->recipe = r;
	v->unique = how == ITEMS_UNIQUE;
	v->with_keys = how != ITEMS_ALL && r->expr[RECIPE_KEY].text;
	v->vars = jv_parse(vars);
	if (compile_items(v, e) == 0 && (!expr || compile_expr(v, expr, e) == 0))
		return v;
	items_view_free(v);
	return NULL;
}

void items_view_free(struct items_view *v)
{
	if (!v)
		return;
	if (v->items)
		jq_teardown(&v->items);
	if (v->expr)
		jq_teardown(&v->expr);
	jv_free(v->vars);
	free(v->seen.slots);
	free(v);
}

/* ---- a page ---- */

/* To its end, whatever happens: a run that is dropped may abort (lib/jq.h). */
static void run_out(jq_state *jq)
{
	jv v = jq_next(jq);

	while (jv_is_valid(v)) {
		jv_free(v);
		v = jq_next(jq);
	}
	jv_free(v);
}

/* Consumes `end`, the invalid value that a run ended with. */
static int end_of(jv end, const char *whose, unsigned page, struct err *e)
{
	jv message;

	if (!jv_invalid_has_msg(jv_copy(end))) {
		jv_free(end);
		return 0;
	}
	message = jv_invalid_get_msg(end);
	if (jv_get_kind(message) != JV_KIND_STRING)
		message = jv_dump_string(message, 0);
	err_set(e, ERR_CONFLICT, NULL, "page %u: %s: %.300s", page, whose, jv_string_value(message));
	jv_free(message);
	return -1;
}

/* What --jq makes of an item, which is consumed. */
static int put_made(struct items_view *v, jv item, unsigned page, items_fn *on_item, void *arg, struct err *e)
{
	jv made;

	jq_start(v->expr, item, 0);
	for (made = jq_next(v->expr); jv_is_valid(made); made = jq_next(v->expr)) {
		if (on_item(arg, made, e) < 0) {
			run_out(v->expr);
			return -1;
		}
	}
	return end_of(made, "--jq", page, e);
}

/* Takes the item out of [item, key] where there are keys. False where it was there before. */
static bool take_item(struct items_view *v, jv *item)
{
	jv pair = *item, key;

	if (!v->unique)
		return true;
	if (v->with_keys) {
		key = jv_array_get(jv_copy(pair), 1);
		*item = jv_array_get(pair, 0);
	} else {
		key = jv_null();
	}
	/* An item without a key is told from others by all of it. */
	if (jv_get_kind(key) == JV_KIND_NULL) {
		jv_free(key);
		key = jv_copy(*item);
	}
	return !seen_before(&v->seen, hash_of(key));
}

static jv context_page(const struct items_view *v, const char *token)
{
	enum page_type type = v->recipe->page.type;

	if (type == PAGE_NUMBER || type == PAGE_OFFSET)
		return jv_number((double)strtoll(token, NULL, 10));
	return *token ? jv_string(token) : jv_null();
}

static jv envelope(const struct items_view *v, struct items_page *p)
{
	jv env = envelope_make(p->body, p->status, p->headers);

	p->kind = ITEMS_END; /* the body is given away */
	env = jv_object_set(env, jv_string("page"), context_page(v, p->token ? p->token : ""));
	return jv_object_set(env, jv_string("vars"), jv_copy(v->vars));
}

int items_view_page(struct items_view *v, struct items_page *p, items_fn *on_item, void *arg, struct err *e)
{
	jv item;
	int rc;

	jq_start(v->items, envelope(v, p), 0);
	for (item = jq_next(v->items); jv_is_valid(item); item = jq_next(v->items)) {
		if (!take_item(v, &item)) {
			jv_free(item);
			continue;
		}
		rc = v->expr ? put_made(v, item, p->page, on_item, arg, e) : on_item(arg, item, e);
		if (rc < 0) {
			run_out(v->items);
			return -1;
		}
	}
	return end_of(item, "items", p->page, e);
}
