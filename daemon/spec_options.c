/* What is stored of the rare members of a job, and of all members of a batch's template: canonical JSON of our own
 * making, whole microseconds and bytes, header lines, the body as it goes out. */
#define _GNU_SOURCE 1

#include <stdlib.h>
#include <string.h>

#include "daemon/spec_private.h"
#include "lib/base64.h"

/* ---- writing options ---- */

static void set(json_t *o, const char *name, json_t *value)
{
	if (json_object_set_new(o, name, value))
		BUG("out of memory for options");
}

static void set_positive(json_t *o, const char *name, int64_t value)
{
	if (value > 0)
		set(o, name, json_integer(value));
}

static json_t *common_options(const struct spec_draft *d)
{
	json_t *o = json_object();

	set_positive(o, "timeout_us", d->timeout_us);
	set_positive(o, "connect_timeout_us", d->connect_timeout_us);
	set_positive(o, "max_body_bytes", d->max_body_bytes);
	set_positive(o, "max_attempts", d->max_attempts);
	if (d->json)
		set(o, "json", json_true());
	if (d->retry_unsafe >= 0)
		set(o, "retry_unsafe", json_boolean(d->retry_unsafe));
	if (d->idempotency_key)
		set(o, "idempotency_key", json_string(d->idempotency_key));
	if (d->fail_if)
		set(o, "fail_if", json_string(d->fail_if));
	if (d->max_redirects != SPEC_UNSAID)
		set(o, "max_redirects", json_integer(d->max_redirects));
	return o;
}

static char *dump(json_t *o)
{
	char *text = json_dumps(o, JSON_COMPACT);

	if (!text)
		BUG("out of memory for options");
	json_decref(o);
	return text;
}

const char *spec_job_options(struct spec_draft *d)
{
	bool others = d->timeout_us || d->connect_timeout_us || d->max_body_bytes || d->max_attempts ||
		      d->retry_unsafe >= 0 || d->idempotency_key || d->fail_if || d->max_redirects != SPEC_UNSAID;
	const char *kept;
	char *text;

	if (!others)
		return d->json ? "{\"json\":true}" : NULL;
	text = dump(common_options(d));
	kept = arena_copy(d->arena, text, strlen(text));
	free(text);
	return kept;
}

/* Text where it is text, base64 where it is not. */
static void set_body(json_t *o, const struct store_job_new *job)
{
	json_t *text = json_stringn(job->body, job->body_bytes);
	char *base64;

	if (text && !memchr(job->body, '\0', job->body_bytes)) {
		set(o, "body", text);
		return;
	}
	json_decref(text);
	base64 = malloc(BASE64_SIZE(job->body_bytes));
	if (!base64)
		BUG("out of memory for options");
	base64_encode(base64, job->body, job->body_bytes);
	set(o, "body_base64", json_string(base64));
	free(base64);
}

static const char *const on_limit_names[] = {
    [SPEC_LIMIT_WAIT] = "wait",
    [SPEC_LIMIT_DROP] = "drop",
    [SPEC_LIMIT_FAIL] = "fail",
};

int spec_on_limit_parse(const char *name)
{
	for (size_t i = 0; i < sizeof on_limit_names / sizeof on_limit_names[0]; i++)
		if (strcmp(on_limit_names[i], name) == 0)
			return (int)i;
	return -1;
}

static void set_policy(json_t *o, const struct spec_policy *p)
{
	if (p->rate.count) {
		json_t *rate = json_array();

		json_array_append_new(rate, json_integer(p->rate.count));
		json_array_append_new(rate, json_integer(p->rate.window_us));
		set(o, "rate", rate);
	}
	if (p->on_limit != SPEC_LIMIT_WAIT)
		set(o, "on_limit", json_string(on_limit_names[p->on_limit]));
	set_positive(o, "deadline_us", p->deadline_us);
}

char *spec_batch_options(struct spec_draft *d)
{
	json_t *o = common_options(d);

	if (d->job.method)
		set(o, "method", json_string(d->job.method));
	if (d->job.headers)
		set(o, "headers", json_string(d->job.headers));
	if (d->job.user)
		set(o, "user", json_string(d->job.user));
	if (d->job.has_body)
		set_body(o, &d->job);
	if (d->chain)
		set(o, "chain", json_true());
	set_policy(o, &d->policy);
	return dump(o);
}

/* ---- reading them back ---- */

struct spec_options spec_options_read(const json_t *o)
{
	const json_t *unsafe = json_object_get(o, "retry_unsafe"), *redirects = json_object_get(o, "max_redirects");

	return (struct spec_options){
	    .timeout_us = json_integer_value(json_object_get(o, "timeout_us")),
	    .connect_timeout_us = json_integer_value(json_object_get(o, "connect_timeout_us")),
	    .max_body_bytes = json_integer_value(json_object_get(o, "max_body_bytes")),
	    .max_attempts = (unsigned)json_integer_value(json_object_get(o, "max_attempts")),
	    .max_redirects = redirects ? (unsigned)json_integer_value(redirects) : SPEC_UNSAID,
	    .json = json_is_true(json_object_get(o, "json")),
	    .retry_unsafe = unsafe ? json_is_true(unsafe) : -1,
	    .idempotency_key = json_string_value(json_object_get(o, "idempotency_key")),
	    .fail_if = json_string_value(json_object_get(o, "fail_if")),
	};
}

struct spec_policy spec_options_policy(const json_t *o)
{
	const json_t *rate = json_object_get(o, "rate");
	const char *on_limit = json_string_value(json_object_get(o, "on_limit"));
	int choice = on_limit ? spec_on_limit_parse(on_limit) : -1;

	return (struct spec_policy){
	    .rate = {.count = json_integer_value(json_array_get(rate, 0)),
		     .window_us = json_integer_value(json_array_get(rate, 1))},
	    .on_limit = choice < 0 ? SPEC_LIMIT_WAIT : (enum spec_on_limit)choice,
	    .deadline_us = json_integer_value(json_object_get(o, "deadline_us")),
	};
}

void spec_batch_policy(const char *options, struct spec_policy *out)
{
	json_t *o = json_loads(options, 0, NULL);

	*out = spec_options_policy(o);
	json_decref(o);
}

bool spec_options_chain(const char *options)
{
	json_t *o = json_loads(options, 0, NULL);
	bool chain = json_is_true(json_object_get(o, "chain"));

	json_decref(o);
	return chain;
}
