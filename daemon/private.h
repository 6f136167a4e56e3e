/* A private daemon (`fanoutd --local`): its directories, which nobody else may enter. */
#ifndef FANOUT_DAEMON_PRIVATE_H
#define FANOUT_DAEMON_PRIVATE_H

#include "daemon/conf.h"
#include "lib/err.h"

/* The configuration of this user's private daemon: the user's own file where there is one, else defaults; the socket,
 * its mode and the state directory are always the private ones. `path`: NULL, or another file;
 * then the one that was taken, or NULL still. */
int private_conf(struct conf *out, const char **path, struct conf_faults *f);
/* Makes the directories of the socket and the state, for this user alone. */
int private_dirs(const struct conf *c, struct err *e);

#endif
