/* What the service manager is told: ready, alive, ending, and one line of status (sd_notify(3)). Without systemd all of
 * this does nothing. */
#ifndef FANOUT_DAEMON_NOTIFY_H
#define FANOUT_DAEMON_NOTIFY_H

struct event_base;
struct notify;

/* Says READY. From now on it says that the loop turns, as often as WatchdogSec= asks for, and the status that
 * `status` writes. */
struct notify *notify_start(struct event_base *base, void (*status)(void *arg, char *out, unsigned long size),
			    void *arg);
void notify_stopping(const struct notify *n);
void notify_reloading(void);
void notify_reloaded(void);
void notify_free(struct notify *n);

#endif
