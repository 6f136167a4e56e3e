/* Heads. What they tell of totals is in totals.c. */
#include "lib/verdict.h"

#include <stdlib.h>
#include <string.h>

#include "lib/complaint.h"
#include "lib/head.h"
#include "lib/link.h"
#include "lib/totals.h"

void verdict_begin(struct verdict *v)
{
	*v = (struct verdict){.page = {.items = -1,
				       .next = "",
				       .has_more = -1,
				       .total_pages = -1,
				       .total_items = -1,
				       .since = "",
				       .etag = "",
				       .last_modified = ""}};
}

void verdict_clear(struct verdict *v)
{
	free(v->next);
	free(v->since);
	free(v->keys);
	verdict_begin(v);
}

/* ---- The next page ---- */

static void set_next_url(struct verdict *v, char *url)
{
	free(v->next);
	v->next = url;
	v->page.next = url ? url : "";
	v->page.next_is_url = url != NULL;
}

static bool take_link(struct verdict *v, const struct verdict_head *h, char *text)
{
	char *url = NULL;
	struct err e;
	int rc = link_find_next(h->head, h->url, &url, &e);

	if (rc == -2)
		return complain(text, "the Link header cannot be understood: %s", e.what);
	if (rc < 0)
		return complain(text, "Link rel=next leads nowhere: %s", e.what);
	set_next_url(v, url);
	return false;
}

static bool make_absolute(struct verdict *v, const struct verdict_head *h, char *text)
{
	struct err e;
	char *url;

	if (!v->page.next[0])
		return false;
	url = link_resolve(h->url, v->page.next, strlen(v->page.next), &e);
	if (!url)
		return complain(text, "page.next leads nowhere: %s", e.what);
	set_next_url(v, url);
	return false;
}

/* ---- Validators ---- */

/* Where it cannot be sent as it came it cannot be sent at all. */
static const char *take_validator(const char *head, const char *name, char *out)
{
	struct head_value v;

	out[0] = '\0';
	if (!head_only(head, name, &v) || v.n > VERDICT_VALIDATOR_MAX)
		return out;
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < ' ' || v.p[i] > '~')
			return out;
	memcpy(out, v.p, v.n);
	out[v.n] = '\0';
	return out;
}

bool verdict_take_head(struct verdict *v, const struct verdict_head *h, char *text)
{
	if (h->next == VERDICT_NEXT_LINK && take_link(v, h, text))
		return true;
	if (h->next == VERDICT_NEXT_URL && make_absolute(v, h, text))
		return true;
	if (v->page.total_pages < 0)
		v->page.total_pages = totals_pages(h->head, h->url, h->param, h->start);
	if (v->page.total_items < 0)
		v->page.total_items = totals_items(h->head);
	v->page.etag = take_validator(h->head, "ETag", v->etag);
	v->page.last_modified = take_validator(h->head, "Last-Modified", v->last_modified);
	return false;
}
