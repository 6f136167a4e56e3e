/* What the rooms of lib/recipe.h share: recipe.c (words, the whole, its memory), recipe_keys.c (the table of keys),
 * recipe_read.c (the types of their values), recipe_faults.c (what is wrong with them), recipe_scan.c (what libconfig
 * does not tell), recipe_json.c (a group as JSON), recipe_check.c and recipe_places.c (what does not go together),
 * recipe_place.c (placeholders), recipe_fill.c, recipe_body.c and recipe_request.c (requests), recipe_program.c,
 * recipe_load.c (files). */
#ifndef FANOUT_LIB_RECIPE_PRIVATE_H
#define FANOUT_LIB_RECIPE_PRIVATE_H

#include <jansson.h>
#include <libconfig.h>
#include <stdio.h>

#include "lib/recipe.h"

#define RECIPE_EXPR_MAX     4096 /* JQ_PROGRAM_MAX */
#define RECIPE_HEADERS_MOST 100
#define RECIPE_VARS_MOST    64
#define RECIPE_HOSTS_MOST   32

/* ---- memory: everything lives as long as the recipe ---- */

struct recipe_block;
struct recipe_store {
	struct recipe_block *blocks;
	bool start_is_number, since_is_number; /* page.start and since.initial are written as numbers */
	bool body_made;                        /* of a group or list in the file */
	bool stop_empty_given;
	bool token_placed, since_placed; /* by a placeholder: not to be added by its param */
};
void *recipe_alloc(struct recipe *r, size_t bytes); /* zeroed */
char *recipe_copy(struct recipe *r, const char *text);

/* ---- reading ---- */

struct recipe_reader {
	struct recipe *r;
	const char *file;
	struct recipe_faults *faults;
	size_t scan_faults; /* the first of them are recipe_scan's */
	const config_setting_t *root;
};

/* One key: who reads it, where it goes, within which bounds. */
struct recipe_key {
	const char *name;
	int (*read)(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s);
	size_t offset;
	int64_t min, max;
	const struct recipe_key *group; /* for recipe_read_group; ends with a NULL name */
	const char *const *words;       /* for recipe_read_word; ends with NULL */
};
extern const struct recipe_key recipe_keys[];

/* "page.size", "url": how complaints name a setting. Returns `out`. */
#define RECIPE_PATH_SIZE 160
const char *recipe_path(const config_setting_t *s, char *out);

/* Adds a fault with file and line, and returns -1. `hint` may be NULL. Whoever is told so goes on with what does not
 * hang on it, and returns -1 in the end. */
int recipe_refuse(const struct recipe_reader *rd, unsigned line, const char *hint, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* A setting that was refused, by its value or by its name, and the key that it is or was to be (`meant`): nothing is
 * to be made of it, and nothing said that follows from it, as that the key is missing. */
void recipe_spoil(const config_setting_t *s, const char *meant);
bool recipe_spoilt(const struct recipe_reader *rd, const char *group, const char *name);
/* Whether page.type is what the recipe's page.type says, and not what it was before it was refused. */
bool recipe_is_typed(const struct recipe_reader *rd);
/* "page.size has to be a whole number" */
int recipe_wrong_type(const struct recipe_reader *rd, const config_setting_t *s, const char *wanted);

typedef int recipe_read_fn(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s);
recipe_read_fn recipe_read_string, recipe_read_flag, recipe_read_count, recipe_read_number, recipe_read_duration,
    recipe_read_rate, recipe_read_word, recipe_read_expr, recipe_read_group, recipe_read_text_or_number;

/* The line of an element of an array. */
unsigned recipe_elem_line(const config_setting_t *s, int index);
bool recipe_is_whole(const config_setting_t *s);
int64_t recipe_whole(const config_setting_t *s);
bool recipe_is_array(const config_setting_t *s); /* [ ] or ( ) */

/* libconfig wraps numbers that are too great, and would include files: tells of each, and takes what includes away.
 * -1 where the text cannot be parsed then. */
int recipe_scan(struct recipe_reader *rd, char *text);
/* A setting as JSON; NULL and an error where it is too deep. */
json_t *recipe_json(const struct recipe_reader *rd, const config_setting_t *s);
char *recipe_json_text(const json_t *v); /* compact; malloc'd */
/* What does not go together, once all is read; fills in what follows from the rest. */
void recipe_check(struct recipe_reader *rd);
/* recipe_check's other half: where placeholders stand, where token, since and size go, to whom secrets go. */
void recipe_check_places(struct recipe_reader *rd);

/* A setting by its group (NULL: the root) and its name; NULL where it is not given. */
const config_setting_t *recipe_setting(const struct recipe_reader *rd, const char *group, const char *name);
/* Its line; where it is not given its group's, or the first. */
unsigned recipe_line(const struct recipe_reader *rd, const char *group, const char *name);

/* ---- placeholders ---- */

enum place_kind { PLACE_PAGE, PLACE_CURSOR, PLACE_OFFSET, PLACE_SINCE, PLACE_VAR, PLACE_SECRET, PLACE_KINDS };
struct place {
	enum place_kind kind; /* PLACE_KINDS: {word} or {word:name} of no kind there is */
	const char *word;
	size_t word_len;
	const char *name; /* of a var or secret; "" and 0 elsewhere */
	size_t name_len;
	const char *start, *end; /* from the brace to behind the other one */
};
const char *place_kind_name(enum place_kind k);
/* The first placeholder from `text` on; false where there is none. Braces that are none are passed over. */
bool place_next(const char *text, struct place *out);
enum place_kind place_of_token(enum page_type t); /* PLACE_KINDS: it has none */
bool place_name_ok(const char *name, size_t len); /* of a var or a secret */
/* Index in r->vars; -1 */
int recipe_var_index(const struct recipe *r, const char *name, size_t len);
bool recipe_has_place(const char *text, enum place_kind kind); /* text may be NULL */

/* Where in a URL the path begins, and where the query (or the end). */
const char *recipe_url_path(const char *url);
const char *recipe_url_query(const char *url);

/* ---- headers ---- */

/* What is wrong with a header's name, in words; NULL: nothing. */
const char *recipe_header_name_fault(const char *name, size_t len);

/* Whether `items` has to be counted on every page. */
bool recipe_counts(const struct recipe *r);

#endif
