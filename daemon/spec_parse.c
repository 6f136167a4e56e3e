/* The requests that bring work: a batch, and lines of jobs. All or nothing; the cost of a line is what bulk submission
 * is made of, so a plain one is one json_loadb, two copies into an arena and no more. */
#define _GNU_SOURCE 1

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/spec_private.h"

#define PLAIN_URL_MAX 1000

struct spec_jobs {
	struct arena arena;
	struct spec_authority authorities[SPEC_AUTHORITIES];
	struct spec_authority last; /* of the plain line before */
	struct store_job_new *jobs;
	size_t count, cap;
};

/* ---- one job ---- */

static json_t *load(struct slice text, struct err *e)
{
	json_error_t why;
	json_t *root = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &why);

	if (!root)
		err_set(e, ERR_INPUT, "write it as JSON (RFC 8259) in UTF-8", "this is not JSON: %s (byte %d)",
			why.text, why.position);
	return root;
}

static struct store_job_new *next_job(struct spec_jobs *j)
{
	if (j->count == j->cap) {
		j->cap = j->cap ? j->cap * 2 : 64;
		j->jobs = realloc(j->jobs, j->cap * sizeof *j->jobs);
		if (!j->jobs)
			BUG("out of memory for %zu jobs", j->cap);
	}
	return &j->jobs[j->count++];
}

/* Of 16 bytes at a time compilers make few instructions. */
#define AT_ONCE 16

/* Is there anything but printable ASCII, without spaces and what JSON escapes? */
static unsigned any_odd(const char *p, size_t n)
{
	unsigned char odd = 0;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];

		odd |= (c <= ' ') | (c >= 0x7f) | (c == '"') | (c == '\\');
	}
	return odd;
}

static bool is_plain(const char *p, size_t n)
{
	unsigned odd = 0;

	if (n < AT_ONCE)
		return !any_odd(p, n);
	for (size_t i = 0; i + AT_ONCE < n; i += AT_ONCE)
		odd |= any_odd(p + i, AT_ONCE);
	return !(odd | any_odd(p + n - AT_ONCE, AT_ONCE));
}

/* Begins with the authority of the plain one before. */
static bool is_same_host(const struct spec_jobs *j, const char *url, size_t n)
{
	size_t len = j->last.len;

	return len && n > len && memcmp(url, j->last.prefix, len) == 0 &&
	       (url[len] == '/' || url[len] == '?' || url[len] == '#');
}

/* The commonest line by far, {"url":"..."} in printable ASCII without escapes, is JSON that can be read as it stands:
 * jansson costs more than all else that is done with it. What is refused here is looked at the long way, which says
 * why. */
static bool take_plain(struct spec_jobs *j, struct slice text)
{
	static const char open[] = "{\"url\":\"", shut[] = "\"}";
	const size_t head = sizeof open - 1, tail = sizeof shut - 1;
	const char *url = text.p + head;
	char whole[PLAIN_URL_MAX + 1];
	size_t n = text.n - head - tail;
	struct spec_draft d;
	struct err why;

	if (text.n < head + tail || n > PLAIN_URL_MAX || memcmp(text.p, open, head) != 0 ||
	    memcmp(url + n, shut, tail) != 0 || !is_plain(url, n))
		return false;
	if (is_same_host(j, url, n)) {
		*next_job(j) = (struct store_job_new){.url = arena_copy(&j->arena, url, n), .limit_key = j->last.key};
		return true;
	}
	memcpy(whole, url, n);
	whole[n] = '\0';
	d = spec_draft(&j->arena, j->authorities, text);
	if (spec_take_url(&d, whole, n, &why))
		return false;
	if (d.authority)
		j->last = *d.authority;
	*next_job(j) = d.job;
	return true;
}

static int parse_job(struct spec_jobs *j, struct slice text, struct err *e)
{
	struct spec_draft d;
	json_t *root;
	int rc;

	if (text.n > SPEC_LINE_MAX)
		return err_set(e, ERR_TOO_LARGE, NULL, "a job's JSON is %zu bytes long, and may have %u", text.n,
			       SPEC_LINE_MAX);
	if (j->count == SPEC_JOBS_MAX)
		return err_set(e, ERR_TOO_LARGE, "send the rest in further requests",
			       "there are more than %d jobs in one request", SPEC_JOBS_MAX);
	if (take_plain(j, text))
		return 0;
	root = load(text, e);
	if (!root)
		return -1;
	d = spec_draft(&j->arena, j->authorities, text);
	rc = spec_read_members(&d, root, SPEC_IN_JOB, e);
	if (rc == 0) {
		d.job.options = spec_job_options(&d);
		*next_job(j) = d.job;
	}
	spec_draft_clear(&d);
	json_decref(root);
	return rc;
}

