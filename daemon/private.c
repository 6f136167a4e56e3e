/* Directories of a private daemon. /tmp/fanout-UID is a name that anybody could have taken before: what is there has to
 * be a directory of this user's own. */
#define _GNU_SOURCE 1

#include "daemon/private.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/paths.h"

static char *copy(const char *s)
{
	char *c = strdup(s);

	if (!c)
		BUG("out of memory for a path");
	return c;
}

static void replace(char **at, const char *s)
{
	free(*at);
	*at = copy(s);
}

/* The system's places are not this user's; one that his file names is. */
static void replace_default(char **at, const char *system, const char *own)
{
	if (strcmp(*at, system) == 0)
		replace(at, own);
}

int private_conf(struct conf *out, const char **path, struct conf_faults *f)
{
	static struct paths_local p; /* outlives the call, for `path` */
	struct err e;

	if (paths_local(&p, &e)) {
		*conf_fault(f) = e;
		return -1;
	}
	if (!*path && access(p.conf, F_OK) == 0)
		*path = p.conf;
	if (conf_load(out, *path, f))
		return -1;
	replace(&out->socket, p.socket);
	replace(&out->state_dir, p.state_dir);
	replace_default(&out->pulls_dir, CONF_PULLS_DIR, p.pulls_dir);
	replace_default(&out->secrets_dir, CONF_SECRETS_DIR, p.secrets_dir);
	out->socket_mode = 0600;
	return 0;
}

/* Makes one directory; that it is there already is fine. */
static int make(const char *dir, struct err *e)
{
	if (mkdir(dir, 0700) == 0 || errno == EEXIST)
		return 0;
	return err_set(e, errno == EACCES ? ERR_PERMISSION : ERR_SYSTEM, NULL, "cannot make the directory %.300s: %s",
		       dir, strerror(errno));
}

static int make_all(const char *dir, struct err *e)
{
	char path[PATHS_MAX];
	size_t n = strlen(dir);

	if (n >= sizeof path)
		return err_set(e, ERR_INPUT, NULL, "a path is too long");
	memcpy(path, dir, n + 1);
	for (char *p = path + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (access(path, F_OK) && make(path, e))
			return -1;
		*p = '/';
	}
	return make(path, e);
}

static int check_own(const char *dir, struct err *e)
{
	struct stat st;

	if (lstat(dir, &st))
		return err_set(e, ERR_SYSTEM, NULL, "cannot look at %.300s: %s", dir, strerror(errno));
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return err_set(e, ERR_PERMISSION, "remove it, or set XDG_STATE_HOME to a directory of your own",
			       "%.300s is not a directory of this user's own", dir);
	if (st.st_mode & 077 && chmod(dir, 0700))
		return err_set(e, ERR_PERMISSION, "chmod 700 it", "others may enter %.300s: %s", dir, strerror(errno));
	return 0;
}

int private_dirs(const struct conf *c, struct err *e)
{
	char *socket = copy(c->socket);
	const char *socket_dir = dirname(socket);
	int rc = -1;

	if (make_all(socket_dir, e) == 0 && check_own(socket_dir, e) == 0 && make_all(c->state_dir, e) == 0 &&
	    check_own(c->state_dir, e) == 0)
		rc = 0;
	free(socket);
	return rc;
}
