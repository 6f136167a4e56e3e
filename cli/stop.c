/* stop: ends this user's private daemon. No other: the system's belongs to systemd. */
#define _GNU_SOURCE 1 /* struct ucred */

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/local.h"
#include "cli/verbs.h"
#include "lib/jobid.h"
#include "lib/paths.h"
#include "lib/reason.h"

#define WAIT_MAX_MS 40000 /* it gives what runs half a minute */
#define LIST_PAGE   1000  /* the most that the daemon gives at once */

/* Who listens at the socket, by the kernel's word. Returns a descriptor of the process, or -1. */
static int open_listener(const char *socket_path, struct err *e)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), process = -1;
	struct ucred who = {0};
	socklen_t len = sizeof who;

	snprintf(addr.sun_path, sizeof addr.sun_path, "%.107s", socket_path); /* it was connected to: it fits */
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof addr) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0)
		err_set(e, ERR_SYSTEM, NULL, "cannot tell who listens at %.200s: %s", socket_path, strerror(errno));
	else if (who.uid != geteuid())
		err_set(e, ERR_PERMISSION, NULL, "the daemon at %.200s is not yours", socket_path);
	else if ((process = (int)syscall(SYS_pidfd_open, who.pid, 0)) < 0)
		err_set(e, ERR_SYSTEM, NULL, "cannot reach process %d: %s", (int)who.pid, strerror(errno));
	if (fd >= 0)
		close(fd);
	return process;
}

static int end(const char *socket_path, struct err *e)
{
	int process = open_listener(socket_path, e), rc = -1;
	struct pollfd gone = {.fd = process, .events = POLLIN};

	if (process < 0)
		return -1;
	if (syscall(SYS_pidfd_send_signal, process, SIGTERM, NULL, 0) < 0)
		err_set(e, ERR_SYSTEM, NULL, "cannot stop it: %s", strerror(errno));
	else if (poll(&gone, 1, WAIT_MAX_MS) == 1)
		rc = 0;
	else if (ctl_interrupted())
		err_set(e, ERR_NONE, NULL, "interrupted; it ends when what runs has ended, in half a minute at most");
	else
		err_set(e, ERR_TIMEOUT, "its log is ~/.local/state/fanout/fanoutd.log",
			"it was told to end and did not");
	close(process);
	return rc;
}

static bool has_left(const json_t *counts)
{
	static const enum job_state unfinished[] = {JOB_BLOCKED, JOB_QUEUED, JOB_RUNNING};
	json_int_t n = 0;

	for (size_t i = 0; i < sizeof unfinished / sizeof *unfinished; i++)
		n += json_integer_value(json_object_get(counts, job_state_name(unfinished[i])));
	return n > 0;
}

/* How many batches would go on; 0 also where it does not say. */
static unsigned count_left(struct client *c)
{
	json_int_t before = JOBID_BATCH_MAX;
	json_t *page = client_get_json(c, NULL, "/v1/stats"), *row;
	bool left = has_left(json_object_get(page, "counts"));
	unsigned n = 0;
	size_t i;

	json_decref(page);
	while (left && before) {
		page = client_get_json(c, NULL, "/v1/batches?limit=%d&before=%lld", LIST_PAGE, (long long)before);
		json_array_foreach (json_object_get(page, "batches"), i, row) {
			n += has_left(json_object_get(row, "counts")) && !json_is_true(json_object_get(row, "paused"));
		}
		before = json_integer_value(json_object_get(page, "next"));
		json_decref(page);
	}
	return n;
}

/* Before it ends: afterwards nobody knows without starting it. */
static unsigned ask_left(const struct ctl *ctl, const char *socket_path)
{
	struct client *c = ctl->args.quiet ? NULL : client_create(socket_path);
	unsigned n = c ? count_left(c) : 0;

	client_free(c);
	return n;
}

int verb_stop(struct ctl *ctl)
{
	const char *named = ctl->args.local ? NULL : getenv("FANOUT_SOCKET");
	char socket_path[PATHS_MAX] = "";
	bool found = local_find(socket_path, sizeof socket_path);
	unsigned left;
	struct err e;

	/* Another one is meant, and would go on. */
	if (ctl->args.socket || (named && *named && strcmp(named, socket_path) != 0)) {
		err_set(&e, ERR_USAGE, "a daemon of the system is stopped by systemctl stop fanoutd",
			" stop: it ends your private daemon only; %s",
			ctl->args.socket ? "leave --socket away"
					 : "FANOUT_SOCKET names another (stop --local ends yours all the same)");
		return ctl_report(&e);
	}
	if (!found) {
		ctl_note(ctl, "no private daemon of yours is running");
		return STATUS_FINE;
	}
	left = ask_left(ctl, socket_path);
	if (ctl_interrupted()) {
		err_set(&e, ERR_NONE, NULL, "interrupted; it was not told to end");
		return ctl_report(&e);
	}
	if (end(socket_path, &e) < 0)
		return ctl_report(&e);
	if (left)
		ctl_note(ctl,
			 "your private daemon has ended; its batches are kept: %u had jobs left, and the next verb "
			 "starts it and goes on with %s",
			 left, left == 1 ? "it" : "them");
	else
		ctl_note(ctl, "your private daemon has ended; its batches are kept");
	return STATUS_FINE;
}
