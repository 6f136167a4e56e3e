/* What a response's body says, by the jq programs that come with its job: fail_if (lib/jq.h) whether it is an error,
 * and a recipe's program what its page says (verdict.h). Knows no transfer.
 *
 * A program that never ends holds up its worker, and one that needs too much memory ends it (libjq cannot go on): who
 * calls this has said before whose body it is, so that the daemon blames the right job. */
#ifndef FANOUT_LIB_JUDGE_H
#define FANOUT_LIB_JUDGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JUDGE_BODY_MAX     (INT64_C(32) << 20) /* bytes of JSON; in jq's hands they take many times as much */
#define JUDGE_PROGRAMS_MAX 64                  /* kept compiled, 1.2 MB each */
#define JUDGE_TEXT_CHARS   200
#define JUDGE_TEXT_SIZE    (JUDGE_TEXT_CHARS * 4 + 1)

struct judge;
struct verdict;

/* What a page of a run brings along (lib/message.h). */
struct judge_page {
	const char *program; /* "" where bodies are not looked at */
	const char *context;
	const char *param;
	const char *url; /* what was asked for */
	struct verdict *verdict;
};

struct judge_case {
	const char *fail_if;           /* NULL or "" where none */
	const struct judge_page *page; /* NULL where it is none */
	int status;
	const char *headers;      /* lines ended by \n, status line first */
	const char *content_type; /* printable; "" where none */
	const void *body;
	int64_t body_bytes; /* above JUDGE_BODY_MAX the body is not looked at, and may be NULL */
	bool bodiless;      /* there is none by nature (HEAD, 204): fail_if runs on null; no page */
};

struct judge *judge_create(void);
void judge_free(struct judge *j);

/* Whether the body is wanted at all. */
bool judge_reads_body(const struct judge_case *c);

/* True when the response is an error; `text` (JUDGE_TEXT_SIZE) then tells it in printable words, never empty. Also an
 * error: a body that is not JSON, a program that fails on it, one that does not compile. Else the page's verdict is
 * filled in, which had been begun. */
bool judge_run(struct judge *j, const struct judge_case *c, char *text);

#endif
