/* Rows of data on stdout, in the format that was asked for. A row is one JSON object; which of its members are shown,
 * and how, is a table of columns. Memory is flat: json, ndjson and csv go out as they come, tables in pieces. */
#ifndef FANOUT_CLI_ROWS_H
#define FANOUT_CLI_ROWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "cli/ctl.h"
#include "cli/text.h"

enum cell {
	CELL_TEXT,
	CELL_JOB,     /* "7.42" */
	CELL_STATE,   /* the word for one */
	CELL_COUNT,   /* a number, to the right */
	CELL_SECONDS, /* microseconds, shown as "1.234 s", "512 ms", "0.4 ms" */
	CELL_BYTES,
	CELL_TIME,    /* in the user's time zone */
	CELL_MOMENT,  /* likewise, with thousandths */
	CELL_WHEN,    /* as CELL_TIME; on a terminal as short as can be */
	CELL_TALLY,   /* a count; where it is optional, 0 says nothing */
	CELL_TRIES,   /* a count; where it is optional, 1 says nothing */
	CELL_DECIMAL, /* microseconds as seconds, "0.123456", also in csv and JSON */
};

/* When a column is there, and how it gives way on a terminal that is too narrow. 0 (false): always. */
enum {
	COLUMN_OPTIONAL = 1, /* (true) not where it said nothing in all of the first rows */
	COLUMN_SHRINK = 2,   /* its texts may be cut; a URL, and a text in the last column, are by themselves */
	COLUMN_BENEATH = 4,  /* may have a line of its own */
	COLUMN_WRAP = 8,     /* in the last column: goes on in further lines, and is not cut */
};
#define COLUMN_DROP(rank)    ((unsigned)(rank) << 8) /* may go; 1 goes first */
#define COLUMN_DROP_OF(show) ((show) >> 8)
#define COLUMN_DROPS         4u

struct column {
	const char *head;
	const char *path; /* "timings.total_us"; "error|reason" is the first that is not null */
	enum cell kind;
	unsigned show;  /* COLUMN_... */
	unsigned width; /* in a live table, and in one that goes on: at least */
};
/* Tables end with a NULL head. In csv, cells are what the JSON holds. */
struct layout {
	const struct column *table;
	const struct column *csv;
};

struct rows;

/* `live`: rows are shown as they come, one by one (tables then have widths of their own making). */
struct rows *rows_open(enum format format, const struct layout *layout, bool live);
/* In JSON too, rows have the csv columns and nothing else. */
void rows_only_columns(struct rows *r);
/* One object, as text (without its newline) or parsed. Return 0, or -1 with `e` (malformed, or stdout is full). */
int rows_put_text(struct rows *r, const char *json, size_t len, struct err *e);
int rows_put(struct rows *r, const json_t *row, struct err *e);
/* A row that will come, or one like it: a table's columns make room for it. */
void rows_expect(struct rows *r, const json_t *row);
/* What is still held back goes out. */
void rows_flush(struct rows *r);
/* Ends the output and frees. Unless it is `whole`, a json array is left open: what broke off must not look complete. */
void rows_close(struct rows *r, bool whole);

/* A cell as people read it. */
void rows_cell(struct text *t, const json_t *row, const struct column *c);
/* The member at `path`, NULL where there is none. */
const json_t *rows_member(const json_t *row, const char *path);

/* One object as lines of "name value" (table), or as json, ndjson or csv. */
int rows_object(enum format format, const json_t *object, const struct layout *layout, struct err *e);

/* ---- the tables behind it (cli/table.c) ---- */

struct table;
struct table *table_create(const struct column *columns, bool live);
void table_add(struct table *t, const json_t *row); /* kept by reference until it is shown */
void table_expect(struct table *t, const json_t *row);
void table_flush(struct table *t);
void table_free(struct table *t);

#endif
