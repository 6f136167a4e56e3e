/* Tables for people. Rows are held back until there are enough to know how wide the columns are (or until those who
 * watch want to see them), then shown; where more follow, columns have room for what these may bring. A column that has
 * nothing to say so far is not there, and gets a new heading when it has. Off a terminal nothing is cut. A table that
 * is too wide for its terminal gives up, in this order: space between columns, the place of errors beside their row
 * (they get a line of their own), columns of lesser use, and the ends of long texts, the URL's last. */
#include <libsmartcols/libsmartcols.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/rows.h"
#include "cli/when.h"
#include "lib/clock.h"

#define PIECE_ROWS  1000u
#define COLUMNS_MAX 24u
#define URL_LEAST   40u
#define TEXT_LEAST  8u
#define GAP_MOST    2u

struct place {
	const struct column *column;
	bool used;      /* had something to say */
	bool shown;     /* is there, since the last heading */
	unsigned width; /* of its widest cell; as shown: made to fit */
};

struct table {
	struct place places[COLUMNS_MAX];
	size_t count;
	bool live, headed;
	bool beneath;      /* errors have lines of their own */
	unsigned terminal; /* its columns; 0: none */
	unsigned gap;
	json_t *held;                  /* rows that are not shown yet */
	struct text cell, shown, line; /* scratch */
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

	if (!t || !(t->held = json_array()))
		BUG("out of memory");
	for (; columns->head; columns++) {
		if (t->count == COLUMNS_MAX)
			BUG("more than %u columns", COLUMNS_MAX);
		t->places[t->count++] = (struct place){.column = columns, .width = live ? columns->width : 0};
	}
	t->live = live;
	t->terminal = terminal_width();
	return t;
}

/* ---- cells ---- */

static bool to_the_right(const struct column *c)
{
	return c->kind != CELL_TEXT && c->kind != CELL_JOB && c->kind != CELL_STATE && c->kind != CELL_TIME &&
	       c->kind != CELL_MOMENT && c->kind != CELL_WHEN;
}

static bool is_url(const struct column *c)
{
	return strcmp(c->path, "url") == 0;
}

/* Into t->cell; the heading where there is no row. */
static const char *cell(struct table *t, const struct column *c, const json_t *row)
{
	char shown[WHEN_TEXT_SIZE];
	int64_t us;

	t->cell.len = 0;
	if (!row) {
		text_add_str(&t->cell, c->head);
	} else if (c->kind == CELL_WHEN && t->terminal) {
		us = when_parse_us(json_string_value(rows_member(row, c->path)));
		text_add_str(&t->cell, us < 0 ? "" : when_format_short(shown, us, clock_wall_us()));
	} else {
		rows_cell(&t->cell, row, c);
	}
	return t->cell.data;
}

/* Whether a cell is a reason to show its column. */
static bool says_something(const struct table *t, const struct column *c, const json_t *row)
{
	const json_t *value = rows_member(row, c->path);

	if (c->kind == CELL_TALLY || c->kind == CELL_TRIES)
		return json_integer_value(value) > (c->kind == CELL_TRIES);
	return t->cell.len > 0;
}

/* Notes what a row needs. Returns whether a column is news. */
static bool measure(struct table *t, const json_t *row)
{
	struct text shown = {0};
	bool news = false;

	for (size_t i = 0; i < t->count; i++) {
		struct place *p = &t->places[i];
		unsigned width = text_add_shown(&shown, cell(t, p->column, row), 0);

		shown.len = 0;
		if (!t->headed || !p->shown)
			p->width = width > p->width ? width : p->width;
		if (!p->used && (!(p->column->show & COLUMN_OPTIONAL) || says_something(t, p->column, row))) {
			p->used = true;
			news = true;
		}
	}
	text_clear(&shown);
	return news;
}

/* ---- making it fit ---- */

static bool is_last(const struct table *t, size_t i)
{
	while (++i < t->count)
		if (t->places[i].shown)
			return false;
	return true;
}

static bool may_shrink(const struct table *t, size_t i)
{
	const struct column *c = t->places[i].column;

	return is_url(c) || (c->show & COLUMN_SHRINK) || (c->kind == CELL_TEXT && is_last(t, i));
}

static unsigned least(const struct table *t, size_t i)
{
	unsigned most = is_url(t->places[i].column) ? URL_LEAST : TEXT_LEAST, width = t->places[i].width;

	return may_shrink(t, i) && width > most ? most : width;
}

static unsigned total(const struct table *t, unsigned (*width)(const struct table *t, size_t i))
{
	unsigned sum = 0;

	for (size_t i = 0; i < t->count; i++)
		if (t->places[i].shown)
			sum += width(t, i) + (sum ? t->gap : 0);
	return sum;
}

static unsigned whole(const struct table *t, size_t i)
{
	return t->places[i].width;
}

static void put_errors_beneath(struct table *t)
{
	for (size_t i = 0; i < t->count; i++) {
		if (!(t->places[i].column->show & COLUMN_BENEATH))
			continue;
		t->beneath = true;
		t->places[i].shown = false;
	}
}

