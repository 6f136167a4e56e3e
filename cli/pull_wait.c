/* The run's batch is waited for by long requests. Pages that have ended are counted once: only those behind the last
 * one that all before have ended are asked for again. */
#include "cli/pull_wait.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/client.h"
#include "cli/explain.h"
#include "cli/patience.h"
#include "cli/pull.h"
#include "cli/receipt.h"
#include "cli/watch.h"
#include "lib/clock.h"
#include "lib/units.h"

#define TICK_US      INT64_C(200000)   /* between looks, where progress moves */
#define TICK_SLOW_US INT64_C(10000000) /* where it does not, or nothing is shown */
#define LOOK_PAGES   200               /* at a time */

/* ---- what is known ---- */

static bool has_ended(const json_t *page)
{
	const char *state = pull_text(page, "state");

	return strcmp(state, "done") == 0 || strcmp(state, "failed") == 0 || strcmp(state, "cancelled") == 0;
}

int pull_progress_page(void *progress, const json_t *page, struct err *e)
{
	struct pull_progress *p = progress;
	json_int_t items = pull_number(page, "items"), pages = pull_number(page, "total_pages");
	json_int_t all = pull_number(page, "total_items");

	(void)e;
	p->gap = p->gap || !has_ended(page);
	if (!p->gap)
		p->settled = (uint32_t)pull_number(page, "page");
	p->total_pages = pages > p->total_pages ? pages : p->total_pages;
	p->total_items = all > p->total_items ? all : p->total_items;
	if (items < 0)
		return 0;
	p->items_told = true;
	*(p->gap ? &p->ahead_items : &p->settled_items) += items;
	return 0;
}

/* How many pages there will be: the daemon knows where the run stops before the total that its pages tell. -1: nobody
 * knows. */
static int64_t whole_pages(const struct pull_progress *p)
{
	int64_t pages = p->p.expected >= 0 ? p->p.expected : p->total_pages;

	return p->max_pages && pages > p->max_pages ? p->max_pages : pages;
}

static void add_pages(const struct pull_progress *p, struct text *said)
{
	int64_t ended = progress_ended(&p->p), whole = whole_pages(p);

	text_printf(said, "%s, run %u: ", p->name, p->p.batch);
	if (whole >= ended)
		text_printf(said, "%lld of ", (long long)ended);
	receipt_add_count(said, whole >= ended ? whole : ended, "page", "pages");
}

static void add_items(const struct pull_progress *p, unsigned width, struct text *said)
{
	int64_t items = p->settled_items + p->ahead_items;
	struct text part = {0};

	if (!p->items_told)
		return;
	if (p->total_items >= items)
		text_printf(&part, "%lld of ", (long long)items);
	receipt_add_count(&part, p->total_items >= items ? p->total_items : items, "item", "items");
	progress_add_part(said, width, part.data);
	text_clear(&part);
}

/* Pages that are to come, also those that there is no job for yet: of a followed run there is one at a time. -1: no
 * total is known, and the next page says nothing about how many follow. */
static double pages_left(const struct pull_progress *p)
{
	int64_t ended = progress_ended(&p->p), items = p->settled_items + p->ahead_items;
	double jobs = (double)(progress_total(&p->p) - ended), left = -1;

	if (whole_pages(p) >= 0)
		left = (double)(whole_pages(p) - ended);
	else if (p->total_items >= items && items > 0)
		left = (double)(p->total_items - items) * (double)ended / (double)items;
	else
		return -1;
	if (p->max_pages && left > (double)(p->max_pages - ended))
		left = (double)(p->max_pages - ended);
	return left > jobs ? left : jobs;
}

/* The daemon's forecast knows the limits and the plan; only where it has none the speed so far is gone by. */
static double run_seconds_left(const struct pull_progress *p)
{
	double rate = progress_rate(&p->p), pages = pages_left(p), seconds = progress_seconds_left(&p->p);

	if (p->p.left_us > 0)
		return (double)p->p.left_us / 1e6;
	if (pages < 0 || p->p.stalled)
		return 0;
	return rate > 0 && pages / rate > seconds ? pages / rate : seconds;
}

