/* Limits: rules and their state, an operator's own rules, lifting a pause. What makes a good rule is daemon/rules' to
 * say; here it is read from JSON. */
#define _GNU_SOURCE 1

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/api.h"
#include "daemon/engine.h"
#include "daemon/render.h"
#include "daemon/store.h"
#include "lib/clock.h"
#include "lib/units.h"
#include "lib/url.h"

#define CONCURRENCY_MAX 10000
#define OWN_MAX         1000 /* rates of batches, each a look into the store */

int api_query_host(struct http_request *r, char *key, struct err *e)
{
	const char *text = http_query(r, "host"), *colon = text ? strrchr(text, ':') : NULL;
	char url[sizeof "http:///" + URL_KEY_SIZE];
	struct err why;

	key[0] = '\0';
	if (!text)
		return 0;
	if (!colon || !isdigit((unsigned char)colon[1]) || strpbrk(text, "/?#@\\") || strlen(text) >= URL_KEY_SIZE)
		return err_set(e, ERR_INPUT, "write HOST:PORT, as in api.example.org:443",
			       "host=%.100s is not a host with its port", text);
	snprintf(url, sizeof url, "http://%s/", text);
	if (url_key(url, key, &why))
		return err_set(e, ERR_INPUT, why.hint, "host=%.100s: %.250s", text, why.what);
	return 0;
}

/* ---- showing them ---- */

struct listing {
	json_t *limits, *hosts, *batches;
	const struct http_request *r; /* who asks */
	unsigned own;                 /* rates of batches looked at */
	json_t *last;                 /* the rule shown last */
	const char *only;             /* the runtime rule of this name; NULL: all */
	struct render_now now;
};

static void on_rule(void *arg, const struct rule *rule)
{
	struct listing *l = arg;

	l->last = NULL;
	if (l->only && (rule->source != RULE_RUNTIME || strcmp(rule->name, l->only) != 0))
		return;
	l->last = render_rule(rule);
	json_array_append_new(l->limits, l->last);
}

/* The states of a rule come behind it. */
static void on_state(void *arg, const struct rule *rule, const char *host, const struct limit *state, unsigned waiting,
		     int64_t rivals)
{
	struct listing *l = arg;

	(void)rivals;
	(void)rule;
	if (l->last)
		json_array_append_new(json_object_get(l->last, "state"),
				      render_rule_state(host, state, waiting, &l->now));
}

static void on_host(void *arg, const char *host, const struct limit *state, const struct throttle *throttle,
		    int64_t rivals)
{
	struct listing *l = arg;

	(void)rivals;
	json_t *shown = render_limited_host(host, state, throttle, &l->now);

	if (shown)
		json_array_append_new(l->hosts, shown);
}

struct seeing {
	struct store_batch_get get;
	const struct http_request *r;
	bool visible;
};

static void on_seen_batch(struct store_batch_get *g, const struct store_batch *b)
{
	struct seeing *s = (struct seeing *)g;

	s->visible = api_visible(http_arg(s->r), http_uid(s->r), b->uid);
}

static void on_seen(struct store_op *op, const struct err *e)
{
	(void)op; /* one that cannot be read is not shown */
	(void)e;
}

/* Batches are their owners' to see. Reads call back at once. */
static void on_own(void *arg, uint32_t batch, const struct rule *rate, const char *host, const struct limit *state,
		   unsigned waiting)
{
	struct listing *l = arg;
	struct seeing s = {.get = {.op.done = on_seen, .batch = batch, .on_row = on_seen_batch}, .r = l->r};
	json_t *shown;

	if (l->own++ >= OWN_MAX)
		return;
	store_batch_get(api_store(http_arg(l->r)), &s.get);
	if (!s.visible)
		return;
	shown = render_rule(rate);
	render_set(shown, "batch", json_integer(batch));
	json_array_append_new(json_object_get(shown, "state"), render_rule_state(host, state, waiting, &l->now));
	json_array_append_new(l->batches, shown);
}

/* `only`: without the rates of batches. */
static struct listing list(const struct http_request *r, const char *host, const char *only)
{
	int64_t now_us = clock_boot_us();
	struct listing l = {.limits = json_array(),
			    .hosts = json_array(),
			    .batches = json_array(),
			    .r = r,
			    .only = only,
			    .now = {.boot_us = now_us, .wall_us = clock_wall_of(now_us)}};
	struct engine_limits_visitor v = {
	    .arg = &l, .on_rule = on_rule, .on_state = on_state, .on_host = on_host, .on_own = only ? NULL : on_own};

