/* Items as ndjson, one JSON array, or csv. Knows jq's values and a sink; nothing of pages but that they end. */
#ifndef FANOUT_CLI_ITEMS_FORM_H
#define FANOUT_CLI_ITEMS_FORM_H

#include <jv.h>
#include <stdbool.h>
#include <stdint.h>

#include "cli/ctl.h"
#include "cli/items_sink.h"
#include "lib/err.h"

struct items_columns;

struct items_form {
	enum format format; /* ndjson, json or csv */
	bool raw;
	struct items_sink *sink;
	struct items_columns *columns; /* of csv, and of --fields; NULL: whole items */
	uint64_t count;
	bool dropped; /* csv: an item had members that no column is for; told once */
	char dropped_name[64];
	/* csv without --fields: the items of the first page, whose members become the columns */
	jv first;
	bool deciding;
};

/* `fields` ("id,owner.name") may be NULL; `raw`: in ndjson, strings are lines without quotes. */
int items_form_open(struct items_form *f, enum format format, const char *fields, bool raw, struct items_sink *sink,
		    struct err *e);
/* Consumes the item. */
int items_form_put(struct items_form *f, jv item, struct err *e);
/* Behind the last item of a page. */
int items_form_page(struct items_form *f, struct err *e);
/* Ends the output, unless it broke off: then a JSON array stays open. Frees. */
int items_form_close(struct items_form *f, bool whole, struct err *e);

#endif
