/* Strict where guessing would lose pages: an expression of a recipe that gives what cannot be meant fails its page,
 * with the expression's name. null is "not told" everywhere, for that is what a missing member is. */
#include "lib/verdict_body.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "lib/complaint.h"
#include "lib/err.h"
#include "lib/totals.h"
#include "lib/units.h"

#define VALUE_SHOWN 60 /* bytes: the body's beginning is to have room behind it */
#define KEY_DEPTH   16 /* of lists and objects in a key, that numbers are looked for in; the list of keys is one */
#define EXACT_MAX   9007199254740992.0 /* 2^53: beyond, jq's numbers are not what the server wrote */

/* What is being read. */
struct reading {
	struct verdict *v;
	enum verdict_next next;
	char *text;
};

/* "page.next: " and why the value is none. Consumes `value`. */
static bool refuse(const struct reading *r, const char *where, jv value, const char *why)
{
	jv shown = jv_dump_string(value, 0);

	complain(r->text, "%s: %.*s %s", where, VALUE_SHOWN, jv_string_value(shown), why);
	jv_free(shown);
	return true;
}

static bool too_long(const struct reading *r, const char *where, size_t n, size_t most)
{
	char is[UNITS_TEXT_SIZE], may[UNITS_TEXT_SIZE];

	return complain(r->text, "%s: the value has %s, and %s at most can be used", where,
			units_format_bytes(is, (int64_t)n), units_format_bytes(may, (int64_t)most));
}

/* A text of its own of a jq string, which it consumes. */
static char *take_text(jv string)
{
	char *text = strdup(jv_string_value(string));

	if (!text)
		BUG("out of memory for a page");
	jv_free(string);
	return text;
}

/* ---- Counts ---- */

/* -1 for what says that nothing is known: null, and the negative numbers that some APIs have for it. False where it is
 * no count. */
static bool read_count(jv value, int64_t *count)
{
	jv_kind kind = jv_get_kind(value);
	double d = kind == JV_KIND_NUMBER ? jv_number_value(value) : -1;

	*count = -1;
	if (kind == JV_KIND_STRING) {
		*count = totals_count(jv_string_value(value), (size_t)jv_string_length_bytes(jv_copy(value)));
		return *count >= 0;
	}
	if (kind != JV_KIND_NUMBER)
		return kind == JV_KIND_NULL;
	if (d >= 0)
		*count = d <= EXACT_MAX ? (int64_t)d : -1;
	return d < 0 || (double)*count == d;
}

static bool take_count(const struct reading *r, const char *where, jv value, int64_t *count)
{
	if (!read_count(value, count))
		return refuse(r, where, value, "is no count");
	jv_free(value);
	return false;
}

static bool take_items(const struct reading *r, const char *where, jv value)
{
	return take_count(r, where, value, &r->v->page.items);
}

static bool take_total_pages(const struct reading *r, const char *where, jv value)
{
	return take_count(r, where, value, &r->v->page.total_pages);
}

static bool take_total_items(const struct reading *r, const char *where, jv value)
{
	return take_count(r, where, value, &r->v->page.total_items);
}

/* ---- Yes and no ---- */

/* 1, 0, -1 for null; -2 where it is none. Some APIs have numbers for it. */
static int read_bool(jv value)
{
	switch (jv_get_kind(value)) {
	case JV_KIND_TRUE:
		return 1;
	case JV_KIND_FALSE:
		return 0;
	case JV_KIND_NULL:
		return -1;
	case JV_KIND_NUMBER:
		return jv_number_value(value) != 0;
	default:
		return -2;
	}
}

static bool take_has_more(const struct reading *r, const char *where, jv value)
{
	int is = read_bool(value);

	if (is == -2)
		return refuse(r, where, value, "is neither true nor false");
	r->v->page.has_more = is;
	jv_free(value);
	return false;
}

static bool take_stop(const struct reading *r, const char *where, jv value)
{
	int is = read_bool(value);

	if (is == -2)
		return refuse(r, where, value, "is neither true nor false");
	r->v->page.stop = is == 1;
	jv_free(value);
	return false;
}

/* ---- The next page ---- */

/* A following page that was rounded to would be another one. */
static bool is_rounded(jv value)
{
	return jv_get_kind(value) == JV_KIND_NUMBER && fabs(jv_number_value(value)) > EXACT_MAX;
}

static bool take_next(const struct reading *r, const char *where, jv value)
{
	jv_kind kind = jv_get_kind(value);
	size_t n;

	if (kind == JV_KIND_NULL || kind == JV_KIND_FALSE) {
		jv_free(value);
		return false;
	}
	if (kind == JV_KIND_TRUE)
		return refuse(r, where, value, "does not say what is next");
	if (r->next == VERDICT_NEXT_URL && kind != JV_KIND_STRING)
		return refuse(r, where, value, "is no URL");
	if (is_rounded(value))
		return refuse(r, where, value, "is beyond 2^53 and not exactly what the server sent");
	value = kind == JV_KIND_STRING ? value : jv_dump_string(value, JV_PRINT_SORTED);
	n = (size_t)jv_string_length_bytes(jv_copy(value));
	if (n > MESSAGE_NEXT_MAX) {
		jv_free(value);
		return too_long(r, where, n, MESSAGE_NEXT_MAX);
	}
	if (strlen(jv_string_value(value)) != n)
		return refuse(r, where, value, "has a NUL inside");
	free(r->v->next);
	r->v->next = take_text(value);
	r->v->page.next = r->v->next;
	return false;
}

