/* Buffered framing on a stream socket. */
#include "worker/channel.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/err.h"

#define READ_BYTES     (256u << 10) /* at most, in a turn */
#define KEEP_OUT_BYTES (4u << 20)   /* a larger buffer is given back when it is empty */

struct channel {
	int fd;
	bool ended;
	struct event *readable, *writable;
	struct channel_events events;
	uint8_t *in;
	size_t in_len, in_cap;
	struct wire_out out;
	size_t written; /* of out */
};

static void end(struct channel *c, enum channel_end how)
{
	if (c->ended)
		return;
	c->ended = true;
	event_del(c->readable);
	event_del(c->writable);
	c->events.on_end(how, c->events.arg);
}

static void take_frames(struct channel *c)
{
	size_t at = 0;

	while (!c->ended) {
		struct wire_in in;
		uint8_t type;
		size_t taken;
		int rc = wire_next(c->in + at, c->in_len - at, &type, &in, &taken);

		if (rc == 0)
			break;
		if (rc < 0 || c->events.on_frame(type, &in, c->events.arg)) {
			end(c, CHANNEL_MISSPOKE);
			return;
		}
		at += taken;
	}
	memmove(c->in, c->in + at, c->in_len - at);
	c->in_len -= at;
}

static void make_room(struct channel *c)
{
	size_t want = c->in_len + READ_BYTES;
	uint8_t *p;

	if (c->in_cap >= want)
		return;
	p = realloc(c->in, want);
	if (!p)
		BUG("out of memory for a channel's %zu bytes", want);
	c->in = p;
	c->in_cap = want;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct channel *c = arg;
	ssize_t n;

	(void)what;
	make_room(c);
	n = recv(fd, c->in + c->in_len, READ_BYTES, 0);
	if (n > 0) {
		c->in_len += (size_t)n;
		take_frames(c);
	} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		end(c, CHANNEL_CLOSED);
	}
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	channel_flush(arg);
}

struct channel *channel_create(struct event_base *base, int fd, const struct channel_events *events)
{
	struct channel *c = calloc(1, sizeof *c);

	if (!c)
		BUG("out of memory");
	c->fd = fd;
	c->events = *events;
	evutil_make_socket_nonblocking(fd);
	c->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, c);
	c->writable = event_new(base, fd, EV_WRITE, on_writable, c);
	if (!c->readable || !c->writable)
		BUG("out of memory");
	event_add(c->readable, NULL);
	return c;
}

void channel_free(struct channel *c)
{
	if (!c)
		return;
	event_free(c->readable);
	event_free(c->writable);
	wire_out_clear(&c->out);
	free(c->in);
	close(c->fd);
	free(c);
}

struct wire_out *channel_out(struct channel *c)
{
	return &c->out;
}

size_t channel_pending(const struct channel *c)
{
	return c->out.len - c->written;
}

/* A slow reader must not make the buffer grow by what it has read already. */
static void compact(struct channel *c)
{
	if (c->written < KEEP_OUT_BYTES || c->written < c->out.len / 2)
		return;
	memmove(c->out.data, c->out.data + c->written, channel_pending(c));
	c->out.len -= c->written;
	c->written = 0;
}

void channel_flush(struct channel *c)
{
	while (!c->ended && channel_pending(c) > 0) {
		ssize_t n = send(c->fd, c->out.data + c->written, channel_pending(c), MSG_NOSIGNAL);

		if (n > 0) {
			c->written += (size_t)n;
		} else if (errno == EAGAIN) {
			compact(c);
			event_add(c->writable, NULL);
			return;
		} else if (errno != EINTR) {
			end(c, CHANNEL_CLOSED);
			return;
		}
	}
	c->out.len = c->written = 0;
	if (c->out.cap > KEEP_OUT_BYTES)
		wire_out_clear(&c->out);
}
