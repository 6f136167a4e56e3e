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
	char older[PATHS_MAX];
	struct err e;

	(void)state;
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	setenv("XDG_STATE_HOME", "/s", 1);
	setenv("XDG_CONFIG_HOME", "/c", 1);
	assert_int_equal(paths_local(&p, &e), 0);
	assert_string_equal(p.state_dir, "/s/fanout");
	assert_string_equal(p.socket_dir, "/s/fanout");
	assert_string_equal(p.socket, "/s/fanout/fanout.sock");
	assert_string_equal(p.log, "/s/fanout/fanoutd.log");
	assert_string_equal(p.conf, "/c/fanout/fanout.conf");
	assert_int_equal(paths_older_socket(older), 0);
	assert_string_equal(older, "/run/user/7/fanout/fanout.sock");
}

static void home_is_used_where_they_are_not(void **state)
{
	static struct paths_local p;
	char older[PATHS_MAX];
	struct err e;

	(void)state;
	unsetenv("XDG_RUNTIME_DIR");
	unsetenv("XDG_STATE_HOME");
	setenv("XDG_CONFIG_HOME", "relative/is/ignored", 1);
	setenv("HOME", "/home/x", 1);
	assert_int_equal(paths_local(&p, &e), 0);
	assert_string_equal(p.state_dir, "/home/x/.local/state/fanout");
	assert_string_equal(p.socket, "/home/x/.local/state/fanout/fanout.sock");
	assert_string_equal(p.conf, "/home/x/.config/fanout/fanout.conf");
	assert_int_equal(paths_older_socket(older), -1);
}

static void a_socket_whose_path_no_system_takes_lies_below_tmp_by_state_directory(void **state)
{
	static struct paths_local one, other;
	char home[108], below[64];
	struct err e;

	(void)state;
	unsetenv("XDG_STATE_HOME");
	memset(home, 'a', sizeof home);
	home[0] = '/';
	home[107 - strlen("/.local/state/fanout/fanout.sock")] = '\0';
	setenv("HOME", home, 1);
	assert_int_equal(paths_local(&one, &e), 0);
	assert_int_equal(strlen(one.socket), 107);
	assert_string_equal(one.socket_dir, one.state_dir);

	home[strlen(home)] = 'a';
	home[1 + 107 - strlen("/.local/state/fanout/fanout.sock")] = '\0';
	setenv("HOME", home, 1);
	assert_int_equal(paths_local(&one, &e), 0);
	snprintf(below, sizeof below, "/tmp/fanout-%lu", (unsigned long)geteuid());
	assert_string_equal(one.socket_dir, below);
	home[5] = 'b';
	setenv("HOME", home, 1);
	assert_int_equal(paths_local(&other, &e), 0);
	assert_string_not_equal(one.socket, other.socket);
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
	assert_int_equal(e.code, ERR_SYSTEM);
	assert_non_null(strstr(e.what, "no-such-program"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(xdg_directories_decide_where_they_are_set),
	    cmocka_unit_test(home_is_used_where_they_are_not),
	    cmocka_unit_test(a_socket_whose_path_no_system_takes_lies_below_tmp_by_state_directory),
	    cmocka_unit_test(a_path_that_is_too_long_is_refused),
	    cmocka_unit_test(a_program_is_found_next_to_the_running_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
