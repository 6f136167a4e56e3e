/* Connecting, waiting, sending, receiving, sending again. HTTP's grammar and where an answer ends are libhttp-parser's.
 * What comes in pieces is handed on in pieces. */
#include "cli/http.h"

#include <errno.h>
#include <http_parser.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/ctl.h"
#include "lib/clock.h"

#define BUFFER_BYTES 65536u
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
}

void http_clear(struct http *h)
{
	disconnect(h);
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
	size_t n = strlen(h->socket);

	disconnect(h);
	x->why = ENAMETOOLONG;
	if (n >= sizeof address.sun_path)
		return HTTP_NO_CONNECTION;
	memcpy(address.sun_path, h->socket, n);
	h->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	while (h->fd >= 0 && connect(h->fd, (struct sockaddr *)&address, sizeof address) < 0) {
		x->why = errno;
		if (ctl_interrupted())
			return HTTP_INTERRUPTED;
		if (x->why != EAGAIN && x->why != EINTR)
			return HTTP_NO_CONNECTION;
		x->why = 0;
		if (clock_boot_us() > until)
			return HTTP_NO_CONNECTION;
		poll(NULL, 0, CONNECT_LOOK_MS);
	}
	x->why = h->fd < 0 ? errno : 0;
	return h->fd < 0 ? HTTP_NO_CONNECTION : HTTP_WHOLE;
}

/* What comes unasked on a kept connection is its end. */
static bool is_usable(const struct http *h)
{
	struct pollfd p = {.fd = h->fd, .events = POLLIN};

	return h->fd >= 0 && clock_boot_us() - h->used_us < IDLE_MAX_US && poll(&p, 1, 0) == 0;
}

/* ---- waiting ---- */

/* Silence is counted in looks and not by a clock: who was stopped himself (^Z) has not waited. Nor has one whom a
 * signal woke: that is no look. */
static enum http_end wait_for(const struct http *h, short events)
{
	struct pollfd p = {.fd = h->fd, .events = events};
	int n;

	for (unsigned looks = 0; looks < SILENCE_MS / LOOK_MS;) {
		if (ctl_interrupted())
			return HTTP_INTERRUPTED;
		n = poll(&p, 1, LOOK_MS);
		if (n > 0)
			return HTTP_WHOLE;
		looks += n == 0 || errno != EINTR;
	}
	return HTTP_SILENT;
}

/* ---- sending ---- */

static ssize_t send_some(const struct http *h, const struct http_exchange *x, size_t done)
{
	size_t at = done < x->head.len ? done : x->head.len, rest = done - at;
	struct iovec pieces[] = {{x->head.data + at, x->head.len - at},
				 {(char *)(uintptr_t)x->body + rest, x->body_bytes - rest}};
	struct msghdr m = {.msg_iov = pieces, .msg_iovlen = 2};

	return sendmsg(h->fd, &m, MSG_NOSIGNAL);
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

/* `*n`: how many bytes came; 0: the connection has ended. */
static enum http_end receive(const struct http *h, struct http_exchange *x, char *buf, size_t *n)
{
	enum http_end end;
	ssize_t got;

	do {
		end = wait_for(h, POLLIN);
		if (end != HTTP_WHOLE)
			return end;
		got = recv(h->fd, buf, BUFFER_BYTES, 0);
	} while (got < 0 && (errno == EAGAIN || errno == EINTR));
	if (got < 0)
		return broken(x, strerror(errno));
	*n = (size_t)got;
	return HTTP_WHOLE;
}

/* 1: there is no body, whatever the headers say (RFC 9112, 6.3). */
static int on_headers(http_parser *p)
{
	struct http_exchange *x = p->data;

	if (p->status_code >= 200)
		x->status = (int)p->status_code;
	return p->status_code < 200 || p->status_code == 204 || p->status_code == 304;
}

static int on_body(http_parser *p, const char *data, size_t len)
{
	const struct http_exchange *x = p->data;

	return x->on_data(x->arg, x->status, data, len);
}

/* What comes behind a 1xx is the answer; what comes behind the answer is none. */
static int on_complete(http_parser *p)
{
	if (p->status_code >= 200)
		http_parser_pause(p, 1);
	return 0;
}

static const http_parser_settings on_answer = {
    .on_headers_complete = on_headers, .on_body = on_body, .on_message_complete = on_complete};

static enum http_end read_answer(struct http *h, struct http_exchange *x)
{
	http_parser p = {.data = x};
	char buf[BUFFER_BYTES];
	enum http_end end;
	size_t n, used;

	http_parser_init(&p, HTTP_RESPONSE);
	do {
		end = receive(h, x, buf, &n);
		if (end != HTTP_WHOLE)
			return end;
		/* 0 bytes: the end. Less used, and no error: a 101, which nobody has asked for. */
		used = http_parser_execute(&p, &on_answer, buf, n);
	} while (n && used == n && HTTP_PARSER_ERRNO(&p) == HPE_OK);
	switch (HTTP_PARSER_ERRNO(&p)) {
	case HPE_PAUSED:
		if (used < n || !http_should_keep_alive(&p))
			disconnect(h);
		return HTTP_WHOLE;
	case HPE_CB_body:
		return HTTP_BROKEN_OFF;
	case HPE_OK:
	case HPE_INVALID_EOF_STATE:
		return broken(x, "it ended before its answer did");
	default:
		return broken(x, x->status ? http_errno_description(HTTP_PARSER_ERRNO(&p)) : "what came is no HTTP");
	}
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

	x->sent = false;
	end = try(h, x, &kept);
	if (end == HTTP_BROKEN && kept && x->repeatable && !x->status)
		end = try(h, x, &kept);
	return end;
}
