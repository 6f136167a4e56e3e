/* Places of a private daemon, and of the programs. */
#define _GNU_SOURCE 1

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/paths.h"

static void xdg_directories_decide_where_they_are_set(void **state)
{
	static struct paths_local p;
	struct err e;

	(void)state;
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	setenv("XDG_STATE_HOME", "/s", 1);
	setenv("XDG_CONFIG_HOME", "/c", 1);
	assert_int_equal(paths_local(&p, &e), 0);
	assert_string_equal(p.runtime_dir, "/run/user/7/fanout");
	assert_string_equal(p.socket, "/run/user/7/fanout/fanout.sock");
	assert_string_equal(p.state_dir, "/s/fanout");
	assert_string_equal(p.log, "/s/fanout/fanoutd.log");
	assert_string_equal(p.conf, "/c/fanout/fanout.conf");
}

static void home_and_tmp_are_used_where_they_are_not(void **state)
{
	static struct paths_local p;
	char runtime[64];
	struct err e;

	(void)state;
	unsetenv("XDG_RUNTIME_DIR");
	unsetenv("XDG_STATE_HOME");
	setenv("XDG_CONFIG_HOME", "relative/is/ignored", 1);
	setenv("HOME", "/home/x", 1);
	assert_int_equal(paths_local(&p, &e), 0);
	snprintf(runtime, sizeof runtime, "/tmp/fanout-%lu", (unsigned long)getuid());
	assert_string_equal(p.runtime_dir, runtime);
	assert_string_equal(p.state_dir, "/home/x/.local/state/fanout");
	assert_string_equal(p.conf, "/home/x/.config/fanout/fanout.conf");
}

static void a_path_that_is_too_long_is_refused(void **state)
{
	static struct paths_local p;
	char home[PATHS_MAX + 10];
	struct err e;

	(void)state;
	memset(home, 'a', sizeof home);
	home[0] = '/';
	home[sizeof home - 1] = '\0';
	setenv("HOME", home, 1);
	unsetenv("XDG_STATE_HOME");
	assert_int_equal(paths_local(&p, &e), -1);
	assert_int_equal(e.code, ERR_INPUT);
	setenv("HOME", "/", 1);
}

static void a_program_is_found_next_to_the_running_one(void **state)
{
	char out[PATHS_MAX], small[4];
	struct err e;

	(void)state;
	assert_int_equal(paths_program("test_paths", out, sizeof out, &e), 0);
	assert_int_equal(access(out, X_OK), 0);
	assert_int_equal(paths_program("test_paths", small, sizeof small, &e), -1);
	assert_int_equal(paths_program("no-such-program", out, sizeof out, &e), -1);
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_non_null(strstr(e.what, "no-such-program"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(xdg_directories_decide_where_they_are_set),
	    cmocka_unit_test(home_and_tmp_are_used_where_they_are_not),
	    cmocka_unit_test(a_path_that_is_too_long_is_refused),
	    cmocka_unit_test(a_program_is_found_next_to_the_running_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
