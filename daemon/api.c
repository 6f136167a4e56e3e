/* The table of routes, who may see what, and what all handlers share. */
#define _GNU_SOURCE 1

#include "daemon/api.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

#include "daemon/engine.h"
#include "daemon/spec.h"
#include "lib/clock.h"

#define ADMIN_CACHE_US  INT64_C(60000000)
#define ADMIN_CACHE_MAX 1024
#define GROUPS_MAX      1024

struct admin {
	uid_t uid;
	bool is_admin;
	int64_t until_us;
	UT_hash_handle hh;
};

struct api {
	struct api_settings set;
	struct http *http;
	struct admin *admins;
	unsigned streams;
	bool draining, stopped;
};

static const struct http_route routes[] = {
    {HTTP_POST, "/v1/batches", NULL, api_batch_create, true},
    {HTTP_GET, "/v1/batches", "before limit", api_batch_list, false},
    {HTTP_GET, "/v1/batches/{id}", NULL, api_batch_get, false},
    {HTTP_DELETE, "/v1/batches/{id}", NULL, api_batch_remove, false},
    {HTTP_POST, "/v1/batches/{id}/jobs", NULL, api_jobs_add, true},
    {HTTP_POST, "/v1/batches/{id}/close", NULL, api_batch_close, false},
    {HTTP_POST, "/v1/batches/{id}/cancel", NULL, api_batch_cancel, false},
    {HTTP_POST, "/v1/batches/{id}/retry", "unsafe", api_batch_retry, false},
    {HTTP_POST, "/v1/batches/{id}/pause", NULL, api_batch_pause, false},
    {HTTP_POST, "/v1/batches/{id}/resume", NULL, api_batch_resume, false},
    {HTTP_GET, "/v1/batches/{id}/wait", "timeout", api_batch_wait, false},
    {HTTP_GET, "/v1/batches/{id}/results", "after limit state body", api_results, false},
    {HTTP_GET, "/v1/batches/{id}/events", NULL, api_events, false},
    {HTTP_GET, "/v1/batches/{id}/hosts", NULL, api_batch_hosts, false},
    {HTTP_POST, "/v1/check", NULL, api_jobs_check, true},
    {HTTP_GET, "/v1/jobs/{job}", NULL, api_job_get, false},
    {HTTP_GET, "/v1/jobs/{job}/attempts", NULL, api_job_attempts, false},
    {HTTP_GET, "/v1/jobs/{job}/body", NULL, api_job_body, false},
    {HTTP_POST, "/v1/jobs/{job}/cancel", NULL, api_job_cancel, false},
    {HTTP_POST, "/v1/jobs/{job}/retry", "unsafe", api_job_retry, false},
    {HTTP_GET, "/v1/batches/{id}/explain", NULL, api_batch_explain, false},
    {HTTP_GET, "/v1/jobs/{job}/explain", NULL, api_job_explain, false},
    {HTTP_GET, "/v1/limits", "host", api_limits_get, false},
    {HTTP_POST, "/v1/limits/resume", "host", api_limits_resume, false},
    {HTTP_PUT, "/v1/limits/{name}", NULL, api_limit_put, true},
    {HTTP_DELETE, "/v1/limits/{name}", NULL, api_limit_delete, false},
    {HTTP_GET, "/v1/audit", "host since until unsent", api_audit, false},
    {HTTP_GET, "/v1/hosts", "name", api_hosts, false},
    {HTTP_GET, "/v1/pulls", NULL, api_pull_list, false},
    {HTTP_GET, "/v1/pulls/{name}", NULL, api_pull_get, false},
    {HTTP_POST, "/v1/pulls/{name}/runs", NULL, api_run_create, true},
    {HTTP_GET, "/v1/pulls/{name}/runs", "before limit", api_pull_runs, false},
    {HTTP_GET, "/v1/pulls/{name}/state", NULL, api_pull_state_get, false},
    {HTTP_PUT, "/v1/pulls/{name}/state", NULL, api_pull_state_put, true},
    {HTTP_GET, "/v1/runs", "before limit", api_run_list, false},
    {HTTP_GET, "/v1/runs/{id}", NULL, api_run_get, false},
    {HTTP_GET, "/v1/runs/{id}/pages", "after limit", api_run_pages, false},
    {HTTP_GET, "/healthz", NULL, api_health, false},
    {HTTP_GET, "/v1/stats", NULL, api_stats, false},
    {HTTP_GET, "/metrics", NULL, api_metrics, false},
    {HTTP_GET, NULL, NULL, NULL, false},
};

