/* The API's handlers: what each path of docs/API.md does, one file per resource. They turn requests into operations of
 * the store and the engine, and what comes back into JSON. They hold no state of jobs or batches.
 *
 *   api.c          the table of routes, who may see what, small common things
 *   api_submit.c   making a batch, adding jobs
 *   api_check.c    which lines would be refused as jobs
 *   api_batches.c  reading batches, marks, waits
 *   api_stream.c   an answer of many rows, step by step
 *   api_results.c  the results of a batch
 *   api_events.c   server-sent events
 *   api_jobs.c     one job, its attempts, its body
 *   api_limits.c   rules and their state, setting them
 *   api_explain.c  why something waits
 *   api_audit.c    the record of one host
 *   api_hosts.c    of which hosts there is one
 *   api_show.c     batches and results as they are shown, forecasts
 *   api_pulls.c    recipes
 *   api_pull_run.c starting runs, the state between them
 *   api_run_show.c one run, live or ended
 *   api_runs.c     lists of runs, and their pages
 *   api_daemon.c   health, stats, metrics */
#ifndef FANOUT_DAEMON_API_H
#define FANOUT_DAEMON_API_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/http.h"
#include "daemon/store.h"

#define API_STREAMS_MAX 512 /* results, events and waits at a time */
#define API_ADMIN_GROUP "fanout-admin"

struct api;
struct engine;
struct engine_wait;
struct event_base;
struct watch;

struct api_settings {
	struct event_base *base;
	struct engine *engine;
	struct watch *watch;
};

struct api *api_create(const struct api_settings *set);
void api_free(struct api *a);
/* For http_open: the routes, whose handlers expect the api as http_arg. */
const struct http_route *api_routes(void);
/* For health, metrics and the count of connections. */
void api_set_http(struct api *a, struct http *h);
/* From now on nothing new is taken (503). */
void api_drain(struct api *a);
/* The store is about to be closed: what is under way ends here. */
void api_stop(struct api *a);

/* ---- between the handlers' files ---- */

/* Who may see and change what belongs to `owner`. */
bool api_visible(struct api *a, uid_t asker, uint32_t owner);
bool api_admin(struct api *a, uid_t asker);
struct engine *api_engine(const struct api *a);
struct store *api_store(const struct api *a);
struct watch *api_watch(const struct api *a);
struct http *api_http(const struct api *a);
bool api_draining(const struct api *a);
bool api_stopped(const struct api *a);

/* A place among the long answers; false when there is none left. */
bool api_stream_enter(struct api *a, struct err *e);
void api_stream_leave(struct api *a);
unsigned api_streams(const struct api *a);

/* What a handler knows of a batch: a copy, the strings too. */
struct api_batch {
	struct store_batch row; /* .options is NULL */
	bool chain;             /* all its jobs are one chain */
	struct rate rate;       /* of its own; count 0: none */
};
/* Reads the batch, answers 404 when there is none or it is another's, else goes on with `then`, for as long as the
 * batch's copy lives. `job`: 0, or the job that the 404 has to name. */
void api_with_batch(struct http_request *r, uint32_t batch, uint64_t job,
		    void (*then)(struct http_request *r, const struct api_batch *b));

void api_reply_json(struct http_request *r, int status, json_t *json); /* takes the reference */
void api_reply_batch(struct http_request *r, const struct api_batch *b);
/* As render_batch and as stored, but a job whose attempt was opened ahead of its turn waits. */
json_t *api_render_batch(const struct api *a, const struct store_batch *b, const struct rate *rate);
struct rate api_batch_rate(const struct store_batch *b);
/* The name of its pull's rate, which the batch of a run counts against: to `out`, of ENGINE_PULL_LIMIT_SIZE bytes; ""
 * where it is no run, or has none. */
void api_pull_limit(const struct store_batch *b, const struct rate *rate, char *out);
/* The forecast, of what is shown (api_shown_batch): by the speed so far, or by the limits that it waits for. */
int64_t api_eta_us(const struct api *a, const struct store_batch *shown, const struct rate *rate);
/* When a job of it that waits for this will start, as far as can be told; wall, 0: not known. */
int64_t api_start_us(const struct api *a, const struct store_batch *shown, const struct rate *rate,
		     const struct engine_wait *wait);
struct store_batch api_shown_batch(const struct api *a, const struct store_batch *b);
struct store_result api_shown_result(const struct api *a, const struct store_result *row);
enum job_state api_shown_state(const struct api *a, const struct store_result *row);
/* Refuses (503) while draining; true when it did. */
bool api_refuse_draining(struct http_request *r);
/* The same for reads, when the store is being closed. */
bool api_refuse_stopped(struct http_request *r);
/* Refuses (403) who may not change limits, with what else they can do; true when it did. */
bool api_refuse_others(struct http_request *r, const char *hint);
/* The query's host, as a limit key ("a.example:443"); "" where it was not given. */
int api_query_host(struct http_request *r, char *key, struct err *e);
/* Of a retry: which failed jobs stay as they are. Those whose outcome is unknown, unless it says unsafe=1. */
int api_query_left_out(struct http_request *r, enum job_reason *reason, struct err *e);
/* A whole number of the query, or `missing`. */
int api_query_number(struct http_request *r, const char *name, int64_t min, int64_t max, int64_t missing, int64_t *out,
		     struct err *e);
void *api_alloc(size_t n);
/* A new reference each. */
#define API_WAITS_MAX 100
json_t *api_render_waits(const struct engine_wait *waits, unsigned n);
struct store_run;
struct store_pull_state;
json_t *api_render_pull_state(const struct store_pull_state *row);
json_t *api_render_run(const struct api *a, const struct store_run *row);

/* ---- handlers ---- */

void api_batch_create(struct http_request *r);
void api_jobs_add(struct http_request *r);
void api_jobs_check(struct http_request *r);
void api_batch_list(struct http_request *r);
void api_batch_get(struct http_request *r);
void api_batch_close(struct http_request *r);
void api_batch_cancel(struct http_request *r);
void api_batch_retry(struct http_request *r);
void api_batch_pause(struct http_request *r);
void api_batch_resume(struct http_request *r);
void api_batch_remove(struct http_request *r);
void api_batch_wait(struct http_request *r);
void api_results(struct http_request *r);
void api_events(struct http_request *r);
void api_job_get(struct http_request *r);
void api_job_attempts(struct http_request *r);
void api_job_body(struct http_request *r);
void api_job_cancel(struct http_request *r);
void api_job_retry(struct http_request *r);
void api_batch_explain(struct http_request *r);
void api_job_explain(struct http_request *r);
void api_limits_get(struct http_request *r);
void api_limits_resume(struct http_request *r);
void api_limit_put(struct http_request *r);
void api_limit_delete(struct http_request *r);
void api_audit(struct http_request *r);
void api_batch_hosts(struct http_request *r);
void api_hosts(struct http_request *r);
void api_pull_list(struct http_request *r);
void api_pull_get(struct http_request *r);
void api_pull_runs(struct http_request *r);
void api_pull_state_get(struct http_request *r);
void api_pull_state_put(struct http_request *r);
void api_run_create(struct http_request *r);
void api_run_list(struct http_request *r);
void api_run_get(struct http_request *r);
void api_run_pages(struct http_request *r);
/* Calls `then` where there is such a run, and it is the asker's to see. NULL: answers with the run. */
void api_with_run(struct http_request *r, void (*then)(struct http_request *r, uint32_t run));
void api_health(struct http_request *r);
void api_stats(struct http_request *r);
void api_metrics(struct http_request *r);

#endif
