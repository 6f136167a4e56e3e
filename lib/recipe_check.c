/* What does not go together in a recipe, and what follows from what is not written. Each kind of page has its row:
 * which keys mean something with it. */
#include <stdlib.h>
#include <string.h>

#include "lib/recipe_private.h"
#include "lib/since.h"
#include "lib/url.h"

const config_setting_t *recipe_setting(const struct recipe_reader *rd, const char *group, const char *name)
{
	config_setting_t *s = NULL;

	if (!group)
		return config_setting_get_member(rd->root, name);
	s = config_setting_get_member(rd->root, group);
	if (!s || !name)
		return s;
	return config_setting_is_group(s) ? config_setting_get_member(s, name) : NULL;
}

bool recipe_is_typed(const struct recipe_reader *rd)
{
	const config_setting_t *page = recipe_setting(rd, NULL, "page");

	return page ? recipe_setting(rd, "page", "type") && !recipe_spoilt(rd, "page", "type")
		    : !recipe_spoilt(rd, NULL, "page");
}

unsigned recipe_line(const struct recipe_reader *rd, const char *group, const char *name)
{
	const config_setting_t *s = recipe_setting(rd, group, name);

	if (!s && group)
		s = recipe_setting(rd, NULL, group);
	return s && config_setting_source_line(s) ? config_setting_source_line(s) : 1;
}

/* ---- which keys mean something with which type ---- */

#define T(type)  (1u << PAGE_##type)
#define NUMBERED (T(NUMBER) | T(OFFSET))
#define ASKED    (NUMBERED | T(CURSOR) | T(KEYSET)) /* fanout makes the request of the next page */
#define PAGED    (ASKED | T(LINK) | T(NEXT_URL))

static const struct {
	const char *key;
	unsigned types;
} meanings[] = {
    {"param", ASKED},       {"in", ASKED},         {"start", ASKED},
    {"size", PAGED},        {"size_param", PAGED}, {"next", T(CURSOR) | T(NEXT_URL) | T(KEYSET)},
    {"has_more", PAGED},    {"stop", PAGED},       {"stop_status", PAGED},
    {"stop_empty", PAGED},  {"stop_short", PAGED}, {"total_pages", PAGED},
    {"total_items", ~0u},   {"window", ~0u},       {"max_pages", PAGED},
    {"same_origin", PAGED}, {"type", ~0u},
};

static int check_meanings(const struct recipe_reader *rd)
{
	const struct recipe *r = rd->r;
	int rc = 0;

	for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++)
		if (!(meanings[i].types & 1u << r->page.type) && recipe_setting(rd, "page", meanings[i].key))
			rc = recipe_refuse(rd, recipe_line(rd, "page", meanings[i].key), NULL,
					   "page.%s means nothing with page.type = \"%s\"", meanings[i].key,
					   page_type_name(r->page.type));
	return rc;
}

/* ---- pages ---- */

static int missing(const struct recipe_reader *rd, const char *group, const char *key, const char *why)
{
	return recipe_refuse(rd, recipe_line(rd, group, key), NULL, "%s%s%s is missing: %s", group ? group : "",
			     group ? "." : "", key, why);
}

static int check_next(const struct recipe_reader *rd)
{
	const struct recipe *r = rd->r;

	if (r->expr[RECIPE_NEXT].text || recipe_spoilt(rd, "page", "next"))
		return 0;
	if (r->page.type == PAGE_CURSOR)
		return missing(rd, "page", "next", "the jq expression of the next page's cursor, as in \".meta.next\"");
	if (r->page.type == PAGE_NEXT_URL)
		return missing(rd, "page", "next", "the jq expression of the next page's URL, as in \".links.next\"");
	if (r->page.type == PAGE_KEYSET && !r->expr[RECIPE_KEY].text && !recipe_spoilt(rd, NULL, "key"))
		return missing(rd, "page", "next", "it, or key, tells what the next page begins behind");
	return 0;
}

static int check_size(const struct recipe_reader *rd)
{
	const struct recipe *r = rd->r;
	int rc = 0;

	if (r->page.size || recipe_spoilt(rd, "page", "size"))
		return 0;
	if (r->page.type == PAGE_OFFSET)
		return missing(rd, "page", "size", "from one page to the next the offset grows by it");
	if (r->page.stop_short)
		rc = recipe_refuse(rd, recipe_line(rd, "page", "stop_short"), NULL,
				   "page.stop_short needs page.size: how many items a whole page has");
	if (r->page.size_param)
		rc = recipe_refuse(rd, recipe_line(rd, "page", "size_param"), NULL,
				   "page.size_param needs page.size, the value to send");
	return rc;
}

