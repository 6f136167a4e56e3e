/* Why something waits, and what the limits are doing: for people, from what the scheduler and the limits say
 * themselves. It changes nothing. */
#include <stdio.h>
#include <string.h>

#include "daemon/engine_limit.h"
#include "daemon/engine_private.h"
#include "daemon/render.h"
#include "lib/clock.h"

/* ---- one wait ---- */

static const char *const why_names[] = {
    [WHY_TURN] = "turn",
    [WHY_RATE] = "rate",
    [WHY_LEARNED] = "learned",
    [WHY_PACE] = "pace",
    [WHY_CONCURRENCY] = "concurrency",
    [WHY_PAUSE] = "pause",
    [WHY_PROBE] = "probe",
    [WHY_BATCH_CONCURRENCY] = "batch_concurrency",
    [WHY_HOST_CONCURRENCY] = "host_concurrency",
    [WHY_CREDIT] = "credit",
    [WHY_CHAIN] = "chain",
    [WHY_DUE] = "due",
    [WHY_HELD] = "held",
    [WHY_PAUSED] = "paused",
    [WHY_STORAGE] = "storage",
    [WHY_RUN] = "run",
    [WHY_ANSWER] = "answer",
    [WHY_TOTAL] = "total",
    [WHY_MEMORY] = "memory",
    [WHY_READING] = "reading",
};
_Static_assert(sizeof why_names / sizeof why_names[0] == ENGINE_WHYS, "every why has a name");

const char *engine_why_name(enum engine_why why)
{
	return why_names[why];
}

static const struct {
	enum engine_why why;
	const char *text;
} words[SCHED_WAITS] = {
    [SCHED_READY] = {WHY_TURN, "it goes as soon as its turn comes"},
    [SCHED_EMPTY] = {WHY_TURN, "it is about to be loaded"},
    [SCHED_PAUSED] = {WHY_PAUSED, "its batch is paused"},
    [SCHED_BATCH_CAP] = {WHY_BATCH_CONCURRENCY, "its batch has as many requests under way as it may"},
    [SCHED_HOST_CAP] = {WHY_HOST_CONCURRENCY, "its host has as many requests under way as the default allows"},
    [SCHED_LIMIT_CAP] = {WHY_CONCURRENCY, "a limit's concurrency is used up"},
};

/* What of a limit holds it back. */
static const struct {
	enum engine_why why;
	const char *text;
} holds[LIMIT_HOLDS] = {
    [LIMIT_FREE] = {WHY_TURN, "it goes as soon as its turn comes"},
    [LIMIT_CONCURRENCY] = {WHY_CONCURRENCY, "the concurrency of %s is used up"},
    [LIMIT_RATE] = {WHY_RATE, "the rate of %s is used up"},
    [LIMIT_LEARNED] = {WHY_LEARNED, "the rate that the host told is used up"},
    [LIMIT_PACE] = {WHY_PACE, "%s spreads its requests evenly"},
    [LIMIT_PROBE] = {WHY_PROBE, "the host refused; one request is out to see whether it answers again"},
    [LIMIT_PAUSE] = {WHY_PAUSE, "the host refused, or told that nothing is left for now"},
};

static void put(struct engine_wait *w, enum engine_why why, const char *text)
{
	w->why = why;
	snprintf(w->text, sizeof w->text, "%s", text);
}

/* A limit's user is its engine_limit, or, for a host's own, its engine_host. */
static const struct engine_limit *limit_of(const struct engine *en, const struct sched_limit *sl)
{
	for (const struct engine_limit *l = en->limits; l; l = l->hh.next)
		if (l->sched == sl)
			return l;
	return NULL;
}

/* " (100/1min)", of several rates the one that ends last; "" where the limit's name has it. */
static const char *used_up(char *out, size_t size, const struct engine_limit *l, int64_t now_us)
{
	struct limit_window w[LIMIT_WINDOWS_MAX], last = {0};
	unsigned n = limit_windows(sched_limit_state(l->sched), now_us, w);
	char rate[RENDER_RATE_SIZE];

	for (unsigned i = 0; i < n; i++)
		if (!w[i].learned && w[i].free_us > last.free_us)
			last = w[i];
	*out = '\0';
	if (last.free_us && l->batch != ENGINE_LIMIT_OF_PULL)
		snprintf(out, size, " (%s)", render_rate(rate, &last.rate));
	return out;
}