/* ---- lines ---- */

static struct slice without_end(const char *p, const char *end)
{
	while (end > p && (end[-1] == '\r' || end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return (struct slice){p, (size_t)(end - p)};
}

static bool is_blank(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != ' ' && s.p[i] != '\t')
			return false;
	return true;
}

static int parse_lines(struct spec_jobs *j, const char *p, size_t len, struct err *e)
{
	const char *end = p + len;

	for (unsigned line = 1; p < end; line++) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));
		struct slice text = without_end(p, newline ? newline : end);

		if (!is_blank(text) && parse_job(j, text, e)) {
			if (e)
				e->line = line;
			return -1;
		}
		p = newline ? newline + 1 : end;
	}
	return 0;
}

static struct spec_jobs *jobs_create(void)
{
	struct spec_jobs *j = calloc(1, sizeof *j);

	if (!j)
		BUG("out of memory for jobs");
	return j;
}

struct spec_jobs *spec_parse_jobs(const char *ndjson, size_t len, struct err *e)
{
	struct spec_jobs *j = jobs_create();

	if (parse_lines(j, ndjson, len, e) == 0)
		return j;
	spec_jobs_free(j);
	return NULL;
}

const struct store_job_new *spec_jobs_array(const struct spec_jobs *j, size_t *count)
{
	*count = j->count;
	return j->jobs;
}

void spec_jobs_chain(struct spec_jobs *j)
{
	for (size_t i = 0; i < j->count; i++)
		if (!j->jobs[i].chain)
			j->jobs[i].chain = SPEC_CHAIN_ALL;
}

void spec_jobs_free(struct spec_jobs *j)
{
	if (!j)
		return;
	arena_clear(&j->arena);
	free(j->jobs);
	free(j);
}

/* ---- a batch ---- */

static char *copy(const char *s)
{
	char *c = s ? strdup(s) : NULL;

	if (s && !c)
		BUG("out of memory for a batch");
	return c;
}

/* Each by its own text, as if it were a line. */
static int parse_inline_jobs(struct spec_batch *out, struct slice batch, struct err *e)
{
	struct slice rest, element;

	if (!spec_raw_member(batch, "jobs", &rest))
		return spec_refuse(e, ERR_INPUT, "jobs", "the member's name must not be written with escapes");
	out->jobs = jobs_create();
	for (unsigned i = 1; spec_raw_next(&rest, &element); i++) {
		struct err inner;

		if (parse_job(out->jobs, element, &inner)) {
			err_set(e, inner.code, inner.hint, "job %u: %.380s", i, inner.what);
			e->line = i;
			return -1;
		}
	}
	return 0;
}

static int take_draft(struct spec_batch *out, struct spec_draft *d, struct slice text, struct err *e)
{
	out->name = copy(d->name);
	out->key = copy(d->key);
	out->priority = d->priority;
	out->concurrency = d->concurrency;
	out->held = d->hold;
	out->close = d->close >= 0 ? d->close : d->jobs != NULL;
	out->options = spec_batch_options(d);
	if (d->jobs && parse_inline_jobs(out, text, e))
		return -1;
	if (out->jobs && d->chain)
		spec_jobs_chain(out->jobs);
	return 0;
}

int spec_parse_batch(struct spec_batch *out, const char *json, size_t len, struct err *e)
{
	struct spec_authority authorities[SPEC_AUTHORITIES] = {0};
	struct slice text = {json, len};
	struct arena arena = {0};
	struct spec_draft d = spec_draft(&arena, authorities, text);
	json_t *root;
	int rc;

	*out = (struct spec_batch){0};
	root = load(text, e);
	if (!root)
		return -1;
	rc = spec_read_members(&d, root, SPEC_IN_BATCH, e);
	if (rc == 0)
		rc = take_draft(out, &d, text, e);
	spec_draft_clear(&d);
	arena_clear(&arena);
	json_decref(root);
	if (rc)
		spec_batch_clear(out);
	return rc;
}

void spec_batch_clear(struct spec_batch *b)
{
	free(b->name);
	free(b->key);
	free(b->options);
	spec_jobs_free(b->jobs);
	*b = (struct spec_batch){0};
}
