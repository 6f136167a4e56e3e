/* A private daemon for this user: found, or started. */
#ifndef FANOUT_CLI_LOCAL_H
#define FANOUT_CLI_LOCAL_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

/* Makes sure that `fanoutd --local` of this user answers, and writes its socket. Clients that come at once start
 * one; one that is ending is waited for. */
int local_start(char *socket, size_t size, struct err *e);

/* The socket of this user's private daemon, where one answers; earlier versions had it in other places. */
bool local_find(char *socket, size_t size);
/* Whether this user has a private daemon's state: it ran before. */
bool local_has_state(void);

#endif
