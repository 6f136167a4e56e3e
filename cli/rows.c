/* json, ndjson and csv; tables are passed on. */
#include "cli/rows.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/when.h"
#include "lib/reals.h"
#include "lib/units.h"

struct rows {
	enum format format;
	const struct layout *layout;
	struct table *table;
	bool begun;
	bool only_columns;
	struct text line; /* scratch */
};

const json_t *rows_member(const json_t *row, const char *path)
{
	char name[64];

	while (row && *path) {
		size_t n = strcspn(path, ".");

		snprintf(name, sizeof name, "%.*s", (int)n, path);
		row = json_object_get(row, name);
		path += n + (path[n] == '.');
	}
	return row;
}

static const json_t *first_member(const json_t *row, const char *paths)
{
	const json_t *j = NULL;
	char path[64];

	for (;;) {
		size_t n = strcspn(paths, "|");

		snprintf(path, sizeof path, "%.*s", (int)n, paths);
		j = rows_member(row, path);
		if ((j && !json_is_null(j)) || !paths[n])
			return j;
		paths += n + 1;
	}
}

/* A cell as it is. */
static void raw_cell(struct text *t, const json_t *j)
{
	char *dumped;

	if (json_is_string(j)) {
		text_add(t, json_string_value(j), json_string_length(j));
	} else if (json_is_integer(j)) {
		text_printf(t, "%lld", (long long)json_integer_value(j));
	} else if (j && !json_is_null(j)) {
		dumped = json_dumps(j, JSON_ENCODE_ANY | JSON_COMPACT | reals_precision(j));
		text_add_str(t, dumped);
		free(dumped);
	}
}

/* Below a second in milliseconds: "0.000 s" says nothing. */
static void add_seconds(struct text *t, int64_t us)
{
	if (us == 0)
		text_add_str(t, "0 ms");
	else if (us < 100)
		text_printf(t, "%.2f ms", (double)us / 1e3);
	else if (us < 9950)
		text_printf(t, "%.1f ms", (double)us / 1e3);
	else if (us < 999500)
		text_printf(t, "%.0f ms", (double)us / 1e3);
	else
		text_printf(t, "%.3f s", (double)us / 1e6);
}

void rows_cell(struct text *t, const json_t *row, const struct column *c)
{
	const json_t *j = first_member(row, c->path);
	char shown[WHEN_TEXT_SIZE > UNITS_TEXT_SIZE ? WHEN_TEXT_SIZE : UNITS_TEXT_SIZE];
	int64_t us;

	text_reserve(t, 0);
	t->data[t->len] = '\0';
	if (!j || json_is_null(j))
		return;
	switch (c->kind) {
	case CELL_SECONDS:
		add_seconds(t, json_integer_value(j));
		break;
	case CELL_DECIMAL:
		text_printf(t, "%.6f", (double)json_integer_value(j) / 1e6);
		break;
	case CELL_BYTES:
		text_add_str(t, units_format_bytes(shown, json_integer_value(j)));
		break;
	case CELL_TIME:
	case CELL_WHEN:
		us = when_parse_us(json_string_value(j));
		text_add_str(t, us < 0 ? "?" : when_format(shown, us));
		break;
	case CELL_MOMENT:
		us = when_parse_us(json_string_value(j));
		if (us < 0)
			text_add_str(t, "?");
		else
			text_printf(t, "%s.%03d", when_format(shown, us), (int)(us % 1000000 / 1000));
		break;
	default:
		raw_cell(t, j);
	}
}

static void csv_cell(struct text *t, const json_t *row, const struct column *c)
{
	const json_t *j = first_member(row, c->path);

	if (c->kind == CELL_DECIMAL && json_is_integer(j))
		text_printf(t, "%.6f", (double)json_integer_value(j) / 1e6);
	else
		raw_cell(t, j);
}

static void put_csv(struct rows *r, const json_t *row)
{
	struct text cell = {0};

	r->line.len = 0;
	for (const struct column *c = r->layout->csv; c->head; c++) {
		if (c != r->layout->csv)
			text_add_char(&r->line, ',');
		cell.len = 0;
		if (row) {
			csv_cell(&cell, row, c);
			text_add_csv(&r->line, cell.len ? cell.data : "");
		} else {
			text_add_csv(&r->line, c->head);
		}
	}
	text_add(&r->line, "\r\n", 2); /* RFC 4180 */
	fwrite(r->line.data, 1, r->line.len, stdout);
	text_clear(&cell);
}

static int check_stdout(struct err *e)
{
	if (!ferror(stdout))
		return 0;
	return err_set(e, ERR_SYSTEM, NULL, "cannot write to standard output: %s", strerror(errno));
}