/* What the host said to be left alone for. Of a pause from before a restart it is not known. */
static void put_pause(const struct engine_host *h, struct engine_wait *w)
{
	if (h && h->paused_by > 0)
		snprintf(w->text, sizeof w->text, "the host refused with %d%s", h->paused_by,
			 h->pause_told ? " and told for how long" : ", and did not tell for how long");
	else if (h && h->paused_by == ENGINE_SPENT)
		snprintf(w->text, sizeof w->text, "the host told that nothing is left for now");
}

static void put_limit(const struct engine *en, struct engine_wait *w, const struct sched_waiting *s, int64_t now_us)
{
	const struct engine_limit *l = limit_of(en, s->limit);
	const char *name = l ? l->name : "the host";
	const char *mark = strstr(holds[s->hold].text, "%s");
	char rate[RENDER_RATE_SIZE + sizeof " ()"] = "";

	w->why = holds[s->hold].why;
	if (l)
		snprintf(w->limit, sizeof w->limit, "%s", l->name);
	if (l && s->hold == LIMIT_RATE)
		used_up(rate, sizeof rate, l, now_us);
	if (mark)
		snprintf(w->text, sizeof w->text, "%.*s%.100s%s%s", (int)(mark - holds[s->hold].text),
			 holds[s->hold].text, name, mark + 2, rate);
	else
		snprintf(w->text, sizeof w->text, "%s", holds[s->hold].text);
	if (s->hold == LIMIT_PAUSE)
		put_pause(engine_host_find(en, w->host), w);
}

static int64_t wall_of(int64_t boot_us, int64_t now_us)
{
	return boot_us == CLOCK_NEVER || boot_us <= now_us ? 0 : engine_wall_us(boot_us);
}

static void explain_track(const struct engine *en, const struct engine_track *t, struct engine_wait *w)
{
	int64_t now = clock_boot_us();
	struct sched_waiting s = sched_lane_wait(en->sched, t->sched, now);

	*w = (struct engine_wait){.until_us = wall_of(s.until_us, now)};
	snprintf(w->host, sizeof w->host, "%s", t->lane->host);
	if (s.limit)
		put_limit(en, w, &s, now);
	else if (s.wait == SCHED_READY && pool_credit(en->pool) == 0)
		put(w, WHY_CREDIT, "the workers have as much to do as they can take");
	else
		put(w, words[s.wait].why, words[s.wait].text);
	if (s.wait == SCHED_EMPTY && t->lane->next_due_us != INT64_MAX && t->lane->next_due_us > clock_wall_us()) {
		put(w, WHY_DUE, "what is left was put off, after attempts that failed or that a restart cut off");
		if (t->lane->failing.error)
			snprintf(w->text, sizeof w->text,
				 "what is left was put off after attempts that failed, at last: %s",
				 t->lane->failing.error);
		w->until_us = t->lane->next_due_us;
	}
}

bool engine_storage_full(const struct engine *en)
{
	return en->trouble;
}

/* It holds up everything: also what only waits for its end to be stored, or for being cancelled. */
bool engine_explain_storage(const struct engine *en, struct engine_wait *w)
{
	*w = (struct engine_wait){.why = WHY_NONE};
	if (en->trouble)
		put(w, WHY_STORAGE, ENGINE_STORAGE_TEXT);
	return en->trouble;
}

/* What holds a whole batch. */
static bool explain_stop(const struct engine *en, const struct store_batch *b, struct engine_wait *w)
{
	const struct engine_batch *live = engine_batch_find(en, b->id);

	*w = (struct engine_wait){.why = WHY_NONE};
	if (b->held && !b->closed)
		put(w, WHY_HELD, "its batch is held until it is closed");
	else if (b->paused)
		put(w, WHY_PAUSED, "its batch is paused; fanoutctl resume lets it go on");
	else if (live)
		engine_run_explain_unread(live, w);
	return w->why != WHY_NONE;
}

/* What fails comes before what a limit says: it is why nothing gets on. */
static unsigned explain_lane(const struct engine *en, const struct engine_lane *lane, int64_t left,
			     struct engine_wait *out, unsigned room)
{
	bool more = lane->fresh || lane->next_due_us != INT64_MAX || lane->staging > 0;
	bool failing = room > 0 && engine_failing_explain(lane, left, &out[0]);
	unsigned n = failing;

	for (const struct engine_track *t = lane->tracks; t && n < room; t = t->next) {
		if (sched_lane_loaded(t->sched) == 0 && !(t == lane->tracks && more))
			continue;
		explain_track(en, t, &out[n]);
		n += !failing || out[n].why != WHY_DUE;
	}
	return n;
}

static int64_t unfinished(const struct store_batch *b)
{
	return b->counts[JOB_BLOCKED] + b->counts[JOB_QUEUED] + b->counts[JOB_RUNNING];
}

