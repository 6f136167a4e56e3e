/* Watchers: who is woken, and what may happen while they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "daemon/watch.h"

struct listener {
	struct watcher w; /* first */
	struct watch *watch;
	int woken, ended;
	bool leaves;
};

static void on_wake(struct watcher *w, bool ended)
{
	struct listener *l = (struct listener *)w;

	l->woken++;
	l->ended += ended;
	if (l->leaves)
		watch_remove(l->watch, w);
}

static struct listener listener(struct watch *watch, uint32_t batch, bool leaves)
{
	return (struct listener){.w = {.batch = batch, .wake = on_wake}, .watch = watch, .leaves = leaves};
}

static void only_watchers_of_the_batch_are_woken(void **state)
{
	struct watch *watch = watch_create();
	struct listener a = listener(watch, 1, false), b = listener(watch, 2, false), c = listener(watch, 1, false);

	(void)state;
	watch_add(watch, &a.w);
	watch_add(watch, &b.w);
	watch_add(watch, &c.w);
	assert_int_equal(watch_count(watch), 3);
	watch_wake(watch, 1, false);
	watch_wake(watch, 1, true);
	watch_wake(watch, 7, true);
	assert_int_equal(a.woken, 2);
	assert_int_equal(a.ended, 1);
	assert_int_equal(c.woken, 2);
	assert_int_equal(b.woken, 0);
	watch_remove(watch, &b.w);
	watch_wake(watch, 2, true);
	assert_int_equal(b.woken, 0);
	watch_remove(watch, &a.w);
	watch_remove(watch, &c.w);
	assert_int_equal(watch_count(watch), 0);
	watch_free(watch);
}

static void a_watcher_may_remove_itself_while_it_is_woken(void **state)
{
	struct watch *watch = watch_create();
	struct listener l[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		l[i] = listener(watch, 5, true);
		watch_add(watch, &l[i].w);
	}
	watch_wake(watch, 5, true);
	for (int i = 0; i < 3; i++)
		assert_int_equal(l[i].woken, 1);
	assert_int_equal(watch_count(watch), 0);
	watch_wake(watch, 5, true);
	assert_int_equal(l[0].woken, 1);
	watch_free(watch);
}

static void a_watcher_that_left_the_middle_leaves_the_others(void **state)
{
	struct watch *watch = watch_create();
	struct listener l[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		l[i] = listener(watch, 5, i == 1);
		watch_add(watch, &l[i].w);
	}
	watch_wake(watch, 5, false);
	watch_wake(watch, 5, false);
	assert_int_equal(l[0].woken, 2);
	assert_int_equal(l[1].woken, 1);
	assert_int_equal(l[2].woken, 2);
	watch_remove(watch, &l[2].w);
	watch_remove(watch, &l[0].w);
	watch_free(watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(only_watchers_of_the_batch_are_woken),
	    cmocka_unit_test(a_watcher_may_remove_itself_while_it_is_woken),
	    cmocka_unit_test(a_watcher_that_left_the_middle_leaves_the_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
