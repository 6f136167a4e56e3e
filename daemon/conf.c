/* Reading the configuration: one table of keys for each group says what there is, of which type, where it goes and
 * within which bounds. libconfig does the syntax. */
#define _GNU_SOURCE 1

#include "daemon/conf_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/throttle.h"
#include "lib/closest.h"
#include "lib/paths.h"
#include "lib/units.h"

#define DAY_US (INT64_C(86400) * 1000000)

/* ---- telling what is wrong ---- */

struct err *conf_fault(struct conf_faults *f)
{
	f->count += f->count < CONF_FAULTS_MAX;
	return &f->list[f->count - 1];
}

int conf_refuse(const struct conf_reader *r, const config_setting_t *s, const char *fmt, ...)
{
	struct err *e = conf_fault(r->faults);
	unsigned line = config_setting_source_line(s);
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	err_set(e, ERR_INPUT, "fanout.conf(5) lists the keys", "%.90s:%u: %s", r->path, line, text);
	e->line = line;
	return -1;
}

int conf_wrong_type(const struct conf_reader *r, const config_setting_t *s, const char *name, const char *wanted)
{
	return conf_refuse(r, s, "%s has to be %s", name, wanted);
}

static int unknown_key(const struct conf_reader *r, const struct conf_key *keys, const config_setting_t *s)
{
	const char *group = config_setting_name(config_setting_parent(s));
	struct closest near = {.word = config_setting_name(s)};
	char known[200] = "";
	size_t n = 0;

	for (const struct conf_key *k = keys; k->name && n < sizeof known; k++) {
		n += (size_t)snprintf(known + n, sizeof known - n, " %s", k->name);
		closest_offer(&near, k->name);
	}
	return conf_refuse(
	    r, s, "unknown key \"%.40s\"%s%.40s; %s%s%s", near.word, group ? " in " : "", group ? group : "",
	    near.name ? "did you mean \"" : "known are:", near.name ? near.name : known, near.name ? "\"?" : "");
}

/* ---- readers ---- */

static char *copy(const char *s)
{
	char *c = strdup(s);

	if (!c)
		BUG("out of memory for the configuration");
	return c;
}

static void *at(const struct conf_key *k, void *base)
{
	return (char *)base + k->offset;
}

static void set_string(const struct conf_key *k, void *base, const char *s)
{
	char **out = at(k, base);

	free(*out);
	*out = copy(s);
}

int conf_read_string(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base)
{
	const char *text = config_setting_get_string(s);

	if (!text || !text[0])
		return conf_wrong_type(r, s, k->name, "a string that is not empty");
	set_string(k, base, text);
	return 0;
}

static int read_path(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base)
{
	const char *text = config_setting_get_string(s);

	if (!text || text[0] != '/')
		return conf_wrong_type(r, s, k->name, "an absolute path, as a string");
	if ((int64_t)strlen(text) > k->max)
		return conf_refuse(r, s, "%s is longer than %lld bytes", k->name, (long long)k->max);
	set_string(k, base, text);
	return 0;
}

/* libconfig reads 0660 as the number 660: file modes are strings here. */
static int read_mode(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base)
{
	const char *text = config_setting_get_string(s);
	char *end;
	unsigned long mode;

	if (!text || !text[0])
		return conf_wrong_type(r, s, k->name, "an octal number in quotes, as in \"0660\"");
	mode = strtoul(text, &end, 8);
	if (*end || strspn(text, "01234567") != strlen(text) || mode > 0777)
		return conf_refuse(r, s, "%s = \"%.20s\" is not an octal number from 0 to 0777", k->name, text);
	*(unsigned *)at(k, base) = (unsigned)mode;
	return 0;
}

static bool is_whole(const config_setting_t *s)
{
	int type = config_setting_type(s);

	return type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
}

static int64_t whole(const config_setting_t *s)
{
	return config_setting_type(s) == CONFIG_TYPE_INT ? config_setting_get_int(s) : config_setting_get_int64(s);
}

int conf_read_count(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base)
{
	int64_t n;

	if (!is_whole(s))
		return conf_wrong_type(r, s, k->name, "a whole number");
	n = whole(s);
	if (n < k->min || n > k->max)
		return conf_refuse(r, s, "%s = %lld is not within %lld and %lld", k->name, (long long)n,
				   (long long)k->min, (long long)k->max);
	*(unsigned *)at(k, base) = (unsigned)n;
	return 0;
}

