/* Lines out of pieces: only one that is cut in two is copied. */
#include "cli/lines.h"

#include <string.h>

static int put(struct lines *l, const char *line, size_t len, struct err *e)
{
	return len ? l->on_line(l->arg, line, len, e) : 0;
}

int lines_feed(void *lines, const char *data, size_t len, struct err *e)
{
	struct lines *l = lines;
	const char *end = data + len, *newline;
	int rc = 0;

	for (; rc == 0 && data < end; data = newline + 1) {
		newline = memchr(data, '\n', (size_t)(end - data));
		if (!newline) {
			text_add(&l->begun, data, (size_t)(end - data));
			break;
		}
		if (l->begun.len == 0) {
			rc = put(l, data, (size_t)(newline - data), e);
			continue;
		}
		text_add(&l->begun, data, (size_t)(newline - data));
		rc = put(l, l->begun.data, l->begun.len, e);
		l->begun.len = 0;
	}
	return rc;
}

int lines_end(struct lines *l, struct err *e)
{
	return put(l, l->begun.data, l->begun.len, e);
}

void lines_clear(struct lines *l)
{
	text_clear(&l->begun);
}