const struct http_route *api_routes(void)
{
	return routes;
}

void *api_alloc(size_t n)
{
	void *p = calloc(1, n);

	if (!p)
		BUG("out of memory for a request");
	return p;
}

/* ---- life ---- */

struct api *api_create(const struct api_settings *set)
{
	struct api *a = api_alloc(sizeof *a);

	a->set = *set;
	return a;
}

static void forget_admins(struct api *a)
{
	struct admin *m, *next;

	HASH_ITER (hh, a->admins, m, next) {
		HASH_DEL(a->admins, m);
		free(m);
	}
}

void api_free(struct api *a)
{
	if (!a)
		return;
	forget_admins(a);
	free(a);
}

void api_set_http(struct api *a, struct http *h)
{
	a->http = h;
}

void api_drain(struct api *a)
{
	a->draining = true;
}

void api_stop(struct api *a)
{
	a->draining = a->stopped = true;
}

struct engine *api_engine(const struct api *a)
{
	return a->set.engine;
}

struct store *api_store(const struct api *a)
{
	return engine_store(a->set.engine);
}

struct watch *api_watch(const struct api *a)
{
	return a->set.watch;
}

struct http *api_http(const struct api *a)
{
	return a->http;
}

bool api_draining(const struct api *a)
{
	return a->draining;
}

bool api_stopped(const struct api *a)
{
	return a->stopped;
}

/* ---- who may see what ---- */

static bool in_admin_group(uid_t uid)
{
	struct passwd pw, *found;
	struct group gr, *admin;
	gid_t groups[GROUPS_MAX], wanted;
	int n = GROUPS_MAX;
	char text[4096];

	if (getgrnam_r(API_ADMIN_GROUP, &gr, text, sizeof text, &admin) || !admin)
		return false;
	wanted = admin->gr_gid;
	if (getpwuid_r(uid, &pw, text, sizeof text, &found) || !found)
		return false;
	if (getgrouplist(found->pw_name, found->pw_gid, groups, &n) < 0)
		n = GROUPS_MAX; /* in more than we look at */
	for (int i = 0; i < n; i++)
		if (groups[i] == wanted)
			return true;
	return false;
}

/* Looking it up reads files, or asks a directory service: once a minute and user. */
static bool is_admin(struct api *a, uid_t uid)
{
	int64_t now = clock_boot_us();
	struct admin *m;

	HASH_FIND(hh, a->admins, &uid, sizeof uid, m);
	if (m && now < m->until_us)
		return m->is_admin;
	if (!m) {
		if (HASH_COUNT(a->admins) >= ADMIN_CACHE_MAX)
			forget_admins(a);
		m = api_alloc(sizeof *m);
		m->uid = uid;
		HASH_ADD(hh, a->admins, uid, sizeof m->uid, m);
	}
	m->is_admin = in_admin_group(uid);
	m->until_us = now + ADMIN_CACHE_US;
	return m->is_admin;
}

bool api_admin(struct api *a, uid_t asker)
{
	return asker == 0 || asker == geteuid() || is_admin(a, asker);
}

bool api_refuse_others(struct http_request *r, const char *hint)
{
	struct err e;

	if (api_admin(http_arg(r), http_uid(r)))
		return false;
	err_set(&e, ERR_PERMISSION, hint,
		"only root, the user of fanoutd and members of " API_ADMIN_GROUP " may change limits");
	http_problem(r, &e);
	return true;
}

bool api_visible(struct api *a, uid_t asker, uint32_t owner)
{
	return asker == owner || api_admin(a, asker);
}

/* ---- long answers, submissions under way ---- */

bool api_stream_enter(struct api *a, struct err *e)
{
	if (a->draining || a->streams >= API_STREAMS_MAX) {
		err_set(e, ERR_BUSY, "try again in a moment", "%s",
			a->draining ? "the daemon is ending" : "there are too many open streams");
		return false;
	}
	a->streams++;
	return true;
}

