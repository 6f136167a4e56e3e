/* sd_notify, on timers. */
#define _GNU_SOURCE 1

#include "daemon/notify.h"

#include <event2/event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <systemd/sd-daemon.h>

#include "lib/clock.h"
#include "lib/err.h"

#define STATUS_SECONDS 10

struct notify {
	struct event *watchdog, *status;
	void (*text)(void *arg, char *out, unsigned long size);
	void *arg;
};

static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	sd_notify(0, "WATCHDOG=1");
}

static void on_status(evutil_socket_t fd, short what, void *arg)
{
	struct notify *n = arg;
	char text[200] = "";

	(void)fd;
	(void)what;
	n->text(n->arg, text, sizeof text);
	sd_notifyf(0, "STATUS=%s", text);
}

static struct event *every(struct event_base *base, int64_t us, event_callback_fn on_time, void *arg)
{
	struct timeval delay = {.tv_sec = us / 1000000, .tv_usec = us % 1000000};
	struct event *timer = event_new(base, -1, EV_PERSIST, on_time, arg);

	if (!timer || evtimer_add(timer, &delay))
		BUG("out of memory for a timer");
	return timer;
}

struct notify *notify_start(struct event_base *base, void (*status)(void *arg, char *out, unsigned long size),
			    void *arg)
{
	struct notify *n = calloc(1, sizeof *n);
	uint64_t us = 0;

	if (!n)
		BUG("out of memory for a timer");
	n->text = status;
	n->arg = arg;
	sd_notify(0, "READY=1");
	if (sd_watchdog_enabled(0, &us) > 0 && us > 1)
		n->watchdog = every(base, (int64_t)(us / 2), on_watchdog, n);
	if (getenv("NOTIFY_SOCKET")) {
		on_status(-1, 0, n);
		n->status = every(base, STATUS_SECONDS * INT64_C(1000000), on_status, n);
	}
	return n;
}

void notify_stopping(const struct notify *n)
{
	(void)n;
	sd_notify(0, "STOPPING=1\nSTATUS=ending what is under way");
}

void notify_reloading(void)
{
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_boot_us());
}

void notify_reloaded(void)
{
	sd_notify(0, "READY=1");
}

void notify_free(struct notify *n)
{
	if (!n)
		return;
	if (n->watchdog)
		event_free(n->watchdog);
	if (n->status)
		event_free(n->status);
	free(n);
}
