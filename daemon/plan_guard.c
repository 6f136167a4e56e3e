/* What follows a page of a followed run, and what must not: a circle, another origin, the same body again. Says why in
 * a sentence for people, who count pages from 1. It must not know of ends but that there is one. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "daemon/plan_private.h"
#include "lib/err.h"
#include "lib/url.h"

static uint64_t token_of(const void *pages, uint32_t index)
{
	return ((const struct plan_page *)pages)[index].token;
}

static uint64_t body_of(const void *pages, uint32_t index)
{
	return ((const struct plan_page *)pages)[index].body;
}

/* ---- tokens ---- */

/* FNV-1a, and a finish that spreads it (MurmurHash3's). An offset is its own hash. */
uint64_t plan_token_hash(const struct plan *p, const char *token)
{
	uint64_t h = 0xcbf29ce484222325u;

	if (p->rules.offset)
		return (uint64_t)strtoll(token, NULL, 10);
	for (; *token; token++)
		h = (h ^ (unsigned char)*token) * 0x100000001b3u;
	h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
	h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
	return h ^ h >> 33;
}

void plan_token_note(struct plan *p, uint32_t index, const char *token)
{
	struct plan_page *page = &p->pages[index];

	if (page->has_token)
		return;
	page->token = plan_token_hash(p, token);
	page->has_token = true;
	plan_index_put(&p->tokens, index, token_of, p->pages);
}

/* ---- bodies ---- */

void plan_body_note(struct plan *p, uint32_t index)
{
	uint32_t repeat;

	if (p->pages[index].body == 0)
		return;
	repeat = plan_index_put(&p->bodies, index, body_of, p->pages);
	if (repeat < p->repeat)
		p->repeat = repeat;
}

uint32_t plan_body_first(const struct plan *p, uint32_t index)
{
	uint64_t body = p->pages[index].body;

	return body ? plan_index_find(&p->bodies, body, body_of, p->pages) : index;
}

/* ---- next ---- */

static bool is_https(const char *url)
{
	return strncasecmp(url, "https:", 6) == 0;
}

/* Why a URL that page `index` gave must not be asked for, in `why`; "". */
static void check_origin(const struct plan *p, uint32_t index, const struct plan_seen *seen, char *why)
{
	char from[URL_KEY_SIZE], to[URL_KEY_SIZE];
	struct err e;
	bool down;

	if (url_key(seen->next, to, &e) < 0) {
		snprintf(why, PLAN_GUARD_MAX, "page %u leads to what cannot be fetched: %.250s", plan_human(index),
			 e.what);
		return;
	}
	if (!seen->url || url_key(seen->url, from, NULL) < 0)
		return;
	down = is_https(seen->url) && !is_https(seen->next);
	if (down)
		snprintf(why, PLAN_GUARD_MAX, "page %u leads from https down to http (at %.200s)", plan_human(index),
			 to);
	else if (p->rules.same_origin && (strcmp(from, to) != 0 || is_https(seen->url) != is_https(seen->next)))
		snprintf(why, PLAN_GUARD_MAX, "page %u leads to another origin: from %s%.100s to %s%.100s",
			 plan_human(index), is_https(seen->url) ? "https://" : "http://", from,
			 is_https(seen->next) ? "https://" : "http://", to);
}

void plan_next_note(struct plan *p, uint32_t index, const struct plan_seen *seen)
{
	struct plan_next *n = &p->next;

	if (!plan_is_followed(p) || p->rules.offset || (n->of != PLAN_NONE && index < n->of))
		return;
	free(n->token);
	*n = (struct plan_next){.of = index};
	if (seen->result != PLAN_OK || !seen->next || !*seen->next)
		return;
	n->token = strdup(seen->next);
	if (!n->token)
		BUG("out of memory for a token of %zu bytes", strlen(seen->next));
	if (seen->next_is_url)
		check_origin(p, index, seen, n->refused);
}

/* Offsets of unknown step: the next one is behind the items of the last page. -1: none is. */
static int64_t offset_next(const struct plan *p)
{
	const struct plan_page *last = &p->pages[p->count - 1];
	int64_t at = (int64_t)last->token;

	if (last->items == 0 || last->items == PLAN_NOT_COUNTED || at < 0 || at > INT64_MAX - last->items)
		return -1;
	return at + last->items;
}

bool plan_offset_reached(const struct plan *p)
{
	return p->rules.offset && p->most_items >= 0 && p->pages[p->count - 1].has_more != 1 &&
	       offset_next(p) >= p->most_items;
}

bool plan_next_said(const struct plan *p)
{
	const struct plan_page *last = &p->pages[p->count - 1];

	if (p->rules.offset) /* not counted: it goes on, but nobody knows where: a guard */
		return last->items == PLAN_NOT_COUNTED || (offset_next(p) >= 0 && !plan_offset_reached(p));
	return p->next.of == p->count - 1 && p->next.token;
}

const char *plan_next_token(struct plan *p)
{
	if (!p->rules.offset)
		return p->next.token;
	snprintf(p->offset, sizeof(p->offset), "%" PRId64, offset_next(p));
	return p->offset;
}

/* ---- guards ---- */

static const char *guard_body(struct plan *p)
{
	snprintf(
	    p->guard, sizeof(p->guard),
	    "page %u has the body of page %u: does the API know the parameter that names the page? (One that repeats "
	    "its last page needs a total, has_more or stop in the recipe)",
	    plan_human(p->repeat), plan_human(plan_body_first(p, p->repeat)));
	return p->guard;
}

static const char *guard_circle(struct plan *p, uint32_t before)
{
	char why[60] = "the pages lead in a circle";

	if (before == p->count - 1)
		snprintf(why, sizeof(why), "page %u names itself as the next", plan_human(before));
	snprintf(p->guard, sizeof(p->guard), "page %u is page %u again: %s", plan_human(p->count), plan_human(before),
		 why);
	return p->guard;
}

static const char *guard_next(struct plan *p)
{
	uint32_t before;

	if (p->rules.offset && p->pages[p->count - 1].items == PLAN_NOT_COUNTED) {
		snprintf(p->guard, sizeof(p->guard),
			 "how far to go on from page %u is not known: the recipe has neither page.size nor items",
			 plan_human(p->count - 1));
		return p->guard;
	}
	if (!p->rules.offset && p->next.refused[0]) {
		snprintf(p->guard, sizeof(p->guard), "%s", p->next.refused);
		return p->guard;
	}
	before = plan_index_find(&p->tokens, plan_token_hash(p, plan_next_token(p)), token_of, p->pages);
	return before == PLAN_NONE ? NULL : guard_circle(p, before);
}

const char *plan_guard_find(struct plan *p, const struct plan_end *end)
{
	if (p->repeat < end->at)
		return guard_body(p);
	return plan_next_pending(p, end) ? guard_next(p) : NULL;
}

bool plan_next_pending(const struct plan *p, const struct plan_end *end)
{
	return plan_is_followed(p) && p->count > 0 && end->at == PLAN_NONE && p->pages[p->count - 1].state == PAGE_OK &&
	       plan_next_said(p);
}
