/* Asking for a password on the terminal, without showing it. */
#ifndef FANOUT_CLI_PASSWORD_H
#define FANOUT_CLI_PASSWORD_H

#include "lib/err.h"

/* "USER:PASSWORD" for -u: as it is where it has a colon, else with the password that is asked for. The caller frees.
 * NULL with `e` (ERR_USAGE: there is no terminal to ask on; ERR_NONE: interrupted). */
char *password_complete(const char *user, struct err *e);

#endif
