/* A growing piece of text, and what terminals need to know of one. Knows nothing of fanout. Out of memory ends the
 * program: a client has nothing to save. */
#ifndef FANOUT_CLI_TEXT_H
#define FANOUT_CLI_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A zeroed struct is a valid empty one; `data` has a NUL behind it once anything was added. */
struct text {
	char *data;
	size_t len, cap;
};
void text_clear(struct text *t); /* frees */
void text_reserve(struct text *t, size_t more);
void text_add(struct text *t, const void *data, size_t len);
void text_add_str(struct text *t, const char *s);
void text_add_char(struct text *t, char c);
void text_printf(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Adds `s` as a JSON string with its quotes. -1 when it is not valid UTF-8 (nothing is added). */
int text_add_json(struct text *t, const char *s, size_t len);
/* " OPTION 'VALUE'", as a shell takes it for one word; nothing where there is no value. */
void text_add_option(struct text *t, const char *option, const char *value);
/* RFC 4180: quoted where it has to be. */
void text_add_csv(struct text *t, const char *s);
void text_add_base64(struct text *t, const void *data, size_t len);
/* For a terminal: control bytes and broken UTF-8 as \xNN, cut (with an ellipsis) to `columns`; 0: not cut. Returns the
 * columns used. */
unsigned text_add_shown(struct text *t, const char *s, unsigned columns);

#endif
