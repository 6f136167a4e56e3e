/* What the verbs about limits share: asking the daemon, and how its answer is shown. */
#ifndef FANOUT_CLI_LIMITS_H
#define FANOUT_CLI_LIMITS_H

#include <jansson.h>

#include "cli/ctl.h"
#include "cli/text.h"

struct client;

/* The daemon's answer for one host:port; a new reference, or NULL. */
json_t *limits_of_host(struct client *c, const char *key, struct err *e);

/* ---- showing (cli/limits_show.c) ---- */

/* Rules, their use by host, and hosts that refused: three tables, or one value. */
int limits_show(const struct ctl *ctl, const json_t *answer, struct err *e);
void limits_show_rule(const struct ctl *ctl, json_t *rule);
/* "100/1min, at most 8 at a time, evenly spread, for api.example.org". */
void limits_describe(const json_t *rule, struct text *out);
/* "100/1min 5000/1h" */
void limits_add_rates(const json_t *rule, struct text *out);

#endif
