/* Which hosts are meant by "api.example.org", "*.example.org:8443" or "[2001:db8::1]": the host part of a limit's match
 * (fanout.conf(5)), without a path. `*` stands for any characters, dots included; without a port any port is meant;
 * case and spelling of a host do not matter. Pure. */
#ifndef FANOUT_LIB_HOSTGLOB_H
#define FANOUT_LIB_HOSTGLOB_H

#include <stdbool.h>

#include "lib/err.h"

int hostglob_check(const char *glob, struct err *e);
/* `key` is a limit key (url_key()). False for a glob that hostglob_check refuses. */
bool hostglob_match(const char *glob, const char *key);

#endif
