/* What depends on the requests before: flaky answers, counted ids, ordered logs. All in memory until DELETE. */
#include <stdlib.h>
#include <string.h>

#include "tests/apisim/counter.h"
#include "tests/apisim/handlers.h"

/* ---- Flaky ---- */

static struct counter *flaky;

void memory_flaky(struct request *req)
{
	const char *id = request_query(req, "id");
	struct counter *c;

	if (strcmp(req->method, "DELETE") == 0) {
		counter_clear(&flaky);
		reply(req, 204, NULL, "", 0);
		return;
	}
	c = counter_get(&flaky, id ? id : "");
	c->total++;
	if ((double)c->total <= request_number(req, "fail", 1))
		reply_json(req, (int)request_number(req, "code", 503),
			   json_pack("{sI}", "failed", (json_int_t)c->total));
	else
		reply_json(req, 200, json_pack("{sI}", "requests", (json_int_t)c->total));
}

/* ---- Once ---- */

static struct counter *once;

static json_t *once_list(void)
{
	json_t *repeated = json_object();
	json_int_t total = 0;
	struct counter *c;

	for (c = once; c; c = c->hh.next) {
		total += (json_int_t)c->total;
		if (c->total > 1)
			json_object_set_new(repeated, c->name, json_integer((json_int_t)c->total));
	}
	return json_pack("{sI sI so}", "distinct", (json_int_t)HASH_COUNT(once), "requests", total, "repeated",
			 repeated);
}

void memory_once(struct request *req)
{
	struct counter *c;

	if (strcmp(req->method, "DELETE") == 0) {
		counter_clear(&once);
		reply(req, 204, NULL, "", 0);
	} else if (req->rest[0] == '\0') {
		reply_json(req, 200, once_list());
	} else {
		c = counter_get(&once, req->rest);
		c->total++;
		reply_json(req, 200, json_pack("{ss sI}", "id", c->name, "count", (json_int_t)c->total));
	}
}

/* ---- Log ---- */

/* The whole log, in order of arrival: objects that JSON can show as they are. */
static json_t *entries;

static json_t *log_of_channel(const char *channel)
{
	json_t *found = json_array(), *entry;
	size_t i;

	json_array_foreach (entries, i, entry)
		if (!channel || strcmp(json_string_value(json_object_get(entry, "channel")), channel) == 0)
			json_array_append(found, entry);
	return json_pack("{so}", "entries", found);
}

/* An entry outlives a DELETE of the log by the reference that its request holds. */
struct log_open {
	json_t *entry;
};

static void log_done(struct request *req, bool answered)
{
	struct log_open *open = req->state;

	json_object_set_new(open->entry, "end_us", json_integer(server_now_us()));
	json_object_set_new(open->entry, "answered", json_boolean(answered));
	json_decref(open->entry);
}

static void log_append(struct request *req, const char *channel)
{
	const int code = (int)request_number(req, "code", 200);
	const json_int_t n = (json_int_t)json_array_size(entries);
	struct log_open *open = calloc(1, sizeof *open);
	json_t *body = json_stringn(req->body, req->body_bytes);

	open->entry =
	    json_pack("{sI ss ss so si sI sn}", "n", n, "channel", channel, "method", req->method, "body",
		      body ? body : json_null(), "code", code, "start_us", (json_int_t)req->arrived_us, "end_us");
	json_array_append(entries, open->entry);
	req->state = open;
	req->on_done = log_done;
	reply_json(req, code, json_pack("{sI ss}", "n", n, "channel", channel));
}

void memory_log(struct request *req)
{
	const char *channel = request_query(req, "channel");

	if (!entries)
		entries = json_array();
	if (strcmp(req->method, "DELETE") == 0) {
		json_array_clear(entries);
		reply(req, 204, NULL, "", 0);
	} else if (strcmp(req->method, "GET") == 0) {
		reply_json(req, 200, log_of_channel(channel));
	} else {
		log_append(req, channel ? channel : "");
	}
}
