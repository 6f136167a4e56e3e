/* What the rooms of daemon/conf.h share: conf.c (the file, its keys and their types), conf_limits.c (rules). */
#ifndef FANOUT_DAEMON_CONF_PRIVATE_H
#define FANOUT_DAEMON_CONF_PRIVATE_H

#include <libconfig.h>
#include <stddef.h>

#include "daemon/conf.h"

struct conf_reader {
	const char *path;
	struct conf_faults *faults;
};

/* One key: who reads it, where it goes, within which bounds. */
struct conf_key {
	const char *name;
	int (*read)(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base);
	size_t offset;
	int64_t min, max;
	const struct conf_key *group; /* for conf_read_group; ends with a NULL name */
};

/* Both add a fault, with file and line, and return -1. */
int conf_refuse(const struct conf_reader *r, const config_setting_t *s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
int conf_wrong_type(const struct conf_reader *r, const config_setting_t *s, const char *name, const char *wanted);

int conf_read_string(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base);
int conf_read_count(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base);
int conf_read_flag(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base);
int conf_read_group(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base);

int conf_read_limits(const struct conf_reader *r, const struct conf_key *k, const config_setting_t *s, void *base);
void conf_clear_limits(struct conf *c);

#endif
