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
	OPT_DURATION, /* const char *, checked: "30s" */
	OPT_BYTES,    /* const char *, checked: "64M" */
	OPT_FORMAT,   /* const char *, and args.format */
	OPT_STATES,   /* const char *, checked: states of jobs, with commas */
};

struct opt {
	char letter; /* 0: none */
	const char *name;
	enum opt_kind kind;
	size_t offset;   /* in struct args */
	const char *arg; /* how help calls the value; NULL for flags */
	const char *help;
	int64_t min, max; /* OPT_NUMBER */
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

#define OPT_GROUPS_MAX 4

/* Parses argv[1...] by the tables in `groups` (NULL-terminated). With `stop`, ends at the first operand and sets
 * *used to the number of words taken; otherwise options may follow operands, and the operands are left in `args`.
 * `prefix` is what messages begin with: " submit", or "". */
int options_parse(struct args *args, const struct opt *const *groups, const char *prefix, int argc, char **argv,
		  bool stop, int *used, struct err *e);

/* The tables as lines of help, aligned. */
void options_print(const struct opt *const *groups, FILE *out);

const char *format_name(enum format f);

/* A whole number in [min, max]. Returns 0, or -1. */
int options_number(const char *text, int64_t min, int64_t max, int64_t *value);

#endif
