/* libjq 1.6 behind what it needs to be safe with: its callbacks set (they are uninitialised), no library path (an
 * import without one aborts), no ~/.jq, and its compile errors, meant for a terminal, brought into one sentence.
 *
 * The variables are bound by destructuring an envelope, so that a program is compiled once for all responses. The pipe
 * binds loosest, so that the user's text can stand as it is, with line numbers and errors of its own.
 *
 * To be left after its first output a run has to end by itself: dropped within a path expression (`paths`) it aborts.
 * So the user's text stands in `first`, which breaks out of it; and that in an array, for a `?` or `try` in the text
 * catches the break, and goes on.
 *
 * A page's program is made from a recipe's expressions, and destructures the envelope itself. */
#include "lib/jq.h"

#include <jq.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

/* Each is one line. The builtin stderr would write to the daemon's log, and halting drops the run. */
#define FAIL_IF                                                                                        \
	". as {$body, $status, $headers} | label $fail_if | def stderr: .; def halt: break $fail_if; " \
	"def halt_error: error; def halt_error($code): error; "
static const char check_before[] = FAIL_IF "$body |\n";
static const char before[] = FAIL_IF "[first($body |\n";
static const char after[] = "\n)] | .[:1][]";
/* Halting would leave out what a recipe asks for besides. */
static const char page_before[] = "label $page_end | def stderr: .; def halt: error(\"halt is not for recipes\"); "
				  "def halt_error: error; def halt_error($code): error;\n";
static const char page_after[] = "\n| ., break $page_end";
static const char items_before[] = "def stderr: .; def halt: error(\"halt is not for recipes\"); "
				   "def halt_error: error; def halt_error($code): error;\n";
static const char expr_before[] = ". as {$body, $headers, $status, $page, $vars} | def stderr: .; def halt: .; "
				  "def halt_error: error; def halt_error($code): error; $body |\n";

#define FILE_MOST 140 /* bytes of its name in a complaint, the last ones */

/* The first that jq has; the others follow from it. */
struct complaint {
	char words[300]; /* "" none */
	int line;        /* of the user's text, from 1; 0 or less where that is not known */
};

static jv on_input(jq_state *jq, void *arg)
{
	(void)jq, (void)arg;
	return jv_invalid();
}

/* It cannot go on, and what it has taken by then cannot be given back. */
static void on_no_memory(void *arg)
{
	(void)arg;
	log_error("jq is out of memory", "why=\"a program took more than it may have\"");
	_exit(EXIT_FAILURE);
}

static void on_debug(void *arg, jv v)
{
	(void)arg;
	jv_free(v);
}

/* Where `text` begins with `part`, past it. */
static const char *past(const char *text, const char *part)
{
	size_t n = strlen(part);

	return strncmp(text, part, n) == 0 ? text + n : text;
}

/* The names that jq's grammar has for what it meets. */
static const struct {
	const char *token, *words;
} tokens[] = {
    {"$end", "end of the program"},
    {"INVALID_CHARACTER", "character"},
};

/* Copies text[0..n) with the tokens replaced. */
static void put_words(char *out, size_t size, const char *text, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n && len + 1 < size;) {
		size_t k = 0;

		while (k < sizeof tokens / sizeof *tokens && past(text + i, tokens[k].token) == text + i)
			k++;
		if (k == sizeof tokens / sizeof *tokens) {
			out[len++] = text[i++];
			continue;
		}
		len += (size_t)snprintf(out + len, size - len, "%s", tokens[k].words);
		i += strlen(tokens[k].token);
	}
	out[len < size ? len : size - 1] = '\0';
}

/* "jq: error: syntax error, unexpected $end (Unix shell quoting issues?) at <top-level>, line 4:\n.a[   " becomes
 * "syntax error, unexpected end of the program", line 3. */
static void tell(const char *said, struct complaint *c)
{
	static const char place[] = " at <top-level>, line ", advice[] = " (Unix shell quoting issues?)";
	const char *what = past(said, "jq: error: ");
	const char *at = strstr(what, place);
	const char *stop = at ? at : what + strcspn(what, "\n");
	const char *cut = strstr(what, advice);

	if (cut && cut < stop)
		stop = cut;
	put_words(c->words, sizeof c->words, what, (size_t)(stop - what));
	c->line = at ? atoi(at + sizeof place - 1) - 1 : 0;
}

static void on_complaint(void *arg, jv message)
{
	struct complaint *c = arg;

	if (!c->words[0] && jv_get_kind(message) == JV_KIND_STRING)
		tell(jv_string_value(message), c);
	jv_free(message);
}

