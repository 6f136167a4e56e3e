#define _GNU_SOURCE /* close_range */
#include "daemon/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/timeslice.h"
#include "lib/message.h"

#define WORKER_STEPS_BACK 10

/* Between fork and exec: async-signal-safe calls only. Descriptors are first lifted out of the way of their targets. */
static _Noreturn void child_exec(const char *program, int channel, int bodies_fd, pid_t daemon)
{
	char *const argv[] = {(char[]){"fanout-worker"}, NULL};
	sigset_t none;

	/* The daemon may have died before prctl was called: then no signal comes. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != daemon)
		_exit(126);
	/* Ctrl-C in the terminal of a foreground daemon is for the daemon, which tells its workers. */
	if (setpgid(0, 0) < 0)
		_exit(126);
	for (int sig = 1; sig < SIGRTMIN; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);

	channel = fcntl(channel, F_DUPFD, 16);
	bodies_fd = fcntl(bodies_fd, F_DUPFD, 16);
	if (channel < 0 || bodies_fd < 0 || dup2(channel, MESSAGE_CHANNEL_FD) < 0 ||
	    dup2(bodies_fd, MESSAGE_BODIES_FD) < 0)
		_exit(126);
	close_range(MESSAGE_BODIES_FD + 1, ~0u, 0);
	/* All workers wait for the daemon's turn. */
	timeslice_ask(0);
	timeslice_step_back(WORKER_STEPS_BACK);
	execv(program, argv);
	_exit(127);
}

int spawn_worker(const char *program, int bodies_fd, pid_t *pid, int *channel, struct err *e)
{
	pid_t self = getpid();
	int pair[2];

	if (access(program, X_OK) < 0)
		return err_set(e, ERR_SYSTEM, "install fanout-worker next to fanoutd", "cannot run %s: %s", program,
			       strerror(errno));
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_set(e, ERR_SYSTEM, NULL, "cannot make a channel for a worker: %s", strerror(errno));
	*pid = fork();
	if (*pid == 0)
		child_exec(program, pair[1], bodies_fd, self);
	close(pair[1]);
	if (*pid < 0) {
		err_set(e, ERR_SYSTEM, NULL, "cannot fork a worker: %s", strerror(errno));
		close(pair[0]);
		return -1;
	}
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	*channel = pair[0];
	return 0;
}

int64_t spawn_delay_us(unsigned young)
{
	if (young == 0)
		return 0;
	if (young > 9)
		return SPAWN_DELAY_MAX_US;
	int64_t delay = (int64_t)SPAWN_DELAY_MIN_US << (young - 1);
	return delay < SPAWN_DELAY_MAX_US ? delay : SPAWN_DELAY_MAX_US;
}
