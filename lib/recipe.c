/* A recipe as a whole: its words, its memory, and the way from a text to a struct. Knows libconfig's parser and nothing
 * of single keys. */
#define _GNU_SOURCE 1

#include "lib/recipe.h"

#include <stdlib.h>
#include <string.h>

#include "lib/recipe_private.h"

/* ---- words ---- */

static const char *const type_names[] = {
    [PAGE_SINGLE] = "single", [PAGE_NUMBER] = "page",       [PAGE_OFFSET] = "offset", [PAGE_CURSOR] = "cursor",
    [PAGE_LINK] = "link",     [PAGE_NEXT_URL] = "next_url", [PAGE_KEYSET] = "keyset",
};
_Static_assert(sizeof type_names / sizeof *type_names == PAGE_TYPES, "every type of page has a name");

static const char *const in_names[] = {
    [PAGE_IN_QUERY] = "query",
    [PAGE_IN_PATH] = "path",
    [PAGE_IN_HEADER] = "header",
    [PAGE_IN_JSON] = "json",
};
_Static_assert(sizeof in_names / sizeof *in_names == PAGE_INS, "every place has a name");

static const char *const expr_names[] = {
    [RECIPE_ERROR] = "error",
    [RECIPE_ITEMS] = "items",
    [RECIPE_KEY] = "key",
    [RECIPE_NEXT] = "page.next",
    [RECIPE_HAS_MORE] = "page.has_more",
    [RECIPE_STOP] = "page.stop",
    [RECIPE_TOTAL_PAGES] = "page.total_pages",
    [RECIPE_TOTAL_ITEMS] = "page.total_items",
    [RECIPE_SINCE] = "since.from",
};
_Static_assert(sizeof expr_names / sizeof *expr_names == RECIPE_EXPRS, "every expression has a name");

const char *page_type_name(enum page_type t)
{
	return (unsigned)t < PAGE_TYPES ? type_names[t] : "?";
}

const char *page_in_name(enum page_in in)
{
	return (unsigned)in < PAGE_INS ? in_names[in] : "?";
}

const char *recipe_expr_name(enum recipe_expr_id id)
{
	return (unsigned)id < RECIPE_EXPRS ? expr_names[id] : "?";
}

/* ---- memory ---- */

struct recipe_block {
	struct recipe_block *next;
	max_align_t bytes[];
};

void *recipe_alloc(struct recipe *r, size_t bytes)
{
	struct recipe_block *b = calloc(1, sizeof *b + bytes);

	if (!b)
		BUG("out of memory for a recipe");
	b->next = r->store->blocks;
	r->store->blocks = b;
	return b->bytes;
}

char *recipe_copy(struct recipe *r, const char *text)
{
	size_t n = strlen(text) + 1;

	return memcpy(recipe_alloc(r, n), text, n);
}

static struct recipe *create(const char *name, const char *file)
{
	struct recipe *r = calloc(1, sizeof *r);

	if (!r || !(r->store = calloc(1, sizeof *r->store)))
		BUG("out of memory for a recipe");
	r->name = recipe_copy(r, name);
	r->file = recipe_copy(r, file);
	r->page.start = -1;
	r->page.window = 1;
	r->page.max_pages = 10000;
	r->page.same_origin = true;
	return r;
}

void recipe_free(struct recipe *r)
{
	if (!r)
		return;
	while (r->store->blocks) {
		struct recipe_block *b = r->store->blocks;

		r->store->blocks = b->next;
		free(b);
	}
	free(r->store);
	free(r);
}

/* ---- the whole ---- */

#ifdef __SANITIZE_ADDRESS__
/* libconfig 1.5 forgets a string that a syntax error follows. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig";
}
#endif

static void read_settings(struct recipe_reader *rd, config_t *file)
{
	static const struct recipe_key root = {.group = recipe_keys};

	rd->root = config_root_setting(file);
	recipe_read_group(rd, &root, rd->root);
	recipe_check(rd);
}

static void read_text(struct recipe_reader *rd, config_t *file, const char *text)
{
	char *copy;

	if (strlen(text) > RECIPE_TEXT_MAX) {
		recipe_refuse(rd, 1, NULL, "the recipe is longer than %u KiB", RECIPE_TEXT_MAX >> 10);
		return;
	}
	copy = recipe_copy(rd->r, text);
	if (recipe_scan(rd, copy))
		return;
	if (config_read_string(file, copy))
		read_settings(rd, file);
	else
		recipe_refuse(rd, (unsigned)config_error_line(file), "fanout-pulls(5) shows the syntax", "%s",
			      config_error_text(file));
}

struct recipe *recipe_examine(const char *name, const char *file, const char *text, struct recipe_faults *faults)
{
	struct recipe *r = create(name, file);
	struct recipe_reader rd = {.r = r, .file = r->file, .faults = faults};
	config_t parsed;

	*faults = (struct recipe_faults){0};
	config_init(&parsed);
	read_text(&rd, &parsed, text);
	config_destroy(&parsed);
	recipe_faults_sort(faults);
	return r;
}

struct recipe *recipe_parse(const char *name, const char *file, const char *text, struct err *e)
{
	struct recipe_faults faults;
	struct recipe *r = recipe_examine(name, file, text, &faults);

	if (faults.count) {
		if (e)
			*e = faults.list[0];
		recipe_free(r);
		r = NULL;
	}
	recipe_faults_clear(&faults);
	return r;
}
