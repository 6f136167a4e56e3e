/* One worker's channel: frames in, frames out, and what follows from its death. A frame from a worker is data from
 * outside: one that does not fit ends the worker, never the daemon. */
#include "daemon/peer.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/spawn.h"
#include "lib/clock.h"
#include "lib/log.h"

/* A worker that has said nothing for this many heartbeats hangs. */
#define PEER_SILENCE_BEATS 10
#define PEER_BLAME_MAX     2
#define PEER_READ_BYTES    (256u << 10)
#define PEER_READS_MAX     4 /* reads per turn, so that one worker does not keep the loop */

static void channel_close(struct peer *w)
{
	if (w->fd < 0)
		return;
	event_del(w->readable);
	event_del(w->writable);
	close(w->fd);
	w->fd = -1;
}

void peer_kill(struct peer *w, const char *why)
{
	if (w->state != PEER_STARTING && w->state != PEER_UP)
		return;
	log_warn("worker killed", "worker=%u pid=%d why=\"%s\"", w->index, (int)w->pid, why);
	kill(w->pid, SIGKILL);
	w->killed = true;
	/* Nothing that it says from here on counts. */
	channel_close(w);
	w->state = PEER_DYING;
}

/* Beats of our own timer, not time: while the machine sleeps nobody can speak, and nobody is to blame. */
static bool overdue(const struct peer *w)
{
	int64_t now = clock_boot_us();

	for (const struct peer_attempt *a = w->attempts; a; a = a->hh.next)
		if (a->until_us < now)
			return true;
	return false;
}

void peer_beat(struct peer *w)
{
	if (w->state == PEER_UP && overdue(w))
		peer_kill(w, "an answer is long overdue");
	if (++w->quiet_beats <= PEER_SILENCE_BEATS)
		return;
	if (w->state == PEER_DYING)
		kill(w->pid, SIGKILL); /* it closed its channel and does not end */
	else
		peer_kill(w, "it was silent for too long");
}

/* ---- its attempts ---- */

static struct peer_attempt *attempt_find(const struct peer *w, uint64_t job, uint32_t n)
{
	struct peer_attempt *a;

	HASH_FIND(hh, w->attempts, &job, sizeof job, a);
	return a && a->n == n ? a : NULL;
}

static void attempt_over(struct peer *w, struct peer_attempt *a)
{
	HASH_DEL(w->attempts, a);
	pool_attempt_put(w->pool, a);
	w->in_flight--;
}

/* ---- frames in ---- */

static int on_hello(struct peer *w, struct wire_in *in)
{
	struct message_hello hello;

	if (message_get_hello(in, &hello) < 0 || w->state != PEER_STARTING || hello.version != MESSAGE_VERSION)
		return -1;
	w->state = PEER_UP;
	return 0;
}

static int on_capacity(struct peer *w, struct wire_in *in)
{
	uint32_t capacity;

	if (message_get_capacity(in, &capacity) < 0 || w->state != PEER_UP ||
	    capacity > pool_worker_settings(w->pool)->capacity_max)
		return -1;
	w->capacity = capacity;
	pool_on_up(w->pool);
	return 0;
}

static int on_outcome(struct peer *w, struct wire_in *in)
{
	struct message_outcome o;
	struct peer_attempt *a;

	if (message_get_outcome(in, &o) < 0)
		return -1;
	a = attempt_find(w, o.job, o.n);
	if (!a)
		return -1;
	attempt_over(w, a);
	w->outcomes++;
	w->young = 0;
	if (w->judging == o.job)
		w->judging = 0;
	pool_on_outcome(w->pool, w, &o);
	return 0;
}

static int on_returned(struct peer *w, struct wire_in *in)
{
	struct message_returned m;
	struct peer_attempt *a;

	if (message_get_returned(in, &m) < 0)
		return -1;
	a = attempt_find(w, m.job, m.n);
	if (!a || !a->stood_by)
		return -1;
	attempt_over(w, a);
	pool_on_returned(w->pool, m.job, m.n);
	return 0;
}

static int on_judging(struct peer *w, struct wire_in *in)
{
	struct message_judging m;

	if (message_get_judging(in, &m) < 0 || !attempt_find(w, m.job, m.n))
		return -1;
	w->judging = m.job;
	return 0;
}

static int on_alive(struct peer *w, struct wire_in *in)
{
	(void)w;
	return wire_in_end(in) ? 0 : -1;
}

static const struct {
	uint8_t type;
	int (*take)(struct peer *w, struct wire_in *in);
} frames[] = {
    {MESSAGE_OUTCOME, on_outcome}, {MESSAGE_CAPACITY, on_capacity}, {MESSAGE_ALIVE, on_alive},
    {MESSAGE_HELLO, on_hello},     {MESSAGE_JUDGING, on_judging},   {MESSAGE_RETURNED, on_returned},
};

static int take_frame(struct peer *w, uint8_t type, struct wire_in *in)
{
	for (size_t i = 0; i < sizeof frames / sizeof *frames; i++)
		if (frames[i].type == type)
			return frames[i].take(w, in);
	return -1;
}

