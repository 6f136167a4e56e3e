/* The record of what was sent: what limits are to remember after a restart, and what audits read. Its times are of
 * CLOCK_BOOTTIME, and each boot of the machine has a row with the latest that was noted in it, so that a time of an
 * earlier boot can be placed without trusting a wall clock (limit_after_reboot_us in daemon/limit.h). */
#include <stdio.h>
#include <string.h>

#include "daemon/limit.h"
#include "daemon/store_sqlite.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/url.h"

#define BOOTS_MAX 64 /* restarts of the machine that are looked back at */

/* ---- boots ---- */

static void read_boot_id(char *out, size_t size)
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	out[0] = '\0';
	if (f && !fgets(out, (int)size, f))
		out[0] = '\0';
	if (f)
		fclose(f);
	out[strcspn(out, "\n")] = '\0';
	/* Where it can't be told every start is taken for a boot: that is never too loose. */
	if (!*out)
		snprintf(out, size, "unknown %lld", (long long)clock_wall_us());
}

int store_boot_open(struct store *st)
{
	char boot[64];
	struct stmt q;

	read_boot_id(boot, sizeof boot);
	stmt_begin(&q, st, STMT_BOOT_FIND);
	stmt_text(&q, boot);
	if (stmt_step(&q) == 1)
		st->boot = col_int(&q, 0);
	stmt_end(&q);
	if (st->boot)
		return 0;
	stmt_begin(&q, st, STMT_BOOT_INSERT);
	stmt_text(&q, boot);
	stmt_int(&q, clock_boot_us());
	if (stmt_run(&q) < 0)
		return -1;
	st->boot = sqlite3_last_insert_rowid(st->db);
	return 0;
}

int store_boot_flush(struct store *st)
{
	struct stmt q;

	if (!st->boot_noted)
		return 0;
	st->boot_noted = false;
	stmt_begin(&q, st, STMT_BOOT_NOTE);
	stmt_int(&q, clock_boot_us());
	stmt_int(&q, st->boot);
	return stmt_run(&q);
}

/* Calls for each boot, the newest first, with what is to be added to its times to make them times of this boot. */
static int each_boot(struct store *st, bool (*on_boot)(void *arg, int64_t boot, int64_t shift_us), void *arg)
{
	int64_t shift = 0;
	struct stmt q;
	bool go_on = true;
	int rc = 1;

	stmt_begin(&q, st, STMT_BOOTS);
	for (int i = 0; i < BOOTS_MAX && go_on && (rc = stmt_step(&q)) == 1; i++) {
		if (col_int(&q, 0) != st->boot)
			shift = limit_after_reboot_us(shift, col_int(&q, 1));
		go_on = on_boot(arg, col_int(&q, 0), shift);
	}
	stmt_end(&q);
	return rc < 0 ? -1 : 0;
}

struct boot_sought {
	int64_t boot, shift_us;
	bool found;
};

static bool on_sought(void *arg, int64_t boot, int64_t shift_us)
{
	struct boot_sought *s = arg;

	s->found = boot == s->boot;
	s->shift_us = shift_us;
	return !s->found;
}

int64_t store_boot_time_us(struct store *st, int64_t boot, int64_t noted_us)
{
	struct boot_sought s = {.boot = boot};

	if (boot == st->boot)
		return noted_us;
	if (each_boot(st, on_sought, &s) < 0 || !s.found)
		return INT64_MIN;
	return noted_us + s.shift_us;
}

/* ---- what was sent lately ---- */

struct recent_run {
	struct store *st;
	struct store_recent *r;
	int64_t since_us; /* as this boot's time */
	int rc;
};

static bool on_recent_boot(void *arg, int64_t boot, int64_t shift_us)
{
	struct recent_run *run = arg;
	struct stmt q;

	stmt_begin(&q, run->st, run->r->pull ? STMT_RECENT_PULL : STMT_RECENT);
	stmt_int(&q, boot);
	stmt_int(&q, run->since_us - shift_us);
	if (run->r->pull)
		stmt_text(&q, run->r->pull);
	while ((run->rc = stmt_step(&q)) == 1)
		run->r->on_row(run->r, (uint64_t)col_int(&q, 0), col_text(&q, 1), col_text(&q, 2),
			       col_int(&q, 3) + shift_us);
	stmt_end(&q);
	/* An earlier boot ended before this shift: nothing of it can be late enough, but for what was taken to arrive.
	 */
	return run->rc == 0 && shift_us + LIMIT_SAFETY_US > run->since_us;
}

