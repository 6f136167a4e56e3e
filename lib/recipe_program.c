/* The jq program of a page, put together from the recipe's expressions.
 *
 * Each expression stands on lines of its own in parentheses, so that a comment in it ends with it. libjq 1.6 lets `try`
 * and `?` catch what is raised behind them, also the `break` by which `first` ends: so there is an array around each
 * `first` (what follows then is not given too) and around each `try` (nothing raised elsewhere can be taken for its
 * own). The list of items is made once. */
#define _GNU_SOURCE 1

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/recipe_private.h"

static const char envelope[] = ". as {$body, $headers, $status, $page, $vars}\n";

static const char helpers[] =
    "| def fanout_said($where): error({failed: $where, message: (if type == \"string\" then . else tojson end)});\n"
    "def fanout_one(f): [first(f)] | .[0];\n"
    "def fanout_greatest: max\n" /* null is the least, "" less than other texts but more than numbers */
    "  | if . == null or type == \"string\" or type == \"number\" then .\n"
    "  else error(\"it is neither a text nor a number but of type \" + type) end;\n";

static const char default_items[] = "if type == \"array\" then .[] elif . == null then empty else . end";

/* ---- what is asked for ---- */

bool recipe_counts(const struct recipe *r)
{
	return r->expr[RECIPE_ITEMS].text || r->expr[RECIPE_KEY].text || r->expr[RECIPE_SINCE].text ||
	       r->expr[RECIPE_TOTAL_ITEMS].text || r->page.stop_empty || r->page.stop_short ||
	       r->page.type == PAGE_KEYSET;
}

static bool asks_anything(const struct recipe *r)
{
	for (int i = 0; i < RECIPE_EXPRS; i++)
		if (r->expr[i].text)
			return true;
	return recipe_counts(r);
}

static const char *items_text(const struct recipe *r)
{
	return r->expr[RECIPE_ITEMS].text ? r->expr[RECIPE_ITEMS].text : default_items;
}

/* ---- its parts ---- */

/* `open` the user's text `close`, or what went wrong in it by its name. */
static void put_expr(FILE *f, const char *name, const char *open, const char *text, const char *close)
{
	fprintf(f, "[try (%s(\n%s\n)%s) catch fanout_said(\"%s\")]", open, text, close, name);
}

/* The members that one expression on the body gives. What their values have to be is the verdict's to say. */
static const struct {
	enum recipe_expr_id id;
	const char *member, *close;
} members[] = {
    {RECIPE_NEXT, "next", ")"},
    {RECIPE_HAS_MORE, "has_more", ")"},
    {RECIPE_STOP, "stop", ") | if . then true else false end"},
    {RECIPE_TOTAL_PAGES, "total_pages", ")"},
    {RECIPE_TOTAL_ITEMS, "total_items", ")"},
};

static void put_members(FILE *f, const struct recipe *r)
{
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		enum recipe_expr_id id = members[i].id;

		if (!r->expr[id].text)
			continue;
		fprintf(f, "| . + {%s: (", members[i].member);
		put_expr(f, recipe_expr_name(id), "fanout_one($body | ", r->expr[id].text, members[i].close);
		fputs(" | .[0])}\n", f);
	}
}

/* Behind the last item's key, where nothing else is said. */
static void put_last_key(FILE *f, const struct recipe *r)
{
	fputs("| . + {next: (", f);
	put_expr(f, "key", "fanout_one($fanout_items[-1:][] | ", r->expr[RECIPE_KEY].text, ")");
	fputs(" | .[0])}\n", f);
}

/* ".a.b" and the like have one output for sure: nothing has to be done to keep it to one, which for ten thousand items
 * is half of the time. */
static bool is_plain_path(const char *text)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

	while (*text == '.' && text[1] && !strchr("0123456789", text[1]) && strspn(text + 1, name))
		text += 1 + strspn(text + 1, name);
	return *text == '\0';
}

/* A member made of what each item gives, one value at most. */
static void put_of_items(FILE *f, const struct recipe *r, enum recipe_expr_id id, const char *member, const char *made)
{
	const char *text = r->expr[id].text;
	bool plain = text && is_plain_path(text);
	char close[64];

	if (!text)
		return;
	snprintf(close, sizeof close, "%s]%s", plain ? "" : ")][:1][]", made);
	fprintf(f, "| . + {%s: (", member);
	put_expr(f, recipe_expr_name(id), plain ? "[$fanout_items[] | " : "[$fanout_items[] | [first(", text, close);
	fputs(" | .[0])}\n", f);
}

static void put_items(FILE *f, const struct recipe *r)
{
	put_expr(f, "items", "$body | ", items_text(r), "");
	fputs(" as $fanout_items\n| {items: ($fanout_items | length)}\n", f);
	put_of_items(f, r, RECIPE_KEY, "keys", "");
	put_of_items(f, r, RECIPE_SINCE, "since", " | fanout_greatest");
	if (r->page.type == PAGE_KEYSET && !r->expr[RECIPE_NEXT].text)
		put_last_key(f, r);
}

/* Its first output decides; what follows is the answer where there is no error. */
static void put_error(FILE *f, const char *text)
{
	put_expr(f, "error", "fanout_one($body | ", text, ")");
	fputs(" | .[0] as $fanout_error\n"
	      "| if $fanout_error != null and $fanout_error != false then {error: $fanout_error} else\n",
	      f);
}

/* ---- the whole ---- */

static char *close_text(FILE *f, char **text)
{
	if (fclose(f))
		BUG("out of memory for a recipe's program");
	return *text;
}

char *recipe_program(const struct recipe *r)
{
	const char *error = r->expr[RECIPE_ERROR].text;
	char *text;
	size_t n;
	FILE *f;

	if (!asks_anything(r))
		return NULL;
	f = open_memstream(&text, &n);
	if (!f)
		BUG("out of memory for a recipe's program");
	fprintf(f, "%s%s[try (\n", envelope, helpers);
	if (error)
		put_error(f, error);
	fputc('(', f);
	if (recipe_counts(r))
		put_items(f, r);
	else
		fputs("{}\n", f);
	put_members(f, r);
	fprintf(f, ")%s) catch .] | .[0]\n", error ? " end\n" : "");
	return close_text(f, &text);
}

char *recipe_items_program(const struct recipe *r)
{
	char *text;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		BUG("out of memory for a recipe's program");
	fprintf(f, "%s| $body | (\n%s\n)\n", envelope, items_text(r));
	return close_text(f, &text);
}
