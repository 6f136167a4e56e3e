/* The multi_socket interface, after docs/examples/hiperfifo.c. Two rules keep it right: no multi function is called
 * from a multi callback, and ended transfers are drained after every action.
 *
 * libcurl drops and takes up its socket with every single transfer. Of a socket that we made and will close, the event
 * stays where it is meanwhile: a kept connection has nothing to say, and where it has (the server closes it), the event
 * goes with the first that comes. Any other socket (the resolver's) may be closed without our knowledge once it is
 * dropped.
 *
 * At the end of every transfer libcurl (7.88) goes through the connections it keeps, to find the one that was used, and
 * through all addresses it knows. With a thousand hosts that is a third of the worker's time. So there are several
 * multi handles, made when they are needed, and an origin's transfers go by one of them. */
#include "worker/multi.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#define PARTS 32

struct watch {
	struct event event;
	struct part *part; /* the last that wanted it */
	curl_socket_t fd;
	short set;   /* what the event is for; 0: there is none */
	bool wanted; /* by libcurl, now */
	bool ours;   /* the socket: close_socket() will be told */
	bool open;   /* and counted as a connection of its part */
};

struct part {
	struct multi *multi;
	CURLM *curl;    /* NULL: not needed yet */
	CURLSH *shared; /* addresses: they outlive `curl`, and lookups count on that; NULL: likewise */
	struct event timer;
	bool timer_due;
	unsigned flying;
	long open, keeps;
};

struct multi {
	struct event_base *base;
	multi_done_cb *on_done;
	void *arg;
	bool held;
	long connections, open;
	struct part parts[PARTS];
	struct watch **watches; /* by descriptor; they stay */
	size_t watches_cap;
};

static void drain(struct part *p)
{
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(p->curl, &left)))
		if (msg->msg == CURLMSG_DONE)
			p->multi->on_done(msg->easy_handle, msg->data.result, p->multi->arg);
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
	event_assign(&w->event, w->part->multi->base, w->fd, (short)(wants | EV_PERSIST), on_ready, w);
	if (!w->part->multi->held)
		event_add(&w->event, NULL);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;
	int running, mask = 0;

	if (!w->wanted) {
		watch_set(w, 0);
		return;
	}
	if (what & EV_READ)
		mask |= CURL_CSELECT_IN;
	if (what & EV_WRITE)
		mask |= CURL_CSELECT_OUT;
	curl_multi_socket_action(w->part->curl, fd, mask, &running);
	drain(w->part);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct part *p = arg;
	int running;

	(void)fd, (void)what;
	curl_multi_socket_action(p->curl, CURL_SOCKET_TIMEOUT, 0, &running);
	drain(p);
}

/* libcurl tells when it wants to be called. Also 0 ms goes through the loop: this is a callback. */
static int want_timer(CURLM *curl, long ms, void *arg)
{
	struct part *p = arg;
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	(void)curl;
	p->timer_due = ms >= 0;
	if (ms < 0)
		event_del(&p->timer);
	else if (!p->multi->held)
		event_add(&p->timer, &tv);
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
	w->fd = fd;
	m->watches[fd] = w;
	return w;
}

static int want_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *assigned)
{
	struct part *p = arg;
	struct watch *w = watch_of(p->multi, fd);

	(void)easy, (void)assigned;
	if (!w)
		return -1;
	w->part = p;
	w->wanted = what != CURL_POLL_REMOVE;
	if (w->wanted && w->ours && !w->open) {
		w->open = true;
		p->open++;
		p->multi->open++;
	}
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
	struct multi *m = arg;
	struct watch *w = watch_of(m, fd);

	if (!w)
		return close(fd);
	watch_set(w, 0);
	if (w->open) {
		w->part->open--;
		m->open--;
	}
	w->ours = w->wanted = w->open = false;
	return close(fd);
}

/* ---- parts ---- */

