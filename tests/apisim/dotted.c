/* Members of JSON documents by their dotted paths. */
#include "tests/apisim/dotted.h"

#include <stdlib.h>
#include <string.h>

json_t *dotted_get(json_t *document, const char *path)
{
	char *copy = strdup(path), *save = NULL;

	for (const char *name = strtok_r(copy, ".", &save); name && document; name = strtok_r(NULL, ".", &save))
		document = json_object_get(document, name);
	free(copy);
	return document;
}

void dotted_set(json_t *document, const char *path, json_t *value)
{
	char *copy = strdup(path), *rest = copy, *dot;

	for (; (dot = strchr(rest, '.')); rest = dot + 1) {
		*dot = '\0';
		if (!json_is_object(json_object_get(document, rest)))
			json_object_set_new(document, rest, json_object());
		document = json_object_get(document, rest);
	}
	json_object_set_new(document, rest, value);
	free(copy);
}
