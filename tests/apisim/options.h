/* Options that come as name=value, read by a table into a plain struct: nothing in such a struct is to be freed. Knows
 * no route; limited_options.c and paged_options.c have the tables. */
#ifndef FANOUT_APISIM_OPTIONS_H
#define FANOUT_APISIM_OPTIONS_H

#include <event2/keyvalq_struct.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTION_TEXT_BYTES 512
#define OPTION_LIST_MAX   32

/* "3", "2-5", "*", or several of these. Elements of any list stand apart by comma, semicolon or space. */
struct option_spans {
	size_t count;
	struct option_span {
		int64_t from, to;
	} span[OPTION_LIST_MAX];
};

/* "3:10", or several of these. */
struct option_pairs {
	size_t count;
	struct option_pair {
		int64_t key, value;
	} pair[OPTION_LIST_MAX];
};

/* Reads `value` into what `out` points to; 0, or -1 where it is none. `words` is the row's. */
typedef int option_reader(const char *value, void *out, const char *const *words);

struct option_row {
	const char *name;
	option_reader *read;
	size_t at; /* in the struct */
	const char *const *words;
};

option_reader option_count;   /* int64_t, 0 or more */
option_reader option_signed;  /* int64_t */
option_reader option_seconds; /* int64_t, in microseconds; "3" or "3s" */
option_reader option_code;    /* int, 200 to 999 */
option_reader option_seed;    /* uint64_t */
option_reader option_flag;    /* bool, 0 or 1 */
option_reader option_jitter;  /* struct jitter; a mere number is its const: */
option_reader option_word;    /* int: which of the words */
option_reader option_words;   /* unsigned: bit i for word i; a list */
option_reader option_text;    /* char[OPTION_TEXT_BYTES] */
option_reader option_spans;   /* struct option_spans */
option_reader option_pairs;   /* struct option_pairs */

/* For a message about options: a table has up to 60 names. */
#define OPTION_WHY_BYTES 1024
/* Their names, with commas. */
void options_name(const struct option_row *table, size_t rows, char *out, size_t size);
/* Reads all options by the table. -1: `why` says which one is no option of `what`, and which there are. */
int options_read(const struct option_row *table, size_t rows, const struct evkeyvalq *options, void *out,
		 const char *what, char *why, size_t size);
/* Fills `options` from "NAME,option=value,..." and returns the name, for free(). */
char *options_split(const char *text, struct evkeyvalq *options);

/* Calls `take` with every element of a list, until one is refused: -1 then. */
int option_list(const char *value, int (*take)(char *element, void *arg), void *arg);
int option_span(const char *text, struct option_span *out);
bool option_spans_have(const struct option_spans *spans, int64_t n);

#endif
