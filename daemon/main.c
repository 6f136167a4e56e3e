/* fanoutd: options, start, signals, end. Puts the modules together and holds nothing of what they do. */
#define _GNU_SOURCE 1

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/api.h"
#include "daemon/cmdline.h"
#include "daemon/conf.h"
#include "daemon/engine.h"
#include "daemon/engine_run.h"
#include "daemon/http.h"
#include "daemon/notify.h"
#include "daemon/private.h"
#include "daemon/timeslice.h"
#include "daemon/watch.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/paths.h"

#ifndef FANOUT_VERSION
#define FANOUT_VERSION "unknown"
#endif

#define DRAIN_SECONDS     30
#define FLUSH_US          50000 /* for answers that are on their way when all is done */
#define HEARTBEAT_MS      1000
#define DESCRIPTORS_LEAST 24 /* 18 at rest, and a few clients; besides one of each worker's */
#define STEPS_FORWARD     10
#define WORKER_IN_FLIGHT \
	8192 /* what slow servers can want; a worker takes it up only while it is idle (worker/capacity.h) */

struct daemon {
	struct options opt;
	struct conf conf;
	char worker_program[PATHS_MAX];
	struct message_settings worker;
	struct event_base *base;
	struct watch *watch;
	struct engine *engine;
	struct api *api;
	struct http *http;
	struct notify *notify;
	struct event *sigterm, *sigint, *sighup, *drain_over, *idle;
	int64_t idle_since_us;
	rlim_t descriptors;
	bool stopping;
	int status;
};

/* ---- the configuration ---- */

/* *file: the one that was taken, or "(defaults)". Which it is is looked for anew each time. */
static int load_conf(const struct options *o, struct conf *c, const char **file, struct conf_faults *f)
{
	const char *path = o->conf;
	int rc;

	if (o->local) {
		rc = private_conf(c, &path, f);
		*file = path ? path : "(defaults)";
		return rc;
	}
	if (!path && access(PATHS_SYSTEM_CONF, F_OK) == 0)
		path = PATHS_SYSTEM_CONF;
	*file = path;
	if (path)
		return conf_load(c, path, f);
	err_set(conf_fault(f), ERR_USAGE, "name one with -c FILE, or start a private daemon for this user with --local",
		"there is no configuration at " PATHS_SYSTEM_CONF);
	return -1;
}

static _Noreturn void fatal_conf(const struct conf_faults *f)
{
	const struct err *last = &f->list[f->count - 1];

	for (unsigned i = 0; i + 1 < f->count; i++)
		fprintf(stderr, "fanoutd: %s\n", f->list[i].what);
	fatal(last->code == ERR_USAGE ? EXIT_USAGE : EXIT_START, last);
}

/* ---- the end ---- */

static void on_drain_over(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;

	(void)fd;
	(void)what;
	log_warn("not all requests ended in time", "seconds=%d", DRAIN_SECONDS);
	event_base_loopbreak(d->base);
}

static void on_drained(void *arg)
{
	static const struct timeval flush = {.tv_usec = FLUSH_US};
	struct daemon *d = arg;

	event_base_loopexit(d->base, &flush);
}

static void stop(struct daemon *d, const char *why)
{
	static const struct timeval most = {.tv_sec = DRAIN_SECONDS};

	if (d->stopping) {
		log_info("stopping now", "why=%s", why);
		event_base_loopbreak(d->base);
		return;
	}
	d->stopping = true;
	log_info("stopping", "why=%s", why);
	notify_stopping(d->notify);
	http_stop_listening(d->http);
	api_drain(d->api);
	evtimer_add(d->drain_over, &most);
	engine_drain(d->engine, on_drained, d);
}

static void on_stop_signal(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	stop(arg, fd == SIGINT ? "SIGINT" : "SIGTERM");
}

/* The store can't be trusted any more: what it said last may or may not be on disk. */
static void on_fatal(void *arg, const struct err *e)
{
	struct daemon *d = arg;

	log_error("ending", "why=\"%s\" hint=\"%s\"", e->what, e->hint);
	d->status = cmdline_exit_status(e->code == ERR_NO_SPACE ? ERR_NO_SPACE : ERR_UNKNOWN);
	event_base_loopbreak(d->base);
}

/* ---- reloading ---- */

static bool same_deny(const struct conf *a, const struct conf *b)
{
	if (a->deny_count != b->deny_count)
		return false;
	for (unsigned i = 0; i < a->deny_count; i++)
		if (strcmp(a->deny[i], b->deny[i]) != 0)
			return false;
	return true;
}

/* What only a new process takes up. */
static bool needs_restart(const struct conf *a, const struct conf *b)
{
	return strcmp(a->socket, b->socket) != 0 || strcmp(a->state_dir, b->state_dir) != 0 ||
	       a->workers != b->workers || a->socket_mode != b->socket_mode || !same_deny(a, b);
}

