/* Who wants to hear about a batch: event streams and long waits. A watcher is woken when something of its batch changed
 * and then reads the store itself; so a slow reader holds nothing. */
#ifndef FANOUT_DAEMON_WATCH_H
#define FANOUT_DAEMON_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct watch;

struct watcher {
	uint32_t batch;
	void (*wake)(struct watcher *w, bool ended); /* may remove itself, and nobody else */
	struct watcher *next, *prev;                 /* watch's */
};

struct watch *watch_create(void);
void watch_free(struct watch *w);
void watch_add(struct watch *w, struct watcher *who);
void watch_remove(struct watch *w, struct watcher *who);
void watch_wake(struct watch *w, uint32_t batch, bool ended);
unsigned watch_count(const struct watch *w);

#endif