unsigned engine_explain_batch(const struct engine *en, const struct store_batch *b, struct engine_wait *out,
			      unsigned room)
{
	const struct engine_batch *live = engine_batch_find(en, b->id);
	const struct engine_lane *lane;
	unsigned n = 0;

	if (room == 0)
		return 0;
	if (engine_explain_storage(en, &out[0]))
		return 1;
	if (b->counts[JOB_QUEUED] + b->counts[JOB_BLOCKED] == 0)
		return 0;
	if (explain_stop(en, b, &out[0]))
		return 1;
	if (!live)
		return 0;
	LIST_FOREACH (lane, &live->lanes, of_batch)
		n += explain_lane(en, lane, unfinished(b), out + n, room - n);
	return n;
}

/* A limit's doing, the host's, or that attempts fail; the rest is that others go first. */
static bool is_hold(const struct engine_wait *w)
{
	return *w->limit || w->why == WHY_DUE || w->why == WHY_PAUSE || w->why == WHY_PROBE || w->why == WHY_LEARNED;
}

bool engine_explain_held(const struct engine_batch *b, struct engine_wait *w)
{
	const struct engine_lane *lane;

	*w = (struct engine_wait){.why = WHY_NONE};
	if (b->paused)
		put(w, WHY_PAUSED, "it was paused");
	LIST_FOREACH (lane, &b->lanes, of_batch) {
		if (w->why || engine_failing_explain(lane, INT64_MAX, w))
			break;
		for (const struct engine_track *t = lane->tracks; t && !w->why; t = t->next) {
			explain_track(b->en, t, w);
			if (!is_hold(w))
				w->why = WHY_NONE;
		}
	}
	return w->why != WHY_NONE;
}

/* How many jobs of its batch go before it; -1: not known. Fresh ones of a host go by their numbers, and those that are
 * tried again before them; of several hosts, tracks or chains a number says nothing, nor of what is staged. */
static int64_t jobs_ahead(const struct engine_batch *live, const struct store_result *row, const struct store_batch *b)
{
	const struct engine_lane *lane = live ? LIST_FIRST(&live->lanes) : NULL;
	int64_t others = b->counts[JOB_QUEUED] - 1, ahead;
	uint64_t begun;

	if (others <= 0 || row->attempts > 0 || row->due_us > 0)
		return 0;
	if (!lane || LIST_NEXT(lane, of_batch) || lane->tracks->next || live->staged > 0 || b->counts[JOB_BLOCKED] > 0)
		return -1;
	begun = lane->top > lane->head ? lane->top : lane->head;
	begun = begun > jobid_make(b->id, 0) ? begun : jobid_make(b->id, 0);
	ahead = row->job > begun ? (int64_t)(row->job - begun) - 1 : 0;
	return ahead < others ? ahead : others;
}

/* What the host's turn waits for is not what a job at the end of its queue waits for. */
static void explain_place(const struct engine_batch *live, const struct store_result *row, const struct store_batch *b,
			  struct engine_wait *w)
{
	char text[sizeof w->text];

	w->ahead = jobs_ahead(live, row, b);
	if (w->ahead == 0)
		return;
	w->until_us = 0;
	memcpy(text, w->text, sizeof text);
	if (w->ahead > 0)
		snprintf(w->text, sizeof w->text, "%lld other%s of its batch go%s first; %.200s", (long long)w->ahead,
			 w->ahead == 1 ? "" : "s", w->ahead == 1 ? "es" : "", text);
	else
		snprintf(w->text, sizeof w->text, "others of its batch may go first; %.200s", text);
}

static const struct engine_track *track_of(const struct engine_job *j, const struct engine_batch *live)
{
	const struct engine_lane *lane = live ? LIST_FIRST(&live->lanes) : NULL;

	if (j && j->track)
		return j->track;
	return lane && !LIST_NEXT(lane, of_batch) ? lane->tracks : NULL;
}

unsigned engine_explain_job(const struct engine *en, const struct store_result *row, const struct store_batch *b,
			    struct engine_wait *out)
{
	const struct engine_job *j = engine_job_find(en, row->job);
	const struct engine_batch *live = engine_batch_find(en, b->id);
	const struct engine_track *t = track_of(j, live);
	bool staged = j && engine_phase_staged(j->phase);

