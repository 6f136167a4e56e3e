/* Members of JSON documents by their dotted paths: "meta.next". */
#ifndef FANOUT_APISIM_DOTTED_H
#define FANOUT_APISIM_DOTTED_H

#include <jansson.h>

/* Borrowed; NULL where there is none. */
json_t *dotted_get(json_t *document, const char *path);
/* Takes `value` over; makes the objects on the way. */
void dotted_set(json_t *document, const char *path, json_t *value);

#endif
