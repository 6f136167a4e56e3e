/* Words in place of a batch's number: "last" is the caller's newest batch, the name of a pull its newest run. */
#ifndef FANOUT_CLI_LAST_H
#define FANOUT_CLI_LAST_H

#include "cli/ctl.h"
#include "cli/options.h"

/* "-1" means the same, and must not look like an option. To be called before options are parsed; their values,
 * by the tables in `groups`, stay as they are. */
void last_spell(const struct opt *const *groups, int argc, char **argv);
/* Puts numbers in place of "last", "last.3" and the names of pulls among the operands. ERR_NOT_FOUND when there is no
 * batch, or no run. */
int last_resolve(struct ctl *ctl, struct err *e);

#endif
