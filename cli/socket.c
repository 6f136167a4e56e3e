/* Which socket a client takes, and what it says when nobody is there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/local.h"
#include "lib/paths.h"

int client_probe(const char *socket_path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd, rc = 0;

	if (strlen(socket_path) >= sizeof addr.sun_path)
		return ENAMETOOLONG;
	strcpy(addr.sun_path, socket_path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	if (connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0)
		rc = errno;
	close(fd);
	return rc;
}

/* Linux refuses a connection to a file as it does one to a socket that nobody listens at. */
static bool is_no_socket(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && !S_ISSOCK(st.st_mode);
}

static const char *start_hint(const char *socket_path)
{
	return strcmp(socket_path, PATHS_SYSTEM_SOCKET) == 0
		   ? "start it (systemctl start fanoutd), or run one of your own: fanoutctl --local ..."
		   : "start the fanoutd that has it, or run one of your own: fanoutctl --local ...";
}

int client_unreachable(const char *socket_path, int err_no, struct err *e)
{
	switch (err_no) {
	case EACCES:
	case EPERM:
		return err_set(e, ERR_PERMISSION,
			       "join its group (often \"fanout\"), or run a daemon of your own: fanoutctl --local ...",
			       "no permission to use fanoutd's socket %s", socket_path);
	case ENAMETOOLONG:
		return err_set(e, ERR_USAGE, "the system takes at most 107 bytes",
			       "the socket's path is too long: %.200s", socket_path);
	case ENOENT:
		return err_set(e, ERR_UNREACHABLE, start_hint(socket_path),
			       "fanoutd does not run: there is no socket %s", socket_path);
	case ECONNREFUSED:
		if (is_no_socket(socket_path))
			return err_set(e, ERR_UNREACHABLE, start_hint(socket_path), "%s is no socket", socket_path);
		return err_set(e, ERR_UNREACHABLE, start_hint(socket_path),
			       "fanoutd does not run: nobody listens at %s", socket_path);
	default:
		return err_set(e, ERR_UNREACHABLE, NULL, "cannot connect to fanoutd at %s: %s", socket_path,
			       err_no ? strerror(err_no) : "it did not accept in time");
	}
}

enum client_place client_find_socket(const char *given, char *out, size_t size)
{
	const char *found = given ? given : getenv("FANOUT_SOCKET");
	int rc;

	if (found && *found) {
		snprintf(out, size, "%s", found);
		return PLACE_GIVEN;
	}
	if (local_find(out, size))
		return PLACE_PRIVATE;
	rc = client_probe(PATHS_SYSTEM_SOCKET);
	if ((rc == ENOENT || rc == ENOTDIR || rc == EACCES) && local_has_state())
		return PLACE_ASLEEP;
	snprintf(out, size, "%s", PATHS_SYSTEM_SOCKET);
	return PLACE_SYSTEM;
}