int conf_read_flag(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base)
{
	if (config_setting_type(s) != CONFIG_TYPE_BOOL)
		return conf_wrong_type(r, s, k->name, "true or false");
	*(bool *)at(k, base) = config_setting_get_bool(s) != 0;
	return 0;
}

/* An amount with a unit in a string, or a bare number (seconds, bytes). */
static int read_amount(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base,
		       int (*parse)(const char *, int64_t *, struct err *), const char *wanted)
{
	const char *text = config_setting_get_string(s);
	char number[32];
	struct err why;
	int64_t v;

	if (!text && !is_whole(s))
		return conf_wrong_type(r, s, k->name, wanted);
	if (!text) {
		snprintf(number, sizeof number, "%lld", (long long)whole(s));
		text = number;
	}
	if (parse(text, &v, &why))
		return conf_refuse(r, s, "%s: %s", k->name, why.what);
	if (v < k->min || v > k->max)
		return conf_refuse(r, s, "%s = \"%.30s\" is out of range", k->name, text);
	*(int64_t *)at(k, base) = v;
	return 0;
}

static int read_duration(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base)
{
	return read_amount(r, k, s, base, units_parse_duration_us, "a duration, as in \"30s\"");
}

static int read_bytes(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base)
{
	return read_amount(r, k, s, base, units_parse_bytes, "a size, as in \"64M\"");
}

static int read_level(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base)
{
	const char *text = config_setting_get_string(s);
	int level = text ? log_level_parse(text) : -1;

	if (level < 0)
		return conf_wrong_type(r, s, k->name, "\"error\", \"warn\", \"info\" or \"debug\"");
	*(enum log_level *)at(k, base) = (enum log_level)level;
	return 0;
}

int conf_read_group(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base)
{
	int rc = 0;

	if (!config_setting_is_group(s))
		return conf_wrong_type(r, s, k->name ? k->name : "an element", "a group, as in { ... }");
	for (int i = 0; i < config_setting_length(s); i++) {
		const config_setting_t *child = config_setting_get_elem(s, (unsigned)i);
		const struct conf_key *found = k->group;

		while (found->name && strcmp(found->name, config_setting_name(child)) != 0)
			found++;
		if ((found->name ? found->read(r, found, child, base) : unknown_key(r, k->group, child)) < 0)
			rc = -1;
	}
	return rc;
}

/* ---- networks ---- */

static bool is_network(const char *text)
{
	char address[64];
	unsigned char bytes[16];
	const char *slash = strchr(text, '/');
	char *end;
	long bits;
	int most;

	if (!slash || (size_t)(slash - text) >= sizeof address || slash[1] < '0' || slash[1] > '9')
		return false;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	most = inet_pton(AF_INET, address, bytes) == 1 ? 32 : inet_pton(AF_INET6, address, bytes) == 1 ? 128 : -1;
	bits = strtol(slash + 1, &end, 10);
	return *end == '\0' && bits <= most;
}

static void clear_deny(struct conf *c)
{
	for (unsigned i = 0; i < c->deny_count; i++)
		free(c->deny[i]);
	c->deny_count = 0;
}

static int read_deny(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base)
{
	struct conf *c = base;

	if (!config_setting_is_array(s) && !config_setting_is_list(s))
		return conf_wrong_type(r, s, k->name, "an array of networks, as in [\"169.254.0.0/16\"]");
	if (config_setting_length(s) > MESSAGE_DENY_MAX)
		return conf_refuse(r, s, "%s has more than %d networks", k->name, MESSAGE_DENY_MAX);
	clear_deny(c); /* of the defaults */
	for (int i = 0; i < config_setting_length(s); i++) {
		const char *text = config_setting_get_string_elem(s, i);

		if (!text || !is_network(text))
			return conf_refuse(r, s,
					   "%s: \"%.60s\" is not a network, as in \"169.254.0.0/16\" or \"fe80::/10\"",
					   k->name, text ? text : "");
		c->deny[c->deny_count++] = copy(text);
	}
	return 0;
}

/* ---- the keys ---- */

#define AT(field) offsetof(struct conf, field)

static const struct conf_key defaults_keys[] = {
    {"concurrency", conf_read_count, AT(concurrency), 1, 10000, NULL},
    {"timeout", read_duration, AT(defaults.timeout_us), 1000, DAY_US, NULL},
    {"connect_timeout", read_duration, AT(defaults.connect_timeout_us), 1000, DAY_US, NULL},
    {"max_attempts", conf_read_count, AT(defaults.max_attempts), 1, 100, NULL},
    {"max_body", read_bytes, AT(defaults.max_body_bytes), 1, INT64_C(1) << 40, NULL},
    {"max_pause", read_duration, AT(defaults.max_pause_us), 1000000, 30 * DAY_US, NULL},
    {0},
};

