/* Fields by name. A line that begins with white space belongs to the one before (RFC 9112, section 5.2). */
#define _GNU_SOURCE 1

#include "lib/head.h"

#include <string.h>
#include <strings.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

/* Where the field that begins at `p` ends: at its newline, or at the end of the text. */
static const char *field_end(const char *p)
{
	const char *end = strchrnul(p, '\n');

	while (*end && (end[1] == ' ' || end[1] == '\t'))
		end = strchrnul(end + 1, '\n');
	return end;
}

static void trim(const char *p, const char *end, struct head_value *v)
{
	while (p < end && is_space(*p))
		p++;
	while (end > p && is_space(end[-1]))
		end--;
	*v = (struct head_value){.p = p, .n = (size_t)(end - p)};
}

bool head_next(const char **at, const char *name, struct head_value *v)
{
	size_t n = strlen(name);
	const char *p = *at;

	while (*p) {
		const char *end = field_end(p);
		bool named = strncasecmp(p, name, n) == 0 && p[n] == ':';

		if (named)
			trim(p + n + 1, end, v);
		p = *end ? end + 1 : end;
		if (named) {
			*at = p;
			return true;
		}
	}
	*at = p;
	return false;
}

bool head_only(const char *head, const char *name, struct head_value *v)
{
	struct head_value other;

	if (!head_next(&head, name, v))
		return false;
	while (head_next(&head, name, &other))
		if (other.n != v->n || memcmp(other.p, v->p, v->n) != 0)
			return false;
	return true;
}
