/* Running jq: the body is read once, fail_if comes first, and all of it is bounded in memory. */
#define _GNU_SOURCE 1

#include "lib/judge.h"

#include <fcntl.h>
#include <jq.h>
#include <jv.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/complaint.h"
#include "lib/envelope.h"
#include "lib/err.h"
#include "lib/programs.h"
#include "lib/units.h"
#include "lib/verdict_body.h"

/* What a run may take beyond what the process has: jq holds JSON in about ten times its bytes, and copies. */
#define MEMORY_BASE   ((rlim_t)256 << 20)
#define MEMORY_FACTOR 24

#define BODY_SHOWN 100 /* bytes, where an expression fails on it */

struct judge {
	struct programs *programs;
	int statm; /* /proc/self/statm, or -1 */
};

/* One response's. */
struct hearing {
	const struct judge_case *c;
	const struct program *fail_if, *page; /* NULL where there is none */
	jv context;                           /* the page's, an object; invalid where it is none */
	enum verdict_next next;
	char *text;
};

struct judge *judge_create(void)
{
	struct judge *j = calloc(1, sizeof *j);

	if (!j)
		BUG("out of memory");
	j->programs = programs_create();
	j->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	return j;
}

void judge_free(struct judge *j)
{
	if (!j)
		return;
	programs_free(j->programs);
	if (j->statm >= 0)
		close(j->statm);
	free(j);
}

/* ---- Memory ---- */

/* Bounds the address space to what is in use and `more`, so that a runaway program ends this worker before it presses
 * the machine. Sets *before to what the bound was; false where there is nothing to bring back. */
static bool bound_memory(const struct judge *j, rlim_t more, struct rlimit *before)
{
	struct rlimit bound;
	char text[32];
	ssize_t n = j->statm < 0 ? -1 : pread(j->statm, text, sizeof text - 1, 0);

	if (n <= 0 || getrlimit(RLIMIT_AS, before))
		return false;
	text[n] = '\0';
	bound = *before;
	bound.rlim_cur = strtoull(text, NULL, 10) * (rlim_t)sysconf(_SC_PAGESIZE) + more;
	return bound.rlim_cur < before->rlim_cur && setrlimit(RLIMIT_AS, &bound) == 0;
}

/* ---- Programs ---- */

static bool is_given(const char *program)
{
	return program && program[0];
}

bool judge_reads_body(const struct judge_case *c)
{
	return is_given(c->fail_if) || (c->page && is_given(c->page->program));
}

/* False, and told, where one does not compile. */
static bool find_programs(struct judge *j, struct hearing *h)
{
	const struct judge_case *c = h->c;

	if (is_given(c->fail_if)) {
		h->fail_if = programs_get(j->programs, PROGRAM_FAIL_IF, c->fail_if);
		if (!h->fail_if->jq)
			return !complain(h->text, "fail-if does not compile: %s", h->fail_if->error);
	}
	if (c->page && is_given(c->page->program)) {
		h->page = programs_get(j->programs, PROGRAM_PAGE, c->page->program);
		if (!h->page->jq)
			return !complain(h->text, "the recipe does not compile: %s", h->page->error);
	}
	return true;
}

/* What the program gives: an invalid value where that is nothing. Consumes `input`. */
static jv run(const struct program *p, jv input)
{
	jv said;

	jq_start(p->jq, input, 0);
	said = jq_next(p->jq);
	if (jv_is_valid(said))
		jv_free(jq_next(p->jq)); /* the end of the run (lib/jq.h) */
	return said;
}

/* Consumes `said`, an invalid value. True where the program has failed. */
static bool tell_failure(jv said, const char *whose, char *text)
{
	bool failed = jv_invalid_has_msg(jv_copy(said));
	jv message;

	if (!failed) {
		jv_free(said);
		return false;
	}
	message = complaint_string(jv_invalid_get_msg(said));
	complain(text, "%s: %s", whose, jv_string_value(message));
	jv_free(message);
	return true;
}

