/* What HOST|BATCH on the command line of audit and of limits names, asked of the daemon: a host's keys, or a batch with
 * its hosts, its time and a limit of its own. What is read from the words alone is cli/hosts.h's affair. */
#ifndef FANOUT_CLI_HOSTS_FIND_H
#define FANOUT_CLI_HOSTS_FIND_H

#include <jansson.h>

#include "cli/ctl.h"
#include "cli/hosts.h"

struct client;

/* *batch is NULL where the operand is a host; else a new reference with "run" or "batch" (its number), "hosts",
 * "started_at", "ended_at" and "limit" {name, rate} or null. Connects. */
int hosts_find_batch(struct ctl *ctl, const char *operand, json_t **batch, struct err *e);
/* The keys of a host: those that its words mean, and its other ports that a limit holds something of. */
int hosts_find_limited(struct client *c, const char *operand, struct hosts *h, struct err *e);
/* The same, and the ports that something was sent to. */
int hosts_find_recorded(struct client *c, const char *operand, struct hosts *h, struct err *e);

#endif
