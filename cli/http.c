/* Connecting, sending, receiving, and where an answer ends (RFC 9112). What comes in pieces is handed on in pieces. */
#include "cli/http.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/ctl.h"
#include "lib/clock.h"

#define BUFFER_BYTES 524288u
#define CONNECT_US   INT64_C(5000000)
/* The daemon says something every 15 s, even in a stream where nothing happens. */
#define SILENCE_MS 60000
/* Older connections are not reused: the daemon may be closing them just now. */
#define IDLE_MAX_US INT64_C(3000000)
/* Another thread may have said that it is over, and no signal wakes this one then. */
#define LOOK_MS         500
#define CONNECT_LOOK_MS 10

void http_init(struct http *h, const char *socket)
{
	*h = (struct http){.socket = socket, .fd = -1};
}

static void disconnect(struct http *h)
{
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
	h->from = h->to = 0;
}

void http_clear(struct http *h)
{
	disconnect(h);
	free(h->buf);
}

static enum http_end broken(struct http_exchange *x, const char *reason)
{
	x->reason = reason;
	return HTTP_BROKEN;
}

/* ---- connecting ---- */

/* A full backlog is EAGAIN at once, and nothing tells when there is room again. */
static enum http_end connect_anew(struct http *h, struct http_exchange *x)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int64_t until = clock_boot_us() + CONNECT_US;

	disconnect(h);
	x->why = ENAMETOOLONG;
	if (strlen(h->socket) >= sizeof address.sun_path)
		return HTTP_NO_CONNECTION;
	strcpy(address.sun_path, h->socket);
	h->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	while (h->fd >= 0 && connect(h->fd, (struct sockaddr *)&address, sizeof address) < 0) {
		x->why = errno;
		if (ctl_interrupted() || (errno != EAGAIN && errno != EINTR) || clock_boot_us() > until) {
			disconnect(h);
			x->why = x->why == EAGAIN ? 0 : x->why;
			return ctl_interrupted() ? HTTP_INTERRUPTED : HTTP_NO_CONNECTION;
		}
		poll(NULL, 0, CONNECT_LOOK_MS);
	}
	x->why = h->fd < 0 ? errno : 0;
	return h->fd < 0 ? HTTP_NO_CONNECTION : HTTP_WHOLE;
}

/* What comes unasked on a kept connection is its end. */
static bool is_usable(const struct http *h)
{
	struct pollfd p = {.fd = h->fd, .events = POLLIN};

	return h->fd >= 0 && h->from == h->to && clock_boot_us() - h->used_us < IDLE_MAX_US && poll(&p, 1, 0) == 0;
}

/* ---- waiting ---- */

/* Silence is counted in looks and not by a clock: who was stopped himself (^Z) has not waited. */
static enum http_end wait_for(const struct http *h, short events)
{
	struct pollfd p = {.fd = h->fd, .events = events};

	for (unsigned look = 0; look < SILENCE_MS / LOOK_MS; look++) {
		if (ctl_interrupted())
			return HTTP_INTERRUPTED;
		if (poll(&p, 1, LOOK_MS) > 0)
			return HTTP_WHOLE;
	}
	return HTTP_SILENT;
}

/* ---- sending ---- */

static ssize_t send_some(const struct http *h, const struct http_exchange *x, size_t done)
{
	size_t head = x->head.len, at = done < head ? done : head;
	struct iovec pieces[] = {{x->head.data + at, head - at}, {(void *)(uintptr_t)x->body, x->body_bytes}};
	struct msghdr m = {.msg_iov = pieces, .msg_iovlen = 2};

	if (done < head)
		return sendmsg(h->fd, &m, MSG_NOSIGNAL);
	done -= head;
	return send(h->fd, (const char *)x->body + done, x->body_bytes - done, MSG_NOSIGNAL);
}

/* Ends early where an answer comes before all was sent, or the other side takes no more: an answer that refuses the
 * rest says why, and is there to be read. `*whole` tells. */