	engine_limits_visit(api_engine(http_arg(r)), host, &v);
	return l;
}

void api_limits_get(struct http_request *r)
{
	char host[URL_KEY_SIZE];
	struct listing l;
	struct err e;

	if (api_refuse_stopped(r))
		return;
	if (api_query_host(r, host, &e)) {
		http_problem(r, &e);
		return;
	}
	/* A pause that was told is still there after a kill. */
	store_commit(api_store(http_arg(r)));
	l = list(r, host[0] ? host : NULL, NULL);
	api_reply_json(r, 200, json_pack("{s:o,s:o,s:o}", "limits", l.limits, "hosts", l.hosts, "batches", l.batches));
}

/* ---- setting one ---- */

struct setting {
	struct store_limit_set set;
	struct http_request *r;
	char *name, *match;
	char rates[LIMIT_RATES_MAX * RENDER_RATE_SIZE];
	unsigned rate_count;
};

static int wrong(const char *member, const char *wanted, struct err *e)
{
	return err_set(e, ERR_INPUT, NULL, "\"%s\": it has to be %s", member, wanted);
}

static int add_rate(struct setting *s, const char *member, const json_t *v, struct err *e)
{
	char text[RENDER_RATE_SIZE];
	struct rate rate;
	struct err why;

	if (!json_is_string(v))
		return wrong(member, "a string as in \"100/min\"", e);
	if (s->rate_count++ == LIMIT_RATES_MAX)
		return err_set(e, ERR_INPUT, NULL, "a rule has at most %d rates", LIMIT_RATES_MAX);
	if (units_parse_rate(json_string_value(v), &rate, &why))
		return err_set(e, ERR_INPUT, why.hint, "\"%s\": %.380s", member, why.what);
	if (s->rates[0])
		strcat(s->rates, " ");
	strcat(s->rates, render_rate(text, &rate));
	return 0;
}

static int read_match(struct setting *s, const char *member, const json_t *v, struct err *e)
{
	if (!json_is_string(v))
		return wrong(member, "a string", e);
	free(s->match);
	s->match = strdup(json_string_value(v));
	return 0;
}

static int read_rates(struct setting *s, const char *member, const json_t *v, struct err *e)
{
	if (!json_is_array(v))
		return wrong(member, "an array of rates as in [\"100/min\",\"5000/h\"]", e);
	for (size_t i = 0; i < json_array_size(v); i++)
		if (add_rate(s, member, json_array_get(v, i), e))
			return -1;
	return 0;
}

static int read_concurrency(struct setting *s, const char *member, const json_t *v, struct err *e)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_null(v) && (!json_is_integer(v) || n < 1 || n > CONCURRENCY_MAX))
		return wrong(member, "a whole number from 1 to 10000, or null", e);
	s->set.limit.concurrency = (unsigned)n;
	return 0;
}

static int read_pace(struct setting *s, const char *member, const json_t *v, struct err *e)
{
	if (!json_is_boolean(v))
		return wrong(member, "true or false", e);
	s->set.limit.pace = json_is_true(v);
	return 0;
}

static const struct member {
	const char *name;
	int (*read)(struct setting *s, const char *member, const json_t *v, struct err *e);
} members[] = {
    {"match", read_match}, {"rate", add_rate}, {"rates", read_rates}, {"concurrency", read_concurrency},
    {"pace", read_pace},
};
#define MEMBERS (sizeof members / sizeof members[0])

static int read_member(struct setting *s, const char *name, const json_t *v, struct err *e)
{
	for (size_t i = 0; i < MEMBERS; i++)
		if (strcmp(members[i].name, name) == 0)
			return members[i].read(s, name, v, e);
	return err_set(e, ERR_INPUT, "known: match rate rates concurrency pace", "\"%.60s\" is no member of a limit",
		       name);
}

/* What can be listed, and written to a log, in one line. */
static int check_name(const char *name, struct err *e)
{
	json_t *text = json_string(name);
	bool good = text != NULL;

	json_decref(text);
	for (const char *p = name; *p; p++)
		good = good && !iscntrl((unsigned char)*p);
	return good ? 0 : err_set(e, ERR_INPUT, NULL, "the name has a control byte, or is not UTF-8");
}