static void take_new_conf(struct daemon *d, struct conf *fresh)
{
	struct err e;

	if (engine_set_conf_rules(d->engine, fresh->limits, fresh->limit_count, &e))
		log_error("limits not reloaded", "why=\"%s\"", e.what);
	engine_set_defaults(d->engine, &fresh->defaults, fresh->concurrency);
	engine_set_pulls(d->engine, fresh->pulls_dir, fresh->secrets_dir);
	store_set_retention(engine_store(d->engine), fresh->retention_results_us, fresh->retention_store_bytes);
	log_set_level(fresh->log_level);
	if (needs_restart(fresh, &d->conf))
		log_warn("some changes need a restart", "keys=\"socket socket_mode state_dir workers network\"");
}

static void on_reload_signal(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;
	struct conf_faults faults = {0};
	struct conf fresh = {0};
	const char *file;

	(void)fd;
	(void)what;
	notify_reloading();
	if (load_conf(&d->opt, &fresh, &file, &faults)) {
		for (unsigned i = 0; i < faults.count; i++)
			log_error("configuration not reloaded", "why=\"%s\"", faults.list[i].what);
	} else {
		take_new_conf(d, &fresh);
		conf_clear(&fresh);
		log_info("configuration reloaded", "file=%s", file);
	}
	notify_reloaded();
}

/* ---- a private daemon ends when nobody needs it ---- */

static void on_idle_look(evutil_socket_t fd, short what, void *arg)
{
	struct daemon *d = arg;
	int64_t now = clock_boot_us();

	(void)fd;
	(void)what;
	if (!engine_idle(d->engine) || http_connections(d->http))
		d->idle_since_us = now;
	else if (now - d->idle_since_us >= d->opt.idle_seconds * INT64_C(1000000) && !d->stopping)
		stop(d, "idle");
}

/* ---- the start ---- */

static unsigned worker_count(const struct conf *c)
{
	long n = c->workers ? (long)c->workers : sysconf(_SC_NPROCESSORS_ONLN);

	return n < 1 ? 1 : (unsigned)n;
}

static rlim_t raise_descriptors(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return RLIM_INFINITY;
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	return files.rlim_max;
}

/* With too few it could neither start workers nor take clients; with few it is slow, and nobody would know why. The
 * workers have as many. */
static int check_descriptors(const struct daemon *d, struct err *e)
{
	static const char hint[] =
	    "have LimitNOFILE= in fanoutd.service, or the hard limit of ulimit -n, at 1024 or more";
	unsigned least = DESCRIPTORS_LEAST + worker_count(&d->conf);

	if (d->descriptors < least)
		return err_set(e, ERR_SYSTEM, hint, "%u file descriptors are too few: %u are needed for %u workers",
			       (unsigned)d->descriptors, least, worker_count(&d->conf));
	if (message_transfers_most(d->descriptors) < MESSAGE_TRANSFERS_FEW)
		log_warn("few file descriptors", "limit=%u requests_of_a_worker=%u why=\"%s\"",
			 (unsigned)d->descriptors, message_transfers_most(d->descriptors), hint);
	return 0;
}

static void prepare_process(struct daemon *d)
{
	umask(077);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is a full disk: write() says EFBIG */
	d->descriptors = raise_descriptors();
	/* What it does in a turn is little, and its workers and clients wait for it. Better a step forward than the
	 * workers' step back: a server on this machine would go before them, and get their requests one by one. */
	timeslice_ask(TIMESLICE_SHORT_US);
	timeslice_step_forward(STEPS_FORWARD);
}

/* The changelist of epoll is not asked for: descriptors are closed here by several hands (evhttp, the pool), and the
 * daemon's sockets stay as they are, so there is nothing to gain. */
static void make_base(struct daemon *d)
{
	struct event_config *cfg = event_config_new();

	if (!cfg || event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK))
		BUG("out of memory for the event loop");
	d->base = event_base_new_with_config(cfg);
	event_config_free(cfg);
	/* 0: signals and workers; 1: the rest; 2: the commit of what all of them brought in this turn. */
	if (!d->base || event_base_priority_init(d->base, 3))
		BUG("cannot make an event loop");
}

static void fill_worker_settings(struct daemon *d)
{
	const char *ca_file = getenv("SSL_CERT_FILE"); /* the workers forget their environment */

	d->worker = (struct message_settings){
	    .version = MESSAGE_VERSION,
	    .log_level = (uint32_t)d->conf.log_level,
	    .heartbeat_ms = HEARTBEAT_MS,
	    .capacity_max = WORKER_IN_FLIGHT,
	    .deny_count = d->conf.deny_count,
	    .user_agent = "fanout/" FANOUT_VERSION,
	    .ca_file = ca_file ? ca_file : "",
	};
	for (unsigned i = 0; i < d->conf.deny_count; i++)
		d->worker.deny[i] = d->conf.deny[i];
}

