/* fanout-worker: fetches what the daemon says (lib/message.h has the contract). This file is its start, its loop and
 * its end; it knows messages, and leaves transfers to xfer and bytes to channel.
 *
 * A turn of the loop: read frames and start jobs, let libcurl work, then sync bodies, report, and write all frames at
 * once. The turn is main's own (EVLOOP_ONCE), for libevent has no hook at its end. */
#define _GNU_SOURCE 1 /* environ */

#include <curl/curl.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/message.h"
#include "worker/capacity.h"
#include "worker/channel.h"
#include "worker/policy.h"
#include "worker/standby.h"
#include "worker/xfer.h"

/* Connections that are kept open, where no more transfers than this are offered. Of kept ones libcurl looks once a
 * second which are closed, and begins anew with each that is: where thousands are kept and a server closes them one by
 * one, it does nothing else. */
#define CONNECTIONS_KEPT 2048u

#define PENDING_MAX ((size_t)32 << 20) /* unread by the daemon: from here on transfers are held */

struct worker {
	struct event_base *base;
	struct channel *channel;
	struct event *heartbeat, *terminate, *judge;
	struct xfers *xfers; /* NULL until the settings came */
	struct standby *standby;
	struct policy policy;
	struct capacity capacity;
	char *user_agent, *ca_file;
	rlim_t descriptors;
	int schedstat; /* of this process, or -1 */
	bool stopping; /* ends when nothing is in flight */
	bool ended;
	int status;
};

static int refuse(const char *what, const struct err *e)
{
	log_error(what, "why=\"%s\"", e->what);
	return -1;
}

/* ---- Capacity ---- */

/* How long this process's main thread has used a processor or stood in line for one. Time in line counts: on a crowded
 * machine a worker that gets half a processor and wants a whole one is not idle. Without schedstat the time used has to
 * do. */
