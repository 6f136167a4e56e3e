/* The keys of a recipe: one table for each group says what there is, of which type, where it goes and within which
 * bounds. Keys with a form of their own have their reader here. What goes together is recipe_check.c's. */
#define _GNU_SOURCE 1

#include <stdlib.h>
#include <string.h>

#include "lib/header_name.h"
#include "lib/hostglob.h"
#include "lib/recipe_private.h"

#define DAY_US     (INT64_C(86400) * 1000000)
#define NUMBER_MAX (INT64_C(1) << 53) /* what jq holds exactly */
#define METHOD_MAX 20

/* ---- headers ---- */

const char *recipe_header_name_fault(const char *name, size_t len)
{
	if (len == 0)
		return "has no name";
	if (header_token_length(name) < len)
		return "has a name that no header can have";
	if (header_framing(name, len))
		return "is part of the message's framing, which fanout sets by itself";
	return NULL;
}

static const char *header_fault(const char *line)
{
	const char *colon = strchr(line, ':');

	if (!colon)
		return "is not of the form \"Name: value\"";
	for (const char *p = colon; *p; p++)
		if (((unsigned char)*p < 0x20 && *p != '\t') || *p == 0x7f)
			return "has a control byte, as a line break";
	return recipe_header_name_fault(line, (size_t)(colon - line));
}

static int read_headers(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	int n = config_setting_length(s), rc = 0;
	const char **lines;

	(void)k;
	if (!recipe_is_array(s))
		return recipe_wrong_type(rd, s, "an array of texts, as in [\"Accept: application/json\"]");
	if (n > RECIPE_HEADERS_MOST)
		return recipe_refuse(rd, config_setting_source_line(s), NULL, "there are more than %d headers",
				     RECIPE_HEADERS_MOST);
	lines = recipe_alloc(rd->r, (size_t)(n + 1) * sizeof *lines);
	for (int i = 0; i < n; i++) {
		const char *line = config_setting_get_string_elem(s, i);
		const char *fault = line ? header_fault(line) : "is no text";

		if (fault)
			rc = recipe_refuse(rd, recipe_elem_line(s, i), "write it as in \"Accept: application/json\"",
					   "headers[%d] \"%.60s\" %s", i + 1, line ? line : "", fault);
		lines[i] = recipe_copy(rd->r, line ? line : "");
	}
	rd->r->headers = lines;
	rd->r->header_count = (size_t)n;
	return rc;
}

static int read_method(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	const char *text = config_setting_get_string(s);
	size_t n = text ? strlen(text) : 0;

	(void)k;
	if (n == 0 || n > METHOD_MAX || strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != n)
		return recipe_wrong_type(rd, s, "a method in capital letters, as \"GET\" or \"POST\"");
	if (strcmp(text, "CONNECT") == 0 || strcmp(text, "TRACE") == 0 || strcmp(text, "HEAD") == 0)
		return recipe_refuse(rd, config_setting_source_line(s), NULL,
				     "method = \"%s\" is not a way to fetch pages", text);
	rd->r->method = recipe_copy(rd->r, text);
	return 0;
}

/* ---- body ---- */

static int read_body(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	struct recipe *r = rd->r;
	const char *text = config_setting_get_string(s);
	json_t *v;

	(void)k;
	if (text) {
		const char first = text[strspn(text, " \t\r\n")];

		r->body = recipe_copy(r, text);
		r->body_json = first == '{' || first == '[';
		return 0;
	}
	if (!config_setting_is_aggregate(s))
		return recipe_wrong_type(rd, s, "a text, or a group or list that becomes JSON");
	v = recipe_json(rd, s);
	if (!v)
		return -1;
	char *json = recipe_json_text(v);

	r->body = recipe_copy(r, json);
	r->body_json = r->store->body_made = true;
	free(json);
	json_decref(v);
	return 0;
}

/* ---- vars and secrets ---- */

static int check_name(const struct recipe_reader *rd, const config_setting_t *s)
{
	char path[RECIPE_PATH_SIZE];

	if (place_name_ok(config_setting_name(s), strlen(config_setting_name(s))))
		return 0;
	return recipe_refuse(rd, config_setting_source_line(s), NULL,
			     "%s: a name has 1 to 64 letters, digits, \"_\", \"-\" or \".\"", recipe_path(s, path));
}

