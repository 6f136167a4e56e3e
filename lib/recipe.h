/* Recipes: a file of pulls.d becomes a struct recipe, or a complaint with file and line. fanout-pulls(5) has the keys.
 * The daemon reads them to run them, the client to check and try them. Knows libconfig; no jq (lib/jq.h compiles the
 * expressions), no network, no secret's value. */
#ifndef FANOUT_LIB_RECIPE_H
#define FANOUT_LIB_RECIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/units.h"

#define RECIPE_TEXT_MAX     (256u << 10) /* bytes of a file */
#define RECIPE_NAME_MAX     64           /* of [A-Za-z0-9_.-], not with a dot first */
#define RECIPE_STATUSES_MAX 8
#define RECIPE_WINDOW_MAX   64
#define RECIPE_PAGES_MAX    1000000

enum page_type {
	PAGE_SINGLE,
	PAGE_NUMBER,
	PAGE_OFFSET,
	PAGE_CURSOR,
	PAGE_LINK,
	PAGE_NEXT_URL,
	PAGE_KEYSET,
	PAGE_TYPES
};
enum page_in { PAGE_IN_QUERY, PAGE_IN_PATH, PAGE_IN_HEADER, PAGE_IN_JSON, PAGE_INS };
const char *page_type_name(enum page_type t); /* "single", "page", "offset", "cursor", "link", "next_url", "keyset" */
const char *page_in_name(enum page_in in);

/* The jq expressions; where[] names them as the file does: "page.next". */
enum recipe_expr_id {
	RECIPE_ERROR, /* judged first; a text, or true: the page is an error */
	RECIPE_ITEMS,
	RECIPE_KEY,  /* of an item */
	RECIPE_NEXT, /* cursor, URL or last key */
	RECIPE_HAS_MORE,
	RECIPE_STOP,
	RECIPE_TOTAL_PAGES,
	RECIPE_TOTAL_ITEMS,
	RECIPE_SINCE, /* since.from, of an item */
	RECIPE_EXPRS
};
struct recipe_expr {
	const char *text; /* NULL: not given */
	unsigned line;
};
const char *recipe_expr_name(enum recipe_expr_id id);

struct recipe_pair {
	const char *name, *value; /* value "": each run has to give one */
};
struct recipe_secret {
	const char *name;
	const char *const *hosts; /* globs, as in a limit's match; at least one */
	size_t host_count;
	unsigned line;
};

struct recipe {
	const char *name, *file; /* file: as it was opened, for complaints */
	const char *url, *method;
	unsigned url_line;
	const char *const *headers; /* "Name: value", with placeholders */
	size_t header_count;
	const char *body; /* text with placeholders; NULL: none. A group or list in the file is JSON here */
	bool body_json;   /* that, or a text that begins as JSON does: values in it are quoted for its strings */
	const struct recipe_pair *vars;
	size_t var_count;
	const struct recipe_secret *secrets;
	size_t secret_count;
	struct recipe_expr expr[RECIPE_EXPRS];
	struct {
		enum page_type type;
		enum page_in in;
		/* NULL: only a placeholder in the URL, a header or the body. Where that is a whole parameter of the
		 * URL's query ("?p={page}"), its name. */
		const char *param;
		const char *size_param; /* NULL: none is sent */
		int64_t start;          /* of page and offset */
		const char *start_text; /* of cursor and keyset: what the first page is asked with; NULL: nothing */
		int64_t size;           /* 0: not told */
		int stop_status[RECIPE_STATUSES_MAX];
		unsigned stop_status_count;
		unsigned stop_empty; /* 0: empty pages are no end */
		bool stop_short;
		unsigned window;
		uint32_t max_pages;
		bool same_origin;
	} page;
	struct {
		const char *param; /* NULL: a placeholder only */
		enum page_in in;
		const char *initial;
		int64_t overlap_us;
		bool used; /* there is a since group */
	} since;
	struct rate rate;                   /* count 0: none */
	unsigned concurrency, max_attempts; /* 0: as everywhere */
	int64_t timeout_us, deadline_us;    /* 0: as everywhere, none */
	bool conditional;
	struct recipe_store *store; /* owns all of the above */
};

