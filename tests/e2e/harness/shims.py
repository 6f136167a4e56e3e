"""What stands in front of libc in a program under test (fixture preload): sources in C."""

FULL_DISK = r"""
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
	if (access(getenv("FULL_DISK"), F_OK) == 0) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, p, n, at);
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t at) { return pwrite64(fd, p, n, at); }
"""

WHEN_WRITTEN = r"""
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at)
{
	const char *word = getenv("FULL_WHEN");
	if (access(getenv("FULL_DISK"), F_OK) == 0 && memmem(p, n, word, strlen(word))) {
		errno = ENOSPC;
		return -1;
	}
	return syscall(SYS_pwrite64, fd, p, n, at);
}
ssize_t pwrite(int fd, const void *p, size_t n, off_t at) { return pwrite64(fd, p, n, at); }
"""

TELL_PEAK = """
#include <stdio.h>
static void __attribute__((destructor)) tell_peak(void)
{
	FILE *in = fopen("/proc/self/status", "r"), *out = fopen(PEAK, "w");
	int c;

	while ((c = getc(in)) != EOF)
		putc(c, out);
	fclose(out);
	fclose(in);
}
"""

NAPS_OF_TEN_SECONDS = r"""
#define _GNU_SOURCE
#include <poll.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>
static long slept;
int poll(struct pollfd *fds, nfds_t n, int ms)
{
	if (n == 0)
		slept += 10;
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};
	return (int)syscall(SYS_ppoll, fds, n, n && ms < 0 ? 0 : n ? &t : &(struct timespec){0}, 0, 0);
}
int clock_gettime(clockid_t id, struct timespec *ts)
{
	int rc = (int)syscall(SYS_clock_gettime, id, ts);
	ts->tv_sec += slept;
	return rc;
}
"""
