/* Which hosts, as limit keys: those of a batch, and those that a name may mean. For who audits. */
#define _GNU_SOURCE 1

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api.h"
#include "daemon/engine_run.h"
#include "daemon/render.h"
#include "lib/url.h"

#define KEYS_MAX 64

struct listing {
	struct store_host_keys list;
	struct http_request *r;
	json_t *answer;
	char from[URL_KEY_SIZE], to[URL_KEY_SIZE];
};

static void on_host(struct store_host_keys *list, const char *key)
{
	json_array_append_new(json_object_get(((struct listing *)list)->answer, "hosts"), render_text(key));
}

static void on_hosts(struct store_op *op, const struct err *e)
{
	struct listing *l = (struct listing *)op;

	if (e) {
		http_problem(l->r, e);
		json_decref(l->answer);
	} else {
		api_reply_json(l->r, 200, l->answer);
	}
	free(l);
}

static struct listing *listing_create(struct http_request *r)
{
	struct listing *l = api_alloc(sizeof *l);

	l->list.op.done = on_hosts;
	l->list.on_row = on_host;
	l->r = r;
	l->answer = json_pack("{s:[]}", "hosts");
	return l;
}

/* ---- of a batch ---- */

static json_t *limit_of(const struct api_batch *b)
{
	char name[ENGINE_PULL_LIMIT_SIZE], rate[RENDER_RATE_SIZE];

	if (!b->rate.count || b->row.run)
		return json_null();
	return json_pack("{s:s,s:s}", "name", engine_batch_limit_name(name, b->row.id), "rate",
			 render_rate(rate, &b->rate));
}

static void list_hosts(struct http_request *r, const struct api_batch *b)
{
	struct listing *l = listing_create(r);

	json_object_set_new(l->answer, "limit", limit_of(b));
	l->list.batch = b->row.id;
	store_batch_hosts(api_store(http_arg(r)), &l->list);
}

void api_batch_hosts(struct http_request *r)
{
	api_with_batch(r, (uint32_t)http_id(r), 0, list_hosts);
}

/* ---- of a name ---- */

/* Keys of the name are those behind "name:" and before "name;", which is the next byte. */
static int read_name(struct http_request *r, struct listing *l, struct err *e)
{
	const char *name = http_query(r, "name");
	char url[URL_KEY_SIZE + sizeof "http:///"], key[URL_KEY_SIZE];
	size_t n;

	if (!name || !*name || strlen(name) > 255 || strpbrk(name, "/?#@\\ "))
		return err_set(e, ERR_INPUT, "add ?name=HOST, without a port", "the name of a host is missing");
	snprintf(url, sizeof url, "http://%s/", name);
	if (url_key(url, key, e))
		return -1;
	n = (size_t)(strrchr(key, ':') - key) + 1;
	snprintf(l->from, sizeof l->from, "%.*s", (int)n, key);
	snprintf(l->to, sizeof l->to, "%.*s;", (int)n - 1, key);
	return 0;
}

void api_hosts(struct http_request *r)
{
	struct listing *l;
	struct err e;

	if (api_refuse_stopped(r))
		return;
	l = listing_create(r);
	if (read_name(r, l, &e)) {
		on_hosts(&l->list.op, &e);
		return;
	}
	l->list.from = l->from;
	l->list.to = l->to;
	l->list.limit = KEYS_MAX;
	store_host_keys(api_store(http_arg(r)), &l->list);
}
