#include "daemon/pool.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "daemon/peer.h"
#include "daemon/spawn.h"
#include "lib/clock.h"
#include "lib/log.h"

/* A key stays with its worker while that has fewer requests than this under way; beyond, the processors are worth more
 * than the warm connections. */
#define POOL_AFFINE 32

/* A worker answers within a request's own timeout and what it takes to queue, look up and write: this much more, and it
 * is not to be believed that it still will. */
#define POOL_ANSWER_SLACK_US 120000000

struct pool {
	struct event_base *base;
	struct pool_settings set;
	struct pool_listener listener;
	struct event *sigchld, *watch, *credit;
	struct peer *peers;
	struct peer_attempt *spare;
	bool credit_told; /* the event is active */
	bool stopping;
	void (*on_idle)(void *arg);
	void *on_idle_arg;
};

/* ---- what peers ask of the pool ---- */

bool pool_stopping(const struct pool *p)
{
	return p->stopping;
}

const struct message_settings *pool_worker_settings(const struct pool *p)
{
	return p->set.settings;
}

int pool_spawn(struct pool *p, pid_t *pid, int *channel, struct err *e)
{
	return spawn_worker(p->set.program, p->set.bodies_fd, pid, channel, e);
}

struct peer_attempt *pool_attempt_get(struct pool *p)
{
	struct peer_attempt *a = p->spare;

	if (a)
		p->spare = a->next;
	else if (!(a = malloc(sizeof *a)))
		abort();
	return a;
}

void pool_attempt_put(struct pool *p, struct peer_attempt *a)
{
	a->next = p->spare;
	p->spare = a;
}

void pool_on_up(struct pool *p)
{
	if (!p->credit_told)
		event_active(p->credit, EV_TIMEOUT, 1);
	p->credit_told = true;
}

void pool_on_outcome(struct pool *p, struct peer *w, const struct message_outcome *o)
{
	(void)w;
	pool_on_up(p);
	p->listener.on_outcome(p->listener.arg, o);
}

void pool_on_lost(struct pool *p, const struct peer_attempt *a, bool sent, bool heard, bool blamed)
{
	const struct pool_lost lost = {.job = a->job, .n = a->n, .sent = sent, .heard = heard, .blamed = blamed};

	p->listener.on_lost(p->listener.arg, &lost);
}

void pool_on_returned(struct pool *p, uint64_t job, uint32_t n)
{
	pool_on_up(p);
	p->listener.on_returned(p->listener.arg, job, n);
}

static bool anybody_left(const struct pool *p)
{
	for (unsigned i = 0; i < p->set.workers; i++)
		if (p->peers[i].pid > 0)
			return true;
	return false;
}

void pool_on_gone(struct pool *p)
{
	if (!p->stopping || !p->on_idle || anybody_left(p))
		return;
	void (*on_idle)(void *arg) = p->on_idle;
	p->on_idle = NULL;
	on_idle(p->on_idle_arg);
}

/* ---- events ---- */

static void on_credit(evutil_socket_t fd, short what, void *arg)
{
	struct pool *p = arg;
	(void)fd;
	(void)what;

	p->credit_told = false;
	p->listener.on_credit(p->listener.arg);
}

/* Reaps exactly the pool's own children, one waitpid(2) each: other children are not its business. */
static void on_sigchld(evutil_socket_t fd, short what, void *arg)
{
	struct pool *p = arg;
	(void)fd;
	(void)what;

	for (unsigned i = 0; i < p->set.workers; i++) {
		struct peer *w = &p->peers[i];
		int status;
		if (w->pid > 0 && waitpid(w->pid, &status, WNOHANG) == w->pid)
			peer_reaped(w, status);
	}
}

static void on_watch(evutil_socket_t fd, short what, void *arg)
{
	struct pool *p = arg;
	(void)fd;
	(void)what;

	for (unsigned i = 0; i < p->set.workers; i++)
		peer_beat(&p->peers[i]);
}

/* ---- public ---- */

struct pool *pool_create(struct event_base *base, const struct pool_settings *set, const struct pool_listener *l,
			 struct err *e)
{
	struct timeval beat = {.tv_sec = set->settings->heartbeat_ms / 1000,
			       .tv_usec = set->settings->heartbeat_ms % 1000 * 1000};
	struct pool *p = calloc(1, sizeof *p);

