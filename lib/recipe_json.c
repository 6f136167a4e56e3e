/* A setting of a recipe as JSON: groups are objects, lists and arrays are arrays. */
#include <stdlib.h>
#include <string.h>

#include "lib/recipe_private.h"

#define DEPTH_MAX 64

static json_t *convert(const config_setting_t *s, unsigned depth);

static json_t *convert_group(const config_setting_t *s, unsigned depth)
{
	json_t *object = json_object();

	for (int i = 0; object && i < config_setting_length(s); i++) {
		const config_setting_t *child = config_setting_get_elem(s, (unsigned)i);

		if (json_object_set_new(object, config_setting_name(child), convert(child, depth + 1))) {
			json_decref(object);
			object = NULL;
		}
	}
	return object;
}

static json_t *convert_list(const config_setting_t *s, unsigned depth)
{
	json_t *array = json_array();

	for (int i = 0; array && i < config_setting_length(s); i++)
		if (json_array_append_new(array, convert(config_setting_get_elem(s, (unsigned)i), depth + 1))) {
			json_decref(array);
			array = NULL;
		}
	return array;
}

/* NULL where it is too deep, or a text is not UTF-8. */
static json_t *convert(const config_setting_t *s, unsigned depth)
{
	if (depth > DEPTH_MAX)
		return NULL;
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_GROUP:
		return convert_group(s, depth);
	case CONFIG_TYPE_LIST:
	case CONFIG_TYPE_ARRAY:
		return convert_list(s, depth);
	case CONFIG_TYPE_STRING:
		return json_string(config_setting_get_string(s));
	case CONFIG_TYPE_BOOL:
		return json_boolean(config_setting_get_bool(s));
	case CONFIG_TYPE_FLOAT:
		return json_real(config_setting_get_float(s));
	default:
		return json_integer(recipe_whole(s));
	}
}

json_t *recipe_json(const struct recipe_reader *rd, const config_setting_t *s)
{
	json_t *v = convert(s, 0);
	char path[RECIPE_PATH_SIZE];

	if (!v)
		recipe_refuse(rd, config_setting_source_line(s), NULL,
			      "%s cannot be JSON: it is deeper than %d, or a text in it is not UTF-8",
			      recipe_path(s, path), DEPTH_MAX);
	return v;
}

/* With 15 digits a fraction reads as it was written: 0.1, not 0.10000000000000001. */
char *recipe_json_text(const json_t *v)
{
	char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));

	if (!text)
		BUG("out of memory for JSON");
	return text;
}
