/* One transfer's way:
 *
 *   start ─ look-up free? ─no─► waiting ─► in the multi handle ─► ended ─ body in a file? ─no──────────► safe
 *                          yes ──────────►                                 yes ─► synced by a thread ─►
 *   safe ─ fail_if, or a page? ─no──────────────► outcome
 *                               yes ─► judged ─►
 *
 * Judging comes last and right before the outcome: JUDGING without an OUTCOME is the job to blame (lib/message.h).
 * With its outcome the record goes back to the pool, handle, connection and buffers included. */
#define _GNU_SOURCE 1

#include "worker/xfer.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <uthash.h>

#include "lib/clock.h"
#include "lib/judge.h"
#include "lib/syncer.h"
#include "worker/attempt.h"
#include "worker/multi.h"

#define JUDGE_TURN_US 10000 /* of judging in a turn of the loop, so that other transfers go on meanwhile */

struct key {
	uint64_t job, n; /* of one size: no padding in what is hashed */
};

struct xfer {
	struct attempt attempt;
	struct key key;
	uint64_t lane; /* the job's */
	unsigned part; /* of the multi handles */
	UT_hash_handle hh;
	bool flying;              /* in the multi handle */
	STAILQ_ENTRY(xfer) entry; /* in the pool, or where its body has it wait */
};
STAILQ_HEAD(xfer_list, xfer);

struct xfers {
	struct xfer_settings settings;
	struct attempt_context context;
	struct multi *multi;
	struct lookups lookups;
	struct xfer *open; /* uthash: those without an outcome */
	struct xfer_list pool;
	struct xfer_list unsynced, syncing, unjudged;
	size_t unsynced_count;
	struct sinks {
		struct sink **of;
		size_t count, cap;
	} sinks; /* of syncing: the syncer's while there are any */
	struct syncer *syncer;
	struct judge *judge;
	struct event *again; /* makes another turn */
};

/* The record around one of its members. */
#define XFER_OF(p, member) ((struct xfer *)(void *)((char *)(p)-offsetof(struct xfer, member)))

static void xfer_free(struct xfer *x)
{
	attempt_clear(&x->attempt);
	free(x);
}

static struct xfer *xfer_create(struct xfers *all, struct err *e)
{
	struct xfer *x = calloc(1, sizeof *x);

	if (!x) {
		err_set(e, ERR_SYSTEM, NULL, "out of memory for a transfer");
		return NULL;
	}
	if (attempt_init(&x->attempt, &all->context, e)) {
		xfer_free(x);
		return NULL;
	}
	return x;
}

static struct xfer *take(struct xfers *all)
{
	struct xfer *x = STAILQ_FIRST(&all->pool);
	struct err e;

	if (x) {
		STAILQ_REMOVE_HEAD(&all->pool, entry);
		return x;
	}
	x = xfer_create(all, &e);
	if (!x)
		BUG("%s", e.what);
	return x;
}

/* The one outcome of a job. */
static void tell(struct xfers *all, struct xfer *x, struct attempt_texts *texts)
{
	struct message_outcome m;

	attempt_tell(&x->attempt, &m, texts);
	all->settings.on_outcome(&m, x->lane, all->settings.arg);
	attempt_rest(&x->attempt);
	HASH_DEL(all->open, x);
	STAILQ_INSERT_HEAD(&all->pool, x, entry);
}

/* The body is where it is to stay. */
static void safe(struct xfers *all, struct xfer *x)
{
	struct attempt_texts texts;

	if (attempt_wants_judging(&x->attempt))
		STAILQ_INSERT_TAIL(&all->unjudged, x, entry);
	else
		tell(all, x, &texts);
}

/* The attempt has ended; its outcome waits where its body does. */
static void ended(struct xfers *all, struct xfer *x)
{
	if (!sink_in_file(&x->attempt.sink)) {
		safe(all, x);
		return;
	}
	STAILQ_INSERT_TAIL(&all->unsynced, x, entry);
	all->unsynced_count++;
}

