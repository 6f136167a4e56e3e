/* A page's body: the items, and the envelope around them. Ten thousand items a page, many times a second: no printf in
 * the loop. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/apisim/dotted.h"
#include "tests/apisim/paged.h"

/* An item without its padding is smaller. */
#define ITEM_BYTES 192
#define DAY_S      86400

/* ---- Items ---- */

static char *put_text(char *at, const char *text)
{
	return stpcpy(at, text);
}

static char *put_number(char *at, int64_t number)
{
	char digits[24];
	size_t n = 0;

	do
		digits[n++] = (char)('0' + number % 10);
	while ((number /= 10) > 0);
	while (n > 0)
		*at++ = digits[--n];
	return at;
}

static char *put_two(char *at, int64_t number)
{
	*at++ = (char)('0' + number / 10);
	*at++ = (char)('0' + number % 10);
	return at;
}

/* The calendar is asked once a day. */
static char *put_time(char *at, int64_t seconds)
{
	static char day[16];
	static int64_t day_number = -1;
	const int64_t s = seconds % DAY_S;

	if (seconds / DAY_S != day_number) {
		const time_t when = (time_t)seconds;
		struct tm tm;

		strftime(day, sizeof day, "%Y-%m-%dT", gmtime_r(&when, &tm));
		day_number = seconds / DAY_S;
	}
	at = put_two(put_text(at, day), s / 3600);
	*at++ = ':';
	at = put_two(at, s / 60 % 60);
	*at++ = ':';
	at = put_two(at, s % 60);
	*at++ = 'Z';
	return at;
}

#define PAD_OPEN  ",\"pad\":\""
#define PAD_CLOSE "\"}"

static char *put_item(char *at, const struct paged *p, int64_t id, int64_t changed)
{
	char *const begin = at;
	int64_t pad;

	at = put_text(put_text(put_text(at, "{\""), p->set.id_member), "\":");
	at = put_number(at, id);
	at = put_number(put_text(at, ",\"name\":\"item "), id);
	at = put_time(put_text(at, "\",\"updated_at\":\""), PAGED_EPOCH_S + id * p->set.step_s);
	at = put_number(put_text(at, "\",\"changed\":"), changed);
	pad = p->set.item_bytes - (at - begin) - (int64_t)strlen(PAD_OPEN PAD_CLOSE);
	if (pad < 0) {
		*at++ = '}';
		return at;
	}
	at = put_text(at, PAD_OPEN);
	memset(at, 'x', (size_t)pad);
	return put_text(at + pad, PAD_CLOSE);
}

/* The array of a page's items; `room` bytes are left free before it and behind it. */
static char *make_items(const struct paged_turn *t, size_t room, size_t *bytes)
{
	const struct paged *p = t->paged;
	const struct paged_view *v = &t->view;
	const size_t least = ITEM_BYTES + strlen(p->set.id_member);
	const size_t each = (size_t)p->set.item_bytes > least ? (size_t)p->set.item_bytes : least;
	const int64_t changed = paged_record_changed(p, t->place.page);
	char *out = malloc(2 * room + (size_t)v->count * (each + 1) + 8), *at = out + room;

	*at++ = '[';
	for (int64_t i = 0; i < v->count; i++) {
		if (i > 0)
			*at++ = ',';
		at = put_item(at, p, p->set.order == ORDER_NEWEST ? v->high - v->from - i : v->low + v->from + i,
			      changed);
	}
	*at++ = ']';
	*bytes = (size_t)(at - out) - room;
	return out;
}

/* ---- The envelope ---- */

static json_t *next_value(const struct request *req, struct paged_turn *t, int64_t at)
{
	struct paged *p = t->paged;
	char *text =
	    p->set.style == PAGED_CURSOR ? paged_address(p, &t->place, at) : paged_url(p, req, &t->place, at, true);
	json_t *value = p->set.style == PAGED_CURSOR && p->set.cursor_form == FORM_NUMBER
			    ? json_integer(strtoll(text, NULL, 10))
			    : json_string(text);

	free(text);
	return value;
}

static void add_next(const struct request *req, struct paged_turn *t, json_t *envelope)
{
	const struct paged_options *set = &t->paged->set;
	const int64_t at = paged_next_at(t->paged, &t->place, &t->view);

	if (at >= 0)
		dotted_set(envelope, set->next_member, next_value(req, t, at));
	else if (set->last == LAST_NULL)
		dotted_set(envelope, set->next_member, json_null());
	else if (set->last == LAST_EMPTY)
		dotted_set(envelope, set->next_member, json_string(""));
}

/* Stands for the items until the envelope is text. */
#define ITEMS_HERE "\"@items@\""

static char *make_envelope(const struct request *req, struct paged_turn *t)
{
	const struct paged_options *set = &t->paged->set;
	json_t *envelope = json_object();
	char *text;

	if (!t->view.past || strcmp(set->end, "absent") != 0)
		dotted_set(envelope, set->items_member,
			   t->view.past && strcmp(set->end, "null") == 0 ? json_null() : json_string("@items@"));
	if (set->totals & TOTAL_ITEMS)
		dotted_set(envelope, set->total_member, json_integer(paged_told_items(t)));
	if (set->totals & TOTAL_PAGES)
		dotted_set(envelope, set->pages_member, json_integer(paged_told_pages(t)));
	if (set->has_more)
		dotted_set(envelope, set->more_member, json_boolean(paged_next_at(t->paged, &t->place, &t->view) >= 0));
	if (set->next_member[0])
		add_next(req, t, envelope);
	text = json_dumps(envelope, JSON_COMPACT | JSON_ENSURE_ASCII);
	json_decref(envelope);
	return text;
}

char *paged_body(const struct request *req, struct paged_turn *t, size_t *bytes)
{
	const bool bare = strcmp(t->paged->set.items_member, "-") == 0;
	char *envelope = bare ? strdup(ITEMS_HERE) : make_envelope(req, t);
	const char *here = strstr(envelope, ITEMS_HERE);
	const size_t room = strlen(envelope);
	size_t before, behind;
	char *out;

	if (!here) {
		*bytes = room;
		return envelope;
	}
	before = (size_t)(here - envelope);
	behind = room - before - strlen(ITEMS_HERE);
	out = make_items(t, room, bytes);
	memmove(out + before, out + room, *bytes);
	memcpy(out, envelope, before);
	memcpy(out + before + *bytes, here + strlen(ITEMS_HERE), behind);
	*bytes += before + behind;
	free(envelope);
	return out;
}