static enum http_end send_request(struct http *h, struct http_exchange *x, bool *whole)
{
	size_t done = 0, all = x->head.len + x->body_bytes;
	enum http_end end;

	while (done < all) {
		struct pollfd p = {.fd = h->fd, .events = POLLIN};
		ssize_t n = send_some(h, x, done);

		if (n >= 0) {
			done += (size_t)n;
			x->sent = true;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN || poll(&p, 1, 0) > 0)
			break;
		end = wait_for(h, POLLIN | POLLOUT);
		if (end != HTTP_WHOLE)
			return end;
	}
	*whole = done == all;
	return HTTP_WHOLE;
}

/* ---- receiving ---- */

/* More of the answer behind what is there. `*n`: how many bytes; 0: the connection has ended. */
static enum http_end receive(struct http *h, struct http_exchange *x, size_t *n)
{
	enum http_end end;
	ssize_t got;

	if (h->from == h->to)
		h->from = h->to = 0;
	if (h->to == BUFFER_BYTES) {
		memmove(h->buf, h->buf + h->from, h->to - h->from);
		h->to -= h->from;
		h->from = 0;
	}
	if (h->to == BUFFER_BYTES)
		return broken(x, "a line of the answer is too long");
	for (;;) {
		end = wait_for(h, POLLIN);
		if (end != HTTP_WHOLE)
			return end;
		got = recv(h->fd, h->buf + h->to, BUFFER_BYTES - h->to, 0);
		if (got >= 0)
			break;
		if (errno != EAGAIN && errno != EINTR)
			return broken(x, strerror(errno));
	}
	*n = (size_t)got;
	h->to += *n;
	return HTTP_WHOLE;
}

/* The next line without its end, in the buffer, with a NUL behind it. */
static enum http_end read_line(struct http *h, struct http_exchange *x, char **line)
{
	size_t looked = 0, n;
	enum http_end end;
	char *newline;

	while (!(newline = memchr(h->buf + h->from + looked, '\n', h->to - h->from - looked))) {
		looked = h->to - h->from;
		end = receive(h, x, &n);
		if (end != HTTP_WHOLE)
			return end;
		if (n == 0)
			return broken(x, "it ended before its answer did");
	}
	*line = h->buf + h->from;
	h->from = (size_t)(newline + 1 - h->buf);
	newline -= newline > *line && newline[-1] == '\r';
	*newline = '\0';
	return HTTP_WHOLE;
}

/* ---- the head ---- */

struct answer {
	uint64_t left;
	bool has_length, chunked, close;
};

static const char *header(const char *line, const char *name)
{
	size_t n = strlen(name);

	if (strncasecmp(line, name, n) != 0 || line[n] != ':')
		return NULL;
	return line + n + 1 + strspn(line + n + 1, " \t");
}

static bool read_number(const char *text, int base, uint64_t *n)
{
	char *rest;

	errno = 0;
	*n = strtoull(text, &rest, base);
	rest += strspn(rest, " \t");
	return strchr("0123456789abcdefABCDEF", *text) && rest != text && (*rest == '\0' || *rest == ';') && !errno;
}

static enum http_end read_head(struct http *h, struct http_exchange *x, struct answer *a)
{
	const char *value;
	enum http_end end;
	char *line;

	*a = (struct answer){0};
	x->status = 0;
	end = read_line(h, x, &line);
	if (end != HTTP_WHOLE)
		return end;
	if (strncmp(line, "HTTP/1.", 7) != 0 || !line[7] || line[8] != ' ' || atoi(line + 9) < 100)
		return broken(x, "what came is no HTTP");
	a->close = line[7] == '0';
	x->status = atoi(line + 9);
	while ((end = read_line(h, x, &line)) == HTTP_WHOLE && *line) {
		if ((value = header(line, "Content-Length")) && !(a->has_length = read_number(value, 10, &a->left)))
			return broken(x, "its answer has no proper length");
		if ((value = header(line, "Transfer-Encoding")))
			a->chunked = strcasecmp(value, "chunked") == 0;
		if ((value = header(line, "Connection")))
			a->close |= strcasecmp(value, "close") == 0;
	}
	if (x->status == 204 || x->status == 304)
		*a = (struct answer){.has_length = true, .close = a->close};
	return end;
}

