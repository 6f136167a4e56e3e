/* Three fields. */
#include "cli/items_name.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/closest.h"

enum field { FIELD_DATE, FIELD_NAME, FIELD_RUN, FIELDS };

static const char *const fields[FIELDS] = {[FIELD_DATE] = "date", [FIELD_NAME] = "name", [FIELD_RUN] = "run"};

/* The field that begins at `p`, and its length with the braces; FIELDS where it is none. */
static enum field read_field(const char *p, size_t *len)
{
	size_t n = strcspn(p + 1, "}");
	enum field f = FIELD_DATE;

	while (f < FIELDS && (strlen(fields[f]) != n || memcmp(fields[f], p + 1, n) != 0))
		f++;
	*len = n + 2;
	return p[n + 1] == '}' ? f : FIELDS;
}

int items_name_check(const char *template, struct err *e)
{
	char word[40];
	struct closest near = {.word = word};
	size_t len;

	for (const char *p = strchr(template, '{'); p; p = strchr(p + len, '{')) {
		if (read_field(p, &len) < FIELDS)
			continue;
		snprintf(word, sizeof word, "%.*s", (int)strcspn(p + 1, "}"), p + 1);
		for (size_t i = 0; i < FIELDS; i++)
			closest_offer(&near, fields[i]);
		return err_set(e, ERR_USAGE, "fields are {date} {name} {run}",
			       "-o: \"%.60s\" does not begin with a field%s%s%s", p,
			       near.name ? "; did you mean {" : "", near.name ? near.name : "", near.name ? "}?" : "");
	}
	return 0;
}

static void add_date(struct text *path, int64_t wall_us)
{
	time_t at = (time_t)(wall_us / 1000000);
	char date[16];
	struct tm tm;

	localtime_r(&at, &tm);
	strftime(date, sizeof date, "%Y-%m-%d", &tm);
	text_add_str(path, date);
}

void items_name_expand(const char *template, const char *name, uint32_t run, int64_t wall_us, struct text *path)
{
	size_t len;

	path->len = 0;
	while (*template) {
		enum field f = *template == '{' ? read_field(template, &len) : FIELDS;

		if (f == FIELD_DATE)
			add_date(path, wall_us);
		else if (f == FIELD_NAME)
			text_add_str(path, name);
		else if (f == FIELD_RUN)
			text_printf(path, "%u", run);
		else
			text_add_char(path, *template);
		template += f < FIELDS ? len : 1;
	}
}