struct rows *rows_open(enum format format, const struct layout *layout, bool live)
{
	struct rows *r = calloc(1, sizeof *r);

	if (!r)
		BUG("out of memory");
	r->format = format;
	r->layout = layout;
	if (format == FORMAT_TABLE)
		r->table = table_create(layout->table, live);
	return r;
}

/* Not before the first row: an error has no header. */
static void begin(struct rows *r)
{
	if (r->format == FORMAT_CSV && !r->begun)
		put_csv(r, NULL);
	if (r->format == FORMAT_JSON)
		fputs(r->begun ? ",\n" : "[\n", stdout);
	r->begun = true;
}

static void put_raw(struct rows *r, const char *json, size_t len)
{
	begin(r);
	fwrite(json, 1, len, stdout);
	if (r->format == FORMAT_NDJSON)
		putchar('\n');
}

void rows_only_columns(struct rows *r)
{
	r->only_columns = true;
}

static char *dump(const struct rows *r, const json_t *row)
{
	json_t *some;
	char *dumped;

	if (!r->only_columns)
		return json_dumps(row, JSON_COMPACT | reals_precision(row));
	some = json_object();
	for (const struct column *c = r->layout->csv; c->head; c++) {
		const json_t *j = first_member(row, c->path);

		if (c->kind == CELL_DECIMAL && json_is_integer(j))
			json_object_set_new(some, c->head, json_real((double)json_integer_value(j) / 1e6));
		else
			json_object_set_new(some, c->head, j ? json_deep_copy(j) : json_null());
	}
	dumped = json_dumps(some, JSON_COMPACT | reals_precision(some));
	json_decref(some);
	return dumped;
}

int rows_put_text(struct rows *r, const char *json, size_t len, struct err *e)
{
	json_error_t why;
	json_t *row;
	int rc;

	if ((r->format == FORMAT_JSON || r->format == FORMAT_NDJSON) && !r->only_columns) {
		put_raw(r, json, len);
		return check_stdout(e);
	}
	row = json_loadb(json, len, JSON_ALLOW_NUL, &why);
	if (!row)
		return err_set(e, ERR_SYSTEM, NULL, "the daemon's answer is no JSON: %s", why.text);
	rc = rows_put(r, row, e);
	json_decref(row);
	return rc;
}

int rows_put(struct rows *r, const json_t *row, struct err *e)
{
	char *dumped;

	if (r->format == FORMAT_TABLE) {
		table_add(r->table, row);
	} else if (r->format == FORMAT_CSV) {
		begin(r);
		put_csv(r, row);
	} else {
		dumped = dump(r, row);
		put_raw(r, dumped, strlen(dumped));
		free(dumped);
	}
	return check_stdout(e);
}

void rows_expect(struct rows *r, const json_t *row)
{
	if (r->table)
		table_expect(r->table, row);
}

void rows_flush(struct rows *r)
{
	if (r->table)
		table_flush(r->table);
	fflush(stdout);
}

void rows_close(struct rows *r, bool whole)
{
	if (!r)
		return;
	if (r->table)
		table_flush(r->table);
	table_free(r->table);
	if (whole && r->format == FORMAT_CSV && !r->begun)
		begin(r);
	if (whole && r->format == FORMAT_JSON)
		fputs(r->begun ? "\n]\n" : "[]\n", stdout);
	text_clear(&r->line);
	free(r);
}

static void show_object(const json_t *object, const struct column *columns)
{
	struct text cell = {0}, shown = {0};
	int width = 0;

	for (const struct column *c = columns; c->head; c++)
		width = (int)strlen(c->head) > width ? (int)strlen(c->head) : width;
	for (const struct column *c = columns; c->head; c++) {
		cell.len = shown.len = 0;
		rows_cell(&cell, object, c);
		if (cell.len == 0)
			continue;
		text_add_shown(&shown, cell.data, 0);
		printf("%-*s  %s\n", width, c->head, shown.data);
	}
	text_clear(&cell);
	text_clear(&shown);
}

int rows_object(enum format format, const json_t *object, const struct layout *layout, struct err *e)
{
	struct rows *r;
	int rc;

	if (format == FORMAT_TABLE) {
		show_object(object, layout->table);
		return check_stdout(e);
	}
	if (format == FORMAT_JSON) {
		json_dumpf(object, stdout, JSON_INDENT(2) | reals_precision(object));
		putchar('\n');
		return check_stdout(e);
	}
	r = rows_open(format, layout, false);
	rc = rows_put(r, object, e);
	rows_close(r, rc == 0);
	return rc;
}
