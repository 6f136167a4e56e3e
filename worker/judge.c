/* Running jq: programs by least recent use, a body to jq's values, and the first output to a verdict. */
#define _GNU_SOURCE 1

#include "worker/judge.h"

#include <ctype.h>
#include <fcntl.h>
#include <jq.h>
#include <jv.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/jq.h"
#include "lib/units.h"
#include "worker/text.h"

/* What a run may take beyond what the process has: jq holds JSON in about ten times its bytes, and copies. */
#define MEMORY_BASE   ((rlim_t)256 << 20)
#define MEMORY_FACTOR 24

struct program {
	TAILQ_ENTRY(program) entry;
	char *text;
	jq_state *jq; /* NULL where it does not compile */
	char *error;
	bool wants_headers;
};
TAILQ_HEAD(program_list, program);

struct judge {
	struct program_list programs; /* the one used last is first */
	size_t count;
	int statm; /* /proc/self/statm, or -1 */
};

struct judge *judge_create(void)
{
	struct judge *j = calloc(1, sizeof *j);

	if (!j)
		BUG("out of memory");
	TAILQ_INIT(&j->programs);
	j->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	return j;
}

/* ---- Programs ---- */

static void program_free(struct judge *j, struct program *p)
{
	TAILQ_REMOVE(&j->programs, p, entry);
	j->count--;
	if (p->jq)
		jq_teardown(&p->jq);
	free(p->error);
	free(p->text);
	free(p);
}

void judge_free(struct judge *j)
{
	if (!j)
		return;
	while (!TAILQ_EMPTY(&j->programs))
		program_free(j, TAILQ_FIRST(&j->programs));
	if (j->statm >= 0)
		close(j->statm);
	free(j);
}

static struct program *program_create(struct judge *j, const char *text)
{
	struct program *p = calloc(1, sizeof *p);
	struct err e;

	if (!p || !(p->text = strdup(text)))
		BUG("out of memory for a program");
	p->jq = jq_program_compile(text, &e);
	if (!p->jq && !(p->error = strdup(e.what)))
		BUG("out of memory for a program");
	p->wants_headers = strstr(text, "$headers") != NULL;
	TAILQ_INSERT_HEAD(&j->programs, p, entry);
	j->count++;
	return p;
}

static struct program *program_get(struct judge *j, const char *text)
{
	struct program *p;