static void drop_columns(struct table *t)
{
	for (unsigned rank = 1; rank <= COLUMN_DROPS && total(t, least) > t->terminal; rank++)
		for (size_t i = 0; i < t->count; i++)
			if (COLUMN_DROP_OF(t->places[i].column->show) == rank)
				t->places[i].shown = false;
}

/* A column at a time from whatever is longest; a URL counts as half as long as it is. */
static void shrink(struct table *t)
{
	for (unsigned sum = total(t, whole); sum > t->terminal; sum--) {
		struct place *widest = NULL;
		unsigned most = 0;

		for (size_t i = 0; i < t->count; i++) {
			struct place *p = &t->places[i];
			unsigned weight = is_url(p->column) ? p->width : 2 * p->width;

			if (!p->shown || p->width <= least(t, i) || weight <= most)
				continue;
			widest = p;
			most = weight;
		}
		if (!widest)
			return;
		widest->width--;
	}
}

static void fit(struct table *t)
{
	t->gap = GAP_MOST;
	t->beneath = false;
	for (size_t i = 0; i < t->count; i++) {
		struct place *p = &t->places[i];
		unsigned head = (unsigned)strlen(p->column->head);

		p->shown = p->used;
		p->width = p->width > head ? p->width : head;
	}
	if (!t->terminal)
		return;
	if (t->live)
		put_errors_beneath(t); /* how long they will be is not known */
	if (total(t, whole) > t->terminal)
		t->gap = 1;
	if (total(t, whole) > t->terminal)
		put_errors_beneath(t);
	drop_columns(t);
	shrink(t);
}

/* ---- showing ---- */

/* So many bytes of a text that is fit to be seen go into a line: up to a space, but where a word is longer than that.
 */
static size_t line_len(const char *text, unsigned room)
{
	size_t at = 0, space = 0;

	for (unsigned columns = 0; text[at]; at++) {
		columns += ((unsigned char)text[at] & 0xc0) != 0x80; /* not a byte within a character */
		if (text[at] == ' ')
			space = at;
		if (columns > room)
			return space ? space : at;
	}
	return at;
}

static unsigned room_of_last(const struct table *t, unsigned before)
{
	return t->terminal > before + TEXT_LEAST ? t->terminal - before : TEXT_LEAST;
}

/* What of a cell has room, in t->shown; what is printed beside it is libsmartcols' affair. */
static const char *fitted(struct table *t, size_t i, const json_t *row, unsigned before)
{
	struct place *p = &t->places[i];
	bool last = is_last(t, i), wraps = last && p->column->show & COLUMN_WRAP;
	unsigned room = 0, used;
	int pad;

	cell(t, p->column, row);
	if (t->terminal && last && !wraps)
		room = room_of_last(t, before);
	else if (t->terminal && !wraps && may_shrink(t, i))
		room = p->width;
	t->shown.len = 0;
	used = text_add_shown(&t->shown, t->cell.data, room);
	if (t->terminal && wraps && t->shown.len) {
		t->shown.data[line_len(t->shown.data, room_of_last(t, before))] = 0;
		return t->shown.data;
	}
	if (t->live && used > p->width && !last)
		p->width = used;
	pad = used < p->width ? (int)(p->width - used) : 0;
	/* A width that is told to libsmartcols is advice; a text as wide as its column is obeyed. */
	if (to_the_right(p->column)) {
		t->shown.len = 0;
		text_printf(&t->shown, "%*s", pad, "");
		text_add_shown(&t->shown, t->cell.data, room);
	} else if (!last) {
		text_printf(&t->shown, "%*s", pad, "");
	}
	return t->shown.len ? t->shown.data : "";
}

static void add_columns(struct table *t, struct libscols_table *out)
{
	for (size_t i = 0; i < t->count; i++) {
		const struct place *p = &t->places[i];
		bool right = to_the_right(p->column), last = is_last(t, i);
		/* The last one is as wide as its text, unless it stands on the right. */
		double width = last && !right ? 0 : p->width;

		if (p->shown && !scols_table_new_column(out, p->column->head, width, right ? SCOLS_FL_RIGHT : 0))
			BUG("out of memory");
	}
}

static void add_row(struct table *t, struct libscols_table *out, const json_t *row)
{
	struct libscols_line *line = scols_table_new_line(out, NULL);
	unsigned before = 0;
	size_t at = 0;

	for (size_t i = 0; i < t->count; i++) {
		if (!t->places[i].shown)
			continue;
		if (!line || scols_line_set_data(line, at++, fitted(t, i, row, before)) != 0)
			BUG("out of memory");
		before += t->places[i].width + t->gap;
	}
}

static void add_beneath(struct table *t, const json_t *row)
{
	unsigned indent = t->places[0].width + t->gap;

	for (size_t i = 0; i < t->count; i++) {
		const struct column *c = t->places[i].column;

		if (!(c->show & COLUMN_BENEATH) || !*cell(t, c, row))
			continue;
		text_printf(&t->line, "%*s", (int)indent, "");
		text_add_shown(&t->line, t->cell.data,
			       t->terminal > indent + TEXT_LEAST ? t->terminal - indent : TEXT_LEAST);
		text_add_char(&t->line, '\n');
	}
}

