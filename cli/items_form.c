/* One row of a table for each form. */
#include "cli/items_form.h"

#include <stdlib.h>
#include <string.h>

#include "cli/items_columns.h"
#include "cli/items_json.h"

/* What of the item is written where columns were asked for. Consumes the item. */
static jv chosen(const struct items_form *f, jv item)
{
	return f->columns ? items_columns_choose(f->columns, item) : item;
}

/* ---- ndjson and json ---- */

static int put_ndjson(struct items_form *f, jv item, struct err *e)
{
	if (f->raw && jv_get_kind(item) == JV_KIND_STRING) {
		text_add(&f->sink->held, jv_string_value(item), (size_t)jv_string_length_bytes(jv_copy(item)));
		jv_free(item);
	} else {
		items_json_add(&f->sink->held, chosen(f, item));
	}
	text_add_char(&f->sink->held, '\n');
	return items_sink_added(f->sink, e);
}

static int put_json(struct items_form *f, jv item, struct err *e)
{
	text_add_str(&f->sink->held, f->count ? ",\n" : "[\n");
	items_json_add(&f->sink->held, chosen(f, item));
	return items_sink_added(f->sink, e);
}

static int end_json(struct items_form *f, struct err *e)
{
	text_add_str(&f->sink->held, f->count ? "\n]\n" : "[]\n");
	return items_sink_added(f->sink, e);
}

/* ---- csv ---- */

static int put_row(struct items_form *f, jv item, struct err *e)
{
	const char *other = f->dropped ? NULL : items_columns_other(f->columns, item);

	if (other) {
		f->dropped = true;
		snprintf(f->dropped_name, sizeof f->dropped_name, "%s", other);
	}
	items_columns_add_row(f->columns, item, &f->sink->held);
	return items_sink_added(f->sink, e);
}

static int put_csv(struct items_form *f, jv item, struct err *e)
{
	if (!f->deciding)
		return put_row(f, item, e);
	f->first = jv_array_append(f->first, item);
	return 0;
}

/* The first page that has items decides. */
static int decide(struct items_form *f, struct err *e)
{
	int n = jv_array_length(jv_copy(f->first)), rc = 0;

	if (n == 0)
		return 0;
	f->deciding = false;
	for (int i = 0; i < n; i++)
		items_columns_learn(f->columns, jv_array_get(jv_copy(f->first), i));
	items_columns_add_header(f->columns, &f->sink->held);
	for (int i = 0; rc == 0 && i < n; i++)
		rc = put_row(f, jv_array_get(jv_copy(f->first), i), e);
	jv_free(f->first);
	f->first = jv_array();
	return rc;
}

/* ---- all of them ---- */

static const struct {
	int (*put)(struct items_form *f, jv item, struct err *e);
	int (*end)(struct items_form *f, struct err *e); /* NULL: nothing ends it */
} forms[FORMATS] = {
    [FORMAT_NDJSON] = {put_ndjson, NULL},
    [FORMAT_JSON] = {put_json, end_json},
    [FORMAT_CSV] = {put_csv, decide},
};

int items_form_open(struct items_form *f, enum format format, const char *fields, bool raw, struct items_sink *sink,
		    struct err *e)
{
	*f = (struct items_form){.format = format, .raw = raw, .sink = sink, .first = jv_array()};
	f->deciding = format == FORMAT_CSV && !fields;
	if (fields && !(f->columns = items_columns_parse(fields, e)))
		return -1;
	if (f->deciding)
		f->columns = items_columns_create();
	else if (format == FORMAT_CSV)
		items_columns_add_header(f->columns, &sink->held);
	return 0;
}

int items_form_put(struct items_form *f, jv item, struct err *e)
{
	int rc = forms[f->format].put(f, item, e);

	f->count++;
	return rc;
}

int items_form_page(struct items_form *f, struct err *e)
{
	return f->deciding ? decide(f, e) : 0;
}

int items_form_close(struct items_form *f, bool whole, struct err *e)
{
	int rc =
	    whole && forms[f->format].end && (f->format != FORMAT_CSV || f->deciding) ? forms[f->format].end(f, e) : 0;

	jv_free(f->first);
	items_columns_free(f->columns);
	return rc;
}