static const struct conf_key network_keys[] = {
    {"deny", read_deny, 0, 0, 0, NULL},
    {0},
};

static const struct conf_key retention_keys[] = {
    {"results", read_duration, AT(retention_results_us), 0, INT64_MAX, NULL},
    {"store", read_bytes, AT(retention_store_bytes), 0, INT64_MAX, NULL},
    {0},
};

#define SOCKET_PATH_MAX 107 /* unix(7) */

static const struct conf_key keys[] = {
    {"socket", read_path, AT(socket), 0, SOCKET_PATH_MAX, NULL},
    {"socket_mode", read_mode, AT(socket_mode), 0, 0, NULL},
    {"state_dir", read_path, AT(state_dir), 0, PATHS_MAX - 300, NULL},
    {"workers", conf_read_count, AT(workers), 0, 256, NULL},
    {"pulls_dir", read_path, AT(pulls_dir), 0, PATHS_MAX - 300, NULL},
    {"secrets_dir", read_path, AT(secrets_dir), 0, PATHS_MAX - 300, NULL},
    {"pulls_memory", read_bytes, AT(pulls_memory_bytes), 1, INT64_C(1) << 40, NULL},
    {"defaults", conf_read_group, 0, 0, 0, defaults_keys},
    {"limits", conf_read_limits, 0, 0, 0, NULL},
    {"network", conf_read_group, 0, 0, 0, network_keys},
    {"retention", conf_read_group, 0, 0, 0, retention_keys},
    {"log_level", read_level, AT(log_level), 0, 0, NULL},
    {0},
};

static void set_defaults(struct conf *c)
{
	*c = (struct conf){
	    .socket = copy(PATHS_SYSTEM_SOCKET),
	    .socket_mode = 0660,
	    .state_dir = copy("/var/lib/fanout"),
	    .pulls_dir = copy(CONF_PULLS_DIR),
	    .secrets_dir = copy(CONF_SECRETS_DIR),
	    .pulls_memory_bytes = INT64_C(256) << 20,
	    .concurrency = 64,
	    .defaults = {.max_attempts = 5,
			 .timeout_us = 30000000,
			 .connect_timeout_us = 10000000,
			 .max_body_bytes = INT64_C(64) << 20,
			 .max_pause_us = THROTTLE_CAP_US},
	    .retention_results_us = 30 * DAY_US,
	    .retention_store_bytes = INT64_C(10) << 30,
	    .log_level = LOG_LEVEL_INFO,
	};
	c->deny[c->deny_count++] = copy("169.254.0.0/16");
	c->deny[c->deny_count++] = copy("fe80::/10");
}

static int syntax_error(const struct conf_reader *r, const config_t *file)
{
	struct err *e = conf_fault(r->faults);

	if (config_error_type(file) == CONFIG_ERR_FILE_IO)
		return err_set(e, errno == ENOENT ? ERR_USAGE : ERR_INPUT, "fanoutd -c FILE names another",
			       "%.200s: cannot be read: %s", r->path, strerror(errno));
	err_set(e, ERR_INPUT, "fanout.conf(5) shows the syntax", "%.200s:%d: %s", r->path, config_error_line(file),
		config_error_text(file));
	e->line = (unsigned)config_error_line(file);
	return -1;
}

int conf_load(struct conf *out, const char *path, struct conf_faults *f)
{
	static const struct conf_key root = {NULL, conf_read_group, 0, 0, 0, keys};
	struct conf_reader r = {path, f};
	config_t file;
	int rc;

	set_defaults(out);
	if (!path)
		return 0;
	config_init(&file);
	if (config_read_file(&file, path))
		rc = conf_read_group(&r, &root, config_root_setting(&file), out);
	else
		rc = syntax_error(&r, &file);
	config_destroy(&file);
	if (rc)
		conf_clear(out);
	return rc;
}

void conf_clear(struct conf *c)
{
	conf_clear_limits(c);
	clear_deny(c);
	free(c->socket);
	free(c->state_dir);
	free(c->pulls_dir);
	free(c->secrets_dir);
	*c = (struct conf){0};
}