/* start_text is what was written, whatever it is. */
static int check_start(const struct recipe_reader *rd)
{
	struct recipe *r = rd->r;
	bool numbered = 1u << r->page.type & NUMBERED;

	if (!numbered) {
		r->page.start = 0;
		return 0;
	}
	if (!r->page.start_text || recipe_spoilt(rd, "page", "start"))
		r->page.start = r->page.type == PAGE_NUMBER;
	else if (!r->store->start_is_number || r->page.start < 0 || r->page.start > INT64_C(1) << 53)
		return recipe_refuse(rd, recipe_line(rd, "page", "start"), NULL,
				     "page.start has to be a whole number from 0 on with page.type = \"%s\"",
				     page_type_name(r->page.type));
	r->page.start_text = NULL;
	return 0;
}

static int check_pages(const struct recipe_reader *rd)
{
	struct recipe *r = rd->r;
	const config_setting_t *page = recipe_setting(rd, NULL, "page");
	bool numbered = 1u << r->page.type & NUMBERED;
	int rc;

	if (page && config_setting_is_group(page) && !recipe_setting(rd, "page", "type") &&
	    !recipe_spoilt(rd, "page", "type"))
		return missing(rd, "page", "type", "single, page, offset, cursor, link, next_url or keyset");
	if (!recipe_is_typed(rd))
		return -1;
	rc = check_meanings(rd) | check_next(rd) | check_size(rd) | check_start(rd);
	if (r->page.window > 1 && !numbered)
		rc = recipe_refuse(rd, recipe_line(rd, "page", "window"), NULL,
				   "page.window = %u: with page.type = \"%s\" pages can only be asked for one by one",
				   r->page.window, page_type_name(r->page.type));
	if (!r->store->stop_empty_given)
		r->page.stop_empty = numbered;
	return rc;
}

/* ---- the rest ---- */

static int check_since(const struct recipe_reader *rd)
{
	const struct recipe *r = rd->r;
	char *before;

	int rc = 0;

	if (!r->since.used || !config_setting_is_group(recipe_setting(rd, NULL, "since")))
		return 0;
	if (!r->expr[RECIPE_SINCE].text && !recipe_spoilt(rd, "since", "from"))
		rc = missing(rd, "since", "from",
			     "the jq expression of an item's time or number, as in \".updated_at\"");
	if (!r->since.initial || !r->since.overlap_us || recipe_spoilt(rd, "since", "overlap"))
		return rc;
	before = since_before(r->since.initial, r->since.overlap_us, NULL);
	free(before);
	if (!before)
		return recipe_refuse(rd, recipe_line(rd, "since", "overlap"), NULL,
				     "since.overlap needs moments, and since.initial = \"%.40s\" is none",
				     r->since.initial);
	return rc;
}

/* A page that lies in the body makes one. */
static bool has_body(const struct recipe *r)
{
	return r->body || (r->page.in == PAGE_IN_JSON && r->page.param) ||
	       (r->since.in == PAGE_IN_JSON && r->since.param);
}

static int check_request(const struct recipe_reader *rd)
{
	struct recipe *r = rd->r;
	int rc = 0;

	if (!r->method)
		r->method = has_body(r) ? "POST" : "GET";
	if (r->conditional && !recipe_spoilt(rd, NULL, "method") && (strcmp(r->method, "GET") != 0 || has_body(r)))
		rc = recipe_refuse(rd, recipe_line(rd, NULL, "conditional"), NULL,
				   "conditional = true works with method = \"GET\" and without a body only");
	if (recipe_setting(rd, NULL, "limit") && !recipe_spoilt(rd, NULL, "limit") && !r->rate.count && !r->concurrency)
		return recipe_refuse(rd, recipe_line(rd, NULL, "limit"), NULL,
				     "limit limits nothing: give it a rate (\"100/min\") or a concurrency");
	return rc;
}

/* What is asked with the first page has to be fit to be sent; a var that each run has to give is any. */
static void check_first_request(const struct recipe_reader *rd)
{
	const struct recipe *r = rd->r;
	const char *vars[RECIPE_VARS_MOST];
	char start[24];
	struct recipe_page page = {
	    .token = r->page.start_text ? r->page.start_text : "", .since = r->since.initial, .vars = vars};
	struct recipe_request q = {0};
	struct err why = {0};

	for (size_t i = 0; i < r->var_count; i++)
		vars[i] = r->vars[i].value[0] ? r->vars[i].value : "x";
	if (1u << r->page.type & NUMBERED) {
		snprintf(start, sizeof start, "%lld", (long long)r->page.start);
		page.token = start;
	}
	if (recipe_request(r, &page, &q, &why))
		recipe_refuse(rd, r->url_line, why.hint[0] ? why.hint : NULL, "%s", why.what);
	else
		recipe_request_clear(&q);
}

void recipe_check(struct recipe_reader *rd)
{
	if (!recipe_setting(rd, NULL, "url") && !recipe_spoilt(rd, NULL, "url"))
		missing(rd, NULL, "url", "what to fetch");
	rd->r->url_line = recipe_line(rd, NULL, "url");
	check_pages(rd);
	check_since(rd);
	check_request(rd);
	recipe_check_places(rd);
	if (rd->faults->count == 0)
		check_first_request(rd);
}