/* Consumes `envelope`. */
static bool run_fail_if(const struct hearing *h, jv envelope)
{
	jv said = run(h->fail_if, envelope);

	if (!jv_is_valid(said))
		return tell_failure(said, "fail-if", h->text);
	return complain_of(h->text, said, "fail-if holds for the response");
}

/* ---- Pages ---- */

/* The daemon's words, so nothing but a mistake of ours makes it none. */
static bool read_context(struct hearing *h)
{
	static const struct {
		const char *type;
		enum verdict_next next;
	} types[] = {{"link", VERDICT_NEXT_LINK}, {"next_url", VERDICT_NEXT_URL}};
	jv type;

	h->context = jv_parse(h->c->page->context);
	if (jv_get_kind(h->context) != JV_KIND_OBJECT)
		return !complain(h->text, "the page's context is no JSON object");
	type = jv_object_get(jv_copy(h->context), jv_string("type"));
	for (size_t i = 0; jv_get_kind(type) == JV_KIND_STRING && i < sizeof types / sizeof *types; i++)
		if (strcmp(jv_string_value(type), types[i].type) == 0)
			h->next = types[i].next;
	jv_free(type);
	return true;
}

/* A member of the context, or `otherwise`, which it consumes. */
static jv get_context(const struct hearing *h, const char *member, jv otherwise)
{
	jv v = jv_object_get(jv_copy(h->context), jv_string(member));

	if (!jv_is_valid(v)) {
		jv_free(v);
		return otherwise;
	}
	jv_free(otherwise);
	return v;
}

/* What the recipe's error found in the body says enough. */
static bool tells_error(jv said)
{
	jv_kind kind = JV_KIND_NULL;
	jv error;

	if (jv_get_kind(said) == JV_KIND_OBJECT) {
		error = jv_object_get(jv_copy(said), jv_string("error"));
		kind = jv_get_kind(error);
		jv_free(error);
	}
	return kind != JV_KIND_INVALID && kind != JV_KIND_NULL && kind != JV_KIND_FALSE;
}

#define SAYS_DEPTH 3 /* {"errors":[{"message":"..."}]} */

/* The text by which APIs say what went wrong; invalid where there is none. Consumes `body`. */
static jv find_saying(jv body, unsigned depth)
{
	static const char *const names[] = {"message", "error", "errors", "detail", "error_description", "title"};
	jv found = jv_invalid();

	if (jv_get_kind(body) == JV_KIND_STRING && depth < SAYS_DEPTH && *jv_string_value(body))
		return body;
	if (jv_get_kind(body) == JV_KIND_ARRAY && depth > 0 && depth < SAYS_DEPTH)
		return find_saying(jv_array_get(body, 0), depth - 1);
	for (size_t i = 0; jv_get_kind(body) == JV_KIND_OBJECT && depth > 0 && i < sizeof names / sizeof *names; i++) {
		jv_free(found);
		found = find_saying(jv_object_get(jv_copy(body), jv_string(names[i])), depth - 1);
		if (jv_is_valid(found))
			break;
	}
	jv_free(body);
	return found;
}

/* An expression failed, or gave what cannot be meant: on what. It may be how the server says that something is wrong.
 */
static bool add_body(const struct hearing *h)
{
	size_t n = h->c->body_bytes < BODY_SHOWN ? (size_t)h->c->body_bytes : BODY_SHOWN;
	char why[JUDGE_TEXT_SIZE];
	jv said;

	if (n == 0)
		return true;
	snprintf(why, sizeof why, "%s", h->text);
	said = find_saying(envelope_body(h->c->body, h->c->body_bytes), SAYS_DEPTH);
	if (jv_is_valid(said))
		complain(h->text, "%s; the server says: %s", why, jv_string_value(said));
	else
		complain(h->text, "%s; the body begins: %.*s", why, (int)n, (const char *)h->c->body);
	jv_free(said);
	return true;
}

