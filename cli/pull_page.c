/* Lines of "what: value". */
#include "cli/pull_page.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/since.h"

#define TOKEN_SIZE 64

static bool is_numbered(const struct recipe *r)
{
	return r->page.type == PAGE_NUMBER || r->page.type == PAGE_OFFSET;
}

const char *pull_first_token(const struct recipe *r, char *out)
{
	if (!is_numbered(r))
		return r->page.start_text ? r->page.start_text : "";
	snprintf(out, TOKEN_SIZE, "%" PRId64, r->page.start);
	return out;
}

/* ---- requests ---- */

static void add_shown_line(struct text *out, const char *line, size_t n)
{
	char *copy = strndup(line, n);

	if (!copy)
		BUG("out of memory");
	text_add_shown(out, copy, 0);
	text_add_char(out, '\n');
	free(copy);
}

void pull_add_request(struct text *out, const struct recipe *r, const struct recipe_request *q)
{
	text_printf(out, "%s ", r->method);
	add_shown_line(out, q->url, strlen(q->url));
	for (const char *line = q->headers; *line;) {
		size_t n = strcspn(line, "\n");

		add_shown_line(out, line, n);
		line += n + (line[n] == '\n');
	}
	if (!q->body)
		return;
	text_add_char(out, '\n');
	add_shown_line(out, q->body, strlen(q->body));
}

/* ---- the end ---- */

static bool ends_by_status(const struct recipe *r, int status)
{
	for (unsigned i = 0; i < r->page.stop_status_count; i++)
		if (r->page.stop_status[i] == status)
			return true;
	return false;
}

/* In the words of the run that asked for it; NULL: it would go on. */
static const char *reason_told(const char *stop_reason)
{
	static const struct {
		const char *reason, *words;
	} told[] = {
	    {"single", "it is the only page"},
	    {"total", "there is one page in all"},
	    {"no_next", "there is no next"},
	    {"has_more", "has_more is false"},
	    {"stop", "page.stop holds"},
	    {"empty", "it is empty"},
	    {"short", "it is short"},
	    {"status", "its status is behind the end"},
	    {"failed", "the page could not be had"},
	};

	for (size_t i = 0; i < sizeof told / sizeof *told; i++)
		if (strcmp(stop_reason, told[i].reason) == 0)
			return told[i].words;
	return NULL;
}

/* Why nothing follows this page; NULL: something does. By this page alone: docs/PULLS.md has what a run goes by. */
static const char *end_reason(const struct recipe *r, const struct pull_said *s)
{
	bool short_page = r->page.stop_short && s->items >= 0 && s->items < r->page.size;
	int64_t pages = s->total_pages;

	if (pages < 0 && s->total_items >= 0 && r->page.size)
		pages = (s->total_items + r->page.size - 1) / r->page.size;
	if (r->page.type == PAGE_SINGLE)
		return "it is the only page";
	if (s->stop)
		return "page.stop holds";
	if (s->has_more == 0)
		return "has_more is false";
	if (!is_numbered(r))
		return *s->next ? NULL : "there is no next";
	if (pages >= 0)
		return pages <= 1 ? "there is one page in all" : NULL;
	if (s->items == 0 && r->page.stop_empty == 1)
		return "it is empty";
	return short_page ? "it is short" : NULL;
}

static void add_word(struct text *out, const char *what, const char *word)
{
	if (!*word)
		return;
	text_printf(out, "%s: ", what);
	add_shown_line(out, word, strlen(word));
}

static void add_next_request(struct text *out, const struct recipe *r, const struct recipe_page *page,
			     const struct pull_said *s)
{
	int64_t step = r->page.type == PAGE_NUMBER ? 1 : r->page.size ? r->page.size : s->items;
	struct recipe_page next = *page;
	struct recipe_request q;
	char token[TOKEN_SIZE];
	struct err e;

	next.token = s->next;
	if (is_numbered(r)) {
		snprintf(token, sizeof token, "%" PRId64, (int64_t)strtoll(page->token, NULL, 10) + step);
		next.token = token;
	}
	if (recipe_request(r, &next, &q, &e) < 0) {
		text_add_str(out, "asked next: it cannot be asked for: ");
		add_shown_line(out, e.what, strlen(e.what));
		return;
	}
	text_add_str(out, "asked next: ");
	pull_add_request(out, r, &q);
	recipe_request_clear(&q);
}

