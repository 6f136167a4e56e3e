/* The socket and its connections. evhttp has no limits of its own against clients that misspeak slowly: it never times
 * a drip of bytes out, spins when there are no descriptors left, and has no table of its connections. So each
 * connection has a record here, made when evhttp asks for its bufferevent, and a sweep looks at them once a second. */
#define _GNU_SOURCE 1

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/http_private.h"
#include "lib/clock.h"
#include "lib/log.h"

/* ---- connections ---- */

static struct http_connection *find(struct http *h, struct bufferevent *bev)
{
	struct http_connection *c;

	HASH_FIND_PTR(h->connections, &bev, c);
	return c;
}

static void set_listening(struct http *h, bool on)
{
	struct evconnlistener *l = h->bound ? evhttp_bound_socket_get_listener(h->bound) : NULL;

	if (l && on)
		evconnlistener_enable(l);
	else if (l)
		evconnlistener_disable(l);
}

static void connection_drop(struct http_connection *c)
{
	struct http *h = c->http;

	evbuffer_remove_cb_entry(bufferevent_get_input(c->bev), c->on_input);
	HASH_DEL(h->connections, c);
	bufferevent_decref(c->bev);
	free(c);
	if (h->count-- == HTTP_CONNECTIONS_MAX)
		set_listening(h, true);
}

static void on_closed(struct evhttp_connection *evcon, void *arg)
{
	struct http_connection *c = arg;
	struct http_request *r = c->request;

	(void)evcon;
	connection_drop(c);
	if (r)
		http_request_lost(r);
}

static void on_input(struct evbuffer *buf, const struct evbuffer_cb_info *info, void *arg)
{
	struct http_connection *c = arg;

	(void)buf;
	if (info->n_added && !c->request && !c->first_byte_us)
		c->first_byte_us = clock_boot_us();
}

void http_connection_idle(struct http_connection *c)
{
	c->request = NULL;
	c->since_us = clock_boot_us();
	c->first_byte_us = evbuffer_get_length(bufferevent_get_input(c->bev)) ? c->since_us : 0;
	bufferevent_setwatermark(c->bev, EV_READ, 0, 0);
}

static void arm_sweep(struct http *h)
{
	static const struct timeval second = {.tv_sec = 1};

	if (!evtimer_pending(h->sweep, NULL))
		evtimer_add(h->sweep, &second);
}

/* When what there is now has been looked at. */
static void sweep_soon(struct http *h)
{
	static const struct timeval now = {0};

	evtimer_add(h->sweep, &now);
}

/* evhttp takes the bufferevent for a connection that it has accepted just now. Its last reference is the record's, so
 * that its address is not given to another one while the record lives; closing its descriptor belongs to that. */
static struct bufferevent *on_accept(struct event_base *base, void *arg)
{
	static const struct timeval most = {.tv_sec = HTTP_WRITE_SECONDS};
	struct http *h = arg;
	struct http_connection *c = calloc(1, sizeof *c);
	struct bufferevent *bev = bufferevent_socket_new(base, -1, BEV_OPT_CLOSE_ON_FREE);

	if (!c || !bev)
		BUG("out of memory for a connection");
	c->http = h;
	c->bev = bev;
	c->since_us = clock_boot_us();
	c->on_input = evbuffer_add_cb(bufferevent_get_input(bev), on_input, c);
	bufferevent_incref(bev);
	bufferevent_set_timeouts(bev, NULL, &most);
	HASH_ADD_PTR(h->connections, bev, c);
	arm_sweep(h);
	if (++h->count == HTTP_CONNECTIONS_MAX) {
		set_listening(h, false);
		sweep_soon(h); /* others may stand behind a crowd in the backlog */
	}
	return bev;
}

/* ---- whose they are ---- */

/* A connection has its descriptor a moment after it was accepted. */
static bool learn(struct http_connection *c)
{
	struct ucred peer;
	socklen_t size = sizeof peer;

	if (c->known)
		return true;
	if (getsockopt(bufferevent_getfd(c->bev), SOL_SOCKET, SO_PEERCRED, &peer, &size) || peer.uid == (uid_t)-1)
		return false;
	c->uid = peer.uid;
	c->known = true;
	return true;
}

/* Root may do worse, and where the daemon is a user's own there are no others. */
static bool is_bounded(uid_t uid)
{
	return uid != 0 && uid != geteuid();
}

static unsigned count_of(struct http *h, uid_t uid)
{
	unsigned n = 0;

	for (struct http_connection *c = h->connections; c; c = c->hh.next)
		n += learn(c) && c->uid == uid;
	return n;
}

/* Who says nothing can't be answered that it is too much. At most one user has more than half of what there may be: it
 * is what is left when each connection is set off against one of another user. */
