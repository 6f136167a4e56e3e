/* limits: the rules, their use and the hosts that are paused; and the words that change them. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/client.h"
#include "cli/hosts_find.h"
#include "cli/limits.h"
#include "cli/options.h"
#include "cli/verbs.h"

#define NAME_MAX_BYTES 100 /* what the daemon takes */

/* ---- asking ---- */

/* Takes over the rules of `answer` that are not there yet, and of those that are, the state. */
static void merge_rules(json_t *all, const json_t *answer, const char *list)
{
	json_t *rule, *old, *state;
	size_t i, k;

	json_array_foreach (json_object_get(answer, list), i, rule) {
		json_t *found = NULL;

		json_array_foreach (json_object_get(all, list), k, old) {
			if (json_equal(json_object_get(old, "name"), json_object_get(rule, "name")) &&
			    json_equal(json_object_get(old, "source"), json_object_get(rule, "source")))
				found = old;
		}
		if (!found)
			json_array_append(json_object_get(all, list), rule);
		else if ((state = json_object_get(rule, "state")))
			json_array_extend(json_object_get(found, "state"), state);
	}
}

static void merge(json_t *all, const json_t *answer)
{
	merge_rules(all, answer, "limits");
	merge_rules(all, answer, "batches");
	json_array_extend(json_object_get(all, "hosts"), json_object_get(answer, "hosts"));
}

/* Leaves the rows of the hosts that were asked for, each once. */
static void keep_hosts(json_t *rows, const struct hosts *h)
{
	for (size_t i = 0; i < json_array_size(rows);) {
		const json_t *host = json_object_get(json_array_get(rows, i), "host");
		bool keep = json_is_string(host) && hosts_have(h, json_string_value(host));

		for (size_t k = 0; keep && k < i; k++)
			keep = !json_equal(host, json_object_get(json_array_get(rows, k), "host"));
		if (keep)
			i++;
		else
			json_array_remove(rows, i);
	}
}

json_t *limits_of_host(struct client *c, const char *key, struct err *e)
{
	struct text path = {0};
	json_t *j;

	text_add_str(&path, "/v1/limits?host=");
	hosts_add_encoded(&path, key);
	j = client_get_json(c, e, "%s", path.data);
	text_clear(&path);
	return j;
}

static json_t *empty_answer(void)
{
	return json_pack("{s:[], s:[], s:[]}", "limits", "hosts", "batches");
}

/* What holds for the host at any of its ports. */
static json_t *ask_host(struct client *c, const char *operand, struct err *e)
{
	struct hosts *h = calloc(1, sizeof *h);
	json_t *all = empty_answer(), *answer, *rule;
	int rc;
	size_t i;

	if (!h)
		BUG("out of memory");
	rc = hosts_find_limited(c, operand, h, e);
	for (i = 0; rc == 0 && i < h->count; i++) {
		answer = limits_of_host(c, h->keys[i], e);
		rc = answer ? 0 : -1;
		merge(all, answer);
		json_decref(answer);
	}
	json_array_foreach (json_object_get(all, "limits"), i, rule) {
		keep_hosts(json_object_get(rule, "state"), h);
	}
	keep_hosts(json_object_get(all, "hosts"), h);
	free(h);
	if (rc == 0)
		return all;
	json_decref(all);
	return NULL;
}

/* What holds for each of a batch's hosts. */
static json_t *ask_batch(struct client *c, const json_t *batch, struct err *e)
{
	json_t *all = empty_answer(), *hosts = json_object_get(batch, "hosts"), *key, *answer;
	size_t i;

	if (json_array_size(hosts) > HOSTS_MAX) {
		err_set(e, ERR_USAGE, "fanoutctl limits shows all that are in use", "its requests go to %zu hosts",
			json_array_size(hosts));
		goto failed;
	}
	json_array_foreach (hosts, i, key) {
		answer = ask_host(c, json_string_value(key), e);
		if (!answer)
			goto failed;
		merge(all, answer);
		json_decref(answer);
	}
	return all;
failed:
	json_decref(all);
	return NULL;
}

