/* The types of a recipe's values, and what is said of those that do not fit. Knows no key by name. */
#define _GNU_SOURCE 1

#include <stdlib.h>
#include <string.h>

#include "lib/closest.h"
#include "lib/recipe_private.h"

/* ---- telling what is wrong ---- */

/* Elements of lists are named by their number, from 1. */
const char *recipe_path(const config_setting_t *s, char *out)
{
	const config_setting_t *parent = config_setting_parent(s);
	const char *name = config_setting_name(s);
	char before[RECIPE_PATH_SIZE];

	if (!parent) {
		out[0] = '\0';
		return out;
	}
	recipe_path(parent, before);
	if (name)
		snprintf(out, RECIPE_PATH_SIZE, "%.100s%s%.50s", before, before[0] ? "." : "", name);
	else
		snprintf(out, RECIPE_PATH_SIZE, "%.100s[%d]", before, config_setting_index(s) + 1);
	return out;
}

int recipe_wrong_type(const struct recipe_reader *rd, const config_setting_t *s, const char *wanted)
{
	char path[RECIPE_PATH_SIZE];

	return recipe_refuse(rd, config_setting_source_line(s), NULL, "%s has to be %s", recipe_path(s, path), wanted);
}

static void unknown_key(const struct recipe_reader *rd, const struct recipe_key *keys, const config_setting_t *s)
{
	struct closest near = {.word = config_setting_name(s)};
	char known[240] = "", path[RECIPE_PATH_SIZE];
	size_t n = 0;

	for (const struct recipe_key *k = keys; k->name; k++) {
		closest_offer(&near, k->name);
		if (n < sizeof known)
			n += (size_t)snprintf(known + n, sizeof known - n, "%s%s", n ? " " : "", k->name);
	}
	recipe_path(s, path);
	recipe_spoil(s, near.name);
	if (near.name)
		recipe_refuse(rd, config_setting_source_line(s), NULL, "unknown key \"%s\"; did you mean \"%s\"?", path,
			      near.name);
	else
		recipe_refuse(rd, config_setting_source_line(s), NULL, "unknown key \"%s\"; known are: %s", path,
			      known);
}

/* ---- readers ---- */

static void *at(const struct recipe_reader *rd, const struct recipe_key *k)
{
	return (char *)rd->r + k->offset;
}

unsigned recipe_elem_line(const config_setting_t *s, int index)
{
	const config_setting_t *elem = config_setting_get_elem(s, (unsigned)index);

	return elem && config_setting_source_line(elem) ? config_setting_source_line(elem)
							: config_setting_source_line(s);
}

bool recipe_is_whole(const config_setting_t *s)
{
	int type = config_setting_type(s);

	return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
}

int64_t recipe_whole(const config_setting_t *s)
{
	return config_setting_type(s) == CONFIG_TYPE_INT ? config_setting_get_int(s) : config_setting_get_int64(s);
}

bool recipe_is_array(const config_setting_t *s)
{
	return config_setting_is_array(s) || config_setting_is_list(s);
}

int recipe_read_string(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	const char *text = config_setting_get_string(s);

	if (!text || !text[0])
		return recipe_wrong_type(rd, s, "a text that is not empty");
	*(const char **)at(rd, k) = recipe_copy(rd->r, text);
	return 0;
}

/* A value to be sent, also where it is a number. */
int recipe_read_text_or_number(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	char number[24];

	if (!recipe_is_whole(s))
		return config_setting_type(s) == CONFIG_TYPE_STRING
			   ? recipe_read_string(rd, k, s)
			   : recipe_wrong_type(rd, s, "a text or a whole number");
	snprintf(number, sizeof number, "%lld", (long long)recipe_whole(s));
	*(const char **)at(rd, k) = recipe_copy(rd->r, number);
	return 0;
}

int recipe_read_flag(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	if (config_setting_type(s) != CONFIG_TYPE_BOOL)
		return recipe_wrong_type(rd, s, "true or false");
	*(bool *)at(rd, k) = config_setting_get_bool(s) != 0;
	return 0;
}

