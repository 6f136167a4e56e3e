/* The list of limits. What makes a good rule is daemon/rules' to say: every rule goes into such a table while it is
 * read, so that what is wrong is told with its file and line, and the engine will not refuse it later. */
#define _GNU_SOURCE 1

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/conf_private.h"
#include "lib/units.h"

/* One element of the list. */
struct draft {
	char *name, *match;
	struct limit_rule rule;
};

static int add_rate(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, const char *text,
		    struct limit_rule *rule)
{
	struct err why;

	if (!text)
		return conf_wrong_type(r, s, k->name, "a string, as in \"100/min\"");
	if (rule->rate_count == LIMIT_RATES_MAX)
		return conf_refuse(r, s, "a limit has at most %d rates", LIMIT_RATES_MAX);
	if (units_parse_rate(text, &rule->rates[rule->rate_count], &why))
		return conf_refuse(r, s, "%s: %s", k->name, why.what);
	rule->rate_count++;
	return 0;
}

static int read_rate(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base)
{
	return add_rate(r, k, s, config_setting_get_string(s), &((struct draft *)base)->rule);
}

static int read_rates(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base)
{
	struct draft *d = base;

	if ((!config_setting_is_array(s) && !config_setting_is_list(s)) || config_setting_length(s) == 0)
		return conf_wrong_type(r, s, k->name, "an array of rates, as in [\"100/min\", \"5000/h\"]");
	for (int i = 0; i < config_setting_length(s); i++)
		if (add_rate(r, k, s, config_setting_get_string_elem(s, i), &d->rule))
			return -1;
	return 0;
}

static const struct conf_key limit_keys[] = {
    {"name", conf_read_string, offsetof(struct draft, name), 0, 0, NULL},
    {"match", conf_read_string, offsetof(struct draft, match), 0, 0, NULL},
    {"rate", read_rate, 0, 0, 0, NULL},
    {"rates", read_rates, 0, 0, 0, NULL},
    {"concurrency", conf_read_count, offsetof(struct draft, rule.concurrency), 1, 10000, NULL},
    {"pace", conf_read_flag, offsetof(struct draft, rule.pace), 0, 0, NULL},
    {0},
};

static int read_draft(const struct conf_reader *r, const config_setting_t *s, struct draft *d)
{
	static const struct conf_key limit = {"a limit", conf_read_group, 0, 0, 0, limit_keys};

	if (conf_read_group(r, &limit, s, d))
		return -1;
	if (!d->match)
		return conf_refuse(r, s, "a limit has no \"match\", so nothing would be under it");
	for (const char *p = d->name; p && *p; p++)
		if (iscntrl((unsigned char)*p))
			return conf_refuse(r, s, "a limit's name has a control byte");
	if (d->name)
		return 0;
	if (strlen(d->match) > RULES_NAME_MAX)
		return conf_refuse(r, s, "a limit whose match is longer than %d bytes needs a name", RULES_NAME_MAX);
	d->name = strdup(d->match);
	if (!d->name)
		BUG("out of memory for the configuration");
	return 0;
}

/* Takes the draft's strings. */
static int take_draft(const struct conf_reader *r, const config_setting_t *s, struct draft *d, struct rules *table,
		      struct conf *c)
{
	struct rule *rule = &c->limits[c->limit_count];
	struct err why;

	*rule = (struct rule){.name = d->name, .match = d->match, .limit = d->rule, .source = RULE_CONF};
	if (rules_find(table, d->name))
		return conf_refuse(r, s, "there are two limits called \"%.100s\"; give one of them a name", d->name);
	if (rules_set(table, rule, &why))
		return conf_refuse(r, s, "%s%s%s", why.what, why.hint[0] ? ": " : "", why.hint);
	c->limit_count++;
	*d = (struct draft){0};
	return 0;
}

int conf_read_limits(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base)
{
	struct conf *c = base;
	struct rules *table;
	int rc = 0;

	if (!config_setting_is_list(s) && !(config_setting_is_array(s) && config_setting_length(s) == 0))
		return conf_wrong_type(r, s, k->name,
				       "a list of groups, as in ( { match = \"...\"; rate = \"100/min\"; } )");
	c->limits = calloc((size_t)config_setting_length(s) + 1, sizeof *c->limits);
	if (!c->limits)
		BUG("out of memory for the configuration");
	table = rules_create();
	for (int i = 0; i < config_setting_length(s); i++) {
		const config_setting_t *element = config_setting_get_elem(s, (unsigned)i);
		struct draft d = {0};

		if (read_draft(r, element, &d) || take_draft(r, element, &d, table, c))
			rc = -1;
		free(d.name);
		free(d.match);
	}
	rules_free(table);
	return rc;
}

void conf_clear_limits(struct conf *c)
{
	for (unsigned i = 0; i < c->limit_count; i++) {
		free((void *)(uintptr_t)c->limits[i].name);
		free((void *)(uintptr_t)c->limits[i].match);
	}
	free(c->limits);
	c->limits = NULL;
	c->limit_count = 0;
}
