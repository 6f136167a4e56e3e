/* One JSON object, member by member: a table says which members there are, where, and who reads each. */
#define _GNU_SOURCE 1

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/spec_private.h"
#include "lib/base64.h"
#include "lib/units.h"

#define METHOD_MAX       32
#define ATTEMPTS_MAX     100
#define TIMEOUT_MAX_US   (INT64_C(86400) * 1000000)
#define BODY_LIMIT_MAX   (INT64_C(1) << 40)
#define USER_MAX         4096
#define PRIORITY_MAX     9
#define PRIORITY_DEFAULT 5
#define FAIL_IF_MAX      4096
#define REDIRECTS_MAX    50

struct member {
	const char *name;
	unsigned places; /* of enum spec_place */
	int (*read)(struct spec_draft *d, json_t *v, const struct member *m, struct err *e);
	size_t offset; /* of what it sets in struct spec_draft, where one reader serves several */
	int64_t min, max;
};

int spec_refuse(struct err *e, enum err_code code, const char *member, const char *fmt, ...)
{
	char text[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return err_set(e, code, NULL, "\"%s\": %s", member, text);
}

static int wrong_type(const struct member *m, const char *wanted, struct err *e)
{
	return spec_refuse(e, ERR_INPUT, m->name, "it has to be %s", wanted);
}

static void *at(struct spec_draft *d, const struct member *m)
{
	return (char *)d + m->offset;
}

/* A failure of lib/units or lib/url, told with the member's name in front. */
static int pass_on(const struct err *inner, const struct member *m, struct err *e)
{
	struct err copy = *inner;

	return err_set(e, copy.code, copy.hint, "\"%s\": %.380s", m->name, copy.what);
}

/* ---- readers ---- */

/* A short name without control bytes. */
static int read_word(struct spec_draft *d, json_t *v, const struct member *m, struct err *e)
{
	const char *s = json_string_value(v);
	size_t n = json_string_length(v);

	if (!s)
		return wrong_type(m, "a string", e);
	if (n > SPEC_WORD_MAX)
		return spec_refuse(e, ERR_INPUT, m->name, "it is longer than %d bytes", SPEC_WORD_MAX);
	for (size_t i = 0; i < n; i++)
		if (iscntrl((unsigned char)s[i]))
			return spec_refuse(e, ERR_INPUT, m->name, "it has a control byte (0x%02x)",
					   (unsigned char)s[i]);
	if (n < (size_t)m->min)
		return spec_refuse(e, ERR_INPUT, m->name, "it is empty");
	*(const char **)at(d, m) = n ? arena_copy(d->arena, s, n) : NULL;
	return 0;
}

static int read_count(struct spec_draft *d, json_t *v, const struct member *m, struct err *e)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v))
		return wrong_type(m, "a whole number", e);
	if (n < m->min || n > m->max)
		return spec_refuse(e, ERR_INPUT, m->name, "%lld is not within %lld and %lld", (long long)n,
				   (long long)m->min, (long long)m->max);
	*(unsigned *)at(d, m) = (unsigned)n;
	return 0;
}

static int read_flag(struct spec_draft *d, json_t *v, const struct member *m, struct err *e)
{
	if (!json_is_boolean(v))
		return wrong_type(m, "true or false", e);
	*(bool *)at(d, m) = json_is_true(v);
	return 0;
}

/* A flag that tells "false" from "not said". */
static int read_choice(struct spec_draft *d, json_t *v, const struct member *m, struct err *e)
{
	if (!json_is_boolean(v))
		return wrong_type(m, "true or false", e);
	*(int *)at(d, m) = json_is_true(v);
	return 0;
}

static int out_of_range(const struct member *m, struct err *e)
{
	return spec_refuse(e, ERR_INPUT, m->name, "it has to be at least %s",
			   m->max == UNITS_DEADLINE_MAX_US ? "1 s and at most 30 days" : "1 ms and at most a day");
}