/* Consumes `envelope`. */
static bool run_page(const struct hearing *h, jv envelope)
{
	jv said;

	envelope = jv_object_set(envelope, jv_string("page"), get_context(h, "page", jv_null()));
	envelope = jv_object_set(envelope, jv_string("vars"), get_context(h, "vars", jv_object()));
	said = run(h->page, envelope);
	if (jv_is_valid(said)) {
		bool tells = tells_error(said);

		return verdict_take_body(h->c->page->verdict, said, h->next, h->text) && (tells || add_body(h));
	}
	return tell_failure(said, "the recipe", h->text) || complain(h->text, "the recipe gives nothing");
}

static bool take_head(const struct hearing *h)
{
	jv start = get_context(h, "start", jv_number(1));
	struct verdict_head head = {.head = h->c->headers,
				    .url = h->c->page->url,
				    .next = h->next,
				    .param = h->c->page->param,
				    .start =
					jv_get_kind(start) == JV_KIND_NUMBER ? (int64_t)jv_number_value(start) : 1};

	jv_free(start);
	return verdict_take_head(h->c->page->verdict, &head, h->text);
}

/* ---- Judging ---- */

static bool refuse_body(const struct hearing *h, jv why)
{
	static const char unknown[] = "Invalid numeric literal"; /* libjq's word for whatever begins no other value */
	const char *type = h->c->content_type, *what;
	jv message = complaint_string(jv_invalid_get_msg(why));
	char is[JUDGE_TEXT_SIZE];

	if (strstr(type, "json"))
		snprintf(is, sizeof is, "the body is not JSON, though its type is %s", type);
	else
		snprintf(is, sizeof is, "the body is not JSON%s%s", type[0] ? " but " : "", type);
	what = jv_string_value(message);
	if (strncmp(what, unknown, strlen(unknown)) == 0)
		complain(h->text, "%s: unexpected text%s", is, what + strlen(unknown));
	else
		complain(h->text, "%s: %s", is, what);
	jv_free(message);
	return true;
}

static bool refuse_size(const struct hearing *h)
{
	char units[UNITS_TEXT_SIZE], most[UNITS_TEXT_SIZE];

	return complain(h->text, "the body has %s, and %s %s at most", units_format_bytes(units, h->c->body_bytes),
			h->fail_if ? "fail-if reads" : "a recipe reads", units_format_bytes(most, JUDGE_BODY_MAX));
}

static bool hear_body(const struct hearing *h)
{
	const struct judge_case *c = h->c;
	bool headers = (h->fail_if && h->fail_if->wants_headers) || (h->page && h->page->wants_headers);
	jv body = c->bodiless ? jv_null() : envelope_body(c->body, c->body_bytes), envelope;
	bool is_error;

	if (!jv_is_valid(body))
		return refuse_body(h, body);
	envelope = envelope_make(body, c->status, headers ? c->headers : NULL);
	is_error = (h->fail_if && run_fail_if(h, jv_copy(envelope))) || (h->page && run_page(h, jv_copy(envelope)));
	jv_free(envelope);
	return is_error;
}

static bool hear(struct judge *j, struct hearing *h)
{
	const struct judge_case *c = h->c;
	struct rlimit before;
	bool bounded, is_error;

	if (!find_programs(j, h) || (c->page && !read_context(h)))
		return true;
	if (judge_reads_body(c)) {
		if (c->body_bytes > JUDGE_BODY_MAX)
			return refuse_size(h);
		bounded = bound_memory(j, MEMORY_BASE + MEMORY_FACTOR * (rlim_t)c->body_bytes, &before);
		is_error = hear_body(h);
		if (bounded)
			setrlimit(RLIMIT_AS, &before);
		if (is_error)
			return true;
	}
	return c->page && take_head(h);
}

bool judge_run(struct judge *j, const struct judge_case *c, char *text)
{
	struct hearing h = {.c = c, .context = jv_invalid(), .text = text};
	bool is_error = hear(j, &h);

	jv_free(h.context);
	return is_error;
}
