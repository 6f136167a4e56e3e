/* A private daemon for this user: found, or started. */
#ifndef FANOUT_CLI_LOCAL_H
#define FANOUT_CLI_LOCAL_H

#include <stddef.h>

#include "lib/err.h"

/* Makes sure that `fanoutd --local` of this user answers, and writes its socket. Two clients that come at once start
 * one. Takes at most ten seconds. */
int local_start(char *socket, size_t size, struct err *e);

#endif
