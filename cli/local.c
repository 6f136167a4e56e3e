/* Starting the private daemon: directories, a lock so that only one client starts it, fork and exec, and the wait until
 * it answers. What goes wrong meanwhile is in its log, whose end is shown. */
#define _GNU_SOURCE 1 /* close_range */

#include "cli/local.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/ctl.h"
#include "lib/clock.h"
#include "lib/paths.h"

#define START_MAX_US INT64_C(10000000)
#define LOG_TAIL     2048

static int fail(struct err *e, const char *what, const char *path)
{
	return err_set(e, errno == EACCES ? ERR_PERMISSION : ERR_SYSTEM, NULL, "%s %s: %s", what, path,
		       strerror(errno));
}

/* Makes `path` and what is missing above it, for this user alone. */
static int make_directory(const char *path, struct err *e)
{
	char part[PATHS_MAX];
	struct stat st;

	snprintf(part, sizeof part, "%s", path);
	for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST)
			return fail(e, "cannot make the directory", part);
		if (!slash)
			break;
		*slash = '/';
	}
	/* /tmp is open to all: what lies there under our name must be ours. */
	if (lstat(path, &st) < 0)
		return fail(e, "cannot look at", path);
	if (!S_ISDIR(st.st_mode) || st.st_uid != getuid() || (st.st_mode & 022))
		return err_set(e, ERR_PERMISSION, "remove it, or set XDG_RUNTIME_DIR to a directory of yours",
			       "%s is not a directory that belongs to you alone", path);
	return 0;
}

/* In the grandchild: nothing of the caller's is left but its environment. */
static _Noreturn void become_daemon(const char *program, const char *log)
{
	sigset_t none;
	int fd = open("/dev/null", O_RDWR);
	int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

	if (fd < 0 || out < 0 || dup2(fd, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(127);
	close_range(3, ~0U, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (chdir("/") < 0)
		_exit(127);
	execl(program, "fanoutd", "--local", (char *)NULL);
	dprintf(2, "cannot run %s: %s\n", program, strerror(errno));
	_exit(127);
}

/* Double fork: the daemon is nobody's child that would have to be waited for. Its pid comes back through a pipe. */
static pid_t spawn(const char *program, const char *log, struct err *e)
{
	pid_t child, daemon = -1;
	int fds[2], status;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return fail(e, "cannot start", program);
	child = fork();
	if (child == 0) {
		setsid();
		daemon = fork();
		if (daemon == 0)
			become_daemon(program, log);
		_exit(write(fds[1], &daemon, sizeof daemon) == sizeof daemon ? 0 : 127);
	}
	close(fds[1]);
	if (child < 0 || read(fds[0], &daemon, sizeof daemon) != sizeof daemon || daemon < 0)
		daemon = (pid_t)fail(e, "cannot start", program);
	close(fds[0]);
	if (child > 0)
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
	return daemon;
}

/* What the log says from `from` on, its last lines. */
static void show_log(const char *path, off_t from)
{
	char tail[LOG_TAIL + 1], *line = tail;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t end = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	ssize_t n;

	if (fd < 0)
		return;
	if (end - from > LOG_TAIL)
		from = end - LOG_TAIL;
	n = pread(fd, tail, LOG_TAIL, from);
	close(fd);
	if (n <= 0)
		return;
	tail[n] = '\0';
	fprintf(stderr, "  its log ends with:\n");
	for (char *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		fprintf(stderr, "    %s\n", line);
	}
}

static int await(const struct paths_local *p, pid_t daemon, off_t log_from, struct err *e)
{
	int64_t until = clock_boot_us() + START_MAX_US;
	bool gone = false;

	while (client_probe(p->socket) != 0) {
		if (ctl_interrupted())
			return err_set(e, ERR_NONE, NULL, "interrupted");
		if (gone || clock_boot_us() > until) {
			show_log(p->log, log_from);
			return err_set(e, ERR_UNREACHABLE, NULL, "the private daemon %s; its log is %s",
				       gone ? "did not start" : "does not answer", p->log);
		}
		gone = kill(daemon, 0) < 0 && errno == ESRCH;
		poll(NULL, 0, 5);
	}
	return 0;
}

static int start(const struct paths_local *p, struct err *e)
{
	char program[PATHS_MAX];
	struct stat st;
	off_t log_from;
	pid_t daemon;

	if (paths_program("fanoutd", program, sizeof program, e) < 0 || make_directory(p->state_dir, e) < 0)
		return -1;
	log_from = stat(p->log, &st) == 0 ? st.st_size : 0;
	daemon = spawn(program, p->log, e);
	return daemon < 0 ? -1 : await(p, daemon, log_from, e);
}

int local_start(char *socket, size_t size, struct err *e)
{
	static struct paths_local p; /* 20 KiB, and used once */
	char lock[PATHS_MAX + 16];
	int fd, rc = -1;

	if (paths_local(&p, e) < 0)
		return -1;
	snprintf(socket, size, "%s", p.socket);
	if (client_probe(p.socket) == 0)
		return 0;
	if (make_directory(p.runtime_dir, e) < 0)
		return -1;
	snprintf(lock, sizeof lock, "%s/start.lock", p.runtime_dir);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail(e, "cannot open", lock);
	if (flock(fd, LOCK_EX) < 0)
		fail(e, "cannot lock", lock);
	else if (client_probe(p.socket) == 0) /* another client was quicker */
		rc = 0;
	else
		rc = start(&p, e);
	close(fd);
	return rc;
}