	TAILQ_FOREACH (p, &j->programs, entry) {
		if (strcmp(p->text, text) != 0)
			continue;
		TAILQ_REMOVE(&j->programs, p, entry);
		TAILQ_INSERT_HEAD(&j->programs, p, entry);
		return p;
	}
	if (j->count == JUDGE_PROGRAMS_MAX)
		program_free(j, TAILQ_LAST(&j->programs, program_list));
	return program_create(j, text);
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

/* ---- What a program is given ---- */

static jv lower_name(const char *line, size_t n)
{
	char name[256];

	if (n > sizeof name)
		n = sizeof name;
	for (size_t i = 0; i < n; i++)
		name[i] = (char)tolower((unsigned char)line[i]);
	return jv_string_sized(name, (int)n);
}

/* RFC 9110, section 5.3: what is said twice is one list. */
static jv add_header(jv all, const char *line, const char *end)
{
	const char *colon = memchr(line, ':', (size_t)(end - line));
	const char *value = colon ? colon + 1 : end;
	jv name, v, before;

	if (!colon)
		return all;
	name = lower_name(line, (size_t)(colon - line));
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	v = jv_string_sized(value, (int)(end - value));
	before = jv_object_get(jv_copy(all), jv_copy(name));
	if (jv_get_kind(before) == JV_KIND_STRING)
		v = jv_string_concat(jv_string_concat(before, jv_string(", ")), v);
	else
		jv_free(before);
	return jv_object_set(all, name, v);
}

static jv header_object(const char *head)
{
	const char *line = strchrnul(head, '\n');
	jv all = jv_object();

	while (*line && *++line) {
		const char *end = strchrnul(line, '\n');

		all = add_header(all, line, end);
		line = end;
	}
	return all;
}

/* Exactly one value, or an invalid one whose message says why not. */
static jv parse_body(const struct judge_case *c)
{
	struct jv_parser *parser;
	jv v, more;

	if (c->bodiless)
		return jv_null();
	parser = jv_parser_new(0);
	jv_parser_set_buf(parser, c->body ? c->body : "", (int)c->body_bytes, 0);
	v = jv_parser_next(parser);
	more = jv_is_valid(v) ? jv_parser_next(parser) : jv_invalid();
	jv_parser_free(parser);
	if (jv_is_valid(more) || jv_invalid_has_msg(jv_copy(more))) {
		jv_free(v);
		v = jv_is_valid(more) ? jv_invalid_with_msg(jv_string("there is more than one value")) : jv_copy(more);
	} else if (!jv_is_valid(v) && !jv_invalid_has_msg(jv_copy(v))) {
		jv_free(v);
		v = jv_invalid_with_msg(jv_string("it is empty"));
	}
	jv_free(more);
	return v;
}

static jv make_envelope(const struct program *p, const struct judge_case *c, jv body)
{
	jv envelope = jv_object();

	envelope = jv_object_set(envelope, jv_string("body"), body);
	envelope = jv_object_set(envelope, jv_string("status"), jv_number(c->status));
	return jv_object_set(envelope, jv_string("headers"),
			     p->wants_headers ? header_object(c->headers) : jv_object());
}

/* ---- What comes of it ---- */

static void put(char *text, const char *p, size_t n)
{
	text_printable(text, JUDGE_TEXT_SIZE, p, n, JUDGE_TEXT_CHARS);
}

static bool say(char *text, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static bool say(char *text, const char *fmt, ...)
{
	char line[2 * JUDGE_TEXT_SIZE];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	put(text, line, n < 0 ? 0 : (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
	return true;
}

/* A string as it is, anything else as JSON. Consumes `v`. */
static jv as_string(jv v)
{
	return jv_get_kind(v) == JV_KIND_STRING ? v : jv_dump_string(v, 0);
}

/* Consumes `v`. */
static bool verdict(jv v, char *text)
{
	jv_kind kind = jv_get_kind(v);

	if (kind == JV_KIND_NULL || kind == JV_KIND_FALSE) {
		jv_free(v);
		return false;
	}
	text[0] = '\0';
	v = as_string(v);
	if (kind != JV_KIND_TRUE)
		put(text, jv_string_value(v), (size_t)jv_string_length_bytes(jv_copy(v)));
	jv_free(v);
	return text[0] ? true : say(text, "fail-if holds for the response");
}

/* Consumes `v`, an invalid value: no output where it has no message, else the program's error. */
static bool failure(jv v, char *text)
{
	bool failed = jv_invalid_has_msg(jv_copy(v));
	jv message;

	if (!failed) {
		jv_free(v);
		return false;
	}
	message = as_string(jv_invalid_get_msg(v));
	say(text, "fail-if: %s", jv_string_value(message));
	jv_free(message);
	return true;
}

static bool run(const struct program *p, jv input, char *text)
{
	bool is_error;
	jv v;

	jq_start(p->jq, input, 0);
	v = jq_next(p->jq);
	if (!jv_is_valid(v))
		return failure(v, text);
	is_error = verdict(v, text);
	jv_free(jq_next(p->jq)); /* the end of the run (lib/jq.h) */
	return is_error;
}

static bool refuse_body(const struct judge_case *c, jv why, char *text)
{
	jv message = as_string(jv_invalid_get_msg(why));

	say(text, "the body is not JSON%s%s: %s", c->content_type[0] ? " but " : "", c->content_type,
	    jv_string_value(message));
	jv_free(message);
	return true;
}

static bool run_bounded(const struct program *p, const struct judge_case *c, char *text)
{
	jv body = parse_body(c);

	if (!jv_is_valid(body))
		return refuse_body(c, body, text);
	return run(p, make_envelope(p, c, body), text);
}

bool judge_run(struct judge *j, const struct judge_case *c, char *text)
{
	struct program *p = program_get(j, c->program);
	char units[UNITS_TEXT_SIZE], most[UNITS_TEXT_SIZE];
	struct rlimit before;
	bool bounded, is_error;

	if (!p->jq)
		return say(text, "fail-if does not compile: %s", p->error);
	if (c->body_bytes > JUDGE_BODY_MAX)
		return say(text, "the body has %s, and fail-if reads %s at most",
			   units_format_bytes(units, c->body_bytes), units_format_bytes(most, JUDGE_BODY_MAX));
	bounded = bound_memory(j, MEMORY_BASE + MEMORY_FACTOR * (rlim_t)c->body_bytes, &before);
	is_error = run_bounded(p, c, text);
	if (bounded)
		setrlimit(RLIMIT_AS, &before);
	return is_error;
}
