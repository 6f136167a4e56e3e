/* Structured fields (RFC 9651), read member by member: lists of items, dictionaries of items, and their parameters. A
 * field that breaks the grammar anywhere is no field at all (section 4.2): what was read of it before `bad` shows is to
 * be forgotten. Inner lists are not read; no field that we look at has one. Knows no field by name. */
#ifndef FANOUT_WORKER_FIELDS_H
#define FANOUT_WORKER_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum field_kind { FIELD_INTEGER, FIELD_STRING, FIELD_TOKEN, FIELD_OTHER };

struct field_text {
	const char *p; /* borrowed from the field; a string's without its quotes, escapes as they are */
	size_t n;
};

struct field_item {
	enum field_kind kind;
	int64_t integer; /* of a FIELD_INTEGER */
	struct field_text text;
};

struct field {
	const char *p, *end;
	bool begun; /* a member was read */
	bool bad;
};

void field_init(struct field *f, const char *p, size_t n);

/* The next member of a list, or of a dictionary with its key (a member without a value is FIELD_OTHER). False at the
 * end, and once the field is bad. The parameters of the member before need not have been read. */
bool field_next_item(struct field *f, struct field_item *item);
bool field_next_entry(struct field *f, struct field_text *key, struct field_item *item);
/* The next parameter of the member read last. */
bool field_next_parameter(struct field *f, struct field_text *key, struct field_item *value);

bool field_text_is(const struct field_text *t, const char *text);

#endif
