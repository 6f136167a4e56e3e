/* "last": the newest batch of the caller, in place of its number. */
#ifndef FANOUT_CLI_LAST_H
#define FANOUT_CLI_LAST_H

#include "cli/ctl.h"

/* "-1" means the same, and must not look like an option. To be called before options are parsed. */
void last_spell(int argc, char **argv);
/* Puts numbers in place of "last" and "last.3" among the operands. ERR_NOT_FOUND when there is no batch. */
int last_resolve(struct ctl *ctl, struct err *e);

#endif