void api_stream_leave(struct api *a)
{
	a->streams--;
}

unsigned api_streams(const struct api *a)
{
	return a->streams;
}

bool api_refuse_draining(struct http_request *r)
{
	struct api *a = http_arg(r);
	struct err e;

	if (!a->draining)
		return false;
	err_set(&e, ERR_BUSY, "submit it again when the daemon is back", "the daemon is ending");
	http_problem(r, &e);
	return true;
}

bool api_refuse_stopped(struct http_request *r)
{
	struct api *a = http_arg(r);
	struct err e;

	if (!a->stopped)
		return false;
	err_set(&e, ERR_BUSY, "look again when the daemon is back", "the daemon is ending");
	http_problem(r, &e);
	return true;
}

/* ---- looking a batch up ---- */

struct lookup {
	struct store_batch_get get;
	struct http_request *r;
	uint64_t job;
	bool found;
	struct api_batch batch;
	void (*then)(struct http_request *r, const struct api_batch *b);
};

static const char *copy(const char *s)
{
	char *c = strdup(s ? s : "");

	if (!c)
		BUG("out of memory for a batch");
	return c;
}

static void on_batch(struct store_batch_get *g, const struct store_batch *b)
{
	struct lookup *l = (struct lookup *)g;

	if (!api_visible(http_arg(l->r), http_uid(l->r), b->uid))
		return;
	l->found = true;
	l->batch.row = *b;
	l->batch.row.name = copy(b->name);
	l->batch.row.key = copy(b->key);
	l->batch.row.options = NULL;
	l->batch.chain = b->options && strstr(b->options, "\"chain\"") && spec_options_chain(b->options);
	l->batch.rate = api_batch_rate(b);
}

/* Another's batch and none are told apart by nobody. */
static void not_found(const struct lookup *l, struct err *e)
{
	char name[JOBID_TEXT_SIZE];

	if (l->job)
		err_set(e, ERR_NOT_FOUND, "fanoutctl results lists a batch's jobs", "there is no job %s",
			jobid_format(name, l->job));
	else
		err_set(e, ERR_NOT_FOUND, "fanoutctl status lists yours", "there is no batch %u", l->get.batch);
}

static void on_looked_up(struct store_op *op, const struct err *e)
{
	struct lookup *l = (struct lookup *)op;
	struct err missing;

	if (e && e->code != ERR_NOT_FOUND) {
		http_problem(l->r, e);
	} else if (!l->found) {
		not_found(l, &missing);
		http_problem(l->r, &missing);
	} else {
		l->then(l->r, &l->batch);
	}
	free((void *)(uintptr_t)l->batch.row.name);
	free((void *)(uintptr_t)l->batch.row.key);
	free(l);
}

void api_with_batch(struct http_request *r, uint32_t batch, uint64_t job,
		    void (*then)(struct http_request *r, const struct api_batch *b))
{
	struct lookup *l;

	if (api_refuse_stopped(r))
		return;
	l = api_alloc(sizeof *l);
	l->get.op.done = on_looked_up;
	l->get.batch = batch;
	l->get.on_row = on_batch;
	l->r = r;
	l->job = job;
	l->then = then;
	store_batch_get(api_store(http_arg(r)), &l->get);
}

/* ---- small things ---- */

int api_query_number(struct http_request *r, const char *name, int64_t min, int64_t max, int64_t missing, int64_t *out,
		     struct err *e)
{
	const char *text = http_query(r, name);
	char *end;

	*out = missing;
	if (!text)
		return 0;
	errno = 0;
	*out = strtoll(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || *out < min || *out > max)
		return err_set(e, ERR_INPUT, NULL, "%s=%.40s is not a whole number from %lld to %lld", name, text,
			       (long long)min, (long long)max);
	return 0;
}

int api_query_left_out(struct http_request *r, enum job_reason *reason, struct err *e)
{
	int64_t unsafe;

	if (api_query_number(r, "unsafe", 0, 1, 0, &unsafe, e) < 0)
		return -1;
	*reason = unsafe ? REASON_NONE : REASON_UNKNOWN_OUTCOME;
	return 0;
}
