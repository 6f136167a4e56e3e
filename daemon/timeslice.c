/* glibc 2.36 has no function for these calls. */
#include "daemon/timeslice.h"

#include <linux/sched.h>
#include <linux/sched/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

/* False for one to which somebody gave another policy: he knows better. */
static bool get(struct sched_attr *a)
{
	return syscall(SYS_sched_getattr, 0, a, sizeof *a, 0) == 0 && a->sched_policy == SCHED_NORMAL;
}

static void set(struct sched_attr *a)
{
	a->size = sizeof *a;
	a->sched_deadline = a->sched_period = 0;
	(void)syscall(SYS_sched_setattr, 0, a, 0);
}

void timeslice_ask(int64_t us)
{
	struct sched_attr a;

	if (!get(&a))
		return;
	a.sched_runtime = (uint64_t)us * 1000;
	set(&a);
}

void timeslice_step_forward(int steps)
{
	struct sched_attr a;

	if (!get(&a) || a.sched_nice != 0)
		return;
	a.sched_nice = -steps;
	set(&a);
}

void timeslice_step_back(int steps)
{
	struct sched_attr a;

	if (!get(&a))
		return;
	a.sched_nice += steps;
	set(&a);
}