static int read_bounded(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s, int64_t *n)
{
	char path[RECIPE_PATH_SIZE];

	if (!recipe_is_whole(s))
		return recipe_wrong_type(rd, s, "a whole number");
	*n = recipe_whole(s);
	if (*n < k->min || *n > k->max)
		return recipe_refuse(rd, config_setting_source_line(s), NULL, "%s = %lld is not within %lld and %lld",
				     recipe_path(s, path), (long long)*n, (long long)k->min, (long long)k->max);
	return 0;
}

int recipe_read_count(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	int64_t n = 0;

	if (read_bounded(rd, k, s, &n))
		return -1;
	*(unsigned *)at(rd, k) = (unsigned)n;
	return 0;
}

int recipe_read_number(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	return read_bounded(rd, k, s, at(rd, k));
}

/* In a text with a unit, or a bare number of seconds. */
int recipe_read_duration(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	const char *text = config_setting_get_string(s);
	char number[24], path[RECIPE_PATH_SIZE];
	struct err why;
	int64_t us;

	if (!text && !recipe_is_whole(s))
		return recipe_wrong_type(rd, s, "a duration, as in \"30s\"");
	if (!text) {
		snprintf(number, sizeof number, "%lld", (long long)recipe_whole(s));
		text = number;
	}
	if (units_parse_duration_us(text, &us, &why))
		return recipe_refuse(rd, config_setting_source_line(s), why.hint, "%s: %s", recipe_path(s, path),
				     why.what);
	if (us < k->min || us > k->max)
		return recipe_refuse(rd, config_setting_source_line(s), NULL, "%s = \"%.30s\" is out of range",
				     recipe_path(s, path), text);
	*(int64_t *)at(rd, k) = us;
	return 0;
}

int recipe_read_rate(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	const char *text = config_setting_get_string(s);
	char path[RECIPE_PATH_SIZE];
	struct err why;

	if (!text)
		return recipe_wrong_type(rd, s, "a text, as in \"100/min\"");
	if (units_parse_rate(text, at(rd, k), &why))
		return recipe_refuse(rd, config_setting_source_line(s), why.hint, "%s: %s", recipe_path(s, path),
				     why.what);
	return 0;
}

/* One of k->words; its place among them is the value. */
int recipe_read_word(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	const char *text = config_setting_get_string(s);
	struct closest near = {.word = text ? text : ""};
	char all[160] = "", path[RECIPE_PATH_SIZE];
	size_t n = 0;

	for (int i = 0; k->words[i]; i++) {
		if (text && strcmp(k->words[i], text) == 0) {
			*(int *)at(rd, k) = i;
			return 0;
		}
		closest_offer(&near, k->words[i]);
		if (n < sizeof all)
			n += (size_t)snprintf(all + n, sizeof all - n, "%s\"%s\"", n ? ", " : "", k->words[i]);
	}
	recipe_path(s, path);
	if (near.name)
		return recipe_refuse(rd, config_setting_source_line(s), NULL,
				     "%s = \"%.40s\" is not known; did you mean \"%s\"?", path, text, near.name);
	return recipe_refuse(rd, config_setting_source_line(s), NULL, "%s has to be one of %s", path, all);
}

int recipe_read_expr(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	const char *text = config_setting_get_string(s);
	struct recipe_expr *x = at(rd, k);
	char path[RECIPE_PATH_SIZE];

	if (!text || !text[strspn(text, " \t\r\n")])
		return recipe_wrong_type(rd, s, "a jq expression in quotes");
	if (strlen(text) > RECIPE_EXPR_MAX)
		return recipe_refuse(rd, config_setting_source_line(s), NULL, "%s is longer than %d bytes",
				     recipe_path(s, path), RECIPE_EXPR_MAX);
	*x = (struct recipe_expr){.text = recipe_copy(rd->r, text), .line = config_setting_source_line(s)};
	return 0;
}

int recipe_read_group(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	int rc = 0;

	if (!config_setting_is_group(s))
		return recipe_wrong_type(rd, s, "a group, as in { ... }");
	for (int i = 0; i < config_setting_length(s); i++) {
		const config_setting_t *child = config_setting_get_elem(s, (unsigned)i);
		const struct recipe_key *found = k->group;

		while (found->name && strcmp(found->name, config_setting_name(child)) != 0)
			found++;
		if (found->name && found->read(rd, found, child) == 0)
			continue;
		if (found->name)
			recipe_spoil(child, found->name);
		else
			unknown_key(rd, k->group, child);
		rc = -1;
	}
	return rc;
}
