/* Two counters under a lock, and an eventfd that wakes the loop; nothing else is shared. */
#include "lib/syncer.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct syncer {
	struct syncer_settings set;
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t asked_more, done_more;
	uint64_t asked, done;
	const void *what;
	int error;
	bool stop;

	/* The loop's. */
	pthread_t thread;
	bool started;
	int wake_fd;
	struct event *wake;
};

static void wake_loop(int fd)
{
	uint64_t one = 1;

	/* It can fail only by overflow: then the loop is to wake anyway. */
	(void)!write(fd, &one, sizeof one);
}

static bool is_busy(const struct syncer *s)
{
	return s->asked != s->done && !s->error;
}

static void *run(void *arg)
{
	struct syncer *s = arg;

	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->stop && !is_busy(s))
			pthread_cond_wait(&s->asked_more, &s->lock);
		if (!is_busy(s))
			break;
		uint64_t target = s->asked;
		const void *what = s->what;
		pthread_mutex_unlock(&s->lock);
		int error = s->set.sync(what);
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

static void on_wake(evutil_socket_t fd, short events, void *arg)
{
	struct syncer *s = arg;
	uint64_t count;

	(void)events;
	(void)!read(fd, &count, sizeof count);
	s->set.on_done(s->set.arg);
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

static int start(struct syncer *s)
{
	s->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (s->wake_fd < 0)
		return errno;
	s->wake = event_new(s->set.base, s->wake_fd, EV_READ | EV_PERSIST, on_wake, s);
	if (!s->wake || event_priority_set(s->wake, 0) < 0 || event_add(s->wake, NULL) < 0)
		return ENOMEM;
	return thread_start(s);
}

struct syncer *syncer_create(const struct syncer_settings *set, struct err *e)
{
	struct syncer *s = calloc(1, sizeof *s);
	int error;

	if (!s)
		BUG("out of memory");
	s->set = *set;
	s->wake_fd = -1;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->asked_more, NULL);
	pthread_cond_init(&s->done_more, NULL);
	error = start(s);
	if (!error)
		return s;
	err_set(e, ERR_SYSTEM, NULL, "cannot start the thread that syncs: %s", strerror(error));
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

uint64_t syncer_ask(struct syncer *s, const void *what)
{
	uint64_t ticket;

	pthread_mutex_lock(&s->lock);
	ticket = ++s->asked;
	s->what = what;
	pthread_cond_signal(&s->asked_more);
	pthread_mutex_unlock(&s->lock);
	return ticket;
}

uint64_t syncer_done(struct syncer *s, int *error)
{
	uint64_t done;

	pthread_mutex_lock(&s->lock);
	done = s->done;
	*error = s->error;
	pthread_mutex_unlock(&s->lock);
	return done;
}

bool syncer_busy(struct syncer *s)
{
	bool busy;

	pthread_mutex_lock(&s->lock);
	busy = is_busy(s);
	pthread_mutex_unlock(&s->lock);
	return busy;
}

void syncer_wait(struct syncer *s)
{
	pthread_mutex_lock(&s->lock);
	while (is_busy(s))
		pthread_cond_wait(&s->done_more, &s->lock);
	pthread_mutex_unlock(&s->lock);
}