#define COUNTED_SLACK_US INT64_C(10000000)
#define COUNTED_ROWS_MAX 16384

/* An index in which an entry stands for some seconds of a batch: what is looked for is a window of a minute or an hour.
 */
int store_counted_note(struct store *st, struct batch_entry *b, int64_t counted_boot_us)
{
	struct stmt q;

	if (counted_boot_us <= b->counted_until_us && b->next_event < b->counted_from + COUNTED_ROWS_MAX)
		return 0;
	b->counted_from = b->next_event;
	b->counted_until_us = counted_boot_us + COUNTED_SLACK_US;
	stmt_begin(&q, st, STMT_COUNTED_INSERT);
	stmt_int(&q, (int64_t)jobid_make(b->id, (uint32_t)b->next_event));
	stmt_int(&q, st->boot);
	stmt_int(&q, b->counted_until_us);
	return stmt_run(&q);
}

void store_recent(struct store *st, struct store_recent *r)
{
	struct recent_run run = {.st = st, .r = r, .since_us = clock_boot_us() - r->window_us};
	int rc;

	store_tx_commit(st);
	rc = each_boot(st, on_recent_boot, &run);
	store_op_done(st, &r->op, rc < 0 || run.rc < 0);
}

void store_keep_window(struct store *st, int64_t window_us)
{
	st->keep_window_us = window_us;
}

/* The rate of a pull is known to the engine while a run of it is there, or was lately. That a run was removed, maybe by
 * the daemon before this one, is no reason to forget what it has sent: the next run of the pull will ask. */
static int64_t window_of(struct store *st, struct batch_entry *b)
{
	struct stmt q;

	if (b->run && b->window_us == 0 && st->listener.run_window_us) {
		stmt_begin(&q, st, STMT_TEMPLATE_GET);
		stmt_int(&q, b->id);
		if (stmt_step(&q) == 1)
			b->window_us = st->listener.run_window_us(st->listener.arg, col_text(&q, 0));
		stmt_end(&q);
		b->window_us = b->window_us > 0 ? b->window_us : 1;
	}
	return b->window_us > st->keep_window_us ? b->window_us : st->keep_window_us;
}

/* The last one to end may be counted earlier than one that was given up before it, by the safety time at most. */
bool store_record_needed(struct store *st, struct batch_entry *b)
{
	int64_t counted = INT64_MIN, window = window_of(st, b);
	struct stmt q;

	if (window <= 1)
		return false;
	stmt_begin(&q, st, STMT_OUTCOMES_LAST);
	stmt_int(&q, (int64_t)jobid_make(b->id, 0));
	stmt_int(&q, (int64_t)jobid_make(b->id, UINT32_MAX));
	if (stmt_step(&q) == 1)
		counted = store_boot_time_us(st, col_int(&q, 0), col_int(&q, 1));
	stmt_end(&q);
	return counted != INT64_MIN && counted + LIMIT_SAFETY_US > clock_boot_us() - window;
}

/* ---- audits ---- */

/* The next batch that has a lane of this host; 0: none. */
static uint32_t next_batch_of(struct store *st, const char *host, uint32_t from, int64_t *lane)
{
	uint32_t batch = 0;
	struct stmt q;

	stmt_begin(&q, st, STMT_LANES_OF_HOST);
	stmt_text(&q, host);
	stmt_int(&q, from);
	if (stmt_step(&q) == 1) {
		batch = (uint32_t)col_int(&q, 0);
		*lane = col_int(&q, 1);
	}
	stmt_end(&q);
	return batch;
}

