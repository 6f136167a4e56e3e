/* Tables for people. Rows are held back until there are enough to know how wide the columns are (or until those who
 * watch want to see them), then shown; a column that has nothing to say so far is not there, and gets a new heading
 * when it has. Off a terminal nothing is cut. A table that is too wide for its terminal gives up, in this order: space
 * between columns, the place of errors beside their row (they get a line of their own), columns of lesser use, and the
 * ends of long texts, the URL's last. */
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
	json_t *held;           /* rows that are not shown yet */
	struct text cell, line; /* scratch */
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
	return c->kind != CELL_TEXT && c->kind != CELL_TIME && c->kind != CELL_WHEN;
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

static void add_cell(struct table *t, size_t i, const json_t *row, unsigned *column)
{
	struct place *p = &t->places[i];
	bool last = is_last(t, i);
	unsigned room = 0, used;
	struct text shown = {0};
	int pad;

	cell(t, p->column, row);
	if (t->terminal && last)
		room = t->terminal > *column + TEXT_LEAST ? t->terminal - *column : TEXT_LEAST;
	else if (t->terminal && may_shrink(t, i))
		room = p->width;
	used = text_add_shown(&shown, t->cell.data, room);
	if (t->live && used > p->width && !last)
		p->width = used;
	pad = p->width > used ? (int)(p->width - used) : 0;
	text_printf(&t->line, "%*s%s%*s", to_the_right(p->column) ? pad : 0, "", shown.len ? shown.data : "",
		    to_the_right(p->column) || last ? 0 : pad + (int)t->gap, "");
	if (to_the_right(p->column) && !last)
		text_printf(&t->line, "%*s", (int)t->gap, "");
	*column += used + (unsigned)pad + t->gap;
	text_clear(&shown);
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

/* `row` NULL: the heading. */
static void print(struct table *t, const json_t *row)
{
	unsigned column = 0;

	t->line.len = 0;
	for (size_t i = 0; i < t->count; i++)
		if (t->places[i].shown)
			add_cell(t, i, row, &column);
	while (t->line.len && t->line.data[t->line.len - 1] == ' ')
		t->line.len--;
	text_add_char(&t->line, '\n');
	if (t->beneath && row)
		add_beneath(t, row);
	fwrite(t->line.data, 1, t->line.len, stdout);
}

void table_expect(struct table *t, const json_t *row)
{
	measure(t, row);
}

void table_add(struct table *t, const json_t *row)
{
	/* A reference more changes nothing that a row's giver could see. */
	json_array_append(t->held, (json_t *)(uintptr_t)row);
	if (json_array_size(t->held) == PIECE_ROWS)
		table_flush(t);
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
	if (news) {
		fit(t);
		print(t, NULL);
		t->headed = true;
	}
	json_array_foreach (t->held, i, row) {
		print(t, row);
	}
	json_array_clear(t->held);
}

void table_free(struct table *t)
{
	if (!t)
		return;
	json_decref(t->held);
	text_clear(&t->cell);
	text_clear(&t->line);
	free(t);
}
