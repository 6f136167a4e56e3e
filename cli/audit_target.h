/* What the operand of audit and of limits names: a host, or a batch with its hosts, its time and a limit of its own. */
#ifndef FANOUT_CLI_AUDIT_TARGET_H
#define FANOUT_CLI_AUDIT_TARGET_H

#include <jansson.h>

#include "cli/ctl.h"
#include "cli/hosts.h"

/* *batch is NULL where the operand is a host; else a new reference with "run" or "batch" (its number), "hosts",
 * "started_at", "ended_at" and "limit" {name, rate} or null. Connects. */
int audit_target_find(struct ctl *ctl, const char *operand, json_t **batch, struct err *e);
/* The keys of a host: all of its ports that the daemon knows of or that something was sent to. */
int audit_target_hosts(struct ctl *ctl, const char *operand, struct hosts *h, struct err *e);

#endif