static int read_duration(struct spec_draft *d, json_t *v, const struct member *m, struct err *e)
{
	struct err inner;
	int64_t us;

	if (json_is_number(v)) {
		double seconds = json_number_value(v);

		if (!(seconds > 0 && seconds <= (double)m->max / 1e6))
			return out_of_range(m, e);
		us = (int64_t)(seconds * 1e6 + 0.5);
	} else if (!json_is_string(v)) {
		return wrong_type(m, "a duration as in \"30s\", or a number of seconds", e);
	} else if (units_parse_duration_us(json_string_value(v), &us, &inner)) {
		return pass_on(&inner, m, e);
	}
	if (us < m->min || us > m->max)
		return out_of_range(m, e);
	*(int64_t *)at(d, m) = us;
	return 0;
}

static int read_bytes(struct spec_draft *d, json_t *v, const struct member *m, struct err *e)
{
	int64_t bytes = json_integer_value(v);
	struct err inner;

	if (json_is_string(v)) {
		if (units_parse_bytes(json_string_value(v), &bytes, &inner))
			return pass_on(&inner, m, e);
	} else if (!json_is_integer(v)) {
		return wrong_type(m, "a size as in \"64M\", or a number of bytes", e);
	}
	if (bytes < m->min || bytes > m->max)
		return spec_refuse(e, ERR_INPUT, m->name, "it has to be at least 1 byte and at most 1T");
	*(int64_t *)at(d, m) = bytes;
	return 0;
}

