/* Batches and results as the API shows them. Two things are added to what the store has: a job whose attempt was opened
 * ahead of its turn waits, to everybody else; and what a batch waits for has a say in when it will end. */
#define _GNU_SOURCE 1

#include <event2/buffer.h>
#include <string.h>

#include "daemon/api.h"
#include "daemon/engine_run.h"
#include "daemon/forecast.h"
#include "daemon/render.h"
#include "daemon/spec.h"
#include "lib/clock.h"

#define WAITS_LOOKED_AT 16

void api_reply_json(struct http_request *r, int status, json_t *json)
{
	struct evbuffer *body = evbuffer_new();

	render_write(body, json, true);
	http_reply(r, status, "application/json", body);
	evbuffer_free(body);
}

/* ---- forecasts ---- */

struct rate api_batch_rate(const struct store_batch *b)
{
	struct spec_policy policy = {0};

	if (b->options && strstr(b->options, "\"rate\""))
		spec_batch_policy(b->options, &policy);
	return policy.rate;
}

/* engine_run_begin.c calls the batches of runs so. */
#define RUN_PREFIX "pull "

void api_pull_limit(const struct store_batch *b, const struct rate *rate, char *out)
{
	const size_t n = sizeof RUN_PREFIX - 1;

	*out = '\0';
	if (b->run && rate->count && strncmp(b->name, RUN_PREFIX, n) == 0)
		engine_pull_limit_name(out, b->name + n, rate);
}

/* What the limits of one host say of the jobs that wait for it. */
struct outlook {
	const struct engine_wait *waits;
	unsigned wait_count;
	int64_t jobs, now_us;  /* CLOCK_BOOTTIME */
	int64_t rivals;        /* of other batches, that go before the last of them; of the limit looked at */
	int64_t last_start_us; /* 0: nothing holds them back */
	char own[ENGINE_PULL_LIMIT_SIZE]; /* api_pull_limit() */
};

static void look_at(struct outlook *o, const struct forecast_window *w)
{
	int64_t us = forecast_last_start_us(w, o->jobs + o->rivals, o->now_us);

	if (us > o->last_start_us)
		o->last_start_us = us;
}

static void look_at_all(struct outlook *o, const struct limit *state, bool pace, int64_t rivals)
{
	struct limit_window w[LIMIT_WINDOWS_MAX];
	unsigned n = limit_windows(state, o->now_us, w);

	o->rivals = rivals;
	for (unsigned i = 0; i < n; i++) {
		struct forecast_window f = {w[i].rate.count, w[i].rate.window_us, w[i].used, w[i].free_us, pace};

		look_at(o, &f);
	}
}

static const struct engine_wait *wait_for(const struct outlook *o, const char *limit)
{
	for (unsigned i = 0; i < o->wait_count; i++)
		if (strcmp(o->waits[i].limit, limit) == 0)
			return &o->waits[i];
	return NULL;
}

/* Which of the jobs a path matches is not known: such a rule counts where it is what they wait for. */
static void on_state(void *arg, const struct rule *rule, const char *host, const struct limit *state, unsigned waiting,
		     int64_t rivals)
{
	struct outlook *o = arg;

	(void)host;
	(void)waiting;
	if (rule->source == RULE_PULL && strcmp(rule->name, o->own) != 0)
		return;
	if (!rule->parsed.path[0] || wait_for(o, rule->name))
		look_at_all(o, state, rule->limit.pace, rivals);
}

static void on_host(void *arg, const char *host, const struct limit *state, const struct throttle *throttle,
		    int64_t rivals)
{
	(void)host;
	(void)throttle;
	look_at_all(arg, state, false, rivals);
}

static void on_rule(void *arg, const struct rule *rule)
{
	(void)arg;
	(void)rule;
}

/* Of the batch's own rate only this is known: how many of its requests have been made, and what it waits for. */
static void look_at_own(struct outlook *o, const struct store_batch *b, const struct rate *rate)
{
	int64_t made = b->counts[JOB_RUNNING] + b->counts[JOB_DONE] + b->counts[JOB_FAILED];
	struct forecast_window f = {.count = rate->count, .window_us = rate->window_us, .used = made};
	char name[ENGINE_PULL_LIMIT_SIZE];
	const struct engine_wait *wait = wait_for(o, engine_batch_limit_name(name, b->id));

	if (wait && wait->until_us) {
		f.used = rate->count;
		f.free_us = clock_boot_of(wait->until_us);
	}
	look_at(o, &f);
}

/* When the last of those that wait for one host can begin; wall, 0 where no rate holds them back. */
static int64_t last_start_us(const struct api *a, const struct store_batch *b, const struct rate *rate,
			     const struct engine_wait *waits, unsigned n)
{
	struct outlook o = {.waits = waits,
			    .wait_count = n,
			    .jobs = b->counts[JOB_QUEUED] + b->counts[JOB_BLOCKED],
			    .now_us = clock_boot_us()};
	struct engine_limits_visitor v = {
	    .arg = &o, .batch = b->id, .jobs = o.jobs, .on_rule = on_rule, .on_state = on_state, .on_host = on_host};

	api_pull_limit(b, rate, o.own);
	engine_limits_visit(api_engine(a), waits[0].host, &v);
	o.rivals = 0;
	if (!b->run)
		look_at_own(&o, b, rate);
	return o.last_start_us ? clock_wall_of(o.last_start_us) : 0;
}