static CURLSH *shared_make(void)
{
	CURLSH *shared = curl_share_init();

	if (shared)
		curl_share_setopt(shared, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
	return shared;
}

static int part_make(struct part *p)
{
	if (p->curl)
		return 0;
	if (!p->shared && !(p->shared = shared_make()))
		return -1;
	p->curl = curl_multi_init();
	if (!p->curl)
		return -1;
	p->keeps = 0;
	curl_multi_setopt(p->curl, CURLMOPT_SOCKETFUNCTION, want_socket);
	curl_multi_setopt(p->curl, CURLMOPT_SOCKETDATA, p);
	curl_multi_setopt(p->curl, CURLMOPT_TIMERFUNCTION, want_timer);
	curl_multi_setopt(p->curl, CURLMOPT_TIMERDATA, p);
	return 0;
}

/* With it go the connections that it keeps. */
static void part_close(struct part *p)
{
	curl_multi_cleanup(p->curl);
	event_del(&p->timer);
	p->timer_due = false;
	p->curl = NULL;
}

/* Left alone libcurl follows the number of transfers down, and closes connections that are wanted again. Where all
 * parts together keep as many as they may, this one closes one of its own for each that it opens; but a quarter of its
 * share is its own whatever others keep. */
static void part_keep(struct part *p)
{
	const struct multi *m = p->multi;
	long keeps = m->connections - (m->open - p->open), least = m->connections / PARTS / 4 + 1;

	if (keeps < least)
		keeps = least;
	if (keeps != p->keeps)
		curl_multi_setopt(p->curl, CURLMOPT_MAXCONNECTS, keeps);
	p->keeps = keeps;
}

/* A part without transfers closes nothing by itself, and would leave no room to others. */
static void make_room(struct multi *m, const struct part *but)
{
	for (struct part *p = m->parts; m->open >= m->connections && p < m->parts + PARTS; p++)
		if (p != but && p->curl && p->flying == 0 && p->open > 0)
			part_close(p);
}

/* By host and port. */
unsigned multi_part(const char *url)
{
	const char *host = strstr(url, "//");

	host = host ? host + 2 : url;
	return (unsigned)(XXH3_64bits(host, strcspn(host, "/?#")) % PARTS);
}

/* ---- public ---- */

void multi_keep(struct multi *m, long connections)
{
	m->connections = connections;
}

struct multi *multi_create(struct event_base *base, long connections, multi_done_cb *on_done, void *arg, struct err *e)
{
	struct multi *m = calloc(1, sizeof *m);

	if (!m)
		goto bad;
	m->base = base;
	m->on_done = on_done;
	m->arg = arg;
	m->connections = connections;
	for (struct part *p = m->parts; p < m->parts + PARTS; p++) {
		p->multi = m;
		evtimer_assign(&p->timer, base, on_timer, p);
	}
	/* The first shows that there can be others. */
	if (part_make(&m->parts[0]))
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
	for (struct part *p = m->parts; p < m->parts + PARTS; p++) {
		if (p->curl)
			part_close(p);
		curl_share_cleanup(p->shared);
	}
	free_watches(m);
	free(m);
}

CURLMcode multi_add(struct multi *m, CURL *easy, unsigned part)
{
	struct part *p = &m->parts[part];
	CURLMcode rc;

	if (m->open >= m->connections)
		make_room(m, p);
	if (part_make(p))
		return CURLM_OUT_OF_MEMORY;
	part_keep(p);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, close_socket);
	curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, m);
	curl_easy_setopt(easy, CURLOPT_SHARE, p->shared);
	rc = curl_multi_add_handle(p->curl, easy);
	p->flying += rc == CURLM_OK;
	return rc;
}

void multi_remove(struct multi *m, CURL *easy, unsigned part)
{
	curl_multi_remove_handle(m->parts[part].curl, easy);
	m->parts[part].flying--;
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
	for (struct part *p = m->parts; p < m->parts + PARTS; p++)
		if (hold)
			event_del(&p->timer);
		else if (p->timer_due)
			event_add(&p->timer, &at_once);
}
