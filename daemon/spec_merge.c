/* A job and its batch's template become one request. What is stored of either's rare members is canonical JSON of our
 * own making ("options"): whole microseconds and bytes, header lines, the body as it goes out. */
#define _GNU_SOURCE 1

#include <stdio.h>
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
		      d->retry_unsafe >= 0 || d->idempotency_key;
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
	return dump(o);
}

/* ---- reading them back ---- */

struct options {
	int64_t timeout_us, connect_timeout_us, max_body_bytes; /* 0: not said */
	unsigned max_attempts;
	bool json;
	int retry_unsafe; /* -1: not said */
	const char *idempotency_key;
};

static struct options read_options(const json_t *o)
{
	const json_t *unsafe = json_object_get(o, "retry_unsafe");

	return (struct options){
	    .timeout_us = json_integer_value(json_object_get(o, "timeout_us")),
	    .connect_timeout_us = json_integer_value(json_object_get(o, "connect_timeout_us")),
	    .max_body_bytes = json_integer_value(json_object_get(o, "max_body_bytes")),
	    .max_attempts = (unsigned)json_integer_value(json_object_get(o, "max_attempts")),
	    .json = json_is_true(json_object_get(o, "json")),
	    .retry_unsafe = unsafe ? json_is_true(unsafe) : -1,
	    .idempotency_key = json_string_value(json_object_get(o, "idempotency_key")),
	};
}

bool spec_options_chain(const char *options)
{
	json_t *o = json_loads(options, 0, NULL);
	bool chain = json_is_true(json_object_get(o, "chain"));

	json_decref(o);
	return chain;
}

/* ---- the template ---- */

struct spec_template {
	json_t *root; /* the strings below are its */
	struct options options;
	const char *method, *headers, *user;
	const void *body;
	size_t body_bytes;
	bool has_body;
	char *decoded;
};

static int take_body(struct spec_template *t, struct err *e)
{
	const json_t *text = json_object_get(t->root, "body"), *base64 = json_object_get(t->root, "body_base64");

	if (text) {
		t->body = json_string_value(text);
		t->body_bytes = json_string_length(text);
	} else if (base64) {
		t->decoded = malloc(json_string_length(base64) + 1);
		if (!t->decoded)
			BUG("out of memory for a template");
		if (base64_decode(t->decoded, &t->body_bytes, json_string_value(base64), json_string_length(base64)))
			return err_set(e, ERR_CORRUPT, NULL, "a batch's stored body is not base64");
		t->body = t->decoded;
	}
	t->has_body = t->body != NULL;
	return 0;
}

struct spec_template *spec_template_create(const char *options, struct err *e)
{
	struct spec_template *t = calloc(1, sizeof *t);
	json_error_t why;

	if (!t)
		BUG("out of memory for a template");
	t->root = json_loads(options && options[0] ? options : "{}", 0, &why);
	if (!t->root) {
		err_set(e, ERR_CORRUPT, NULL, "a batch's stored options are not JSON: %s", why.text);
		goto bad;
	}
	t->options = read_options(t->root);
	t->method = json_string_value(json_object_get(t->root, "method"));
	t->headers = json_string_value(json_object_get(t->root, "headers"));
	t->user = json_string_value(json_object_get(t->root, "user"));
	if (take_body(t, e))
		goto bad;
	return t;
bad:
	spec_template_free(t);
	return NULL;
}

void spec_template_free(struct spec_template *t)
{
	if (!t)
		return;
	json_decref(t->root);
	free(t->decoded);
	free(t);
}

/* ---- merging ---- */

static int64_t first_positive(int64_t a, int64_t b, int64_t c)
{
	return a > 0 ? a : b > 0 ? b : c;
}

static int64_t to_ms(int64_t us)
{
	return us > 1000 ? us / 1000 : 1;
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* Borrows where one side has all there is. */
static void merge_headers(struct spec_request *out, const char *own, const char *template, bool json, const char *key)
{
	char extra[SPEC_WORD_MAX + 80] = "";
	size_t n = 0;

	if (json)
		n = (size_t)snprintf(extra, sizeof extra, "Content-Type: application/json\n");
	if (key)
		snprintf(extra + n, sizeof extra - n, "Idempotency-Key: %s\n", key);
	if (!extra[0] && !template[0])
		out->job.headers = own;
	else if (!extra[0] && !own[0])
		out->job.headers = template;
	else
		out->job.headers = out->owned = spec_join_headers(own, template, extra);
}

void spec_merge(struct spec_request *out, const struct spec_template *t, const struct store_request *req,
		const struct spec_defaults *def)
{
	static const struct spec_template nothing = {.options = {.retry_unsafe = -1}};
	const struct store_job_new *own = &req->spec;
	json_t *root = own->options && own->options[0] ? json_loads(own->options, 0, NULL) : NULL;
	struct options o = read_options(root);
	bool json;

	if (!t)
		t = &nothing;
	json = own->has_body ? o.json : t->options.json;
	*out = (struct spec_request){
	    .job =
		{
		    .job = req->job,
		    .n = req->n,
		    .timeout_ms = to_ms(first_positive(o.timeout_us, t->options.timeout_us, def->timeout_us)),
		    .connect_timeout_ms = to_ms(
			first_positive(o.connect_timeout_us, t->options.connect_timeout_us, def->connect_timeout_us)),
		    .max_body_bytes = first_positive(o.max_body_bytes, t->options.max_body_bytes, def->max_body_bytes),
		    .url = own->url,
		    .user = own->user ? own->user : or_empty(t->user),
		    .body = own->has_body ? own->body : t->body,
		    .body_bytes = own->has_body ? own->body_bytes : t->body_bytes,
		    .has_body = own->has_body || t->has_body,
		},
	    .max_attempts = (unsigned)first_positive(o.max_attempts, t->options.max_attempts, def->max_attempts),
	    .repeatable = o.idempotency_key || (o.retry_unsafe >= 0 ? o.retry_unsafe : t->options.retry_unsafe) == 1,
	};
	out->job.method = own->method ? own->method : t->method ? t->method : out->job.has_body ? "POST" : "GET";
	merge_headers(out, or_empty(own->headers), or_empty(t->headers), json, o.idempotency_key);
	json_decref(root);
}

void spec_request_clear(struct spec_request *r)
{
	free(r->owned);
	*r = (struct spec_request){0};
}
