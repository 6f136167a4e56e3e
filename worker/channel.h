/* Frames to and from the daemon over one non-blocking descriptor. What goes out is gathered and written once a turn of
 * the loop; what cannot be written waits in memory, and the caller bounds it. Knows frames and no messages. */
#ifndef FANOUT_WORKER_CHANNEL_H
#define FANOUT_WORKER_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include "lib/wire.h"

struct event_base;
struct channel;

enum channel_end {
	CHANNEL_CLOSED,   /* end of file, or the other end is gone */
	CHANNEL_MISSPOKE, /* a frame that is none, or that on_frame refused */
};

struct channel_events {
	/* One frame; borrowed until the return. -1 refuses it, which ends the channel. */
	int (*on_frame)(uint8_t type, struct wire_in *in, void *arg);
	/* Once; nothing is read or written afterwards. */
	void (*on_end)(enum channel_end end, void *arg);
	void *arg;
};

/* Makes `fd` non-blocking and owns it. Aborts when memory is short: this is start-up. */
struct channel *channel_create(struct event_base *base, int fd, const struct channel_events *events);
void channel_free(struct channel *c);

/* Where to put frames. */
struct wire_out *channel_out(struct channel *c);
/* Bytes put and not yet written. */
size_t channel_pending(const struct channel *c);
/* Writes what the other end takes; the rest goes out by itself. */
void channel_flush(struct channel *c);

#endif
