/* Where a request stands among the items, what there is, and what comes after: the arithmetic of pages. Knows nothing
 * of how an answer looks. */
#define _GNU_SOURCE
#include <event2/http.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/apisim/dotted.h"
#include "tests/apisim/paged.h"

/* An empty page may be listed for ever; the arithmetic ends all the same. */
#define PAGES_MAX 1000000

/* ---- What a request says ---- */

char *paged_segment(char *path)
{
	char *name = strstr(path, "/pages/");
	char *tail = name ? strchr(name + strlen("/pages/"), '/') : NULL;
	char *last = tail ? strrchr(tail, '/') : NULL;

	return last > tail ? last : NULL;
}

/* In the raw target, because a cursor may hold an escaped slash. */
static char *path_segment(const struct request *req)
{
	char *path = strndup(req->target, strcspn(req->target, "?"));
	const char *last = paged_segment(path);
	char *out = last ? evhttp_uridecode(last + 1, 0, NULL) : NULL;

	free(path);
	return out;
}

static char *json_member(const struct request *req, const char *param)
{
	json_t *body = json_loadb(req->body, req->body_bytes, 0, NULL);
	const json_t *member = dotted_get(body, param);
	char *out = NULL;

	if (json_is_string(member))
		out = strdup(json_string_value(member));
	else if (json_is_integer(member) && asprintf(&out, "%" JSON_INTEGER_FORMAT, json_integer_value(member)) < 0)
		out = NULL;
	json_decref(body);
	return out;
}

static char *copy_or_null(const char *text)
{
	return text ? strdup(text) : NULL;
}

/* What it says by that name, for free(); NULL where it says nothing. */
static char *said(const struct paged *p, const struct request *req, const char *param)
{
	char *text = p->set.in == IN_JSON     ? json_member(req, param)
		     : p->set.in == IN_HEADER ? copy_or_null(request_header(req, param))
					      : copy_or_null(request_query(req, param));

	if (text && !*text) {
		free(text);
		text = NULL;
	}
	return text;
}

static char *said_position(const struct paged *p, const struct request *req)
{
	char *text;

	if (p->set.in != IN_PATH)
		return said(p, req, p->set.param);
	text = path_segment(req);
	if (text && *text)
		return text;
	free(text);
	return NULL;
}

static void refuse(struct paged_place *out, unsigned code, const char *why)
{
	out->wrong = why;
	out->wrong_code = code;
}

/* ---- Reading it ---- */

static bool read_whole(const char *text, int64_t *out)
{
	char *end;

	*out = strtoll(text, &end, 10);
	return end != text && !*end;
}

static void read_size(const struct paged *p, const struct request *req, struct paged_place *out)
{
	/* Never in the path or a header: it would be called like the position there. */
	char *text = p->set.in == IN_JSON ? json_member(req, p->set.size_param)
					  : copy_or_null(request_query(req, p->set.size_param));

	out->size = p->set.size;
	if (text && (!read_whole(text, &out->size) || out->size < 1))
		refuse(out, 400, "page size not valid");
	if (out->wrong || out->size < 1)
		out->size = 1;
	if (out->size > p->set.size_max)
		out->size = p->set.size_max;
	free(text);
}

