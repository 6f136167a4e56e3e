/* Questions to the daemon; what is then shown or measured is the verbs' affair. */
#include "cli/hosts_find.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/pull.h"
#include "cli/verbs.h"
#include "lib/jobid.h"

/* ---- batches ---- */

static json_t *batch_target(struct ctl *ctl, const json_t *batch, uint32_t number, struct err *e)
{
	json_t *found = client_get_json(ctl->client, e, "/v1/batches/%" PRIu32 "/hosts", number);
	const json_t *submitted = json_object_get(batch, "submitted_at");

	if (!found)
		return NULL;
	json_object_set_new(found, "batch", json_integer(number));
	json_object_set(found, "started_at", (json_t *)(uintptr_t)submitted);
	json_object_set(found, "ended_at", json_object_get(batch, "ended_at"));
	if (json_is_object(json_object_get(found, "limit")))
		json_object_set(json_object_get(found, "limit"), "since", (json_t *)(uintptr_t)submitted);
	return found;
}

/* A run tells more of itself than a batch. */
static json_t *get(struct ctl *ctl, uint32_t number, struct err *e)
{
	json_t *batch = client_get_json(ctl->client, e, "/v1/batches/%" PRIu32, number), *found;

	if (!batch)
		return NULL;
	found =
	    json_is_true(json_object_get(batch, "run")) ? run_get(ctl, number, e) : batch_target(ctl, batch, number, e);
	json_decref(batch);
	return found;
}

/* 0 in *number: a host. */
static int find_number(const struct ctl *ctl, const char *operand, uint32_t *number, struct err *e)
{
	uint64_t job;

	if (jobid_parse_batch(operand, number) == 0)
		return 0;
	*number = 0;
	if (jobid_parse(operand, &job) == 0)
		return err_set(e, ERR_USAGE, NULL, " %s: %s is a job; give its batch, or a host", ctl->verb->name,
			       operand);
	return hosts_parse(operand, &(struct hosts){0}, e);
}

int hosts_find_batch(struct ctl *ctl, const char *operand, json_t **batch, struct err *e)
{
	uint32_t number;

	*batch = NULL;
	if (find_number(ctl, operand, &number, e) < 0 || ctl_connect(ctl, e) < 0)
		return -1;
	if (number)
		*batch = get(ctl, number, e);
	return number && !*batch ? -1 : 0;
}

/* ---- hosts ---- */

int hosts_find_limited(struct client *c, const char *operand, struct hosts *h, struct err *e)
{
	json_t *all;

	if (hosts_parse(operand, h, e) < 0)
		return -1;
	if (h->exact)
		return 0;
	all = client_get_json(c, e, "/v1/limits");
	if (!all)
		return -1;
	hosts_add_known(h, all);
	json_decref(all);
	return 0;
}

int hosts_find_recorded(struct client *c, const char *operand, struct hosts *h, struct err *e)
{
	char name[URL_KEY_SIZE];
	struct text path = {0};
	json_t *answer;
	const json_t *key;
	size_t i;

	if (hosts_find_limited(c, operand, h, e) < 0)
		return -1;
	if (h->exact)
		return 0;
	text_add_str(&path, "/v1/hosts?name=");
	snprintf(name, sizeof name, "%.*s", (int)(strrchr(h->keys[0], ':') - h->keys[0]), h->keys[0]);
	hosts_add_encoded(&path, name);
	answer = client_get_json(c, e, "%s", path.data);
	text_clear(&path);
	if (!answer) /* an older daemon cannot tell */
		return e->code == ERR_NOT_FOUND ? 0 : -1;
	json_array_foreach (json_object_get(answer, "hosts"), i, key) {
		hosts_add(h, json_string_value(key));
	}
	json_decref(answer);
	return 0;
}
