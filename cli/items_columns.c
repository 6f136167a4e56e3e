/* A column is a path; one that was learned has a single step, whatever signs are in the member's name. */
#include "cli/items_columns.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS_MOST 1000u
#define STEPS_MOST   16u

struct column {
	bool seen; /* an item had it */
	jv head;   /* as it is called */
	jv steps;  /* an array of texts; empty: the item itself, unless it is an object */
};

struct items_columns {
	struct column *all;
	size_t count;
	bool learned;
	jv index; /* member → true, of what was learned */
	char other[64];
};

struct items_columns *items_columns_create(void)
{
	struct items_columns *c = calloc(1, sizeof *c);

	if (!c)
		BUG("out of memory");
	c->learned = true;
	c->index = jv_object();
	return c;
}

void items_columns_free(struct items_columns *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->count; i++) {
		jv_free(c->all[i].head);
		jv_free(c->all[i].steps);
	}
	jv_free(c->index);
	free(c->all);
	free(c);
}

/* Consumes both. */
static void add(struct items_columns *c, jv head, jv steps)
{
	struct column *grown = realloc(c->all, (c->count + 1) * sizeof *grown);

	if (!grown)
		BUG("out of memory");
	c->all = grown;
	c->all[c->count++] = (struct column){.head = head, .steps = steps};
}

/* ---- --fields ---- */

static int parse_field(struct items_columns *c, const char *field, size_t n, struct err *e)
{
	jv steps = jv_array();
	size_t from = 0, count = 0;

	for (size_t i = 0; i <= n; i++) {
		if (i < n && field[i] != '.')
			continue;
		if (i == from || ++count > STEPS_MOST) {
			jv_free(steps);
			return err_set(e, ERR_USAGE, "as in --fields id,owner.name",
				       " items: --fields: \"%.*s\" names no member", (int)(n < 60 ? n : 60), field);
		}
		steps = jv_array_append(steps, jv_string_sized(field + from, (int)(i - from)));
		from = i + 1;
	}
	add(c, jv_string_sized(field, (int)n), steps);
	return 0;
}

struct items_columns *items_columns_parse(const char *fields, struct err *e)
{
	struct items_columns *c = items_columns_create();

	c->learned = false;
	for (;; fields++) {
		size_t n = strcspn(fields, ",");

		if (parse_field(c, fields, n, e) < 0) {
			items_columns_free(c);
			return NULL;
		}
		fields += n;
		if (!*fields)
			return c;
	}
}

/* ---- learning ---- */

static void learn_member(struct items_columns *c, jv name)
{
	if (c->count >= COLUMNS_MOST || jv_object_has(jv_copy(c->index), jv_copy(name))) {
		jv_free(name);
		return;
	}
	c->index = jv_object_set(c->index, jv_copy(name), jv_true());
	add(c, jv_copy(name), jv_array_append(jv_array(), name));
}

void items_columns_learn(struct items_columns *c, jv item)
{
	if (jv_get_kind(item) != JV_KIND_OBJECT) {
		jv_free(item);
		if (!jv_object_has(jv_copy(c->index), jv_string("value"))) {
			c->index = jv_object_set(c->index, jv_string("value"), jv_true());
			add(c, jv_string("value"), jv_array());
		}
		return;
	}
	jv_object_foreach(item, name, value)
	{
		jv_free(value);
		learn_member(c, name);
	}
	jv_free(item);
}

const char *items_columns_other(struct items_columns *c, jv item)
{
	const char *other = NULL;
	int i;

	if (!c->learned || jv_get_kind(item) != JV_KIND_OBJECT)
		return NULL;
	for (i = jv_object_iter(item); !other && jv_object_iter_valid(item, i); i = jv_object_iter_next(item, i)) {
		jv name = jv_object_iter_key(item, i);

		if (!jv_object_has(jv_copy(c->index), jv_copy(name))) {
			snprintf(c->other, sizeof c->other, "%s", jv_string_value(name));
			other = c->other;
		}
		jv_free(name);
	}
	return other;
}

/* ---- writing ---- */

/* Invalid where there is no such member. Consumes `from`. */
static jv step(jv from, jv name)
{
	char *end;
	long i;
	jv to;

	if (jv_get_kind(from) == JV_KIND_OBJECT) {
		to = jv_object_get(from, name);
	} else if (jv_get_kind(from) == JV_KIND_ARRAY) {
		i = strtol(jv_string_value(name), &end, 10);
		to = *end || i < 0 || i > INT32_MAX ? jv_invalid() : jv_array_get(jv_copy(from), (int)i);
		jv_free(name);
		jv_free(from);
	} else {
		jv_free(name);
		jv_free(from);
		to = jv_invalid();
	}
	return to;
}

/* Null where there is none. Does not consume the item. */
static jv value_of(struct column *c, jv item)
{
	int n = jv_array_length(jv_copy(c->steps));
	jv v = n == 0 && jv_get_kind(item) == JV_KIND_OBJECT ? jv_null() : jv_copy(item);

	for (int i = 0; i < n && jv_is_valid(v); i++)
		v = step(v, jv_array_get(jv_copy(c->steps), i));
	if (!jv_is_valid(v)) {
		jv_free(v);
		return jv_null();
	}
	c->seen = true;
	return v;
}

const char *items_columns_unseen(const struct items_columns *c, size_t *at)
{
	while (*at < c->count) {
		const struct column *column = &c->all[(*at)++];

		if (!column->seen)
			return jv_string_value(column->head);
	}
	return NULL;
}

/* text_add_csv takes no NUL. */
static void add_csv_text(struct text *out, jv string)
{
	const char *s = jv_string_value(string);
	size_t n = (size_t)jv_string_length_bytes(jv_copy(string));
	bool quoted = memchr(s, ',', n) || memchr(s, '"', n) || memchr(s, '\r', n) || memchr(s, '\n', n);

	if (!quoted) {
		text_add(out, s, n);
	} else {
		text_add_char(out, '"');
		for (size_t i = 0; i < n; i++) {
			if (s[i] == '"')
				text_add_char(out, '"');
			text_add_char(out, s[i]);
		}
		text_add_char(out, '"');
	}
	jv_free(string);
}

/* Consumes `v`. */
static void add_cell(struct text *out, jv v)
{
	if (jv_get_kind(v) == JV_KIND_NULL)
		jv_free(v);
	else
		add_csv_text(out, jv_get_kind(v) == JV_KIND_STRING ? v : jv_dump_string(v, 0));
}

void items_columns_add_header(const struct items_columns *c, struct text *out)
{
	for (size_t i = 0; i < c->count; i++) {
		if (i)
			text_add_char(out, ',');
		add_cell(out, jv_copy(c->all[i].head));
	}
	text_add_str(out, "\r\n");
}

void items_columns_add_row(const struct items_columns *c, jv item, struct text *out)
{
	for (size_t i = 0; i < c->count; i++) {
		if (i)
			text_add_char(out, ',');
		add_cell(out, value_of(&c->all[i], item));
	}
	text_add_str(out, "\r\n");
	jv_free(item);
}

jv items_columns_choose(const struct items_columns *c, jv item)
{
	jv made = jv_object();

	for (size_t i = 0; i < c->count; i++)
		made = jv_object_set(made, jv_copy(c->all[i].head), value_of(&c->all[i], item));
	jv_free(item);
	return made;
}