/* What a total means for a run, which does not go from page to page. An API may cap the size that was asked for. */
static void add_ahead(struct text *out, const struct recipe *r, const struct pull_said *s)
{
	int64_t size = r->page.size, pages = s->total_pages;

	if (s->items > 0 && (!size || (s->items < size && s->items < s->total_items)))
		size = s->items;
	if (pages < 0 && s->total_items >= 0 && size)
		pages = (s->total_items + size - 1) / size;
	if (is_numbered(r) && r->page.start <= 1 && pages > 2)
		text_printf(out, "by its total: %" PRId64 " pages, asked for side by side as limits allow\n", pages);
}

static void add_next(struct text *out, const struct recipe *r, const struct recipe_page *page,
		     const struct pull_said *s)
{
	const char *end = s->stop_reason ? reason_told(s->stop_reason) : end_reason(r, s);

	if (s->guard && *s->guard)
		add_word(out, "asked next: nothing, for a run would fail", s->guard);
	else if (end)
		text_printf(out, "asked next: nothing, for %s\n", end);
	else
		add_next_request(out, r, page, s), add_ahead(out, r, s);
}

/* ---- what it says ---- */

static void add_number(struct text *out, const char *what, int64_t n)
{
	if (n >= 0)
		text_printf(out, "%s: %" PRId64 "\n", what, n);
}

/* Pretty, and line by line, for what is in it came from a server. */
static void add_item(struct text *out, jv item)
{
	jv dumped = jv_dump_string(item, JV_PRINT_PRETTY | JV_PRINT_INDENT_FLAGS(2));
	const char *line = jv_string_value(dumped);

	text_add_str(out, "first item:\n");
	while (*line) {
		size_t n = strcspn(line, "\n");

		text_add_str(out, "  ");
		add_shown_line(out, line, n);
		line += n + (line[n] == '\n');
	}
	jv_free(dumped);
}

/* Consumes the key. */
static void add_key(struct text *out, const char *what, jv key)
{
	jv dumped;

	if (!jv_is_valid(key)) {
		jv_free(key);
		return;
	}
	dumped = jv_dump_string(key, 0);
	add_word(out, what, jv_string_value(dumped));
	jv_free(dumped);
}

static void add_keys(struct text *out, const struct recipe *r, struct pull_keys *keys)
{
	bool keyed = jv_is_valid(keys->first);

	add_key(out, "key of the first item", keys->first);
	add_key(out, "key of the last item", keys->last);
	if (keyed && r->expr[RECIPE_KEY].text)
		add_number(out, "items without a key", keys->missing);
}

/* The greatest on the page, and what the next run would send if it were the greatest of all. */
static void add_since(struct text *out, const struct recipe *r, const struct pull_said *s)
{
	char *before;

	add_word(out, "since", s->since);
	if (r->since.used && !*s->since)
		text_add_str(out, "since: since.from found nothing in the items\n");
	if (!*s->since || !r->since.overlap_us)
		return;
	before = since_before(s->since, r->since.overlap_us, NULL);
	add_word(out, "since, less the overlap", before ? before : "it is no time that one can be taken from");
	free(before);
}

void pull_add_said(struct text *out, const struct recipe *r, const struct recipe_page *page, const struct pull_said *s,
		   jv first_item, struct pull_keys *keys)
{
	add_number(out, "status", s->status);
	if (s->error)
		add_word(out, "error", *s->error ? s->error : "yes");
	if (ends_by_status(r, s->status))
		text_printf(out, "past the end: %d is in page.stop_status, which the first page may not have\n",
			    s->status);
	if (s->error || ends_by_status(r, s->status)) {
		jv_free(first_item);
		jv_free(keys->first);
		jv_free(keys->last);
		return;
	}
	add_number(out, "items", s->items);
	if (jv_is_valid(first_item))
		add_item(out, first_item);
	else
		jv_free(first_item);
	add_keys(out, r, keys);
	add_word(out, "next", s->next);
	if (s->has_more >= 0)
		text_printf(out, "has_more: %s\n", s->has_more ? "true" : "false");
	if (r->expr[RECIPE_STOP].text)
		text_printf(out, "stop: %s\n", s->stop ? "true" : "false");
	add_number(out, "total pages", s->total_pages);
	add_number(out, "total items", s->total_items);
	add_since(out, r, s);
	add_next(out, r, page, s);
}