static json_t *ask(struct ctl *ctl, struct err *e)
{
	const char *operand = ctl->args.operand_count ? ctl->args.operands[0] : NULL;
	json_t *batch = NULL, *answer;

	if (!operand)
		return ctl_connect(ctl, e) < 0 ? NULL : client_get_json(ctl->client, e, "/v1/limits");
	if (hosts_find_batch(ctl, operand, &batch, e) < 0)
		return NULL;
	answer = batch ? ask_batch(ctl->client, batch, e) : ask_host(ctl->client, operand, e);
	json_decref(batch);
	return answer;
}

int verb_limits(struct ctl *ctl)
{
	struct err e;
	json_t *j = ask(ctl, &e);
	int rc;

	if (!j)
		return ctl_report(&e);
	rc = limits_show(ctl, j, &e);
	json_decref(j);
	return rc < 0 ? ctl_report(&e) : STATUS_FINE;
}

/* ---- changing ---- */

static int check_name(const char *name, struct err *e)
{
	size_t n = strlen(name);

	if (n >= 1 && n <= NAME_MAX_BYTES)
		return 0;
	return err_set(e, ERR_USAGE, "give it a short name, and what it is for with --match",
		       "the name of a limit has 1 to %d bytes", NAME_MAX_BYTES);
}

/* "/v1/limits/NAME": any byte may be in a name. */
static void add_path(struct text *path, const char *name)
{
	text_add_str(path, "/v1/limits/");
	hosts_add_encoded(path, name);
}

static json_t *rule_of(const struct args *a, struct err *e)
{
	json_t *rule, *rates;

	if (!a->rates.count && !a->concurrency) {
		err_set(e, ERR_USAGE, "as in: fanoutctl limits set api.example.org --rate 100/min --concurrency 8",
			" limits set: --rate or --concurrency is missing");
		return NULL;
	}
	if (a->pace && !a->rates.count) {
		err_set(e, ERR_USAGE, NULL, " limits set: --pace spreads a rate evenly; --rate is missing");
		return NULL;
	}
	rule = json_object();
	rates = json_array();
	for (size_t i = 0; i < a->rates.count; i++)
		json_array_append_new(rates, json_string(a->rates.values[i].text));
	if (a->rates.count)
		json_object_set(rule, "rates", rates);
	json_decref(rates);
	if (a->concurrency)
		json_object_set_new(rule, "concurrency", json_integer(strtoll(a->concurrency, NULL, 10)));
	if (a->pace)
		json_object_set_new(rule, "pace", json_true());
	if (a->match && json_object_set_new(rule, "match", json_string(a->match)) < 0) {
		err_set(e, ERR_USAGE, NULL, " limits set: the value of --match is not valid UTF-8");
		json_decref(rule);
		return NULL;
	}
	return rule;
}

/* In a table's stead, one line that tells what holds now. */
static void tell_rule(const struct ctl *ctl, const char *name, const json_t *rule)
{
	struct text line = {0};

	limits_describe(rule, &line);
	ctl_note(ctl, "limit %s: %s", name, line.data);
	text_clear(&line);
}

/* What is behind the host of a URL; "" and "/" say nothing. */
static bool has_path(const char *url)
{
	const char *path = strpbrk(strstr(url, "://") + 3, "/?#");

	return path && path[0] && path[1];
}

/* A limit of a URL is one of its host, with the port where it is not the scheme's. `key` holds URL_KEY_SIZE bytes. */
static int host_of(const char *url, char *key, struct err *e)
{
	const char *usual = strncasecmp(url, "https:", 6) == 0 ? ":443" : ":80";
	size_t n;

	if (url_key(url, key, e) < 0)
		return -1;
	n = strlen(key) - strlen(usual);
	if (strcmp(key + n, usual) == 0)
		key[n] = '\0';
	return 0;
}

/* NAME, or the host of a URL. */
static const char *name_of(const struct ctl *ctl, char *host, struct err *e)
{
	const char *name = ctl->args.operands[0];

	if (!ctl->args.match && strstr(name, "://")) {
		if (host_of(name, host, e) < 0)
			return NULL;
		if (has_path(name))
			ctl_note(ctl, "this is for all of %s; --match '%s/PATH*' makes a limit for a path", host, host);
		return host;
	}
	return check_name(name, e) < 0 ? NULL : name;
}

