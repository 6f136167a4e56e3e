/* The rules that operators set: a small table, read once at the start. What they mean is not the store's business. */
#include "daemon/store_sqlite.h"

void store_limit_set(struct store *st, struct store_limit_set *s)
{
	struct stmt q;

	if (!store_tx_join(st, &s->op, 1))
		return;
	stmt_begin(&q, st, STMT_LIMIT_SET);
	stmt_text(&q, s->limit.name);
	stmt_text(&q, s->limit.match);
	stmt_text(&q, s->limit.rates);
	stmt_int(&q, s->limit.concurrency);
	stmt_int(&q, s->limit.pace);
	stmt_run(&q);
	store_tx_leave(st);
}

void store_limit_remove(struct store *st, struct store_limit_remove *r)
{
	struct stmt q;

	if (!store_tx_join(st, &r->op, 1))
		return;
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
		};
		l->on_row(l, &row);
	}
	stmt_end(&q);
	store_op_done(st, &l->op, rc < 0);
}
