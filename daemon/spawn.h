/* One worker process: fork + exec with the two descriptors of lib/message.h, and how long to wait before the next try.
 * Knows processes; no frames, no jobs. */
#ifndef FANOUT_DAEMON_SPAWN_H
#define FANOUT_DAEMON_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lib/err.h"

#define SPAWN_DELAY_MIN_US 100000 /* after the first worker that died young */
#define SPAWN_DELAY_MAX_US 30000000

/* Starts `program`. On success *channel is the daemon's end (non-blocking, close-on-exec). The child dies with the
 * daemon (PDEATHSIG, and end of file on its channel), has default signals and no other descriptor than 0 to 4. */
int spawn_worker(const char *program, int bodies_fd, pid_t *pid, int *channel, struct err *e);

/* The delay before the next start, when `young` workers in a row have died without having done any work. */
int64_t spawn_delay_us(unsigned young);

#endif
