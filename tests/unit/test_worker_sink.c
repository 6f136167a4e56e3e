/* Bodies in memory and in files: where they go, what stays of them, and what does not. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/jobid.h"
#include "lib/message.h"
#include "worker/sink.h"

#define JOB jobid_make(7, 42)

static char dir[] = "bodiesXXXXXX";
static int bodies_fd;
static uint8_t bytes[200000];

static int open_dir(void **arg)
{
	strcpy(dir, "bodiesXXXXXX");
	if (!mkdtemp(dir))
		return -1;
	bodies_fd = open(dir, O_RDONLY | O_DIRECTORY);
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	(void)arg;
	return bodies_fd < 0 ? -1 : 0;
}

static int close_dir(void **arg)
{
	char command[64];

	(void)arg;
	close(bodies_fd);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

/* The file's size, or -1 where there is none. */
static long file_size(uint64_t job, uint32_t n)
{
	char path[JOBID_PATH_SIZE];
	struct stat st;

	return fstatat(bodies_fd, jobid_body_path(path, job, n), &st, AT_SYMLINK_NOFOLLOW) ? -1 : (long)st.st_size;
}

static void assert_file(uint64_t job, uint32_t n, size_t size)
{
	char path[JOBID_PATH_SIZE];
	uint8_t *got = malloc(size + 1);
	int fd = openat(bodies_fd, jobid_body_path(path, job, n), O_RDONLY);

	assert_non_null(got);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, got, size + 1), size);
	assert_memory_equal(got, bytes, size);
	close(fd);
	free(got);
}

static void put(struct sink *s, size_t size, size_t step)
{
	for (size_t at = 0; at < size; at += step)
		assert_int_equal(sink_write(s, bytes + at, size - at < step ? size - at : step), 0);
}

static void a_small_body_stays_in_memory(void **arg)
{
	struct sink s;

	(void)arg;
	sink_init(&s, bodies_fd);
	sink_begin(&s, JOB, 1, 1 << 20);
	put(&s, MESSAGE_BODY_INLINE_MAX, 1000);
	assert_false(sink_in_file(&s));
	assert_int_equal(s.len, MESSAGE_BODY_INLINE_MAX);
	assert_memory_equal(s.data, bytes, s.len);
	assert_int_equal(file_size(JOB, 1), -1);
	sink_clear(&s);
}

static void one_byte_more_goes_to_the_attempts_file(void **arg)
{
	struct sink s, *all[] = {&s};

	(void)arg;
	sink_init(&s, bodies_fd);
	sink_begin(&s, JOB, 1, 1 << 20);
	put(&s, MESSAGE_BODY_INLINE_MAX + 1, 1000);
	assert_true(sink_in_file(&s));
	assert_int_equal(s.size_bytes, MESSAGE_BODY_INLINE_MAX + 1);
	sink_sync(all, 1);
	assert_false(sink_in_file(&s));
	assert_int_equal(s.stopped, CAUSE_RESPONSE);
	assert_file(JOB, 1, MESSAGE_BODY_INLINE_MAX + 1);
	sink_clear(&s);
	assert_int_equal(file_size(JOB, 1), MESSAGE_BODY_INLINE_MAX + 1);
}

static void the_beginning_of_a_body_in_a_file_is_still_at_hand(void **arg)
{
	struct sink s;

	(void)arg;
	sink_init(&s, bodies_fd);
	sink_begin(&s, JOB, 2, 1 << 20);
	put(&s, 100000, 16384);
	assert_true(s.len >= 256 && s.len <= 4096);
	assert_memory_equal(s.data, bytes, s.len);
	sink_clear(&s);
	assert_int_equal(file_size(JOB, 2), -1);
}

static void a_discarded_body_leaves_no_file(void **arg)
{
	struct sink s;

	(void)arg;
	sink_init(&s, bodies_fd);
	sink_begin(&s, JOB, 3, 1 << 20);
	put(&s, 100000, 16384);
	assert_true(file_size(JOB, 3) > 0);
	sink_discard(&s);
	assert_int_equal(file_size(JOB, 3), -1);
	assert_int_equal(s.len, 0);
	sink_begin(&s, JOB, 4, 1 << 20);
	put(&s, 10, 10);
	assert_int_equal(s.size_bytes, 10);
	sink_clear(&s);
}

static void a_body_over_its_bound_is_not_taken(void **arg)
{
	struct sink s;

	(void)arg;
	sink_init(&s, bodies_fd);
	sink_begin(&s, JOB, 5, 1000);
	put(&s, 1000, 100);
	assert_int_equal(sink_write(&s, bytes, 0), 0);
	assert_int_equal(sink_write(&s, bytes, 1), -1);
	assert_int_equal(s.stopped, CAUSE_TOO_LARGE);
	assert_int_equal(sink_write(&s, bytes, 0), -1);
	sink_begin(&s, JOB, 6, 0);
	assert_int_equal(sink_write(&s, bytes, 1), -1);
	sink_begin(&s, JOB, 7, INT64_MAX);
	assert_int_equal(sink_write(&s, bytes, sizeof bytes), 0);
	sink_clear(&s);
}

static void what_lies_at_the_place_is_replaced_and_not_followed(void **arg)
{
	struct sink s, *all[] = {&s};

	(void)arg;
	mkdirat(bodies_fd, "7", 0700);
	assert_int_equal(symlinkat("/dev/full", bodies_fd, "7/42.8"), 0);
	sink_init(&s, bodies_fd);
	sink_begin(&s, JOB, 8, 1 << 20);
	put(&s, 100000, 16384);
	sink_sync(all, 1);
	assert_int_equal(s.stopped, CAUSE_RESPONSE);
	assert_file(JOB, 8, 100000);
	sink_clear(&s);
}

