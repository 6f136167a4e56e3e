/* The small tables: what hosts said of themselves, over restarts of the daemon and of the machine. */
#include "test_store.h"

#define HOSTS_MAX 4

struct hosts_read {
	struct store_hosts read;
	struct store_host rows[HOSTS_MAX];
	char names[HOSTS_MAX][64];
	unsigned count;
};

static void on_host(struct store_hosts *h, const struct store_host *row)
{
	struct hosts_read *all = (struct hosts_read *)h;

	assert_true(all->count < HOSTS_MAX);
	all->rows[all->count] = *row;
	snprintf(all->names[all->count], sizeof all->names[0], "%s", row->host);
	all->rows[all->count].host = all->names[all->count];
	all->count++;
}

static struct hosts_read hosts_of(struct room *r)
{
	struct hosts_read all = {.read = {.op = op_of(r), .on_row = on_host}};

	store_hosts(r->st, &all.read);
	wait_done(r);
	assert_fine(r);
	return all;
}

static const struct store_host paused = {.host = "a.example:443", .hits = 3, .paused_until_us = 5000};

static void what_a_host_said_is_kept_until_it_is_over(void **state)
{
	struct room *r = *state;
	struct store_host told = paused, over = {.host = paused.host};
	struct hosts_read all;

	store_host_note(r->st, &paused);
	told.learned = (struct rate){.count = 100, .window_us = 60000000};
	told.learned_until_us = 9000;
	store_host_note(r->st, &told);
	room_reopen(r);
	all = hosts_of(r);
	assert_int_equal(all.count, 1);
	assert_string_equal(all.rows[0].host, paused.host);
	assert_int_equal(all.rows[0].hits, 3);
	assert_int_equal(all.rows[0].paused_until_us, 5000);
	assert_int_equal(all.rows[0].learned_until_us, 9000);
	assert_int_equal(all.rows[0].learned.count, 100);
	assert_int_equal(all.rows[0].learned.window_us, 60000000);
	store_host_note(r->st, &over);
	room_reopen(r);
	assert_int_equal(hosts_of(r).count, 0);
}

static void after_a_reboot_a_pause_lasts_as_long_as_was_left_of_it(void **state)
{
	struct room *r = *state;
	struct store_host told = paused;
	struct hosts_read all;

	told.learned = (struct rate){.count = 1, .window_us = 1};
	told.learned_until_us = 900;
	store_host_note(r->st, &told);
	meddle(r, "UPDATE boots SET boot = 'the one before', last_us = 1000");
	all = hosts_of(r);
	assert_int_equal(all.count, 1);
	assert_int_equal(all.rows[0].paused_until_us, 4000);
	assert_int_equal(all.rows[0].learned_until_us, 1); /* long over, and not never */
	meddle(r, "UPDATE hosts SET boot = 77");
	assert_int_equal(hosts_of(r).rows[0].paused_until_us, 1);
}

static void the_moment_of_a_note_is_noted_for_its_boot(void **state)
{
	struct room *r = *state;
	int64_t before = clock_boot_us();
	struct store_host told = {.host = "h:80", .hits = 1, .paused_until_us = before + 3600000000};
	int64_t left_us;

	meddle(r, "UPDATE boots SET last_us = 0");
	store_host_note(r->st, &told);
	meddle(r, "UPDATE boots SET boot = 'the one before'");
	left_us = hosts_of(r).rows[0].paused_until_us;
	assert_true(left_us > 0 && left_us <= 3600000000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    TEST(what_a_host_said_is_kept_until_it_is_over),
	    TEST(after_a_reboot_a_pause_lasts_as_long_as_was_left_of_it),
	    TEST(the_moment_of_a_note_is_noted_for_its_boot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
