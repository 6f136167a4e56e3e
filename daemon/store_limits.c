/* The rules that operators set, and what hosts said of themselves: two small tables, read once at the start. What they
 * mean is not the store's business. */
#include "daemon/store_sqlite.h"

#include <stdio.h>

#define SINCE_NAME_SIZE 160 /* a rule's name has at most 100 bytes */

/* Since when a limit is as it is stands among the counters. One that an older daemon set has no such row. */
static const char *since_name(char out[SINCE_NAME_SIZE], const char *name)
{
	snprintf(out, SINCE_NAME_SIZE, "limit %s", name);
	return out;
}

void store_limit_set(struct store *st, struct store_limit_set *s)
{
	char since[SINCE_NAME_SIZE];
	struct stmt q;

	if (!store_tx_join(st, &s->op, 1))
		return;
	stmt_begin(&q, st, STMT_LIMIT_SET);
	stmt_text(&q, s->limit.name);
	stmt_text(&q, s->limit.match);
	stmt_text(&q, s->limit.rates);
	stmt_int(&q, s->limit.concurrency);
	stmt_int(&q, s->limit.pace);
	if (stmt_run(&q) == 0)
		store_counter_set(st, since_name(since, s->limit.name), s->limit.since_us);
	store_tx_leave(st);
}

void store_limit_since(struct store *st, struct store_op *op, const char *name, int64_t since_us)
{
	char since[SINCE_NAME_SIZE];

	if (!store_tx_join(st, op, 1))
		return;
	if (store_counter_get(st, since_name(since, name))) /* it may have been removed */
		store_counter_set(st, since, since_us);
	store_tx_leave(st);
}

void store_limit_remove(struct store *st, struct store_limit_remove *r)
{
	char since[SINCE_NAME_SIZE];
	struct stmt q;

	if (!store_tx_join(st, &r->op, 1))
		return;
	stmt_begin(&q, st, STMT_COUNTER_DELETE);
	stmt_text(&q, since_name(since, r->name));
	stmt_run(&q);
	stmt_begin(&q, st, STMT_LIMIT_DELETE);
	stmt_text(&q, r->name);
	if (stmt_run(&q) == 0 && sqlite3_changes(st->db) == 0)
		store_tx_refuse(st, &r->op, ERR_NOT_FOUND,
				"fanoutctl limits lists them; those of fanout.conf are changed there",
				"no limit of that name was set at runtime");
	store_tx_leave(st);
}

void store_limits(struct store *st, struct store_limits *l)
{
	char since[SINCE_NAME_SIZE];
	struct stmt q;
	int rc;

	store_tx_commit(st);
	stmt_begin(&q, st, STMT_LIMITS);
	while ((rc = stmt_step(&q)) == 1) {
		struct store_limit row = {
		    .name = col_text(&q, 0),
		    .match = col_text(&q, 1),
		    .rates = col_text(&q, 2),
		    .concurrency = (unsigned)col_int(&q, 3),
		    .pace = col_int(&q, 4),
		    .since_us = store_counter_get(st, since_name(since, col_text(&q, 0))),
		};
		l->on_row(l, &row);
	}
	stmt_end(&q);
	store_op_done(st, &l->op, rc < 0);
}

/* ---- what hosts said ---- */

static void host_set(struct store *st, const struct store_host *h)
{
	struct stmt q;

	stmt_begin(&q, st, STMT_HOST_SET);
	stmt_text(&q, h->host);
	stmt_int(&q, st->boot);
	stmt_int(&q, h->hits);
	stmt_int(&q, h->paused_until_us);
	stmt_int(&q, h->learned.count);
	stmt_int(&q, h->learned.window_us);
	stmt_int(&q, h->learned_until_us);
	st->boot_noted = true; /* how long it has been kept is seen by that after a reboot */
	stmt_run(&q);
}

void store_host_note(struct store *st, const struct store_host *h)
{
	struct stmt q;

	if (!store_tx_join(st, NULL, 1))
		return;
	if (h->paused_until_us || h->learned_until_us) {
		host_set(st, h);
	} else {
		stmt_begin(&q, st, STMT_HOST_DELETE);
		stmt_text(&q, h->host);
		stmt_run(&q);
	}
	store_tx_leave(st);
}

/* 0 stays 0; what is not known how long ago it was is over. */
static int64_t host_time(struct store *st, int64_t boot, int64_t noted_us)
{
	int64_t us = noted_us ? store_boot_time_us(st, boot, noted_us) : 0;

	return us > 0 ? us : noted_us != 0;
}

void store_hosts(struct store *st, struct store_hosts *h)
{
	struct stmt q;
	int rc;

	store_tx_commit(st);
	stmt_begin(&q, st, STMT_HOSTS);
	while ((rc = stmt_step(&q)) == 1) {
		struct store_host row = {
		    .host = col_text(&q, 0),
		    .hits = (unsigned)col_int(&q, 2),
		    .paused_until_us = host_time(st, col_int(&q, 1), col_int(&q, 3)),
		    .learned_until_us = host_time(st, col_int(&q, 1), col_int(&q, 6)),
		    .learned = {.count = col_int(&q, 4), .window_us = col_int(&q, 5)},
		};
		h->on_row(h, &row);
	}
	stmt_end(&q);
	store_op_done(st, &h->op, rc < 0);
}
