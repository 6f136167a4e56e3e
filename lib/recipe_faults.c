/* What is wrong with a recipe: all of it, not only the first thing, each with its line. Knows no key; the rooms that do
 * tell it, and go on with what does not hang on it. */
#define _GNU_SOURCE 1

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/recipe_private.h"

#define FILE_MOST 140 /* bytes of its name, the last ones */

void recipe_faults_add(struct recipe_faults *f, const struct err *e)
{
	if (f->count == RECIPE_FAULTS_MAX) {
		f->more = true;
		return;
	}
	f->list = reallocarray(f->list, f->count + 1, sizeof *f->list);
	if (!f->list)
		BUG("out of memory for the faults of a recipe");
	f->list[f->count++] = *e;
}

/* They are few, and mostly in order; those of one line stay as they came, for the later may follow from the earlier. */
void recipe_faults_sort(struct recipe_faults *f)
{
	for (size_t i = 1; i < f->count; i++) {
		struct err e = f->list[i];
		size_t k = i;

		for (; k > 0 && f->list[k - 1].line > e.line; k--)
			f->list[k] = f->list[k - 1];
		f->list[k] = e;
	}
}

void recipe_faults_clear(struct recipe_faults *f)
{
	free(f->list);
	*f = (struct recipe_faults){0};
}

/* What libconfig would take for something else is told by its line: what is made of that number or text is no news. */
static bool is_told(const struct recipe_reader *rd, unsigned line)
{
	for (size_t i = 0; i < rd->scan_faults; i++)
		if (rd->faults->list[i].line == line)
			return true;
	return false;
}

int recipe_refuse(const struct recipe_reader *rd, unsigned line, const char *hint, const char *fmt, ...)
{
	const char *file = rd->file;
	char text[240];
	struct err e;
	va_list ap;

	if (is_told(rd, line))
		return -1;
	if (strlen(file) > FILE_MOST)
		file += strlen(file) - FILE_MOST;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	err_set(&e, ERR_INPUT, hint ? hint : RECIPE_HINT, "%s:%u: %s", file, line, text);
	e.line = line;
	recipe_faults_add(rd->faults, &e);
	return -1;
}

/* libconfig keeps a pointer for us with every setting: here the key that it was to be. */
void recipe_spoil(const config_setting_t *s, const char *meant)
{
	config_setting_set_hook((config_setting_t *)(uintptr_t)s, (char *)(uintptr_t)meant);
}

bool recipe_spoilt(const struct recipe_reader *rd, const char *group, const char *name)
{
	const config_setting_t *in = group ? recipe_setting(rd, NULL, group) : rd->root;

	for (int i = 0; in && config_setting_is_group(in) && i < config_setting_length(in); i++) {
		const char *meant = config_setting_get_hook(config_setting_get_elem(in, (unsigned)i));

		if (meant && strcmp(meant, name) == 0)
			return true;
	}
	return false;
}
