#include "daemon/store_sync.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct store_sync {
	pthread_t thread;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t asked_more, done_more;
	uint64_t asked, done;
	int fd, error;
	bool stop;

	bool started;
	int wake_fd;
	struct event *wake;
	void (*on_done)(void *arg);
	void *arg;
};

static int sync_file(int fd)
{
	int rc;

	do
		rc = fdatasync(fd);
	while (rc < 0 && errno == EINTR);
	return rc < 0 ? errno : 0;
}

static void wake_loop(int fd)
{
	uint64_t one = 1;

	/* It can fail only by overflow: then the loop is to wake anyway. */
	(void)!write(fd, &one, sizeof one);
}

static void *run(void *arg)
{
	struct store_sync *s = arg;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->stop && (s->asked == s->done || s->error))
			pthread_cond_wait(&s->asked_more, &s->lock);
		if (s->asked == s->done || s->error)
			break;
		uint64_t target = s->asked;
		int fd = s->fd;
		pthread_mutex_unlock(&s->lock);
		int error = sync_file(fd);
		pthread_mutex_lock(&s->lock);
		if (error)
			s->error = error;
		else
			s->done = target;
		pthread_cond_broadcast(&s->done_more);
		wake_loop(s->wake_fd);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
	struct store_sync *s = arg;
	uint64_t count;
	(void)what;

	(void)!read(fd, &count, sizeof count);
	s->on_done(s->arg);
}

/* Signals are the loop's. */
static int thread_start(struct store_sync *s)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int rc = pthread_create(&s->thread, NULL, run, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->started = rc == 0;
	return rc;
}

struct store_sync *store_sync_create(struct event_base *base, void (*on_done)(void *arg), void *arg, struct err *e)
{
	struct store_sync *s = calloc(1, sizeof *s);

	if (!s)
		abort();
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->asked_more, NULL);
	pthread_cond_init(&s->done_more, NULL);
	s->fd = -1;
	s->on_done = on_done;
	s->arg = arg;
	s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (s->wake_fd >= 0)
		s->wake = event_new(base, s->wake_fd, EV_READ | EV_PERSIST, on_wake, s);
	if (!s->wake || event_priority_set(s->wake, 0) < 0 || event_add(s->wake, NULL) < 0 || thread_start(s) != 0) {
		err_set(e, ERR_SYSTEM, NULL, "cannot start the thread that syncs: %s", strerror(errno));
		store_sync_free(s);
		return NULL;
	}
	return s;
}

void store_sync_free(struct store_sync *s)
{
	if (!s)
		return;
	if (s->started) {
		pthread_mutex_lock(&s->lock);
		s->stop = true;
		pthread_cond_signal(&s->asked_more);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
	}
	if (s->wake)
		event_free(s->wake);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	pthread_cond_destroy(&s->asked_more);
	pthread_cond_destroy(&s->done_more);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

uint64_t store_sync_ask(struct store_sync *s, int fd)
{
	pthread_mutex_lock(&s->lock);
	uint64_t ticket = ++s->asked;
	s->fd = fd;
	pthread_cond_signal(&s->asked_more);
	pthread_mutex_unlock(&s->lock);
	return ticket;
}

uint64_t store_sync_done(struct store_sync *s, int *error)
{
	pthread_mutex_lock(&s->lock);
	uint64_t done = s->done;
	*error = s->error;
	pthread_mutex_unlock(&s->lock);
	return done;
}

bool store_sync_busy(struct store_sync *s)
{
	pthread_mutex_lock(&s->lock);
	bool busy = s->asked != s->done && !s->error;
	pthread_mutex_unlock(&s->lock);
	return busy;
}

void store_sync_wait(struct store_sync *s)
{
	pthread_mutex_lock(&s->lock);
	while (s->asked != s->done && !s->error)
		pthread_cond_wait(&s->done_more, &s->lock);
	pthread_mutex_unlock(&s->lock);
}
