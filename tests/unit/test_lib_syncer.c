/* The thread that syncs: what it covers, whom it tells, and what a failure means. The test's syncs wait for a word. */
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/syncer.h"

struct work {
	sem_t *begun, *go; /* NULL: it does not wait */
	int error;
};

static struct {
	const void *what[8];
	unsigned syncs;
	bool signals_blocked;
	pthread_t by;
} seen;

static int sync_it(const void *what)
{
	const struct work *w = what;
	sigset_t mask;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	seen.signals_blocked = sigismember(&mask, SIGTERM) == 1;
	seen.by = pthread_self();
	seen.what[seen.syncs++] = what;
	if (w->begun) {
		sem_post(w->begun);
		sem_wait(w->go);
	}
	return w->error;
}

struct room {
	struct event_base *base;
	struct syncer *syncer;
	unsigned told;
	sem_t begun, go;
};

static void on_done(void *arg)
{
	struct room *r = arg;

	r->told++;
	event_base_loopbreak(r->base);
}

static int setup(void **state)
{
	struct room *r = calloc(1, sizeof *r);
	struct err e = {0};

	*state = r;
	seen.syncs = 0;
	sem_init(&r->begun, 0, 0);
	sem_init(&r->go, 0, 0);
	r->base = event_base_new();
	r->syncer = syncer_create(
	    &(struct syncer_settings){.base = r->base, .sync = sync_it, .on_done = on_done, .arg = r}, &e);
	return r->syncer ? 0 : -1;
}

static int teardown(void **state)
{
	struct room *r = *state;

	syncer_free(r->syncer);
	event_base_free(r->base);
	sem_destroy(&r->begun);
	sem_destroy(&r->go);
	free(r);
	return 0;
}

static void the_loop_is_told_of_a_sync_that_was_made_by_another_thread(void **state)
{
	struct room *r = *state;
	struct work w = {0};
	int error;

	assert_false(syncer_busy(r->syncer));
	assert_int_equal(syncer_done(r->syncer, &error), 0);
	assert_int_equal(syncer_ask(r->syncer, &w), 1);
	event_base_dispatch(r->base);
	assert_int_equal(r->told, 1);
	assert_int_equal(syncer_done(r->syncer, &error), 1);
	assert_int_equal(error, 0);
	assert_false(syncer_busy(r->syncer));
	assert_ptr_equal(seen.what[0], &w);
	assert_true(seen.signals_blocked);
	assert_false(pthread_equal(seen.by, pthread_self()));
}

static void what_is_asked_for_during_a_sync_is_one_more_sync(void **state)
{
	struct room *r = *state;
	struct work first = {.begun = &r->begun, .go = &r->go}, second = {0}, third = {0};
	int error;

	syncer_ask(r->syncer, &first);
	sem_wait(&r->begun);
	syncer_ask(r->syncer, &second);
	assert_int_equal(syncer_ask(r->syncer, &third), 3);
	assert_true(syncer_busy(r->syncer));
	assert_int_equal(syncer_done(r->syncer, &error), 0);
	sem_post(&r->go);
	syncer_wait(r->syncer);
	assert_int_equal(syncer_done(r->syncer, &error), 3);
	assert_int_equal(seen.syncs, 2);
	assert_ptr_equal(seen.what[1], &third);
}

static void after_a_failure_nothing_is_done_any_more(void **state)
{
	struct room *r = *state;
	struct work fine = {0}, bad = {.error = EIO};
	int error;

	syncer_ask(r->syncer, &fine);
	syncer_wait(r->syncer);
	syncer_ask(r->syncer, &bad);
	syncer_wait(r->syncer);
	syncer_ask(r->syncer, &fine);
	syncer_wait(r->syncer);
	assert_int_equal(syncer_done(r->syncer, &error), 1);
	assert_int_equal(error, EIO);
	assert_false(syncer_busy(r->syncer));
	assert_int_equal(seen.syncs, 2);
	event_base_dispatch(r->base);
	assert_true(r->told > 0);
}

static void its_end_waits_for_what_was_asked_for(void **state)
{
	struct room *r = *state;
	struct work first = {.begun = &r->begun, .go = &r->go}, second = {0};

	syncer_ask(r->syncer, &first);
	sem_wait(&r->begun);
	syncer_ask(r->syncer, &second);
	sem_post(&r->go);
	syncer_free(r->syncer);
	r->syncer = NULL;
	assert_int_equal(seen.syncs, 2);
	assert_int_equal(r->told, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    TEST(the_loop_is_told_of_a_sync_that_was_made_by_another_thread),
	    TEST(what_is_asked_for_during_a_sync_is_one_more_sync),
	    TEST(after_a_failure_nothing_is_done_any_more),
	    TEST(its_end_waits_for_what_was_asked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
