/* Places by the XDG base directory rules. Reads the environment and /proc, creates nothing. */
#define _GNU_SOURCE 1

#include "lib/paths.h"

#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef FANOUT_LIBEXECDIR
#define FANOUT_LIBEXECDIR "/usr/libexec/fanout"
#endif

/* Next to the running program (a build tree), then where `make install` puts things. */
static const char *const program_places[] = {"%s/%s", "%s/../libexec/fanout/%s", "%s/../sbin/%s", "%s/../bin/%s",
					     "%s/../../sbin/%s"};

/* An XDG variable counts only when it is an absolute path. */
static const char *xdg(const char *variable)
{
	const char *dir = getenv(variable);

	return dir && dir[0] == '/' ? dir : NULL;
}

__attribute__((format(printf, 3, 4))) static int put(char *out, struct err *e, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out, PATHS_MAX, fmt, ap);
	va_end(ap);
	if (n < 0 || n >= PATHS_MAX)
		return err_set(e, ERR_INPUT, "use a shorter HOME or XDG directory", "a path is longer than %d bytes",
			       PATHS_MAX - 1);
	return 0;
}

static int home_dir(char *out, struct err *e)
{
	const char *home = getenv("HOME");
	struct passwd *pw;

	if (home && home[0] == '/')
		return put(out, e, "%s", home);
	pw = getpwuid(getuid());
	if (pw && pw->pw_dir && pw->pw_dir[0] == '/')
		return put(out, e, "%s", pw->pw_dir);
	return err_set(e, ERR_SYSTEM, "set HOME to a directory of your own", "this user has no home directory");
}

static int base_dir(char *out, const char *variable, const char *below_home, struct err *e)
{
	char home[PATHS_MAX];
	const char *dir = xdg(variable);

	if (dir)
		return put(out, e, "%s/fanout", dir);
	if (home_dir(home, e))
		return -1;
	return put(out, e, "%s/%s/fanout", home, below_home);
}

/* FNV-1a: tells apart the few state directories that one user may have. */
static unsigned long long hash(const char *text)
{
	unsigned long long h = 0xcbf29ce484222325;

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3;
	return h;
}

static int put_socket(struct paths_local *p, struct err *e)
{
	if (strlen(p->state_dir) + sizeof "/fanout.sock" <= sizeof((struct sockaddr_un *)NULL)->sun_path)
		return put(p->socket_dir, e, "%s", p->state_dir) || put(p->socket, e, "%s/fanout.sock", p->socket_dir);
	return put(p->socket_dir, e, "/tmp/fanout-%lu", (unsigned long)geteuid()) ||
	       put(p->socket, e, "%s/%016llx.sock", p->socket_dir, hash(p->state_dir));
}

int paths_local(struct paths_local *p, struct err *e)
{
	char conf_dir[PATHS_MAX];

	if (base_dir(p->state_dir, "XDG_STATE_HOME", ".local/state", e) ||
	    base_dir(conf_dir, "XDG_CONFIG_HOME", ".config", e))
		return -1;
	if (put_socket(p, e) || put(p->conf, e, "%s/fanout.conf", conf_dir) ||
	    put(p->pulls_dir, e, "%s/pulls.d", conf_dir) || put(p->secrets_dir, e, "%s/secrets", conf_dir) ||
	    put(p->log, e, "%s/fanoutd.log", p->state_dir))
		return -1;
	return 0;
}

int paths_older_socket(char *out)
{
	const char *runtime = xdg("XDG_RUNTIME_DIR");

	return runtime ? put(out, NULL, "%s/fanout/fanout.sock", runtime) : -1;
}

bool paths_is_own(const char *dir)
{
	struct stat st;

	return lstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() && !(st.st_mode & 022);
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the formats are the table above */
static int try_place(const char *place, const char *dir, const char *program, char *out, size_t size)
{
	int n = snprintf(out, size, place, dir, program);

	return n > 0 && (size_t)n < size && access(out, X_OK) == 0 ? 0 : -1;
}
#pragma GCC diagnostic pop

int paths_program(const char *program, char *out, size_t size, struct err *e)
{
	char self[PATHS_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	char *slash;

	if (n < 0)
		return err_set(e, ERR_SYSTEM, "is /proc mounted?", "cannot read /proc/self/exe: %s", strerror(errno));
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (slash)
		*slash = '\0';
	for (size_t i = 0; i < sizeof program_places / sizeof program_places[0]; i++)
		if (try_place(program_places[i], self, program, out, size) == 0)
			return 0;
	if (try_place("%s/%s", FANOUT_LIBEXECDIR, program, out, size) == 0)
		return 0;
	return err_set(e, ERR_SYSTEM, "build or install fanout as a whole: its programs find each other by place",
		       "%s is neither next to this program (in %.200s) nor in %s", program, self, FANOUT_LIBEXECDIR);
}