/* Parses `text`. `file` is only a name for complaints ("pulls.d/cats.conf"). NULL with ERR_INPUT: the first thing that
 * is wrong, and "FILE:LINE: " before it; e->line too. Does not compile jq, does not look at secrets' values. Free with
 * recipe_free. */
struct recipe *recipe_parse(const char *name, const char *file, const char *text, struct err *e);
/* All that is wrong with a text: each "FILE:LINE: what", with a hint and its line, in the order of lines. */
#define RECIPE_FAULTS_MAX 100
struct recipe_faults {
	struct err *list;
	size_t count;
	bool more; /* there were more than can be told */
};
/* Reads on behind what is wrong; only a syntax error ends it. The recipe has what could be read; it is fit for a look
 * at its expressions, and for use only where there are no faults. Never NULL. Free both. */
struct recipe *recipe_examine(const char *name, const char *file, const char *text, struct recipe_faults *faults);
void recipe_faults_add(struct recipe_faults *f, const struct err *e);
void recipe_faults_sort(struct recipe_faults *f);
void recipe_faults_clear(struct recipe_faults *f);
#define RECIPE_HINT "fanout-pulls(5) lists the keys" /* where a fault has no better one */

/* The same from NAME.conf in `dir`; ERR_NOT_FOUND names the closest one there. *text (may be NULL) gets the file's
 * text, to be freed, also where it does not parse; NULL where it could not be read. */
struct recipe *recipe_load(const char *dir, const char *name, char **text, struct err *e);
void recipe_free(struct recipe *r);
/* Names of the files NAME.conf in `dir`, sorted, each to be freed, as is the array; NULL-terminated. Also those that
 * are no names of recipes, which recipe_load says. NULL with `e` when it cannot be read. */
char **recipe_list(const char *dir, struct err *e);
bool recipe_name_ok(const char *name);

/* ---- the jq program of a page ---- */

/* One program for all of the expressions: its input is the envelope {body, headers, status, page, vars}, its one output
 * an object: {"error":…} alone if the first output of `error` is neither null nor false, else the members asked for:
 * items (a count), keys (an array: one of each item, at most), next, has_more, stop (true or false), total_pages,
 * total_items, since (the greatest), each the first output of its expression, null where there is none. An expression
 * that fails makes it {"failed":"page.next","message":"…"}. malloc'd; NULL where the recipe has no expression and
 * nothing that needs a count of items: its bodies are not looked at. */
char *recipe_program(const struct recipe *r);
/* The program of `items` alone, whose outputs are the items: for the client. malloc'd. */
char *recipe_items_program(const struct recipe *r);

/* ---- a token to a request ---- */

/* What a page is asked with. */
struct recipe_page {
	const char *token; /* decimal number of page or offset; cursor, key, URL; "" for single and for a first page
			      without one */
	const char *since; /* value to send; NULL: none */
	const char *const *vars; /* values, in the order of r->vars; NULL: the recipe's own */
};
/* Strings are malloc'd; clear with recipe_request_clear. {secret:NAME} stays as it is everywhere, and a value that
 * would bring one in is refused; only a URL as token (link, next_url) may have one. In URLs, values are percent-encoded
 * (a var's slashes stay in the path); in a JSON body they are JSON. ERR_INPUT for what cannot be sent: a line break in
 * a header, a "host" that is none, "." and ".." in a path. */
struct recipe_request {
	char *url, *headers, *body; /* headers "Name: value\n" each, "" where none; body NULL: none */
};
int recipe_request(const struct recipe *r, const struct recipe_page *p, struct recipe_request *out, struct err *e);
void recipe_request_clear(struct recipe_request *q);

/* ---- secrets by name ---- */

/* Calls `on_name` for every {secret:NAME} in `text`; stops and returns its value if that is not 0. */
int recipe_secrets_in(const char *text, int (*on_name)(void *arg, const char *name, size_t len), void *arg);

#endif