static void thin_out(struct http *h)
{
	uid_t crowd = 0;
	unsigned lead = 0, n = 0;

	if (h->count <= HTTP_OF_ONE_MAX)
		return;
	for (struct http_connection *c = h->connections; c; c = c->hh.next) {
		if (!learn(c))
			continue;
		if (lead == 0)
			crowd = c->uid;
		lead = crowd == c->uid ? lead + 1 : lead - 1;
	}
	if (!is_bounded(crowd))
		return;
	for (struct http_connection *c = h->connections; c; c = c->hh.next) {
		if (!c->known || c->uid != crowd || ++n <= HTTP_OF_ONE_MAX || c->request)
			continue;
		shutdown(bufferevent_getfd(c->bev), SHUT_RDWR);
		if (!c->thinned_out)
			sweep_soon(h); /* takes away what evhttp has let go of by then */
		c->thinned_out = true;
	}
}

struct http_connection *http_connection_of(struct http *h, struct evhttp_request *req)
{
	struct evhttp_connection *evcon = evhttp_request_get_connection(req);
	struct http_connection *c = find(h, evhttp_connection_get_bufferevent(evcon));

	if (!c)
		BUG("a request on a connection that was never accepted");
	if (c->met)
		return c;
	if (!learn(c))
		return NULL;
	c->crowding = is_bounded(c->uid) && h->count > HTTP_OF_ONE_MAX && count_of(h, c->uid) > HTTP_OF_ONE_MAX;
	c->met = true;
	evhttp_connection_set_closecb(evcon, on_closed, c);
	return c;
}

/* ---- the sweep ---- */

/* evhttp takes its callbacks away when it lets go of a bufferevent. */
static bool is_abandoned(struct http_connection *c)
{
	bufferevent_event_cb on_event = NULL;

	bufferevent_getcb(c->bev, NULL, NULL, &on_event, NULL);
	return on_event == NULL;
}

static bool is_overdue(const struct http_connection *c, int64_t now)
{
	int64_t idle = c->http->count > HTTP_CONNECTIONS_MAX / 10 * 9 ? HTTP_IDLE_CROWDED_US : HTTP_IDLE_US;

	if (c->request)
		return false;
	if (c->first_byte_us)
		return now - c->first_byte_us > c->http->request_us;
	return now - c->since_us > idle;
}

static void on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;
	struct http_connection *c, *next;
	int64_t now = clock_boot_us();

	(void)fd;
	(void)what;
	HASH_ITER (hh, h->connections, c, next) {
		if (is_abandoned(c))
			connection_drop(c);
		else if (is_overdue(c, now))
			shutdown(bufferevent_getfd(c->bev), SHUT_RDWR); /* evhttp sees an end of file */
	}
	thin_out(h);
	if (h->connections)
		arm_sweep(h);
}

/* ---- the socket ---- */

static void on_resume(evutil_socket_t fd, short what, void *arg)
{
	struct http *h = arg;

	(void)fd;
	(void)what;
	if (h->count < HTTP_CONNECTIONS_MAX)
		set_listening(h, true);
}

/* libevent hands the listener's error callback the argument of its other callback, and that one is evhttp's. */
static struct http *listening;

/* No descriptors left, most likely. The connection stays in the backlog, and accepting at once again would spin. */
static void on_accept_error(struct evconnlistener *l, void *arg)
{
	static const struct timeval pause = {.tv_usec = HTTP_ACCEPT_PAUSE_MS * 1000};
	struct http *h = listening;

	(void)arg;
	log_warn("cannot accept", "why=\"%s\"", strerror(errno));
	evconnlistener_disable(l);
	evtimer_add(h->resume, &pause);
}

static int socket_error(struct err *e, const char *path, const char *what, const char *hint)
{
	return err_set(e, errno == EACCES || errno == EPERM ? ERR_PERMISSION : ERR_SYSTEM, hint, "%s %.200s: %s", what,
		       path, strerror(errno));
}

static int check_passed(int fd, struct err *e)
{
	if (sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) <= 0)
		return err_set(e, ERR_INPUT, "ListenStream= in fanoutd.socket has to be a path",
			       "the socket that systemd passed is not a listening Unix stream socket");
	evutil_make_socket_nonblocking(fd);
	evutil_make_socket_closeonexec(fd);
	return fd;
}

/* Somebody answers at the path, nobody does (the stale socket is removed), or something else is there. */
static int clear_path(const struct sockaddr_un *address, struct err *e)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc = connect(fd, (const struct sockaddr *)address, sizeof *address);
	int why = errno;
	struct stat st;

	close(fd);
	if (rc == 0 || why == EAGAIN)
		return err_set(e, ERR_LOCKED, "stop it first, or give this one another socket",
			       "another daemon answers at %.200s", address->sun_path);
	if (why == ENOENT)
		return 0;
	if (lstat(address->sun_path, &st) == 0 && !S_ISSOCK(st.st_mode))
		why = ENOTSOCK; /* connect() says "refused" of a file too */
	if (why != ECONNREFUSED) {
		errno = why;
		return socket_error(e, address->sun_path, "cannot use the socket", "remove what is there");
	}
	if (unlink(address->sun_path))
		return socket_error(e, address->sun_path, "cannot remove the stale socket", NULL);
	log_info("stale socket removed", "path=%s", address->sun_path);
	return 0;
}

