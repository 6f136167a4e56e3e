/* One thread, one condition. */
#include "cli/background.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/client.h"

struct background {
	struct ctl ctl; /* the thread's own, with its own client */
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t news;
	uint32_t batch;
	bool taken; /* jobs that go on, whatever comes after them */
	bool ended;
	int rc;
	struct submission submission;
	struct err e;
};

static void on_created(void *arg, uint32_t batch)
{
	struct background *b = arg;

	pthread_mutex_lock(&b->lock);
	b->batch = batch;
	b->taken = true;
	pthread_cond_signal(&b->news);
	pthread_mutex_unlock(&b->lock);
}

static void *run(void *arg)
{
	struct background *b = arg;
	int rc = request_submit(&b->ctl, &b->submission, on_created, b, &b->e);

	/* Nobody closed the batch: whoever follows it would wait for ever. */
	if (rc < 0 && (b->e.code == ERR_UNREACHABLE || b->e.code == ERR_UNKNOWN))
		ctl_stop();
	pthread_mutex_lock(&b->lock);
	b->rc = rc;
	b->batch = b->submission.batch;
	b->ended = true;
	pthread_cond_signal(&b->news);
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

static void on_wake(int signo)
{
	(void)signo;
}

struct background *background_submit(struct ctl *ctl, uint32_t *batch, struct err *e)
{
	struct sigaction wake = {.sa_handler = on_wake};
	struct background *b;
	int rc;

	if (ctl_connect(ctl, e) < 0)
		return NULL;
	b = calloc(1, sizeof *b);
	if (!b)
		BUG("out of memory");
	b->ctl = *ctl;
	b->ctl.client = client_again(ctl->client);
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->news, NULL);
	sigaction(SIGUSR1, &wake, NULL);
	rc = pthread_create(&b->thread, NULL, run, b);
	if (rc) {
		err_set(e, ERR_SYSTEM, NULL, "cannot start a thread: %s", strerror(rc));
		client_free(b->ctl.client);
		free(b);
		return NULL;
	}
	pthread_mutex_lock(&b->lock);
	while (!b->batch && !b->ended)
		pthread_cond_wait(&b->news, &b->lock);
	*batch = b->ended && b->rc < 0 && !b->taken ? 0 : b->batch;
	pthread_mutex_unlock(&b->lock);
	return b;
}

/* For a while: the wake-up may have come just before the read(2) that it was for. */
static void wait_a_little(struct background *b)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 1;
	pthread_cond_timedwait(&b->news, &b->lock, &until);
}

int background_join(struct background *b, struct submission *s, struct err *e)
{
	int rc;

	/* A signal that came to this thread leaves the other one in its read(2). */
	pthread_mutex_lock(&b->lock);
	while (!b->ended) {
		if (ctl_interrupted())
			pthread_kill(b->thread, SIGUSR1);
		wait_a_little(b);
	}
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->thread, NULL);
	rc = b->rc;
	*s = b->submission;
	if (rc < 0)
		*e = b->e;
	client_free(b->ctl.client);
	pthread_cond_destroy(&b->news);
	pthread_mutex_destroy(&b->lock);
	free(b);
	return rc;
}
