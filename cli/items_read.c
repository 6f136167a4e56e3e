/* One thread, a place for one page, one condition. The thread has a client of its own. */
#include "cli/items_read.h"

#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/client.h"
#include "cli/items_numbers.h"
#include "cli/patience.h"
#include "cli/progress.h"
#include "cli/pull.h"
#include "lib/envelope.h"

#define LIST_PAGES 200
#define WAIT_MS    200 /* between looks at a run that goes on */

struct items_reader {
	struct items_reading what;
	struct client *client; /* the thread's */
	struct patience patience;
	pthread_t thread;
	/* shared */
	pthread_mutex_t lock;
	pthread_cond_t news;
	struct items_page page;
	bool full, ended, stop;
	int rc;
	struct err e;
	/* the thread's */
	json_t *rows;
	uint32_t after; /* the last page that was dealt with */
	bool over;      /* the run has ended: what is listed now is all */
	struct text body;
};

void items_page_clear(struct items_page *p)
{
	if (p->kind == ITEMS_PAGE)
		jv_free(p->body);
	free(p->token);
	free(p->why);
	free(p->inexact);
	free(p->headers);
	*p = (struct items_page){.kind = ITEMS_END};
}

static char *copy(const char *text, size_t n)
{
	char *s = strndup(text, n);

	if (!s)
		BUG("out of memory");
	return s;
}

/* ---- handing over ---- */

/* With the lock. False where nobody wants more. */
static bool await_place(struct items_reader *r)
{
	while (r->full && !r->stop)
		pthread_cond_wait(&r->news, &r->lock);
	return !r->stop;
}

/* Before a body is read: one that lay parsed behind the one in the place would be a third in memory. */
static void hold_back(struct items_reader *r)
{
	pthread_mutex_lock(&r->lock);
	await_place(r);
	pthread_mutex_unlock(&r->lock);
}

/* False where nobody wants more. */
static bool hand_over(struct items_reader *r, struct items_page *p)
{
	bool stop;

	pthread_mutex_lock(&r->lock);
	stop = !await_place(r);
	if (!stop) {
		r->page = *p;
		r->full = true;
		pthread_cond_broadcast(&r->news);
	}
	pthread_mutex_unlock(&r->lock);
	if (stop)
		items_page_clear(p);
	return !stop;
}

static bool stopped(struct items_reader *r)
{
	bool stop;

	pthread_mutex_lock(&r->lock);
	stop = r->stop;
	pthread_mutex_unlock(&r->lock);
	return stop || ctl_interrupted();
}

/* ---- bodies ---- */

static int on_data(void *arg, const char *data, size_t len, struct err *e)
{
	struct items_reader *r = arg;

	(void)e;
	text_add(&r->body, data, len);
	return 0;
}

/* As often as it takes; what came of one that broke off is forgotten. */
static int call(struct items_reader *r, const char *path, struct err *e)
{
	struct call c = {.path = path, .on_data = on_data, .arg = r};

	do {
		r->body.len = 0;
		if (client_call(r->client, &c, e) == 0) {
			patience_heard(&r->patience);
			return 0;
		}
	} while (patience_again(&r->patience, r->client, e));
	return -1;
}

/* Consumes `v`. */
static int not_json(const struct items_page *p, jv v, struct err *e)
{
	jv message = jv_invalid_get_msg(v);

	err_set(e, ERR_CONFLICT, "fanoutctl get has its bytes", "page %u: its body (%s) is no JSON: %.200s", p->page,
		p->job, jv_get_kind(message) == JV_KIND_STRING ? jv_string_value(message) : "it is empty");
	jv_free(message);
	return -1;
}

static int read_headers(struct items_reader *r, struct items_page *p, struct err *e)
{
	const char *text;
	json_t *attempts;
	char path[80];

	snprintf(path, sizeof path, "/v1/jobs/%s/attempts", p->job);
	if (call(r, path, e) < 0)
		return -1;
	attempts = json_loadb(r->body.data ? r->body.data : "", r->body.len, 0, NULL);
	/* the last one is the one that brought the body */
	text = pull_text(json_array_get(json_object_get(attempts, "attempts"),
					json_array_size(json_object_get(attempts, "attempts")) - 1),
			 "headers");
	p->headers = copy(text, strlen(text));
	json_decref(attempts);
	return 0;
}

