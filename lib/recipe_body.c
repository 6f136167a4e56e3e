/* The body of a page's request: JSON that is filled in and added to, or a text. */
#define _GNU_SOURCE 1

#include <stdlib.h>
#include <string.h>

#include "lib/recipe_fill.h"

/* ---- a JSON body ---- */

static int fill_json(const struct fill *m, json_t **v);

/* The one placeholder that a text consists of. */
static bool is_place_alone(const char *text, struct place *p)
{
	return place_next(text, p) && p->start == text && *p->end == '\0' && fill_is_value(p);
}

static json_t *text_json(const struct fill *m, const char *text)
{
	json_t *v = json_string(text);

	if (!v)
		err_set(m->e, ERR_INPUT, NULL, "a value that goes into the JSON body is not UTF-8");
	return v;
}

static int fill_string(const struct fill *m, json_t **v)
{
	const char *text = json_string_value(*v);
	struct place p;
	struct fill_text t;
	json_t *filled;

	if (is_place_alone(text, &p) && (p.kind == PLACE_PAGE || p.kind == PLACE_OFFSET)) {
		filled = json_integer(strtoll(m->p->token, NULL, 10));
	} else if (place_next(text, &p)) {
		fill_open(&t);
		if (!fill_close(&t, fill_put(m, t.f, text, text + strlen(text), QUOTE_RAW)))
			return -1;
		filled = text_json(m, t.p);
		free(t.p);
	} else {
		return 0;
	}
	if (!filled)
		return -1;
	json_decref(*v);
	*v = filled;
	return 0;
}

/* A member that is nothing but a value that is not there (the first page's cursor) is left out. */
static bool is_left_out(const struct fill *m, const json_t *v)
{
	struct place p;

	return json_is_string(v) && is_place_alone(json_string_value(v), &p) &&
	       (p.kind == PLACE_CURSOR || p.kind == PLACE_SINCE) && !*fill_value(m, &p);
}

static int fill_object(const struct fill *m, json_t *object)
{
	const char *name;
	json_t *member;
	void *next;

	json_object_foreach_safe(object, next, name, member)
	{
		if (is_left_out(m, member)) {
			json_object_del(object, name);
			continue;
		}
		json_incref(member);
		if (fill_json(m, &member)) {
			json_decref(member);
			return -1;
		}
		json_object_set_new(object, name, member);
	}
	return 0;
}

static int fill_array(const struct fill *m, json_t *array)
{
	for (size_t i = 0; i < json_array_size(array); i++) {
		json_t *v = json_incref(json_array_get(array, i));

		if (fill_json(m, &v)) {
			json_decref(v);
			return -1;
		}
		json_array_set_new(array, i, v);
	}
	return 0;
}

static int fill_json(const struct fill *m, json_t **v)
{
	if (json_is_object(*v))
		return fill_object(m, *v);
	if (json_is_array(*v))
		return fill_array(m, *v);
	return json_is_string(*v) ? fill_string(m, v) : 0;
}

/* Sets the member at a dotted path; takes `value`. */
static int set_path(const struct fill *m, json_t *root, const char *path, json_t *value)
{
	json_t *at = root;
	char name[256];

	for (;; path++) {
		size_t n = strcspn(path, ".");

		snprintf(name, sizeof name, "%.*s", (int)n, path);
		if (!json_is_object(at))
			break;
		path += n;
		if (!*path) {
			json_object_set_new(at, name, value);
			return 0;
		}
		if (!json_object_get(at, name))
			json_object_set_new(at, name, json_object());
		at = json_object_get(at, name);
	}
	json_decref(value);
	return err_set(m->e, ERR_INPUT, NULL, "the body has no object in which %.60s could be set", name);
}

static int add_json(const struct fill *m, json_t *root)
{
	const struct recipe *r = m->r;
	json_t *v;

	if (fill_adds_token(m, PAGE_IN_JSON)) {
		v = value_json(m->p->token, place_of_token(r->page.type), r->store->start_is_number);
		if (!v)
			v = text_json(m, m->p->token);
		if (!v || set_path(m, root, r->page.param, v))
			return -1;
	}
	if (fill_adds_size(m, PAGE_IN_JSON) && set_path(m, root, r->page.size_param, json_integer(r->page.size)))
		return -1;
	if (!fill_adds_since(m, PAGE_IN_JSON))
		return 0;
	v = value_json(m->p->since, PLACE_SINCE, r->store->since_is_number);
	if (!v)
		v = text_json(m, m->p->since);
	return v ? set_path(m, root, r->since.param, v) : -1;
}

static int make_json_body(const struct fill *m)
{
	json_t *root = m->r->body ? json_loads(m->r->body, 0, NULL) : json_object();
	int rc = -1;

	if (!root)
		BUG("a recipe's body is no JSON");
	if (fill_json(m, &root) || add_json(m, root))
		goto out;
	m->out->body = recipe_json_text(root);
	rc = fill_secrets_in(m->out->body) == (m->r->body ? fill_secrets_in(m->r->body) : 0)
		 ? 0
		 : fill_refuse_secret(m->e, "body");
out:
	json_decref(root);
	return rc;
}

/* ---- any body ---- */

static enum quoting body_quoting(const struct recipe *r)
{
	static const char form[] = "application/x-www-form-urlencoded";

	if (r->body_json)
		return QUOTE_JSON;
	for (size_t i = 0; i < r->header_count; i++)
		if (strncasecmp(r->headers[i], "Content-Type:", 13) == 0 && strcasestr(r->headers[i], form))
			return QUOTE_QUERY;
	return QUOTE_RAW;
}

static int make_text_body(const struct fill *m)
{
	const char *text = m->r->body;
	struct fill_text t;

	fill_open(&t);
	m->out->body = fill_close(&t, fill_put(m, t.f, text, text + strlen(text), body_quoting(m->r)));
	if (!m->out->body)
		return -1;
	return fill_secrets_in(m->out->body) == fill_secrets_in(text) ? 0 : fill_refuse_secret(m->e, "body");
}

int recipe_fill_body(const struct fill *m)
{
	const struct recipe *r = m->r;
	bool added =
	    (r->page.in == PAGE_IN_JSON && (r->page.size_param || (r->page.param && !r->store->token_placed))) ||
	    (r->since.in == PAGE_IN_JSON && r->since.param && !r->store->since_placed);

	if (r->body && !r->store->body_made)
		return make_text_body(m);
	return r->body || added ? make_json_body(m) : 0;
}
