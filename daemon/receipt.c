/* A run's receipt, as it is kept and shown. Pure. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/render.h"
#include "daemon/run_private.h"
#include "lib/reals.h"

#define GAPS_TOLD 1000 /* there may be a million */

static json_t *count(int64_t n)
{
	return n < 0 ? json_null() : json_integer(n);
}

/* People's numbers, from 1. */
static json_t *gaps(const struct plan_conclusion *c)
{
	json_t *list = json_array();

	for (size_t i = 0; i < c->gap_count && i < GAPS_TOLD; i++)
		json_array_append_new(list, json_integer((json_int_t)c->gaps[i] + 1));
	return list;
}

static json_t *since(const struct receipt *r)
{
	json_t *to = r->since_to && *r->since_to ? json_loads(r->since_to, JSON_DECODE_ANY, NULL) : NULL;
	json_t *seen = r->since_seen ? json_loads(r->since_seen, JSON_DECODE_ANY, NULL) : NULL;

	return json_pack("{s:o,s:o,s:b,s:o,s:b}", "from", render_text(r->since_from), "to", to ? to : json_null(),
			 "kept", r->since_kept, "seen", seen ? seen : json_null(), "from_state",
			 r->since_from && r->since_of_state);
}

/* What is no error, and yet is hardly what was meant. A run that asked for news only may bring little. */
static json_t *warning(const struct receipt *r)
{
	const struct plan_conclusion *c = r->conclusion;
	char line[200] = "";

	if (r->keys_rounded)
		return json_string("keys are numbers beyond 2^53, and libjq rounds those: they cannot be compared, so "
				   "that duplicates are not counted");
	if (r->verdict != RUN_COMPLETE || c->items < 0)
		return render_text(r->doubt);
	if (!r->since_from && r->items_before >= 0 && c->items * 2 < r->items_before)
		snprintf(line, sizeof line, "%lld items, where the last complete run had %lld", (long long)c->items,
			 (long long)r->items_before);
	else if (*r->doubt)
		return render_text(r->doubt);
	else if (r->unique >= 0 && c->items > 1 && r->unique * 2 <= c->items)
		snprintf(line, sizeof line, "%lld items have only %lld keys: does `key` name what sets them apart?",
			 (long long)c->items, (long long)r->unique);
	else if (r->since_wanted && !r->since_seen && c->items > 0)
		snprintf(line, sizeof line,
			 "since.from found nothing in %lld item%s: the next run will fetch them again",
			 (long long)c->items, c->items == 1 ? "" : "s");
	return render_text(line);
}

char *receipt_write(const struct receipt *r)
{
	const struct plan_conclusion *c = r->conclusion;
	int64_t duplicates = r->unique < 0 || c->items < 0 ? -1 : c->items - r->unique;
	json_t *o = json_pack("{s:I,s:o,s:o,s:{s:o,s:o},s:o,s:o,s:o}", "pages", (json_int_t)c->pages, "items",
			      count(c->items), "unique", count(r->unique), "expected", "pages",
			      count(c->expected_pages), "items", count(c->expected_items), "duplicates",
			      count(duplicates), "gaps", gaps(c), "stop_reason", render_text(c->stop_reason));
	char *written;

	json_object_set_new(o, "missing", json_integer((json_int_t)c->gap_count));
	json_object_set_new(o, "not_modified", json_integer(r->not_modified));
	json_object_set_new(o, "requests", json_integer(r->sums.requests));
	json_object_set_new(o, "retries", json_integer(r->sums.retries));
	json_object_set_new(o, "refused", json_integer(r->sums.refused));
	json_object_set_new(o, "unreached", json_integer(r->sums.unreached));
	json_object_set_new(o, "unreached_seconds", json_real((double)r->sums.unreached_us / 1e6));
	json_object_set_new(o, "limited_seconds", json_real((double)r->sums.limited_us / 1e6));
	json_object_set_new(o, "bytes", json_integer(r->sums.bytes));
	json_object_set_new(o, "seconds", json_real((double)r->took_us / 1e6));
	json_object_set_new(o, "since", since(r));
	json_object_set_new(o, "error", render_text(r->error));
	json_object_set_new(o, "warning", warning(r));
	written = json_dumps(o, JSON_COMPACT | reals_precision(o));
	json_decref(o);
	if (!written)
		BUG("out of memory for a receipt");
	return written;
}

void run_tally_add(struct tally *t, const struct store_run_attempt *row)
{
	tally_add(t, &(struct tally_attempt){.page = row->page,
					     .sent = row->sent,
					     .unreached = row->unreached,
					     .refused = row->refused,
					     .redirected = row->redirected,
					     .started_us = row->started_us,
					     .ended_us = row->ended_us,
					     .boot = row->boot,
					     .sent_boot_us = row->sent_boot_us,
					     .limited_us = row->limited_us,
					     .bytes = row->size_bytes});
}

static int kind_rank(const json_t *v)
{
	return json_is_string(v) ? 2 : json_is_number(v) ? 1 : 0;
}

bool receipt_since_greater(const char *a, const char *b)
{
	json_t *x = json_loads(a, JSON_DECODE_ANY, NULL), *y = json_loads(b, JSON_DECODE_ANY, NULL);
	int rx = kind_rank(x), ry = kind_rank(y);
	bool greater = rx > ry;

	if (rx == ry && rx == 2)
		greater = strcmp(json_string_value(x), json_string_value(y)) > 0;
	else if (rx == ry && rx == 1)
		greater = json_number_value(x) > json_number_value(y);
	json_decref(x);
	json_decref(y);
	return greater;
}