int verb_limits_set(struct ctl *ctl)
{
	char host[URL_KEY_SIZE];
	struct err e;
	const char *name = name_of(ctl, host, &e);
	json_t *rule = name ? rule_of(&ctl->args, &e) : NULL, *answer = NULL;
	char *body = rule ? json_dumps(rule, JSON_COMPACT) : NULL;
	struct text path = {0};

	json_decref(rule);
	if (!body)
		return ctl_report(&e);
	add_path(&path, name);
	if (ctl_connect(ctl, &e) == 0)
		answer = client_put_json(ctl->client, body, strlen(body), &e, "%s", path.data);
	text_clear(&path);
	free(body);
	if (!answer)
		return ctl_report(&e);
	if (ctl->args.format == FORMAT_TABLE)
		tell_rule(ctl, name, answer);
	else
		limits_show_rule(ctl, answer);
	json_decref(answer);
	return STATUS_FINE;
}

static int remove_one(struct ctl *ctl, const char *name, struct err *e)
{
	struct text path = {0};
	json_t *j;

	if (check_name(name, e) < 0)
		return -1;
	add_path(&path, name);
	j = client_delete(ctl->client, e, "%s", path.data);
	text_clear(&path);
	if (!j)
		return -1;
	json_decref(j);
	ctl_note(ctl, "limit %s: removed", name);
	return 0;
}

/* A URL stands for its host, as it did when the limit was set. */
static int remove_named(struct ctl *ctl, const char *name, struct err *e)
{
	char host[URL_KEY_SIZE];

	if (strstr(name, "://") && host_of(name, host, NULL) == 0)
		name = host;
	return remove_one(ctl, name, e);
}

/* All operands, also behind one that was refused; the first refusal is the exit status. */
static int each_operand(struct ctl *ctl, int (*one)(struct ctl *ctl, const char *operand, struct err *e))
{
	int status = STATUS_FINE, failed;
	struct err e;

	if (ctl_connect(ctl, &e) < 0)
		return ctl_report(&e);
	for (size_t i = 0; i < ctl->args.operand_count; i++) {
		if (one(ctl, ctl->args.operands[i], &e) == 0)
			continue;
		failed = ctl_report(&e);
		status = status ? status : failed;
		if (e.code == ERR_UNREACHABLE || ctl_interrupted())
			break;
	}
	return status;
}

int verb_limits_rm(struct ctl *ctl)
{
	return each_operand(ctl, remove_named);
}

/* ---- resuming ---- */

static bool is_held(const json_t *all, const char *key)
{
	const json_t *row;
	size_t i;

	json_array_foreach (json_object_get(all, "hosts"), i, row) {
		const char *host = json_string_value(json_object_get(row, "host"));

		if (host && strcmp(host, key) == 0)
			return json_is_string(json_object_get(row, "paused_until")) ||
			       json_is_true(json_object_get(row, "probing"));
	}
	return false;
}

static int resume_key(struct ctl *ctl, const char *key, struct err *e)
{
	struct text path = {0};
	json_t *j;

	text_add_str(&path, "/v1/limits/resume?host=");
	hosts_add_encoded(&path, key);
	j = client_post_json(ctl->client, NULL, 0, e, "%s", path.data);
	text_clear(&path);
	if (!j)
		return -1;
	json_decref(j);
	ctl_note(ctl, "host %s: goes on", key);
	return 0;
}

/* A host without its port: those of its ports that are paused. */
static int resume_host(struct ctl *ctl, const char *operand, struct err *e)
{
	struct hosts *h = calloc(1, sizeof *h);
	unsigned resumed = 0;
	json_t *all = NULL;
	int rc;

	if (!h)
		BUG("out of memory");
	rc = hosts_parse(operand, h, e);
	if (rc == 0 && !h->exact) {
		all = client_get_json(ctl->client, e, "/v1/limits");
		rc = all ? 0 : -1;
		hosts_add_known(h, all);
	}
	for (size_t i = 0; rc == 0 && i < h->count; i++) {
		if (!h->exact && !is_held(all, h->keys[i]))
			continue;
		rc = resume_key(ctl, h->keys[i], e);
		resumed++;
	}
	if (rc == 0 && !resumed)
		rc = err_set(e, ERR_NOT_FOUND, "fanoutctl limits lists the hosts that are paused",
			     "%.200s is not paused", operand);
	json_decref(all);
	free(h);
	return rc;
}

int verb_limits_resume(struct ctl *ctl)
{
	return each_operand(ctl, resume_host);
}
