/* The multi_socket interface, after docs/examples/hiperfifo.c. Two rules keep it right: no multi function is called
 * from a multi callback, and ended transfers are drained after every action.
 *
 * libcurl drops and takes up its socket with every single transfer. Of a socket that we made and will close, the event
 * stays where it is meanwhile: a kept connection has nothing to say, and where it has (the server closes it), the event
 * goes with the first that comes. Any other socket (the resolver's) may be closed without our knowledge once it is
 * dropped. */
#include "worker/multi.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct watch {
	struct event event;
	struct multi *multi;
	curl_socket_t fd;
	short set;   /* what the event is for; 0: there is none */
	bool wanted; /* by libcurl, now */
	bool ours;   /* the socket: close_socket() will be told */
};

struct multi {
	struct event_base *base;
	CURLM *curl;
	struct event timer;
	multi_done_cb *on_done;
	void *arg;
	bool held, timer_due;
	struct watch **watches; /* by descriptor; they stay */
	size_t watches_cap;
};

static void drain(struct multi *m)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(m->curl, &left)))
		if (msg->msg == CURLMSG_DONE)
			m->on_done(msg->easy_handle, msg->data.result, m->arg);
}

static void on_ready(evutil_socket_t fd, short what, void *arg);

static void watch_set(struct watch *w, short wants)
{
	if (w->set == wants)
		return;
	if (w->set)
		event_del(&w->event);
	w->set = wants;
	if (!wants)
		return;
	event_assign(&w->event, w->multi->base, w->fd, (short)(wants | EV_PERSIST), on_ready, w);
	if (!w->multi->held)
		event_add(&w->event, NULL);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;
	struct multi *m = w->multi;
	int running, mask = 0;

	if (!w->wanted) {
		watch_set(w, 0);
		return;
	}
	if (what & EV_READ)
		mask |= CURL_CSELECT_IN;
	if (what & EV_WRITE)
		mask |= CURL_CSELECT_OUT;
	curl_multi_socket_action(m->curl, fd, mask, &running);
	drain(m);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct multi *m = arg;
	int running;

	(void)fd, (void)what;
	curl_multi_socket_action(m->curl, CURL_SOCKET_TIMEOUT, 0, &running);
	drain(m);
}

/* libcurl tells when it wants to be called. Also 0 ms goes through the loop: this is a callback. */
static int want_timer(CURLM *curl, long ms, void *arg)
{
	struct multi *m = arg;
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	(void)curl;
	m->timer_due = ms >= 0;
	if (ms < 0)
		event_del(&m->timer);
	else if (!m->held)
		event_add(&m->timer, &tv);
	return 0;
}

static bool watches_reserve(struct multi *m, size_t n)
{
	struct watch **p;

	if (n <= m->watches_cap)
		return true;
	p = reallocarray(m->watches, n * 2, sizeof(struct watch *));
	if (!p)
		return false;
	memset(p + m->watches_cap, 0, (n * 2 - m->watches_cap) * sizeof(struct watch *));
	m->watches = p;
	m->watches_cap = n * 2;
	return true;
}

/* NULL when out of memory. */
static struct watch *watch_of(struct multi *m, curl_socket_t fd)
{
	struct watch *w;

	if (!watches_reserve(m, (size_t)fd + 1))
		return NULL;
	w = m->watches[fd];
	if (w)
		return w;
	w = calloc(1, sizeof *w);
	if (!w)
		return NULL;
	w->multi = m;
	w->fd = fd;
	m->watches[fd] = w;
	return w;
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *assigned)
{
	struct watch *w = watch_of(arg, fd);

	(void)easy, (void)assigned;
	if (!w)
		return -1;
	w->wanted = what != CURL_POLL_REMOVE;
	if (!w->wanted && w->ours && w->set == EV_READ)
		return 0;
	watch_set(w, (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0)));
	return 0;
}

void multi_opened(struct multi *m, curl_socket_t fd)
{
	struct watch *w = watch_of(m, fd);

	if (!w)
		return;
	watch_set(w, 0);
	w->ours = true;
}

static int close_socket(void *arg, curl_socket_t fd)
{
	struct watch *w = watch_of(arg, fd);

	if (w) {
		watch_set(w, 0);
		w->ours = w->wanted = false;
	}
	return close(fd);
}

void multi_keep(struct multi *m, long connections)
{
	curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, connections);
}

static int set_options(struct multi *m, long connections)
{
	CURLMcode rc = CURLM_OK;

	rc |= curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, want_socket);
	rc |= curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
	rc |= curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, want_timer);
	rc |= curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
	/* Left alone it follows the number of transfers down, and closes connections that are wanted again. */
	rc |= curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, connections);
	return rc ? -1 : 0;
}

struct multi *multi_create(struct event_base *base, long connections, multi_done_cb *on_done, void *arg, struct err *e)
{
	struct multi *m = calloc(1, sizeof *m);

	if (!m)
		goto bad;
	m->base = base;
	m->on_done = on_done;
	m->arg = arg;
	evtimer_assign(&m->timer, base, on_timer, m);
	m->curl = curl_multi_init();
	if (!m->curl || set_options(m, connections))
		goto bad;
	return m;
bad:
	err_set(e, ERR_SYSTEM, NULL, "libcurl cannot make a multi handle");
	multi_free(m);
	return NULL;
}

static void free_watches(struct multi *m)
{
	for (size_t fd = 0; fd < m->watches_cap; fd++) {
		if (!m->watches[fd])
			continue;
		watch_set(m->watches[fd], 0);
		free(m->watches[fd]);
	}
	free(m->watches);
}

void multi_free(struct multi *m)
{
	if (!m)
		return;
	curl_multi_cleanup(m->curl);
	event_del(&m->timer);
	free_watches(m);
	free(m);
}

CURLMcode multi_add(struct multi *m, CURL *easy)
{
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, m);
	return curl_multi_add_handle(m->curl, easy);
}

void multi_remove(struct multi *m, CURL *easy)
{
	curl_multi_remove_handle(m->curl, easy);
}

void multi_hold(struct multi *m, bool hold)
{
	const struct timeval at_once = {0};

	if (m->held == hold)
		return;
	m->held = hold;
	for (size_t fd = 0; fd < m->watches_cap; fd++) {
		struct watch *w = m->watches[fd];

		if (w && w->set && hold)
			event_del(&w->event);
		else if (w && w->set)
			event_add(&w->event, NULL);
	}
	if (hold)
		event_del(&m->timer);
	else if (m->timer_due)
		event_add(&m->timer, &at_once);
}