	if (job_state_final(row->state))
		return 0;
	if (engine_explain_storage(en, out))
		return 1;
	if (row->state == JOB_RUNNING && !staged)
		return 0;
	if (explain_stop(en, b, out))
		return 1;
	if (row->state == JOB_BLOCKED) {
		put(out, WHY_CHAIN, "an earlier job of its chain has not ended");
	} else if (row->due_us > clock_wall_us()) {
		put(out, WHY_DUE, "it was put off after a failed attempt, or until its host takes requests again");
		if (row->error && *row->error)
			snprintf(out->text, sizeof out->text, "it was put off after attempt %u failed: %.180s",
				 row->attempts, row->error);
		out->until_us = row->due_us;
	} else if (t && engine_failing_explain(t->lane, unfinished(b), out)) {
		out->until_us = 0; /* of others */
		out->ahead = -1;
	} else if (t) {
		explain_track(en, t, out);
		explain_place(live, row, b, out);
	} else {
		put(out, WHY_TURN, "others of its batch and host go first");
		out->ahead = -1;
	}
	return 1;
}

/* ---- the limits ---- */

static int64_t rivals(const struct engine *en, const struct sched_limit *l, const struct engine_limits_visitor *v)
{
	const struct engine_batch *b = v->batch ? engine_batch_find(en, v->batch) : NULL;

	return b ? sched_limit_rivals(l, b->sched, v->jobs) : 0;
}

static void visit_rule(const struct engine *en, const struct rule *r, const char *host,
		       const struct engine_limits_visitor *v)
{
	v->on_rule(v->arg, r);
	if (r->shadowed)
		return;
	for (const struct engine_limit *l = en->limits; l; l = l->hh.next) {
		if (l->batch || strcmp(l->name, r->name) != 0 || (host && strcmp(l->host, host) != 0))
			continue;
		v->on_state(v->arg, r, l->host, sched_limit_state(l->sched), sched_limit_waiting(l->sched),
			    rivals(en, l->sched, v));
	}
}

/* The rates of pulls, as rules of their own: each once, with its state for every host. */
static bool is_first(const struct engine_limit *l, const char *host)
{
	for (const struct engine_limit *p = l->hh.prev; p; p = p->hh.prev)
		if (p->batch == ENGINE_LIMIT_OF_PULL && strcmp(p->name, l->name) == 0 &&
		    (!host || strcmp(p->host, host) == 0))
			return false;
	return true;
}

static void visit_pull(const struct engine *en, const struct engine_limit *first, const char *host,
		       const struct engine_limits_visitor *v)
{
	struct rule rule = {.name = first->name, .match = "", .source = RULE_PULL};

	rule.limit = *limit_get_rule(sched_limit_state(first->sched));
	v->on_rule(v->arg, &rule);
	for (const struct engine_limit *l = first; l; l = l->hh.next)
		if (l->batch == ENGINE_LIMIT_OF_PULL && strcmp(l->name, first->name) == 0 &&
		    (!host || strcmp(l->host, host) == 0))
			v->on_state(v->arg, &rule, l->host, sched_limit_state(l->sched), sched_limit_waiting(l->sched),
				    rivals(en, l->sched, v));
}

static void visit_own(const struct engine *en, const char *host, const struct engine_limits_visitor *v)
{
	for (const struct engine_limit *l = en->limits; l; l = l->hh.next) {
		struct rule rate = {.name = l->name, .match = "", .source = RULE_BATCH};

		if (l->batch == ENGINE_LIMIT_OF_PULL || (host && strcmp(l->host, host) != 0) ||
		    !engine_batch_find(en, l->batch))
			continue;
		rate.limit = *limit_get_rule(sched_limit_state(l->sched));
		v->on_own(v->arg, l->batch, &rate, l->host, sched_limit_state(l->sched), sched_limit_waiting(l->sched));
	}
}

/* A rule with a path counts too: some of the host's requests may match it. */
static bool concerns(const struct engine *en, unsigned index, const char *host)
{
	return rules_may_match(en->rules, index, host);
}

void engine_limits_visit(const struct engine *en, const char *host, const struct engine_limits_visitor *v)
{
	for (unsigned i = 0; i < rules_count(en->rules); i++)
		if (!host || concerns(en, i, host))
			visit_rule(en, rules_get(en->rules, i), host, v);
	for (const struct engine_limit *l = en->limits; l; l = l->hh.next)
		if (l->batch == ENGINE_LIMIT_OF_PULL && (!host || strcmp(l->host, host) == 0) && is_first(l, host))
			visit_pull(en, l, host, v);
	if (v->on_own)
		visit_own(en, host, v);
	for (const struct engine_host *h = en->hosts; h; h = h->hh.next)
		if (!host || strcmp(h->name, host) == 0)
			v->on_host(v->arg, h->name, sched_limit_state(h->sched), &h->throttle, rivals(en, h->sched, v));
}