/* Takes every whole frame of what was read. Returns -1 when the worker misspoke. */
static int take_frames(struct peer *w)
{
	size_t at = 0;

	while (w->fd >= 0) {
		struct wire_in in;
		uint8_t type;
		size_t taken;
		int r = wire_next(w->in + at, w->in_len - at, &type, &in, &taken);
		if (r == 0)
			break;
		if (r < 0 || take_frame(w, type, &in) < 0)
			return -1;
		at += taken;
	}
	memmove(w->in, w->in + at, w->in_len - at);
	w->in_len -= at;
	return 0;
}

/* Reads once. Returns what read(2) did, -1 with EAGAIN when there is nothing. */
static ssize_t channel_read(struct peer *w)
{
	if (w->in_cap - w->in_len < PEER_READ_BYTES) {
		size_t cap = w->in_len + 2 * PEER_READ_BYTES;
		uint8_t *in = realloc(w->in, cap);
		if (!in)
			abort();
		w->in = in;
		w->in_cap = cap;
	}
	ssize_t n = read(w->fd, w->in + w->in_len, w->in_cap - w->in_len);
	if (n > 0)
		w->in_len += (size_t)n;
	return n;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct peer *w = arg;
	(void)fd;
	(void)what;

	for (int i = 0; i < PEER_READS_MAX && w->fd >= 0; i++) {
		ssize_t n = channel_read(w);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		if (n <= 0) {
			/* It is dead or dying: what it lost is told when it is reaped, for until then it might still
			 * send. One that was told to stop is on its way out, and is left to it. */
			if (!pool_stopping(w->pool))
				kill(w->pid, SIGKILL);
			w->quiet_beats = 0;
			channel_close(w);
			w->state = PEER_DYING;
			return;
		}
		if (take_frames(w) < 0) {
			peer_kill(w, "it sent a frame that does not fit");
			return;
		}
		/* Whatever it says before its hello is no sign of life. */
		if (w->state == PEER_UP)
			w->quiet_beats = 0;
		if (w->in_len == 0 && (size_t)n < PEER_READ_BYTES)
			return;
	}
}

/* ---- frames out ---- */

static void channel_write(struct peer *w)
{
	while (w->fd >= 0 && w->out_taken < w->out.len) {
		ssize_t n = write(w->fd, w->out.data + w->out_taken, w->out.len - w->out_taken);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			if (errno == EAGAIN)
				event_add(w->writable, NULL);
			/* Any other error is the worker's death, which end of file and SIGCHLD will tell. */
			return;
		}
		w->out_taken += (size_t)n;
	}
	w->out.len = w->out_taken = 0;
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	channel_write(arg);
}

/* Frames of one turn of the loop leave with one write(2). */
static void channel_flush_later(struct peer *w)
{
	event_active(w->writable, EV_WRITE, 1);
}

static size_t backlog_bytes(const struct peer *w)
{
	return w->out.len - w->out_taken;
}

unsigned peer_credit(const struct peer *w)
{
	if (w->state != PEER_UP || w->in_flight >= w->capacity || backlog_bytes(w) > PEER_BACKLOG_BYTES)
		return 0;
	return w->capacity - w->in_flight;
}

/* Where something waits already, so does what will write it. */
static void out_append(struct peer *w, const void *frame, size_t bytes)
{
	struct wire_out *o = &w->out;

	if (backlog_bytes(w) == 0)
		channel_flush_later(w);
	if (w->out_taken > 0 && w->out_taken >= o->len / 2) {
		memmove(o->data, o->data + w->out_taken, o->len - w->out_taken);
		o->len -= w->out_taken;
		w->out_taken = 0;
	}
	if (o->cap - o->len < bytes) {
		size_t cap = (o->len + bytes) * 2;
		uint8_t *data = realloc(o->data, cap);
		if (!data)
			abort();
		o->data = data;
		o->cap = cap;
	}
	memcpy(o->data + o->len, frame, bytes);
	o->len += bytes;
	w->out_total += bytes;
}

void peer_assign(struct peer *w, struct peer_attempt *a, const void *frame, size_t bytes)
{
	a->frame_at = w->out_total;
	HASH_ADD(hh, w->attempts, job, sizeof a->job, a);
	w->in_flight++;
	out_append(w, frame, bytes);
}

void peer_say(struct peer *w, struct wire_out *frame)
{
	if (w->fd >= 0)
		out_append(w, frame->data, frame->len);
	wire_out_clear(frame);
}

void peer_begun(struct peer *w, uint64_t job, int64_t until_us)
{
	struct peer_attempt *a;

	HASH_FIND(hh, w->attempts, &job, sizeof job, a);
	if (a)
		a->until_us = until_us;
}

bool peer_cancel(struct peer *w, uint64_t job, uint32_t n)
{
	struct message_cancel m = {.job = job, .n = n};
	struct wire_out frame = {0};

	if (!attempt_find(w, job, n))
		return false;
	message_put_cancel(&frame, &m);
	peer_say(w, &frame);
	return true;
}