static int read_vars(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	int n = config_setting_length(s), rc = 0;
	struct recipe_pair *vars;

	(void)k;
	if (!config_setting_is_group(s))
		return recipe_wrong_type(rd, s, "a group, as in { repo = \"curl/curl\"; }");
	if (n > RECIPE_VARS_MOST)
		return recipe_refuse(rd, config_setting_source_line(s), NULL, "there are more than %d vars",
				     RECIPE_VARS_MOST);
	vars = recipe_alloc(rd->r, (size_t)(n + 1) * sizeof *vars);
	for (int i = 0; i < n; i++) {
		const config_setting_t *v = config_setting_get_elem(s, (unsigned)i);
		const char *text = config_setting_get_string(v);
		char number[24] = "";

		if (check_name(rd, v) ||
		    (!text && !recipe_is_whole(v) && recipe_wrong_type(rd, v, "a text or a whole number")))
			rc = -1;
		else if (!text)
			snprintf(number, sizeof number, "%lld", (long long)recipe_whole(v));
		vars[i].name = recipe_copy(rd->r, config_setting_name(v));
		vars[i].value = recipe_copy(rd->r, text ? text : number);
	}
	rd->r->vars = vars;
	rd->r->var_count = (size_t)n;
	return rc;
}

static int read_hosts(struct recipe_reader *rd, const config_setting_t *s, struct recipe_secret *secret)
{
	int n = config_setting_length(s), rc = 0;
	char path[RECIPE_PATH_SIZE];
	const char **hosts;

	secret->name = recipe_copy(rd->r, config_setting_name(s));
	secret->line = config_setting_source_line(s);
	if (!recipe_is_array(s) || n == 0 || n > RECIPE_HOSTS_MOST)
		return recipe_wrong_type(rd, s, "an array of the hosts that it may go to, as in [\"api.example.org\"]");
	hosts = recipe_alloc(rd->r, (size_t)(n + 1) * sizeof *hosts);
	for (int i = 0; i < n; i++) {
		const char *host = config_setting_get_string_elem(s, i);
		struct err why;

		if (!host || hostglob_check(host, &why))
			rc = recipe_refuse(rd, recipe_elem_line(s, i), NULL, "%s[%d]: %s", recipe_path(s, path), i + 1,
					   host ? why.what : "it is no text");
		else
			hosts[secret->host_count++] = recipe_copy(rd->r, host);
	}
	secret->hosts = hosts;
	return rc;
}

static int read_secrets(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	int n = config_setting_length(s), rc = 0;
	struct recipe_secret *secrets;

	(void)k;
	if (!config_setting_is_group(s))
		return recipe_wrong_type(rd, s, "a group, as in { token = [\"api.example.org\"]; }");
	if (n > RECIPE_VARS_MOST)
		return recipe_refuse(rd, config_setting_source_line(s), NULL, "there are more than %d secrets",
				     RECIPE_VARS_MOST);
	secrets = recipe_alloc(rd->r, (size_t)(n + 1) * sizeof *secrets);
	for (int i = 0; i < n; i++) {
		const config_setting_t *v = config_setting_get_elem(s, (unsigned)i);

		if (read_hosts(rd, v, &secrets[i]) | check_name(rd, v))
			rc = -1;
	}
	rd->r->secrets = secrets;
	rd->r->secret_count = (size_t)n;
	return rc;
}

/* ---- page, since ---- */

/* A number for `page` and `offset`, anything for `cursor` and `keyset`; recipe_check.c knows which. */
static int read_start(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	(void)k;
	if (recipe_is_whole(s)) {
		rd->r->page.start = recipe_whole(s);
		rd->r->store->start_is_number = true;
	}
	return recipe_read_text_or_number(rd, &(struct recipe_key){.offset = offsetof(struct recipe, page.start_text)},
					  s);
}

static int read_statuses(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	bool many = recipe_is_array(s);
	int n = many ? config_setting_length(s) : 1;

	(void)k;
	if (n == 0 || n > RECIPE_STATUSES_MAX)
		return recipe_wrong_type(rd, s, "one to eight statuses, as in [404]");
	for (int i = 0; i < n; i++) {
		const config_setting_t *v = many ? config_setting_get_elem(s, (unsigned)i) : s;
		int64_t status = recipe_is_whole(v) ? recipe_whole(v) : 0;

		if (status < 201 || status > 599)
			return recipe_wrong_type(rd, s, "statuses from 201 to 599, as in [404]");
		rd->r->page.stop_status[i] = (int)status;
	}
	rd->r->page.stop_status_count = (unsigned)n;
	return 0;
}

static int read_stop_empty(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	rd->r->store->stop_empty_given = true;
	return recipe_read_count(rd, k, s);
}

static int read_initial(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	rd->r->store->since_is_number = recipe_is_whole(s);
	return recipe_read_text_or_number(rd, k, s);
}

static int read_since(struct recipe_reader *rd, const struct recipe_key *k, const config_setting_t *s)
{
	rd->r->since.used = true;
	return recipe_read_group(rd, k, s);
}

/* ---- the tables ---- */

#define AT(field) offsetof(struct recipe, field)
#define EXPR(id)  (offsetof(struct recipe, expr) + (id) * sizeof(struct recipe_expr))

