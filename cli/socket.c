/* Which socket a client takes, and what it says when nobody is there. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/client.h"
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
		return err_set(e, ERR_UNREACHABLE,
			       "start it (systemctl start fanoutd), or run one of your own: fanoutctl --local ...",
			       "fanoutd does not run: there is no socket %s", socket_path);
	case ECONNREFUSED:
		return err_set(e, ERR_UNREACHABLE,
			       "start it (systemctl start fanoutd), or run one of your own: fanoutctl --local ...",
			       "fanoutd does not run: nobody listens at %s", socket_path);
	default:
		return err_set(e, ERR_UNREACHABLE, NULL, "cannot connect to fanoutd at %s: %s", socket_path,
			       err_no ? strerror(err_no) : "it did not accept in time");
	}
}

void client_find_socket(const char *given, char *out, size_t size)
{
	struct paths_local *own;
	const char *found = given;
	int rc;

	if (!found)
		found = getenv("FANOUT_SOCKET");
	if (found && *found) {
		snprintf(out, size, "%s", found);
		return;
	}
	own = calloc(1, sizeof *own);
	if (!own)
		BUG("out of memory");
	rc = paths_local(own, NULL) == 0 ? client_probe(own->socket) : ENOENT;
	/* A socket that is there and may not be used is the user's own affair too, and better told than passed over. */
	found = rc == 0 || rc == EACCES ? own->socket : PATHS_SYSTEM_SOCKET;
	snprintf(out, size, "%s", found);
	free(own);
}