static bool is_rate(enum engine_why why)
{
	return why == WHY_RATE || why == WHY_PACE || why == WHY_LEARNED;
}

static int64_t later(int64_t x, int64_t y)
{
	return x > y ? x : y;
}

/* With jobs for several hosts it is not known how many are for which: then only the speed so far is there to go by. */
static int64_t eta_us(const struct api *a, const struct store_batch *b, const struct rate *rate)
{
	int64_t quiet = engine_batch_quiet_us(api_engine(a), b->id), until = 0, last = 0;
	int64_t past = render_eta_us(b, quiet, clock_wall_us());
	struct engine_wait waits[WAITS_LOOKED_AT];
	bool rated = false, one_host = true;
	unsigned n;

	if (b->ended_us || b->sweep != STORE_SWEEP_NONE || b->paused || (b->held && !b->closed) ||
	    !(b->counts[JOB_QUEUED] + b->counts[JOB_BLOCKED]))
		return past;
	n = engine_explain_batch(api_engine(a), b, waits, WAITS_LOOKED_AT);
	for (unsigned i = 0; i < n; i++) {
		if (waits[i].failing) /* nobody knows when it goes again */
			return 0;
		until = later(until, waits[i].until_us);
		rated |= is_rate(waits[i].why);
		one_host &= strcmp(waits[i].host, waits[0].host) == 0;
	}
	if (n && one_host && waits[0].host[0])
		last = last_start_us(a, b, rate, waits, n);
	if (last && rated)
		return later(last, until);
	return past || last ? later(later(past, last), until) : 0;
}

static int64_t count_all(const struct store_batch *b)
{
	int64_t n = 0;

	for (int s = 0; s < JOB_STATES; s++)
		n += b->counts[s];
	return n;
}

/* Of a run also those pages count that there is no job for yet; where their number is not told nobody knows its end. */
int64_t api_eta_us(const struct api *a, const struct store_batch *b, const struct rate *rate)
{
	struct store_batch whole = *b;
	int64_t pages;

	if (engine_storage_full(api_engine(a)))
		return 0;
	if (b->run) {
		pages = engine_run_pages_told(api_engine(a), b->id);
		if (pages < 0)
			return 0;
		if (pages > count_all(b))
			whole.counts[JOB_QUEUED] += pages - count_all(b);
	}
	return eta_us(a, &whole, rate);
}

int64_t api_start_us(const struct api *a, const struct store_batch *b, const struct rate *rate,
		     const struct engine_wait *wait)
{
	struct store_batch before = *b;

	if (wait->failing || wait->ahead < 0)
		return 0;
	if (wait->ahead == 0)
		return wait->until_us;
	before.counts[JOB_QUEUED] = wait->ahead + 1;
	return eta_us(a, &before, rate);
}

/* ---- what is shown ---- */

struct store_batch api_shown_batch(const struct api *a, const struct store_batch *b)
{
	int64_t staged = engine_batch_staged(api_engine(a), b->id);
	struct store_batch shown = *b;

	if (staged > shown.counts[JOB_RUNNING])
		staged = shown.counts[JOB_RUNNING];
	shown.counts[JOB_RUNNING] -= staged;
	shown.counts[JOB_QUEUED] += staged;
	if (shown.run && shown.run_state == RUN_RUNNING && engine_run_waits(api_engine(a), b->id))
		shown.run_state = RUN_WAITING;
	return shown;
}

json_t *api_render_batch(const struct api *a, const struct store_batch *b, const struct rate *rate)
{
	struct store_batch shown = api_shown_batch(a, b);

	json_t *o = render_batch(&shown, api_eta_us(a, &shown, rate));
	int64_t pages = b->run ? engine_run_pages_told(api_engine(a), b->id) : -1;
	bool ended = b->ended_us && b->sweep == STORE_SWEEP_NONE;

	json_object_set_new(o, "expected", pages < 0 ? json_null() : json_integer(pages));
	json_object_set_new(o, "stalled",
			    !ended && engine_storage_full(api_engine(a)) ? json_string("storage") : json_null());
	return o;
}

void api_reply_batch(struct http_request *r, const struct api_batch *b)
{
	api_reply_json(r, 200, api_render_batch(http_arg(r), &b->row, &b->rate));
}

enum job_state api_shown_state(const struct api *a, const struct store_result *row)
{
	bool ahead = row->state == JOB_RUNNING && engine_job_staged(api_engine(a), row->job);

	return ahead ? JOB_QUEUED : row->state;
}

struct store_result api_shown_result(const struct api *a, const struct store_result *row)
{
	struct store_result shown = *row;

	shown.state = api_shown_state(a, row);
	shown.attempts += shown.state == JOB_RUNNING; /* the one that is open */
	return shown;
}