int http_check_socket(const char *socket, struct err *e)
{
	const char *slash = strrchr(socket, '/');
	char dir[sizeof((struct sockaddr_un *)NULL)->sun_path] = ".";

	if (sd_listen_fds(0) != 0)
		return 0;
	if (strlen(socket) >= sizeof dir)
		return err_set(e, ERR_INPUT, "choose a shorter one",
			       "the socket's path is longer than %zu bytes: %.200s", sizeof dir - 1, socket);
	if (slash)
		snprintf(dir, sizeof dir, "%.*s", slash == socket ? 1 : (int)(slash - socket), socket);
	if (access(dir, W_OK | X_OK))
		return socket_error(e, socket, "cannot listen at",
				    errno == ENOENT ? "does its directory exist? make it, or name another socket"
						    : "its directory has to be one that this user may write into");
	return 0;
}

static int make_socket(struct http *h, const struct http_settings *set, struct err *e)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct stat st;
	int fd;

	if (http_check_socket(set->socket, e))
		return -1;
	strcpy(address.sun_path, set->socket);
	if (clear_path(&address, e))
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* The umask keeps others out until the mode is what was asked for. */
	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) ||
	    chmod(set->socket, (mode_t)set->socket_mode) || listen(fd, SOMAXCONN) || stat(set->socket, &st)) {
		socket_error(e, set->socket, "cannot listen at", "does its directory exist, and is it writable?");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	h->path = strdup(set->socket);
	h->path_dev = st.st_dev;
	h->path_ino = st.st_ino;
	return fd;
}

static int get_socket(struct http *h, const struct http_settings *set, struct err *e)
{
	int n = sd_listen_fds(1);

	if (n > 1)
		return err_set(e, ERR_INPUT, "have one ListenStream= in fanoutd.socket", "systemd passed %d sockets",
			       n);
	return n == 1 ? check_passed(SD_LISTEN_FDS_START, e) : make_socket(h, set, e);
}

/* ---- opening and closing ---- */

static void configure(struct http *h)
{
	evhttp_set_max_headers_size(h->server, HTTP_HEADERS_MAX);
	evhttp_set_max_body_size(h->server, (ev_ssize_t)HTTP_BODY_READ_MAX);
	/* All of them, known to libevent or not: the table of routes answers 405. */
	evhttp_set_allowed_methods(h->server, 0xffff);
	evhttp_set_flags(h->server, EVHTTP_SERVER_LINGERING_CLOSE);
	evhttp_set_default_content_type(h->server, NULL);
	evhttp_set_bevcb(h->server, on_accept, h);
	evhttp_set_gencb(h->server, http_on_request, h);
}

struct http *http_open(struct event_base *base, const struct http_settings *set, struct err *e)
{
	struct http *h = calloc(1, sizeof *h);
	struct evconnlistener *l;
	int fd;

	if (!h)
		BUG("out of memory for the socket");
	h->base = base;
	h->routes = set->routes;
	h->arg = set->arg;
	h->request_us = set->request_us ? set->request_us : HTTP_REQUEST_US;
	fd = get_socket(h, set, e);
	if (fd < 0) {
		free(h);
		return NULL;
	}
	h->sweep = evtimer_new(base, on_sweep, h);
	h->resume = evtimer_new(base, on_resume, h);
	h->server = evhttp_new(base);
	l = evconnlistener_new(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!h->sweep || !h->resume || !h->server || !l)
		BUG("out of memory for the socket");
	configure(h);
	evconnlistener_set_error_cb(l, on_accept_error);
	h->bound = evhttp_bind_listener(h->server, l);
	listening = h;
	return h;
}

static void remove_path(struct http *h)
{
	struct stat st;

	/* Somebody may have put another one there. */
	if (h->path && stat(h->path, &st) == 0 && st.st_dev == h->path_dev && st.st_ino == h->path_ino)
		unlink(h->path);
	free(h->path);
	h->path = NULL;
}

void http_stop_listening(struct http *h)
{
	if (!h->bound)
		return;
	remove_path(h);
	evtimer_del(h->resume);
	evhttp_del_accept_socket(h->server, h->bound);
	h->bound = NULL;
}

/* The loop has ended: what was answered last goes out here, as far as the socket takes it at once. */
static void flush_answer(struct http_connection *c)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	evbuffer_unfreeze(out, 1); /* a bufferevent lets nobody else take from it */
	evbuffer_write(out, bufferevent_getfd(c->bev));
	evbuffer_freeze(out, 1);
}

void http_close(struct http *h)
{
	struct http_connection *c, *next;

	if (!h)
		return;
	http_stop_listening(h);
	for (c = h->connections; c; c = c->hh.next)
		flush_answer(c);
	evhttp_free(h->server);
	HASH_ITER (hh, h->connections, c, next) {
		connection_drop(c); /* those that never asked anything */
	}
	event_free(h->sweep);
	event_free(h->resume);
	free(h);
}

unsigned http_connections(const struct http *h)
{
	return h->count;
}

uint64_t http_requests(const struct http *h)
{
	return h->requests;
}