static int64_t busy_us(const struct worker *w)
{
	char text[96];
	unsigned long long run_ns, wait_ns;
	struct timespec ts;
	ssize_t n = w->schedstat < 0 ? -1 : pread(w->schedstat, text, sizeof text - 1, 0);

	if (n > 0) {
		text[n] = '\0';
		if (sscanf(text, "%llu %llu", &run_ns, &wait_ns) == 2)
			return (int64_t)((run_ns + wait_ns) / 1000);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static uint32_t connections_kept(const struct worker *w)
{
	uint32_t most = w->capacity.now > CONNECTIONS_KEPT ? w->capacity.now : CONNECTIONS_KEPT;

	return most < w->capacity.max ? most : w->capacity.max;
}

static void judge_capacity(struct worker *w)
{
	const struct timeval window = {.tv_usec = CAPACITY_WINDOW_US};
	int64_t now_us = clock_boot_us();

	if (w->stopping)
		return;
	if (capacity_due(&w->capacity, now_us) &&
	    capacity_judge(&w->capacity, now_us, busy_us(w), (uint32_t)xfers_count(w->xfers))) {
		log_debug("capacity changed", "capacity=%u", w->capacity.now);
		message_put_capacity(channel_out(w->channel), w->capacity.now);
		xfers_keep(w->xfers, connections_kept(w));
	}
	/* Where all wait for slow servers no event would bring the next judgement. */
	if (capacity_wanted(&w->capacity) && !evtimer_pending(w->judge, NULL))
		evtimer_add(w->judge, &window);
}

/* The timer only makes a turn. */
static void on_judge(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

/* ---- Messages ---- */

static void on_outcome(const struct message_outcome *m, uint64_t lane, void *arg)
{
	struct worker *w = arg;

	message_put_outcome(channel_out(w->channel), m);
	if (message_tells_limits(m))
		standby_told(w->standby, lane);
	standby_ended(w->standby, lane);
}

static void on_returned(const struct message_returned *m, void *arg)
{
	struct worker *w = arg;

	message_put_returned(channel_out(w->channel), m);
}

/* It must have left when the program starts, which may be the last that this process does. Where the daemon does not
 * read, its reading makes the next turn. */
static bool on_judging(const struct message_judging *m, void *arg)
{
	struct worker *w = arg;

	channel_flush(w->channel);
	if (w->ended || channel_pending(w->channel) > 0)
		return false;
	message_put_judging(channel_out(w->channel), m);
	channel_flush(w->channel);
	return !w->ended && channel_pending(w->channel) == 0;
}

static void on_heartbeat(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd, (void)what;
	message_put_alive(channel_out(w->channel));
}

static uint32_t capacity_most(const struct worker *w, uint32_t wanted)
{
	uint32_t most = message_transfers_most(w->descriptors);

	return wanted < most ? wanted : most;
}

/* Twice in the time in which the daemon wants to hear of us. */
static void start_heartbeat(struct worker *w, uint32_t heartbeat_ms)
{
	uint32_t half_ms = heartbeat_ms / 2 + heartbeat_ms % 2;
	struct timeval tv = {.tv_sec = half_ms / 1000, .tv_usec = half_ms % 1000 * 1000};

	event_add(w->heartbeat, &tv);
}

static int apply_settings(struct worker *w, const struct message_settings *m)
{
	uint32_t most = capacity_most(w, m->capacity_max);
	struct xfer_settings settings = {.base = w->base,
					 .policy = &w->policy,
					 .bodies_fd = MESSAGE_BODIES_FD,
					 .connections = most < CONNECTIONS_KEPT ? most : CONNECTIONS_KEPT,
					 .on_outcome = on_outcome,
					 .on_judging = on_judging,
					 .arg = w};
	struct err e;

	log_set_level((enum log_level)m->log_level);
	for (uint32_t i = 0; i < m->deny_count; i++)
		if (policy_deny(&w->policy, m->deny[i], &e))
			return refuse("settings refused", &e);
	w->user_agent = strdup(m->user_agent);
	w->ca_file = strdup(m->ca_file);
	if (!w->user_agent || !w->ca_file)
		BUG("out of memory");
	settings.user_agent = w->user_agent;
	settings.ca_file = w->ca_file;
	w->xfers = xfers_create(&settings, &e);
	if (!w->xfers)
		return refuse("transfers cannot be set up", &e);
	capacity_init(&w->capacity, most, clock_boot_us(), busy_us(w));
	start_heartbeat(w, m->heartbeat_ms);
	return 0;
}

static int take_settings(struct worker *w, struct wire_in *in)
{
	const struct message_hello hello = {.version = MESSAGE_VERSION, .pid = (uint32_t)getpid()};
	struct message_settings m;

	if (message_get_settings(in, &m) || w->xfers)
		return -1;
	message_put_hello(channel_out(w->channel), &hello);
	if (m.version != MESSAGE_VERSION) {
		log_error("daemon is of another version", "daemon=%u worker=%u", m.version, MESSAGE_VERSION);
		channel_flush(w->channel);
		return -1;
	}
	if (apply_settings(w, &m))
		return -1;
	message_put_capacity(channel_out(w->channel), w->capacity.now);
	log_debug("worker ready", "capacity=%u capacity_max=%u", w->capacity.now, w->capacity.max);
	return 0;
}

static int on_begin(const struct message_job *m, void *arg)
{
	struct worker *w = arg;

	if (xfers_start(w->xfers, m)) {
		log_error("job is in flight already", "job=%u.%u n=%u", (unsigned)(m->job >> 32), (unsigned)m->job,
			  m->n);
		return -1;
	}
	capacity_note(&w->capacity, (uint32_t)xfers_count(w->xfers));
	return 0;
}

/* The daemon has to know of every end before another begins in its place: then it knows, when this process dies, what
 * of that which stood by has not begun. Where it does not read, its reading makes the next turn. */
static bool may_begin(void *arg)
{
	struct worker *w = arg;

	channel_flush(w->channel);
	return !w->ended && channel_pending(w->channel) == 0;
}

static int take_job(struct worker *w, struct wire_in *in)
{
	const struct wire_in frame = *in;
	struct message_job m;

	if (message_get_job(in, &m))
		return -1;
	return standby_take(w->standby, &m, &frame);
}

static int take_cancel(struct worker *w, struct wire_in *in)
{
	struct message_cancel m;

	if (message_get_cancel(in, &m))
		return -1;
	if (!standby_cancel(w->standby, &m))
		xfers_cancel(w->xfers, &m);
	return 0;
}

static int take_slots(struct worker *w, struct wire_in *in)
{
	struct message_slots m;

	if (message_get_slots(in, &m))
		return -1;
	standby_slots(w->standby, &m);
	return 0;
}

static int take_recall(struct worker *w, struct wire_in *in)
{
	struct message_recall m;

	if (message_get_recall(in, &m))
		return -1;
	standby_recall(w->standby, &m);
	return 0;
}

static int take_stop(struct worker *w, struct wire_in *in)
{
	if (!wire_in_end(in))
		return -1;
	w->stopping = true;
	return 0;
}

static const struct {
	uint8_t type;
	bool first; /* before the settings came, and only then */
	int (*take)(struct worker *w, struct wire_in *in);
} messages[] = {
    {MESSAGE_SETTINGS, true, take_settings}, {MESSAGE_JOB, false, take_job},       {MESSAGE_CANCEL, false, take_cancel},
    {MESSAGE_SLOTS, false, take_slots},      {MESSAGE_RECALL, false, take_recall}, {MESSAGE_STOP, false, take_stop},
};

static int on_frame(uint8_t type, struct wire_in *in, void *arg)
{
	struct worker *w = arg;

	for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
		if (messages[i].type != type)
			continue;
		if (messages[i].first == !w->xfers && messages[i].take(w, in) == 0)
			return 0;
		break;
	}
	log_error("message refused", "type=%u name=%s", type, message_type_name(type));
	return -1;
}

static void on_end(enum channel_end how, void *arg)
{
	struct worker *w = arg;

	w->ended = true;
	if (how == CHANNEL_MISSPOKE) {
		log_error("channel broken", "why=\"the daemon sent what this worker does not take\"");
		w->status = EXIT_FAILURE;
	}
}

/* ---- The loop ---- */

/* Asked to end by somebody else than the daemon: takes no more, and finishes what it has. */
static void on_terminate(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd, (void)what;
	w->stopping = true;
	standby_recall_all(w->standby);
	if (w->xfers)
		message_put_capacity(channel_out(w->channel), 0);
}

static void end_turn(struct worker *w)
{
	if (w->xfers) {
		xfers_end_turn(w->xfers);
		if (standby_begin(w->standby))
			on_end(CHANNEL_MISSPOKE, w);
		judge_capacity(w);
		xfers_hold(w->xfers, channel_pending(w->channel) > PENDING_MAX);
	}
	channel_flush(w->channel);
	if (w->stopping && channel_pending(w->channel) == 0 && (!w->xfers || xfers_count(w->xfers) == 0) &&
	    standby_count(w->standby) == 0)
		w->ended = true;
}

static void run(struct worker *w)
{
	while (!w->ended) {
		if (event_base_loop(w->base, EVLOOP_ONCE) < 0)
			BUG("the event loop failed: %s", strerror(errno));
		if (!w->ended)
			end_turn(w);
	}
}

/* ---- Start and end ---- */

/* The daemon's death is ours, also where it is so sudden that nothing is left to read on the channel. */
static void set_signals(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a full disk: write() says EFBIG */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
}

static rlim_t raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return 1024;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		getrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur;
}

/* libcurl and the resolver read the environment (proxies, RES_OPTIONS), and a jq program could (`env`, `$ENV`). The log
 * alone has looked at it before. glibc's clearenv() leaves no list at all, and libjq would follow that. */
static void forget_environment(void)
{
	static char *none[] = {NULL};

	clearenv();
	environ = none;
	setlocale(LC_CTYPE, "C.UTF-8"); /* host names beyond ASCII */
}

static void check_descriptors(void)
{
	struct err e;

	if (fcntl(MESSAGE_CHANNEL_FD, F_SETFD, FD_CLOEXEC) == 0 && fcntl(MESSAGE_BODIES_FD, F_SETFD, FD_CLOEXEC) == 0)
		return;
	err_set(&e, ERR_USAGE, "start fanoutd instead; it runs as many workers as it needs",
		"descriptors %d and %d are not open: this program is started by fanoutd alone", MESSAGE_CHANNEL_FD,
		MESSAGE_BODIES_FD);
	fatal(2, &e);
}

static struct event_base *make_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config) {
		/* Nearly doubles the throughput of a multi_socket loop: see multi.c. */
		event_config_set_flag(config, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST | EVENT_BASE_FLAG_NOLOCK);
		base = event_base_new_with_config(config);
		event_config_free(config);
	}
	if (!base)
		BUG("libevent cannot make an event base");
	return base;
}