/* Seconds since 1970, of RFC 3339 with Z or of a whole number; -1: neither. */
static int64_t read_time(const char *text)
{
	struct tm tm = {0};
	int64_t seconds;
	const char *end;

	if (read_whole(text, &seconds))
		return seconds;
	end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (end && *end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	return end && strcmp(end, "Z") == 0 ? timegm(&tm) : -1;
}

/* updated_at of item i is 2026-01-01 and i steps. */
static void read_since(const struct paged *p, const struct request *req, struct paged_place *out)
{
	char *text = said(p, req, p->set.since_param);
	const int64_t past_s = text ? read_time(text) - PAGED_EPOCH_S : 0;

	if (text && past_s < -PAGED_EPOCH_S)
		refuse(out, 400, "since not valid");
	out->low = past_s > 0 && p->set.step_s > 0 ? (past_s + p->set.step_s - 1) / p->set.step_s : 1;
	free(text);
}

static void read_keyset(const struct paged *p, struct paged_place *out, int64_t after)
{
	struct paged_view view;

	paged_look(p, out, &view);
	out->at = p->set.order == ORDER_NEWEST ? view.high - after + 1 : after - view.low + 1;
	if (out->at < 0)
		out->at = 0;
}

static void read_number(const struct paged *p, struct paged_place *out)
{
	int64_t number;

	if (!read_whole(out->position, &number) || number < p->set.start || number > INT32_MAX) {
		refuse(out, 400, "position not valid");
		return;
	}
	if (p->set.by == BY_KEYSET)
		read_keyset(p, out, number);
	else
		out->at = (number - p->set.start) * (p->set.by == BY_PAGE ? out->size : 1);
}

void paged_place_read(struct paged *p, const struct request *req, struct paged_place *out)
{
	*out = (struct paged_place){0};
	if (p->set.in == IN_JSON && strcmp(req->method, "POST") != 0)
		refuse(out, 405, "POST a JSON document");
	read_size(p, req, out);
	read_since(p, req, out);
	if (p->set.by != BY_NOTHING)
		out->position = said_position(p, req);
	if (out->position && p->set.by == BY_CURSOR) {
		out->at = paged_cursor_read(p, out->position);
		if (out->at < 0)
			refuse(out, 400, "cursor not valid");
	} else if (out->position) {
		read_number(p, out);
	}
	if (p->set.by == BY_NOTHING)
		out->size = paged_total(p) > 0 ? paged_total(p) : 1;
	out->page = out->wrong ? 0 : out->at / out->size + 1;
}

void paged_place_clear(struct paged_place *place)
{
	free(place->position);
}

/* ---- What there is ---- */

static int64_t sum_due(const struct paged *p, const struct option_pairs *steps)
{
	int64_t sum = 0;

	for (size_t i = 0; i < steps->count; i++)
		if (steps->pair[i].key <= p->served)
			sum += steps->pair[i].value;
	return sum;
}

int64_t paged_total(const struct paged *p)
{
	return p->set.items + sum_due(p, &p->set.grow);
}

/* Places are items then, and pages may begin anywhere; else they are slots of whole pages. */
static bool is_even(const struct paged *p)
{
	return p->set.empty.count == 0 && p->set.shorter.count == 0;
}

/* How many items that page holds when there are enough. */
static int64_t page_width(const struct paged *p, int64_t page, int64_t size)
{
	if (option_spans_have(&p->set.empty, page))
		return 0;
	return option_spans_have(&p->set.shorter, page) ? (size + 1) / 2 : size;
}

/* How many items come before that page. */
static int64_t items_before(const struct paged *p, int64_t page, int64_t size)
{
	int64_t sum = 0;

	if (is_even(p))
		return (page - 1) * size;
	for (int64_t i = 1; i < page && i < PAGES_MAX; i++)
		sum += page_width(p, i, size);
	return sum;
}

static int64_t count_pages(const struct paged *p, int64_t items, int64_t size)
{
	int64_t pages = 0, sum = 0;

	if (is_even(p))
		return (items + size - 1) / size;
	while ((sum < items || option_spans_have(&p->set.empty, pages + 1)) && pages < PAGES_MAX)
		sum += page_width(p, ++pages, size);
	return pages;
}

void paged_look(const struct paged *p, const struct paged_place *place, struct paged_view *out)
{
	const int64_t size = place->size, page = place->at / size + 1, gone = sum_due(p, &p->set.remove);
	int64_t room;

	out->high = paged_total(p);
	out->low = place->low > gone ? place->low : gone + 1;
	out->items = out->high >= out->low ? out->high - out->low + 1 : 0;
	out->pages = count_pages(p, out->items, size);
	out->end = is_even(p) ? out->items : out->pages * size;
	out->past = place->at >= out->end && place->at > 0;
	room = is_even(p) ? size : page_width(p, page, size) - place->at % size;
	out->from = items_before(p, page, size) + place->at % size;
	out->count = out->items - out->from < room ? out->items - out->from : room;
	if (out->count < 0 || out->past)
		out->count = 0;
}

/* ---- What comes after ---- */

int64_t paged_next_at(const struct paged *p, const struct paged_place *place, const struct paged_view *view)
{
	const int64_t page = place->at / place->size + 1;

	for (size_t i = 0; i < p->set.loop.count; i++)
		if (p->set.loop.pair[i].key == page)
			return (p->set.loop.pair[i].value - 1) * place->size;
	if (p->set.last == LAST_MORE)
		return view->past ? place->at : place->at + place->size;
	return place->at + place->size < view->end && p->set.by != BY_NOTHING ? place->at + place->size : -1;
}

int64_t paged_last_at(const struct paged_place *place, const struct paged_view *view)
{
	return view->pages > 0 ? (view->pages - 1) * place->size : 0;
}

char *paged_address(struct paged *p, const struct paged_place *place, int64_t at)
{
	char *out = NULL;

	if (p->set.by == BY_CURSOR)
		return paged_cursor_issue(p, at);
	if (asprintf(&out, "%" PRId64, p->set.start + (p->set.by == BY_PAGE ? at / place->size : at)) < 0)
		abort();
	return out;
}

int64_t paged_told_items(const struct paged_turn *t)
{
	const int64_t lie = t->paged->set.tell_items;

	return lie >= 0 ? lie : t->view.items;
}

int64_t paged_told_pages(const struct paged_turn *t)
{
	const int64_t lie = t->paged->set.tell_items;

	return lie >= 0 ? (lie + t->place.size - 1) / t->place.size : t->view.pages;
}