static void on_done(CURL *easy, CURLcode rc, void *arg)
{
	struct xfers *all = arg;
	char *attempt = NULL;
	struct xfer *x;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &attempt);
	x = XFER_OF(attempt, attempt);
	multi_remove(all->multi, easy, x->part);
	x->flying = false;
	attempt_end(&x->attempt, rc);
	ended(all, x);
}

/* In the thread. What fails, fails for its own sink alone. */
static int sinks_sync(const void *group)
{
	const struct sinks *s = group;

	sink_sync(s->of, s->count);
	return 0;
}

static void on_synced(void *arg)
{
	struct xfers *all = arg;
	struct xfer *x;

	while ((x = STAILQ_FIRST(&all->syncing))) {
		STAILQ_REMOVE_HEAD(&all->syncing, entry);
		safe(all, x);
	}
}

/* The event only makes a turn. */
static void on_again(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
}

static char *agent_line(const char *user_agent)
{
	char *line = NULL;

	if (asprintf(&line, "%s%s", user_agent[0] ? "User-Agent: " : "", user_agent) < 0)
		BUG("out of memory");
	return line;
}

struct xfers *xfers_create(const struct xfer_settings *settings, struct err *e)
{
	struct xfers *all = calloc(1, sizeof *all);
	struct xfer *first;

	if (!all) {
		err_set(e, ERR_SYSTEM, NULL, "out of memory");
		return NULL;
	}
	all->settings = *settings;
	all->context = (struct attempt_context){.policy = settings->policy,
						.lookups = &all->lookups,
						.agent = agent_line(settings->user_agent),
						.ca_file = settings->ca_file,
						.bodies_fd = settings->bodies_fd};
	lookup_init(&all->lookups);
	STAILQ_INIT(&all->pool);
	STAILQ_INIT(&all->unsynced);
	STAILQ_INIT(&all->syncing);
	STAILQ_INIT(&all->unjudged);
	all->judge = judge_create();
	all->again = event_new(settings->base, -1, 0, on_again, NULL);
	if (!all->again)
		BUG("out of memory");
	all->syncer = syncer_create(
	    &(struct syncer_settings){.base = settings->base, .sync = sinks_sync, .on_done = on_synced, .arg = all}, e);
	if (!all->syncer)
		goto bad;
	all->multi = multi_create(settings->base, (long)settings->connections, on_done, all, e);
	if (!all->multi)
		goto bad;
	all->context.multi = all->multi;
	/* Shows whether this libcurl has all that is needed, before there is a job. */
	first = xfer_create(all, e);
	if (!first)
		goto bad;
	STAILQ_INSERT_HEAD(&all->pool, first, entry);
	return all;
bad:
	xfers_free(all);
	return NULL;
}

void xfers_free(struct xfers *all)
{
	struct xfer *x, *next;

	if (!all)
		return;
	syncer_free(all->syncer);
	HASH_ITER (hh, all->open, x, next) {
		if (x->flying)
			multi_remove(all->multi, x->attempt.easy, x->part);
		HASH_DEL(all->open, x);
		xfer_free(x);
	}
	while ((x = STAILQ_FIRST(&all->pool))) {
		STAILQ_REMOVE_HEAD(&all->pool, entry);
		xfer_free(x);
	}
	multi_free(all->multi);
	lookup_clear(&all->lookups);
	judge_free(all->judge);
	event_free(all->again);
	free(all->context.agent);
	free(all->sinks.of);
	free(all);
}

static void fly(struct xfers *all, struct xfer *x)
{
	x->attempt.started_us = clock_boot_us();
	x->flying = multi_add(all->multi, x->attempt.easy, x->part) == CURLM_OK;
	if (x->flying)
		return;
	attempt_end(&x->attempt, CURLE_FAILED_INIT);
	ended(all, x);
}