/* 1: it has none (any more), which `why` tells. */
static int read_body(struct items_reader *r, struct items_page *p, const char *token, struct err *e)
{
	const char *number;
	char path[80];
	size_t n;

	hold_back(r);
	p->token = copy(token, strlen(token));
	if (r->what.headers && read_headers(r, p, e) < 0)
		return -1;
	snprintf(path, sizeof path, "/v1/jobs/%s/body", p->job);
	if (call(r, path, e) < 0) {
		if (e->code != ERR_CONFLICT && e->code != ERR_NOT_FOUND)
			return -1;
		p->why = copy(e->what, strlen(e->what));
		return 1;
	}
	if (r->body.len > INT32_MAX)
		return err_set(e, ERR_TOO_LARGE, NULL, "page %u: its body is larger than 2 GiB", p->page);
	p->body = envelope_body(r->body.data, (int64_t)r->body.len);
	if (!jv_is_valid(p->body))
		return not_json(p, p->body, e);
	p->kind = ITEMS_PAGE;
	number = items_inexact(r->body.data, r->body.len, &n);
	if (number)
		p->inexact = copy(number, n < 40 ? n : 40);
	return 0;
}

/* ---- pages ---- */

enum { NEXT, WAIT, STOP };

static bool is_state(const json_t *row, const char *state)
{
	return strcmp(pull_text(row, "state"), state) == 0;
}

static bool give(struct items_reader *r, struct items_page *p, enum items_kind kind)
{
	p->kind = kind;
	return hand_over(r, p);
}

/* What an answer without content (204) has is no item. */
static bool is_empty(const json_t *row)
{
	return pull_number(row, "status") == 204 || pull_number(row, "size") == 0;
}

/* Deals with one page. NEXT, WAIT where it has not ended and is waited for, STOP; -1 with `e`. */
static int take(struct items_reader *r, const json_t *row, struct err *e)
{
	struct items_page p = {
	    .kind = ITEMS_END, .page = (uint32_t)pull_number(row, "page"), .status = (int)pull_number(row, "status")};
	const char *why = *pull_text(row, "error") ? pull_text(row, "error") : pull_text(row, "reason");
	int rc;

	snprintf(p.job, sizeof p.job, "%.23s", pull_text(row, "job"));
	if (is_state(row, "cancelled") || (is_state(row, "done") && is_empty(row)) ||
	    json_is_true(json_object_get(row, "past_end")))
		return NEXT; /* behind the end, or nothing in it */
	if (is_state(row, "failed")) {
		p.why = copy(*why ? why : "it failed", strlen(*why ? why : "it failed"));
		return give(r, &p, ITEMS_FAILED) ? NEXT : STOP;
	}
	if (!is_state(row, "done"))
		return r->what.follow ? WAIT : give(r, &p, ITEMS_PENDING) ? NEXT : STOP;
	rc = read_body(r, &p, pull_text(row, "token"), e);
	if (rc < 0) {
		items_page_clear(&p);
		return -1;
	}
	return give(r, &p, rc ? ITEMS_GONE : ITEMS_PAGE) ? NEXT : STOP;
}

static int on_row(void *arg, const json_t *row, struct err *e)
{
	(void)e;
	json_array_append(((struct items_reader *)arg)->rows, (json_t *)(uintptr_t)row);
	return 0;
}

/* The pages behind the last one. */
static int list(struct items_reader *r, struct err *e)
{
	do {
		json_decref(r->rows);
		r->rows = json_array();
		if (run_pages(r->client, r->what.run, r->after, LIST_PAGES, on_row, r, e) == 0) {
			patience_heard(&r->patience);
			return 0;
		}
	} while (patience_again(&r->patience, r->client, e));
	return -1;
}