	if (!p)
		goto out;
	p->base = base;
	p->set = *set;
	p->listener = *l;
	p->peers = calloc(set->workers, sizeof *p->peers);
	p->sigchld = evsignal_new(base, SIGCHLD, on_sigchld, p);
	p->watch = event_new(base, -1, EV_PERSIST, on_watch, p);
	p->credit = evtimer_new(base, on_credit, p);
	if (!p->peers || !p->sigchld || !p->watch || !p->credit)
		goto out;
	event_priority_set(p->sigchld, 0);
	event_priority_set(p->credit, 1);
	for (unsigned i = 0; i < set->workers; i++)
		if (peer_init(&p->peers[i], p, i, base) < 0)
			goto out;
	if (event_add(p->sigchld, NULL) < 0 || event_add(p->watch, &beat) < 0)
		goto out;
	for (unsigned i = 0; i < set->workers; i++)
		peer_start(&p->peers[i]);
	return p;
out:
	err_set(e, ERR_SYSTEM, NULL, "cannot set up the worker pool: %s", strerror(errno));
	pool_free(p);
	return NULL;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	for (unsigned i = 0; p->peers && i < p->set.workers; i++)
		if (p->peers[i].pool)
			peer_clear(&p->peers[i]);
	while (p->spare) {
		struct peer_attempt *a = p->spare;
		p->spare = a->next;
		free(a);
	}
	if (p->sigchld)
		event_free(p->sigchld);
	if (p->watch)
		event_free(p->watch);
	if (p->credit)
		event_free(p->credit);
	free(p->peers);
	free(p);
}

unsigned pool_credit(const struct pool *p)
{
	unsigned sum = 0;

	if (!p->stopping)
		for (unsigned i = 0; i < p->set.workers; i++)
			sum += peer_credit(&p->peers[i]);
	return sum;
}

/* FNV-1a: short keys, and only a spread over a handful of workers is asked for. */
static unsigned key_hash(const char *key)
{
	uint32_t h = 2166136261u;

	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 16777619u;
	return h;
}

static struct peer *peer_for(struct pool *p, const char *key)
{
	struct peer *best = &p->peers[key_hash(key) % p->set.workers];

	if (peer_credit(best) > 0 && best->in_flight < POOL_AFFINE)
		return best;
	for (unsigned i = 0; i < p->set.workers; i++)
		if (peer_credit(&p->peers[i]) > peer_credit(best))
			best = &p->peers[i];
	return peer_credit(best) > 0 ? best : NULL;
}

static int64_t overdue_at(int64_t timeout_ms)
{
	return clock_boot_us() + timeout_ms * 1000 + POOL_ANSWER_SLACK_US;
}

static void assign(struct peer *w, uint64_t job, uint32_t n, int64_t until_us, const void *frame, size_t frame_bytes)
{
	struct peer_attempt *a = pool_attempt_get(w->pool);

	*a = (struct peer_attempt){.job = job, .n = n, .until_us = until_us, .stood_by = until_us == INT64_MAX};
	peer_assign(w, a, frame, frame_bytes);
}

int pool_assign(struct pool *p, const char *key, uint64_t job, uint32_t n, int64_t timeout_ms, const void *frame,
		size_t frame_bytes)
{
	struct peer *w = p->stopping ? NULL : peer_for(p, key);

	if (!w)
		return -1;
	assign(w, job, n, overdue_at(timeout_ms), frame, frame_bytes);
	return (int)w->index;
}

bool pool_may_stand_by(const struct pool *p, unsigned worker)
{
	const struct peer *w = &p->peers[worker];

	return !p->stopping && peer_credit(w) > w->capacity / 2;
}

void pool_stand_by(struct pool *p, unsigned worker, uint64_t job, uint32_t n, const void *frame, size_t frame_bytes)
{
	assign(&p->peers[worker], job, n, INT64_MAX, frame, frame_bytes);
}

void pool_begun(struct pool *p, unsigned worker, uint64_t job, int64_t timeout_ms)
{
	peer_begun(&p->peers[worker], job, overdue_at(timeout_ms));
}

void pool_slots(struct pool *p, unsigned worker, uint64_t lane, unsigned slots)
{
	const struct message_slots m = {.lane = lane, .slots = slots};
	struct wire_out frame = {0};

	message_put_slots(&frame, &m);
	peer_say(&p->peers[worker], &frame);
}

void pool_recall(struct pool *p, unsigned worker, uint64_t lane, bool answers)
{
	const struct message_recall m = {.lane = lane, .answers = answers};
	struct wire_out frame = {0};

	message_put_recall(&frame, &m);
	peer_say(&p->peers[worker], &frame);
}

void pool_cancel(struct pool *p, uint64_t job, uint32_t n)
{
	for (unsigned i = 0; i < p->set.workers; i++)
		if (peer_cancel(&p->peers[i], job, n))
			return;
}

void pool_stop(struct pool *p, void (*on_idle)(void *arg), void *arg)
{
	p->stopping = true;
	p->on_idle = on_idle;
	p->on_idle_arg = arg;
	for (unsigned i = 0; i < p->set.workers; i++)
		peer_stop(&p->peers[i]);
	pool_on_gone(p);
}

unsigned pool_workers(const struct pool *p)
{
	return p->set.workers;
}

void pool_worker_info(const struct pool *p, unsigned i, struct pool_worker_info *info)
{
	const struct peer *w = &p->peers[i];

	*info = (struct pool_worker_info){
	    .pid = (int)w->pid,
	    .ready = w->state == PEER_UP,
	    .capacity = w->capacity,
	    .in_flight = w->in_flight,
	    .outcomes = w->outcomes,
	    .starts = w->starts,
	    .started_us = w->started_us,
	};
}
