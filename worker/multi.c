/* The multi_socket interface, after docs/examples/hiperfifo.c. Two rules keep it right: no multi function is called
 * from a multi callback, and ended transfers are drained after every action. Socket records are tied to sockets with
 * curl_multi_assign() and pooled: libcurl drops and takes up its socket with every single transfer, which costs no
 * system call where the event base collects its changes (EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST). */
#include "worker/multi.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <sys/queue.h>

struct watch {
	struct event event;
	struct multi *multi;
	curl_socket_t fd;
	short wants;
	LIST_ENTRY(watch) entry;
};

struct multi {
	struct event_base *base;
	CURLM *curl;
	struct event timer;
	multi_done_cb *on_done;
	void *arg;
	bool held, timer_due;
	LIST_HEAD(watch_list, watch) watches, idle;
};

static void drain(struct multi *m)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(m->curl, &left)))
		if (msg->msg == CURLMSG_DONE)
			m->on_done(msg->easy_handle, msg->data.result, m->arg);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct multi *m = arg;
	int running, mask = 0;

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

static struct watch *take_watch(struct multi *m)
{
	struct watch *w = LIST_FIRST(&m->idle);

	if (w)
		LIST_REMOVE(w, entry);
	else
		w = calloc(1, sizeof *w);
	if (w) {
		w->multi = m;
		LIST_INSERT_HEAD(&m->watches, w, entry);
	}
	return w;
}

static void drop_watch(struct watch *w)
{
	if (w->wants)
		event_del(&w->event);
	w->wants = 0;
	LIST_REMOVE(w, entry);
	LIST_INSERT_HEAD(&w->multi->idle, w, entry);
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *assigned)
{
	struct multi *m = arg;
	struct watch *w = assigned;
	short wants = (short)((what & CURL_POLL_IN ? EV_READ : 0) | (what & CURL_POLL_OUT ? EV_WRITE : 0));

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w)
			drop_watch(w);
		return 0;
	}
	if (!w) {
		w = take_watch(m);
		if (!w)
			return -1;
		/* Not one of the multi functions that must not be called here; libcurl documents it for this place. */
		curl_multi_assign(m->curl, fd, w);
	} else if (w->wants == wants) {
		return 0;
	} else if (w->wants) {
		event_del(&w->event);
	}
	w->fd = fd;
	w->wants = wants;
	event_assign(&w->event, m->base, fd, (short)(wants | EV_PERSIST), on_ready, m);
	if (!m->held)
		event_add(&w->event, NULL);
	return 0;
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
	LIST_INIT(&m->watches);
	LIST_INIT(&m->idle);
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
	struct watch *w;

	while ((w = LIST_FIRST(&m->watches)))
		drop_watch(w);
	while ((w = LIST_FIRST(&m->idle))) {
		LIST_REMOVE(w, entry);
		free(w);
	}
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
	return curl_multi_add_handle(m->curl, easy);
}

void multi_remove(struct multi *m, CURL *easy)
{
	curl_multi_remove_handle(m->curl, easy);
}

void multi_hold(struct multi *m, bool hold)
{
	const struct timeval at_once = {0};
	struct watch *w;

	if (m->held == hold)
		return;
	m->held = hold;
	LIST_FOREACH (w, &m->watches, entry) {
		if (w->wants && hold)
			event_del(&w->event);
		else if (w->wants)
			event_add(&w->event, NULL);
	}
	if (hold)
		event_del(&m->timer);
	else if (m->timer_due)
		event_add(&m->timer, &at_once);
}
