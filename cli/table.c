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
	bool live, headed, heading; /* heading: being shown just now */
	unsigned width[COLUMNS_MAX];
	unsigned terminal; /* its columns; 0: none */
	struct libscols_table *piece;
	size_t rows;
	bool used[COLUMNS_MAX];   /* had a value so far */
	bool shown[COLUMNS_MAX];  /* in the last piece */
	bool filled[COLUMNS_MAX]; /* live: has a value in this row */
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
	for (size_t i = 0; i < t->count; i++) {
		int flags = (to_the_right(t->columns[i]) ? SCOLS_FL_RIGHT : 0) |
			    (i + 1 == t->count || strcmp(t->columns[i]->path, "url") == 0 ? SCOLS_FL_TRUNC : 0);

		if (!scols_table_new_column(piece, t->columns[i]->head, 0, flags))
			BUG("out of memory");
	}
	return piece;
}

/* libsmartcols makes a column as wide as what is in it: the first cell of each further piece is filled up with blanks
 * to the width that the column had before. */
static void fill_up(struct table *t, size_t i)
{
	struct text shown = {0};
	unsigned used = text_add_shown(&shown, t->line.data, 0);
	int pad = t->width[i] > used ? (int)(t->width[i] - used) : 0;
	bool right = to_the_right(t->columns[i]);

	shown.len = 0;
	text_printf(&shown, "%*s%s%*s", right ? pad : 0, "", t->line.data, right ? 0 : pad, "");
	t->line.len = 0;
	text_add(&t->line, shown.data, shown.len);
	text_clear(&shown);
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
		if (t->headed && t->rows == 0)
			fill_up(t, i);
		if (scols_line_set_data(line, i, t->line.data))
			BUG("out of memory");
	}
	t->rows++;
}

static void print_piece(struct table *t)
{
	bool news = false; /* a column that was hidden so far: the heading is shown again */

	for (size_t i = 0; i < t->count; i++) {
		struct libscols_column *c = scols_table_get_column(t->piece, i);

		if (t->columns[i]->optional && !t->used[i])
			scols_column_set_flags(c, scols_column_get_flags(c) | SCOLS_FL_HIDDEN);
		else
			news = news || !t->shown[i];
		t->shown[i] = !t->columns[i]->optional || t->used[i];
	}
	scols_table_enable_noheadings(t->piece, !news);
	scols_print_table(t->piece);
	for (size_t i = 0; !t->headed && i < t->count; i++)
		t->width[i] = (unsigned)scols_column_get_width(scols_table_get_column(t->piece, i));
	scols_unref_table(t->piece);
	t->piece = NULL;
	t->rows = 0;
	t->headed = true;
}

/* ---- rows that come one by one ---- */

/* A column that was empty so far is not there; when it gets its first value, the heading is shown again. */
static void note_used(struct table *t, const json_t *row)
{
	for (size_t i = 0; i < t->count; i++) {
		t->line.len = 0;
		rows_cell(&t->line, row, t->columns[i]);
		t->filled[i] = t->line.len > 0;
		if (t->used[i] || (t->columns[i]->optional && !t->filled[i] && i + 1 < t->count))
			continue;
		t->used[i] = true;
		t->headed = false;
	}
}

/* How many columns of the terminal cell i may take; 0: any number. On a terminal, the last cell of a row gets what is
 * left, and a URL in front of an error two thirds of it. */
static unsigned room_for(const struct table *t, size_t i, unsigned column)
{
	bool url = strcmp(t->columns[i]->path, "url") == 0, last = true;
	unsigned left = t->terminal > column + 12 ? t->terminal - column : 12;

	for (size_t next = i + 1; next < t->count; next++)
		last = last && !(t->heading ? t->used[next] : t->filled[next]);
	if (!t->terminal || (!url && !last))
		return 0;
	return last ? left : left * 2 / 3;
}

/* Adds one cell to t->line, at least as wide as its column, and remembers when it was wider. */
static void add_live_cell(struct table *t, size_t i, const char *cell, unsigned *column)
{
	struct text shown = {0};
	unsigned room = room_for(t, i, *column), width, used = text_add_shown(&shown, cell, room);
	int pad;

	if (used > t->width[i] && i + 1 < t->count)
		t->width[i] = used;
	width = room && t->width[i] > room ? room : t->width[i];
	pad = width > used ? (int)(width - used) : 0;
	text_printf(&t->line, "%*s%s%*s  ", to_the_right(t->columns[i]) ? pad : 0, "", shown.len ? shown.data : "",
		    to_the_right(t->columns[i]) ? 0 : pad, "");
	*column += used + (unsigned)pad + 2;
	text_clear(&shown);
}

/* `row` NULL: the heading. */
static void print_live(struct table *t, const json_t *row)
{
	struct text cell = {0};
	unsigned column = 0;

	t->line.len = 0;
	t->heading = !row;
	for (size_t i = 0; i < t->count; i++) {
		cell.len = 0;
		if (row)
			rows_cell(&cell, row, t->columns[i]);
		else
			text_add_str(&cell, t->columns[i]->head);
		if (t->used[i])
			add_live_cell(t, i, cell.data, &column);
	}
	while (t->line.len && t->line.data[t->line.len - 1] == ' ')
		t->line.len--;
	text_add_char(&t->line, '\n');
	fwrite(t->line.data, 1, t->line.len, stdout);
	text_clear(&cell);
}

static void add_live(struct table *t, const json_t *row)
{
	note_used(t, row);
	if (!t->headed)
		print_live(t, NULL);
	t->headed = true;
	print_live(t, row);
}

void table_add(struct table *t, const json_t *row)
{
	if (t->live) {
		add_live(t, row);
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