static const char *const types[] = {"single", "page", "offset", "cursor", "link", "next_url", "keyset", NULL};
static const char *const places[] = {"query", "path", "header", "json", NULL};
_Static_assert(sizeof types / sizeof *types == PAGE_TYPES + 1, "every type can be written");
_Static_assert(sizeof places / sizeof *places == PAGE_INS + 1, "every place can be written");
_Static_assert(sizeof(enum page_type) == sizeof(int) && sizeof(enum page_in) == sizeof(int), "words are ints");

static const struct recipe_key page_keys[] = {
    {"type", recipe_read_word, AT(page.type), 0, 0, NULL, types},
    {"param", recipe_read_string, AT(page.param), 0, 0, NULL, NULL},
    {"in", recipe_read_word, AT(page.in), 0, 0, NULL, places},
    {"start", read_start, 0, 0, 0, NULL, NULL},
    {"size", recipe_read_number, AT(page.size), 1, 1000000, NULL, NULL},
    {"size_param", recipe_read_string, AT(page.size_param), 0, 0, NULL, NULL},
    {"next", recipe_read_expr, EXPR(RECIPE_NEXT), 0, 0, NULL, NULL},
    {"has_more", recipe_read_expr, EXPR(RECIPE_HAS_MORE), 0, 0, NULL, NULL},
    {"stop", recipe_read_expr, EXPR(RECIPE_STOP), 0, 0, NULL, NULL},
    {"stop_status", read_statuses, 0, 0, 0, NULL, NULL},
    {"stop_empty", read_stop_empty, AT(page.stop_empty), 0, 1000, NULL, NULL},
    {"stop_short", recipe_read_flag, AT(page.stop_short), 0, 0, NULL, NULL},
    {"total_pages", recipe_read_expr, EXPR(RECIPE_TOTAL_PAGES), 0, 0, NULL, NULL},
    {"total_items", recipe_read_expr, EXPR(RECIPE_TOTAL_ITEMS), 0, 0, NULL, NULL},
    {"window", recipe_read_count, AT(page.window), 1, RECIPE_WINDOW_MAX, NULL, NULL},
    {"max_pages", recipe_read_count, AT(page.max_pages), 1, RECIPE_PAGES_MAX, NULL, NULL},
    {"same_origin", recipe_read_flag, AT(page.same_origin), 0, 0, NULL, NULL},
    {0},
};

static const struct recipe_key since_keys[] = {
    {"param", recipe_read_string, AT(since.param), 0, 0, NULL, NULL},
    {"in", recipe_read_word, AT(since.in), 0, 0, NULL, places},
    {"from", recipe_read_expr, EXPR(RECIPE_SINCE), 0, 0, NULL, NULL},
    {"initial", read_initial, AT(since.initial), 0, 0, NULL, NULL},
    {"overlap", recipe_read_duration, AT(since.overlap_us), 0, 3650 * DAY_US, NULL, NULL},
    {0},
};

static const struct recipe_key limit_keys[] = {
    {"rate", recipe_read_rate, AT(rate), 0, 0, NULL, NULL},
    {"concurrency", recipe_read_count, AT(concurrency), 1, 10000, NULL, NULL},
    {0},
};

static const struct recipe_key retry_keys[] = {
    {"max_attempts", recipe_read_count, AT(max_attempts), 1, 100, NULL, NULL},
    {0},
};

const struct recipe_key recipe_keys[] = {
    {"url", recipe_read_string, AT(url), 0, 0, NULL, NULL},
    {"method", read_method, 0, 0, 0, NULL, NULL},
    {"headers", read_headers, 0, 0, 0, NULL, NULL},
    {"body", read_body, 0, 0, 0, NULL, NULL},
    {"vars", read_vars, 0, 0, 0, NULL, NULL},
    {"secrets", read_secrets, 0, 0, 0, NULL, NULL},
    {"page", recipe_read_group, 0, 0, 0, page_keys, NULL},
    {"items", recipe_read_expr, EXPR(RECIPE_ITEMS), 0, 0, NULL, NULL},
    {"key", recipe_read_expr, EXPR(RECIPE_KEY), 0, 0, NULL, NULL},
    {"error", recipe_read_expr, EXPR(RECIPE_ERROR), 0, 0, NULL, NULL},
    {"since", read_since, 0, 0, 0, since_keys, NULL},
    {"limit", recipe_read_group, 0, 0, 0, limit_keys, NULL},
    {"retry", recipe_read_group, 0, 0, 0, retry_keys, NULL},
    {"timeout", recipe_read_duration, AT(timeout_us), 1000, DAY_US, NULL, NULL},
    {"deadline", recipe_read_duration, AT(deadline_us), UNITS_DEADLINE_MIN_US, UNITS_DEADLINE_MAX_US, NULL, NULL},
    {"conditional", recipe_read_flag, AT(conditional), 0, 0, NULL, NULL},
    {0},
};
