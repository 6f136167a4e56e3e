/* Tables for people: by libsmartcols where rows are at hand, a piece at a time with the widths of the first; by
 * ourselves where they come one by one. On a terminal the last column is cut to fit, elsewhere nothing is. */
#include <libsmartcols/libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/rows.h"

#define PIECE_ROWS  1000u
#define COLUMNS_MAX 24u

struct table {
	const struct column *columns[COLUMNS_MAX];
	size_t count;
	bool live, headed;
	unsigned width[COLUMNS_MAX];
	unsigned terminal; /* its columns; 0: none */
	struct libscols_table *piece;
	size_t rows;
	bool used[COLUMNS_MAX]; /* has a value in the first piece */
	struct text line;
};

static unsigned terminal_width(void)
{
	struct winsize size;

	if (!isatty(STDOUT_FILENO))
		return 0;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
}

struct table *table_create(const struct column *columns, bool live)
{
	struct table *t = calloc(1, sizeof *t);

	if (!t)
		BUG("out of memory");
	for (; columns->head; columns++) {
		if (t->count == COLUMNS_MAX)
			BUG("more than %u columns", COLUMNS_MAX);
		t->width[t->count] = columns->width;
		t->columns[t->count++] = columns;
	}
	t->live = live;
	t->terminal = terminal_width();
	return t;
}

static bool to_the_right(const struct column *c)
{
	return c->kind == CELL_COUNT || c->kind == CELL_SECONDS || c->kind == CELL_BYTES;
}

/* ---- rows at hand ---- */

static struct libscols_table *new_piece(struct table *t)
{
	struct libscols_table *piece = scols_new_table();

	if (!piece)
		BUG("out of memory");
	if (t->terminal)
		scols_table_set_termwidth(piece, t->terminal);
	scols_table_set_termforce(piece, t->terminal ? SCOLS_TERMFORCE_ALWAYS : SCOLS_TERMFORCE_NEVER);
	scols_table_enable_noheadings(piece, t->headed);
	for (size_t i = 0; i < t->count; i++) {
		int flags = (to_the_right(t->columns[i]) ? SCOLS_FL_RIGHT : 0) |
			    (t->headed ? SCOLS_FL_STRICTWIDTH : 0) |
			    (i + 1 == t->count || strcmp(t->columns[i]->path, "url") == 0 ? SCOLS_FL_TRUNC : 0);

		if (!scols_table_new_column(piece, t->columns[i]->head, t->headed ? t->width[i] : 0, flags))
			BUG("out of memory");
	}
	return piece;
}

static void add_to_piece(struct table *t, const json_t *row)
{
	struct libscols_line *line;

	if (!t->piece)
		t->piece = new_piece(t);
	line = scols_table_new_line(t->piece, NULL);
	if (!line)
		BUG("out of memory");
	for (size_t i = 0; i < t->count; i++) {
		t->line.len = 0;
		rows_cell(&t->line, row, t->columns[i]);
		t->used[i] = t->used[i] || t->line.len;
		if (scols_line_set_data(line, i, t->line.data))
			BUG("out of memory");
	}
	t->rows++;
}

static void print_piece(struct table *t)
{
	for (size_t i = 0; i < t->count; i++) {
		struct libscols_column *c = scols_table_get_column(t->piece, i);

		if (t->columns[i]->optional && !t->used[i])
			scols_column_set_flags(c, scols_column_get_flags(c) | SCOLS_FL_HIDDEN);
	}
	scols_print_table(t->piece);
	for (size_t i = 0; !t->headed && i < t->count; i++)
		t->width[i] = (unsigned)scols_column_get_width(scols_table_get_column(t->piece, i));
	scols_unref_table(t->piece);
	t->piece = NULL;
	t->rows = 0;
	t->headed = true;
}

/* ---- rows that come one by one ---- */

/* Adds one cell to t->line, at least as wide as its column, and remembers when it was wider. */
static void add_live_cell(struct table *t, size_t i, const char *cell, unsigned *column)
{
	struct text shown = {0};
	bool last = i + 1 == t->count;
	unsigned room = last && t->terminal ? (t->terminal > *column + 8 ? t->terminal - *column : 8) : 0;
	unsigned used = text_add_shown(&shown, cell, room);
	int pad;

	if (!last && used > t->width[i])
		t->width[i] = used;
	pad = last ? 0 : (int)(t->width[i] - used);
	text_printf(&t->line, "%*s%s%*s%s", to_the_right(t->columns[i]) ? pad : 0, "", shown.len ? shown.data : "",
		    to_the_right(t->columns[i]) ? 0 : pad, "", last ? "\n" : "  ");
	*column += used + (unsigned)pad + 2;
	text_clear(&shown);
}

static void print_live(struct table *t, const json_t *row)
{
	struct text cell = {0};
	unsigned column = 0;

	t->line.len = 0;
	for (size_t i = 0; i < t->count; i++) {
		cell.len = 0;
		if (row)
			rows_cell(&cell, row, t->columns[i]);
		else
			text_add_str(&cell, t->columns[i]->head);
		add_live_cell(t, i, cell.data, &column);
	}
	fwrite(t->line.data, 1, t->line.len, stdout);
	text_clear(&cell);
}

void table_add(struct table *t, const json_t *row)
{
	if (t->live) {
		if (!t->headed)
			print_live(t, NULL);
		t->headed = true;
		print_live(t, row);
		return;
	}
	add_to_piece(t, row);
	if (t->rows == PIECE_ROWS)
		print_piece(t);
}

void table_flush(struct table *t)
{
	if (t->piece)
		print_piece(t);
}

void table_free(struct table *t)
{
	if (!t)
		return;
	scols_unref_table(t->piece);
	text_clear(&t->line);
	free(t);
}