void pull_progress_format(const struct progress *progress, unsigned width, struct text *line)
{
	const struct pull_progress *p = (const struct pull_progress *)progress;
	int64_t failed = p->p.counts[JOB_FAILED], ended = progress_ended(progress), whole = whole_pages(p);
	struct text said = {0};
	char part[40];

	add_pages(p, &said);
	add_items(p, width, &said);
	if (failed) {
		snprintf(part, sizeof part, "%lld failed", (long long)failed);
		progress_add_part(&said, width, part);
	}
	if (*p->p.state && strcmp(p->p.state, "running") != 0 && strcmp(p->p.state, "open") != 0)
		progress_add_part(&said, width, p->p.state);
	if (p->p.stalled)
		progress_add_part(&said, width, "the disk is full");
	progress_add_speed(progress, width, run_seconds_left(p), &said);
	progress_add_waits(progress, width, &said);
	if (whole > 0 && ended <= whole)
		progress_add_bar((double)ended / (double)whole, width, &said, line);
	text_add(line, said.data, width && said.len > width ? width : said.len);
	text_clear(&said);
}

/* ---- waiting ---- */

/* Shows how far it is, where it is time to, and says when to look again. */
static int64_t show(struct ctl *ctl, struct pull_progress *p, const json_t *batch, uint32_t run)
{
	int64_t now = clock_boot_us();

	progress_update(&p->p, batch, now);
	if (ctl->args.quiet)
		return TICK_SLOW_US;
	if (progress_due_us(&p->p, now) == 0) {
		p->gap = false;
		p->ahead_items = 0;
		run_pages(ctl->client, run, p->settled, LOOK_PAGES, pull_progress_page, p, NULL);
		explain_progress(ctl->client, &p->p, now);
	}
	progress_draw(&p->p, now);
	return progress_moves() ? TICK_US : progress_due_us(&p->p, now);
}

/* Until the batch has ended. 0, or -1 with `e`. */
static int wait_batch(struct ctl *ctl, struct pull_progress *p, uint32_t run, struct patience *patience, struct err *e)
{
	int64_t tick = 0; /* the first answer comes at once */
	json_t *batch;
	bool ended;

	for (;;) {
		batch = client_get_json(ctl->client, e, "/v1/batches/%u/wait?timeout=%lldms", run,
					(long long)(tick + 999) / 1000);
		if (!batch && patience_again(patience, ctl->client, e))
			continue;
		progress_wipe(&p->p);
		if (!batch)
			return -1;
		patience_heard(patience);
		ended = progress_exit_status(batch) >= 0;
		if (!ended)
			tick = show(ctl, p, batch, run);
		json_decref(batch);
		if (ended)
			return 0;
	}
}

int pull_wait(struct ctl *ctl, uint32_t run, const char *name, json_t **ended, int *status)
{
	struct pull_progress p = {.p.format = pull_progress_format, .name = name, .total_pages = -1, .total_items = -1};
	struct patience patience = {.heard = true}; /* it has just taken the run */
	struct err e;
	int rc;

	p.max_pages = ctl->args.max_pages ? strtoll(ctl->args.max_pages, NULL, 10) : 0;
	rc = wait_batch(ctl, &p, run, &patience, &e);

	*ended = NULL;
	while (rc == 0 && !*ended) {
		*ended = run_get(ctl, run, &e);
		if (!*ended && !patience_again(&patience, ctl->client, &e))
			rc = -1;
	}
	progress_clear(&p.p);
	if (rc == 0)
		return 0;
	patience_lost(&patience, ctl->client, "run", run, &e);
	*status = ctl_interrupted() ? watch_interrupted(ctl, run) : ctl_report(&e);
	return -1;
}