static int read_setting(struct setting *s, const char *body, size_t len, struct err *e)
{
	json_error_t why;
	json_t *root = json_loadb(body, len, JSON_REJECT_DUPLICATES, &why), *value;
	const char *name;
	int rc = 0;

	if (!root)
		return err_set(e, ERR_INPUT, "write it as JSON (RFC 8259) in UTF-8", "this is not JSON: %s", why.text);
	if (!json_is_object(root))
		rc = err_set(e, ERR_INPUT, "write {\"rate\":\"100/min\"}", "a limit has to be a JSON object");
	json_object_foreach (root, name, value) {
		rc = rc ? rc : read_member(s, name, value, e);
	}
	json_decref(root);
	if (!s->match)
		s->match = strdup(s->name);
	s->set.limit.name = s->name;
	s->set.limit.match = s->match;
	s->set.limit.rates = s->rates;
	return rc;
}

static void setting_free(struct setting *s)
{
	free(s->name);
	free(s->match);
	free(s);
}

static void on_set(struct store_op *op, const struct err *e)
{
	struct setting *s = (struct setting *)op;
	struct listing l;
	struct err gone;

	if (e) {
		http_problem(s->r, e);
		setting_free(s);
		return;
	}
	l = list(s->r, NULL, s->name);
	if (json_array_size(l.limits) > 0) {
		api_reply_json(s->r, 200, json_incref(json_array_get(l.limits, 0)));
	} else {
		err_set(&gone, ERR_CONFLICT, NULL, "the limit was set, and removed by another before this was said");
		http_problem(s->r, &gone);
	}
	json_decref(l.limits);
	json_decref(l.hosts);
	json_decref(l.batches);
	setting_free(s);
}

void api_limit_put(struct http_request *r)
{
	struct setting *s;
	struct err e;
	size_t len;
	const char *body = http_body(r, &len);

	if (api_refuse_draining(r) || api_refuse_others(r, "ask one of them, or give the batch a rate of its own"))
		return;
	s = api_alloc(sizeof *s);
	s->set.op.done = on_set;
	s->r = r;
	s->name = strdup(http_name(r));
	if (!s->name)
		BUG("out of memory for a limit");
	if (check_name(s->name, &e) || read_setting(s, body, len, &e) ||
	    engine_limit_set(api_engine(http_arg(r)), &s->set, &e)) {
		http_problem(r, &e);
		setting_free(s);
	}
}

/* ---- removing one ---- */

struct removal {
	struct store_limit_remove remove;
	struct http_request *r;
};

static void on_removed(struct store_op *op, const struct err *e)
{
	struct removal *m = (struct removal *)op;
	const char *name = http_name(m->r);
	struct err missing;

	if (e && e->code == ERR_NOT_FOUND) {
		if (rules_find(engine_rules(api_engine(http_arg(m->r))), name))
			err_set(&missing, ERR_CONFLICT, "change it there and reload, or set one of this name over it",
				"the limit %.100s comes from the configuration", name);
		else
			err_set(&missing, ERR_NOT_FOUND, "fanoutctl limits lists them", "there is no limit %.100s",
				name);
		e = &missing;
	}
	if (e)
		http_problem(m->r, e);
	else
		api_reply_json(m->r, 200, json_pack("{s:o,s:b}", "name", render_text(name), "removed", 1));
	free(m);
}

void api_limit_delete(struct http_request *r)
{
	struct removal *m;

	if (api_refuse_draining(r) || api_refuse_others(r, "ask one of them"))
		return;
	m = api_alloc(sizeof *m);
	m->remove.op.done = on_removed;
	m->remove.name = http_name(r);
	m->r = r;
	engine_limit_remove(api_engine(http_arg(r)), &m->remove);
}

/* ---- lifting a pause ---- */

void api_limits_resume(struct http_request *r)
{
	char host[URL_KEY_SIZE];
	struct err e;

	if (api_refuse_draining(r) ||
	    api_refuse_others(r, "ask one of them; the host goes on by itself when its pause ends"))
		return;
	if (api_query_host(r, host, &e)) {
		http_problem(r, &e);
	} else if (!host[0]) {
		err_set(&e, ERR_INPUT, "add ?host=HOST:PORT", "the host is missing");
		http_problem(r, &e);
	} else if (!engine_host_resume(api_engine(http_arg(r)), host)) {
		err_set(&e, ERR_NOT_FOUND, "fanoutctl limits shows which hosts are", "%s is not paused", host);
		http_problem(r, &e);
	} else {
		api_reply_json(r, 200, json_pack("{s:s,s:b}", "host", host, "resumed", 1));
	}
}