static int start_engine(struct daemon *d, struct err *e)
{
	struct engine_settings set;

	if (paths_program("fanout-worker", d->worker_program, sizeof d->worker_program, e))
		return -1;
	fill_worker_settings(d);
	set = (struct engine_settings){
	    .store = {.state_dir = d->conf.state_dir,
		      .retention_age_us = d->conf.retention_results_us,
		      .retention_bytes = d->conf.retention_store_bytes},
	    .defaults = d->conf.defaults,
	    .worker = d->worker,
	    .workers = worker_count(&d->conf),
	    .worker_program = d->worker_program,
	    .key_concurrency = d->conf.concurrency,
	    .pulls_dir = d->conf.pulls_dir,
	    .secrets_dir = d->conf.secrets_dir,
	    .plans_bytes = (size_t)d->conf.pulls_memory_bytes,
	};
	d->watch = watch_create();
	d->engine = engine_create(d->base, &set, d->watch, on_fatal, d, e);
	if (!d->engine)
		return -1;
	return engine_set_conf_rules(d->engine, d->conf.limits, d->conf.limit_count, e);
}

static int start_http(struct daemon *d, struct err *e)
{
	struct api_settings set = {.base = d->base, .engine = d->engine, .watch = d->watch};
	struct http_settings front = {
	    .socket = d->conf.socket,
	    .socket_mode = d->conf.socket_mode,
	    .request_us = d->opt.request_seconds * INT64_C(1000000),
	    .routes = api_routes(),
	};

	d->api = api_create(&set);
	front.arg = d->api;
	d->http = http_open(d->base, &front, e);
	if (!d->http)
		return -1;
	api_set_http(d->api, d->http);
	return 0;
}

static struct event *on_signal(struct daemon *d, int number, event_callback_fn callback)
{
	struct event *ev = evsignal_new(d->base, number, callback, d);

	if (!ev || event_priority_set(ev, 0) || evsignal_add(ev, NULL))
		BUG("cannot watch signal %d", number);
	return ev;
}

static void write_status(void *arg, char *out, unsigned long size)
{
	const struct daemon *d = arg;
	struct store_totals t;
	struct engine_stats s;

	store_totals(engine_store(d->engine), &t);
	engine_stats(d->engine, &s);
	snprintf(out, size, "%lld jobs wait, %u requests in flight, %lld done", (long long)t.counts[JOB_QUEUED],
		 s.sched.in_flight, (long long)t.counts[JOB_DONE]);
}

static void start_events(struct daemon *d)
{
	static const struct timeval second = {.tv_sec = 1};

	d->sigterm = on_signal(d, SIGTERM, on_stop_signal);
	d->sigint = on_signal(d, SIGINT, on_stop_signal);
	d->sighup = on_signal(d, SIGHUP, on_reload_signal);
	d->drain_over = evtimer_new(d->base, on_drain_over, d);
	d->idle_since_us = clock_boot_us();
	if (d->opt.local) {
		d->idle = event_new(d->base, -1, EV_PERSIST, on_idle_look, d);
		evtimer_add(d->idle, &second);
	}
	d->notify = notify_start(d->base, write_status, d);
}

static int start(struct daemon *d, struct err *e)
{
	if (d->opt.local && private_dirs(&d->conf, e))
		return -1;
	if (check_descriptors(d, e) || http_check_socket(d->conf.socket, e))
		return -1;
	make_base(d);
	if (start_engine(d, e) || start_http(d, e))
		return -1;
	start_events(d);
	log_info("ready", "version=%s socket=%s state_dir=%s workers=%u", FANOUT_VERSION, d->conf.socket,
		 d->conf.state_dir, worker_count(&d->conf));
	return 0;
}

static void free_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

static void finish(struct daemon *d)
{
	if (d->api)
		api_stop(d->api);
	if (d->engine)
		engine_free(d->engine); /* what waits for the last commit is answered */
	http_close(d->http);
	api_free(d->api);
	watch_free(d->watch);
	notify_free(d->notify);
	free_event(d->sigterm);
	free_event(d->sigint);
	free_event(d->sighup);
	free_event(d->drain_over);
	free_event(d->idle);
	if (d->base)
		event_base_free(d->base);
	conf_clear(&d->conf);
}

int main(int argc, char **argv)
{
	static struct daemon d;
	static struct conf_faults faults;
	const char *file;
	struct err e;

	cmdline_parse(&d.opt, argc, argv);
	log_open("fanoutd", LOG_LEVEL_INFO);
	prepare_process(&d);
	if (load_conf(&d.opt, &d.conf, &file, &faults))
		fatal_conf(&faults);
	if (d.opt.check) {
		printf("%s: ok\n", file);
		conf_clear(&d.conf);
		return 0;
	}
	log_set_level(d.conf.log_level);
	if (start(&d, &e)) {
		int status = cmdline_exit_status(e.code);

		finish(&d);
		fatal(status, &e);
	}
	event_base_dispatch(d.base);
	finish(&d);
	log_info("ended", "status=%d", d.status);
	return d.status;
}
