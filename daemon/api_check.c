/* Which lines would be refused as jobs: for who corrects a list, and wants all that is wrong with it at once. Takes
 * nothing in. */
#include <string.h>

#include "daemon/api.h"
#include "daemon/render.h"
#include "daemon/spec.h"

#define TOLD_MAX 20 /* with their reasons */

/* `e` is NULL where it is not told why. */
static json_t *refusal(unsigned line, const struct err *e)
{
	json_t *o = json_object();

	render_set(o, "line", json_integer(line));
	if (e) {
		render_set(o, "detail", render_text(e->what));
		render_set(o, "hint", render_text(e->hint));
	}
	return o;
}

static const char *behind_line(const char *p, const char *end, unsigned lines)
{
	for (; lines && p < end; lines--) {
		const char *newline = memchr(p, '\n', (size_t)(end - p));

		p = newline ? newline + 1 : end;
	}
	return p;
}

/* The loop stands still meanwhile: no more than are taken in at once. */
static bool too_many(const char *p, const char *end)
{
	size_t lines = 0;

	for (; p < end && lines <= SPEC_JOBS_MAX; lines++)
		p = behind_line(p, end, 1);
	return lines > SPEC_JOBS_MAX;
}

/* Behind each line that is refused, reading begins anew. */
void api_jobs_check(struct http_request *r)
{
	json_t *refusals;
	size_t len, refused = 0;
	const char *p = http_body(r, &len), *end = p + len;
	unsigned line = 0;
	struct err e;

	if (too_many(p, end)) {
		err_set(&e, ERR_TOO_LARGE, "have them looked at in several requests",
			"there are more than %d lines in one request", SPEC_JOBS_MAX);
		http_problem(r, &e);
		return;
	}
	refusals = json_array();
	while (p < end) {
		struct spec_jobs *jobs = spec_parse_jobs(p, (size_t)(end - p), &e);

		spec_jobs_free(jobs);
		if (jobs)
			break;
		line += e.line;
		p = behind_line(p, end, e.line);
		json_array_append_new(refusals, refusal(line, refused++ < TOLD_MAX ? &e : NULL));
	}
	api_reply_json(r, 200, json_pack("{s:o}", "refusals", refusals));
}