static bool take_since(const struct reading *r, const char *where, jv value)
{
	size_t n;

	if (jv_get_kind(value) == JV_KIND_NULL) {
		jv_free(value);
		return false;
	}
	value = jv_dump_string(value, JV_PRINT_SORTED);
	n = (size_t)jv_string_length_bytes(jv_copy(value));
	if (n > VERDICT_SINCE_MAX) {
		jv_free(value);
		return too_long(r, where, n, VERDICT_SINCE_MAX);
	}
	free(r->v->since);
	r->v->since = take_text(value);
	r->v->page.since = r->v->since;
	return false;
}

/* ---- Keys ---- */

/* Also within lists and objects. 2^53 itself may have been the number behind it. Consumes `value`. */
static bool has_rounded(jv value, unsigned depth)
{
	jv_kind kind = jv_get_kind(value);
	bool rounded = kind == JV_KIND_NUMBER && fabs(jv_number_value(value)) >= EXACT_MAX;

	if (depth > 0 && kind == JV_KIND_ARRAY) {
		jv_array_foreach(value, i, v) rounded = has_rounded(v, depth - 1) || rounded;
	} else if (depth > 0 && kind == JV_KIND_OBJECT) {
		jv_object_foreach(value, k, v)
		{
			jv_free(k);
			rounded = has_rounded(v, depth - 1) || rounded;
		}
	}
	jv_free(value);
	return rounded;
}

/* Sorted: the same object is the same key however the server writes it. Consumes `key`. */
static uint64_t hash_key(jv key)
{
	jv text = jv_dump_string(key, JV_PRINT_SORTED);
	uint64_t hash = XXH3_64bits(jv_string_value(text), (size_t)jv_string_length_bytes(jv_copy(text)));

	jv_free(text);
	return hash;
}

static bool take_keys(const struct reading *r, const char *where, jv value)
{
	struct verdict *v = r->v;
	size_t n;

	if (jv_get_kind(value) != JV_KIND_ARRAY)
		return refuse(r, where, value, "is no list of keys");
	n = (size_t)jv_array_length(jv_copy(value));
	if (n > MESSAGE_KEYS_MAX / sizeof *v->keys) {
		jv_free(value);
		return complain(r->text, "%s: the page has %zu items, and the keys of %zu at most are compared", where,
				n, MESSAGE_KEYS_MAX / sizeof *v->keys);
	}
	free(v->keys);
	v->keys = calloc(n ? n : 1, sizeof *v->keys);
	if (!v->keys)
		BUG("out of memory for %zu keys", n);
	for (size_t i = 0; i < n; i++)
		v->keys[i] = hash_key(jv_array_get(jv_copy(value), (int)i));
	/* What jq has rounded may be another's key by now: then none of this page is told (docs/PULLS.md). */
	v->page.keys = v->keys;
	v->page.keys_bytes = has_rounded(value, KEY_DEPTH) ? 0 : n * sizeof *v->keys;
	return false;
}

/* ---- All of it ---- */

/* The members of the object, and what recipes call them. Each consumes the value. */
static const struct {
	const char *member, *where;
	bool (*take)(const struct reading *r, const char *where, jv value);
} members[] = {
    {"items", "items", take_items},
    {"keys", "key", take_keys},
    {"next", "page.next", take_next},
    {"has_more", "page.has_more", take_has_more},
    {"stop", "page.stop", take_stop},
    {"total_pages", "page.total_pages", take_total_pages},
    {"total_items", "page.total_items", take_total_items},
    {"since", "since.from", take_since},
};

/* An invalid value where there is none. */
static jv get(jv object, const char *member)
{
	return jv_object_get(jv_copy(object), jv_string(member));
}

/* {"failed":"page.next","message":"…"} */
static bool tell_failure(const struct reading *r, jv said, jv failed)
{
	jv where = complaint_string(failed), message = get(said, "message");

	message = jv_is_valid(message) ? complaint_string(message) : (jv_free(message), jv_string("it failed"));
	complain(r->text, "%s: %s", jv_string_value(where), jv_string_value(message));
	jv_free(where);
	jv_free(message);
	return true;
}

static bool take_members(const struct reading *r, jv said)
{
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		jv value = get(said, members[i].member);

		if (!jv_is_valid(value)) {
			jv_free(value);
			continue;
		}
		if (members[i].take(r, members[i].where, value))
			return true;
	}
	return false;
}

static bool take_object(const struct reading *r, jv said)
{
	jv failed = get(said, "failed"), error;

	if (jv_is_valid(failed))
		return tell_failure(r, said, failed);
	jv_free(failed);
	error = get(said, "error");
	if (!jv_is_valid(error))
		jv_free(error);
	else if (complain_of(r->text, error, "the recipe's error holds for the response"))
		return true;
	return take_members(r, said);
}

bool verdict_take_body(struct verdict *v, jv said, enum verdict_next next, char *text)
{
	const struct reading r = {.v = v, .next = next, .text = text};
	bool is_error;

	if (jv_get_kind(said) != JV_KIND_OBJECT)
		return refuse(&r, "the recipe's program", said, "is not what it was to give");
	is_error = take_object(&r, said);
	jv_free(said);
	return is_error;
}