static int read_method(struct spec_draft *d, json_t *v, const struct member *m, struct err *e)
{
	const char *s = json_string_value(v);
	size_t n = json_string_length(v);

	if (!s)
		return wrong_type(m, "a string", e);
	if (n == 0 || n > METHOD_MAX || strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_") != n)
		return spec_refuse(e, ERR_INPUT, m->name,
				   "\"%.40s\" is not a method in capital letters, as GET or POST", s);
	if (strcmp(s, "CONNECT") == 0 || strcmp(s, "TRACE") == 0)
		return spec_refuse(e, ERR_INPUT, m->name, "%s is not a way to fetch something", s);
	d->job.method = arena_copy(d->arena, s, n);
	return 0;
}

static int read_user(struct spec_draft *d, json_t *v, const struct member *m, struct err *e)
{
	const char *s = json_string_value(v);
	size_t n = json_string_length(v);

	if (!s || !strchr(s, ':'))
		return wrong_type(m, "a string \"user:password\"", e);
	if (n > USER_MAX)
		return spec_refuse(e, ERR_INPUT, m->name, "it is longer than %d bytes", USER_MAX);
	for (size_t i = 0; i < n; i++)
		if (iscntrl((unsigned char)s[i]))
			return spec_refuse(e, ERR_INPUT, m->name, "it has a control byte"); /* RFC 7617, section 2 */
	d->job.user = arena_copy(d->arena, s, n);
	return 0;
}

static int read_headers(struct spec_draft *d, json_t *v, const struct member *m, struct err *e)
{
	(void)m;
	if (spec_read_headers(&d->lines, v, e))
		return -1;
	if (d->lines.len)
		d->job.headers = arena_copy(d->arena, d->lines.text, d->lines.len);
	return 0;
}

static int set_body(struct spec_draft *d, const void *data, size_t n, const struct member *m, struct err *e)
{
	if (d->job.has_body)
		return spec_refuse(e, ERR_INPUT, m->name,
				   "there is a body already: \"body\" or \"body_base64\", not both");
	if (n > SPEC_BODY_MAX)
		return spec_refuse(e, ERR_TOO_LARGE, m->name, "it is %zu bytes long, and a request's body at most %u",
				   n, SPEC_BODY_MAX);
	d->job.body = arena_copy(d->arena, data, n);
	d->job.body_bytes = n;
	d->job.has_body = true;
	return 0;
}

static int read_body(struct spec_draft *d, json_t *v, const struct member *m, struct err *e)
{
	struct slice raw;

	if (json_is_string(v))
		return set_body(d, json_string_value(v), json_string_length(v), m, e);
	if (!json_is_object(v) && !json_is_array(v))
		return wrong_type(m, "a string, or an object or array to be sent as JSON", e);
	if (!spec_raw_member(d->raw, m->name, &raw))
		return spec_refuse(e, ERR_INPUT, m->name, "the member's name must not be written with escapes");
	d->json = true;
	return set_body(d, raw.p, raw.n, m, e);
}

static int read_body_base64(struct spec_draft *d, json_t *v, const struct member *m, struct err *e)
{
	size_t n, len = json_string_length(v);
	char *data;
	int rc;

	if (!json_is_string(v))
		return wrong_type(m, "a string", e);
	if (len > BASE64_SIZE(SPEC_BODY_MAX))
		return spec_refuse(e, ERR_TOO_LARGE, m->name, "a request's body has at most %u bytes", SPEC_BODY_MAX);
	data = malloc(len + 1);
	if (!data)
		BUG("out of memory for a body");
	if (base64_decode(data, &n, json_string_value(v), len))
		rc = spec_refuse(e, ERR_INPUT, m->name, "it is not base64 (RFC 4648, with padding)");
	else
		rc = set_body(d, data, n, m, e);
	free(data);
	return rc;
}

/* A program is compiled where it runs, in a worker: here it is a text. "" takes the template's away. */
static int read_program(struct spec_draft *d, json_t *v, const struct member *m, struct err *e)
{
	size_t n = json_string_length(v);

	if (!json_is_string(v))
		return wrong_type(m, "a jq program, as a string", e);
	if (n > FAIL_IF_MAX)
		return spec_refuse(e, ERR_INPUT, m->name, "it is longer than %d bytes", FAIL_IF_MAX);
	d->fail_if = arena_copy(d->arena, json_string_value(v), n);
	return 0;
}

/* One key for all jobs of a batch would make them one: only keys that are made for each will do. */
static int read_auto(struct spec_draft *d, json_t *v, const struct member *m, struct err *e)
{
	if (!json_is_string(v) || strcmp(json_string_value(v), SPEC_KEY_AUTO) != 0)
		return wrong_type(m, "\"auto\" for a batch; a key of its own is a job's to say", e);
	d->idempotency_key = SPEC_KEY_AUTO;
	return 0;
}

static int read_rate(struct spec_draft *d, json_t *v, const struct member *m, struct err *e)
{
	struct err inner;

	if (!json_is_string(v))
		return wrong_type(m, "a rate as in \"100/min\"", e);
	return units_parse_rate(json_string_value(v), &d->policy.rate, &inner) ? pass_on(&inner, m, e) : 0;
}

static int read_on_limit(struct spec_draft *d, json_t *v, const struct member *m, struct err *e)
{
	int choice = json_is_string(v) ? spec_on_limit_parse(json_string_value(v)) : -1;

	if (choice < 0)
		return wrong_type(m, "\"wait\", \"drop\" or \"fail\"", e);
	d->policy.on_limit = (enum spec_on_limit)choice;
	return 0;
}

static int read_jobs(struct spec_draft *d, json_t *v, const struct member *m, struct err *e)
{
	if (!json_is_array(v))
		return wrong_type(m, "an array of jobs", e);
	if (json_array_size(v) > SPEC_JOBS_INLINE_MAX)
		return err_set(e, ERR_TOO_LARGE, "send them as lines to /v1/batches/{id}/jobs",
			       "\"jobs\": %zu are more than %d", json_array_size(v), SPEC_JOBS_INLINE_MAX);
	d->jobs = v;
	return 0;
}

static int read_url(struct spec_draft *d, json_t *v, const struct member *m, struct err *e)
{
	struct err inner;

	if (!json_is_string(v))
		return wrong_type(m, "a string", e);
	if (spec_take_url(d, json_string_value(v), json_string_length(v), &inner))
		return pass_on(&inner, m, e);
	return 0;
}

/* ---- the table ---- */

#define AT(field) offsetof(struct spec_draft, field)
#define BOTH      (SPEC_IN_JOB | SPEC_IN_BATCH)

static const struct member members[] = {
    {"url", SPEC_IN_JOB, read_url, 0, 0, 0},
    {"method", BOTH, read_method, 0, 0, 0},
    {"headers", BOTH, read_headers, 0, 0, 0},
    {"body", BOTH, read_body, 0, 0, 0},
    {"body_base64", BOTH, read_body_base64, 0, 0, 0},
    {"tag", SPEC_IN_JOB, read_word, AT(job.tag), 0, 0},
    {"chain", SPEC_IN_JOB, read_word, AT(job.chain), 1, 0},
    {"user", BOTH, read_user, 0, 0, 0},
    {"timeout", BOTH, read_duration, AT(timeout_us), 1000, TIMEOUT_MAX_US},
    {"connect_timeout", BOTH, read_duration, AT(connect_timeout_us), 1000, TIMEOUT_MAX_US},
    {"max_attempts", BOTH, read_count, AT(max_attempts), 1, ATTEMPTS_MAX},
    {"max_body", BOTH, read_bytes, AT(max_body_bytes), 1, BODY_LIMIT_MAX},
    {"idempotency_key", SPEC_IN_JOB, read_word, AT(idempotency_key), 1, 0},
    {"idempotency_key", SPEC_IN_BATCH, read_auto, 0, 0, 0},
    {"retry_unsafe", BOTH, read_choice, AT(retry_unsafe), 0, 0},
    {"fail_if", BOTH, read_program, 0, 0, 0},
    {"max_redirects", BOTH, read_count, AT(max_redirects), 0, REDIRECTS_MAX},
    {"name", SPEC_IN_BATCH, read_word, AT(name), 0, 0},
    {"key", SPEC_IN_BATCH, read_word, AT(key), 1, 0},
    {"priority", SPEC_IN_BATCH, read_count, AT(priority), 0, PRIORITY_MAX},
    {"concurrency", SPEC_IN_BATCH, read_count, AT(concurrency), 1, SPEC_CONCURRENCY_MAX},
    {"chain", SPEC_IN_BATCH, read_flag, AT(chain), 0, 0},
    {"hold", SPEC_IN_BATCH, read_flag, AT(hold), 0, 0},
    {"rate", SPEC_IN_BATCH, read_rate, 0, 0, 0},
    {"on_limit", SPEC_IN_BATCH, read_on_limit, 0, 0, 0},
    {"deadline", SPEC_IN_BATCH, read_duration, AT(policy.deadline_us), UNITS_DEADLINE_MIN_US, UNITS_DEADLINE_MAX_US},
    {"close", SPEC_IN_BATCH, read_choice, AT(close), 0, 0},
    {"jobs", SPEC_IN_BATCH, read_jobs, 0, 0, 0},
};
#define MEMBERS (sizeof members / sizeof members[0])

static const struct member *find_member(const char *name, enum spec_place place)
{
	for (size_t i = 0; i < MEMBERS; i++)
		if ((members[i].places & place) && strcmp(members[i].name, name) == 0)
			return &members[i];
	return NULL;
}

static int unknown_member(const char *name, enum spec_place place, struct err *e)
{
	char known[240];
	size_t n = 0;

	for (size_t i = 0; i < MEMBERS && n < sizeof known; i++)
		if (members[i].places & place)
			n +=
			    (size_t)snprintf(known + n, sizeof known - n, "%s%s", n ? " " : "known: ", members[i].name);
	return err_set(e, ERR_INPUT, known, "\"%.60s\" is no member of a %s", name,
		       place == SPEC_IN_JOB ? "job" : "batch");
}

struct spec_draft spec_draft(struct arena *a, struct spec_authority *authorities, struct slice raw)
{
	return (struct spec_draft){
	    .arena = a,
	    .authorities = authorities,
	    .raw = raw,
	    .retry_unsafe = -1,
	    .max_redirects = SPEC_UNSAID,
	    .close = -1,
	    .priority = PRIORITY_DEFAULT,
	};
}

void spec_draft_clear(struct spec_draft *d)
{
	free(d->lines.text);
	d->lines = (struct spec_lines){0};
}

int spec_read_members(struct spec_draft *d, json_t *object, enum spec_place place, struct err *e)
{
	const char *name;
	json_t *value;

	if (!json_is_object(object))
		return err_set(e, ERR_INPUT, "write {\"url\":\"https://...\"}", "a %s has to be a JSON object",
			       place == SPEC_IN_JOB ? "job" : "batch");
	json_object_foreach (object, name, value) {
		const struct member *m = find_member(name, place);

		if (!m)
			return unknown_member(name, place, e);
		if (m->read(d, value, m, e))
			return -1;
	}
	if (place == SPEC_IN_JOB && !d->job.url)
		return err_set(e, ERR_INPUT, "write {\"url\":\"https://...\"}", "a job has no \"url\"");
	return 0;
}
