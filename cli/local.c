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

#define START_MAX_US INT64_C(60000000) /* while it lives and does not answer */
#define BUSY_MAX_US  INT64_C(40000000) /* an ending one gives what runs half a minute */
#define BUSY_LOOK_US INT64_C(500000)
#define LOG_TAIL     2048

/* Exit statuses of fanoutd. */
enum { GONE = 1, GONE_BUSY = 75 }; /* another one has its state directory, or its socket */

static int fail(struct err *e, const char *what, const char *path)
{
	return err_set(e, errno == EACCES ? ERR_PERMISSION : ERR_SYSTEM, NULL, "%s %s: %s", what, path,
		       strerror(errno));
}

/* su and sudo may leave the variables of the user before. */
static const char *whose(void)
{
	const char *state = getenv("XDG_STATE_HOME");

	return state && *state
		   ? "XDG_STATE_HOME names it: is it left from another user (su keeps it)? unset it, or use su -"
		   : "HOME leads there: is it left from another user? set it to your own, or use su -";
}

/* Makes `path` and what is missing above it, for this user alone. */
static int make_directory(const char *path, struct err *e)
{
	char part[PATHS_MAX];

	snprintf(part, sizeof part, "%s", path);
	for (char *slash = strchr(part + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (mkdir(part, 0700) < 0 && errno != EEXIST && access(part, F_OK) < 0)
			return err_set(
			    e, errno == EACCES ? ERR_PERMISSION : ERR_SYSTEM,
			    errno == EACCES
				? whose()
				: "a private daemon keeps its state there: set HOME (or XDG_STATE_HOME) to a "
				  "directory that you can write into",
			    "cannot make the directory %s: %s", part, strerror(errno));
		if (!slash)
			break;
		*slash = '/';
	}
	/* /tmp is open to all: what lies there under our name must be ours. */
	if (paths_is_own(path))
		return 0;
	return err_set(e, ERR_PERMISSION, strncmp(path, "/tmp/", 5) == 0 ? "remove it" : whose(),
		       "%s is not a directory that belongs to you alone", path);
}

/* In the child: nothing of the caller's is left but its environment. */
static _Noreturn void become_daemon(const char *program, const char *log)
{
	sigset_t none;
	int fd = open("/dev/null", O_RDWR);
	int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

	if (fd < 0 || out < 0 || dup2(fd, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(127);
	setsid();
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

/* What the log says from `from` on, its last lines: below the error that tells what did not go. */
static void tell_log(const char *path, off_t from)
{
	char tail[LOG_TAIL + 1], *line = tail;
	struct text told = {0};
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
	text_add_str(&told, "  its log ends with:");
	for (char *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		text_printf(&told, "\n    %s", line);
	}
	ctl_report_beneath(&told);
}

/* Until somebody answers at the socket (0), or the daemon has ended (its exit status, above 0), or until `until_us`. It
 * is our child for as long as we last, then init's. */
static int await(const struct paths_local *p, pid_t daemon, int64_t until_us, struct err *e)
{
	int status = 0;

	while (client_probe(p->socket) != 0) {
		if (ctl_interrupted())
			return err_set(e, ERR_NONE, NULL, "interrupted");
		if (daemon <= 0 && clock_boot_us() > until_us)
			return GONE_BUSY;
		if (clock_boot_us() > until_us)
			return err_set(e, ERR_UNREACHABLE, NULL, "the private daemon does not answer; its log is %s",
				       p->log);
		if (daemon > 0 && waitpid(daemon, &status, WNOHANG) != 0) {
			if (client_probe(p->socket) == 0) /* another one was quicker */
				break;
			return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : GONE;
		}
		poll(NULL, 0, 5);
	}
	return 0;
}

static int start_once(const struct paths_local *p, const char *program, struct err *e)
{
	pid_t daemon = fork();

	if (daemon == 0)
		become_daemon(program, p->log);
	if (daemon < 0)
		return fail(e, "cannot start", program);
	return await(p, daemon, clock_boot_us() + START_MAX_US, e);
}

/* Whoever holds the state directory is on its way up (another client started it, and was interrupted) or on its way
 * down (it ends when what runs has ended): either is waited for a while. */
static int start(const struct paths_local *p, struct err *e)
{
	int64_t until = clock_boot_us() + BUSY_MAX_US;
	char program[PATHS_MAX];
	bool told = false;
	struct stat st;
	off_t log_from;
	int rc;

	if (paths_program("fanoutd", program, sizeof program, e) < 0)
		return -1;
	log_from = stat(p->log, &st) == 0 ? st.st_size : 0;
	while ((rc = start_once(p, program, e)) == GONE_BUSY && clock_boot_us() < until) {
		if ((rc = await(p, 0, clock_boot_us() + BUSY_LOOK_US, e)) != GONE_BUSY)
			break;
		if (!told)
			fprintf(stderr, "fanoutctl: waiting for your private daemon, which has not ended yet\n");
		told = true;
	}
	if (rc == 0 || ctl_interrupted())
		return rc;
	tell_log(p->log, log_from);
	if (rc > 0)
		err_set(e, ERR_UNREACHABLE, NULL, "the private daemon did not start; its log is %s", p->log);
	return -1;
}

/* An older version's daemon that is still running. */
static bool find_older(char *socket, size_t size)
{
	char path[PATHS_MAX], dir[PATHS_MAX];

	if (paths_older_socket(path) < 0)
		return false;
	snprintf(dir, sizeof dir, "%s", path);
	*strrchr(dir, '/') = '\0';
	if (!paths_is_own(dir) || client_probe(path) != 0)
		return false;
	snprintf(socket, size, "%s", path);
	return true;
}

static struct paths_local *places(struct err *e)
{
	static struct paths_local p; /* 20 KiB, and always the same */

	return paths_local(&p, e) < 0 ? NULL : &p;
}

bool local_find(char *socket, size_t size)
{
	const struct paths_local *p = places(NULL);

	/* Nobody else's daemon gets our requests. */
	if (!p || !paths_is_own(p->socket_dir) || client_probe(p->socket) != 0)
		return find_older(socket, size);
	snprintf(socket, size, "%s", p->socket);
	return true;
}

bool local_has_state(void)
{
	const struct paths_local *p = places(NULL);
	char database[PATHS_MAX + 16];

	if (!p || !paths_is_own(p->state_dir))
		return false;
	snprintf(database, sizeof database, "%.*s/fanout.db", PATHS_MAX, p->state_dir);
	return access(database, F_OK) == 0;
}

int local_start(char *socket, size_t size, struct err *e)
{
	const struct paths_local *p = places(e);
	char lock[PATHS_MAX + 16];
	int fd, rc = -1;

	if (!p)
		return -1;
	if (local_find(socket, size))
		return 0;
	if (make_directory(p->state_dir, e) < 0 || make_directory(p->socket_dir, e) < 0)
		return -1;
	snprintf(socket, size, "%s", p->socket);
	snprintf(lock, sizeof lock, "%.*s/start.lock", PATHS_MAX, p->state_dir);
	fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return fail(e, "cannot open", lock);
	if (flock(fd, LOCK_EX) < 0)
		fail(e, "cannot lock", lock);
	else if (client_probe(p->socket) == 0) /* another client was quicker */
		rc = 0;
	else
		rc = start(p, e);
	close(fd);
	return rc;
}