int xfers_start(struct xfers *all, const struct message_job *job)
{
	struct key key = {.job = job->job, .n = job->n};
	struct xfer *x;

	HASH_FIND(hh, all->open, &key, sizeof key, x);
	if (x)
		return -1;
	x = take(all);
	x->key = key;
	x->lane = job->lane;
	x->part = multi_part(job->url);
	HASH_ADD(hh, all->open, key, sizeof key, x);
	if (attempt_begin(&x->attempt, job))
		ended(all, x);
	else if (lookup_ask(&all->lookups, &x->attempt.ticket, job->url, x->attempt.started_us))
		fly(all, x);
	return 0;
}

void xfers_cancel(struct xfers *all, const struct message_cancel *cancel)
{
	struct key key = {.job = cancel->job, .n = cancel->n};
	struct xfer *x;

	HASH_FIND(hh, all->open, &key, sizeof key, x);
	if (!x || (!x->flying && x->attempt.ticket.state != LOOKUP_WAITS))
		return;
	if (x->flying)
		multi_remove(all->multi, x->attempt.easy, x->part);
	x->flying = false;
	lookup_forget(&all->lookups, &x->attempt.ticket);
	x->attempt.stopped = CAUSE_CANCELLED;
	attempt_end(&x->attempt, CURLE_ABORTED_BY_CALLBACK);
	ended(all, x);
}

size_t xfers_count(const struct xfers *all)
{
	return HASH_COUNT(all->open);
}

static void gather_sinks(struct xfers *all)
{
	struct sinks *s = &all->sinks;
	struct xfer *x;

	if (s->cap < all->unsynced_count) {
		free(s->of);
		s->cap = all->unsynced_count * 2;
		s->of = calloc(s->cap, sizeof(struct sink *));
		if (!s->of)
			BUG("out of memory for %zu bodies", s->cap);
	}
	s->count = 0;
	STAILQ_FOREACH (x, &all->unsynced, entry)
		s->of[s->count++] = &x->attempt.sink;
}

static void sync_bodies(struct xfers *all)
{
	if (all->unsynced_count == 0 || !STAILQ_EMPTY(&all->syncing))
		return;
	gather_sinks(all);
	STAILQ_CONCAT(&all->syncing, &all->unsynced);
	syncer_ask(all->syncer, &all->sinks);
	all->unsynced_count = 0;
}

/* False when it is not its turn yet. */
static bool judge_one(struct xfers *all, struct xfer *x)
{
	const struct message_judging m = {.job = x->attempt.job, .n = x->attempt.n};
	struct attempt_texts texts;

	if (!all->settings.on_judging(&m, all->settings.arg))
		return false;
	STAILQ_REMOVE_HEAD(&all->unjudged, entry);
	attempt_judge(&x->attempt, all->judge, &texts);
	tell(all, x, &texts);
	return true;
}

static void judge_bodies(struct xfers *all)
{
	int64_t until_us;
	struct xfer *x;

	if (STAILQ_EMPTY(&all->unjudged))
		return;
	until_us = clock_boot_us() + JUDGE_TURN_US;
	while ((x = STAILQ_FIRST(&all->unjudged))) {
		if (clock_boot_us() >= until_us) {
			event_active(all->again, EV_TIMEOUT, 0);
			return;
		}
		if (!judge_one(all, x))
			return;
	}
}

static void start_waiting(struct xfers *all)
{
	int64_t now_us;
	struct lookup_ticket *t;

	if (!all->lookups.changed)
		return;
	now_us = clock_boot_us();
	while ((t = lookup_next(&all->lookups, now_us)))
		fly(all, XFER_OF(t, attempt.ticket));
}

void xfers_end_turn(struct xfers *all)
{
	sync_bodies(all);
	judge_bodies(all);
	start_waiting(all);
}

void xfers_keep(struct xfers *all, uint32_t connections)
{
	multi_keep(all->multi, (long)connections);
}

void xfers_hold(struct xfers *all, bool hold)
{
	multi_hold(all->multi, hold);
}