static void no_complaint(void *arg, jv message)
{
	(void)arg;
	jv_free(message);
}

/* jq takes in ~/.jq, which is nobody's business but the user's own jq. */
static int compile_at_home_nowhere(jq_state *jq, const char *program)
{
	const char *home = getenv("HOME");
	char *kept = home ? strdup(home) : NULL;
	int ok;

	if (home && !kept)
		return 0;
	unsetenv("HOME");
	ok = jq_compile(jq, program);
	if (kept)
		setenv("HOME", kept, 1);
	free(kept);
	return ok;
}

static jq_state *compile(const char *program, struct complaint *c)
{
	jq_state *jq = jq_init();

	if (!jq)
		return NULL;
	jq_set_attr(jq, jv_string("JQ_LIBRARY_PATH"), jv_array());
	jq_set_input_cb(jq, on_input, NULL);
	jq_set_debug_cb(jq, on_debug, NULL);
	jq_set_nomem_handler(jq, on_no_memory, NULL);
	jq_set_error_cb(jq, on_complaint, c);
	if (!compile_at_home_nowhere(jq, program)) {
		jq_teardown(&jq);
		return NULL;
	}
	jq_set_error_cb(jq, no_complaint, NULL);
	return jq;
}

/* NULL with `c`, where jq has something to say. */
static jq_state *compile_between(const char *prefix, const char *text, const char *suffix, struct complaint *c)
{
	char *program = malloc(strlen(prefix) + strlen(text) + strlen(suffix) + 1);
	jq_state *jq;

	*c = (struct complaint){0};
	if (!program)
		return NULL;
	strcpy(stpcpy(stpcpy(program, prefix), text), suffix);
	jq = compile(program, c);
	free(program);
	return jq;
}

static jq_state *compile_with(const char *prefix, const char *text, const char *suffix, struct err *e)
{
	struct complaint c;
	jq_state *jq = compile_between(prefix, text, suffix, &c);

	if (!jq && !c.words[0])
		err_set(e, ERR_SYSTEM, NULL, "jq cannot be started");
	else if (!jq && c.line > 1)
		err_set(e, ERR_INPUT, NULL, "%s (line %d)", c.words, c.line);
	else if (!jq)
		err_set(e, ERR_INPUT, NULL, "%s", c.words);
	return jq;
}

int jq_program_check(const char *text, struct err *e)
{
	jq_state *jq;

	if (strlen(text) > JQ_PROGRAM_MAX)
		return err_set(e, ERR_INPUT, NULL, "the program is longer than %d bytes", JQ_PROGRAM_MAX);
	jq = compile_with(check_before, text, "", e);
	if (!jq)
		return -1;
	jq_teardown(&jq);
	return 0;
}

/* Checked by itself first: with what follows it, half a program (". as $x") could be a whole one. */
struct jq_state *jq_program_compile(const char *text, struct err *e)
{
	return jq_program_check(text, e) ? NULL : compile_with(before, text, after, e);
}

struct jq_state *jq_page_compile(const char *text, struct err *e)
{
	if (strlen(text) > JQ_PAGE_MAX) {
		err_set(e, ERR_INPUT, NULL, "the expressions together are longer than %u bytes", JQ_PAGE_MAX);
		return NULL;
	}
	return compile_with(page_before, text, page_after, e);
}

struct jq_state *jq_items_compile(const char *text, struct err *e)
{
	if (strlen(text) > JQ_PAGE_MAX) {
		err_set(e, ERR_INPUT, NULL, "the program is longer than %u bytes", JQ_PAGE_MAX);
		return NULL;
	}
	return compile_with(items_before, text, "", e);
}

int jq_expr_check(const char *text, const char *file, unsigned line, const char *name, struct err *e)
{
	struct complaint c;
	jq_state *jq = compile_between(expr_before, text, "", &c);

	if (jq) {
		jq_teardown(&jq);
		return 0;
	}
	if (!c.words[0])
		return err_set(e, ERR_SYSTEM, NULL, "jq cannot be started");
	if (c.line > 1)
		line += (unsigned)c.line - 1;
	if (strlen(file) > FILE_MOST)
		file += strlen(file) - FILE_MOST;
	err_set(e, ERR_INPUT, "jq(1) explains the language", "%s:%u: %s: %.200s", file, line, name, c.words);
	if (e)
		e->line = line;
	return -1;
}
