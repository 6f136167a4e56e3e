/* What a paginated API can be told: the table of options, and what is meant where nothing is said. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/apisim/paged.h"

const char *const paged_style_words[] = {"page", "offset", "cursor", "link", "next_url", "keyset", "single", NULL};
const char *const paged_fault_words[] = {"soft", "garbage", "cut", "reset", "hang", NULL};

static const char *const order_words[] = {"oldest", "newest", NULL};
static const char *const by_words[] = {"page", "offset", "cursor", NULL};
static const char *const in_words[] = {"query", "path", "header", "json", NULL};
static const char *const total_words[] = {"items",     "pages", "x-total-count", "x-total-pages", "content-range",
					  "link-last", NULL};
static const char *const told_words[] = {"etag", "modified", "weak", NULL};
static const char *const last_words[] = {"null", "empty", "absent", "more", NULL};
static const char *const cursor_words[] = {"plain", "awkward", "number", "long", NULL};
static const char *const url_words[] = {"absolute", "path", "query", "relative", "scheme", NULL};
static const char *const rel_words[] = {"next", "last", "first", "prev", NULL};
static const char *const token_words[] = {"any", "bearer", "query", "header", NULL};

#define PAGES_DEFAULT_ITEMS 100
#define PAGES_DEFAULT_SIZE  10
#define PAGES_DEFAULT_MAX   100000

/* ---- Faults ---- */

static int read_what(const char *text, struct paged_fault *out)
{
	if (option_code(text ? text : "503", &out->code, NULL) == 0)
		return 0;
	out->code = 0;
	return option_word(text, &out->what, paged_fault_words);
}

static int add_fault(char *element, void *arg)
{
	struct paged_faults *faults = arg;
	struct paged_fault *f = &faults->fault[faults->count];
	char *save = NULL;
	const char *pages = strtok_r(element, ":", &save), *times = strtok_r(NULL, ":", &save),
		   *what = strtok_r(NULL, ":", &save);

	if (faults->count == OPTION_LIST_MAX || !times || option_span(pages, &f->pages) < 0 ||
	    option_span(times, &f->times) < 0)
		return -1;
	faults->count++;
	if (f->times.from == f->times.to && !strchr(times, '-'))
		f->times.from = 1; /* "2" is the first two; the second alone is "2-2" */
	return read_what(what, f);
}

static int read_faults(const char *value, void *out, const char *const *words)
{
	(void)words;
	*(struct paged_faults *)out = (struct paged_faults){0};
	return option_list(value, add_fault, out);
}

/* ---- The table ---- */

#define AT(member) offsetof(struct paged_options, member)

static const struct option_row table[] = {
    {"style", option_word, AT(style), paged_style_words},
    {"items", option_count, AT(items), NULL},
    {"item-size", option_count, AT(item_bytes), NULL},
    {"step", option_count, AT(step_s), NULL},
    {"order", option_word, AT(order), order_words},
    {"grow", option_pairs, AT(grow), NULL},
    {"remove", option_pairs, AT(remove), NULL},
    {"by", option_word, AT(by), by_words},
    {"in", option_word, AT(in), in_words},
    {"param", option_text, AT(param), NULL},
    {"start", option_count, AT(start), NULL},
    {"size", option_count, AT(size), NULL},
    {"size-param", option_text, AT(size_param), NULL},
    {"size-max", option_count, AT(size_max), NULL},
    {"since-param", option_text, AT(since_param), NULL},
    {"id-member", option_text, AT(id_member), NULL},
    {"items-member", option_text, AT(items_member), NULL},
    {"total-member", option_text, AT(total_member), NULL},
    {"pages-member", option_text, AT(pages_member), NULL},
    {"next-member", option_text, AT(next_member), NULL},
    {"more-member", option_text, AT(more_member), NULL},
    {"cursor-header", option_text, AT(cursor_header), NULL},
    {"totals", option_words, AT(totals), total_words},
    {"tell-items", option_signed, AT(tell_items), NULL},
    {"has-more", option_flag, AT(has_more), NULL},
    {"gzip", option_flag, AT(gzip), NULL},
    {"conditional", option_words, AT(told), told_words},
    {"latency", option_jitter, AT(latency), NULL},
    {"seed", option_seed, AT(seed), NULL},
    {"end", option_text, AT(end), NULL},
    {"last", option_word, AT(last), last_words},
    {"empty", option_spans, AT(empty), NULL},
    {"short", option_spans, AT(shorter), NULL},
    {"change", option_spans, AT(change), NULL},
    {"loop", option_pairs, AT(loop), NULL},
    {"stuck", option_count, AT(stuck), NULL},
    {"fail", read_faults, AT(fail), NULL},
    {"cursor-form", option_word, AT(cursor_form), cursor_words},
    {"cursor-fresh", option_flag, AT(cursor_fresh), NULL},
    {"cursor-uses", option_count, AT(cursor_uses), NULL},
    {"cursor-requests", option_count, AT(cursor_requests), NULL},
    {"cursor-life", option_seconds, AT(cursor_life_us), NULL},
    {"cursor-code", option_code, AT(cursor_code), NULL},
    {"url", option_word, AT(url), url_words},
    {"next-origin", option_text, AT(next_origin), NULL},
    {"next-url", option_text, AT(next_url), NULL},
    {"next-from", option_count, AT(next_from), NULL},
    {"next-drop", option_text, AT(next_drop), NULL},
    {"link", option_word, AT(link_form), paged_link_words},
    {"links", option_words, AT(links), rel_words},
    {"token", option_text, AT(token), NULL},
    {"token-in", option_word, AT(token_in), token_words},
    {"token-code", option_code, AT(token_code), NULL},
    {"limit", option_text, AT(limit), NULL},
};