void peer_stop(struct peer *w)
{
	struct wire_out frame = {0};

	event_del(w->restart);
	message_put_stop(&frame);
	peer_say(w, &frame);
}

/* ---- life and death ---- */

static void restart_in(struct peer *w, int64_t delay_us)
{
	struct timeval tv = {.tv_sec = delay_us / 1000000, .tv_usec = delay_us % 1000000};

	w->state = PEER_DOWN;
	event_add(w->restart, &tv);
}

void peer_start(struct peer *w)
{
	struct wire_out frame = {0};
	struct err e = {0};

	if (pool_spawn(w->pool, &w->pid, &w->fd, &e) < 0) {
		log_error("worker not started", "worker=%u why=\"%s\"", w->index, e.what);
		w->fd = -1;
		restart_in(w, spawn_delay_us(++w->young));
		return;
	}
	w->state = PEER_STARTING;
	w->started_us = clock_boot_us();
	w->quiet_beats = 0;
	w->starts++;
	w->outcomes = 0;
	w->in_len = w->out.len = w->out_taken = 0;
	w->out_total = 0;
	w->capacity = 0;
	w->judging = 0;
	w->killed = false;
	event_assign(w->readable, event_get_base(w->readable), w->fd, EV_READ | EV_PERSIST, on_readable, w);
	event_assign(w->writable, event_get_base(w->writable), w->fd, EV_WRITE, on_writable, w);
	event_priority_set(w->readable, 0);
	event_priority_set(w->writable, 1);
	event_add(w->readable, NULL);
	message_put_settings(&frame, pool_worker_settings(w->pool));
	peer_say(w, &frame);
	log_info("worker started", "worker=%u pid=%d", w->index, (int)w->pid);
}

static void on_restart(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	peer_start(arg);
}

static void log_end(const struct peer *w, int status, unsigned lost)
{
	const char *how = WIFSIGNALED(status) ? "signal" : "status";
	int number = WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);

	if (pool_stopping(w->pool) && lost == 0)
		log_info("worker ended", "worker=%u pid=%d %s=%d", w->index, (int)w->pid, how, number);
	else
		log_warn("worker died", "worker=%u pid=%d %s=%d lost=%u", w->index, (int)w->pid, how, number, lost);
}

/* What it had written to the channel before its end is as good as any other answer. False: there was more of it. */
static bool take_last_words(struct peer *w)
{
	while (w->fd >= 0) {
		ssize_t n = channel_read(w);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0 || take_frames(w) < 0)
			return n <= 0;
	}
	return !w->killed; /* else its channel was closed unread */
}

/* May this job be what it died of? The one whose body was being judged, where it was judging. Else any that it had,
 * unless somebody else killed it (an operator, the kernel short of memory) while it had many: then that says nothing of
 * one. */
static bool may_blame(const struct peer *w, const struct peer_attempt *a, int status, unsigned lost)
{
	if (w->judging)
		return a->job == w->judging;
	return w->killed || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL || lost <= PEER_BLAME_MAX;
}

void peer_reaped(struct peer *w, int status)
{
	struct peer_attempt *a, *next;

	bool heard = take_last_words(w);
	uint64_t written = w->out_total - backlog_bytes(w);
	unsigned lost = w->in_flight;
	bool worked = w->outcomes > 0;
	channel_close(w);
	log_end(w, status, lost);
	struct peer_attempt *attempts = w->attempts;
	w->attempts = NULL;
	w->in_flight = w->capacity = 0;
	w->pid = 0;
	w->young = worked ? 0 : w->young + 1;
	if (pool_stopping(w->pool))
		w->state = PEER_DOWN;
	else
		restart_in(w, worked ? 0 : spawn_delay_us(w->young));
	HASH_ITER (hh, attempts, a, next) {
		HASH_DEL(attempts, a);
		pool_on_lost(w->pool, a, written > a->frame_at, heard, may_blame(w, a, status, lost));
		pool_attempt_put(w->pool, a);
	}
	pool_on_gone(w->pool);
}

int peer_init(struct peer *w, struct pool *p, unsigned index, struct event_base *base)
{
	*w = (struct peer){.pool = p, .index = index, .fd = -1};
	w->readable = event_new(base, -1, EV_READ | EV_PERSIST, on_readable, w);
	w->writable = event_new(base, -1, EV_WRITE, on_writable, w);
	w->restart = evtimer_new(base, on_restart, w);
	return w->readable && w->writable && w->restart ? 0 : -1;
}

void peer_clear(struct peer *w)
{
	struct peer_attempt *a, *next;

	channel_close(w);
	if (w->pid > 0) {
		kill(w->pid, SIGKILL);
		while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	HASH_ITER (hh, w->attempts, a, next) {
		HASH_DEL(w->attempts, a);
		pool_attempt_put(w->pool, a);
	}
	if (w->readable)
		event_free(w->readable);
	if (w->writable)
		event_free(w->writable);
	if (w->restart)
		event_free(w->restart);
	free(w->in);
	wire_out_clear(&w->out);
}
