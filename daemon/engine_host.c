/* What hosts have said of themselves: the record of each that refused or told a limit, in memory and in the store. What
 * is kept there is a pause that lasts and a learned rate; what is over is removed. */
#include <string.h>

#include "daemon/engine_limit.h"
#include "lib/clock.h"
#include "lib/log.h"

/* A learned rate is told again by every answer: its row is written anew only when it would be this much too short. */
#define LEARNED_SLACK_US 600000000LL

struct engine_host *engine_host_find(const struct engine *en, const char *host)
{
	struct engine_host *h;

	HASH_FIND_STR(en->hosts, host, h);
	return h;
}

/* Its limit is attached to every key of the host; what is in flight counts. */
struct engine_host *engine_host_get(struct engine *en, const char *name)
{
	static const struct limit_rule none;
	struct engine_host *h = engine_host_find(en, name);

	if (h)
		return h;
	h = calloc(1, sizeof *h + strlen(name) + 1);
	if (!h)
		abort();
	strcpy(h->name, name);
	h->sched = sched_limit_create(en->sched, &none, h);
	HASH_ADD_STR(en->hosts, name, h);
	engine_host_attach(en, name);
	return h;
}

/* ---- what is kept ---- */

static bool same_rate(const struct rate *a, const struct rate *b)
{
	return a->count == b->count && a->window_us == b->window_us;
}

static bool worth_writing(const struct store_host *now, const struct store_host *kept)
{
	return now->paused_until_us != kept->paused_until_us || now->hits != kept->hits ||
	       !same_rate(&now->learned, &kept->learned) ||
	       now->learned_until_us > kept->learned_until_us + LEARNED_SLACK_US;
}

void engine_host_note(struct engine *en, struct engine_host *h)
{
	const struct limit *l = sched_limit_state(h->sched);
	int64_t now_us = clock_boot_us();
	struct store_host now = {.host = h->name, .paused_until_us = limit_paused_until_us(l, now_us)};
	bool learned_anew;

	if (now.paused_until_us)
		now.hits = h->throttle.hits;
	now.learned_until_us = limit_learned_until_us(l, now_us, &now.learned);
	if (!worth_writing(&now, &h->kept))
		return;
	learned_anew = !same_rate(&now.learned, &h->kept.learned);
	h->kept = now;
	store_host_note(en->store, &now);
	if (learned_anew)
		engine_rules_window_us(en);
}

/* A turn was rolled back: who knows what of it is there. */
void engine_hosts_note_again(struct engine *en)
{
	for (struct engine_host *h = en->hosts; h; h = h->hh.next) {
		h->kept = (struct store_host){.paused_until_us = -1};
		engine_host_note(en, h);
	}
}

struct reading {
	struct store_hosts hosts;
	struct engine *en;
	int64_t now_us;
};

/* What is over by now is nothing any more; the sweep removes its row. */
static void on_host(struct store_hosts *hosts, const struct store_host *row)
{
	struct reading *r = (struct reading *)hosts;
	struct engine_host *h = engine_host_get(r->en, row->host);

	h->kept = *row;
	h->kept.host = h->name;
	if (row->paused_until_us > r->now_us) {
		h->throttle = (struct throttle){.hits = row->hits, .until_us = row->paused_until_us};
		sched_limit_pause(r->en->sched, h->sched, row->paused_until_us);
		log_info("host is still paused", "host=%s in_ms=%lld", h->name,
			 (long long)((row->paused_until_us - r->now_us) / 1000));
	}
	if (row->learned_until_us > r->now_us)
		sched_limit_learn_rate(r->en->sched, h->sched, &row->learned, r->now_us, row->learned_until_us);
}

static void on_hosts_read(struct store_op *op, const struct err *e)
{
	(void)op;
	if (e)
		log_error("pauses of hosts not read", "why=\"%s\"", e->what);
}

void engine_hosts_load(struct engine *en)
{
	struct reading r = {
	    .hosts = {.op.done = on_hosts_read, .on_row = on_host},
	    .en = en,
	    .now_us = clock_boot_us(),
	};

	store_hosts(en->store, &r.hosts);
}

int64_t engine_hosts_window_us(const struct engine *en)
{
	int64_t longest = 0;

	for (const struct engine_host *h = en->hosts; h; h = h->hh.next)
		if (h->kept.learned.window_us > longest)
			longest = h->kept.learned.window_us;
	return longest < ENGINE_LEARNED_US ? longest : ENGINE_LEARNED_US;
}

/* ---- keeping house ---- */

/* A host in good standing is forgotten; sched_limit_idle asks for no keys, and a live one may have many. */
void engine_hosts_sweep(struct engine *en, int64_t now_us)
{
	struct engine_host *h, *next;

	HASH_ITER (hh, en->hosts, h, next) {
		engine_host_note(en, h);
		if (h->throttle.hits > 0 || !sched_limit_idle(h->sched, now_us))
			continue;
		sched_limit_free(en->sched, h->sched, now_us);
		HASH_DEL(en->hosts, h);
		free(h);
	}
}

void engine_hosts_free(struct engine *en)
{
	struct engine_host *h, *next;

	HASH_ITER (hh, en->hosts, h, next) {
		HASH_DEL(en->hosts, h);
		free(h);
	}
}
