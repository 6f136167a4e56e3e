/* Options from tables: what a verb takes is data, and parsing, help and completion are drawn from it. Knows neither the
 * verbs nor what an option means. */
#ifndef FANOUT_CLI_OPTIONS_H
#define FANOUT_CLI_OPTIONS_H

#include <stdint.h>
#include <stdio.h>

#include "cli/ctl.h"

enum opt_kind {
	OPT_FLAG,     /* bool */
	OPT_TEXT,     /* const char * */
	OPT_LIST,     /* struct opt_list, may be given again */
	OPT_NUMBER,   /* const char *, checked: a whole number from min to max */
	OPT_DURATION, /* const char *, checked: "30s", from min to max where there is a max */
	OPT_BYTES,    /* const char *, checked: "64M" */
	OPT_FORMAT,   /* const char *, and args.format */
	OPT_STATES,   /* const char *, checked: states of jobs, with commas */
	OPT_CHOICE,   /* const char *, checked: one of `choices` */
	OPT_RATE,     /* const char *, checked: "100/min" */
	OPT_RATES,    /* struct opt_list of those, may be given again */
	OPT_TIME,     /* const char *, checked: a point in time (cli/when.h) */
	OPT_JQ,       /* const char *, checked: a jq program */
	OPT_ONCE,     /* const char *, input: of a second one, the first would be lost without a word */
	OPT_KINDS
};

struct opt {
	char letter; /* 0: none */
	const char *name;
	enum opt_kind kind;
	size_t offset;   /* in struct args */
	const char *arg; /* how help calls the value; NULL for flags */
	const char *help;
	int64_t min, max;    /* OPT_NUMBER, OPT_DURATION (us) */
	const char *choices; /* OPT_CHOICE: with a space between */
	const char *instead; /* OPT_ONCE: of giving it again; or NULL */
};
/* Tables end with a NULL name. Their rows: */
#define OPT_AT(l, n, k, field, a) \
	.letter = (l), .name = (n), .kind = (k), .offset = offsetof(struct args, field), .arg = (a)
#define FLAG(l, n, field, text)                                     \
	{                                                           \
		OPT_AT(l, n, OPT_FLAG, field, NULL), .help = (text) \
	}
#define VALUE(l, n, k, field, a, text)                    \
	{                                                 \
		OPT_AT(l, n, k, field, a), .help = (text) \
	}
#define NUMBER(l, n, field, a, lo, hi, text)                                                 \
	{                                                                                    \
		OPT_AT(l, n, OPT_NUMBER, field, a), .help = (text), .min = (lo), .max = (hi) \
	}
#define DURATION(l, n, field, a, lo, hi, text)                                                 \
	{                                                                                      \
		OPT_AT(l, n, OPT_DURATION, field, a), .help = (text), .min = (lo), .max = (hi) \
	}
#define CHOICE(l, n, field, words, a, text)                                            \
	{                                                                              \
		OPT_AT(l, n, OPT_CHOICE, field, a), .help = (text), .choices = (words) \
	}
#define ONCE(l, n, field, a, other, text)                                            \
	{                                                                            \
		OPT_AT(l, n, OPT_ONCE, field, a), .help = (text), .instead = (other) \
	}

#define OPT_GROUPS_MAX 4

/* Parses argv[1...] by the tables in `groups` (NULL-terminated). With `stop`, ends at the first operand and sets
 * *used to the number of words taken; otherwise options may follow operands, and the operands are left in `args`.
 * `prefix` is what messages begin with: " submit", or "". */
int options_parse(struct args *args, const struct opt *const *groups, const char *prefix, int argc, char **argv,
		  bool stop, int *used, struct err *e);
/* Whether the word behind `word` is the value of an option: --limit, or -i. */
bool options_await_value(const struct opt *const *groups, const char *word);

/* The tables as lines of help, aligned. */
void options_print(const struct opt *const *groups, FILE *out);

const char *format_name(enum format f);

/* A whole number in [min, max]. Returns 0, or -1. */
int options_number(const char *text, int64_t min, int64_t max, int64_t *value);

/* ---- the values (cli/values.c) ---- */

/* Whether `text` is a value of that option. */
int values_check(struct args *args, const struct opt *o, const char *prefix, const char *text, struct err *e);

#endif