static void worker_open(struct worker *w)
{
	const struct channel_events events = {.on_frame = on_frame, .on_end = on_end, .arg = w};

	const struct standby_events standby = {
	    .on_begin = on_begin, .may_begin = may_begin, .on_returned = on_returned, .arg = w};

	w->descriptors = raise_descriptors();
	w->standby = standby_create(&standby);
	w->schedstat = open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
	w->base = make_base();
	w->channel = channel_create(w->base, MESSAGE_CHANNEL_FD, &events);
	w->heartbeat = event_new(w->base, -1, EV_PERSIST, on_heartbeat, w);
	w->terminate = evsignal_new(w->base, SIGTERM, on_terminate, w);
	w->judge = evtimer_new(w->base, on_judge, w);
	if (!w->heartbeat || !w->terminate || !w->judge)
		BUG("out of memory");
	event_add(w->terminate, NULL);
}

static void worker_close(struct worker *w)
{
	xfers_free(w->xfers);
	standby_free(w->standby);
	event_free(w->judge);
	event_free(w->terminate);
	event_free(w->heartbeat);
	channel_free(w->channel);
	event_base_free(w->base);
	free(w->user_agent);
	free(w->ca_file);
	if (w->schedstat >= 0)
		close(w->schedstat);
}

int main(void)
{
	struct worker w = {.schedstat = -1};

	set_signals();
	log_open("fanout-worker", LOG_LEVEL_INFO);
	forget_environment();
	check_descriptors();
	if (curl_global_init(CURL_GLOBAL_DEFAULT))
		BUG("libcurl cannot start");
	worker_open(&w);
	run(&w);
	worker_close(&w);
	return w.status;
}
