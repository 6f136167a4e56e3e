/* The configuration file (libconfig). Every key has a default; an unknown key, a wrong type or a bad value is an error
 * with its file and line. docs/fanout.conf.5 lists the keys. */
#ifndef FANOUT_DAEMON_CONF_H
#define FANOUT_DAEMON_CONF_H

#include <stdint.h>

#include "daemon/rules.h"
#include "daemon/spec.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/message.h"

#define CONF_PULLS_DIR   "/etc/fanout/pulls.d"
#define CONF_SECRETS_DIR "/etc/fanout/secrets"

struct conf {
	char *socket;
	unsigned socket_mode;
	char *state_dir;
	unsigned workers; /* as written: 0 is one per processor */
	char *pulls_dir, *secrets_dir;
	int64_t pulls_memory_bytes; /* of the plans of all runs */
	unsigned concurrency;       /* defaults.concurrency: per host */
	struct spec_defaults defaults;
	struct rule *limits; /* each with a name of its own; strings are owned */
	unsigned limit_count;
	char *deny[MESSAGE_DENY_MAX];
	unsigned deny_count;
	int64_t retention_results_us, retention_store_bytes;
	enum log_level log_level;
};

/* What is wrong with a file: all of it, for who corrects it, up to so much. */
#define CONF_FAULTS_MAX 16

struct conf_faults {
	unsigned count;
	struct err list[CONF_FAULTS_MAX];
};
/* Room for one more, counted; where there is none, that of the last. */
struct err *conf_fault(struct conf_faults *f);

/* Defaults alone, when `path` is NULL. On error (-1) `out` is cleared and `f`, which was zeroed, has at least one
 * fault; `line` tells its line, and `what` begins with "FILE:LINE: ". */
int conf_load(struct conf *out, const char *path, struct conf_faults *f);
void conf_clear(struct conf *c);

#endif
