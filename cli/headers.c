/* Header lines. What a header may be is the daemon's to say. */
#include "cli/headers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/input.h"

#define FILE_MAX_BYTES (1u << 20)

static int add(json_t *headers, const char *line, struct err *e)
{
	json_t *j = json_string(line);

	if (!j)
		return err_set(e, ERR_USAGE, NULL, "the header \"%.40s\" is not valid UTF-8", line);
	return json_array_append_new(headers, j);
}

static int add_file(json_t *headers, const char *path, struct err *e)
{
	size_t len;
	char *data = input_read_whole(path, FILE_MAX_BYTES, &len, e), *rest = data, *line;
	int rc = 0;

	if (!data)
		return -1;
	if (memchr(data, '\0', len))
		rc = err_set(e, ERR_USAGE, NULL, "%.200s has a NUL in it: it holds no headers", path);
	while (rc == 0 && (line = strsep(&rest, "\r\n")))
		rc = *line ? add(headers, line, e) : 0;
	free(data);
	return rc;
}

json_t *headers_read(const struct args *a, struct err *e)
{
	json_t *headers = json_array();
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < a->headers.count; i++) {
		const char *text = a->headers.values[i].text;

		rc = *text == '@' ? add_file(headers, text + 1, e) : add(headers, text, e);
	}
	if (rc == 0)
		return headers;
	json_decref(headers);
	return NULL;
}

void headers_default(json_t *headers, const char *name, const char *value)
{
	size_t i, n = strlen(name);
	const json_t *j;

	json_array_foreach (headers, i, j) {
		const char *line = json_string_value(j);

		if (strncasecmp(line, name, n) == 0 && strchr(":;", line[n]))
			return;
	}
	json_array_insert_new(headers, 0, json_sprintf("%s: %s", name, value));
}
