/* A job and its batch's template become one request, and what redirects have left of it. */
#define _GNU_SOURCE 1

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/spec_private.h"
#include "lib/base64.h"

/* ---- the template ---- */

struct spec_template {
	json_t *root; /* the strings below are its */
	struct spec_options options;
	struct spec_policy policy;
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
	t->options = spec_options_read(t->root);
	t->policy = spec_options_policy(t->root);
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

void spec_template_policy(const struct spec_template *t, struct spec_policy *out)
{
	*out = t->policy;
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

#define KEY_SIZE (SPEC_WORD_MAX + 1)
_Static_assert(KEY_SIZE > sizeof "fanout-0123456789abcdef-" + JOBID_TEXT_SIZE, "a made key fits");

/* Of the job alone, so that every attempt has the same: its name, and, since names begin anew with the database, when
 * it was submitted. */
static const char *idempotency_key(char *made, const char *wanted, const struct store_request *req)
{
	char name[JOBID_TEXT_SIZE];

	if (!wanted || strcmp(wanted, SPEC_KEY_AUTO) != 0)
		return wanted;
	snprintf(made, KEY_SIZE, "fanout-%" PRIx64 "-%s", (uint64_t)req->submitted_us, jobid_format(name, req->job));
	return made;
}

/* What a browser would take along to where a redirect leads (WHATWG Fetch, HTTP-redirect fetch), and no more. */
static void apply_redirects(struct spec_request *out, const struct store_request *req)
{
	char *left;

	if (req->as_get) {
		if (strcmp(out->job.method, "HEAD") != 0)
			out->job.method = "GET";
		out->job.body = NULL;
		out->job.body_bytes = 0;
		out->job.has_body = false;
	}
	if (req->stripped)
		out->job.user = "";
	left = spec_redirect_headers(out->job.headers, req->as_get, req->stripped);
	free(out->owned);
	out->job.headers = out->owned = left;
}

static void fill_request(struct spec_request *out, const struct spec_options *o, const struct spec_template *t,
			 const struct store_request *req, const struct spec_defaults *def)
{
	const struct store_job_new *own = &req->spec;
	const struct spec_options *and = &t->options;
	unsigned redirects = o->max_redirects != SPEC_UNSAID ? o->max_redirects : and->max_redirects;

	*out = (struct spec_request){
	    .job =
		{
		    .job = req->job,
		    .n = req->n,
		    .timeout_ms = to_ms(first_positive(o->timeout_us, and->timeout_us, def->timeout_us)),
		    .connect_timeout_ms =
			to_ms(first_positive(o->connect_timeout_us, and->connect_timeout_us, def->connect_timeout_us)),
		    .max_body_bytes = first_positive(o->max_body_bytes, and->max_body_bytes, def->max_body_bytes),
		    .url = own->url,
		    .user = own->user ? own->user : or_empty(t->user),
		    .body = own->has_body ? own->body : t->body,
		    .body_bytes = own->has_body ? own->body_bytes : t->body_bytes,
		    .has_body = own->has_body || t->has_body,
		    .from_public = req->from_public,
		    .fail_if = or_empty(o->fail_if ? o->fail_if : and->fail_if),
		    .page_program = "",
		    .page_context = "",
		    .page_param = "",
		},
	    .max_attempts = (unsigned)first_positive(o->max_attempts, and->max_attempts, def->max_attempts),
	    .max_redirects = redirects != SPEC_UNSAID ? redirects : SPEC_REDIRECTS,
	};
	out->job.method = own->method ? own->method : t->method ? t->method : out->job.has_body ? "POST" : "GET";
}

void spec_merge(struct spec_request *out, const struct spec_template *t, const struct store_request *req,
		const struct spec_defaults *def)
{
	static const struct spec_template nothing = {.options = {.retry_unsafe = -1, .max_redirects = SPEC_UNSAID}};
	const struct store_job_new *own = &req->spec;
	json_t *root = own->options && own->options[0] ? json_loads(own->options, 0, NULL) : NULL;
	struct spec_options o = spec_options_read(root);
	char made[KEY_SIZE];
	const char *key;
	int unsafe;

	if (!t)
		t = &nothing;
	unsafe = o.retry_unsafe >= 0 ? o.retry_unsafe : t->options.retry_unsafe;
	key = idempotency_key(made, o.idempotency_key ? o.idempotency_key : t->options.idempotency_key, req);
	fill_request(out, &o, t, req, def);
	out->options = root; /* fail_if lies in it */
	merge_headers(out, or_empty(own->headers), or_empty(t->headers), own->has_body ? o.json : t->options.json, key);
	out->repeatable = unsafe == 1 || (key && !spec_takes_away(out->job.headers, "Idempotency-Key"));
	if (req->as_get || req->stripped)
		apply_redirects(out, req);
}

void spec_request_clear(struct spec_request *r)
{
	free(r->owned);
	json_decref(r->options);
	*r = (struct spec_request){0};
}
