/* Where things are: the sockets that a client tries, and the directories of a private daemon (`--local`), by the XDG
 * base directory rules. Nothing here creates anything. */
#ifndef FANOUT_LIB_PATHS_H
#define FANOUT_LIB_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

#define PATHS_MAX           4096
#define PATHS_SYSTEM_SOCKET "/run/fanout/fanout.sock"
#define PATHS_SYSTEM_CONF   "/etc/fanout/fanout.conf"

/* A private daemon's places: socket in $XDG_RUNTIME_DIR/fanout (or /tmp/fanout-UID where it is not set), state in
 * $XDG_STATE_HOME/fanout (~/.local/state/fanout), configuration, where there is one,
 * $XDG_CONFIG_HOME/fanout/fanout.conf. */
struct paths_local {
	char runtime_dir[PATHS_MAX];
	char socket[PATHS_MAX];
	char state_dir[PATHS_MAX];
	char conf[PATHS_MAX];
	char log[PATHS_MAX]; /* the daemon's stderr, in the state directory */
};
int paths_local(struct paths_local *p, struct err *e);

/* The directory of the running program (from /proc/self/exe), to find the programs next to it; for an installed client
 * or daemon the worker is in ../libexec/fanout. Writes the path of `program` where it is executable. */
int paths_program(const char *program, char *out, size_t size, struct err *e);

#endif
