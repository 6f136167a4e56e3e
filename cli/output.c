/* Temporary name, write, rename. */
#define _GNU_SOURCE 1 /* asprintf */

#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the place ---- */

int output_make_directories(const char *path, struct err *e)
{
	char *part = strdup(path);
	int rc = 0;

	if (!part)
		BUG("out of memory");
	for (char *slash = strchr(part + 1, '/'); rc == 0 && slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0777) < 0 && errno != EEXIST)
			rc = err_set(e, errno == EACCES ? ERR_PERMISSION : ERR_SYSTEM, NULL,
				     "cannot make the directory %.200s: %s", part, strerror(errno));
		*slash = '/';
	}
	free(part);
	return rc;
}

/* As much of the directory as is known before the first name is made: up to the last slash in front of a field. */
int output_check_place(const char *template, bool create, struct err *e)
{
	size_t fixed = strcspn(template, "{");
	char *dir = strndup(template, fixed), *slash;
	struct stat st;
	int rc = 0;

	if (!dir)
		BUG("out of memory");
	slash = strrchr(dir, '/');
	if (template[fixed] == '\0' && stat(dir, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		goto out; /* a device or a pipe is there: it is written to */
	if (create && output_make_directories(dir, e) < 0) {
		rc = -1;
		goto out;
	}
	if (slash)
		slash[slash == dir] = '\0';
	else
		snprintf(dir, fixed + 1, "%s", fixed ? "." : "");
	if (access(*dir ? dir : ".", W_OK | X_OK) < 0)
		rc = err_set(e, errno == EACCES ? ERR_PERMISSION : ERR_SYSTEM,
			     errno == ENOENT ? "make its directory first, or add --create-dirs" : NULL,
			     "-o: cannot write into %.200s: %s", *dir ? dir : ".", strerror(errno));
out:
	free(dir);
	return rc;
}

/* ---- writing ---- */

static int fail(const struct output *o, struct err *e)
{
	return err_set(e, errno == EACCES ? ERR_PERMISSION : ERR_SYSTEM,
		       errno == ENOENT ? "make its directory first" : NULL, "cannot write %.200s: %s",
		       o->path ? o->path : "standard output", strerror(errno));
}

static int open_temporary(struct output *o)
{
	static unsigned number; /* unique in this process; O_EXCL tells about others */

	for (int tries = 0; tries < 100; tries++) {
		if (asprintf(&o->temporary, "%s.%d.%u.part", o->path, (int)getpid(), number++) < 0)
			BUG("out of memory");
		o->fd = open(o->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (o->fd >= 0 || errno != EEXIST)
			break;
		free(o->temporary);
		o->temporary = NULL;
	}
	return o->fd;
}

int output_open(struct output *o, const char *path, struct err *e)
{
	struct stat st;

	*o = (struct output){.fd = STDOUT_FILENO};
	if (!path || strcmp(path, "-") == 0) {
		o->guard = isatty(STDOUT_FILENO);
		fflush(stdout);
		return 0;
	}
	o->path = path;
	/* What is there and no file (/dev/null, a pipe) is written to, not replaced. */
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
		o->fd = open(path, O_WRONLY | O_CLOEXEC);
	else
		open_temporary(o);
	if (o->fd >= 0)
		return 0;
	fail(o, e);
	free(o->temporary);
	o->temporary = NULL;
	return -1;
}

int output_write(struct output *o, const void *data, size_t len, struct err *e)
{
	const char *p = data;

	if (o->guard && memchr(p, '\0', len))
		return err_set(e, ERR_USAGE, "-o FILE writes it to a file",
			       "the body is no text, and stdout is a terminal");
	while (len) {
		ssize_t n = write(o->fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail(o, e);
		p += n;
		len -= (size_t)n;
		o->last = n ? p[-1] : o->last;
	}
	return 0;
}

int output_commit(struct output *o, struct err *e)
{
	int rc = 0;

	if (!o->path)
		return 0;
	if (close(o->fd) < 0 || (o->temporary && rename(o->temporary, o->path) < 0)) {
		rc = fail(o, e);
		if (o->temporary)
			unlink(o->temporary);
	}
	free(o->temporary);
	o->temporary = NULL;
	return rc;
}

void output_discard(struct output *o)
{
	if (!o->path)
		return;
	close(o->fd);
	if (o->temporary)
		unlink(o->temporary);
	free(o->temporary);
	o->temporary = NULL;
}
