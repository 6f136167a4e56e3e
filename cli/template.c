/* One table of fields. */
#include "cli/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/closest.h"

#define WIDTH_MAX 20

static const struct field {
	const char *name;
	bool number;
	bool distinct; /* each job has its own */
	bool same;     /* all jobs of a batch have the same */
} fields[] = {
    {"seq", true, true, false},   {"batch", true, false, true},  {"job", false, true, false},
    {"tag", false, false, false}, {"host", false, false, false},
};
#define FIELDS (sizeof fields / sizeof fields[0])

/* Reads "{name}" or "{name:width}" at `p`. Returns its length; 0 where it is none. */
static size_t read_field(const char *p, const struct field **field, int *width)
{
	const char *end = strchr(p, '}');
	size_t name = strcspn(p + 1, ":}");
	char *stop;

	*width = 0;
	if (!end)
		return 0;
	for (size_t i = 0; i < FIELDS; i++) {
		if (strlen(fields[i].name) != name || memcmp(fields[i].name, p + 1, name) != 0)
			continue;
		*field = &fields[i];
		if (p[1 + name] == '}')
			return name + 2;
		*width = (int)strtol(p + name + 2, &stop, 10);
		return fields[i].number && stop == end && stop > p + name + 2 && *width >= 1 && *width <= WIDTH_MAX
			   ? (size_t)(end - p) + 1
			   : 0;
	}
	return 0;
}

static int refuse(const char *p, struct err *e)
{
	char word[40];
	struct closest near = {.word = word};

	snprintf(word, sizeof word, "%.*s", (int)strcspn(p + 1, ":}"), p + 1);
	for (size_t i = 0; i < FIELDS; i++)
		closest_offer(&near, fields[i].name);
	return err_set(e, ERR_USAGE, "fields are {seq} {batch} {job} {tag} {host}; numbers take a width: {seq:5}",
		       "-o: \"%.60s\" does not begin with a field%s%s%s", p, near.name ? "; did you mean {" : "",
		       near.name ? near.name : "", near.name ? "}?" : "");
}

/* Whether the number of a job ends here for sure: no digit and no other field may run into it. */
static bool apart(char neighbour)
{
	return neighbour != '{' && neighbour != '}' && (neighbour < '0' || neighbour > '9');
}

/* A job's own number tells names apart where it can be read back out of the name: where it is the first or the last of
 * the fields that differ, and stands apart. ({seq}{tag} is "111" for 1 with "11" and for 11 with "1".) */
int template_check(const char *template, bool *distinct, struct err *e)
{
	const struct field *field;
	bool first = false, last = false;
	unsigned differ = 0;
	int width;

	for (const char *p = strchr(template, '{'); p; p = strchr(p, '{')) {
		size_t len = read_field(p, &field, &width);

		if (!len)
			return refuse(p, e);
		if (!field->same) {
			first = first || (differ == 0 && field->distinct && apart(p[len]));
			last = field->distinct && (differ == 0 || apart(p[-1]));
			differ++;
		}
		p += len;
	}
	*distinct = first || last;
	return 0;
}

static void add_safe(struct text *path, const char *value, size_t len)
{
	if (len == 0)
		text_add_char(path, '_');
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)value[i];

		text_add_char(path, c < 0x20 || c == 0x7f || c == '/' || (i == 0 && c == '.') ? '_' : (char)c);
	}
}

static void add_host(struct text *path, const char *url)
{
	const char *start = strstr(url, "://"), *end, *at;

	start = start ? start + 3 : url;
	end = start + strcspn(start, "/?#");
	for (at = start; at < end; at++)
		if (*at == '@')
			start = at + 1;
	if (*start == '[')
		end = start + strcspn(start, "]") + 1;
	else
		end = start + strcspn(start, ":/?#");
	add_safe(path, start, (size_t)(end - start));
}

static void add_field(struct text *path, const struct field *field, int width, const json_t *result)
{
	const json_t *j = json_object_get(result, strcmp(field->name, "host") == 0 ? "url" : field->name);
	const char *s = json_is_string(j) ? json_string_value(j) : "";

	if (field->number)
		text_printf(path, "%0*lld", width, (long long)json_integer_value(j));
	else if (strcmp(field->name, "host") == 0)
		add_host(path, s);
	else
		add_safe(path, s, strlen(s));
}

void template_expand(const char *template, const json_t *result, struct text *path)
{
	const struct field *field = NULL;
	int width;

	path->len = 0;
	while (*template) {
		size_t len = *template == '{' ? read_field(template, &field, &width) : 0;

		if (len)
			add_field(path, field, width, result);
		else
			text_add_char(path, *template);
		template += len ? len : 1;
	}
}