void paged_defaults(struct paged_options *out)
{
	*out = (struct paged_options){
	    .items = PAGES_DEFAULT_ITEMS,
	    .size = PAGES_DEFAULT_SIZE,
	    .size_max = PAGES_DEFAULT_MAX,
	    .step_s = 60,
	    .start = -1,
	    .tell_items = -1,
	    .since_param = "since",
	    .id_member = "id",
	    .items_member = "result",
	    .total_member = "total",
	    .pages_member = "pages",
	    .more_member = "has_more",
	    .end = "empty",
	    .seed = 1,
	    .cursor_code = 410,
	    .token_code = 401,
	};
}

/* ---- What follows from the style ---- */

static const struct {
	int by; /* < 0: as the option `by` says */
	const char *next_member;
	unsigned links;
} styles[] = {
    [PAGED_PAGE] = {BY_PAGE, "", 0},
    [PAGED_OFFSET] = {BY_OFFSET, "", 0},
    [PAGED_CURSOR] = {BY_CURSOR, "next_cursor", 0},
    [PAGED_LINK] = {-1, "", REL_NEXT},
    [PAGED_NEXT_URL] = {-1, "next", 0},
    [PAGED_KEYSET] = {BY_KEYSET, "", 0},
    [PAGED_SINGLE] = {BY_NOTHING, "", 0},
};

static const struct {
	const char *param, *size_param;
	int64_t start;
} addresses[] = {
    [BY_PAGE] = {"page", "per_page", 1}, [BY_OFFSET] = {"offset", "limit", 0}, [BY_CURSOR] = {"cursor", "limit", 0},
    [BY_KEYSET] = {"after", "limit", 0}, [BY_NOTHING] = {"", "", 0},
};

static void default_text(char out[OPTION_TEXT_BYTES], const char *text)
{
	if (!out[0])
		snprintf(out, OPTION_TEXT_BYTES, "%s", text);
}

static void complete(struct paged_options *set)
{
	if (styles[set->style].by >= 0)
		set->by = styles[set->style].by;
	default_text(set->param, addresses[set->by].param);
	default_text(set->size_param, addresses[set->by].size_param);
	if (set->start < 0)
		set->start = addresses[set->by].start;
	if (!set->cursor_header[0])
		default_text(set->next_member, styles[set->style].next_member);
	if (!set->links)
		set->links = styles[set->style].links;
}

static bool end_is_known(const char *end)
{
	static const char *const words[] = {"empty", "null", "absent", "soft", "repeat", NULL};
	int which;

	return option_word(end, &which, words) == 0 || option_code(end, &which, NULL) == 0;
}

void paged_name_options(char *out, size_t size)
{
	options_name(table, sizeof table / sizeof table[0], out, size);
}

int paged_read_options(const struct evkeyvalq *options, struct paged_options *out, char *why, size_t size)
{
	if (options_read(table, sizeof table / sizeof table[0], options, out, "a paginated API", why, size) < 0)
		return -1;
	complete(out);
	if (out->size < 1 || out->size_max < 1) {
		snprintf(why, size, "a page has one item or more");
		return -1;
	}
	if (!end_is_known(out->end)) {
		snprintf(why, size, "end=%.50s: a status, or one of empty null absent soft repeat", out->end);
		return -1;
	}
	return 0;
}