static int take_all(struct items_reader *r, struct err *e)
{
	json_t *row;
	size_t i;
	int rc = NEXT;

	json_array_foreach (r->rows, i, row) {
		rc = stopped(r) ? STOP : take(r, row, e);
		if (rc != NEXT)
			break;
		r->after = (uint32_t)pull_number(row, "page");
	}
	return rc;
}

/* For a moment, unless the run has ended. */
static int wait_for_more(struct items_reader *r, struct err *e)
{
	struct items_page quiet = {.kind = ITEMS_QUIET};
	json_t *batch;

	if (!hand_over(r, &quiet))
		return 0;
	do {
		batch = client_get_json(r->client, e, "/v1/batches/%u/wait?timeout=%dms", r->what.run, WAIT_MS);
	} while (!batch && patience_again(&r->patience, r->client, e));
	if (!batch)
		return -1;
	patience_heard(&r->patience);
	r->over = progress_exit_status(batch) >= 0;
	json_decref(batch);
	return 0;
}

static int read_all(struct items_reader *r, struct err *e)
{
	int rc;

	r->over = !r->what.follow;
	while (!stopped(r)) {
		if (list(r, e) < 0)
			return -1;
		rc = take_all(r, e);
		if (rc < 0 || rc == STOP)
			return rc < 0 ? -1 : 0;
		if (json_array_size(r->rows) == LIST_PAGES && rc == NEXT)
			continue;
		if (r->over)
			return 0;
		if (wait_for_more(r, e) < 0)
			return -1;
	}
	return 0;
}

static void *run(void *arg)
{
	struct items_reader *r = arg;
	struct items_page end = {.kind = ITEMS_END};
	struct err e = {0};
	int rc = read_all(r, &e);

	if (rc == 0 && ctl_interrupted())
		rc = err_set(&e, ERR_NONE, NULL, "interrupted");
	if (rc < 0 && r->what.follow)
		patience_lost(&r->patience, r->client, "run", r->what.run, &e);
	if (rc == 0)
		hand_over(r, &end);
	pthread_mutex_lock(&r->lock);
	r->rc = rc;
	r->e = e;
	r->ended = true;
	pthread_cond_broadcast(&r->news);
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

/* ---- the other side ---- */

static void on_wake(int signo)
{
	(void)signo;
}

struct items_reader *items_reader_start(const struct items_reading *what)
{
	struct sigaction wake = {.sa_handler = on_wake};
	struct items_reader *r = calloc(1, sizeof *r);

	if (!r)
		BUG("out of memory");
	r->what = *what;
	r->client = client_again(what->client);
	r->patience.heard = true; /* whoever starts this has spoken with it */
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->news, NULL);
	sigaction(SIGUSR1, &wake, NULL);
	if (pthread_create(&r->thread, NULL, run, r))
		BUG("cannot start a thread");
	return r;
}

/* A signal that came to this thread leaves the other one in its read(2). */
static void wait_for_news(struct items_reader *r)
{
	struct timespec until;

	if (ctl_interrupted())
		pthread_kill(r->thread, SIGUSR1);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 1;
	pthread_cond_timedwait(&r->news, &r->lock, &until);
}

int items_reader_next(struct items_reader *r, struct items_page *p, struct err *e)
{
	int rc = 0;

	*p = (struct items_page){.kind = ITEMS_END};
	pthread_mutex_lock(&r->lock);
	while (!r->full && !r->ended)
		wait_for_news(r);
	if (r->full) {
		*p = r->page;
		r->full = false;
		pthread_cond_broadcast(&r->news);
	} else {
		rc = r->rc;
		*e = r->e;
	}
	pthread_mutex_unlock(&r->lock);
	return rc;
}

void items_reader_end(struct items_reader *r)
{
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_broadcast(&r->news);
	while (!r->ended) {
		pthread_kill(r->thread, SIGUSR1);
		wait_for_news(r);
	}
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	if (r->full)
		items_page_clear(&r->page);
	json_decref(r->rows);
	client_free(r->client);
	text_clear(&r->body);
	pthread_cond_destroy(&r->news);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
