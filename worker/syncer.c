/* The loop gives a group and is woken by an eventfd; nothing else is shared. */
#include "worker/syncer.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "worker/sink.h"

struct syncer {
	pthread_mutex_t lock; /* guards the group and stop */
	pthread_cond_t more;
	struct sink *const *sinks; /* NULL: nothing to do */
	size_t count;
	bool stop;

	/* The loop's. */
	pthread_t thread;
	bool started, busy;
	int wake_fd;
	struct event *wake;
	void (*on_done)(void *arg);
	void *arg;
};

static void wake_loop(int fd)
{
	uint64_t one = 1;

	/* It can fail only by overflow: then the loop is to wake anyway. */
	(void)!write(fd, &one, sizeof one);
}

static void *run(void *arg)
{
	struct syncer *s = arg;

	pthread_mutex_lock(&s->lock);
	while (!s->stop || s->sinks) {
		if (!s->sinks) {
			pthread_cond_wait(&s->more, &s->lock);
			continue;
		}
		struct sink *const *sinks = s->sinks;
		size_t count = s->count;
		pthread_mutex_unlock(&s->lock);
		sink_sync(sinks, count);
		pthread_mutex_lock(&s->lock);
		s->sinks = NULL;
		wake_loop(s->wake_fd);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct syncer *s = arg;
	uint64_t count;

	(void)what;
	(void)!read(fd, &count, sizeof count);
	s->busy = false;
	s->on_done(s->arg);
}

/* Signals are the loop's. Returns an errno. */
static int thread_start(struct syncer *s)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&s->thread, NULL, run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->started = rc == 0;
	return rc;
}

static int start(struct syncer *s, struct event_base *base)
{
	s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (s->wake_fd < 0)
		return errno;
	s->wake = event_new(base, s->wake_fd, EV_READ | EV_PERSIST, on_wake, s);
	if (!s->wake || event_add(s->wake, NULL) < 0)
		return ENOMEM;
	return thread_start(s);
}

struct syncer *syncer_create(struct event_base *base, void (*on_done)(void *arg), void *arg, struct err *e)
{
	struct syncer *s = calloc(1, sizeof *s);
	int error;

	if (!s)
		BUG("out of memory");
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->more, NULL);
	s->wake_fd = -1;
	s->on_done = on_done;
	s->arg = arg;
	error = start(s, base);
	if (!error)
		return s;
	err_set(e, ERR_SYSTEM, NULL, "cannot start the thread that syncs bodies: %s", strerror(error));
	syncer_free(s);
	return NULL;
}

void syncer_free(struct syncer *s)
{
	if (!s)
		return;
	if (s->started) {
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_cond_signal(&s->more);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
	}
	if (s->wake)
		event_free(s->wake);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	pthread_cond_destroy(&s->more);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void syncer_start(struct syncer *s, struct sink *const *sinks, size_t count)
{
	if (s->busy || count == 0)
		BUG("the thread that syncs bodies is %s", s->busy ? "busy" : "given nothing");
	s->busy = true;
	pthread_mutex_lock(&s->lock);
	s->sinks = sinks;
	s->count = count;
	pthread_cond_signal(&s->more);
	pthread_mutex_unlock(&s->lock);
}

bool syncer_busy(const struct syncer *s)
{
	return s->busy;
}