static void a_place_that_cannot_be_made_is_a_storage_failure(void **arg)
{
	struct sink s;
	int fd = openat(bodies_fd, "9", O_CREAT | O_WRONLY, 0600);

	(void)arg;
	assert_true(fd >= 0);
	close(fd);
	sink_init(&s, bodies_fd);
	sink_begin(&s, jobid_make(9, 1), 1, 1 << 20);
	assert_int_equal(sink_write(&s, bytes, 100000), -1);
	assert_int_equal(s.stopped, CAUSE_STORAGE);
	assert_int_equal(s.error, ENOTDIR);
	sink_discard(&s);
	sink_clear(&s);
}

static void many_bodies_are_synced_together(void **arg)
{
	struct sink s[20], *all[20];

	(void)arg;
	for (uint32_t i = 0; i < 20; i++) {
		all[i] = &s[i];
		sink_init(&s[i], bodies_fd);
		sink_begin(&s[i], jobid_make(100 + i % 3, i + 1), 1, 1 << 20);
		put(&s[i], 70000 + i, 5000);
	}
	sink_sync(all, 20);
	for (uint32_t i = 0; i < 20; i++) {
		assert_int_equal(s[i].stopped, CAUSE_RESPONSE);
		assert_file(jobid_make(100 + i % 3, i + 1), 1, 70000 + i);
		sink_clear(&s[i]);
	}
}

/* A descriptor that cannot be synced stands in for a failing disk. */
static void a_sync_that_fails_is_told_and_removes_the_file(void **arg)
{
	struct sink good, bad, *all[] = {&bad, &good};
	int pipe_fds[2];

	(void)arg;
	sink_init(&good, bodies_fd);
	sink_init(&bad, bodies_fd);
	sink_begin(&good, jobid_make(200, 1), 1, 1 << 20);
	sink_begin(&bad, jobid_make(201, 1), 1, 1 << 20);
	put(&good, 100000, 16384);
	put(&bad, 100000, 16384);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(dup2(pipe_fds[1], bad.fd), bad.fd);
	sink_sync(all, 2);
	assert_int_equal(bad.stopped, CAUSE_STORAGE);
	assert_int_equal(bad.error, EINVAL);
	assert_int_equal(file_size(jobid_make(201, 1), 1), -1);
	assert_int_equal(good.stopped, CAUSE_RESPONSE);
	assert_file(jobid_make(200, 1), 1, 100000);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	sink_clear(&good);
	sink_clear(&bad);
}

/* Bytes of the file that lie in the page cache. */
static size_t cached_bytes(uint64_t job, uint32_t n, size_t size)
{
	char path[JOBID_PATH_SIZE];
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (size + page - 1) / page, count = 0;
	unsigned char *there = calloc(pages, 1);
	int fd = openat(bodies_fd, jobid_body_path(path, job, n), O_RDONLY);
	void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	assert_true(fd >= 0 && map != MAP_FAILED && mincore(map, size, there) == 0);
	for (size_t i = 0; i < pages; i++)
		count += there[i] & 1;
	munmap(map, size);
	close(fd);
	free(there);
	return count * page;
}

static void a_large_body_on_the_disk_leaves_the_page_cache_but_for_its_end(void **arg)
{
	enum { MIB = 1 << 20, SIZE = 80 * MIB };
	struct sink s, *sinks[] = {&s};
	struct statfs fs;
	size_t cached;

	(void)arg;
	sink_init(&s, bodies_fd);
	sink_begin(&s, JOB, 30, SIZE);
	for (size_t n = 0; n < SIZE; n += sizeof bytes)
		assert_int_equal(sink_write(&s, bytes, n + sizeof bytes < SIZE ? sizeof bytes : SIZE - n), 0);
	sink_sync(sinks, 1);
	assert_int_equal(s.stopped, CAUSE_RESPONSE);
	assert_int_equal(file_size(JOB, 30), SIZE);
	cached = cached_bytes(JOB, 30, SIZE);
	assert_int_equal(fstatfs(bodies_fd, &fs), 0);
	if (fs.f_type == TMPFS_MAGIC)
		assert_int_equal(cached, SIZE); /* has no other place */
	else
		assert_in_range(cached, 0, 66 * MIB);
	sink_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_small_body_stays_in_memory),
	    cmocka_unit_test(one_byte_more_goes_to_the_attempts_file),
	    cmocka_unit_test(the_beginning_of_a_body_in_a_file_is_still_at_hand),
	    cmocka_unit_test(a_discarded_body_leaves_no_file),
	    cmocka_unit_test(a_body_over_its_bound_is_not_taken),
	    cmocka_unit_test(what_lies_at_the_place_is_replaced_and_not_followed),
	    cmocka_unit_test(a_place_that_cannot_be_made_is_a_storage_failure),
	    cmocka_unit_test(many_bodies_are_synced_together),
	    cmocka_unit_test(a_large_body_on_the_disk_leaves_the_page_cache_but_for_its_end),
	    cmocka_unit_test(a_sync_that_fails_is_told_and_removes_the_file),
	};

	return cmocka_run_group_tests(tests, open_dir, close_dir);
}