static void audit_tell(struct store_audit *a, const struct stmt *q)
{
	struct store_audit_row row = {
	    .job = (uint64_t)col_int(q, 1),
	    .n = (uint32_t)col_int(q, 3),
	    .boot = (uint32_t)col_int(q, 4),
	    .sent_boot_us = col_int(q, 5),
	    .counted_boot_us = col_int(q, 6),
	    .sent_us = col_int(q, 7),
	    .unsent = col_null(q, 4),
	    .status = (int)col_int(q, 8),
	    .url = col_text(q, 9),
	    .refused = col_int(q, 10),
	};

	if (row.sent_us >= a->from_us && row.sent_us < a->until_us)
		a->on_row(a, &row);
}

/* Rows of one batch behind a->last. 1: all of them, 0: the limit was reached. */
static int audit_batch(struct store *st, struct store_audit *a, uint32_t batch, int64_t lane, size_t *left)
{
	uint64_t from = jobid_batch(a->last) == batch ? a->last : jobid_make(batch, 0);
	struct stmt q;
	int rc = 1;

	stmt_begin(&q, st, STMT_AUDIT);
	stmt_int(&q, (int64_t)from);
	stmt_int(&q, (int64_t)jobid_make(batch, UINT32_MAX));
	stmt_int(&q, (int64_t)*left);
	while (*left > 0 && (rc = stmt_step(&q)) == 1) {
		a->last = (uint64_t)col_int(&q, 0);
		(*left)--;
		/* An end without an attempt has no number of one. */
		if (col_int(&q, 2) == lane && (!col_null(&q, 4) || (a->unsent && col_int(&q, 3) > 0)))
			audit_tell(a, &q);
	}
	stmt_end(&q);
	if (rc < 0)
		return -1;
	return rc == 0 && *left > 0;
}

static void audit_open_one(struct store *st, struct store_audit *a, const struct open_attempt *o)
{
	const struct group *lane = store_group_find(st, GROUP_LANE, o->lane);
	struct stmt q;

	if (!lane || strcmp(lane->name, a->host) != 0)
		return;
	stmt_begin(&q, st, STMT_JOB_URL);
	stmt_int(&q, (int64_t)o->job);
	if (stmt_step(&q) == 1) {
		struct store_audit_row row = {
		    .job = o->job,
		    .n = o->n,
		    .boot = (uint32_t)o->boot,
		    .sent_boot_us = o->granted_boot_us,
		    .counted_boot_us = INT64_MAX,
		    .sent_us = o->granted_us,
		    .url = col_text(&q, 0),
		};
		if (row.sent_us >= a->from_us && row.sent_us < a->until_us)
			a->on_row(a, &row);
	}
	stmt_end(&q);
}

void store_audit(struct store *st, struct store_audit *a)
{
	struct open_attempt *o, *next;
	size_t left = a->limit;
	uint32_t batch;
	int64_t lane;
	int rc = 1;

	store_tx_commit(st);
	a->last = a->after;
	if (a->after == 0) {
		HASH_ITER (hh, st->open, o, next) {
			audit_open_one(st, a, o);
		}
	}
	batch = jobid_batch(a->after);
	while (rc == 1 && (batch = next_batch_of(st, a->host, batch, &lane))) {
		rc = audit_batch(st, a, batch, lane, &left);
		if (rc == 1)
			a->last = jobid_make(++batch, 0);
	}
	a->more = rc == 0;
	store_op_done(st, &a->op, rc < 0);
}

/* Each is one step in the index, however many batches went there. */
void store_host_keys(struct store *st, struct store_host_keys *k)
{
	char key[URL_KEY_SIZE];
	struct stmt q;
	int rc = 1;

	store_tx_commit(st);
	snprintf(key, sizeof key, "%s", k->from);
	for (unsigned i = 0; rc == 1 && i < k->limit; i++) {
		stmt_begin(&q, st, STMT_LANES_NEXT_HOST);
		stmt_text(&q, key);
		stmt_text(&q, k->to);
		rc = stmt_step(&q);
		if (rc == 1)
			snprintf(key, sizeof key, "%s", col_text(&q, 0));
		stmt_end(&q);
		if (rc == 1)
			k->on_row(k, key);
	}
	store_op_done(st, &k->op, rc < 0);
}
