/* The terminal is /dev/tty, whatever stdin and stdout are. */
#define _GNU_SOURCE 1 /* asprintf, explicit_bzero */

#include "cli/password.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/ctl.h"

#define PASSWORD_SIZE 1024

/* One line, without its end. -1: interrupted, or the terminal is gone. */
static int read_line(int fd, char *line, size_t size)
{
	size_t n = 0;
	char c;

	for (;;) {
		ssize_t got = ctl_interrupted() ? -1 : read(fd, &c, 1);

		if (got < 0 && errno == EINTR && !ctl_interrupted())
			continue;
		if (got < 0 || (got == 0 && n == 0))
			return -1;
		if (got == 0 || c == '\n')
			break;
		if (n + 1 < size)
			line[n++] = c;
	}
	line[n] = '\0';
	return 0;
}

static int ask(int fd, const char *user, char *line, size_t size)
{
	struct termios before, silent;
	int rc;

	if (tcgetattr(fd, &before) < 0)
		return -1;
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	silent.c_lflag |= ECHONL;
	/* Silent first: what is typed at the sight of the question is neither shown nor thrown away. */
	if (tcsetattr(fd, TCSAFLUSH, &silent) < 0)
		return -1;
	rc = dprintf(fd, "password for %s: ", user) < 0 ? -1 : read_line(fd, line, size);
	tcsetattr(fd, TCSAFLUSH, &before);
	return rc;
}

char *password_complete(const char *user, struct err *e)
{
	char line[PASSWORD_SIZE], *whole = NULL;
	int fd, rc;

	if (strchr(user, ':')) {
		whole = strdup(user);
		if (!whole)
			BUG("out of memory");
		return whole;
	}
	fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) {
		err_set(e, ERR_USAGE, "give -u USER:PASSWORD",
			"-u: there is no terminal to ask for the password of %.100s", user);
		return NULL;
	}
	rc = ask(fd, user, line, sizeof line);
	close(fd);
	if (rc < 0)
		err_set(e, ctl_interrupted() ? ERR_NONE : ERR_USAGE, NULL, "no password for %.100s", user);
	else if (asprintf(&whole, "%s:%s", user, line) < 0)
		BUG("out of memory");
	explicit_bzero(line, sizeof line);
	return whole;
}
