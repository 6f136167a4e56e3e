/* A daemon's configuration as it is on disk, looked at by the daemon's own program: the next start reads it, whatever
 * the one that runs has. It must not know a key of it. */
#define _GNU_SOURCE 1 /* pipe2 */

#include "cli/confcheck.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/paths.h"

static _Noreturn void become_check(const char *program, bool local, int out)
{
	if (dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(127);
	execl(program, "fanoutd", "-n", local ? "--local" : (char *)NULL, (char *)NULL);
	dprintf(2, "cannot run %s: %s\n", program, strerror(errno));
	_exit(127);
}

static void read_all(int fd, struct text *out)
{
	char part[4096];
	ssize_t n;

	while ((n = read(fd, part, sizeof part)) > 0 || (n < 0 && errno == EINTR))
		text_add(out, part, n > 0 ? (size_t)n : 0);
}

/* "fanoutd: FILE:1: ...\nfanoutd: FILE:3: ...\n  HINT\n" as one line; of what is fine, the file. */
static void join_lines(const struct text *lines, bool fine, struct text *said)
{
	static const char name[] = "fanoutd: ", ok[] = ": ok";

	for (const char *p = lines->data; p && *p; p += strcspn(p, "\n"), p += *p == '\n') {
		size_t n;

		p += strncmp(p, name, sizeof name - 1) == 0 ? sizeof name - 1 : strspn(p, " ");
		n = strcspn(p, "\n");
		if (fine && n >= sizeof ok - 1 && strncmp(p + n - (sizeof ok - 1), ok, sizeof ok - 1) == 0)
			text_printf(said, "%s%.*s", said->len ? "; " : "", (int)(n - (sizeof ok - 1)), p);
		else
			text_printf(said, "%s%.*s", said->len ? "; " : "", (int)n, p);
	}
}

int confcheck_run(bool local, struct text *said, struct err *e)
{
	char program[PATHS_MAX];
	struct text lines = {0};
	int fd[2], status = -1;
	pid_t pid;

	if (paths_program("fanoutd", program, sizeof program, e) < 0)
		return -1;
	if (pipe2(fd, O_CLOEXEC) < 0)
		return err_set(e, ERR_SYSTEM, NULL, "cannot make a pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		become_check(program, local, fd[1]);
	close(fd[1]);
	if (pid > 0)
		read_all(fd[0], &lines);
	close(fd[0]);
	if (pid < 0)
		return err_set(e, ERR_SYSTEM, NULL, "cannot start %s: %s", program, strerror(errno));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	text_reserve(said, 0);
	join_lines(&lines, status == 0, said);
	text_clear(&lines);
	return status == 0;
}