/* What of the last column did not go into the row's line. */
static void add_rest(struct table *t, const json_t *row)
{
	const struct place *p = NULL;
	unsigned before = 0, room;
	const char *rest;
	size_t len;

	for (size_t i = 0; i < t->count; i++) {
		if (!t->places[i].shown)
			continue;
		before += p ? p->width + t->gap : 0;
		p = &t->places[i];
	}
	if (!t->terminal || !p || !(p->column->show & COLUMN_WRAP))
		return;
	t->shown.len = 0;
	text_add_shown(&t->shown, cell(t, p->column, row), 0);
	room = room_of_last(t, before);
	rest = t->shown.data ? t->shown.data : "";
	for (len = line_len(rest, room); rest[len]; len = line_len(rest, room)) {
		rest += len + (rest[len] == ' ');
		text_printf(&t->line, "%*s%.*s\n", (int)before, "", (int)line_len(rest, room), rest);
	}
}

/* Line by line: without the spaces behind, and with what stands beneath a row. */
static void print_lines(struct table *t, char *text, bool heading)
{
	char *rest = text, *one;
	size_t row = 0;

	while ((one = strsep(&rest, "\n")) && (rest || *one)) {
		size_t len = strlen(one);

		while (len && one[len - 1] == ' ')
			len--;
		t->line.len = 0;
		text_printf(&t->line, "%.*s\n", (int)len, one);
		if (t->beneath && !heading)
			add_beneath(t, json_array_get(t->held, row));
		if (!heading)
			add_rest(t, json_array_get(t->held, row));
		row += !heading;
		heading = false;
		fwrite(t->line.data, 1, t->line.len, stdout);
	}
}

/* The rows that are held, under a heading where there is to be one. What fits was found out above: to libsmartcols
 * there is no terminal, and all text is fit to be seen. */
static void print(struct table *t, bool heading)
{
	struct libscols_table *out = scols_new_table();
	char *text = NULL;
	json_t *row;
	size_t i;

	if (!out)
		BUG("out of memory");
	scols_table_enable_noheadings(out, !heading);
	scols_table_enable_noencoding(out, 1);
	scols_table_set_column_separator(out, t->gap == 1 ? " " : "  ");
	scols_table_set_termforce(out, SCOLS_TERMFORCE_NEVER);
	add_columns(t, out);
	json_array_foreach (t->held, i, row) {
		add_row(t, out, row);
	}
	if (scols_print_table_to_string(out, &text) != 0)
		BUG("a table cannot be printed");
	print_lines(t, text, heading);
	free(text);
	scols_unref_table(out);
}

void table_expect(struct table *t, const json_t *row)
{
	measure(t, row);
}

/* What cells of a kind need, all but odd ones: a column that is not to move has so much room from the start. */
static const unsigned usual_widths[] = {
    [CELL_JOB] = sizeof "1000.100000" - 1,
    [CELL_STATE] = sizeof "cancelled" - 1,
    [CELL_COUNT] = sizeof "100000" - 1,
    [CELL_SECONDS] = sizeof "1000.000 s" - 1,
    [CELL_BYTES] = sizeof "1000.0 KiB" - 1,
    [CELL_TIME] = sizeof "2026-01-02 03:04:05" - 1,
    [CELL_MOMENT] = sizeof "2026-01-02 03:04:05.678" - 1,
    [CELL_WHEN] = sizeof "2026-01-02 03:04:05" - 1,
    [CELL_TALLY] = sizeof "100000" - 1,
    [CELL_TRIES] = sizeof "10" - 1,
    [CELL_DECIMAL] = sizeof "1000.000000" - 1,
};

/* A terminal has no columns to give away; what is read by programs must not move. */
static void make_room(struct table *t)
{
	for (size_t i = 0; i < t->count; i++) {
		struct place *p = &t->places[i];
		unsigned usual = t->terminal ? 0 : usual_widths[p->column->kind];

		usual = usual > p->column->width ? usual : p->column->width;
		p->width = p->width > usual ? p->width : usual;
	}
}

void table_add(struct table *t, const json_t *row)
{
	if (json_array_size(t->held) == PIECE_ROWS) {
		if (!t->headed)
			make_room(t);
		table_flush(t);
	}
	/* A reference more changes nothing that a row's giver could see. */
	json_array_append(t->held, (json_t *)(uintptr_t)row);
}

void table_flush(struct table *t)
{
	bool news = !t->headed;
	json_t *row;
	size_t i;

	if (json_array_size(t->held) == 0)
		return;
	json_array_foreach (t->held, i, row) {
		news = measure(t, row) || news;
	}
	if (news)
		fit(t);
	print(t, news);
	t->headed = true;
	json_array_clear(t->held);
}

void table_free(struct table *t)
{
	if (!t)
		return;
	json_decref(t->held);
	text_clear(&t->cell);
	text_clear(&t->shown);
	text_clear(&t->line);
	free(t);
}
