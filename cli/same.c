/* Lines beside rows, as long as there are both: how many there are is told by their numbers. */
#include "cli/same.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/lines.h"

#define COMPARED_MAX 1000

struct beside {
	const char *at, *end; /* the next line */
	bool other;
};

static int compare(struct beside *b, const char *row, size_t row_len)
{
	const char *newline = memchr(b->at, '\n', (size_t)(b->end - b->at));
	json_t *ours, *theirs;
	const char *mine, *kept;

	if (!newline)
		return 0;
	ours = json_loadb(b->at, (size_t)(newline - b->at), JSON_ALLOW_NUL, NULL);
	theirs = json_loadb(row, row_len, JSON_ALLOW_NUL, NULL);
	mine = json_string_value(json_object_get(ours, "url"));
	kept = json_string_value(json_object_get(theirs, "url"));
	/* A user's name and password are no part of the URL that is kept. */
	if (mine && kept && !strchr(mine, '@') && strcmp(mine, kept) != 0)
		b->other = true;
	json_decref(ours);
	json_decref(theirs);
	b->at = newline + 1;
	return 0;
}

static int on_row(void *arg, const char *line, size_t len, struct err *e)
{
	(void)e;
	return compare(arg, line, len);
}

bool same_urls(struct client *client, uint32_t batch, const struct text *lines)
{
	struct beside b = {.at = lines->data, .end = lines->data + lines->len};
	struct lines rows = {.on_line = on_row, .arg = &b};
	char path[80];
	struct call call = {.path = path, .on_data = lines_feed, .arg = &rows};
	struct err e;

	snprintf(path, sizeof path, "/v1/batches/%u/results?limit=%d", batch, COMPARED_MAX);
	if (client_call(client, &call, &e) == 0)
		lines_end(&rows, &e);
	lines_clear(&rows);
	return !b.other;
}