/* ---- the body ---- */

/* `left` bytes, handed on as they come. */
static enum http_end read_bytes(struct http *h, struct http_exchange *x, uint64_t left)
{
	enum http_end end;
	size_t n, have;

	while (left) {
		if (h->from == h->to) {
			end = receive(h, x, &n);
			if (end != HTTP_WHOLE)
				return end;
			if (n == 0)
				return broken(x, "it ended before its answer did");
		}
		have = h->to - h->from;
		n = left < have ? (size_t)left : have;
		h->from += n;
		left -= n;
		if (x->on_data(x->arg, x->status, h->buf + h->from - n, n))
			return HTTP_BROKEN_OFF;
	}
	return HTTP_WHOLE;
}

static enum http_end read_chunks(struct http *h, struct http_exchange *x)
{
	enum http_end end;
	uint64_t size;
	char *line;

	do {
		end = read_line(h, x, &line);
		if (end == HTTP_WHOLE && !read_number(line, 16, &size))
			end = broken(x, "a chunk of its answer has no proper length");
		if (end == HTTP_WHOLE)
			end = read_bytes(h, x, size);
		/* Behind the last one come trailers, of which there are none, and an empty line. */
		while (end == HTTP_WHOLE && (end = read_line(h, x, &line)) == HTTP_WHOLE && *line)
			if (size)
				end = broken(x, "a chunk of its answer is longer than it says");
	} while (end == HTTP_WHOLE && size);
	return end;
}

static enum http_end read_to_end(struct http *h, struct http_exchange *x)
{
	enum http_end end;
	size_t n = 1;

	for (;;) {
		end = read_bytes(h, x, h->to - h->from);
		if (end != HTTP_WHOLE || n == 0)
			return end;
		end = receive(h, x, &n);
		if (end != HTTP_WHOLE)
			return end;
	}
}

static enum http_end read_answer(struct http *h, struct http_exchange *x)
{
	struct answer a;
	enum http_end end;

	do
		end = read_head(h, x, &a);
	while (end == HTTP_WHOLE && x->status < 200);
	if (end != HTTP_WHOLE)
		return end;
	if (a.chunked)
		end = read_chunks(h, x);
	else if (a.has_length)
		end = read_bytes(h, x, a.left);
	else
		end = read_to_end(h, x);
	if (end == HTTP_WHOLE && (a.close || h->from != h->to))
		disconnect(h);
	return end;
}

/* ---- all of it ---- */

static enum http_end try(struct http *h, struct http_exchange *x, bool *kept)
{
	bool whole = true;
	enum http_end end = HTTP_WHOLE;

	*kept = is_usable(h);
	x->status = 0;
	if (!*kept)
		end = connect_anew(h, x);
	if (end == HTTP_WHOLE)
		end = send_request(h, x, &whole);
	if (end == HTTP_WHOLE)
		end = read_answer(h, x);
	h->used_us = clock_boot_us();
	if (end != HTTP_WHOLE || !whole)
		disconnect(h);
	return end;
}

enum http_end http_exchange(struct http *h, struct http_exchange *x)
{
	enum http_end end;
	bool kept;

	if (!h->buf && !(h->buf = malloc(BUFFER_BYTES)))
		BUG("out of memory");
	x->sent = false;
	end = try(h, x, &kept);
	if (end == HTTP_BROKEN && kept && x->repeatable && !x->status)
		end = try(h, x, &kept);
	return end;
}
