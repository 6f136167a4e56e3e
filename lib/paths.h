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

/* A private daemon's places: state and socket in $XDG_STATE_HOME/fanout (~/.local/state/fanout), so that every session
 * of a user finds it, also one without XDG_RUNTIME_DIR (cron, su); configuration, where there is one,
 * $XDG_CONFIG_HOME/fanout/fanout.conf. A Unix socket's path has 107 bytes at most: where that is too short, the socket
 * is /tmp/fanout-UID/HASH.sock, with a hash of the state directory. */
struct paths_local {
	char state_dir[PATHS_MAX];
	char socket_dir[PATHS_MAX]; /* the state directory, nearly always */
	char socket[PATHS_MAX];
	char conf[PATHS_MAX];
	char pulls_dir[PATHS_MAX], secrets_dir[PATHS_MAX]; /* beside it */
	char log[PATHS_MAX];                               /* the daemon's stderr, in the state directory */
};
int paths_local(struct paths_local *p, struct err *e);

/* Where earlier versions had a private daemon's socket: below $XDG_RUNTIME_DIR. -1 when there is no such place. */
int paths_older_socket(char *out);

/* Whether `dir` is a directory that belongs to this user and that nobody else can write into. */
bool paths_is_own(const char *dir);

/* The directory of the running program (from /proc/self/exe), to find the programs next to it; for an installed client
 * or daemon the worker is in ../libexec/fanout. Writes the path of `program` where it is executable. */
int paths_program(const char *program, char *out, size_t size, struct err *e);

#endif
