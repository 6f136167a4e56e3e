/* What a paginated API has seen: every request, in order of arrival; and which of its pages were changed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/apisim/paged.h"

/* ---- Requests ---- */

void paged_record_begin(struct paged *p, const struct request *req, struct paged_turn *t)
{
	if (p->count == p->room) {
		p->room = p->room ? 2 * p->room : 256;
		p->seen = realloc(p->seen, p->room * sizeof *p->seen);
	}
	t->hit = p->count++;
	t->generation = p->generation;
	p->seen[t->hit] = (struct paged_hit){.arrived_us = req->arrived_us, .page = t->place.page};
	p->seen[t->hit].target = strdup(req->target);
	p->seen[t->hit].position = t->place.position ? strdup(t->place.position) : NULL;
	if (++p->open > p->peak)
		p->peak = p->open;
}

void paged_record_end(const struct paged_turn *t, bool answered)
{
	struct paged *p = t->paged;
	struct paged_hit *hit;

	if (t->generation != p->generation)
		return;
	p->open--;
	if (!answered)
		return;
	hit = &p->seen[t->hit];
	hit->answered_us = server_now_us();
	hit->status = t->status;
	hit->items = t->status == 200 ? t->view.count : 0;
}

void paged_record_forget(struct paged *p)
{
	for (size_t i = 0; i < p->count; i++) {
		free(p->seen[i].target);
		free(p->seen[i].position);
	}
	p->count = 0;
	p->served = p->open = p->peak = 0;
	p->generation++;
}

int64_t paged_record_requests(const struct paged *p, int64_t page)
{
	int64_t n = 0;

	for (size_t i = 0; i < p->count; i++)
		n += p->seen[i].page == page;
	return n;
}

/* ---- Changes ---- */

static void change_page(struct paged *p, int64_t page)
{
	const size_t room = (size_t)page * 2;

	if ((size_t)page > p->changed_room) {
		p->changed = realloc(p->changed, room * sizeof *p->changed);
		memset(p->changed + p->changed_room, 0, (room - p->changed_room) * sizeof *p->changed);
		p->changed_room = room;
	}
	p->changed[page - 1] = p->tick;
}

void paged_record_change(struct paged *p, const struct option_spans *pages)
{
	const int64_t last = paged_total(p) / p->set.size + 1; /* "*" ends there */

	if (pages->count == 0)
		return;
	p->tick++;
	for (int64_t page = 1; page <= last; page++)
		if (option_spans_have(pages, page))
			change_page(p, page);
}

void paged_record_unchange(struct paged *p)
{
	free(p->changed);
	p->changed = NULL;
	p->changed_room = 0;
	p->tick = 0;
}

int64_t paged_record_changed(const struct paged *p, int64_t page)
{
	return page > 0 && (size_t)page <= p->changed_room ? p->changed[page - 1] : 0;
}

/* ---- For tests ---- */

static json_t *status_of(const struct paged_hit *hit)
{
	return hit->status ? json_integer(hit->status) : json_null();
}

/* {"3": [503, 200], ...}: what the requests for a page got, in order of arrival. */
static json_t *by_page(const struct paged *p)
{
	json_t *out = json_object();

	for (size_t i = 0; i < p->count; i++) {
		char key[24];
		json_t *list;

		snprintf(key, sizeof key, "%" PRId64, p->seen[i].page);
		list = json_object_get(out, key);
		if (!list) {
			list = json_array();
			json_object_set_new(out, key, list);
		}
		json_array_append_new(list, status_of(&p->seen[i]));
	}
	return out;
}

static json_t *list_hits(const struct paged *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->count; i++) {
		const struct paged_hit *h = &p->seen[i];

		json_array_append_new(list,
				      json_pack("{sI so sI ss? ss sI sI}", "page", (json_int_t)h->page, "status",
						status_of(h), "items", (json_int_t)h->items, "position", h->position,
						"target", h->target, "arrived_us", (json_int_t)h->arrived_us,
						"answered_us", (json_int_t)h->answered_us));
	}
	return list;
}

json_t *paged_statistics(const struct paged *p, bool list)
{
	const struct paged_place first = {.size = p->set.size, .low = 1};
	struct paged_view view;
	json_t *out;

	paged_look(p, &first, &view);
	out = json_pack("{ss ss sI sI sI sI sI sI so}", "name", p->name, "style", paged_style_words[p->set.style],
			"items", (json_int_t)view.items, "pages",
			(json_int_t)(p->set.style == PAGED_SINGLE ? 1 : view.pages), "requests", (json_int_t)p->count,
			"served", (json_int_t)p->served, "open", (json_int_t)p->open, "peak", (json_int_t)p->peak,
			"by_page", by_page(p));
	if (list)
		json_object_set_new(out, "list", list_hits(p));
	return out;
}
