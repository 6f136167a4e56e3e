/* Knows jq's values, and no program. */
#define _GNU_SOURCE 1

#include "lib/envelope.h"

#include <ctype.h>
#include <jq.h>
#include <string.h>

static jv lower_name(const char *line, size_t n)
{
	char name[256];

	if (n > sizeof name)
		n = sizeof name;
	for (size_t i = 0; i < n; i++)
		name[i] = (char)tolower((unsigned char)line[i]);
	return jv_string_sized(name, (int)n);
}

/* RFC 9110, section 5.3: what is said twice is one list. */
static jv add_header(jv all, const char *line, const char *end)
{
	const char *colon = memchr(line, ':', (size_t)(end - line));
	const char *value = colon ? colon + 1 : end;
	jv name, v, before;

	if (!colon)
		return all;
	name = lower_name(line, (size_t)(colon - line));
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	v = jv_string_sized(value, (int)(end - value));
	before = jv_object_get(jv_copy(all), jv_copy(name));
	if (jv_get_kind(before) == JV_KIND_STRING)
		v = jv_string_concat(jv_string_concat(before, jv_string(", ")), v);
	else
		jv_free(before);
	return jv_object_set(all, name, v);
}

static jv header_object(const char *head)
{
	const char *line = strchrnul(head, '\n');
	jv all = jv_object();

	while (*line && *++line) {
		const char *end = strchrnul(line, '\n');

		all = add_header(all, line, end);
		line = end;
	}
	return all;
}

jv envelope_body(const void *body, int64_t bytes)
{
	struct jv_parser *parser = jv_parser_new(0);
	jv v, more;

	jv_parser_set_buf(parser, body ? body : "", (int)bytes, 0);
	v = jv_parser_next(parser);
	more = jv_is_valid(v) ? jv_parser_next(parser) : jv_invalid();
	jv_parser_free(parser);
	if (jv_is_valid(more) || jv_invalid_has_msg(jv_copy(more))) {
		jv_free(v);
		v = jv_is_valid(more) ? jv_invalid_with_msg(jv_string("there is more than one value")) : jv_copy(more);
	} else if (!jv_is_valid(v) && !jv_invalid_has_msg(jv_copy(v))) {
		jv_free(v);
		v = jv_invalid_with_msg(jv_string("it is empty"));
	}
	jv_free(more);
	return v;
}

jv envelope_make(jv body, int status, const char *head)
{
	jv envelope = jv_object();

	envelope = jv_object_set(envelope, jv_string("body"), body);
	envelope = jv_object_set(envelope, jv_string("status"), jv_number(status));
	return jv_object_set(envelope, jv_string("headers"), head ? header_object(head) : jv_object());
}
